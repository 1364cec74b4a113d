-- The triggers on realtime.payouts. A payout concerns the owner it names, for its day, and the one
-- whose booking it is, for what is still pending.

CREATE OR REPLACE FUNCTION realtime.define_payout_triggers(bookings regclass, listings regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $define$
DECLARE
    log text := realtime.fill($t$
            INSERT INTO realtime.events (owner_id, type, data)
            SELECT owner_id, 'changed', json_build_object('bookings', json_agg(booking_id)) FROM (
                SELECT owner_id, booking_id FROM {rows} r
                UNION
                SELECT {owner}, r.booking_id FROM {rows} r JOIN {bookings} b ON b.id = {key} JOIN {listings} l ON l.id = b.hangar_id
                WHERE l.owner_id IS NOT NULL) concerned
            GROUP BY owner_id;
            IF FOUND THEN PERFORM realtime.ring(); END IF;$t$,
        'key', realtime.key_sql(bookings, 'r.booking_id'), 'owner', realtime.id_sql(listings, 'l', 'owner_id'),
        'bookings', realtime.qualified(bookings), 'listings', realtime.qualified(listings));
BEGIN
    PERFORM realtime.define_trigger_function('payouts_written', realtime.fill(log, 'rows', 'touched'));
    PERFORM realtime.define_trigger_function('payouts_updated', realtime.fill(log, 'rows',
        '(SELECT owner_id, booking_id FROM old_rows UNION SELECT owner_id, booking_id FROM new_rows)'));
END $define$;

CREATE OR REPLACE FUNCTION realtime.payout_triggers() RETURNS TABLE (rel regclass, name text, clause text, function text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT 'realtime.payouts'::regclass, 'realtime_' || t.name, t.clause, t.function FROM (VALUES
        ('inserted', 'AFTER INSERT ON {table} REFERENCING NEW TABLE AS touched FOR EACH STATEMENT', 'payouts_written'),
        ('updated', 'AFTER UPDATE ON {table} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT', 'payouts_updated'),
        ('deleted', 'AFTER DELETE ON {table} REFERENCING OLD TABLE AS touched FOR EACH STATEMENT', 'payouts_written'),
        ('truncated', 'AFTER TRUNCATE ON {table} FOR EACH STATEMENT', 'truncated')) t(name, clause, function);
END $$;
