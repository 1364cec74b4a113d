package db

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

// What the tests in db_test, which need a database, see of the package's inside.

// CheckVersion says whether the server behind pool has at least the given major version.
func CheckVersion(ctx context.Context, pool *sqlx.DB, minimum int) error {
	return checkVersion(ctx, pool, minimum)
}

// ListingsByProjection returns what Listings reads through the projection; none where the
// projection is not to be believed.
func (s *Store) ListingsByProjection(ctx context.Context, ownerID string, now time.Time) (listings []Listing, err error) {
	err = s.list(ctx, &listings, func(q *queries) string { return q.projection.listings }, ownerID, now, now.In(s.loc).Format(time.DateOnly))
	return listings, err
}

// ListingsByTables returns what Listings reads where the projection does not answer.
func (s *Store) ListingsByTables(ctx context.Context, ownerID string, now time.Time) (listings []Listing, err error) {
	err = s.list(ctx, &listings, func(q *queries) string { return q.listings }, ownerID, now, now.In(s.loc).Format(time.DateOnly))
	return listings, err
}

// PrivacyTables are the tables that an export and an erasure know.
func PrivacyTables() (tables []string) {
	for _, trace := range traces {
		tables = append(tables, trace.table)
	}
	for table := range impersonal {
		tables = append(tables, table)
	}
	return tables
}

// PeopleQueries are the questions about users, with parameters for one of them.
func (s *Store) PeopleQueries(userID, ownerID, email string) map[string][]any {
	const instant = "2026-01-01Z"
	w := s.now.Load()
	return map[string][]any{
		w.sql.access: {ownerID, userID, "", instant}, w.sql.accounts: {userID}, w.sql.user: {userID}, w.sql.members: {ownerID, ""},
		w.sql.credentials: {email, email}, w.sql.survey: {1}, w.sql.invitations: {ownerID},
		w.sql.addressed: {userID}, w.sql.addressedOne: {userID, "none"},
	}
}

// CanonicalID returns an id as PostgreSQL writes one of a column's type.
func CanonicalID(columnType, id string) (string, error) { return canonicalID(columnType, id) }

// CalendarByProjection returns what Calendar reads from the projection, and
// ErrNotProjected where that does not answer.
func (s *Store) CalendarByProjection(ctx context.Context, ownerID string, q CalendarQuery) (BookingCalendar, error) {
	w := s.now.Load()
	return s.calendarBy(ctx, w, ownerID, q, true)
}

// CalendarByTables returns what Calendar reads where the projection does not answer.
func (s *Store) CalendarByTables(ctx context.Context, ownerID string, q CalendarQuery) (BookingCalendar, error) {
	w := s.now.Load()
	return s.calendarBy(ctx, w, ownerID, q, false)
}

// ErrNotProjected says that the projection does not answer.
var ErrNotProjected = errNotProjected

// AccessesAtOnce asks what callers may do in accounts by one query.
func (s *Store) AccessesAtOnce(ctx context.Context, callers []Caller, ownerIDs []string) (roles []Role, ended []bool, err error) {
	var keys []accessKey
	for i, c := range callers {
		keys = append(keys, accessKey{c, ownerIDs[i]})
	}
	answers := make(map[accessKey]accessAnswer)
	err = s.accessesAtOnce(ctx, keys, answers)
	for _, k := range keys {
		roles, ended = append(roles, answers[k].Role), append(ended, answers[k].Ended)
	}
	return roles, ended, err
}

// AccountsAtOnce lists the accounts of users by one query.
func (s *Store) AccountsAtOnce(ctx context.Context, userIDs []string) (map[string][]Account, error) {
	answers, accounts := make(map[string]accountsAnswer), make(map[string][]Account)
	err := s.accountsAtOnce(ctx, userIDs, answers)
	for id, a := range answers {
		accounts[id] = a.accounts
	}
	return accounts, err
}

// DashboardsAtOnce computes the state of some owners by one query for each part of it, of those
// about whom the projection answers.
func (s *Store) DashboardsAtOnce(ctx context.Context, ownerIDs []string, now time.Time) (map[string]Dashboard, error) {
	found := make(map[string]Dashboard)
	return found, s.dashboardsAtOnce(ctx, ownerIDs, now, found)
}

