package db

import "strconv"

// stayKept is for how long after its end a stay is in the projection, beside projectionKeep: the
// windows of these days are answered without reading an owner's history.
const stayKept = "interval '62 days'"

// listedAfter writes whether a row of the projection is one of the stays that it holds from a floor
// on.
func listedAfter(floor string) string { return "stay_until >= " + floor + " - " + stayKept }

// calendarHangars lists an owner's hangars as the calendar does. Parameter: 1 owner.
const calendarHangars = `
SELECT l.id::text AS hangar_id, coalesce(l.hangar_number::text, '') AS hangar_number, coalesce(l.icao_code::text, '') AS icao_code,
	{spaces} AS spaces, coalesce(l.status::text = 'active' AND l.is_available, false) AS published
FROM {listings} l WHERE l.owner_id {=} $1::text::{ownerType}` + listingsOrder

// inWindow is the condition for the stays that a window concerns: one whose dates are odd has its
// place where the dates that it has are. Parameters: 2 and 3 the ends of the window, as clocks show
// them; 4 whether cancelled ones are among them. The second condition on stay_until is for the
// planner, as in projectionMetrics.
const inWindow = `stay_until >= $2::timestamp AND stay_until <= 'infinity' AND coalesce(least(stay_in, stay_out), '-infinity') < $3::timestamp
	AND (status IN ('pending', 'confirmed', 'active', 'completed') OR $4::boolean AND status = 'cancelled')`

// projectionStays lists the stays of an owner that a window concerns, each with whether the
// projection is to be believed: if not, in one row without a stay. Parameters: 1 owner, and those
// of inWindow. Of the bookings of a hangar only those are read that were not over when the window
// began.
const projectionStays = `, hangars AS MATERIALIZED (
	SELECT l.id::text AS id FROM {listings} l WHERE l.owner_id {=} $1::text::{ownerType}
		AND EXISTS (SELECT FROM valid WHERE {reaches})
),
` + projectionFresh + `
SELECT trusted, coalesce(s.hangar_id, '') AS hangar_id, coalesce(s.booking_id, '') AS booking_id, coalesce(s.status, '') AS status,
	s.stay_in, s.stay_out
FROM (SELECT EXISTS (SELECT FROM valid WHERE {reaches}) AS trusted) v LEFT JOIN (
	SELECT h.id AS hangar_id, kept.* FROM hangars h CROSS JOIN LATERAL (
		SELECT booking_id, status, stay_in, stay_out FROM realtime.ledger l
		WHERE l.hangar_id = h.id AND ` + inWindow + ` AND l.booking_id NOT IN (SELECT id FROM touched)
		UNION ALL
		SELECT booking_id, status, stay_in, stay_out FROM present WHERE present.hangar_id = h.id AND ` + inWindow + `
	) kept
) s ON true`

// tableStays is projectionStays over the portal's tables, with the same parameters.
const tableStays = `
SELECT true AS trusted, r.hangar_id, r.booking_id, r.status, r.stay_in, r.stay_out
FROM ({ownRows}) r WHERE ` + inWindow

// ownRows is the condition for the bookings of an owner. As an array the hangars are one pass over
// the table. Joined, they would be a pass for each, over nearly all of its pages.
const ownRows = `AND b.hangar_id {=} ANY (ARRAY(SELECT l.id FROM {listings} l WHERE l.owner_id {=} $1::text::{ownerType}))`

// stayDetails is what the calendar shows of some bookings beside their stays. Parameter: 1 their
// ids. Names are cut to 200 characters: a thousand of them are one answer.
const stayDetails = `
SELECT b.id::text AS booking_id, pg_catalog.left(pg_catalog.btrim(pg_catalog.concat_ws(' ', u.first_name, u.last_name)), 200) AS guest_name,
	coalesce(round({price}, 2), 0)::text AS amount, {arrived} AS paid
FROM {bookings} b LEFT JOIN {users} u ON u.id {=} b.user_id {paidJoin}
WHERE b.id {=} ANY (ARRAY(SELECT {detailKey} FROM pg_catalog.unnest($1::text[]) AS asked))`

// feedDetails is what a feed tells of some bookings beside their stays. Parameter: 1 their ids.
const feedDetails = `
SELECT b.id::text AS booking_id, pg_catalog.left(pg_catalog.btrim(pg_catalog.concat_ws(' ', u.first_name, u.last_name)), 200) AS guest_name,
	{createdInstant} AS created_at, greatest({createdInstant}, {updatedInstant}) AS updated_at
FROM {bookings} b LEFT JOIN {users} u ON u.id {=} b.user_id
WHERE b.id {=} ANY (ARRAY(SELECT {detailKey} FROM pg_catalog.unnest($1::text[]) AS asked))`

// calendarQueries are the calendar's questions, written for the shape of one database.
type calendarQueries struct{ hangars, stays, tables, details, feed string }

// staysOf returns the question for stays to what is kept, or to the portal's tables.
func (q calendarQueries) staysOf(kept bool) string {
	if kept {
		return q.stays
	}
	return q.tables
}

func newCalendarQueries(s shape, mark string, parts []string) calendarQueries {
	_, _, paidJoin := s.paid()
	more := append([]string{
		"{reaches}", "valid.floor - " + stayKept + " <= $2::timestamp",
		"{price}", s.price, "{arrived}", s.arrived(), "{paidJoin}", paidJoin, "{detailKey}", s.keys.booking.of("asked"),
		"{createdInstant}", writable(asInstant(s.createdAt, "b.created_at", "'UTC'")),
		"{updatedInstant}", writable(asInstant(s.updatedAt, "b.updated_at", "'UTC'")),
	}, parts...)
	return calendarQueries{
		hangars: Fill(calendarHangars, more...),
		stays:   Fill(Fill(mark+projectionStays, "{limit}", strconv.Itoa(freshLimit+1)), more...),
		tables:  Fill(tableStays, more...),
		details: Fill(stayDetails, more...),
		feed:    Fill(feedDetails, more...),
	}
}
