//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/realtime"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox/outboxtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

func init() { // what the pages are written in, for the library that checks responses
	openapi3filter.RegisterBodyDecoder("text/csv", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/javascript", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("image/png", openapi3filter.FileBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/manifest+json", openapi3filter.PlainBodyDecoder)
}

// description is openapi.yaml, as what a program's answers and messages are measured against.
type description struct {
	document *openapi3.T
	router   routers.Router
}

func readDescription(t *testing.T) description {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromData(harness.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(document)
	if err != nil {
		t.Fatal(err)
	}
	return description{document, router}
}

// question is a request, and the status that it must be answered with.
type question struct {
	want         int
	method, path string
	body         string
	header       http.Header
}

// ask sends a request and checks the answer against the description, and its status.
func (d description) ask(t *testing.T, p *harness.Program, q question) (answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), q.method, p.Base+strings.TrimPrefix(q.path, "/"), strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range q.header {
		request.Header[name] = values
	}
	client := harness.Client
	if q.want == http.StatusServiceUnavailable {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != q.want {
		t.Errorf("%s %s: %s, want %d: %s", q.method, q.path, response.Status, q.want, body)
	}
	if err := d.check(request, response, body); err != nil {
		t.Errorf("%s %s: %s is not as described: %v\n%.500s", q.method, q.path, response.Status, err, body)
	}
	return string(body)
}

// check compares an answer with its operation, or, where no operation is described, with
// what any address may answer.
func (d description) check(request *http.Request, response *http.Response, body []byte) error {
	route, parameters, err := d.router.FindRoute(request)
	if err != nil {
		return d.checkAnywhere(response, body)
	}
	return openapi3filter.ValidateResponse(request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: request, PathParams: parameters, Route: route},
		Status:                 response.StatusCode,
		Header:                 response.Header,
		Body:                   io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true,
			// its messages are inspected one by one
			ExcludeResponseBody: response.Header.Get("Content-Type") == "text/event-stream"},
	})
}

func (d description) checkAnywhere(response *http.Response, body []byte) error {
	operation := &openapi3.Operation{Responses: openapi3.NewResponses(
		openapi3.WithStatus(http.StatusNotFound, d.document.Components.Responses["NotFound"]),
		openapi3.WithStatus(http.StatusMethodNotAllowed, d.document.Components.Responses["MethodNotAllowed"]))}
	request := response.Request
	return openapi3filter.ValidateResponse(request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: request, Route: &routers.Route{Spec: d.document, Operation: operation}},
		Status:                 response.StatusCode,
		Header:                 response.Header,
		Body:                   io.NopCloser(bytes.NewReader(body)),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
}

// matches reports what of a JSON text is not as a schema says.
func (d description) matches(schema string, text []byte) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	return d.document.Components.Schemas[schema].Value.VisitJSON(value, openapi3.MultiErrors())
}

