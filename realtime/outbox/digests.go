package outbox

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// digestPause is how often it is looked whose digest is due.
	digestPause = time.Minute
	// digestPage is how many users are looked at by one query.
	digestPage = 500
)

// DigestStore knows who wants digests. db.Deliveries is one.
type DigestStore interface {
	DigestUsers(ctx context.Context, after string, limit int) ([]db.DigestUser, error)
	PlanDigest(ctx context.Context, userID, ownerID, period string, at time.Time) (planned bool, err error)
}

// Accounts knows which accounts a user may see.
type Accounts interface {
	Accounts(ctx context.Context, userID string) ([]db.Account, error)
}

// Digests makes a delivery of each digest whose hour has come in its user's zone. All servers do
// so, and the database lets it happen once.
type Digests struct {
	Store    DigestStore
	Accounts Accounts
	Location *time.Location
	Now      func() time.Time
	Log      *slog.Logger

	planned map[string]string // by user: the period that was looked at last
}

// Run implements api.Service: it looks until ctx ends.
func (d *Digests) Run(ctx context.Context) error {
	for {
		if err := d.Plan(ctx); err != nil && ctx.Err() == nil {
			d.Log.Warn("digests could not be planned; trying again", "error", err)
		}
		if !sleep(ctx, digestPause) {
			return nil
		}
	}
}

// Plan makes the deliveries that are due. It is not called by two at once.
func (d *Digests) Plan(ctx context.Context) error {
	looked := make(map[string]string)
	var failed error
	for after := ""; ; {
		users, err := d.Store.DigestUsers(ctx, after, digestPage)
		if err != nil {
			return err
		}
		for _, user := range users {
			after = user.UserID
			period, at, due := user.Due(d.Now(), d.Location)
			if !due {
				continue
			}
			if d.planned[user.UserID] != period {
				if err := d.plan(ctx, user.UserID, period, at); err != nil {
					failed = cmp.Or(failed, err) // the others' come nevertheless
					if db.Unavailable(err) || ctx.Err() != nil {
						return err
					}
					continue
				}
			}
			looked[user.UserID] = period
		}
		if len(users) < digestPage {
			d.planned = looked
			return failed
		}
	}
}

// plan makes a delivery for each account of a user.
func (d *Digests) plan(ctx context.Context, userID, period string, at time.Time) error {
	accounts, err := d.Accounts.Accounts(ctx, userID)
	if err != nil {
		return err
	}
	for _, account := range accounts {
		if _, err := d.Store.PlanDigest(ctx, userID, account.OwnerID, period, at); err != nil {
			return fmt.Errorf("plan a digest: %w", err)
		}
	}
	return nil
}
