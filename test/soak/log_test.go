package soak

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// logContents is the log as its tables say it, ordered by rules written down here once more. A row
// belongs to the first batch whose snapshot sees its transaction. Within a batch come an owner's
// transactions by their last insertion, and their rows by insertion.
type logContents struct {
	epoch  realtime.Epoch
	events map[string][]logRow // by owner, in order
	rows   []logRow            // all, also those that no client is told of
}

// logRow is one row of the log.
type logRow struct {
	XID       uint64
	ID        int64
	OwnerID   string `db:"owner_id"`
	Type      string
	BookingID string `db:"booking_id"`
	HangarID  string `db:"hangar_id"`
	Occupied  bool

	position eventlog.Position
	text     string // the position as clients hold it
}

// batchSnapshot is the snapshot with which a batch ends (PostgreSQL manual, "pg_snapshot
// Components").
type batchSnapshot struct {
	number int64
	mark   uint32
	upper  uint64
	open   []uint64 // ascending
}

// sees reports whether a snapshot sees what a committed transaction did.
func (s batchSnapshot) sees(xid uint64) bool {
	_, open := slices.BinarySearch(s.open, xid)
	return xid < s.upper && !open
}

func readBatchSnapshot(number int64, text string) (batchSnapshot, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return batchSnapshot{}, fmt.Errorf("batch %d ends with the snapshot %q", number, text)
	}
	s := batchSnapshot{number: number}
	var err error
	if s.upper, err = strconv.ParseUint(parts[1], 10, 64); err != nil {
		return s, err
	}
	for _, xid := range strings.FieldsFunc(parts[2], func(r rune) bool { return r == ',' }) {
		open, err := strconv.ParseUint(xid, 10, 64)
		if err != nil {
			return s, err
		}
		s.open = append(s.open, open)
	}
	slices.Sort(s.open)
	return s, nil
}

// readLog reads the log. It returns an error while something committed has no batch yet.
func (s *soak) readLog(ctx context.Context) (*logContents, error) {
	var epoch string
	if err := s.portal.Pool.GetContext(ctx, &epoch, `SELECT epoch::text FROM realtime.installation`); err != nil {
		return nil, err
	}
	t := &logContents{epoch: realtime.NewEpoch(epoch), events: make(map[string][]logRow)}
	err := s.portal.Pool.SelectContext(ctx, &t.rows, `SELECT xid::text::bigint AS xid, id, coalesce(owner_id, '') AS owner_id, type,
		coalesce(CASE WHEN type <> 'changed' THEN data->>'bookingId' END, '') AS booking_id, coalesce(data->>'hangarId', '') AS hangar_id,
		coalesce(data->>'isNowOccupied', '') = 'true' AS occupied FROM realtime.events ORDER BY id`)
	if err != nil {
		return nil, err
	}
	var batches []struct {
		Number int64
		After  string
		Mark   uint32
	}
	if err := s.portal.Pool.SelectContext(ctx, &batches, `SELECT number, after::text AS after, mark FROM realtime.batches ORDER BY number`); err != nil {
		return nil, err
	}
	snapshots := make([]batchSnapshot, 0, len(batches))
	for _, b := range batches {
		snapshot, err := readBatchSnapshot(b.Number, b.After)
		if err != nil {
			return nil, err
		}
		snapshot.mark = b.Mark
		snapshots = append(snapshots, snapshot)
	}
	return t, t.order(snapshots)
}

// order gives every row its position.
func (t *logContents) order(snapshots []batchSnapshot) error {
	type group struct {
		ownerID string
		xid     uint64
	}
	last := make(map[group]int64)
	for _, row := range t.rows {
		last[group{row.OwnerID, row.XID}] = max(row.ID, last[group{row.OwnerID, row.XID}])
	}
	for i := range t.rows {
		row := &t.rows[i]
		// What one snapshot sees, all later ones do.
		at := sort.Search(len(snapshots), func(i int) bool { return snapshots[i].sees(row.XID) })
		if at == len(snapshots) {
			return fmt.Errorf("event %d of transaction %d has no batch", row.ID, row.XID)
		}
		row.position = eventlog.Position{Batch: snapshots[at].number, Mark: snapshots[at].mark, TxOrder: last[group{row.OwnerID, row.XID}], ID: row.ID}
		row.text = t.epoch.Format(row.OwnerID, row.position)
		if row.Type != eventlog.TypeChanged && row.Type != eventlog.TypeAccess {
			t.events[row.OwnerID] = append(t.events[row.OwnerID], *row)
		}
	}
	for _, list := range t.events {
		slices.SortFunc(list, func(a, b logRow) int {
			return cmp.Or(cmp.Compare(a.position.Batch, b.position.Batch), cmp.Compare(a.position.TxOrder, b.position.TxOrder), cmp.Compare(a.ID, b.ID))
		})
	}
	return nil
}

