package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

const (
	// longestDelay bounds the pause that failed sign-ins lead to.
	longestDelay = 15 * time.Minute
	// forgetAfter is how long after the last pause failures are forgotten, as an SQL interval.
	forgetAfter = `interval '1 hour'`
)

const (
	// smallTable is up to what size, in bytes, a table of users is read whole for an address in
	// upper and lower case: some 20,000 rows, a few milliseconds.
	smallTable = 4 << 20
	// surveyPause is how long what is known about users as a whole counts.
	surveyPause = time.Minute
	// maxCost bounds the bcrypt cost that all sign-ins take: some 0.8 s of a processor. Users whose
	// hash costs more stand out.
	maxCost = 14
)

// credentialsQuery finds a user by e-mail address: as it is written or in lower case, by
// the index on it, and {folded}. Of several the one that is written so comes first, then
// that in lower case, then one that is alike in ASCII: in Unicode another's may be.
// Parameters: 1 the address, 2 it in lower case.
const credentialsQuery = `SELECT u.id::text AS id, pg_catalog.btrim(pg_catalog.concat_ws(' ', u.first_name, u.last_name)) AS name,
		u.email::text AS email, coalesce(u.password_hash::text, '') AS hash
	FROM {users} u WHERE u.email {emailEquals} ANY (ARRAY[$1::text, $2::text]::{emailType}[]) {folded}
	ORDER BY u.email::text = $1 DESC, u.email::text = $2 DESC, pg_catalog.lower(u.email::text COLLATE "C") = pg_catalog.lower($1::text COLLATE "C") DESC, u.id LIMIT 1`

// alsoFolded has credentialsQuery look for the address in any case. It is for tables
// where that is no search of all users.
const alsoFolded = `OR pg_catalog.lower(u.email::text) = pg_catalog.lower($2::text)`

// surveyQuery tells whether the table of users is small, and what the hashes of the oldest and of
// the newest users cost. Parameter: 1 the size.
const surveyQuery = `SELECT
		coalesce((SELECT relkind IN ('r', 'm') AND pg_relation_size(oid) < $1 FROM pg_class WHERE oid = {usersName}::regclass::oid), false) AS small,
		coalesce((SELECT max(substr(hash, 5, 2)::int) FROM (
			(SELECT password_hash::text AS hash FROM {users} ORDER BY id LIMIT 50) UNION ALL
			(SELECT password_hash::text AS hash FROM {users} ORDER BY id DESC LIMIT 50)) sample
			WHERE hash ~ '^[$]2[abxy]?[$][0-9]{2}[$].{53}$'), 0) AS cost`

// Credentials are what a user's password is checked against.
type Credentials struct {
	User        // empty when nobody has the e-mail address
	Hash string `db:"hash"` // bcrypt; "" when the user has none, or there is none
	// Cost is the bcrypt cost that every check should take, whichever address it is for; 0 when no
	// user has a hash.
	Cost int `db:"-"`
}

// survey is what is known about users as a whole.
type survey struct {
	Small bool `db:"small"`
	Cost  int  `db:"cost"`
	until time.Time
}

// Credentials returns what the password of the user with an e-mail address is checked against. The
// work is the same whether there is one, and does not grow with the number of users.
func (s *Sessions) Credentials(ctx context.Context, email string) (Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	about, err := s.surveyed(ctx)
	if err != nil {
		return Credentials{}, err
	}
	var c Credentials
	err = s.store.getFor(ctx, s.guard, &c, func(q *queries) string {
		if about.Small || q.lowerEmail {
			return q.credentialsFolded
		}
		return q.credentials
	}, email, strings.ToLower(email))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return c, fmt.Errorf("read credentials: %w", err)
	}
	c.Cost = about.Cost
	return c, nil
}

// Costs notes that some hash costs so much: from now on every check should.
func (s *Sessions) Costs(cost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cost = max(s.cost, min(cost, maxCost))
}

