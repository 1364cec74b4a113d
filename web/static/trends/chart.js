/**
 * One chart: bars, or a line that breaks where nothing is known. What came before is a dashed line,
 * and the bucket that is under way is hatched.
 * @import * as R from './shapes.js'
 */
import { h, setAttribute } from '../dom.js';

/** The room of names below the axis and between two of them, in letters. */
const ROOM = 3.5;
/** Something is never nothing. */
const LEAST = 2;
const MOST_WIDE = 40;
/** Hours up to so many are of one day, and need not name it. */
const ONE_DAY = 25;

/**
 * An element of a drawing.
 * @param {string} tag @param {Record<string, any>} props @param {...(Element | string)} children
 */
export const s = (tag, props, ...children) => {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const name in props) setAttribute(element, name, props[name]);
  element.append(...children);
  return element;
};
/** A length in pixels. @param {number} n */
export const f = (n) => n.toFixed(1);
/** @param {unknown} value @returns {value is number} */
export const known = (value) => typeof value === 'number';
const largest = (/** @type {any[]} */ values) => Math.max(0, ...values.filter(known));

/**
 * Where the lines of an axis are, from 0 to at least the largest value: about three, at round
 * numbers.
 * @param {number} max @param {boolean} [whole] no parts of one
 */
export function ticksOf(max, whole = false) {
  if (!(max > 0)) return [0, 1];
  const power = 10 ** Math.floor(Math.log10(max / 3));
  const round = /** @type {number} */ ([1, 2, whole ? 5 : 2.5, 5, 10].find((n) => n * power * 3 >= max));
  const step = Math.max(whole ? 1 : 0, round * power);
  return Array.from({ length: Math.ceil(max / step - 1e-9) + 1 }, (_, i) => Number((i * step).toPrecision(6)));
}

/**
 * Which buckets have their name below the axis, when so many have room, or a part of one more.
 * @param {number} n @param {number} room @param {boolean} fromEnd
 */
export function labelled(n, room, fromEnd) {
  const step = Math.ceil(n / Math.max(1, room));
  return Array.from({ length: n }, (_, i) => i).filter((i) => (fromEnd ? n - 1 - i : i) % step === 0);
}

/**
 * A box from the axis up, or down where it is negative.
 * @param {number} x its middle
 * @param {number} zero the axis
 * @param {number} width
 * @param {number} high
 */
export const box = (x, zero, width, high) => (high ? `M${f(x - width / 2)} ${f(zero)}v${f(-Math.sign(high) * Math.max(LEAST, Math.abs(high)))}h${f(width)}V${f(zero)}z` : '');

/**
 * A line through what is known, as two paths: whole, and dotted where `isDotted` says so of the
 * step from one bucket to the next. A value between two unknown ones is a dot.
 * @param {(number | null | undefined)[]} values @param {(i: number) => number} x
 * @param {(value: number) => number} y @param {(i: number) => boolean} [isDotted]
 */
export function linePaths(values, x, y, isDotted = () => false) {
  const paths = ['', ''];
  values.forEach((value, i) => {
    if (!known(value)) return;
    const at = `${f(x(i))} ${f(y(value))}`;
    const before = values[i - 1];
    paths[Number(isDotted(i))] += known(before) ? `M${f(x(i - 1))} ${f(y(before))}L${at}` : known(values[i + 1]) ? '' : `M${at}h.1`;
  });
  return paths;
}

/**
 * How numbers, changes and names below an axis are written.
 * @param {R.Wording} wording @returns {R.Formats}
 */
export function newFormats({ words, formatMoney, formatCount, formatPercent, formatChange, formatStay }) {
  const number = (/** @type {Intl.NumberFormatOptions} */ options) => {
    const format = new Intl.NumberFormat(words.language, { maximumFractionDigits: 1, ...options });
    return (/** @type {number} */ value) => format.format(value);
  };
  const signed = number({ signDisplay: 'exceptZero' });
  const month = new Intl.DateTimeFormat(words.language, { month: 'short', timeZone: 'UTC' });
  /** @type {R.Formats} */
  const formats = {
    revenue: formatMoney, bookings: formatCount, cancelled: formatCount, arrivals: formatCount, occupancy: formatPercent,
    averageStay: number({}),
    money: number({ notation: 'compact', style: 'currency', currency: 'BRL', currencyDisplay: 'narrowSymbol', minimumFractionDigits: 0 }),
    valueOf: (metric, value) => (typeof value === 'number' ? formats[metric](value) : words.noData),
    // A percentage moves by points: a percentage of one would be read as such.
    changeOf: (metric, { value, before, change }) => (metric === 'occupancy' ? `${signed((value ?? 0) - (before ?? 0))} ${words.points}` : formatChange(change ?? 0)),
    shortOf({ buckets, interval }, { start }) {
      if (interval === 'month') return start.slice(5, 7) === '01' ? start.slice(0, 4) : month.format(Date.parse(start.slice(0, 10))).replace('.', '');
      return interval === 'hour' && buckets.length <= ONE_DAY ? start.slice(11, 16) : formatStay(start, start).replace(/ de(?= )|\./g, '');
    },
  };
  return formats;
}

