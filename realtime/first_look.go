package realtime

import (
	"context"
	"sync/atomic"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// firstLook is whether an installation has looked at something for the first time, on whichever of
// its servers. What was before that is told to nobody, so that the server which looks is ready only
// then.
type firstLook struct{ made atomic.Bool }

// ask finds out whether it was made, unless that is known. Servers ask that do not look themselves,
// so that one that takes over is ready already. Where there is no answer the next step asks again.
func (f *firstLook) ask(ctx context.Context, made func(context.Context) (bool, error)) {
	if f.made.Load() {
		return
	}
	if done, err := made(ctx); err == nil && done {
		f.made.Store(true)
	}
}

// tried takes in how a look went. One counts as made that was refused or took too long: the next
// may as well, and no number waits for it. One that the database was not there for does not.
func (f *firstLook) tried(err error) {
	if !db.Unavailable(err) || db.TookTooLong(err) {
		f.made.Store(true)
	}
}
