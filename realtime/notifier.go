package realtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

const (
	// notifierRetry is the pause after making notifications did not succeed.
	notifierRetry = time.Second
	// notifierKeep is after what time a cursor is kept that moved over rows of which nothing was
	// made.
	notifierKeep = time.Second
	// offeredPieces is how many pieces of the log wait in memory to be made notifications of. What
	// is more is read from the log.
	offeredPieces = 256
	// notifierStep is how many rows of the log are made notifications of in one transaction, at
	// least: whole pieces are taken.
	notifierStep = 2000
	// nightsPause is the least time between two counts of nights: a rush of bookings becomes one.
	nightsPause = 500 * time.Millisecond
	// movedPause is how often all that was told of single bookings is looked at again: some
	// changes are in no row of the log. maxMoved is how many bookings that changed are looked at by
	// name: of more, all that was told is looked at.
	movedPause = 10 * time.Minute
	maxMoved   = 1000
	// rulePause is how often what time alone brings is looked for.
	rulePause = 30 * time.Second
	// latest is how late that may be and still be told: what came due earlier is dropped.
	latest = 12 * time.Hour
)

// NotificationSource is the log, as notifications are made of it.
type NotificationSource interface {
	State(ctx context.Context) (eventlog.State, error)
	Read(ctx context.Context, after eventlog.Cursor, each func(eventlog.Piece) error) (more bool, err error)
	// Oldest returns a position before the oldest event that the log still holds.
	Oldest(ctx context.Context) (eventlog.Position, error)
	LargeRows(ctx context.Context, large *eventlog.Large, types []string, each func([]eventlog.Change) error) error
}

// NotificationMaker keeps notifications, and how far they were made.
type NotificationMaker interface {
	Cursor(ctx context.Context) (db.NotifierCursor, error)
	Begin(ctx context.Context, was db.NotifierCursor, epoch string, batch int64, mark uint32, now time.Time) error
	Follow(ctx context.Context, was db.NotifierCursor, epoch string) error
	Make(ctx context.Context, was, now db.NotifierCursor, happened []db.Happening, ended []db.EndedGroup) (db.Made, error)
	NotificationRules
}

// NotificationRules find what an account is to be told of that no single row of the log says.
type NotificationRules interface {
	// Due returns what came due after from and up to now.
	Due(ctx context.Context, from, now time.Time) ([]db.Happening, []db.EndedGroup, error)
	// Overbooked looks for nights on which hangars have more stays than spaces; of all hangars
	// where hangars is nil.
	Overbooked(ctx context.Context, hangars []string, now time.Time) ([]db.Happening, []db.EndedGroup, error)
	// Moved looks again at bookings that changed, with all at every one of which something stands
	// told: that may be over, or be told anew. Time was looked at up to ran.
	Moved(ctx context.Context, bookings []string, all bool, ran, now time.Time) ([]db.Happening, []db.EndedGroup, error)
	// Payouts returns the payouts that were sent of some bookings, and ends what was told some
	// accounts of payouts that were taken back.
	Payouts(ctx context.Context, bookings, ownerIDs []string) ([]db.Happening, []db.EndedGroup, error)
	// Managers returns the users who are owners of accounts, by account.
	Managers(ctx context.Context, ownerIDs []string) (map[string][]string, error)
	// Invitations returns the open invitations that their users were not told of, and ends those
	// that are closed.
	Invitations(ctx context.Context) ([]db.Happening, []db.EndedGroup, error)
	// Home returns the account in which a user finds what is theirs alone, "" where they have none.
	Home(ctx context.Context, userID string) (ownerID string, err error)
	// Prune removes notifications that are too old or too many, a step at a time.
	Prune(ctx context.Context) (more bool, err error)
}

