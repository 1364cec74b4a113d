/**
 * Which question a choice is: its range, as of a day, and which of the buckets that come back is
 * under way.
 * @import * as R from './shapes.js'
 */
import { addDays } from '../state/days.js';

/** @type {R.Preset[]} */
export const PRESETS = ['today', '7', '30', '90', '12', 'own'];

/**
 * The range that is chosen, as of a day.
 * @param {R.Choice} choice @param {string} today @returns {R.Range}
 */
export function rangeOf({ preset, own }, today) {
  const to = addDays(today, 1);
  if (preset === 'own' && own) return own;
  if (preset === 'today') return { interval: 'hour', from: today, to };
  // The server widens a range to whole months, so any day of the first one names it.
  if (preset === '12') return { interval: 'month', from: addDays(today.slice(0, 8) + 15, -334), to };
  return { interval: 'day', from: addDays(to, -preset), to };
}

/** The question to the server. @param {R.Choice} choice @param {R.Range} range */
export const pathOf = ({ compare, hangar }, { interval, from, to }) =>
  `trends?interval=${interval}&from=${from}&to=${to}&compare=${compare === 'weekday' ? 'before&match=weekday' : compare}${hangar && `&hangarId=${encodeURIComponent(hangar)}`}`;

/**
 * The bucket that is under way; -1 where none is.
 * @param {R.Bucket[]} buckets @param {number} now
 */
export const currentOf = (buckets, now) => buckets.findIndex(({ start, end }) => Date.parse(start) <= now && now < Date.parse(end));
