package demo

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jmoiron/sqlx"
)

const (
	// defaultInterval is the mean pause between two actions.
	defaultInterval = 2 * time.Second
	// stepTimeout bounds one action, waiting for locks included.
	stepTimeout = 10 * time.Second
	// firstBackoff and longestBackoff bound the pauses while the database is away.
	firstBackoff   = time.Second
	longestBackoff = 15 * time.Second
	// sleepLimit is the pause after which the simulator first gives every booking
	// the status that the time demands.
	sleepLimit = time.Hour
	// cleanEvery is after how many actions old rows are removed.
	cleanEvery = 200
)

// SimulatorOptions say how a Simulator lives; the zero value is usable.
type SimulatorOptions struct {
	Interval time.Duration    // mean pause between actions, of all owners together; default 2 s
	Now      func() time.Time // default time.Now
	Location *time.Location   // the zone in which guests live; default UTC
	Random   uint64           // seeds the choices
	Log      *slog.Logger     // default slog.Default()
}

// Simulator lets guests of the demo owners book, pay, arrive, fly out and leave, by
// ordinary transactions on the business tables. It takes the owners in turn, so that each
// sees something of every few actions. It never lets more aircraft into a hangar than
// there are spaces. It holds new bookings, occupancy and the number of rows near a steady
// state, however long and however fast it runs.
type Simulator struct {
	db       *sqlx.DB
	interval time.Duration
	now      func() time.Time
	log      *slog.Logger
	habits

	firstBackoff, longestBackoff time.Duration

	columns shape
	guests  []int64
	owners  []int64
	toAct   []int64 // owners still to act in this round
	steps   int
	last    time.Time // of the last action
}

// NewSimulator returns a Simulator for the seeded demo in db; Run starts it.
func NewSimulator(db *sqlx.DB, opts SimulatorOptions) *Simulator {
	s := &Simulator{
		db: db, interval: opts.Interval, now: opts.Now, log: opts.Log,
		habits:       habits{rand.New(rand.NewPCG(opts.Random, 0)), opts.Location},
		firstBackoff: firstBackoff, longestBackoff: longestBackoff,
	}
	if s.interval <= 0 {
		s.interval = defaultInterval
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.loc == nil {
		s.loc = time.UTC
	}
	return s
}

// Run acts until ctx ends, and then returns nil. While the database is away it
// waits, and goes on when it is back.
func (s *Simulator) Run(ctx context.Context) error {
	timer := time.NewTimer(s.pause())
	defer timer.Stop()
	var backoff time.Duration // 0 while all is well
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		action, err := s.step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && backoff == 0:
			s.log.Warn("simulator paused: the database does not answer as it should", "error", err)
			backoff = s.firstBackoff
		case err != nil:
			backoff = min(2*backoff, s.longestBackoff)
		case backoff > 0:
			s.log.Info("simulator resumed")
			backoff = 0
		default:
			s.log.Debug("simulator acted", "action", action)
		}
		timer.Reset(max(backoff, s.pause()))
	}
}

// pause draws a pause around the interval.
func (s *Simulator) pause() time.Duration {
	return time.Duration((.5 + s.Float64()) * float64(s.interval))
}

// step does one thing for the owner whose turn it is, in one transaction, and returns what.
func (s *Simulator) step(ctx context.Context) (action string, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	defer func() {
		if err != nil {
			s.owners = nil // look again: the database may have come back as another
		}
	}()
	if err := s.prepare(ctx); err != nil {
		return "", err
	}
	now := s.now().In(s.loc).Truncate(time.Second)
	tx, err := begin(ctx, s.db)
	if err != nil {
		return "", fmt.Errorf("begin action: %w", err)
	}
	defer tx.Rollback()
	if now.Sub(s.last) > sleepLimit {
		if err := advance(ctx, tx, s.columns, now); err != nil {
			return "", err
		}
	}
	if s.steps%cleanEvery == cleanEvery-1 {
		if err := s.clean(ctx, tx, now); err != nil {
			return "", err
		}
	}
	b, err := loadBusiness(ctx, tx, s.columns, s.nextOwner(), now)
	if err != nil {
		return "", err
	}
	action, err = s.act(ctx, tx, b)
	if err != nil {
		return "", fmt.Errorf("%s for owner %d: %w", action, b.ownerID, err)
	}
	if err := tx.Commit(); err != nil {
		return "", fmt.Errorf("commit %s for owner %d: %w", action, b.ownerID, err)
	}
	s.last = now
	s.steps++
	return action, nil
}

// prepare learns what does not change while the simulator runs.
func (s *Simulator) prepare(ctx context.Context) (err error) {
	if len(s.owners) > 0 {
		return nil
	}
	if s.columns, err = inspect(ctx, s.db); err != nil {
		return err
	}
	if s.guests, err = loadGuests(ctx, s.db); err != nil {
		return err
	}
	hangars, err := loadHangars(ctx, s.db, s.columns)
	if err != nil {
		return err
	}
	if len(hangars) == 0 {
		return fmt.Errorf("list demo hangars: there are none")
	}
	s.toAct = nil
	for _, owned := range hangars {
		s.owners = append(s.owners, owned[0].ownerID)
	}
	return nil
}

// nextOwner returns whose turn it is: everybody's once in a round, in an order that changes.
func (s *Simulator) nextOwner() int64 {
	if len(s.toAct) == 0 {
		s.toAct = append(s.toAct, s.owners...)
		s.Shuffle(len(s.toAct), func(i, j int) { s.toAct[i], s.toAct[j] = s.toAct[j], s.toAct[i] })
	}
	owner := s.toAct[0]
	s.toAct = s.toAct[1:]
	return owner
}

const (
	// cancelledByDay and cancelledByNight are how many cancelled bookings are kept. Removing one is
	// an event that owners see, so most are removed at night.
	cancelledByDay, cancelledByNight = 8000, 300
	// completedDays is for how long completed bookings are kept.
	completedDays = 400
	// cleanBatch bounds the rows removed at a time; it is more than arrive in the meantime.
	cleanBatch = 2 * cleanEvery
)

// clean removes old bookings.
func (s *Simulator) clean(ctx context.Context, tx *sqlx.Tx, now time.Time) error {
	keep := cancelledByDay
	if hour := now.Hour(); hour >= 2 && hour < 5 {
		keep = cancelledByNight
	}
	_, err := tx.ExecContext(ctx, `
		DELETE FROM bookings WHERE id IN (
			SELECT id FROM (SELECT id FROM bookings WHERE status = 'cancelled' AND hangar_id IN (`+demoHangars+`)
				ORDER BY updated_at DESC, id DESC OFFSET $1) c
			UNION ALL
			SELECT id FROM bookings WHERE status = 'completed' AND check_out < $2 AND hangar_id IN (`+demoHangars+`)
			LIMIT $3)`, keep, utc(now.AddDate(0, 0, -completedDays)), cleanBatch)
	if err != nil {
		return fmt.Errorf("remove old bookings: %w", err)
	}
	return nil
}
