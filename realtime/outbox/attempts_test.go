package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox/outboxtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// late is a channel that answers when its server stops.
type late struct {
	status outbox.Status
	came   chan struct{}
}

func (*late) Host(outbox.Message) string { return "late" }

func (l *late) Send(ctx context.Context, _ outbox.Message) outbox.Result {
	l.came <- struct{}{}
	<-ctx.Done()
	return outbox.Result{Status: l.status, Code: 250}
}

// TestStoppedWhileSending stops a server while a message is on its way: what was taken is noted,
// and what was cut off is nobody's fault and left to the next server.
func TestStoppedWhileSending(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	for status, want := range map[outbox.Status]string{outbox.Sent: "sent 250 1", outbox.Again: "1"} {
		out := h.outbox(t)
		channel := &late{status, make(chan struct{}, 1)}
		out.Senders = map[db.Channel]outbox.Sender{db.ChannelMail: channel}
		delivery := h.deliver(t, h.notify(t, "overbooked", "", `{"severity":2}`), h.owner.UserID, "mail", "")
		stop := run(t, out)
		<-channel.came
		stop()
		if got := h.ID(t, `SELECT concat_ws(' ', outcome, code, attempts) FROM realtime.deliveries WHERE id = $1::bigint AND not_before < now()`, delivery); got != want {
			t.Errorf("it is %q, want %q", got, want)
		}
	}
}

// TestStopGivesBack stops a server that has claimed more than it can send at once: what it has not
// begun is due at once for others, and no attempt is counted.
func TestStopGivesBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	for range 20 {
		h.deliver(t, h.notify(t, "overbooked", "", `{"severity":2}`), h.owner.UserID, "mail", "")
	}
	out := h.outbox(t)
	channel := &late{outbox.Sent, make(chan struct{}, 20)}
	out.Senders = map[db.Channel]outbox.Sender{db.ChannelMail: channel}
	stop := run(t, out)
	const workers = 16
	for range workers {
		<-channel.came
	}
	stop()
	if got := h.ID(t, `SELECT concat_ws(' ', count(*) FILTER (WHERE outcome = 'sent'), count(*) FILTER (WHERE claim IS NULL AND attempts = 0 AND not_before <= now())) FROM realtime.deliveries`); got != "16 4" {
		t.Errorf("sent, and given back: %s", got)
	}
}

// forgetful is the outbox of a server that dies before it notes what it has sent.
type forgetful struct{ *db.Deliveries }

func (forgetful) Finish(context.Context, db.ClaimedDelivery, db.Outcome, int) error {
	return errors.New("the server has died")
}

// TestSentAgainAfterADeath has a server die between sending and noting it. Another one sends the
// same message again: with the same topic, which replaces the first, and under the same id.
func TestSentAgainAfterADeath(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	_, id := h.device(t, h.owner.UserID, "", "/one")
	notification := h.notify(t, "overbooked", "", `{"severity":2}`)
	h.deliver(t, notification, h.owner.UserID, "push", id)
	h.deliver(t, notification, h.owner.UserID, "mail", "")
	dies := h.outbox(t)
	dies.Store = forgetful{h.deliveries}
	sent := func(n int) {
		t.Helper()
		harness.Eventually(t, "sent "+strconv.Itoa(n)+" times", func() bool { return len(h.service.Seen("/one")) == n && len(h.mail.Letters()) == n })
	}
	stop := run(t, dies)
	sent(1)
	stop()
	h.Exec(t, `UPDATE realtime.deliveries SET claimed_until = now() - interval '1 second'`)
	stop = run(t, h.outbox(t))
	sent(2)
	h.await(t, "2", `SELECT count(*)::text FROM realtime.deliveries WHERE outcome = 'sent' AND attempts = 2`)
	stop()
	pushes, letters := h.service.Seen("/one"), h.mail.Letters()
	if one, two := pushes[0].Header.Get("Topic"), pushes[1].Header.Get("Topic"); one == "" || one != two {
		t.Errorf("the topics are %q and %q", one, two)
	}
	if one, two := messageID(letters[0]), messageID(letters[1]); one == "" || one != two {
		t.Errorf("the letters are %q and %q", one, two)
	}
}

