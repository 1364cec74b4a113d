package db

import "strings"

// isUnread is the condition for notifications that are counted.
const isUnread = `n.read_at IS NULL AND n.archived_at IS NULL AND n.resolved_at IS NULL`

// notificationViewers are some users of an account and what decides what each is shown: up to which
// news they have seen, since when they are members, and the kinds that they do not want; and what
// is counted for each. No row of a notification is read for what is unread.
// Parameters: 1 the account, 2 the users.
const notificationViewers = `
account AS MATERIALIZED (
	SELECT coalesce(max(revision), 0) AS revision, coalesce(max(floor), 0) AS floor FROM realtime.notification_accounts WHERE owner_id = $1::text
),
viewers AS MATERIALIZED (
	SELECT w.u AS user_id, coalesce(v.seen_through, 0) AS seen, v.cleared_until,
		coalesce((SELECT m.since FROM realtime.members m WHERE m.owner_id = $1::text AND m.user_id = w.u), '-infinity') AS since,
		ARRAY(SELECT p.kind FROM realtime.preferences p
			WHERE p.user_id = w.u AND p.owner_id = $1::text AND p.channel = 'inApp' AND p.mode = 'off') AS hidden
	FROM pg_catalog.unnest($2::text[]) AS w(u) LEFT JOIN realtime.notification_views v ON v.owner_id = $1::text AND v.user_id = w.u
),
kinds AS MATERIALIZED (SELECT user_id, kind, unread FROM realtime.notification_counts WHERE owner_id = $1::text AND unread > 0),
counted AS MATERIALIZED (
	SELECT w.*, coalesce((SELECT sum(k.unread) FROM kinds k WHERE k.user_id IN ('', w.user_id) AND k.kind <> ALL (w.hidden)), 0)::bigint AS unread
	FROM viewers w
),
counts AS MATERIALIZED (
	SELECT w.user_id, w.cleared_until, w.unread, realtime.count_unseen($1::text, w.user_id, w.hidden, w.seen, w.since, w.unread) AS unseen FROM counted w
)`

// notificationColumns are those of a Notification, of rows p of an account with the names that are
// joined to them. Each is found by its index.
const notificationColumns = `
	p.id, coalesce(p.user_id, '') AS user_id, p.kind, p.count, p.severity, p.facts, p.revision, p.happened_at, p.created_at,
	p.read_at, coalesce(p.read_by, '') AS read_by, p.archived_at, coalesce(p.archived_by, '') AS archived_by, p.resolved_at,
	(SELECT {fullName} FROM {users} u WHERE u.id {=} {userKey:p.read_by}) AS read_by_name,
	(SELECT {fullName} FROM {users} u WHERE u.id {=} {userKey:p.archived_by}) AS archived_by_name,
	(SELECT {fullName} FROM {bookings} b JOIN {listings} l ON l.id {=} b.hangar_id JOIN {users} u ON u.id {=} b.user_id
		WHERE b.id {=} {factKey} AND l.owner_id {=} $1::text::{ownerType}) AS guest_name,
	(SELECT {fullName} FROM {users} u WHERE u.id {=} {userKey:(p.facts->>'memberId')}) AS member_name,
	(SELECT o.company_name::text FROM {owners} o WHERE o.id {=} {ownerKey:(p.facts->>'accountId')}) AS company_name`

// notificationPage is a page of one user's notifications of an account, with the counts, in one
// snapshot: one row without a notification where there is none. {which} chooses. The page is taken
// from an index first, and names are joined to its rows alone.
const notificationPage = `
WITH ` + notificationViewers + `,
page AS MATERIALIZED ({which})
SELECT a.revision AS account_revision, a.floor, c.unread, c.unseen, c.cleared_until, coalesce(p.id, 0) AS some, shown.*
FROM account a CROSS JOIN counts c LEFT JOIN page p ON true
LEFT JOIN LATERAL (SELECT ` + notificationColumns + ` WHERE p.id IS NOT NULL) shown ON true
ORDER BY {order}`

