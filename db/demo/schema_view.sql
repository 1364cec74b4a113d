-- What a newer portal did to the tables of schema.sql: the rows moved to hangar_bookings, which has
-- no payment_date, and `bookings` is a plain view over it.

ALTER TABLE public.bookings DROP COLUMN payment_date;
ALTER TABLE public.bookings RENAME TO hangar_bookings;
ALTER TABLE public.hangar_bookings RENAME CONSTRAINT bookings_pkey TO hangar_bookings_pkey;
ALTER TABLE public.hangar_bookings RENAME CONSTRAINT bookings_dates_check TO hangar_bookings_dates_check;
ALTER TABLE public.hangar_bookings RENAME CONSTRAINT bookings_status_check TO hangar_bookings_status_check;
ALTER TABLE public.hangar_bookings RENAME CONSTRAINT bookings_hangar_id_fkey TO hangar_bookings_hangar_id_fkey;
ALTER TABLE public.hangar_bookings RENAME CONSTRAINT bookings_user_id_fkey TO hangar_bookings_user_id_fkey;
ALTER SEQUENCE public.bookings_id_seq RENAME TO hangar_bookings_id_seq;
ALTER INDEX public.bookings_hangar_id_idx RENAME TO hangar_bookings_hangar_id_idx;
ALTER INDEX public.bookings_user_id_idx RENAME TO hangar_bookings_user_id_idx;
ALTER INDEX public.bookings_status_idx RENAME TO hangar_bookings_status_idx;
ALTER INDEX public.bookings_created_at_idx RENAME TO hangar_bookings_created_at_idx;

CREATE VIEW public.bookings AS
SELECT id, hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, payment_method,
    created_at, updated_at
FROM public.hangar_bookings;
COMMENT ON VIEW public.bookings IS 'HangarShare demo';
