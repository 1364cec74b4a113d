package db

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"
)

// Outcome is how a delivery ended, "" while it has not.
type Outcome string

// Outcomes. Only the first two reached anybody.
const (
	OutcomeSent      Outcome = "sent"
	OutcomeMerged    Outcome = "merged"     // told with another one, by the same message
	OutcomeExpired   Outcome = "expired"    // its time was over before it could be sent
	OutcomeRead      Outcome = "read"       // its user read it meanwhile
	OutcomeResolved  Outcome = "resolved"   // what it told is over
	OutcomeOff       Outcome = "off"        // its user does not want it
	OutcomeNoMember  Outcome = "no_member"  // its user may not see the account any more
	OutcomeSignedOut Outcome = "signed_out" // its device belongs to no session any more
	OutcomeNotSetUp  Outcome = "not_set_up" // no server has the channel, or the key of the device
	OutcomeNoAddress Outcome = "no_address" // its user has no address
	OutcomeEmpty     Outcome = "empty"      // a digest without a line
	OutcomeGone      Outcome = "gone"       // the device's subscription is no more
	OutcomeRefused   Outcome = "refused"    // the other side does not take it
)

// Outcomes lists all of them.
var Outcomes = []Outcome{OutcomeSent, OutcomeMerged, OutcomeExpired, OutcomeRead, OutcomeResolved, OutcomeOff, OutcomeNoMember,
	OutcomeSignedOut, OutcomeNotSetUp, OutcomeNoAddress, OutcomeEmpty, OutcomeGone, OutcomeRefused}

const (
	// deliveryLease is for how long a claimed delivery is nobody else's.
	deliveryLease = time.Minute
	// claimFront is how often a claim begins at the front of the queue, however long that is.
	claimFront = 5 * time.Second
	// digestsKept is for how long it is known that a digest was sent, and devicesKept for how long
	// a disabled device, as SQL intervals.
	digestsKept = `interval '90 days'`
	devicesKept = `interval '30 days'`
	// outboxQueries is how many questions of the outbox are asked at once.
	outboxQueries = 4
)

// ClaimedDelivery is one that is the caller's until Until. Claim is what finishes it.
type ClaimedDelivery struct {
	ID       string    `db:"id"`
	Claim    string    `db:"claim"`
	Channel  Channel   `db:"channel"`
	Target   string    `db:"target"`
	Attempts int       `db:"attempts"`
	Until    time.Time `db:"claimed_until"`
	// NotBefore and Number, which is the ID, are where it stood in the queue.
	NotBefore time.Time `db:"not_before"`
	Number    int64     `db:"number"`
}

// Deliveries is the outbox in a Store's database.
type Deliveries struct {
	// KeyID names our key for push: devices that were added under another one get nothing.
	KeyID string

	store  *Store
	guard  Breaker
	cursor claimCursor

	pruning sync.Mutex // held while Prune works
	pruned  string     // the device that it looked at last
}

// NewDeliveries returns the Deliveries in a Store's database.
func NewDeliveries(s *Store) *Deliveries {
	return &Deliveries{store: s, guard: NewBreaker("outbox", outboxQueries)}
}

// claimQuery takes what is due: claim, lease and attempt in one statement. What another server is
// taking at this moment is stepped over. Rows are found by their place in the table, which needs no
// second index and leaves the planner no choice. Parameters: 1 how many, 2 seconds of lease, 3 and
// 4 the place in the queue after which it begins: not_before and id.
const claimQuery = `UPDATE realtime.deliveries d SET attempts = least(d.attempts, 2147483646) + 1, claimed_until = now() + pg_catalog.make_interval(secs => $2), claim = gen_random_uuid()
	WHERE d.ctid = ANY (ARRAY(
		SELECT ctid FROM realtime.deliveries
		WHERE done_at IS NULL AND not_before <= now() AND (not_before, id) > ($3, $4::bigint) AND (claimed_until IS NULL OR claimed_until < now())
		ORDER BY not_before, id LIMIT $1 FOR UPDATE SKIP LOCKED))
	RETURNING d.id::text AS id, d.claim::text AS claim, d.channel, d.target, d.attempts, d.claimed_until, d.not_before, d.id AS number`

