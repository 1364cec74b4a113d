package db

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// conditions returns the groups of unresolved notifications of a kind, with their accounts.
func (n *Notices) conditions(ctx context.Context, kind string) (map[string][]string, error) {
	var rows []struct {
		OwnerID string `db:"owner_id"`
		Group   string `db:"group_key"`
	}
	// The kinds are written out, as the index on them has them.
	err := n.list(ctx, &rows, func(*notificationQueries) string {
		return `SELECT DISTINCT n.owner_id, n.group_key FROM realtime.notifications n
			WHERE n.kind = $1 AND n.resolved_at IS NULL AND n.kind IN ('overbooked', 'occupancy_low', 'invitation')`
	}, kind)
	if err != nil {
		return nil, fmt.Errorf("read what goes on: %w", err)
	}
	found := make(map[string][]string, len(rows))
	for _, r := range rows {
		found[r.Group] = append(found[r.Group], r.OwnerID)
	}
	return found, nil
}

// Overbooked looks for nights on which hangars have more stays than spaces, from today on: of all
// hangars where hangars is nil. What was told and is over is ended.
func (n *Notices) Overbooked(ctx context.Context, hangars []string, now time.Time) (happened []Happening, ended []EndedGroup, err error) {
	var spaces []struct {
		HangarID string `db:"hangar_id"`
		OwnerID  string `db:"owner_id"`
		Number   string `db:"hangar_number"`
		Spaces   int    `db:"spaces"`
	}
	if err := n.list(ctx, &spaces, func(q *notificationQueries) string { return q.spaces }, array(hangars)); err != nil {
		return nil, nil, fmt.Errorf("read the spaces of hangars: %w", err)
	}
	var stays []struct {
		HangarID string    `db:"hangar_id"`
		In       time.Time `db:"check_in"`
		Out      time.Time `db:"check_out"`
	}
	date := now.In(n.store.loc).Format(time.DateOnly)
	if err := n.list(ctx, &stays, func(q *notificationQueries) string { return q.stays }, array(hangars), now, date, n.store.loc.String()); err != nil {
		return nil, nil, fmt.Errorf("read the stays of hangars: %w", err)
	}
	told, err := n.conditions(ctx, KindOverbooked)
	if err != nil {
		return nil, nil, err
	}
	today := dayNumber(now.In(n.store.loc))
	nights := make(map[string]map[int]int)
	for _, s := range stays {
		if !s.In.Before(s.Out) {
			continue
		}
		days := nights[s.HangarID]
		if days == nil {
			days = make(map[int]int)
			nights[s.HangarID] = days
		}
		first, last := dayNumber(s.In.In(n.store.loc)), dayNumber(s.Out.In(n.store.loc))
		for day := max(first, today); day < min(max(last, first+1), today+overbookedDays); day++ {
			days[day]++
		}
	}
	over := map[string]string{} // groups, with their accounts
	for _, h := range spaces {
		first, most := -1, 0
		for day, number := range nights[h.HangarID] {
			if number > h.Spaces && (first < 0 || day < first) {
				first, most = day, number
			}
		}
		if first < 0 {
			continue
		}
		group := GroupOf(KindOverbooked, h.HangarID)
		over[group] = h.OwnerID
		if slices.Contains(told[group], h.OwnerID) {
			continue
		}
		happened = append(happened, Happening{OwnerID: h.OwnerID, Kind: KindOverbooked, Key: fmt.Sprintf("%s@%d", group, now.UnixMicro()), Subject: h.HangarID,
			Facts: RuleFacts{HangarID: h.HangarID, HangarNumber: h.Number, Date: dateText(first), Spaces: h.Spaces, Stays: most}, At: now})
	}
	for group, owners := range told {
		if _, id, _ := strings.Cut(group, ":"); hangars != nil && !slices.Contains(hangars, id) {
			continue
		}
		for _, ownerID := range owners {
			if over[group] != ownerID {
				ended = append(ended, EndedGroup{ownerID, group})
			}
		}
	}
	return happened, ended, nil
}

// dateText writes the date that a day's number stands for.
func dateText(day int) string { return time.Unix(int64(day)*86400, 0).UTC().Format(time.DateOnly) }
