-- The triggers on bookings. Templates name a row's alias {r}: o is what a row was, n what
-- it is now, and their listing, guest and departed hangar are ol, ou, od and nl, nu, nd.
-- {r:price} and its like are what the table's columns must be written as; {old} and {new}
-- are the tables of old and new rows.

-- Puts an alias and the expressions over its columns into a template.
CREATE OR REPLACE FUNCTION realtime.over_booking(template text, bookings regclass, r text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT realtime.fill(template, 'r:price', realtime.amount_sql(bookings, r, 'total_price'), 'r:nights', realtime.nights_sql(bookings, r),
        'r:id', realtime.id_sql(bookings, r, 'id'), 'r:hangar', realtime.id_sql(bookings, r, 'hangar_id'), 'r', r);
$$;

-- Whether a booking is paid. Without payment_date the status tells.
CREATE OR REPLACE FUNCTION realtime.paid_sql(bookings regclass, r text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT realtime.fill(CASE WHEN realtime.has_column(bookings, 'payment_date')
        THEN '({r}.payment_date IS NOT NULL AND {r}.status::text IS DISTINCT FROM ''cancelled'')'
        ELSE '(coalesce({r}.status::text IN (''confirmed'', ''active'', ''completed''), false))' END, 'r', r);
$$;

-- What a message about a booking holds. The amount is null where the row says none that is finite.
CREATE OR REPLACE FUNCTION realtime.booking_json(bookings regclass, r text, status text, extra text DEFAULT '',
    hangar_number text DEFAULT '{r}l.hangar_number::text, {r}d.hangar_number') RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT realtime.over_booking(realtime.fill($t$json_build_object(
        'bookingId', {r:id}, 'hangarId', {r:hangar},
        'hangarNumber', coalesce({number}, ''),
        'guestName', btrim(concat_ws(' ', {r}u.first_name, {r}u.last_name)),
        'amount', round({r:price}, 2), 'duration', {r:nights},
        'checkIn', {r}.check_in, 'checkOut', {r}.check_out, 'status', {status}{extra})$t$,
        'number', hangar_number, 'status', status, 'extra', extra), bookings, r);
$$;

-- What a message about a payment holds.
CREATE OR REPLACE FUNCTION realtime.payment_json(bookings regclass, r text,
    hangar_number text DEFAULT '{r}l.hangar_number::text, {r}d.hangar_number') RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT realtime.over_booking(realtime.fill($t$json_build_object('bookingId', {r:id}, 'hangarId', {r:hangar},
        'hangarNumber', coalesce({number}, ''),
        'amount', round({r:price}, 2),
        'paymentMethod', coalesce({r}.payment_method::text, ''))$t$,
        'number', hangar_number), bookings, r);
$$;

-- The listing, the guest and the owner of a booking row; a deleted listing is found among
-- the departed.
CREATE OR REPLACE FUNCTION realtime.booking_joins(bookings regclass, r text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT realtime.over_booking($t$
        LEFT JOIN {listings} {r}l ON {r}l.id = {r}.hangar_id
        LEFT JOIN realtime.departed_hangars {r}d ON {r}l.id IS NULL AND {r}d.hangar_id = {r:hangar}
        LEFT JOIN {users} {r}u ON {r}u.id = {r}.user_id$t$, bookings, r);
$$;

-- Where no column says when a booking was paid, the triggers note it: statements for rows that are
-- new, changed and gone, or nothing.
CREATE OR REPLACE FUNCTION realtime.payment_notes(bookings regclass, OUT for_new text, OUT for_changed text, OUT for_gone text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    since text := realtime.fill('coalesce({updated}, {created}, now())',
        'updated', realtime.instant_sql(bookings, '{r}', 'updated_at'),
        'created', realtime.instant_sql(bookings, '{r}', 'created_at'));
    pair text := 'FROM {old} o JOIN {new} n ON n.id = o.id';
BEGIN
    for_new := ''; for_changed := ''; for_gone := '';
    IF realtime.has_column(bookings, 'payment_date') THEN
        RETURN;
    END IF;
    for_new := realtime.over_booking(realtime.fill($t$
            INSERT INTO realtime.payments (booking_id, paid_at) SELECT {r:id}, {since} FROM {new} n WHERE {paid}
            ON CONFLICT (booking_id) DO UPDATE SET paid_at = excluded.paid_at;$t$,
        'since', since, 'paid', realtime.paid_sql(bookings, 'n')), bookings, 'n');
    -- A row that was paid before anybody noted when: its last change was that moment.
    for_changed := realtime.over_booking(realtime.fill($t$
            INSERT INTO realtime.payments (booking_id, paid_at)
            SELECT {r:id}, {since o} {pair} WHERE {was paid} AND {is paid}
            ON CONFLICT (booking_id) DO NOTHING;
            INSERT INTO realtime.payments (booking_id, paid_at)
            SELECT {r:id}, CASE WHEN n.updated_at IS DISTINCT FROM o.updated_at THEN {since n} ELSE now() END
            {pair} WHERE NOT {was paid} AND {is paid}
            ON CONFLICT (booking_id) DO UPDATE SET paid_at = excluded.paid_at;$t$,
        'since o', replace(since, '{r}', 'o'), 'since n', replace(since, '{r}', 'n'), 'pair', pair,
        'was paid', realtime.paid_sql(bookings, 'o'), 'is paid', realtime.paid_sql(bookings, 'n')), bookings, 'n');
    for_gone := realtime.over_booking('DELETE FROM realtime.payments p USING {old} o WHERE p.booking_id = {r:id};', bookings, 'o');
END $$;

-- The trigger functions.
CREATE OR REPLACE FUNCTION realtime.define_booking_triggers(bookings regclass, listings regclass, users regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $define$
DECLARE
    dated boolean := realtime.has_column(bookings, 'payment_date');
    paid text := realtime.paid_sql(bookings, 'n');
    arrived text := paid || CASE WHEN dated THEN ' AND o.payment_date IS NULL' ELSE ' AND NOT ' || realtime.paid_sql(bookings, 'o') END;
    shown text := '({r}.check_in, {r}.check_out, {r}.total_price, {r}.status, {r}.hangar_id, {r}.nights, {r}.user_id)';
    counted text := '({r}.subtotal, {r}.fees, {r}.created_at' || CASE WHEN dated THEN ', {r}.payment_date)' ELSE ')' END;
    owner text := realtime.id_sql(listings, '{r}l', 'owner_id');
    owner_of text := format('coalesce(%s, {r}d.owner_id)', owner);
    named text := $t$json_build_object('hangarId', {r:hangar}, 'bookingId', {r:id})$t$;
    -- A row without any time gets one, for its payment, by whatever change.
    timeless text := CASE WHEN dated THEN 'false' ELSE 'coalesce(o.updated_at, o.created_at) IS NULL' END;
    notes record;
    tables text[] := ARRAY['old', realtime.rows_sql(bookings, 'old_rows'), 'new', realtime.rows_sql(bookings, 'new_rows'),
        'bookings', realtime.qualified(bookings), 'listings', realtime.qualified(listings), 'users', realtime.qualified(users)];
    -- Rows that a trigger of the portal's own has changed again.
    changed_again text := realtime.over_booking(realtime.fill($t$SELECT {r:id} FROM {new} n LEFT JOIN {bookings} b ON b.id = n.id
            WHERE {shown b} IS DISTINCT FROM {shown n} OR {counted b} IS DISTINCT FROM {counted n}$t$,
        'shown b', replace(shown, '{r}', 'b'), 'counted b', replace(counted, '{r}', 'b'),
        'shown n', replace(shown, '{r}', 'n'), 'counted n', replace(counted, '{r}', 'n')), bookings, 'n');
BEGIN
    SELECT * INTO notes FROM realtime.payment_notes(bookings);

    -- The most frequent one, hence as few steps as possible. What was paid at once is
    -- told after all that was created.
    PERFORM realtime.define_trigger_function('bookings_inserted', realtime.fill(realtime.ordered_sql(
        realtime.over_booking('SELECT {r:id} FROM {new} n', bookings, 'n'),
        realtime.fill($t$INSERT INTO realtime.events (owner_id, type, data)
            SELECT coalesce({owner}, ''), CASE WHEN nl.owner_id IS NULL THEN 'changed' ELSE 'booking_created' END, {created}
            FROM {new} n LEFT JOIN {listings} nl ON nl.id = n.hangar_id LEFT JOIN {users} nu ON nu.id = n.user_id$t$,
            'owner', replace(owner, '{r}', 'n'), 'created', realtime.booking_json(bookings, 'n', 'n.status', hangar_number => 'nl.hangar_number::text')),
        realtime.fill('EXISTS (SELECT FROM {new} n WHERE {paid})', 'paid', paid),
        notes.for_new,
        realtime.fill($t$INSERT INTO realtime.events (owner_id, type, data) SELECT {owner}, 'revenue_received', {payment}
            FROM {new} n JOIN {listings} nl ON nl.id = n.hangar_id WHERE nl.owner_id IS NOT NULL AND {paid}$t$,
            'owner', replace(owner, '{r}', 'n'), 'payment', realtime.payment_json(bookings, 'n', 'nl.hangar_number::text'),
            'paid', paid)), VARIADIC tables));

    -- A booking that changes hands is gone for the one owner and news for the other. A hangar
    -- without an owner is named all the same: an owner may get it before this commits.
    PERFORM realtime.define_trigger_function('bookings_updated', realtime.fill(notes.for_changed || realtime.ordered_sql(changed_again,
        realtime.fill($t$INSERT INTO realtime.events (owner_id, type, data)
            SELECT e.owner_id, e.type, e.data
            FROM {old} o FULL JOIN {new} n ON n.id = o.id {joins o} {joins n}
            CROSS JOIN LATERAL (SELECT {owner was}, {owner now}) h(was, now)
            CROSS JOIN LATERAL (SELECT o.id IS NOT NULL AND n.id IS NOT NULL, {shown n} IS DISTINCT FROM {shown o},
                {counted n} IS DISTINCT FROM {counted o} OR {timeless}) c(stayed, shown, counted)
            CROSS JOIN LATERAL (
                SELECT 1, h.was, 'booking_updated', {deleted} WHERE o.id IS NOT NULL AND (n.id IS NULL OR h.was IS DISTINCT FROM h.now)
                UNION ALL
                SELECT 2, h.now, 'booking_created', {created} WHERE o.id IS NULL
                UNION ALL
                SELECT 3, h.now, CASE WHEN n.status::text = 'completed' AND o.status::text IS DISTINCT FROM 'completed'
                                      THEN 'booking_completed' ELSE 'booking_updated' END, {updated}
                WHERE c.stayed AND (c.shown OR h.was IS DISTINCT FROM h.now)
                UNION ALL
                SELECT 4, h.now, 'revenue_received', {payment} WHERE c.stayed AND {arrived}
                UNION ALL
                SELECT 5, h.now, 'changed', {named n} WHERE c.stayed AND NOT c.shown AND c.counted
                UNION ALL
                SELECT 6, h.was, 'changed', {named o}
                WHERE c.stayed AND o.hangar_id IS DISTINCT FROM n.hangar_id AND h.was IS NOT DISTINCT FROM h.now
                UNION ALL
                SELECT 7, '', 'changed', {named o} WHERE h.was IS NULL AND o.id IS NOT NULL
                    AND (n.id IS NULL OR o.hangar_id IS DISTINCT FROM n.hangar_id AND (h.now IS NULL OR o.hangar_id IS NOT NULL))
                UNION ALL
                SELECT 8, '', 'changed', {named n} WHERE h.now IS NULL AND n.id IS NOT NULL
                    AND (h.was IS NULL OR n.hangar_id IS NOT NULL) AND (o.id IS NULL OR c.shown OR c.counted)
            ) e(ord, owner_id, type, data)
            WHERE e.owner_id IS NOT NULL ORDER BY coalesce(n.id, o.id), e.ord$t$,
            'joins o', realtime.booking_joins(bookings, 'o'), 'joins n', realtime.booking_joins(bookings, 'n'),
            'owner was', replace(owner_of, '{r}', 'o'), 'owner now', replace(owner_of, '{r}', 'n'),
            'shown o', replace(shown, '{r}', 'o'), 'shown n', replace(shown, '{r}', 'n'),
            'counted o', replace(counted, '{r}', 'o'), 'counted n', replace(counted, '{r}', 'n'), 'timeless', timeless,
            'deleted', realtime.booking_json(bookings, 'o', '''deleted''', ', ''previousStatus'', o.status'),
            'created', realtime.booking_json(bookings, 'n', 'n.status'),
            'updated', realtime.booking_json(bookings, 'n', 'n.status', ', ''previousStatus'', o.status'),
            'payment', realtime.payment_json(bookings, 'n'), 'arrived', arrived,
            'named o', realtime.over_booking(named, bookings, 'o'), 'named n', realtime.over_booking(named, bookings, 'n'))),
        VARIADIC tables));

    -- A booking that a trigger of the portal's own has put back is there after all.
    PERFORM realtime.define_trigger_function('bookings_deleted', realtime.fill(notes.for_gone || realtime.ordered_sql(
        realtime.over_booking('SELECT {r:id} FROM {old} o JOIN {bookings} b ON b.id = o.id', bookings, 'o'),
        realtime.fill($t$INSERT INTO realtime.events (owner_id, type, data)
            SELECT coalesce({owner}, ''), CASE WHEN {owner} IS NULL THEN 'changed' ELSE 'booking_updated' END, {deleted}
            FROM {old} o {joins} ORDER BY o.id$t$,
            'owner', replace(owner_of, '{r}', 'o'), 'joins', realtime.booking_joins(bookings, 'o'),
            'deleted', realtime.booking_json(bookings, 'o', '''deleted''', ', ''previousStatus'', o.status'))), VARIADIC tables));

    -- What is kept for bookings that are gone must not count for others that get their ids. A
    -- payout that is being written stays, because nobody may wait.
    PERFORM realtime.define_trigger_function('bookings_truncated', realtime.fill($t$
            PERFORM realtime.tell_all();
            DELETE FROM realtime.payouts WHERE ctid = ANY (ARRAY(SELECT p.ctid FROM realtime.payouts p
                WHERE {payout} IS NOT NULL AND NOT EXISTS (SELECT FROM {bookings} b WHERE b.id = {payout}) FOR UPDATE SKIP LOCKED));
            DELETE FROM realtime.payments WHERE ctid = ANY (ARRAY(SELECT p.ctid FROM realtime.payments p
                WHERE NOT EXISTS (SELECT FROM {bookings} b WHERE b.id = {payout}) FOR UPDATE SKIP LOCKED));$t$,
        VARIADIC ARRAY['payout', realtime.key_sql(bookings, 'p.booking_id')] || tables));
END $define$;

-- The triggers themselves, on the table and its family.
CREATE OR REPLACE FUNCTION realtime.booking_triggers(bookings regclass) RETURNS TABLE (rel regclass, name text, clause text, function text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT f, 'realtime_' || t.name, t.clause, t.function FROM realtime.family(bookings) f, (VALUES
        ('inserted', 'AFTER INSERT ON {table} REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT', 'bookings_inserted'),
        ('updated', 'AFTER UPDATE ON {table} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT', 'bookings_updated'),
        ('deleted', 'AFTER DELETE ON {table} REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT', 'bookings_deleted'),
        ('truncated', 'AFTER TRUNCATE ON {table} FOR EACH STATEMENT', 'bookings_truncated')) t(name, clause, function);
END $$;
