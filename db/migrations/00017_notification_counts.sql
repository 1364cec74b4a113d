-- Lists of notifications that cost the same however long they are: the counts are kept, and each
-- list has an index.

-- +goose Up

-- How many notifications of each kind an account has, and how many of them are unread; user_id is
-- empty for those of the account. Triggers on realtime.notifications keep it, in the transaction of
-- whatever writes them, so that it is right beside servers of every version.
CREATE TABLE realtime.notification_counts (
    owner_id text NOT NULL,
    user_id  text NOT NULL,
    kind     text NOT NULL,
    total    integer NOT NULL,
    unread   integer NOT NULL,
    PRIMARY KEY (owner_id, user_id, kind)
) WITH (fillfactor = 50, vacuum_truncate = false);

-- schema/functions/notifications.sql holds it from now on.
-- +goose StatementBegin
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
-- +goose StatementEnd

CREATE TRIGGER count_inserted AFTER INSERT ON realtime.notifications REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION realtime.count_notifications();
CREATE TRIGGER count_updated AFTER UPDATE ON realtime.notifications REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION realtime.count_notifications();
CREATE TRIGGER count_deleted AFTER DELETE ON realtime.notifications REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION realtime.count_notifications();
CREATE TRIGGER count_truncated AFTER TRUNCATE ON realtime.notifications
    FOR EACH STATEMENT EXECUTE FUNCTION realtime.count_notifications();

-- The triggers hold writers off until this is committed.
INSERT INTO realtime.notification_counts (owner_id, user_id, kind, total, unread)
SELECT owner_id, coalesce(user_id, ''), kind, count(*), count(*) FILTER (WHERE read_at IS NULL AND archived_at IS NULL AND resolved_at IS NULL)
FROM realtime.notifications GROUP BY 1, 2, 3;

-- What is unread in the order of the list, and in that of the news, which tells what a user has not
-- seen without reading the rows; and the archive.
CREATE INDEX notifications_open ON realtime.notifications (owner_id, id)
    WHERE read_at IS NULL AND archived_at IS NULL AND resolved_at IS NULL;
CREATE INDEX notifications_news ON realtime.notifications (owner_id, news) INCLUDE (user_id, kind, happened_at)
    WHERE read_at IS NULL AND archived_at IS NULL AND resolved_at IS NULL;
CREATE INDEX notifications_archive ON realtime.notifications (owner_id, id) WHERE archived_at IS NOT NULL;

-- What time told, until it is over.
CREATE INDEX notifications_times ON realtime.notifications (group_key, owner_id)
    WHERE resolved_at IS NULL AND kind IN ('arrives_tomorrow', 'leaves_today', 'payout_tomorrow', 'to_confirm', 'unpaid');

-- What was paid out to an account at a moment.
CREATE INDEX payouts_sent ON realtime.payouts (owner_id, paid_out_at) WHERE paid_out_at IS NOT NULL;

-- +goose Down
DROP INDEX realtime.payouts_sent, realtime.notifications_times, realtime.notifications_archive, realtime.notifications_news, realtime.notifications_open;
DROP TRIGGER count_truncated ON realtime.notifications;
DROP TRIGGER count_deleted ON realtime.notifications;
DROP TRIGGER count_updated ON realtime.notifications;
DROP TRIGGER count_inserted ON realtime.notifications;
DROP FUNCTION realtime.count_notifications();
DROP TABLE realtime.notification_counts;
