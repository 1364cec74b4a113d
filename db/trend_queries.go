package db

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/lib/pq"
)

// The levels of realtime.trend_sums.
const (
	levelDay   = 1
	levelWeek  = 2
	levelMonth = 3
)

// trendSpans are the values of trend_bookings.span, in days: the last holds everything.
var trendSpans = []string{"8", "16", "32", "64", "128", "512", "4096", "4000000"}

// spanOf writes the least span that holds all of a booking.
func spanOf() string {
	var b strings.Builder
	b.WriteString("CASE")
	for _, span := range trendSpans {
		b.WriteString(" WHEN last_at::date - first_at::date < " + span + " THEN " + span)
	}
	return b.String() + " END"
}

// trendRows is what bookings b contribute to trends, as rows of realtime.trend_bookings. What
// counts where is settled as for the numbers and the calendar.
const trendRows = `
SELECT contributions.*, {span} AS span FROM (
	SELECT booking_id, hangar_id, created_at, paid_at, cancelled_at, CASE WHEN stays THEN stay_in END AS stay_in, CASE WHEN stays THEN stay_out END AS stay_out,
		price, nights, created_day, paid_day, cancelled_day, CASE WHEN stays THEN in_day END AS in_day,
		CASE WHEN stays THEN greatest(out_day, in_day + 1) END AS end_day,
		least(created_at, paid_at, cancelled_at, CASE WHEN stays THEN stay_in END) AS first_at,
		greatest(created_at, paid_at, cancelled_at, CASE WHEN stays THEN stay_out END) AS last_at
	FROM (
		SELECT f.*, {createdDay} AS created_day, {paidDay} AS paid_day, {cancelledDay} AS cancelled_day, {inDay} AS in_day, {outDay} AS out_day,
			coalesce({inOrder}, false) AS stays
		FROM (
			SELECT booking_id, hangar_id, {within:created_at} AS created_at, CASE WHEN price IS NOT NULL THEN {within:paid_at} END AS paid_at,
				{within:cancelled_at} AS cancelled_at, {within:stay_in} AS stay_in, {within:stay_out} AS stay_out, price, nights
			FROM (
				SELECT b.id::text AS booking_id, b.hangar_id::text AS hangar_id,
					CASE WHEN b.status::text IS DISTINCT FROM 'cancelled' THEN {createdClock} END AS created_at,
					CASE WHEN {paid} THEN {paidClock} END AS paid_at,
					CASE WHEN {paid} THEN {price} END AS price,
					CASE WHEN b.status::text = 'cancelled' THEN {cancelledClock} END AS cancelled_at,
					CASE WHEN b.status::text IN ('confirmed', 'active', 'completed') THEN {checkInClock} END AS stay_in,
					CASE WHEN b.status::text IN ('confirmed', 'active', 'completed') THEN {checkOutClock} END AS stay_out,
					CASE WHEN b.status::text IS DISTINCT FROM 'cancelled' AND (b.nights IS NOT NULL
						OR pg_catalog.isfinite(b.check_in) AND pg_catalog.isfinite(b.check_out)) THEN {nights} END AS nights
				FROM {bookings} b {paidJoin} LEFT JOIN {cancellations} c ON c.booking_id = b.id::text AND b.status::text = 'cancelled'
				WHERE b.hangar_id IS NOT NULL {which} OFFSET 0
			) told OFFSET 0
		) f OFFSET 0
	) counted
) contributions WHERE first_at IS NOT NULL`

// trendColumns are those of trend_bookings.
const trendColumns = `booking_id, hangar_id, created_at, paid_at, cancelled_at, stay_in, stay_out, price, nights,
	created_day, paid_day, cancelled_day, in_day, end_day, first_at, last_at, span`

// trendFacts has the parts of rows r that are sums: each has a day of its own.
const trendFacts = `CROSS JOIN LATERAL (VALUES
	(r.created_day, 0::numeric, 0, 1, 0, 0, coalesce(r.nights, 0), (r.nights IS NOT NULL)::int4),
	(r.paid_day, r.price, 1, 0, 0, 0, 0, 0),
	(r.cancelled_day, 0, 0, 0, 1, 0, 0, 0),
	(r.in_day, 0, 0, 0, 0, 1, 0, 0)) AS f(day, revenue, paid, created, cancelled, arrivals, nights, with_nights)`

