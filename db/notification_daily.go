package db

import (
	"context"
	"slices"
	"strings"
	"time"
)

// dayKinds are the kinds of notifications of one day, told on another or in the morning of it.
var dayKinds = []struct {
	kind string
	days int // from the day on which it is told
	ask  func(*notificationQueries) string
}{
	{KindArrivesTomorrow, 1, func(q *notificationQueries) string { return q.arriving }},
	{KindLeavesToday, 0, func(q *notificationQueries) string { return q.leaving }},
}

// pooledOver returns what was told of many bookings at once, to confirm or unpaid, of which none is
// left: no row of the log can end that by a booking's name.
func (n *Notices) pooledOver(ctx context.Context, rules ruleSet, now time.Time) (ended []EndedGroup, err error) {
	told, err := n.groups(ctx, `SELECT DISTINCT owner_id, group_key FROM realtime.notifications WHERE resolved_at IS NULL
		AND kind IN ('to_confirm', 'unpaid') AND group_key IN ('to_confirm', 'unpaid')`)
	if err != nil || len(told) == 0 {
		return nil, err
	}
	toConfirm, err := n.due(ctx, func(q *notificationQueries) string { return q.toConfirm }, now.AddDate(-1, 0, 0), now)
	if err != nil {
		return nil, err
	}
	unpaid, _ := RuleOf(KindUnpaid)
	owing, err := n.due(ctx, func(q *notificationQueries) string { return q.unpaid }, now, now.Add(time.Duration(unpaid.MaxHours)*time.Hour))
	if err != nil {
		return nil, err
	}
	stands := map[EndedGroup]bool{}
	for _, b := range toConfirm {
		params, _ := rules.of(KindToConfirm, b.OwnerID)
		if !b.CreatedAt.Add(time.Duration(params.Hours) * time.Hour).After(now) {
			stands[EndedGroup{b.OwnerID, KindToConfirm}] = true
		}
	}
	for _, b := range owing {
		params, _ := rules.of(KindUnpaid, b.OwnerID)
		if !b.CheckIn.Add(-time.Duration(params.Hours) * time.Hour).After(now) {
			stands[EndedGroup{b.OwnerID, KindUnpaid}] = true
		}
	}
	return slices.DeleteFunc(told, func(one EndedGroup) bool { return stands[one] }), nil
}

// daily tells who arrives tomorrow and who leaves today, at the hour that each account chose.
func (n *Notices) daily(ctx context.Context, rules ruleSet, from, now time.Time) (happened []Happening, err error) {
	for _, one := range dayKinds {
		for at, due := range n.hours(rules, one.kind, from, now) {
			day := dayOffset(due, one.days, n.store.loc)
			byOwner, owners, err := n.onDay(ctx, one.ask, day)
			if err != nil {
				return nil, err
			}
			date := day.Format(time.DateOnly)
			for _, id := range owners {
				if params, enabled := rules.of(one.kind, id); !enabled || params.At != at {
					continue
				}
				facts := RuleFacts{Date: date}
				if list := byOwner[id]; len(list) == 1 {
					facts = list[0].facts(n.store.loc)
					facts.Date = date
				}
				happened = append(happened, Happening{OwnerID: id, Kind: one.kind, Key: GroupOf(one.kind, date), Subject: date, Facts: facts, Count: len(byOwner[id]), At: due})
			}
		}
	}
	return happened, nil
}

// onDay returns who arrives or leaves on a day, by account, and the accounts in the order of their
// bookings.
func (n *Notices) onDay(ctx context.Context, ask func(*notificationQueries) string, day time.Time) (byOwner map[string][]dueBooking, owners []string, err error) {
	found, err := n.due(ctx, ask, day, dayOffset(day, 1, n.store.loc))
	byOwner = map[string][]dueBooking{}
	for _, b := range found {
		if byOwner[b.OwnerID] == nil {
			owners = append(owners, b.OwnerID)
		}
		byOwner[b.OwnerID] = append(byOwner[b.OwnerID], b)
	}
	return byOwner, owners, err
}

// daysEmpty returns what was told of today and of days to come of which nothing is left: nobody
// arrives or leaves any more, nothing is to be paid out.
func (n *Notices) daysEmpty(ctx context.Context, today string) (ended []EndedGroup, err error) {
	told, err := n.groups(ctx, `SELECT DISTINCT owner_id, group_key FROM realtime.notifications WHERE resolved_at IS NULL
		AND kind IN ('arrives_tomorrow', 'leaves_today', 'payout_tomorrow') AND split_part(group_key, ':', 2) >= $1`, today)
	if err != nil {
		return nil, err
	}
	stands := map[string]map[string]bool{} // accounts, by group
	for _, one := range told {
		if stands[one.Group] == nil {
			if stands[one.Group], err = n.accountsOf(ctx, one.Group); err != nil {
				return nil, err
			}
		}
		if !stands[one.Group][one.OwnerID] {
			ended = append(ended, one)
		}
	}
	return ended, nil
}

// accountsOf returns the accounts of which a group of a day tells at this moment.
func (n *Notices) accountsOf(ctx context.Context, group string) (map[string]bool, error) {
	kind, date, _ := strings.Cut(group, ":")
	day, err := time.ParseInLocation(time.DateOnly, date, n.store.loc)
	if err != nil {
		return map[string]bool{}, nil // no group of ours
	}
	day = dayOffset(day.Add(12*time.Hour), 0, n.store.loc) // there are days without a midnight
	var owners []string
	if kind == KindPayoutTomorrow {
		owners, err = n.payees(ctx, day)
	}
	for _, one := range dayKinds {
		if kind == one.kind {
			_, owners, err = n.onDay(ctx, one.ask, day)
		}
	}
	stands := map[string]bool{}
	for _, id := range owners {
		stands[id] = true
	}
	return stands, err
}

// daysOver returns what was told of days before today.
func (n *Notices) daysOver(ctx context.Context, today string) (ended []EndedGroup, err error) {
	return n.groups(ctx, `SELECT DISTINCT owner_id, group_key FROM realtime.notifications WHERE resolved_at IS NULL
		AND kind IN ('arrives_tomorrow', 'leaves_today', 'payout_tomorrow') AND split_part(group_key, ':', 2) < $1`, today)
}
