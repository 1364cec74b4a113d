//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package main

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
)

// stage is a server with one owner account, and a guest.
type stage struct {
	*program
	owner dbtest.Owner
	guest string
	token string
}

func setStage(t testing.TB, flags ...string) stage {
	t.Helper()
	portal := dbtest.New(t)
	o := portal.AddOwner(t, 2)
	guest := portal.AddGuest(t, "Caio", "Brandão")
	return stage{serve(t, portal, flags...), o, guest, tokenFor(t, o.UserID, time.Hour)}
}

func TestOneCommitThreeWaysOut(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	ws, sse := s.connect(t, s.token, s.owner.ID, ""), s.listen(t, s.token, "?ownerId="+s.owner.ID)
	var begin string
	for _, stream := range []*stream{ws, sse} {
		hello := stream.next(nil)
		begin = hello.field("lastEventId")
		if hello.Type != "connection_established" || hello.field("ownerId") != s.owner.ID || hello.field("recovered") != "true" ||
			hello.field("lastEventId") == "" || hello.field("timezone") != "America/Sao_Paulo" || hello.field("heartbeatMs") != "20000" {
			t.Errorf("the first message is %s %s", hello.Type, hello.Data)
		}
		if m := stream.next(nil); m.Type != "metrics_updated" || m.ID != "" {
			t.Errorf("the second message is %s with id %q, want the newest metrics", m.Type, m.ID)
		}
	}
	booking := s.portal.Book(t, s.owner.Hangars[0], s.guest)
	a, b := ws.next(isEvent), sse.next(isEvent)
	if a.Type != "booking_created" || a.field("bookingId") != booking || a.field("guestName") != "Caio Brandão" ||
		a.field("amount") != "220.5" || a.field("id") != a.ID || a.OwnerID != s.owner.ID {
		t.Errorf("the WebSocket says %+v %s", a, a.Data)
	}
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("the event stream says %s, the WebSocket %s", b.Data, a.Data)
	}
	if !strings.Contains(string(a.Data), `"amount":220.50`) {
		t.Errorf("money without two decimals: %s", a.Data)
	}
	created := func(m message) bool { return m.Type == "metrics_updated" && m.field("bookingsToday") == "1" }
	ws.next(created)
	sse.next(created)
	status, header, body := s.get(t, "owners/"+s.owner.ID+"/metrics", s.token)
	if status != http.StatusOK || body["bookingsToday"] != 1.0 || header.Get("Last-Event-ID") != a.ID {
		t.Errorf("REST says %d %v at %s, the event is %s", status, body, header.Get("Last-Event-ID"), a.ID)
	}
	_, _, page := s.get(t, "owners/"+s.owner.ID+"/events?after="+begin, s.token)
	if events := page["events"].([]any); len(events) != 1 || events[0].(map[string]any)["id"] != a.ID {
		t.Errorf("the page of events is %v", page)
	}
}

