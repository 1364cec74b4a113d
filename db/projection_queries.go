package db

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db/xid"
)

// freshLimit is up to how many rows of the log the projection may lack for its answer to be worth
// more than reading the owner's history. repairLimit is up to how many are applied to it one by
// one.
const (
	freshLimit  = 2000
	repairLimit = 50_000
)

// projectionMark begins the queries of the projection with its newest mark. fresh are the rows of
// the log that this snapshot sees and that of the mark did not, found through the index on xid as
// when they are numbered. valid has a row when the projection and fresh together are the truth:
//   - nobody had a reason to distrust the projection since it was built,
//   - no trigger has failed: the counter is a sequence, and counts before the failing
//     transaction commits,
//   - the bookings are in the same file of the same cluster: ALTER TABLE … USING and a
//     restored copy run no trigger,
//   - each fresh row says which bookings it is about; one from a trigger function of an
//     older version does not.
//
// named are those bookings, each with its hangar. One that went from a hangar to another is named
// with both; that of a payout is named without.
//
// {limit} is how many fresh rows are too many. {marks} and {generation} are those of what is kept;
// {told} are more columns of fresh, and {asked} what they are made from.
const projectionMark = `
WITH mark AS MATERIALIZED (
	SELECT * FROM {marks} ORDER BY number DESC LIMIT 1
),
` + xid.Gaps + `,
rows AS (` + xid.Fresh + `
),
fresh AS MATERIALIZED (
	SELECT type, "hangarId" AS hangar_id, "bookingId" AS booking_id, bookings{told}
	FROM rows LEFT JOIN LATERAL pg_catalog.json_to_record(CASE WHEN json_typeof(data) = 'object' THEN data END)
		AS named ("hangarId" text, "bookingId" text, bookings json{asked}) ON true
),
valid AS MATERIALIZED (
	SELECT mark.* FROM mark
	WHERE generation = {generation}
		AND faults = (SELECT realtime.fault_count()) AND place = {place}
		AND (SELECT count(*) FROM fresh) < {limit}
		AND NOT EXISTS (SELECT FROM fresh WHERE type NOT IN ('access', 'occupancy_changed') AND booking_id IS NULL AND bookings IS NULL)
),
named AS (
	SELECT hangar_id, booking_id AS id FROM fresh, valid WHERE booking_id IS NOT NULL
	UNION ALL
	SELECT hangar_id, pg_catalog.json_array_elements_text(CASE WHEN json_typeof(bookings) = 'array' THEN bookings END) FROM fresh, valid
)`

// projectionFingerprint names the bookings' table, the file that holds its rows, the cluster with
// its database, the shape of the portal's tables, and the rules by which bookings count: a
// projection that was made by others is none.
const projectionFingerprint = `pg_catalog.concat_ws(' ', pg_catalog.to_regclass({bookingsName})::oid, pg_relation_filenode(pg_catalog.to_regclass({bookingsName})),
	{system}, (SELECT oid FROM pg_database WHERE datname = current_database()), (SELECT shape FROM realtime.watched), {rules})`

// projectionRows is what bookings b contribute, as rows of the projection. counts_until is for how
// long any number may ask for a booking, with a day to spare for zones: one that looks further back
// than two weeks of payments, or than today's bookings, moves it. A changed rule has every server
// build the projection anew, see projectionFingerprint.
const projectionRows = `
SELECT booking_id, hangar_id, check_in, check_out, created_at, paid_at, price, pending, status, stay_in, stay_out, greatest(
		CASE WHEN check_out IS NOT NULL THEN least(check_out, '200000-01-01') + interval '2 days' END,
		CASE WHEN created_at IS NOT NULL THEN least(created_at, '200000-01-01') + interval '3 days' END,
		CASE WHEN paid_at IS NOT NULL THEN least(paid_at, '200000-01-01') + interval '16 days' END, '-infinity') AS counts_until,
	coalesce(greatest(stay_in, stay_out), 'infinity') AS stay_until
FROM (
	SELECT b.id::text AS booking_id, b.hangar_id::text AS hangar_id,
		CASE WHEN b.status::text IN ('confirmed', 'active') THEN {checkInClock} END AS check_in,
		CASE WHEN b.status::text IN ('confirmed', 'active') THEN {checkOutClock} END AS check_out,
		CASE WHEN b.status::text IS DISTINCT FROM 'cancelled' THEN {createdClock} END AS created_at,
		CASE WHEN {paid} THEN {paidClock} END AS paid_at,
		CASE WHEN {paid} THEN {price} END AS price,
		CASE WHEN {paid} AND b.status::text = 'completed' AND NOT EXISTS (
				SELECT FROM realtime.payouts o WHERE o.booking_id = b.id::text AND o.paid_out_at IS NOT NULL)
			THEN coalesce({subtotal}, 0) - coalesce({fees}, 0) END AS pending,
		b.status::text AS status,
		CASE WHEN {checkInClock} BETWEEN '0001-01-02' AND '9999-12-30' THEN {checkInClock} END AS stay_in,
		CASE WHEN {checkOutClock} BETWEEN '0001-01-02' AND '9999-12-30' THEN {checkOutClock} END AS stay_out
	FROM {bookings} b {paidJoin} WHERE b.hangar_id IS NOT NULL {which}
) contributions`

