-- The triggers on the portal's tables, and the functions that install and remove them.
--
-- attach() reads the catalog and writes trigger functions for the columns it finds; it is safe to call at any
-- time, also after the portal changed its tables. detach() takes the triggers away. The trigger functions obey
-- four rules: statement level (one call for any number of rows); append, ring, nothing else; take no lock that
-- another transaction could hold for long; whatever goes wrong is counted, and the writer's statement passes.
-- They run with the rights of the role that migrated, and see every row of its tables.

-- +goose Up
-- +goose StatementBegin
-- A doorbell, not a parcel: PostgreSQL folds equal notifications of one transaction into one. Notifying writers commit one
-- after the other, so nobody rings while the reader is awake anyway.
CREATE FUNCTION realtime.ring() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF (pg_catalog.pg_sequence_last_value('realtime.awake'::regclass)
            > pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000) IS NOT TRUE THEN
        PERFORM pg_catalog.pg_notify('realtime', '');
    END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION realtime.fault(place text, code text, message text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.nextval('realtime.faults');
    RAISE WARNING 'HangarShare Realtime could not log a change (%): % [%]', place, message, code
        USING HINT = 'The statement itself went through. Browsers are told to load their numbers again.';
    PERFORM realtime.ring();
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION realtime.has_column(rel regclass, col text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute
                   WHERE attrelid = rel AND attname = col AND attnum > 0 AND NOT attisdropped);
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- An expression for a column as an instant: timestamps without a zone are UTC.
CREATE FUNCTION realtime.instant_sql(rel regclass, alias text, col text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN atttypid = 'timestamptz'::regtype THEN format('%s.%I', alias, col)
                ELSE format('(%s.%I::timestamp AT TIME ZONE ''UTC'')', alias, col) END
    FROM pg_catalog.pg_attribute WHERE attrelid = rel AND attname = col;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- A text as a value to compare with the table's id; null where the text cannot be one.
CREATE FUNCTION realtime.key_sql(rel regclass, value text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT replace(CASE
        WHEN atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) THEN
            'CASE WHEN {v} ~ ''^-?[0-9]{1,18}$'' THEN {v}::bigint END'
        WHEN atttypid = 'uuid'::regtype THEN
            'CASE WHEN {v} ~ ''^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'' THEN {v}::uuid END'
        WHEN typcategory = 'S' THEN '{v}'
        ELSE 'NULL' END, '{v}', value)
    FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_type t ON t.oid = atttypid WHERE attrelid = rel AND attname = 'id';
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- A table's name as it must be written anywhere, whatever the search path; an error that says what to do when it is missing.
CREATE FUNCTION realtime.business_table(name text) RETURNS regclass LANGUAGE plpgsql STABLE AS $$
DECLARE rel regclass := to_regclass(name);
BEGIN
    IF name = 'bookings' AND (SELECT relkind FROM pg_class WHERE oid = rel) = 'v' THEN
        RETURN realtime.business_table('hangar_bookings');
    END IF;
    IF rel IS NULL THEN
        RAISE EXCEPTION 'the table "%" does not exist in this database', name
            USING HINT = 'Point DATABASE_URL at the portal''s database; if its tables are in another schema, add search_path to the URL.';
    END IF;
    RETURN rel;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION realtime.qualified(rel regclass) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('%I.%I', n.nspname, c.relname)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = rel;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Writes one trigger function: `body` runs in a sub-transaction whose failure is counted and forgotten.
CREATE FUNCTION realtime.define_trigger_function(name text, body text, result text DEFAULT 'NULL') RETURNS void LANGUAGE plpgsql AS $define$
BEGIN
    EXECUTE format($outer$
        CREATE OR REPLACE FUNCTION realtime.%1$I() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $trigger$
        BEGIN
            %2$s
            RETURN %3$s;
        EXCEPTION WHEN OTHERS THEN
            BEGIN
                PERFORM realtime.fault(TG_NAME || ' on ' || TG_TABLE_NAME, SQLSTATE, SQLERRM);
            EXCEPTION WHEN OTHERS THEN
                NULL;
            END;
            RETURN %3$s;
        END $trigger$ $outer$, name, body, result);
END $define$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION realtime.ensure_trigger(rel regclass, name text, clause text, function text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Creating a trigger locks the table against writers for a moment: only when it is missing.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = rel AND tgname = name) THEN
        EXECUTE format('CREATE TRIGGER %I %s EXECUTE FUNCTION realtime.%I()',
                       name, replace(clause, '{table}', realtime.qualified(rel)), function);
        UPDATE realtime.ledger_generation SET number = number + 1; -- what it would have logged is not known
    END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Expressions over a row of bookings with alias `r`: {r} in the templates below.
CREATE FUNCTION realtime.booking_json(r text, status text, extra text, hangar_number text DEFAULT '{r}l.hangar_number::text, {r}d.hangar_number')
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT replace(replace(replace(replace($t$json_build_object(
        'bookingId', {r}.id::text, 'hangarId', {r}.hangar_id::text,
        'hangarNumber', coalesce({number}, ''),
        'guestName', btrim(concat_ws(' ', {r}u.first_name, {r}u.last_name)),
        'amount', coalesce(round({r}.total_price::numeric, 2), 0), 'duration', coalesce({r}.nights, 0),
        'checkIn', {r}.check_in, 'checkOut', {r}.check_out, 'status', {status}{extra})$t$,
        '{number}', hangar_number), '{status}', status), '{extra}', extra), '{r}', r);
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION realtime.payment_json(r text, hangar_number text DEFAULT '{r}l.hangar_number::text, {r}d.hangar_number')
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT replace(replace($t$json_build_object('bookingId', {r}.id::text, 'hangarId', {r}.hangar_id::text,
        'hangarNumber', coalesce({number}, ''),
        'amount', coalesce(round({r}.total_price::numeric, 2), 0), 'paymentMethod', coalesce({r}.payment_method::text, ''))$t$,
        '{number}', hangar_number), '{r}', r);
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The listing, the guest and the owner of a booking row; a deleted listing is found among the departed.
CREATE FUNCTION realtime.booking_joins(r text, listings text, users text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT replace(format($t$
        LEFT JOIN %s {r}l ON {r}l.id = {r}.hangar_id
        LEFT JOIN realtime.departed_hangars {r}d ON {r}l.id IS NULL AND {r}d.hangar_id = {r}.hangar_id::text
        LEFT JOIN %s {r}u ON {r}u.id = {r}.user_id$t$, listings, users), '{r}', r);
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION realtime.attach_bookings(bookings regclass, listings text, users text) RETURNS void LANGUAGE plpgsql AS $attach$
DECLARE
    dated boolean := realtime.has_column(bookings, 'payment_date');
    -- Paid, and: a payment arrived. Without payment_date the status tells.
    paid text := CASE WHEN dated THEN $t$({r}.payment_date IS NOT NULL AND {r}.status::text <> 'cancelled')$t$
                      ELSE $t$(coalesce({r}.status::text IN ('confirmed', 'active', 'completed'), false))$t$ END;
    arrived text := replace(paid, '{r}', 'n') || CASE WHEN dated THEN ' AND o.payment_date IS NULL'
                      ELSE ' AND NOT ' || replace(paid, '{r}', 'o') END;
    shown text := '({r}.check_in, {r}.check_out, {r}.total_price, {r}.status, {r}.hangar_id, {r}.nights, {r}.user_id)';
    counted text := '({r}.subtotal, {r}.fees, {r}.created_at' || CASE WHEN dated THEN ', {r}.payment_date)' ELSE ')' END;
    since text := format('coalesce(%s, %s, now())', realtime.instant_sql(bookings, '{r}', 'updated_at'),
                         realtime.instant_sql(bookings, '{r}', 'created_at'));
    remember_new text := ''; remember_changed text := ''; forget text := '';
    owner_of text := 'coalesce({r}l.owner_id::text, {r}d.owner_id)';
    named text := $t$json_build_object('hangarId', {r}.hangar_id::text, 'bookingId', {r}.id::text)$t$;
    -- A row without any time gets one, for its payment, by whatever change.
    timeless text := CASE WHEN dated THEN 'false' ELSE 'coalesce(o.updated_at, o.created_at) IS NULL' END;
BEGIN
    IF NOT dated THEN
        remember_new := format($t$
            INSERT INTO realtime.payments (booking_id, paid_at) SELECT n.id::text, %s FROM new_rows n WHERE %s
            ON CONFLICT (booking_id) DO UPDATE SET paid_at = excluded.paid_at;$t$,
            replace(since, '{r}', 'n'), replace(paid, '{r}', 'n'));
        -- A row that was paid before anybody noted when: its last change was that moment.
        remember_changed := format($t$
            INSERT INTO realtime.payments (booking_id, paid_at)
            SELECT n.id::text, %1$s FROM old_rows o JOIN new_rows n ON n.id = o.id WHERE %2$s AND %3$s
            ON CONFLICT (booking_id) DO NOTHING;
            INSERT INTO realtime.payments (booking_id, paid_at)
            SELECT n.id::text, CASE WHEN n.updated_at IS DISTINCT FROM o.updated_at THEN %4$s ELSE now() END
            FROM old_rows o JOIN new_rows n ON n.id = o.id WHERE NOT %2$s AND %3$s
            ON CONFLICT (booking_id) DO UPDATE SET paid_at = excluded.paid_at;$t$,
            replace(since, '{r}', 'o'), replace(paid, '{r}', 'o'), replace(paid, '{r}', 'n'), replace(since, '{r}', 'n'));
        forget := 'DELETE FROM realtime.payments p USING old_rows o WHERE p.booking_id = o.id::text;';
    END IF;

    -- The most frequent one, hence as few steps as possible. What was paid at once is told after all that was created.
    PERFORM realtime.define_trigger_function('bookings_inserted', format($t$
        INSERT INTO realtime.events (owner_id, type, data)
        SELECT coalesce(nl.owner_id::text, ''), CASE WHEN nl.owner_id IS NULL THEN 'changed' ELSE 'booking_created' END, %1$s
        FROM new_rows n LEFT JOIN %2$s nl ON nl.id = n.hangar_id LEFT JOIN %3$s nu ON nu.id = n.user_id;
        IF NOT FOUND THEN RETURN NULL; END IF;
        IF EXISTS (SELECT FROM new_rows n WHERE %4$s) THEN
            %5$s
            INSERT INTO realtime.events (owner_id, type, data)
            SELECT nl.owner_id::text, 'revenue_received', %6$s
            FROM new_rows n JOIN %2$s nl ON nl.id = n.hangar_id WHERE nl.owner_id IS NOT NULL AND %4$s;
        END IF;
        PERFORM realtime.ring();$t$,
        realtime.booking_json('n', 'n.status', '', 'nl.hangar_number::text'), listings, users,
        replace(paid, '{r}', 'n'), remember_new, realtime.payment_json('n', 'nl.hangar_number::text')));

    -- A booking that changes hands is gone for the one owner and news for the other. A hangar without an owner is named all the same:
    -- somebody may get it before this commits.
    PERFORM realtime.define_trigger_function('bookings_updated', remember_changed || format($t$
        INSERT INTO realtime.events (owner_id, type, data)
        SELECT e.owner_id, e.type, e.data
        FROM old_rows o FULL JOIN new_rows n ON n.id = o.id %1$s %2$s
        CROSS JOIN LATERAL (SELECT %3$s, %4$s) h(was, now)
        CROSS JOIN LATERAL (
            SELECT 1, h.was, 'booking_updated', %5$s WHERE o.id IS NOT NULL AND (n.id IS NULL OR h.was IS DISTINCT FROM h.now)
            UNION ALL
            SELECT 2, h.now, 'booking_created', %6$s WHERE o.id IS NULL
            UNION ALL
            SELECT 3, h.now, CASE WHEN n.status::text = 'completed' AND o.status::text IS DISTINCT FROM 'completed'
                                  THEN 'booking_completed' ELSE 'booking_updated' END, %7$s
            WHERE o.id IS NOT NULL AND n.id IS NOT NULL AND (%8$s IS DISTINCT FROM %9$s OR h.was IS DISTINCT FROM h.now)
            UNION ALL
            SELECT 4, h.now, 'revenue_received', %10$s WHERE o.id IS NOT NULL AND n.id IS NOT NULL AND %11$s
            UNION ALL
            SELECT 5, h.now, 'changed', %14$s
            WHERE o.id IS NOT NULL AND n.id IS NOT NULL AND %8$s IS NOT DISTINCT FROM %9$s AND (%12$s IS DISTINCT FROM %13$s OR %16$s)
            UNION ALL
            SELECT 6, h.was, 'changed', %15$s
            WHERE o.id IS NOT NULL AND n.id IS NOT NULL AND o.hangar_id IS DISTINCT FROM n.hangar_id AND h.was IS NOT DISTINCT FROM h.now
            UNION ALL
            SELECT 7, '', 'changed', %15$s WHERE h.was IS NULL AND o.id IS NOT NULL
                AND (n.id IS NULL OR o.hangar_id IS DISTINCT FROM n.hangar_id AND (h.now IS NULL OR o.hangar_id IS NOT NULL))
            UNION ALL
            SELECT 8, '', 'changed', %14$s
            WHERE h.now IS NULL AND n.id IS NOT NULL AND (h.was IS NULL OR n.hangar_id IS NOT NULL) AND (o.id IS NULL OR %8$s IS DISTINCT FROM %9$s OR %12$s IS DISTINCT FROM %13$s OR %16$s)
        ) e(ord, owner_id, type, data)
        WHERE e.owner_id IS NOT NULL ORDER BY coalesce(n.id, o.id), e.ord;
        IF FOUND THEN PERFORM realtime.ring(); END IF;$t$,
        realtime.booking_joins('o', listings, users), realtime.booking_joins('n', listings, users),
        replace(owner_of, '{r}', 'o'), replace(owner_of, '{r}', 'n'),
        realtime.booking_json('o', '''deleted''', ', ''previousStatus'', o.status'),
        realtime.booking_json('n', 'n.status', ''),
        realtime.booking_json('n', 'n.status', ', ''previousStatus'', o.status'),
        replace(shown, '{r}', 'n'), replace(shown, '{r}', 'o'), realtime.payment_json('n'), arrived,
        replace(counted, '{r}', 'n'), replace(counted, '{r}', 'o'), replace(named, '{r}', 'n'), replace(named, '{r}', 'o'), timeless));

    PERFORM realtime.define_trigger_function('bookings_deleted', forget || format($t$
        INSERT INTO realtime.events (owner_id, type, data)
        SELECT coalesce(%1$s, ''), CASE WHEN %1$s IS NULL THEN 'changed' ELSE 'booking_updated' END, %2$s
        FROM old_rows o %3$s ORDER BY o.id;
        IF FOUND THEN PERFORM realtime.ring(); END IF;$t$,
        replace(owner_of, '{r}', 'o'), realtime.booking_json('o', '''deleted''', ', ''previousStatus'', o.status'),
        realtime.booking_joins('o', listings, users)));

    PERFORM realtime.ensure_trigger(bookings, 'realtime_inserted',
        'AFTER INSERT ON {table} REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT', 'bookings_inserted');
    PERFORM realtime.ensure_trigger(bookings, 'realtime_updated',
        'AFTER UPDATE ON {table} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT', 'bookings_updated');
    PERFORM realtime.ensure_trigger(bookings, 'realtime_deleted',
        'AFTER DELETE ON {table} REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT', 'bookings_deleted');
    PERFORM realtime.ensure_trigger(bookings, 'realtime_truncated', 'AFTER TRUNCATE ON {table} FOR EACH STATEMENT', 'truncated');
END $attach$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION realtime.attach_listings(listings regclass) RETURNS void LANGUAGE plpgsql AS $attach$
DECLARE log text := $t$
    INSERT INTO realtime.events (owner_id, type, data)
    SELECT r.owner_id::text, 'changed', json_build_object('hangarId', r.id::text, 'bookings', '[]'::json) FROM %s r WHERE r.owner_id IS NOT NULL;
    IF FOUND THEN PERFORM realtime.ring(); END IF;$t$;
BEGIN
    PERFORM realtime.define_trigger_function('listings_inserted', format(log, 'new_rows'));
    PERFORM realtime.define_trigger_function('listings_updated',
        format(log, '(SELECT id, owner_id FROM old_rows UNION SELECT id, owner_id FROM new_rows)'));
    PERFORM realtime.define_trigger_function('listings_deleted', format(log, 'old_rows'));
    -- Before the row goes, and with it, by a foreign key, its bookings.
    PERFORM realtime.define_trigger_function('listing_departs', $t$
        INSERT INTO realtime.departed_hangars (hangar_id, owner_id, hangar_number)
        SELECT OLD.id::text, OLD.owner_id::text, OLD.hangar_number::text WHERE OLD.owner_id IS NOT NULL
        ON CONFLICT (hangar_id) DO UPDATE SET owner_id = excluded.owner_id, hangar_number = excluded.hangar_number;$t$, 'OLD');

    PERFORM realtime.ensure_trigger(listings, 'realtime_inserted',
        'AFTER INSERT ON {table} REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT', 'listings_inserted');
    PERFORM realtime.ensure_trigger(listings, 'realtime_updated',
        'AFTER UPDATE ON {table} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT', 'listings_updated');
    PERFORM realtime.ensure_trigger(listings, 'realtime_deleted',
        'AFTER DELETE ON {table} REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT', 'listings_deleted');
    PERFORM realtime.ensure_trigger(listings, 'realtime_departs', 'BEFORE DELETE ON {table} FOR EACH ROW', 'listing_departs');
    PERFORM realtime.ensure_trigger(listings, 'realtime_truncated', 'AFTER TRUNCATE ON {table} FOR EACH STATEMENT', 'truncated');
END $attach$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Who owns an account: a change concerns those who are watching it.
CREATE FUNCTION realtime.attach_owners(owners regclass) RETURNS void LANGUAGE plpgsql AS $attach$
BEGIN
    PERFORM realtime.define_trigger_function('owners_updated', $t$
        INSERT INTO realtime.events (owner_id, type)
        SELECT id::text, 'access' FROM (SELECT id, user_id FROM new_rows EXCEPT SELECT id, user_id FROM old_rows) r
        UNION SELECT id::text, 'access' FROM (SELECT id, user_id FROM old_rows EXCEPT SELECT id, user_id FROM new_rows) r;
        IF FOUND THEN PERFORM realtime.ring(); END IF;$t$);
    PERFORM realtime.define_trigger_function('owners_deleted', $t$
        INSERT INTO realtime.events (owner_id, type) SELECT id::text, 'access' FROM old_rows;
        IF FOUND THEN PERFORM realtime.ring(); END IF;$t$);
    PERFORM realtime.ensure_trigger(owners, 'realtime_updated',
        'AFTER UPDATE ON {table} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT', 'owners_updated');
    PERFORM realtime.ensure_trigger(owners, 'realtime_deleted',
        'AFTER DELETE ON {table} REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT', 'owners_deleted');
    PERFORM realtime.ensure_trigger(owners, 'realtime_truncated', 'AFTER TRUNCATE ON {table} FOR EACH STATEMENT', 'truncated');
END $attach$;
-- +goose StatementEnd

-- +goose StatementBegin
-- One table after the other, each in a transaction of its own: a writer who holds one of them and then needs another
-- must not wait for us while we wait for it.
CREATE PROCEDURE realtime.attach() LANGUAGE plpgsql AS $attach$
DECLARE
    bookings regclass := realtime.business_table('bookings');
    listings regclass := realtime.business_table('hangar_listings');
    owners   regclass := realtime.business_table('hangar_owners');
    users    regclass := realtime.business_table('users');
    -- A payout concerns the owner it names, for its day, and the one whose booking it is, for what is still pending.
    payouts text := format($t$
        INSERT INTO realtime.events (owner_id, type, data)
        SELECT owner_id, 'changed', json_build_object('bookings', json_agg(booking_id)) FROM (
            SELECT owner_id, booking_id FROM {rows} r
            UNION
            SELECT l.owner_id::text, r.booking_id FROM {rows} r JOIN %s b ON b.id = %s JOIN %s l ON l.id = b.hangar_id
            WHERE l.owner_id IS NOT NULL) concerned
        GROUP BY owner_id;
        IF FOUND THEN PERFORM realtime.ring(); END IF;$t$,
        realtime.qualified(bookings), realtime.key_sql(bookings, 'r.booking_id'), realtime.qualified(listings));
BEGIN
    PERFORM realtime.define_trigger_function('truncated', $t$
        INSERT INTO realtime.events (type) VALUES ('truncated');
        PERFORM realtime.ring();$t$);
    PERFORM realtime.attach_bookings(bookings, realtime.qualified(listings), realtime.qualified(users));
    COMMIT;
    PERFORM realtime.attach_listings(listings);
    COMMIT;
    PERFORM realtime.attach_owners(owners);
    COMMIT;
    PERFORM realtime.define_trigger_function('payouts_written', replace(payouts, '{rows}', 'touched'));
    PERFORM realtime.define_trigger_function('payouts_updated', replace(payouts, '{rows}',
        '(SELECT owner_id, booking_id FROM old_rows UNION SELECT owner_id, booking_id FROM new_rows)'));
    PERFORM realtime.ensure_trigger('realtime.payouts', 'realtime_inserted',
        'AFTER INSERT ON {table} REFERENCING NEW TABLE AS touched FOR EACH STATEMENT', 'payouts_written');
    PERFORM realtime.ensure_trigger('realtime.payouts', 'realtime_updated',
        'AFTER UPDATE ON {table} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT', 'payouts_updated');
    PERFORM realtime.ensure_trigger('realtime.payouts', 'realtime_deleted',
        'AFTER DELETE ON {table} REFERENCING OLD TABLE AS touched FOR EACH STATEMENT', 'payouts_written');
    PERFORM realtime.ensure_trigger('realtime.payouts', 'realtime_truncated', 'AFTER TRUNCATE ON {table} FOR EACH STATEMENT', 'truncated');
    COMMIT;
    -- A table that bookings moved away from keeps no trigger of ours.
    CALL realtime.detach(ARRAY[bookings, listings, owners, 'realtime.payouts'::regclass]);
END $attach$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Removes our triggers from every table but those given, also one table after the other.
CREATE PROCEDURE realtime.detach(keep regclass[] DEFAULT '{}') LANGUAGE plpgsql AS $detach$
DECLARE t record;
BEGIN
    FOR t IN SELECT string_agg(format('DROP TRIGGER %I ON %s', tg.tgname, realtime.qualified(tg.tgrelid)), '; ') AS drops
             FROM pg_catalog.pg_trigger tg JOIN pg_catalog.pg_proc p ON p.oid = tg.tgfoid
             WHERE p.pronamespace = 'realtime'::regnamespace AND NOT tg.tgisinternal AND tg.tgparentid = 0
               AND tg.tgrelid <> ALL (keep) GROUP BY tg.tgrelid LOOP
        EXECUTE t.drops;
        COMMIT;
    END LOOP;
END $detach$;
-- +goose StatementEnd

-- +goose Down
-- The triggers went before, by detach(), which cannot run inside this transaction.
-- +goose StatementBegin
DO $$
DECLARE f regprocedure;
BEGIN
    FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'realtime'::regnamespace LOOP
        EXECUTE format('DROP ROUTINE %s', f);
    END LOOP;
END $$;
-- +goose StatementEnd
