/**
 * What the page's address keeps of a choice, and the days that a range of one's own may have.
 * @import * as R from './shapes.js'
 */
import { addDays, daysBetween } from '../state/days.js';
import { PRESETS } from './range.js';

/** @type {R.Compare[]} */
export const COMPARES = ['before', 'weekday', 'year', 'none'];
/** A range of one's own is by hours up to 2 days, by days up to 100, by weeks up to 2 years. */
const BY_HOUR = 2;
const BY_DAY = 100;
const BY_WEEK = 731;
/** Months that an answer holds at most. */
const MAX_MONTHS = 60;
/** An id is no longer. */
const MAX_ID = 128;

/** The first of a month some months from a date. @param {string} date @param {number} months */
export const firstOfMonth = (date, months) => {
  const [year, month] = date.split('-').map(Number);
  return new Date(Date.UTC(year, month - 1 + months, 1)).toISOString().slice(0, 10);
};

/** The earliest day that a range may begin with. @param {string} today */
export const earliest = (today) => firstOfMonth(today, 1 - MAX_MONTHS);

/** A range of one's own. @param {string} first @param {string} last @returns {R.Range} */
export function ownRange(first, last) {
  const days = daysBetween(first, last) + 1;
  return { interval: days <= BY_HOUR ? 'hour' : days <= BY_DAY ? 'day' : days <= BY_WEEK ? 'week' : 'month', from: first, to: addDays(last, 1) };
}

const FORM = /^(\d{4}-\d\d-\d\d)\.\.(\d{4}-\d\d-\d\d)$/;

/**
 * The choice that an address names; null where it names none.
 * @param {string} hash @param {string} today @returns {R.Choice | null}
 */
export function readHash(hash, today) {
  const query = new URLSearchParams(hash.slice(1));
  const named = query.get('trends') ?? '';
  const [, first = '', last = ''] = FORM.exec(named) ?? [];
  const own = Date.parse(first) <= Date.parse(last) && first >= earliest(today) && last <= today ? ownRange(first, last) : null;
  const preset = own ? 'own' : PRESETS.find((one) => one === named && one !== 'own');
  const hangar = query.get('hangar') ?? '';
  return preset ? {
    preset, own, compare: COMPARES.find((one) => one === query.get('compare')) ?? 'before', table: query.has('table'), hangar: hangar.length <= MAX_ID ? hangar : '',
  } : null;
}

/**
 * An address's hash that keeps a choice, or none, beside what is of others in it.
 * @param {string} hash @param {R.Choice | null} choice
 */
export function writeHash(hash, choice) {
  const query = new URLSearchParams(hash.includes('=') ? hash.slice(1) : '');
  const { preset, own, compare, table, hangar } = choice ?? /** @type {Partial<R.Choice>} */ ({});
  for (const [name, value] of Object.entries({
    trends: preset === 'own' && own ? `${own.from}..${addDays(own.to, -1)}` : preset,
    compare: compare !== 'before' && compare, table: table && '1', hangar,
  })) value ? query.set(name, value) : query.delete(name);
  return query.size > 0 ? `#${query}` : '';
}
