/**
 * What changes in a window that is on the screen: the bucket that is under way is asked for again,
 * and brought into it. Loaded when numbers change for the first time.
 * @import * as R from './shapes.js'
 */
import { addDays } from '../state/days.js';
import { pathOf } from './range.js';

/** The least time between two questions about the bucket that is under way. */
const LIVE_MS = 5000;
/** While numbers change, the whole window is asked for as often: earlier buckets change too. */
const WHOLE_MS = 60_000;

/** Sums, which a difference carries on; the others are averages. @type {R.Metric[]} */
const SUMS = ['revenue', 'bookings', 'cancelled', 'arrivals'];

/** Money and counts have two decimals at most. @param {number} value */
const exact = (value) => Math.round(value * 100) / 100;

/**
 * Brings an answer about the newest buckets into a window. Sums move by what those buckets moved.
 * Averages, and what is compared, wait for the next whole answer: a period before is as long as the
 * window. Returns false where the window does not have them.
 * @param {R.Answer} window @param {R.Answer} answer
 */
export function merge(window, answer) {
  const places = answer.buckets.map(({ start }) => window.buckets.findIndex((bucket) => bucket.start === start));
  if (places.includes(-1)) return false;
  for (const [metric, values] of /** @type {[R.Metric, (number | null)[]][]} */ (Object.entries(answer.series))) {
    const [total, list] = [window.totals[metric], window.series[metric]];
    let moved = 0;
    places.forEach((at, i) => {
      moved += (values[i] ?? 0) - (list[at] ?? 0);
      list[at] = values[i];
    });
    if (!SUMS.includes(metric) || total.value === null) continue;
    total.value = exact(total.value + exact(moved));
    total.change = total.before ? Math.round((total.value - total.before) / total.before * 1000) / 10 : null;
  }
  places.forEach((at, i) => (window.buckets[at] = answer.buckets[i]));
  window.asOf = answer.asOf;
  return true;
}

/** @param {R.View} view @returns {R.Live} */
export function newLive(view) {
  const { around } = view;
  /** Numbers changed since the last question about the bucket that is under way, and about all. */
  let [dirty, stale] = [false, false];
  let asking = false;
  let askedAt = view.loadedAt;
  /** @type {any} */
  let timer = null;

  async function ask() {
    timer = null;
    const { data, current, turn } = view;
    if (asking || current < 0 || !data || document.visibilityState === 'hidden' || around.paused?.()) return;
    dirty = false;
    asking = true;
    askedAt = performance.now();
    try {
      const answer = await around.get(pathOf({ ...view.choice, compare: 'none' }, { interval: data.interval, from: data.buckets[current].start.slice(0, 10), to: addDays(view.today(), 1) }));
      if (turn === view.turn && merge(data, answer)) view.draw();
    } catch {
      dirty = true;
    }
    asking = false;
  }

  function schedule() {
    if (timer === null && !asking) timer = setTimeout(() => void ask(), Math.max(0, askedAt + LIVE_MS - performance.now()));
  }

  return {
    change() {
      dirty = stale = true;
      schedule();
    },
    loaded() {
      dirty = stale = false;
      askedAt = view.loadedAt;
    },
    tick() {
      if (asking) return;
      if (dirty) schedule();
      if (stale && performance.now() - view.loadedAt > WHOLE_MS) void view.load();
    },
    stop: () => clearTimeout(timer),
  };
}