// messageID returns the line of a letter that names it.
func messageID(letter outboxtest.Letter) string {
	for line := range strings.SplitSeq(letter.Text, "\r\n") {
		if strings.HasPrefix(strings.ToLower(line), "message-id:") {
			return line
		}
	}
	return ""
}

// hurried is the outbox of a server that comes to what it has claimed when the lease has nearly
// ended, the first time.
type hurried struct {
	*db.Deliveries
	claims atomic.Int32
}

func (s *hurried) Claim(ctx context.Context, limit int) ([]db.ClaimedDelivery, error) {
	list, err := s.Deliveries.Claim(ctx, limit)
	if len(list) > 0 && s.claims.Add(1) == 1 {
		for i := range list {
			list[i].Until = time.Now().Add(20 * time.Second)
		}
	}
	return list, err
}

// TestLeaseTooShortToSend has a server claim what it cannot send before another one may claim it:
// it is claimed anew, and sent once.
func TestLeaseTooShortToSend(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	delivery := h.deliver(t, h.notify(t, "overbooked", "", `{"severity":2}`), h.owner.UserID, "mail", "")
	store := &hurried{Deliveries: h.deliveries}
	out := h.outbox(t)
	out.Store = store
	run(t, out)
	h.await(t, "sent 1", `SELECT concat_ws(' ', outcome, attempts) FROM realtime.deliveries WHERE id = $1::bigint`, delivery)
	if n := store.claims.Load(); n < 2 || len(h.mail.Letters()) != 1 {
		t.Errorf("claimed %d times, %d letters", n, len(h.mail.Letters()))
	}
}

// slowStore has one delivery, about which it takes its time.
type slowStore struct {
	outbox.Store
	takes  time.Duration
	claims atomic.Int64
}

func (s *slowStore) Claim(context.Context, int) ([]db.ClaimedDelivery, error) {
	if s.claims.Add(1) > 1 {
		return nil, nil
	}
	return []db.ClaimedDelivery{{ID: "1", Channel: db.ChannelMail, Attempts: 1, Until: time.Now().Add(30 * time.Second)}}, nil
}

func (s *slowStore) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(s.takes):
		return nil
	}
}

func (s *slowStore) Open(ctx context.Context, c db.ClaimedDelivery) (d db.OpenedDelivery, err error) {
	now := time.Now()
	return db.OpenedDelivery{ClaimedDelivery: c, UserID: "7", OwnerID: "42", Role: db.RoleOwner, Mode: db.ModeNow, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}, s.wait(ctx)
}

func (s *slowStore) Details(ctx context.Context, _ db.OpenedDelivery) (db.NotificationDetails, error) {
	return db.NotificationDetails{Email: "olga@portal.example"}, s.wait(ctx)
}

func (s *slowStore) UnsubscribeToken(ctx context.Context, _, _ string) (string, error) {
	return "t", s.wait(ctx)
}

func (*slowStore) Finish(context.Context, db.ClaimedDelivery, db.Outcome, int) error { return nil }
func (*slowStore) Queue(context.Context) (db.Queue, error)                           { return db.Queue{}, nil }
func (*slowStore) Prune(context.Context) error                                       { return nil }

// sends is a channel that notes when it is used.
type sends struct{ at chan time.Time }

func (*sends) Host(outbox.Message) string { return "sends" }

func (s *sends) Send(context.Context, outbox.Message) outbox.Result {
	s.at <- time.Now()
	return outbox.Result{Status: outbox.Sent}
}