// claimCursor is where in the queue the next claim begins: while there is more than one claim
// takes, where the former one ended. What was sent leaves dead entries at the front of the index
// until the table is vacuumed, and as long as any transaction is older than they are: a claim that
// begins at the front steps over all of them.
type claimCursor struct {
	mu    sync.Mutex // guards what follows
	after queuePosition
	// front is when a claim last began at the front.
	front time.Time
}

// queuePosition is a place in the queue. The zero one is before all others: it is sent as
// -infinity.
type queuePosition struct {
	notBefore time.Time
	id        int64
}

// next returns the place after which the next claim begins. Now and then it is the front of the
// queue, where deliveries are whose lease has ended, and those that were stepped over.
func (c *claimCursor) next(now time.Time) queuePosition {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.front) >= claimFront {
		c.after = queuePosition{}
	}
	if c.after == (queuePosition{}) {
		c.front = now
	}
	return c.after
}

// ended notes what a claim took. One that took fewer than it might has reached the end.
func (c *claimCursor) ended(claimed []ClaimedDelivery, limit int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.after = (queuePosition{}); len(claimed) >= limit {
		last := claimed[len(claimed)-1]
		c.after = queuePosition{last.NotBefore, last.Number}
	}
}

// Claim takes up to limit deliveries that are due, the longest waiting ones first. Each is the
// caller's for a minute. One that is not finished by then is due again.
func (o *Deliveries) Claim(ctx context.Context, limit int) ([]ClaimedDelivery, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	var claimed []ClaimedDelivery
	began := time.Now()
	after := o.cursor.next(began)
	if err := o.store.listFor(ctx, o.guard, &claimed, always(claimQuery), limit, deliveryLease.Seconds(), after.notBefore, after.id); err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	slices.SortFunc(claimed, func(a, b ClaimedDelivery) int {
		return cmp.Or(a.NotBefore.Compare(b.NotBefore), cmp.Compare(a.Number, b.Number))
	})
	o.cursor.ended(claimed, limit)
	for i := range claimed { // by this machine's clock, which may differ from the database's
		claimed[i].Until = began.Add(deliveryLease)
	}
	return claimed, nil
}

// DigestTarget begins the target of a delivery that is a digest; its period follows.
const DigestTarget = "digest:"

// OpenedDelivery is a claimed delivery with all that decides whether it is sent at this moment.
type OpenedDelivery struct {
	ClaimedDelivery
	UserID    string    `db:"user_id"`
	ExpiresAt time.Time `db:"expires_at"`
	CreatedAt time.Time `db:"created_at"` // of what it tells

	NotificationID string `db:"notification_id"`
	OwnerID        string `db:"owner_id"`
	// Personal is the user whom it concerns alone, "" for the account.
	Personal string          `db:"personal"`
	Kind     string          `db:"kind"`
	GroupKey string          `db:"group_key"`
	Count    int             `db:"count"`
	Severity Severity        `db:"severity"`
	Facts    json.RawMessage `db:"facts"`
	Read     bool            `db:"is_read"` // or archived
	// Early says that it happened before the user joined the account, for the last time.
	Early    bool `db:"early"`
	Resolved bool `db:"resolved"`

	Settings   DeliverySettings `db:"settings"`
	Subscribed bool             `db:"subscribed"` // Device is there, and takes messages
	OtherKey   bool             `db:"other_key"`  // Device was added under another key than ours
	Device     PushEndpoint     `db:"push"`
	Mode       Mode             `db:"mode"` // "" where the user has said nothing

	// What is found out beside the row.
	Role   Role  `db:"-"`
	Ended  bool  `db:"-"` // the session of the device has
	Locked bool  `db:"-"` // it cannot be switched off
	Quiet  Quiet `db:"-"`
}

