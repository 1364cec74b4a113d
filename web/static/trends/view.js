/**
 * The trends on the page: a range and its charts. What is said and chosen beside them, and what
 * changes in them, are modules of their own, which come while the answer is on its way.
 * @import * as R from './shapes.js'
 */
import { adoptSheet, h, loadModule, setAttribute, setText, show } from '../dom.js';
import { addDays } from '../state/days.js';
import { newWording } from '../state/wording.js';
import { newChart, newFormats } from './chart.js';
import { PRESETS, currentOf, pathOf, rangeOf } from './range.js';

/** When a window that failed is asked for again. */
const RETRY_MS = 5000;

/** @type {R.ChartKind[]} */
const CHARTS = [{ metric: 'revenue', hue: 'blue' }, { metric: 'bookings', hue: 'purple', below: 'cancelled' }, { metric: 'occupancy', hue: 'green', line: true }];

/**
 * The trends with their words and styles.
 * @param {R.Around} around @returns {Promise<R.LazyView>}
 */
export async function newTrends(around) {
  const { frame, server, now, wording } = around;
  const own = wording.views.trends ?? loadModule('trends/words/pt', () => import('./words/pt.js')).then((pt) => pt.default);
  const named = around.hash && /trends=/.test(location.hash) && loadModule('trends/address', () => import('./address.js'));
  const [words, address] = await Promise.all([own, named, adoptSheet(server, frame, 'trends.css')]);
  return newView(around, /** @type {any} */ (newWording(/** @type {any} */ ({ ...wording.words, ...words }), wording.views)),
    (address && address.readHash(location.hash, wording.dayOf(now()))) || { preset: '30', compare: 'before', table: false, hangar: '', own: null });
}

/**
 * @param {R.Around} around @param {R.Wording} wording @param {R.Choice} choice
 * @returns {R.LazyView}
 */
