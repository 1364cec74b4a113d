package eventlog_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// second is another server of the reader's installation.
func second(t *testing.T, databaseURL string) *eventlog.Sequencer {
	t.Helper()
	listener, err := db.NewListener(databaseURL, databaseURL, &db.Dialer{}, slog.New(slog.DiscardHandler))
	must(t, err)
	n := eventlog.NewSequencer(dbtest.Open(t, databaseURL).Pool, listener, slog.New(slog.DiscardHandler))
	t.Cleanup(n.Release)
	return n
}

// TestStrangersLockIsLeftAlone has a session that is not ours hold the numbering's
// advisory lock, idle for longer than a holder of ours may be. It is not ended, and the
// numbering says that something waits.
func TestStrangersLockIsLeftAlone(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
	r.next(t)
	r.sequencer.Release()
	stranger, err := r.Pool.Connx(t.Context())
	must(t, err)
	defer stranger.Close()
	eventually(t, "held by a stranger", func() bool {
		var held bool
		return stranger.GetContext(t.Context(), &held, `SELECT pg_try_advisory_lock(x'48520002'::bigint)`) == nil && held
	})
	r.Book(t, o.Hangars[0], guest)
	n := second(t, r.URL)
	began := time.Now()
	eventually(t, "looked at for long enough", func() bool {
		if _, err := n.Acquire(t.Context(), eventlog.Published{}); !errors.Is(err, eventlog.ErrNotLeader) {
			t.Fatalf("the numbering is taken from a stranger: %v", err)
		}
		return time.Since(began) > 6*time.Second
	})
	if !n.Backlogged() {
		t.Error("nothing is said to wait")
	}
	var alive int
	if err := stranger.GetContext(t.Context(), &alive, `SELECT 1`); err != nil {
		t.Errorf("the stranger's session was ended: %v", err)
	}
	stranger.ExecContext(t.Context(), `SELECT pg_advisory_unlock(x'48520002'::bigint)`)
	eventually(t, "numbered", func() bool {
		_, err := n.Acquire(t.Context(), eventlog.Published{})
		return err == nil
	})
	if n.Backlogged() {
		t.Error("who numbers waits")
	}
}

