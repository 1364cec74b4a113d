-- What servers tell each other of the log is sealed: LISTEN needs no right, and a message
-- names guests.

-- +goose Up

-- The secret from which servers derive their keys: 32 bytes out of 366 random bits. Only roles that
-- may read our tables have it.
ALTER TABLE realtime.installation ADD COLUMN relay_key bytea NOT NULL
    DEFAULT sha256(convert_to(gen_random_uuid()::text || gen_random_uuid() || gen_random_uuid(), 'UTF8'));

-- +goose Down
ALTER TABLE realtime.installation DROP COLUMN relay_key;