// Notifier makes notifications of the numbered log and of time. It works on the one server that
// numbers the log, between Start and Stop. What it makes and how far it came are one transaction,
// so that nothing is lost or doubled wherever it ends, and another server may go on at any time.
type Notifier struct {
	Source   NotificationSource
	Maker    NotificationMaker
	Location *time.Location
	Clock    Clock
	// Ring tells the feed that the log has grown.
	Ring func()
	Log  *slog.Logger

	notes chan struct{}
	once  sync.Once
	first firstLook // there is a cursor

	mu      sync.Mutex // guards what follows
	active  bool
	fresh   bool // the cursor is to be read again
	offered []eventlog.Piece

	stored  db.NotifierCursor // as it is kept
	at      eventlog.Cursor   // how far the log was read
	keptAt  time.Time
	nights  time.Time // when nights were counted
	checked time.Time // when what time brings was checked
	tidied  time.Time
	retryAt time.Time           // when these questions are asked again, after an error
	dirty   map[string]struct{} // hangars whose nights are to be counted
	all     bool                // those of all hangars are
	moved   map[string]struct{} // bookings to look at again
	movedAt time.Time           // when all of them were looked at
	invited bool                // invitations are to be looked at
	failing bool

	made, counted, ended, missed atomic.Int64
	head                         atomic.Int64
	behind                       atomic.Int64 // batches that wait
}

func (n *Notifier) init() {
	n.once.Do(func() {
		n.notes, n.dirty, n.moved = make(chan struct{}, 1), make(map[string]struct{}), make(map[string]struct{})
	})
}

// Start makes this server the one that makes notifications. It goes on where the last one ended.
func (n *Notifier) Start() {
	n.init()
	n.mu.Lock()
	n.active, n.fresh, n.offered = true, true, nil
	n.head.Store(0) // the log is to be read first
	n.mu.Unlock()
	signal(n.notes)
}

// Stop says that another server makes them from now on.
func (n *Notifier) Stop() {
	n.init()
	n.mu.Lock()
	n.active, n.offered = false, nil
	n.mu.Unlock()
}

// Ready reports whether what happens from now on is told. An installation's first cursor is where
// the log ends when it is set: what was before that is told to nobody, so that the server which
// sets it is ready only then.
func (n *Notifier) Ready() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.active || n.first.made.Load()
}

// Offer tells of a piece of the log that was numbered just now. It does not block.
func (n *Notifier) Offer(p eventlog.Piece) {
	n.init()
	n.mu.Lock()
	if !n.active {
		n.mu.Unlock()
		return
	}
	if len(n.offered) < offeredPieces {
		n.offered = append(n.offered, p)
	}
	n.head.Store(p.End.Batch)
	n.mu.Unlock()
	signal(n.notes)
}

// Collect implements stats.Collector.
func (n *Notifier) Collect() []stats.Stat {
	return []stats.Stat{
		stats.Counter("hangarshare_notifications_made_total", "Notifications that this server made.", n.made.Load()),
		stats.Counter("hangarshare_notifications_counted_total", "Times that something was counted into an unread notification.", n.counted.Load()),
		stats.Gauge("hangarshare_notifications_waiting", "Batches of the log of which notifications are still to be made, on the server that makes them.", float64(n.behind.Load())),
		stats.Counter("hangarshare_notifications_gaps_total", "Times that the log lost a part before notifications were made of it.", n.missed.Load()),
	}
}

// Detail says what operators should know: that the log lost a part before notifications were made
// of it. Empty where there is nothing to say.
func (n *Notifier) Detail() string {
	gaps := n.missed.Load()
	if gaps == 0 {
		return ""
	}
	return fmt.Sprintf("%d times the log was cut off before notifications were made of it: raise EVENT_RETENTION", gaps)
}