func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	d := readDescription(t)
	p := harness.Serve(t, dbtest.New(t), "--demo", "--demo-interval", "1h", "--vapid-private-key", vapid(t), "--vapid-subject", "mailto:ops@portal.com.br")
	device := outboxtest.NewDevice(t, "https://fcm.googleapis.com/fcm/send/abc")
	subscription := `{"endpoint":"` + device.Endpoint + `","keys":{"p256dh":"` + device.P256dh() + `","auth":"` + device.Auth() + `"},"label":"Chromium"}`
	var session struct {
		Token    string
		OwnerID  string
		Accounts []handlers.DemoOwner
	}
	harness.DecodeJSON(t, strings.NewReader(d.ask(t, p, question{want: 200, method: "POST", path: "/api/auth/demo"})), &session)
	other := session.Accounts[slices.IndexFunc(session.Accounts, func(o handlers.DemoOwner) bool { return o.OwnerID != session.OwnerID })].OwnerID
	owner, bearer := "/api/owners/"+session.OwnerID, http.Header{"Authorization": {"Bearer " + session.Token}}
	bad := http.Header{"Authorization": {"Bearer garbage"}}
	elsewhere := realtime.NewEpoch("another history")
	state, err := eventlog.NewLog(p.Portal.Pool).State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	here := realtime.NewEpoch(state.Epoch)
	member, email, token := harness.AddUser(t, p.Portal, "Ana")
	invited := http.Header{"Authorization": {"Bearer " + token}}
	const invitation = "ana"
	p.Portal.Exec(t, `INSERT INTO realtime.invitations (id, owner_id, email, role, invited_by)
		SELECT v.id, $1, v.email, 'viewer', user_id::text FROM hangar_owners, (VALUES ($2, $3), ('other', 'x@y.example')) v (id, email) WHERE hangar_owners.id::text = $1`,
		session.OwnerID, invitation, email)
	newMember := `{"email":"` + email + `","role":"viewer"}`
	credentials := `{"email":"` + harness.SetPassword(t, p.Portal, member) + `","password":"` + harness.Password + `"`
	var signedIn struct{ RefreshToken string }
	harness.DecodeJSON(t, strings.NewReader(d.ask(t, p, question{want: 200, method: "POST", path: "/api/auth/login", body: credentials + "}"})), &signedIn)
	for _, q := range []question{
		{200, "POST", "/api/auth/login", credentials + `,"cookie":true}`, http.Header{"Content-Type": {"application/json"}}},
		{200, "POST", "/api/auth/refresh", `{"refreshToken":"` + signedIn.RefreshToken + `"}`, nil},
		{200, "GET", owner + "/metrics", "", bearer},
		{200, "GET", owner + "/bookings", "", bearer},
		{200, "GET", owner + "/bookings?limit=1000", "", bearer},
		{200, "GET", owner + "/listings", "", bearer},
		{200, "GET", owner + "/calendar", "", bearer},
		{200, "GET", owner + "/calendar?cancelled=true&limit=1&changed=1,2", "", bearer},
		{400, "GET", owner + "/calendar?from=2026-02-30", "", bearer},
		{404, "GET", owner + "/calendar?hangarId=none", "", bearer},
		{403, "GET", "/api/owners/" + other + "/calendar", "", bearer},
		{200, "GET", owner + "/trends", "", bearer},
		{200, "GET", owner + "/trends?interval=hour&compare=year&match=weekday", "", bearer},
		{200, "GET", owner + "/trends?interval=month&compare=before", "", bearer},
		{200, "GET", owner + "/trends?format=csv", "", bearer},
		{400, "GET", owner + "/trends?from=2026-02-30", "", bearer},
		{404, "GET", owner + "/trends?hangarId=none", "", bearer},
		{403, "GET", "/api/owners/" + other + "/trends", "", bearer},
		{200, "GET", owner + "/events", "", bearer},
		{200, "GET", owner + "/events?limit=1&after=" + here.Format(session.OwnerID, eventlog.Position{}), "", bearer},
		{200, "GET", owner + "/events?after=" + elsewhere.Format(session.OwnerID, eventlog.Position{Batch: 9}), "", bearer},
		{200, "GET", owner + "/bookings?on=today", "", bearer},
		{400, "GET", owner + "/bookings?on=tomorrow", "", bearer},
		{400, "GET", owner + "/bookings?limit=0", "", bearer},
		{400, "GET", owner + "/events?limit=1001", "", bearer},
		{400, "GET", owner + "/events?after=garbage", "", bearer},
		{403, "GET", owner + "/events?after=" + here.Format(other, eventlog.Position{}), "", bearer},
		{400, "GET", "/api/owners/none/metrics", "", bearer},
		{401, "GET", owner + "/metrics", "", nil},
		{401, "GET", owner + "/listings", "", bad},
		{401, "GET", owner + "/metrics?token=" + session.Token, "", nil},
		{403, "GET", "/api/owners/" + other + "/metrics", "", bearer},
		{403, "GET", "/api/owners/999999/listings", "", bearer},
		{403, "GET", owner + "/bookings", "", http.Header{"Cookie": {"jwt=" + session.Token}, "Origin": {"https://evil.example"}}},
		{405, "POST", owner + "/metrics", "", bearer},
		{405, "DELETE", "/", "", nil},
		{404, "GET", owner + "/nothing", "", bearer},
		{404, "GET", "/nothing", "", nil},
		{200, "GET", "/api/auth/me", "", bearer},
		{401, "GET", "/api/auth/me", "", nil},
		{200, "POST", "/api/auth/demo", `{"ownerId":"` + other + `"}`, nil},
		{400, "POST", "/api/auth/demo", `{"ownerId":"none"}`, nil},
		{400, "POST", "/api/auth/demo", `{`, nil},
		{200, "POST", "/api/auth/demo", "", bad},
		{400, "GET", "/api/sse?lastEventId=garbage", "", bearer},
		{401, "GET", "/api/sse", "", nil},
		{403, "GET", "/api/sse?ownerId=" + other, "", bearer},
		{400, "GET", "/api/ws?ownerId=none", "", bearer},
		{401, "GET", "/api/ws", "", bad},
		{403, "GET", "/api/ws?ownerId=" + other, "", bearer},
		{426, "GET", "/api/ws", "", nil},
		{200, "POST", "/api/auth/ticket", "", bearer},
		{400, "POST", "/api/auth/ticket", "{", bearer},
		{401, "POST", "/api/auth/ticket", "", nil},
		{403, "POST", "/api/auth/ticket", `{"ownerId":"` + other + `"}`, bearer},
		{415, "POST", "/api/auth/refresh", "", http.Header{"Cookie": {"hangarshare_refresh=x"}}},
		{401, "POST", "/api/auth/refresh", "", nil},
		{400, "POST", "/api/auth/refresh", "{", nil},
		{401, "POST", "/api/auth/login", `{"email":"nobody@hangares.example","password":"wrong"}`, nil},
		{400, "POST", "/api/auth/login", `{"email":"nobody@hangares.example"}`, nil},
		{403, "POST", "/api/auth/login", `{"email":"a@b.example","password":"x","cookie":true}`, http.Header{"Origin": {"https://evil.example"}}},
		{400, "POST", "/api/auth/logout", "", bearer},
		{401, "POST", "/api/auth/logout", "", nil},
		{204, "POST", "/api/auth/logout", `{"refreshToken":"unknown"}`, nil},
		{200, "GET", owner + "/members", "", bearer},
		{202, "POST", owner + "/members", newMember, bearer},
		{202, "POST", owner + "/members", `{"email":"nobody@hangares.example","role":"viewer"}`, bearer},
		{400, "POST", owner + "/members", `{"email":"nobody@hangares.example","role":"pilot"}`, bearer},
		{403, "POST", "/api/owners/" + other + "/members", newMember, bearer},
		{200, "GET", owner + "/invitations", "", bearer},
		{200, "GET", "/api/auth/me", "", invited},
		{400, "POST", "/api/me/invitations/" + invitation, `{}`, invited},
		{404, "POST", "/api/me/invitations/" + invitation, `{"accept":true}`, bearer},
		{200, "POST", "/api/me/invitations/" + invitation, `{"accept":true}`, invited},
		{404, "POST", "/api/me/invitations/" + invitation, `{"accept":false}`, invited},
		{401, "POST", "/api/me/invitations/" + invitation, `{"accept":true}`, nil},
		{403, "GET", owner + "/invitations", "", invited},
		{404, "DELETE", owner + "/invitations/" + invitation, "", bearer},
		{403, "DELETE", owner + "/invitations/" + invitation, "", invited},
		{204, "DELETE", owner + "/invitations/other", "", bearer},
		{200, "PATCH", owner + "/members/" + member, `{"role":"manager"}`, bearer},
		{400, "PATCH", owner + "/members/" + member, `{"role":"pilot"}`, bearer},
		{404, "PATCH", owner + "/members/999999", `{"role":"viewer"}`, bearer},
		{204, "DELETE", owner + "/members/" + member, "", bearer},
		{404, "DELETE", owner + "/members/" + member, "", bearer},
		{401, "DELETE", owner + "/members/" + member, "", nil},
		{200, "GET", "/api/push/key", "", bearer},
		{401, "GET", "/api/push/key", "", nil},
		{200, "GET", "/api/push/subscriptions", "", bearer},
		{400, "POST", "/api/push/subscriptions", "{}", bearer},
		{201, "POST", "/api/push/subscriptions", subscription, bearer},
		{200, "POST", "/api/push/subscriptions", subscription, bearer},
		{404, "DELETE", "/api/push/subscriptions/none", "", bearer},
		{400, "POST", "/api/push/test", `{"id":"none"}`, bearer},
		{401, "POST", "/api/push/test", "", nil},
		{200, "GET", "/api/me/notifications/deliveries", "", bearer},
		{400, "GET", "/api/me/notifications/deliveries?before=x", "", bearer},
		{400, "GET", "/api/me/notifications/deliveries?limit=0", "", bearer},
		{401, "GET", "/api/me/notifications/deliveries", "", nil},
		{404, "PATCH", "/api/me/notifications/deliveries/9", `{"opened":true}`, bearer},
		{400, "PATCH", "/api/me/notifications/deliveries/9", "", bearer},
		{200, "GET", "/unsubscribe?t=x", "", nil},
		{200, "POST", "/unsubscribe?t=x", "List-Unsubscribe=One-Click", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}},
		{200, "GET", "/sw.js", "", nil},
		{200, "GET", "/manifest.webmanifest", "", nil},
		{200, "GET", "/icon-192.png", "", nil},
		{200, "GET", "/apple-touch-icon.png", "", nil},
		{200, "GET", "/healthz", "", nil},
		{200, "GET", "/readyz", "", nil},
		{200, "GET", "/", "", nil},
		{200, "GET", "/docs", "", nil},
		{200, "GET", "/docs/client", "", nil},
		{200, "GET", "/client/page.js", "", nil},
		{404, "GET", "/client/nothing.js", "", nil},
		{200, "GET", "/openapi.yaml", "", nil},
		{200, "GET", "/openapi.json", "", nil},
	} {
		d.ask(t, p, q)
	}
}

