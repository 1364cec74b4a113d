package eventlog

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/xid"
)

// TestPlan divides random transactions into batches: each is in exactly one, in the order of last
// insertions, none is too large but a single one, and what is still under way is in none.
func TestPlan(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		before, now, waiting := randomBacklog(rng)
		batches := plan(before, now, waiting)
		number := map[uint64]int{}
		rows, size := make([]int, len(batches)), make([]int, len(batches))
		last := before
		for i, b := range batches {
			parsed, err := xid.Parse(b.after.String())
			if err != nil {
				t.Fatalf("seed %d: batch %d: %v", seed, i, err)
			}
			if parsed.Upper < last.Upper {
				t.Fatalf("seed %d: batch %d ends at %d, the one before at %d", seed, i, parsed.Upper, last.Upper)
			}
			for xid := range now.Upper + 2 {
				switch {
				case last.Sees(xid) && !parsed.Sees(xid):
					t.Fatalf("seed %d: batch %d no longer sees %d", seed, i, xid)
				case parsed.Sees(xid) && !now.Sees(xid):
					t.Fatalf("seed %d: batch %d sees %d, which is under way", seed, i, xid)
				}
			}
			for _, w := range waiting {
				if parsed.Sees(w.xid) && !last.Sees(w.xid) {
					number[w.xid] = i
					rows[i] += w.rows
					size[i] += w.size
					if large := w.large(); large != (b.large == w.xid) {
						t.Fatalf("seed %d: transaction %d of %d rows, in a batch with large %d", seed, w.xid, w.rows, b.large)
					}
				}
			}
			if (rows[i] > wholeBatch || size[i] > wholeBytes) && b.large == 0 {
				t.Fatalf("seed %d: batch %d has %d rows", seed, i, rows[i])
			}
			last = parsed
		}
		if len(number) != len(waiting) {
			t.Fatalf("seed %d: %d of %d transactions are in batches", seed, len(number), len(waiting))
		}
		slices.SortFunc(waiting, func(a, b waitingTransaction) int { return int(a.txOrder - b.txOrder) })
		for i := 1; i < len(waiting); i++ {
			if number[waiting[i].xid] < number[waiting[i-1].xid] {
				t.Fatalf("seed %d: order %d is told after order %d", seed, waiting[i-1].txOrder, waiting[i].txOrder)
			}
		}
	}
}

// randomBacklog makes transactions of which some overlap with many, some are large, and some are
// under way before or now.
func randomBacklog(rng *rand.Rand) (before, now xid.Snapshot, waiting []waitingTransaction) {
	before.Upper = 10 + rng.Uint64N(5)
	for xid := uint64(3); xid < before.Upper; xid++ {
		if rng.IntN(3) == 0 {
			before.Open = append(before.Open, xid)
		}
	}
	now.Upper = before.Upper + 20 + rng.Uint64N(60)
	for xid := uint64(3); xid < now.Upper; xid++ {
		if before.Sees(xid) {
			continue
		}
		switch rng.IntN(8) {
		case 0:
			now.Open = append(now.Open, xid)
		case 1: // wrote nothing of ours
		case 2:
			waiting = append(waiting, waitingTransaction{xid, int64(xid)*100 + rng.Int64N(3000)*100 + int64(xid), 1 + rng.IntN(2*wholeBatch), rng.IntN(2 * wholeBytes)})
		default:
			waiting = append(waiting, waitingTransaction{xid, int64(xid)*10000 + rng.Int64N(30)*10000 + int64(xid), 1 + rng.IntN(2500), rng.IntN(wholeBytes / 4)})
		}
	}
	return before, now, waiting
}

// TestRangesBetween compares the ranges between two snapshots with what the snapshots
// see, one transaction at a time.
func TestRangesBetween(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		before, now, _ := randomBacklog(rand.New(rand.NewPCG(seed, 2)))
		but := []uint64{before.Upper + 3, 4}
		r := xid.Between(before, now, but...)
		for xid := range now.Upper + 2 {
			times := 0
			for i := range r.Lo {
				if xid >= r.Lo[i] && xid < r.Hi[i] {
					times++
				}
			}
			want := 0
			if now.Sees(xid) && !before.Sees(xid) && !slices.Contains(but, xid) {
				want = 1
			}
			if times != want {
				t.Fatalf("seed %d: transaction %d is in %d ranges, want %d", seed, xid, times, want)
			}
		}
	}
}
