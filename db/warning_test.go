package db_test

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// TestWarningsTellWritersNothing has our triggers fail, and reads what the portal's own client is
// told: neither SQL text, nor what went wrong, nor a value of a row, whatever the client asks to
// hear. PostgreSQL's log has the reason.
func TestWarningsTellWritersNothing(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]string{
		"a constraint with the row in its detail": `ALTER TABLE realtime.events ADD CONSTRAINT {secret} CHECK (id < 0) NOT VALID`,
		"an exception with a message and a hint": `CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN RAISE EXCEPTION '{secret} % %', NEW.data, current_query() USING HINT = '{secret}', DETAIL = '{secret}'; END $$;
			CREATE TRIGGER refuse BEFORE INSERT ON realtime.events FOR EACH ROW EXECUTE FUNCTION public.refuse()`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWriterFixture(t)
			secret := "secret_" + strings.ToLower(strings.ReplaceAll(s.ID(t, `SELECT gen_random_uuid()::text`), "-", ""))
			s.Exec(t, strings.ReplaceAll(damage, "{secret}", secret))
			const guest = "Guilhermina"
			id := s.AddGuest(t, guest, "Reis")

			told := &notices{}
			connector, err := pq.NewConnector(s.URL)
			must(t, err)
			client := sql.OpenDB(pq.ConnectorWithNoticeHandler(connector, told.hear))
			defer client.Close()
			client.SetMaxOpenConns(1)
			for _, level := range []string{"notice", "log", "debug5"} {
				before := told.about(t)
				_, err = client.Exec(`SET client_min_messages = ` + level)
				must(t, err)
				_, err = client.Exec(`INSERT INTO bookings (` + dbtest.BookingColumns + `) VALUES ` + dbtest.BookingValues(s.a.Hangars[0], id))
				must(t, err)
				warnings := told.about(t)
				if len(warnings) == len(before) {
					t.Errorf("%s: no warning came", level)
				}
				for _, warning := range warnings[len(before):] {
					for _, hidden := range []string{secret, guest, "INSERT", "SELECT", "PERFORM", "violates", "does not exist", "SQL statement", s.a.ID + ","} {
						if strings.Contains(warning, hidden) {
							t.Errorf("%s: a client is told %q: %s", level, hidden, warning)
						}
					}
				}
			}
			if log := logOf(t); !strings.Contains(log, secret) || !strings.Contains(log, "could not log a change") {
				t.Error("PostgreSQL's log does not tell the reason")
			}
		})
	}
}

// notices collect what PostgreSQL tells a client beside results.
type notices struct {
	mu   sync.Mutex // guards list
	list []*pq.Error
}

func (n *notices) hear(notice *pq.Error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, notice)
}

// about returns all fields of the warnings of ours, and of whatever else was told above debugging.
func (n *notices) about(t *testing.T) (list []string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, notice := range n.list {
		if !strings.HasPrefix(notice.Severity, "DEBUG") || strings.Contains(notice.Message, "HangarShare") {
			list = append(list, fmt.Sprintf("%+v", *notice))
		}
	}
	return slices.Clip(list)
}

// logOf returns PostgreSQL's log, as far as it is kept.
func logOf(t *testing.T) string {
	t.Helper()
	path := dbtest.Server(t).LogFile()
	older, err := os.ReadFile(path + ".1")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	newer, err := os.ReadFile(path)
	must(t, err)
	return string(older) + string(newer)
}
