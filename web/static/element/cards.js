/**
 * What the cards show once all parts of the dashboard are there: their last 14 days, and growth,
 * like for like first.
 * @import * as T from '../shapes.js'
 */
import { ICONS, h, loadModule, setAttribute, setIcon, setText, show, tint } from '../dom.js';
import { addDays } from '../state/days.js';

/** @type {[T.CardKey, 'revenue' | 'bookings' | 'occupancy'][]} */
const SPARKLINES = [['revenueToday', 'revenue'], ['bookingsToday', 'bookings'], ['occupancyRate', 'occupancy']];
const DAYS = 14;
/** A day with nothing has a bar all the same, one that is not known has none. */
const LEAST_BAR = 0.05;

/** Growth is asked for as often when revenue changed, and when it did not. */
const CHANGED_MS = 30_000;
const SAME_MS = 300_000;
/** The chance of a question in any one second, so that not all browsers ask at once. */
const SPREAD = 0.2;

/**
 * Like for like first, where it is known. Else a part of today stands against a whole day.
 * @type {T.DescribeGrowth}
 */
export const describeGrowth = (words, formatChange, percent, basis, growth) => {
  const value = formatChange(percent);
  const told = { value, shown: percent };
  if (basis === 'none') return { ...told, line: words.noWeeks };
  if (basis === 'new') return { ...told, line: words.firstWeek };
  const whole = words.wholeDays.replace('{change}', value);
  if (typeof growth?.change !== 'number') return { ...told, line: percent === 0 ? words.same : percent > 0 ? words.above : words.below, whole };
  return { value: formatChange(growth.change), shown: growth.change, line: words.untilNow.replace('{time}', growth.time), whole };
};

/** @type {T.NewCards} */
export const newCards = async ({ frame, wording, get, days: told, redraw }) => {
  const words = wording.views.growth ?? (await loadModule('element/words/pt', () => import('./words/pt.js'))).default;
  const card = (/** @type {T.CardKey} */ key) => /** @type {HTMLElement} */ (frame.querySelector(`[data-metric=${key}]`));
  const part = (/** @type {HTMLElement} */ node, /** @type {string} */ name) => /** @type {HTMLElement} */ (node.querySelector(name));
  const sparklines = SPARKLINES.map(([key, series]) => {
    const bars = Array.from({ length: DAYS }, () => h('i'));
    part(card(key), '.value').after(h('div', { class: 'spark', title: words.lastDays, 'aria-hidden': 'true' }, ...bars));
    return { key, series, bars };
  });
  const node = card('growthPercentage');
  const [value, line, sign] = ['.value', '.line', '.icon'].map((name) => part(node, name));
  const whole = h('p', { class: 'basis whole', hidden: true });
  line.after(whole);

  /** @type {T.Sparklines | null} */
  let days = null;
  /** @type {T.Growth | null | undefined} undefined until it was asked for */
  let growth;
  let [day, askedDay, askedAt] = ['', '', 0];
  /** @type {[number | undefined, number | undefined]} */
  let [revenue, askedOf] = [0, 0];

  let turn = 0;
  /** The last 7 days up to now against the 7 before, up to the same clock time. */
  const ask = async () => {
    const mine = ++turn;
    askedAt = performance.now();
    [askedOf, askedDay] = [revenue, day];
    const answer = await get(`trends?interval=day&from=${addDays(day, -6)}&to=${addDays(day, 1)}&compare=before`).catch(() => null);
    if (mine !== turn) return;
    // An older server does not know them. A former answer says its time.
    growth = answer ? { change: answer.totals.revenue.change, time: wording.formatTime(Date.parse(answer.asOf), answer.timezone) } : growth ?? null;
    redraw();
  };
  const askDays = async () => {
    const answer = await get('overview').catch(() => null);
    if (askedAt) days = answer?.sparklines ?? days;
  };

  return {
    node,
    update({ state: { metrics, overview }, today }) {
      if (!metrics) return;
      revenue = metrics.revenueToday;
      day = today;
      if (askedAt === 0) void ask();
      const last = days ?? told();
      if (last) {
        for (const { key, series, bars } of sparklines) {
          const values = [...last[series]];
          // The card's own number is newer. The occupancy's is of this moment, and no average.
          const isAverage = series === 'occupancy';
          if (!isAverage && last.days[DAYS - 1] === today) values[DAYS - 1] = metrics[key];
          const max = isAverage ? 100 : Math.max(1, .../** @type {number[]} */ (values));
          bars.forEach((bar, i) => bar.style.setProperty('--part', String(typeof values[i] === 'number' ? Math.max(LEAST_BAR, Number(values[i]) / max) : 0)));
        }
      }
      if (growth === undefined) return;
      const said = describeGrowth(words, wording.formatChange, metrics.growthPercentage, overview?.growthBasis ?? '', growth);
      const first = node.classList.contains('loading');
      node.classList.remove('loading');
      value.style.setProperty('--length', String(Math.max(9, said.value.length)));
      setAttribute(node, 'aria-busy', null);
      if (setText(value, said.value) && !first) tint(node);
      setText(line, said.line);
      show(whole, Boolean(said.whole));
      setText(whole, said.whole ?? '');
      const trend = said.shown > 0 ? 'up' : said.shown < 0 ? 'down' : null;
      setIcon(/** @type {any} */ (sign), ICONS[trend ?? 'flat']);
      setAttribute(node, 'data-trend', trend);
    },
    tick() {
      const due = performance.now() - askedAt > (revenue === askedOf ? SAME_MS : CHANGED_MS);
      if (!askedAt || !(due || askedDay !== day) || Math.random() > SPREAD) return;
      if (askedDay !== day) void askDays();
      void ask();
    },
    stop() {
      turn++;
      askedAt = 0;
      [growth, days] = [undefined, null];
      node.classList.add('loading');
      [value, line].forEach((one) => setText(one, '\u00A0'));
      show(whole, false);
      sparklines.forEach(({ bars }) => bars.forEach((bar) => bar.style.removeProperty('--part')));
    },
  };
};
