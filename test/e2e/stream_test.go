//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

func TestOneCommitThreeWaysOut(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	ws, sse := s.Connect(t, s.Token, s.Owner.ID, ""), s.Listen(t, s.Token, "?ownerId="+s.Owner.ID)
	var begin string
	for _, stream := range []*harness.Stream{ws, sse} {
		hello := stream.Next(nil)
		begin = hello.Field("lastEventId")
		if hello.Type != "connection_established" || hello.Field("ownerId") != s.Owner.ID || hello.Field("recovered") != "true" ||
			hello.Field("lastEventId") == "" || hello.Field("timezone") != "America/Sao_Paulo" || hello.Field("heartbeatMs") != "20000" {
			t.Errorf("the first message is %s %s", hello.Type, hello.Data)
		}
		// State comes next, in no order: none of it has an id.
		for waiting := []string{"metrics_updated", "overview_updated", "notifications_updated"}; len(waiting) > 0; {
			m := stream.Next(nil)
			i := slices.Index(waiting, m.Type)
			if i < 0 || m.ID != "" {
				t.Fatalf("%s with id %q, want %v", m.Type, m.ID, waiting)
			}
			waiting = slices.Delete(waiting, i, i+1)
		}
	}
	booking := s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	a, b := ws.Next(harness.IsEvent), sse.Next(harness.IsEvent)
	if a.Type != "booking_created" || a.Field("bookingId") != booking || a.Field("guestName") != "Caio Brandão" ||
		a.Field("amount") != "220.5" || a.Field("id") != a.ID || a.OwnerID != s.Owner.ID {
		t.Errorf("the WebSocket says %+v %s", a, a.Data)
	}
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("the event stream says %s, the WebSocket %s", b.Data, a.Data)
	}
	if !strings.Contains(string(a.Data), `"amount":220.50`) {
		t.Errorf("money without two decimals: %s", a.Data)
	}
	created := func(m harness.Message) bool { return m.Type == "metrics_updated" && m.Field("bookingsToday") == "1" }
	ws.Next(created)
	sse.Next(created)
	status, header, body := s.Get(t, "owners/"+s.Owner.ID+"/metrics", s.Token)
	if status != http.StatusOK || body["bookingsToday"] != 1.0 || header.Get("Last-Event-ID") != a.ID {
		t.Errorf("REST says %d %v at %s, the event is %s", status, body, header.Get("Last-Event-ID"), a.ID)
	}
	_, _, page := s.Get(t, "owners/"+s.Owner.ID+"/events?after="+begin, s.Token)
	if events := page["events"].([]any); len(events) != 1 || events[0].(map[string]any)["id"] != a.ID {
		t.Errorf("the page of events is %v", page)
	}
}

// TestEverySQLStatementArrives runs ordinary statements and compares what two owners are told.
func TestEverySQLStatementArrives(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	other := s.Portal.AddOwner(t, 1)
	mine := s.Connect(t, s.Token, s.Owner.ID, "")
	theirs := s.Connect(t, harness.TokenFor(t, other.UserID, time.Hour), other.ID, "")
	mine.Next(harness.OfType("connection_established"))
	theirs.Next(harness.OfType("connection_established"))
	id := s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	mine.Next(harness.OfType("booking_created"))
	for _, step := range []struct {
		sql          string
		mine, theirs []string
	}{
		{`UPDATE bookings SET status = 'confirmed' WHERE id = ` + id, []string{"booking_updated confirmed pending", "occupancy_changed true"}, nil},
		{`UPDATE bookings SET payment_date = now() AT TIME ZONE 'UTC', payment_method = 'pix' WHERE id = ` + id, []string{"revenue_received pix"}, nil},
		{`UPDATE bookings SET status = 'active' WHERE id = ` + id, []string{"booking_updated active confirmed"}, nil},
		{`UPDATE bookings SET hangar_id = ` + other.Hangars[0] + ` WHERE id = ` + id,
			[]string{"booking_updated deleted active", "occupancy_changed false"}, []string{"booking_updated active active", "occupancy_changed true"}},
		{`UPDATE bookings SET hangar_id = ` + s.Owner.Hangars[1] + ` WHERE id = ` + id,
			[]string{"booking_updated active active", "occupancy_changed true"}, []string{"booking_updated deleted active", "occupancy_changed false"}},
		{`UPDATE bookings SET check_out = check_in + interval '1 minute', status = 'completed' WHERE id = ` + id,
			[]string{"booking_completed completed active", "occupancy_changed false"}, nil},
		{`DELETE FROM bookings WHERE id = ` + id, []string{"booking_updated deleted completed"}, nil},
	} {
		s.Portal.Exec(t, step.sql)
		for _, want := range []struct {
			stream *harness.Stream
			list   []string
		}{{mine, step.mine}, {theirs, step.theirs}} {
			var got []string
			for range want.list {
				got = append(got, describe(want.stream.Next(harness.IsEvent)))
			}
			if !slices.Equal(got, want.list) {
				t.Errorf("%s: got %q, want %q", step.sql, got, want.list)
			}
		}
	}
}