func TestAnswersWithoutDatabaseAreAsDescribed(t *testing.T) {
	t.Parallel()
	d := readDescription(t)
	portal := dbtest.New(t)
	o := portal.AddOwner(t, 1)
	between, through := harness.BeforeDatabase(t, portal.URL)
	p := harness.Serve(t, &dbtest.Portal{URL: through, Pool: portal.Pool})
	bearer := http.Header{"Authorization": {"Bearer " + harness.TokenFor(t, o.UserID, time.Hour)}}
	between.Set(harness.Refuse)
	between.Cut()
	for _, path := range []string{"/api/owners/" + o.ID + "/metrics", "/api/owners/" + o.ID + "/events", "/api/sse", "/api/ws", "/api/auth/me", "/readyz"} {
		d.ask(t, p, question{want: 503, method: "GET", path: path, header: bearer})
	}
	d.ask(t, p, question{want: 200, method: "GET", path: "/healthz"})
}

// inspector checks messages as they arrive, and keeps the first of each type.
type inspector struct {
	t    *testing.T
	d    description
	seen map[string][]byte
}

// inspect checks one message and returns its type.
func (i inspector) inspect(text []byte) string {
	if err := i.d.matches("Message", text); err != nil {
		i.t.Errorf("a message is not as described: %v\n%s", err, text)
	}
	typ := harness.ParseMessage(text).Type
	if i.seen[typ] == nil {
		i.seen[typ] = bytes.Clone(text)
	}
	return typ
}