/**
 * @param {R.ChartKind} kind @param {R.Wording} wording @param {R.Formats} formats
 * @returns {R.Chart}
 */
export function newChart({ metric, hue, below, line }, { words, formatCount }, { money }) {
  const [unknown, bars, now, under, before, whole, dotted] = ['unknown', 'bars', 'now', 'under', 'before', 'line', 'line tr-dotted'].map((kind) => s('path', { class: `tr-${kind}` }));
  const grid = s('g', { class: 'tr-grid' });
  // Each chart has its own pattern, in its own colour.
  const hatch = s('pattern', { id: `tr-${metric}`, width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' }, s('path', { d: 'M0 0V6', class: 'tr-hatch' }));
  setAttribute(now, 'fill', `url(#tr-${metric})`);
  const svg = s('svg', { role: 'img' }, hatch, unknown, grid, bars, now, under, before, whole, dotted);
  const plot = h('div', { class: 'tr-plot' }, svg);
  const [total, change] = [h('b'), h('span', { class: 'tr-change' })];
  const node = h('figure', { class: `tr-chart ${hue}`, 'data-chart': metric },
    h('figcaption', null, h('h3', null, words[metric]), h('p', { class: 'tr-total' }, total, change)), plot);
  let [zero, unit] = [0, 1];

  /** @type {R.Chart} */
  const chart = {
    metric, below, line, node, total, change, plot, svg, left: 0, slot: 1, bottom: 0,
    x: (i) => chart.left + (i + 0.5) * chart.slot,
    y: (value) => zero - value * unit,
    draw({ series, before: past, buckets, asOf, interval, since }, current, names) {
      const { x, y } = chart;
      const { clientWidth: width, clientHeight: height } = plot;
      // As wide as a digit, at the size of text that a person wants.
      const letter = parseFloat(getComputedStyle(grid).fontSize) * 0.56;
      const values = series[metric];
      const n = buckets.length;
      const earlier = past?.[metric] ?? [];
      const lost = below ? series[below] : [];
      const marks = line ? [0, 50, 100] : ticksOf(Math.max(largest(values), largest(earlier)), metric === 'bookings');
      const top = /** @type {number} */ (marks.at(-1));
      const texts = marks.map(line ? (mark) => `${mark}%` : metric === 'revenue' ? money : formatCount);
      const long = (/** @type {string[]} */ all) => Math.max(...all.map((text) => text.length)) * letter;
      const left = chart.left = long(texts) + (line ? 16 : 10);
      const slot = chart.slot = (width - left) / n;
      const bottom = chart.bottom = height - ROOM * letter;
      unit = (bottom - letter) / (top + largest(lost));
      zero = letter + top * unit;
      const bar = (/** @type {number} */ i, /** @type {any} */ high) => (known(high) ? box(x(i), zero, Math.max(1, Math.min(MOST_WIDE, slot * 0.72)), high * unit) : '');
      const draw = (/** @type {Element} */ path, /** @type {string | string[]} */ d) => setAttribute(path, 'd', [d].flat().join(''));
      setAttribute(svg, 'viewBox', `0 0 ${width} ${height}`);
      grid.replaceChildren(
        ...marks.flatMap((mark, i) => [s('path', { d: `M${f(left)} ${f(y(mark))}H${width}`, class: mark ? null : 'tr-axis' }), s('text', { x: left - 8, y: f(y(mark) + letter / 2), 'text-anchor': 'end' }, texts[i])]),
        ...labelled(n, (width - left) / (long(names) + ROOM * letter), interval !== 'hour').map((i) => {
          // A name at an edge ends there, and does not run over it.
          const half = long([names[i]]) / 2;
          return s('text', { x: f(Math.min(width - half, Math.max(left + half, x(i)))), y: height - letter, 'text-anchor': 'middle' }, names[i]);
        }));
      draw(unknown, values.map((value, i) => (known(value) || Date.parse(buckets[i].start) > Date.parse(asOf) ? '' : box(x(i), zero, slot, zero - letter))));
      draw(before, linePaths(earlier, x, y)[0]);
      if (line) return linePaths(values, x, y, (i) => i === current || buckets[Math.max(0, i - 1)].start < (since?.occupancy ?? '')).forEach((d, i) => draw(i ? dotted : whole, d));
      draw(bars, values.map((value, i) => (i === current ? '' : bar(i, value))));
      draw(now, bar(current, values[current]));
      draw(under, lost.map((value, i) => bar(i, known(value) ? -value : value)));
    },
  };
  return chart;
}
