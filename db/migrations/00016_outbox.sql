-- What the outbox needs beside what notifications brought.

-- +goose Up

-- Before `next_at` a device gets no other message that is not urgent.
ALTER TABLE realtime.push_subscriptions ADD COLUMN next_at timestamptz;

-- What else waits for a user's device, however much was sent to it before.
CREATE INDEX deliveries_open ON realtime.deliveries (user_id, target) WHERE done_at IS NULL;

-- +goose Down
DROP INDEX realtime.deliveries_open;
ALTER TABLE realtime.push_subscriptions DROP COLUMN next_at;
