/**
 * What the trends know, without a page: the range that a choice means, what the address keeps of
 * it, and which buckets an axis names.
 * @import * as R from './shapes.js'
 */
import { addDays, daysBetween } from '../state/days.js';

/** @type {R.Preset[]} */
export const PRESETS = ['today', '7', '30', '90', '12', 'own'];
/** @type {R.Compare[]} */
export const COMPARES = ['before', 'weekday', 'year', 'none'];
/** A range of one's own is by hours up to 2 days, by days up to 100, by weeks up to 2 years. */
const BY_HOUR = 2;
const BY_DAY = 100;
const BY_WEEK = 731;
/** Months that an answer holds at most. */
const MAX_MONTHS = 60;

/** The first of a month some months from a date. @param {string} date @param {number} months */
export const firstOfMonth = (date, months) => {
  const [year, month] = date.split('-').map(Number);
  return new Date(Date.UTC(year, month - 1 + months, 1)).toISOString().slice(0, 10);
};

/** The earliest day that a range may begin with. @param {string} today */
export const earliest = (today) => firstOfMonth(today, 1 - MAX_MONTHS);

/** The range that is chosen, as of a day. @param {R.Choice} choice @param {string} today @returns {R.Range} */
export function rangeOf({ preset, first, last }, today) {
  const to = addDays(today, 1);
  if (preset === 'today') return { interval: 'hour', from: today, to };
  if (preset === '12') return { interval: 'month', from: firstOfMonth(today, -11), to };
  if (preset !== 'own') return { interval: 'day', from: addDays(to, -preset), to };
  const days = daysBetween(first, last) + 1;
  return { interval: days <= BY_HOUR ? 'hour' : days <= BY_DAY ? 'day' : days <= BY_WEEK ? 'week' : 'month', from: first, to: addDays(last, 1) };
}

/** The question to the server. @param {R.Choice} choice @param {R.Range} range */
export const pathOf = ({ compare }, { interval, from, to }) =>
  `trends?interval=${interval}&from=${from}&to=${to}&compare=${compare === 'weekday' ? 'before&match=weekday' : compare}`;

const FORM = /^(\d{4}-\d\d-\d\d)\.\.(\d{4}-\d\d-\d\d)$/;

/**
 * The choice that an address names; null where it names none.
 * @param {string} hash @param {string} today @returns {R.Choice | null}
 */
export function readHash(hash, today) {
  const query = new URLSearchParams(hash.slice(1));
  const named = query.get('trends') ?? '';
  const [, first = '', last = ''] = FORM.exec(named) ?? [];
  const own = Date.parse(first) <= Date.parse(last) && first >= earliest(today) && last <= today;
  const preset = own ? 'own' : PRESETS.find((one) => one === named && one !== 'own');
  return preset ? { preset, compare: COMPARES.find((one) => one === query.get('compare')) ?? 'before', table: query.has('table'), first, last } : null;
}

/**
 * An address's hash that keeps a choice, or none, beside what is of others in it.
 * @param {string} hash @param {R.Choice | null} choice
 */
export function writeHash(hash, choice) {
  const query = new URLSearchParams(hash.includes('=') ? hash.slice(1) : '');
  for (const [name, value] of Object.entries({
    trends: choice && (choice.first && choice.preset === 'own' ? `${choice.first}..${choice.last}` : choice.preset),
    compare: choice && choice.compare !== 'before' && choice.compare, table: choice?.table && '1',
  })) value ? query.set(name, value) : query.delete(name);
  return query.size > 0 ? `#${query}` : '';
}

/** The bucket that is under way; -1 where none is. @param {R.Bucket[]} buckets @param {number} now */
export const currentOf = (buckets, now) => buckets.findIndex(({ start, end }) => Date.parse(start) <= now && now < Date.parse(end));
