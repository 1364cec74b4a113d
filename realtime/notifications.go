package realtime

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/crash"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

const (
	// notificationsPace is the least time between two messages about an account's notifications: a
	// burst of changes becomes one.
	notificationsPace = 100 * time.Millisecond
	// notificationsRetry is the pause after a question that was not answered.
	notificationsRetry = time.Second
	// notificationsParallel is how many questions are under way at once, notificationsAtOnce about
	// how many accounts one is at most.
	notificationsParallel = 3
	notificationsAtOnce   = 100
	// notificationsGather is the least time between the beginnings of two questions: clients of a
	// server that is gone come back at one a millisecond.
	notificationsGather = 10 * time.Millisecond
	// notificationsApart is how many questions are under way at once, of each size, about accounts
	// of which one took too long, and notificationsQuick within what time they have to be answered
	// about, to be asked about with all others again.
	notificationsApart = 2
	notificationsQuick = 500 * time.Millisecond
	// NotificationItems is how many changes a message tells at most.
	NotificationItems = 50
)

// notificationsShares are how many accounts a question is about at most: at first, after one that
// took too long, and after another.
var notificationsShares = [...]int{notificationsAtOnce, 10, 1}

// NotificationsSource tells what is new about the notifications of accounts.
type NotificationsSource interface {
	// NotificationNews answers about each account of some questions, or about none: the counts of
	// users, and at most limit changes.
	NotificationNews(ctx context.Context, questions []db.NewsQuestion, limit int) (map[string]db.NotificationNews, error)
}

// Notifications tells the users of accounts that are watched of their notifications: when those
// change, and who begins to watch. It is state: only the newest counts. What is new of an account
// is asked once for all of its users, however many sessions they have, and of many accounts at once
// when many wait.
type Notifications struct {
	source NotificationsSource
	bus    *Bus
	loc    *time.Location
	log    *slog.Logger
	// loaders ask, one for each of notificationsShares.
	loaders [len(notificationsShares)]db.Loader[string, accountNews]

	asked atomic.Int64

	wake    chan struct{} // tells Run that an owner waits
	mu      sync.Mutex    // guards what follows
	owners  map[string]*ownerNews
	waiting []string
}

// ownerNews is what was told of an owner's notifications. It is kept while the owner is watched.
type ownerNews struct {
	running, again bool
	share          int                  // with how many it is asked about: notificationsShares
	revision       int64                // that was told; below 0 for none
	told           map[string]toldCount // by user
	read           *db.NotificationRead // what was marked read at once since
}

// toldCount is what a user was told last.
type toldCount struct{ revision, unread, unseen, cleared int64 }

// accountNews is the answer about an account. An error of its own concerns no other.
type accountNews struct {
	db.NotificationNews
	users map[string]bool      // who read then, each with whether there is a message to them
	since int64                // the revision after which changes were asked for
	read  *db.NotificationRead // what was marked read at once up to the question
	err   error
}

// NewNotifications returns a Notifications that asks while Run runs.
func NewNotifications(source NotificationsSource, bus *Bus, loc *time.Location, log *slog.Logger) *Notifications {
	n := &Notifications{source: source, bus: bus, loc: loc, log: log, wake: make(chan struct{}, 1), owners: make(map[string]*ownerNews)}
	for i, most := range notificationsShares {
		n.loaders[i].Ask, n.loaders[i].Most, n.loaders[i].Parallel = n.ask, most, notificationsApart
	}
	n.loaders[0].Parallel, n.loaders[0].Gather = notificationsParallel, notificationsGather
	return n
}

// Collect implements stats.Collector.
func (n *Notifications) Collect() []stats.Stat {
	return []stats.Stat{stats.Counter("hangarshare_notifications_asked_total", "Questions about an account's notifications, each for all of its users who watch.", n.asked.Load())}
}

// Noted takes in what a row of the log says. It does not block.
func (n *Notifications) Noted(note db.NotificationNote) {
	if n == nil {
		return
	}
	for _, id := range note.Owners {
		n.changed(id, note.Read)
	}
}

// Changed says that an owner's notifications may have changed. It does not block.
func (n *Notifications) Changed(ownerID string) { n.changed(ownerID, nil) }

// ChangedAll says that everybody's may have.
func (n *Notifications) ChangedAll() {
	if n == nil {
		return
	}
	for _, id := range n.bus.Watched() {
		n.Changed(id)
	}
}

