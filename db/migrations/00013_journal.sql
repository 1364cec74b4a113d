-- +goose Up

-- Who came, when and from where, and what operators and owners did: kept for half a year, apart
-- from the log (Marco Civil da Internet, art. 15). Rows are written in batches and never changed.
CREATE TABLE realtime.journal (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL,
    kind     text NOT NULL,
    user_id  text,
    owner_id text,
    network  text,
    port     integer,
    detail   text
);
CREATE INDEX journal_at ON realtime.journal (at);
CREATE INDEX journal_user ON realtime.journal (user_id, at);

-- +goose Down
DROP TABLE realtime.journal;
