package handlers

import (
	"context"
	"errors"
	"runtime"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// passwordWait is how long a sign-in waits until its password can be checked.
const passwordWait = 3 * time.Second

// Passwords checks passwords, a few at a time: bcrypt is slow on purpose, and streams need the
// processors too.
type Passwords struct {
	sessions *db.Sessions
	slots    *semaphore.Weighted
	wait     time.Duration // for a slot
}

// NewPasswords returns Passwords that leave one processor free where there are several.
func NewPasswords(sessions *db.Sessions) *Passwords {
	return &Passwords{sessions, semaphore.NewWeighted(int64(max(1, runtime.GOMAXPROCS(0)-1))), passwordWait}
}

// check returns the user with an e-mail address, if the password is theirs. It takes as
// long for everybody.
func (p *Passwords) check(ctx context.Context, email, password string) (db.User, error) {
	c, err := p.sessions.Credentials(ctx, email)
	if err != nil {
		return db.User{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.wait)
	defer cancel()
	if p.slots.Acquire(ctx, 1) != nil {
		return db.User{}, errBusy
	}
	defer p.slots.Release(1)
	hash := []byte(c.Hash)
	cost, err := bcrypt.Cost(hash)
	if err != nil { // nobody has the address, or they have no password
		cost = 0
	}
	p.sessions.Costs(cost)
	for _, extra := range extraCosts(cost, c.Cost) {
		if _, err := bcrypt.GenerateFromPassword([]byte("nobody's password"), extra); err != nil {
			return db.User{}, err
		}
	}
	if cost == 0 {
		return db.User{}, errWrongPassword
	}
	err = bcrypt.CompareHashAndPassword(hash, []byte(password))
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return db.User{}, errWrongPassword
	}
	return c.User, err
}

// extraCosts are the bcrypt costs that a check takes beside a hash of the cost have, 0
// for no hash, to take as long as one of the cost want, 0 for the default. Each cost
// takes twice as long as the one before.
func extraCosts(have, want int) (costs []int) {
	if want == 0 {
		want = bcrypt.DefaultCost
	}
	if have == 0 {
		return []int{want}
	}
	for ; have < want; have++ {
		costs = append(costs, have)
	}
	return costs
}
