package realtime

import (
	"context"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

const (
	// rushRounds is after how many rounds in a row, each with changes and the next notification
	// already there, writers are asked not to notify.
	rushRounds = 8
	// suppressedPause is the pause between two reads of the log while writers do not notify: it
	// lets a batch gather, and leaves the machine to the writers.
	suppressedPause = 5 * time.Millisecond
	// renewal is how often the suppression is renewed, which by itself does not hold for long.
	renewal = eventlog.SuppressFor / 4
	// linger is after how long without changes writers have to notify again.
	linger = 20 * time.Millisecond
	// firstPause and longestPause bound the pauses between two reads while transactions are open
	// that may have found notifications suppressed.
	firstPause   = 5 * time.Millisecond
	longestPause = 100 * time.Millisecond
)

// WakeUps are what writers send when they commit. Only the server that numbers the log may
// control them.
type WakeUps interface {
	Suppress(ctx context.Context) error
	Resume(ctx context.Context) error
	Quiesced(ctx context.Context) (bool, error)
}

// poller decides when the log is read next. Rare changes are notified. When they come so fast that
// the next notification is always there, writers are asked not to send any, and the log is polled.
// Afterwards it is polled until every transaction has ended that found notifications suppressed.
type poller struct {
	notifications WakeUps
	suppressed    bool
	suppressedAt  time.Time
	busyRounds    int       // rounds in a row
	news          time.Time // when there last were any
	draining      bool
	pause         time.Duration // of the watching
}

// begin starts when the log is numbered here: another server may have suppressed notifications.
func (w *poller) begin() {
	*w = poller{notifications: w.notifications, draining: true, pause: firstPause}
}

// reset forgets everything: the connection is gone, and what it held.
func (w *poller) reset() { *w = poller{notifications: w.notifications} }

// next returns how long to wait for a notification before the next read. news says that the last
// read found something, ringing that a notification arrived meanwhile.
func (w *poller) next(ctx context.Context, news, ringing bool) (time.Duration, error) {
	if w.suppressed {
		return w.nextSuppressed(ctx, news)
	}
	if !news || !ringing {
		w.busyRounds = 0
	} else if w.busyRounds++; w.busyRounds >= rushRounds {
		w.suppressed, w.news = true, time.Now()
		return suppressedPause, w.suppress(ctx)
	}
	if !w.draining {
		return feedPoll, nil
	}
	quiesced, err := w.notifications.Quiesced(ctx)
	if err != nil {
		return 0, err
	}
	if quiesced { // one more look: what ended just now is in it
		w.draining = false
		return 0, nil
	}
	w.pause = min(2*w.pause, longestPause)
	return w.pause, nil
}

func (w *poller) suppress(ctx context.Context) error {
	w.suppressedAt = time.Now()
	return w.notifications.Suppress(ctx)
}

func (w *poller) nextSuppressed(ctx context.Context, news bool) (time.Duration, error) {
	if news {
		w.news = time.Now()
	} else if time.Since(w.news) > linger {
		w.suppressed, w.busyRounds, w.draining, w.pause = false, 0, true, firstPause
		return 0, w.notifications.Resume(ctx)
	}
	if time.Since(w.suppressedAt) > renewal {
		return suppressedPause, w.suppress(ctx)
	}
	return suppressedPause, nil
}
