-- Who may sign in and see what, beside the portal's own tables. Ids of users and owners are text here, like everywhere in
-- this schema. No secret is kept: of tokens and tickets only their SHA-256, which finds them and cannot be turned back.

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

-- Tokens of a user that belong to no session of ours, like the portal's, count only when they were issued after this.
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

-- Whoever watches an account is asked again when its members change, and whoever has a session when it ends.
-- +goose StatementBegin
CREATE FUNCTION realtime.member_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO realtime.events (owner_id, type) VALUES (OLD.owner_id, 'access');
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO realtime.events (owner_id, type) VALUES (NEW.owner_id, 'access');
    END IF;
    PERFORM realtime.ring();
    RETURN NULL;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION realtime.user_signed_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO realtime.events (owner_id, type, data) VALUES ('', 'access', json_build_object('userId', NEW.user_id)); -- no owner's
    PERFORM realtime.ring();
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER member_changed AFTER INSERT OR UPDATE OR DELETE ON realtime.members
    FOR EACH ROW EXECUTE FUNCTION realtime.member_changed();
CREATE TRIGGER session_ended AFTER UPDATE OF ended_at ON realtime.sessions
    FOR EACH ROW WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION realtime.user_signed_out();
CREATE TRIGGER tokens_revoked AFTER INSERT OR UPDATE ON realtime.revocations
    FOR EACH ROW EXECUTE FUNCTION realtime.user_signed_out();

-- As before, and it leaves alone what is not called realtime_: the triggers above stay when the portal's tables change.
-- +goose StatementBegin
CREATE OR REPLACE PROCEDURE realtime.detach(keep regclass[] DEFAULT '{}') LANGUAGE plpgsql AS $detach$
DECLARE t record;
BEGIN
    FOR t IN SELECT string_agg(format('DROP TRIGGER %I ON %s', tg.tgname, realtime.qualified(tg.tgrelid)), '; ') AS drops
             FROM pg_catalog.pg_trigger tg JOIN pg_catalog.pg_proc p ON p.oid = tg.tgfoid
             WHERE p.pronamespace = 'realtime'::regnamespace AND NOT tg.tgisinternal AND tg.tgparentid = 0
               AND tg.tgname LIKE 'realtime\_%' AND tg.tgrelid <> ALL (keep) GROUP BY tg.tgrelid LOOP
        EXECUTE t.drops;
        COMMIT;
    END LOOP;
END $detach$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE realtime.failures, realtime.tickets, realtime.revocations, realtime.refresh_tokens, realtime.sessions, realtime.members;
