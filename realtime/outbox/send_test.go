package outbox_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox/outboxtest"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox/sender"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// house is a database with an owner, whose notifications leave by real servers on loopback.
type house struct {
	*dbtest.Portal
	store      *db.Store
	deliveries *db.Deliveries
	owner      dbtest.Owner
	guest      string
	push       *sender.Push
	service    *outboxtest.Service
	mail       *outboxtest.MailServer
}

// newHouse opens a database, with a push service that answers so.
func newHouse(t testing.TB, answer func(http.ResponseWriter, *http.Request, int)) *house {
	t.Helper()
	return newHouseOn(t, dbtest.New(t), answer)
}

// newHouseOn is newHouse on a portal of the test's own.
func newHouseOn(t testing.TB, portal *dbtest.Portal, answer func(http.ResponseWriter, *http.Request, int)) *house {
	t.Helper()
	h := &house{Portal: portal}
	var err error
	if h.store, err = db.NewStore(t.Context(), h.Pool, time.UTC); err != nil {
		t.Fatal(err)
	}
	h.owner, h.guest = h.AddOwner(t, 1), h.AddGuest(t, "Caio", "Brandão")
	h.service, h.mail = outboxtest.NewService(t, answer), outboxtest.NewMailServer(t, false)
	key, _, err := sender.NewVAPIDKey()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := sender.NewVAPID(key, "mailto:ops@portal.com.br")
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := sender.NewHosts([]string{h.service.Host()})
	if err != nil {
		t.Fatal(err)
	}
	client := hosts.Client(nil)
	trust := x509.NewCertPool()
	trust.AddCert(h.service.Certificate())
	client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: trust}
	t.Cleanup(client.CloseIdleConnections)
	h.push = &sender.Push{Keys: keys, Hosts: hosts, Client: client}
	h.deliveries = db.NewDeliveries(h.store)
	h.deliveries.KeyID = keys.ID()
	return h
}

// outbox returns another server's outbox.
func (h *house) outbox(t testing.TB) *outbox.Outbox {
	t.Helper()
	letters, err := sender.NewMail("smtp://"+outboxtest.MailUser+":"+outboxtest.MailPassword+"@"+h.mail.Address, "avisos@portal.example", h.mail.Trust)
	if err != nil {
		t.Fatal(err)
	}
	return &outbox.Outbox{
		Store: h.deliveries, Senders: map[db.Channel]outbox.Sender{db.ChannelPush: h.push, db.ChannelMail: letters},
		PublicURL: "https://live.portal.example", Location: time.UTC, Now: time.Now, Pause: 5 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}
}