// Pages. Parameters of lists: 4 kind, 5 hangar, 6 the id before which the page begins, or 0; of
// changes: 4 the revision after which they came.
const (
	listedNotifications = `SELECT n.* FROM realtime.notification_page($1::text, ($2::text[])[1], (SELECT w.hidden FROM viewers w), '{listed}', $4::text, $5::text,
		coalesce(nullif($6::bigint, 0), 9223372036854775807), $3::bigint) AS p(id)
	CROSS JOIN LATERAL (SELECT * FROM realtime.notifications WHERE id = p.id OFFSET 0) n`
	changedNotifications = `SELECT n.* FROM realtime.notification_changes($1::text, ($2::text[])[1], (SELECT w.hidden FROM viewers w), $4::bigint, $3::bigint) AS p(id)
	CROSS JOIN LATERAL (SELECT * FROM realtime.notifications WHERE id = p.id OFFSET 0) n`
	oneNotification = `SELECT n.* FROM realtime.notifications n WHERE n.owner_id = $1::text AND (n.user_id IS NULL OR n.user_id = ($2::text[])[1])
		AND n.kind <> ALL ((SELECT w.hidden FROM viewers w)::text[]) AND n.id = $4::bigint LIMIT $3`
)

// notificationNews is what is told at once to some users of an account: the counts of each, and
// what changed after a revision, for all who may see it. One of the rows has the counts.
// Parameters: 1 the account, 2 the users, 3 how many changes, 4 the revision; with one below 0
// there are no changes.
var notificationNews = `
WITH ` + notificationViewers + `,
page AS MATERIALIZED (
	SELECT n.* FROM realtime.notifications n
	WHERE n.owner_id = $1::text AND $4::bigint >= 0 AND n.revision > $4::bigint ORDER BY n.revision DESC, n.id DESC LIMIT $3
)
SELECT a.revision AS account_revision, a.floor, CASE WHEN p.id IS NOT DISTINCT FROM (SELECT max(id) FROM page) THEN (
	SELECT pg_catalog.json_agg(pg_catalog.json_build_object('userId', c.user_id, 'unread', c.unread, 'unseen', c.unseen,
		'clearedUntil', CASE WHEN c.cleared_until IS NOT NULL THEN (date_part('epoch', ` + writable("c.cleared_until") + `) * 1000)::bigint END, 'hidden', pg_catalog.array_to_json(w.hidden)))
	FROM counts c JOIN viewers w ON w.user_id = c.user_id) END AS people, coalesce(p.id, 0) AS some, shown.*
FROM account a LEFT JOIN page p ON true
LEFT JOIN LATERAL (SELECT ` + notificationColumns + ` WHERE p.id IS NOT NULL) shown ON true`

// newsOfMany asks notificationNews about accounts, the newest changes of each first. Parameters: 1
// the questions, a JSON array of NewsQuestion, 2 how many changes of each.
const newsOfMany = `
SELECT asked.owner_id, answer.* FROM pg_catalog.json_to_recordset($1::json) AS asked(owner_id text, user_ids text[], after bigint)
CROSS JOIN LATERAL ({query}) AS answer ORDER BY asked.owner_id COLLATE "C", answer.revision DESC, answer.id DESC`

// newsQuery is newsOfMany with notificationNews.
func newsQuery() string {
	return Fill(newsOfMany, "{query}", strings.NewReplacer("$1::text", "asked.owner_id", "$2::text[]", "asked.user_ids",
		"$4::bigint", "asked.after", "LIMIT $3", "LIMIT $2::bigint").Replace(notificationNews))
}

