-- What every trigger function ends with: the doorbell and the count of faults.

-- Wakes the reader of the log. PostgreSQL folds equal notifications of one transaction into one.
-- Notifying writers commit one after the other, so nobody rings while the reader is awake anyway.
CREATE OR REPLACE FUNCTION realtime.ring() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF (pg_catalog.pg_sequence_last_value('realtime.awake'::pg_catalog.regclass)::pg_catalog.float8
            OPERATOR(pg_catalog.>) (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())
            OPERATOR(pg_catalog.*) 1000::pg_catalog.float8)) IS NOT TRUE THEN
        PERFORM pg_catalog.pg_notify('realtime', '');
    END IF;
END $$;

-- Counts a change that could not be logged. What went wrong is for PostgreSQL's own log: the
-- portal's client, which gets the warning, may be anybody.
CREATE OR REPLACE FUNCTION realtime.fault(place text, code text, message text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
BEGIN
    PERFORM nextval('realtime.faults'::regclass);
    RAISE LOG 'HangarShare Realtime could not log a change (%): % [%]', place, message, code;
    RAISE WARNING 'HangarShare Realtime could not log a change (%)', place
        USING HINT = 'The statement itself went through. Browsers are told to load their numbers again.';
    PERFORM realtime.ring();
END $$;

-- Has every browser load its numbers again, and nobody believe the ledger: changes happened that
-- the log does not hold. Once in a transaction is enough.
CREATE OR REPLACE FUNCTION realtime.tell_all() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO realtime.events (type) SELECT 'truncated' WHERE NOT EXISTS (
        SELECT FROM realtime.events WHERE xid = pg_current_xact_id() AND owner_id IS NULL AND type = 'truncated');
    PERFORM realtime.ring();
END $$;

-- How many faults were counted since the installation. A sequence tells it also of open
-- transactions. Every look for changes asks for it, so this is one expression, which PostgreSQL
-- writes into the query that asks. VOLATILE is what a sequence is, and the condition for that.
CREATE OR REPLACE FUNCTION realtime.fault_count() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(pg_catalog.pg_sequence_last_value('realtime.faults'::pg_catalog.regclass) OPERATOR(pg_catalog.+) 1::pg_catalog.int8, 0::pg_catalog.int8);
$$;

-- Whether clients are told of a row of the log with this type. The servers' own begin with a dot.
CREATE OR REPLACE FUNCTION realtime.is_message(type text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT type OPERATOR(pg_catalog.<>) 'changed'::pg_catalog.text
        AND type OPERATOR(pg_catalog.<>) 'access'::pg_catalog.text
        AND type OPERATOR(pg_catalog.!~~) '.%'::pg_catalog.text;
$$;

-- Whether a row of the log with this type is the servers' own: about no owner's business.
CREATE OR REPLACE FUNCTION realtime.is_internal(type text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT type OPERATOR(pg_catalog.~~) '.%'::pg_catalog.text;
$$;

-- Has nobody believe the ledger until it is built anew from the tables.
CREATE OR REPLACE FUNCTION realtime.invalidate_ledger() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE realtime.ledger_generation SET number = number + 1;
$$;
