/**
 * The calendar on the page. It loads a window and follows what changes in it.
 * It is drawn as a grid or, where there is little room, as a list by day.
 * @import * as C from './shapes.js'
 */
import { h, loadSheet, setText, show } from '../dom.js';
import { newGrid } from './grid.js';
import { addDays, append, apply } from './state.js';

const SPANS = [7, 14, 30];
const NARROW_PX = 576;
/** The least time between two questions about changes, and when they last. */
const GATHER_MS = 250;
const BUSY_AFTER_MS = 10_000;
const BUSY_MS = 1000;
const MAX_CHANGED = 100;
/** When a window that failed is asked for again. */
const RETRY_MS = 5000;

/** @type {Record<string, () => Promise<{default: C.Words}>>} */
const WORDS = { en: () => import('./words/en.js'), es: () => import('./words/es.js') };

/** The calendar with its words and styles. @param {C.Around} around @returns {Promise<C.View>} */
export async function newCalendar(around) {
  const { frame } = around;
  const load = WORDS[around.wording.words.language] ?? (() => import('./words/pt.js'));
  const [{ default: words }, sheet] = await Promise.all([load(), loadSheet(around.server, frame, 'calendar.css')]);
  const root = /** @type {ShadowRoot} */ (frame.getRootNode());
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
  return newView(around, words);
}

