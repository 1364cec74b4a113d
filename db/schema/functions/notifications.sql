-- Counts and pages of notifications.

-- Keeps realtime.notification_counts: how many notifications of each kind an account has, and how
-- many are unread. The statement's rows are `added` and `removed`. Who writes notifications holds
-- the lock of their account's row, so nobody waits here.
CREATE OR REPLACE FUNCTION realtime.count_notifications() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO realtime.notification_counts AS c (owner_id, user_id, kind, total, unread)
        SELECT owner_id, coalesce(user_id, ''), kind, count(*), count(*) FILTER (WHERE read_at IS NULL AND archived_at IS NULL AND resolved_at IS NULL)
        FROM added GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (owner_id, user_id, kind) DO UPDATE SET total = c.total + excluded.total, unread = c.unread + excluded.unread;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO realtime.notification_counts AS c (owner_id, user_id, kind, total, unread)
        SELECT owner_id, user_id, kind, sum(n), coalesce(sum(n) FILTER (WHERE unread), 0) FROM (
            SELECT 1 AS n, owner_id, coalesce(user_id, '') AS user_id, kind, read_at IS NULL AND archived_at IS NULL AND resolved_at IS NULL AS unread FROM added
            UNION ALL
            SELECT -1, owner_id, coalesce(user_id, ''), kind, read_at IS NULL AND archived_at IS NULL AND resolved_at IS NULL FROM removed) changes
        GROUP BY 1, 2, 3 HAVING sum(n) <> 0 OR coalesce(sum(n) FILTER (WHERE unread), 0) <> 0 ORDER BY 1, 2, 3
        ON CONFLICT (owner_id, user_id, kind) DO UPDATE SET total = c.total + excluded.total, unread = c.unread + excluded.unread;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE realtime.notification_counts c SET total = c.total - r.total, unread = c.unread - r.unread FROM (
            SELECT owner_id, coalesce(user_id, '') AS user_id, kind, count(*) AS total,
                count(*) FILTER (WHERE read_at IS NULL AND archived_at IS NULL AND resolved_at IS NULL) AS unread
            FROM removed GROUP BY 1, 2, 3) r
        WHERE c.owner_id = r.owner_id AND c.user_id = r.user_id AND c.kind = r.kind;
        DELETE FROM realtime.notification_counts c USING (SELECT DISTINCT owner_id, coalesce(user_id, '') AS user_id, kind FROM removed) r
        WHERE c.owner_id = r.owner_id AND c.user_id = r.user_id AND c.kind = r.kind AND c.total = 0;
    ELSE
        DELETE FROM realtime.notification_counts;
    END IF;
    RETURN NULL;
END $$;

-- The ids of a page of what a user sees of an account, the newest first: `listed` is unread, all or
-- archived. Empty texts choose all kinds and hangars. The planner knows how large accounts are on
-- the average, and would read and sort all of a large one: it is left only the index in order.
-- Where not all of an account is chosen, and where others have more of their own there than a page
-- holds, the newest of each kind and state are put together: what is rare is not looked for among
-- the rest.
CREATE OR REPLACE FUNCTION realtime.notification_page(owner text, viewer text, hidden text[], listed text, only_kind text, only_hangar text, before bigint, most bigint)
RETURNS SETOF bigint LANGUAGE plpgsql STABLE ROWS 50 SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    -- of the indexes: unread, otherwise open, archived
    states integer[] := CASE listed WHEN 'unread' THEN '{0}' WHEN 'archived' THEN '{2}' ELSE '{0,1}' END;
