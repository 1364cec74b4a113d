package db

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lib/pq"
)

// The same questions about many at once. Each is the query about one, asked for every row of arrays
// of parameters, in one statement and so in one snapshot.
const (
	accessOfMany = `SELECT asked.n, answer.* FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]),
		pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::timestamptz[])) WITH ORDINALITY AS asked(owner_id, user_id, session_id, issued, n)
	CROSS JOIN LATERAL ({query}) AS answer`
	ofManyOwners = `SELECT asked.owner_id AS asked, answer.* FROM pg_catalog.unnest($1::text[]) AS asked(owner_id)
	CROSS JOIN LATERAL ({query}) AS answer`
)

// manyAccesses is accessOfMany with a query about one.
func manyAccesses(query string) string {
	return Fill(accessOfMany, "{query}", strings.NewReplacer("$1::text", "asked.owner_id", "$2::text", "asked.user_id",
		"$3::text", "asked.session_id", "$4::timestamptz", "asked.issued").Replace(query))
}

// manyOwners is ofManyOwners with a query whose first parameter is an owner.
func manyOwners(query string) string {
	return Fill(ofManyOwners, "{query}", strings.ReplaceAll(query, "$1::text", "asked.owner_id"))
}

// accountsOfMany is accountsQuery about many users.
func accountsOfMany(query string) string {
	return `SELECT asked.user_id AS asked, answer.* FROM pg_catalog.unnest($1::text[]) AS asked(user_id)
	CROSS JOIN LATERAL (` + strings.ReplaceAll(query, "$1::text", "asked.user_id") + `) AS answer`
}

// accessKey is a question about access.
type accessKey struct {
	Caller
	ownerID string
}

// accessAnswer is the answer to it. Err concerns it alone.
type accessAnswer struct {
	Role  Role
	Ended bool
	err   error
}

const (
	// mostAsked is how many of a question are asked at once, and parallelAsked how many of these
	// queries are under way.
	mostAsked     = 500
	parallelAsked = 2
	// gatherAsked is the least time between the beginnings of two of them. Clients of a server that
	// is gone come back at one a millisecond: each would be a query.
	gatherAsked = 20 * time.Millisecond
)

// accesses asks what callers may do in accounts.
func (s *Store) accesses(ctx context.Context, keys []accessKey) (map[accessKey]accessAnswer, error) {
	answers := make(map[accessKey]accessAnswer, len(keys))
	var err error
	if len(keys) > 1 {
		if err = s.accessesAtOnce(ctx, keys, answers); err == nil || Unavailable(err) {
			return answers, err
		}
	}
	for _, k := range keys { // one of them cannot be asked about
		var a accessAnswer
		a.err = s.get(ctx, &a, func(q *queries) string { return q.access }, k.ownerID, k.UserID, k.SessionID, k.Issued)
		answers[k] = a
	}
	return answers, nil
}

func (s *Store) accessesAtOnce(ctx context.Context, keys []accessKey, answers map[accessKey]accessAnswer) error {
	var owners, users, sessions []string
	var issued []time.Time
	for _, k := range keys {
		owners, users = append(owners, k.ownerID), append(users, k.UserID)
		sessions, issued = append(sessions, k.SessionID), append(issued, k.Issued)
	}
	var rows []struct {
		N     int
		Role  Role
		Ended bool
	}
	err := s.list(ctx, &rows, func(q *queries) string { return q.accessOfMany }, pq.Array(owners), pq.Array(users), pq.Array(sessions), pq.Array(issued))
	for _, row := range rows {
		answers[keys[row.N-1]] = accessAnswer{Role: row.Role, Ended: row.Ended}
	}
	return err
}

// accountsAnswer is the accounts of a user. Err concerns them alone.
type accountsAnswer struct {
	accounts []Account
	err      error
}

