package e2e

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// command runs a command of the program to its end, and returns what it printed.
func command(t *testing.T, arguments ...string) (code int, printed string) {
	t.Helper()
	var out bytes.Buffer
	code = harness.Run(t.Context(), append(arguments, "--jwt-secret", harness.Secret), &out, &out)
	return code, out.String()
}

// TestTwoSchemas has two installations in one database, in schemas of their own, the second with a
// role that may not migrate and beside writers whose triggers change what they wrote: each tells
// everything once, in order, and does nothing to the other.
func TestTwoSchemas(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t) // with the usual schema
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Caio", "Brandão")
	token := harness.TokenFor(t, o.UserID, time.Hour)
	if code, printed := command(t, "migrate", "--database-url", portal.URL, "--schema", "live"); code != 0 {
		t.Fatalf("migrate: %d, %s", code, printed)
	}
	portal.Exec(t, `CREATE FUNCTION public.confirm() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			UPDATE bookings SET status = 'confirmed', payment_date = now() WHERE id = NEW.id; RETURN NULL; END $$;
		CREATE TRIGGER confirm AFTER INSERT ON bookings FOR EACH ROW EXECUTE FUNCTION public.confirm()`)
	one := harness.Serve(t, portal, harness.AtNoon()...)
	other := harness.Serve(t, &dbtest.Portal{URL: asRole(t, portal, "live"), Pool: portal.Pool}, append(harness.AtNoon(), "--schema", "live")...)
	streams := []*harness.Stream{one.Connect(t, token, o.ID, ""), other.Connect(t, token, o.ID, "")}
	var begins []string
	for _, s := range streams {
		begins = append(begins, s.Next(harness.OfType("connection_established")).Field("lastEventId"))
	}
	tells := func(s *harness.Stream, booking string, types ...string) (last string) {
		t.Helper()
		for _, typ := range types {
			m := s.Next(func(m harness.Message) bool {
				return harness.IsEvent(m) && m.Type != "occupancy_changed" || harness.OfType("resync")(m)
			})
			if m.Type != typ || m.Field("bookingId") != booking {
				t.Fatalf("told %s %s, want %s", m.Type, m.Data, typ)
			}
			last = m.ID
		}
		return last
	}
	booking := portal.Book(t, o.Hangars[0], guest)
	for i, p := range []*harness.Program{one, other} {
		tells(streams[i], booking, "booking_created", "booking_updated", "revenue_received")
		if status, _, page := p.Get(t, "owners/"+o.ID+"/metrics", token); status != http.StatusOK || page["revenueToday"] != 220.5 {
			t.Errorf("REST of installation %d: %d %v", i, status, page)
		}
		again := p.Listen(t, token, "?ownerId="+o.ID+"&lastEventId="+begins[i])
		again.Next(harness.OfType("connection_established"))
		tells(again, booking, "booking_created", "booking_updated", "revenue_received")
	}
	schemaIn := func(schema string) {
		t.Helper()
		if code, printed := command(t, "check", "--database-url", portal.URL, "--schema", schema); code != 0 || !strings.Contains(printed, "ok    listen") ||
			!strings.Contains(printed, "13 stand, all enabled") {
			t.Errorf("check of %s: %d, %s", schema, code, printed)
		}
	}
	schemaIn("realtime")
	schemaIn("live")

	// A new history of the one is none of the other's.
	if code, printed := command(t, "epoch", "--renew", "--database-url", portal.URL, "--schema", "live"); code != 0 {
		t.Errorf("epoch --renew: %d, %s", code, printed)
	}
	streams[1].Next(harness.OfType("resync"))
	booking = portal.Book(t, o.Hangars[0], guest)
	for _, s := range streams {
		tells(s, booking, "booking_created", "booking_updated", "revenue_received")
	}

	// And it goes alone.
	other.Stop()
	if code, printed := command(t, "migrate", "--down", "--database-url", portal.URL, "--schema", "live"); code != 0 {
		t.Fatalf("migrate --down: %d, %s", code, printed)
	}
	if left := portal.ID(t, `SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'live%'`); left != "0" ||
		portal.ID(t, `SELECT to_regnamespace('live') IS NULL`) != "true" {
		t.Errorf("%s triggers are left", left)
	}
	booking = portal.Book(t, o.Hangars[0], guest)
	tells(streams[0], booking, "booking_created", "booking_updated", "revenue_received")
	schemaIn("realtime")
	one.Stop()
}

// asRole makes a role with the rights that the README lists on a schema, and returns the
// address of its connections.
func asRole(t *testing.T, portal *dbtest.Portal, schema string) string {
	t.Helper()
	role := "reader_" + portal.ID(t, `SELECT current_database()`)
	portal.Exec(t, `CREATE ROLE `+role+`;
		GRANT USAGE ON SCHEMA `+schema+` TO `+role+`;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA `+schema+` TO `+role+`;
		GRANT SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA `+schema+` TO `+role+`;
		GRANT EXECUTE ON ALL ROUTINES IN SCHEMA `+schema+` TO `+role+`;
		GRANT SELECT ON users, hangar_owners, hangar_listings, bookings TO `+role)
	t.Cleanup(func() {
		if _, err := portal.Pool.Exec(`DROP OWNED BY ` + role + `; DROP ROLE ` + role); err != nil {
			t.Error(err)
		}
	})
	return portal.URL + "&role=" + role
}

// TestSchemaBesideAnother serves a database like those of Supabase, which has a schema of
// our usual name.
func TestSchemaBesideAnother(t *testing.T) {
	t.Parallel()
	portal := dbtest.Open(t, dbtest.Empty(t))
	harness.Must(t, demo.CreateSchema(t.Context(), portal.Pool))
	portal.Exec(t, `CREATE SCHEMA realtime; CREATE TABLE realtime.messages (id int); INSERT INTO realtime.messages VALUES (7)`)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Caio", "Brandão")
	token := harness.TokenFor(t, o.UserID, time.Hour)
	for _, arguments := range [][]string{{"migrate"}, {"migrate", "--down"}, {"serve", "--addr", "127.0.0.1:0", "--admin-addr", ""}, {"check"}} {
		if code, printed := command(t, append(arguments, "--database-url", portal.URL)...); code != 1 || !strings.Contains(printed, "SCHEMA") ||
			!strings.Contains(printed, "not ours") {
			t.Errorf("%s: %d, %s", arguments, code, printed)
		}
	}
	if code, printed := command(t, "check", "--database-url", portal.URL, "--schema", "Hangar"); code != 1 || !strings.Contains(printed, "SCHEMA is \"Hangar\"") {
		t.Errorf("a bad name: %d, %s", code, printed)
	}
	p := harness.Serve(t, portal, "--schema", "live")
	ws := p.Connect(t, token, o.ID, "")
	ws.Next(harness.OfType("connection_established"))
	booking := portal.Book(t, o.Hangars[0], guest)
	if m := ws.Next(harness.IsEvent); m.Field("bookingId") != booking {
		t.Errorf("told %s", m.Data)
	}
	p.Stop()
	for range 2 { // the second time there is nothing
		if code, printed := command(t, "migrate", "--down", "--database-url", portal.URL, "--schema", "live"); code != 0 {
			t.Errorf("migrate --down: %d, %s", code, printed)
		}
	}
	if left := portal.ID(t, `SELECT id FROM realtime.messages`) + portal.ID(t, `SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal`); left != "70" {
		t.Errorf("left is %q", left)
	}
}
