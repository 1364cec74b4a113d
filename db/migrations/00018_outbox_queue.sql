-- The queue of the outbox in a total order, so that a claim begins where the former one ended. All
-- deliveries of one transaction are due at the same moment, which alone is no place to begin at.

-- +goose Up
CREATE INDEX deliveries_queue ON realtime.deliveries (not_before, id) WHERE done_at IS NULL;
DROP INDEX realtime.deliveries_due;

-- Each row is claimed soon after it was made, beside its neighbours: with room for that on its page
-- a claim enters nothing into the five indexes.
ALTER TABLE realtime.deliveries SET (fillfactor = 45);

-- +goose Down
ALTER TABLE realtime.deliveries SET (fillfactor = 70);
CREATE INDEX deliveries_due ON realtime.deliveries (not_before) WHERE done_at IS NULL;
DROP INDEX realtime.deliveries_queue;