// accountsOf lists the accounts of users, of each as accountsQuery does.
func (s *Store) accountsOf(ctx context.Context, userIDs []string) (map[string]accountsAnswer, error) {
	answers := make(map[string]accountsAnswer, len(userIDs))
	if len(userIDs) > 1 {
		if err := s.accountsAtOnce(ctx, userIDs, answers); err == nil || Unavailable(err) {
			return answers, err
		}
	}
	for _, id := range userIDs { // one of them cannot be asked about
		var a accountsAnswer
		a.err = s.list(ctx, &a.accounts, func(q *queries) string { return q.accounts }, id)
		answers[id] = a
	}
	return answers, nil
}

func (s *Store) accountsAtOnce(ctx context.Context, userIDs []string, answers map[string]accountsAnswer) error {
	var rows []struct {
		Asked string `db:"asked"`
		Account
	}
	err := s.list(ctx, &rows, func(q *queries) string { return q.accountsOfMany }, pq.Array(userIDs))
	for _, row := range rows {
		a := answers[row.Asked]
		a.accounts = append(a.accounts, row.Account)
		answers[row.Asked] = a
	}
	return err
}

// Dashboards computes the state of some owners at the instant now. An owner who cannot be asked
// about is an error for all.
func (s *Store) Dashboards(ctx context.Context, ownerIDs []string, now time.Time) (map[string]Dashboard, error) {
	found := make(map[string]Dashboard, len(ownerIDs))
	if len(ownerIDs) > 1 {
		if err := s.dashboardsAtOnce(ctx, ownerIDs, now, found); Unavailable(err) {
			return nil, err
		}
	}
	for _, id := range ownerIDs { // those about whom the projection does not answer
		if _, answered := found[id]; answered {
			continue
		}
		d, err := s.Dashboard(ctx, id, now)
		if err != nil {
			return nil, err
		}
		found[id] = d
	}
	return found, nil
}

// dashboardsAtOnce adds the states of owners about whom the projection answers.
func (s *Store) dashboardsAtOnce(ctx context.Context, ownerIDs []string, now time.Time, found map[string]Dashboard) error {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	var rows []struct {
		Asked string `db:"asked"`
		metricsRow
	}
	var shape int64
	args := s.metricsArgs("", now)
	args[0] = pq.Array(ownerIDs)
	err := s.asking(ctx, func(w *written) error {
		shape = w.shape.number
		return s.listBy(ctx, w, s.guard, &rows, w.sql.projection.metricsOfMany, args...)
	})
	if err != nil {
		return fmt.Errorf("compute metrics of %d owners: %w", len(ownerIDs), err)
	}
	listings, err := s.listingsOf(ctx, ownerIDs, now)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if !row.Trusted || row.Shape != shape {
			continue
		}
		list := listings[row.Asked]
		if list == nil {
			list = []Listing{}
		}
		revision, err := listingsRevision(list)
		if err != nil {
			return err
		}
		found[row.Asked] = Dashboard{row.metrics(now, s.loc), Overview{ListingsRevision: revision, Spaces: row.Spaces, GrowthBasis: row.GrowthBasis}}
	}
	return nil
}

// listingsOf returns the listings of some owners; those of whom the projection tells none are asked
// of the tables.
func (s *Store) listingsOf(ctx context.Context, ownerIDs []string, now time.Time) (map[string][]Listing, error) {
	listings := make(map[string][]Listing, len(ownerIDs))
	date := now.In(s.loc).Format(time.DateOnly)
	for _, ask := range []question{
		func(q *queries) string { return q.projection.listingsOfMany },
		func(q *queries) string { return q.listingsOfMany },
	} {
		var missing []string
		for _, id := range ownerIDs {
			if listings[id] == nil {
				missing = append(missing, id)
			}
		}
		if len(missing) == 0 {
			break
		}
		var rows []struct {
			Asked string `db:"asked"`
			Listing
		}
		if err := s.list(ctx, &rows, ask, pq.Array(missing), now, date); err != nil {
			return nil, fmt.Errorf("read listings of %d owners: %w", len(missing), err)
		}
		for _, row := range rows {
			listings[row.Asked] = append(listings[row.Asked], row.Listing)
		}
	}
	return listings, nil
}
