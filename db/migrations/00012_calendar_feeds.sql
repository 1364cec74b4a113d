-- Feeds: addresses under which other calendars read the bookings of a hangar or of an account.

-- +goose Up

-- Of the secret in an address only its SHA-256 is kept. `revoked_at` is also when a feed was found
-- to have ended with its maker's membership.
CREATE TABLE realtime.calendar_feeds (
    hash       bytea PRIMARY KEY,
    owner_id   text NOT NULL,
    hangar_id  text, -- null is all of the account's
    detail     text NOT NULL CHECK (detail IN ('busy', 'full')),
    label      text NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    read_at    timestamptz,
    agent      text,
    revoked_at timestamptz
);
CREATE INDEX calendar_feeds_owner ON realtime.calendar_feeds (owner_id);

-- What events are named by in other calendars. Unlike the history it stays the same after
-- a restore.
ALTER TABLE realtime.installation ADD COLUMN name uuid NOT NULL DEFAULT gen_random_uuid();

-- +goose Down
ALTER TABLE realtime.installation DROP COLUMN name;
DROP TABLE realtime.calendar_feeds;
