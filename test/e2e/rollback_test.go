package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/devdb"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// rollback is a portal whose database is put back to an earlier moment, as a storage snapshot does:
// same system identifier, same timeline, same numbers, other events.
type rollback struct {
	server  *devdb.Server
	portal  *dbtest.Portal
	owner   dbtest.Owner
	guest   string
	token   string
	data    string // the data directory
	history string // a copy of it
}

func newRollback(t *testing.T) *rollback {
	t.Helper()
	server := dbtest.Private(t)
	portal := harness.PrivatePortal(t, server)
	o := portal.AddOwner(t, 1)
	return &rollback{server: server, portal: portal, data: portal.ID(t, `SHOW data_directory`), owner: o, guest: portal.AddGuest(t, "Caio", "Brandão"), token: harness.TokenFor(t, o.UserID, time.Hour)}
}

// save copies the data directory while PostgreSQL is stopped.
func (r *rollback) save(t *testing.T) {
	t.Helper()
	harness.Must(t, r.server.Halt(t.Context(), devdb.Fast))
	r.history = filepath.Join(dbtest.Dir(t), "data")
	copyTree(t, r.data, r.history)
	harness.Must(t, r.server.Resume(t.Context()))
}

// putBack replaces the data directory by the copy.
func (r *rollback) putBack(t *testing.T) {
	t.Helper()
	harness.Must(t, r.server.Halt(t.Context(), devdb.Kill))
	harness.Must(t, os.RemoveAll(r.data))
	copyTree(t, r.history, r.data)
	harness.Must(t, r.server.Resume(t.Context()))
}

// copyTree copies a directory with owners and rights.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if text, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp -a: %v: %s", err, text)
	}
}

// book books some times and returns the id of the last event that a stream tells.
func (r *rollback) book(t *testing.T, p *harness.Program, n int) (last string) {
	t.Helper()
	s := p.Connect(t, r.token, r.owner.ID, "")
	s.Next(harness.OfType("connection_established"))
	for range n {
		harness.Eventually(t, "booked", func() bool {
			_, err := r.portal.Pool.ExecContext(t.Context(),
				`INSERT INTO bookings (`+dbtest.BookingColumns+`) VALUES `+dbtest.BookingValues(r.owner.Hangars[0], r.guest))
			return err == nil
		})
		last = s.Next(harness.OfType("booking_created")).ID
	}
	return last
}

// isRefused resumes after a position that was told before the database was put back: over both
// transports and by REST the client is told to load its numbers again.
func (r *rollback) isRefused(t *testing.T, p *harness.Program, id string) {
	t.Helper()
	for name, s := range map[string]*harness.Stream{
		"WebSocket": p.Connect(t, r.token, r.owner.ID, id), "event stream": p.Listen(t, r.token, "?ownerId="+r.owner.ID, "Last-Event-ID", id),
	} {
		if hello := s.Next(harness.OfType("connection_established")); hello.Field("recovered") != "false" {
			t.Errorf("%s: recovered is %s after a position that was rolled back", name, hello.Field("recovered"))
		}
		s.Next(harness.OfType("resync"))
	}
	status, _, page := p.Get(t, "owners/"+r.owner.ID+"/events?after="+id, r.token)
	if events, _ := page["events"].([]any); status != http.StatusOK || page["resync"] != true || len(events) > 0 {
		t.Errorf("REST after a position that was rolled back: %d %v", status, page)
	}
}

// resync waits until a stream is told to load again, and returns it. One that was ended while the
// database was away for too long comes back with its position, as clients do.
func (r *rollback) resync(t *testing.T, p *harness.Program, open *harness.Stream, position string) *harness.Stream {
	t.Helper()
	if _, told, _ := open.Await(harness.OfType("resync")); told {
		return open
	}
	p.Ready(t)
	open = p.Connect(t, r.token, r.owner.ID, position)
	open.Next(harness.OfType("resync"))
	return open
}

