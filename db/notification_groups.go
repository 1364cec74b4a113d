package db

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"
)

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