// Run makes notifications until ctx ends.
func (n *Notifier) Run(ctx context.Context) error {
	n.init()
	for ctx.Err() == nil {
		wait, err := n.step(ctx)
		switch {
		case err == nil:
			n.failing = false
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, db.ErrCursorMoved): // by another, or a commit whose answer was lost
			n.reload()
			wait = 0
		default:
			if !n.failing {
				n.Log.Warn("notifications could not be made; trying again", "error", err)
			}
			n.failing = true
			n.reload()
			wait = notifierRetry
			select { // whatever is offered meanwhile
			case <-ctx.Done():
			case <-n.Clock.After(wait):
			}
			wait = 0
		}
		select {
		case <-ctx.Done():
		case <-n.notes:
		case <-n.Clock.After(wait):
		}
	}
	return nil
}

func (n *Notifier) reload() {
	n.mu.Lock()
	n.fresh = true
	n.mu.Unlock()
}

// step does what is due and returns how long nothing else will be.
func (n *Notifier) step(ctx context.Context) (wait time.Duration, err error) {
	n.mu.Lock()
	active, fresh := n.active, n.fresh
	n.mu.Unlock()
	n.first.ask(ctx, n.begun)
	if !active {
		n.behind.Store(0)
		return clockCheck, nil
	}
	if fresh {
		err := n.load(ctx)
		n.first.tried(err)
		n.mu.Lock()
		n.fresh = err != nil
		n.mu.Unlock()
		if err != nil {
			return 0, err
		}
	}
	more, err := n.follow(ctx)
	if err != nil {
		return 0, err
	}
	n.behind.Store(max(0, n.head.Load()-n.at.Batch))
	if more {
		return 0, nil
	}
	if pause := n.retryAt.Sub(n.Clock.Now()); pause > 0 && pause <= rulePause {
		return min(pause, notifierKeep), nil
	}
	if err := n.evaluate(ctx); err != nil {
		if errors.Is(err, db.ErrCursorMoved) || ctx.Err() != nil {
			return 0, err
		}
		n.Log.Warn("what no row of the log says could not be looked for; trying again", "error", err)
		n.retryAt = n.Clock.Now().Add(rulePause) // these questions are the large ones
		return notifierKeep, nil
	}
	wait = max(0, n.checked.Add(rulePause).Sub(n.Clock.Now()))
	if n.at.Batch != n.stored.Batch {
		wait = min(wait, notifierKeep)
	}
	if n.all || len(n.dirty) > 0 || len(n.moved) > 0 {
		wait = min(wait, nightsPause)
	}
	return wait, nil
}

// begun reports whether there is a cursor.
func (n *Notifier) begun(ctx context.Context) (bool, error) {
	stored, err := n.Maker.Cursor(ctx)
	return stored.Begun, err
}

// load reads how far notifications were made, and begins where none were.
func (n *Notifier) load(ctx context.Context) error {
	stored, err := n.Maker.Cursor(ctx)
	if err != nil {
		return err
	}
	state, err := n.Source.State(ctx)
	if err != nil {
		return err
	}
	switch {
	case !stored.Begun: // what was before is not told
		err = n.Maker.Begin(ctx, stored, state.Epoch, state.Head, state.Mark, n.Clock.Now())
	case stored.Epoch != state.Epoch:
		err = n.Maker.Follow(ctx, stored, state.Epoch)
	}
	if err == nil {
		n.stored, err = n.Maker.Cursor(ctx)
	}
	n.at, n.keptAt = eventlog.Cursor{Batch: n.stored.Batch, Mark: n.stored.Mark}, time.Now()
	n.all, n.invited = true, true
	n.checked, n.movedAt = time.Time{}, time.Time{}
	return err
}

