/**
 * The bell: how many notifications are unread in the account, and whether some are new to this
 * user. What it opens is loaded when it is opened.
 * @import * as N from './shapes.js'
 */
import { h, icon, loadSheet, setAttribute, setText, show } from '../dom.js';
import { fill } from './fill.js';
import { NotificationStore } from './store.js';

const BELL = 'M6 10a6 6 0 0 1 12 0c0 5 2 7 2 7H4s2-2 2-7M10 20.5a2.2 2.2 0 0 0 4 0';
const MOST = 99;

/** With words and styles. @param {N.Around} around @returns {Promise<N.View>} */
export async function newNotifications(around) {
  const { frame, inline, ask, wording } = around;
  const own = wording.views.notifications ?? import('./words/pt.js').then((pt) => pt.default);
  const [words, sheet] = await Promise.all([own, loadSheet(around.server, frame, 'notifications.css')]);
  const root = /** @type {ShadowRoot} */ (frame.getRootNode());
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];

  /** @type {N.SayMany} */
  const sayMany = (name, n) => fill(words[name][n === 1 ? 0 : 1], { n: wording.formatCount(n) });
  /** @type {N.Me} */
  const me = { role: '', invitations: [] };
  /** @type {N.Panel | null} */
  let panel = null;
  let said = '';
  let stopped = false;

  const count = h('span', { class: 'count', 'aria-hidden': 'true', hidden: true });
  const bell = h('button', {
    class: 'bell', type: 'button', 'aria-haspopup': 'dialog', 'aria-expanded': 'false', hidden: true,
    onclick: () => open().then((opened) => opened?.toggle(), () => {}), onpointerenter: () => void open().catch(() => {}),
  }, icon(BELL), count);
  const node = h('div', { class: 'notifications' }, inline ? null : bell);

  const update = () => {
    const { unread, unseen } = store.getState();
    const n = unread ?? 0;
    show(bell, unread !== null);
    const isNew = unseen > 0 || me.invitations.length > 0;
    // The account's number, strong while some are new to this user. Without a number it is a dot.
    show(count, n > 0 || isNew);
    setText(count, n > MOST ? `${MOST}+` : n > 0 ? wording.formatCount(n) : '');
    count.classList.toggle('new', isNew);
    const text = n > 0 ? sayMany('unread', n) : words.none;
    setAttribute(bell, 'aria-label', fill(words.bell, { unread: isNew ? fill(words.bellNew, { unread: text }) : text }));
    panel?.update();
    const counts = `${unread} ${unseen}`;
    if (counts !== said && unread !== null) around.counted({ unread, unseen });
    said = counts;
  };
  const store = new NotificationStore(ask, update);
  const open = async () => {
    const { newPanel } = await import('./panel.js');
    if (stopped || panel) return panel;
    panel = newPanel({ around, words, sayMany, store, bell, me, changed: update });
    node.append(panel.node);
    return panel;
  };
  /** Who invites this user to other accounts, and which role the user has in this one. */
  const reload = async () => {
    const answer = await ask('/api/auth/me').catch(() => null);
    if (!answer || stopped) return;
    me.role = answer.accounts?.find((/** @type {any} */ one) => String(one.ownerId) === around.ownerId)?.role ?? '';
    me.invitations = Array.isArray(answer.invitations) ? answer.invitations : [];
    update();
  };
  update();
  void reload();
  if (inline) await open();

  return {
    node, store, reload,
    follow: (manager) => manager.on('notifications_updated', ({ data }) => store.apply(data)),
    show: (bookingId) => (bookingId ? around.open(bookingId) : void open().then((opened) => opened?.list())),
    tick: () => panel?.tick(),
    stop() {
      stopped = true;
      store.stop();
      panel?.stop();
      node.remove();
    },
  };
}