// deliveriesQuery makes the deliveries of new notifications: one for each user who may see one, and
// each of their targets on a channel that is in use, where they want to be told at once.
// Parameters: 1 to 5 the notifications: id, account, user or none, kind, severity; 6 to 10 the
// kinds: name, the defaults of push and mail, whether they are personal, and for how many hours a
// push message is worth sending; 11 the channels in use.
const deliveriesQuery = `
WITH made AS MATERIALIZED (
	SELECT * FROM ROWS FROM (pg_catalog.unnest($1::bigint[]), pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[]),
		pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::smallint[])) AS m(id, owner_id, user_id, kind, severity)
),
defaults AS MATERIALIZED (
	SELECT * FROM ROWS FROM (pg_catalog.unnest($6::text[]), pg_catalog.unnest($7::text[]), pg_catalog.unnest($8::text[]),
		pg_catalog.unnest($9::boolean[]), pg_catalog.unnest($10::int[])) AS k(kind, push, mail, personal, hours)
),
people AS MATERIALIZED (
	SELECT DISTINCT ON (id, user_id) * FROM (
		SELECT m.id, m.owner_id, m.kind, m.severity, o.user_id::text AS user_id, true AS manages
		FROM made m JOIN LATERAL (SELECT user_id FROM {owners} WHERE id {=} {ownerKey:m.owner_id} OFFSET 0) o ON o.user_id IS NOT NULL
		WHERE m.user_id = ''
		UNION ALL
		SELECT m.id, m.owner_id, m.kind, m.severity, s.user_id, s.role <> 'viewer' FROM made m JOIN realtime.members s ON s.owner_id = m.owner_id
		WHERE m.user_id = '' AND EXISTS (SELECT FROM {users} u WHERE u.id {=} {userKey:s.user_id})
		UNION ALL
		SELECT id, owner_id, kind, severity, user_id, true FROM made WHERE user_id <> ''
	) everybody ORDER BY id, user_id, manages DESC
),
wanted AS (
	SELECT p.*, k.hours, c.channel, coalesce(own.mode, CASE WHEN p.manages OR k.personal
		THEN CASE c.channel WHEN 'push' THEN k.push ELSE k.mail END ELSE 'off' END) AS mode
	FROM people p JOIN defaults k ON k.kind = p.kind CROSS JOIN pg_catalog.unnest($11::text[]) AS c(channel)
	LEFT JOIN realtime.preferences own ON own.user_id = p.user_id AND own.owner_id = p.owner_id AND own.kind = p.kind AND own.channel = c.channel
)
INSERT INTO realtime.deliveries (notification_id, user_id, channel, target, not_before, expires_at)
SELECT w.id, w.user_id, w.channel, t.target, now() + CASE WHEN w.channel = 'push' AND w.severity < 2 THEN interval '20 s' ELSE interval '0' END,
	now() + make_interval(hours => w.hours)
FROM wanted w CROSS JOIN LATERAL (
	SELECT s.id AS target FROM realtime.push_subscriptions s WHERE w.channel = 'push' AND s.user_id = w.user_id AND s.disabled_at IS NULL
	UNION ALL
	SELECT '' WHERE w.channel = 'mail'
) t WHERE w.mode = 'now'
ON CONFLICT (notification_id, user_id, channel, target) DO NOTHING`

// payoutsSentQuery is the payouts that were sent lately, as far as some bookings are in them, each
// with all that was sent to its account at that moment. One at no moment that is told is told to
// nobody. Parameter: 1 the bookings.
const payoutsSentQuery = `
WITH sent AS MATERIALIZED (
	SELECT DISTINCT owner_id, paid_out_at FROM realtime.payouts WHERE booking_id = ANY ($1::text[]) AND paid_out_at > now() - interval '1 day'
		AND paid_out_at < '9999-12-30Z'
)
SELECT p.owner_id, p.paid_out_at, count(*) AS number, round(coalesce(sum(b.amount), 0), 2)::text AS amount
FROM sent JOIN realtime.payouts p ON p.owner_id = sent.owner_id AND p.paid_out_at = sent.paid_out_at
LEFT JOIN LATERAL (
	SELECT coalesce({subtotal}, 0) - coalesce({fees}, 0) AS amount FROM {bookings} b WHERE b.id {=} {payoutKey} OFFSET 0) b ON true
GROUP BY p.owner_id, p.paid_out_at ORDER BY p.owner_id, p.paid_out_at`

// managersQuery is who owns some accounts: their own users, and members in that role. Parameter: 1
// the accounts.
const managersQuery = `
SELECT a.id AS owner_id, o.user_id::text AS user_id FROM pg_catalog.unnest($1::text[]) AS a(id)
	JOIN LATERAL (SELECT user_id FROM {owners} WHERE id {=} {ownerKey:a.id} OFFSET 0) o ON o.user_id IS NOT NULL
UNION
SELECT m.owner_id, m.user_id FROM realtime.members m WHERE m.owner_id = ANY ($1::text[]) AND m.role = 'owner'
	AND EXISTS (SELECT FROM {users} u WHERE u.id {=} {userKey:m.user_id})`

// invitedQuery is the open invitations, each with the user whose address it names.
const invitedQuery = `
SELECT i.id, i.owner_id, i.role, i.invited_by, i.created_at, u.id::text AS user_id
FROM realtime.invitations i JOIN {users} u ON pg_catalog.lower(pg_catalog.btrim(u.email::text) COLLATE "C") = pg_catalog.lower(i.email COLLATE "C")
WHERE i.expires_at > now()`

