package db

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/lib/pq"
)

// Payouts returns the payouts that were sent of some bookings, and ends what was told some accounts
// of payouts that were taken back.
func (n *Notices) Payouts(ctx context.Context, bookings, ownerIDs []string) (sent []Happening, back []EndedGroup, err error) {
	var rows []struct {
		OwnerID string    `db:"owner_id"`
		At      time.Time `db:"paid_out_at"`
		Number  int
		Amount  Decimal
	}
	if err := n.list(ctx, &rows, func(q *notificationQueries) string { return q.payouts }, pq.Array(bookings)); err != nil {
		return nil, nil, fmt.Errorf("read payouts: %w", err)
	}
	for _, r := range rows {
		moment := strconv.FormatInt(r.At.UnixMicro(), 10)
		sent = append(sent, Happening{OwnerID: r.OwnerID, Kind: KindPayoutSent, Key: GroupOf(KindPayoutSent, moment), Subject: moment,
			Facts: RuleFacts{Amount: r.Amount, Date: r.At.In(n.store.loc).Format(time.DateOnly), Bookings: r.Number}, At: r.At})
	}
	back, err = n.groups(ctx, payoutsBackQuery, pq.Array(ownerIDs))
	return sent, back, err
}

// payoutsBackQuery is what was told some accounts of payouts of which nothing is left. Parameter: 1
// the accounts.
const payoutsBackQuery = `SELECT n.owner_id, n.group_key FROM realtime.notifications n
	WHERE n.owner_id = ANY ($1::text[]) AND n.kind = 'payout_sent' AND n.resolved_at IS NULL AND n.happened_at > now() - interval '31 days'
		AND NOT EXISTS (SELECT FROM realtime.payouts p WHERE p.owner_id = n.owner_id AND p.paid_out_at = n.happened_at)`

// payoutTomorrow tells accounts that have something to get that tomorrow is the day.
func (n *Notices) payoutTomorrow(ctx context.Context, rules ruleSet, from, now time.Time) (happened []Happening, err error) {
	for at, due := range n.hours(rules, KindPayoutTomorrow, from, now) {
		tomorrow := dayOffset(due, 1, n.store.loc)
		date := tomorrow.Format(time.DateOnly)
		owners, err := n.payees(ctx, tomorrow)
		if err != nil {
			return nil, err
		}
		for _, id := range owners {
			if params, enabled := rules.of(KindPayoutTomorrow, id); enabled && params.At == at {
				happened = append(happened, Happening{OwnerID: id, Kind: KindPayoutTomorrow, Key: GroupOf(KindPayoutTomorrow, date), Subject: date,
					Facts: RuleFacts{Date: date}, At: due})
			}
		}
	}
	return happened, nil
}

// payees returns the accounts that are paid out on a day: those with a payout that is planned for
// it, and on the weekly day those with anything pending. That is asked of the projection, and of
// the portal's tables where the projection is not to be believed.
func (n *Notices) payees(ctx context.Context, day time.Time) (owners []string, err error) {
	err = n.list(ctx, &owners, func(*notificationQueries) string { return payoutPlannedQuery }, day.Format(time.DateOnly))
	if err != nil {
		return nil, fmt.Errorf("read the payouts that are planned: %w", err)
	}
	if !nextPayoutDay(day, n.store.loc).Equal(day) {
		return owners, nil
	}
	var rows []struct {
		Trusted bool
		OwnerID sql.NullString `db:"owner_id"`
	}
	for _, ask := range []func(*queries) string{
		func(q *queries) string { return q.projection.pending },
		func(q *queries) string { return q.projection.pendingInTables },
	} {
		rows = nil
		if err := n.ask(ctx, &rows, ask); err != nil {
			return nil, fmt.Errorf("read what is pending: %w", err)
		}
		if len(rows) > 0 && rows[0].Trusted {
			break
		}
	}
	for _, r := range rows {
		if r.OwnerID.Valid && !slices.Contains(owners, r.OwnerID.String) {
			owners = append(owners, r.OwnerID.String)
		}
	}
	return owners, nil
}