/** @param {C.Around} around @param {C.Words} words @returns {C.View} */
function newView(around, words) {
  const { wording } = around;
  const language = wording.words.language;
  const say = (/** @type {string} */ name, /** @type {Record<string, string | number>} */ values = {}) =>
    words[name].replace(/\{(\w+)\}/g, (whole, key) => String(values[key] ?? whole));

  let span = 14;
  let chosen = false;
  let from = '';
  let cancelled = false;
  let narrow = false;
  /** @type {C.Page | null} */
  let data = null;
  /** @type {(string | null)[]} the cursors of the pages that are loaded */
  let cursors = [];
  let sequence = 0;
  let stopped = false;
  /** @type {Set<string>} */
  const changed = new Set();
  let reloadWanted = false;
  let asking = false;
  let busySince = 0;
  let askedAt = -Infinity;
  /** @type {any} */
  let timer = null;
  let revision = '';
  /** @type {(() => void)[]} */
  const stops = [];

  const range = h('p', { class: 'cal-range', 'aria-live': 'polite' });
  const status = h('p', { class: 'empty' }, words.loading);
  const moved = h('p', { class: 'cal-moved', hidden: true });
  const move = (/** @type {number} */ by) => go(addDays(from, by * span));
  const tool = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ onclick) =>
    h('button', { class: 'tool', type: 'button', 'aria-label': label, onclick }, text);
  const spans = SPANS.map((n) => h('button', { class: 'tool', type: 'button', 'data-span': n, onclick: () => setSpan(n) }, say('days', { n })));
  const check = h('input', { type: 'checkbox', onchange: (/** @type {any} */ event) => {
    cancelled = event.target.checked;
    void load();
  } });
  const bar = h('div', { class: 'cal-bar' },
    h('div', { class: 'tools' }, tool('‹', words.before, () => move(-1)), tool(words.today, words.today, () => go('')), tool('›', words.after, () => move(1))),
    range,
    h('label', { class: 'cal-switch' }, check, words.cancelled),
    h('div', { class: 'tools cal-spans', role: 'group', 'aria-label': words.span }, ...spans));
  const more = h('button', { class: 'tool cal-more', type: 'button', hidden: true, onclick: () => void loadMore() }, wording.words.more);
  const uncertain = h('details', { class: 'cal-uncertain', hidden: true });
  const body = h('div', { class: 'cal-body' });
  const node = h('div', { class: 'cal' }, bar, moved, status, body, more, uncertain);
  /** @type {any} */
  const tools = { around, words, say, language, move, go: (/** @type {string} */ date) => go(date) };
  const grid = newGrid(tools);
  /** @type {any} loaded where there is little room */
  let list = null;

  const today = () => wording.dayOf(around.now(), data?.timezone ?? null);

  /** @param {string} date empty for today */
  function go(date) {
    from = date;
    void load();
  }
  function setSpan(/** @type {number} */ n) {
    span = n;
    chosen = true;
    void load();
  }
  const path = (/** @type {string | null} */ cursor, /** @type {string[]} */ ids = []) => {
    const query = new URLSearchParams(from ? { from, to: addDays(from, span) } : {});
    if (cursor) query.set('cursor', cursor);
    if (cancelled) query.set('cancelled', 'true');
    if (ids.length > 0) query.set('changed', ids.join(','));
    return `calendar?${query}`;
  };

  async function load() {
    const mine = ++sequence;
    reloadWanted = false;
    changed.clear();
    if (!from && data) from = today();
    node.setAttribute('aria-busy', 'true');
    try {
      /** @type {C.Page} */
      let page = await around.get(path(null));
      // The first answer tells which day it is there.
      from ||= page.today;
      if (page.from !== from || page.to !== addDays(from, span)) page = await around.get(path(null));
      if (mine !== sequence || stopped) return;
      data = page;
      cursors = [null];
      show(status, false);
      draw([], true);
    } catch (error) {
      if (mine !== sequence || stopped) return;
      show(status, true);
      status.replaceChildren(words.failed, h('button', { class: 'quiet', type: 'button', onclick: () => void load() }, words.retry));
      if (/** @type {any} */ (error).status === 400) from = '';
      else setTimeout(() => mine === sequence && !stopped && void load(), RETRY_MS * (1 + Math.random()));
    } finally {
      if (mine === sequence) node.removeAttribute('aria-busy');
    }
  }

  async function loadMore() {
    const mine = sequence;
    if (!data?.next) return;
    const cursor = data.next;
    /** @type {C.Page | null} */
    const page = await around.get(path(cursor)).catch(() => null);
    if (!page || mine !== sequence || !data) return;
    append(data, page);
    data.next = page.next;
    cursors.push(cursor);
    draw([], true);
  }

  /** @param {string[]} differing @param {boolean} [anew] */
  function draw(differing, anew = false) {
    if (!data) return;
    const { days } = data;
    setText(range, wording.formatStay(days[0].date, days[days.length - 1].date));
    spans.forEach((button) => button.setAttribute('aria-pressed', String(button.dataset.span === String(span))));
    const { next } = data;
    show(more, Boolean(next));
    const view = narrow ? list : grid;
    if (body.firstChild !== view.node) body.replaceChildren(view.node);
    view.update(data, differing, anew);
    show(status, data.hangars.length === 0);
    if (data.hangars.length === 0) setText(status, words.none);
    show(uncertain, data.uncertain.count > 0);
    if (data.uncertain.count > 0) void import('./day.js').then(({ listUncertain }) => data && listUncertain(tools, uncertain, data));
    tick();
  }

  /** Asks what became of the bookings that events named. */
  async function ask() {
    timer = null;
    if (asking || stopped || document.visibilityState === 'hidden' || around.paused?.()) return;
    if (reloadWanted || changed.size > MAX_CHANGED) return void load();
    const window = data;
    if (changed.size === 0 || !window) return;
    const ids = [...changed];
    const mine = sequence;
    changed.clear();
    asking = true;
    askedAt = performance.now();
    try {
      /** @type {string[]} */
      const differing = [];
      for (const cursor of cursors) {
        const told = apply(window, await around.get(path(cursor, ids)), ids);
        if (mine !== sequence || stopped) return;
        if (!told) return void load();
        differing.push(...told);
      }
      draw(differing);
    } catch {
      ids.forEach((id) => changed.add(id));
    } finally {
      asking = false;
      if (changed.size > 0 || reloadWanted) schedule();
      else busySince = 0;
    }
  }

  function schedule() {
    const now = performance.now();
    busySince ||= now;
    const due = askedAt + (now - busySince > BUSY_AFTER_MS ? BUSY_MS : GATHER_MS);
    if (timer === null && !asking) timer = setTimeout(() => void ask(), Math.max(0, due - now));
  }

  function tick() {
    if (!data) return;
    grid.tick(data, around.now());
    const day = today();
    const late = day !== data.today;
    show(moved, late);
    if (late && moved.dataset.day !== day) {
      moved.dataset.day = day;
      moved.replaceChildren(say('moved', { day: wording.formatWeekday(day) }), ' ', h('button', { class: 'quiet', type: 'button', onclick: () => go(day) }, words.goToday));
    }
    if (!late) delete moved.dataset.day;
    if ((changed.size > 0 || reloadWanted) && timer === null && !asking) schedule();
  }

  const resized = new ResizeObserver(async ([{ contentRect }]) => {
    const is = contentRect.width > 0 && contentRect.width < NARROW_PX;
    if (is === narrow) return;
    if (is) list ??= (await import('./list.js')).newList(tools);
    narrow = is;
    if (is && !chosen) setSpan(7);
    draw([], true);
  });
  resized.observe(node);
  stops.push(() => resized.disconnect());
  void load();

  return {
    node,
    follow(manager) {
      const reload = () => {
        reloadWanted = true;
        schedule();
      };
      stops.push(
        manager.on('message', (message) => {
          const { type, data: about } = /** @type {any} */ (message);
          if (type === 'resync') return reload();
          if (type === 'overview_updated') {
            const known = revision;
            revision = about.listingsRevision ?? '';
            return known && known !== revision ? reload() : undefined;
          }
          if (typeof about?.bookingId !== 'string') return undefined;
          changed.add(about.bookingId);
          return schedule();
        }),
        manager.on('snapshot', () => data && reload()),
      );
    },
    tick,
    stop() {
      stopped = true;
      clearTimeout(timer);
      stops.forEach((stop) => stop());
      node.remove();
    },
  };
}
