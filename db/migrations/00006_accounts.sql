-- Sharing an account is an invitation that its user accepts, and refresh tokens are signed.

-- +goose Up

-- Who was asked to see an account, by e-mail address: whose that is shows when a user with that
-- address reads it. What is past its end counts for nothing and is swept away.
CREATE TABLE realtime.invitations (
    id         text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    owner_id   text NOT NULL,
    email      text NOT NULL,
    role       text NOT NULL CHECK (role IN ('owner', 'manager', 'viewer')),
    invited_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL DEFAULT now() + interval '14 days'
);
-- Addresses are alike in upper and lower case of ASCII only, which is what lower()
-- changes under "C": in Unicode an address of another may become alike (a Kelvin
-- sign is a k in lower case).
CREATE UNIQUE INDEX invitations_owner ON realtime.invitations (owner_id, pg_catalog.lower(email COLLATE "C"));
CREATE INDEX invitations_email ON realtime.invitations (pg_catalog.lower(email COLLATE "C"));
CREATE INDEX invitations_expire ON realtime.invitations (expires_at);

-- Which refresh token of a session is its newest: tokens name it and are signed, so none
-- is kept. Servers of the version before still keep theirs in refresh_tokens, which goes
-- with a later migration.
ALTER TABLE realtime.sessions ADD COLUMN turn bigint NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE realtime.sessions DROP COLUMN turn;
DROP TABLE realtime.invitations;
