-- Where the last event of an owner was, to the place within its batch.

-- +goose Up
ALTER TABLE realtime.last_events ADD COLUMN turn bigint;
UPDATE realtime.last_events SET turn = id;
ALTER TABLE realtime.last_events ALTER COLUMN turn SET NOT NULL;

-- +goose Down
ALTER TABLE realtime.last_events DROP COLUMN turn;
