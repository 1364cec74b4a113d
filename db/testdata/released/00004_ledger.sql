-- The ledger: what bookings contribute to an owner's numbers, so that the numbers cost nothing in history. Only servers
-- write it; triggers do no more than name, in every row of the log, the bookings that it is about.

-- +goose Up

-- One row per booking that counts for anything now or later. Every instant is UTC, a date its midnight there.
CREATE TABLE realtime.ledger (
    booking_id   text PRIMARY KEY,
    hangar_id    text NOT NULL,
    check_in     timestamp, -- while confirmed or active
    check_out    timestamp,
    created_at   timestamp, -- unless cancelled
    paid_at      timestamp, -- if paid
    price        numeric,
    pending      numeric,   -- completed, paid, not paid out
    counts_until timestamp NOT NULL -- later than this only `pending` counts
) WITH (vacuum_truncate = false, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
CREATE INDEX ledger_hangar ON realtime.ledger (hangar_id, counts_until);

-- The sum of `pending` by hangar. What is no number, and would stay in a sum for ever, is counted instead.
CREATE TABLE realtime.ledger_totals (
    hangar_id text PRIMARY KEY,
    pending   numeric NOT NULL,
    odd       bigint NOT NULL
) WITH (fillfactor = 50, vacuum_truncate = false);

-- The newest mark says what the ledger is: the state of the portal's tables that the snapshot `after` saw. It is void when the
-- generation, the count of trigger faults, the bookings' table or the cluster is another than it says.
CREATE TABLE realtime.ledger_marks (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    after      pg_snapshot NOT NULL,
    generation bigint NOT NULL,
    faults     bigint NOT NULL,
    place      text NOT NULL,
    floor      timestamp NOT NULL -- the ledger lacks what counted only before
) WITH (vacuum_truncate = false);

-- Whoever has a reason to distrust the ledger counts this up. Whoever writes the ledger holds a lock on it.
CREATE TABLE realtime.ledger_generation (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    number   bigint NOT NULL DEFAULT 1
);
INSERT INTO realtime.ledger_generation DEFAULT VALUES;

-- +goose StatementBegin
-- A role that serves without migrating has its rights on what is new as on what was there.
DO $$
DECLARE g record;
BEGIN
    FOR g IN SELECT format('GRANT %s ON ALL TABLES IN SCHEMA realtime TO %s', string_agg(a.privilege_type, ', '),
                           CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END) AS statement
             FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = 'realtime.batches'::regclass AND a.grantee <> c.relowner
             GROUP BY a.grantee LOOP
        EXECUTE g.statement;
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE realtime.ledger, realtime.ledger_totals, realtime.ledger_marks, realtime.ledger_generation;
