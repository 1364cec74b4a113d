-- What tells one history from another that has the same numbers; transactions that are too large
-- for a batch of many; and whose the numbering is.

-- +goose Up

-- A batch and its mark. A log and an older copy of it that was put back and went on have batches
-- with the same number: at most one of them has the mark that a position carries. 0 are those from
-- before there were marks. `large` is the transaction of a batch that is a single large one.
ALTER TABLE realtime.batches ADD COLUMN mark bigint NOT NULL DEFAULT 0, ADD COLUMN large xid8;
ALTER TABLE realtime.batches ALTER COLUMN mark
    SET DEFAULT greatest(1, ('x' || left(gen_random_uuid()::text, 8))::bit(32)::bigint);
CREATE INDEX batches_large ON realtime.batches (number) WHERE large IS NOT NULL;
ALTER TABLE realtime.last_events ADD COLUMN mark bigint NOT NULL DEFAULT 0;

-- `ended` is the epoch that the server that numbers has to end: the log was found rolled
-- back, or a new history is wanted. `holder_pid` and `holder_since` name the session that
-- numbers, as pg_stat_activity does.
ALTER TABLE realtime.installation ADD COLUMN ended uuid, ADD COLUMN holder_pid integer, ADD COLUMN holder_since timestamptz;

-- The rows of one transaction, and of one owner in it, in order. A log that already has rows gets
-- these indexes later, while its writers go on: see db/indexes.go.
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM realtime.events) THEN
        SET LOCAL lock_timeout = '50ms';
        CREATE INDEX events_place ON realtime.events (xid, id);
        CREATE INDEX events_owner_place ON realtime.events (owner_id, xid, id);
        DROP INDEX realtime.events_xid, realtime.events_owner;
    END IF;
EXCEPTION WHEN lock_not_available THEN
    NULL;
END $$;
-- +goose StatementEnd

-- +goose Down
ALTER TABLE realtime.installation DROP COLUMN ended, DROP COLUMN holder_pid, DROP COLUMN holder_since;
ALTER TABLE realtime.last_events DROP COLUMN mark;
ALTER TABLE realtime.batches DROP COLUMN mark, DROP COLUMN large;
