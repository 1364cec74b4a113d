package db_test

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// tellDevice adds a device of a user, or renews it as what it was known by.
func tellDevice(ctx context.Context, o *db.Deliveries, user, endpoint string, renews ...string) (db.Device, bool, error) {
	var known *string
	if len(renews) > 0 {
		known = &renews[0]
	}
	return o.AddDevice(ctx, db.Device{UserID: user, PushEndpoint: db.PushEndpoint{Endpoint: endpoint, P256dh: []byte{4}, Auth: []byte{1}, KeyID: "k"}}, known)
}

// TestDevicesAreChangedOneAfterTheOther removes a device while it is told anew. The one that comes
// first is held up in its midst, by a lock on the device's row, until the other waits too.
// Whichever it is, what their user removed is gone afterwards.
func TestDevicesAreChangedOneAfterTheOther(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		removedFirst bool
		endpoint     string // by which it is told anew
		byID         bool
	}{
		"removed, then renewed":                           {true, "https://push.example/a", true},
		"renewed, then removed":                           {false, "https://push.example/a", true},
		"removed, then renewed under another address":     {true, "https://push.example/b", true},
		"renewed under another address, then removed":     {false, "https://push.example/b", true},
		"removed, then renewed by its former address":     {true, "https://push.example/b", false},
		"renewed by its former address, then removed":     {false, "https://push.example/b", false},
		"removed, then renewed by a page that knows none": {true, "https://push.example/a", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dbtest.New(t)
			_, deliveries := newDeliveries(t, p)
			device, _, err := tellDevice(t.Context(), deliveries, "7", "https://push.example/a")
			dbtest.Must(t, err)
			known := device.ID
			if !c.byID {
				known = "https://push.example/a"
			}
			waiting := func(n int) {
				t.Helper()
				dbtest.Eventually(t, strconv.Itoa(n)+" wait", func() bool {
					return p.ID(t, `SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == strconv.Itoa(n)
				})
			}
			holder := dbtest.Begin(t, p)
			if _, err := holder.ExecContext(t.Context(), `SELECT FROM realtime.push_subscriptions FOR UPDATE`); err != nil {
				t.Fatal(err)
			}
			removed, renewed := make(chan error, 1), make(chan error, 1)
			first := func() { removed <- deliveries.RemoveDevice(t.Context(), "7", device.ID) }
			second := func() {
				_, _, err := tellDevice(t.Context(), deliveries, "7", c.endpoint, known)
				renewed <- err
			}
			if !c.removedFirst {
				first, second = second, first
			}
			go first()
			waiting(1)
			go second()
			waiting(2)
			dbtest.Commit(t, holder)
			if err := <-removed; err != nil {
				t.Errorf("removed: %v", err)
			}
			if err := <-renewed; errors.Is(err, db.ErrDeviceRemoved) != c.removedFirst || err != nil && !c.removedFirst {
				t.Errorf("renewed: %v", err)
			}
			if n := p.ID(t, `SELECT count(*)::text FROM realtime.push_subscriptions`); n != "0" {
				t.Errorf("%s devices are there", n)
			}
			if _, _, err := tellDevice(t.Context(), deliveries, "7", c.endpoint, known); !errors.Is(err, db.ErrDeviceRemoved) {
				t.Errorf("told anew afterwards: %v", err)
			}
		})
	}
}

// TestRenewedDeviceStaysThatDevice renews a device under other endpoints: it keeps its id, and with
// it what waits for it; the endpoints that a browser had before are no devices any more.
func TestRenewedDeviceStaysThatDevice(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	_, deliveries := newDeliveries(t, p)
	tell := func(user, endpoint string, renews ...string) (db.Device, bool) {
		t.Helper()
		d, isNew, err := tellDevice(t.Context(), deliveries, user, endpoint, renews...)
		dbtest.Must(t, err)
		return d, isNew
	}
	there := func(want string) {
		t.Helper()
		if got := p.ID(t, `SELECT coalesce(string_agg(user_id || ' ' || right(endpoint, 1), ', ' ORDER BY user_id, endpoint), '') FROM realtime.push_subscriptions`); got != want {
			t.Errorf("there are %s, want %s", got, want)
		}
	}
	first, _ := tell("7", "https://push.example/a")
	if d, isNew := tell("7", "https://push.example/b", first.ID); d.ID != first.ID || isNew {
		t.Errorf("by its id: %s, new: %t", d.ID, isNew)
	}
	if d, isNew := tell("7", "https://push.example/c", "https://push.example/b"); d.ID != first.ID || isNew {
		t.Errorf("by its address: %s, new: %t", d.ID, isNew)
	}
	there("7 c")
	// Its page did not know that it had been told under another address.
	second, isNew := tell("7", "https://push.example/d", "")
	if !isNew {
		t.Error("a browser that knows nothing is no new one")
	}
	if d, isNew := tell("7", "https://push.example/d", first.ID); d.ID != second.ID || isNew {
		t.Errorf("it is there already: %s, new: %t", d.ID, isNew)
	}
	there("7 d")
	// Another user's is theirs, whatever it is called; an address has one user.
	tell("8", "https://push.example/e", second.ID)
	there("7 d, 8 e")
	tell("8", "https://push.example/d", "https://push.example/e")
	there("8 d")
}