// IsDigest reports whether it is a digest of an account, and not one notification.
func (d OpenedDelivery) IsDigest() bool { return strings.HasPrefix(d.Target, DigestTarget) }

// DeliverySettings are what a user wants of what leaves the house.
type DeliverySettings struct {
	Zone        string        `db:"zone"` // "" for the installation's
	Language    string        `db:"lang"`
	QuietFrom   int           `db:"quiet_from"` // in minutes after midnight
	QuietTo     int           `db:"quiet_to"`
	QuietDays   pq.Int64Array `db:"quiet_days"`
	Digest      string        `db:"digest"`
	PausedUntil time.Time     `db:"paused_until"` // long ago where they are not
	Private     bool          `db:"private"`
}

// PushEndpoint is where a device gets messages.
type PushEndpoint struct {
	ID        string    `db:"id"`
	Endpoint  string    `db:"endpoint"`
	P256dh    []byte    `db:"p256dh"` // a point of P-256
	Auth      []byte    `db:"auth"`   // 16 bytes
	KeyID     string    `db:"key_id"`
	SessionID string    `db:"session_id"`
	CreatedAt time.Time `db:"created_at"`
}

// openQuery reads what decides about a claimed delivery. Parameters: 1 delivery, 2 claim, 3 the
// name of our key for push.
const openQuery = `SELECT d.id::text AS id, d.claim::text AS claim, d.channel, d.target, d.attempts, d.claimed_until, d.user_id, d.expires_at,
		n.created_at, n.id::text AS notification_id, n.owner_id, coalesce(n.user_id, '') AS personal, n.kind, n.group_key,
		n.count, n.severity, n.facts, n.read_at IS NOT NULL OR n.archived_at IS NOT NULL AS is_read, n.resolved_at IS NOT NULL AS resolved,
		coalesce(n.happened_at < m.since, false) AS early, ` + deliverySettings + `,
		p.id IS NOT NULL AND p.disabled_at IS NULL AS subscribed, coalesce(p.key_id <> $3, false) AS other_key, ` + pushColumns + `,
		coalesce((SELECT mode FROM realtime.preferences f WHERE f.user_id = d.user_id AND f.owner_id = n.owner_id AND f.kind = n.kind AND f.channel = d.channel), '') AS mode
	FROM realtime.deliveries d JOIN realtime.notifications n ON n.id = d.notification_id
		LEFT JOIN realtime.user_settings u ON u.user_id = d.user_id
		LEFT JOIN realtime.members m ON m.owner_id = n.owner_id AND m.user_id = d.user_id
		LEFT JOIN realtime.push_subscriptions p ON d.channel = 'push' AND p.id = d.target AND p.user_id = d.user_id
	WHERE d.id = $1::bigint AND d.claim = $2::uuid AND d.done_at IS NULL AND d.claimed_until > now()`

// quietDays are the days in a user's settings u, in one row and from the first: PostgreSQL knows
// other arrays. What is no day is left out.
const quietDays = `ARRAY(SELECT d FROM pg_catalog.unnest(u.quiet_days) AS d WHERE d BETWEEN 0 AND 6)`

const deliverySettings = `coalesce(u.zone, '') AS "settings.zone", coalesce(u.lang, '') AS "settings.lang",
		coalesce(pg_catalog.date_part('epoch', u.quiet_from) / 60, 0)::int AS "settings.quiet_from", coalesce(pg_catalog.date_part('epoch', u.quiet_to) / 60, 0)::int AS "settings.quiet_to",
		` + quietDays + ` AS "settings.quiet_days", coalesce(u.digest, 'off') AS "settings.digest",
		coalesce(u.paused_until, '0001-01-01Z') AS "settings.paused_until", coalesce(u.private, true) AS "settings.private"`