// touchedRows is the condition for the bookings that fresh rows of the log are about.
const touchedRows = `AND b.id {=} ANY (ARRAY(SELECT {key} FROM touched))`

// projectionFresh has the bookings of some hangars that fresh rows are about, and what they count
// at present.
const projectionFresh = `touched AS MATERIALIZED (
	SELECT DISTINCT id FROM named WHERE hangar_id IS NULL OR hangar_id IN (SELECT id FROM hangars)
),
present AS MATERIALIZED (
	SELECT r.* FROM ({touchedRows}) r WHERE r.hangar_id IN (SELECT id FROM hangars)
)`

// projectionMetrics is metricsQuery over the projection, with the same parameters, and whether the
// projection is to be believed.
//
// Its plan is the same whatever the size of the tables. It takes one step back in the index of the
// marks, and an index range at the end of the log for what is fresh. For each of the owner's
// listings it reads one range of ledger_hangar, of stays that are not over and payments and
// bookings of the last days, counted as it is read, and one row of totals. OFFSET 0 keeps the
// planner from joining by reading all of them. For each booking that is fresh it leaves out the row
// of the projection, and reads one of the portal's table by its primary key instead. When the
// projection is not valid, no owner's listing is found, and nothing else is read. An upper bound
// that is none has the planner expect a small range where it does not know the parameters. So it
// plans once and not each time, which would take three times as long as the answer.
//
// It also says until when its answer holds if nothing is written: up to midnight, or up
// to the next check-in or check-out.
const projectionMetrics = `, hangars AS MATERIALIZED (
	SELECT l.id::text AS id, coalesce(l.status::text = 'active' AND l.is_available, false) AS published, {spaces} AS spaces
	FROM {listings} l WHERE l.owner_id {=} $1::text::{ownerType}
		AND EXISTS (SELECT FROM valid WHERE floor <= ($2::timestamptz AT TIME ZONE 'UTC'))
),
` + projectionFresh + `,
counted AS MATERIALIZED (
	SELECT h.*, s.* FROM hangars h CROSS JOIN LATERAL (
		SELECT
			sum(price) FILTER (WHERE paid_at OPERATOR(pg_catalog.>=) {today.paid} AND paid_at OPERATOR(pg_catalog.<) {tomorrow.paid}) AS today,
			sum(price) FILTER (WHERE paid_at OPERATOR(pg_catalog.>=) {week.paid} AND paid_at OPERATOR(pg_catalog.<) {tomorrow.paid}) AS week,
			sum(price) FILTER (WHERE paid_at OPERATOR(pg_catalog.>=) {earlier.paid} AND paid_at OPERATOR(pg_catalog.<) {week.paid}) AS earlier,
			count(*) FILTER (WHERE created_at OPERATOR(pg_catalog.>=) {today.created} AND created_at OPERATOR(pg_catalog.<) {tomorrow.created}) AS bookings,
			count(*) FILTER (WHERE check_in OPERATOR(pg_catalog.<=) {now.stay} AND check_out OPERATOR(pg_catalog.>) {now.stay}) AS stays,
			{turn} AS turn
		FROM (
			SELECT check_in, check_out, created_at, paid_at, price FROM realtime.ledger l
			WHERE l.hangar_id = h.id AND l.counts_until >= ($2::timestamptz AT TIME ZONE 'UTC') AND l.counts_until <= 'infinity'
				AND l.booking_id NOT IN (SELECT id FROM touched)
			UNION ALL
			SELECT check_in, check_out, created_at, paid_at, price FROM present WHERE present.hangar_id = h.id
		) counting
	) s
),
sums AS (
	SELECT coalesce(sum(today), 0) AS today, coalesce(sum(week), 0) AS week, coalesce(sum(earlier), 0) AS earlier,
		coalesce(sum(bookings), 0)::bigint AS bookings, min(turn) AS turn
	FROM counted
),
totals AS (
	SELECT coalesce(sum(t.pending), 0) AS pending, coalesce(sum(t.odd), 0) AS odd
	FROM hangars h CROSS JOIN LATERAL (SELECT * FROM realtime.ledger_totals t WHERE t.hangar_id = h.id OFFSET 0) t
),
payouts AS (
	SELECT totals.pending
		- (SELECT coalesce(sum(l.pending), 0) FROM realtime.ledger l
			WHERE l.booking_id = ANY (ARRAY(SELECT id FROM touched)) AND l.hangar_id IN (SELECT id FROM hangars))
		+ (SELECT coalesce(sum(pending), 0) FROM present) AS pending
	FROM totals
),
spaces AS (
	SELECT {offered} FROM counted
)` + metricsResult + `,
	EXISTS (SELECT FROM valid WHERE floor <= ($2::timestamptz AT TIME ZONE 'UTC')) AND (SELECT odd = 0 FROM totals) AS trusted,
	least($4::timestamptz, sums.turn AT TIME ZONE 'UTC') AS until, ARRAY(SELECT id FROM hangars) AS hangars
FROM sums, payouts, spaces` + metricsParameters

