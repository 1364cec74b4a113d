-- Where the last event of an owner was, to the place within its batch; and what the triggers on our own tables did not see.

-- +goose Up
ALTER TABLE realtime.last_events ADD COLUMN turn bigint;
UPDATE realtime.last_events SET turn = id;
ALTER TABLE realtime.last_events ALTER COLUMN turn SET NOT NULL;

-- Everybody is asked again.
-- +goose StatementBegin
CREATE FUNCTION realtime.access_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO realtime.events (owner_id, type) VALUES ('', 'access');
    PERFORM realtime.ring();
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER members_emptied AFTER TRUNCATE ON realtime.members FOR EACH STATEMENT EXECUTE FUNCTION realtime.access_emptied();
CREATE TRIGGER sessions_emptied AFTER TRUNCATE ON realtime.sessions FOR EACH STATEMENT EXECUTE FUNCTION realtime.access_emptied();

-- A session that is removed before its end has ended.
-- +goose StatementBegin
CREATE FUNCTION realtime.session_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO realtime.events (owner_id, type, data) VALUES ('', 'access', json_build_object('userId', OLD.user_id));
    PERFORM realtime.ring();
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER session_removed AFTER DELETE ON realtime.sessions
    FOR EACH ROW WHEN (OLD.ended_at IS NULL AND OLD.expires_at > now()) EXECUTE FUNCTION realtime.session_removed();

-- +goose Down
DROP TRIGGER session_removed ON realtime.sessions;
DROP TRIGGER sessions_emptied ON realtime.sessions;
DROP TRIGGER members_emptied ON realtime.members;
DROP FUNCTION realtime.session_removed(), realtime.access_emptied();
ALTER TABLE realtime.last_events DROP COLUMN turn;