function newView(around, wording, choice) {
  const { now } = around;
  const { words, say, formatWeekday, formatStay } = wording;
  const formats = newFormats(wording);
  let [width, stopped] = [0, false];
  /** Whether what is beside the charts is there, or on its way. */
  let controlled = false;
  /** @type {R.Controls | null} */
  let controls = null;
  /** @type {R.Live | null} */
  let live = null;

  const button = (/** @type {string} */ text, /** @type {(event: Event) => void} */ onclick, props = {}) => h('button', { class: 'tool', type: 'button', onclick, ...props }, text);
  const presets = PRESETS.map((preset) => button(words[`p${preset}`], () => view.choose({ preset }), { 'data-preset': preset }));
  const range = h('p', { class: 'tr-range', 'aria-live': 'polite' });
  const basis = h('p', { class: 'basis' });
  const status = h('p', { class: 'empty', role: 'status' }, words.loading);
  const charts = CHARTS.map((kind) => newChart(kind, wording, formats));
  const body = h('div', { class: 'tr-body', hidden: true }, h('div', { class: 'tr-charts' }, ...charts.map((chart) => chart.node)));
  const bar = (/** @type {HTMLElement[]} */ ...parts) => h('div', { class: 'tr-bar' }, ...parts);
  const node = h('div', { class: 'tr' },
    bar(h('div', { class: 'tr-presets', role: 'group', 'aria-label': words.range }, ...presets)),
    bar(h('div', { class: 'tr-title' }, range, basis)), status, body);

  /** @type {R.View} */
  const view = {
    around, wording, formats, charts, node, body, button, choice, data: null, current: -1, turn: 0, loadedAt: 0, span: '',
    today: () => wording.dayOf(now(), view.data?.timezone),
    path: (of = rangeOf(view.choice, view.today())) => pathOf(view.choice, of),

    choose(change) {
      Object.assign(view.choice, change);
      if (view.choice.preset === 'own') view.choice.own ??= rangeOf({ ...view.choice, preset: '30' }, view.today());
      controls?.keep();
      void view.load();
    },

    drawTotal({ metric, total, change: node }) {
      const { totals, before: past } = /** @type {R.Answer} */ (view.data);
      const { value, before, change } = totals[metric];
      setText(total, formats.valueOf(metric, value));
      setAttribute(node, 'data-trend', change ? change > 0 ? 'up' : 'down' : null);
      const was = before ? say('was', { value: formats[metric](before) }) : '';
      node.replaceChildren(...!past ? [] : change === null ? [was || h('b', null, words.noBase)] : [h('b', null, formats.changeOf(metric, totals[metric])), ` ${was}`]);
    },

    draw() {
      const { data } = view;
      if (!data) return;
      const { buckets, from, to, asOf, timezone } = data;
      view.current = currentOf(buckets, now());
      view.span = (controls?.place() ?? '') + (addDays(from, 1) === to ? formatWeekday(from) : formatStay(from, addDays(to, -1)));
      setText(range, view.span);
      setText(basis, [say('asOf', { time: wording.formatTime(Date.parse(asOf), timezone) }), wording.zoneLabel(now(), timezone)].filter(Boolean).join(' · '));
      presets.forEach((one) => setAttribute(one, 'aria-pressed', String(one.dataset.preset === view.choice.preset)));
      show(body, true);
      const names = buckets.map((bucket) => formats.shortOf(data, bucket));
      for (const chart of charts) {
        chart.draw(data, view.current, names);
        view.drawTotal(chart);
      }
      controls?.draw();
    },

    fail() {
      show(status, true);
      status.replaceChildren(say('notLoaded', { panel: words.trends }), ' ', button(words.retry, () => void view.load(), { class: 'quiet' }));
    },

    async load() {
      const mine = ++view.turn;
      setAttribute(node, 'aria-busy', true);
      void control();
      try {
        let asked;
        // The first answer tells whose day it is.
        do {
          asked = view.path();
          const answer = await around.get(asked);
          if (mine !== view.turn) return;
          view.data = answer;
        } while (asked !== view.path());
        view.loadedAt = performance.now();
        live?.loaded();
        show(status, false);
        view.draw();
      } catch (error) {
        if (mine !== view.turn) return;
        const status = /** @type {any} */ (error).cause?.status;
        // A hangar that is no longer the owner's.
        if (status === 404 && view.choice.hangar) return view.choose({ hangar: '' });
        view.fail();
        if (status !== 400) setTimeout(() => mine === view.turn && view.load(), RETRY_MS * (1 + Math.random()));
      }
      if (mine === view.turn) setAttribute(node, 'aria-busy', null);
    },
  };

  /** Loads what is beside the charts. Where it does not come, the next load tries again. */
  async function control() {
    if (controlled) return;
    controlled = true;
    try {
      const { loadControls } = await loadModule('trends/controls', () => import('./controls.js'));
      const newControls = await loadControls(wording);
      if (stopped) return;
      controls = newControls(view);
      view.draw();
    } catch {
      controlled = false;
    }
  }

  /** Loads what brings in changes, when there is one for the first time. */
  async function change() {
    const { newLive } = await loadModule('trends/live', () => import('./live.js'));
    live ??= newLive(view);
    live.change();
  }

  const resized = new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width === width) return;
    width = contentRect.width;
    view.draw();
  });
  resized.observe(node);
  /** @type {(() => void)[]} */
  const stops = [() => resized.disconnect()];
  void view.load();

  return {
    node,
    follow(manager) {
      const reload = () => view.data && void view.load();
      stops.push(manager.on('metrics_updated', () => void change().catch(() => {})), manager.on('resync', reload), manager.on('snapshot', ({ healing }) => healing && reload()));
    },
    tick() {
      live?.tick();
      controls?.tick();
    },
    stop() {
      stopped = true;
      view.turn++;
      live?.stop();
      controls?.stop();
      stops.forEach((stop) => stop());
      node.remove();
    },
  };
}
