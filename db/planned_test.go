package db_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// planNode is a node of a plan that PostgreSQL has executed.
type planNode struct {
	Type     string     `json:"Node Type"`
	Relation string     `json:"Relation Name"`
	Index    string     `json:"Index Name"`
	Rows     float64    `json:"Actual Rows"`
	Loops    float64    `json:"Actual Loops"`
	Removed  float64    `json:"Rows Removed by Filter"`
	Plans    []planNode `json:"Plans"`
}

// most returns the node that read the most rows of a table.
func (n planNode) most() planNode {
	largest := planNode{}
	if n.Relation != "" || n.Index != "" {
		largest = planNode{Type: n.Type, Relation: n.Relation, Index: n.Index, Rows: (n.Rows + n.Removed) * n.Loops}
	}
	for _, inner := range n.Plans {
		if found := inner.most(); found.Rows > largest.Rows {
			largest = found
		}
	}
	return largest
}

// TestUpkeepIsPlannedOnce keeps the projection, the trends and the notifications on one connection:
// every statement of it is planned once for the session, when the tables are all but empty, and by
// that plan reads no more than it has to where they are large and nobody analyzed them.
func TestUpkeepIsPlannedOnce(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	for _, table := range []string{"bookings", "users", "hangar_listings", "realtime.events", "realtime.ledger", "realtime.trend_bookings", "realtime.trend_sums",
		"realtime.notifications", "realtime.deliveries", "realtime.notification_accounts", "realtime.cancellations", "realtime.capacity"} {
		p.Exec(t, `ALTER TABLE `+table+` SET (autovacuum_enabled = false)`)
	}
	o, guest := p.AddOwner(t, 2), p.AddGuest(t, "Caio", "Brandão")
	pool, err := db.Open(t.Context(), p.URL)
	must(t, err)
	t.Cleanup(func() { pool.Close() })
	pool.SetMaxOpenConns(1)
	store, err := db.NewStore(t.Context(), pool, dbtest.Noon())
	must(t, err)
	must(t, store.Prepare(t.Context()))
	projection, trends, notices := db.NewProjection(store), db.NewTrendKeeper(store), db.NewNotices(store, db.ChannelMail)
	for _, build := range []func() (bool, error){
		func() (bool, error) { return projection.Build(t.Context(), time.Now()) },
		func() (bool, error) { return trends.Build(t.Context(), time.Now()) },
	} {
		built, err := build()
		must(t, err)
		if !built {
			t.Fatal("nothing was built")
		}
	}
	cursor := func() db.NotifierCursor {
		t.Helper()
		c, err := notices.Cursor(t.Context())
		must(t, err)
		return c
	}
	must(t, notices.Begin(t.Context(), cursor(), p.ID(t, `SELECT epoch::text FROM realtime.installation`), 0, 0, time.Now().Truncate(time.Microsecond)))

	// After five PostgreSQL chooses between a plan for all and one for each time.
	const rounds = 8
	for round := range rounds {
		p.Book(t, o.Hangars[0], guest)
		lag, err := projection.Apply(t.Context())
		must(t, err)
		if !lag.Valid || lag.Busy || lag.Fresh == 0 {
			t.Fatalf("the projection: %+v", lag)
		}
		lag, err = trends.Apply(t.Context())
		must(t, err)
		if !lag.Valid || lag.Busy || lag.Fresh == 0 {
			t.Fatalf("the trends: %+v", lag)
		}
		happen := func(kind, subject, key string) db.Happening {
			return db.Happening{OwnerID: o.ID, Kind: kind, Subject: subject, Key: fmt.Sprint(key, round), Group: true, At: time.Now(), Facts: map[string]string{}}
		}
		for step, happened := range [][]db.Happening{
			{happen(db.KindBookingCreated, fmt.Sprint(round), "made "), happen(db.KindUnpaid, fmt.Sprint(round), "unpaid ")},
			// counted into the first
			{happen(db.KindBookingCreated, fmt.Sprint(round), "made once more ")},
		} {
			was := cursor()
			now := was
			now.Batch++
			var ended []db.EndedGroup
			if step > 0 {
				ended = []db.EndedGroup{{OwnerID: o.ID, Group: db.GroupOf(db.KindUnpaid, fmt.Sprint(round))}}
			}
			made, err := notices.Make(t.Context(), was, now, happened, ended)
			must(t, err)
			if made.New+made.Counted+made.Ended == 0 {
				t.Fatalf("round %d, step %d: %+v", round, step, made)
			}
		}
	}
	queries := store.UpkeepQueries()
	for what, query := range queries {
		var s struct{ Name, Generic, Custom string }
		err := pool.GetContext(t.Context(), &s, `SELECT name, coalesce(to_jsonb(p)->>'generic_plans', '') AS generic, coalesce(to_jsonb(p)->>'custom_plans', '') AS custom
			FROM pg_prepared_statements p WHERE statement = $1`, query.Text)
		if err != nil {
			t.Errorf("%s is not prepared: %v", what, err)
			// PostgreSQL 13 counts neither
		} else if s.Generic == "0" || s.Custom != "0" && s.Custom != "" {
			t.Errorf("%s was executed %s times by its one plan, and planned %s times more", what, s.Generic, s.Custom)
		}
	}

	const many = 3000
	p.Exec(t, `INSERT INTO bookings (`+dbtest.BookingColumns+`) SELECT v.* FROM (VALUES `+dbtest.BookingValues(o.Hangars[1], guest)+`) v, generate_series(1, $1::int)`, many)
	p.Exec(t, `INSERT INTO realtime.notifications (owner_id, kind, key, group_key, revision, news, happened_at)
		SELECT 'owner ' || n, 'unpaid', 'key ' || n, 'unpaid:' || n, 1, 1, now() FROM generate_series(1, $1::int) n`, many)
	p.Exec(t, `INSERT INTO realtime.notification_accounts (owner_id, revision) SELECT 'owner ' || n, 1 FROM generate_series(1, $1::int) n`, many)
	_, err = projection.Apply(t.Context())
	must(t, err)
	_, err = trends.Apply(t.Context())
	must(t, err)
	p.Book(t, o.Hangars[0], guest)
	for what, query := range queries {
		if node := executed(t, pool, query); node.Rows > many/10 {
			t.Errorf("%s reads %.0f rows: %s of %s by %s", what, node.Rows, node.Type, node.Relation, node.Index)
		}
	}
}