func (n *Notifications) changed(ownerID string, read *db.NotificationRead) {
	n.mu.Lock()
	defer n.mu.Unlock()
	o := n.owners[ownerID]
	switch {
	case ownerID == CanaryOwner || !n.bus.IsWatched(ownerID):
		if o != nil && !o.running {
			delete(n.owners, ownerID)
		}
		return
	case o == nil:
		o = &ownerNews{revision: -1, told: make(map[string]toldCount)}
		n.owners[ownerID] = o
	}
	if read != nil && (o.read == nil || o.read.ID <= read.ID) {
		o.read = read
	}
	if o.running {
		o.again = true
		return
	}
	o.running = true
	n.waiting = append(n.waiting, ownerID)
	signal(n.wake)
}

// Run asks and tells until ctx ends.
func (n *Notifications) Run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.wake:
			n.mu.Lock()
			waiting := n.waiting
			n.waiting = nil
			n.mu.Unlock()
			for _, id := range waiting {
				group.Go(func() { n.refresh(ctx, id) })
			}
		}
	}
}

// refresh asks and tells until nothing changed any more.
func (n *Notifications) refresh(ctx context.Context, ownerID string) {
	defer crash.Report("notifications")
	for {
		pause := notificationsPace
		if err := n.tell(ctx, ownerID); err != nil && ctx.Err() == nil {
			n.log.Warn("notifications could not be told; trying again", "owner", ownerID, "error", err)
			pause = notificationsRetry
			n.mu.Lock()
			n.owners[ownerID].again = true
			n.mu.Unlock()
		}
		sleep(ctx, pause)
		n.mu.Lock()
		o := n.owners[ownerID]
		switch {
		case !n.bus.IsWatched(ownerID): // under the lock: who comes after this is noted after it
			delete(n.owners, ownerID)
		case ctx.Err() == nil && o.again:
			n.mu.Unlock()
			continue
		default:
			o.running = false
		}
		n.mu.Unlock()
		return
	}
}

// tell asks what is new of an owner, and tells those users for whom anything is.
func (n *Notifications) tell(ctx context.Context, ownerID string) error {
	n.mu.Lock()
	o := n.owners[ownerID]
	loader := &n.loaders[o.share]
	n.mu.Unlock()
	news, err := loader.Load(ctx, ownerID)
	if err = cmp.Or(err, news.err); err != nil || len(news.users) == 0 {
		return err
	}
	since, read := news.since, news.read
	if since < news.Floor || since > news.Revision { // nobody can go on from there
		since, news.Items, news.More, read = news.Revision, nil, false, nil
	}
	messages, err := n.messages(ownerID, since, news.NotificationNews, read, func(c db.NotificationCounts) bool {
		now := toldCount{news.Revision, c.Unread, c.Unseen, clearedOf(c)}
		known := news.users[c.UserID] && o.told[c.UserID] == now
		o.told[c.UserID] = now
		return !known
	})
	if err != nil {
		return err
	}
	for id := range o.told {
		if _, there := news.users[id]; !there {
			delete(o.told, id)
		}
	}
	n.mu.Lock()
	o.revision = news.Revision
	n.mu.Unlock()
	n.bus.PublishPersonal(ownerID, messages)
	return nil
}

// ask asks about owners that wait at the moment, for those who read at the moment.
func (n *Notifications) ask(ctx context.Context, ownerIDs []string) (map[string]accountNews, error) {
	answers := make(map[string]accountNews, len(ownerIDs))
	var questions []db.NewsQuestion
	for _, id := range ownerIDs {
		n.mu.Lock()
		o := n.owners[id]
		if o == nil { // Run ends
			n.mu.Unlock()
			continue
		}
		o.again = false // what changed up to here, and who came, will be seen by the query
		answer := accountNews{since: o.revision, read: o.read}
		o.read = nil
		n.mu.Unlock()
		if answer.users = n.bus.Users(id); len(answer.users) == 0 {
			n.untold(id, answer.read)
			continue
		}
		answers[id] = answer
		questions = append(questions, db.NewsQuestion{OwnerID: id, UserIDs: slices.Sorted(maps.Keys(answer.users)), After: answer.since})
	}
	if len(questions) == 0 {
		return nil, nil
	}
	n.asked.Add(int64(len(questions)))
	begun := time.Now()
	found, err := n.source.NotificationNews(ctx, questions, NotificationItems)
	for _, q := range questions {
		about, err := found, err
		if err != nil && !db.Unavailable(err) && len(questions) > 1 { // about one of them
			about, err = n.source.NotificationNews(ctx, []db.NewsQuestion{q}, NotificationItems)
		}
		answer := answers[q.OwnerID]
		if answer.NotificationNews, answer.err = about[q.OwnerID], err; err != nil {
			n.untold(q.OwnerID, answer.read)
		}
		answers[q.OwnerID] = answer
		n.took(q.OwnerID, time.Since(begun), err)
	}
	return answers, nil
}

