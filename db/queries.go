package db

import "github.com/lib/pq"

// queries are the Store's questions, written for the shape of one database.
type queries struct {
	metrics, bookings, booking, today, listings, nextOwner string
	accounts, access, members, user, feeds                 string
	accessOfMany, accountsOfMany, listingsOfMany           string
	credentials, credentialsFolded, survey                 string
	reconcile, transitions, leftOut                        string
	// users has an index on lower(email)
	lowerEmail                           bool
	invitations, addressed, addressedOne string
	projection                           projectionQueries
	trends                               trendQueries
	notifications                        notificationQueries
}

// metricsQuery computes RealTimeMetrics for one owner. Parameters: 1 owner; instants: 2
// now, 3 today, 4 tomorrow, 5 six days ago, 6 thirteen days ago; 7 to 10 the same four
// days as dates. It reads the owner's bookings once, through the portal's index on
// hangar_id, and adds up exact decimals.
const metricsQuery = `
WITH hangars AS MATERIALIZED (
	SELECT l.id, coalesce(l.status::text = 'active' AND l.is_available, false) AS published, {spaces} AS spaces
	FROM {listings} l WHERE l.owner_id {=} $1::text::{ownerType}
),
stays AS MATERIALIZED (
	SELECT b.hangar_id, b.status::text AS status, {price} AS price, {subtotal} AS subtotal, {fees} AS fees,
		{paid} AS paid, {paidAt} AS paid_at,
		b.created_at OPERATOR(pg_catalog.>=) {today.created} AND b.created_at OPERATOR(pg_catalog.<) {tomorrow.created} AS created_today,
		b.check_in OPERATOR(pg_catalog.<=) {now.stay} AND b.check_out OPERATOR(pg_catalog.>) {now.stay} AS present,
		CASE WHEN b.status::text = 'completed' THEN b.id::text END AS completed_id
	FROM {bookings} b {paidJoin} WHERE b.hangar_id {=} ANY (SELECT id FROM hangars)
),
sums AS (
	SELECT
		coalesce(sum(price) FILTER (WHERE paid AND paid_at OPERATOR(pg_catalog.>=) {today.paid} AND paid_at OPERATOR(pg_catalog.<) {tomorrow.paid}), 0) AS today,
		coalesce(sum(price) FILTER (WHERE paid AND paid_at OPERATOR(pg_catalog.>=) {week.paid} AND paid_at OPERATOR(pg_catalog.<) {tomorrow.paid}), 0) AS week,
		coalesce(sum(price) FILTER (WHERE paid AND paid_at OPERATOR(pg_catalog.>=) {earlier.paid} AND paid_at OPERATOR(pg_catalog.<) {week.paid}), 0) AS earlier,
		count(*) FILTER (WHERE created_today AND status IS DISTINCT FROM 'cancelled') AS bookings
	FROM stays
),
payouts AS (
	SELECT coalesce(sum(coalesce(subtotal, 0) - coalesce(fees, 0)), 0) AS pending
	FROM stays WHERE paid AND completed_id IS NOT NULL AND NOT EXISTS (
		SELECT FROM realtime.payouts p WHERE p.booking_id = completed_id AND p.paid_out_at IS NOT NULL)
),
spaces AS (
	SELECT {offered} FROM (
		SELECT h.published, h.spaces, coalesce(o.stays, 0) AS stays FROM hangars h LEFT JOIN (
			SELECT hangar_id, count(*) AS stays FROM stays WHERE present AND status IN ('confirmed', 'active') GROUP BY hangar_id
		) o ON o.hangar_id {=} h.id) counted
)` + metricsResult + `
FROM sums, payouts, spaces` + metricsParameters

// offeredSpaces are the sums over listings that are counted. One that is not published
// counts above and below with its occupied spaces alone: a portal may take a hangar off
// the market while it is booked.
const offeredSpaces = `coalesce(sum(CASE WHEN published THEN spaces ELSE least(spaces, stays) END), 0) AS offered,
	coalesce(sum(least(spaces, stays)), 0) AS occupied, count(*) FILTER (WHERE published) AS listings`

// metricsResult are the columns of RealTimeMetrics.
const metricsResult = `
SELECT round(sums.today, 2)::text AS revenue_today,
	sums.bookings AS bookings_today,
	CASE WHEN offered = 0 THEN '0.0' ELSE round(occupied * 100.0 / offered, 1)::text END AS occupancy_rate,
	CASE WHEN sums.earlier <> 0 THEN round((sums.week - sums.earlier) * 100 / sums.earlier, 1)::text
		WHEN sums.week = 0 THEN '0.0' ELSE '100.0' END AS growth_percentage,
	CASE WHEN sums.earlier <> 0 THEN 'compared' WHEN sums.week = 0 THEN 'none' ELSE 'new' END AS growth_basis,
	occupied::bigint AS occupied, offered::bigint AS offered,
	spaces.listings AS active_listings,
	round(payouts.pending, 2)::text AS pending_payouts,
	(SELECT min(scheduled_on) FROM realtime.payouts
		WHERE owner_id = $1::text AND paid_out_at IS NULL AND scheduled_on OPERATOR(pg_catalog.>=) $7::date) AS scheduled_on,
	(SELECT shape FROM realtime.watched) AS shape`