// readEvents opens an event stream and inspects it until each returns false, or to its end.
func (i inspector) readEvents(p *harness.Program, token, query string, each func(typ string) bool) {
	i.t.Helper()
	ctx, cancel := context.WithTimeout(i.t.Context(), harness.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Base+"api/sse"+query, nil)
	if err != nil {
		i.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := harness.Client.Do(request)
	if err != nil {
		i.t.Fatal(err)
	}
	defer response.Body.Close()
	if err := i.d.check(request, response, nil); err != nil {
		i.t.Errorf("the head of the stream: %v", err)
	}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: ")); ok && !each(i.inspect(data)) {
			return
		}
	}
	if lines.Err() != nil {
		i.t.Errorf("the stream broke: %v; so far %v", lines.Err(), slices.Collect(maps.Keys(i.seen)))
	}
}

// TestMessagesAreAsDescribed receives every type of message that is described at least
// once, from the running program.
func TestMessagesAreAsDescribed(t *testing.T) {
	t.Parallel()
	i := inspector{t, readDescription(t), make(map[string][]byte)}
	s := harness.NewSetup(t, "--heartbeat-interval", "1s")
	old := "&lastEventId=" + realtime.NewEpoch("another history").Format(s.Owner.ID, eventlog.Position{Batch: 9})

	waiting := []string{"heartbeat", "metrics_updated", "overview_updated", "occupancy_changed", "revenue_received", "booking_completed", "resync"}
	i.readEvents(s.Program, s.Token, "?ownerId="+s.Owner.ID+old, func(typ string) bool {
		if typ == "connection_established" {
			booking := s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
			s.Portal.Exec(t, `UPDATE bookings SET status = 'confirmed', check_in = check_in - interval '1 hour',
				payment_date = now(), payment_method = 'pix' WHERE id = `+booking)
			s.Portal.Exec(t, `UPDATE bookings SET status = 'completed' WHERE id = `+booking)
			s.Portal.Exec(t, `DELETE FROM bookings WHERE id = `+booking)
			s.Portal.Exec(t, `UPDATE bookings SET status = 'confirmed' WHERE id = `+s.Portal.Book(t, s.Owner.Hangars[1], s.Guest))
		}
		waiting = slices.DeleteFunc(waiting, func(wanted string) bool { return wanted == typ })
		return len(waiting) > 0
	})
	i.d.ask(t, s.Program, question{want: 200, method: "GET", path: "/api/owners/" + s.Owner.ID + "/events",
		header: http.Header{"Authorization": {"Bearer " + s.Token}}})

	i.converse(s)
	// to its token's end
	i.readEvents(s.Program, harness.TokenFor(t, s.Owner.UserID, briefly), "", func(string) bool { return true })
	stopped := false
	i.readEvents(s.Program, s.Token, "", func(typ string) bool {
		if !stopped {
			stopped = true
			go s.Stop()
		}
		return true
	})
	for typ := range i.d.document.Components.Schemas["Message"].Value.Discriminator.Mapping {
		if i.seen[typ] == nil {
			t.Errorf("no message of type %s arrived", typ)
		}
	}
	for typ, text := range i.seen {
		fixture(t, typ, text)
	}
}

