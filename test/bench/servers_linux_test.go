package bench

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/devdb"
	"github.com/hangarshare/hangarshare-realtime/realtime/relay/redistest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// Sizes of BenchmarkServers.
const (
	serversRate    = 50 // bookings a second, one a transaction
	serversWriters = 4  // of the portal's own rate
	// serversConnections is what each server may have of PostgreSQL's connections.
	serversConnections = 6
	// portalCPU is the processor of PostgreSQL and of the portal when it books as fast as it can.
	portalCPU = 0
)

// The roles of PostgreSQL's processes in BenchmarkServers.
const (
	writersRole   = "writers"
	listenersRole = "listeners"
	leaderRole    = "leader"
	followersRole = "followers"
)

// roleCPU is what the sessions of each role, and all of them, have used so far, by process.
type roleCPU map[int]roleTime

type roleTime struct {
	role string
	used time.Duration
}

// rolesQuery tells which process is whose. What listens is one session of each server.
const rolesQuery = `SELECT pid, CASE WHEN application_name = 'portal' THEN '` + writersRole + `' WHEN query ILIKE '%listen %' THEN '` + listenersRole + `'
	WHEN application_name = (SELECT a.application_name FROM pg_stat_activity a JOIN realtime.installation i ON a.pid = i.holder_pid)
	THEN '` + leaderRole + `' ELSE '` + followersRole + `' END AS role
	FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`

// readRoles reads the processor time of every session of a database.
func readRoles(b *testing.B, portal *dbtest.Portal) roleCPU {
	b.Helper()
	var rows []struct {
		PID  int
		Role string
	}
	if err := portal.Pool.Select(&rows, rolesQuery); err != nil {
		b.Fatal(err)
	}
	cpu := roleCPU{}
	for _, row := range rows {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", row.PID))
		if err != nil { // it has ended
			continue
		}
		var used int64
		if _, err := fmt.Sscan(string(text), &used); err != nil {
			b.Fatal(err)
		}
		cpu[row.PID] = roleTime{row.Role, time.Duration(used)}
	}
	return cpu
}

// since returns the milliseconds of processor time a second that each role has used since before,
// and the sum under "".
func (c roleCPU) since(before roleCPU, elapsed time.Duration) map[string]float64 {
	sums := map[string]float64{}
	for pid, now := range c {
		used := (now.used - before[pid].used).Seconds() * 1000 / elapsed.Seconds()
		sums[now.role] += used
		sums[""] += used
	}
	return sums
}

// serversResult is what one number of servers came to.
type serversResult struct {
	cpu map[string]float64 // ms a second, by role
	// ms of PostgreSQL for each batch and follower, above what it takes when nothing happens
	perFollower float64
	batches     float64 // a second
	perSecond   float64 // the portal's own bookings, as fast as it can
}

// BenchmarkServers measures what several servers cost PostgreSQL: the processor time of its
// sessions by role, in milliseconds a second, at fifty bookings a second, with one server, two,
// four and eight, alone and with Redis; and how many bookings a second the portal itself commits
// beside them. Each round measures all of them in turn. PostgreSQL and the portal have one
// processor, the servers and Redis the last one, as if each had a machine: what the portal loses
// is what PostgreSQL does for the servers.
func BenchmarkServers(b *testing.B) {
	sizes, rounds := []int{1, 2, 4, 8}, benchRounds
	if testing.Short() {
		sizes, rounds = []int{1, 8}, 1
	}
	server, err := devdb.Start(b.Context(), devdb.Options{
		Dir: dbtest.Dir(b), Log: slog.New(slog.DiscardHandler), Temporary: true, Settings: map[string]string{"fsync": "on", "max_connections": "200"},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.Stop(b.Context()) }) //nolint:errcheck // it ends with the benchmark in any case
	if cpus := runtime.NumCPU(); cpus > 1 {
		keepPostgresTo(b, dbtest.Open(b, server.URL()), portalCPU)
		keepTo(b, cpus-1)
	} else {
		b.Log("servers and portal share the only processor of this machine: the portal's rate is no measure")
	}
	redis := redistest.Start(b)
	ways := []struct {
		name  string
		flags []string
	}{{"alone", nil}, {"redis", []string{"--redis-url", "redis://" + redis.Addr}}}
	for b.Loop() {
		results := map[string][]serversResult{}
		for round := range rounds {
			for _, way := range ways {
				for _, n := range sizes {
					name := fmt.Sprintf("%s-%d", way.name, n)
					results[name] = append(results[name], measureServers(b, server, fmt.Sprintf("%s-%d", name, round), n, way.flags))
				}
			}
		}
		for _, way := range ways {
			reportServers(b, way.name, sizes, results)
		}
	}
	b.ReportMetric(0, "ns/op")
}

