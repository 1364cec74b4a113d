-- Devices that their users removed: a page that is opened on one does not bring it back.

-- +goose Up

-- `id` and `endpoint_hash` are what the device was known by in push_subscriptions. A row goes when the
-- user adds the device again.
CREATE TABLE realtime.removed_devices (
    id            text PRIMARY KEY,
    user_id       text NOT NULL,
    endpoint_hash bytea NOT NULL, -- SHA-256
    removed_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX removed_devices_user ON realtime.removed_devices (user_id);

-- +goose Down
DROP TABLE realtime.removed_devices;
