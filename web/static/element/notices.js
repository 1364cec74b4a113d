/**
 * The notifications: two bounded lists, an unread counter that does not depend
 * on their length, and the controls to read and clear them.
 * @import { DashboardState, Notice } from '../types.js'
 */
import { h, icon, rows, setAttribute, setIcon, setText, show, tint } from '../dom.js';
import { formatAgo, formatMoment, formatPlural } from '../format.js';
import { describeNotice } from '../state/wording.js';
import { ICONS } from './panels.js';

const UNDO_MS = 8000;
const FIRST_ROWS = 8;
const MORE_ROWS = 20;

/** @type {Record<import('../state/wording.js').Sign, string>} */
const SIGNS = {
  new: ICONS.calendar, ok: ICONS.check, money: ICONS.money, edit: ICONS.pencil, cancel: ICONS.cross,
  in: ICONS.enter, out: ICONS.leave,
};

/**
 * @param {{markRead: (id: string) => void, markAllRead: () => void, clear: () => void, undoClear: () => void, forgetCleared: () => void}} actions
 */
export function noticesPanel(actions) {
  const badge = h('span', { class: 'badge' });
  const readAll = h('button', { class: 'quiet', type: 'button', onclick: actions.markAllRead }, 'Marcar todas como lidas');
  /** @type {any} */
  let undoTimer = null;
  const undo = h('button', {
    class: 'quiet', type: 'button', hidden: true,
    onclick() {
      clearTimeout(undoTimer);
      actions.undoClear();
      clear.focus();
    },
  }, 'Desfazer');
  const clear = h('button', {
    class: 'quiet', type: 'button',
    onclick() {
      clearTimeout(undoTimer);
      actions.clear();
      show(undo, true);
      undo.focus();
      undoTimer = setTimeout(actions.forgetCleared, UNDO_MS);
    },
  }, 'Limpar');
  const bookings = noticeList('Reservas recentes', 'bookings', actions.markRead);
  const occupancy = noticeList('Mudanças de ocupação', 'occupancy', actions.markRead);
  const node = h('section', { class: 'notices', 'aria-labelledby': 'notices-title' },
    h('header', null,
      h('h2', { id: 'notices-title' }, 'Notificações'), badge,
      h('div', { class: 'actions' }, undo, readAll, clear)),
    h('div', { class: 'columns' }, bookings.node, occupancy.node));

  return {
    node,
    /** @param {DashboardState} state @param {string | null} timezone */
    update(state, timezone) {
      setText(badge, formatPlural(state.unread, 'não lida', 'não lidas', 'tudo lido'));
      show(badge, state.loaded || state.unread > 0);
      badge.classList.toggle('some', state.unread > 0);
      setAttribute(readAll, 'disabled', state.unread === 0);
      setAttribute(clear, 'disabled', state.bookings.length + state.occupancy.length === 0);
      show(undo, state.canUndoClear);
      const failed = state.failedParts.bookings && state.bookings.length === 0;
      let none = 'Nenhuma reserva hoje ainda. As novas aparecem aqui na hora.';
      if (state.metrics && state.metrics.bookingsToday > 0) none = 'Nada por ler. As novas reservas aparecem aqui na hora.';
      if (failed) none = 'Não foi possível carregar as reservas. As novas aparecem aqui na hora.';
      bookings.update(state.bookings, state.loaded, none, timezone);
      occupancy.update(state.occupancy, state.loaded, 'Nenhuma mudança ainda. Entradas e saídas aparecem aqui na hora.', timezone);
    },
    /** Rewrites the ages of the rows. */
    tick() {
      bookings.tick();
      occupancy.tick();
    },
    stop: () => clearTimeout(undoTimer),
  };
}

/**
 * One list. While a pointer or the focus is on it, it holds still: newer rows wait behind a button.
 * @param {string} title @param {string} name @param {(id: string) => void} markRead
 */