func describe(m harness.Message) string {
	switch m.Type {
	case "revenue_received":
		return m.Type + " " + m.Field("paymentMethod")
	case "occupancy_changed":
		return m.Type + " " + m.Field("isNowOccupied")
	}
	return m.Type + " " + m.Field("status") + " " + m.Field("previousStatus")
}

// TestTheHourComes has a stay begin and end without any change of rows.
func TestTheHourComes(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	ws := s.Connect(t, s.Token, s.Owner.ID, "")
	ws.Next(harness.OfType("connection_established"))
	s.Portal.Exec(t, `INSERT INTO bookings (`+dbtest.BookingColumns+`) VALUES ($1, $2, now() AT TIME ZONE 'UTC' + interval '1.2 s',
		now() AT TIME ZONE 'UTC' + interval '1 day', 1, 1, 1, 1, 'confirmed')`, s.Owner.Hangars[0], s.Guest)
	arrival := ws.Next(harness.OfType("occupancy_changed"))
	if arrival.Field("isNowOccupied") != "true" || arrival.Field("newOccupant") != "Caio Brandão" {
		t.Errorf("at check-in: %s", arrival.Data)
	}
	// A stay that ended by itself might be over before a slow machine has counted it.
	ws.Next(func(m harness.Message) bool { return m.Type == "metrics_updated" && m.Field("occupancyRate") == "50" })
	s.Portal.Exec(t, `UPDATE bookings SET check_out = now() AT TIME ZONE 'UTC' + interval '1.2 s' WHERE hangar_id = $1`, s.Owner.Hangars[0])
	departure := ws.Next(harness.OfType("occupancy_changed"))
	if departure.Field("isNowOccupied") != "false" || departure.Field("previousOccupant") != "Caio Brandão" {
		t.Errorf("at check-out: %s", departure.Data)
	}
	ws.Next(func(m harness.Message) bool { return m.Type == "metrics_updated" && m.Field("occupancyRate") == "0" })
}

func TestResume(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	first := s.Connect(t, s.Token, s.Owner.ID, "")
	begin := first.Next(harness.OfType("connection_established")).Field("lastEventId")
	var ids []string
	for range 3 {
		s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
		ids = append(ids, first.Next(harness.IsEvent).ID)
	}
	first.Conn.CloseNow()
	for range 3 {
		s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	}
	var all []string
	whole := s.Connect(t, s.Token, s.Owner.ID, begin)
	if hello := whole.Next(nil); hello.Field("recovered") != "true" || hello.Field("lastEventId") != begin {
		t.Errorf("resumed before the first event: %s", hello.Data)
	}
	for range 6 {
		all = append(all, whole.Next(harness.IsEvent).ID)
	}
	if !slices.Equal(all[:3], ids) {
		t.Errorf("the replay gives %v, live were %v", all[:3], ids)
	}
	for name, stream := range map[string]*harness.Stream{
		"WebSocket":            s.Connect(t, s.Token, s.Owner.ID, ids[1]),
		"SSE by query":         s.Listen(t, s.Token, "?ownerId="+s.Owner.ID+"&lastEventId="+ids[1]),
		"SSE by header":        s.Listen(t, s.Token, "?ownerId="+s.Owner.ID, "Last-Event-ID", ids[1]),
		"SSE, header is newer": s.Listen(t, s.Token, "?ownerId="+s.Owner.ID+"&lastEventId="+begin, "Last-Event-ID", ids[1]),
	} {
		var got []string
		for range 4 {
			got = append(got, stream.Next(harness.IsEvent).ID)
		}
		if !slices.Equal(got, all[2:]) {
			t.Errorf("%s: got %v, want %v", name, got, all[2:])
		}
	}
	// A second server process, on the same database: what it never saw itself it reads
	// from the log.
	s.Stop()
	again := harness.Serve(t, s.Portal)
	late := again.Listen(t, s.Token, "?ownerId="+s.Owner.ID+"&lastEventId="+ids[2])
	for _, want := range all[3:] {
		if got := late.Next(harness.IsEvent).ID; got != want {
			t.Errorf("after a restart: got %s, want %s", got, want)
		}
	}
}