// projectionListings is listingsQuery where the projection says who stays, with the same
// parameters. It returns no row when the projection is not to be believed. Of the bookings of a
// hangar only those are read that are not over.
const projectionListings = `, hangars AS MATERIALIZED (
	SELECT l.id::text AS id FROM {listings} l WHERE l.owner_id {=} $1::text::{ownerType}
		AND EXISTS (SELECT FROM valid WHERE floor <= ($2::timestamptz AT TIME ZONE 'UTC'))
),
` + projectionFresh + `,
staying AS MATERIALIZED (
	SELECT h.id AS hangar_id, s.booking_id FROM hangars h CROSS JOIN LATERAL (
		SELECT booking_id, check_in, check_out FROM realtime.ledger l
		WHERE l.hangar_id = h.id AND l.counts_until >= ($2::timestamptz AT TIME ZONE 'UTC') AND l.counts_until <= 'infinity'
			AND l.booking_id NOT IN (SELECT id FROM touched)
		UNION ALL
		SELECT booking_id, check_in, check_out FROM present WHERE present.hangar_id = h.id
	) s WHERE s.check_in OPERATOR(pg_catalog.<=) {now.stay} AND s.check_out OPERATOR(pg_catalog.>) {now.stay}
)` + listingColumns + `
	AND l.id::text IN (SELECT id FROM hangars)` + listingsOrder

const stayingInProjection = `staying s JOIN {bookings} b ON b.id {=} {key} LEFT JOIN {users} u ON u.id {=} b.user_id WHERE s.hangar_id = l.id::text`

