package db

import (
	"context"
	"fmt"
	"strings"
)

// checkReplication looks at what logical replication does to the portal's tables, and
// would do to ours.
func checkReplication(ctx context.Context, l *inspection) (found []Finding, err error) {
	for _, t := range l.tables {
		var state struct {
			Name  string `db:"name"`
			Runs  bool   `db:"runs"`
			There bool   `db:"there"`
		}
		// The view tells everybody what the catalog tells few. A subscription that is enabled has
		// no worker for a moment after each failure, and a new one five seconds later.
		err := l.tx.GetContext(ctx, &state, `
			SELECT count(*) > 0 AS there, coalesce(min(s.subname::text), '') AS name, coalesce(bool_or(e.subenabled OR s.pid IS NOT NULL), false) AS runs
			FROM pg_catalog.pg_subscription_rel r JOIN pg_catalog.pg_stat_subscription s ON s.subid = r.srsubid
			LEFT JOIN pg_catalog.pg_subscription e ON e.subname = s.subname
				AND e.subdbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
			WHERE r.srrelid = $1::bigint::oid`, t.OID)
		switch {
		case err != nil:
			return found, fmt.Errorf("look for subscriptions: %w", err)
		case t.Wanted == "users" || !state.There:
		case state.Runs:
			found = append(found, Finding{"replication", Obstacle, fmt.Sprintf("%s is written by the subscription %s, and triggers do not see that: streams would be silent", t.Name, state.Name),
				"point DATABASE_URL at the publisher; where this database has taken its place, disable or drop the subscription"})
		default:
			found = append(found, Finding{"replication", Warning, fmt.Sprintf("%s is a target of the subscription %s, which is disabled: once it runs, triggers do not see what it writes", t.Name, state.Name),
				"point DATABASE_URL at the publisher, or drop the subscription"})
		}
	}
	more, err := checkPublications(ctx, l)
	return append(found, more...), err
}

// checkPublications looks for publications that take in all tables, ours too.
func checkPublications(ctx context.Context, l *inspection) ([]Finding, error) {
	var names []string
	if err := l.tx.SelectContext(ctx, &names, `SELECT pubname::text FROM pg_catalog.pg_publication WHERE puballtables ORDER BY 1`); err != nil {
		return nil, fmt.Errorf("look for publications: %w", err)
	}
	if len(names) == 0 {
		return nil, nil
	}
	list := strings.Join(names, ", ")
	found := []Finding{{"publication", Warning, "the publication " + list + " takes in all tables, ours too: a subscriber that lacks the schema " + l.schema + " stops with an error",
		"make the publication FOR TABLE … or FOR TABLES IN SCHEMA …, or before migrating here run `hangarshare migrate` on the subscriber too"}}
	var unkeyed []string
	// A published table whose deleted rows have no identity cannot be deleted from.
	err := l.tx.SelectContext(ctx, &unkeyed, `
		SELECT c.relname::text FROM pg_catalog.pg_class c WHERE c.relnamespace = to_regnamespace('realtime')::oid AND c.relkind IN ('r', 'p')
		AND (c.relreplident = 'n' OR c.relreplident = 'd'
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)) ORDER BY 1`)
	if err != nil {
		return found, fmt.Errorf("look for replica identities: %w", err)
	}
	if len(unkeyed) > 0 {
		found = append(found, Finding{"publication", Obstacle, "rows of " + l.schema + "." + strings.Join(unkeyed, ", "+l.schema+".") + " cannot be removed while " + list + " publishes deletes",
			"run `hangarshare migrate`, which gives them a replica identity, or ALTER TABLE … REPLICA IDENTITY FULL"})
	}
	return found, nil
}

// checkInstalled looks at what is ours already.
func checkInstalled(ctx context.Context, l *inspection) ([]Finding, error) {
	var state struct {
		Schema, Ours, Readable bool
		Named                  string
	}
	err := l.tx.QueryRowxContext(ctx, `SELECT n.oid IS NOT NULL, pg_catalog.to_regclass('realtime.installation') IS NOT NULL AND pg_catalog.to_regclass('realtime.batches') IS NOT NULL,
		coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), false), coalesce((SELECT pg_catalog.string_agg(relname, ', ') FROM (
			SELECT relname FROM pg_catalog.pg_class WHERE relnamespace = n.oid AND relkind IN ('r', 'p', 'v') ORDER BY 1 LIMIT 5) c), '')
		FROM (VALUES (1)) one LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'realtime'`).Scan(&state.Schema, &state.Ours, &state.Readable, &state.Named)
	switch {
	case err != nil:
		return nil, fmt.Errorf("look for the schema %s: %w", l.schema, err)
	case state.Schema && !state.Ours && state.Named != "":
		return []Finding{{"installation", Obstacle, "there is a schema " + l.schema + " that is not ours (" + state.Named + ")", "set SCHEMA to another name"}}, nil
	case !state.Ours:
		return []Finding{{"installation", Obstacle, "nothing of ours is installed", "run `hangarshare migrate`; `serve` does so if its role may"}}, nil
	case !state.Readable:
		return []Finding{{"installation", Obstacle, "the role may not use the schema " + l.schema, "grant what the README lists"}}, nil
	}
	return checkRights(ctx, l)
}

