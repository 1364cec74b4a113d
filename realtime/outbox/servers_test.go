package outbox_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox/sender"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// other returns the outbox of a server that has no mail, and another key for push.
func (h *house) other(t testing.TB) *outbox.Outbox {
	t.Helper()
	private, _, err := sender.NewVAPIDKey()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := sender.NewVAPID(private, "mailto:ops@portal.com.br")
	if err != nil {
		t.Fatal(err)
	}
	store, err := db.NewStore(t.Context(), h.Pool, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	deliveries := db.NewDeliveries(store)
	deliveries.KeyID = keys.ID()
	o := h.outbox(t)
	o.Store = deliveries
	o.Senders = map[db.Channel]outbox.Sender{db.ChannelPush: &sender.Push{Keys: keys, Hosts: h.push.Hosts, Client: h.push.Client}}
	return o
}

// left is how often a server left deliveries to others, by what it lacks.
func left(o *outbox.Outbox, lacks string) (n float64) {
	for _, s := range o.Collect() {
		if s.Name == "hangarshare_deliveries_left_total" && slices.Contains(s.Labels, stats.Label{Name: "lacks", Value: lacks}) {
			n += s.Value
		}
	}
	return n
}

// TestServersOfDifferentSettings has a server claim what it cannot send, again and again and after
// attempts of others: it leaves that to the server that can, until the delivery's end, and counts
// no attempt. What nobody can send has an end too.
func TestServersOfDifferentSettings(t *testing.T) {
	t.Parallel()
	for channel, lacks := range map[string]string{"mail": "channel", "push": "key"} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, nil)
			target := ""
			if channel == "push" {
				_, target = h.device(t, h.owner.UserID, "", "/one")
			}
			make := func() string {
				return h.deliver(t, h.notify(t, "overbooked", "", `{"severity":2}`), h.owner.UserID, channel, target)
			}
			delivery := make()
			h.Exec(t, `UPDATE realtime.deliveries SET attempts = 4, code = 451`)
			other := h.other(t)
			stop := run(t, other)
			const rounds = 12
			for n := range rounds {
				if got := h.outcome(t, delivery); got != "again 451" {
					t.Fatalf("claimed the %d. time by a server without it: %s", n+1, got)
				}
				if n < rounds-1 {
					h.due(t)
				}
			}
			stop()
			if n := left(other, lacks); n < rounds {
				t.Errorf("left %v times, want at least %d", n, rounds)
			}
			h.Exec(t, `UPDATE realtime.notifications SET created_at = now() - interval '20 hours'`)
			h.Exec(t, `UPDATE realtime.deliveries SET expires_at = now() + interval '30 minutes'`)
			h.due(t)
			stop = run(t, h.other(t))
			h.outcome(t, delivery)
			stop()
			if at := h.ID(t, `SELECT (not_before = expires_at)::text FROM realtime.deliveries`); at != "true" {
				t.Error("it is not looked at when it ends")
			}
			h.due(t)
			stop = run(t, h.outbox(t))
			h.await(t, "sent 5", `SELECT concat_ws(' ', outcome, attempts) FROM realtime.deliveries WHERE id = $1::bigint`, delivery)
			stop()

			// nobody can: one that was tried before, and one that never was
			tried, never := make(), make()
			h.Exec(t, `UPDATE realtime.deliveries SET expires_at = now(), attempts = CASE WHEN id = $1::bigint THEN 1 ELSE 0 END WHERE done_at IS NULL`, tried)
			stop = run(t, h.other(t))
			for id, want := range map[string]string{tried: "expired", never: "not_set_up"} {
				if got := h.outcome(t, id); got != want {
					t.Errorf("at its end: %s, want %s", got, want)
				}
			}
			stop()
			if seen := h.service.Seen("/one"); channel == "push" && (len(seen) != 1 || !strings.HasSuffix(seen[0].Header.Get("Authorization"), h.push.Keys.Public())) {
				t.Errorf("%d calls, or by another key", len(seen))
			}
		})
	}
}

// TestServersOfDifferentSettingsTogether has two servers run at once, each of which has a key for
// push that the other has not: each device is called once, by the key that it was added under.
func TestServersOfDifferentSettingsTogether(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	other := h.other(t)
	keys := map[string]string{"/ours": h.push.Keys.Public(), "/theirs": other.Senders[db.ChannelPush].(*sender.Push).Keys.Public()}
	ids := map[string]string{}
	for path := range keys {
		_, ids[path] = h.device(t, h.owner.UserID, "", path)
	}
	h.Exec(t, `UPDATE realtime.push_subscriptions SET key_id = $2 WHERE id = $1`, ids["/theirs"], other.Senders[db.ChannelPush].(*sender.Push).Keys.ID())
	const each = 10
	for range each {
		notification := h.notify(t, "overbooked", "", `{"severity":2}`)
		for _, id := range ids {
			h.deliver(t, notification, h.owner.UserID, "push", id)
		}
	}
	run(t, h.outbox(t), other)
	harness.Eventually(t, "sent", func() bool {
		h.due(t)
		return h.ID(t, `SELECT count(*)::text FROM realtime.deliveries WHERE outcome = 'sent' AND attempts = 1`) == "20"
	})
	for path, key := range keys {
		seen := h.service.Seen(path)
		for _, one := range seen {
			if !strings.HasSuffix(one.Header.Get("Authorization"), key) {
				t.Errorf("%s was called by another key", path)
			}
		}
		if len(seen) != each {
			t.Errorf("%s was called %d times", path, len(seen))
		}
	}
}
