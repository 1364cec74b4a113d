-- Notifications that the members of an account share, and what of them leaves the house. Ids of
-- owners and users are text here, like everywhere in this schema. No name of a guest is kept:
-- names are joined when a notification is read.

-- +goose Up

-- A notification of an account, or, with user_id, of one of its users alone. `key` says what it is
-- about, once; `group_key` into which row what comes later is counted while that is unread. `news`
-- is the revision with which it was last made or counted up, `revision` that of its last change.
CREATE TABLE realtime.notifications (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner_id    text NOT NULL,
    user_id     text,
    kind        text NOT NULL,
    key         text NOT NULL,
    group_key   text NOT NULL,
    count       integer NOT NULL DEFAULT 1 CHECK (count > 0),
    severity    smallint NOT NULL DEFAULT 0 CHECK (severity BETWEEN 0 AND 2), -- info, attention, urgent
    facts       json NOT NULL DEFAULT '{}' CHECK (octet_length(facts::text) <= 2048), -- ids, numbers, dates
    revision    bigint NOT NULL,
    news        bigint NOT NULL,
    happened_at timestamptz NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    read_at     timestamptz,
    read_by     text,
    archived_at timestamptz,
    archived_by text,
    resolved_at timestamptz,
    expires_at  timestamptz NOT NULL DEFAULT now() + interval '180 days'
) WITH (fillfactor = 80, vacuum_truncate = false, autovacuum_vacuum_scale_factor = 0.05);
CREATE UNIQUE INDEX notifications_key ON realtime.notifications (owner_id, coalesce(user_id, ''), key);
CREATE INDEX notifications_revision ON realtime.notifications (owner_id, revision);
CREATE INDEX notifications_list ON realtime.notifications (owner_id, id) WHERE archived_at IS NULL;
CREATE INDEX notifications_unread ON realtime.notifications (owner_id, created_at)
    WHERE read_at IS NULL AND archived_at IS NULL AND resolved_at IS NULL;
CREATE INDEX notifications_group ON realtime.notifications (owner_id, group_key) WHERE resolved_at IS NULL;
CREATE INDEX notifications_conditions ON realtime.notifications (kind, group_key)
    WHERE resolved_at IS NULL AND kind IN ('overbooked', 'occupancy_low', 'invitation');
CREATE INDEX notifications_expire ON realtime.notifications (expires_at);

-- The newest revision of an account's notifications: who changes one holds this row's lock, so
-- revisions are in the order of commits. What changed at or before `floor` may have been removed.
CREATE TABLE realtime.notification_accounts (
    owner_id text PRIMARY KEY,
    revision bigint NOT NULL DEFAULT 0,
    floor    bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50, vacuum_truncate = false);

-- What each user has seen of an account's notifications, as a revision, and up to when they cleared
-- their own two lists of the page.
CREATE TABLE realtime.notification_views (
    owner_id      text NOT NULL,
    user_id       text NOT NULL,
    seen_through  bigint NOT NULL DEFAULT 0,
    cleared_until timestamptz,
    PRIMARY KEY (owner_id, user_id)
);

-- How far the log was read for notifications: up to a batch, with its mark and its history. It
-- advances in the transaction that writes what was made of it. `ran_at` is up to when what time
-- alone brings was looked at; `missed` counts what the log lost before it was read.
CREATE TABLE realtime.notifier (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    batch    bigint,
    mark     bigint NOT NULL DEFAULT 0,
    epoch    uuid,
    at       timestamptz NOT NULL DEFAULT now(),
    ran_at   timestamptz,
    behind   boolean NOT NULL DEFAULT false, -- rows were removed that had not been read
    missed   bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50, vacuum_truncate = false);
INSERT INTO realtime.notifier DEFAULT VALUES;

-- An account's own rules, where they differ from the defaults, and what each remembers.
CREATE TABLE realtime.rules (
    owner_id   text NOT NULL,
    kind       text NOT NULL,
    params     json NOT NULL DEFAULT '{}',
    enabled    boolean NOT NULL DEFAULT true,
    state      json NOT NULL DEFAULT '{}',
    changed_by text,
    changed_at timestamptz,
    PRIMARY KEY (owner_id, kind)
);

