package db

// onePlan has what makes notifications planned once for a session, by index, whatever the arrays
// that it is given: the planner expects ten elements, finds the plan for one cheaper than that for
// any number, and would plan each time.
const onePlan = `SET LOCAL plan_cache_mode = force_generic_plan; ` + byIndex

// What makes notifications asks for each batch, in one transaction.
const (
	cursorQuery     = `SELECT batch, mark, epoch::text AS epoch, ran_at, behind, missed FROM realtime.notifier`
	holdCursorQuery = cursorQuery + ` FOR UPDATE`
	moveCursorQuery = `UPDATE realtime.notifier SET batch = $1, mark = $2, ran_at = $3, at = now()`

	// revisionsQuery gives accounts their next revisions. Parameter: 1 the accounts.
	revisionsQuery = `INSERT INTO realtime.notification_accounts AS a (owner_id, revision)
	SELECT o, 1 FROM pg_catalog.unnest($1::text[]) AS o ORDER BY o COLLATE "C"
	ON CONFLICT (owner_id) DO UPDATE SET revision = a.revision + 1 RETURNING owner_id, revision`

	// openGroupsQuery is the unread notifications of accounts that more may be counted into.
	// Parameters: 1 the accounts, 2 for how many seconds.
	openGroupsQuery = `SELECT n.id, n.owner_id, coalesce(n.user_id, '') AS user_id, n.kind, n.group_key,
		n.created_at > now() - interval '1 minute' AS recent
	FROM realtime.notifications n WHERE n.owner_id = ANY ($1::text[]) AND n.created_at > now() - make_interval(secs => $2) AND ` + isUnread + `
	ORDER BY n.id`

	// growQuery counts more into notifications. Parameters: 1 the ids, 2 how much more, 3 the
	// facts, 4 when it happened, 5 the revisions.
	growQuery = `UPDATE realtime.notifications n SET count = n.count + g.count, facts = g.facts::json, happened_at = g.at, revision = g.revision, news = g.revision
	FROM ROWS FROM (pg_catalog.unnest($1::bigint[]), pg_catalog.unnest($2::int[]), pg_catalog.unnest($3::text[]),
		pg_catalog.unnest($4::timestamptz[]), pg_catalog.unnest($5::bigint[])) AS g(id, count, facts, at, revision)
	WHERE n.id = g.id`

	// insertQuery writes new notifications: what has a key that is there is left out. Parameters: 1
	// to 5 the accounts, users, kinds, keys and groups, 6 and 7 counts and severities, 8 the facts,
	// 9 the revisions, 10 when it happened, 11 who did it.
	insertQuery = `INSERT INTO realtime.notifications (owner_id, user_id, kind, key, group_key, count, severity, facts, revision, news, happened_at, read_at, read_by)
	SELECT owner_id, nullif(user_id, ''), kind, key, group_key, count, severity, facts::json, revision, revision, at,
		CASE WHEN doer <> '' THEN now() END, nullif(doer, '')
	FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::text[]),
		pg_catalog.unnest($5::text[]), pg_catalog.unnest($6::int[]), pg_catalog.unnest($7::smallint[]), pg_catalog.unnest($8::text[]),
		pg_catalog.unnest($9::bigint[]), pg_catalog.unnest($10::timestamptz[]), pg_catalog.unnest($11::text[])) WITH ORDINALITY
		AS f(owner_id, user_id, kind, key, group_key, count, severity, facts, revision, at, doer, n)
	ORDER BY n ON CONFLICT (owner_id, coalesce(user_id, ''), key) DO NOTHING
	RETURNING id, owner_id, coalesce(user_id, '') AS user_id, kind, severity, read_at IS NOT NULL AS read`

	// unresolvedQuery is those of some groups that have unresolved notifications, and
	// endGroupsQuery resolves these. Parameters: 1 the accounts, 2 the groups, 3 the revisions.
	// OFFSET 0 has the groups looked up, where a small table would be joined by reading all of it.
	unresolvedQuery = `SELECT DISTINCT e.owner_id, e.group_key
	FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS e(owner_id, group_key)
	CROSS JOIN LATERAL (` + unresolvedOfGroup + `) n`
	endGroupsQuery = `WITH ended AS MATERIALIZED (
		SELECT n.id, e.revision
		FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::bigint[])) AS e(owner_id, group_key, revision)
		CROSS JOIN LATERAL (` + unresolvedOfGroup + `) n
	)
	UPDATE realtime.notifications n SET resolved_at = now(), revision = ended.revision FROM ended WHERE n.id = ended.id`
	unresolvedOfGroup = `SELECT u.id FROM realtime.notifications u WHERE u.owner_id = e.owner_id AND u.group_key = e.group_key AND u.resolved_at IS NULL OFFSET 0`

	// noteQuery writes a note into the log. Parameter: 1 the note.
	noteQuery = `WITH noted AS (INSERT INTO realtime.events (type, data) VALUES ('` + TypeNote + `', $1::json) RETURNING true)
	SELECT realtime.ring() FROM noted`
)

// makingQueries are all of these that are asked again and again.
var makingQueries = []string{holdCursorQuery, moveCursorQuery, revisionsQuery, openGroupsQuery, growQuery, insertQuery, unresolvedQuery, endGroupsQuery, noteQuery}
