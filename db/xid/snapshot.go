// Package xid tells which transactions a snapshot of PostgreSQL sees, and which rows of the log two
// snapshots differ by.
//
// It promises what the manual says in the section "Transaction ID and Snapshot Information
// Functions". It asks no database, and does not know what the rows say.
package xid

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Snapshot is a pg_snapshot: it sees the transactions below upper that are not open (PostgreSQL
// manual, section "Transaction ID and Snapshot Information Functions").
type Snapshot struct {
	Upper uint64
	Open  []uint64 // ascending
}

// Parse reads PostgreSQL's text form of a pg_snapshot, xmin:xmax:xip,xip,….
func Parse(text string) (Snapshot, error) {
	bad := func() (Snapshot, error) {
		return Snapshot{}, fmt.Errorf("read snapshot %q: not of the form xmin:xmax:list", text)
	}
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return bad()
	}
	upper, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return bad()
	}
	s := Snapshot{Upper: upper}
	if parts[2] == "" {
		return s, nil
	}
	for _, one := range strings.Split(parts[2], ",") {
		xid, err := strconv.ParseUint(one, 10, 64)
		if err != nil || xid >= upper || len(s.Open) > 0 && xid <= s.Open[len(s.Open)-1] {
			return bad()
		}
		s.Open = append(s.Open, xid)
	}
	return s, nil
}

// String writes the snapshot as PostgreSQL does.
func (s Snapshot) String() string {
	lowest := s.Upper
	if len(s.Open) > 0 {
		lowest = s.Open[0]
	}
	return fmt.Sprintf("%d:%d:%s", lowest, s.Upper, strings.Join(Decimals(s.Open), ","))
}

// Sees reports whether a transaction had ended before the snapshot was taken.
func (s Snapshot) Sees(xid uint64) bool {
	_, open := slices.BinarySearch(s.Open, xid)
	return xid < s.Upper && !open
}

// Ranges are transaction ids from each of Lo up to, and without, that of Hi, as parameters of a
// query: the index on transaction ids leads to each range, and nothing beside it is touched.
type Ranges struct{ Lo, Hi []uint64 }

func (r *Ranges) add(lo, hi uint64) {
	if lo < hi {
		r.Lo, r.Hi = append(r.Lo, lo), append(r.Hi, hi)
	}
}

// Between returns the transactions that after sees and before does not, but for some.
func Between(before, after Snapshot, but ...uint64) (r Ranges) {
	for _, xid := range before.Open {
		if after.Sees(xid) && !slices.Contains(but, xid) {
			r.add(xid, xid+1)
		}
	}
	gaps := append(slices.Clone(after.Open), but...)
	slices.Sort(gaps)
	lo := before.Upper
	for _, xid := range gaps {
		if xid >= lo && xid < after.Upper {
			r.add(lo, xid)
			lo = xid + 1
		}
	}
	r.add(lo, after.Upper)
	return r
}

// Gaps is the part of a query that tells which transactions are under way now, from an {upper} end
// of a former snapshot on: each with the next one. Rows between them are of transactions that have
// ended; those of a transaction that is still under way, perhaps a million, are not touched. Fresh
// are the rows of the log that this statement's snapshot sees and the former one did not: {columns}
// of them for which {which} holds, in any order. At most {limit} of each of three kinds are read.
// {open} is an array of those under way in the former.
const (
	Gaps = `
gaps AS MATERIALIZED (
	SELECT x AS above, pg_catalog.lead(x, 1, pg_snapshot_xmax(now)) OVER (ORDER BY x) AS below
	FROM pg_current_snapshot() AS now CROSS JOIN LATERAL (
		SELECT x FROM pg_snapshot_xip(now) AS x WHERE x >= {upper}) AS under(x)
)`
	Fresh = `
	(SELECT {columns} FROM realtime.events WHERE xid >= {upper}
		AND xid < coalesce((SELECT above FROM gaps ORDER BY above LIMIT 1), pg_snapshot_xmax(pg_current_snapshot())) AND {which} ORDER BY xid LIMIT {limit})
	UNION ALL
	(SELECT e.* FROM gaps CROSS JOIN LATERAL (
		SELECT {columns} FROM realtime.events WHERE xid > above AND xid < below AND {which} ORDER BY xid LIMIT {limit}) e LIMIT {limit})
	UNION ALL
	(SELECT {columns} FROM realtime.events WHERE xid < {upper} AND xid = ANY (ARRAY(
		SELECT x FROM pg_catalog.unnest({open}) AS x WHERE pg_visible_in_snapshot(x, pg_current_snapshot()))) AND {which} ORDER BY xid LIMIT {limit})`
)

// Until returns Gaps and Fresh with another end than the statement's own snapshot: the column now
// of the one row of a table of the query.
func Until(table string) (gaps, fresh string) {
	ends := strings.NewReplacer("pg_current_snapshot() AS now", table, "pg_current_snapshot()", "(SELECT now FROM "+table+")")
	return ends.Replace(Gaps), ends.Replace(Fresh)
}

// Parameters returns the ends of the ranges as two arrays of xid8.
func (r Ranges) Parameters() (lo, hi []string) { return Decimals(r.Lo), Decimals(r.Hi) }

// Decimals writes numbers as texts, as parameters of type xid8[] are given.
func Decimals(numbers []uint64) []string {
	texts := make([]string, 0, len(numbers))
	for _, n := range numbers {
		texts = append(texts, strconv.FormatUint(n, 10))
	}
	return texts
}