func TestResumeRefused(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	other := s.Portal.AddOwner(t, 1)
	foreign := s.Connect(t, harness.TokenFor(t, other.UserID, time.Hour), other.ID, "").Next(harness.OfType("connection_established")).Field("lastEventId")
	own := s.Connect(t, s.Token, s.Owner.ID, "").Next(harness.OfType("connection_established")).Field("lastEventId")
	for id, want := range map[string]int{"garbage": 400, "%00": 400, own + "A": 400, foreign: 403} {
		if status, _, _ := s.Get(t, "owners/"+s.Owner.ID+"/events?after="+id, s.Token); status != want {
			t.Errorf("events after %q: %d, want %d", id, status, want)
		}
		if status, _, _ := s.Get(t, "sse?ownerId="+s.Owner.ID+"&lastEventId="+id, s.Token); status != want {
			t.Errorf("stream after %q: %d, want %d", id, status, want)
		}
	}
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	otherEpoch := map[bool]string{true: "B", false: "A"}[own[0] == 'A'] + own[1:]
	stream := s.Connect(t, s.Token, s.Owner.ID, otherEpoch)
	if hello := stream.Next(nil); hello.Field("recovered") != "false" {
		t.Errorf("an id of another epoch: %s", hello.Data)
	}
	if m := stream.Next(nil); m.Type != "resync" {
		t.Errorf("after recovered: false comes %s, want resync", m.Type)
	}
	if _, _, page := s.Get(t, "owners/"+s.Owner.ID+"/events?after="+otherEpoch, s.Token); page["resync"] != true || len(page["events"].([]any)) != 0 {
		t.Errorf("a page after an id of another epoch: %v", page)
	}
}

func TestTruncateResyncs(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	ws := s.Connect(t, s.Token, s.Owner.ID, "")
	before := ws.Next(harness.OfType("connection_established")).Field("lastEventId")
	s.Portal.Exec(t, `TRUNCATE bookings`)
	resync := ws.Next(harness.OfType("resync"))
	booking := s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	if m := ws.Next(harness.IsEvent); m.Field("bookingId") != booking {
		t.Errorf("after resync comes %s", m.Data)
	}
	late := s.Connect(t, s.Token, s.Owner.ID, before)
	if hello := late.Next(nil); hello.Field("recovered") != "false" {
		t.Errorf("resumed over a TRUNCATE: %s", hello.Data)
	}
	again := s.Connect(t, s.Token, s.Owner.ID, resync.Field("lastEventId"))
	if hello := again.Next(nil); hello.Field("recovered") != "true" {
		t.Errorf("resumed from where resync said: %s", hello.Data)
	}
}

func TestHeartbeats(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--heartbeat-interval", "1s")
	watch := s.Connect(t, s.Token, s.Owner.ID, "")
	watch.Next(harness.OfType("connection_established"))
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	watch.Next(harness.IsEvent)
	for name, stream := range map[string]*harness.Stream{
		"WebSocket": s.Connect(t, s.Token, s.Owner.ID, ""), "SSE": s.Listen(t, s.Token, "?ownerId="+s.Owner.ID),
	} {
		last := stream.Next(harness.OfType("connection_established")).Field("lastEventId")
		for range 3 {
			if beat := stream.Next(harness.OfType("heartbeat")); beat.Field("lastEventId") != last {
				t.Errorf("%s: heartbeat says %s, the stream is at %s", name, beat.Field("lastEventId"), last)
			}
		}
	}
	ws := s.Connect(t, s.Token, s.Owner.ID, "")
	ws.Next(harness.OfType("connection_established"))
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	event := ws.Next(harness.IsEvent)
	if beat := ws.Next(harness.OfType("heartbeat")); beat.Field("lastEventId") != event.ID {
		t.Errorf("heartbeat says %s after event %s", beat.Field("lastEventId"), event.ID)
	}
}

