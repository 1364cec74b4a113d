package handlers

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
)

func TestCoalescer(t *testing.T) {
	t.Parallel()

	t.Run("a thousand who ask at once cost two computations, and nobody gets an answer older than his question", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var c coalescer
			computed := 0 // one computation at a time
			release := make(chan struct{})
			compute := func() answer {
				computed++
				n := computed
				if n == 1 {
					<-release
				}
				return answer{position: fmt.Sprint(n)}
			}
			var group sync.WaitGroup
			group.Go(func() {
				if got := c.do("k", compute); got.position != "1" {
					t.Errorf("the first got %s", got.position)
				}
			})
			synctest.Wait() // the first computes
			for range 1000 {
				group.Go(func() {
					if got := c.do("k", compute); got.position != "2" {
						t.Errorf("who came during the first computation got %s", got.position)
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
		var c coalescer
		release := make(chan struct{})
		first := make(chan answer)
		go func() { first <- c.do("a", func() answer { <-release; return answer{position: "a"} }) }()
		if got := c.do("b", func() answer { return answer{position: "b"} }); got.position != "b" {
			t.Errorf("got %s", got.position)
		}
		close(release)
		<-first
	})

	t.Run("a computation that panics leaves nobody waiting", func(t *testing.T) {
		t.Parallel()
		var c coalescer
		func() {
			defer func() { recover() }()
			c.do("k", func() answer { panic("a mistake") })
		}()
		if got := c.do("k", func() answer { return answer{position: "2"} }); got.position != "2" {
			t.Errorf("got %s", got.position)
		}
	})
}
