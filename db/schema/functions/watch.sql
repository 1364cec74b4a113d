-- Looking after the triggers while servers run. Every server does so each second: what this calls
-- is in PL/pgSQL, which plans a query once for a session. An SQL function is planned at each call.

-- What stands between the portal's writers and the log: triggers that are missing, or disabled, and
-- whether attach() has something to do. shape is the number of the shape that the portal's tables
-- have. columns names those that they have at this moment, of which attach() may not know yet. What
-- is found is told to browsers once, when it begins, and again when triggers that were disabled by
-- hand stand again. Where nothing may be written it only looks. present is what family() says,
-- which would ask once more.
CREATE OR REPLACE FUNCTION realtime.watch(OUT missing text[], OUT disabled text[], OUT outdated boolean, OUT shape bigint, OUT columns text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known realtime.watched;
    read text := coalesce(realtime.columns_read(), '');
    present oid[];
    wrong text;
BEGIN
    SELECT * INTO known FROM realtime.watched;
    shape := known.shape;
    columns := md5(read);
    SELECT coalesce(array_agg(format('%s on %s', w.name, w.rel) ORDER BY w.rel, w.name) FILTER (WHERE t.oid IS NULL), '{}'),
           coalesce(array_agg(format('%s on %s', w.name, w.rel) ORDER BY w.rel, w.name) FILTER (WHERE t.tgenabled NOT IN ('O', 'A')), '{}'),
           coalesce(array_agg(DISTINCT w.rel::oid ORDER BY w.rel::oid), '{}')
    INTO missing, disabled, present
    FROM realtime.wanted_triggers() w
    LEFT JOIN LATERAL (SELECT g.oid, tgenabled FROM pg_trigger g WHERE tgrelid = w.rel AND tgname = w.name OFFSET 0) t ON true;
    missing := missing || ARRAY(SELECT format('the table %s', rel) FROM realtime.portal_tables WHERE to_regclass(rel) IS NULL ORDER BY rel);
    outdated := known.family <> present OR known.columns <> read;
    IF pg_is_in_recovery() THEN
        RETURN;
    END IF;
    wrong := concat_ws(', ', nullif('missing: ' || array_to_string(missing, ', '), 'missing: '),
                             nullif('disabled: ' || array_to_string(disabled, ', '), 'disabled: '));
    IF known.faults <> wrong THEN
        UPDATE realtime.watched SET faults = wrong WHERE faults <> wrong;
        IF FOUND AND (wrong <> '' OR known.faults LIKE '%disabled: %') THEN
            PERFORM realtime.tell_all();
        END IF;
    END IF;
    -- A crash empties unlogged tables, and runs no trigger.
    IF NOT EXISTS (SELECT FROM realtime.not_crashed) THEN
        INSERT INTO realtime.not_crashed DEFAULT VALUES ON CONFLICT DO NOTHING;
        IF FOUND AND EXISTS (SELECT FROM pg_class WHERE oid = ANY (known.family) AND relpersistence = 'u') THEN
            PERFORM realtime.tell_all();
        END IF;
    END IF;
END $$;
