package db

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
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

// ErrCursorMoved says that another server, or this one, has made notifications of that part of the
// log already.
var ErrCursorMoved = errors.New("notifications were made of this part of the log already")

// NotifierCursor is how far notifications were made of the log: up to the end of a batch, with its
// mark, of a history. RanAt is up to when what time alone brings was made. Begun is false before
// the first time. Behind says that rows were removed from the log that had not been read.
type NotifierCursor struct {
	Batch  int64
	Mark   uint32
	Epoch  string
	RanAt  time.Time
	Begun  bool
	Behind bool
	Missed int64 // how often that was so
}

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

// NotifierConsumer is what makes notifications as a consumer of the log: what was removed before it
// was read is counted, and it goes on behind that.
func NotifierConsumer() Consumer {
	return Consumer{
		Applied:    `SELECT b.after FROM realtime.notifier f JOIN realtime.batches b ON b.number = f.batch`,
		Invalidate: `UPDATE realtime.notifier SET behind = true`,
	}
}

// Cursor returns how far notifications were made.
func (n *Notices) Cursor(ctx context.Context) (NotifierCursor, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	return readNotifier(ctx, n.store.pool, cursorQuery)
}

func readNotifier(ctx context.Context, by asker, query string) (c NotifierCursor, err error) {
	var row struct {
		Batch  sql.NullInt64
		Mark   uint32
		Epoch  sql.NullString
		RanAt  sql.NullTime `db:"ran_at"`
		Behind bool
		Missed int64
	}
	if err := by.GetContext(ctx, &row, query); err != nil {
		return c, fmt.Errorf("read how far notifications were made: %w", Explain(err))
	}
	return NotifierCursor{row.Batch.Int64, row.Mark, row.Epoch.String, row.RanAt.Time, row.Batch.Valid, row.Behind, row.Missed}, nil
}

// Begin moves the cursor to a batch of a history, where making begins for the first time, begins
// anew after the log lost a part, or a history begins. What clients hold of an earlier history
// counts for nothing then: revisions go on beyond any that it can have had.
func (n *Notices) Begin(ctx context.Context, was NotifierCursor, epoch string, batch int64, mark uint32, now time.Time) error {
	return n.transact(ctx, was, func(ctx context.Context, tx transaction) error {
		if was.Begun && was.Epoch != epoch {
			if err := restart(ctx, tx); err != nil {
				return err
			}
		}
		missed := 0
		if was.Begun && was.Epoch == epoch {
			missed = 1
		}
		_, err := tx.ExecContext(ctx, `UPDATE realtime.notifier SET batch = $1, mark = $2, epoch = $3::uuid, at = now(),
			ran_at = coalesce(ran_at, $4), behind = false, missed = missed + $5`, batch, mark, epoch, now, missed)
		return err
	})
}