// metricsParameters names all ten parameters, whatever the shape: PostgreSQL must know
// the type of each.
const metricsParameters = `, (SELECT $2::timestamptz, $3::timestamptz, $4::timestamptz, $5::timestamptz, $6::timestamptz,
	$7::date, $8::date, $9::date, $10::date) AS parameters`

// bookingColumns are those of a Booking.
const bookingColumns = `
SELECT b.id::text AS booking_id, b.hangar_id::text AS hangar_id, coalesce(l.hangar_number::text, '') AS hangar_number,
	pg_catalog.btrim(pg_catalog.concat_ws(' ', u.first_name, u.last_name)) AS guest_name,
	coalesce(round({price}, 2), 0)::text AS amount, {price} IS NOT NULL AS priced, {nights} AS nights,
	{checkIn} AS check_in, {checkOut} AS check_out, {createdAt} AS created_at,
	coalesce(b.status::text, '') AS status, coalesce(b.payment_method::text, '') AS payment_method, {arrived} AS paid
FROM {bookings} b JOIN {listings} l ON l.id {=} b.hangar_id LEFT JOIN {users} u ON u.id {=} b.user_id {paidJoin}
WHERE l.owner_id {=} $1::text::{ownerType} AND $2::text IS NOT NULL`

// bookingQuery reads one booking, $3.
const bookingQuery = bookingColumns + `
	AND b.id {=} {bookingKey} AND b.id::text = $3::text`

const bookingsQuery = bookingColumns + `
	AND ($4::text = '' OR b.status::text = $4::text)
ORDER BY b.created_at DESC, b.id DESC LIMIT $3`

// todayQuery lists who arrives or leaves between the instants $4 and $5, which are the
// dates $6 and $7.
const todayQuery = bookingColumns + `
	AND (b.check_in OPERATOR(pg_catalog.>=) {from} AND b.check_in OPERATOR(pg_catalog.<) {until} OR b.check_out OPERATOR(pg_catalog.>=) {from} AND b.check_out OPERATOR(pg_catalog.<) {until})
	AND b.status::text IS DISTINCT FROM 'cancelled' AND ($8::text = '' OR b.status::text = $8::text)
	AND $4::timestamptz IS NOT NULL AND $5::timestamptz IS NOT NULL AND $6::date IS NOT NULL AND $7::date IS NOT NULL
ORDER BY CASE WHEN b.check_in OPERATOR(pg_catalog.>=) {from} THEN b.check_in ELSE b.check_out END, b.created_at, b.id LIMIT $3`

// listingColumns are those of a Listing, of listings l with their stays o.
const listingColumns = `
SELECT l.id::text AS hangar_id, coalesce(l.hangar_number::text, '') AS hangar_number, coalesce(l.icao_code::text, '') AS icao_code,
	coalesce(l.aerodrome_name::text, '') AS aerodrome_name, coalesce(l.city::text, '') AS city,
	coalesce(l.status::text, '') AS status, coalesce(l.is_available, false) AS is_available,
	coalesce(round({rate}, 2), 0)::text AS daily_rate, {spaces} AS total_spaces,
	least(o.stays, {spaces}) AS occupied_spaces, o.stays > 0 AS is_now_occupied, coalesce(o.guest, '') AS occupant
FROM {listings} l CROSS JOIN LATERAL (
	SELECT count(*) AS stays,
		(pg_catalog.array_agg(pg_catalog.btrim(pg_catalog.concat_ws(' ', u.first_name, u.last_name)) ORDER BY b.check_in DESC, b.id DESC))[1] AS guest
	FROM {staying}) o
WHERE l.owner_id {=} $1::text::{ownerType} AND $2::timestamptz IS NOT NULL AND $3::date IS NOT NULL`

const listingsOrder = `
ORDER BY l.hangar_number, l.id`

// listingsQuery reads who is in a hangar from all its bookings.
const listingsQuery = listingColumns + listingsOrder

const stayingInTables = `{bookings} b LEFT JOIN {users} u ON u.id {=} b.user_id
	WHERE b.hangar_id {=} l.id AND b.status::text IN ('confirmed', 'active')
		AND b.check_in OPERATOR(pg_catalog.<=) {now.stay} AND b.check_out OPERATOR(pg_catalog.>) {now.stay}`