const pushColumns = `coalesce(p.id, '') AS "push.id", coalesce(p.endpoint, '') AS "push.endpoint", p.p256dh AS "push.p256dh", p.auth AS "push.auth",
		 coalesce(p.key_id, '') AS "push.key_id", coalesce(p.session_id, '') AS "push.session_id",
		coalesce(p.created_at, '0001-01-01Z') AS "push.created_at"`

// Open returns a claimed delivery with all that decides about it at this moment. ErrNotFound: it is
// not the caller's any more.
func (o *Deliveries) Open(ctx context.Context, c ClaimedDelivery) (d OpenedDelivery, err error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	err = o.store.getFor(ctx, o.guard, &d, always(openQuery), c.ID, c.Claim, o.KeyID)
	if errors.Is(err, sql.ErrNoRows) {
		return d, ErrNotFound
	}
	if err != nil {
		return d, fmt.Errorf("open a delivery: %w", err)
	}
	kind, _ := KindOf(d.Kind)
	d.Locked = kind.LockedOn(d.Channel)
	d.Quiet = d.Settings.quiet(o.store.loc)
	// Mail is no session's: it is as if asked for after whatever ended sessions until now.
	caller := Caller{UserID: d.UserID, Issued: time.Now().Add(time.Hour)}
	if d.Channel == ChannelPush {
		// A device belongs to the session that it was added in, or to the time of that.
		caller.SessionID, caller.Issued = d.Device.SessionID, d.Device.CreatedAt
	}
	d.Role, d.Ended, err = o.access(ctx, caller, d.OwnerID)
	if d.Mode == "" {
		d.Mode = kind.DefaultMode(d.Channel, d.Role)
	}
	return d, err
}

// access returns what a caller may do in an account, and whether their session has ended.
func (o *Deliveries) access(ctx context.Context, caller Caller, ownerID string) (role Role, ended bool, err error) {
	if ownerID == "" {
		err = o.store.SignedIn(ctx, caller)
	} else {
		role, err = o.store.Access(ctx, caller, ownerID)
	}
	if errors.Is(err, ErrSessionEnded) {
		return "", true, nil
	}
	return role, false, err
}

// quiet returns when the user is not to be called.
func (s DeliverySettings) quiet(otherwise *time.Location) Quiet {
	q := Quiet{Zone: s.zone(otherwise), From: s.QuietFrom, To: s.QuietTo}
	for _, day := range s.QuietDays {
		q.Days = append(q.Days, int(day))
	}
	return q
}

// zone returns the user's zone.
func (s DeliverySettings) zone(otherwise *time.Location) *time.Location {
	if s.Zone == "" {
		return otherwise
	}
	loc, err := time.LoadLocation(s.Zone)
	if err != nil {
		return otherwise
	}
	return loc
}

// What ends a claim, each by the row's id. Parameters: 1 delivery, 2 claim.
const (
	finishQuery = `UPDATE realtime.deliveries SET done_at = now(), outcome = $3, code = nullif($4, 0), claim = NULL, claimed_until = NULL
		WHERE id = $1::bigint AND claim = $2::uuid`
	retryQuery = `UPDATE realtime.deliveries SET not_before = $3, code = nullif($4, 0), claim = NULL, claimed_until = NULL
		WHERE id = $1::bigint AND claim = $2::uuid`
	postponeQuery = `UPDATE realtime.deliveries SET not_before = $3, attempts = greatest(attempts, 1) - 1, claim = NULL, claimed_until = NULL
		WHERE id = $1::bigint AND claim = $2::uuid`
)

// sendingQueries are what the outbox asks once for each delivery or more often.
var sendingQueries = []string{claimQuery, openQuery, finishQuery, retryQuery, postponeQuery, mergeQuery, waitingQuery, reserveQuery, reservedQuery,
	deviceTookQuery, tokenQuery}

// Finish ends a delivery. ErrNotFound: it is not the caller's any more.
func (o *Deliveries) Finish(ctx context.Context, c ClaimedDelivery, outcome Outcome, code int) error {
	return o.change(ctx, finishQuery, c.ID, c.Claim, outcome, code)
}

