package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestRowsThatCannotBeTold writes rows into the log that this version does not know, that
// servers wrote for each other, and that no version could read: nobody is silenced by
// them, live, returning or by REST.
func TestRowsThatCannotBeTold(t *testing.T) {
	t.Parallel()
	admin := harness.FreeAddress(t)
	s := harness.NewSetup(t, "--admin-addr", admin)
	other := s.Portal.AddOwner(t, 1)
	otherToken := harness.TokenFor(t, other.UserID, time.Hour)
	insert := func(owner, typ, data string) {
		t.Helper()
		s.Portal.Exec(t, `INSERT INTO realtime.events (owner_id, type, data) VALUES (nullif($1, 'NULL'), $2, nullif($3, '')::json)`, owner, typ, data)
		s.Portal.Exec(t, `SELECT realtime.ring()`)
	}
	live, beside := s.Connect(t, s.Token, s.Owner.ID, ""), s.Connect(t, otherToken, other.ID, "")
	begin := live.Next(harness.OfType("connection_established")).Field("lastEventId")
	beside.Next(harness.OfType("connection_established"))
	told := func(from *harness.Stream, want ...string) (last string) {
		t.Helper()
		for _, typ := range want {
			m := from.Next(func(m harness.Message) bool { return m.ID != "" || m.Type == "resync" })
			if m.Type != typ {
				t.Fatalf("told %s, want %s", m.Type, typ)
			}
			last = m.ID
		}
		return last
	}
	book := func() {
		t.Helper()
		s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	}

	book()
	first := told(live, "booking_created")
	insert(s.Owner.ID, "listing_updated", `{}`)
	insert(s.Owner.ID, "listing_updated", `[]`)
	insert(s.Owner.ID, ".note", `{"bookingId": "1"}`)
	insert("NULL", ".probe", ``)
	insert("NULL", "booking_created", `{"bookingId": "foreign"}`)
	book()
	last := told(live, "booking_created")
	for _, after := range []string{begin, first} {
		want := map[string][]string{begin: {"booking_created", "booking_created"}, first: {"booking_created"}}[after]
		for name, again := range map[string]*harness.Stream{"WebSocket": s.Connect(t, s.Token, s.Owner.ID, after), "event stream": s.Listen(t, s.Token, "?ownerId="+s.Owner.ID+"&lastEventId="+after)} {
			if hello := again.Next(harness.OfType("connection_established")); hello.Field("recovered") != "true" {
				t.Errorf("%s: %s", name, hello.Data)
			}
			told(again, want...)
		}
		status, _, page := s.Get(t, "owners/"+s.Owner.ID+"/events?after="+after, s.Token)
		if events, _ := page["events"].([]any); status != http.StatusOK || len(events) != len(want) || page["lastEventId"] != last {
			t.Errorf("REST: %d %v", status, page)
		}
	}
	if n := s.Metric(t, admin, `hangarshare_log_rows_skipped_total{reason="unknown_type"}`); n != "2" {
		t.Errorf("%s rows of unknown types are counted, want 2", n)
	}
	if n := strings.Count(s.Output.String(), "listing_updated"); n != 1 {
		t.Errorf("the unknown type is logged %d times", n)
	}

	t.Run("a row that cannot be read is a loss of its owner's alone, once", func(t *testing.T) {
		insert(s.Owner.ID, "booking_created", ``)
		told(live, "resync")
		book()
		next := told(live, "booking_created")
		again := s.Connect(t, s.Token, s.Owner.ID, last)
		if hello := again.Next(harness.OfType("connection_established")); hello.Field("recovered") != "false" {
			t.Errorf("over the loss: %s", hello.Data)
		}
		told(again, "resync")
		again = s.Connect(t, s.Token, s.Owner.ID, next)
		if hello := again.Next(harness.OfType("connection_established")); hello.Field("recovered") != "true" {
			t.Errorf("after the loss: %s", hello.Data)
		}
		if status, _, page := s.Get(t, "owners/"+s.Owner.ID+"/events?after="+last, s.Token); status != http.StatusOK || page["resync"] != true {
			t.Errorf("REST over the loss: %d %v", status, page)
		}
		// with that of nobody above
		if n := s.Metric(t, admin, `hangarshare_log_rows_skipped_total{reason="unreadable"}`); n != "2" {
			t.Errorf("%s unreadable rows are counted, want 2", n)
		}
	})
	t.Run("truncated with an owner is that owner's alone", func(t *testing.T) {
		insert(s.Owner.ID, "truncated", ``)
		told(live, "resync")
		insert("NULL", "truncated", ``)
		told(live, "resync")
		told(beside, "resync") // the first that it is told
	})
}