// trendSums adds up rows by hangar and day, week and month. {rows} have a sign.
const trendSums = `
SELECT hangar_id, level::int2 AS level, bucket, revenue, paid, created, cancelled, arrivals, nights, with_nights FROM (
	WITH days AS MATERIALIZED (
		SELECT r.hangar_id, f.day, sum(r.sign * f.revenue) AS revenue, sum(r.sign * f.paid) AS paid, sum(r.sign * f.created) AS created,
			sum(r.sign * f.cancelled) AS cancelled, sum(r.sign * f.arrivals) AS arrivals, sum(r.sign * f.nights::int8) AS nights, sum(r.sign * f.with_nights) AS with_nights
		FROM ({rows}) r ` + trendFacts + ` WHERE f.day IS NOT NULL GROUP BY r.hangar_id, f.day
	)
	SELECT hangar_id, 1 AS level, day AS bucket, revenue, paid, created, cancelled, arrivals, nights, with_nights FROM days
	UNION ALL
	SELECT hangar_id, 2, (day + 7000003) / 7 - 1000000, ` + sumsOfDays + ` FROM days GROUP BY 1, 3
	UNION ALL
	SELECT hangar_id, 3, {month:day}, ` + sumsOfDays + ` FROM days GROUP BY 1, 3
) levels`

const sumsOfDays = `sum(revenue), sum(paid), sum(created), sum(cancelled), sum(arrivals), sum(nights), sum(with_nights)`

// trendStayDeltas adds up by how many the stays of rows grow from day to day, by hangar and month.
const trendStayDeltas = `
SELECT hangar_id, {month:day} AS month, sum(turn)::int4 AS total, ARRAY[{turns}]::int4[] AS turns FROM (
	SELECT r.hangar_id, t.day, sum(t.turn) AS turn, pg_catalog.date_part('day', '1970-01-01'::date + t.day)::int4 AS place
	FROM ({rows}) r CROSS JOIN LATERAL (VALUES (r.in_day, r.sign), (r.end_day, - r.sign)) AS t(day, turn)
	WHERE t.day IS NOT NULL GROUP BY r.hangar_id, t.day HAVING sum(t.turn) <> 0
) turning GROUP BY 1, 2`