// follow makes notifications of what the log holds after the cursor, and reports whether there is
// more.
func (n *Notifier) follow(ctx context.Context) (more bool, err error) {
	reading := newReading(n.Location)
	end := n.at
	readPiece := func(p eventlog.Piece) error {
		reading.read(p.Changes)
		if p.Large != nil {
			if err := n.Source.LargeRows(ctx, p.Large, eventlog.BookingTypes, func(rows []eventlog.Change) error {
				reading.readLarge(rows)
				return nil
			}); err != nil {
				return err
			}
		}
		end = p.End
		return nil
	}
	offered, contiguous := n.nextOffered()
	for _, p := range offered {
		if err := readPiece(p); err != nil {
			return false, err
		}
	}
	if !contiguous || len(offered) == 0 && n.head.Load() == 0 {
		more, err = n.Source.Read(ctx, end, readPiece)
		if errors.Is(err, eventlog.ErrHistoryGone) || errors.Is(err, eventlog.ErrRolledBack) {
			return true, n.skip(ctx)
		}
		if err != nil {
			return false, err
		}
		if end.ID != 0 { // in the middle of a batch: its rest comes with the next read
			for end.ID != 0 && err == nil {
				_, err = n.Source.Read(ctx, end, readPiece)
			}
			if err != nil {
				return false, err
			}
			more = true
		}
	}
	return more, n.commit(ctx, reading, end)
}

// nextOffered returns the pieces that were offered and follow the cursor. contiguous is false where
// something lies between.
func (n *Notifier) nextOffered() (offered []eventlog.Piece, contiguous bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at, rows, i := n.at.Batch, 0, 0
	for ; i < len(n.offered) && rows < notifierStep; i++ {
		p := n.offered[i]
		if p.End.ID == 0 && p.End.Batch <= at {
			continue
		}
		if p.End.ID != 0 || p.End.Batch != at+1 {
			break
		}
		offered, at, rows = append(offered, p), p.End.Batch, rows+len(p.Changes)
	}
	switch {
	case rows >= notifierStep: // the rest the next time
		n.offered = n.offered[i:]
		signal(n.notes)
		return offered, true
	case i < len(n.offered): // a gap
		n.offered = nil
		return offered, false
	}
	n.offered = nil
	return offered, n.head.Load() <= at
}

// skip goes on where the log begins: what was before is lost.
func (n *Notifier) skip(ctx context.Context) error {
	state, err := n.Source.State(ctx)
	if err != nil {
		return err
	}
	oldest, err := n.Source.Oldest(ctx)
	if err != nil {
		return err
	}
	n.missed.Add(1)
	n.Log.Warn("the log was cut off before notifications were made of it: what happened in between is in no list", "batch", n.at.Batch, "oldest", oldest.Batch)
	if err := n.Maker.Begin(ctx, n.stored, state.Epoch, oldest.Batch, oldest.Mark, n.Clock.Now()); err != nil {
		return err
	}
	n.reload()
	return nil
}

// commit keeps what was read, and that it was.
func (n *Notifier) commit(ctx context.Context, r *reading, end eventlog.Cursor) error {
	happened, ended := r.happened, r.ended
	if len(r.payouts) > 0 {
		sent, back, err := n.Maker.Payouts(ctx, r.payouts, r.payees)
		if err != nil {
			return err
		}
		happened, ended = append(happened, sent...), append(ended, back...)
	}
	told, err := n.personal(ctx, r)
	if err != nil {
		return err
	}
	happened = append(happened, told...)
	for id := range r.hangars {
		n.dirty[id] = struct{}{}
	}
	for id := range r.moved {
		if len(n.moved) < maxMoved {
			n.moved[id] = struct{}{}
		}
	}
	if r.everything || len(n.moved) == maxMoved {
		n.movedAt = time.Time{}
	}
	n.all, n.invited = n.all || r.everything, n.invited || r.invited
	n.at = end
	if len(happened)+len(ended) == 0 && (n.at.Batch == n.stored.Batch || time.Since(n.keptAt) < notifierKeep) {
		return nil
	}
	return n.keep(ctx, n.stored.RanAt, happened, ended)
}

