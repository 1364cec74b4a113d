-- What the booking calendar reads: the stays near today, so that a window costs nothing in history.

-- +goose Up

-- A booking's status and the stay that it is, whatever the status. Every instant is UTC, a date its
-- midnight there; null is a date that is missing, infinite, or not within the years that are told.
-- `stay_until` is the later of the two, infinity where there is none. Rows of before have none of
-- these: the projection is built anew, because its rules are others.
ALTER TABLE realtime.ledger
    ADD COLUMN status     text,
    ADD COLUMN stay_in    timestamp,
    ADD COLUMN stay_out   timestamp,
    ADD COLUMN stay_until timestamp;
CREATE INDEX ledger_stays ON realtime.ledger (hangar_id, stay_until) WHERE stay_until IS NOT NULL;

-- +goose Down
ALTER TABLE realtime.ledger DROP COLUMN status, DROP COLUMN stay_in, DROP COLUMN stay_out, DROP COLUMN stay_until;
