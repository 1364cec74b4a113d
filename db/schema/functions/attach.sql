-- Installing and removing triggers. attach() reads the catalog and writes trigger functions for the
-- columns it finds. It is safe to call at any time, also after the portal changed its tables. It
-- changes nothing where nothing is different. detach() takes the triggers away.
--
-- The trigger functions obey four rules: statement level (one call for any number of rows); append,
-- ring, nothing else; take no lock that another transaction could hold for long; whatever goes
-- wrong is counted, and the writer's statement passes. They run with the rights of the role that
-- migrated, and see every row of its tables.

-- Writes one trigger function, unless it is there already: `body` runs in a
-- sub-transaction whose failure is counted and forgotten. What counts it is no statement:
-- the warning would carry its text to the writer.
CREATE OR REPLACE FUNCTION realtime.define_trigger_function(name text, body text, result text DEFAULT 'NULL') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $define$
DECLARE source text := realtime.fill($source$
        BEGIN
            {body}
            RETURN {result};
        EXCEPTION WHEN OTHERS THEN
            DECLARE
                told text;
            BEGIN
                told := realtime.fault(TG_NAME || ' on ' || TG_TABLE_NAME, SQLSTATE, SQLERRM);
            EXCEPTION WHEN OTHERS THEN
                NULL;
            END;
            RETURN {result};
        END $source$, 'body', body, 'result', result);