// run runs an outbox until the test ends, or stop is called.
func run(t testing.TB, services ...interface{ Run(context.Context) error }) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, len(services))
	for _, s := range services {
		go func() { done <- s.Run(ctx) }()
	}
	stopped := false
	stop = func() {
		if cancel(); stopped {
			return
		}
		stopped = true
		for range services {
			if err := <-done; err != nil {
				t.Errorf("ended by %v", err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

// device adds a device of a user at a path of the push service, and returns it and its id.
func (h *house) device(t testing.TB, userID, session, path string) (outboxtest.Device, string) {
	t.Helper()
	d := outboxtest.NewDevice(t, h.service.URL+path)
	added, _, err := h.deliveries.AddDevice(t.Context(), db.Device{UserID: userID, Label: "Firefox", PushEndpoint: db.PushEndpoint{
		Endpoint: d.Endpoint, P256dh: d.Private.PublicKey().Bytes(), Auth: d.Secret, KeyID: h.deliveries.KeyID, SessionID: session,
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d, added.ID
}

// notify adds a notification of the owner's account that is a minute old, about a booking, "" for
// none, and returns its id.
func (h *house) notify(t testing.TB, kind, booking string, more string) string {
	t.Helper()
	if more == "" {
		more = "{}"
	}
	return h.ID(t, `INSERT INTO realtime.notifications (owner_id, user_id, kind, key, group_key, severity, facts, revision, news, happened_at, created_at)
		SELECT $1, coalesce(x->>'user', NULL), $2, gen_random_uuid()::text, coalesce(x->>'group', gen_random_uuid()::text), coalesce((x->>'severity')::int, 0),
			CASE WHEN $3 = '' THEN '{}' ELSE json_build_object('bookingId', $3) END, 1, 1, now(), now() - interval '1 minute'
		FROM (SELECT $4::json AS x) x RETURNING id::text`, h.owner.ID, kind, booking, more)
}

// deliver makes a delivery that is due, and returns its id.
func (h *house) deliver(t testing.TB, notification, user, channel, target string) string {
	t.Helper()
	return h.ID(t, `INSERT INTO realtime.deliveries (notification_id, user_id, channel, target, not_before, expires_at)
		VALUES ($1::bigint, $2, $3, $4, now() - interval '1 second', now() + interval '24 hours') RETURNING id::text`, notification, user, channel, target)
}

// outcome waits until a delivery has ended, or is to be tried again, and says how.
func (h *house) outcome(t testing.TB, id string) (outcome string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		outcome = h.ID(t, `SELECT CASE WHEN done_at IS NOT NULL THEN outcome WHEN not_before > now() AND claim IS NULL AND attempts > 0 THEN 'again ' || coalesce(code, 0)
			WHEN not_before > now() AND claim IS NULL THEN 'later' ELSE '' END FROM realtime.deliveries WHERE id = $1::bigint`, id)
		if outcome != "" {
			return outcome
		}
		if time.Now().After(deadline) {
			t.Fatalf("delivery %s has not ended", id)
		}
	}
}

// await waits until a query gives what is wanted: what becomes of a device is written after its
// delivery.
func (h *house) await(t testing.TB, want, query string, args ...any) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		got := h.ID(t, query, args...)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s gives %s, want %s", query, got, want)
		}
	}
}

// TestPushServicesAnswer has a push service answer in each way, for a device of its own, and looks
// at what becomes of the delivery and of the device.
func TestPushServicesAnswer(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(w http.ResponseWriter, r *http.Request, n int) {
		code := map[string]int{"/201": 201, "/404": 404, "/410": 410, "/400": 400, "/413": 413}[r.URL.Path]
		if r.URL.Path == "/413" && n == 2 {
			code = 201
		}
		w.WriteHeader(code)
	})
	booking := h.Book(t, h.owner.Hangars[0], h.guest)
	run(t, h.outbox(t))
	for path, want := range map[string]struct{ outcome, devices string }{
		"/201": {"sent", "1"}, "/404": {"gone", "0"}, "/410": {"gone", "0"}, "/413": {"sent", "1"}, "/400": {"refused", "1"},
	} {
		device, id := h.device(t, h.owner.UserID, "", path)
		h.Exec(t, `UPDATE realtime.push_subscriptions SET failures = 3 WHERE id = $1 AND endpoint LIKE '%/201'`, id)
		delivery := h.deliver(t, h.notify(t, "booking_created", booking, ""), h.owner.UserID, "push", id)
		if got := h.outcome(t, delivery); got != want.outcome {
			t.Errorf("%s: %s", path, got)
		}
		h.await(t, want.devices, `SELECT count(*)::text FROM realtime.push_subscriptions WHERE id = $1`, id)
		for _, one := range h.service.Seen(path) {
			text, err := device.Decrypt(one.Body)
			if err != nil || strings.Contains(string(text), "Caio") || strings.Contains(string(text), "R$") || !strings.Contains(string(text), "Nova reserva") {
				t.Errorf("%s: %v, %s", path, err, text)
			}
		}
	}
	for path, failures := range map[string]string{"/201": "0", "/400": "1"} {
		h.await(t, failures, `SELECT failures::text FROM realtime.push_subscriptions WHERE endpoint LIKE '%' || $1`, path)
	}
	// refused five times in a row, and nothing taken between
	_, id := h.device(t, h.owner.UserID, "", "/400")
	for n := 1; n <= 5; n++ {
		h.Exec(t, `UPDATE realtime.push_subscriptions SET next_at = NULL WHERE id = $1`, id)
		h.outcome(t, h.deliver(t, h.notify(t, "booking_created", booking, ""), h.owner.UserID, "push", id))
		h.await(t, fmt.Sprintf("%d refusals, disabled: %t", n, n == 5),
			`SELECT format('%s refusals, disabled: %s', failures, CASE WHEN disabled_at IS NULL THEN 'false' ELSE 'true' END) FROM realtime.push_subscriptions WHERE id = $1`, id)
	}
	if got := h.outcome(t, h.deliver(t, h.notify(t, "booking_created", booking, ""), h.owner.UserID, "push", id)); got != "signed_out" {
		t.Errorf("to a disabled device: %s", got)
	}
}

// TestRenewedWhileSent has a browser tell another address while a message is on its way to the
// former one, which its push service does not know any more. The device stays, and gets the
// message.
func TestRenewedWhileSent(t *testing.T) {
	t.Parallel()
	var h *house
	var id string
	h = newHouse(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.URL.Path != "/former" {
			w.WriteHeader(http.StatusCreated)
			return
		}
		d := outboxtest.NewDevice(t, h.service.URL+"/present")
		renewed, isNew, err := h.deliveries.AddDevice(r.Context(), db.Device{UserID: h.owner.UserID, PushEndpoint: db.PushEndpoint{
			Endpoint: d.Endpoint, P256dh: d.Private.PublicKey().Bytes(), Auth: d.Secret, KeyID: h.deliveries.KeyID}}, &id)
		if err != nil || renewed.ID != id || isNew {
			t.Errorf("renewed: %+v, %t, %v", renewed, isNew, err)
		}
		w.WriteHeader(http.StatusGone)
	})
	_, id = h.device(t, h.owner.UserID, "", "/former")
	delivery := h.deliver(t, h.notify(t, "booking_created", "", ""), h.owner.UserID, "push", id)
	run(t, h.outbox(t))
	h.await(t, "sent 201", `SELECT concat_ws(' ', outcome, code) FROM realtime.deliveries WHERE id = $1::bigint`, delivery)
	h.await(t, "true", `SELECT (last_ok_at IS NOT NULL)::text FROM realtime.push_subscriptions WHERE id = $1`, id)
	if former, present := len(h.service.Seen("/former")), len(h.service.Seen("/present")); former != 1 || present != 1 {
		t.Errorf("%d messages to the former address, %d to the present one", former, present)
	}
}

// due has all that waits be due.
func (h *house) due(t testing.TB) {
	t.Helper()
	h.Exec(t, `UPDATE realtime.deliveries SET not_before = now() - interval '1 second' WHERE done_at IS NULL AND claim IS NULL`)
}

// TestOpenedBeforeItsEnd has a user click on a message before its push service has answered. The
// click is noted, the first time.
func TestOpenedBeforeItsEnd(t *testing.T) {
	t.Parallel()
	var h *house
	var delivery string
	opened := make(chan string, 2)
	open := func(ctx context.Context, user string) error { return h.deliveries.Opened(ctx, user, delivery) }
	at := func() string {
		return h.ID(t, `SELECT coalesce(opened_at::text, '') FROM realtime.deliveries WHERE id = $1::bigint`, delivery)
	}
	h = newHouse(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if err := open(r.Context(), h.owner.UserID); err != nil {
			t.Errorf("opened while it is sent: %v", err)
		}
		opened <- at()
		w.WriteHeader(map[bool]int{true: http.StatusServiceUnavailable, false: http.StatusCreated}[n == 1])
	})
	_, id := h.device(t, h.owner.UserID, "", "/one")
	delivery = h.deliver(t, h.notify(t, "overbooked", "", `{"severity":2}`), h.owner.UserID, "push", id)
	if err := open(t.Context(), h.owner.UserID); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("opened before anybody sent it: %v", err)
	}
	run(t, h.outbox(t))
	if got := h.outcome(t, delivery); got != "again 503" {
		t.Fatalf("it is %s", got)
	}
	if err := open(t.Context(), h.guest); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("opened by another: %v", err)
	}
	first := <-opened
	h.due(t)
	h.await(t, "sent", `SELECT coalesce(outcome, '') FROM realtime.deliveries WHERE id = $1::bigint`, delivery)
	if second, last := <-opened, at(); first == "" || second != first || last != first {
		t.Errorf("opened at %q, then %q, at last %q", first, second, last)
	}
}