function noticeList(title, name, markRead) {
  const list = h('ol', { class: 'rows', 'data-list': name });
  const empty = h('p', { class: 'empty', hidden: true });
  const fresh = h('button', { class: 'fresh', type: 'button', hidden: true, onclick: () => draw(true) });
  const more = h('button', {
    class: 'quiet more', type: 'button', hidden: true,
    onclick() {
      limit += MORE_ROWS;
      draw(true);
    },
  }, 'Mostrar mais');
  const node = h('section', { class: `panel list ${name}`, 'aria-labelledby': `${name}-title` },
    h('header', null, h('h3', { id: `${name}-title` }, title), fresh), list, empty, more);

  /** @type {readonly Notice[]} */
  let latest = [];
  /** @type {readonly Notice[]} what is on the screen */
  let drawn = [];
  let limit = FIRST_ROWS;
  /** @type {string | null} */
  let zone = null;
  /** @type {string | null} null until the first drawing */
  let newest = null;

  const held = () => node.matches(':hover') || list.contains(/** @type {ShadowRoot} */ (list.getRootNode()).activeElement);

  const draw = (/** @type {boolean} */ release) => {
    const known = new Set(drawn.map((notice) => notice.id));
    let waiting = 0;
    if (!release && drawn.length > 0 && held()) {
      const current = new Map(latest.map((notice) => [notice.id, notice]));
      waiting = latest.filter((notice) => !known.has(notice.id) && notice.at >= drawn[0].at).length;
      if (latest.length > 0) drawn = drawn.map((notice) => current.get(notice.id) ?? notice);
      else drawn = [];
    } else {
      drawn = latest.slice(0, limit);
    }
    rows(list, drawn, makeRow);
    show(fresh, waiting > 0);
    if (waiting > 0) setText(fresh, formatPlural(waiting, 'nova', 'novas'));
    show(more, latest.length > drawn.length + waiting);
    const first = drawn[0]?.id ?? '';
    if (newest !== null && first !== newest && drawn[0] && !drawn[0].read) tint(/** @type {HTMLElement} */ (list.firstElementChild));
    newest = first;
  };
  const settle = () => {
    if (!fresh.hidden) queueMicrotask(() => draw(false));
  };
  node.addEventListener('pointerleave', settle);
  list.addEventListener('focusout', settle);

  /** @type {Set<() => void>} */
  const ages = new Set();

  const makeRow = () => {
    const sign = icon(ICONS.calendar);
    const what = h('strong');
    const hangar = h('span', { class: 'tag' });
    const detail = h('p', { class: 'detail' });
    const amount = h('span', { class: 'amount' });
    const time = h('time');
    /** @type {Notice | null} */
    let item = null;
    const mark = h('button', { class: 'mark', type: 'button', onclick: () => item && markRead(item.id) });
    const row = h('li', { class: 'row' }, h('span', { class: 'sign' }, sign),
      h('div', { class: 'what' }, h('p', null, what, hangar), detail),
      h('div', { class: 'much' }, amount, time), mark);
    const age = () => {
      if (!row.isConnected) return void ages.delete(age);
      if (item) setText(time, formatAgo(Date.now() - item.at));
    };
    ages.add(age);
    return {
      node: row,
      /** @param {Notice} notice */
      update(notice) {
        const words = describeNotice(notice);
        item = notice;
        setIcon(sign, SIGNS[words.sign]);
        row.className = row.className.replace(/^row( unread)?( struck)?( sign-\w+)?/,
          `row${notice.read ? '' : ' unread'}${words.struck ? ' struck' : ''} sign-${words.sign}`);
        setText(what, words.title);
        setText(hangar, words.hangar);
        show(hangar, words.hangar !== '');
        setText(detail, words.detail || '\u00A0');
        setText(amount, words.amount);
        setAttribute(time, 'datetime', new Date(notice.at).toISOString());
        setAttribute(time, 'title', formatMoment(notice.at, zone));
        setText(time, formatAgo(Date.now() - notice.at));
        setAttribute(mark, 'aria-label', `Marcar como lida: ${words.title}, ${words.hangar}`);
        setAttribute(mark, 'title', 'Marcar como lida');
        mark.classList.toggle('gone', notice.read);
        setAttribute(mark, 'disabled', notice.read);
      },
    };
  };

  return {
    node,
    /** @param {readonly Notice[]} notices @param {boolean} loaded @param {string} none @param {string | null} timezone */
    update(notices, loaded, none, timezone) {
      latest = notices;
      zone = timezone;
      if (notices.length === 0) limit = FIRST_ROWS;
      node.classList.toggle('loading', !loaded && notices.length === 0);
      setText(empty, none);
      show(empty, loaded && notices.length === 0);
      draw(false);
      if (!loaded) newest = null;
    },
    tick: () => ages.forEach((age) => age()),
  };
}
