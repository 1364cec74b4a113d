-- The triggers on our own tables of members and sessions. Everybody who watches an account is asked
-- again when its members change, and everybody who has a session when it ends.

-- Rows say whose role it is, what it was and is, and which user of this server changed it. What
-- changes nothing about a role says only that access is to be asked again.
CREATE OR REPLACE FUNCTION realtime.member_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE actor text := nullif(current_setting('realtime.actor', true), '');
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (OLD.owner_id, OLD.user_id) = (NEW.owner_id, NEW.user_id) THEN
            INSERT INTO realtime.events (owner_id, type, data) VALUES (NEW.owner_id, 'access', CASE WHEN OLD.role <> NEW.role
                THEN json_build_object('member', NEW.user_id, 'was', OLD.role, 'role', NEW.role, 'by', actor) END);
            PERFORM realtime.ring();
            RETURN NULL;
        END IF;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO realtime.events (owner_id, type, data)
        VALUES (OLD.owner_id, 'access', json_build_object('member', OLD.user_id, 'was', OLD.role, 'by', actor));
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO realtime.events (owner_id, type, data)
        VALUES (NEW.owner_id, 'access', json_build_object('member', NEW.user_id, 'role', NEW.role, 'by', actor));
    END IF;
    PERFORM realtime.ring();
    RETURN NULL;
END $$;

-- No owner's, hence ''.
CREATE OR REPLACE FUNCTION realtime.user_signed_out() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO realtime.events (owner_id, type, data) VALUES ('', 'access', json_build_object('userId', NEW.user_id));
    PERFORM realtime.ring();
    RETURN NULL;
END $$;

-- A session that is removed before its end has ended.
CREATE OR REPLACE FUNCTION realtime.session_removed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO realtime.events (owner_id, type, data) VALUES ('', 'access', json_build_object('userId', OLD.user_id));
    PERFORM realtime.ring();
    RETURN NULL;
END $$;

-- Everybody is asked again.
CREATE OR REPLACE FUNCTION realtime.access_emptied() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO realtime.events (owner_id, type) VALUES ('', 'access');
    PERFORM realtime.ring();
    RETURN NULL;
END $$;

-- Conditions are written as PostgreSQL writes them, so that a trigger which is there is
-- known again.
CREATE OR REPLACE FUNCTION realtime.account_triggers() RETURNS TABLE (rel regclass, name text, clause text, function text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT t.rel::regclass, t.name, t.clause, t.function FROM (VALUES
        ('realtime.members', 'member_changed', 'AFTER INSERT OR DELETE OR UPDATE ON {table} FOR EACH ROW', 'member_changed'),
        ('realtime.members', 'members_emptied', 'AFTER TRUNCATE ON {table} FOR EACH STATEMENT', 'access_emptied'),
        ('realtime.sessions', 'session_ended', 'AFTER UPDATE OF ended_at ON {table} FOR EACH ROW '
            || 'WHEN (((old.ended_at IS NULL) AND (new.ended_at IS NOT NULL)))', 'user_signed_out'),
        ('realtime.sessions', 'session_removed', 'AFTER DELETE ON {table} FOR EACH ROW '
            || 'WHEN (((old.ended_at IS NULL) AND (old.expires_at > now())))', 'session_removed'),
        ('realtime.sessions', 'sessions_emptied', 'AFTER TRUNCATE ON {table} FOR EACH STATEMENT', 'access_emptied'),
        ('realtime.revocations', 'tokens_revoked', 'AFTER INSERT OR UPDATE ON {table} FOR EACH ROW', 'user_signed_out'))
        t(rel, name, clause, function);
END $$;