// checkRights looks whether the role may do with our tables what a server does.
func checkRights(ctx context.Context, l *inspection) ([]Finding, error) {
	var lacking []string
	err := l.tx.SelectContext(ctx, &lacking, `
		SELECT c.relname::text FROM pg_catalog.pg_class c WHERE c.relnamespace = to_regnamespace('realtime')::oid AND c.relkind IN ('r', 'p')
			AND c.relname <> 'goose_db_version' AND NOT (pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_table_privilege(c.oid, 'INSERT')
			AND pg_catalog.has_table_privilege(c.oid, 'UPDATE') AND pg_catalog.has_table_privilege(c.oid, 'DELETE'))
		UNION ALL
		SELECT c.relname FROM pg_catalog.pg_class c WHERE c.relnamespace = to_regnamespace('realtime')::oid 
			AND CASE WHEN c.relkind = 'S' THEN NOT pg_catalog.has_sequence_privilege(c.oid, 'UPDATE') ELSE false END
		UNION ALL
		SELECT p.proname || '()' FROM pg_catalog.pg_proc p WHERE p.pronamespace = to_regnamespace('realtime')::oid AND p.prokind = 'f'
			AND p.prorettype <> 'trigger'::regtype AND p.prorettype <> 'void'::regtype AND NOT pg_catalog.has_function_privilege(p.oid, 'EXECUTE')`)
	if err != nil {
		return nil, fmt.Errorf("look at our rights: %w", err)
	}
	if len(lacking) > 0 {
		return []Finding{{"role", Obstacle, "lacks rights in the schema " + l.schema + ": on " + strings.Join(lacking, ", "), "grant what the README lists under \"Your own database\""}}, nil
	}
	return nil, nil
}

// checkTriggers looks whether our triggers stand, are enabled, and see every row.
func checkTriggers(ctx context.Context, l *inspection) (found []Finding, err error) {
	var installed bool
	if err := l.tx.GetContext(ctx, &installed, `SELECT pg_catalog.to_regclass('realtime.installation') IS NOT NULL`); err != nil || !installed {
		return nil, err
	}
	standing := 0
	for _, t := range l.tables {
		if t.OID == 0 {
			continue
		}
		var state struct {
			Stand    int    `db:"stand"`
			Disabled string `db:"disabled"`
			Blind    bool   `db:"blind"`
		}
		// A function of ours runs as its owner; row-level security binds that one too.
		err := l.tx.GetContext(ctx, &state, `
			SELECT count(*) AS stand, coalesce(pg_catalog.string_agg(tg.tgname, ', ') FILTER (WHERE tg.tgenabled NOT IN ('O', 'A')), '') AS disabled,
				coalesce(bool_or(c.relrowsecurity AND NOT (o.rolsuper OR o.rolbypassrls OR (c.relowner = o.oid AND NOT c.relforcerowsecurity))), false) AS blind
			FROM pg_catalog.pg_trigger tg JOIN pg_catalog.pg_proc p ON p.oid = tg.tgfoid JOIN pg_catalog.pg_roles o ON o.oid = p.proowner
				JOIN pg_catalog.pg_class c ON c.oid = tg.tgrelid
			WHERE tg.tgrelid = $1::bigint::oid AND p.pronamespace = to_regnamespace('realtime')::oid AND NOT tg.tgisinternal`, t.OID)
		if err != nil {
			return found, fmt.Errorf("look at the triggers: %w", err)
		}
		standing += state.Stand
		switch {
		case state.Stand == 0:
			found = append(found, Finding{"triggers", Obstacle, t.Name + " has no trigger of ours: its changes are not told", "run `hangarshare migrate`"})
		case state.Disabled != "":
			found = append(found, Finding{"triggers", Obstacle, "triggers of ours on " + t.Name + " are disabled: " + state.Disabled,
				"ALTER TABLE " + t.Name + " ENABLE TRIGGER USER, if whoever disabled them has ended"})
		}
		if state.Blind {
			found = append(found, Finding{"row-level security", Obstacle, "the role that our triggers on " + t.Name + " run as does not see all rows: events would lack their owner",
				"give the role that ran `hangarshare migrate` BYPASSRLS"})
		}
	}
	if len(found) == 0 {
		found = append(found, Finding{"triggers", Fine, fmt.Sprintf("%d stand, all enabled", standing), ""})
	}
	return found, nil
}
