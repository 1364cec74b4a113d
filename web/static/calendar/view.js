/**
 * The calendar on the page. It loads a window and follows what changes in it.
 * It is drawn as a grid or, where there is little room, as a list by day.
 * @import * as C from './shapes.js'
 */
import { adoptSheet, h, loadModule, paced, setAttribute, setText, show } from '../dom.js';
import { newWording } from '../state/wording.js';
import { newGrid } from './grid.js';
import { addDays, append } from './state.js';

const SPANS = [7, 14, 30];
const NARROW_PX = 576;
/** When a window that failed is asked for again. */
const RETRY_MS = 5000;

/** The calendar with its words and styles. @param {C.Around} around @returns {Promise<C.View>} */
export async function newCalendar(around) {
  const { frame, server, wording } = around;
  const own = wording.views.calendar ?? loadModule('calendar/words/pt', () => import('./words/pt.js')).then((pt) => pt.default);
  const [words, name] = await Promise.all([own, around.channel().catch(() => ''), adoptSheet(server, frame, 'calendar.css')]);
  setPaper(frame.ownerDocument);
  return newView(around, /** @type {any} */ (newWording(/** @type {any} */ ({ ...wording.words, ...words }), wording.views)), name && `${name}:calendar`);
}

/** Documents whose calendars are printed on their own paper. @type {WeakSet<Document>} */
const papers = new WeakSet();

/**
 * The styles name the paper that a calendar is printed on. What it is only the document can say.
 * @param {Document} document
 */
function setPaper(document) {
  if (papers.has(document)) return;
  papers.add(document);
  const paper = new (/** @type {typeof globalThis} */ (document.defaultView ?? globalThis).CSSStyleSheet)();
  paper.replaceSync('@page calendar { size: A4 landscape; margin: 1cm; }');
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, paper];
}