// TestHostsThatTakeNothing closes a host for all its devices: by its own word, or because it
// refuses our key for devices of two users, of which no device is to blame.
func TestHostsThatTakeNothing(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]string{429: "again 429", 503: "again 503", 401: "again 401", 403: "again 403"} {
		t.Run(http.StatusText(code), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
				w.Header().Set("Retry-After", "600")
				w.WriteHeader(code)
			})
			out := h.outbox(t)
			run(t, out)
			requests := 1
			_, id := h.device(t, h.owner.UserID, "", "/one")
			first := h.deliver(t, h.notify(t, "booking_created", "", ""), h.owner.UserID, "push", id)
			if got := h.outcome(t, first); got != want {
				t.Errorf("the first: %s", got)
			}
			if wait := h.ID(t, `SELECT (not_before > now() + interval '9 minutes')::text FROM realtime.deliveries WHERE id = $1::bigint`, first); wait != "true" && code == 429 {
				t.Error("Retry-After does not hold")
			}
			member := h.AddGuest(t, "Vera", "Lima")
			h.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'manager')`, h.owner.ID, member)
			outcomes := []string{"later", "later", "later"}
			if code == 401 || code == 403 {
				outcomes = []string{want, want, "later"} // one user's alone stop nothing
			}
			for n, user := range []string{h.owner.UserID, member, member} {
				_, other := h.device(t, user, "", fmt.Sprint("/other/", n))
				if got := h.outcome(t, h.deliver(t, h.notify(t, "overbooked", "", `{"severity":2}`), user, "push", other)); got != outcomes[n] {
					t.Errorf("number %d after it: %s, want %s", n, got, outcomes[n])
				}
				if outcomes[n] == want {
					requests++
				}
			}
			if n := len(h.service.Seen("")); n != requests {
				t.Errorf("%d requests, want %d", n, requests)
			}
			if n := h.ID(t, `SELECT count(*)::text FROM realtime.push_subscriptions WHERE disabled_at IS NULL AND failures = 0`); n != "4" {
				t.Errorf("%s devices are left", n)
			}
			stopped := 0.0
			for _, s := range out.Collect() {
				if s.Name == "hangarshare_outbox_stopped_hosts" {
					stopped = s.Value
				}
			}
			if (stopped == 1) != (code == 401 || code == 403) {
				t.Errorf("%v hosts are stopped", stopped)
			}
		})
	}
}

// TestMailServersThatRefuse has a mail server refuse mails to some users by its policy. One alone
// is to blame for it; two are not, and nothing more is sent for a while.
func TestMailServersThatRefuse(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	out := h.outbox(t)
	run(t, out)
	users := map[string]string{}
	for _, name := range []string{"denied", "denied2", "never", "olga"} {
		users[name] = h.AddGuest(t, "Vera", "Lima")
		h.Exec(t, `UPDATE users SET email = $2 WHERE id::text = $1`, users[name], name+"@portal.example")
		h.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'manager')`, h.owner.ID, users[name])
	}
	stopped := func() (n float64) {
		for _, s := range out.Collect() {
			if s.Name == "hangarshare_outbox_stopped_hosts" {
				n = s.Value
			}
		}
		return n
	}
	for n, c := range []struct {
		user, want string
		stopped    float64
	}{
		{"never", "refused", 0}, {"denied", "again 554", 0}, {"denied", "again 554", 0}, {"olga", "sent", 0}, {"denied2", "again 554", 0},
		{"never", "refused", 0}, {"denied", "again 554", 1}, {"olga", "later", 1},
	} {
		if got := h.outcome(t, h.deliver(t, h.notify(t, "overbooked", "", `{"severity":2}`), users[c.user], "mail", "")); got != c.want || stopped() != c.stopped {
			t.Errorf("%d, to %s: %s, want %s; %v are stopped, want %v", n, c.user, got, c.want, stopped(), c.stopped)
		}
	}
}

