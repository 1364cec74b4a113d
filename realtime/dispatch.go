package realtime

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/crash"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// publishChunk is how many events are published at once, so that who reads them can keep up.
const publishChunk = 512

// publish publishes a piece of the log, after which everything up to its end was told.
func (f *Feed) publish(ctx context.Context, p eventlog.Piece) error {
	for _, c := range p.Changes {
		f.dispatch(c)
	}
	f.flush()
	if f.leading && f.Notifier != nil {
		f.Notifier.Offer(p)
	}
	if p.Large != nil {
		if err := f.publishLarge(ctx, p.Large); err != nil {
			return err
		}
	}
	f.cursor = p.End
	if p.End.ID == 0 {
		f.Bus.Advance(p.End.Batch)
		if f.Exchange != nil {
			f.Exchange.head.Store(p.End.Batch)
		}
	}
	return nil
}

// publishLarge leaves a large transaction to those whom it concerns: their subscriptions are behind
// the memory now, and read it from the log, in pieces, while everybody else goes on. The bus
// advances first, so that owners who come to it meanwhile find themselves behind too.
func (f *Feed) publishLarge(ctx context.Context, large *eventlog.Large) error {
	f.Bus.Pass(large.Batch)
	concerned, err := f.Source.Concerned(ctx, large, f.Bus.Owners())
	if err != nil {
		return err
	}
	f.Bus.Behind(concerned, large.Batch)
	for _, id := range concerned {
		f.Metrics.Changed(id)
	}
	f.Occupancy.ChangedAll()
	for _, c := range large.Losses {
		f.dispatch(c)
	}
	f.aside.Go(func() { // a look at every row: nobody waits for it
		defer crash.Report("feed")
		if changes, err := f.Source.ChangesAccess(ctx, large); (changes || err != nil) && ctx.Err() == nil {
			f.Access("", "")
		}
	})
	return nil
}

// dispatch handles one change: what is a message becomes an event on the bus, and
// everything tells metrics and occupancy.
func (f *Feed) dispatch(c eventlog.Change) {
	if strings.HasPrefix(c.Type, ".") {
		f.readNote(c)
		return
	}
	row := f.Bus.Encoder().Decode(c)
	f.Measures.Numbered(c)
	switch row.Meaning {
	case Message:
		if c.Type != OccupancyChanged {
			f.noteHangar(row)
		}
		if f.pending = append(f.pending, row.Event); len(f.pending) >= publishChunk {
			f.flush()
		}
	case Changed:
		f.noteHangar(row)
		f.Metrics.Changed(c.OwnerID)
	case Access:
		f.Access(c.OwnerID, row.UserID)
	case Lost:
		f.publishGap(row)
	}
}

// readNote does what servers tell each other.
func (f *Feed) readNote(c eventlog.Change) {
	switch c.Type {
	case eventlog.TypeProbe:
		f.flush()
		f.Bus.Publish([]*Event{canary(c)})
		f.Measures.Published(c.At)
	case eventlog.TypeNote:
		var note db.NotificationNote
		if json.Unmarshal(c.Data, &note) == nil { // else of a newer version
			f.Notifications.Noted(note)
		}
	case eventlog.TypeDisconnect:
		var which eventlog.Disconnect
		if err := json.Unmarshal(c.Data, &which); err != nil || f.Disconnect == nil {
			return // of a newer version
		}
		f.Disconnect(which)
	}
}

// publishGap tells a loss to its owner, or to all.
func (f *Feed) publishGap(row Row) {
	f.flush()
	f.Bus.Gap(row.Position, row.OwnerID)
	if row.OwnerID != "" {
		f.Metrics.Changed(row.OwnerID)
	} else {
		f.Metrics.ChangedAll()
		f.Access("", "")
	}
	f.Occupancy.ChangedAll()
}

// flush publishes what is pending.
func (f *Feed) flush() {
	if len(f.pending) == 0 {
		return
	}
	f.Bus.Publish(f.pending)
	for _, e := range f.pending {
		f.Metrics.Changed(e.OwnerID)
	}
	f.pending = f.pending[:0]
}

// noteHangar tells the occupancy which hangar a change is about, and when its stay begins and ends.
func (f *Feed) noteHangar(row Row) {
	if !f.leading || row.HangarID == "" {
		return
	}
	var moments []time.Time
	for _, text := range []string{row.CheckIn, row.CheckOut} {
		if text == "" {
			continue
		}
		if at, err := db.ParseMoment(text, f.Location); err == nil {
			moments = append(moments, at)
		}
	}
	f.Occupancy.Changed(row.HangarID, moments...)
}