// keep writes notifications and the cursor.
func (n *Notifier) keep(ctx context.Context, ranAt time.Time, happened []db.Happening, ended []db.EndedGroup) error {
	now := n.stored
	now.Batch, now.Mark, now.RanAt = n.at.Batch, n.at.Mark, ranAt
	made, err := n.Maker.Make(ctx, n.stored, now, happened, ended)
	if err != nil {
		return err
	}
	n.stored, n.keptAt = now, time.Now()
	n.made.Add(int64(made.New))
	n.counted.Add(int64(made.Counted))
	n.ended.Add(int64(made.Ended))
	if made.New+made.Counted+made.Ended > 0 {
		n.Ring()
	}
	return nil
}

// personal returns what concerns single users.
func (n *Notifier) personal(ctx context.Context, r *reading) (happened []db.Happening, err error) {
	if len(r.members) > 0 {
		owners := make([]string, 0, len(r.members))
		for _, m := range r.members {
			owners = append(owners, m.OwnerID)
		}
		managers, err := n.Maker.Managers(ctx, owners)
		if err != nil {
			return nil, err
		}
		for _, m := range r.members {
			for _, userID := range managers[m.OwnerID] {
				one := m
				one.UserID = userID
				if one.DoneBy != userID {
					one.DoneBy = ""
				}
				happened = append(happened, one)
			}
		}
	}
	for _, s := range r.signIns {
		if s.OwnerID, err = n.Maker.Home(ctx, s.UserID); err != nil {
			return nil, err
		}
		if s.OwnerID != "" {
			happened = append(happened, s)
		}
	}
	return happened, nil
}

// evaluate makes what no row of the log says: hangars that have more stays than spaces,
// invitations, and what time brings.
func (n *Notifier) evaluate(ctx context.Context) error {
	now := n.Clock.Now()
	var happened []db.Happening
	var ended []db.EndedGroup
	counting := false
	add := func(h []db.Happening, e []db.EndedGroup, err error) error {
		happened, ended = append(happened, h...), append(ended, e...)
		return err
	}
	if since := now.Sub(n.nights); (n.all || len(n.dirty) > 0) && (since >= nightsPause || since < 0) {
		counting = true
		var hangars []string
		for id := range n.dirty {
			hangars = append(hangars, id)
		}
		if n.all {
			hangars = nil
		}
		if err := add(n.Maker.Overbooked(ctx, hangars, now)); err != nil {
			return err
		}
	}
	again := now.Sub(n.movedAt)
	all := again >= movedPause || again < 0
	moving := all || counting && len(n.moved) > 0 // each has a hangar whose nights are counted
	if moving {
		if err := add(n.Maker.Moved(ctx, slices.Collect(maps.Keys(n.moved)), all, n.stored.RanAt, now)); err != nil {
			return err
		}
	}
	if n.invited {
		if err := add(n.Maker.Invitations(ctx)); err != nil {
			return err
		}
	}
	ranAt := n.stored.RanAt
	if due := now.Sub(n.checked); due >= rulePause || due < 0 {
		if from := later(ranAt, now.Add(-latest)); from.Before(now) {
			if err := add(n.Maker.Due(ctx, from, now)); err != nil {
				return err
			}
			ranAt = now.Truncate(time.Microsecond) // as the database keeps it
		}
		n.checked = now
	}
	if len(happened)+len(ended) > 0 || !ranAt.Equal(n.stored.RanAt) {
		if err := n.keep(ctx, ranAt, happened, ended); err != nil {
			return err
		}
	}
	n.invited = false
	if moving {
		clear(n.moved)
	}
	if all {
		n.movedAt = now
	}
	if counting {
		n.all, n.nights = false, now
		clear(n.dirty)
	}
	return n.prune(ctx, now)
}

// prune removes a step of what is too old, once an hour.
func (n *Notifier) prune(ctx context.Context, now time.Time) error {
	if since := now.Sub(n.tidied); since < time.Hour && since >= 0 {
		return nil
	}
	more, err := n.Maker.Prune(ctx)
	if err == nil && !more {
		n.tidied = now
		n.invited = true // once an hour: who was invited may be a user by now
	}
	return err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
