package db

import (
	"cmp"
	"slices"
	"time"

	"github.com/lib/pq"
)

// readNights reads how many stays each hangar has by night, or, for hours, from when until when.
func (a *trendAnswer) readNights() error {
	if a.q.Interval == TrendHour {
		return a.readStays()
	}
	var months []dayRange
	for _, list := range [][]trendBucket{a.own, a.before} {
		if len(list) > 0 {
			months = append(months, dayRange{monthNumber(dateOf(list[0].first)), monthNumber(dateOf(list[len(list)-1].end-1)) + 1})
		}
	}
	months = merged(months)
	var rows []struct {
		HangarID string        `db:"hangar_id"`
		Month    int           `db:"month"`
		Total    int64         `db:"total"`
		Turns    pq.Int32Array `db:"turns"`
	}
	lo, hi := ends(months)
	if err := a.selecting(&rows, a.source.nights, pq.Array(a.ids), pq.Array(lo), pq.Array(hi)); err != nil {
		return err
	}
	turns, before := make(map[string]map[int][]int32), make(map[string]map[int]int64)
	for _, id := range a.ids {
		turns[id], before[id] = make(map[int][]int32), make(map[int]int64)
	}
	for _, row := range rows {
		if len(row.Turns) == 0 {
			before[row.HangarID][row.Month+1] = row.Total
		} else {
			turns[row.HangarID][row.Month] = row.Turns
		}
	}
	for i := range a.hangars {
		h := &a.hangars[i]
		for _, r := range months {
			n := int32(before[h.id][r.lo])
			for month := r.lo; month < r.hi; month++ {
				nights, grow := make([]int32, 31), turns[h.id][month]
				for d := range nights {
					if grow != nil {
						n += grow[d]
					}
					nights[d] = n
				}
				h.nights[month] = nights
			}
		}
		for _, b := range a.touched {
			if b.HangarID != h.id || !b.InDay.Valid {
				continue
			}
			for _, r := range months {
				for day := max(int(b.InDay.Int64), monthStart(r.lo)); day < min(int(b.EndDay.Int64), monthStart(r.hi)); day++ {
					date := dateOf(day)
					h.nights[monthNumber(date)][date.Day()-1] += int32(b.Sign)
				}
			}
		}
		h.begin(a.zone)
	}
	return nil
}

// begin brings what was noted into days.
func (h *trendHangar) begin(zone zoneDays) {
	for i := range h.noted {
		h.noted[i].day = zone.day(h.noted[i].since)
	}
}

// offer returns what the hangar offered on a day: what it did at its end, and what it does today.
func (h *trendHangar) offer(day, today int) (spaces int64, published bool) {
	if day >= today || !h.noting {
		return h.spaces, h.published
	}
	for i := len(h.noted) - 1; i >= 0; i-- {
		if n := h.noted[i]; n.day <= day || i == 0 && n.initial {
			return n.spaces, n.published
		}
	}
	return 0, false // it was not there yet
}

// sell adds what was sold of what was offered: of a hangar that is not published as many spaces as
// are taken.
func (t *tally) sell(stays, spaces int64, published bool, length int64) {
	sold := min(stays, spaces)
	if published {
		t.offered += spaces * length
	} else {
		t.offered += sold * length
	}
	t.sold += sold * length
}

// sellNights adds the nights of days, up to today.
func (a *trendAnswer) sellNights(t *tally, from, to int) {
	for i := range a.hangars {
		h := &a.hangars[i]
		for day := from; day < min(to, a.today+1); {
			date := dateOf(day)
			nights := h.nights[monthNumber(date)]
			for d := date.Day() - 1; d < 31 && day < min(to, a.today+1); d, day = d+1, day+1 {
				if d > 27 && dateOf(day).Day() != d+1 { // of the next month
					break
				}
				if a.zone.exists(day) {
					spaces, published := h.offer(day, a.today)
					t.sell(int64(nights[d]), spaces, published, 1)
				}
			}
		}
	}
}

// trendEdge is an instant from which on there are so many stays.
type trendEdge struct {
	at    time.Time
	stays int64
}

// readStays reads when the stays of each hangar change.
func (a *trendAnswer) readStays() error {
	if len(a.partRanges) == 0 {
		return nil
	}
	var rows []struct {
		HangarID string        `db:"hangar_id"`
		Ins      pq.Int64Array `db:"ins"`
		Outs     pq.Int64Array `db:"outs"`
	}
	touched := make([]string, 0, len(a.touched))
	for _, b := range a.touched {
		touched = append(touched, b.BookingID)
	}
	if err := a.selecting(&rows, a.source.stays, append(a.partArgs(), pq.Array(touched))...); err != nil {
		return err
	}
	edges := make(map[string][]trendEdge)
	add := func(hangarID string, in, out time.Time) {
		edges[hangarID] = append(edges[hangarID], trendEdge{a.instant(a.shape.checkIn, in), 1}, trendEdge{a.instant(a.shape.checkIn, out), -1})
	}
	for _, row := range rows {
		for i, in := range row.Ins {
			add(row.HangarID, time.UnixMicro(in).UTC(), time.UnixMicro(row.Outs[i]).UTC())
		}
	}
	for _, b := range a.touched {
		if b.Sign > 0 && b.InDay.Valid {
			add(b.HangarID, b.StayIn.Time, b.StayOut.Time)
		}
	}
	for i := range a.hangars {
		h := &a.hangars[i]
		h.begin(a.zone)
		h.edges = edges[h.id]
		slices.SortFunc(h.edges, func(a, b trendEdge) int { return a.at.Compare(b.at) })
		stays := int64(0)
		for i := range h.edges {
			stays += h.edges[i].stays
			h.edges[i].stays = stays
		}
	}
	return nil
}

// sellTime adds the time of a day from an instant up to another.
func (a *trendAnswer) sellTime(t *tally, day int, from, to time.Time) {
	for i := range a.hangars {
		h := &a.hangars[i]
		spaces, published := h.offer(day, a.today)
		next, _ := slices.BinarySearchFunc(h.edges, from, func(e trendEdge, at time.Time) int { return cmp.Or(e.at.Compare(at), -1) })
		stays := int64(0)
		if next > 0 {
			stays = h.edges[next-1].stays
		}
		for at := from; at.Before(to); next++ {
			end := to
			if next < len(h.edges) && h.edges[next].at.Before(to) {
				end = h.edges[next].at
			}
			t.sell(stays, spaces, published, end.Sub(at).Milliseconds())
			if next < len(h.edges) {
				stays = h.edges[next].stays
			}
			at = end
		}
	}
}
