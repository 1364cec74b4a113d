/**
 * What is said and chosen beside the charts: what pointer and arrows read of them, a sentence for
 * each, further numbers, what is compared, the hangar, table, file and explanation, what the
 * address keeps, and buckets that begin by the clock. It comes while the first answer is on its
 * way.
 * @import * as R from './shapes.js'
 */
import { h, loadModule, setAttribute, setText, show } from '../dom.js';
import { visible } from '../state/wording.js';
import { addDays } from '../state/days.js';
import { COMPARES, readHash, writeHash } from './address.js';
import { box, f, known, s } from './chart.js';

/** @type {R.Metric[]} */
const FACTS = ['cancelled', 'averageStay', 'arrivals'];
/** Of these more is worse. @type {R.Metric[]} */
const WORSE = ['cancelled'];

const HOUR_MS = 3_600_000;
/** How old a window is at least before the clock has it asked for again. */
const AGAIN_MS = 15_000;
/** The chance of a question in any one second, so that not all browsers ask at midnight. */
const SPREAD = 0.2;

/** Brings the words of controls beside those that are there. @param {R.Wording} wording */
export async function loadControls({ words, views }) {
  if (!views.trends) Object.assign(words, (await loadModule('trends/words/controls-pt', () => import('./words/controls-pt.js'))).default);
  return newControls;
}

/**
 * What reads the buckets of a chart.
 * @param {R.Chart} chart @param {R.Wording['words']} words
 * @param {(i: number) => void} pick a bucket is chosen, or none by -1
 */
function newReader(chart, words, pick) {
  const { plot, svg, x, y } = chart;
  const read = h('p', { class: 'tr-read' });
  // What arrows move: people who see nothing hear its text, and fingers may drag it.
  const slider = h('input', { type: 'range', step: 1, 'aria-label': `${words[chart.metric]}. ${words.arrows}`, oninput: () => pick(+slider.value) });
  const cursor = s('path', { class: 'tr-cursor' });
  const point = s('circle', { class: 'tr-point', r: 4.5 });
  svg.querySelector('.tr-grid')?.before(cursor);
  svg.append(point);
  plot.prepend(slider);
  plot.before(read);
  const aim = (/** @type {PointerEvent} */ { clientX }) => {
    const at = Math.floor((clientX - plot.getBoundingClientRect().left - chart.left) / chart.slot);
    pick(Math.max(0, Math.min(+slider.max, at)));
  };
  plot.addEventListener('pointermove', aim);
  plot.addEventListener('pointerdown', aim);
  plot.addEventListener('pointerleave', () => slider.matches(':focus') || pick(-1));
  /**
   * Tells one of so many buckets, and whether a person chose it.
   * @param {number} n @param {number} at @param {boolean} chosen @param {string} text
   * @param {number | null | undefined} value
   */
  return (n, at, chosen, text, value) => {
    setText(read, text);
    setAttribute(slider, 'max', n - 1);
    slider.value = String(at);
    setAttribute(slider, 'aria-valuetext', text);
    setAttribute(cursor, 'd', chosen ? box(x(at), chart.bottom, chart.slot, chart.bottom) : null);
    setAttribute(point, 'transform', chart.line && known(value) ? `translate(${f(x(at))} ${f(y(value))})` : 'scale(0)');
  };
}