// projectionApply brings the projection to what the portal's tables are in this statement's
// snapshot, where it was valid: the bookings that fresh rows are about are read again. It returns
// whether it was valid, and how many rows were fresh.
const projectionApply = `, touched AS MATERIALIZED (SELECT DISTINCT id FROM named),
present AS MATERIALIZED (
	SELECT r.* FROM ({touchedRows}) r, valid WHERE r.counts_until >= valid.floor OR r.pending IS NOT NULL OR {listed:valid.floor}
),
former AS MATERIALIZED (
	SELECT * FROM realtime.ledger WHERE booking_id = ANY (ARRAY(SELECT id FROM touched))
),
removed AS (
	DELETE FROM realtime.ledger WHERE booking_id = ANY (ARRAY(
		SELECT booking_id FROM former EXCEPT SELECT booking_id FROM present))
),
kept AS (
	INSERT INTO realtime.ledger (booking_id, hangar_id, check_in, check_out, created_at, paid_at, price, pending,
		status, stay_in, stay_out, counts_until, stay_until)
	SELECT p.* FROM present p LEFT JOIN former f USING (booking_id) WHERE f.booking_id IS NULL OR
		(p.hangar_id, p.check_in, p.check_out, p.created_at, p.paid_at, p.price, p.pending, p.status, p.stay_in, p.stay_out) IS DISTINCT FROM
		(f.hangar_id, f.check_in, f.check_out, f.created_at, f.paid_at, f.price, f.pending, f.status, f.stay_in, f.stay_out)
	ON CONFLICT (booking_id) DO UPDATE SET hangar_id = excluded.hangar_id, check_in = excluded.check_in,
		check_out = excluded.check_out, created_at = excluded.created_at, paid_at = excluded.paid_at, price = excluded.price,
		pending = excluded.pending, status = excluded.status, stay_in = excluded.stay_in, stay_out = excluded.stay_out,
		counts_until = excluded.counts_until, stay_until = excluded.stay_until
),
totalled AS (
	INSERT INTO realtime.ledger_totals (hangar_id, pending, odd)
	SELECT hangar_id, coalesce(sum(sign * pending) FILTER (WHERE NOT odd), 0), coalesce(sum(sign) FILTER (WHERE odd), 0) FROM (
		SELECT hangar_id, pending, 1 AS sign, {odd} AS odd FROM present WHERE pending IS NOT NULL
		UNION ALL
		SELECT hangar_id, pending, -1, {odd} FROM former WHERE pending IS NOT NULL
	) changes GROUP BY hangar_id
	HAVING coalesce(sum(sign * pending) FILTER (WHERE NOT odd), 0) <> 0 OR coalesce(sum(sign) FILTER (WHERE odd), 0) <> 0
	ON CONFLICT (hangar_id) DO UPDATE SET pending = ledger_totals.pending + excluded.pending, odd = ledger_totals.odd + excluded.odd
),
marked AS (
	INSERT INTO realtime.ledger_marks (after, generation, faults, place, floor)
	SELECT pg_current_snapshot(), generation, faults, place, floor FROM valid WHERE EXISTS (SELECT FROM fresh)
),
swept AS (DELETE FROM realtime.ledger_marks WHERE number < (SELECT number FROM valid))
SELECT EXISTS (SELECT FROM valid) AS valid, (SELECT count(*) FROM fresh) AS fresh`

// projectionBuild makes the projection anew, in statements of one snapshot. Parameter: 1 the floor.
// It marks nothing when a trigger fault was counted whose transaction may not have ended: that
// could commit later, and nobody would know of it.
var projectionBuild = []string{
	`DELETE FROM realtime.ledger`,
	`DELETE FROM realtime.ledger_totals`,
	`INSERT INTO realtime.ledger (booking_id, hangar_id, check_in, check_out, created_at, paid_at, price, pending,
		status, stay_in, stay_out, counts_until, stay_until)
		SELECT r.* FROM ({allRows}) r WHERE counts_until >= $1::timestamp OR pending IS NOT NULL OR {listed:$1::timestamp}`,
	`INSERT INTO realtime.ledger_totals (hangar_id, pending, odd)
		SELECT hangar_id, coalesce(sum(pending) FILTER (WHERE NOT {odd}), 0), count(*) FILTER (WHERE {odd})
		FROM realtime.ledger WHERE pending IS NOT NULL GROUP BY hangar_id`,
	`DELETE FROM realtime.ledger_marks`,
	`INSERT INTO realtime.ledger_marks (after, generation, faults, place, floor)
		SELECT pg_current_snapshot(), g.number, f.faults, {place}, $1::timestamp
		FROM realtime.ledger_generation g, realtime.installation i, realtime.watched w, (SELECT realtime.fault_count() AS faults) f
		WHERE i.faults_seen = f.faults AND i.faults_until IS NULL AND w.faults = ''`,
}

// projectionPrune removes what counted only before a new floor, and marks that.
// Parameter: 1 the floor.
const projectionPrune = `, removed AS (
	DELETE FROM realtime.ledger WHERE counts_until < $1::timestamp AND pending IS NULL
		AND NOT coalesce({listed:$1::timestamp}, false) AND EXISTS (SELECT FROM valid)
)
INSERT INTO realtime.ledger_marks (after, generation, faults, place, floor)
SELECT after, generation, faults, place, greatest(floor, $1::timestamp) FROM valid`

// projectionQueries are the projection's questions and steps, written for the shape of
// one database.
type projectionQueries struct {
	metrics, listings, apply, prune, changes string
	metricsOfMany, listingsOfMany            string
	pending, pendingInTables                 string
	build                                    []string
	calendar                                 calendarQueries
}