-- A user's own choices in an account, where they differ from the defaults.
CREATE TABLE realtime.preferences (
    user_id  text NOT NULL,
    owner_id text NOT NULL,
    kind     text NOT NULL,
    channel  text NOT NULL CHECK (channel IN ('inApp', 'push', 'mail')),
    mode     text NOT NULL CHECK (mode IN ('off', 'now', 'digest')),
    PRIMARY KEY (user_id, owner_id, kind, channel)
);
CREATE INDEX preferences_owner ON realtime.preferences (owner_id);

-- A user's own settings, whatever the account. Days of quiet_days are 0 (Sunday) to 6; null is
-- every day. `private` keeps names and amounts out of what leaves the house.
CREATE TABLE realtime.user_settings (
    user_id      text PRIMARY KEY,
    zone         text,
    lang         text CHECK (lang IN ('pt-BR', 'en', 'es')),
    quiet_from   time,
    quiet_to     time,
    quiet_days   smallint[],
    digest       text NOT NULL DEFAULT 'off' CHECK (digest IN ('off', 'day', 'week')),
    digest_at    time NOT NULL DEFAULT '08:00',
    paused_until timestamptz,
    private      boolean NOT NULL DEFAULT true
);

-- Browsers that take push messages. An endpoint is one browser, and has one user at a time.
CREATE TABLE realtime.push_subscriptions (
    id            text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    user_id       text NOT NULL,
    session_id    text,
    endpoint_hash bytea NOT NULL UNIQUE, -- SHA-256
    endpoint      text NOT NULL CHECK (octet_length(endpoint) <= 2048),
    p256dh        bytea NOT NULL,
    auth          bytea NOT NULL,
    key_id        text NOT NULL,
    label         text NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL DEFAULT now(),
    last_ok_at    timestamptz,
    failures      integer NOT NULL DEFAULT 0,
    disabled_at   timestamptz
);
CREATE INDEX push_subscriptions_user ON realtime.push_subscriptions (user_id);
CREATE INDEX push_subscriptions_session ON realtime.push_subscriptions (session_id);

-- What is to be sent, and how it ended. `target` is a push subscription's id, and empty for mail.
-- `opened_at` is a click on the push or on the mail's link, and nothing else.
CREATE TABLE realtime.deliveries (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notification_id bigint NOT NULL REFERENCES realtime.notifications ON DELETE CASCADE,
    user_id         text NOT NULL,
    channel         text NOT NULL CHECK (channel IN ('push', 'mail')),
    target          text NOT NULL DEFAULT '',
    not_before      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    attempts        integer NOT NULL DEFAULT 0,
    claimed_until   timestamptz,
    claim           uuid,
    done_at         timestamptz,
    outcome         text,
    code            integer,
    opened_at       timestamptz,
    UNIQUE (notification_id, user_id, channel, target)
) WITH (fillfactor = 70, vacuum_truncate = false, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX deliveries_due ON realtime.deliveries (not_before) WHERE done_at IS NULL;
CREATE INDEX deliveries_user ON realtime.deliveries (user_id, id);

-- Digests that were sent: once for each period.
CREATE TABLE realtime.digests (
    user_id  text NOT NULL,
    owner_id text NOT NULL,
    period   text NOT NULL,
    sent_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, owner_id, period)
);

-- What ends mails without a sign-in: of each only its SHA-256.
CREATE TABLE realtime.unsubscribe_tokens (
    hash       bytea PRIMARY KEY,
    user_id    text NOT NULL,
    scope      text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX unsubscribe_tokens_user ON realtime.unsubscribe_tokens (user_id);
CREATE INDEX unsubscribe_tokens_expire ON realtime.unsubscribe_tokens (expires_at);

-- +goose Down
DROP TABLE realtime.unsubscribe_tokens, realtime.digests, realtime.deliveries, realtime.push_subscriptions, realtime.user_settings,
    realtime.preferences, realtime.rules, realtime.notifier, realtime.notification_views, realtime.notification_accounts, realtime.notifications;
