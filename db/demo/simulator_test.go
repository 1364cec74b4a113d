package demo_test

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
)

// clock is a time that only the test moves.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

// simulated returns a seeded demo and a simulator whose clock the test moves.
func simulated(t *testing.T, now time.Time) (*sqlx.DB, *demo.Simulator, *clock) {
	t.Helper()
	c := &clock{now}
	db := seeded(t, demo.SeedOptions{Now: now, Location: now.Location(), Random: 3})
	return db, demo.NewSimulator(db, demo.SimulatorOptions{Now: c.now, Location: now.Location(), Random: 11, Log: slog.New(slog.DiscardHandler)}), c
}

func TestSimulatorKeepsTheRules(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		steps int
		pause time.Duration
	}{
		"at its usual pace":  {400, 2 * time.Second},
		"over several days":  {600, 9 * time.Minute},
		"with long absences": {40, 7 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, s, c := simulated(t, time.Date(2026, 11, 20, 21, 0, 0, 0, saoPaulo(t)))
			seen := map[string]int{}
			for i := range test.steps {
				c.Time = c.Add(test.pause)
				action, err := s.Step(t.Context())
				must(t, err)
				seen[action]++
				if i%40 == 39 {
					if found := broken(t, db, c.Time); len(found) > 0 {
						t.Fatalf("after %d actions: broken rules: %v", i+1, found)
					}
				}
			}
			t.Logf("%v", seen)
			if seen["nothing"] > 0 {
				t.Errorf("%d actions did nothing", seen["nothing"])
			}
			if test.steps < 400 {
				return
			}
			for _, action := range s.Actions() {
				if seen[action] == 0 {
					t.Errorf("nobody did %q", action)
				}
			}
			for _, v := range figuresOf(t.Context(), t, db, c.Time) {
				t.Logf("%+v", v)
				if v.Occupancy < 35 || v.Occupancy > 95 || v.Growth < -60 || v.Growth > 90 {
					t.Errorf("an odd business: %+v", v)
				}
			}
		})
	}
}

// TestSimulatorMeetsOddRows has rows in the demo that somebody wrote by hand: life goes on.
func TestSimulatorMeetsOddRows(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"a price that is no number":      `UPDATE bookings SET subtotal = 'NaN', fees = 'NaN', total_price = 'NaN', payment_date = payment_date + interval '1 s'`,
		"a price of all the money":       `UPDATE bookings SET subtotal = 99999999.99, fees = 0, total_price = 99999999.99`,
		"a rate that is no number":       `UPDATE hangar_listings SET daily_rate = 'NaN'`,
		"a stay that never ends":         `UPDATE bookings SET check_out = 'infinity' WHERE status IN ('pending', 'confirmed', 'active')`,
		"a stay that was always there":   `UPDATE bookings SET check_in = '-infinity' WHERE status IN ('pending', 'confirmed', 'active')`,
		"a booking made before all time": `UPDATE bookings SET created_at = '-infinity'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, s, c := simulated(t, time.Date(2026, 11, 20, 10, 0, 0, 0, saoPaulo(t)))
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
			for range 60 {
				c.Time = c.Add(time.Minute)
				if _, err := s.Step(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestSimulatorTakesOwnersInTurn(t *testing.T) {
	t.Parallel()
	_, s, _ := simulated(t, time.Date(2026, 11, 20, 10, 0, 0, 0, saoPaulo(t)))
	for range 20 {
		seen := map[int64]bool{}
		round, err := s.Round(t.Context())
		must(t, err)
		for _, owner := range round {
			seen[owner] = true
		}
		if len(seen) != len(demo.Companies()) {
			t.Fatalf("a round had the owners %v, want all %d", seen, len(demo.Companies()))
		}
	}
}

func TestSimulatorWorksOnTheNewerTables(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, saoPaulo(t))
	c := &clock{now}
	db := open(t)
	must(t, demo.CreateViewSchema(t.Context(), db))
	must(t, demo.DropTotalSpaces(t.Context(), db))
	must(t, demo.Seed(t.Context(), db, demo.SeedOptions{Now: now, Location: now.Location()}))
	s := demo.NewSimulator(db, demo.SimulatorOptions{Now: c.now, Location: now.Location()})
	for range 100 {
		c.Time = c.Add(2 * time.Second)
		_, err := s.Step(t.Context())
		must(t, err)
	}
	if n := get[int](t, db, `SELECT count(*) FROM hangar_bookings WHERE updated_at > $1`, utc(now)); n == 0 {
		t.Error("nothing changed in hangar_bookings")
	}
}

// lines is a log whose messages a test waits for.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

func (l lines) wait(t *testing.T, message string) {
	t.Helper()
	select {
	case line := <-l:
		if !strings.Contains(line, message) {
			t.Fatalf("logged %q, want %q", line, message)
		}
	case <-time.After(time.Minute):
		t.Fatalf("nothing was logged, want %q", message)
	}
}

func TestSimulatorSurvivesAnOutage(t *testing.T) {
	t.Parallel()
	address := dbtest.Empty(t)
	db, err := sqlx.Open("postgres", address)
	must(t, err)
	defer db.Close()
	must(t, demo.CreateSchema(t.Context(), db))
	must(t, demo.Seed(t.Context(), db, demo.SeedOptions{Location: saoPaulo(t)}))
	elsewhere, err := url.Parse(address)
	must(t, err)
	name := strings.TrimPrefix(elsewhere.Path, "/")
	elsewhere.Path = "/postgres"
	admin, err := sqlx.Open("postgres", elsewhere.String())
	must(t, err)
	defer admin.Close()

	log := make(lines, 100)
	s := demo.NewSimulator(db, demo.SimulatorOptions{
		Interval: time.Millisecond, Location: saoPaulo(t),
		Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	s.SetBackoff(time.Millisecond, 5*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()

	for _, statement := range []string{
		`ALTER DATABASE "` + name + `" WITH ALLOW_CONNECTIONS false`,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '` + name + `'`,
	} {
		_, err := admin.ExecContext(t.Context(), statement)
		must(t, err)
	}
	log.wait(t, "simulator paused")
	_, err = admin.ExecContext(t.Context(), `ALTER DATABASE "`+name+`" WITH ALLOW_CONNECTIONS true`)
	must(t, err)
	log.wait(t, "simulator resumed")
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run returned %v after its context ended", err)
	}
	if len(log) > 0 {
		t.Errorf("logged more: %s", <-log)
	}
}
