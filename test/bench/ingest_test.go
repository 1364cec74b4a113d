package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

const (
	ingestWriters = 4
	ingestOwners  = 20
)

// ingestTime is how long writers write in BenchmarkIngest.
func ingestTime() time.Duration {
	if testing.Short() {
		return 3 * time.Second
	}
	return time.Minute
}

// BenchmarkIngest has four writers insert as fast as they can, with one row a statement and with a
// hundred, and measures how the way from commit to client keeps up. It reports rows a second
// written and delivered, and how long after its transaction's time a row arrives: over all, and
// over the last quarter, which shows whether the lag grows. Every owner has one client.
func BenchmarkIngest(b *testing.B) {
	for _, rows := range []int{1, 100} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			portal, _, guest := benchPortal(b, durable(b), "ingest")
			program := harness.Serve(b, portal, "--log-level", "error")
			var hangars []string
			var arrived arrivals
			listening, stop := context.WithCancel(b.Context())
			var clients sync.WaitGroup
			defer clients.Wait()
			defer stop()
			for range ingestOwners {
				o := portal.AddOwner(b, 3)
				hangars = append(hangars, o.Hangars...)
				stream := openStream(b, program, listening, o)
				clients.Go(func() { arrived.read(stream) })
			}
			for b.Loop() {
				arrived.reset()
				start := time.Now()
				written := insertAll(b, portal, guest, hangars, rows)
				wrote := time.Since(start)
				harness.Eventually(b, "everything delivered", func() bool { return arrived.count() >= written })
				b.ReportMetric(float64(written)/wrote.Seconds(), "written/s")
				b.ReportMetric(float64(written)/time.Since(start).Seconds(), "delivered/s")
				all, late := arrived.lags()
				b.ReportMetric(all(0.50), "lag-p50-ms")
				b.ReportMetric(all(0.99), "lag-p99-ms")
				b.ReportMetric(late(0.50), "last-quarter-p50-ms")
				b.ReportMetric(late(0.99), "last-quarter-p99-ms")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// openStream opens an event stream of an owner that ends with ctx, and waits until it is
// established.
func openStream(b *testing.B, p *harness.Program, ctx context.Context, o dbtest.Owner) *bufio.Scanner {
	b.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Base+"api/sse?ownerId="+o.ID, nil)
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+harness.TokenFor(b, o.UserID, time.Hour))
	response, err := p.Client.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { response.Body.Close() })
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if bytes.Contains(lines.Bytes(), []byte(`"connection_established"`)) {
			return lines
		}
	}
	b.Fatal("the stream ended: ", lines.Err())
	return nil
}

// insertAll has the writers insert for one turn and returns how many rows they committed.
func insertAll(b *testing.B, portal *dbtest.Portal, guest string, hangars []string, rows int) int {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), ingestTime()+harness.Timeout)
	defer cancel()
	var written, next atomic.Int64
	var writing sync.WaitGroup
	start := time.Now()
	for range ingestWriters {
		writing.Go(func() {
			statement, err := portal.Pool.PrepareContext(ctx, `
				INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status)
				SELECT $1::int, $2::int, now() + interval '30 days', now() + interval '31 days', 1, 200, 20, 220, 'pending'
				FROM generate_series(1, $3::int)`)
			if err != nil {
				b.Error(err)
				return
			}
			defer statement.Close()
			for time.Since(start) < ingestTime() {
				hangar := hangars[next.Add(1)%int64(len(hangars))]
				if _, err := statement.ExecContext(ctx, hangar, guest, rows); err != nil {
					b.Error(err)
					return
				}
				written.Add(int64(rows))
			}
		})
	}
	writing.Wait()
	return int(written.Load())
}

// arrivals are how long after its transaction's time each booking arrived, in
// milliseconds, in the order of arrival.
type arrivals struct {
	mu  sync.Mutex // guards lag
	lag []float64
}

func (a *arrivals) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lag = nil
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.lag)
}

// read takes a stream to its end.
func (a *arrivals) read(lines *bufio.Scanner) {
	for lines.Scan() {
		line := lines.Bytes()
		if !bytes.Contains(line, []byte(`"booking_created"`)) || !bytes.HasPrefix(line, []byte("data:")) {
			continue
		}
		_, rest, _ := bytes.Cut(line, []byte(`"timestamp":`))
		digits, _, _ := bytes.Cut(rest, []byte(","))
		at, err := strconv.ParseInt(string(digits), 10, 64)
		if err != nil {
			continue // it will be missing at the end
		}
		a.mu.Lock()
		a.lag = append(a.lag, float64(time.Since(time.UnixMilli(at)).Microseconds())/1000)
		a.mu.Unlock()
	}
}

// lags returns quantiles over all arrivals, and over the last quarter of them.
func (a *arrivals) lags() (all, late func(share float64) float64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	quantile := func(values []float64) func(float64) float64 {
		sorted := slices.Sorted(slices.Values(values))
		return func(share float64) float64 { return sorted[int(share*float64(len(sorted)-1))] }
	}
	return quantile(a.lag), quantile(a.lag[len(a.lag)*3/4:])
}