// dueBookingsQuery is bookings of which time tells something, with what their accounts decided.
// Parameters: 1 the zone; 2 and 3 the ends of a time, and 4 and 5 their dates; 6 the bookings,
// where they are named.
const dueBookingsQuery = `
SELECT l.owner_id::text AS owner_id, b.id::text AS booking_id, b.hangar_id::text AS hangar_id, coalesce(l.hangar_number::text, '') AS hangar_number,
	coalesce(round({price}, 2)::text, '') AS amount, {in} AS check_in, {out} AS check_out, {created} AS created_at,
	coalesce(b.status::text = 'pending', false) AS pending, coalesce(b.status::text = 'confirmed' AND NOT ({arrived}), false) AS owing
FROM {bookings} b JOIN {listings} l ON l.id {=} b.hangar_id
WHERE l.owner_id IS NOT NULL AND {condition}
	AND $1::text IS NOT NULL AND $2::timestamptz IS NOT NULL AND $3::timestamptz IS NOT NULL AND $4::date IS NOT NULL AND $5::date IS NOT NULL
ORDER BY b.created_at, b.id`

// payoutPlannedQuery is the accounts with a payout that is planned for a date. Parameter: 1 the
// date.
const payoutPlannedQuery = `SELECT DISTINCT owner_id FROM realtime.payouts WHERE paid_out_at IS NULL AND scheduled_on = $1::date`

// payoutPendingQuery is the accounts that have anything pending, for the weekly day. It comes after
// projectionMark: the projection's totals, with the bookings that fresh rows of the log are about
// as the tables have them. Its rows are without an account, and not trusted, where the projection
// is not to be believed.
const payoutPendingQuery = `, touched AS MATERIALIZED (SELECT DISTINCT id FROM named),
present AS MATERIALIZED ({touchedRows}),
hangars AS (
	SELECT hangar_id, sum(pending) AS pending FROM (
		SELECT hangar_id, pending FROM realtime.ledger_totals
		UNION ALL
		SELECT hangar_id, -pending FROM realtime.ledger WHERE booking_id = ANY (ARRAY(SELECT id FROM touched)) AND pending IS NOT NULL
		UNION ALL
		SELECT hangar_id, pending FROM present WHERE pending IS NOT NULL
	) parts GROUP BY hangar_id
),
trust AS MATERIALIZED (
	SELECT EXISTS (SELECT FROM valid) AND NOT EXISTS (SELECT FROM realtime.ledger_totals WHERE odd <> 0) AS trusted
)
SELECT trust.trusted, o.owner_id FROM trust LEFT JOIN (
	SELECT l.owner_id::text AS owner_id FROM hangars h JOIN {listings} l ON l.id {=} {hangarKey} WHERE l.owner_id IS NOT NULL
	GROUP BY 1 HAVING sum(h.pending) > 0
) o ON trust.trusted`

// payoutPendingInTables is payoutPendingQuery where the projection says nothing.
const payoutPendingInTables = `
SELECT true AS trusted, l.owner_id::text AS owner_id FROM ({allRows}) r JOIN {listings} l ON l.id {=} {hangarKey}
WHERE r.pending IS NOT NULL AND l.owner_id IS NOT NULL GROUP BY 2 HAVING sum(r.pending) > 0`

// hangarSpacesQuery is the spaces of hangars that have an owner, of all where $1 is null.
const hangarSpacesQuery = `
SELECT l.id::text AS hangar_id, l.owner_id::text AS owner_id, coalesce(l.hangar_number::text, '') AS hangar_number, {spaces} AS spaces
FROM {listings} l WHERE l.owner_id IS NOT NULL
	AND ($1::text[] IS NULL OR l.id {=} ANY (ARRAY(SELECT {askedKey} FROM pg_catalog.unnest($1::text[]) asked)))`

