package realtime

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// fakeNews is a NotificationsSource. An account's user has as many unread notifications as the
// account's id says. Each answer is of a revision of its own.
type fakeNews struct {
	mu       sync.Mutex // guards what follows
	revision int64
	asked    [][]db.NewsQuestion
	refused  string // no question may be about this account
	slow     string // a question about this account has no answer in time
	away     bool
}

func (d *fakeNews) NotificationNews(ctx context.Context, questions []db.NewsQuestion, _ int) (map[string]db.NotificationNews, error) {
	d.mu.Lock()
	d.asked = append(d.asked, slices.Clone(questions))
	d.revision++
	revision, slow := d.revision, d.slow
	d.mu.Unlock()
	if slices.ContainsFunc(questions, func(q db.NewsQuestion) bool { return q.OwnerID == slow }) {
		<-ctx.Done()
		return nil, &pq.Error{Code: "57014"} // as the database says it when it is told to stop
	}
	time.Sleep(5 * time.Millisecond)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away {
		return nil, db.ErrUnavailable
	}
	found := make(map[string]db.NotificationNews)
	for _, q := range questions {
		if q.OwnerID == d.refused {
			return nil, errors.New("refused")
		}
		news := db.NotificationNews{Revision: revision}
		unread, _ := strconv.ParseInt(q.OwnerID, 10, 64)
		for _, user := range q.UserIDs {
			news.People = append(news.People, db.NotificationCounts{UserID: user, Unread: unread})
		}
		found[q.OwnerID] = news
	}
	return found, nil
}

// answer sets how the next questions are answered, and returns those that were asked since the last
// time, and about how many accounts in all.
func (d *fakeNews) answer(away bool, refused string) (asked [][]db.NewsQuestion, accounts int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	asked, d.asked, d.away, d.refused = d.asked, nil, away, refused
	for _, questions := range asked {
		accounts += len(questions)
	}
	return asked, accounts
}

// notificationsFixture is Notifications that run over a source of news.
type notificationsFixture struct {
	*busFixture
	source *fakeNews
	*Notifications
}

func newNotificationsFixture(t *testing.T) notificationsFixture {
	n := notificationsFixture{busFixture: newBusFixture(), source: &fakeNews{}}
	n.Notifications = NewNotifications(n.source, n.Bus, time.UTC, quiet)
	n.OnPersonalDemand(n.Changed)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); n.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return n
}

// read subscribes as a user.
func (n notificationsFixture) read(t *testing.T, ownerID, userID string) *Subscription {
	t.Helper()
	s := &Subscription{}
	if _, err := n.SubscribeAs(t.Context(), s, call(func() {}), ownerID, userID, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// told returns what a reader is told of notifications, and not before; nil where that is nothing.
func told(t *testing.T, s *Subscription) *NotificationsState {
	t.Helper()
	events, err := s.Next(nil, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Type == NotificationsUpdated {
			var state NotificationsState
			if err := json.Unmarshal(e.data, &state); err != nil {
				t.Fatal(err)
			}
			return &state
		}
	}
	return nil
}

// TestNotificationsAskTogether has accounts' users come as after the end of their server: many
// accounts are one question, and each user is told of their own account.
func TestNotificationsAskTogether(t *testing.T) {
	t.Parallel()
	const accounts = 300
	for name, apart := range map[string]time.Duration{"all at once": 0, "one a millisecond": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNotificationsFixture(t)
				var readers []*Subscription
				for id := range accounts {
					readers = append(readers, n.read(t, strconv.Itoa(id), "user"))
					time.Sleep(apart)
				}
				time.Sleep(time.Second)
				asked, about := n.source.answer(false, "")
				// One begins in each pause, and a full one for each hundred who wait.
				if most := 3 + accounts/notificationsAtOnce + int(accounts*apart/notificationsGather); len(asked) > most {
					t.Errorf("%d questions, want %d at most", len(asked), most)
				}
				if about != accounts || n.asked.Load() != accounts {
					t.Errorf("asked about %d accounts, %d by the count, want %d", about, n.asked.Load(), accounts)
				}
				for id, reader := range readers {
					if state := told(t, reader); state == nil || state.Unread != int64(id) {
						t.Errorf("the user of account %d is told %+v", id, state)
					}
				}
			})
		})
	}
}

// TestNotificationsRefused asks about accounts of which one cannot be asked about, and while the
// database is away. Nobody waits for the one, nothing is lost, and what is away is not asked about
// each account alone.
func TestNotificationsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const accounts = 50
		const wrong = 7
		n := newNotificationsFixture(t)
		var readers []*Subscription
		var ids []string
		for id := range accounts {
			ids = append(ids, strconv.Itoa(id))
			readers = append(readers, n.read(t, ids[id], "user"))
		}
		// expect looks who is told that somebody read everything up to a notification.
		expect := func(what string, through int64, whom func(id int) bool) {
			t.Helper()
			for id, reader := range readers {
				state := told(t, reader)
				switch {
				case state == nil:
					if whom(id) {
						t.Errorf("%s: account %d is told nothing", what, id)
					}
				case !whom(id) || state.Unread != int64(id) || (state.ReadThrough == nil) != (through == 0) || through != 0 && state.ReadThrough.ID != idText(through):
					t.Errorf("%s: account %d is told %+v, through %+v", what, id, state, state.ReadThrough)
				}
			}
		}
		everybody := func(int) bool { return true }
		time.Sleep(time.Second)
		expect("at first", 0, everybody)

		n.source.answer(false, ids[wrong])
		n.Noted(db.NotificationNote{Owners: ids, Read: &db.NotificationRead{ID: 5, By: "user"}})
		time.Sleep(notificationsRetry / 2)
		expect("one is refused", 5, func(id int) bool { return id != wrong })
		n.source.answer(false, "")
		time.Sleep(notificationsRetry)
		expect("it is refused no more", 5, func(id int) bool { return id == wrong })

		n.source.answer(true, "")
		n.Noted(db.NotificationNote{Owners: ids, Read: &db.NotificationRead{ID: 6, By: "user"}})
		time.Sleep(notificationsRetry / 2)
		if asked, about := n.source.answer(true, ""); len(asked) > 3 || about != accounts {
			t.Errorf("a database that is away is asked %d times about %d accounts", len(asked), about)
		}
		expect("away", 0, func(int) bool { return false })
		n.source.answer(false, "")
		time.Sleep(2 * notificationsRetry)
		expect("back", 6, everybody)
	})
}

