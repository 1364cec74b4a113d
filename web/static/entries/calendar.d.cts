/** The same for CommonJS, which brings modules in by require where Node is 20.19 or newer. */
import type * as entry from './calendar.js' with { 'resolution-mode': 'import' };

export declare const BookingCalendar: typeof entry.BookingCalendar;
export type BookingCalendar = entry.BookingCalendar;
