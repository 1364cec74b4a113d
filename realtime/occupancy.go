package realtime

import (
	"container/heap"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// horizon is how far ahead check-ins and check-outs are held in memory, and
	// readAheadEvery how often more are read.
	horizon        = 26 * time.Hour
	readAheadEvery = 24 * time.Hour
	// reconcilePauseShare is how many times as long as it worked the occupancy rests, up to
	// reconcileMaxPause: hangars with very many stays, in a rush of bookings, cost a tenth of a
	// connection and not all of it.
	reconcilePauseShare = 9
	reconcileMaxPause   = time.Second
	// reconcileRetry is the pause after a reconciliation that did not succeed.
	reconcileRetry = time.Second
	// clockCheck bounds a wait for the clock, so that a machine's corrected clock is noticed.
	clockCheck = time.Minute
)

// Hangars reconciles which hangars are occupied and knows when that may change.
type Hangars interface {
	Reconcile(ctx context.Context, now time.Time, hangars, reached []string) (logged int, err error)
	Transitions(ctx context.Context, from, until time.Time) ([]db.Transition, error)
	// Baselined reports whether all hangars were ever reconciled.
	Baselined(ctx context.Context) (bool, error)
}

// Occupancy has hangars reconciled when a row changed something about them and when an
// hour of check-in or check-out comes. It works on the one server that numbers the log,
// between Start and Stop.
type Occupancy struct {
	hangars Hangars
	clock   Clock
	log     *slog.Logger
	ring    func() // tells the feed that the log has grown
	notes   chan struct{}
	first   firstLook // at all hangars

	mu      sync.Mutex // guards what follows
	active  bool
	full    bool // reconcile all hangars and read what is coming
	changed map[string]struct{}
	coming  boundaries
	readTo  time.Time // what is coming was read up to here
	asked   uint64    // how often it had to be read anew
}

// NewOccupancy returns a Occupancy at rest; ring is called after it has logged something.
func NewOccupancy(hangars Hangars, clock Clock, ring func(), log *slog.Logger) *Occupancy {
	return &Occupancy{hangars: hangars, clock: clock, ring: ring, log: log,
		notes: make(chan struct{}, 1), changed: make(map[string]struct{})}
}

// Start makes this server the one that reconciles, beginning with all hangars: hours may
// have passed unseen.
func (t *Occupancy) Start() {
	t.mu.Lock()
	t.active, t.full, t.coming = true, true, nil
	t.readAgain()
	t.mu.Unlock()
	signal(t.notes)
}

// Stop says that another server reconciles from now on.
func (t *Occupancy) Stop() {
	t.mu.Lock()
	t.active = false
	clear(t.changed)
	t.mu.Unlock()
}

// Changed says that something about a hangar changed, and when the stay that changed
// begins and ends, if it is one.
func (t *Occupancy) Changed(hangarID string, moments ...time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.active || hangarID == "" {
		return
	}
	t.changed[hangarID] = struct{}{}
	now := t.clock.Now()
	for _, at := range moments {
		if at.After(now) && at.Before(now.Add(horizon)) {
			heap.Push(&t.coming, db.Transition{HangarID: hangarID, At: at})
		}
	}
	signal(t.notes)
}

// ChangedAll says that anything about any hangar may have changed.
func (t *Occupancy) ChangedAll() {
	t.mu.Lock()
	t.full = true
	t.readAgain()
	t.mu.Unlock()
	signal(t.notes)
}

// readAgain has what is coming read anew, also where that is being read just now.
func (t *Occupancy) readAgain() {
	t.readTo = time.Time{}
	t.asked++
}

// Ready reports whether it is told when a hangar turns. What was occupied before the first
// reconciliation of an installation is told to nobody, so that the server which makes it is ready
// only then.
func (t *Occupancy) Ready() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.active || t.first.made.Load()
}

