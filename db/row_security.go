package db

import (
	"context"
	"fmt"
)

// hiddenQuery lists the portal's tables of which row-level security hides rows from the
// role that asks.
const hiddenQuery = `SELECT coalesce(pg_catalog.string_agg(rel, ', ' ORDER BY rel), '') FROM realtime.portal_tables
	WHERE pg_catalog.row_security_active(pg_catalog.to_regclass(rel)::pg_catalog.oid)`

// CheckRowSecurity looks whether row-level security hides rows of the portal's tables, and
// returns an error that says what to do while it does. Until it no longer does, nothing is
// answered. Sessions of ours have PostgreSQL refuse such a question; through a transaction pooler
// no session can be set, and PostgreSQL would answer with less.
func (s *Store) CheckRowSecurity(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	var tables string
	var err error
	if prepared := s.now.Load().prepared[hiddenQuery]; prepared != nil {
		err = prepared.GetContext(ctx, &tables)
	} else {
		err = s.pool.GetContext(ctx, &tables, hiddenQuery)
	}
	if err != nil {
		return fmt.Errorf("look for hidden rows: %w", Explain(err))
	}
	if tables == "" {
		s.hidden.Store(nil)
		return nil
	}
	err = misconfigured{text: "row-level security hides rows of " + tables + " from the role in DATABASE_URL, so that its numbers " +
		"would be wrong: it needs BYPASSRLS (ALTER ROLE … BYPASSRLS), or must own the tables without FORCE ROW LEVEL SECURITY"}
	s.hidden.Store(&err)
	return err
}

// refuseHidden has a transaction fail where row-level security hides rows, also behind a
// transaction pooler.
const refuseHidden = `SET LOCAL row_security = off`