// Retry has a delivery tried again at an instant. ErrNotFound: it is not the caller's any more.
func (o *Deliveries) Retry(ctx context.Context, c ClaimedDelivery, at time.Time, code int) error {
	return o.change(ctx, retryQuery, c.ID, c.Claim, at, code)
}

// Postpone has a delivery wait until an instant without having tried it. ErrNotFound: it is not the
// caller's any more.
func (o *Deliveries) Postpone(ctx context.Context, c ClaimedDelivery, at time.Time) error {
	return o.change(ctx, postponeQuery, c.ID, c.Claim, at)
}

// change changes one row; ErrNotFound when there is none.
func (o *Deliveries) change(ctx context.Context, statement string, args ...any) error {
	n, err := o.exec(ctx, statement, args...)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

// exec changes rows and returns how many.
func (o *Deliveries) exec(ctx context.Context, statement string, args ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	if err := checkText(args); err != nil {
		return 0, err
	}
	result, err := Answer(ctx, o.guard, func() (sql.Result, error) {
		if prepared := o.store.now.Load().prepared[statement]; prepared != nil {
			return prepared.ExecContext(ctx, args...)
		}
		return o.store.pool.ExecContext(ctx, statement, args...)
	})
	if err != nil {
		return 0, fmt.Errorf("write into the outbox: %w", refusedText(err))
	}
	return result.RowsAffected()
}

// Merge ends deliveries, by their numbers, whose user was told of them by another message. Those
// that have ended meanwhile stay as they are.
func (o *Deliveries) Merge(ctx context.Context, numbers []int64) (merged int, err error) {
	n, err := o.exec(ctx, mergeQuery, pq.Array(numbers), OutcomeMerged)
	return int(n), err
}

const mergeQuery = `UPDATE realtime.deliveries SET done_at = now(), outcome = $2, claim = NULL, claimed_until = NULL
	WHERE done_at IS NULL AND id IN (SELECT id FROM realtime.deliveries WHERE id = ANY ($1::bigint[]) AND done_at IS NULL ORDER BY id FOR UPDATE)`

// Queue is what waits.
type Queue struct {
	// Waiting is how many deliveries are due, counted up to 10,000, and Oldest when the first of
	// them was.
	Waiting int       `db:"waiting"`
	Oldest  time.Time `db:"oldest"`
}

const queueQuery = `SELECT count(*) AS waiting, coalesce(min(not_before), '0001-01-01Z') AS oldest FROM (
	SELECT not_before FROM realtime.deliveries WHERE done_at IS NULL AND not_before <= now() ORDER BY not_before LIMIT 10000) due`

// Queue returns what waits.
func (o *Deliveries) Queue(ctx context.Context) (q Queue, err error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	err = o.store.getFor(ctx, o.guard, &q, always(queueQuery))
	if err != nil {
		return q, fmt.Errorf("measure the outbox: %w", err)
	}
	return q, nil
}

// oldQueries remove what is kept for long enough, by an index each. Parameter: 1 how many rows.
var oldQueries = []string{
	`DELETE FROM realtime.unsubscribe_tokens WHERE hash IN (SELECT hash FROM realtime.unsubscribe_tokens WHERE expires_at < now() LIMIT $1)`,
	`DELETE FROM realtime.removed_devices WHERE id IN (SELECT id FROM realtime.removed_devices WHERE removed_at < now() - ` + removedKept + ` LIMIT $1)`,
	`DELETE FROM realtime.digests WHERE (user_id, owner_id, period) IN (SELECT user_id, owner_id, period FROM realtime.digests WHERE sent_at < now() - ` + digestsKept + ` LIMIT $1)`,
}

// oldDevicesQuery looks at the next devices by their ids, removes those that were disabled long ago
// or whose session has ended, and returns the last that it has looked at, where there may be more.
// Rows are removed by their place, so that one which is changed meanwhile stays. Parameters: 1 the
// device after which it begins, 2 how many it looks at.
const oldDevicesQuery = `WITH next AS (SELECT ctid, id, session_id, disabled_at FROM realtime.push_subscriptions WHERE id > $1 ORDER BY id LIMIT $2::bigint),
	gone AS (DELETE FROM realtime.push_subscriptions WHERE ctid = ANY (ARRAY(SELECT p.ctid FROM next p WHERE p.disabled_at < now() - ` + devicesKept + `
		OR p.session_id IS NOT NULL AND (SELECT s.id FROM realtime.sessions s WHERE s.id = p.session_id AND s.ended_at IS NULL AND s.expires_at > now()) IS NULL)))
	SELECT CASE WHEN count(*) = $2 THEN max(id) ELSE '' END FROM next`

// Prune removes one step of what serves no end any more: tokens whose time is over, what is known
// of old digests, devices that were removed long ago, and of some devices, others each time, those
// that were disabled long ago or whose session has ended. Deliveries go with their notification.
func (o *Deliveries) Prune(ctx context.Context) error {
	o.pruning.Lock()
	defer o.pruning.Unlock()
	for _, old := range oldQueries {
		if _, err := o.exec(ctx, old, sweptRows); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	if err := o.store.getFor(ctx, o.guard, &o.pruned, always(oldDevicesQuery), o.pruned, sweptRows); err != nil {
		return fmt.Errorf("remove old devices: %w", err)
	}
	return nil
}

// SentDelivery is one as its user sees it.
type SentDelivery struct {
	ID             string       `db:"id"`
	NotificationID string       `db:"notification_id"`
	OwnerID        string       `db:"owner_id"`
	Kind           string       `db:"kind"`
	Channel        Channel      `db:"channel"`
	Digest         bool         `db:"digest"`
	Device         string       `db:"device"` // its label
	NotBefore      time.Time    `db:"not_before"`
	ExpiresAt      time.Time    `db:"expires_at"`
	Attempts       int          `db:"attempts"`
	DoneAt         sql.NullTime `db:"done_at"`
	Outcome        Outcome      `db:"outcome"`
	Code           int          `db:"code"`
	OpenedAt       sql.NullTime `db:"opened_at"`
}

// OfUser returns a user's deliveries, the newest first, those before an id, "" for all.
func (o *Deliveries) OfUser(ctx context.Context, userID, before string, limit int) ([]SentDelivery, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	list := []SentDelivery{}
	err := o.store.listFor(ctx, o.store.account, &list, always(`SELECT d.id::text AS id, d.notification_id::text AS notification_id, n.owner_id, n.kind, d.channel,
			d.target LIKE 'digest:%' AS digest, coalesce(p.label, '') AS device, d.not_before, d.expires_at, d.attempts, d.done_at,
			coalesce(d.outcome, '') AS outcome, coalesce(d.code, 0) AS code, d.opened_at
		FROM realtime.deliveries d JOIN realtime.notifications n ON n.id = d.notification_id
			LEFT JOIN realtime.push_subscriptions p ON d.channel = 'push' AND p.id = d.target AND p.user_id = d.user_id
		WHERE d.user_id = $1 AND ($2 = '' OR d.id < nullif($2, '')::bigint) ORDER BY d.id DESC LIMIT $3`), userID, before, limit)
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	return list, nil
}

// Opened notes that a user came by the link of a delivery of theirs, the first time: also before it
// is noted that it was sent, for which a device does not wait. ErrNotFound: there is none, or
// nobody has tried to send it.
func (o *Deliveries) Opened(ctx context.Context, userID, id string) error {
	return o.change(ctx, `UPDATE realtime.deliveries SET opened_at = coalesce(opened_at, now())
		WHERE user_id = $1 AND id = $2::bigint AND (done_at IS NOT NULL OR attempts > 0)`, userID, id)
}
