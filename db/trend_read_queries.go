package db

// trendOffering is what each hangar offers now.
const trendOffering = `SELECT l.id::text AS hangar_id, {spaces} AS spaces, coalesce(l.status::text = 'active' AND l.is_available, false) AS published FROM {listings} l`

// trendHangars lists an owner's hangars, each with what it offered since when. Parameters: 1 owner,
// 2 one hangar alone, or all where it is empty.
const trendHangars = `
SELECT l.id::text AS hangar_id, coalesce(l.hangar_number::text, '') AS hangar_number, {spaces} AS spaces,
	coalesce(l.status::text = 'active' AND l.is_available, false) AS published,
	c.since, coalesce(c.spaces, 0) AS noted_spaces, coalesce(c.published, false) AS noted_published, coalesce(c.initial, false) AS initial,
	EXISTS (SELECT FROM realtime.capacity) AS noting, (SELECT since FROM realtime.trend_generation) AS cancelled_since
FROM {listings} l LEFT JOIN realtime.capacity c ON c.hangar_id = l.id::text
WHERE l.owner_id {=} $1::text::{ownerType} AND ($2::text = '' OR l.id::text = $2::text) ORDER BY l.id, c.since`

// trendTouched tells whether the trends are to be believed, and what the bookings contribute and
// did that they have not taken in yet. Parameter: 1 hangars.
const trendTouched = `, touched AS MATERIALIZED (
	SELECT DISTINCT id FROM named WHERE hangar_id IS NULL OR hangar_id = ANY ($1::text[])
),
told AS MATERIALIZED (` + trendCancelledAt + `),
noted AS MATERIALIZED (
	SELECT booking_id, at AS cancelled_at FROM told
	UNION ALL
	SELECT booking_id, cancelled_at FROM realtime.cancellations
	WHERE booking_id = ANY (ARRAY(SELECT id FROM touched)) AND booking_id NOT IN (SELECT booking_id FROM told)
)
SELECT trusted, coalesce(d.sign, 0) AS sign, coalesce(d.booking_id, '') AS booking_id, coalesce(d.hangar_id, '') AS hangar_id,
	d.created_at, d.paid_at, d.cancelled_at, d.stay_in, d.stay_out, coalesce(d.price, 0)::text AS price, d.nights,
	d.created_day, d.paid_day, d.cancelled_day, d.in_day, d.end_day
FROM (SELECT EXISTS (SELECT FROM valid) AS trusted) v LEFT JOIN (
	SELECT r.*, 1 AS sign FROM ({newRows}) r WHERE r.hangar_id = ANY ($1::text[])
	UNION ALL
	SELECT ` + trendColumns + `, -1 FROM realtime.trend_bookings WHERE booking_id = ANY (ARRAY(SELECT id FROM touched)) AND hangar_id = ANY ($1::text[])
) d ON true`

// trendRange adds up the sums of a level in ranges of buckets. Parameters: 1 hangars, 2 level, 3
// and 4 where the ranges begin and end.
const trendRange = `
SELECT bucket, sum(revenue)::text AS revenue, sum(created)::int8 AS created, sum(cancelled)::int8 AS cancelled, sum(arrivals)::int8 AS arrivals,
	sum(nights)::int8 AS nights, sum(with_nights)::int8 AS with_nights
FROM pg_catalog.unnest($1::text[]) AS h(hangar_id) CROSS JOIN ROWS FROM (pg_catalog.unnest($3::int4[]), pg_catalog.unnest($4::int4[])) AS q(lo, hi)
CROSS JOIN LATERAL (SELECT * FROM {sums} t WHERE t.hangar_id = h.hangar_id AND t.level = $2::int2 AND t.bucket >= q.lo AND t.bucket < q.hi OFFSET 0) t
GROUP BY bucket`

// trendFirst tells the first days of each hangar on which anything happened, and how much.
// Parameters: 1 hangars, 2 how many days.
const trendFirst = `
SELECT d.bucket, d.facts FROM pg_catalog.unnest($1::text[]) AS h(hangar_id) CROSS JOIN LATERAL (
	SELECT t.bucket, (t.paid + t.created + t.cancelled + t.arrivals)::int8 AS facts FROM {sums} t
	WHERE t.hangar_id = h.hangar_id AND t.level = 1 AND t.paid + t.created + t.cancelled + t.arrivals > 0 ORDER BY t.bucket LIMIT $2::int4) d`

