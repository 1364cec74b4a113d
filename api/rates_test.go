package api

import (
	"fmt"
	"testing"
	"time"
)

func TestPaces(t *testing.T) {
	t.Parallel()
	p := newRateLimits(60)
	now := time.Now()
	for i := range 60 {
		if wait := p.count("a", 0, now); wait != 0 {
			t.Fatalf("request %d of 60 must wait %s", i+1, wait)
		}
	}
	for range 3 { // refused requests take nothing
		if wait := p.count("a", 0, now); wait <= 0 || wait > time.Second {
			t.Errorf("the next must wait %s, want up to 1s", wait)
		}
	}
	if wait := p.count("b", 0, now); wait != 0 {
		t.Errorf("another must wait %s", wait)
	}
	if wait := p.count("a", 0, now.Add(time.Second)); wait != 0 {
		t.Errorf("a second later it must wait %s", wait)
	}
	if wait := newRateLimits(0).count("a", 0, now); wait != 0 {
		t.Errorf("without a limit it must wait %s", wait)
	}
}

func TestPacesAreBounded(t *testing.T) {
	t.Parallel()
	p := newRateLimits(60)
	now := time.Now()
	for i := range 2 * maxBuckets {
		p.count(fmt.Sprint(i), 0, now)
	}
	if n := p.seen.Len(); n != maxBuckets {
		t.Errorf("%d keys are kept, want %d", n, maxBuckets)
	}
	later := now.Add(time.Hour)
	for range maxBuckets {
		p.count("one", 0, later)
	}
	if n := p.seen.Len(); n != 1 {
		t.Errorf("%d keys are kept of those who are silent for an hour and one, want 1", n)
	}
}

// TestPacesOverServers has three servers count the requests of one key, which a balancer spreads
// over them, and tell each other once a second: all together take what one of them may.
func TestPacesOverServers(t *testing.T) {
	t.Parallel()
	const perMinute, servers = 600, 3
	var all []*rateLimits
	told := make([]map[string]int, servers)
	for range servers {
		all = append(all, newRateLimits(perMinute))
	}
	elsewhere := func(but int) (sum int) {
		for i, counts := range told {
			if i != but {
				sum += counts["of a"]
			}
		}
		return sum
	}
	begun := time.Now()
	var taken []int // in each second
	for second := range 180 {
		now := begun.Add(time.Duration(second) * time.Second)
		count := 0
		for i, p := range all {
			for range 100 { // far more than may be
				if p.count("a", elsewhere(i), now) == 0 {
					count++
				}
			}
		}
		for i, p := range all {
			told[i] = map[string]int{}
			p.share(told[i], "of ", servers, now)
		}
		taken = append(taken, count)
	}
	for from := 0; from+60 <= len(taken); from += 30 {
		sum := 0
		for _, count := range taken[from : from+60] {
			sum += count
		}
		// What comes within the second that counts need is more, once; and a minute is an estimate.
		if sum > perMinute*3/2 || sum < perMinute/3 {
			t.Errorf("from second %d on %d requests of a minute are taken, where %d may be", from, sum, perMinute)
		}
	}
	if wait := all[0].count("b", 0, begun.Add(3*time.Minute)); wait != 0 {
		t.Errorf("another key must wait %s", wait)
	}
	// Nobody is told of who is quiet, and who was busy is forgotten.
	for i, p := range all {
		shared := map[string]int{}
		if p.share(shared, "of ", servers, begun.Add(time.Hour)); len(shared)+len(p.busy) != 0 {
			t.Errorf("server %d tells %v an hour later", i, shared)
		}
	}
}