func reportServers(b *testing.B, way string, sizes []int, results map[string][]serversResult) {
	first := results[fmt.Sprintf("%s-%d", way, sizes[0])]
	// The rounds are pairs, so their ratios are compared and not the medians.
	ratio := func(of []serversResult, value func(serversResult) float64) float64 {
		var ratios []float64
		for i := range of {
			ratios = append(ratios, value(of[i])/value(first[i]))
		}
		return middle(ratios)
	}
	all := func(r serversResult) float64 { return r.cpu[""] }
	rate := func(r serversResult) float64 { return r.perSecond }
	for _, n := range sizes {
		rounds := results[fmt.Sprintf("%s-%d", way, n)]
		median := func(value func(serversResult) float64) float64 {
			var values []float64
			for _, r := range rounds {
				values = append(values, value(r))
			}
			return middle(values)
		}
		name := fmt.Sprintf("%s-%d-", way, n)
		b.ReportMetric(median(all), name+"ms/s")
		for _, role := range []string{writersRole, leaderRole, listenersRole, followersRole} {
			b.Logf("%s%s %.1f ms/s", name, role, median(func(r serversResult) float64 { return r.cpu[role] }))
		}
		b.Logf("%sbatches %.1f a second", name, median(func(r serversResult) float64 { return r.batches }))
		b.ReportMetric(median(rate), name+"bookings/s")
		if n > 1 {
			b.ReportMetric(ratio(rounds, all), name+"ms/s-ratio")
			b.ReportMetric(ratio(rounds, rate), name+"bookings-ratio")
			b.ReportMetric(median(func(r serversResult) float64 { return r.perFollower }), name+"ms/batch/follower")
		}
	}
}

// measureServers runs so many servers on a new database, and measures them: at rest, at the rate,
// and while the portal writes as fast as it can.
func measureServers(b *testing.B, server *devdb.Server, database string, n int, flags []string) (r serversResult) {
	b.Helper()
	portal, owner, guest := benchPortal(b, server, database)
	insert := "INSERT INTO bookings (" + dbtest.BookingColumns + ") VALUES " + dbtest.BookingValues(owner.Hangars[0], guest)
	portal.Pool.SetMaxOpenConns(1) // which asks, and is left out
	writing := dbtest.Open(b, portal.URL+"&application_name=portal").Pool
	writing.SetMaxOpenConns(serversWriters)
	writing.SetMaxIdleConns(serversWriters)
	defer writing.Close()
	var servers []*harness.Program
	for i := range n {
		named := *portal
		named.URL += fmt.Sprintf("&application_name=server%d", i+1)
		servers = append(servers, harness.Serve(b, &named, append([]string{"--log-level", "error",
			"--max-database-connections", fmt.Sprint(serversConnections)}, flags...)...))
	}
	defer func() {
		for _, p := range servers {
			p.Stop()
		}
	}()
	if resting := n - 2; flags != nil && resting > 0 {
		harness.Eventually(b, "listening no more, where others do", func() bool {
			var count int
			err := portal.Pool.Get(&count, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'UNLISTEN %'`)
			return err == nil && count >= resting
		})
	}
	batches := func() (head float64) {
		if err := portal.Pool.Get(&head, `SELECT max(number) FROM realtime.batches`); err != nil {
			b.Fatal(err)
		}
		return head
	}
	span := func(do func()) (cpu map[string]float64, perSecond float64) {
		before, head, start := readRoles(b, portal), batches(), time.Now()
		do()
		elapsed := time.Since(start)
		return readRoles(b, portal).since(before, elapsed), (batches() - head) / elapsed.Seconds()
	}
	idle, _ := span(func() { time.Sleep(turnTime()) }) // nothing happens is what is measured
	r.cpu, r.batches = span(func() { bookSteadily(b, writing, insert, serversRate) })
	if n > 1 {
		r.perFollower = math.Max(0, r.cpu[followersRole]-idle[followersRole]) / r.batches / float64(n-1)
	}
	r.perSecond = portalWork{portal.URL + "&application_name=portal", insert, serversWriters, turnTime(), portalCPU}.run(b)
	return r
}

// bookSteadily runs a statement so many times a second for one turn.
func bookSteadily(b *testing.B, pool *sqlx.DB, statement string, rate int) {
	b.Helper()
	var writing sync.WaitGroup
	defer writing.Wait()
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	end := time.After(turnTime())
	for {
		select {
		case <-end:
			return
		case <-tick.C:
		}
		writing.Go(func() {
			if _, err := pool.ExecContext(b.Context(), statement); err != nil {
				b.Error(err)
			}
		})
	}
}
