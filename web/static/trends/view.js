/**
 * The trends on the page: a range and its charts. The bucket that is under way is asked for again
 * when numbers change, and a new one begins by the clock.
 * @import * as R from './shapes.js'
 */
import { h, loadSheet, setAttribute, setText, show } from '../dom.js';
import { addDays } from '../state/days.js';
import { newChart } from './chart.js';
import { newTools } from './tools.js';
import { COMPARES, PRESETS, currentOf, pathOf, rangeOf, readHash, writeHash } from './state.js';

/** The least time between two questions about the bucket that is under way. */
const LIVE_MS = 5000;
/** While numbers change, the whole window is asked for as often: earlier buckets change too. */
const WHOLE_MS = 60_000;
/** When a window that failed is asked for again. */
const RETRY_MS = 5000;
/** The chance of a question in any one second, so that not all browsers ask at midnight. */
const SPREAD = 0.2;

/** @type {R.ChartKind[]} */
const CHARTS = [{ metric: 'revenue', hue: 'blue' }, { metric: 'bookings', hue: 'purple', below: 'cancelled' }, { metric: 'occupancy', hue: 'green', line: true }];
/** @type {R.Metric[]} */
const FACTS = ['cancelled', 'averageStay', 'arrivals'];

/** @type {Record<string, () => Promise<{default: R.Words}>>} */
const WORDS = { en: () => import('./words/en.js'), es: () => import('./words/es.js') };

/** The trends with their words and styles. @param {R.Around} around @returns {Promise<R.LazyView>} */
export async function newTrends(around) {
  const { frame } = around;
  const load = WORDS[around.wording.words.language] ?? (() => import('./words/pt.js'));
  const [{ default: words }, sheet] = await Promise.all([load(), loadSheet(around.server, frame, 'trends.css')]);
  const root = /** @type {ShadowRoot} */ (frame.getRootNode());
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
  return newView(around, words);
}

