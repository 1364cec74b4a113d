/**
 * The bucket that is under way, brought into a window that is on the screen. Loaded when numbers
 * change for the first time.
 * @import * as R from './shapes.js'
 */

/** Sums, which a difference carries on; the others are averages. @type {R.Metric[]} */
const SUMS = ['revenue', 'bookings', 'cancelled', 'arrivals'];

/** Money and counts have two decimals at most. @param {number} value */
const exact = (value) => Math.round(value * 100) / 100;

/**
 * Brings an answer about the newest buckets into a window. Sums move by what those buckets moved,
 * averages wait for the next whole answer. Returns false where the window does not have them.
 * @param {R.Answer} window @param {R.Answer} answer
 */
export function merge(window, answer) {
  const places = answer.buckets.map(({ start }) => window.buckets.findIndex((bucket) => bucket.start === start));
  if (places.includes(-1)) return false;
  for (const [metric, values] of /** @type {[R.Metric, (number | null)[]][]} */ (Object.entries(answer.series))) {
    const total = window.totals[metric];
    for (const [side, own, fresh] of /** @type {const} */ ([['value', window.series, values], ['before', window.before ?? {}, answer.before?.[metric]]])) {
      const list = own[metric];
      if (!list || !fresh) continue;
      let moved = 0;
      places.forEach((at, i) => {
        moved += (fresh[i] ?? 0) - (list[at] ?? 0);
        list[at] = fresh[i];
      });
      if (SUMS.includes(metric) && total[side] !== null) total[side] = exact(total[side] + exact(moved));
    }
    if (!SUMS.includes(metric)) continue;
    const { value, before } = total;
    total.change = before && value !== null ? Math.round((value - before) / before * 1000) / 10 : null;
  }
  places.forEach((at, i) => (window.buckets[at] = answer.buckets[i]));
  window.asOf = answer.asOf;
  return true;
}
