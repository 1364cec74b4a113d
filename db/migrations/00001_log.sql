-- +goose Up

-- What makes this installation's positions its own: `epoch` is part of every event id;
-- `identity` names the cluster, the database and its timeline, so that a restored or
-- promoted copy gets an epoch of its own.
CREATE TABLE realtime.installation (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch        uuid NOT NULL DEFAULT gen_random_uuid(),
    identity     text NOT NULL DEFAULT '',
    -- Batches below this number are being removed: nothing is read from them any more.
    floor        bigint NOT NULL DEFAULT 0,
    -- Faults of our triggers that browsers were told of, and the transaction by whose end
    -- they are told again.
    faults_seen  bigint NOT NULL DEFAULT 0,
    faults_until xid8,
    baselined_at timestamptz -- when occupancy was first looked at
);
INSERT INTO realtime.installation DEFAULT VALUES;

-- The log. Triggers append to it inside the writer's own transaction; nobody ever updates a row.
-- `xid` and `id` are the transaction and the order of insertion; the order that readers see comes
-- from `batches`. owner_id is null for what concerns every owner. Truncating a heap tail takes a
-- lock that writers would wait for, hence vacuum_truncate.
CREATE TABLE realtime.events (
    xid      xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id       bigint GENERATED ALWAYS AS IDENTITY,
    owner_id text,
    type     text NOT NULL,
    data     json,
    at       timestamptz NOT NULL DEFAULT now()
) WITH (vacuum_truncate = false, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX events_xid ON realtime.events (xid);
CREATE INDEX events_owner ON realtime.events (owner_id, xid);

-- A batch is what became visible between two snapshots: one row numbers any count of events, and
-- only committed ones. A transaction is in exactly one batch, the first whose `after` sees it,
-- however late it commits. `bound` is the upper transaction id of `after`, for finding that batch.
CREATE TABLE realtime.batches (
    number   bigint PRIMARY KEY,
    before   pg_snapshot NOT NULL,
    after    pg_snapshot NOT NULL,
    bound    xid8 NOT NULL,
    at       timestamptz NOT NULL DEFAULT now()
) WITH (vacuum_truncate = false);
CREATE INDEX batches_bound ON realtime.batches (bound);
INSERT INTO realtime.batches (number, before, after, bound)
SELECT 0, s, s, pg_snapshot_xmax(s) FROM pg_current_snapshot() AS s;

-- The last event of an owner, kept when retention removes it ('' stands for events that
-- concern everybody).
CREATE TABLE realtime.last_events (
    owner_id text PRIMARY KEY,
    batch    bigint NOT NULL,
    id       bigint NOT NULL
);

-- Whether each hangar was occupied when last looked at, and by whom. Written by the server only.
CREATE TABLE realtime.occupancy (
    hangar_id text PRIMARY KEY,
    occupied  boolean NOT NULL,
    occupant  text
);

-- A deleted listing's owner and number: its bookings go after it, and their events still need both.
CREATE TABLE realtime.departed_hangars (
    hangar_id     text PRIMARY KEY,
    owner_id      text NOT NULL,
    hangar_number text
);

-- When a booking became paid, in a database whose bookings have no payment_date.
CREATE TABLE realtime.payments (
    booking_id text PRIMARY KEY,
    paid_at    timestamptz NOT NULL
);

-- Payouts to owners: a booking with paid_out_at is no longer pending; scheduled_on brings
-- the next payout forward.
CREATE TABLE realtime.payouts (
    booking_id   text PRIMARY KEY,
    owner_id     text NOT NULL,
    scheduled_on date,
    paid_out_at  timestamptz
);
CREATE INDEX payouts_scheduled ON realtime.payouts (owner_id, scheduled_on) WHERE paid_out_at IS NULL;

-- Faults of our triggers: a sequence, because it counts also in a transaction that could
-- write nothing else.
CREATE SEQUENCE realtime.faults MINVALUE 0 START 0;

-- Until when, in Unix milliseconds, the reader looks at the log by itself, so that nobody
-- need ring. A sequence, because everybody sees its present value, whatever their snapshot,
-- and nobody waits for it.
CREATE SEQUENCE realtime.awake;

-- +goose Down
DROP SEQUENCE realtime.faults, realtime.awake;
DROP TABLE realtime.payouts, realtime.payments, realtime.departed_hangars, realtime.occupancy,
    realtime.last_events, realtime.batches, realtime.events, realtime.installation;