/** @param {R.View} view @returns {R.Controls} */
function newControls(view) {
  const { around, wording, formats, charts, node, body, button } = view;
  const { words, say, formatWeekday, formatStay } = wording;
  const stay = formats.averageStay;
  formats.averageStay = (value) => say('nights', { n: stay(value) });
  const clock = (/** @type {Intl.DateTimeFormatOptions} */ options) => new Intl.DateTimeFormat(words.language, { ...options, timeZone: 'UTC' });
  const monthOfYear = clock({ month: 'long', year: 'numeric' });
  /** Where the chosen bucket begins. */
  let chosen = '';
  /** @type {R.Extras | null} */
  let extras = null;
  let listed = false;

  /** @type {R.NameOf} */
  const nameOf = ({ start, end }) => {
    const { interval, from, to } = /** @type {R.Answer} */ (view.data);
    if (interval === 'month') return monthOfYear.format(Date.parse(start.slice(0, 10)));
    if (interval === 'week') return formatStay(start, addDays(end.slice(0, 10), -1));
    return interval === 'day' ? formatWeekday(start) : (addDays(from, 1) === to ? '' : `${formatStay(start, start)}, `) + start.slice(11, 16);
  };

  const readers = charts.map((chart) => newReader(chart, words, (i) => {
    chosen = view.data?.buckets[i]?.start ?? '';
    tell();
  }));
  const facts = FACTS.map((metric) => ({ metric, total: h('b'), change: h('span', { class: WORSE.includes(metric) ? 'tr-change tr-worse' : 'tr-change' }) }));
  const keys = ['before', 'now', 'under'].map((name) => h('li', { class: `tr-key-${name}` }, name === 'now' ? words.underWay : words.cancelled));
  const since = h('p', { class: 'basis' });
  const sheet = h('div', { class: 'tr-sheet', role: 'region', 'aria-label': words.table, tabindex: 0, hidden: true });
  body.append(h('ul', { class: 'tr-legend' }, ...keys),
    h('dl', { class: 'tr-facts' }, ...facts.map(({ metric, total, change }) => h('div', null, h('dt', null, words[metric]), h('dd', null, total, ' ', change)))), since, sheet);
  const toTable = button(words.table, () => {
    view.choice.table = !view.choice.table;
    keep();
    draw();
  });
  const file = h('a', { class: 'tool', download: '', onclick: (/** @type {Event} */ event) => {
    event.preventDefault();
    void use((more) => more.save(`${view.path()}&format=csv${words.csvStyle}`));
  } }, words.csv);
  const days = h('div', { hidden: true });
  const hangar = h('select', { onchange: () => view.choose({ hangar: hangar.value }) }, h('option', { value: '' }, words.allHangars));
  const place = h('label', { class: 'tr-place', hidden: true }, `${words.hangar} `, hangar);
  const compare = h('select', { onchange: () => view.choose({ compare: /** @type {R.Compare} */ (compare.value) }) },
    ...COMPARES.map((value) => h('option', { value }, words[value])));
  const [choices, title] = node.querySelectorAll('.tr-bar');
  choices.append(days, h('div', { class: 'tr-bar' }, place, h('label', null, `${words.compare} `, compare)));
  title.append(h('div', { class: 'tools' }, toTable, file));
  const how = h('details', { class: 'tr-how', ontoggle: () => void use((more) => more.explain(how)) }, h('summary', null, words.how));
  node.append(how);

  /** An owner with one hangar has nothing to choose. */
  async function listHangars() {
    if (listed) return;
    listed = true;
    try {
      /** @type {{listings: {hangarId: string, hangarNumber: string}[]}} */
      const { listings } = await around.get('listings');
      hangar.append(...listings.map(({ hangarId, hangarNumber }) => h('option', { value: hangarId }, visible(hangarNumber) || hangarId)));
      show(place, listings.length > 1);
      view.draw();
    } catch {
      listed = false; // the next drawing tries again
    }
  }

  /** Uses what is loaded when it is wanted. @param {(more: R.Extras) => unknown} call */
  async function use(call) {
    try {
      const { newExtras } = await loadModule('trends/more', () => import('./more.js'));
      extras ??= await newExtras(view, nameOf);
      await call(extras);
    } catch {
      view.fail();
    }
  }

  /**
   * Keeps the choice in the page's address, where that is wanted.
   * @param {R.Choice | null} [choice]
   */
  function keep(choice = view.choice) {
    const hash = writeHash(location.hash, choice);
    if (around.hash && hash !== location.hash) history.replaceState(history.state, '', hash || location.pathname + location.search);
  }

  function draw() {
    const { data, choice, current, span } = view;
    if (!data) return;
    void listHangars();
    const { buckets, series, from } = data;
    const spaces = data.since?.occupancy ?? '';
    compare.value = choice.compare;
    setAttribute(file, 'href', new URL(`/api/owners/${encodeURIComponent(around.ownerId)}/${view.path()}&format=csv`, around.server).href);
    setAttribute(toTable, 'aria-pressed', String(choice.table));
    for (const { metric, total, change, svg } of charts) {
      total.style.setProperty('--length', String(total.textContent?.length));
      const best = series[metric].reduce((/** @type {number} */ found, value, i, all) => ((value ?? -1) > (all[found] ?? -1) ? i : found), 0);
      setAttribute(svg, 'aria-label', say('summary', {
        metric: words[metric], span, total: total.textContent ?? '', change: change.textContent || words.none, best: formats.valueOf(metric, series[metric][best]), when: nameOf(buckets[best]),
      }));
    }
    facts.forEach(view.drawTotal);
    show(keys[0], choice.compare !== 'none');
    setText(keys[0], words[choice.compare]);
    show(keys[1], current >= 0);
    show(since, spaces > from);
    setText(since, say('since', { day: formatWeekday(spaces) }));
    show(sheet, choice.table);
    show(days, choice.preset === 'own');
    if (choice.table) void use((more) => sheet.replaceChildren(more.table()));
    if (choice.preset === 'own') void use((more) => more.days(days));
    tell();
  }

  /** Says the numbers of one bucket above each chart, the chosen or the newest. */
  function tell() {
    const { data, current } = view;
    if (!data) return;
    const { buckets, series, before, asOf } = data;
    const at = buckets.findIndex(({ start }) => start === chosen);
    const shown = at >= 0 ? at : current >= 0 ? current : buckets.length - 1;
    const bucket = buckets[shown];
    charts.forEach(({ metric, below }, i) => {
      const past = before?.[metric]?.[shown];
      const lost = below && series[below][shown];
      const value = series[metric][shown];
      readers[i](buckets.length, shown, at >= 0, [
        `${nameOf(bucket)}: ${Date.parse(bucket.start) > Date.parse(asOf) ? words.notYet : formats.valueOf(metric, value)}`, shown === current && words.underWay,
        lost && say('lost', { n: lost }), known(past) && say('was', { value: formats[metric](past) }),
      ].filter(Boolean).join(' · '), value);
    });
  }

  const follow = () => {
    const named = readHash(location.hash, view.today());
    if (!named || writeHash('', named) === writeHash('', view.choice)) return;
    view.choice = named;
    void view.load();
  };
  if (around.hash) {
    keep();
    addEventListener('hashchange', follow);
  }

  return {
    draw, keep,
    place() {
      hangar.value = view.choice.hangar;
      if (!hangar.value) return ''; // none is chosen, or they are not here yet
      const { text } = hangar.selectedOptions[0];
      return `${/^hangar/i.test(text) ? text : `${words.hangar} ${text}`} · `;
    },
    tick() {
      const { data, choice } = view;
      if (!data) return;
      // With each hour, what an unfinished bucket is compared with has grown too.
      const hour = (/** @type {number} */ at) => Math.floor(at / HOUR_MS);
      const later = hour(around.now()) > hour(Date.parse(data.asOf));
      const over = data.buckets.some(({ end, complete }) => !complete && (later || Date.parse(end) <= around.now()));
      const rolled = choice.preset !== 'own' && data.to <= view.today();
      if ((over || rolled) && performance.now() - view.loadedAt > AGAIN_MS && Math.random() < SPREAD) void view.load();
    },
    stop() {
      removeEventListener('hashchange', follow);
      keep(null);
    },
  };
}
