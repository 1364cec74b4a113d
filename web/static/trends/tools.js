/**
 * Numbers, days and changes as all parts of the trends write them.
 * @import * as R from './shapes.js'
 */
import { addDays } from '../state/days.js';

/** Hours up to so many are of one day, and need not name it. */
const ONE_DAY = 25;

/**
 * @param {R.Wording} wording @param {R.Words} words @param {() => R.Answer | null} answer
 * @returns {R.Tools}
 */
export function newTools({ words: { language }, formatMoney, formatCount, formatPercent, formatChange, formatWeekday, formatStay }, words, answer) {
  /** @type {R.Tools['fill']} */
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => String(values[key]));
  const number = (/** @type {Intl.NumberFormatOptions} */ options) => {
    const format = new Intl.NumberFormat(language, { maximumFractionDigits: 1, ...options });
    return (/** @type {number} */ value) => format.format(value);
  };
  const [decimal, signed] = [number({}), number({ signDisplay: 'exceptZero' })];
  /** @type {R.Tools['format']} */
  const format = {
    revenue: formatMoney, bookings: formatCount, cancelled: formatCount, arrivals: formatCount, occupancy: formatPercent,
    averageStay: (value) => fill(words.nights, { n: decimal(value) }),
  };
  const written = (/** @type {Intl.DateTimeFormatOptions} */ options) => {
    const clock = new Intl.DateTimeFormat(language, { ...options, timeZone: 'UTC' });
    return (/** @type {string} */ text) => clock.format(Date.parse(text.slice(0, 10)));
  };
  const [day, month, monthOfYear] = [written({ day: 'numeric', month: 'short' }), written({ month: 'short' }), written({ month: 'long', year: 'numeric' })];
  const isOneDay = () => (answer()?.buckets.length ?? 0) <= ONE_DAY;
  return {
    words, fill, format, formatCount,
    axisMoney: number({ notation: 'compact', style: 'currency', currency: 'BRL', currencyDisplay: 'narrowSymbol', minimumFractionDigits: 0 }),
    valueOf: (metric, value) => (typeof value === 'number' ? format[metric](value) : words.noData),
    // A percentage moves by points: a percentage of one would be read as such.
    changeOf: (metric, value, before, change) => (metric === 'occupancy' ? `${signed((value ?? 0) - (before ?? 0))} ${words.points}` : formatChange(change)),
    nameOf({ start, end }) {
      const interval = answer()?.interval;
      if (interval === 'month') return monthOfYear(start);
      if (interval === 'week') return formatStay(start, addDays(end.slice(0, 10), -1));
      return interval === 'day' ? formatWeekday(start) : (isOneDay() ? '' : `${day(start)}, `) + start.slice(11, 16);
    },
    shortOf({ start }) {
      const interval = answer()?.interval;
      if (interval === 'month') return start.slice(5, 7) === '01' ? start.slice(0, 4) : month(start).replace('.', '');
      return interval === 'hour' && isOneDay() ? start.slice(11, 16) : day(start).replace(/ de|\./g, '');
    },
  };
}
