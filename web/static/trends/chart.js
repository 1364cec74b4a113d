/**
 * One chart: bars, or a line that breaks where nothing is known. What came before is a dashed line,
 * and the bucket that is under way is hatched. Pointer and arrows choose a bucket.
 * @import * as R from './shapes.js'
 */
import { h, setAttribute, setText } from '../dom.js';

const SVG = 'http://www.w3.org/2000/svg';
const TOP = 8;
/** The room of the names below the axis, between two of them, and of a letter, in pixels. */
const BELOW = 22;
const BETWEEN = 26;
const LETTER = 6.7;
/** Something is never nothing. */
const LEAST = 2;
const MOST_WIDE = 40;

/** @param {string} tag @param {Record<string, any>} props @param {...(Element | string)} children */
const s = (tag, props, ...children) => {
  const element = document.createElementNS(SVG, tag);
  for (const name in props) setAttribute(element, name, props[name]);
  element.append(...children);
  return element;
};
const f = (/** @type {number} */ n) => n.toFixed(1);
const known = (/** @type {unknown} */ value) => typeof value === 'number';
const largest = (/** @type {any[]} */ values) => Math.max(0, ...values.filter(known));

/**
 * Where the lines of an axis are, from 0 to at least the largest value: about three, at round
 * numbers.
 * @param {number} max @param {boolean} [whole] no parts of one
 */
export function ticksOf(max, whole = false) {
  if (!(max > 0)) return [0, 1];
  const power = 10 ** Math.floor(Math.log10(max / 3));
  const round = /** @type {number} */ ((whole ? [1, 2, 5, 10] : [1, 2, 2.5, 5, 10]).find((n) => n * power * 3 >= max));
  const step = Math.max(whole ? 1 : 0, round * power);
  return Array.from({ length: Math.ceil(max / step - 1e-9) + 1 }, (_, i) => Number((i * step).toPrecision(6)));
}

/**
 * Which buckets have their name below the axis, when so many have room.
 * @param {number} n @param {number} room @param {boolean} fromEnd
 */
export function labelled(n, room, fromEnd) {
  const step = Math.ceil(n / Math.max(1, room));
  return Array.from({ length: n }, (_, i) => i).filter((i) => (fromEnd ? n - 1 - i : i) % step === 0);
}

/**
 * A box from the axis up, or down where it is negative.
 * @param {number} x its middle @param {number} zero the axis @param {number} width @param {number} high
 */
export const box = (x, zero, width, high) => (high ? `M${f(x - width / 2)} ${f(zero)}v${f(high > 0 ? -Math.max(LEAST, high) : Math.max(LEAST, -high))}h${f(width)}V${f(zero)}z` : '');

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
    const at = `${f(x(i))} ${f(y(/** @type {number} */ (value)))}`;
    const before = values[i - 1];
    paths[Number(isDotted(i))] += known(before) ? `M${f(x(i - 1))} ${f(y(/** @type {number} */ (before)))}L${at}` : known(values[i + 1]) ? '' : `M${at}h.1`;
  });
  return paths;
}

/**
 * @param {R.ChartKind} kind
 * @param {R.Tools} tools
 * @param {(i: number) => void} pick a bucket is chosen, or none by -1
 */
