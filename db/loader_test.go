package db_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// TestLoader has many ask while a query is under way: they share the next ones, and who has gone is
// not asked for.
func TestLoader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var asked []int
		gone := false
		loader := db.Loader[string, string]{Most: 40, Parallel: 1, Ask: func(_ context.Context, keys []string) (map[string]string, error) {
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, len(keys))
			answers := make(map[string]string)
			for _, key := range keys {
				gone = gone || key == "gone"
				answers[key] = strings.ToUpper(key)
			}
			return answers, nil
		}}
		var group sync.WaitGroup
		load := func(ctx context.Context, key string, want error) {
			group.Go(func() {
				if got, err := loader.Load(ctx, key); !errors.Is(err, want) || err == nil && got != strings.ToUpper(key) {
					t.Errorf("%s is answered by %q, %v; want %v", key, got, err, want)
				}
			})
		}
		load(t.Context(), "first", nil)
		synctest.Wait()
		leaving, leave := context.WithCancel(t.Context())
		load(leaving, "gone", context.Canceled)
		for n := range 50 {
			load(t.Context(), fmt.Sprint("k", n), nil)
			load(t.Context(), fmt.Sprint("k", n), nil)
		}
		synctest.Wait()
		leave()
		group.Wait()
		leaving, leave = context.WithCancel(t.Context())
		ended := make(chan error, 1)
		loader.Ask = func(ctx context.Context, _ []string) (map[string]string, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}
		load(leaving, "all go", context.Canceled)
		synctest.Wait()
		leave()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("a query that nobody waits for ends with %v", err)
		}
		group.Wait()
		if len(asked) != 3 || asked[0] != 1 || asked[1] != 40 || asked[2] != 10 || gone {
			t.Errorf("the queries asked for %v keys, want 1, 40 and 10; for one who had gone: %t", asked, gone)
		}
	})
}

// TestLoaderGathers has a thousand ask one after the other, a millisecond apart: those of ten
// milliseconds share a query, nobody waits for longer, and who asks in quiet times does not wait.
func TestLoaderGathers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		queries := 0
		loader := db.Loader[int, int]{Most: 500, Parallel: 2, Gather: 10 * time.Millisecond, Repeats: true, Ask: func(_ context.Context, keys []int) (map[int]int, error) {
			mu.Lock()
			defer mu.Unlock()
			queries++
			answers := make(map[int]int)
			for _, key := range keys {
				answers[key] = -key
			}
			return answers, nil
		}}
		load := func(key int, most time.Duration) {
			began := time.Now()
			answer, err := loader.Load(t.Context(), key)
			if took := time.Since(began); err != nil || answer != -key || took > most {
				t.Errorf("%d is answered by %d, %v after %v, want within %v", key, answer, err, took, most)
			}
		}
		load(-1, 0)
		load(-1, 0) // one client who goes on
		load(-1, 0)
		load(-2, 10*time.Millisecond)
		time.Sleep(time.Second)
		load(-2, 0)
		time.Sleep(time.Second)
		var group sync.WaitGroup
		for key := range 1000 {
			group.Go(func() { load(key, 10*time.Millisecond) })
			time.Sleep(time.Millisecond)
		}
		group.Wait()
		if queries > 5+101 {
			t.Errorf("%d queries for 1005 questions", queries)
		}
	})
}