// TestEverySQLStatementArrives runs ordinary statements and compares what two owners are told.
func TestEverySQLStatementArrives(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	other := s.portal.AddOwner(t, 1)
	mine := s.connect(t, s.token, s.owner.ID, "")
	theirs := s.connect(t, tokenFor(t, other.UserID, time.Hour), other.ID, "")
	mine.next(of("connection_established"))
	theirs.next(of("connection_established"))
	id := s.portal.Book(t, s.owner.Hangars[0], s.guest)
	mine.next(of("booking_created"))
	for _, step := range []struct {
		sql          string
		mine, theirs []string
	}{
		{`UPDATE bookings SET status = 'confirmed' WHERE id = ` + id, []string{"booking_updated confirmed pending", "occupancy_changed true"}, nil},
		{`UPDATE bookings SET payment_date = now() AT TIME ZONE 'UTC', payment_method = 'pix' WHERE id = ` + id, []string{"revenue_received pix"}, nil},
		{`UPDATE bookings SET status = 'active' WHERE id = ` + id, []string{"booking_updated active confirmed"}, nil},
		{`UPDATE bookings SET hangar_id = ` + other.Hangars[0] + ` WHERE id = ` + id,
			[]string{"booking_updated deleted active", "occupancy_changed false"}, []string{"booking_updated active active", "occupancy_changed true"}},
		{`UPDATE bookings SET hangar_id = ` + s.owner.Hangars[1] + ` WHERE id = ` + id,
			[]string{"booking_updated active active", "occupancy_changed true"}, []string{"booking_updated deleted active", "occupancy_changed false"}},
		{`UPDATE bookings SET check_out = check_in + interval '1 minute', status = 'completed' WHERE id = ` + id,
			[]string{"booking_completed completed active", "occupancy_changed false"}, nil},
		{`DELETE FROM bookings WHERE id = ` + id, []string{"booking_updated deleted completed"}, nil},
	} {
		s.portal.Exec(t, step.sql)
		for _, want := range []struct {
			stream *stream
			list   []string
		}{{mine, step.mine}, {theirs, step.theirs}} {
			var got []string
			for range want.list {
				got = append(got, describe(want.stream.next(isEvent)))
			}
			if !slices.Equal(got, want.list) {
				t.Errorf("%s: got %q, want %q", step.sql, got, want.list)
			}
		}
	}
}

func describe(m message) string {
	switch m.Type {
	case "revenue_received":
		return m.Type + " " + m.field("paymentMethod")
	case "occupancy_changed":
		return m.Type + " " + m.field("isNowOccupied")
	}
	return m.Type + " " + m.field("status") + " " + m.field("previousStatus")
}

// TestTheHourComes has a stay begin and end without any change of rows.
func TestTheHourComes(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	ws := s.connect(t, s.token, s.owner.ID, "")
	ws.next(of("connection_established"))
	s.portal.Exec(t, `INSERT INTO bookings (`+dbtest.BookingColumns+`) VALUES ($1, $2, now() AT TIME ZONE 'UTC' + interval '1.2 s',
		now() AT TIME ZONE 'UTC' + interval '2.2 s', 1, 1, 1, 1, 'confirmed')`, s.owner.Hangars[0], s.guest)
	arrival := ws.next(of("occupancy_changed"))
	if arrival.field("isNowOccupied") != "true" || arrival.field("newOccupant") != "Caio Brandão" {
		t.Errorf("at check-in: %s", arrival.Data)
	}
	ws.next(func(m message) bool { return m.Type == "metrics_updated" && m.field("occupancyRate") == "50" })
	departure := ws.next(of("occupancy_changed"))
	if departure.field("isNowOccupied") != "false" || departure.field("previousOccupant") != "Caio Brandão" {
		t.Errorf("at check-out: %s", departure.Data)
	}
	ws.next(func(m message) bool { return m.Type == "metrics_updated" && m.field("occupancyRate") == "0" })
}

func TestResume(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	first := s.connect(t, s.token, s.owner.ID, "")
	begin := first.next(of("connection_established")).field("lastEventId")
	var ids []string
	for range 3 {
		s.portal.Book(t, s.owner.Hangars[0], s.guest)
		ids = append(ids, first.next(isEvent).ID)
	}
	first.conn.CloseNow()
	for range 3 {
		s.portal.Book(t, s.owner.Hangars[0], s.guest)
	}
	var all []string
	whole := s.connect(t, s.token, s.owner.ID, begin)
	if hello := whole.next(nil); hello.field("recovered") != "true" || hello.field("lastEventId") != begin {
		t.Errorf("resumed before the first event: %s", hello.Data)
	}
	for range 6 {
		all = append(all, whole.next(isEvent).ID)
	}
	if !slices.Equal(all[:3], ids) {
		t.Errorf("the replay gives %v, live were %v", all[:3], ids)
	}
	for name, stream := range map[string]*stream{
		"WebSocket":            s.connect(t, s.token, s.owner.ID, ids[1]),
		"SSE by query":         s.listen(t, s.token, "?ownerId="+s.owner.ID+"&lastEventId="+ids[1]),
		"SSE by header":        s.listen(t, s.token, "?ownerId="+s.owner.ID, "Last-Event-ID", ids[1]),
		"SSE, header is newer": s.listen(t, s.token, "?ownerId="+s.owner.ID+"&lastEventId="+begin, "Last-Event-ID", ids[1]),
	} {
		var got []string
		for range 4 {
			got = append(got, stream.next(isEvent).ID)
		}
		if !slices.Equal(got, all[2:]) {
			t.Errorf("%s: got %v, want %v", name, got, all[2:])
		}
	}
	// A second server process, on the same database: what it never saw itself it reads from the log.
	s.stop()
	again := serve(t, s.portal)
	late := again.listen(t, s.token, "?ownerId="+s.owner.ID+"&lastEventId="+ids[2])
	for _, want := range all[3:] {
		if got := late.next(isEvent).ID; got != want {
			t.Errorf("after a restart: got %s, want %s", got, want)
		}
	}
}