// executed executes a statement by the plan that its session has, takes it back, and returns the
// node that read the most rows of a table.
func executed(t *testing.T, pool *sqlx.DB, query db.UpkeepQuery) planNode {
	t.Helper()
	var name string
	must(t, pool.GetContext(t.Context(), &name, `SELECT name FROM pg_prepared_statements WHERE statement = $1`, query.Text))
	tx, err := pool.Beginx()
	must(t, err)
	defer tx.Rollback()
	for _, setting := range query.Settings {
		_, err = tx.ExecContext(t.Context(), setting)
		must(t, err)
	}
	var text string
	must(t, tx.GetContext(t.Context(), &text, `EXPLAIN (ANALYZE, TIMING off, FORMAT JSON) EXECUTE "`+name+`"`+query.Values))
	var plans []struct{ Plan planNode }
	must(t, json.Unmarshal([]byte(text), &plans))
	return plans[0].Plan.most()
}

// TestSendingIsPlannedOnce sends deliveries on one connection, in each of the ways in which they
// end: every statement of it is planned once for the session, and not for each delivery.
func TestSendingIsPlannedOnce(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	o, guest := p.AddOwner(t, 1), p.AddGuest(t, "Caio", "Brandão")
	booking := p.Book(t, o.Hangars[0], guest)
	pool, err := db.Open(t.Context(), p.URL)
	must(t, err)
	t.Cleanup(func() { pool.Close() })
	pool.SetMaxOpenConns(1)
	store, err := db.NewStore(t.Context(), pool, time.UTC)
	must(t, err)
	must(t, store.Prepare(t.Context()))
	deliveries := db.NewDeliveries(store)
	deliveries.KeyID = "k"
	device, _, err := deliveries.AddDevice(t.Context(), db.Device{UserID: o.UserID, PushEndpoint: db.PushEndpoint{
		Endpoint: "https://push.example/a", P256dh: []byte{4}, Auth: []byte{1}, KeyID: "k",
	}}, nil)
	must(t, err)
	const rounds = 8 // after five PostgreSQL chooses between a plan for all and one for each time
	ends := []func(db.OpenedDelivery) error{
		func(d db.OpenedDelivery) error {
			return deliveries.Finish(t.Context(), d.ClaimedDelivery, db.OutcomeSent, 201)
		},
		func(d db.OpenedDelivery) error {
			return deliveries.Retry(t.Context(), d.ClaimedDelivery, time.Now().Add(time.Hour), 503)
		},
		func(d db.OpenedDelivery) error {
			return deliveries.Postpone(t.Context(), d.ClaimedDelivery, time.Now().Add(time.Hour))
		},
	}
	for round := range rounds * len(ends) {
		channel, target := "mail", ""
		if round%2 == 0 {
			channel, target = "push", device.ID
		}
		p.Exec(t, `WITH n AS (INSERT INTO realtime.notifications (owner_id, kind, key, group_key, revision, news, happened_at, facts)
				VALUES ($1, 'unpaid', $2, $2, 1, 1, now(), json_build_object('bookingId', $3::text)) RETURNING id)
			INSERT INTO realtime.deliveries (notification_id, user_id, channel, target, not_before, expires_at)
			SELECT id, $4, $5, $6, now(), now() + interval '1 day' FROM n`, o.ID, fmt.Sprint(round), booking, o.UserID, channel, target)
		claimed, err := deliveries.Claim(t.Context(), 50)
		must(t, err)
		if len(claimed) != 1 {
			t.Fatalf("round %d: %d are claimed", round, len(claimed))
		}
		d, err := deliveries.Open(t.Context(), claimed[0])
		must(t, err)
		about, err := deliveries.Details(t.Context(), d)
		must(t, err)
		if channel == "push" && about.Unread != round+1 || channel == "mail" && about.Email == "" || about.GuestName != "Caio Brandão" {
			t.Errorf("round %d: %+v", round, about)
		}
		_, err = deliveries.UnsubscribeToken(t.Context(), o.UserID, db.ScopeDigest)
		must(t, err)
		next, err := deliveries.ReserveDevice(t.Context(), device.ID, time.Minute)
		must(t, err)
		if next.IsZero() == (round > 0) {
			t.Errorf("round %d: the device's turn is at %v", round, next)
		}
		must(t, ends[round%len(ends)](d))
		_, err = deliveries.Merge(t.Context(), about.Waiting)
		must(t, err)
		must(t, deliveries.DeviceAnswered(t.Context(), device.PushEndpoint, db.DeviceTook))
	}
	for _, query := range store.SendingQueries() {
		var s struct{ Generic, Custom int }
		err := pool.GetContext(t.Context(), &s, `SELECT coalesce((to_jsonb(p)->>'generic_plans')::int, -1) AS generic, coalesce((to_jsonb(p)->>'custom_plans')::int, -1) AS custom
			FROM pg_prepared_statements p WHERE statement = $1`, query)
		if err != nil {
			t.Errorf("this is not prepared: %v\n%s", err, query)
		} else if s.Generic == 0 || s.Custom > 5 { // PostgreSQL 13 counts neither
			t.Errorf("this was executed %d times by its one plan, and planned %d times:\n%s", s.Generic, s.Custom, query)
		}
	}
}