/** @param {C.Around} around @param {C.Wording} wording @param {string} name @returns {C.View} */
function newView(around, wording, name) {
  const { words, say, formatStay, formatWeekday, formatPlural } = wording;
  let span = 14;
  let chosen = false;
  let from = '';
  let cancelled = false;
  let narrow = false;
  /** @type {C.Page | null} */
  let data = null;
  /** The cursors of the pages that are loaded. */
  let cursors = [''];
  let sequence = 0;
  let loading = false;
  let stopped = false;
  let revision = '';

  const button = (/** @type {string} */ text, /** @type {() => void} */ onclick, label = text) =>
    h('button', { class: 'tool', type: 'button', 'aria-label': label, onclick }, text);
  const range = h('p', { class: 'cal-range', 'aria-live': 'polite' });
  const status = h('p', { class: 'empty' }, words.loading);
  const moved = h('p', { class: 'cal-moved', hidden: true });
  const spans = SPANS.map((n) => button(formatPlural(n, ...words.days), () => setSpan(n)));
  const more = h('button', { class: 'tool cal-more', type: 'button', hidden: true, onclick: () => void loadMore() }, words.more);
  const uncertain = h('details', { class: 'cal-uncertain', hidden: true });
  const body = h('div');
  const node = h('div', { class: 'cal' },
    h('div', { class: 'cal-bar' },
      h('div', { class: 'tools' }, button('‹', () => move(-1), words.before), button(words.today, () => go('')), button('›', () => move(1), words.after)),
      range,
      h('label', { class: 'cal-switch' }, h('input', { type: 'checkbox', onchange: ({ target }) => {
        cancelled = target.checked;
        void load();
      } }), words.cancelled),
      h('div', { class: 'tools cal-spans', role: 'group', 'aria-label': words.span }, ...spans),
      button(words.feeds, () => use(loadModule('calendar/feeds', () => import('./feeds.js')).then(({ showFeeds }) => showFeeds(tools))))),
    moved, status, body, more, uncertain);
  const move = (/** @type {number} */ by) => go(addDays(from, by * span));
  /** @type {C.Tools} */
  const tools = { ...around, wording, move, go, day: (call) => use(loadModule('calendar/day', () => import('./day.js')).then(call)) };
  const fail = () => {
    show(status, true);
    status.replaceChildren(say('notLoaded', { panel: words.calendar }), h('button', { class: 'quiet', type: 'button', onclick: () => void load() }, words.retry));
  };
  /** Waits for what is loaded when it is wanted. @param {Promise<unknown>} loading */
  const use = (loading) => void loading.catch(fail);
  const grid = newGrid(tools);
  /** @type {any} loaded where there is little room */
  let list = null;

  const today = () => wording.dayOf(around.now(), data?.timezone);

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
  const path = (cursor = '', /** @type {string[]} */ ids = []) => {
    /** @type {Record<string, string>} */
    const query = { from, to: from && addDays(from, span), cursor, cancelled: cancelled ? 'true' : '', changed: ids.join() };
    return `calendar?${new URLSearchParams(Object.entries(query).filter(([, value]) => value))}`;
  };

  const retry = paced(() => void load(), RETRY_MS);
  /** @type {C.Changes | null} */
  let changes = null;
  /**
   * Without the module that asks what changed the window is loaded again.
   * @param {(changes: C.Changes) => unknown} use
   */
  async function change(use) {
    try {
      const { apply, newChanges } = await loadModule('calendar/changes', () => import('./changes.js'));
      if (stopped) return;
      changes ??= newChanges(name, {
        pages: (ids) => cursors.map((cursor) => path(cursor, ids)),
        get: around.get,
        load,
        isQuiet: () => loading || stopped || !data || document.visibilityState === 'hidden' || Boolean(around.paused?.()),
        take(answers, ids) {
          const told = answers.map((answer) => apply(/** @type {C.Page} */ (data), answer, ids));
          if (told.includes(null)) return false;
          draw(/** @type {string[]} */ (told.flat()));
          return true;
        },
      });
      use(changes);
    } catch {
      retry();
    }
  }

  async function load() {
    const mine = ++sequence;
    changes?.loading();
    loading = true;
    if (!from && data) from = today();
    setAttribute(node, 'aria-busy', 'true');
    try {
      /** @type {C.Page} */
      let page = await around.get(path());
      // The first answer tells which day it is there.
      from ||= page.today;
      if (page.to !== addDays(from, span)) page = await around.get(path());
      if (mine !== sequence || stopped) return;
      data = page;
      cursors = [''];
      draw([], true);
    } catch (error) {
      if (mine !== sequence || stopped) return;
      fail();
      if (/** @type {any} */ (error).cause?.status === 400) from = '';
      else setTimeout(() => mine === sequence && !stopped && void load(), RETRY_MS * (1 + Math.random()));
    } finally {
      if (mine === sequence) {
        loading = false;
        setAttribute(node, 'aria-busy', null);
      }
    }
  }

  async function loadMore() {
    const mine = sequence;
    if (!data?.next) return;
    const cursor = data.next;
    /** @type {C.Page | null} */
    const page = await around.get(path(cursor)).catch(() => null);
    if (!page || mine !== sequence || data.next !== cursor) return;
    append(data, page);
    cursors.push(cursor);
    draw([], true);
  }

  /** @param {string[]} differing @param {boolean} [anew] */
  function draw(differing, anew = false) {
    if (!data) return;
    setText(range, formatStay(data.from, addDays(data.to, -1)));
    spans.forEach((one, i) => setAttribute(one, 'aria-pressed', String(SPANS[i] === span)));
    show(more, Boolean(data.next));
    const view = narrow ? list : grid;
    if (body.firstChild !== view.node) body.replaceChildren(view.node);
    view.update(data, differing, anew);
    show(status, data.hangars.length === 0);
    setText(status, words.none);
    show(uncertain, data.uncertain.count > 0);
    if (data.uncertain.count > 0) tools.day(({ listUncertain }) => data && listUncertain(tools, uncertain, data));
    tick();
  }

  function tick() {
    if (!data) return;
    grid.tick(data, around.now());
    const day = today();
    const late = day !== data.today;
    show(moved, late);
    const told = late ? say('moved', { day: formatWeekday(day) }) : '';
    if (moved.firstChild?.textContent !== told) moved.replaceChildren(told, h('button', { class: 'quiet', type: 'button', onclick: () => go(day) }, words.goToday));
    void changes?.ask();
  }

  const resized = new ResizeObserver(async ([{ contentRect }]) => {
    const is = contentRect.width > 0 && contentRect.width < NARROW_PX;
    if (is === narrow) return;
    // Without the list the grid stays.
    const made = is && !list && await loadModule('calendar/list', () => import('./list.js')).catch(() => null);
    if (is && !list && !made) return;
    list ??= made && made.newList(tools);
    narrow = is;
    if (is && !chosen) setSpan(7);
    draw([], true);
  });
  resized.observe(node);
  void load();
  /** @type {(() => void)[]} */
  const stops = [() => changes?.stop(), () => resized.disconnect()];

  return {
    node,
    follow(manager) {
      void change(() => {}); // loaded early, so that other tabs' answers are heard
      stops.push(
        manager.on('message', (message) => {
          const { type, id, data: about } = /** @type {any} */ (message);
          const known = revision;
          if (type === 'overview_updated') revision = about.listingsRevision;
          if (type === 'resync' || (known && known !== revision)) void change((one) => one.reload());
          else if (about?.bookingId) void change((one) => one.add(about.bookingId, id));
        }),
        manager.on('snapshot', () => data && void change((one) => one.reload())),
      );
    },
    tick,
    stop() {
      stopped = true;
      stops.forEach((stop) => stop());
      node.remove();
    },
  };
}
