-- What the portal's tables look like, and pieces of SQL that are written for it. These functions
-- are called while triggers are installed, not for rows. A column that is read here is one of
-- columns_read(), so that a change of it is noticed; db/check_tables.go says which ones a portal
-- must have.

-- A template with each {name} replaced by its value; pairs are name, value, name, value,
-- in this order.
CREATE OR REPLACE FUNCTION realtime.fill(template text, VARIADIC pairs text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    FOR i IN 1 .. array_length(pairs, 1) BY 2 LOOP
        IF pairs[i + 1] IS NULL THEN
            RAISE EXCEPTION 'nothing to replace {%} by', pairs[i];
        END IF;
        template := replace(template, '{' || pairs[i] || '}', pairs[i + 1]);
    END LOOP;
    RETURN template;
END $$;

CREATE OR REPLACE FUNCTION realtime.has_column(rel regclass, col text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_attribute
                   WHERE attrelid = rel AND attname = col AND attnum > 0 AND NOT attisdropped);
$$;

-- The type of a column; of a domain, that under it. Null where there is no such column.
CREATE OR REPLACE FUNCTION realtime.base_type(rel regclass, col text) RETURNS regtype
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE under AS (
        SELECT t.oid, t.typtype, t.typbasetype FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        WHERE attrelid = rel AND attname = col AND attnum > 0 AND NOT attisdropped
        UNION ALL
        SELECT t.oid, t.typtype, t.typbasetype FROM under u JOIN pg_type t ON t.oid = u.typbasetype WHERE u.typtype = 'd'
    )
    SELECT oid::regtype FROM under WHERE typtype <> 'd';
$$;

-- The type to which a parameter is cast that is compared with a column; null where there
-- is no such column.
CREATE OR REPLACE FUNCTION realtime.type_sql(rel regclass, col text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE t WHEN 'bpchar'::regtype THEN 'bpchar' -- character would be one character
                  ELSE t::text END FROM realtime.base_type(rel, col) t;
$$;

-- An expression for a column as an instant: timestamps without a zone are UTC.
CREATE OR REPLACE FUNCTION realtime.instant_sql(rel regclass, alias text, col text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN realtime.base_type(rel, col) = 'timestamptz'::regtype THEN format('%s.%I', alias, col)
                ELSE format('(%s.%I::timestamp AT TIME ZONE ''UTC'')', alias, col) END;
$$;

-- An expression for a column as an amount: null where it is not finite.
CREATE OR REPLACE FUNCTION realtime.amount_sql(rel regclass, alias text, col text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN realtime.base_type(rel, col) IN ('numeric'::regtype, 'float4'::regtype, 'float8'::regtype)
                THEN format('CASE WHEN %1$s.%2$I - %1$s.%2$I = 0 THEN %1$s.%2$I::numeric END', alias, col)
                ELSE format('%s.%I::numeric', alias, col) END;
$$;

-- An expression for an amount as an integer; null where it is none.
CREATE OR REPLACE FUNCTION realtime.whole_sql(amount text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('CASE WHEN abs(%1$s) < 2147483647 THEN round(%1$s)::int END', amount);
$$;

-- An expression for the nights of a booking: those that its row says, else the days
-- between its dates.
CREATE OR REPLACE FUNCTION realtime.nights_sql(bookings regclass, alias text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT realtime.fill('coalesce({nights}, CASE WHEN isfinite({r}.check_in) AND isfinite({r}.check_out)'
            || ' THEN greatest({r}.check_out::date - {r}.check_in::date, 0) END, 0)',
        'nights', CASE WHEN realtime.base_type(bookings, 'nights') IN ('int2'::regtype, 'int4'::regtype) THEN '{r}.nights::int'
            ELSE realtime.whole_sql(realtime.amount_sql(bookings, '{r}', 'nights')) END,
        'r', alias);
$$;

-- An expression for the spaces of a listing: one where the portal does not say.
CREATE OR REPLACE FUNCTION realtime.spaces_sql(listings regclass, alias text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN t IS NULL THEN '1'
        WHEN t IN ('int2'::regtype, 'int4'::regtype) THEN format('greatest(coalesce(%s.total_spaces, 1), 0)', alias)
        ELSE format('greatest(coalesce(%s, 1), 0)', realtime.whole_sql(realtime.amount_sql(listings, alias, 'total_spaces'))) END
    FROM realtime.base_type(listings, 'total_spaces') t;
$$;

-- An expression for an id as the text by which we know it.
CREATE OR REPLACE FUNCTION realtime.id_sql(rel regclass, alias text, col text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s.%I::text', alias, col);
$$;

-- The rows of a transition table. It holds nothing of virtual generated columns: their
-- expressions are written out.
CREATE OR REPLACE FUNCTION realtime.rows_sql(rel regclass, transition text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN bool_or(attgenerated = 'v') THEN format('(SELECT %s FROM %s)',
            string_agg(CASE WHEN attgenerated = 'v' THEN format('(%s) AS %I', pg_get_expr(adbin, adrelid), attname)
                            ELSE quote_ident(attname) END, ', ' ORDER BY attnum), transition)
        ELSE transition END
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = rel AND attnum > 0 AND NOT attisdropped;
$$;

-- A table with its partitions and the tables that inherit from it, as far as statements
-- can name them and be seen there. It is asked each second: OFFSET 0 has PostgreSQL look each up by
-- its index, and not read the catalog to its end.
CREATE OR REPLACE FUNCTION realtime.family(rel regclass) RETURNS SETOF regclass
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY WITH RECURSIVE member AS (
        SELECT rel::oid AS oid
        UNION
        SELECT i.inhrelid FROM member CROSS JOIN LATERAL (SELECT inhrelid FROM pg_inherits WHERE inhparent = member.oid OFFSET 0) i
    )
    SELECT c.oid::regclass FROM member
    CROSS JOIN LATERAL (SELECT p.oid, relkind, relpersistence FROM pg_class p WHERE p.oid = member.oid OFFSET 0) c
    WHERE relkind IN ('r', 'p') AND relpersistence <> 't';
END $$;

-- A text as a value to compare with an id of a type, so that the index on it serves; null where the
-- text cannot be one.
CREATE OR REPLACE FUNCTION realtime.key_of(type regtype, value text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT replace(CASE
        WHEN type IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype) THEN
            'CASE WHEN {v} ~ ''^-?[0-9]{1,19}$'' THEN CASE WHEN {v}::numeric BETWEEN -9223372036854775808 AND 9223372036854775807 '
            || 'THEN {v}::bigint END END'
        WHEN type = 'uuid'::regtype THEN
            'CASE WHEN {v} ~ ''^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'' THEN {v}::uuid END'
        WHEN type = 'bpchar'::regtype THEN '{v}::bpchar'
        WHEN type IN ('text'::regtype, 'varchar'::regtype) THEN '{v}'
        WHEN t.typcategory = 'S' THEN '{v}::' || type::text
        WHEN t.typcategory = 'N' THEN 'CASE WHEN {v} ~ ''^[0-9]{1,9}$'' THEN {v}::' || type::text || ' END'
        ELSE 'NULL::' || type::text END, '{v}', value)
    FROM pg_type t WHERE t.oid = type;
$$;

-- A text as a value to compare with the table's id.
CREATE OR REPLACE FUNCTION realtime.key_sql(rel regclass, value text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT realtime.key_of(realtime.base_type(rel, 'id'), value);
$$;

-- A table of the portal, found by the caller's own search path, so it has none of its own and names
-- everything. An error says what to do when the table is missing.
CREATE OR REPLACE FUNCTION realtime.business_table(name text) RETURNS regclass LANGUAGE plpgsql STABLE AS $$
DECLARE rel pg_catalog.regclass := pg_catalog.to_regclass(name);
BEGIN
    IF name OPERATOR(pg_catalog.=) 'bookings'::pg_catalog.text AND (SELECT c.relkind OPERATOR(pg_catalog.=) 'v'::"char"
            FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) rel::pg_catalog.oid) THEN
        RETURN realtime.business_table('hangar_bookings');
    END IF;
    IF rel IS NULL THEN
        RAISE EXCEPTION 'the table "%" does not exist in this database', name
            USING HINT = 'Point DATABASE_URL at the portal''s database; if its tables are in another schema, add search_path to the URL.';
    END IF;
    RETURN rel;
END $$;

-- A table's name as it may be written anywhere, whatever the search path.
CREATE OR REPLACE FUNCTION realtime.qualified(rel regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%I.%I', n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = rel;
$$;