// trendApply are the statements that bring the trends up to what the portal's tables are in one
// snapshot, of the transaction that they are in. The second adds the differences between what the
// bookings contribute now and what they did, for those that fresh rows of the log are about.
const (
	// trendLag tells whether the trends were valid, and how many rows were fresh.
	trendLag = ` SELECT EXISTS (SELECT FROM valid) AS valid, (SELECT count(*) FROM fresh) AS fresh`

	// trendNotes writes down since when bookings are cancelled: the log tells when each became so.
	// Of one that it does not tell about, its last change was that moment.
	trendNotes = `, touched AS MATERIALIZED (SELECT DISTINCT id FROM named),
	told AS (` + trendCancelledAt + `),
	cancelled AS MATERIALIZED (
		SELECT b.id::text AS booking_id, told.at, {cancelledInstant} AS changed_at
		FROM {bookings} b LEFT JOIN told ON told.booking_id = b.id::text
		WHERE b.status::text = 'cancelled' AND b.id {=} ANY (ARRAY(SELECT {key} FROM touched))
	),
	removed AS (
		DELETE FROM realtime.cancellations WHERE booking_id = ANY (ARRAY(SELECT id FROM touched EXCEPT SELECT booking_id FROM cancelled))
	)
	INSERT INTO realtime.cancellations AS c (booking_id, cancelled_at)
	SELECT booking_id, coalesce(at, changed_at) FROM cancelled WHERE coalesce(at, changed_at) IS NOT NULL
	ON CONFLICT (booking_id) DO UPDATE SET cancelled_at = excluded.cancelled_at
	WHERE excluded.booking_id = ANY (ARRAY(SELECT booking_id FROM told))`

	// trendCapacity writes down what the hangars that fresh rows are about offer since then.
	trendCapacity = `, changed AS (
		SELECT hangar_id, max(at) AS at FROM fresh WHERE hangar_id IS NOT NULL GROUP BY hangar_id
	)
	INSERT INTO realtime.capacity (hangar_id, since, spaces, published)
	SELECT changed.hangar_id, changed.at, coalesce(l.spaces, 0), coalesce(l.published, false)
	FROM changed LEFT JOIN ({offering}) l ON l.hangar_id = changed.hangar_id
	LEFT JOIN LATERAL (SELECT c.* FROM realtime.capacity c WHERE c.hangar_id = changed.hangar_id ORDER BY since DESC LIMIT 1) c ON true
	WHERE (l.spaces, l.published) IS DISTINCT FROM (c.spaces, c.published) AND (l.hangar_id IS NOT NULL OR (c.spaces, c.published) <> (0, false))
	ON CONFLICT (hangar_id, since) DO UPDATE SET spaces = excluded.spaces, published = excluded.published`

	trendApply = `, touched AS MATERIALIZED (SELECT DISTINCT id FROM named),
	present AS MATERIALIZED (SELECT r.*, 1 AS sign FROM ({touchedRows}) r),
	former AS MATERIALIZED (
		SELECT ` + trendColumns + `, -1 AS sign FROM realtime.trend_bookings WHERE booking_id = ANY (ARRAY(SELECT id FROM touched))
	),
	differences AS MATERIALIZED (SELECT * FROM present UNION ALL SELECT * FROM former),
	removed AS (
		DELETE FROM realtime.trend_bookings WHERE booking_id = ANY (ARRAY(SELECT booking_id FROM former EXCEPT SELECT booking_id FROM present))
	),
	kept AS (
		INSERT INTO realtime.trend_bookings (` + trendColumns + `) SELECT ` + trendColumns + ` FROM present
		ON CONFLICT (booking_id) DO UPDATE SET hangar_id = excluded.hangar_id, created_at = excluded.created_at, paid_at = excluded.paid_at,
			cancelled_at = excluded.cancelled_at, stay_in = excluded.stay_in, stay_out = excluded.stay_out, price = excluded.price,
			nights = excluded.nights, created_day = excluded.created_day, paid_day = excluded.paid_day, cancelled_day = excluded.cancelled_day,
			in_day = excluded.in_day, end_day = excluded.end_day, first_at = excluded.first_at, last_at = excluded.last_at, span = excluded.span
	),
	summed AS (
		INSERT INTO realtime.trend_sums AS t (hangar_id, level, bucket, revenue, paid, created, cancelled, arrivals, nights, with_nights)
		SELECT * FROM ({sums:SELECT * FROM differences}) s
		WHERE (revenue, paid, created, cancelled, arrivals, nights, with_nights) <> (0, 0, 0, 0, 0, 0, 0)
		ON CONFLICT (hangar_id, level, bucket) DO UPDATE SET revenue = t.revenue + excluded.revenue, paid = t.paid + excluded.paid,
			created = t.created + excluded.created, cancelled = t.cancelled + excluded.cancelled, arrivals = t.arrivals + excluded.arrivals,
			nights = t.nights + excluded.nights, with_nights = t.with_nights + excluded.with_nights
	),
	turned AS (
		INSERT INTO realtime.trend_turns AS t (hangar_id, month, total, turns)
		SELECT * FROM ({turnsOf:SELECT * FROM differences}) s
		ON CONFLICT (hangar_id, month) DO UPDATE SET total = t.total + excluded.total, turns = ARRAY[{added}]
	),
	marked AS (
		INSERT INTO realtime.trend_marks (after, generation, faults, place)
		SELECT pg_current_snapshot(), generation, faults, place FROM valid
	),
	swept AS (DELETE FROM realtime.trend_marks WHERE number < (SELECT number FROM valid))
	SELECT count(*) FROM differences`
)