// TestMailsAtOnce has a mail server take its time, as one does that takes only so many connections:
// the other mails wait, without an attempt, and a push passes them.
func TestMailsAtOnce(t *testing.T) {
	t.Parallel()
	const mails, atOnce = 20, 3
	h := newHouse(t, nil)
	h.mail.Hold = make(chan struct{})
	out := h.outbox(t)
	for range mails {
		h.deliver(t, h.notify(t, "overbooked", "", `{"severity":2}`), h.owner.UserID, "mail", "")
	}
	run(t, out)
	h.await(t, fmt.Sprint(mails-atOnce), `SELECT count(*)::text FROM realtime.deliveries WHERE channel = 'mail' AND not_before > now() AND claim IS NULL AND attempts = 0`)
	h.await(t, fmt.Sprint(mails-atOnce), `SELECT count(DISTINCT not_before)::text FROM realtime.deliveries WHERE channel = 'mail' AND claim IS NULL`)
	_, id := h.device(t, h.owner.UserID, "", "/one")
	if got := h.outcome(t, h.deliver(t, h.notify(t, "overbooked", "", `{"severity":2}`), h.owner.UserID, "push", id)); got != "sent" {
		t.Errorf("a push is %s", got)
	}
	if now, most := h.mail.Held(); now != atOnce || most != atOnce {
		t.Errorf("the mail server has %d mails at a time, and had %d", now, most)
	}
	close(h.mail.Hold)
	deadline := time.Now().Add(time.Minute)
	for len(h.mail.Letters()) < mails && time.Now().Before(deadline) {
		h.await(t, "0", `SELECT count(*)::text FROM realtime.deliveries WHERE claim IS NOT NULL AND claimed_until > now()`)
		h.due(t)
	}
	h.await(t, fmt.Sprint(mails), `SELECT count(*)::text FROM realtime.deliveries WHERE channel = 'mail' AND outcome = 'sent' AND attempts = 1`)
	if _, most := h.mail.Held(); most != atOnce {
		t.Errorf("the mail server had %d mails at a time", most)
	}
}