func newQueries(s shape, zone zoneDays) queries {
	paidAt, paid, paidJoin := s.paid()
	tables := []string{
		"{bookings}", s.bookings, "{listings}", s.listings, "{owners}", s.owners, "{users}", s.users,
		"{ownerType}", s.ownerID, "{emailType}", s.email, "{emailEquals}", equals(s.email), "{spaces}", s.spaces, "{offered}", offeredSpaces,
		"{price}", s.price, "{subtotal}", s.subtotal, "{fees}", s.fees, "{nights}", s.nights, "{rate}", s.rate,
		"{paid}", paid, "{arrived}", s.arrived(), "{paidAt}", paidAt, "{paidJoin}", paidJoin,
		"{checkIn}", writable(asInstant(s.checkIn, "b.check_in", "$2")), "{checkOut}", writable(asInstant(s.checkIn, "b.check_out", "$2")),
		"{createdAt}", writable(asInstant(s.createdAt, "b.created_at", "$2")),
	}
	people := func(query string) string { return Fill(s.fillKeys(query), tables...) }
	q := queries{
		metrics:  Fill(Fill(metricsQuery, s.days(instantParam)...), tables...),
		bookings: Fill(bookingsQuery, tables...),
		booking:  Fill(Fill(bookingQuery, "{bookingKey}", s.keys.booking.of("$3::text")), tables...),
		today: Fill(Fill(todayQuery, "{from}", instantParam(s.checkIn, "$4", "$6"), "{until}", instantParam(s.checkIn, "$5", "$7")),
			tables...),
		listings: Fill(Fill(Fill(listingsQuery, "{staying}", stayingInTables), "{now.stay}", instantParam(s.checkIn, "$2", "$3")),
			tables...),
		accounts:          people(accountsQuery),
		access:            people(accessQuery),
		credentials:       people(Fill(credentialsQuery, "{folded}", "")),
		credentialsFolded: people(Fill(credentialsQuery, "{folded}", alsoFolded)),
		survey:            people(Fill(surveyQuery, "{usersName}", pq.QuoteLiteral(s.users))),
		members:           people(membersQuery),
		feeds:             people(feedsQuery),
		invitations:       people(invitationsQuery),
		addressed:         people(addressedQuery),
		addressedOne:      people(addressedOneQuery),
		user: people(`SELECT u.id::text AS id, pg_catalog.btrim(pg_catalog.concat_ws(' ', u.first_name, u.last_name)) AS name,
			coalesce(u.email::text, '') AS email FROM {users} u WHERE u.id {=} {userKey:$1::text}`),
		nextOwner:  Fill(`SELECT o.id::text FROM {owners} o WHERE $1 = '' OR o.id OPERATOR(pg_catalog.>) nullif($1, '')::{ownerType} ORDER BY o.id LIMIT 1`, tables...),
		projection: newProjectionQueries(s),
		trends:     newTrendQueries(s, zone),
		reconcile: Fill(Fill(reconcileQuery, "{now.stay}", instantParam(s.checkIn, "$2", "$3"), "{hangarKey}", s.keys.hangar.of("given")),
			tables...) + `, (SELECT $2::timestamptz, $3::date) AS parameters GROUP BY ()`,
		transitions: Fill(transitionsQuery, "{bookings}", s.bookings,
			"{checkIn}", asInstant(s.checkIn, "b.check_in", "$5"), "{checkOut}", asInstant(s.checkIn, "b.check_out", "$5"),
			"{from}", instantParam(s.checkIn, "$1", "$3"), "{until}", instantParam(s.checkIn, "$2", "$4")),
		leftOut:    Fill(leftOutQuery, tables...),
		lowerEmail: s.lowerEmail,
	}
	q.notifications = newNotificationQueries(s, people)
	q.accessOfMany, q.accountsOfMany, q.listingsOfMany = manyAccesses(q.access), accountsOfMany(q.accounts), manyOwners(q.listings)
	return q
}

// days writes the five instants of a metrics query so that they compare with each kind of column.
func (s shape) days(param func(columnType, instant, localDate string) string) (pairs []string) {
	for name, params := range map[string][2]string{
		"now": {"$2", "$7"}, "today": {"$3", "$7"}, "tomorrow": {"$4", "$8"}, "week": {"$5", "$9"}, "earlier": {"$6", "$10"},
	} {
		pairs = append(pairs,
			"{"+name+".paid}", param(s.paidType(), params[0], params[1]),
			"{"+name+".created}", param(s.createdAt, params[0], params[1]),
			"{"+name+".stay}", param(s.checkIn, params[0], params[1]))
	}
	return pairs
}

// writable keeps an instant within earliest and latest; null is the earliest.
func writable(instant string) string {
	return "least(greatest(" + instant + ", '0001-01-02Z'::timestamptz), '9999-12-30Z'::timestamptz)"
}