// Follow keeps the cursor where it is and notes another history, whose batches go on from it.
func (n *Notices) Follow(ctx context.Context, was NotifierCursor, epoch string) error {
	return n.transact(ctx, was, func(ctx context.Context, tx transaction) error {
		if err := restart(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE realtime.notifier SET epoch = $1::uuid, behind = false`, epoch)
		return err
	})
}

// restart has every client read its list again. Milliseconds since 1970 are more than revisions
// ever counted.
func restart(ctx context.Context, tx transaction) error {
	var owners []string
	err := tx.SelectContext(ctx, &owners, `UPDATE realtime.notification_accounts SET
		revision = greatest(revision + 1, (date_part('epoch', pg_catalog.clock_timestamp()) * 1000)::bigint),
		floor = greatest(revision + 1, (date_part('epoch', pg_catalog.clock_timestamp()) * 1000)::bigint) RETURNING owner_id`)
	if err != nil || len(owners) == 0 {
		return err
	}
	return noteNotifications(ctx, tx, NotificationNote{Owners: owners})
}

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

// EndedGroup are the unresolved notifications of an account in a group, which are over now.
type EndedGroup struct{ OwnerID, Group string }

// GroupOf names the group of what happens to a subject, or in the account where that is "".
func GroupOf(kind, subject string) string {
	if subject == "" {
		return kind
	}
	return kind + ":" + subject
}

// openNotification is an unread notification that more may be counted into, or a new one.
type openNotification struct {
	ID        int64     `db:"id"`
	OwnerID   string    `db:"owner_id"`
	UserID    string    `db:"user_id"`
	Kind      string    `db:"kind"`
	Group     string    `db:"group_key"`
	Recent    bool      `db:"recent"` // it was made within a minute
	Count     int       `db:"-"`      // by how much it grows
	Facts     string    `db:"-"`
	At        time.Time `db:"-"`
	Key, Doer string    `db:"-"`
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

// openGroups reads the unread notifications of accounts that more may be counted into.
func openGroups(ctx context.Context, tx transaction, owners []string) (open []*openNotification, err error) {
	err = tx.SelectContext(ctx, &open, openGroupsQuery, pq.Array(owners), groupTime.Seconds())
	return open, err
}

// group decides what becomes a notification of its own and what is counted into one.
func group(happened []Happening, open []*openNotification) (fresh, grown []*openNotification, err error) {
	type groupKey struct{ owner, user, group string }
	byGroup, recent := map[groupKey]*openNotification{}, map[groupKey]int{}
	for _, o := range open {
		byGroup[groupKey{o.OwnerID, o.UserID, o.Group}] = o
		if o.Recent {
			recent[groupKey{o.OwnerID, o.UserID, o.Kind}]++
		}
	}
	isNew := map[*openNotification]bool{}
	for _, h := range happened {
		facts, err := json.Marshal(h.Facts)
		if err != nil {
			return nil, nil, fmt.Errorf("encode facts of %s: %w", h.Kind, err)
		}
		if len(facts) > maxFacts {
			facts = []byte(`{}`)
		}
		key, count := groupKey{h.OwnerID, h.UserID, GroupOf(h.Kind, h.Subject)}, max(h.Count, 1)
		all := groupKey{h.OwnerID, h.UserID, h.Kind}
		if h.Group && byGroup[key] == nil && recent[all] >= groupAbove {
			key = all
		}
		if o := byGroup[key]; h.Group && h.DoneBy == "" && o != nil {
			if o.Count == 0 && !isNew[o] {
				grown = append(grown, o)
			}
			o.Count, o.At = o.Count+count, h.At
			if o.Facts = string(facts); key == all {
				o.Facts = string(ofManyHangars(facts))
			}
			continue
		}
		if key == all && count > 1 {
			facts = ofManyHangars(facts)
		}
		o := &openNotification{OwnerID: h.OwnerID, UserID: h.UserID, Kind: h.Kind, Group: key.group, Count: count, Facts: string(facts), At: h.At, Key: h.Key, Doer: h.DoneBy}
		fresh, isNew[o] = append(fresh, o), true
		recent[all]++
		if h.Group && h.DoneBy == "" {
			byGroup[key] = o
		}
	}
	return fresh, grown, nil
}

// ofManyHangars returns the facts of what is newest without its hangar: what is counted for a whole
// account must not be listed and worded as one hangar's.
func ofManyHangars(facts []byte) []byte {
	var named map[string]json.RawMessage
	if json.Unmarshal(facts, &named) != nil {
		return facts
	}
	delete(named, "hangarId")
	delete(named, "hangarNumber")
	without, err := json.Marshal(named)
	if err != nil {
		return facts
	}
	return without
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

// unresolved returns those of some groups that have unresolved notifications.
func unresolved(ctx context.Context, tx transaction, ended []EndedGroup) (some []EndedGroup, err error) {
	if len(ended) == 0 {
		return nil, nil
	}
	owners, groups := endedArrays(ended)
	var rows []struct {
		OwnerID string `db:"owner_id"`
		Group   string `db:"group_key"`
	}
	err = tx.SelectContext(ctx, &rows, unresolvedQuery, pq.Array(owners), pq.Array(groups))
	for _, r := range rows {
		some = append(some, EndedGroup{r.OwnerID, r.Group})
	}
	slices.SortFunc(some, func(a, b EndedGroup) int {
		return cmp.Or(cmp.Compare(a.OwnerID, b.OwnerID), cmp.Compare(a.Group, b.Group))
	})
	return some, err
}

func endedArrays(ended []EndedGroup) (owners, groups []string) {
	for _, e := range ended {
		owners, groups = append(owners, e.OwnerID), append(groups, e.Group)
	}
	return owners, groups
}

// endGroups resolves the notifications of groups.
func endGroups(ctx context.Context, tx transaction, ended []EndedGroup, revisions map[string]int64) (int, error) {
	if len(ended) == 0 {
		return 0, nil
	}
	owners, groups := endedArrays(ended)
	var revs []int64
	for _, e := range ended {
		revs = append(revs, revisions[e.OwnerID])
	}
	result, err := tx.ExecContext(ctx, endGroupsQuery, pq.Array(owners), pq.Array(groups), pq.Array(revs))
	if err != nil {
		return 0, err
	}
	ids, err := result.RowsAffected()
	return int(ids), err
}
