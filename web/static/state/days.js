/** Calendar days as texts like 2026-03-12. No time zone is ever applied to them. */

const DAY_MS = 86_400_000;

/** A date some days from another. @param {string} date @param {number} days */
export const addDays = (date, days) => new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);

/** The weekday of a date, 0 is Sunday. @param {string} date */
export const weekday = (date) => new Date(`${date}T00:00:00Z`).getUTCDay();

/** How many days lie between two dates. @param {string} from @param {string} to */
export const daysBetween = (from, to) => Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / DAY_MS);
