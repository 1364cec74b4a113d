package handlers

import (
	"sync"
	"testing"
	"testing/synctest"
)

func TestFlightGroup(t *testing.T) {
	t.Parallel()

	t.Run("a thousand who ask at once cost two computations, and nobody gets an answer older than the question", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var c flightGroup[int]
			computed := 0 // one computation at a time
			release := make(chan struct{})
			compute := func() (int, error) {
				computed++
				n := computed
				if n == 1 {
					<-release
				}
				return n, nil
			}
			var group sync.WaitGroup
			group.Go(func() {
				if got, err := c.do("k", compute); got != 1 || err != nil {
					t.Errorf("the first got %d, %v", got, err)
				}
			})
			synctest.Wait() // the first computes
			for range 1000 {
				group.Go(func() {
					if got, err := c.do("k", compute); got != 2 || err != nil {
						t.Errorf("who came during the first computation got %d, %v", got, err)
					}
				})
			}
			synctest.Wait()
			close(release)
			group.Wait()
			if computed != 2 || len(c.calls) != 0 {
				t.Errorf("%d computations, %d calls left", computed, len(c.calls))
			}
		})
	})

	t.Run("different questions do not wait for each other", func(t *testing.T) {
		t.Parallel()
		var c flightGroup[int]
		release := make(chan struct{})
		first := make(chan struct{})
		go func() {
			defer close(first)
			c.do("a", func() (int, error) { <-release; return 1, nil })
		}()
		if got, err := c.do("b", func() (int, error) { return 2, nil }); got != 2 || err != nil {
			t.Errorf("got %d, %v", got, err)
		}
		close(release)
		<-first
	})

	t.Run("a computation that panics leaves nobody waiting", func(t *testing.T) {
		t.Parallel()
		var c flightGroup[int]
		func() {
			defer func() { recover() }()
			c.do("k", func() (int, error) { panic("a mistake") })
		}()
		if got, err := c.do("k", func() (int, error) { return 2, nil }); got != 2 || err != nil {
			t.Errorf("got %d, %v", got, err)
		}
	})
}