// converse says on a WebSocket all that a client may, and inspects the answers.
func (i inspector) converse(s harness.Setup) {
	i.t.Helper()
	ctx, cancel := context.WithTimeout(i.t.Context(), harness.Timeout)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.Base, "http")+"api/ws", nil)
	if err != nil {
		i.t.Fatal(err)
	}
	defer conn.CloseNow()
	for _, exchange := range []struct{ say, answer string }{
		{clientFixture(i.t, "auth", s.Owner.ID, s.Token), "connection_established"},
		{clientFixture(i.t, "ping", "", ""), "pong"},
		{clientFixture(i.t, "refresh", "", harness.TokenFor(i.t, s.Owner.UserID, 2*time.Hour)), "refreshed"},
		{`{"type":"hello"}`, "error"},
	} {
		if err := i.d.matches("ClientMessage", []byte(exchange.say)); (err == nil) == (exchange.answer == "error") {
			i.t.Errorf("%s is described as %v", exchange.say, err)
		}
		if err := conn.Write(ctx, websocket.MessageText, []byte(exchange.say)); err != nil {
			i.t.Fatal(err)
		}
		for typ := ""; typ != exchange.answer; {
			_, text, err := conn.Read(ctx)
			if err != nil {
				i.t.Fatalf("no %s: %v", exchange.answer, err)
			}
			typ = i.inspect(text)
		}
	}
}
