package realtime

import (
	"context"
	"errors"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// tailEvents is how many events of before its start a server keeps in memory at most: clients that
// come back after a restart resume from there.
const tailEvents = busCapacity / 2

// readTail reads the end of the log, once, up to where it ends by then. What is too much, or cannot
// be told from memory, is left to the log.
func readTail(ctx context.Context, source Batches, enc Encoder, state eventlog.State) (tail Tail, end eventlog.Cursor, err error) {
	end, err = source.Tail(ctx, state)
	tail.After = end.Batch
	for more := true; more && err == nil; {
		more, err = source.Read(ctx, end, func(p eventlog.Piece) error {
			tail.add(enc, p)
			end = p.End
			return nil
		})
	}
	if errors.Is(err, eventlog.ErrHistoryGone) || errors.Is(err, eventlog.ErrRolledBack) || end.ID != 0 {
		return Tail{After: state.Head}, state.Cursor(), nil // it is found out when the log is read
	}
	return tail, end, err
}

// add adds a piece of the log. Changes that were lost, and large transactions, which their owners
// read for themselves, have the tail begin after them.
func (t *Tail) add(enc Encoder, p eventlog.Piece) {
	lost := p.Large != nil
	for _, c := range p.Changes {
		switch row := enc.Decode(c); row.Meaning {
		case Message:
			t.Events = append(t.Events, row.Event)
		case Lost:
			lost = true
		}
	}
	if lost {
		t.After, t.Events = p.End.Batch, nil
		return
	}
	if n := len(t.Events) - tailEvents; n > 0 {
		t.After = t.Events[n-1].Position.Batch
		for n < len(t.Events) && t.Events[n].Position.Batch == t.After {
			n++
		}
		t.Events = t.Events[n:]
	}
}
