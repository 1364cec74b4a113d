package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
)

// digestDesk is a DigestStore and Accounts: users by number, each with two accounts.
type digestDesk struct {
	users   int
	slow    map[string]bool // users about whom nothing is told in time
	wrong   string          // an account that cannot be planned for
	asked   []string        // whose accounts
	planned map[string]int  // by account
}

func (d *digestDesk) DigestUsers(_ context.Context, after string, limit int) (page []db.DigestUser, err error) {
	for n := range d.users {
		if id := fmt.Sprintf("%04d", n); id > after && len(page) < limit {
			page = append(page, db.DigestUser{UserID: id, DigestAt: 8 * 60, Settings: db.DeliverySettings{Digest: db.DigestDay}})
		}
	}
	return page, nil
}

func (d *digestDesk) Accounts(_ context.Context, userID string) ([]db.Account, error) {
	d.asked = append(d.asked, userID)
	if d.slow[userID] {
		return nil, fmt.Errorf("no answer in time: %w", &pq.Error{Code: "57014"})
	}
	return []db.Account{{OwnerID: userID + "a"}, {OwnerID: userID + "b"}}, nil
}

func (d *digestDesk) PlanDigest(_ context.Context, _, ownerID, _ string, _ time.Time) (bool, error) {
	if ownerID == d.wrong {
		return false, errors.New("not this account")
	}
	d.planned[ownerID]++
	return true, nil
}

// TestDigestsBesideSlowUsers has users for whom the database always takes too long, at the front of
// two pages: all others get their digests, the slow ones theirs once they are quick, and a database
// that is slow for everybody is asked no more than a few times.
func TestDigestsBesideSlowUsers(t *testing.T) {
	t.Parallel()
	desk := &digestDesk{users: 700, slow: make(map[string]bool), planned: make(map[string]int), wrong: "0699a"}
	now := time.Date(2026, 3, 12, 9, 0, 0, 0, time.UTC)
	digests := &outbox.Digests{Store: desk, Accounts: desk, Location: time.UTC, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
	plan := func(failing string) (asked []string) {
		t.Helper()
		err := digests.Plan(t.Context())
		if (err != nil) != (failing != "") || err != nil && !strings.Contains(err.Error(), failing) {
			t.Errorf("planned: %v, want one about %q", err, failing)
		}
		asked, desk.asked = desk.asked, nil
		return asked
	}
	const slow = 8
	for n := range slow {
		desk.slow[fmt.Sprintf("%04d", n)] = true
	}
	for range slow/3 + 1 {
		plan("of user 000")
	}
	for n := slow; n < desk.users; n++ {
		for _, account := range []string{"a", "b"} {
			if id := fmt.Sprintf("%04d%s", n, account); (desk.planned[id] == 1) == (id == desk.wrong) {
				t.Fatalf("account %s is planned for %d times", id, desk.planned[id])
			}
		}
	}
	if asked := plan("of user"); len(asked) > 4 || !slices.Contains(asked, "0699") {
		t.Errorf("asked for %v again", asked)
	}
	desk.slow, desk.wrong = nil, ""
	plan("")
	for n := range slow {
		if id := fmt.Sprintf("%04da", n); desk.planned[id] != 1 {
			t.Errorf("account %s is planned for %d times", id, desk.planned[id])
		}
	}
	if asked := plan(""); len(asked) != 0 {
		t.Errorf("asked for %v once all is planned", asked)
	}
	desk.slow = make(map[string]bool)
	for n := range desk.users {
		desk.slow[fmt.Sprintf("%04d", n)] = true
	}
	now = now.AddDate(0, 0, 1)
	if asked := plan("of user"); len(asked) > 3 {
		t.Errorf("a slow database is asked %s times", strconv.Itoa(len(asked)))
	}
}
