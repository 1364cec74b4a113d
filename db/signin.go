package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	// longestDelay bounds the pause that failed sign-ins lead to.
	longestDelay = 15 * time.Minute
	// forgetAfter is how long after the last pause failures are forgotten, as an SQL interval.
	forgetAfter = `interval '1 hour'`
)

// credentialsQuery finds a user by e-mail address, in upper or lower case, and the hash of another user's password, for those
// whose address is nobody's. It takes the same work in both cases.
const credentialsQuery = `WITH sample AS MATERIALIZED (
		SELECT password_hash::text AS hash FROM {users} WHERE password_hash::text LIKE '$2_$%' LIMIT 1)
	SELECT coalesce(u.id::text, '') AS id, coalesce(btrim(concat_ws(' ', u.first_name, u.last_name)), '') AS name,
		coalesce(u.email::text, '') AS email, coalesce(u.password_hash::text, '') AS hash, coalesce((SELECT hash FROM sample), '') AS sample
	FROM (VALUES (1)) always LEFT JOIN {users} u ON lower(u.email::text) = lower($1)
	ORDER BY u.email::text = $1 DESC NULLS LAST, u.id LIMIT 1`

// Credentials are what a user's password is checked against.
type Credentials struct {
	User        // empty when nobody has the e-mail address
	Hash string `db:"hash"` // bcrypt; "" when the user has none
	// Sample is the hash of some user's password, "" when there is none: comparing with it takes as long as with Hash.
	Sample string `db:"sample"`
}

// Credentials returns what the password of the user with an e-mail address is checked against.
func (s *Store) Credentials(ctx context.Context, email string) (Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var c Credentials
	if err := s.get(ctx, &c, s.sql.credentials, email); err != nil {
		return c, fmt.Errorf("read credentials: %w", err)
	}
	return c, nil
}

// Attempt counts an attempt to sign in under a key, as failed until Succeeded says otherwise. The first few, free, are
// counted only; after those each one makes the next wait, for twice as long, from one second to 15 minutes. An attempt that
// comes while one should wait is not made: wait says how long.
func (s *Sessions) Attempt(ctx context.Context, key string, free int) (wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var counted bool
	err = s.store.get(ctx, &counted, `INSERT INTO realtime.failures AS f (hash, count, until) VALUES ($1, 1, clock_timestamp())
		ON CONFLICT (hash) DO UPDATE SET
			count = CASE WHEN f.until < clock_timestamp() - `+forgetAfter+` THEN 1 ELSE f.count + 1 END,
			until = clock_timestamp() + CASE WHEN f.until < clock_timestamp() - `+forgetAfter+` OR f.count < $2 THEN interval '0'
				ELSE make_interval(secs => least($3, 2 ^ least(f.count - $2, 30))) END
		WHERE f.until <= clock_timestamp()
		RETURNING true`, hashOf(key), free, longestDelay.Seconds())
	if err == nil {
		return 0, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("count an attempt to sign in: %w", err)
	}
	var seconds float64
	err = s.store.get(ctx, &seconds, `SELECT coalesce((SELECT date_part('epoch', until - clock_timestamp())
		FROM realtime.failures WHERE hash = $1), 0)`, hashOf(key))
	if err != nil {
		return 0, fmt.Errorf("read how long a sign-in must wait: %w", err)
	}
	return max(time.Duration(seconds*float64(time.Second)), time.Millisecond), nil
}

// Succeeded takes back the counting of an attempt under a key; with forget also that of all before it.
func (s *Sessions) Succeeded(ctx context.Context, key string, forget bool) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	_, err := answerTo(ctx, s.store.guard, func() (sql.Result, error) {
		return s.store.pool.ExecContext(ctx, `UPDATE realtime.failures
			SET count = CASE WHEN $2 THEN 0 ELSE greatest(count - 1, 0) END, until = clock_timestamp() WHERE hash = $1`, hashOf(key), forget)
	})
	if err != nil {
		return fmt.Errorf("note a sign-in: %w", err)
	}
	return nil
}
