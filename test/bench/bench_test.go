package bench

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lib/pq"
	"golang.org/x/sync/errgroup"

	"github.com/hangarshare/hangarshare-realtime/api/loadtest"
	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
	"github.com/hangarshare/hangarshare-realtime/db/devdb"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// Sizes of the benchmarks. What is compared is measured in turn, round after round, so that a busy
// moment of the machine meets all of it.
const (
	benchClients = 100
	benchRate    = 100 // bookings a second
	benchRounds  = 3
	benchChannel = "bench"
)

// turnTime is how long each turn of a round lasts.
func turnTime() time.Duration {
	if testing.Short() {
		return time.Second
	}
	return 5 * time.Second
}

// BenchmarkCommitToWebSocket measures the time from sending a commit to receiving its event on one
// WebSocket and on a hundred, at a hundred bookings a second. The floor is a bare lib/pq listener
// on a database without anything of ours in the same PostgreSQL, whose commits wait for the disk.
func BenchmarkCommitToWebSocket(b *testing.B) {
	server := durable(b)
	portal, owner, _ := benchPortal(b, server, "served")
	program := harness.Serve(b, portal, "--log-level", "error")
	bare, bareOwner, _ := benchPortal(b, server, "bare")
	floor := newBareListener(b, bare)
	for _, clients := range []int{1, benchClients} {
		options := loadtest.Options{
			URL: program.Base, Connections: clients, Duration: turnTime(), Transport: loadtest.WebSocket, Rate: benchRate,
			Subscribers: []loadtest.Subscriber{{Token: harness.TokenFor(b, owner.UserID, time.Hour), OwnerID: owner.ID}},
			Booker:      &demo.MarkedBookings{Pool: portal.Pool.DB},
		}
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			for b.Loop() {
				var ours, oursLate, bare, bareLate []float64
				for range benchRounds {
					p50, p99 := floor.measure(b, bareOwner.ID)
					bare, bareLate = append(bare, p50), append(bareLate, p99)
					report, err := loadtest.Run(b.Context(), options)
					if err != nil || report.Err() != nil {
						b.Fatal(err, report.Err())
					}
					ours, oursLate = append(ours, report.CommitLatency.P50), append(oursLate, report.CommitLatency.P99)
				}
				b.ReportMetric(middle(ours), "p50-ms")
				b.ReportMetric(middle(oursLate), "p99-ms")
				b.ReportMetric(middle(bare), "listener-p50-ms")
				b.ReportMetric(middle(bareLate), "listener-p99-ms")
				b.ReportMetric(middle(ours)/middle(bare), "p50-ratio")
				b.ReportMetric(middle(oursLate)/middle(bareLate), "p99-ratio")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkBookingsPerSecond measures what we cost a writer: bookings a second, one per
// transaction, without anything of ours (plain), with a NOTIFY in every transaction instead
// (notify), with our triggers and nobody reading (triggers), and with the server reading (served).
func BenchmarkBookingsPerSecond(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			server := durable(b)
			const insert = "INSERT INTO bookings (" + dbtest.BookingColumns + ") VALUES "
			plain, plainOwner, guest := benchPortal(b, server, "plain")
			values := dbtest.BookingValues(plainOwner.Hangars[0], guest)
			triggers, triggersOwner, triggersGuest := benchPortal(b, server, "triggers")
			if err := db.Migrate(b.Context(), triggers.URL, slog.New(slog.DiscardHandler)); err != nil {
				b.Fatal(err)
			}
			served, servedOwner, servedGuest := benchPortal(b, server, "served")
			harness.Serve(b, served, "--log-level", "error")
			turns := []struct {
				name, url, statement string
				rates                []float64
			}{
				{name: "plain", url: plain.URL, statement: insert + values},
				{name: "notify", url: plain.URL, statement: "WITH b AS (" + insert + values + " RETURNING id) SELECT pg_notify('" + benchChannel + "', '') FROM b"},
				{name: "triggers", url: triggers.URL, statement: insert + dbtest.BookingValues(triggersOwner.Hangars[0], triggersGuest)},
				{name: "served", url: served.URL, statement: insert + dbtest.BookingValues(servedOwner.Hangars[0], servedGuest)},
			}
			for b.Loop() {
				for i := range turns {
					turns[i].rates = nil
				}
				for range benchRounds {
					for i := range turns {
						turns[i].rates = append(turns[i].rates, writeRate(b, turns[i].url, turns[i].statement, writers))
					}
				}
				base := middle(turns[0].rates)
				for _, t := range turns {
					b.ReportMetric(middle(t.rates), t.name+"/s")
					if t.name != "plain" {
						b.ReportMetric(middle(t.rates)/base, t.name+"-ratio")
					}
				}
				b.ReportMetric(middle(turns[3].rates)/middle(turns[1].rates), "served-to-notify")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// durable starts a PostgreSQL whose commits wait for the disk, and stops it when the
// benchmark ends.
func durable(b *testing.B) *devdb.Server {
	b.Helper()
	server, err := devdb.Start(b.Context(), devdb.Options{
		Dir: dbtest.Dir(b), Log: slog.New(slog.DiscardHandler), Temporary: true, Settings: map[string]string{"fsync": "on"},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			b.Error(err)
		}
	})
	return server
}

// benchPortal makes a database of the portal's tables with an owner of one hangar, and a guest.
func benchPortal(b *testing.B, server *devdb.Server, name string) (*dbtest.Portal, dbtest.Owner, string) {
	b.Helper()
	(&dbtest.Portal{Pool: dbtest.Open(b, server.URL()).Pool}).Exec(b, "CREATE DATABASE "+pq.QuoteIdentifier(name))
	u, err := url.Parse(server.URL())
	if err != nil {
		b.Fatal(err)
	}
	u.Path = "/" + name
	portal := dbtest.Open(b, u.String())
	if err := demo.CreateSchema(b.Context(), portal.Pool); err != nil {
		b.Fatal(err)
	}
	return portal, portal.AddOwner(b, 1), portal.AddGuest(b, "Ana", "Lima")
}

// bareListener is the floor: a lib/pq listener that is notified by every booking's own transaction.
type bareListener struct {
	bookings *demo.MarkedBookings
	listener *pq.Listener
}

func newBareListener(b *testing.B, portal *dbtest.Portal) *bareListener {
	b.Helper()
	listener := pq.NewListener(portal.URL, time.Second, time.Second, nil)
	b.Cleanup(func() { listener.Close() })
	if err := listener.Listen(benchChannel); err != nil {
		b.Fatal(err)
	}
	return &bareListener{&demo.MarkedBookings{Pool: portal.Pool.DB}, listener}
}

// book writes a booking that notifies with its id, and returns what commits it.
func (l *bareListener) book(ctx context.Context, ownerID string) (id string, commit func() error, err error) {
	tx, id, err := l.bookings.Begin(ctx, ownerID)
	if err != nil {
		return "", nil, err
	}
	if _, err := tx.ExecContext(ctx, `SELECT pg_notify($1, $2)`, benchChannel, id); err != nil {
		return "", nil, errors.Join(err, tx.Rollback())
	}
	return id, tx.Commit, nil
}

// measure books at the benchmark's rate for one turn and returns median and 99th
// percentile, in milliseconds.
func (l *bareListener) measure(b *testing.B, ownerID string) (p50, p99 float64) {
	b.Helper()
	wanted := int(turnTime().Seconds() * benchRate)
	var sent sync.Map // when each booking was committed, by id
	var next atomic.Int64
	var writers sync.WaitGroup
	defer writers.Wait()
	start := time.Now()
	for range 8 {
		writers.Go(func() {
			for n := next.Add(1) - 1; n < int64(wanted); n = next.Add(1) - 1 {
				<-time.After(time.Until(start.Add(time.Duration(n) * time.Second / benchRate)))
				id, commit, err := l.book(b.Context(), ownerID)
				if err == nil {
					sent.Store(id, time.Now())
					err = commit()
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	late := time.After(turnTime() + harness.Timeout)
	latencies := make([]time.Duration, 0, wanted)
	for len(latencies) < wanted {
		select {
		case n := <-l.listener.Notify:
			at, ok := sent.Load(n.Extra)
			if !ok {
				b.Fatalf("notified of booking %q before its commit", n.Extra)
			}
			latencies = append(latencies, time.Since(at.(time.Time)))
		case <-late:
			b.Fatalf("%d of %d notifications came", len(latencies), wanted)
		}
	}
	slices.Sort(latencies)
	at := func(share float64) float64 {
		return float64(latencies[int(share*float64(wanted-1))].Microseconds()) / 1000
	}
	return at(0.50), at(0.99)
}

// writeRate runs a statement in transactions of its own, from several connections for one turn, and
// returns how many were committed a second.
func writeRate(b *testing.B, databaseURL, statement string, writers int) float64 {
	b.Helper()
	perSecond, err := writesPerSecond(b.Context(), databaseURL, statement, writers, turnTime())
	if err != nil {
		b.Fatal(err)
	}
	return perSecond
}

// writesPerSecond does the work of writeRate for a while.
func writesPerSecond(ctx context.Context, databaseURL, statement string, writers int, span time.Duration) (float64, error) {
	connector, err := pq.NewConnector(databaseURL)
	if err != nil {
		return 0, err
	}
	pool := sql.OpenDB(connector)
	defer pool.Close()
	ctx, cancel := context.WithTimeout(ctx, harness.Timeout+span)
	defer cancel()
	var statements []*sql.Stmt
	for range writers {
		conn, err := pool.Conn(ctx)
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		prepared, err := conn.PrepareContext(ctx, statement)
		if err != nil {
			return 0, err
		}
		defer prepared.Close()
		statements = append(statements, prepared)
	}
	var written atomic.Int64
	var writing errgroup.Group
	start := time.Now()
	for _, prepared := range statements {
		writing.Go(func() error {
			for time.Since(start) < span {
				if _, err := prepared.ExecContext(ctx); err != nil {
					return err
				}
				written.Add(1)
			}
			return nil
		})
	}
	err = writing.Wait()
	return float64(written.Load()) / time.Since(start).Seconds(), err
}

// middle returns the median.
func middle[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