// hangarStaysQuery is the stays in hangars that are not over, of all where $1 is null. Parameters:
// 2 now, 3 its date, 4 the zone.
const hangarStaysQuery = `
SELECT b.hangar_id::text AS hangar_id, {in} AS check_in, {out} AS check_out FROM {bookings} b
WHERE b.hangar_id IS NOT NULL AND b.status::text IN ('confirmed', 'active') AND b.check_out OPERATOR(pg_catalog.>) {until} AND b.check_in IS NOT NULL
	AND ($1::text[] IS NULL OR b.hangar_id {=} ANY (ARRAY(SELECT {askedKey} FROM pg_catalog.unnest($1::text[]) asked)))
	AND $2::timestamptz IS NOT NULL AND $3::date IS NOT NULL AND $4::text IS NOT NULL`

// notificationQueries are the questions about notifications, written for the shape of one database.
type notificationQueries struct {
	listed, unread, archived              string
	changed, one, news, deliveries, rules string
	payouts, managers, invited            string
	toConfirm, unpaid, arriving, leaving  string
	named                                 string
	spaces, stays                         string
}

func newNotificationQueries(s shape, fill func(string) string) notificationQueries {
	text := func(query string) string {
		return fill(Fill(query, "{fullName}", `pg_catalog.left(pg_catalog.btrim(pg_catalog.concat_ws(' ', u.first_name, u.last_name)), 200)`,
			"{factKey}", s.keys.booking.of("(p.facts->>'bookingId')")))
	}
	page := func(which, order string) string {
		return text(Fill(notificationPage, "{which}", which, "{order}", order))
	}
	list := func(state string) string {
		return page(Fill(listedNotifications, "{listed}", state), "p.id DESC")
	}
	q := notificationQueries{
		listed: list("all"), unread: list("unread"), archived: list("archived"),
		changed: page(changedNotifications, "p.revision, p.id"), one: page(oneNotification, "p.id DESC"),
		news: text(newsQuery()), deliveries: text(deliveriesQuery),
		rules: text(`SELECT r.kind, r.params, r.enabled, r.changed_by, r.changed_at,
			(SELECT {fullName} FROM {users} u WHERE u.id {=} {userKey:r.changed_by}) AS by_name
			FROM realtime.rules r WHERE r.owner_id = $1 AND r.changed_at IS NOT NULL`),
		payouts: text(Fill(payoutsSentQuery, "{payoutKey}", s.keys.booking.of("p.booking_id"))), managers: text(managersQuery), invited: text(invitedQuery),
	}
	due := func(condition string) string {
		return text(Fill(dueBookingsQuery, "{condition}", condition,
			"{in}", writable(asInstant(s.checkIn, "b.check_in", "$1")), "{out}", writable(asInstant(s.checkIn, "b.check_out", "$1")),
			"{created}", writable(asInstant(s.createdAt, "b.created_at", "'UTC'")), "{arrived}", s.arrived(), "{price}", s.price))
	}
	q.toConfirm = due(`b.status::text = 'pending' AND b.created_at OPERATOR(pg_catalog.>) ` + instantParam(s.createdAt, "$2", "($2::timestamptz)") +
		` AND b.created_at OPERATOR(pg_catalog.<=) ` + instantParam(s.createdAt, "$3", "($3::timestamptz)"))
	between := func(column string) string {
		return `b.` + column + ` OPERATOR(pg_catalog.>=) ` + instantParam(s.checkIn, "$2", "$4") + ` AND b.` + column + ` OPERATOR(pg_catalog.<) ` + instantParam(s.checkIn, "$3", "$5")
	}
	q.unpaid = due(`b.status::text = 'confirmed' AND NOT ({arrived}) AND ` + between("check_in"))
	q.named = due(Fill(`b.id {=} ANY (ARRAY(SELECT {askedKey} FROM pg_catalog.unnest($6::text[]) asked))`, "{askedKey}", s.keys.booking.of("asked")))
	q.arriving = due(`b.status::text IN ('confirmed', 'active') AND ` + between("check_in"))
	q.leaving = due(`b.status::text IN ('confirmed', 'active') AND ` + between("check_out"))
	q.spaces = text(Fill(hangarSpacesQuery, "{askedKey}", s.keys.hangar.of("asked")))
	q.stays = text(Fill(hangarStaysQuery, "{askedKey}", s.keys.hangar.of("asked"), "{until}", instantParam(s.checkIn, "$2", "$3"),
		"{in}", writable(asInstant(s.checkIn, "b.check_in", "$4")), "{out}", writable(asInstant(s.checkIn, "b.check_out", "$4"))))
	return q
}