// TestSlowToPrepare has a database take its time: what could not leave before the lease ends is
// left to another attempt.
func TestSlowToPrepare(t *testing.T) {
	t.Parallel()
	for takes, want := range map[time.Duration]int{time.Second: 1, 4900 * time.Millisecond: 0} {
		synctest.Test(t, func(t *testing.T) {
			channel := &sends{make(chan time.Time, 1)}
			out := &outbox.Outbox{Store: &slowStore{takes: takes}, Senders: map[db.Channel]outbox.Sender{db.ChannelMail: channel}, PublicURL: "https://live.portal.example",
				Location: time.UTC, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- out.Run(ctx) }()
			time.Sleep(time.Minute)
			if len(channel.at) != want {
				t.Errorf("each question takes %s: sent %d times, want %d", takes, len(channel.at), want)
			}
			cancel()
			<-done
		})
	}
}

// TestGivenUp has a delivery that was claimed again and again and never came to an end, as one does
// by which servers die: it ends, and what waits behind it is sent.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	var ids []string
	for _, attempts := range []int{30, 29} {
		id := h.deliver(t, h.notify(t, "overbooked", "", `{"severity":2}`), h.owner.UserID, "mail", "")
		h.Exec(t, `UPDATE realtime.deliveries SET attempts = $2 WHERE id = $1::bigint`, id, attempts)
		ids = append(ids, id)
	}
	run(t, h.outbox(t))
	for n, want := range []string{"refused", "sent"} {
		if got := h.outcome(t, ids[n]); got != want {
			t.Errorf("number %d is %s, want %s", n, got, want)
		}
	}
	if n := len(h.mail.Letters()); n != 1 {
		t.Errorf("%d letters", n)
	}
}

// TestWaitsNoLongerThanItsEnd has a push service take nothing for an hour: what is worth nothing by
// then ends at once, and what is stays. The device's turn is nobody's: it was not called.
func TestWaitsNoLongerThanItsEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	_, id := h.device(t, h.owner.UserID, "", "/one")
	make := func(ends string) string {
		return h.ID(t, `INSERT INTO realtime.deliveries (notification_id, user_id, channel, target, not_before, expires_at)
			VALUES ($1::bigint, $2, 'push', $3, now() - interval '1 second', now() + $4::interval) RETURNING id::text`,
			h.notify(t, "booking_created", "", ""), h.owner.UserID, id, ends)
	}
	run(t, h.outbox(t))
	if got := h.outcome(t, make("50 minutes")); got != "expired" {
		t.Errorf("the first, whose retry would come after its end: %s", got)
	}
	if free := h.ID(t, `SELECT (next_at IS NULL)::text FROM realtime.push_subscriptions`); free != "true" {
		t.Error("the device has to wait for a call that did not reach it")
	}
	for ends, want := range map[string]string{"50 minutes": "expired", "2 hours": "later"} {
		if got := h.outcome(t, make(ends)); got != want {
			t.Errorf("%s before its end: %s, want %s", ends, got, want)
		}
	}
	if n := len(h.service.Seen("")); n != 1 {
		t.Errorf("%d calls", n)
	}
}

// TestEmptyDigest has the notifications of a digest be read after it was planned: no letter leaves.
func TestEmptyDigest(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.Exec(t, `INSERT INTO realtime.preferences (user_id, owner_id, kind, channel, mode) VALUES ($1, $2, 'booking_created', 'mail', 'digest')`, h.owner.UserID, h.owner.ID)
	h.Exec(t, `INSERT INTO realtime.user_settings (user_id, digest) VALUES ($1, 'day')`, h.owner.UserID)
	h.notify(t, "booking_created", "", "")
	if planned, err := h.deliveries.PlanDigest(t.Context(), h.owner.UserID, h.owner.ID, "2026-03-12", time.Now()); err != nil || !planned {
		t.Fatalf("planned: %t, %v", planned, err)
	}
	h.Exec(t, `UPDATE realtime.notifications SET read_at = now()`)
	run(t, h.outbox(t))
	if got := h.outcome(t, h.ID(t, `SELECT id::text FROM realtime.deliveries`)); got != "empty" || len(h.mail.Letters()) != 0 {
		t.Errorf("it is %s, %d letters", got, len(h.mail.Letters()))
	}
}

