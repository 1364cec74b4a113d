package db

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lib/pq"
)

const (
	// groupTime is for how long what happens in a hangar is counted into one unread notification,
	// and groupAbove how many notifications of a kind an account gets in a minute: what is more is
	// counted into one for all hangars.
	groupTime  = 10 * time.Minute
	groupAbove = 10
	// maxFacts is the most bytes of facts.
	maxFacts = 2048
)

// Happening is something that an account is to be told of, or, with UserID, one of its users alone.
// Key names it once and for all in its account. Subject is the hangar, the booking or the day that
// it is about: with Group it is counted into an unread notification of the same kind and subject.
// DoneBy is who did it through this server: to them it is no news.
type Happening struct {
	OwnerID, UserID, Kind, Key string
	Subject                    string
	Group                      bool
	Facts                      any // encoded as a JSON object
	Count                      int // 0 is 1
	At                         time.Time
	DoneBy                     string
}

// Made is what came of happenings.
type Made struct {
	New, Counted, Ended int
	Owners              []string // whose notifications changed
}

// Notices makes notifications. It keeps how far it came in the same transaction.
type Notices struct {
	store *Store
	// Channels are the channels out of the house that are in use: deliveries are made for these.
	Channels []Channel
}

// NewNotices returns the Notices in a Store's database.
func NewNotices(s *Store, channels ...Channel) *Notices { return &Notices{s, channels} }

// transact runs do while it holds the cursor, if that is still where it was.
func (n *Notices) transact(ctx context.Context, was NotifierCursor, do func(context.Context, transaction) error) error {
	ctx, cancel := context.WithTimeout(ctx, StatementTimeout)
	defer cancel()
	own, err := beginOwn(ctx, n.store.pool, onePlan)
	if err != nil {
		return fmt.Errorf("make notifications: %w", Explain(err))
	}
	defer own.Rollback()
	tx := transaction{own, n.store.now.Load().prepared}
	now, err := readNotifier(ctx, tx, holdCursorQuery)
	if err != nil {
		return err
	}
	if now.Batch != was.Batch || now.Mark != was.Mark || now.Epoch != was.Epoch || !now.RanAt.Equal(was.RanAt) || now.Begun != was.Begun {
		return ErrCursorMoved
	}
	if err := do(ctx, tx); err != nil {
		return fmt.Errorf("make notifications: %w", Explain(err))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("make notifications: %w", Explain(err))
	}
	return nil
}

// Make makes notifications of what happened, and moves the cursor from was to now, at once: its
// batch, mark and RanAt. ended are groups whose unresolved notifications are over.
func (n *Notices) Make(ctx context.Context, was, now NotifierCursor, happened []Happening, ended []EndedGroup) (made Made, err error) {
	err = n.transact(ctx, was, func(ctx context.Context, tx transaction) error {
		made = Made{} // of a try before
		if _, err := tx.ExecContext(ctx, moveCursorQuery, now.Batch, now.Mark, now.RanAt); err != nil {
			return err
		}
		return n.make(ctx, tx, happened, ended, &made)
	})
	return made, err
}

func (n *Notices) make(ctx context.Context, tx transaction, happened []Happening, ended []EndedGroup, made *Made) error {
	owners := map[string]bool{}
	for _, h := range happened {
		owners[h.OwnerID] = true
	}
	ended, err := unresolved(ctx, tx, ended)
	if err != nil {
		return err
	}
	for _, e := range ended {
		owners[e.OwnerID] = true
	}
	if len(owners) == 0 {
		return nil
	}
	made.Owners = slices.Sorted(maps.Keys(owners))
	revisions, err := nextRevisions(ctx, tx, made.Owners)
	if err != nil {
		return err
	}
	if made.Ended, err = endGroups(ctx, tx, ended, revisions); err != nil {
		return err
	}
	open, err := openGroups(ctx, tx, made.Owners)
	if err != nil {
		return err
	}
	fresh, grown, err := group(happened, open)
	if err != nil {
		return err
	}
	if made.Counted, err = grow(ctx, tx, grown, revisions); err != nil {
		return err
	}
	if made.New, err = n.insert(ctx, tx, fresh, revisions); err != nil {
		return err
	}
	if made.New+made.Counted+made.Ended == 0 { // known already
		return nil
	}
	return noteNotifications(ctx, tx, NotificationNote{Owners: made.Owners})
}

