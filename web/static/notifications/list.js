/**
 * The list of notifications. While a pointer or the focus is on its panel nothing moves, and newer
 * ones wait behind a button.
 * @import * as N from './shapes.js'
 */
import { ICONS, h, icon, setAttribute, setIcon, setText, show } from '../dom.js';
import { describe, instantOf } from './describe.js';
import { byId, isUnread } from './store.js';

const ARCHIVE = 'M4 5h16v4H4zM6 9v10h12V9M10 13h4';
const UNREAD = 'M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8z';
const DAY_MS = 86_400_000;
/** A finger's way, in CSS pixels: that begins a swipe, and that does what it means. */
const SWIPE_BEGINS = 12;
const SWIPE_DOES = 72;

/**
 * @param {{around: N.Around, words: N.Words, store: import('./store.js').NotificationStore,
 *   mayArchive: () => boolean, act: (doing: Promise<N.Deed | null>) => void,
 *   drawn: () => void}} tools
 */
export function newList({ around, words, store, mayArchive, act, drawn }) {
  const { wording } = around;
  const node = h('ol', { class: 'notes', 'data-list': 'notifications', 'aria-label': words.title, title: '' });
  /**
   * @type {Map<string, {node: HTMLElement, main: HTMLElement,
   *   update: (one: N.Notification) => void, age: () => void}>}
   */
  const rows = new Map();
  /** @type {string[]} what is on the screen */
  let shown = [];
  let waiting = 0;

  const focused = () => /** @type {ShadowRoot} */ (node.getRootNode()).activeElement;
  /** A click on a button of the panel is about what was on the screen, too. */
  const isHeld = () => {
    const panel = node.closest('.notes-panel');
    return Boolean(panel?.matches(':hover') || panel?.contains(focused()));
  };

  /** @param {string} id */
  const archive = (id) => {
    const one = store.get(id);
    if (!one || !mayArchive()) return;
    const at = shown.indexOf(id);
    const had = rows.get(id)?.node.contains(focused());
    act(store.change(id, { archived: !one.archivedAt }));
    shown = shown.filter((other) => other !== id);
    draw(false);
    if (had) /** @type {HTMLElement} */ (rows.get(shown[at] ?? shown[at - 1] ?? '')?.main ?? node).focus();
  };
  /** @param {string} id */
  const toggle = (id) => {
    const one = store.get(id);
    if (one) act(store.change(id, { read: !one.readAt }));
  };
  /** @param {string} id */
  const open = (id) => {
    const one = store.get(id);
    if (!one) return;
    if (isUnread(one)) act(store.change(id, { read: true }));
    const { bookingId } = one.facts;
    if (bookingId) around.open(String(bookingId));
  };

  /** @param {string} id */
  const makeRow = (id) => {
    const sign = icon(ICONS.new);
    const title = h('strong');
    const main = h('button', { class: 'open', type: 'button', onclick: () => open(id) }, title);
    const hangar = h('bdi', { class: 'tag' });
    const level = h('span', { class: 'level' });
    const detail = h('p', { class: 'detail' });
    const time = h('time');
    const mark = h('span', { class: 'by' });
    const readIcon = icon(ICONS.ok);
    const readButton = h('button', { class: 'act', type: 'button', onclick: () => toggle(id) }, readIcon);
    const archiveButton = h('button', { class: 'act', type: 'button', onclick: () => archive(id) }, icon(ARCHIVE));
    const row = h('li', { class: 'note', 'data-id': id }, h('span', { class: 'sign' }, sign),
      h('div', { class: 'what' }, main, hangar, level), detail, h('p', { class: 'meta' }, time, mark), h('div', { class: 'acts' }, readButton, archiveButton));
    swipes(row, id);
    /** @type {N.Notification | null} */
    let item = null;
    const age = () => {
      if (!item) return;
      const at = instantOf(item.happenedAt) || instantOf(item.createdAt);
      const passed = around.now() - at;
      setText(time, passed < DAY_MS ? wording.formatAgo(passed) : wording.formatMoment(at, around.zone()));
    };
    return {
      node: row, main, age,
      /** @param {N.Notification} one */
      update(one) {
        item = one;
        const said = describe(one, words, wording, around.zone());
        const unread = isUnread(one);
        row.className = `note sign-${said.sign}${unread ? ' unread' : ''}${one.severity === 'info' ? '' : ` ${one.severity}`}`;
        setIcon(sign, ICONS[/** @type {'new'} */ (said.sign)] ?? ICONS.new);
        setText(title, said.title);
        setText(hangar, said.hangar);
        setText(level, one.severity === 'info' ? '' : words[one.severity]);
        setText(detail, said.detail);
        setText(mark, said.mark);
        const at = instantOf(one.happenedAt) || instantOf(one.createdAt);
        setAttribute(time, 'datetime', at ? new Date(at).toISOString() : null);
        setAttribute(time, 'title', wording.formatMoment(at, around.zone()));
        const name = [said.title, said.hangar].filter(Boolean).join(', ');
        setIcon(readIcon, one.readAt ? UNREAD : ICONS.ok);
        for (const [button, word] of /** @type {const} */ ([[readButton, one.readAt ? words.markUnread : words.markRead], [archiveButton, one.archivedAt ? words.unarchive : words.archive]])) {
          setAttribute(button, 'aria-label', `${word}: ${name}`);
          setAttribute(button, 'title', word);
        }
        show(archiveButton, mayArchive());
        age();
      },
    };
  };

  /** To the left archives, to the right reads. @param {HTMLElement} row @param {string} id */
  function swipes(row, id) {
    let [x, y, moved] = [0, 0, 0];
    let active = false;
    const end = () => {
      active = false;
      moved = 0;
      row.style.removeProperty('--swipe');
    };
    row.addEventListener('pointerdown', (event) => {
      if (event.pointerType === 'touch') [x, y, active] = [event.clientX, event.clientY, true];
    });
    row.addEventListener('pointermove', (event) => {
      if (!active) return;
      const [dx, dy] = [event.clientX - x, event.clientY - y];
      if (moved === 0 && Math.abs(dy) > Math.abs(dx)) return end();
      if (Math.abs(dx) < SWIPE_BEGINS) return;
      moved = dx;
      row.style.setProperty('--swipe', `${dx}px`);
    });
    row.addEventListener('pointerup', () => {
      const [way, was] = [moved, active];
      end();
      if (!was || Math.abs(way) < SWIPE_DOES) return;
      if (way < 0) archive(id);
      else toggle(id);
    });
    row.addEventListener('pointercancel', end);
  }

  node.tabIndex = -1;
  node.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.target).closest('.note'));
    const id = row?.dataset.id ?? '';
    const at = shown.indexOf(id);
    /** @type {Record<string, number>} */
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 };
    if (event.key in moves) rows.get(shown[Math.max(0, Math.min(shown.length - 1, moves[event.key]))] ?? '')?.main.focus();
    else if (event.key === 'e' && id) archive(id);
    else if (event.key === 'u' && id) toggle(id);
    else return;
    event.preventDefault();
  });

  /** @param {boolean} inFull */
  const draw = (inFull) => {
    const items = store.getState().items.map(({ id }) => id);
    waiting = 0;
    if (!inFull && shown.length > 0 && isHeld()) {
      const present = new Set(shown);
      waiting = items.filter((id) => !present.has(id) && byId(id, shown[0]) > 0).length;
      const older = items.filter((id) => !present.has(id) && byId(id, shown[shown.length - 1]) < 0);
      shown = [...shown.filter((id) => store.get(id)), ...older];
    } else shown = items;
    const wanted = new Set(shown);
    for (const [id, row] of rows) {
      if (wanted.has(id)) continue;
      row.node.remove();
      rows.delete(id);
    }
    shown.forEach((id, i) => {
      const row = rows.get(id) ?? makeRow(id);
      rows.set(id, row);
      if (node.children[i] !== row.node) node.insertBefore(row.node, node.children[i] ?? null);
      row.update(/** @type {N.Notification} */ (store.get(id)));
    });
    drawn();
  };
  const release = () => {
    if (waiting > 0) queueMicrotask(() => draw(false));
  };

  return {
    node,
    draw,
    /** The pointer or the focus may have left the panel. */
    release,
    /** The newest on the screen, an id; empty while there is none. */
    newest: () => shown[0] ?? '',
    /** How many newer ones wait. */
    waiting: () => waiting,
    isEmpty: () => shown.length === 0,
    age: () => rows.forEach((row) => row.age()),
    focus: () => (rows.get(shown[0] ?? '')?.main ?? node).focus(),
  };
}
