-- The order of what one transaction says of a booking. A trigger of the portal's own that
-- changes a booking runs before the trigger function of the statement that fired it,
-- whose row of the log would come too late: what was logged in between moves behind it. A
-- setting of the transaction names what was logged below another trigger: its first id
-- and the places of its rows, or {} when these are too many.

CREATE OR REPLACE FUNCTION realtime.nested() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN current_setting('realtime.nested', true) ~ '^\d{1,18} \{[(),"0-9]*\}$' THEN current_setting('realtime.nested', true) ELSE '' END;
$$;

-- Moves what was logged below this statement's own triggers, about the bookings given, behind what
-- the statement logged itself, and notes all of it where this statement is one of a trigger.
CREATE OR REPLACE FUNCTION realtime.reorder(first bigint, places tid[], bookings text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    noted text := realtime.nested();
    former tid[];
    moved tid[];
BEGIN
    IF noted <> '' THEN
        former := split_part(noted, ' ', 2)::tid[];
    END IF;
    -- A row trigger comes here for each row: it reads what came before only where there
    -- is something to move.
    IF noted <> '' AND cardinality(bookings) > 0 THEN
        WITH gone AS (
            DELETE FROM realtime.events
            WHERE ctid = ANY (former) AND xid = pg_current_xact_id() AND data->>'bookingId' IN (SELECT unnest(bookings))
            RETURNING id, owner_id, type, data
        ), many AS (
            DELETE FROM realtime.events
            WHERE cardinality(former) = 0 AND xid = pg_current_xact_id() AND id >= split_part(noted, ' ', 1)::bigint AND id < first
                AND data->>'bookingId' IN (SELECT unnest(bookings))
            RETURNING id, owner_id, type, data
        ), again AS (
            INSERT INTO realtime.events (owner_id, type, data) SELECT owner_id, type, data FROM (
                SELECT * FROM gone UNION ALL SELECT * FROM many) all_gone ORDER BY id
            RETURNING ctid
        )
        SELECT array_agg(ctid) INTO moved FROM again;
        places := places || moved;
    END IF;
    IF pg_trigger_depth() = 1 THEN
        PERFORM set_config('realtime.nested', '', true);
    ELSIF places IS NOT NULL THEN
        IF noted <> '' THEN
            first := split_part(noted, ' ', 1)::bigint;
            places := CASE WHEN cardinality(former) > 0 THEN former || places ELSE '{}' END;
        END IF;
        PERFORM set_config('realtime.nested', format('%s %s', first, CASE WHEN cardinality(places) <= 1000 THEN places ELSE '{}' END), true);
    END IF;
END $$;

-- Statements that log, and then keep the order. `insert` writes the log; `more` are statements of
-- the same kind that follow it, or nothing; `bookings` selects the ids whose rows may have been
-- changed again below this statement.
CREATE OR REPLACE FUNCTION realtime.ordered_sql(bookings text, insert text, condition text DEFAULT 'false', before_more text DEFAULT '',
    more text DEFAULT 'SELECT') RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT realtime.fill($t$
            DECLARE
                our_first bigint;
                our_places tid[];
            BEGIN
                IF pg_trigger_depth() = 1 AND coalesce(current_setting('realtime.nested', true), '') = '' THEN
                    {insert};
                    IF NOT FOUND THEN RETURN NULL; END IF;{more}
                ELSE
                    WITH said AS ({insert} RETURNING id, ctid) SELECT min(id), array_agg(ctid) INTO our_first, our_places FROM said;
                    IF our_first IS NULL THEN RETURN NULL; END IF;{more again}
                    PERFORM realtime.reorder(our_first, our_places, ARRAY({bookings}));
                END IF;
                PERFORM realtime.ring();
            END;$t$,
        'more', CASE condition WHEN 'false' THEN '' ELSE format(' IF %s THEN %s %s; END IF;', condition, before_more, more) END,
        'more again', CASE condition WHEN 'false' THEN '' ELSE format(
            ' IF %s THEN %s WITH said AS (%s RETURNING ctid) SELECT our_places || array_agg(ctid) INTO our_places FROM said; END IF;',
            condition, before_more, more) END,
        'insert', insert, 'bookings', bookings);
$$;
