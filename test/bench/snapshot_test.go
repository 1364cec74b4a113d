package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// crowdClients is how many clients ask for a snapshot at once, and crowd how many in the rush.
const (
	crowdClients = 50
	crowd        = 1000
)

// fillPortal fills a portal with owners of five hangars each and with bookings of the last three
// years, a tenth of them the first owner's, as rows that are older than the triggers.
func fillPortal(b *testing.B, portal *dbtest.Portal, owners, bookings int) (first dbtest.Owner) {
	b.Helper()
	return fillHangars(b, portal, owners, bookings, 5)
}

// fillHangars is fillPortal where the first owner has more hangars: those of the next owners.
func fillHangars(b *testing.B, portal *dbtest.Portal, owners, bookings, hangars int) (first dbtest.Owner) {
	b.Helper()
	ctx := context.Background()
	tx, err := portal.Pool.BeginTxx(ctx, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer tx.Rollback()
	for _, statement := range []string{
		`SET LOCAL session_replication_role = replica; SET LOCAL statement_timeout = 0; SET LOCAL synchronous_commit = off`,
		fmt.Sprintf(`INSERT INTO users (id, first_name, last_name, email, password_hash)
			SELECT n, 'Ana', 'Lima', n || '@bench.example', '!' FROM generate_series(1, %d) n`, owners),
		fmt.Sprintf(`INSERT INTO hangar_owners (id, user_id, company_name) SELECT n, n, 'Hangares' FROM generate_series(1, %d) n`, owners),
		fmt.Sprintf(`INSERT INTO hangar_listings (id, owner_id, hangar_number, icao_code, aerodrome_name, city, state, daily_rate, total_spaces)
			SELECT n, CASE WHEN n <= %d THEN 1 ELSE 1 + (n - 1) / 5 END, 'H' || n, 'SBMT', 'Campo de Marte', 'São Paulo', 'SP', 100, 4 FROM generate_series(1, %d) n`, hangars, owners*5),
		fmt.Sprintf(`INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, payment_date, created_at)
			SELECT CASE WHEN n %% 10 = 0 THEN 1 + n / 10 %% %d ELSE %[1]d + 1 + n %% (%[2]d - %[1]d) END, 1, at, at + interval '2 days', 2, 600, 60, 660,
				CASE WHEN at + interval '2 days' < now() AT TIME ZONE 'UTC' THEN 'completed' WHEN at < now() AT TIME ZONE 'UTC' THEN 'active' ELSE 'confirmed' END,
				at - interval '3 days', at - interval '5 days'
			FROM generate_series(1, %[3]d) n, LATERAL (SELECT (now() AT TIME ZONE 'UTC') + interval '10 days' - interval '3 years' * (n::float / %[3]d) AS at) t`,
			hangars, owners*5, bookings),
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			b.Fatalf("%s: %v", statement, err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	if _, err := portal.Pool.ExecContext(ctx, `VACUUM ANALYZE`); err != nil {
		b.Fatal(err)
	}
	return dbtest.Owner{ID: "1", UserID: "1"}
}

// askForMetrics has clients ask for the metrics of owners, each so many times or, if that is 0, for
// so long, and returns how long each answer took, the shortest first.
func askForMetrics(b *testing.B, p *harness.Program, clients, times int, turn time.Duration, owner func(client, n int) dbtest.Owner) []time.Duration {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: clients, MaxIdleConns: clients}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: harness.Timeout}
	var mu sync.Mutex
	var all []time.Duration
	end := time.Now().Add(turn)
	var group sync.WaitGroup
	for c := range clients {
		group.Go(func() {
			var took []time.Duration
			tokens := make(map[string]string)
			for n := 0; n < times || times == 0 && time.Now().Before(end); n++ {
				o := owner(c, n)
				request, err := http.NewRequest(http.MethodGet, p.Base+"api/owners/"+o.ID+"/metrics", nil)
				if err != nil {
					b.Error(err)
					return
				}
				if tokens[o.UserID] == "" {
					tokens[o.UserID] = harness.TokenFor(b, o.UserID, time.Hour)
				}
				request.Header.Set("Authorization", "Bearer "+tokens[o.UserID])
				begun := time.Now()
				response, err := client.Do(request)
				if err != nil {
					b.Error(err)
					return
				}
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if took = append(took, time.Since(begun)); response.StatusCode != http.StatusOK {
					b.Errorf("metrics: %s", response.Status)
					return
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
		})
	}
	group.Wait()
	slices.Sort(all)
	return all
}

// BenchmarkSnapshot measures GET …/metrics beside a long history: 1,000 owners with 2,000,000
// bookings, of which one owner has 200,000. One client asks the store itself, with the projection
// and with the tables alone. Fifty ask the server for every owner for the first time, for owners in
// turn, for the large one, and for the large one while it gets a hundred bookings a second. A
// thousand ask once, all at the same time. The server finds projection and trends built: it would
// build them beside the requests that are measured.
func BenchmarkSnapshot(b *testing.B) {
	owners, bookings := 1000, 2_000_000
	if testing.Short() {
		owners, bookings = 100, 50_000
	}
	portal := dbtest.New(b)
	large := fillPortal(b, portal, owners, bookings)
	loc, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		b.Fatal(err)
	}
	store, err := db.NewStore(b.Context(), portal.Pool, loc)
	if err != nil {
		b.Fatal(err)
	}
	ask := func() float64 {
		var took []float64
		for range 20 {
			begun := time.Now()
			if _, _, err := store.Metrics(b.Context(), large.ID, begun); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(begun).Seconds()*1000)
		}
		return middle(took)
	}
	tables := ask()
	projection := db.NewProjection(store)
	begun := time.Now()
	if built, err := projection.Build(b.Context(), begun); err != nil || !built {
		b.Fatal(built, err)
	}
	build := time.Since(begun)
	if built, err := db.NewTrendKeeper(store).Build(b.Context(), time.Now()); err != nil || !built {
		b.Fatal(built, err)
	}
	p := harness.Serve(b, portal, "--log-level", "error")
	inTurn := func(client, n int) dbtest.Owner {
		id := fmt.Sprint(1 + (client+n*crowdClients)%owners)
		return dbtest.Owner{ID: id, UserID: id}
	}
	one := func(int, int) dbtest.Owner { return large }
	for b.Loop() {
		kept := ask()
		report := func(name string, took []time.Duration) {
			for quantile, share := range map[string]float64{"p50": 0.5, "p99": 0.99} {
				b.ReportMetric(took[min(len(took)-1, int(float64(len(took))*share))].Seconds()*1000, name+"-"+quantile+"-ms")
			}
		}
		report("first", askForMetrics(b, p, crowdClients, owners/crowdClients, 0, inTurn))
		report("any", askForMetrics(b, p, crowdClients, 0, turnTime(), inTurn))
		alone := askForMetrics(b, p, crowdClients, 0, turnTime(), one)
		report("one", alone)
		ctx, cancel := context.WithCancel(b.Context())
		written := make(chan int)
		go func() { written <- book(ctx, b, portal, large) }()
		report("busy", askForMetrics(b, p, crowdClients, 0, turnTime(), one))
		cancel()
		rush := askForMetrics(b, p, crowd, 1, 0, one)
		b.ReportMetric(tables, "tables-ms")
		b.ReportMetric(kept, "projection-ms")
		b.ReportMetric(build.Seconds(), "build-s")
		b.ReportMetric(float64(<-written)/turnTime().Seconds(), "busy-bookings/s")
		b.ReportMetric(float64(len(alone))/turnTime().Seconds(), "one-requests/s")
		b.ReportMetric(rush[len(rush)-1].Seconds()*1000, "thousand-at-once-ms")
		b.ReportMetric(0, "ns/op")
	}
}

// book adds a hundred bookings a second for an owner until ctx ends, and returns how many it added.
func book(ctx context.Context, b *testing.B, portal *dbtest.Portal, owner dbtest.Owner) (n int) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return n
		case <-ticker.C:
		}
		if _, err := portal.Pool.ExecContext(b.Context(), `INSERT INTO bookings (`+dbtest.BookingColumns+`) VALUES `+dbtest.BookingValues("1", owner.UserID)); err != nil {
			b.Error(err)
			return n
		}
		n++
	}
}