// after returns what a client that began after a position must have received.
func (t *logContents) after(ownerID, position string) ([]logRow, error) {
	p, err := t.epoch.Parse(ownerID, position)
	if err != nil {
		return nil, fmt.Errorf("a client began after %q: %w", position, err)
	}
	list := t.events[ownerID]
	return list[sort.Search(len(list), func(i int) bool { return list[i].position.Compare(p) > 0 }):], nil
}

// holds compares a client's list with what it must be.
func (s *soak) holds(c *soakClient, got []int32, want []logRow) {
	c.owner.received.mu.Lock()
	defer c.owner.received.mu.Unlock()
	all := c.owner.received.list
	wanted := make(map[string]int, len(want))
	for i, f := range want {
		wanted[f.text] = i
	}
	times := make([]int, len(want))
	lost, doubled, foreign, misplaced, highest := 0, 0, 0, 0, -1
	for _, n := range got {
		i, known := wanted[all[n].id]
		switch {
		case !known || all[n].ownerID != c.owner.ID:
			foreign++
			continue
		case all[n].kind != want[i].Type || all[n].data.BookingID != want[i].BookingID:
			s.fail("client %d was told %v of booking %s for %+v", c.number, all[n].kind, all[n].data.BookingID, want[i])
		case i < highest:
			misplaced++
		}
		highest = max(highest, i)
		if times[i]++; times[i] == 2 {
			doubled++
		}
	}
	for _, n := range times {
		if n == 0 {
			lost++
		}
	}
	s.report.lost.Add(int64(lost))
	s.report.doubled.Add(int64(doubled))
	s.report.foreign.Add(int64(foreign))
	if lost+doubled+foreign+misplaced > 0 {
		s.fail("client %d of owner %s: %d of %d events lost, %d doubled, %d foreign, %d misplaced", c.number, c.owner.ID,
			lost, len(want), doubled, foreign, misplaced)
	}
}

// checkNotes compares the log with what the writers committed: each transaction, each
// booking, each event.
func (s *soak) checkNotes(ctx context.Context, t *logContents) error {
	var journal []struct {
		Token int64
		XID   uint64
	}
	if err := s.portal.Pool.SelectContext(ctx, &journal, `SELECT token, xid::text::bigint AS xid FROM soak.journal`); err != nil {
		return err
	}
	committed, foreign := make(map[int64]uint64, len(journal)), make(map[uint64]bool)
	for _, j := range journal {
		committed[j.Token] = j.XID
		foreign[j.XID] = true
	}
	type told struct {
		xid     uint64
		booking string
	}
	logged := make(map[told]int)
	for _, row := range t.rows {
		switch {
		case row.Type == eventlog.TypeTruncated:
			s.fail("the log says that a table was truncated, or that a trigger failed: %+v", row)
		case row.BookingID != "":
			logged[told{row.XID, row.BookingID}]++
		}
	}
	for _, n := range s.notes.list {
		xid, found := committed[n.token]
		if !found {
			if n.known {
				s.fail("transaction %x was committed, and PostgreSQL does not know it", n.token)
			}
			continue
		}
		delete(foreign, xid)
		for booking, events := range n.expected {
			if got := logged[told{xid, booking}]; got != events {
				s.fail("transaction %d did something to booking %s: %d events are logged, want %d", xid, booking, got, events)
			}
			delete(logged, told{xid, booking})
		}
	}
	if len(foreign) > 0 {
		s.fail("%d transactions are committed that were rolled back", len(foreign))
	}
	for what, n := range logged {
		if n > 0 {
			s.fail("the log has %d events of booking %s in transaction %d, which did nothing to it", n, what.booking, what.xid)
		}
	}
	return nil
}