// TestPushesAtOnce has a push service that takes its time for more messages than workers: it gets
// half of these, and a mail goes out meanwhile.
func TestPushesAtOnce(t *testing.T) {
	t.Parallel()
	const devices, atOnce = 16, 8
	release, held := make(chan struct{}), make(chan struct{}, devices)
	var now, most atomic.Int64
	h := newHouse(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		for was, n := most.Load(), now.Add(1); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
		}
		held <- struct{}{}
		<-release
		now.Add(-1)
		w.WriteHeader(http.StatusCreated)
	})
	t.Cleanup(sync.OnceFunc(func() { close(release) }))
	for n := range devices {
		_, id := h.device(t, h.owner.UserID, "", fmt.Sprint("/", n))
		h.deliver(t, h.notify(t, "overbooked", "", `{"severity":2}`), h.owner.UserID, "push", id)
	}
	run(t, h.outbox(t))
	for range atOnce {
		<-held
	}
	if got := h.outcome(t, h.deliver(t, h.notify(t, "overbooked", "", `{"severity":2}`), h.owner.UserID, "mail", "")); got != "sent" {
		t.Errorf("a mail is %s", got)
	}
	if n := most.Load(); n != atOnce {
		t.Errorf("the push service had %d messages at a time", n)
	}
}

