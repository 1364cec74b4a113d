-- Trends: what an owner earned, sold and was booked, by day, week and month, so that a question
-- costs nothing in history. Only servers write it; triggers do nothing for it.

-- +goose Up

-- What each booking contributes. Every instant is UTC, a date its midnight there; null is what does
-- not count, is missing, infinite or not within the years that are told. A day is the number of a
-- local date, 0 is 1970-01-01, in the zone that the mark was made for. `span` is the number of days
-- within which all of it lies, rounded up to one of a few: so an index finds the bookings of a time.
CREATE TABLE realtime.trend_bookings (
    booking_id    text PRIMARY KEY,
    hangar_id     text NOT NULL,
    created_at    timestamp, -- unless cancelled
    paid_at       timestamp, -- if paid, and not cancelled
    cancelled_at  timestamp,
    stay_in       timestamp, -- while confirmed, active or completed
    stay_out      timestamp,
    price         numeric,
    nights        integer,
    created_day   integer,
    paid_day      integer,
    cancelled_day integer,
    in_day        integer,
    end_day       integer,   -- the first day whose night is not sold any more
    first_at      timestamp NOT NULL,
    last_at       timestamp NOT NULL,
    span          integer NOT NULL
) WITH (vacuum_truncate = false, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
CREATE INDEX trend_bookings_span ON realtime.trend_bookings (hangar_id, span, last_at);

-- Their sums by hangar. `level` is 1 for days, 2 for weeks, 3 for months; `bucket` is the number of
-- the day, of the week (0 begins on Monday, 1969-12-29) or of the month (0 is January of year 0).
CREATE TABLE realtime.trend_sums (
    hangar_id   text,
    level       smallint,
    bucket      integer,
    revenue     numeric NOT NULL,
    paid        bigint NOT NULL,
    created     bigint NOT NULL,
    cancelled   bigint NOT NULL,
    arrivals    bigint NOT NULL,
    nights      bigint NOT NULL, -- of the created ones whose nights are known
    with_nights bigint NOT NULL, -- how many these are
    PRIMARY KEY (hangar_id, level, bucket)
) WITH (fillfactor = 70, vacuum_truncate = false);

-- By how many the stays of a night grow from one day to the next: an element for each day of a
-- month. `total` is their sum.
CREATE TABLE realtime.trend_turns (
    hangar_id text,
    month     integer,
    total     integer NOT NULL,
    turns     integer[] NOT NULL,
    PRIMARY KEY (hangar_id, month)
) WITH (fillfactor = 70, vacuum_truncate = false);

-- The newest mark says of which snapshot all of it is, as in ledger_marks; `place` names the zone
-- and its changes, too.
CREATE TABLE realtime.trend_marks (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    after      pg_snapshot NOT NULL,
    generation bigint NOT NULL,
    faults     bigint NOT NULL,
    place      text NOT NULL
) WITH (vacuum_truncate = false);

-- Counted up by what has a reason to distrust the trends. What writes them holds a lock on it.
-- `since` is from when on cancellations and capacity are noted.
CREATE TABLE realtime.trend_generation (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    number   bigint NOT NULL DEFAULT 1,
    since    timestamptz NOT NULL DEFAULT now()
);
INSERT INTO realtime.trend_generation DEFAULT VALUES;

-- When a booking became cancelled, as the log told; of before, its last change.
CREATE TABLE realtime.cancellations (
    booking_id   text PRIMARY KEY,
    cancelled_at timestamptz NOT NULL
);

-- What a hangar offers, from when on. `initial` is what was there when this began to be noted: it
-- stands for all the time before, too.
CREATE TABLE realtime.capacity (
    hangar_id text,
    since     timestamptz,
    spaces    integer NOT NULL,
    published boolean NOT NULL,
    initial   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (hangar_id, since)
);

-- +goose Down
DROP TABLE realtime.trend_bookings, realtime.trend_sums, realtime.trend_turns, realtime.trend_marks, realtime.trend_generation,
    realtime.cancellations, realtime.capacity;
