package db

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lib/pq"
)

// UserColumn is a column of the portal's users that holds what another issuer calls them.
type UserColumn struct {
	store *Store
	name  string
	// Unique says that an index keeps two users from having one value, and finds a user by it.
	Unique bool

	mu        sync.Mutex // guards what follows
	query     string
	checkedAt time.Time // the column, because a query failed
}

// userColumnQuery tells of a column of users its type, "" where there is no such column, and
// whether a unique index is on it alone, for all rows or for those that have a value. It also lists
// the columns that there are. Parameter: 1 column.
const userColumnQuery = `SELECT
		coalesce((SELECT pg_catalog.format_type(a.atttypid, NULL) FROM pg_catalog.pg_attribute a
			WHERE a.attrelid = {usersName}::regclass::oid AND a.attname = $1::text AND a.attnum > 0 AND NOT a.attisdropped), '') AS type,
		coalesce((SELECT t.typnamespace = 'pg_catalog'::regnamespace::oid FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
			WHERE a.attrelid = {usersName}::regclass::oid AND a.attname = $1::text), false) AS builtin,
		EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
			WHERE i.indrelid = {usersName}::regclass::oid AND a.attname = $1::text AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1
				AND (i.indpred IS NULL OR pg_catalog.pg_get_expr(i.indpred, i.indrelid) = pg_catalog.format('(%I IS NOT NULL)', a.attname))) AS one,
		coalesce((SELECT pg_catalog.string_agg(a.attname::text, ', ' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
			WHERE a.attrelid = {usersName}::regclass::oid AND a.attnum > 0 AND NOT a.attisdropped), '') AS all`

// UserColumn returns the column of a name. The error says which there are, where it is
// none of them.
func (s *Store) UserColumn(ctx context.Context, name string) (*UserColumn, error) {
	query, unique, err := s.userColumn(ctx, name)
	if err != nil {
		return nil, err
	}
	return &UserColumn{store: s, name: name, query: query, Unique: unique}, nil
}

// userColumn returns the query for a user's id by a column.
func (s *Store) userColumn(ctx context.Context, name string) (query string, unique bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	var row struct {
		Type    string
		Builtin bool // the type is PostgreSQL's own
		One     bool
		All     string
	}
	var users string
	err = s.asking(ctx, func(w *written) error {
		users = w.shape.users
		return s.getBy(ctx, w, s.guard, &row, Fill(userColumnQuery, "{usersName}", pq.QuoteLiteral(users)), name)
	})
	if err != nil {
		return "", false, fmt.Errorf("look for the column %s of users: %w", name, err)
	}
	if row.Type == "" {
		return "", false, fmt.Errorf("%s has no column %q; it has %s", users, name, row.All)
	}
	is := "="
	if row.Builtin {
		is = builtIn
	}
	return Fill(`SELECT id::text FROM {users} WHERE {column} {is} $1::text::{type} LIMIT 2`,
		"{users}", users, "{is}", is, "{column}", pq.QuoteIdentifier(name), "{type}", row.Type), row.One, nil
}

// UserID returns the id of the user whose column holds a value: ErrNotFound when that is nobody,
// also because no value of the column can be so; ErrConflict when several have it.
func (c *UserColumn) UserID(ctx context.Context, value string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	c.mu.Lock()
	query := c.query
	c.mu.Unlock()
	var ids []string
	err := c.store.listBy(ctx, c.store.now.Load(), c.store.guard, &ids, query, value)
	if otherShape(err) {
		if query = c.refresh(ctx, query); query != "" {
			err = c.store.listBy(ctx, c.store.now.Load(), c.store.guard, &ids, query, value)
		}
	}
	var pqErr *pq.Error
	switch {
	case errors.Is(err, ErrInvalidText), errors.As(err, &pqErr) && pqErr.Code.Class() == "22":
		// data exception: no value of the type
		return "", ErrNotFound
	case err != nil:
		return "", fmt.Errorf("find a user by a column: %w", err)
	case len(ids) == 0:
		return "", ErrNotFound
	case len(ids) > 1:
		return "", ErrConflict
	}
	return ids[0], nil
}

// refresh returns another query than was, if the column has got another type; "" otherwise. Anybody
// may send a value that is none of the column's, so it does that seldom.
func (c *UserColumn) refresh(ctx context.Context, was string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.query == was && time.Since(c.checkedAt) >= reshapePause {
		c.checkedAt = time.Now()
		if query, _, err := c.store.userColumn(ctx, c.name); err == nil {
			c.query = query
		}
	}
	if c.query == was {
		return ""
	}
	return c.query
}