// TestPushSaysWhatItIs looks at the headers of what is urgent and of what is not, at how long a
// push service keeps it, and at the number for the app's icon.
func TestPushSaysWhatItIs(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	device, id := h.device(t, h.owner.UserID, "", "/one")
	run(t, h.outbox(t))
	for n, c := range []struct{ kind, more, urgency string }{{"booking_created", "", "normal"}, {"overbooked", `{"severity":2}`, "high"}} {
		delivery := h.deliver(t, h.notify(t, c.kind, "", c.more), h.owner.UserID, "push", id)
		if got := h.outcome(t, delivery); got != "sent" {
			t.Fatalf("%s: %s", c.kind, got)
		}
		one := h.service.Seen("/one")[n]
		ttl, err := strconv.Atoi(one.Header.Get("TTL"))
		if err != nil || ttl > 24*3600 || ttl < 23*3600 || one.Header.Get("Urgency") != c.urgency {
			t.Errorf("%s: %v", c.kind, one.Header)
		}
		text, err := device.Decrypt(one.Body)
		var got struct {
			Notification struct {
				Badge string `json:"app_badge"`
			}
		}
		if err != nil || json.Unmarshal(text, &got) != nil || got.Notification.Badge != strconv.Itoa(n+1) {
			t.Errorf("%s: %v, %s", c.kind, err, text)
		}
	}
}

// TestATestStopsNothing has a push service refuse our key for messages that users send themselves
// to try their devices: that is told to them, and counts neither against the service nor the
// device.
func TestATestStopsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusForbidden) })
	out := h.outbox(t)
	for _, user := range []string{h.owner.UserID, h.guest} {
		h.device(t, user, "", "/"+user)
		devices, err := h.deliveries.Devices(t.Context(), user)
		if err != nil || len(devices) != 1 {
			t.Fatalf("%+v, %v", devices, err)
		}
		if r, err := out.Test(t.Context(), devices[0].PushEndpoint, "en"); err != nil || r.Status != outbox.Ours || r.Code != 403 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	for _, s := range out.Collect() {
		if strings.HasSuffix(s.Name, "_hosts") && s.Value != 0 {
			t.Errorf("%s is %v", s.Name, s.Value)
		}
	}
	if n := h.ID(t, `SELECT count(*)::text FROM realtime.push_subscriptions WHERE failures = 0 AND disabled_at IS NULL`); n != "2" {
		t.Errorf("%s devices are as they were", n)
	}
}

// TestCountsWhatLeaves looks at the metrics of what waits, of attempts, and of how deliveries end.
func TestCountsWhatLeaves(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	out := h.outbox(t)
	waits := &late{outbox.Sent, make(chan struct{}, 1)}
	out.Senders[db.ChannelMail] = waits
	_, id := h.device(t, h.owner.UserID, "", "/one")
	h.deliver(t, h.notify(t, "overbooked", "", `{"severity":2}`), h.owner.UserID, "mail", "")
	run(t, out)
	<-waits.came
	read := h.notify(t, "overbooked", "", `{"severity":2}`)
	h.Exec(t, `UPDATE realtime.notifications SET read_at = now() WHERE id = $1::bigint`, read)
	h.outcome(t, h.deliver(t, h.notify(t, "overbooked", "", `{"severity":2}`), h.owner.UserID, "push", id))
	h.outcome(t, h.deliver(t, read, h.owner.UserID, "push", id))
	want := map[string]float64{"hangarshare_outbox_waiting": 1, "hangarshare_delivery_attempts_total push sent": 1, "hangarshare_deliveries_total push sent": 1, "hangarshare_deliveries_total push read": 1}
	harness.Eventually(t, "counted", func() bool {
		got := map[string]float64{}
		for _, s := range out.Collect() {
			name := s.Name
			for _, label := range s.Labels {
				name += " " + label.Value
			}
			if s.Value != 0 && !strings.HasSuffix(name, "_seconds") {
				got[name] = s.Value
			}
		}
		return maps.Equal(got, want)
	})
}
