-- Who may call what. Functions are nobody's by default: a role that may write the
-- portal's tables needs none.

-- A role that serves without migrating has its rights on what is new as on what was there: on
-- tables those that it has on realtime.batches, and all functions.
CREATE OR REPLACE FUNCTION realtime.share_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE g record;
BEGIN
    REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA realtime FROM PUBLIC;
    FOR g IN SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee,
                    string_agg(a.privilege_type, ', ') AS privileges
             FROM pg_class c, aclexplode(c.relacl) a
             WHERE c.oid = 'realtime.batches'::regclass AND a.grantee <> c.relowner GROUP BY a.grantee LOOP
        EXECUTE format('GRANT %s ON ALL TABLES IN SCHEMA realtime TO %s', g.privileges, g.grantee);
        EXECUTE format('GRANT EXECUTE ON ALL ROUTINES IN SCHEMA realtime TO %s', g.grantee);
    END LOOP;
END $$;
