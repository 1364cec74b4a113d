-- Which languages there are is said by the program that writes in them, and no longer here: another
-- one needs no migration. What a server does not know it reads as the first one.

-- +goose Up
ALTER TABLE realtime.user_settings DROP CONSTRAINT user_settings_lang_check;

-- +goose Down
UPDATE realtime.user_settings SET lang = NULL WHERE lang NOT IN ('pt-BR', 'en', 'es');
ALTER TABLE realtime.user_settings ADD CONSTRAINT user_settings_lang_check CHECK (lang IN ('pt-BR', 'en', 'es'));