// TestDecidedWhenSent changes what decides after a delivery was made.
func TestDecidedWhenSent(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	member := h.AddGuest(t, "Vera", "Lima")
	h.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'manager')`, h.owner.ID, member)
	session := h.ID(t, `INSERT INTO realtime.sessions (id, user_id, expires_at) VALUES ('s1', $1, now() + interval '1 day') RETURNING id`, member)
	_, device := h.device(t, member, session, "/vera")
	_, portals := h.device(t, member, "", "/portal") // added by a token of the portal's
	_, owners := h.device(t, h.owner.UserID, "", "/owner")
	make := func(kind, more, channel, target string) string {
		return h.deliver(t, h.notify(t, kind, "", more), member, channel, target)
	}
	now := `{"severity":2}` // does not wait for the device's turn
	stop := run(t, h.outbox(t))
	want := func(what, id, outcome string) {
		t.Helper()
		if got := h.outcome(t, id); got != outcome {
			t.Errorf("%s: %s, want %s", what, got, outcome)
		}
	}
	want("push", make("overbooked", now, "push", device), "sent")
	want("mail", make("overbooked", now, "mail", ""), "sent")
	want("another user's device", make("overbooked", now, "push", owners), "signed_out")
	want("a kind that is off by default", make("booking_created", now, "mail", ""), "off")
	h.Exec(t, `INSERT INTO realtime.preferences (user_id, owner_id, kind, channel, mode) VALUES ($1, $2, 'overbooked', 'push', 'off')`, member, h.owner.ID)
	want("switched off", make("overbooked", now, "push", device), "off")
	h.Exec(t, `DELETE FROM realtime.preferences`)
	h.Exec(t, `INSERT INTO realtime.user_settings (user_id, paused_until) VALUES ($1, now() + interval '1 hour')`, member)
	want("paused", make("overbooked", now, "push", device), "later")
	want("a sign-in, paused", make("new_sign_in", `{"user":"`+member+`"}`, "mail", ""), "sent")
	h.Exec(t, `UPDATE realtime.user_settings SET paused_until = NULL, zone = 'UTC', quiet_from = (now() AT TIME ZONE 'UTC' - interval '1 minute')::time, quiet_to = (now() AT TIME ZONE 'UTC' + interval '2 hours')::time`)
	want("quiet", make("to_confirm", "", "push", device), "later")
	want("urgent, quiet", make("overbooked", now, "push", device), "sent")
	h.Exec(t, `DELETE FROM realtime.user_settings`)
	stop()

	late := map[string]string{"read": "", "resolved": ""}
	for what := range late {
		late[what] = make("overbooked", now, "push", device)
	}
	h.Exec(t, `UPDATE realtime.notifications SET read_at = now() WHERE id = (SELECT notification_id FROM realtime.deliveries WHERE id = $1::bigint)`, late["read"])
	h.Exec(t, `UPDATE realtime.notifications SET resolved_at = now() WHERE id = (SELECT notification_id FROM realtime.deliveries WHERE id = $1::bigint)`, late["resolved"])
	expired := make("overbooked", now, "push", device)
	h.Exec(t, `UPDATE realtime.deliveries SET expires_at = now() WHERE id = $1::bigint`, expired)
	stop = run(t, h.outbox(t))
	for what, id := range late {
		want(what, id, what)
	}
	want("expired", expired, "expired")

	h.Exec(t, `UPDATE realtime.sessions SET ended_at = now()`)
	want("signed out", make("overbooked", now, "push", device), "signed_out")
	want("another session", make("overbooked", now, "push", portals), "sent")
	h.Exec(t, `INSERT INTO realtime.revocations (user_id, not_before) VALUES ($1, now() + interval '30 seconds')`, member)
	want("signed out of all", make("overbooked", now, "push", portals), "signed_out")
	h.Exec(t, `DELETE FROM realtime.members`)
	want("no member, mail", make("overbooked", now, "mail", ""), "no_member")
	h.Exec(t, `UPDATE users SET email = '' WHERE id::text = $1`, member)
	want("no address", make("new_sign_in", `{"user":"`+member+`"}`, "mail", ""), "no_address")
	stop()
	for path, n := range map[string]int{"/vera": 2, "/portal": 1, "/owner": 0} {
		if got := len(h.service.Seen(path)); got != n {
			t.Errorf("%s was called %d times, want %d", path, got, n)
		}
	}
	letters := h.mail.Letters()
	if len(letters) != 2 {
		t.Fatalf("%d letters", len(letters))
	}
	for n, ends := range []bool{true, false} { // the second tells of a sign-in
		if strings.Contains(letters[n].Text, "\nList-Unsubscribe: ") != ends {
			t.Errorf("letter %d can be ended, or not:\n%s", n, letters[n].Text)
		}
	}
}

// TestRemovedBetweenClaimAndSend takes a member out of the account after their delivery was
// claimed.
func TestRemovedBetweenClaimAndSend(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	member := h.AddGuest(t, "Vera", "Lima")
	h.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'manager')`, h.owner.ID, member)
	id := h.deliver(t, h.notify(t, "overbooked", "", `{"severity":2}`), member, "mail", "")
	claimed, err := h.deliveries.Claim(t.Context(), 10)
	if err != nil || len(claimed) != 1 || claimed[0].ID != id || claimed[0].Attempts != 1 {
		t.Fatalf("%+v, %v", claimed, err)
	}
	if again, err := h.deliveries.Claim(t.Context(), 10); err != nil || len(again) != 0 {
		t.Fatalf("claimed twice: %+v, %v", again, err)
	}
	h.Exec(t, `DELETE FROM realtime.members`)
	d, err := h.deliveries.Open(t.Context(), claimed[0])
	if err != nil || outbox.Decide(d, time.Now()).Outcome != db.OutcomeNoMember {
		t.Errorf("%+v, %v", d, err)
	}
	// its lease ends, and another server has it: the first can do nothing any more
	h.Exec(t, `UPDATE realtime.deliveries SET claimed_until = now() - interval '1 second'`)
	if _, err := h.deliveries.Open(t.Context(), claimed[0]); err != db.ErrNotFound {
		t.Errorf("opened after its lease: %v", err)
	}
	again, err := h.deliveries.Claim(t.Context(), 10)
	if err != nil || len(again) != 1 || again[0].Claim == claimed[0].Claim || again[0].Attempts != 2 {
		t.Fatalf("%+v, %v", again, err)
	}
	for what, err := range map[string]error{
		"opens": second(h.deliveries.Open(t.Context(), claimed[0])), "ends": h.deliveries.Finish(t.Context(), claimed[0], db.OutcomeSent, 0),
		"retries": h.deliveries.Retry(t.Context(), claimed[0], time.Now(), 0), "postpones": h.deliveries.Postpone(t.Context(), claimed[0], time.Now()),
	} {
		if err != db.ErrNotFound {
			t.Errorf("the first %s it: %v", what, err)
		}
	}
	if err := h.deliveries.Finish(t.Context(), again[0], db.OutcomeNoMember, 0); err != nil {
		t.Error(err)
	}
}

