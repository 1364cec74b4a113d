-- What changed in an account after a revision, as one user may see it, without a row of others: the
-- next changes of each kind are found by an index.

-- +goose Up
CREATE INDEX notifications_changes ON realtime.notifications (owner_id, coalesce(user_id, ''), kind, revision);

-- +goose Down
DROP INDEX realtime.notifications_changes;