// trendBuild makes the trends anew, in statements of one snapshot, a hangar's in one place of the
// table. It marks nothing beside a fault of a trigger, as projectionBuild.
var trendBuild = []string{
	`DELETE FROM realtime.trend_bookings`,
	`DELETE FROM realtime.trend_sums`,
	`DELETE FROM realtime.trend_turns`,
	`DELETE FROM realtime.cancellations c WHERE NOT EXISTS (SELECT FROM {bookings} b WHERE b.id {=} {cancelledKey} AND b.status::text = 'cancelled')`,
	`INSERT INTO realtime.cancellations AS c (booking_id, cancelled_at)
		SELECT DISTINCT ON (booking_id) booking_id, at FROM (
			SELECT n."bookingId" AS booking_id, e.at, e.id FROM realtime.events e CROSS JOIN LATERAL pg_catalog.json_to_record(
				CASE WHEN json_typeof(e.data) = 'object' THEN e.data END) AS n ("bookingId" text, status text, "previousStatus" text)
			WHERE e.type LIKE 'booking\_%'
				AND n.status = 'cancelled' AND n."previousStatus" IS DISTINCT FROM 'cancelled'
		) told WHERE EXISTS (SELECT FROM {bookings} b WHERE b.id {=} {toldKey} AND b.status::text = 'cancelled') ORDER BY booking_id, id DESC
		ON CONFLICT (booking_id) DO UPDATE SET cancelled_at = excluded.cancelled_at`,
	`INSERT INTO realtime.cancellations (booking_id, cancelled_at)
		SELECT b.id::text, {cancelledInstant} FROM {bookings} b WHERE b.status::text = 'cancelled' AND {cancelledInstant} IS NOT NULL
		ON CONFLICT (booking_id) DO NOTHING`,
	`INSERT INTO realtime.capacity (hangar_id, since, spaces, published, initial)
		SELECT l.hangar_id, now(), l.spaces, l.published, NOT EXISTS (SELECT FROM realtime.capacity) FROM ({offering}) l
		LEFT JOIN LATERAL (SELECT c.* FROM realtime.capacity c WHERE c.hangar_id = l.hangar_id ORDER BY since DESC LIMIT 1) c ON true
		WHERE (l.spaces, l.published) IS DISTINCT FROM (c.spaces, c.published)
		ON CONFLICT (hangar_id, since) DO UPDATE SET spaces = excluded.spaces, published = excluded.published`,
	`INSERT INTO realtime.trend_bookings (` + trendColumns + `) SELECT ` + trendColumns + ` FROM ({allRows}) r ORDER BY hangar_id, last_at`,
	`INSERT INTO realtime.trend_sums (hangar_id, level, bucket, revenue, paid, created, cancelled, arrivals, nights, with_nights)
		{sums:SELECT r.*, 1 AS sign FROM realtime.trend_bookings r} ORDER BY hangar_id, level, bucket`,
	`INSERT INTO realtime.trend_turns (hangar_id, month, total, turns) {turnsOf:SELECT r.*, 1 AS sign FROM realtime.trend_bookings r}`,
	`DELETE FROM realtime.trend_marks`,
	`INSERT INTO realtime.trend_marks (after, generation, faults, place)
		SELECT pg_current_snapshot(), {generation}, f.faults, {place}
		FROM realtime.installation i, realtime.watched w, (SELECT realtime.fault_count() AS faults) f
		WHERE i.faults_seen = f.faults AND i.faults_until IS NULL AND w.faults = ''`,
}

// trendCancelledAt is when bookings became cancelled, as fresh rows of the log tell.
const trendCancelledAt = `
	SELECT DISTINCT ON (booking_id) booking_id, at FROM fresh
	WHERE status = 'cancelled' AND former IS DISTINCT FROM 'cancelled' AND booking_id IS NOT NULL ORDER BY booking_id, id DESC`

// trendGeneration counts the reasons to distrust the trends: their own, and those that the
// projection has.
const trendGeneration = `(SELECT t.number + l.number FROM realtime.trend_generation t, realtime.ledger_generation l)`

// trendSource are the questions about trends, from one place: what is kept, or the tables.
type trendSource struct{ sums, first, nights, parts, stays string }

// trendQueries are the trends' questions and steps, written for the shape of one database and one
// zone.
type trendQueries struct {
	hangars, touched                   string
	kept, tables                       trendSource
	lag, notes, capacity, apply, audit string
	build                              []string
}