// TrendsBoth returns what Trends reads from what is kept and from the tables, in one snapshot.
func (s *Store) TrendsBoth(ctx context.Context, ownerID string, q TrendQuery, now time.Time) (kept, tables Trends, err error) {
	w := s.now.Load()
	kept, err = inSnapshot(ctx, s, w, func(selecting selector) (t Trends, err error) {
		for _, source := range []trendSource{w.sql.trends.tables, w.sql.trends.kept} {
			tables = t
			a := newTrendAnswer(s.zone, q, now, w.shape)
			a.selecting, a.sql, a.source = selecting, w.sql.trends, source
			if t, err = a.compute(ownerID, source == w.sql.trends.kept); err != nil {
				return t, err
			}
		}
		return t, nil
	})
	return kept, tables, err
}

// PeriodicQueries are what the outbox asks again and again whatever there is to do, with values for
// their parameters.
var PeriodicQueries = map[string][]string{
	oldQueries[0]: {"2000"}, oldQueries[1]: {"2000"}, oldQueries[2]: {"2000"},
	oldDevicesQuery: {"'8'", "2000"}, digestUsersQuery: {"'8'", "500"},
}

// ClaimQuery and QueueQuery are how deliveries are claimed and counted.
const (
	ClaimQuery = claimQuery
	QueueQuery = queueQuery
)

// SendingQueries are the statements that the outbox asks for each delivery.
func (s *Store) SendingQueries() []string {
	q := s.now.Load().sql
	return append([]string{q.access, q.user, q.booking}, sendingQueries...)
}

// NotificationLists are the questions for pages of notifications, and for what is new of an
// account.
func (s *Store) NotificationLists() map[string]string {
	q := s.now.Load().sql.notifications
	return map[string]string{"all": q.listed, "unread": q.unread, "archived": q.archived, "news": q.news, "changed": q.changed}
}

// ExplainClaim claims as Claim does after its last one, at the front if there was none, and returns
// how PostgreSQL did it, in JSON.
func (o *Deliveries) ExplainClaim(ctx context.Context, limit int) (plan string, err error) {
	after := o.cursor.after
	err = o.store.pool.GetContext(ctx, &plan, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+claimQuery, limit, deliveryLease.Seconds(), after.notBefore, after.id)
	return plan, err
}

// UpkeepQuery is a statement by which something is kept, in a transaction with some settings.
// Values are parameters for it, as EXECUTE has them.
type UpkeepQuery struct {
	Text, Values string
	Settings     []string
}

// UpkeepQueries are the statements that keep the projection, the trends and the notifications.
func (s *Store) UpkeepQueries() map[string]UpkeepQuery {
	q, views, making := s.now.Load().sql, []string{byIndex}, []string{onePlan}
	return map[string]UpkeepQuery{
		"projection": {q.projection.apply, "", views},
		"lag":        {q.trends.lag, "", views}, "notes": {q.trends.notes, "", views},
		"capacity": {q.trends.capacity, "", views}, "trends": {q.trends.apply, "", views},
		"cursor": {holdCursorQuery, "", making}, "move": {moveCursorQuery, "(1, 1, now())", making},
		"revisions": {revisionsQuery, "('{owner 1}')", making}, "open": {openGroupsQuery, "('{owner 1}', 600)", making},
		"grow":       {growQuery, "('{1}', '{1}', '{\"{}\"}', '{now}', '{1}')", making},
		"insert":     {insertQuery, "('{owner 1}', '{\"\"}', '{unpaid}', '{new}', '{unpaid:new}', '{1}', '{1}', '{\"{}\"}', '{1}', '{now}', '{\"\"}')", making},
		"deliveries": {q.notifications.deliveries, "('{1}', '{1}', '{\"\"}', '{unpaid}', '{1}', '{unpaid}', '{now}', '{now}', '{false}', '{1}', '{mail}')", making},
		"unresolved": {unresolvedQuery, "('{owner 1}', '{unpaid:1}')", making},
		"end":        {endGroupsQuery, "('{owner 1}', '{unpaid:1}', '{2}')", making},
		"note":       {noteQuery, "('{}')", making},
	}
}