func newProjectionQueries(s shape) projectionQueries {
	paidAt, paid, paidJoin := s.paid()
	rows := Fill(projectionRows, "{paid}", "("+paid+")", "{price}", "("+s.price+")", "{subtotal}", "("+s.subtotal+")",
		"{fees}", "("+s.fees+")", "{paidClock}", clock(s.paidType(), paidAt), "{paidJoin}", paidJoin,
		"{checkInClock}", clock(s.checkIn, "b.check_in"), "{checkOutClock}", clock(s.checkIn, "b.check_out"),
		"{createdClock}", clock(s.createdAt, "b.created_at"))
	parts := []string{
		"{touchedRows}", Fill(rows, "{which}", Fill(touchedRows, "{key}", s.keys.booking.of("id")), "{bookings}", s.bookings),
		"{allRows}", Fill(rows, "{which}", "", "{bookings}", s.bookings),
		"{ownRows}", Fill(rows, "{which}", Fill(ownRows, "{listings}", s.listings, "{ownerType}", s.ownerID), "{bookings}", s.bookings),
		"{place}", Fill(projectionFingerprint, "{bookingsName}", pq.QuoteLiteral(s.bookings), "{system}", s.server.system,
			"{rules}", pq.QuoteLiteral(rulesOf(rows))),
		"{listed:valid.floor}", listedAfter("valid.floor"), "{listed:$1::timestamp}", listedAfter("$1::timestamp"),
		"{checkpoint}", s.server.checkpoint,
		"{odd}", "(pending::text IN ('NaN', 'Infinity', '-Infinity'))",
		"{listings}", s.listings, "{bookings}", s.bookings, "{users}", s.users, "{ownerType}", s.ownerID,
		"{spaces}", s.spaces, "{offered}", offeredSpaces, "{rate}", s.rate,
	}
	turn := "NULL::timestamp" // dates turn at midnight
	if s.checkIn != "date" {
		turn = "least(min(check_in) FILTER (WHERE check_in OPERATOR(pg_catalog.>) {now.stay}), min(check_out) FILTER (WHERE check_out OPERATOR(pg_catalog.>) {now.stay}))"
	}
	mark := Fill(projectionMark, "{marks}", "realtime.ledger_marks", "{generation}", "(SELECT number FROM realtime.ledger_generation)", "{told}", "", "{asked}", "",
		"{columns}", "type, data", "{which}", "NOT realtime.is_internal(type)", "{upper}", "(SELECT pg_snapshot_xmax(after) FROM mark)",
		"{open}", "ARRAY(SELECT pg_snapshot_xip(after) FROM mark)")
	q := projectionQueries{
		metrics: Fill(Fill(mark+projectionMetrics, "{limit}", strconv.Itoa(freshLimit+1), "{turn}", turn), append(parts, s.days(clockParam)...)...),
		listings: Fill(Fill(mark+projectionListings, "{limit}", strconv.Itoa(freshLimit+1),
			"{staying}", Fill(stayingInProjection, "{key}", s.keys.booking.of("s.booking_id")), "{now.stay}", clockParam(s.checkIn, "$2", "$3")), parts...),
		apply: Fill(Fill(mark+projectionApply, "{limit}", strconv.Itoa(repairLimit+1)), parts...),
		prune: Fill(Fill(mark+projectionPrune, "{limit}", strconv.Itoa(repairLimit+1)), parts...),
		changes: Fill(Fill(changesQuery, "{limit}", strconv.Itoa(changesLimit), "{columns}", "owner_id, type, data", "{which}", "NOT realtime.is_internal(type)",
			"{upper}", "$1::xid8", "{open}", "$2::xid8[]"), parts...),
	}
	hangarKey := func(row string) string { return s.keys.hangar.of(row + ".hangar_id") }
	q.pending = Fill(Fill(mark+payoutPendingQuery, "{limit}", strconv.Itoa(repairLimit+1), "{hangarKey}", hangarKey("h")), parts...)
	q.pendingInTables = Fill(Fill(payoutPendingInTables, "{hangarKey}", hangarKey("r")), parts...)
	q.metricsOfMany, q.listingsOfMany = manyOwners(q.metrics), manyOwners(q.listings)
	q.calendar = newCalendarQueries(s, mark, parts)
	for _, statement := range projectionBuild {
		q.build = append(q.build, Fill(statement, parts...))
	}
	return q
}

// rulesOf is a short name for the rules in a query.
func rulesOf(query string) string {
	sum := sha256.Sum256([]byte(query))
	return hex.EncodeToString(sum[:6])
}
