-- The triggers on hangar_owners: who owns an account. A change concerns those who are watching it.

CREATE OR REPLACE FUNCTION realtime.define_owner_triggers(owners regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $define$
DECLARE
    old text := realtime.rows_sql(owners, 'old_rows');
    new text := realtime.rows_sql(owners, 'new_rows');
    id text := realtime.id_sql(owners, 'r', 'id');
BEGIN
    PERFORM realtime.define_trigger_function('owners_updated', realtime.fill($t$
            INSERT INTO realtime.events (owner_id, type)
            SELECT {id}, 'access' FROM (SELECT id, user_id FROM {new} n EXCEPT SELECT id, user_id FROM {old} o) r
            UNION SELECT {id}, 'access' FROM (SELECT id, user_id FROM {old} o EXCEPT SELECT id, user_id FROM {new} n) r;
            IF FOUND THEN PERFORM realtime.ring(); END IF;$t$, 'old', old, 'new', new, 'id', id));
    PERFORM realtime.define_trigger_function('owners_deleted', realtime.fill($t$
            INSERT INTO realtime.events (owner_id, type) SELECT {id}, 'access' FROM {old} r;
            IF FOUND THEN PERFORM realtime.ring(); END IF;$t$, 'old', old, 'id', id));
END $define$;

CREATE OR REPLACE FUNCTION realtime.owner_triggers(owners regclass) RETURNS TABLE (rel regclass, name text, clause text, function text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT f, 'realtime_' || t.name, t.clause, t.function FROM realtime.family(owners) f, (VALUES
        ('updated', 'AFTER UPDATE ON {table} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT', 'owners_updated'),
        ('deleted', 'AFTER DELETE ON {table} REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT', 'owners_deleted'),
        ('truncated', 'AFTER TRUNCATE ON {table} FOR EACH STATEMENT', 'truncated')) t(name, clause, function);
END $$;
