-- Who may sign in and see what, beside the portal's own tables. Ids of users and owners are text
-- here, like everywhere in this schema. No secret is kept: of tokens and tickets only their
-- SHA-256, which finds them and cannot be turned back.

-- +goose Up

-- Users who may see an account that is not theirs by hangar_owners.user_id.
CREATE TABLE realtime.members (
    owner_id text NOT NULL,
    user_id  text NOT NULL,
    role     text NOT NULL CHECK (role IN ('owner', 'manager', 'viewer')),
    since    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner_id, user_id)
);
CREATE INDEX members_user ON realtime.members (user_id);

-- A session begins with a password and is carried on by refresh tokens, each of which serves once.
CREATE TABLE realtime.sessions (
    id         text PRIMARY KEY,
    user_id    text NOT NULL,
    expires_at timestamptz NOT NULL, -- with its newest refresh token
    ended_at   timestamptz           -- by a logout, or because a refresh token was used twice
);
CREATE INDEX sessions_user ON realtime.sessions (user_id);
CREATE INDEX sessions_expire ON realtime.sessions (expires_at);

CREATE TABLE realtime.refresh_tokens (
    hash       bytea PRIMARY KEY,
    session_id text NOT NULL REFERENCES realtime.sessions ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX refresh_tokens_session ON realtime.refresh_tokens (session_id);
CREATE INDEX refresh_tokens_expire ON realtime.refresh_tokens (expires_at);

-- Tokens of a user that belong to no session of ours, like the portal's, count only when
-- they were issued after this.
CREATE TABLE realtime.revocations (
    user_id    text PRIMARY KEY,
    not_before timestamptz NOT NULL
);

-- What a stream's address may carry instead of a token, once.
CREATE TABLE realtime.tickets (
    hash       bytea PRIMARY KEY,
    viewer     json NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX tickets_expire ON realtime.tickets (expires_at);

-- Sign-ins that went wrong, by the SHA-256 of an e-mail address or a network address.
CREATE TABLE realtime.failures (
    hash  bytea PRIMARY KEY,
    count int NOT NULL,
    until timestamptz NOT NULL -- the next attempt counts only then
);
CREATE INDEX failures_until ON realtime.failures (until);

-- +goose Down
DROP TABLE realtime.failures, realtime.tickets, realtime.revocations, realtime.refresh_tokens, realtime.sessions, realtime.members;