// second returns an error alone.
func second(_ db.OpenedDelivery, err error) error { return err }

// TestOneCallForMany tells a device of many notifications by one message a minute.
func TestOneCallForMany(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	device, id := h.device(t, h.owner.UserID, "", "/one")
	var all []string
	for range 12 {
		all = append(all, h.deliver(t, h.notify(t, "booking_created", "", ""), h.owner.UserID, "push", id))
	}
	run(t, h.outbox(t), h.outbox(t)) // two servers
	ends := map[string]int{}
	for _, one := range all {
		ends[h.outcome(t, one)]++
	}
	// what its turn was taken from may have been looked at before the message was sent
	if seen := h.service.Seen("/one"); len(seen) != 1 || ends["sent"] != 1 || ends["sent"]+ends["merged"]+ends["later"] != 12 {
		t.Fatalf("%d calls, %v", len(seen), ends)
	}
	text, err := device.Decrypt(h.service.Seen("/one")[0].Body)
	if err != nil || !strings.Contains(string(text), "e mais 11") {
		t.Errorf("%v: %s", err, text)
	}
	for _, one := range all {
		harness.Eventually(t, "told with the others", func() bool {
			return h.ID(t, `SELECT coalesce(outcome, '') FROM realtime.deliveries WHERE id = $1::bigint`, one) != ""
		})
	}
	// one that comes within the minute waits
	if got := h.outcome(t, h.deliver(t, h.notify(t, "booking_created", "", ""), h.owner.UserID, "push", id)); got != "later" {
		t.Errorf("another one: %s", got)
	}
}