// oneToMonth writes one text for each day of a month.
func oneToMonth(format string) string {
	parts := make([]string, 31)
	for i := range parts {
		parts[i] = fmt.Sprintf(format, i+1)
	}
	return strings.Join(parts, ", ")
}

// trendRowsOf writes trendRows for a shape; changedAt is when a row was last changed, as far as it
// says.
func trendRowsOf(s shape, zone zoneDays, changedAt string) string {
	paidAt, paid, paidJoin := s.paid()
	within := func(column string) string {
		return "CASE WHEN " + column + " BETWEEN '0001-01-02' AND '9999-12-30' THEN " + column + " END"
	}
	inDay, outDay := zone.daySQL(s.checkIn, "f.stay_in"), zone.daySQL(s.checkIn, "f.stay_out")
	inOrder := "f.stay_in < f.stay_out"
	if s.checkIn == "date" {
		inOrder = inDay + " < " + outDay
	}
	return Fill(trendRows, "{span}", spanOf(), "{paid}", "("+paid+")", "{price}", "("+s.price+")", "{nights}", s.nights,
		"{paidClock}", clock(s.paidType(), paidAt), "{paidJoin}", paidJoin,
		"{cancelledClock}", "(coalesce(c.cancelled_at, "+changedAt+") AT TIME ZONE 'UTC')",
		"{checkInClock}", clock(s.checkIn, "b.check_in"), "{checkOutClock}", clock(s.checkIn, "b.check_out"),
		"{createdClock}", clock(s.createdAt, "b.created_at"),
		"{within:created_at}", within("created_at"), "{within:paid_at}", within("paid_at"), "{within:cancelled_at}", within("cancelled_at"),
		"{within:stay_in}", within("stay_in"), "{within:stay_out}", within("stay_out"),
		"{createdDay}", zone.daySQL(s.createdAt, "f.created_at"), "{paidDay}", zone.daySQL(s.paidType(), "f.paid_at"),
		"{cancelledDay}", zone.daySQL("", "f.cancelled_at"), "{inDay}", inDay, "{outDay}", outDay, "{inOrder}", inOrder)
}

