package outbox

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// TestDecide changes one thing at a time of a delivery that would be sent.
func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 12, 12, 0, 0, 0, time.UTC)
	night := db.Quiet{Zone: time.UTC, From: 11 * 60, To: 13 * 60}
	later := func(d time.Duration) Verdict { return Verdict{Later: now.Add(d)} }
	for _, c := range []struct {
		name   string
		change func(d *db.OpenedDelivery)
		want   Verdict
	}{
		{"as it is", func(*db.OpenedDelivery) {}, Verdict{}},
		{"over", func(d *db.OpenedDelivery) { d.ExpiresAt = now }, ended(db.OutcomeExpired)},
		{"no member", func(d *db.OpenedDelivery) { d.Role = "" }, ended(db.OutcomeNoMember)},
		{"another's alone", func(d *db.OpenedDelivery) { d.Personal = "8" }, ended(db.OutcomeNoMember)},
		{"theirs alone", func(d *db.OpenedDelivery) { d.Personal = "7" }, Verdict{}},
		{"theirs alone, in an account that they may not see", func(d *db.OpenedDelivery) { d.Personal, d.Role = "7", "" }, Verdict{}},
		{"removed and added again while it waited", func(d *db.OpenedDelivery) { d.Early = true }, ended(db.OutcomeNoMember)},
		{"theirs alone, before they joined", func(d *db.OpenedDelivery) { d.Personal, d.Early = "7", true }, Verdict{}},
		{"a digest, whose lines decide", func(d *db.OpenedDelivery) { digest(d); d.Early = true }, Verdict{}},
		{"signed out", func(d *db.OpenedDelivery) { d.Ended = true }, ended(db.OutcomeSignedOut)},
		{"no device", func(d *db.OpenedDelivery) { d.Subscribed = false }, ended(db.OutcomeSignedOut)},
		{"mail needs none", func(d *db.OpenedDelivery) { d.Subscribed, d.Channel = false, db.ChannelMail }, Verdict{}},
		{"read", func(d *db.OpenedDelivery) { d.Read = true }, ended(db.OutcomeRead)},
		{"resolved", func(d *db.OpenedDelivery) { d.Resolved = true }, ended(db.OutcomeResolved)},
		{"off", func(d *db.OpenedDelivery) { d.Mode = db.ModeOff }, ended(db.OutcomeOff)},
		{"in the digest only", func(d *db.OpenedDelivery) { d.Mode = db.ModeDigest }, ended(db.OutcomeOff)},
		{"at the screen", func(d *db.OpenedDelivery) { d.CreatedAt = now.Add(-5 * time.Second) }, later(15 * time.Second)},
		{"mail does not wait for that", func(d *db.OpenedDelivery) { d.CreatedAt, d.Channel = now, db.ChannelMail }, Verdict{}},
		{"quiet", func(d *db.OpenedDelivery) { d.Quiet = night }, later(time.Hour)},
		{"quiet beyond its end", func(d *db.OpenedDelivery) { d.Quiet, d.ExpiresAt = night, now.Add(time.Hour) }, ended(db.OutcomeExpired)},
		{"mail is quiet too", func(d *db.OpenedDelivery) { d.Quiet, d.Channel = night, db.ChannelMail }, later(time.Hour)},
		{"paused", func(d *db.OpenedDelivery) { d.Settings.PausedUntil = now.Add(3 * time.Hour) }, later(3 * time.Hour)},
		{"paused into quiet", func(d *db.OpenedDelivery) {
			d.Quiet, d.Settings.PausedUntil = db.Quiet{Zone: time.UTC, From: 14 * 60, To: 16 * 60}, now.Add(3*time.Hour)
		}, later(4 * time.Hour)},
		{"the pause is over", func(d *db.OpenedDelivery) { d.Settings.PausedUntil = now }, Verdict{}},
		{"urgent", func(d *db.OpenedDelivery) { d.Severity, d.Quiet, d.CreatedAt = urgent, night, now }, Verdict{}},
		{"urgent, paused", func(d *db.OpenedDelivery) { d.Severity, d.Settings.PausedUntil = urgent, now.Add(time.Hour) }, later(time.Hour)},
		{"locked", func(d *db.OpenedDelivery) {
			d.Locked, d.Mode, d.Quiet, d.Settings.PausedUntil = true, db.ModeOff, night, now.Add(time.Hour)
		}, Verdict{}},
		{"locked, no member", func(d *db.OpenedDelivery) { d.Locked, d.Role = true, "" }, ended(db.OutcomeNoMember)},
		{"a digest", func(d *db.OpenedDelivery) { digest(d); d.Read, d.Resolved, d.Mode = true, true, db.ModeOff }, Verdict{}},
		{"a digest, off", func(d *db.OpenedDelivery) { digest(d); d.Settings.Digest = db.DigestOff }, ended(db.OutcomeOff)},
		{"a digest, quiet", func(d *db.OpenedDelivery) { digest(d); d.Quiet, d.Severity = night, urgent }, later(time.Hour)},
		{"a digest, no member", func(d *db.OpenedDelivery) { digest(d); d.Role = "" }, ended(db.OutcomeNoMember)},
	} {
		d := db.OpenedDelivery{
			ClaimedDelivery: db.ClaimedDelivery{Channel: db.ChannelPush, Target: "3"}, UserID: "7", OwnerID: "42", Role: db.RoleViewer, Mode: db.ModeNow,
			CreatedAt: now.Add(-time.Hour), ExpiresAt: now.Add(24 * time.Hour), Subscribed: true,
		}
		c.change(&d)
		if got := Decide(d, now); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func digest(d *db.OpenedDelivery) {
	d.Channel, d.Target, d.Settings.Digest = db.ChannelMail, db.DigestTarget+"2026-03-12", db.DigestDay
}

// TestTopics names groups: the same one on a repeat, another for whatever else there is, in what
// every push service takes.
func TestTopics(t *testing.T) {
	t.Parallel()
	group := db.OpenedDelivery{UserID: "7", OwnerID: "42", GroupKey: "a", NotificationID: "1"}
	repeat := group
	repeat.NotificationID, repeat.ID = "2", "3"
	if topicOf(group) != topicOf(repeat) {
		t.Error("one group has two topics")
	}
	seen := map[string]bool{topicOf(group): true}
	for n, change := range []func(d *db.OpenedDelivery){
		func(d *db.OpenedDelivery) { d.UserID = "8" }, func(d *db.OpenedDelivery) { d.OwnerID = "43" }, func(d *db.OpenedDelivery) { d.GroupKey = "b" },
		func(d *db.OpenedDelivery) { d.GroupKey = "" }, func(d *db.OpenedDelivery) { d.GroupKey, d.NotificationID = "", "2" },
	} {
		d := group
		change(&d)
		topic := topicOf(d)
		if seen[topic] || len(topic) > 32 || strings.Trim(topic, "0123456789abcdef") != "" {
			t.Errorf("change %d: %q, and seen are %v", n, topic, seen)
		}
		seen[topic] = true
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for attempts, pause := range []time.Duration{30 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 4 * time.Hour, 4 * time.Hour} {
		seen := map[time.Time]bool{}
		for range 50 {
			at := backoff(now, now.Add(24*time.Hour), attempts, 0)
			if at.Before(now.Add(pause)) || at.After(now.Add(pause+pause/4+1)) {
				t.Errorf("after %d attempts: %s", attempts, at.Sub(now))
			}
			seen[at] = true
		}
		if len(seen) < 10 {
			t.Errorf("after %d attempts all come back together", attempts)
		}
	}
	if at := backoff(now, now.Add(30*time.Second), 1, 0); !at.IsZero() {
		t.Errorf("beyond its end: %s", at.Sub(now))
	}
	if at := backoff(now, now.Add(time.Hour), 1, 10*time.Minute); at.Before(now.Add(10 * time.Minute)) {
		t.Errorf("sooner than it was asked for: %s", at.Sub(now))
	}
}

// TestHowLongHostsWait: a service is left alone as long as it says, and only for a while where it
// may have spoken of one device.
func TestHowLongHostsWait(t *testing.T) {
	t.Parallel()
	var b breakers
	now := time.Now()
	for code, want := range map[int]time.Duration{http.StatusServiceUnavailable: 24 * time.Hour, http.StatusTooManyRequests: stopTime} {
		b.failed("a", now, Result{Status: Again, Code: code, RetryAfter: 24 * time.Hour})
		if until := b.openUntil("a", now); !until.Equal(now.Add(want)) {
			t.Errorf("after %d with a day nothing is sent for %s", code, until.Sub(now))
		}
	}
}

func TestBreakers(t *testing.T) {
	t.Parallel()
	var b breakers
	now := time.Now()
	if until := b.openUntil("a", now); !until.IsZero() {
		t.Error("nothing is sent to an unknown host")
	}
	refusing := func(at time.Time) [2]int {
		stopped, all := b.refusing(at)
		return [2]int{stopped, all}
	}
	if stopped, tell := b.refuse("a", "", now, takenTime); !stopped || !tell || refusing(now) != [2]int{1, 1} || !b.openUntil("a", now).Equal(now.Add(stopTime)) || !b.openUntil("b", now).IsZero() {
		t.Error("a host that refuses our key is not stopped")
	}
	if stopped, tell := b.refuse("a", "", now, takenTime); !stopped || tell {
		t.Error("a host that is stopped is told again")
	}
	if stopped, tell := b.refuse("a", "1", now.Add(stopTime), takenTime); !stopped || !tell {
		t.Error("a host that goes on refusing is not stopped again")
	}
	if b.took("a", now.Add(-takenTime)); refusing(now) != [2]int{} || !b.openUntil("a", now).IsZero() {
		t.Error("it does not close")
	}
	for n := range 3 {
		if stopped, tell := b.refuse("d", "1", now, takenTime); stopped || tell != (n == 0) {
			t.Errorf("refusal %d of one user's: stopped %t, told %t", n, stopped, tell)
		}
	}
	b.failed("d", now, Result{Status: Again, Code: 503, RetryAfter: time.Minute})
	if one, after := refusing(now), refusing(now.Add(refusalTime)); one != [2]int{0, 1} || after != [2]int{} {
		t.Errorf("%v hosts refuse our key for a device, a day later %v", one, after)
	}
	b.took("d", now.Add(-takenTime))
	if stopped, _ := b.refuse("d", "2", now, takenTime); stopped {
		t.Error("a refusal from before something was taken counts")
	}
	b.failed("d", now, Result{Status: Again, Code: 429, RetryAfter: time.Minute})
	if stopped, tell := b.refuse("d", "3", now, takenTime); !stopped || !tell {
		t.Error("two users are refused, and the host is not stopped")
	}
	b.took("d", now.Add(-takenTime))
	for n, user := range []string{"1", "2", "3"} {
		if stopped, tell := b.refuse("d", user, now.Add(-time.Second), takenTime); stopped || tell != (n == 0) {
			t.Errorf("user %s is refused, others were taken a while ago: stopped %t, told %t", user, stopped, tell)
		}
	}
	b.took("m", now)
	b.refuse("m", "1", now, 0)
	if stopped, _ := b.refuse("m", "2", now, 0); !stopped {
		t.Error("a mail server that took a mail a moment ago refuses two users, and is not stopped")
	}
	if stopped, _ := b.refuse("d", "4", now, takenTime); !stopped {
		t.Error("it has taken nothing for an hour, and is not stopped")
	}
	b.failed("a", now, Result{Status: Again, Code: 429, RetryAfter: time.Minute})
	if !b.openUntil("a", now).Equal(now.Add(time.Minute)) || !b.openUntil("a", now.Add(time.Minute)).IsZero() {
		t.Error("Retry-After does not hold")
	}
	for range silentFailures - 1 {
		b.failed("c", now, Result{Status: Again})
	}
	if !b.openUntil("c", now).IsZero() {
		t.Error("opened too soon")
	}
	for n, want := range []time.Duration{silentTime, 2 * silentTime, 4 * silentTime} {
		if b.failed("c", now, Result{Status: Again}); !b.openUntil("c", now).Equal(now.Add(want)) {
			t.Errorf("failure %d opens for %s", n, b.openUntil("c", now).Sub(now))
		}
	}
	for i := range 3 * maxHosts {
		b.refuse(string(rune(i)), "", now, takenTime)
	}
	if len(b.hosts) > maxHosts {
		t.Errorf("%d hosts are known", len(b.hosts))
	}
}

// TestBreakersOfManyHosts has users name thousands of hosts below that of a push service: what they
// do is forgotten, and not what is known of the service's own.
func TestBreakersOfManyHosts(t *testing.T) {
	t.Parallel()
	for what, fail := range map[string]func(b *breakers, host string, now time.Time){
		"none is there": func(b *breakers, host string, now time.Time) { b.failed(host, now, Result{}) },
		"all are silent": func(b *breakers, host string, now time.Time) {
			for range silentFailures {
				b.failed(host, now, Result{})
			}
		},
	} {
		var b breakers
		now := time.Now()
		b.refuse("ours", "", now, takenTime)
		b.failed("busy", now, Result{Code: 503, RetryAfter: time.Hour})
		for n := range 3 * maxHosts {
			fail(&b, fmt.Sprint(n, ".push.example"), now)
			b.took("known", now)
		}
		if len(b.hosts) > maxHosts {
			t.Errorf("%s: %d hosts are known", what, len(b.hosts))
		}
		if b.openUntil("ours", now).IsZero() {
			t.Errorf("%s: a host that refuses our key is forgotten", what)
		}
		if what == "none is there" && b.openUntil("busy", now).IsZero() {
			t.Errorf("%s: a host that takes nothing at present is forgotten", what)
		}
	}
	var b breakers
	now := time.Now()
	for n := range maxHosts {
		b.refuse(fmt.Sprint(n), "", now, takenTime)
	}
	b.took("0", now)
	if b.openUntil("1", now).IsZero() {
		t.Error("one that is known takes a message, and all others are forgotten")
	}
}
