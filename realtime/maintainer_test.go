package realtime

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// upkeep is what both maintainers keep; it counts how often it is looked at.
type upkeep struct {
	looks atomic.Int64
	fresh atomic.Int64 // rows of the log that each look finds
}

func (u *upkeep) Apply(context.Context) (db.Lag, error) {
	u.looks.Add(1)
	return db.Lag{Valid: true, Fresh: int(u.fresh.Load())}, nil
}
func (u *upkeep) Build(context.Context, time.Time) (bool, error)    { return false, nil }
func (u *upkeep) Prune(context.Context, time.Time) error            { return nil }
func (u *upkeep) Next(context.Context, string) (string, error)      { return "", nil }
func (u *upkeep) Invalidate(context.Context, string) error          { return nil }
func (u *upkeep) LeftOut(context.Context) (map[string]int64, error) { return nil, nil }
func (u *upkeep) Compare(context.Context, string, time.Time) (bool, *db.Difference, error) {
	return true, nil, nil
}

// sums is upkeep as a TrendKeeper.
type sums struct{ upkeep }

func (s *sums) Check(context.Context, string) (int64, error) { return 0, nil }
func (s *sums) Invalidate(context.Context) error             { return nil }

// TestFollowersRest has servers keep what is derived from the log: the one that numbers it each
// second, another one seldom, unless it finds much to do, and at once when it numbers.
func TestFollowersRest(t *testing.T) {
	t.Parallel()
	ways := map[string]func(ctx context.Context, leading func() bool) *upkeep{
		"projection": func(ctx context.Context, leading func() bool) *upkeep {
			kept := &upkeep{}
			go (&ProjectionMaintainer{Projection: kept, Clock: SystemClock{}, Leading: leading, Log: quiet}).Run(ctx)
			return kept
		},
		"trends": func(ctx context.Context, leading func() bool) *upkeep {
			kept := &sums{}
			go (&TrendMaintainer{Keeper: kept, Clock: SystemClock{}, Leading: leading, Log: quiet}).Run(ctx)
			return &kept.upkeep
		},
	}
	for name, begin := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var leads atomic.Bool
				kept := begin(ctx, leads.Load)
				looks := func(why string, during time.Duration, least, most int64) {
					t.Helper()
					before := kept.looks.Load()
					time.Sleep(during)
					synctest.Wait()
					if n := kept.looks.Load() - before; n < least || n > most {
						t.Errorf("%s: %d looks, want %d to %d", why, n, least, most)
					}
				}
				looks("at the start", 100*time.Millisecond, 1, 1)
				looks("two minutes of another server's", 2*time.Minute, 3, 4)
				leads.Store(true)
				looks("the second in which it numbers", applyPause, 1, 1)
				looks("a minute of its own", time.Minute, 59, 61)
				leads.Store(false)
				kept.fresh.Store(busyRows)
				looks("a minute of another server's that does nothing", time.Minute, 290, 601)
			})
		})
	}
}
