/**
 * What the calendar knows, without a page: a window of days, what changed in it, and where each
 * stay is drawn.
 * @import * as C from './shapes.js'
 */
export { addDays, weekday } from '../state/days.js';

const DAY_MS = 86_400_000;
const COUNTED = new Set(['confirmed', 'active', 'completed']);

/** Whether a stay takes a space. @param {C.Stay} stay */
export const occupies = (stay) => COUNTED.has(stay.status);

/**
 * The first page with further ones behind it.
 * @param {C.Page} window @param {C.Page} page
 */
export function append(window, page) {
  window.hangars.push(...page.hangars);
  window.stays.push(...page.stays);
  window.counted.push(...page.counted);
  window.uncertain.count += page.uncertain.count;
  window.uncertain.stays.push(...page.uncertain.stays);
}

/**
 * How far an instant is into the window, 0 to 1. Each day is as wide as the others, however many
 * hours it has.
 * @param {C.Day[]} days @param {number} at Unix milliseconds
 */
export function part(days, at) {
  const n = days.length;
  // A day may have an hour more or less, so the search begins one later.
  for (let i = Math.min(n - 1, Math.floor((at - Date.parse(days[0].start)) / DAY_MS) + 1); i >= 0; i--) {
    const start = Date.parse(days[i].start);
    if (at >= start && days[i].hours > 0) return Math.min(1, (i + Math.min(1, (at - start) / (days[i].hours * 3_600_000))) / n);
  }
  return 0;
}

/**
 * The stays of a hangar that follow another in their lane on the same date, each with the hours
 * between them; null where bookings have no hours.
 * @param {C.Stay[]} stays @param {boolean} hours @returns {Map<string, number | null>}
 */
export function turnovers(stays, hours) {
  const found = new Map();
  const order = stays.filter(occupies).sort((a, b) => Date.parse(a.checkInDate) - Date.parse(b.checkInDate));
  /** @type {Map<number, C.Stay>} */
  const last = new Map();
  for (const stay of order) {
    const before = last.get(stay.lane);
    last.set(stay.lane, stay);
    if (!before || before.checkOutDate.slice(0, 10) !== stay.checkInDate.slice(0, 10)) continue;
    found.set(stay.bookingId, hours ? (Date.parse(stay.checkInDate) - Date.parse(before.checkOutDate)) / 3_600_000 : null);
  }
  return found;
}

/**
 * Of each day those of some stays that it concerns.
 * @param {C.Page} window @param {C.Stay[]} stays
 */
export function staysByDay({ days }, stays) {
  const times = stays.map((stay) => [Date.parse(stay.checkInDate), Date.parse(stay.checkOutDate)]);
  return days.map(({ start, hours }) => {
    const from = Date.parse(start);
    const to = from + hours * 3_600_000;
    return stays.filter((_, i) => times[i][0] < to && times[i][1] > from);
  });
}
