-- Lists of notifications of one kind or one hangar, and of who does not see them all, that cost the
-- same however long the account's is: the newest of each kind and state are found by an index. The
-- number is the state: 0 is unread, 1 otherwise open, 2 archived.

-- +goose Up
CREATE INDEX notifications_kinds ON realtime.notifications (owner_id, coalesce(user_id, ''), kind,
    (CASE WHEN archived_at IS NOT NULL THEN 2 WHEN read_at IS NULL AND resolved_at IS NULL THEN 0 ELSE 1 END), id);
CREATE INDEX notifications_hangars ON realtime.notifications (owner_id, (facts->>'hangarId'), coalesce(user_id, ''), kind,
    (CASE WHEN archived_at IS NOT NULL THEN 2 WHEN read_at IS NULL AND resolved_at IS NULL THEN 0 ELSE 1 END), id) WHERE facts->>'hangarId' IS NOT NULL;

-- +goose Down
DROP INDEX realtime.notifications_hangars, realtime.notifications_kinds;