// took notes how long a question about an account took. Where that was too long nobody knows of
// which account: they are asked about with few others from then on, then alone, until that is
// quick. Where the whole database was slow for a while these few are soon told.
func (n *Notifications) took(ownerID string, lasted time.Duration, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch o := n.owners[ownerID]; {
	case o == nil: // Run ends
	case db.TookTooLong(err):
		o.share = min(o.share+1, len(notificationsShares)-1)
	case err == nil && lasted < notificationsQuick:
		o.share = 0
	}
}

// untold keeps for the next answer what was to be told with one that did not come.
func (n *Notifications) untold(ownerID string, read *db.NotificationRead) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if o := n.owners[ownerID]; o != nil && o.read == nil {
		o.read = read
	}
}

func clearedOf(c db.NotificationCounts) int64 {
	if c.ClearedUntil == nil {
		return 0
	}
	return *c.ClearedUntil
}

// NotificationsState is the data of notifications_updated: the counts of one user at a revision,
// and what changed since an earlier one, the newest first. With More there are further changes.
type NotificationsState struct {
	Revision     int64           `json:"revision"`
	Since        int64           `json:"since"`
	Unread       int64           `json:"unread"`
	Unseen       int64           `json:"unseen"`
	Items        json.RawMessage `json:"items"`
	ReadThrough  *ReadThrough    `json:"readThrough,omitempty"`
	ClearedUntil *int64          `json:"clearedUntil"`
	More         bool            `json:"more"`
}

// ReadThrough says that everything up to a notification was marked read at once.
type ReadThrough struct {
	ID string `json:"id"`
	By Person `json:"by"`
	At string `json:"at"`
}

// messages makes the messages to those users for whom anything is new.
func (n *Notifications) messages(ownerID string, since int64, news db.NotificationNews, read *db.NotificationRead, isNews func(db.NotificationCounts) bool) (map[string]*Event, error) {
	encoded := make([]json.RawMessage, len(news.Items))
	var through *ReadThrough
	if read != nil {
		through = &ReadThrough{ID: idText(read.ID), By: Person{ID: read.By}, At: moment(read.At, n.loc)}
	}
	for i, item := range news.Items {
		text, err := json.Marshal(NotificationOf(item, n.loc))
		if err != nil {
			return nil, err
		}
		encoded[i] = text
		if through != nil && item.ReadBy == read.By && item.ReadByName.Valid {
			through.By.Name = &item.ReadByName.String
		}
	}
	shared := map[string]json.RawMessage{} // lists that many users see alike
	messages := make(map[string]*Event, len(news.People))
	for _, c := range news.People {
		if !isNews(c) {
			continue
		}
		items := itemsFor(c, news.Items, encoded, shared)
		e, err := NewMessage(NotificationsUpdated, ownerID, time.Now(), NotificationsState{Revision: news.Revision, Since: since, Unread: c.Unread, Unseen: c.Unseen,
			Items: items, ReadThrough: through, ClearedUntil: c.ClearedUntil, More: news.More})
		if err != nil {
			return nil, err
		}
		messages[c.UserID] = e
	}
	return messages, nil
}

// itemsFor returns the list of those items that a user may see.
func itemsFor(c db.NotificationCounts, items []db.Notification, encoded []json.RawMessage, shared map[string]json.RawMessage) json.RawMessage {
	own := false
	list := []json.RawMessage{}
	for i, item := range items {
		if item.UserID != "" && item.UserID != c.UserID || slices.Contains(c.Hidden, item.Kind) {
			continue
		}
		own = own || item.UserID != ""
		list = append(list, encoded[i])
	}
	key := strings.Join(c.Hidden, " ")
	if own {
		key = "\x00" + c.UserID
	}
	if shared[key] == nil {
		shared[key], _ = json.Marshal(list) // of what was encoded
	}
	return shared[key]
}
