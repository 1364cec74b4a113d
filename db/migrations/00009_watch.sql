-- What servers look at each second: whether every trigger stands, on tables that are
-- still the same.

-- +goose Up

-- The portal's tables, by the names that we have for them: found once, by the search path
-- of the role that migrated.
CREATE TABLE realtime.portal_tables (
    name text PRIMARY KEY,
    rel  text NOT NULL -- with its schema, quoted
);

-- `family` are the tables with our triggers, partitions included; `faults` what is wrong
-- with these, as browsers were told; `shape` counts up whenever the columns that we read
-- are others than `columns` says.
CREATE TABLE realtime.watched (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    family   oid[] NOT NULL DEFAULT '{}',
    faults   text NOT NULL DEFAULT '',
    shape    bigint NOT NULL DEFAULT 0,
    columns  text NOT NULL DEFAULT ''
);
INSERT INTO realtime.watched DEFAULT VALUES;

-- Empty after a crash, like every unlogged table of the portal's, of which no trigger tells.
CREATE UNLOGGED TABLE realtime.not_crashed (only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row));

-- Where all tables are published, rows can only be removed from one that has a replica identity.
-- This one costs nothing when rows are inserted.
ALTER TABLE realtime.events REPLICA IDENTITY FULL;

-- +goose Down
ALTER TABLE realtime.events REPLICA IDENTITY DEFAULT;
DROP TABLE realtime.not_crashed, realtime.watched, realtime.portal_tables;