func TestResumeRefused(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	other := s.portal.AddOwner(t, 1)
	foreign := s.connect(t, tokenFor(t, other.UserID, time.Hour), other.ID, "").next(of("connection_established")).field("lastEventId")
	own := s.connect(t, s.token, s.owner.ID, "").next(of("connection_established")).field("lastEventId")
	for id, want := range map[string]int{"garbage": 400, "%00": 400, own + "A": 400, foreign: 403} {
		if status, _, _ := s.get(t, "owners/"+s.owner.ID+"/events?after="+id, s.token); status != want {
			t.Errorf("events after %q: %d, want %d", id, status, want)
		}
		if status, _, _ := s.get(t, "sse?ownerId="+s.owner.ID+"&lastEventId="+id, s.token); status != want {
			t.Errorf("stream after %q: %d, want %d", id, status, want)
		}
	}
	s.portal.Book(t, s.owner.Hangars[0], s.guest)
	var epoch string
	if err := s.portal.Pool.Get(&epoch, `SELECT epoch FROM realtime.installation`); err != nil {
		t.Fatal(err)
	}
	otherEpoch := strings.Repeat("A", len(own)-4) + own[len(own)-4:]
	stream := s.connect(t, s.token, s.owner.ID, otherEpoch)
	if hello := stream.next(nil); hello.field("recovered") != "false" {
		t.Errorf("an id of another epoch: %s", hello.Data)
	}
	if m := stream.next(nil); m.Type != "resync" {
		t.Errorf("after recovered: false comes %s, want resync", m.Type)
	}
	if _, _, page := s.get(t, "owners/"+s.owner.ID+"/events?after="+otherEpoch, s.token); page["resync"] != true || len(page["events"].([]any)) != 0 {
		t.Errorf("a page after an id of another epoch: %v", page)
	}
}

func TestTruncateResyncs(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	s.portal.Book(t, s.owner.Hangars[0], s.guest)
	ws := s.connect(t, s.token, s.owner.ID, "")
	before := ws.next(of("connection_established")).field("lastEventId")
	s.portal.Exec(t, `TRUNCATE bookings`)
	resync := ws.next(of("resync"))
	booking := s.portal.Book(t, s.owner.Hangars[0], s.guest)
	if m := ws.next(isEvent); m.field("bookingId") != booking {
		t.Errorf("after resync comes %s", m.Data)
	}
	late := s.connect(t, s.token, s.owner.ID, before)
	if hello := late.next(nil); hello.field("recovered") != "false" {
		t.Errorf("resumed over a TRUNCATE: %s", hello.Data)
	}
	again := s.connect(t, s.token, s.owner.ID, resync.field("lastEventId"))
	if hello := again.next(nil); hello.field("recovered") != "true" {
		t.Errorf("resumed from where resync said: %s", hello.Data)
	}
}