// Run reconciles until ctx ends.
func (t *Occupancy) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		began := t.clock.Now()
		wait, err := t.step(ctx)
		if err != nil && ctx.Err() == nil {
			t.log.Warn("occupancy could not be reconciled; trying again", "error", err)
			wait = reconcileRetry
		}
		if rest := min(reconcilePauseShare*t.clock.Now().Sub(began), reconcileMaxPause); rest > 0 {
			select {
			case <-ctx.Done():
			case <-t.clock.After(rest):
			}
		}
		select {
		case <-ctx.Done():
		case <-t.notes:
		case <-t.clock.After(wait):
		}
	}
	return nil
}

// step does what is due and returns how long nothing else will be, unless a change is noted.
func (t *Occupancy) step(ctx context.Context) (wait time.Duration, err error) {
	t.mu.Lock()
	active := t.active
	t.mu.Unlock()
	t.first.ask(ctx, t.hangars.Baselined)
	if !active {
		return clockCheck, nil
	}
	wait, err = t.reconcile(ctx)
	t.first.tried(err)
	return wait, err
}

// reconcile reads what is coming, if it is time, and has reconciled what is due.
func (t *Occupancy) reconcile(ctx context.Context) (wait time.Duration, err error) {
	now := t.clock.Now()
	t.mu.Lock()
	read := !t.readTo.After(now.Add(horizon - readAheadEvery))
	t.mu.Unlock()
	if read {
		if err := t.readAhead(ctx, now); err != nil {
			return 0, err
		}
	}
	hangars, reached, full := t.popDue(now)
	if full || len(hangars) > 0 {
		logged, err := t.hangars.Reconcile(ctx, now, hangars, reached)
		if err != nil {
			t.giveBack(hangars, reached, full)
			return 0, err
		}
		if logged > 0 {
			t.ring()
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	wait = min(clockCheck, t.readTo.Add(readAheadEvery-horizon).Sub(now))
	if len(t.coming) > 0 {
		wait = min(wait, t.coming[0].At.Sub(now))
	}
	return max(wait, 0), nil
}

func (t *Occupancy) readAhead(ctx context.Context, now time.Time) error {
	until := now.Add(horizon)
	t.mu.Lock()
	asked := t.asked
	t.mu.Unlock()
	due, err := t.hangars.Transitions(ctx, now, until)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.coming = append(t.coming, due...)
	heap.Init(&t.coming)
	if t.asked == asked {
		t.readTo = until
	}
	return nil
}

// popDue removes and returns the hangars that changed and those whose hour has come; no hangars
// where all are due (full).
func (t *Occupancy) popDue(now time.Time) (hangars, reached []string, full bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	full, t.full = t.full, false
	due := make(map[string]struct{})
	for len(t.coming) > 0 && !t.coming[0].At.After(now) {
		due[heap.Pop(&t.coming).(db.Transition).HangarID] = struct{}{}
	}
	for id := range due {
		reached = append(reached, id)
		t.changed[id] = struct{}{}
	}
	for id := range t.changed {
		hangars = append(hangars, id)
	}
	clear(t.changed)
	if full {
		hangars = nil
	}
	return hangars, reached, full
}

// giveBack puts back what popDue removed, after an error.
func (t *Occupancy) giveBack(hangars, reached []string, full bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.full = t.full || full
	for _, id := range hangars {
		t.changed[id] = struct{}{}
	}
	for _, id := range reached {
		heap.Push(&t.coming, db.Transition{HangarID: id, At: t.clock.Now()})
	}
}

// boundaries is a heap of moments, the earliest first.
type boundaries []db.Transition

func (b boundaries) Len() int           { return len(b) }
func (b boundaries) Less(i, j int) bool { return b[i].At.Before(b[j].At) }
func (b boundaries) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b *boundaries) Push(x any)        { *b = append(*b, x.(db.Transition)) }
func (b *boundaries) Pop() any {
	old := *b
	last := old[len(old)-1]
	*b = old[:len(old)-1]
	return last
}