// trendNights tells by how many the stays of each hangar grow, in months before a range as a total,
// and by day in the ranges. Parameters: 1 hangars, 2 and 3 where ranges of months begin and end.
const trendNights = `
SELECT h.hangar_id, q.lo - 1 AS month, (SELECT coalesce(sum(t.total), 0)::int8 FROM {turns} t WHERE t.hangar_id = h.hangar_id AND t.month < q.lo) AS total,
	'{}'::int4[] AS turns
FROM pg_catalog.unnest($1::text[]) AS h(hangar_id) CROSS JOIN ROWS FROM (pg_catalog.unnest($2::int4[]), pg_catalog.unnest($3::int4[])) AS q(lo, hi)
UNION ALL
SELECT h.hangar_id, t.month, t.total, t.turns
FROM pg_catalog.unnest($1::text[]) AS h(hangar_id) CROSS JOIN ROWS FROM (pg_catalog.unnest($2::int4[]), pg_catalog.unnest($3::int4[])) AS q(lo, hi)
CROSS JOIN LATERAL (SELECT * FROM {turns} t WHERE t.hangar_id = h.hangar_id AND t.month >= q.lo AND t.month < q.hi OFFSET 0) t`

// trendNear are the bookings that may have a part in ranges of time. Parameters: 1 hangars, 2 and 3
// where the ranges begin and end, 4 and 5 the numbers of their parts. Dates are up to a day away
// from where their clocks say.
const (
	trendNear = `
	SELECT b.*, q.first_part, q.end_part, q.lo, q.hi FROM pg_catalog.unnest($1::text[]) AS h(hangar_id)
	CROSS JOIN ROWS FROM (pg_catalog.unnest($2::timestamp[]), pg_catalog.unnest($3::timestamp[]), pg_catalog.unnest($4::int4[]), pg_catalog.unnest($5::int4[]))
		AS q(lo, hi, first_part, end_part)
	CROSS JOIN pg_catalog.unnest('{{spans}}'::int4[]) AS w(span)
	CROSS JOIN LATERAL (
		SELECT * FROM realtime.trend_bookings b WHERE b.hangar_id = h.hangar_id AND b.span = w.span AND b.last_at >= q.lo - interval '1 day'
			AND b.last_at < q.hi + pg_catalog.make_interval(days => w.span + 2) AND b.first_at < q.hi + interval '1 day' OFFSET 0) b`
	tableNear = `
	SELECT b.*, q.first_part, q.end_part, q.lo, q.hi FROM ({ownRows}) b
	JOIN ROWS FROM (pg_catalog.unnest($2::timestamp[]), pg_catalog.unnest($3::timestamp[]), pg_catalog.unnest($4::int4[]), pg_catalog.unnest($5::int4[]))
		AS q(lo, hi, first_part, end_part)
	ON b.last_at >= q.lo - interval '1 day' AND b.first_at < q.hi + interval '1 day' WHERE b.hangar_id = ANY ($1::text[])`
)

