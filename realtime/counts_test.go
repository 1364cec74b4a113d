package realtime

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// keptCounts are counts of two accounts, of which the second differs once, and the log of what
// compares them.
type keptCounts struct {
	mu      sync.Mutex // guards what follows
	asked   []string
	differs bool
	away    error
	log     bytes.Buffer
}

func (k *keptCounts) NextCounted(_ context.Context, after string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return map[string]string{"": "1", "1": "2", "2": ""}[after], k.away
}

func (k *keptCounts) Recount(_ context.Context, ownerID string) (found []db.CountDifference, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, ownerID)
	if k.differs && ownerID == "2" {
		k.differs = false
		found = []db.CountDifference{{Kind: db.KindUnpaid, Kept: 2, KeptUnread: 1, Counted: 1}}
	}
	return found, nil
}

func (k *keptCounts) Write(line []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.log.Write(line)
}

// told returns what was asked and logged.
func (k *keptCounts) told() (asked, log string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.Join(k.asked, " "), k.log.String()
}

// TestCountsAreCompared has the server that numbers compare one account after the other, tell what
// differed and count it; another server leaves it alone, and a database that is away is told once.
func TestCountsAreCompared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var leads atomic.Bool
		kept := &keptCounts{differs: true}
		m := &CountsMaintainer{Counts: kept, Leading: leads.Load, Log: slog.New(slog.NewTextHandler(kept, nil))}
		go m.Run(ctx)
		pass := func(pauses int) (asked, log string) {
			time.Sleep(time.Duration(pauses) * checkPause)
			synctest.Wait()
			return kept.told()
		}
		if asked, log := pass(5); asked+log != "" {
			t.Errorf("another server's were compared: %s %s", asked, log)
		}
		leads.Store(true)
		asked, log := pass(4)
		if asked != "1 2 1" || m.wrong.Load() != 1 || strings.Count(log, "\n") != 1 || !strings.Contains(log, "owner=2") || !strings.Contains(log, "unpaid: kept 2, 1 unread; counted 1, 0 unread") {
			t.Errorf("compared %s, wrong %d, told: %s", asked, m.wrong.Load(), log)
		}
		kept.mu.Lock()
		kept.away = errors.New("the database is away")
		kept.mu.Unlock()
		if _, log := pass(3); strings.Count(log, "is away") != 1 {
			t.Errorf("told: %s", log)
		}
	})
}