// runThrough has a server run while the storage is put back to before its last bookings, and
// returns it with a stream and the position after them.
func (r *rollback) runThrough(t *testing.T) (p *harness.Program, open *harness.Stream, lost string) {
	t.Helper()
	p = harness.Serve(t, r.portal)
	r.book(t, p, 2)
	r.save(t)
	p.Ready(t)
	lost = r.book(t, p, 3)
	open = p.Connect(t, r.token, r.owner.ID, lost)
	open.Next(harness.OfType("connection_established"))
	r.putBack(t)
	return p, open, lost
}

func TestStorageRollsBack(t *testing.T) {
	t.Parallel()
	t.Run("the server was stopped meanwhile", func(t *testing.T) {
		t.Parallel()
		r := newRollback(t)
		first := harness.Serve(t, r.portal)
		kept := r.book(t, first, 2)
		first.Stop()
		r.save(t)
		second := harness.Serve(t, r.portal)
		lost := r.book(t, second, 3)
		second.Stop()
		r.putBack(t)
		third := harness.Serve(t, r.portal)
		r.isRefused(t, third, lost) // beyond the head
		r.book(t, third, 5)
		r.isRefused(t, third, lost) // the head has passed it
		s := third.Connect(t, r.token, r.owner.ID, kept)
		if hello := s.Next(harness.OfType("connection_established")); hello.Field("recovered") != "true" {
			t.Errorf("a position of before is refused: %s", hello.Data)
		}
		for range 5 {
			s.Next(harness.OfType("booking_created"))
		}
	})
	t.Run("the server ran through it", func(t *testing.T) {
		t.Parallel()
		r := newRollback(t)
		p, open, lost := r.runThrough(t)
		r.resync(t, p, open, lost)
		p.Ready(t)
		r.isRefused(t, p, lost)
		r.book(t, p, 5)
		r.isRefused(t, p, lost)
	})
	t.Run("another server ran through it", func(t *testing.T) {
		t.Parallel()
		r := newRollback(t)
		p, open, lost := r.runThrough(t)
		other := harness.Serve(t, r.portal)
		for range 5 {
			r.portal.Book(t, r.owner.Hangars[0], r.guest)
		}
		open = r.resync(t, p, open, lost)
		p.Ready(t)
		for _, one := range []*harness.Program{p, other} {
			r.isRefused(t, one, lost)
		}
		id := r.portal.Book(t, r.owner.Hangars[0], r.guest)
		open.Next(func(m harness.Message) bool { return m.Type == "booking_created" && m.Field("bookingId") == id })
	})
	t.Run("a new history is asked for", func(t *testing.T) {
		t.Parallel()
		portal := dbtest.New(t)
		r := &rollback{portal: portal, owner: portal.AddOwner(t, 1), guest: portal.AddGuest(t, "Caio", "Brandão")}
		r.token = harness.TokenFor(t, r.owner.UserID, time.Hour)
		first, second := harness.Serve(t, portal), harness.Serve(t, portal)
		last := r.book(t, first, 1)
		var streams []*harness.Stream
		for _, p := range []*harness.Program{first, second} {
			streams = append(streams, p.Connect(t, r.token, r.owner.ID, ""))
			streams[len(streams)-1].Next(harness.OfType("connection_established"))
		}
		out := harness.NewOutput()
		if code := harness.Run(t.Context(), []string{"epoch", "--renew", "--database-url", portal.URL}, out, out); code != 0 {
			t.Fatalf("epoch --renew: %d: %s", code, out)
		}
		for i, s := range streams {
			s.Next(harness.OfType("resync"))
			r.isRefused(t, []*harness.Program{first, second}[i], last)
		}
		first.Stop()
		second.Stop()
		if code := harness.Run(t.Context(), []string{"epoch", "--renew", "--database-url", portal.URL}, out, out); code != 0 {
			t.Fatalf("epoch --renew without a server: %d: %s", code, out)
		}
	})
}
