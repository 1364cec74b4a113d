package outbox_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
)

// TestTellsOfWhatWouldBeSent sends one message to a device for which more waits: it tells of what
// its user would have been sent at this moment for the same account, and of nothing else.
func TestTellsOfWhatWouldBeSent(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	member, second := h.AddGuest(t, "Vera", "Lima"), h.AddOwner(t, 1)
	for _, owner := range []string{h.owner.ID, second.ID} {
		h.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role, since) VALUES ($1, $2, 'manager', now() - interval '1 hour')`, owner, member)
	}
	device, id := h.device(t, member, "", "/one")
	_, twin := h.device(t, member, "", "/twin")
	h.Exec(t, `INSERT INTO realtime.preferences (user_id, owner_id, kind, channel, mode) VALUES ($1, $2, 'to_confirm', 'push', 'off'), ($1, $2, 'payment_received', 'push', 'now'),
		($1, $2, 'booking_changed', 'mail', 'now')`, member, h.owner.ID)
	// soon makes a delivery that is due before the device has its next turn.
	soon := func(kind, target, change string) string {
		t.Helper()
		n := h.notify(t, kind, "", "")
		if change != "" {
			h.Exec(t, `UPDATE realtime.notifications SET `+change+` WHERE id = $1::bigint`, n)
		}
		d := h.deliver(t, n, member, "push", target)
		h.Exec(t, `UPDATE realtime.deliveries SET not_before = now() + interval '50 seconds' WHERE id = $1::bigint`, d)
		return d
	}
	waiting := map[string][2]string{ // what becomes of it
		"of the account":              {soon("booking_created", id, ""), "merged"},
		"another one":                 {soon("booking_cancelled", id, ""), "merged"},
		"of a kind that they chose":   {soon("payment_received", id, ""), "merged"},
		"theirs alone":                {soon("member_changed", id, "user_id = '"+member+"'"), "merged"},
		"switched off":                {soon("to_confirm", id, ""), "later"},
		"off by default":              {soon("booking_changed", id, ""), "later"},
		"of a kind nobody here knows": {soon("from_tomorrow", id, ""), "later"},
		"of another account":          {soon("booking_created", id, "owner_id = '"+second.ID+"'"), "later"},
		"another's alone":             {soon("member_changed", id, "user_id = '999'"), "later"},
		"from before they joined":     {soon("booking_created", id, "happened_at = now() - interval '2 hours'"), "later"},
		"read":                        {soon("booking_created", id, "read_at = now()"), "later"},
		"urgent":                      {soon("overbooked", id, "severity = 2"), "later"},
		"for another device":          {soon("booking_created", twin, ""), "later"},
	}
	sent := h.deliver(t, h.notify(t, "booking_created", "", ""), member, "push", id)
	stop := run(t, h.outbox(t))
	if got := h.outcome(t, sent); got != "sent" {
		t.Fatalf("it is %s", got)
	}
	h.await(t, "true", `SELECT (last_ok_at IS NOT NULL)::text FROM realtime.push_subscriptions WHERE id = $1`, id)
	stop()
	for what, one := range waiting {
		if got := h.outcome(t, one[0]); got != one[1] {
			t.Errorf("%s: %s, want %s", what, got, one[1])
		}
	}
	text, err := device.Decrypt(h.service.Seen("/one")[0].Body)
	if err != nil || !strings.Contains(string(text), "e mais 4") {
		t.Errorf("%v: %s", err, text)
	}
}

// TestUrgentTellsOfNothingQuiet sends what is urgent to a user who is not to be called: what waits
// until they may be is neither told of nor counted.
func TestUrgentTellsOfNothingQuiet(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	device, id := h.device(t, h.owner.UserID, "", "/one")
	h.Exec(t, `INSERT INTO realtime.user_settings (user_id, zone, quiet_from, quiet_to)
		VALUES ($1, 'UTC', (now() AT TIME ZONE 'UTC' - interval '1 minute')::time, (now() AT TIME ZONE 'UTC' + interval '2 hours')::time)`, h.owner.UserID)
	waits := h.deliver(t, h.notify(t, "booking_created", "", ""), h.owner.UserID, "push", id)
	h.Exec(t, `UPDATE realtime.deliveries SET not_before = now() + interval '50 seconds'`)
	urgent := func() {
		t.Helper()
		if got := h.outcome(t, h.deliver(t, h.notify(t, "overbooked", "", `{"severity":2}`), h.owner.UserID, "push", id)); got != "sent" {
			t.Fatalf("it is %s", got)
		}
	}
	stop := run(t, h.outbox(t))
	urgent()
	h.Exec(t, `UPDATE realtime.user_settings SET quiet_to = quiet_from`)
	urgent()
	h.await(t, "merged", `SELECT coalesce(outcome, 'waits') FROM realtime.deliveries WHERE id = $1::bigint`, waits)
	stop()
	for n, want := range []bool{false, true} {
		text, err := device.Decrypt(h.service.Seen("/one")[n].Body)
		if err != nil || strings.Contains(string(text), "e mais 1") != want {
			t.Errorf("%v: %s", err, text)
		}
	}
}

// TestStrangersAreToldNoNumbers sends a message that is a user's alone after they were removed from
// the account in which it stands: it tells no number of what the account's members are told.
func TestStrangersAreToldNoNumbers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'manager')`, h.owner.ID, h.guest)
	h.Exec(t, `INSERT INTO realtime.preferences (user_id, owner_id, kind, channel, mode) VALUES ($1, $2, 'booking_created', 'push', 'now')`, h.guest, h.owner.ID)
	device, id := h.device(t, h.guest, "", "/gone")
	alone := h.notify(t, "new_sign_in", "", "")
	h.Exec(t, `UPDATE realtime.notifications SET user_id = $1 WHERE id = $2::bigint`, h.guest, alone)
	var others []string
	for range 3 {
		others = append(others, h.deliver(t, h.notify(t, "booking_created", "", ""), h.guest, "push", id))
	}
	h.Exec(t, `UPDATE realtime.deliveries SET not_before = now() + interval '50 seconds'`)
	sent := h.deliver(t, alone, h.guest, "push", id)
	if err := h.store.RemoveMember(t.Context(), h.owner.ID, h.guest, db.RoleManager, h.owner.UserID); err != nil {
		t.Fatal(err)
	}
	run(t, h.outbox(t))
	if got := h.outcome(t, sent); got != "sent" {
		t.Fatalf("it is %s", got)
	}
	text, err := device.Decrypt(h.service.Seen("/gone")[0].Body)
	if err != nil || !strings.Contains(string(text), `"app_badge":"1"`) || strings.Contains(string(text), "mais") {
		t.Errorf("%v: %s", err, text)
	}
	h.due(t)
	for _, one := range others {
		if got := h.outcome(t, one); got != "no_member" {
			t.Errorf("another is %s", got)
		}
	}
}