func newTrendQueries(s shape, zone zoneDays) trendQueries {
	changedAt := "coalesce(" + asInstant(s.updatedAt, "b.updated_at", "'UTC'") + ", " + asInstant(s.createdAt, "b.created_at", "'UTC'") + ")"
	rows := trendRowsOf(s, zone, changedAt)
	month := "(pg_catalog.date_part('year', '1970-01-01'::date + day) * 12 + pg_catalog.date_part('month', '1970-01-01'::date + day) - 1)::int4"
	sums := func(rows string) string { return Fill(trendSums, "{rows}", rows, "{month:day}", month) }
	turns := func(rows string) string {
		return Fill(trendStayDeltas, "{rows}", rows, "{month:day}", month,
			"{turns}", oneToMonth("coalesce(sum(turn) FILTER (WHERE place = %d), 0)"))
	}
	newRows := Fill(rows, "{which}", Fill(touchedRows, "{key}", s.keys.booking.of("id")), "{bookings}", s.bookings, "{cancellations}", "noted")
	rows = Fill(rows, "{cancellations}", "realtime.cancellations")
	own := Fill(rows, "{which}", Fill(ownRows, "{listings}", s.listings, "{ownerType}", s.ownerID), "{bookings}", s.bookings)
	ofHangars := Fill(rows, "{which}", "AND b.hangar_id "+builtIn+" ANY (ARRAY(SELECT "+s.keys.hangar.of("asked")+" FROM pg_catalog.unnest($1::text[]) AS asked))",
		"{bookings}", s.bookings)
	parts := []string{
		"{newRows}", newRows, "{touchedRows}", Fill(rows, "{which}", Fill(touchedRows, "{key}", s.keys.booking.of("id")), "{bookings}", s.bookings),
		"{allRows}", Fill(rows, "{which}", "", "{bookings}", s.bookings),
		"{place}", Fill(projectionFingerprint, "{bookingsName}", pq.QuoteLiteral(s.bookings), "{system}", s.server.system,
			"{rules}", pq.QuoteLiteral(rulesOf(rows))),
		"{generation}", trendGeneration, "{cancelledInstant}", changedAt, "{key}", s.keys.booking.of("id"),
		"{cancelledKey}", s.keys.booking.of("c.booking_id"), "{toldKey}", s.keys.booking.of("told.booking_id"),
		"{bookings}", s.bookings, "{listings}", s.listings, "{ownerType}", s.ownerID, "{spaces}", s.spaces,
		"{offering}", Fill(trendOffering, "{spaces}", s.spaces, "{listings}", s.listings),
		"{sums:SELECT * FROM differences}", sums("SELECT * FROM differences"), "{turnsOf:SELECT * FROM differences}", turns("SELECT * FROM differences"),
		"{sums:SELECT r.*, 1 AS sign FROM realtime.trend_bookings r}", sums("SELECT r.*, 1 AS sign FROM realtime.trend_bookings r"),
		"{turnsOf:SELECT r.*, 1 AS sign FROM realtime.trend_bookings r}", turns("SELECT r.*, 1 AS sign FROM realtime.trend_bookings r"),
		"{sums:SELECT * FROM own}", sums("SELECT * FROM own"), "{turnsOf:SELECT * FROM own}", turns("SELECT * FROM own"),
		"{ownRows}", own, "{added}", oneToMonth("t.turns[%[1]d] + excluded.turns[%[1]d]"),
	}
	mark := Fill(projectionMark, "{marks}", "realtime.trend_marks", "{generation}", trendGeneration,
		"{told}", ", id, at, status, \"previousStatus\" AS former", "{asked}", ", status text, \"previousStatus\" text",
		"{columns}", "id, at, type, data", "{which}", "NOT realtime.is_internal(type)",
		"{upper}", "(SELECT pg_snapshot_xmax(after) FROM mark)", "{open}", "ARRAY(SELECT pg_snapshot_xip(after) FROM mark)")
	applying := func(query string) string {
		return Fill(Fill(mark+query, "{limit}", strconv.Itoa(repairLimit+1)), parts...)
	}
	part := func(columnType, column string) string {
		bounds := "$6"
		if columnType == "date" {
			bounds = "$7"
		}
		return "pg_catalog.width_bucket(" + column + ", " + bounds + "::timestamp[]) AS part"
	}
	source := func(sums, turns, near string) trendSource {
		from := []string{"{sums}", "realtime.trend_sums", "{turns}", "realtime.trend_turns", "{near}", near, "{part:paid_at}", part(s.paidType(), "paid_at"),
			"{part:created_at}", part(s.createdAt, "created_at"), "{part:cancelled_at}", part("", "cancelled_at"), "{part:stay_in}", part(s.checkIn, "stay_in")}
		if sums != "" {
			from[1], from[3] = "sums", "turns"
			sums, turns = "WITH sums AS MATERIALIZED ("+sums+")", "WITH turns AS MATERIALIZED ("+turns+")"
		}
		return trendSource{sums: sums + Fill(trendRange, from...), first: sums + Fill(trendFirst, from...), nights: turns + Fill(trendNights, from...),
			parts: Fill(trendParts, from...), stays: Fill(trendStays, from...)}
	}
	q := trendQueries{
		hangars: Fill(trendHangars, parts...),
		touched: Fill(Fill(mark+trendTouched, "{limit}", strconv.Itoa(freshLimit+1)), parts...),
		kept:    source("", "", Fill(trendNear, "{spans}", strings.Join(trendSpans, ","))),
		tables: source(sums("SELECT r.*, 1 AS sign FROM ("+ofHangars+") r"), turns("SELECT r.*, 1 AS sign FROM ("+ofHangars+") r"),
			Fill(tableNear, "{ownRows}", ofHangars)),
		lag: applying(trendLag), notes: applying(trendNotes), capacity: applying(trendCapacity), apply: applying(trendApply),
		audit: Fill(trendAudit, parts...),
	}
	for _, statement := range trendBuild {
		q.build = append(q.build, Fill(statement, parts...))
	}
	return q
}