func TestClientMessages(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	ws := s.Connect(t, s.Token, s.Owner.ID, "")
	ws.Next(harness.OfType("connection_established"))
	ws.Send(`{"type":"ping"}`)
	ws.Next(harness.OfType("pong"))
	for _, text := range []string{`{`, `[]`, `"text"`, `{"type":"subscribe"}`, `{"type":7}`, ``, `{"type":"refresh","token":"x"}`} {
		ws.Send(text)
		if m := ws.Next(harness.OfType("error")); m.Field("message") == "" || m.Field("code") == "" {
			t.Errorf("%s is answered by %s", text, m.Data)
		}
	}
	fresh := harness.TokenFor(t, s.Owner.UserID, 2*time.Hour)
	ws.Send(`{"type":"refresh","token":"` + fresh + `"}`)
	if m := ws.Next(harness.OfType("refreshed")); m.Field("expiresAt") == "" {
		t.Errorf("refreshed says %s", m.Data)
	}
	stranger := s.Portal.AddOwner(t, 0)
	ws.Send(`{"type":"refresh","token":"` + harness.TokenFor(t, stranger.UserID, time.Hour) + `"}`)
	if m := ws.Next(harness.OfType("error")); m.Field("code") != "4403" {
		t.Errorf("another user's token is answered by %s", m.Data)
	}
	ws.Send(strings.Repeat(" ", 16<<10))
	ws.Next(harness.OfType("error"))
	ws.Send(strings.Repeat(" ", 16<<10+1))
	if code := ws.End(); code != 1009 {
		t.Errorf("a message of 16,385 bytes ends with %d, want 1009", code)
	}
	flood := s.Connect(t, s.Token, s.Owner.ID, "")
	flood.Next(harness.OfType("connection_established"))
	for range 200 {
		if flood.Conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)) != nil {
			break
		}
	}
	if code := flood.End(); code != 4429 {
		t.Errorf("a flood ends with %d, want 4429", code)
	}
}

func TestStopSaysGoodbye(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	ws, sse := s.Connect(t, s.Token, s.Owner.ID, ""), s.Listen(t, s.Token, "?ownerId="+s.Owner.ID)
	ws.Next(harness.OfType("connection_established"))
	sse.Next(harness.OfType("connection_established"))
	code := make(chan int, 1)
	go func() { code <- s.Stop() }()
	for _, stream := range []*harness.Stream{ws, sse} {
		if m := stream.Next(harness.OfType("server_closing")); m.Field("retryMs") == "" {
			t.Errorf("server_closing says %s", m.Data)
		}
	}
	if m := sse.Next(nil); m.Type != "error" || m.Field("code") != "1001" {
		t.Errorf("the event stream ends with %s %s", m.Type, m.Data)
	}
	if end := ws.End(); end != 1001 {
		t.Errorf("the WebSocket ends with %d, want 1001", end)
	}
	if exit := <-code; exit != 0 {
		t.Errorf("exit code %d:\n%s", exit, s.Output)
	}
}

func TestLogsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--log-level", "debug")
	s.Connect(t, s.Token, s.Owner.ID, "").Next(harness.OfType("connection_established"))
	s.Get(t, "owners/"+s.Owner.ID+"/bookings?token="+s.Token, "")
	s.Get(t, "auth/me", s.Token+"x")
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	ws := s.Dial(t, "", nil)
	ws.Send(`{"type":"auth","token":"` + s.Token + `x"}`)
	ws.End()
	s.Stop()
	for _, secret := range []string{s.Token, harness.Secret, "Brandão"} {
		if strings.Contains(s.Output.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, s.Output)
		}
	}
	lines := 0
	for line := range strings.Lines(s.Output.String()) {
		if strings.Contains(line, "connection opened") {
			lines++
		}
	}
	if lines != 1 {
		t.Errorf("%d lines tell of one connection", lines)
	}
}