BEGIN
    IF NOT EXISTS (SELECT FROM pg_proc WHERE pronamespace = 'realtime'::regnamespace AND proname = name AND prosrc = source
                   AND prosecdef AND proconfig = ARRAY['search_path=pg_catalog, pg_temp']) THEN
        EXECUTE format('CREATE OR REPLACE FUNCTION realtime.%I() RETURNS trigger LANGUAGE plpgsql
            SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS %L', name, source);
        EXECUTE format('REVOKE EXECUTE ON FUNCTION realtime.%I() FROM PUBLIC', name);
    END IF;
END $define$;

-- Creates a trigger, unless it is there already: that locks the table against writers for
-- a moment. What a missing one would have logged is not known, so browsers are told
-- before anybody can write again.
CREATE OR REPLACE FUNCTION realtime.ensure_trigger(rel regclass, name text, clause text, function text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted text := format('CREATE TRIGGER %I %s EXECUTE FUNCTION realtime.%I()',
                          name, replace(clause, '{table}', realtime.qualified(rel)), function);
    found text := (SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = rel AND tgname = name);
BEGIN
    IF found = wanted THEN
        RETURN;
    END IF;
    IF found IS NOT NULL THEN
        EXECUTE format('DROP TRIGGER %I ON %s', name, realtime.qualified(rel));
    END IF;
    EXECUTE wanted;
    PERFORM realtime.invalidate_ledger();
    IF found IS NULL AND EXISTS (SELECT FROM realtime.watched WHERE family <> '{}') THEN
        PERFORM realtime.tell_all();
    END IF;
END $$;

-- A table of the portal, by the name that we have for it.
CREATE OR REPLACE FUNCTION realtime.portal_table(wanted text) RETURNS regclass
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT to_regclass(rel) FROM realtime.portal_tables WHERE name = wanted);
END $$;

-- Every trigger that has to stand. It locks nothing.
CREATE OR REPLACE FUNCTION realtime.wanted_triggers() RETURNS TABLE (rel regclass, name text, clause text, function text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT * FROM realtime.booking_triggers(realtime.portal_table('bookings'))
    UNION ALL SELECT * FROM realtime.listing_triggers(realtime.portal_table('hangar_listings'))
    UNION ALL SELECT * FROM realtime.owner_triggers(realtime.portal_table('hangar_owners'))
    UNION ALL SELECT * FROM realtime.user_triggers(realtime.portal_table('users'))
    UNION ALL SELECT * FROM realtime.payout_triggers()
    UNION ALL SELECT * FROM realtime.account_triggers();
END $$;

-- The columns that we read and their types, in one text.
CREATE OR REPLACE FUNCTION realtime.columns_read() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT string_agg(format('%s.%s %s%s', t.name, a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated), ', ' ORDER BY t.name, a.attname)
    FROM realtime.portal_tables t CROSS JOIN LATERAL (
        SELECT * FROM pg_attribute WHERE attrelid = to_regclass(t.rel) AND attnum > 0 AND NOT attisdropped OFFSET 0) a
    WHERE a.attname IN ('id', 'user_id', 'company_name', 'owner_id', 'hangar_number', 'icao_code', 'aerodrome_name', 'city', 'status',
        'is_available', 'daily_rate', 'total_spaces', 'hangar_id', 'check_in', 'check_out', 'nights', 'subtotal', 'fees', 'total_price',
        'payment_method', 'payment_date', 'created_at', 'updated_at', 'first_name', 'last_name', 'email', 'password_hash', 'role'));
END $$;

-- The tables that carry our triggers.
CREATE OR REPLACE FUNCTION realtime.family() RETURNS oid[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(DISTINCT rel::oid ORDER BY rel::oid) FROM realtime.wanted_triggers();
$$;

-- Writes down which tables these are: what their rows were is not known of those that came or went
-- without a trigger. A table that came is told of when it gets its triggers.
CREATE OR REPLACE FUNCTION realtime.note_tables() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    present oid[] := realtime.family();
    read text := realtime.columns_read();
    known realtime.watched;
BEGIN
    SELECT * INTO known FROM realtime.watched;
    IF known.family <> present OR known.columns <> read THEN
        UPDATE realtime.watched SET family = present, shape = shape + (columns <> read)::int, columns = read;
        IF NOT known.family <@ present OR known.columns <> read AND known.columns <> '' THEN
            PERFORM realtime.tell_all();
        END IF;
    END IF;
    INSERT INTO realtime.not_crashed SELECT WHERE NOT EXISTS (SELECT FROM realtime.not_crashed) ON CONFLICT DO NOTHING;
END $$;

-- Finds the portal's tables by the caller's search path, and puts triggers on them.
CREATE OR REPLACE PROCEDURE realtime.attach() LANGUAGE plpgsql AS $attach$
DECLARE
    bookings pg_catalog.regclass := realtime.business_table('bookings');
    listings pg_catalog.regclass := realtime.business_table('hangar_listings');
    owners   pg_catalog.regclass := realtime.business_table('hangar_owners');
    users    pg_catalog.regclass := realtime.business_table('users');
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    INSERT INTO realtime.portal_tables AS t
    SELECT v.name, realtime.qualified(v.rel)
    FROM (VALUES ('bookings', bookings), ('hangar_listings', listings), ('hangar_owners', owners), ('users', users)) v(name, rel)
    WHERE NOT EXISTS (SELECT FROM realtime.portal_tables p WHERE p.name = v.name AND p.rel = realtime.qualified(v.rel))
    ON CONFLICT (name) DO UPDATE SET rel = excluded.rel;
    CALL realtime.attach_again();
END $attach$;

-- Puts triggers on the portal's tables, whose names are known. One table after the other,
-- each in a transaction of its own: a writer who holds one of them and then needs another
-- must not wait for us while we wait for it. What commits can carry no SET clause, so
-- each transaction begins with the search path.
CREATE OR REPLACE PROCEDURE realtime.attach_again() LANGUAGE plpgsql AS $attach$
DECLARE
    bookings pg_catalog.regclass;
    listings pg_catalog.regclass;
    owners   pg_catalog.regclass;
    users    pg_catalog.regclass;
    tables   pg_catalog.regclass[];
    item     pg_catalog.regclass;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    bookings := realtime.portal_table('bookings');
    listings := realtime.portal_table('hangar_listings');
    owners := realtime.portal_table('hangar_owners');
    users := realtime.portal_table('users');
    IF num_nulls(bookings, listings, owners, users) > 0 THEN
        RAISE EXCEPTION 'a table of the portal''s is missing: %', (SELECT string_agg(rel, ', ') FROM realtime.portal_tables WHERE to_regclass(rel) IS NULL)
            USING HINT = 'If it has another name now, run `hangarshare migrate`.';
    END IF;
    PERFORM realtime.define_trigger_function('truncated', 'PERFORM realtime.tell_all();');
    PERFORM realtime.define_booking_triggers(bookings, listings, users);
    PERFORM realtime.define_listing_triggers(listings, bookings, users);
    PERFORM realtime.define_owner_triggers(owners);
    PERFORM realtime.define_user_triggers(users);
    PERFORM realtime.define_payout_triggers(bookings, listings);
    tables := ARRAY(SELECT w.rel FROM realtime.wanted_triggers() WITH ORDINALITY w(rel, name, clause, function, place)
                    GROUP BY w.rel ORDER BY min(w.place));
    COMMIT;
    FOREACH item IN ARRAY tables LOOP
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        PERFORM realtime.ensure_trigger(w.rel, w.name, w.clause, w.function) FROM realtime.wanted_triggers() w WHERE w.rel = item;
        COMMIT;
    END LOOP;
    CALL realtime.detach(tables); -- a table that bookings moved away from keeps no trigger of ours
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    PERFORM realtime.note_tables();
    COMMIT;
END $attach$;

-- Removes our triggers from every table but those given, also one table after the other. What
-- counts notifications stays on their table and goes with it.
CREATE OR REPLACE PROCEDURE realtime.detach(keep regclass[] DEFAULT '{}') LANGUAGE plpgsql AS $detach$
DECLARE drops text;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    FOREACH drops IN ARRAY ARRAY(
            SELECT string_agg(format('DROP TRIGGER %I ON %s', tg.tgname, realtime.qualified(tg.tgrelid)), '; ')
            FROM pg_catalog.pg_trigger tg JOIN pg_catalog.pg_proc p ON p.oid = tg.tgfoid
            WHERE p.pronamespace = 'realtime'::regnamespace AND NOT tg.tgisinternal AND tg.tgparentid = 0
                AND tg.tgrelid <> ALL (keep) AND tg.tgrelid IS DISTINCT FROM to_regclass('realtime.notifications')::oid GROUP BY tg.tgrelid) LOOP
        EXECUTE drops;
        COMMIT;
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    END LOOP;
END $detach$;