/** @param {R.Around} around @param {R.Words} words @returns {R.LazyView} */
function newView(around, words) {
  const { wording, now } = around;
  const { formatWeekday, formatStay } = wording;
  const tools = newTools(wording, words, () => data);
  const { fill, format, valueOf, nameOf, changeOf } = tools;

  /** @type {R.Choice} */
  let choice = { preset: '30', compare: 'before', table: false, first: '', last: '' };
  /** @type {R.Answer | null} */
  let data = null;
  let zone = '';
  let sequence = 0;
  let [at, current] = [-1, -1];
  /** Numbers changed since the last question about the bucket that is under way, and about all. */
  let [dirty, stale] = [false, false];
  let asking = false;
  let [askedAt, loadedAt, width] = [0, 0, 0];
  /** @type {any} */
  let timer = null;
  /** @type {Awaited<ReturnType<typeof import('./more.js')['newExtras']>> | null} */
  let extras = null;

  const today = () => wording.dayOf(now(), zone);
  const path = () => pathOf(choice, rangeOf(choice, today()));
  const button = (/** @type {string} */ text, /** @type {(event: Event) => void} */ onclick, props = {}) => h('button', { class: 'tool', type: 'button', onclick, ...props }, text);
  const presets = PRESETS.map((preset) => button(words[`p${preset}`], () => choose({ preset }), { 'data-preset': preset }));
  const compare = h('select', { onchange: () => choose({ compare: /** @type {R.Compare} */ (compare.value) }) },
    ...COMPARES.map((value) => h('option', { value }, words[value])));
  const range = h('p', { class: 'tr-range', 'aria-live': 'polite' });
  const basis = h('p', { class: 'basis' });
  const toTable = button(words.table, () => {
    choice.table = !choice.table;
    keep(choice);
    draw();
  });
  const file = h('a', { class: 'tool', download: '', onclick: (/** @type {Event} */ event) => {
    event.preventDefault();
    void use((more) => more.save(`${path()}&format=csv${words.csvStyle}`));
  } }, words.csv);
  const status = h('p', { class: 'empty', role: 'status' }, wording.words.loading);
  const charts = CHARTS.map((kind) => newChart(kind, tools, (i) => tell(at = i)));
  const facts = FACTS.map((metric) => ({ metric, total: h('b'), change: h('span', { class: 'tr-change' }) }));
  const keys = ['before', 'now', 'under'].map((name) => h('li', { class: `tr-key-${name}` }, name === 'now' ? words.underWay : words.cancelled));
  const since = h('p', { class: 'basis' });
  const sheet = h('div', { class: 'tr-sheet', role: 'region', 'aria-label': words.table, tabindex: 0, hidden: true });
  const body = h('div', { class: 'tr-body', hidden: true }, h('div', { class: 'tr-charts' }, ...charts.map((chart) => chart.node)), h('ul', { class: 'tr-legend' }, ...keys),
    h('dl', { class: 'tr-facts' }, ...facts.map(({ metric, total, change }) => h('div', null, h('dt', null, words[metric]), h('dd', null, total, ' ', change)))), since, sheet);
  const days = h('div', { hidden: true });
  const how = h('details', { class: 'tr-how', ontoggle: () => void use((more) => more.explain(how)) }, h('summary', null, words.how));
  const node = h('div', { class: 'tr' }, h('div', { class: 'tr-bar' }, h('div', { class: 'tr-presets', role: 'group', 'aria-label': words.range }, ...presets), days, h('label', null, `${words.compare} `, compare)),
    h('div', { class: 'tr-bar' }, h('div', { class: 'tr-title' }, range, basis), h('div', { class: 'tools' }, toTable, file)), status, body, how);

  /** @param {Partial<R.Choice>} change */
  function choose(change) {
    choice = { ...choice, ...change };
    if (choice.preset === 'own' && !choice.first) {
      const { from, to } = rangeOf({ ...choice, preset: '30' }, today());
      Object.assign(choice, { first: from, last: addDays(to, -1) });
    }
    keep(choice);
    void load();
  }

  /** Keeps the choice in the page's address, where that is wanted. @param {R.Choice | null} kept */
  function keep(kept) {
    const hash = writeHash(location.hash, kept);
    if (around.hash && hash !== location.hash) history.replaceState(history.state, '', hash || location.pathname + location.search);
  }

  /** Uses what is loaded when it is wanted. @param {(more: NonNullable<typeof extras>) => unknown} call */
  async function use(call) {
    try {
      extras ??= await (await import('./more.js')).newExtras(around, tools, (first, last) => choose({ first, last }));
      await call(extras);
    } catch {
      fail();
    }
  }

  /** @param {{metric: R.Metric, total: HTMLElement, change: HTMLElement}} of */
  function drawTotal({ metric, total, change: node }) {
    const { value, before, change } = /** @type {R.Answer} */ (data).totals[metric];
    const none = choice.compare === 'none';
    setText(total, valueOf(metric, value));
    setAttribute(node, 'data-trend', none || !change ? null : change > 0 ? 'up' : 'down');
    node.replaceChildren(...none ? [] : [h('b', null, change === null ? words.noBase : changeOf(metric, value, before, change)), before === null ? '' : ` ${fill(words.was, { value: format[metric](before) })}`]);
  }

  function draw() {
    if (!data) return;
    const { buckets, series, from, to, asOf } = data;
    const known = data.since?.occupancy ?? '';
    current = currentOf(buckets, now());
    const span = addDays(from, 1) === to ? formatWeekday(from) : formatStay(from, addDays(to.slice(0, 10), -1));
    setText(range, span);
    setText(basis, [fill(words.asOf, { time: wording.formatTime(Date.parse(asOf), zone) }), wording.zoneLabel(now(), zone)].filter(Boolean).join(' · '));
    presets.forEach((one) => setAttribute(one, 'aria-pressed', String(one.dataset.preset === choice.preset)));
    compare.value = choice.compare;
    setAttribute(file, 'href', new URL(`/api/owners/${encodeURIComponent(around.ownerId)}/${path()}&format=csv`, around.server).href);
    setAttribute(toTable, 'aria-pressed', String(choice.table));
    show(body, true);
    const names = buckets.map(tools.shortOf);
    for (const chart of charts) {
      const { metric } = chart;
      chart.draw(/** @type {R.Answer} */ (data), current, names, known);
      drawTotal(chart);
      const best = series[metric].reduce((/** @type {number} */ found, value, i, all) => ((value ?? -1) > (all[found] ?? -1) ? i : found), 0);
      chart.summarize(fill(words.summary, {
        metric: words[metric], span, total: chart.total.textContent ?? '', change: chart.change.textContent || words.none, best: valueOf(metric, series[metric][best]), when: nameOf(buckets[best]),
      }));
    }
    facts.forEach(drawTotal);
    show(keys[0], choice.compare !== 'none');
    setText(keys[0], words[choice.compare]);
    show(keys[1], current >= 0);
    show(since, known > from);
    setText(since, fill(words.since, { day: formatWeekday(known) }));
    show(sheet, choice.table);
    show(days, choice.preset === 'own');
    if (choice.table) void use((more) => data && sheet.replaceChildren(more.table(data, current, choice.compare !== 'none', span)));
    if (choice.preset === 'own') void use((more) => more.days(days, choice, today()));
    tell();
  }

  /** Says the numbers of one bucket above each chart, the chosen or the newest. */
  function tell(_ = at) {
    if (!data) return;
    const { buckets, series, before, asOf } = data;
    const shown = buckets[at] ? at : current >= 0 ? current : buckets.length - 1;
    const bucket = buckets[shown];
    for (const { metric, below, tell } of charts) {
      const past = before?.[metric]?.[shown];
      const lost = below && series[below][shown];
      tell(shown, shown === at, [
        `${nameOf(bucket)}: ${Date.parse(bucket.start) > Date.parse(asOf) ? words.notYet : valueOf(metric, series[metric][shown])}`, shown === current && words.underWay,
        lost && fill(words.lost, { n: lost }), typeof past === 'number' && fill(words.was, { value: format[metric](past) }),
      ].filter(Boolean).join(' · '));
    }
  }

  function fail() {
    show(status, true);
    status.replaceChildren(wording.say('notLoaded', { panel: wording.words.trends }), ' ', button(wording.words.retry, () => void load(), { class: 'quiet' }));
  }

  async function load() {
    const mine = ++sequence;
    setAttribute(node, 'aria-busy', true);
    try {
      let asked;
      // The first answer tells whose day it is.
      do {
        asked = path();
        const answer = await around.get(asked);
        if (mine !== sequence) return;
        data = answer;
        zone = answer.timezone;
      } while (asked !== path());
      dirty = stale = false;
      at = -1;
      askedAt = loadedAt = performance.now();
      show(status, false);
      draw();
    } catch (error) {
      if (mine !== sequence) return;
      fail();
      if (/** @type {any} */ (error).cause?.status !== 400) setTimeout(() => mine === sequence && load(), RETRY_MS * (1 + Math.random()));
    }
    if (mine === sequence) setAttribute(node, 'aria-busy', null);
  }

  /** Asks for the bucket that is under way. */
  async function ask() {
    timer = null;
    const [window, mine] = [data, sequence];
    if (asking || current < 0 || !window || document.visibilityState === 'hidden' || around.paused?.()) return;
    dirty = false;
    asking = true;
    askedAt = performance.now();
    try {
      const [{ merge }, answer] = await Promise.all([
        import('./live.js'), around.get(pathOf(choice, { interval: window.interval, from: window.buckets[current].start.slice(0, 10), to: addDays(today(), 1) })),
      ]);
      if (mine === sequence && merge(window, answer)) draw();
    } catch {
      dirty = true;
    }
    asking = false;
  }

  function schedule() {
    if (timer === null && !asking) timer = setTimeout(() => void ask(), Math.max(0, askedAt + LIVE_MS - performance.now()));
  }

  const resized = new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width === width) return;
    width = contentRect.width;
    draw();
  });
  resized.observe(node);
  const follow = () => {
    const named = readHash(location.hash, today());
    if (!named || writeHash('', named) === writeHash('', choice)) return;
    choice = named;
    void load();
  };
  if (around.hash) {
    choice = readHash(location.hash, today()) ?? choice;
    keep(choice);
    addEventListener('hashchange', follow);
  }
  const stops = [() => resized.disconnect(), () => removeEventListener('hashchange', follow)];
  void load();

  return {
    node,
    follow(manager) {
      const reload = () => data && void load();
      stops.push(
        manager.on('metrics_updated', () => {
          dirty = stale = true;
          schedule();
        }),
        manager.on('resync', reload), manager.on('snapshot', ({ healing }) => healing && reload()),
      );
    },
    tick() {
      if (!data || asking) return;
      if (dirty) schedule();
      const over = data.buckets.some(({ end, complete }) => !complete && Date.parse(end) <= now());
      const rolled = choice.preset !== 'own' && data.to.slice(0, 10) <= today();
      if (stale && performance.now() - loadedAt > WHOLE_MS || (over || rolled) && Math.random() < SPREAD) void load();
    },
    stop() {
      sequence++;
      clearTimeout(timer);
      keep(null);
      stops.forEach((stop) => stop());
      node.remove();
    },
  };
}
