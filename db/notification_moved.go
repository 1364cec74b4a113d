package db

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lib/pq"
)

// toldBookingsQuery is what stands told of single bookings to confirm or unpaid. {which} chooses.
const toldBookingsQuery = `SELECT owner_id, kind, key, pg_catalog.substr(group_key, pg_catalog.length(kind) + 2) AS booking_id FROM realtime.notifications
	WHERE resolved_at IS NULL AND kind IN ('to_confirm', 'unpaid') AND group_key NOT IN ('to_confirm', 'unpaid') AND {which}`

// moment names what a notification of a booking's time is about: with another check-in it is
// another one.
func (b dueBooking) moment(kind string) string {
	if kind == KindToConfirm {
		return fmt.Sprintf("%s@%d", GroupOf(kind, b.BookingID), b.CreatedAt.UnixMicro())
	}
	return fmt.Sprintf("%s@%d", GroupOf(kind, b.BookingID), b.CheckIn.Unix())
}

// dueAt returns when time tells of a booking, and whether it is to be told at all.
func (b dueBooking) dueAt(kind string, rules ruleSet) (at time.Time, enabled bool) {
	params, enabled := rules.of(kind, b.OwnerID)
	if kind == KindToConfirm {
		return b.CreatedAt.Add(time.Duration(params.Hours) * time.Hour), enabled && b.Pending
	}
	at = b.CheckIn.Add(-time.Duration(params.Hours) * time.Hour)
	// Who books within those hours has the rest of them to pay.
	return at, enabled && b.Owing && !b.CreatedAt.After(at)
}

// Moved looks again at bookings that changed, with all at every one of which something stands told.
// What was told of a booking that is not to be confirmed or unpaid any more is over, and so is what
// was told for another moment than the present one. One whose moment has moved to before ran, up to
// which time was looked at, is told now: Due will not come to it.
func (n *Notices) Moved(ctx context.Context, bookings []string, all bool, ran, now time.Time) (happened []Happening, ended []EndedGroup, err error) {
	which, args := "true", []any{}
	if !all {
		var groups []string
		for _, id := range bookings {
			groups = append(groups, GroupOf(KindToConfirm, id), GroupOf(KindUnpaid, id))
		}
		which, args = "group_key = ANY ($1::text[])", []any{pq.Array(groups)}
	}
	var told []struct {
		OwnerID   string `db:"owner_id"`
		BookingID string `db:"booking_id"`
		Kind, Key string
	}
	err = n.list(ctx, &told, func(*notificationQueries) string { return Fill(toldBookingsQuery, "{which}", which) }, args...)
	if err != nil {
		return nil, nil, fmt.Errorf("read what was told of bookings: %w", err)
	}
	asked := append([]string{}, bookings...)
	for _, t := range told {
		asked = append(asked, t.BookingID)
	}
	if len(asked) == 0 {
		return nil, nil, nil
	}
	rules, err := n.allRules(ctx)
	if err != nil {
		return nil, nil, err
	}
	found, err := n.due(ctx, func(q *notificationQueries) string { return q.named }, now, now, pq.Array(asked))
	if err != nil {
		return nil, nil, err
	}
	byID := make(map[string]dueBooking, len(found))
	for _, b := range found {
		byID[b.BookingID] = b
	}
	stands, over := map[string]bool{}, map[string]bool{} // groups of present owners
	for _, t := range told {
		b, group := byID[t.BookingID], GroupOf(t.Kind, t.BookingID)
		still := b.OwnerID == t.OwnerID && (t.Kind == KindToConfirm && b.Pending || t.Kind == KindUnpaid && b.Owing)
		switch moment := b.moment(t.Kind); {
		case still && (t.Key == moment || strings.HasPrefix(t.Key, moment+"@")):
			stands[group] = true
			continue
		case still:
			over[group] = true
		}
		ended = append(ended, EndedGroup{t.OwnerID, group})
	}
	for _, b := range found {
		for _, kind := range []string{KindToConfirm, KindUnpaid} {
			group := GroupOf(kind, b.BookingID)
			at, is := b.dueAt(kind, rules)
			looked := ran
			if kind == KindUnpaid {
				looked = ran.Truncate(unpaidStep)
			}
			if !is || stands[group] || at.After(looked) || kind == KindToConfirm && !over[group] || kind == KindUnpaid && !b.CheckIn.After(now) {
				continue
			}
			happened = append(happened, Happening{OwnerID: b.OwnerID, Kind: kind, Key: fmt.Sprintf("%s@%d", b.moment(kind), now.UnixMicro()),
				Subject: b.BookingID, Group: true, Facts: b.facts(n.store.loc), At: now})
		}
	}
	return happened, ended, nil
}