// failingAccounts are those of a store, but for one user about whom nothing can be told.
type failingAccounts struct {
	known outbox.Accounts
	user  string
}

func (f failingAccounts) Accounts(ctx context.Context, userID string) ([]db.Account, error) {
	if userID == f.user {
		return nil, errors.New("not this user")
	}
	return f.known.Accounts(ctx, userID)
}

// TestDigestsOfOthersArePlanned has the accounts of one user fail: those after them get their
// digests nevertheless, and the failure is told.
func TestDigestsOfOthersArePlanned(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	users := []string{h.owner.UserID, h.AddOwner(t, 1).UserID, h.AddOwner(t, 1).UserID}
	slices.Sort(users)
	for _, user := range users {
		h.Exec(t, `INSERT INTO realtime.user_settings (user_id, zone, digest, digest_at) VALUES ($1, 'UTC', 'day', (now() AT TIME ZONE 'UTC' - interval '1 minute')::time)`, user)
		h.Exec(t, `INSERT INTO realtime.preferences (user_id, owner_id, kind, channel, mode) SELECT $1, id::text, 'booking_created', 'mail', 'digest' FROM hangar_owners WHERE user_id::text = $1`, user)
		owner := h.ID(t, `SELECT id::text FROM hangar_owners WHERE user_id::text = $1`, user)
		h.Exec(t, `UPDATE realtime.notifications SET owner_id = $1 WHERE id = $2::bigint`, owner, h.notify(t, "booking_created", "", ""))
	}
	digests := &outbox.Digests{Store: h.deliveries, Accounts: failingAccounts{h.store, users[0]}, Location: time.UTC, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if err := digests.Plan(t.Context()); err == nil {
		t.Error("nobody is told that one failed")
	}
	if got := h.ID(t, `SELECT coalesce(string_agg(user_id, ' ' ORDER BY user_id), '') FROM realtime.deliveries WHERE target LIKE 'digest:%'`); got != strings.Join(users[1:], " ") {
		t.Errorf("digests are planned of %s, of %v", got, users)
	}
}