export function newChart({ metric, hue, below, line }, { words, axisMoney, formatCount }, pick) {
  const path = (/** @type {string} */ kind) => s('path', { class: `tr-${kind}` });
  const [unknown, cursor, bars, now, under, before, whole, dotted] = ['unknown', 'cursor', 'bars', 'now', 'under', 'before', 'line', 'line tr-dotted'].map(path);
  const point = s('circle', { class: 'tr-point', r: 4.5 });
  const grid = s('g', { class: 'tr-grid' });
  // Each chart has its own pattern, in its own colour.
  const hatch = s('pattern', { id: `tr-${metric}`, width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' }, s('path', { d: 'M0 0V6', class: 'tr-hatch' }));
  setAttribute(now, 'fill', `url(#tr-${metric})`);
  const svg = s('svg', { role: 'img' }, hatch, unknown, cursor, grid, bars, now, under, before, whole, dotted, point);
  // What arrows move: people who see nothing hear its text, and fingers may drag it.
  const slider = h('input', { type: 'range', step: 1, 'aria-label': `${words[metric]}. ${words.arrows}`, oninput: () => pick(+slider.value) });
  const plot = h('div', { class: 'tr-plot', onpointermove: aim, onpointerdown: aim, onpointerleave: () => slider.matches(':focus') || pick(-1) }, slider, svg);
  const total = h('b');
  const change = h('span', { class: 'tr-change' });
  const read = h('p', { class: 'tr-read' });
  const node = h('figure', { class: `tr-chart ${hue}`, 'data-chart': metric },
    h('figcaption', null, h('h3', null, words[metric]), h('p', { class: 'tr-total' }, total, change)), read, plot);

  let [n, left, slot, zero, unit, bottom] = [0, 0, 1, 0, 1, 0];
  /** @type {(number | null)[]} */
  let values = [];
  const x = (/** @type {number} */ i) => left + (i + 0.5) * slot;
  const y = (/** @type {number} */ value) => zero - value * unit;

  /** @param {any} event */
  function aim({ clientX }) {
    const at = Math.floor((clientX - plot.getBoundingClientRect().left - left) / slot);
    pick(Math.max(0, Math.min(n - 1, at)));
  }

  return {
    metric, below, node, total, change,
    /**
     * @param {R.Answer} answer @param {number} current the bucket that is under way
     * @param {string[]} names of buckets below the axis @param {string} since spaces are known
     */
    draw({ series, before: past, buckets, asOf, interval }, current, names, since) {
      const { clientWidth: width, clientHeight: height } = plot;
      values = series[metric];
      n = buckets.length;
      const earlier = past?.[metric] ?? [];
      const lost = below ? series[below] : [];
      const marks = line ? [0, 50, 100] : ticksOf(Math.max(largest(values), largest(earlier)), metric === 'bookings');
      const top = marks[marks.length - 1];
      const texts = marks.map(line ? (mark) => `${mark}%` : metric === 'revenue' ? axisMoney : formatCount);
      const long = (/** @type {string[]} */ all) => Math.max(...all.map((text) => text.length)) * LETTER;
      left = long(texts) + 10;
      slot = (width - left) / n;
      bottom = height - BELOW;
      unit = (bottom - TOP) / (top + largest(lost));
      zero = TOP + top * unit;
      const bar = (/** @type {number} */ i, /** @type {any} */ high) => (known(high) ? box(x(i), zero, Math.max(1, Math.min(MOST_WIDE, slot * 0.72)), high * unit) : '');
      const each = (/** @type {any[]} */ list, /** @type {(value: any, i: number) => string} */ draw) => list.map(draw).join('');
      const draw = (/** @type {Element} */ path, /** @type {string} */ d) => setAttribute(path, 'd', d);
      setAttribute(svg, 'viewBox', `0 0 ${width} ${height}`);
      setAttribute(slider, 'max', n - 1);
      grid.replaceChildren(
        ...marks.flatMap((mark, i) => [s('path', { d: `M${f(left)} ${f(y(mark))}H${width}`, class: mark ? null : 'tr-axis' }), s('text', { x: f(left - 8), y: f(y(mark) + 4), 'text-anchor': 'end' }, texts[i])]),
        ...labelled(n, Math.floor((width - left) / (long(names) + BETWEEN)), interval !== 'hour').map((i) => {
          // A name at an edge ends there, and does not run over it.
          const half = names[i].length * LETTER / 2;
          return s('text', { x: f(Math.min(width - half, Math.max(left + half, x(i)))), y: height - 5, 'text-anchor': 'middle' }, names[i]);
        }));
      draw(unknown, each(values, (value, i) => (known(value) || Date.parse(buckets[i].start) > Date.parse(asOf) ? '' : box(x(i), zero, slot, zero - TOP))));
      draw(before, linePaths(earlier, x, y)[0]);
      if (line) return linePaths(values, x, y, (i) => i === current || buckets[Math.max(0, i - 1)].start < since).forEach((d, i) => draw(i ? dotted : whole, d));
      draw(bars, each(values, (value, i) => (i === current ? '' : bar(i, value))));
      draw(now, bar(current, values[current]));
      draw(under, each(lost, (value, i) => bar(i, -value)));
    },
    /** The bucket that is told, and whether a person chose it. @param {number} at @param {boolean} chosen @param {string} text */
    tell(at, chosen, text) {
      setText(read, text);
      slider.value = String(at);
      setAttribute(slider, 'aria-valuetext', text);
      setAttribute(cursor, 'd', chosen ? box(x(at), bottom, slot, bottom - TOP) : null);
      const marked = line && known(values[at]);
      setAttribute(point, 'transform', marked ? `translate(${f(x(at))} ${f(y(/** @type {number} */ (values[at])))})` : 'scale(0)');
    },
    /** @param {string} text one sentence */
    summarize: (text) => setAttribute(svg, 'aria-label', text),
  };
}
