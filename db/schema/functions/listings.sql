-- The triggers on hangar_listings: what an owner offers.

CREATE OR REPLACE FUNCTION realtime.define_listing_triggers(listings regclass, bookings regclass, users regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $define$
DECLARE
    log text := realtime.fill($t$
            INSERT INTO realtime.events (owner_id, type, data)
            SELECT {owner}, 'changed', json_build_object('hangarId', {id}, 'bookings', '[]'::json)
            FROM {rows} r WHERE r.owner_id IS NOT NULL;
            IF FOUND THEN PERFORM realtime.ring(); END IF;$t$,
        'owner', realtime.id_sql(listings, 'r', 'owner_id'), 'id', realtime.id_sql(listings, 'r', 'id'));
    -- Bookings of this transaction that came before their hangar, as a deferred key allows: they
    -- are told now, as they are.
    early text := realtime.fill($t$
            IF EXISTS (SELECT FROM realtime.events WHERE owner_id = '' AND xid = pg_current_xact_id_if_assigned()) THEN
                INSERT INTO realtime.events (owner_id, type, data)
                SELECT e.owner_id, e.type, e.data
                FROM (SELECT DISTINCT ON (data->>'bookingId') data->>'bookingId' AS booking_id, data->'status' IS NOT NULL AS created
                    FROM realtime.events WHERE owner_id = '' AND xid = pg_current_xact_id() AND type = 'changed' AND data->>'bookingId' IS NOT NULL
                    ORDER BY data->>'bookingId', id) untold
                JOIN {bookings} n ON n.id = {key}
                JOIN {new} nl ON nl.id = n.hangar_id AND nl.owner_id IS NOT NULL
                LEFT JOIN {users} nu ON nu.id = n.user_id
                CROSS JOIN LATERAL (
                    SELECT 1, {owner}, CASE WHEN untold.created THEN 'booking_created' ELSE 'booking_updated' END, {updated}
                    UNION ALL
                    SELECT 2, {owner}, 'revenue_received', {payment} WHERE untold.created AND {paid}
                ) e(ord, owner_id, type, data)
                ORDER BY n.id, e.ord;
            END IF;$t$,
        'key', realtime.key_sql(bookings, 'untold.booking_id'), 'owner', realtime.id_sql(listings, 'nl', 'owner_id'),
        'updated', realtime.booking_json(bookings, 'n', 'n.status', ', ''previousStatus'', CASE WHEN NOT untold.created THEN n.status END', 'nl.hangar_number::text'),
        'payment', realtime.payment_json(bookings, 'n', 'nl.hangar_number::text'),
        'paid', realtime.paid_sql(bookings, 'n'),
        'bookings', realtime.qualified(bookings), 'users', realtime.qualified(users), 'new', realtime.rows_sql(listings, 'new_rows'));
    -- A BEFORE trigger sees nothing of virtual generated columns either.
    departing text := CASE realtime.rows_sql(listings, 'old_rows') WHEN 'old_rows' THEN '(SELECT OLD.*)'
        ELSE format('(SELECT * FROM %s WHERE id = OLD.id)', realtime.qualified(listings)) END;
BEGIN
    PERFORM realtime.define_trigger_function('listings_inserted', early || realtime.fill(log, 'rows', realtime.rows_sql(listings, 'new_rows')));
    PERFORM realtime.define_trigger_function('listings_updated', realtime.fill(log,
        'rows', '(SELECT id, owner_id FROM {old} o UNION SELECT id, owner_id FROM {new} n)',
        'old', realtime.rows_sql(listings, 'old_rows'), 'new', realtime.rows_sql(listings, 'new_rows')));
    PERFORM realtime.define_trigger_function('listings_deleted', realtime.fill(log, 'rows', realtime.rows_sql(listings, 'old_rows')));
    -- Before the row goes, and with it, by a foreign key, its bookings.
    PERFORM realtime.define_trigger_function('listing_departs', realtime.fill($t$
            INSERT INTO realtime.departed_hangars (hangar_id, owner_id, hangar_number)
            SELECT {id}, {owner}, r.hangar_number::text FROM {departing} r WHERE r.owner_id IS NOT NULL
            ON CONFLICT (hangar_id) DO UPDATE SET owner_id = excluded.owner_id, hangar_number = excluded.hangar_number;$t$,
        'id', realtime.id_sql(listings, 'r', 'id'), 'owner', realtime.id_sql(listings, 'r', 'owner_id'), 'departing', departing), 'OLD');
END $define$;

-- A row trigger on a partitioned table is its partitions' too.
CREATE OR REPLACE FUNCTION realtime.listing_triggers(listings regclass) RETURNS TABLE (rel regclass, name text, clause text, function text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT f, 'realtime_' || t.name, t.clause, t.function FROM realtime.family(listings) f
    CROSS JOIN LATERAL (SELECT relispartition FROM pg_class WHERE oid = f OFFSET 0) c, (VALUES
        ('inserted', 'AFTER INSERT ON {table} REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT', 'listings_inserted'),
        ('updated', 'AFTER UPDATE ON {table} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT', 'listings_updated'),
        ('deleted', 'AFTER DELETE ON {table} REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT', 'listings_deleted'),
        ('departs', 'BEFORE DELETE ON {table} FOR EACH ROW', 'listing_departs'),
        ('truncated', 'AFTER TRUNCATE ON {table} FOR EACH STATEMENT', 'truncated')) t(name, clause, function)
    WHERE t.name <> 'departs' OR NOT c.relispartition;
END $$;