// surveyed returns what is known about users as a whole, asking at times.
func (s *Sessions) surveyed(ctx context.Context) (survey, error) {
	s.mu.Lock()
	about := s.about
	about.Cost = max(about.Cost, s.cost)
	s.mu.Unlock()
	if time.Now().Before(about.until) {
		return about, nil
	}
	if err := s.store.getFor(ctx, s.guard, &about, func(q *queries) string { return q.survey }, smallTable); err != nil {
		return about, fmt.Errorf("look at the table of users: %w", err)
	}
	about.until = time.Now().Add(surveyPause)
	s.Costs(about.Cost)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.about, about.Cost = about, s.cost
	return about, nil
}

// Count is what attempts to sign in are counted under. Free of them in a row may fail
// before the next must wait.
type Count struct {
	Key  string
	Free int
	// Forget has a success take back all attempts that were counted; otherwise it takes
	// back its own.
	Forget bool
}

// Attempt counts an attempt to sign in under all counts, as failed until Succeeded says otherwise.
// Of each the first few, Free, are counted only; after those each one makes the next wait, for
// twice as long, from one second to 15 minutes. An attempt that comes while one of the counts
// should wait is not made, and counts nowhere: wait says how long.
func (s *Sessions) Attempt(ctx context.Context, counts ...Count) (wait time.Duration, err error) {
	hashes, free, _ := arrays(counts)
	var seconds float64
	err = s.transact(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		// The order keeps those who count at the same time from waiting for each other in a circle.
		_, err := tx.ExecContext(ctx, `INSERT INTO realtime.failures (hash, count, until)
			SELECT hash, 0, clock_timestamp() FROM pg_catalog.unnest($1::bytea[]) hash ORDER BY hash ON CONFLICT (hash) DO NOTHING`, hashes)
		if err != nil {
			return err
		}
		err = tx.GetContext(ctx, &seconds, `SELECT max(date_part('epoch', until - clock_timestamp())) FROM (
			SELECT until FROM realtime.failures WHERE hash = ANY ($1::bytea[]) ORDER BY hash FOR UPDATE) f`, hashes)
		if err != nil || seconds > 0 {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE realtime.failures f SET
				count = CASE WHEN stale THEN 1 ELSE f.count + 1 END,
				until = clock_timestamp() + CASE WHEN stale OR f.count < free THEN interval '0'
					ELSE make_interval(secs => least($3, 2 ^ least(f.count - free, 30))) END
			FROM (SELECT k.hash, k.free, o.until < clock_timestamp() - `+forgetAfter+` AS stale
				FROM ROWS FROM (pg_catalog.unnest($1::bytea[]), pg_catalog.unnest($2::int[])) k (hash, free) JOIN realtime.failures o USING (hash)) k
			WHERE f.hash = k.hash`, hashes, free, longestDelay.Seconds())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("count an attempt to sign in: %w", err)
	}
	if seconds <= 0 {
		return 0, nil
	}
	return max(time.Duration(seconds*float64(time.Second)), time.Millisecond), nil
}

// Succeeded takes back the counting of an attempt.
func (s *Sessions) Succeeded(ctx context.Context, counts ...Count) error {
	hashes, _, forget := arrays(counts)
	err := s.transact(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `WITH k AS (
				SELECT f.hash, k.forget FROM ROWS FROM (pg_catalog.unnest($1::bytea[]), pg_catalog.unnest($2::bool[])) k (hash, forget) JOIN realtime.failures f USING (hash)
				ORDER BY f.hash FOR UPDATE OF f)
			UPDATE realtime.failures f SET count = CASE WHEN k.forget THEN 0 ELSE greatest(f.count - 1, 0) END, until = clock_timestamp()
			FROM k WHERE f.hash = k.hash`, hashes, forget)
		return err
	})
	if err != nil {
		return fmt.Errorf("note a sign-in: %w", err)
	}
	return nil
}

// arrays are counts as parameters.
func arrays(counts []Count) (hashes pq.ByteaArray, free pq.Int64Array, forget pq.BoolArray) {
	for _, c := range counts {
		hashes, free, forget = append(hashes, hashOf(c.Key)), append(free, int64(c.Free)), append(forget, c.Forget)
	}
	return hashes, free, forget
}