// trendParts adds up what happened in parts of those ranges. Parameters: those of trendNear, and 6
// and 7 the bounds of all parts, for instants and for dates. What cannot be in a range is left out
// before its part is looked for.
const trendParts = `
WITH near AS MATERIALIZED (
	SELECT created_at, paid_at, cancelled_at, stay_in, price, nights, first_part, end_part, lo - interval '1 day' AS lo, hi + interval '1 day' AS hi
	FROM ({near}) near
)
SELECT part, coalesce(sum(revenue), 0)::text AS revenue, coalesce(sum(created), 0)::int8 AS created, coalesce(sum(cancelled), 0)::int8 AS cancelled,
	coalesce(sum(arrivals), 0)::int8 AS arrivals, coalesce(sum(nights), 0)::int8 AS nights, count(nights)::int8 AS with_nights
FROM (
	SELECT {part:paid_at}, price AS revenue, NULL::int4 AS created, NULL::int4 AS cancelled, NULL::int4 AS arrivals, NULL::int4 AS nights, first_part, end_part
		FROM near WHERE paid_at >= lo AND paid_at < hi
	UNION ALL
	SELECT {part:created_at}, NULL, 1, NULL, NULL, nights, first_part, end_part FROM near WHERE created_at >= lo AND created_at < hi
	UNION ALL
	SELECT {part:cancelled_at}, NULL, NULL, 1, NULL, NULL, first_part, end_part FROM near WHERE cancelled_at >= lo AND cancelled_at < hi
	UNION ALL
	SELECT {part:stay_in}, NULL, NULL, NULL, 1, NULL, first_part, end_part FROM near WHERE stay_in >= lo AND stay_in < hi
) f, (SELECT $6::timestamp[], $7::timestamp[]) AS parameters WHERE part >= first_part AND part < end_part GROUP BY part`

// trendStays lists by hangar when the stays begin and end that have a part in ranges, in
// microseconds. Parameters: those of trendNear, and 6 bookings that are left out.
const trendStays = `
SELECT hangar_id, pg_catalog.array_agg((pg_catalog.date_part('epoch', stay_in) * 1000000)::int8) AS ins,
	pg_catalog.array_agg((pg_catalog.date_part('epoch', stay_out) * 1000000)::int8) AS outs
FROM (
	SELECT DISTINCT booking_id, hangar_id, stay_in, stay_out FROM ({near}) near
	WHERE stay_in < hi + interval '1 day' AND stay_out > lo - interval '1 day' AND booking_id <> ALL ($6::text[])
) stays GROUP BY hangar_id`

// trendAudit counts the sums of an owner's hangars that are others by the tables. Parameter: 1
// owner.
const trendAudit = `
WITH hangars AS MATERIALIZED (SELECT l.id::text AS id FROM {listings} l WHERE l.owner_id {=} $1::text::{ownerType}),
own AS MATERIALIZED (SELECT r.*, 1 AS sign FROM ({ownRows}) r),
sums AS MATERIALIZED ({sums:SELECT * FROM own}),
turns AS MATERIALIZED ({turnsOf:SELECT * FROM own})
SELECT (SELECT count(*) FROM (
		(SELECT hangar_id, level, bucket, revenue, paid, created, cancelled, arrivals, nights, with_nights FROM realtime.trend_sums
			WHERE hangar_id IN (SELECT id FROM hangars) AND (revenue, paid, created, cancelled, arrivals, nights, with_nights) <> (0, 0, 0, 0, 0, 0, 0)
			EXCEPT SELECT * FROM sums)
		UNION ALL
		(SELECT * FROM sums WHERE (revenue, paid, created, cancelled, arrivals, nights, with_nights) <> (0, 0, 0, 0, 0, 0, 0)
			EXCEPT SELECT hangar_id, level, bucket, revenue, paid, created, cancelled, arrivals, nights, with_nights FROM realtime.trend_sums
			WHERE hangar_id IN (SELECT id FROM hangars))) s)
	+ (SELECT count(*) FROM (
		(SELECT hangar_id, month, total, turns FROM realtime.trend_turns WHERE hangar_id IN (SELECT id FROM hangars)
			AND 0 <> ANY (turns) EXCEPT SELECT * FROM turns)
		UNION ALL
		(SELECT * FROM turns EXCEPT SELECT hangar_id, month, total, turns FROM realtime.trend_turns WHERE hangar_id IN (SELECT id FROM hangars))) t)
	+ (SELECT count(*) FROM (
		(SELECT ` + trendColumns + ` FROM realtime.trend_bookings WHERE hangar_id IN (SELECT id FROM hangars) EXCEPT SELECT ` + trendColumns + ` FROM own)
		UNION ALL
		(SELECT ` + trendColumns + ` FROM own EXCEPT SELECT ` + trendColumns + ` FROM realtime.trend_bookings WHERE hangar_id IN (SELECT id FROM hangars))) b)`
