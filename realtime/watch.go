package realtime

import (
	"context"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// rushes is after how many rounds in a row that found news, with the doorbell already ringing again, it is muted.
	rushes = 8
	// mutedPause is the pause between two looks at the log while the doorbell is mute: it lets a batch gather, and leaves
	// the machine to the writers.
	mutedPause = 5 * time.Millisecond
	// renewal is how often the doorbell is muted anew, which by itself does not hold for long.
	renewal = db.AwakeFor / 4
	// linger is after how long without news writers have to ring again.
	linger = 20 * time.Millisecond
	// firstWatch and longestWatch bound the pauses between two looks while transactions are under way that may have found
	// the doorbell mute.
	firstWatch   = 5 * time.Millisecond
	longestWatch = 100 * time.Millisecond
)

// Doorbell is what writers ring. Only the server that numbers the log may touch it.
type Doorbell interface {
	Mute(ctx context.Context) error
	Unmute(ctx context.Context) error
	Settled(ctx context.Context) (bool, error)
}

// watch decides when the log is looked at next. Seldom news are rung; when they come so fast that it never stops ringing,
// the doorbell is muted, which spares the writers, and the log is looked at again and again. Afterwards it is watched until
// everybody has gone who found the doorbell mute and will therefore not ring.
type watch struct {
	bell      Doorbell
	muted     bool
	mutedAt   time.Time
	rushed    int       // rounds in a row
	news      time.Time // when there last were any
	unsettled bool
	pause     time.Duration // of the watching
}

// begin starts with the numbering: another server may have muted the doorbell until now.
func (w *watch) begin() { *w = watch{bell: w.bell, unsettled: true, pause: firstWatch} }

// reset forgets everything: the connection is gone, and what it held.
func (w *watch) reset() { *w = watch{bell: w.bell} }

// next returns how long to wait for the doorbell before the next look. news says that the last one found something, ringing
// that the doorbell rang meanwhile.
func (w *watch) next(ctx context.Context, news, ringing bool) (time.Duration, error) {
	if w.muted {
		return w.nextMuted(ctx, news)
	}
	if !news || !ringing {
		w.rushed = 0
	} else if w.rushed++; w.rushed >= rushes {
		w.muted, w.news = true, time.Now()
		return mutedPause, w.mute(ctx)
	}
	if !w.unsettled {
		return feedPoll, nil
	}
	settled, err := w.bell.Settled(ctx)
	if err != nil {
		return 0, err
	}
	if settled { // one more look: what ended just now is in it
		w.unsettled = false
		return 0, nil
	}
	w.pause = min(2*w.pause, longestWatch)
	return w.pause, nil
}

func (w *watch) mute(ctx context.Context) error {
	w.mutedAt = time.Now()
	return w.bell.Mute(ctx)
}

func (w *watch) nextMuted(ctx context.Context, news bool) (time.Duration, error) {
	if news {
		w.news = time.Now()
	} else if time.Since(w.news) > linger {
		w.muted, w.rushed, w.unsettled, w.pause = false, 0, true, firstWatch
		return 0, w.bell.Unmute(ctx)
	}
	if time.Since(w.mutedAt) > renewal {
		return mutedPause, w.mute(ctx)
	}
	return mutedPause, nil
}