func TestMetricsAreExactlyTheSeeds(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	status, _, body := s.Get(t, "owners/"+s.Owner.ID+"/metrics", s.Token)
	var names []string
	for name := range body {
		names = append(names, name)
	}
	slices.Sort(names)
	want := []string{"activeListings", "bookingsToday", "growthPercentage", "nextPayoutDate", "occupancyRate", "pendingPayouts", "revenueToday"}
	if status != http.StatusOK || !slices.Equal(names, want) {
		t.Errorf("%d %v, want %v", status, names, want)
	}
	if _, err := time.Parse(time.RFC3339, body["nextPayoutDate"].(string)); err != nil {
		t.Error(err)
	}
	m := s.Connect(t, s.Token, s.Owner.ID, "").Next(harness.OfType("metrics_updated"))
	var sent map[string]json.RawMessage
	if err := json.Unmarshal(m.Data, &sent); err != nil || len(sent) != len(want) {
		t.Errorf("metrics_updated carries %s", m.Data)
	}
}

// TestFaultsBecomeResync breaks the log for bookings: they commit, and those who watch
// are told to load again.
func TestFaultsBecomeResync(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, harness.AtNoon()...)
	ws := s.Connect(t, s.Token, s.Owner.ID, "")
	ws.Next(harness.OfType("connection_established"))
	s.Portal.Exec(t, `ALTER TABLE realtime.events ADD CONSTRAINT broken CHECK (type <> 'booking_created') NOT VALID`)
	booking := s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	ws.Next(harness.OfType("resync"))
	ws.Next(func(m harness.Message) bool { return m.Type == "metrics_updated" && m.Field("bookingsToday") == "1" })
	if _, _, page := s.Get(t, "owners/"+s.Owner.ID+"/bookings", s.Token); !strings.Contains(harness.EncodeJSON(t, page), `"bookingId":"`+booking+`"`) {
		t.Errorf("booking %s is not there: %v", booking, page)
	}
	s.Portal.Exec(t, `ALTER TABLE realtime.events DROP CONSTRAINT broken`)
	again := s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	if m := ws.Next(harness.IsEvent); m.Field("bookingId") != again {
		t.Errorf("after the repair comes %s", m.Data)
	}
}

// TestRetentionKeepsPromises shortens the log under a connection that is open and one
// that comes back.
func TestRetentionKeepsPromises(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--event-retention", "1s", "--heartbeat-interval", "1s")
	ws := s.Connect(t, s.Token, s.Owner.ID, "")
	begin := ws.Next(harness.OfType("connection_established")).Field("lastEventId")
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	first := ws.Next(harness.IsEvent).ID
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	last := ws.Next(harness.IsEvent).ID
	stranger := s.Portal.AddOwner(t, 1)
	harness.Eventually(t, "shortened", func() bool {
		// time goes on for the log only with new batches
		s.Portal.Book(t, stranger.Hangars[0], s.Guest)
		var left int
		if err := s.Portal.Pool.Get(&left, `SELECT count(*) FROM realtime.events WHERE owner_id = $1`, s.Owner.ID); err != nil {
			t.Fatal(err)
		}
		return left == 0
	})
	if beat := ws.Next(harness.OfType("heartbeat")); beat.Field("lastEventId") != last {
		t.Errorf("heartbeat says %s, the last event was %s", beat.Field("lastEventId"), last)
	}
	s.Stop()
	again := harness.Serve(t, s.Portal, "--event-retention", "1s")
	for id, want := range map[string]string{begin: "false", first: "false", last: "true"} {
		stream := again.Connect(t, s.Token, s.Owner.ID, id)
		hello := stream.Next(nil)
		if hello.Field("recovered") != want || hello.Field("lastEventId") != last {
			t.Errorf("resumed after %s: %s, want recovered %s at %s", id, hello.Data, want, last)
		}
		if want == "false" {
			stream.Next(harness.OfType("resync"))
		}
	}
	if _, header, _ := again.Get(t, "owners/"+s.Owner.ID+"/metrics", s.Token); header.Get("Last-Event-ID") != last {
		t.Errorf("a snapshot is at %s, want %s", header.Get("Last-Event-ID"), last)
	}
}
