package db

import (
	"context"
	"fmt"
	"time"
)

// dueBooking is a booking of which time tells something.
type dueBooking struct {
	OwnerID      string    `db:"owner_id"`
	BookingID    string    `db:"booking_id"`
	HangarID     string    `db:"hangar_id"`
	HangarNumber string    `db:"hangar_number"`
	Amount       Decimal   `db:"amount"` // "" where its row says none
	CheckIn      time.Time `db:"check_in"`
	CheckOut     time.Time `db:"check_out"`
	CreatedAt    time.Time `db:"created_at"`
	Pending      bool      `db:"pending"`
	Owing        bool      `db:"owing"` // confirmed and not paid
}

func (b dueBooking) facts(loc *time.Location) RuleFacts {
	date := func(moment time.Time) string {
		if Known(moment).IsZero() {
			return ""
		}
		return moment.In(loc).Format(time.RFC3339)
	}
	return RuleFacts{BookingID: b.BookingID, HangarID: b.HangarID, HangarNumber: b.HangarNumber, Amount: b.Amount,
		CheckInDate: date(b.CheckIn), CheckOutDate: date(b.CheckOut)}
}

// due asks for bookings between two times.
func (n *Notices) due(ctx context.Context, ask func(*notificationQueries) string, from, until time.Time, more ...any) (found []dueBooking, err error) {
	date := func(t time.Time) string { return t.In(n.store.loc).Format(time.DateOnly) }
	err = n.list(ctx, &found, ask, append([]any{n.store.loc.String(), from, until, date(from), date(until)}, more...)...)
	if err != nil {
		return nil, fmt.Errorf("read bookings that are due: %w", err)
	}
	return found, nil
}

// Due returns what came due after from and up to now, and ends what was told of days that are over.
func (n *Notices) Due(ctx context.Context, from, now time.Time) (happened []Happening, ended []EndedGroup, err error) {
	rules, err := n.allRules(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, find := range []func(context.Context, ruleSet, time.Time, time.Time) ([]Happening, error){n.toConfirm, n.unpaid, n.daily, n.payoutTomorrow} {
		found, err := find(ctx, rules, from, now)
		if err != nil {
			return nil, nil, err
		}
		happened = append(happened, found...)
	}
	if now.Truncate(occupancyStep).After(from) || from.IsZero() {
		found, over, err := n.occupancyLow(ctx, rules, now)
		if err != nil {
			return nil, nil, err
		}
		happened, ended = append(happened, found...), append(ended, over...)
	}
	today := now.In(n.store.loc).Format(time.DateOnly)
	if today != from.In(n.store.loc).Format(time.DateOnly) {
		over, err := n.daysOver(ctx, today)
		if err != nil {
			return nil, nil, err
		}
		ended = append(ended, over...)
	}
	if now.Truncate(dayStep).After(from) {
		over, err := n.daysEmpty(ctx, today)
		if err != nil {
			return nil, nil, err
		}
		ended = append(ended, over...)
		if over, err = n.pooledOver(ctx, rules, now); err != nil {
			return nil, nil, err
		}
		ended = append(ended, over...)
	}
	return happened, ended, nil
}

// toConfirm finds bookings that have been pending for long.
func (n *Notices) toConfirm(ctx context.Context, rules ruleSet, from, now time.Time) (happened []Happening, err error) {
	rule, _ := RuleOf(KindToConfirm)
	found, err := n.due(ctx, func(q *notificationQueries) string { return q.toConfirm }, from.Add(-time.Duration(rule.MaxHours)*time.Hour), now)
	for _, b := range found {
		at, is := b.dueAt(KindToConfirm, rules)
		if !is || !at.After(from) || at.After(now) {
			continue
		}
		happened = append(happened, Happening{OwnerID: b.OwnerID, Kind: KindToConfirm, Key: b.moment(KindToConfirm),
			Subject: b.BookingID, Group: true, Facts: b.facts(n.store.loc), At: at})
	}
	return happened, err
}

// unpaid finds bookings that begin soon and are not paid.
func (n *Notices) unpaid(ctx context.Context, rules ruleSet, from, now time.Time) (happened []Happening, err error) {
	rule, _ := RuleOf(KindUnpaid)
	from, until := from.Truncate(unpaidStep), now.Truncate(unpaidStep)
	if !until.After(from) {
		return nil, nil
	}
	found, err := n.due(ctx, func(q *notificationQueries) string { return q.unpaid }, now, until.Add(time.Duration(rule.MaxHours)*time.Hour))
	for _, b := range found {
		at, is := b.dueAt(KindUnpaid, rules)
		if !is || !at.After(from) || at.After(until) {
			continue
		}
		happened = append(happened, Happening{OwnerID: b.OwnerID, Kind: KindUnpaid, Key: b.moment(KindUnpaid),
			Subject: b.BookingID, Group: true, Facts: b.facts(n.store.loc), At: at})
	}
	return happened, err
}
