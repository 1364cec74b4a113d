package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/lib/pq"
)

// What Digest of DeliverySettings may be.
const (
	DigestOff  = "off"
	DigestDay  = "day"
	DigestWeek = "week"
)

// digestTime is for how long after its hour a digest is sent.
const digestTime = 12 * time.Hour

// DigestUser is a user who wants digests.
type DigestUser struct {
	UserID   string           `db:"user_id"`
	DigestAt int              `db:"digest_at"` // in minutes after midnight
	Settings DeliverySettings `db:"settings"`
}

// Due returns the digest that is due at an instant: its period, and when it was. There is none
// where that is half a day ago.
func (u DigestUser) Due(now time.Time, otherwise *time.Location) (period string, at time.Time, due bool) {
	zone := u.Settings.zone(otherwise)
	y, m, d := now.In(zone).Date()
	for back := range 2 { // a digest at 23:00 may be sent after midnight
		day := time.Date(y, m, d-back, 0, 0, 0, 0, time.UTC)
		switch u.Settings.Digest {
		case DigestDay:
			period = day.Format(time.DateOnly)
		case DigestWeek:
			if day.Weekday() != time.Monday {
				continue
			}
			year, week := day.ISOWeek()
			period = fmt.Sprintf("%d-W%02d", year, week)
		default:
			return "", at, false
		}
		at, _ = clockTimes(day, u.DigestAt, zone)
		if !now.Before(at) && now.Before(at.Add(digestTime)) {
			return period, at, true
		}
	}
	return "", at, false
}

const digestUsersQuery = `SELECT u.user_id, (pg_catalog.date_part('epoch', u.digest_at) / 60)::int AS digest_at, ` + deliverySettings + `
	FROM realtime.user_settings u WHERE u.digest <> 'off' AND u.user_id > $1 ORDER BY u.user_id LIMIT $2`

// DigestUsers returns users who want digests, by id, those after one.
func (o *Deliveries) DigestUsers(ctx context.Context, after string, limit int) ([]DigestUser, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	var list []DigestUser
	err := o.store.listFor(ctx, o.guard, &list, always(digestUsersQuery), after, limit)
	if err != nil {
		return nil, fmt.Errorf("read who wants digests: %w", err)
	}
	return list, nil
}

// unreadFor is true for a notification n of an account that a user may see and that nobody has
// dealt with. Parameters: 1 user, 2 owner.
const unreadFor = `n.owner_id = $2 AND (n.user_id IS NULL OR n.user_id = $1) AND n.read_at IS NULL AND n.archived_at IS NULL AND n.resolved_at IS NULL`

// unseenBy is true for a notification n that a user has not seen. What happened before they joined
// the account counts as seen.
const unseenBy = `n.news > coalesce((SELECT seen_through FROM realtime.notification_views WHERE user_id = $1 AND owner_id = $2), 0)
	AND n.happened_at > coalesce((SELECT since FROM realtime.members WHERE user_id = $1 AND owner_id = $2), '-infinity')`

// PlanDigest makes a delivery of a user's digest of an account, once for a period. It reports
// whether there is one now: none where nothing is unread and unseen.
func (o *Deliveries) PlanDigest(ctx context.Context, userID, ownerID, period string, at time.Time) (planned bool, err error) {
	n, err := o.exec(ctx, `WITH once AS (
			INSERT INTO realtime.digests (user_id, owner_id, period) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING period),
		newest AS (SELECT n.id FROM realtime.notifications n WHERE `+unreadFor+` AND `+unseenBy+` ORDER BY n.id DESC LIMIT 1)
		INSERT INTO realtime.deliveries (notification_id, user_id, channel, target, not_before, expires_at)
		SELECT newest.id, $1, 'mail', $4 || once.period, $5, $6 FROM newest, once ON CONFLICT DO NOTHING`,
		userID, ownerID, period, DigestTarget, at, at.Add(digestTime))
	return n > 0, err
}

// NotificationDetails is what a notification is about, as the portal has it at this moment.
type NotificationDetails struct {
	Email, Name       string // of its user
	HangarNumber      string
	GuestName         string
	Amount            Decimal   // "" where it is about none, or none is known
	CheckIn, CheckOut time.Time // zero where it is about no stay, or its row says no such date
	Unread            int       // notifications of the account
	// Waiting are the numbers of the account's other deliveries that wait for the same device.
	Waiting []int64
}

// DigestLine is one notification in a digest.
type DigestLine struct {
	NotificationID string          `db:"id"`
	Kind           string          `db:"kind"`
	Count          int             `db:"count"`
	Facts          json.RawMessage `db:"facts"`
	NotificationDetails
}

// facts are those of a notification that words are made of.
type facts struct {
	BookingID    string  `json:"bookingId"`
	HangarNumber string  `json:"hangarNumber"`
	Amount       Decimal `json:"amount"`
	CheckInDate  string  `json:"checkInDate"` // RFC 3339, as the next one
	CheckOutDate string  `json:"checkOutDate"`
}

// mostMerged is how many deliveries one message tells of at most. The others get another one.
const mostMerged = 1000

