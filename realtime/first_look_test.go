package realtime

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// fakeNotices is a log without an event, and a NotificationMaker of which only the cursor counts.
type fakeNotices struct {
	NotificationSource
	NotificationMaker

	mu     sync.Mutex
	cursor db.NotifierCursor
	fail   error         // of each question for the cursor
	takes  time.Duration // how long each takes
	asked  int
}

func (f *fakeNotices) Cursor(context.Context) (db.NotifierCursor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	cursor, fail := f.cursor, f.fail
	f.mu.Unlock()
	time.Sleep(f.takes)
	f.mu.Lock()
	return cursor, fail
}

func (f *fakeNotices) Begin(context.Context, db.NotifierCursor, string, int64, uint32, time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cursor.Begun = true
	return nil
}

func (*fakeNotices) State(context.Context) (eventlog.State, error) { return eventlog.State{}, nil }

func (*fakeNotices) Read(context.Context, eventlog.Cursor, func(eventlog.Piece) error) (bool, error) {
	return false, nil
}

func (*fakeNotices) Overbooked(context.Context, []string, time.Time) ([]db.Happening, []db.EndedGroup, error) {
	return nil, nil, errors.New("not asked here")
}

// dialTooLong is what a dial's time limit looks like.
func dialTooLong(t *testing.T) error {
	_, err := (&net.Dialer{Deadline: time.Unix(1, 0)}).Dial("tcp", "127.0.0.1:1")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a dial that took too long: %v", err)
	}
	return err
}

// TestReadyAfterTheFirstLook has a server make notifications, or take that over: it is ready once
// an installation's first cursor is set.
func TestReadyAfterTheFirstLook(t *testing.T) {
	t.Parallel()
	begun := db.NotifierCursor{Begun: true}
	for name, want := range map[string]struct {
		notices              *fakeNotices
		taken, atOnce, later bool
	}{
		"the first time":                  {&fakeNotices{takes: time.Second}, false, false, true},
		"later":                           {&fakeNotices{takes: time.Second, cursor: begun}, true, true, true},
		"without a database":              {&fakeNotices{fail: driver.ErrBadConn}, false, false, false},
		"where it is not dialled in time": {&fakeNotices{fail: dialTooLong(t)}, false, false, false},
		"where it is a refusal":           {&fakeNotices{fail: errors.New("refused")}, false, true, true},
		"where it takes longer":           {&fakeNotices{fail: &pq.Error{Code: "57014"}}, false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, logged := runNotifier(t, want.notices)
				time.Sleep(2 * clockCheck) // as a follower
				synctest.Wait()
				if !n.Ready() {
					t.Error("a server that makes none is not ready")
				}
				if logged.Len() > 0 {
					t.Errorf("a server that makes none logs %s", logged)
				}
				n.Start()
				taken := n.Ready()
				synctest.Wait()
				atOnce := n.Ready()
				time.Sleep(10 * time.Second)
				if later := n.Ready(); taken != want.taken || atOnce != want.atOnce || later != want.later {
					t.Errorf("ready when it takes over %t, after a try %t, then %t, want %t, %t, %t", taken, atOnce, later, want.taken, want.atOnce, want.later)
				}
			})
		})
	}
}

// TestFollowerAsksOnceForTheFirstLook has the database be away from a server that makes no
// notifications: it asks again, and no more once it knows.
func TestFollowerAsksOnceForTheFirstLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		notices := &fakeNotices{cursor: db.NotifierCursor{Begun: true}, fail: driver.ErrBadConn}
		n, _ := runNotifier(t, notices)
		synctest.Wait()
		notices.mu.Lock()
		notices.fail = nil
		notices.mu.Unlock()
		time.Sleep(10 * clockCheck)
		synctest.Wait()
		notices.mu.Lock()
		asked := notices.asked
		notices.takes = time.Second
		notices.mu.Unlock()
		if asked != 2 {
			t.Errorf("asked %d times, want once in vain and once more", asked)
		}
		n.Start()
		if !n.Ready() {
			t.Error("one that takes over is not ready")
		}
	})
}

// runNotifier runs a notifier of a log and returns it, and what it logs: complete once the bubble
// waits.
func runNotifier(t *testing.T, notices *fakeNotices) (*Notifier, *bytes.Buffer) {
	var logged bytes.Buffer
	n := &Notifier{Source: notices, Maker: notices, Location: time.UTC, Clock: SystemClock{}, Ring: func() {}, Log: slog.New(slog.NewTextHandler(&logged, nil))}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); n.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return n, &logged
}
