package db

import (
	"context"
	"fmt"
	"strings"

	"github.com/lib/pq"
)

// checkName looks whether the name of our schema is also that of a role which writes the portal's
// tables. PostgreSQL's default search path begins with the schema of the role's name: such a role
// would find our tables before the portal's, and make its new ones there.
func checkName(ctx context.Context, l *inspection) ([]Finding, error) {
	tables, _, err := ownRelations()
	if err != nil {
		return nil, err
	}
	var rels []int64
	for _, t := range l.tables {
		if t.OID != 0 {
			rels = append(rels, t.OID)
		}
	}
	var state struct {
		Role     bool           `db:"role"`
		Path     string         `db:"path"` // what is set for the role, its own database first
		Shadowed pq.StringArray `db:"shadowed"`
	}
	err = l.tx.GetContext(ctx, &state, `
		SELECT EXISTS (SELECT FROM pg_roles r, pg_catalog.unnest($2::bigint[]) rel WHERE r.rolname = $1 AND r.rolcanlogin
				AND has_table_privilege(r.oid, rel::oid, 'INSERT')) AS role,
			coalesce((SELECT substr(setting, 13) FROM pg_db_role_setting s, pg_catalog.unnest(s.setconfig) setting
				WHERE setting LIKE 'search\_path=%' AND (s.setrole = 0 OR s.setrole = (SELECT oid FROM pg_roles WHERE rolname = $1))
					AND (s.setdatabase = 0 OR s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
				ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1), '"$user"') AS path,
			ARRAY(SELECT DISTINCT c.relname::text FROM pg_class portal JOIN pg_class c ON c.relnamespace = portal.relnamespace
				WHERE portal.oid::bigint = ANY ($2::bigint[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname = ANY ($3::text[]) ORDER BY 1) AS shadowed`,
		l.schema, pq.Array(rels), pq.Array(tables))
	if err != nil {
		return nil, fmt.Errorf("look for a role with the name of our schema: %w", err)
	}
	if !state.Role || !strings.Contains(state.Path, "$user") {
		return nil, nil
	}
	cure := fmt.Sprintf("set SCHEMA to another name, or ALTER ROLE %s SET search_path = public", l.schema)
	if len(state.Shadowed) > 0 {
		return []Finding{{"schema", Obstacle, fmt.Sprintf("the role %s, which writes the portal's tables, has the name of our schema: by its search path it would take our tables "+
			"for the portal's of the same names: %s", l.schema, strings.Join(state.Shadowed, ", ")), cure}}, nil
	}
	return []Finding{{"schema", Warning, fmt.Sprintf("the role %s, which writes the portal's tables, has the name of our schema: by its search path it makes new tables there", l.schema), cure}}, nil
}
