-- The trigger on users: who is no user of the portal any more is no member of an account either.
-- Those who watch the accounts that were shared with them are asked again.

CREATE OR REPLACE FUNCTION realtime.define_user_triggers(users regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $define$
BEGIN
    PERFORM realtime.define_trigger_function('users_deleted', realtime.fill($t$
            INSERT INTO realtime.events (owner_id, type)
            SELECT DISTINCT m.owner_id, 'access' FROM {old} r JOIN realtime.members m ON m.user_id = {id};
            IF FOUND THEN PERFORM realtime.ring(); END IF;$t$,
        'old', realtime.rows_sql(users, 'old_rows'), 'id', realtime.id_sql(users, 'r', 'id')));
END $define$;

CREATE OR REPLACE FUNCTION realtime.user_triggers(users regclass) RETURNS TABLE (rel regclass, name text, clause text, function text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT f, 'realtime_deleted', 'AFTER DELETE ON {table} REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT', 'users_deleted'
    FROM realtime.family(users) f;
END $$;
