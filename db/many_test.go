package db_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// TestAccessOfMany asks about owners, members, strangers and those who signed out at once: each
// answer is the one that is given alone. Ids that are none spoil nobody else's answer.
func TestAccessOfMany(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			p := v.migrated(t)
			store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
			must(t, err)
			var callers []db.Caller
			var owners []string
			stranger := p.AddOwner(t, 0)
			for range 3 {
				o := p.AddOwner(t, 0)
				user := p.ID(t, `SELECT user_id::text FROM hangar_owners WHERE id::text = $1`, o.ID)
				guest := p.AddGuest(t, "Ana", "Reis")
				p.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'viewer')`, o.ID, guest)
				p.Exec(t, `INSERT INTO realtime.revocations (user_id, not_before) VALUES ($1, now())`, guest)
				for _, c := range []db.Caller{{UserID: user}, {UserID: guest, Issued: time.Now().Add(time.Hour)}, {UserID: guest}, {UserID: user, SessionID: "none"}, {UserID: "0"}} {
					callers, owners = append(callers, c, c), append(owners, o.ID, stranger.ID)
				}
			}
			roles, ended, err := store.AccessesAtOnce(t.Context(), callers, owners)
			must(t, err)
			var met []string
			for i, c := range callers {
				role, err := store.Access(t.Context(), c, owners[i])
				if errors.Is(err, db.ErrSessionEnded) != ended[i] || err == nil && role != roles[i] {
					t.Errorf("%+v in %s: %q, %v alone; %q, %t among others", c, owners[i], role, err, roles[i], ended[i])
				}
				met = append(met, fmt.Sprint(role, " ", ended[i]))
			}
			for _, want := range []string{"owner false", "viewer false", " true", " false"} {
				if !slices.Contains(met, want) {
					t.Errorf("nobody was %q", want)
				}
			}
			var group sync.WaitGroup
			for i := range 60 {
				group.Go(func() {
					if _, err := store.Access(context.Background(), callers[0], fmt.Sprint("spoilt", i)); err == nil && v.name == variants()[0].name {
						t.Error("an id that is none has an answer")
					}
				})
				group.Go(func() {
					if role, err := store.Access(context.Background(), callers[0], owners[0]); role != db.RoleOwner || err != nil {
						t.Errorf("beside it: %q, %v", role, err)
					}
				})
			}
			group.Wait()
		})
	}
}

// TestAccountsOfMany lists the accounts of several users at once: each gets their own, as alone,
// their own before those that are shared with them. An id that is no text spoils nobody else's.
func TestAccountsOfMany(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			p := v.migrated(t)
			store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
			must(t, err)
			want := map[string][]string{"0": nil}
			var first dbtest.Owner
			for n := range 4 {
				o := p.AddOwner(t, 0)
				user, guest := p.ID(t, `SELECT user_id::text FROM hangar_owners WHERE id::text = $1`, o.ID), p.AddGuest(t, "Ana", "Reis")
				want[user], want[guest] = []string{o.ID + " owner"}, []string{o.ID + " viewer"}
				p.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'viewer')`, o.ID, guest)
				if n == 0 {
					first = o
					continue
				}
				p.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'manager')`, first.ID, user)
				want[user] = append(want[user], first.ID+" manager")
			}
			users := slices.Sorted(maps.Keys(want))
			together, err := store.AccountsAtOnce(t.Context(), users)
			must(t, err)
			check := func(how, user string, accounts []db.Account) {
				var got []string
				for _, a := range accounts {
					if a.Own != (a.Role == db.RoleOwner) || a.CompanyName == "" {
						t.Errorf("%s: user %s has %+v", how, user, a)
					}
					got = append(got, fmt.Sprint(a.OwnerID, " ", a.Role))
				}
				if !slices.Equal(got, want[user]) {
					t.Errorf("%s: user %s has %v, want %v", how, user, got, want[user])
				}
			}
			var group sync.WaitGroup
			for _, user := range users {
				check("at once", user, together[user])
				group.Go(func() {
					accounts, err := store.Accounts(t.Context(), user)
					if err != nil || accounts == nil {
						t.Errorf("beside others: %v, %v", accounts, err)
					}
					check("beside others", user, accounts)
				})
				group.Go(func() {
					if _, err := store.Accounts(t.Context(), user+"\xff"); !errors.Is(err, db.ErrInvalidText) {
						t.Errorf("an id that is no text: %v", err)
					}
				})
			}
			group.Wait()
		})
	}
}

// TestNewsOfMany asks what is new about several accounts at once: each gets its own counts and
// changes, the same as alone. A text that is none, or an account that the database refuses, is an
// error for all.
func TestNewsOfMany(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			p := v.migrated(t)
			store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
			must(t, err)
			const limit = 4
			var questions []db.NewsQuestion
			for n := range 6 {
				o := p.AddOwner(t, 1)
				user := p.ID(t, `SELECT user_id::text FROM hangar_owners WHERE id::text = $1`, o.ID)
				guest := p.AddGuest(t, "Ana", fmt.Sprint("Reis ", n))
				p.Exec(t, `INSERT INTO realtime.notifications (owner_id, kind, key, group_key, facts, revision, news, happened_at)
					SELECT $1, 'booking_created', 'k' || i, 'g' || i, json_build_object('bookingId', $2::text), i, i, now() FROM generate_series(1, $3::int) i`,
					o.ID, p.Book(t, "'"+o.Hangars[0]+"'", "'"+guest+"'"), n)
				p.Exec(t, `INSERT INTO realtime.notification_accounts (owner_id, revision, floor) VALUES ($1, $2, 0)`, o.ID, n)
				p.Exec(t, `INSERT INTO realtime.notification_views (owner_id, user_id, seen_through) VALUES ($1, $2, 2)`, o.ID, user)
				questions = append(questions, db.NewsQuestion{OwnerID: o.ID, UserIDs: []string{user, guest}})
			}
			stranger := p.AddOwner(t, 0)
			questions[1].After = -1
			questions = append(questions, db.NewsQuestion{OwnerID: stranger.ID, UserIDs: []string{"0"}, After: -1}, db.NewsQuestion{OwnerID: "0"})
			together, err := store.NotificationNews(t.Context(), questions, limit)
			must(t, err)
			for n, q := range questions {
				alone, err := store.NotificationNews(t.Context(), questions[n:n+1], limit)
				must(t, err)
				if got, want := fmt.Sprintf("%+v", together[q.OwnerID]), fmt.Sprintf("%+v", alone[q.OwnerID]); got != want {
					t.Errorf("account %d among others:\n%s\nalone:\n%s", n, got, want)
				}
			}
			for n := range 6 {
				news := together[questions[n].OwnerID]
				var revisions []int
				for _, item := range news.Items {
					revisions = append(revisions, int(item.Revision))
					if want := fmt.Sprint("Ana Reis ", n); item.GuestName.String != want {
						t.Errorf("account %d has a booking of %q, want %q", n, item.GuestName.String, want)
					}
				}
				counts := map[string]string{}
				for _, c := range news.People {
					counts[c.UserID] = fmt.Sprint(c.Unread, " unread, ", c.Unseen, " unseen")
				}
				wantRevisions := [][]int{nil, nil, {2, 1}, {3, 2, 1}, {4, 3, 2, 1}, {5, 4, 3, 2}}[n]
				users := questions[n].UserIDs
				wantCounts := map[string]string{users[0]: fmt.Sprint(n, " unread, ", max(0, n-2), " unseen"), users[1]: fmt.Sprint(n, " unread, ", n, " unseen")}
				if !slices.Equal(revisions, wantRevisions) || news.More != (n > limit) || news.Revision != int64(n) || !maps.Equal(counts, wantCounts) {
					t.Errorf("account %d: revision %d, changes %v (more: %t), %v; want %v, %v", n, news.Revision, revisions, news.More, counts, wantRevisions, wantCounts)
				}
			}
			spoilt := append(slices.Clone(questions), db.NewsQuestion{OwnerID: "1\xff", UserIDs: []string{"0"}})
			if _, err := store.NotificationNews(t.Context(), spoilt, limit); !errors.Is(err, db.ErrInvalidText) {
				t.Errorf("an account whose id is no text: %v", err)
			}
			spoilt[len(questions)] = db.NewsQuestion{OwnerID: stranger.ID, UserIDs: []string{"\x00"}}
			if _, err := store.NotificationNews(t.Context(), spoilt, limit); !errors.Is(err, db.ErrInvalidText) {
				t.Errorf("a user whose id is no text: %v", err)
			}
		})
	}
}