// TestPrivateOrNot tells names and amounts to who wants that, and to nobody else.
func TestPrivateOrNot(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.Exec(t, `UPDATE users SET first_name = E'a\r\nBcc: x@evil.example', last_name = '<script>alert(1)</script>' WHERE id::text = $1`, h.guest)
	booking := h.Book(t, h.owner.Hangars[0], h.guest)
	device, id := h.device(t, h.owner.UserID, "", "/one")
	h.Exec(t, `INSERT INTO realtime.user_settings (user_id, private, lang) VALUES ($1, false, 'en')`, h.owner.UserID)
	h.Exec(t, `INSERT INTO realtime.preferences (user_id, owner_id, kind, channel, mode) VALUES ($1, $2, 'booking_created', 'mail', 'now')`, h.owner.UserID, h.owner.ID)
	notification := h.notify(t, "booking_created", booking, "")
	run(t, h.outbox(t))
	for channel, target := range map[string]string{"push": id, "mail": ""} {
		if got := h.outcome(t, h.deliver(t, notification, h.owner.UserID, channel, target)); got != "sent" {
			t.Errorf("%s: %s", channel, got)
		}
	}
	text, err := device.Decrypt(h.service.Seen("/one")[0].Body)
	if err != nil || !strings.Contains(string(text), `a Bcc: x@evil.example`) || !strings.Contains(string(text), "R$ 220.50") || !strings.Contains(string(text), "New booking · H1") {
		t.Errorf("%v %s", err, text)
	}
	letters := h.mail.Letters()
	if len(letters) != 1 {
		t.Fatalf("%d letters", len(letters))
	}
	head, body, _ := strings.Cut(letters[0].Text, "\r\n\r\n")
	if strings.Contains(head, "\nBcc:") || !strings.Contains(body, "&lt;script&gt;") || !strings.Contains(body, "Bcc: x@evil.example") {
		t.Errorf("the letter is\n%s", letters[0].Text)
	}
	h.Exec(t, `UPDATE realtime.user_settings SET private = true`)
	h.Exec(t, `UPDATE realtime.push_subscriptions SET next_at = NULL`)
	h.outcome(t, h.deliver(t, h.notify(t, "booking_created", booking, ""), h.owner.UserID, "mail", ""))
	if letter := h.mail.Letters()[1].Text; strings.Contains(letter, "Bcc: x@") || strings.Contains(letter, "R$") {
		t.Errorf("a private letter is\n%s", letter)
	}
}

// TestOneDigest has two servers plan and send a digest whose hour has come: one letter, with the
// newest twenty lines.
func TestOneDigest(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	booking := h.Book(t, h.owner.Hangars[0], h.guest)
	for range 25 {
		h.notify(t, "booking_created", booking, "")
	}
	h.Exec(t, `INSERT INTO realtime.preferences (user_id, owner_id, kind, channel, mode) VALUES ($1, $2, 'booking_created', 'mail', 'digest')`, h.owner.UserID, h.owner.ID)
	h.Exec(t, `INSERT INTO realtime.user_settings (user_id, zone, digest, digest_at) VALUES ($1, 'UTC', 'day', (now() AT TIME ZONE 'UTC' - interval '1 minute')::time)`, h.owner.UserID)
	planner := func() *outbox.Digests {
		return &outbox.Digests{Store: h.deliveries, Accounts: h.store, Location: time.UTC, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	}
	run(t, h.outbox(t), h.outbox(t), planner(), planner())
	harness.Eventually(t, "sent", func() bool {
		return h.ID(t, `SELECT count(*)::text FROM realtime.deliveries WHERE outcome = 'sent' AND target LIKE 'digest:%'`) == "1"
	})
	letters := h.mail.Letters()
	if len(letters) != 1 {
		t.Fatalf("%d letters", len(letters))
	}
	if text := letters[0].Text; !strings.Contains(text, "25 avisos") || !strings.Contains(text, "e mais 5") || strings.Count(text, "- Nova reserva") != 20 || strings.Contains(text, "Caio") {
		t.Errorf("the digest is\n%s", text)
	}
	if n := h.ID(t, `SELECT count(*)::text FROM realtime.notifications WHERE read_at IS NOT NULL`); n != "0" {
		t.Errorf("a digest has marked %s as read", n)
	}
}
