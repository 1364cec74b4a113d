package db

// queries are the Store's questions, written for the shape of one database.
type queries struct {
	metrics, bookings, today, listings, accounts, access, credentials, members, user, nextOwner string
	ledger                                                                                      ledgerQueries
}

// metricsQuery computes RealTimeMetrics for one owner. Parameters: 1 owner; instants: 2 now, 3 today, 4 tomorrow,
// 5 six days ago, 6 thirteen days ago; 7 to 10 the same four days as dates. It reads the owner's bookings once,
// through the portal's index on hangar_id, and adds up exact decimals.
const metricsQuery = `
WITH hangars AS MATERIALIZED (
	SELECT l.id, coalesce(l.status::text = 'active' AND l.is_available, false) AS published, {spaces} AS spaces
	FROM {listings} l WHERE l.owner_id = $1::text::{ownerType}
),
stays AS MATERIALIZED (
	SELECT b.hangar_id, b.status::text AS status, b.total_price::numeric AS price,
		b.subtotal::numeric AS subtotal, b.fees::numeric AS fees,
		{paid} AS paid, {paidAt} AS paid_at,
		b.created_at >= {today.created} AND b.created_at < {tomorrow.created} AS created_today,
		b.check_in <= {now.stay} AND b.check_out > {now.stay} AS present,
		CASE WHEN b.status::text = 'completed' THEN b.id::text END AS completed_id
	FROM {bookings} b {paidJoin} WHERE b.hangar_id IN (SELECT id FROM hangars)
),
sums AS (
	SELECT
		coalesce(sum(price) FILTER (WHERE paid AND paid_at >= {today.paid} AND paid_at < {tomorrow.paid}), 0) AS today,
		coalesce(sum(price) FILTER (WHERE paid AND paid_at >= {week.paid} AND paid_at < {tomorrow.paid}), 0) AS week,
		coalesce(sum(price) FILTER (WHERE paid AND paid_at >= {earlier.paid} AND paid_at < {week.paid}), 0) AS earlier,
		count(*) FILTER (WHERE created_today AND status IS DISTINCT FROM 'cancelled') AS bookings
	FROM stays
),
payouts AS (
	SELECT coalesce(sum(coalesce(subtotal, 0) - coalesce(fees, 0)), 0) AS pending
	FROM stays WHERE paid AND completed_id IS NOT NULL AND NOT EXISTS (
		SELECT FROM realtime.payouts p WHERE p.booking_id = completed_id AND p.paid_out_at IS NOT NULL)
),
spaces AS (
	SELECT coalesce(sum(h.spaces), 0) AS offered, coalesce(sum(least(h.spaces, coalesce(o.stays, 0))), 0) AS occupied, count(*) AS listings
	FROM hangars h LEFT JOIN (
		SELECT hangar_id, count(*) AS stays FROM stays WHERE present AND status IN ('confirmed', 'active') GROUP BY hangar_id
	) o ON o.hangar_id = h.id
	WHERE h.published
)` + metricsResult + `
FROM sums, payouts, spaces` + metricsParameters

// metricsResult are the columns of RealTimeMetrics.
const metricsResult = `
SELECT round(sums.today, 2)::text AS revenue_today,
	sums.bookings AS bookings_today,
	CASE WHEN offered = 0 THEN '0.0' ELSE round(occupied * 100.0 / offered, 1)::text END AS occupancy_rate,
	CASE WHEN sums.earlier <> 0 THEN round((sums.week - sums.earlier) * 100 / sums.earlier, 1)::text
		WHEN sums.week = 0 THEN '0.0' ELSE '100.0' END AS growth_percentage,
	spaces.listings AS active_listings,
	round(payouts.pending, 2)::text AS pending_payouts,
	(SELECT min(scheduled_on) FROM realtime.payouts
		WHERE owner_id = $1::text AND paid_out_at IS NULL AND scheduled_on >= $7::date) AS scheduled_on`

// metricsParameters names all ten parameters, whatever the shape: PostgreSQL must know the type of each.
const metricsParameters = `, (SELECT $2::timestamptz, $3::timestamptz, $4::timestamptz, $5::timestamptz, $6::timestamptz,
	$7::date, $8::date, $9::date, $10::date) AS parameters`

// bookingColumns are those of a Booking.
const bookingColumns = `
SELECT b.id::text AS booking_id, b.hangar_id::text AS hangar_id, coalesce(l.hangar_number::text, '') AS hangar_number,
	btrim(concat_ws(' ', u.first_name, u.last_name)) AS guest_name,
	coalesce(round(b.total_price::numeric, 2), 0)::text AS amount, coalesce(b.nights, 0) AS nights,
	{checkIn} AS check_in, {checkOut} AS check_out, {createdAt} AS created_at,
	coalesce(b.status::text, '') AS status, coalesce(b.payment_method::text, '') AS payment_method, {paid} AS paid
FROM {bookings} b JOIN {listings} l ON l.id = b.hangar_id LEFT JOIN {users} u ON u.id = b.user_id {paidJoin}
WHERE l.owner_id = $1::text::{ownerType} AND $2::text IS NOT NULL`