// waitingQuery tells what is unread in an account, as its user's bell has it, and which other
// deliveries of the account wait for the turn of a device, or would within a minute, and would be
// sent: also those that a server has claimed, which has to wait for the turn too. Parameters:
// 1 user, 2 device, 3 the delivery that is left out, 4 the account, 5 the kinds that are pushed
// where the user has said nothing, 6 whether they see the account: else only what is theirs alone.
var waitingQuery = `SELECT (SELECT coalesce(sum(k.unread), 0)::bigint FROM realtime.notification_counts k WHERE k.owner_id = $4 AND (k.user_id = $1 OR k.user_id = '' AND $6)
		AND k.kind NOT IN (SELECT p.kind FROM realtime.preferences p WHERE p.user_id = $1 AND p.owner_id = $4 AND p.channel = 'inApp' AND p.mode = 'off')) AS unread,
	ARRAY(SELECT d.id FROM realtime.deliveries d JOIN realtime.notifications n ON n.id = d.notification_id
		WHERE d.done_at IS NULL AND d.user_id = $1 AND d.channel = 'push' AND d.target = $2 AND d.id <> $3::bigint
			AND d.not_before <= now() + interval '1 minute' AND d.expires_at > now()
			AND n.severity < 2 AND n.read_at IS NULL AND n.archived_at IS NULL AND n.resolved_at IS NULL
			AND n.owner_id = $4 AND (n.user_id = $1 OR $6 AND n.user_id IS NULL
				AND n.happened_at >= coalesce((SELECT m.since FROM realtime.members m WHERE m.owner_id = $4 AND m.user_id = $1), '-infinity'))
			AND coalesce((SELECT f.mode FROM realtime.preferences f WHERE f.user_id = $1 AND f.owner_id = $4 AND f.kind = n.kind AND f.channel = 'push'),
				CASE WHEN n.kind = ANY ($5::text[]) THEN 'now' END) = 'now'
		ORDER BY d.id LIMIT ` + strconv.Itoa(mostMerged) + `) AS waiting`

// kindsBy returns the kinds that users in a role who have said nothing of them get so by a channel.
func kindsBy(channel Channel, role Role, mode Mode) (kinds []string) {
	for _, k := range NotificationKinds {
		if k.DefaultMode(channel, role) == mode {
			kinds = append(kinds, k.Name)
		}
	}
	return kinds
}

// Details returns what a delivery's notification is about, and its user.
func (o *Deliveries) Details(ctx context.Context, d OpenedDelivery) (details NotificationDetails, err error) {
	if !d.IsDigest() {
		if details, err = o.about(ctx, d.OwnerID, d.Facts); err != nil {
			return details, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	switch d.Channel {
	case ChannelMail:
		user, err := o.store.User(ctx, d.UserID)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return details, err
		}
		details.Email, details.Name = user.Email, user.Name
	case ChannelPush:
		var counts struct {
			Unread  int
			Waiting pq.Int64Array
		}
		err := o.store.getFor(ctx, o.guard, &counts, always(waitingQuery), d.UserID, d.Target, d.ID, d.OwnerID, pq.Array(kindsBy(ChannelPush, d.Role, ModeNow)), d.Role != "")
		if err != nil {
			return details, fmt.Errorf("count what else waits: %w", err)
		}
		details.Unread, details.Waiting = counts.Unread, counts.Waiting
	}
	return details, nil
}

// about returns what the facts of a notification name: of a booking what it is at this moment, and
// what it was where it is gone.
func (o *Deliveries) about(ctx context.Context, ownerID string, text json.RawMessage) (details NotificationDetails, err error) {
	var f facts
	if json.Unmarshal(text, &f) != nil {
		return details, nil // a newer server made it
	}
	details = NotificationDetails{HangarNumber: f.HangarNumber, Amount: f.Amount}
	details.CheckIn, details.CheckOut = knownText(f.CheckInDate), knownText(f.CheckOutDate)
	if f.BookingID == "" {
		return details, nil
	}
	b, err := o.store.Booking(ctx, ownerID, f.BookingID)
	if errors.Is(err, ErrNotFound) {
		return details, nil
	}
	if err != nil {
		return details, err
	}
	details = NotificationDetails{HangarNumber: b.HangarNumber, GuestName: b.GuestName, CheckIn: Known(b.CheckIn), CheckOut: Known(b.CheckOut)}
	if b.Priced {
		details.Amount = b.Amount
	}
	return details, nil
}

// mostDigested bounds the notifications that a digest counts.
const mostDigested = 1000

// DigestLines returns what a digest tells: what is unread and unseen at this moment of the kinds
// that its user wants in digests, the newest first, at most limit, and how many more there are.
func (o *Deliveries) DigestLines(ctx context.Context, d OpenedDelivery, limit int) (lines []DigestLine, more int, err error) {
	asking, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	var all []DigestLine
	err = o.store.listFor(asking, o.guard, &all, always(`SELECT n.id::text AS id, n.kind, n.count, n.facts
		FROM realtime.notifications n WHERE `+unreadFor+` AND `+unseenBy+`
			AND coalesce((SELECT mode FROM realtime.preferences f WHERE f.user_id = $1 AND f.owner_id = $2 AND f.kind = n.kind AND f.channel = 'mail'),
				CASE WHEN n.kind = ANY ($4::text[]) THEN 'digest' END) = 'digest'
		ORDER BY n.id DESC LIMIT $3`), d.UserID, d.OwnerID, mostDigested, pq.Array(kindsBy(ChannelMail, d.Role, ModeDigest)))
	if err != nil {
		return nil, 0, fmt.Errorf("read what a digest tells: %w", err)
	}
	lines = all[:min(limit, len(all))]
	for i := range lines {
		if lines[i].NotificationDetails, err = o.about(ctx, d.OwnerID, lines[i].Facts); err != nil {
			return nil, 0, err
		}
	}
	return lines, len(all) - len(lines), nil
}
