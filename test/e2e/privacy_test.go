package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestPrivacy exports and erases a person: the name is in no dump of our schema, browsers load
// again, and the journal stays.
func TestPrivacy(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	guest := s.Portal.AddGuest(t, "Zenaide", "Quaresma")
	s.Portal.Exec(t, `UPDATE users SET email = 'zenaide.quaresma@portal.example' WHERE id::text = $1`, guest)
	live := s.Connect(t, s.Token, s.Owner.ID, "")
	live.Next(harness.OfType("connection_established"))
	s.Portal.Book(t, s.Owner.Hangars[0], guest)
	live.Next(harness.IsEvent)
	kept := s.Portal.Book(t, s.Owner.Hangars[1], s.Guest)
	live.Next(harness.IsEvent)
	s.Portal.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'viewer')`, s.Owner.ID, guest)
	s.Portal.Exec(t, `INSERT INTO realtime.invitations (owner_id, email, role, invited_by) VALUES ($1, 'Zenaide.Quaresma@portal.example', 'viewer', $2)`, s.Owner.ID, s.Owner.UserID)
	s.Portal.Exec(t, `INSERT INTO realtime.journal (at, kind, user_id, network) VALUES (now(), 'sign_in', $1, '203.0.113.5')`, guest)
	s.Portal.Exec(t, `INSERT INTO realtime.events (type, data) VALUES ('.disconnect', json_build_object('user', $1::text)), ('.disconnect', '{"user":"0"}')`, guest)
	privacy := func(arguments ...string) map[string]any {
		t.Helper()
		var out, log bytes.Buffer
		if code := harness.Run(t.Context(), append(append([]string{"privacy"}, arguments...), "--database-url", s.DatabaseURL), &out, &log); code != 0 {
			t.Fatalf("%v: %d: %s", arguments, code, &log)
		}
		var answer map[string]any
		if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
			t.Fatalf("%s: %v", &out, err)
		}
		return answer
	}

	found := privacy("export", "--user", guest)
	for table, n := range map[string]int{"members": 1, "invitations": 1, "journal": 1, "sessions": 0} {
		if rows, _ := found[table].([]any); len(rows) != n {
			t.Errorf("the export has %d rows of %s, want %d: %v", len(rows), table, n, found[table])
		}
	}
	if notes, _ := found["events"].([]any); len(notes) < 2 { // a booking, and whose connections end
		t.Errorf("the export has of the log %v", notes)
	}
	s.Portal.Exec(t, `UPDATE users SET first_name = 'removed', last_name = '', email = 'removed@portal.example' WHERE id::text = $1`, guest)
	erased := privacy("erase", "--user", guest, "--name", "Zenaide Quaresma", "--email", "zenaide.quaresma@portal.example")["erased"].(map[string]any)
	if erased["members"] != 1.0 || erased["events"] != float64(len(found["events"].([]any))) || erased["truncated owners"] != 1.0 {
		t.Errorf("erased were %v", erased)
	}
	live.Next(harness.OfType("resync"))
	status, _, page := s.Get(t, "owners/"+s.Owner.ID+"/bookings/"+kept, s.Token)
	if status != http.StatusOK || page["guestName"] != "Caio Brandão" {
		t.Errorf("another guest's booking is answered by %d %v", status, page)
	}
	if n := s.Portal.ID(t, `SELECT count(*)::text FROM realtime.journal WHERE user_id = $1 AND kind IN ('sign_in', 'erase')`, guest); n != "2" {
		t.Errorf("%s entries of the journal are left", n)
	}
	if dump := dumpOfOurs(t, s.DatabaseURL); strings.Contains(dump, "Quaresma") || strings.Contains(dump, "Zenaide") || !strings.Contains(dump, "Caio") {
		t.Errorf("the dump has the name, or nothing")
	}
	// the stream goes on
	again := s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	if m := live.Next(harness.IsEvent); m.Field("bookingId") != again {
		t.Errorf("after the erasure %s is told", m.Data)
	}
}

// dumpOfOurs returns what pg_dump has of our schema.
func dumpOfOurs(t *testing.T, databaseURL string) string {
	t.Helper()
	file := filepath.Join(dbtest.Dir(t), "dump.sql")
	client(t, "pg_dump", "--dbname="+databaseURL, "--schema=realtime", "--file="+file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
