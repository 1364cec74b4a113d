-- What is installed of schema/functions, whose files are put into the database at every migration.

-- +goose Up

-- A program never replaces the functions of a newer one. It replaces nothing where
-- nothing is different: `source` is the SHA-256 of the files, and `installed` that of
-- what PostgreSQL made of them.
CREATE TABLE realtime.functions (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version   int NOT NULL DEFAULT 0,
    source    text NOT NULL DEFAULT '',
    installed text NOT NULL DEFAULT ''
);
INSERT INTO realtime.functions DEFAULT VALUES;

-- +goose Down
DROP TABLE realtime.functions;