// TestNotificationsSlow has an account about which no question is answered in time: the others in
// its question are told after that, and wait for it no more.
func TestNotificationsSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const accounts = 50
		const slow = 7
		n := newNotificationsFixture(t)
		n.source.slow = strconv.Itoa(slow)
		var readers []*Subscription
		var ids []string
		for id := range accounts {
			ids = append(ids, strconv.Itoa(id))
			readers = append(readers, n.read(t, ids[id], "user"))
		}
		expect := func(what string, whom func(id int) bool) {
			t.Helper()
			for id, reader := range readers {
				if state := told(t, reader); (state != nil) != whom(id) {
					t.Errorf("%s: account %d is told %+v", what, id, state)
				}
			}
		}
		others := func(id int) bool { return id != slow }
		time.Sleep(db.QueryTimeout + notificationsRetry + time.Second)
		few := 0 // who were asked about with it a second time
		for id, reader := range readers {
			if told(t, reader) == nil && id != slow {
				few++
			}
		}
		if few >= notificationsShares[1] {
			t.Errorf("after one question that took too long %d are told nothing", few)
		}
		time.Sleep(db.QueryTimeout + notificationsRetry)
		n.source.answer(false, "")
		for range 5 {
			n.Noted(db.NotificationNote{Owners: ids, Read: &db.NotificationRead{ID: 5, By: "user"}})
			time.Sleep(notificationsRetry)
			expect("beside it", others)
		}
		asked, _ := n.source.answer(false, "")
		if len(asked) > 5*3+2 {
			t.Errorf("%d questions for five changes", len(asked))
		}
		for _, questions := range asked {
			if len(questions) > 1 && slices.ContainsFunc(questions, func(q db.NewsQuestion) bool { return q.OwnerID == n.source.slow }) {
				t.Errorf("it is asked about with %d others", len(questions)-1)
			}
		}
		n.source.mu.Lock()
		n.source.slow = ""
		n.source.mu.Unlock()
		time.Sleep(db.QueryTimeout + 2*notificationsRetry)
		expect("it is quick", func(id int) bool { return id == slow })
		n.source.answer(false, "")
		n.Noted(db.NotificationNote{Owners: ids})
		time.Sleep(notificationsRetry)
		if asked, about := n.source.answer(false, ""); len(asked) > 3 || about != accounts {
			t.Errorf("quick again: %d questions about %d accounts", len(asked), about)
		}
	})
}

// TestNotificationsLateReader has another user of an account come while a question about it is
// under way: they are in the next one.
func TestNotificationsLateReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNotificationsFixture(t)
		first := n.read(t, "3", "first")
		synctest.Wait() // the question waits for its answer
		late := n.read(t, "3", "late")
		time.Sleep(time.Second)
		for who, reader := range map[string]*Subscription{"first": first, "late": late} {
			if state := told(t, reader); state == nil || state.Unread != 3 {
				t.Errorf("%s is told %+v", who, state)
			}
		}
		var users []string
		asked, _ := n.source.answer(false, "")
		for _, questions := range asked {
			for _, q := range questions {
				users = append(users, q.UserIDs...)
			}
		}
		if want := []string{"first", "first", "late"}; !slices.Equal(users, want) {
			t.Errorf("asked for %v, want %v", users, want)
		}
	})
}

// TestNotificationsTakeOver has a user come to an account in the moment in which it is given up,
// since its last reader has left: they are told.
func TestNotificationsTakeOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNotificationsFixture(t)
		first, ready := &Subscription{}, make(chan struct{}, 1)
		_, err := n.SubscribeAs(t.Context(), first, call(func() { signal(ready) }), "3", "first", "")
		if err != nil {
			t.Fatal(err)
		}
		<-ready
		synctest.Wait() // refresh rests from now on
		first.Close()
		n.mu.Lock()
		time.Sleep(notificationsPace) // and wakes in the same instant
		awaitLocked("realtime.(*Notifications).refresh")
		n.OnPersonalDemand(func(string) {})
		late := n.read(t, "3", "late")
		n.mu.Unlock()
		n.Changed("3") // before refresh, which is being woken
		time.Sleep(time.Second)
		if state := told(t, late); state == nil || state.Unread != 3 {
			t.Errorf("who comes as the last one leaves is told %+v", state)
		}
	})
}

// awaitLocked waits until a function's goroutine waits for a mutex. In a bubble that is no wait of
// which synctest knows.
func awaitLocked(function string) {
	stacks := make([]byte, 1<<20)
	for {
		for _, goroutine := range strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if strings.Contains(goroutine, function) && strings.Contains(goroutine, "sync.(*Mutex).Lock") {
				return
			}
		}
		runtime.Gosched()
	}
}
