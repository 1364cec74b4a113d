-- The functions and triggers that this version brought are in schema/functions now, whose
-- files are put into the database at every migration. A database in which they were made
-- here keeps this number.

-- +goose Up
SELECT 1;

-- +goose Down
SELECT 1;
