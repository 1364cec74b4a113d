-- What the outbox looks for again and again, by an index each: what is kept of digests and removed
-- devices for too long, and who wants digests.

-- +goose Up
CREATE INDEX digests_sent ON realtime.digests (sent_at);
CREATE INDEX removed_devices_removed ON realtime.removed_devices (removed_at);
CREATE INDEX user_settings_digest ON realtime.user_settings (user_id) WHERE digest <> 'off';

-- +goose Down
DROP INDEX realtime.user_settings_digest;
DROP INDEX realtime.removed_devices_removed;
DROP INDEX realtime.digests_sent;