BEGIN
    IF only_hangar <> '' THEN
        RETURN QUERY SELECT p.id FROM realtime.notification_counts c CROSS JOIN unnest(states) AS s(state) CROSS JOIN LATERAL (
            SELECT n.id FROM realtime.notifications n
            WHERE n.owner_id = owner AND n.facts->>'hangarId' = only_hangar AND coalesce(n.user_id, '') = c.user_id AND n.kind = c.kind AND n.id < before
                AND CASE WHEN n.archived_at IS NOT NULL THEN 2 WHEN n.read_at IS NULL AND n.resolved_at IS NULL THEN 0 ELSE 1 END = s.state
            ORDER BY n.id DESC LIMIT most) p
        WHERE c.owner_id = owner AND c.user_id IN ('', viewer) AND (only_kind = '' OR c.kind = only_kind) AND c.kind <> ALL (hidden)
        ORDER BY p.id DESC LIMIT most;
    ELSIF only_kind <> '' OR hidden <> '{}' OR most < (SELECT sum(c.total) FROM realtime.notification_counts c
            WHERE c.owner_id = owner AND c.user_id <> '' AND c.user_id <> viewer) THEN
        RETURN QUERY SELECT p.id FROM realtime.notification_counts c CROSS JOIN unnest(states) AS s(state) CROSS JOIN LATERAL (
            SELECT n.id FROM realtime.notifications n
            WHERE n.owner_id = owner AND coalesce(n.user_id, '') = c.user_id AND n.kind = c.kind AND n.id < before
                AND CASE WHEN n.archived_at IS NOT NULL THEN 2 WHEN n.read_at IS NULL AND n.resolved_at IS NULL THEN 0 ELSE 1 END = s.state
            ORDER BY n.id DESC LIMIT most) p
        WHERE c.owner_id = owner AND c.user_id IN ('', viewer) AND (only_kind = '' OR c.kind = only_kind) AND c.kind <> ALL (hidden)
        ORDER BY p.id DESC LIMIT most;
    ELSIF listed = 'unread' THEN
        RETURN QUERY SELECT n.id FROM realtime.notifications n
        WHERE n.owner_id = owner AND n.read_at IS NULL AND n.archived_at IS NULL AND n.resolved_at IS NULL AND n.id < before
            AND (n.user_id IS NULL OR n.user_id = viewer)
        ORDER BY n.id DESC LIMIT most;
    ELSIF listed = 'archived' THEN
        RETURN QUERY SELECT n.id FROM realtime.notifications n
        WHERE n.owner_id = owner AND n.archived_at IS NOT NULL AND n.id < before AND (n.user_id IS NULL OR n.user_id = viewer)
        ORDER BY n.id DESC LIMIT most;
    ELSE
        RETURN QUERY SELECT n.id FROM realtime.notifications n
        WHERE n.owner_id = owner AND n.archived_at IS NULL AND n.id < before AND (n.user_id IS NULL OR n.user_id = viewer)
        ORDER BY n.id DESC LIMIT most;
    END IF;
END $$;

-- The ids of what changed in an account after a revision, as a user may see it, in the order of the
-- changes: the next of each kind are put together, so that no row of others, and none of a kind
-- that the user hides, is looked at.
CREATE OR REPLACE FUNCTION realtime.notification_changes(owner text, viewer text, hidden text[], since bigint, most bigint)
RETURNS SETOF bigint LANGUAGE plpgsql STABLE ROWS 50 SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
BEGIN
    RETURN QUERY SELECT p.id FROM realtime.notification_counts c CROSS JOIN LATERAL (
        SELECT n.id, n.revision FROM realtime.notifications n
        WHERE n.owner_id = owner AND coalesce(n.user_id, '') = c.user_id AND n.kind = c.kind AND n.revision > since
        ORDER BY n.revision LIMIT most) p
    WHERE c.owner_id = owner AND c.user_id IN ('', viewer) AND c.kind <> ALL (hidden)
    ORDER BY p.revision, p.id LIMIT most;
END $$;

-- How many of an account's unread notifications a user has not seen, of `unread` that they may see:
-- those with news after `seen` that happened after `since`. Who saw none of them has all unseen.
-- Otherwise they are counted in the index, for the same reason as above.
CREATE OR REPLACE FUNCTION realtime.count_unseen(owner text, viewer text, hidden text[], seen bigint, since timestamptz, unread bigint)
RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
BEGIN
    IF unread = 0 THEN
        RETURN 0;
    ELSIF since = '-infinity' AND seen < (SELECT n.news FROM realtime.notifications n
            WHERE n.owner_id = owner AND n.read_at IS NULL AND n.archived_at IS NULL AND n.resolved_at IS NULL ORDER BY n.news LIMIT 1) THEN
        RETURN unread;
    END IF;
    RETURN (SELECT count(*) FROM realtime.notifications n
        WHERE n.owner_id = owner AND n.read_at IS NULL AND n.archived_at IS NULL AND n.resolved_at IS NULL AND n.news > seen
            AND n.happened_at > since AND (n.user_id IS NULL OR n.user_id = viewer) AND n.kind <> ALL (hidden));
END $$;
