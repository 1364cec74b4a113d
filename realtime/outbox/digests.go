package outbox

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// digestPause is how often it is looked whose digest is due.
	digestPause = time.Minute
	// digestPage is how many users are looked at by one query.
	digestPage = 500
	// digestLate users in a row for whom the database takes too long mean that it does for all.
	digestLate = 3
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
	slow    map[string]bool   // users for whom the database took too long
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

// Plan makes the deliveries that are due. It is not called by two at once. What cannot be planned
// for one user keeps back no other: those who took too long the last time come after all others.
func (d *Digests) Plan(ctx context.Context) error {
	if d.planned == nil {
		d.planned, d.slow = make(map[string]string), make(map[string]bool)
	}
	p := planning{looked: make(map[string]string), slow: make(map[string]bool)}
	var slow []db.DigestUser
	for after, more := "", true; more; {
		users, err := d.Store.DigestUsers(ctx, after, digestPage)
		if err != nil {
			return err
		}
		for _, user := range users {
			if after = user.UserID; d.slow[after] {
				slow, p.slow[after] = append(slow, user), true
			} else if err := d.planFor(ctx, user, &p); err != nil {
				return err
			}
		}
		more = len(users) == digestPage
	}
	maps.DeleteFunc(d.slow, func(userID string, _ bool) bool { // who wants none any more
		return !p.slow[userID]
	})
	// Where only some of them have a turn, it is not always the same ones.
	rand.Shuffle(len(slow), func(i, j int) { slow[i], slow[j] = slow[j], slow[i] })
	for _, user := range slow {
		if err := d.planFor(ctx, user, &p); err != nil {
			return err
		}
	}
	d.planned = p.looked
	return p.failed
}

// planning is one look at whose digest is due.
type planning struct {
	looked map[string]string // by user: the period
	slow   map[string]bool   // users who took too long the last time, or this time
	failed error             // for the first user of whom it did
	late   int               // how many users in a row took too long
}

// planFor makes the deliveries of a user's digest, if it is due. An error is about all users.
func (d *Digests) planFor(ctx context.Context, user db.DigestUser, p *planning) error {
	period, at, due := user.Due(d.Now(), d.Location)
	if !due {
		return nil
	}
	if d.planned[user.UserID] != period {
		if err := d.plan(ctx, user.UserID, period, at); err != nil {
			err = fmt.Errorf("of user %s: %w", user.UserID, err)
			p.failed = cmp.Or(p.failed, err)
			switch {
			case ctx.Err() != nil:
				return err
			case db.TookTooLong(err):
				d.slow[user.UserID], p.slow[user.UserID] = true, true
				if p.late++; p.late >= digestLate {
					return err
				}
			case db.Unavailable(err):
				return err
			}
			return nil
		}
	}
	p.late = 0
	delete(d.slow, user.UserID)
	d.planned[user.UserID], p.looked[user.UserID] = period, period
	return nil
}

// plan makes a delivery for each account of a user.
func (d *Digests) plan(ctx context.Context, userID, period string, at time.Time) (failed error) {
	accounts, err := d.Accounts.Accounts(ctx, userID)
	if err != nil {
		return err
	}
	for _, account := range accounts {
		if _, err := d.Store.PlanDigest(ctx, userID, account.OwnerID, period, at); err != nil {
			failed = cmp.Or(failed, fmt.Errorf("plan a digest: %w", err))
			if db.Unavailable(err) || ctx.Err() != nil {
				break
			}
		}
	}
	return failed
}
