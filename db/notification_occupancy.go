package db

import (
	"context"
	"strconv"
	"time"
)

// occupancyLow looks at the nights to come of accounts that want to be told when few are sold. One
// that was told is told again only after the share had recovered, and once a day at most.
func (n *Notices) occupancyLow(ctx context.Context, rules ruleSet, now time.Time) (happened []Happening, ended []EndedGroup, err error) {
	told, err := n.conditions(ctx, KindOccupancyLow)
	if err != nil {
		return nil, nil, err
	}
	low := map[string][]string{} // accounts that were told, with their groups
	for group, owners := range told {
		for _, id := range owners {
			low[id] = append(low[id], group)
		}
	}
	for ownerID := range rules[KindOccupancyLow] {
		params, enabled := rules.of(KindOccupancyLow, ownerID)
		sold, offered := 0.0, 0.0
		if enabled {
			if sold, offered, err = n.nightsToCome(ctx, ownerID, now); err != nil {
				return nil, nil, err
			}
		}
		switch percent := 100 * sold / max(offered, 1); {
		case !enabled || offered == 0 || percent >= float64(params.Percent+occupancyRecovery):
			for _, group := range low[ownerID] {
				ended = append(ended, EndedGroup{ownerID, group})
			}
		case percent < float64(params.Percent) && len(low[ownerID]) == 0:
			date := now.In(n.store.loc).Format(time.DateOnly)
			happened = append(happened, Happening{OwnerID: ownerID, Kind: KindOccupancyLow, Key: GroupOf(KindOccupancyLow, date), Subject: date,
				Facts: RuleFacts{Date: date, Percent: strconv.FormatFloat(percent, 'f', 1, 64)}, At: now})
		}
	}
	return happened, ended, nil
}

// nightsToCome returns how many nights of the days to come are sold and offered.
func (n *Notices) nightsToCome(ctx context.Context, ownerID string, now time.Time) (sold, offered float64, err error) {
	y, m, d := now.In(n.store.loc).Date()
	from := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	c, err := n.store.Calendar(ctx, ownerID, CalendarQuery{From: from, To: from.AddDate(0, 0, occupancyDays), Limit: 1})
	for _, day := range c.Days {
		sold, offered = sold+float64(day.Nights), offered+float64(day.Spaces)
	}
	return sold, offered, err
}