// TestNewHistoryTakesItsTime begins a new history that cannot be ready within the time of any other
// step: a transaction holds a row of the log, as the mere number of rows would keep it.
func TestNewHistoryTakesItsTime(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
	r.Book(t, o.Hangars[0], guest)
	r.next(t)
	state, err := r.log.State(t.Context())
	must(t, err)
	must(t, r.log.EndEpoch(t.Context(), state.Epoch))
	r.sequencer.Release()
	holds := begin(t, r.Portal)
	_, err = holds.Exec(`SELECT FROM realtime.events FOR UPDATE`)
	must(t, err)
	n := second(t, r.URL)
	acquired := make(chan error, 1)
	go func() {
		_, err := n.Acquire(t.Context(), eventlog.Published{})
		for errors.Is(err, eventlog.ErrNotLeader) { // the session of the former holder is ending
			_, err = n.Acquire(t.Context(), eventlog.Published{})
		}
		acquired <- err
	}()
	eventually(t, "it waits for longer than a step may take", func() bool {
		var waits bool
		must(t, r.Pool.Get(&waits, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
			AND clock_timestamp() > xact_start + interval '4 s')`))
		return waits
	})
	commit(t, holds)
	must(t, <-acquired)
	if now, err := r.log.State(t.Context()); err != nil || now.Epoch == state.Epoch {
		t.Errorf("the history is %v, %v", now, err)
	}
}

// TestHolderThatCannotBeSentTo has the holder of the numbering freeze while PostgreSQL
// sends to it: its session is neither idle nor does any time limit of PostgreSQL end it.
// Another server ends it and takes over.
func TestHolderThatCannotBeSentTo(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.sequencer.Release()
	proxy := newPausableProxy(t, r.URL)
	holder := dbtest.Open(t, proxy.url)
	listener, err := db.NewListener(r.URL, r.URL, &db.Dialer{}, slog.New(slog.DiscardHandler))
	must(t, err)
	sequencer := eventlog.NewSequencer(holder.Pool, listener, slog.New(slog.DiscardHandler))
	defer sequencer.Release()
	eventually(t, "held", func() bool {
		_, err := sequencer.Acquire(t.Context(), eventlog.Published{})
		return err == nil
	})
	defer proxy.close() // or giving the numbering up would wait for it
	// Wide rows, which fill every buffer on the way, and are not yet too much for a batch.
	r.Exec(t, `INSERT INTO realtime.events (owner_id, type, data) SELECT '1', 'changed', json_build_object('text', repeat(md5(i::text), 60)) FROM generate_series(1, 1000) i`)
	proxy.shut()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	frozen := make(chan error, 1)
	go func() {
		_, err := sequencer.Number(context.WithoutCancel(ctx))
		frozen <- err
	}()
	eventually(t, "stuck", func() bool {
		var event sql.NullString
		err := r.Pool.Get(&event, `SELECT wait_event FROM pg_stat_activity a JOIN realtime.installation i ON a.pid = i.holder_pid`)
		return err == nil && event.String == "ClientWrite"
	})
	other := second(t, r.URL)
	// So many bytes may take longer than a slow machine has for a batch: then it takes over again.
	eventually(t, "taken over, and numbered", func() bool {
		if _, err := other.Acquire(t.Context(), eventlog.Published{}); err != nil {
			return false
		}
		numbered, err := other.Number(t.Context())
		return err == nil && numbered.Head > 0
	})
	proxy.close()
	if err := <-frozen; err == nil {
		t.Error("who was frozen still numbers")
	}
	if counts := counted(sequencer); counts != [3]float64{1, 1, 0} {
		t.Errorf("who was frozen counts %v takeovers, losses and terminations, want 1, 1 and 0", counts)
	}
	if counts := counted(other); counts[0] != counts[1]+1 || counts[2] == 0 {
		t.Errorf("who took over counts %v takeovers, losses and terminations, want one takeover more than losses", counts)
	}
}

// TestWhoWasStoppedDoesNotJudge has a server look at the holder of the numbering after a long time
// in which neither said anything, as when a whole machine was stopped, whatever it saw before. It
// lets the holder go on; one that stays silent is ended as ever.
func TestWhoWasStoppedDoesNotJudge(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	other := second(t, r.URL)
	look := func() error {
		_, err := other.Acquire(t.Context(), eventlog.Published{})
		return err
	}
	if err := look(); !errors.Is(err, eventlog.ErrNotLeader) {
		t.Fatalf("a second server numbers: %v", err)
	}
	eventually(t, "silent for long", func() bool {
		var silent bool
		err := r.Pool.Get(&silent, `SELECT state_change < clock_timestamp() - interval '3.5 s' FROM pg_stat_activity a JOIN realtime.installation i ON a.pid = i.holder_pid`)
		return err == nil && silent
	})
	if err := look(); !errors.Is(err, eventlog.ErrNotLeader) {
		t.Errorf("who was stopped takes over at its first look: %v", err)
	}
	if _, err := r.sequencer.Number(t.Context()); err != nil {
		t.Errorf("the holder's session was ended: %v", err)
	}
	eventually(t, "taken over", func() bool { return look() == nil })
	if _, err := r.sequencer.Number(t.Context()); err == nil {
		t.Error("who was silent still numbers")
	}
}

// counted returns what a sequencer tells operators, in order.
func counted(s *eventlog.Sequencer) (counts [3]float64) {
	for i, stat := range s.Collect() {
		counts[i] = stat.Value
	}
	return counts
}

// pausableProxy is a way to a database that can be shut: then nothing that PostgreSQL sends is
// taken.
type pausableProxy struct {
	url      string
	listener net.Listener
	mu       sync.Mutex // guards what follows
	open     chan struct{}
	conns    []net.Conn
	group    sync.WaitGroup
}

func newPausableProxy(t *testing.T, databaseURL string) *pausableProxy {
	t.Helper()
	u, err := url.Parse(databaseURL)
	must(t, err)
	q := u.Query()
	network, target := "tcp", net.JoinHostPort(q.Get("host"), q.Get("port"))
	if strings.HasPrefix(q.Get("host"), "/") {
		network, target = "unix", q.Get("host")+"/.s.PGSQL."+q.Get("port")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	host, port, _ := strings.Cut(listener.Addr().String(), ":")
	q.Set("host", host)
	q.Set("port", port)
	u.RawQuery = q.Encode()
	v := &pausableProxy{url: u.String(), listener: listener, open: make(chan struct{})}
	close(v.open)
	v.group.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial(network, target)
			if err != nil {
				client.Close()
				continue
			}
			v.mu.Lock()
			v.conns = append(v.conns, client, server)
			v.mu.Unlock()
			v.group.Go(func() { io.Copy(server, client) })
			v.group.Go(func() { v.pass(client, server) })
		}
	})
	t.Cleanup(v.close)
	return v
}

// pass brings what PostgreSQL sends to the client, while the valve is open.
func (v *pausableProxy) pass(client, server net.Conn) {
	buffer := make([]byte, 4096)
	for {
		v.mu.Lock()
		open := v.open
		v.mu.Unlock()
		<-open
		n, err := server.Read(buffer)
		if err != nil {
			client.Close()
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (v *pausableProxy) shut() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open = make(chan struct{})
}

func (v *pausableProxy) close() {
	v.mu.Lock()
	select {
	case <-v.open:
	default:
		close(v.open)
	}
	for _, c := range v.conns {
		c.Close()
	}
	v.mu.Unlock()
	v.listener.Close()
	v.group.Wait()
}

// TestLogThatWasPutBack has a reader find other batches under the numbers that it has read, and a
// server that told more than the log holds begin a new history when it numbers.
func TestLogThatWasPutBack(t *testing.T) {
	t.Parallel()
	for _, further := range []int{0, 1, 3} { // batches of the new way: fewer, as many, more
		r := newReader(t)
		o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
		r.next(t)
		kept := r.cursor
		r.Book(t, o.Hangars[0], guest)
		r.next(t)
		told := r.cursor
		lost := r.seen[len(r.seen)-1].Position
		state, err := r.log.State(t.Context())
		must(t, err)
		r.sequencer.Release()
		r.Exec(t, `DELETE FROM realtime.events WHERE type = 'booking_created'`)
		r.Exec(t, `DELETE FROM realtime.batches WHERE number > $1`, kept.Batch)
		ignorant := second(t, r.URL)
		eventually(t, "held by a server that knows nothing", func() bool {
			_, err := ignorant.Acquire(t.Context(), eventlog.Published{})
			return err == nil
		})
		for range further {
			r.Book(t, o.Hangars[0], guest)
			_, err := ignorant.Number(t.Context())
			must(t, err)
		}
		if _, err := r.log.Read(t.Context(), told, func(eventlog.Piece) error { t.Error("something was read"); return nil }); !errors.Is(err, eventlog.ErrRolledBack) {
			t.Errorf("%d batches further: reading gives %v", further, err)
		}
		if _, err := r.log.Owner(t.Context(), o.ID, lost, 10); !errors.Is(err, eventlog.ErrHistoryGone) {
			t.Errorf("%d batches further: a replay gives %v", further, err)
		}
		if err := r.log.Reaches(t.Context(), o.ID, lost); !errors.Is(err, eventlog.ErrHistoryGone) {
			t.Errorf("%d batches further: the position is taken: %v", further, err)
		}
		must(t, r.log.EndEpoch(t.Context(), state.Epoch))
		if h, err := ignorant.CheckFaults(t.Context()); err != nil || !h.Renewed {
			t.Errorf("%d batches further: who numbers does not begin a new history: %v", further, err)
		}
		if h, err := ignorant.CheckFaults(t.Context()); err != nil || h.Renewed {
			t.Errorf("%d batches further: a new history begins twice: %v", further, err)
		}
		ignorant.Release()
		renewed, err := r.log.State(t.Context())
		must(t, err)
		if renewed.Epoch == state.Epoch {
			t.Error("the epoch is the same")
		}
		eventually(t, "taken by the server that was told more", func() bool {
			_, err := r.sequencer.Acquire(t.Context(), eventlog.Published{Epoch: renewed.Epoch, Batch: told.Batch + 9, Mark: told.Mark})
			return err == nil
		})
		if again, err := r.log.State(t.Context()); err != nil || again.Epoch == renewed.Epoch {
			t.Errorf("a server that was told more numbers on, %v", err)
		}
	}
}