func TestHeartbeats(t *testing.T) {
	t.Parallel()
	s := setStage(t, "--heartbeat-interval", "200ms")
	s.portal.Book(t, s.owner.Hangars[0], s.guest)
	for name, stream := range map[string]*stream{
		"WebSocket": s.connect(t, s.token, s.owner.ID, ""), "SSE": s.listen(t, s.token, "?ownerId="+s.owner.ID),
	} {
		last := stream.next(of("connection_established")).field("lastEventId")
		for range 3 {
			if beat := stream.next(of("heartbeat")); beat.field("lastEventId") != last {
				t.Errorf("%s: heartbeat says %s, the stream is at %s", name, beat.field("lastEventId"), last)
			}
		}
	}
	ws := s.connect(t, s.token, s.owner.ID, "")
	ws.next(of("connection_established"))
	s.portal.Book(t, s.owner.Hangars[0], s.guest)
	event := ws.next(isEvent)
	if beat := ws.next(of("heartbeat")); beat.field("lastEventId") != event.ID {
		t.Errorf("heartbeat says %s after event %s", beat.field("lastEventId"), event.ID)
	}
}

func TestClientMessages(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	ws := s.connect(t, s.token, s.owner.ID, "")
	ws.next(of("connection_established"))
	ws.send(`{"type":"ping"}`)
	ws.next(of("pong"))
	for _, text := range []string{`{`, `[]`, `"text"`, `{"type":"subscribe"}`, `{"type":7}`, ``, `{"type":"refresh","token":"x"}`} {
		ws.send(text)
		if m := ws.next(of("error")); m.field("message") == "" || m.field("code") == "" {
			t.Errorf("%s is answered by %s", text, m.Data)
		}
	}
	fresh := tokenFor(t, s.owner.UserID, 2*time.Hour)
	ws.send(`{"type":"refresh","token":"` + fresh + `"}`)
	if m := ws.next(of("refreshed")); m.field("expiresAt") == "" {
		t.Errorf("refreshed says %s", m.Data)
	}
	stranger := s.portal.AddOwner(t, 0)
	ws.send(`{"type":"refresh","token":"` + tokenFor(t, stranger.UserID, time.Hour) + `"}`)
	if m := ws.next(of("error")); m.field("code") != "4403" {
		t.Errorf("another user's token is answered by %s", m.Data)
	}
	ws.send(strings.Repeat(" ", 5000))
	if code := ws.end(); code != 1009 {
		t.Errorf("a message of 5,000 bytes ends with %d, want 1009", code)
	}
	flood := s.connect(t, s.token, s.owner.ID, "")
	flood.next(of("connection_established"))
	for range 200 {
		if flood.conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)) != nil {
			break
		}
	}
	if code := flood.end(); code != 4429 {
		t.Errorf("a flood ends with %d, want 4429", code)
	}
}

func TestStopSaysGoodbye(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	ws, sse := s.connect(t, s.token, s.owner.ID, ""), s.listen(t, s.token, "?ownerId="+s.owner.ID)
	ws.next(of("connection_established"))
	sse.next(of("connection_established"))
	code := make(chan int, 1)
	go func() { code <- s.stop() }()
	for _, stream := range []*stream{ws, sse} {
		if m := stream.next(of("server_closing")); m.field("retryMs") == "" {
			t.Errorf("server_closing says %s", m.Data)
		}
	}
	if m := sse.next(nil); m.Type != "error" || m.field("code") != "1001" {
		t.Errorf("the event stream ends with %s %s", m.Type, m.Data)
	}
	if end := ws.end(); end != 1001 {
		t.Errorf("the WebSocket ends with %d, want 1001", end)
	}
	if exit := <-code; exit != 0 {
		t.Errorf("exit code %d:\n%s", exit, s.output)
	}
}

func TestLogsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	s := setStage(t, "--log-level", "debug")
	s.connect(t, s.token, s.owner.ID, "").next(of("connection_established"))
	s.get(t, "owners/"+s.owner.ID+"/bookings?token="+s.token, "")
	s.get(t, "auth/me", s.token+"x")
	s.portal.Book(t, s.owner.Hangars[0], s.guest)
	ws := s.dial(t, "", nil)
	ws.send(`{"type":"auth","token":"` + s.token + `x"}`)
	ws.end()
	s.stop()
	for _, secret := range []string{s.token, testSecret, "Brandão"} {
		if strings.Contains(s.output.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, s.output)
		}
	}
	lines := 0
	for line := range strings.Lines(s.output.String()) {
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
	s := setStage(t)
	status, _, body := s.get(t, "owners/"+s.owner.ID+"/metrics", s.token)
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
	m := s.connect(t, s.token, s.owner.ID, "").next(of("metrics_updated"))
	var sent map[string]json.RawMessage
	if err := json.Unmarshal(m.Data, &sent); err != nil || len(sent) != len(want) {
		t.Errorf("metrics_updated carries %s", m.Data)
	}
}

// TestFaultsBecomeResync breaks the log for bookings: they commit, and those who watch are told to load again.
func TestFaultsBecomeResync(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	ws := s.connect(t, s.token, s.owner.ID, "")
	ws.next(of("connection_established"))
	s.portal.Exec(t, `ALTER TABLE realtime.events ADD CONSTRAINT broken CHECK (type <> 'booking_created') NOT VALID`)
	booking := s.portal.Book(t, s.owner.Hangars[0], s.guest)
	ws.next(of("resync"))
	ws.next(func(m message) bool { return m.Type == "metrics_updated" && m.field("bookingsToday") == "1" })
	if _, _, page := s.get(t, "owners/"+s.owner.ID+"/bookings", s.token); !strings.Contains(asJSON(t, page), `"bookingId":"`+booking+`"`) {
		t.Errorf("booking %s is not there: %v", booking, page)
	}
	s.portal.Exec(t, `ALTER TABLE realtime.events DROP CONSTRAINT broken`)
	again := s.portal.Book(t, s.owner.Hangars[0], s.guest)
	if m := ws.next(isEvent); m.field("bookingId") != again {
		t.Errorf("after the repair comes %s", m.Data)
	}
}

// TestRetentionKeepsPromises shortens the log under a connection that is open and one that comes back.
func TestRetentionKeepsPromises(t *testing.T) {
	t.Parallel()
	s := setStage(t, "--event-retention", "1s", "--heartbeat-interval", "200ms")
	ws := s.connect(t, s.token, s.owner.ID, "")
	begin := ws.next(of("connection_established")).field("lastEventId")
	s.portal.Book(t, s.owner.Hangars[0], s.guest)
	first := ws.next(isEvent).ID
	s.portal.Book(t, s.owner.Hangars[0], s.guest)
	last := ws.next(isEvent).ID
	stranger := s.portal.AddOwner(t, 1)
	eventually(t, "shortened", func() bool {
		s.portal.Book(t, stranger.Hangars[0], s.guest) // time goes on for the log only with new batches
		var left int
		if err := s.portal.Pool.Get(&left, `SELECT count(*) FROM realtime.events WHERE owner_id = $1`, s.owner.ID); err != nil {
			t.Fatal(err)
		}
		return left == 0
	})
	if beat := ws.next(of("heartbeat")); beat.field("lastEventId") != last {
		t.Errorf("heartbeat says %s, the last event was %s", beat.field("lastEventId"), last)
	}
	s.stop()
	again := serve(t, s.portal, "--event-retention", "1s")
	for id, want := range map[string]string{begin: "false", first: "false", last: "true"} {
		stream := again.connect(t, s.token, s.owner.ID, id)
		hello := stream.next(nil)
		if hello.field("recovered") != want || hello.field("lastEventId") != last {
			t.Errorf("resumed after %s: %s, want recovered %s at %s", id, hello.Data, want, last)
		}
		if want == "false" {
			stream.next(of("resync"))
		}
	}
	if _, header, _ := again.get(t, "owners/"+s.owner.ID+"/metrics", s.token); header.Get("Last-Event-ID") != last {
		t.Errorf("a snapshot is at %s, want %s", header.Get("Last-Event-ID"), last)
	}
}
