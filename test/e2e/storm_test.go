package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/devdb"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// The crowd of TestCrowdAsksOncePerOwner, on each server.
const (
	crowdOwners  = 10
	crowdClients = 60 // of each owner, and as many requests
)

// questionMark begins each entry of PostgreSQL's log, before the name of who asked.
const questionMark = "#|#"

// TestCrowdAsksOncePerOwner has the streams of a thousand clients come to two servers at once, as
// after a restart, and then as many requests, and counts in PostgreSQL's own log what it was asked:
// each server asks for an owner's numbers once for all streams, and once for all requests.
func TestCrowdAsksOncePerOwner(t *testing.T) {
	t.Parallel()
	cluster, err := devdb.Start(t.Context(), devdb.Options{
		Dir: dbtest.Dir(t), Log: slog.New(slog.DiscardHandler), Temporary: true, Settings: map[string]string{
			"fsync": "off", "max_connections": "100", "log_line_prefix": questionMark + "%a ", "logging_collector": "on",
			"log_directory": "asked", "log_filename": "all.log", "log_rotation_age": "0", "log_rotation_size": "0",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Stop(context.Background()) }) //nolint:errcheck // it ends with the test in any case
	portal := harness.PrivatePortal(t, cluster)
	var owners []dbtest.Owner
	for range crowdOwners {
		owners = append(owners, portal.AddOwner(t, 1))
	}
	portal.Exec(t, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET log_statement = ''all''', current_database()); END $$`)
	var servers []*harness.Program
	for i := range 2 {
		named := *portal
		named.URL += fmt.Sprintf("&application_name=server%d", i+1)
		servers = append(servers, harness.Serve(t, &named))
	}
	harness.Eventually(t, "the projection is built", func() bool {
		return portal.ID(t, `SELECT count(*) FROM realtime.ledger_marks`) != "0"
	})
	log := filepath.Join(portal.ID(t, `SELECT current_setting('data_directory')`), "asked", "all.log")

	atOnce(t, servers, owners, func(p *harness.Program, o dbtest.Owner, token string) error {
		until := time.Now().Add(2 * harness.Timeout)
		w, err := p.TryWireUntil(until, token, harness.WireOptions{WebSocket: true, OwnerID: o.ID})
		for err != nil && strings.Contains(err.Error(), " 503 ") && time.Now().Before(until) {
			w, err = p.TryWireUntil(until, token, harness.WireOptions{WebSocket: true, OwnerID: o.ID})
		}
		if err != nil {
			return err
		}
		t.Cleanup(func() { w.Conn.Close() })
		for {
			text, err := w.Next()
			if err != nil || harness.IsOf(text, "metrics_updated") {
				return err
			}
		}
	})
	// What a busy machine did not answer in time is asked again.
	again := func(server int, o dbtest.Owner) (n int) {
		for _, line := range strings.Split(servers[server].Output.String(), "\n") {
			if strings.Contains(line, "metrics could not be computed") && strings.Contains(line, "owner="+o.ID+" ") {
				n++
			}
		}
		return n
	}
	onceEach(t, log, owners, "streams", func(server int, o dbtest.Owner) int { return 1 + again(server, o) })
	var refused sync.Map
	atOnce(t, servers, owners, func(p *harness.Program, o dbtest.Owner, token string) error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.Base+"api/owners/"+o.ID+"/metrics", nil)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		for {
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return err
			}
			response.Body.Close()
			switch response.StatusCode {
			case http.StatusOK:
				return nil
			case http.StatusServiceUnavailable:
				counter, _ := refused.LoadOrStore(p.Base+o.ID, new(atomic.Int64))
				if counter.(*atomic.Int64).Add(1) < 100*crowdClients {
					continue
				}
			}
			return fmt.Errorf("status %s", response.Status)
		}
	})
	onceEach(t, log, owners, "streams and requests", func(server int, o dbtest.Owner) int {
		n := 2 + again(server, o)
		if counter, ok := refused.Load(servers[server].Base + o.ID); ok {
			n += int(counter.(*atomic.Int64).Load())
		}
		return n
	})
}

// atOnce has all clients do something at once.
func atOnce(t *testing.T, servers []*harness.Program, owners []dbtest.Owner, do func(p *harness.Program, o dbtest.Owner, token string) error) {
	t.Helper()
	var all sync.WaitGroup
	begin := make(chan struct{})
	for _, p := range servers {
		for _, o := range owners {
			token := harness.TokenFor(t, o.UserID, time.Hour)
			for range crowdClients {
				all.Go(func() {
					<-begin
					if err := do(p, o, token); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
	close(begin)
	all.Wait()
}

// onceEach checks how often each server has asked for each owner's numbers so far: at least once,
// and no more often than it may. What the projection is compared for is none of these: that asks
// about one owner by a statement that is not prepared.
func onceEach(t *testing.T, log string, owners []dbtest.Owner, whom string, most func(server int, o dbtest.Owner) int) {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]int{}
	entries := strings.Split(string(text), questionMark)
	for i, entry := range entries {
		server, question, found := strings.Cut(entry, " LOG:  execute ")
		if !found || !strings.Contains(question, "revenue_today") || i+1 == len(entries) {
			continue
		}
		_, about, _ := strings.Cut(entries[i+1], " DETAIL:  parameters: $1 = '")
		about, _, _ = strings.Cut(about, "'")
		if strings.HasPrefix(question, "<unnamed>") && !strings.HasPrefix(about, "{") {
			continue
		}
		for _, id := range strings.Split(strings.Trim(about, "{}"), ",") {
			asked[server+" about "+strings.Trim(id, `"`)]++
		}
	}
	for _, o := range owners {
		for i, server := range []string{"server1", "server2"} {
			if n, most := asked[server+" about "+o.ID], most(i, o); n < 1 || n > most {
				t.Errorf("%s: %s asked %d times for the numbers of owner %s, want 1 to %d", whom, server, n, o.ID, most)
			}
		}
	}
}