// TestNamesInNoEncoding has a guest whose name is not UTF-8, in a database that does not
// know encodings.
func TestNamesInNoEncoding(t *testing.T) {
	t.Parallel()
	server := dbtest.Private(t)
	admin := dbtest.Open(t, server.URL())
	admin.Exec(t, `CREATE DATABASE old ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`)
	address := strings.Replace(server.URL(), "/hangarshare?", "/old?", 1)
	if address == server.URL() {
		t.Fatalf("no database name in %s", address)
	}
	portal := harness.OpenPortal(t, address)
	o := portal.AddOwner(t, 1)
	guest := portal.ID(t, `INSERT INTO users (first_name, last_name, email, password_hash)
		VALUES (convert_from('\x4a6f73e9'::bytea, 'SQL_ASCII'), 'Reis', 'jose@guest.example', '!') RETURNING id::text`)
	p := harness.Serve(t, portal)
	token := harness.TokenFor(t, o.UserID, time.Hour)
	live := p.Connect(t, token, o.ID, "")
	begin := live.Next(harness.OfType("connection_established")).Field("lastEventId")
	for range 2 {
		id := portal.Book(t, o.Hangars[0], guest)
		m := live.Next(harness.IsEvent)
		if m.Type != "booking_created" || m.Field("bookingId") != id || m.Field("guestName") != "Jos\ufffd Reis" {
			t.Errorf("told %s %s", m.Type, m.Data)
		}
	}
	again := p.Connect(t, token, o.ID, begin)
	for range 2 {
		if m := again.Next(harness.IsEvent); m.Field("guestName") != "Jos\ufffd Reis" {
			t.Errorf("told again: %s", m.Data)
		}
	}
	if status, _, page := p.Get(t, "owners/"+o.ID+"/events?after="+begin, token); status != http.StatusOK || len(page["events"].([]any)) != 2 {
		t.Errorf("REST: %d %v", status, fmt.Sprint(page))
	}
}

// TestBookingsLeftOut has bookings that lack what figures need: they are counted, and
// logged once for each reason.
func TestBookingsLeftOut(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	portal.Exec(t, `ALTER TABLE bookings ALTER hangar_id DROP NOT NULL, ALTER total_price DROP NOT NULL`)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Caio", "Brandão")
	for range 3 {
		portal.Book(t, o.Hangars[0], guest)
	}
	portal.Exec(t, `UPDATE bookings SET hangar_id = NULL WHERE id = (SELECT min(id) FROM bookings);
		UPDATE bookings SET total_price = NULL WHERE id <> (SELECT min(id) FROM bookings)`)
	admin := harness.FreeAddress(t)
	p := harness.Serve(t, portal, "--admin-addr", admin)
	for reason, want := range map[string]string{"no_hangar": "1", "no_amount": "2"} {
		p.Output.Await(t, "reason="+reason)
		if n := p.Metric(t, admin, `hangarshare_bookings_left_out{reason="`+reason+`"}`); n != want {
			t.Errorf("%s bookings are left out for %s, want %s", n, reason, want)
		}
	}
	if n := p.Metric(t, admin, `hangarshare_bookings_left_out{reason="no_dates"}`); n != "0" {
		t.Errorf("%s bookings are left out for their dates", n)
	}
	p.Stop()
}