const bookingsQuery = bookingColumns + `
ORDER BY b.created_at DESC, b.id DESC LIMIT $3`

// todayQuery lists who arrives or leaves between the instants $4 and $5, which are the dates $6 and $7.
const todayQuery = bookingColumns + `
	AND (b.check_in >= {from} AND b.check_in < {until} OR b.check_out >= {from} AND b.check_out < {until})
	AND b.status::text IS DISTINCT FROM 'cancelled'
	AND $4::timestamptz IS NOT NULL AND $5::timestamptz IS NOT NULL AND $6::date IS NOT NULL AND $7::date IS NOT NULL
ORDER BY CASE WHEN b.check_in >= {from} THEN b.check_in ELSE b.check_out END, b.created_at, b.id LIMIT $3`

const listingsQuery = `
SELECT l.id::text AS hangar_id, coalesce(l.hangar_number::text, '') AS hangar_number, coalesce(l.icao_code::text, '') AS icao_code,
	coalesce(l.aerodrome_name::text, '') AS aerodrome_name, coalesce(l.city::text, '') AS city,
	coalesce(l.status::text, '') AS status, coalesce(l.is_available, false) AS is_available,
	coalesce(round(l.daily_rate::numeric, 2), 0)::text AS daily_rate, {spaces} AS total_spaces,
	least(o.stays, {spaces}) AS occupied_spaces, o.stays > 0 AS is_now_occupied, coalesce(o.guest, '') AS occupant
FROM {listings} l CROSS JOIN LATERAL (
	SELECT count(*) AS stays,
		(array_agg(btrim(concat_ws(' ', u.first_name, u.last_name)) ORDER BY b.check_in DESC, b.id DESC))[1] AS guest
	FROM {bookings} b LEFT JOIN {users} u ON u.id = b.user_id
	WHERE b.hangar_id = l.id AND b.status::text IN ('confirmed', 'active')
		AND b.check_in <= {now.stay} AND b.check_out > {now.stay}) o
WHERE l.owner_id = $1::text::{ownerType} AND $2::timestamptz IS NOT NULL AND $3::date IS NOT NULL
ORDER BY l.hangar_number, l.id`

func newQueries(s shape) queries {
	paidAt, paid, paidJoin := s.paid()
	tables := []string{
		"{bookings}", s.bookings, "{listings}", s.listings, "{owners}", s.owners, "{users}", s.users,
		"{ownerType}", s.ownerID, "{spaces}", s.spaces("l"),
		"{paid}", paid, "{paidAt}", paidAt, "{paidJoin}", paidJoin,
		"{checkIn}", writable(asInstant(s.checkIn, "b.check_in", "$2")), "{checkOut}", writable(asInstant(s.checkIn, "b.check_out", "$2")),
		"{createdAt}", writable(asInstant(s.createdAt, "b.created_at", "$2")),
	}
	return queries{
		metrics:  fill(fill(metricsQuery, s.days(instantParam)...), tables...),
		bookings: fill(bookingsQuery, tables...),
		today: fill(fill(todayQuery, "{from}", instantParam(s.checkIn, "$4", "$6"), "{until}", instantParam(s.checkIn, "$5", "$7")),
			tables...),
		listings:    fill(fill(listingsQuery, "{now.stay}", instantParam(s.checkIn, "$2", "$3")), tables...),
		accounts:    fill(accountsQuery, tables...),
		access:      fill(accessQuery, tables...),
		credentials: fill(credentialsQuery, tables...),
		members:     fill(membersQuery, tables...),
		user: fill(`SELECT u.id::text AS id, btrim(concat_ws(' ', u.first_name, u.last_name)) AS name,
			coalesce(u.email::text, '') AS email FROM {users} u WHERE u.id::text = $1`, tables...),
		nextOwner: fill(`SELECT o.id::text FROM {owners} o WHERE $1 = '' OR o.id > nullif($1, '')::{ownerType} ORDER BY o.id LIMIT 1`, tables...),
		ledger:    newLedgerQueries(s),
	}
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

// writable keeps an instant within the years that RFC 3339 can write: PostgreSQL's go further, and to infinity.
func writable(instant string) string {
	return "least(greatest(" + instant + ", '0001-01-02Z'::timestamptz), '9999-12-30Z'::timestamptz)"
}