// nextRevisions gives each account its next revision. The locks are taken in one order.
func nextRevisions(ctx context.Context, tx asker, owners []string) (map[string]int64, error) {
	var rows []struct {
		OwnerID  string `db:"owner_id"`
		Revision int64
	}
	err := tx.SelectContext(ctx, &rows, revisionsQuery, pq.Array(owners))
	revisions := make(map[string]int64, len(rows))
	for _, r := range rows {
		revisions[r.OwnerID] = r.Revision
	}
	return revisions, err
}

// grow counts more into notifications that are there.
func grow(ctx context.Context, tx transaction, grown []*openNotification, revisions map[string]int64) (int, error) {
	if len(grown) == 0 {
		return 0, nil
	}
	var ids, counts, revs []int64
	var facts []string
	var times []time.Time
	for _, o := range grown {
		ids, counts, revs = append(ids, o.ID), append(counts, int64(o.Count)), append(revs, revisions[o.OwnerID])
		facts, times = append(facts, o.Facts), append(times, o.At)
	}
	_, err := tx.ExecContext(ctx, growQuery, pq.Array(ids), pq.Array(counts), pq.Array(facts), pq.Array(times), pq.Array(revs))
	return len(grown), err
}

// insert writes new notifications, and their deliveries. What has a key that is there already is
// left out.
func (n *Notices) insert(ctx context.Context, tx transaction, fresh []*openNotification, revisions map[string]int64) (int, error) {
	if len(fresh) == 0 {
		return 0, nil
	}
	var owners, users, kinds, keys, groups, facts, doers []string
	var counts, severities, revs []int64
	var times []time.Time
	for _, o := range fresh {
		kind, _ := KindOf(o.Kind)
		owners, users, kinds, keys = append(owners, o.OwnerID), append(users, o.UserID), append(kinds, o.Kind), append(keys, o.Key)
		groups, facts, doers = append(groups, o.Group), append(facts, o.Facts), append(doers, o.Doer)
		counts, severities, revs = append(counts, int64(o.Count)), append(severities, int64(kind.Severity)), append(revs, revisions[o.OwnerID])
		times = append(times, o.At)
	}
	var made []struct {
		ID       int64
		OwnerID  string `db:"owner_id"`
		UserID   string `db:"user_id"`
		Kind     string
		Severity int64
		Read     bool
	}
	err := tx.SelectContext(ctx, &made, insertQuery,
		pq.Array(owners), pq.Array(users), pq.Array(kinds), pq.Array(keys), pq.Array(groups), pq.Array(counts), pq.Array(severities),
		pq.Array(facts), pq.Array(revs), pq.Array(times), pq.Array(doers))
	if err != nil || len(n.Channels) == 0 {
		return len(made), err
	}
	var ids, weights []int64
	var ofOwners, ofUsers, ofKinds []string
	for _, m := range made {
		if !m.Read {
			ids, weights = append(ids, m.ID), append(weights, m.Severity)
			ofOwners, ofUsers, ofKinds = append(ofOwners, m.OwnerID), append(ofUsers, m.UserID), append(ofKinds, m.Kind)
		}
	}
	if len(ids) == 0 {
		return len(made), nil
	}
	args := append([]any{pq.Array(ids), pq.Array(ofOwners), pq.Array(ofUsers), pq.Array(ofKinds), pq.Array(weights)}, kindArrays()...)
	_, err = tx.ExecContext(ctx, n.store.now.Load().sql.notifications.deliveries, append(args, pq.Array(n.Channels))...)
	return len(made), err
}

// kindArrays are what deliveriesQuery has to know of the kinds.
func kindArrays() []any {
	var names, push, mail []string
	var personal []bool
	var hours []int64
	for _, k := range NotificationKinds {
		names, push, mail = append(names, k.Name), append(push, string(k.Push)), append(mail, string(k.Mail))
		personal, hours = append(personal, k.Personal), append(hours, int64(k.PushHours))
	}
	return []any{pq.Array(names), pq.Array(push), pq.Array(mail), pq.Array(personal), pq.Array(hours)}
}
