/**
 * <owner-notifications owner-id="1">: a bell with the notifications of an owner account, and the
 * list that it opens; with `view="list"` the list itself. It connects once its `token` is set.
 * Events: `unreadchange` {unread, unseen}, `openbooking` {bookingId}, `invitationanswered` {id,
 * accept}.
 * @import * as N from './notifications/shapes.js'
 * @import * as T from './shapes.js'
 */
import { createManager } from './client.js';
import { newQuestions } from './dial.js';
import { adoptSheet, followZoom, h, icon, loadModule, setAttribute, setText, show, toldOf } from './dom.js';
import { fill } from './notifications/fill.js';
import { NotificationStore, newAsk } from './notifications/store.js';
import BELL_WORDS from './notifications/words/bell-pt.js';
import { wording, wordingOf } from './state/wording.js';

const TICK_MS = 5000;
/** Styles that did not come are asked for again after as long. */
const STYLES_MS = 5000;
const BELL = 'M6 10a6 6 0 0 1 12 0c0 5 2 7 2 7H4s2-2 2-7M10 20.5a2.2 2.2 0 0 0 4 0';
const MOST = 99;

/**
 * The bell: how many notifications are unread in the account, and whether some are new to this
 * user. What it opens is loaded when it is opened.
 * @param {N.Around} around @param {NotificationStore} store @returns {Promise<N.View>}
 */
async function newBell(around, store) {
  const { frame, inline, ask, wording: { words: page, views, formatCount } } = around;
  await adoptSheet(around.server, frame, 'notifications.css');
  const words = views.notifications ?? BELL_WORDS;
  /** @type {N.Me} */
  const me = { role: '', invitations: [] };
  /** @type {N.Panel | null} */
  let panel = null;
  /** @type {Promise<N.Panel> | null} */
  let opening = null;
  let said = '';
  let stopped = false;
  let pressed = false;

  const count = h('span', { class: 'count', 'aria-hidden': 'true', hidden: true });
  const bell = h('button', {
    class: 'bell', type: 'button', 'aria-haspopup': 'dialog', 'aria-expanded': 'false', hidden: true,
    onclick: () => void press(), onpointerenter: () => void open().catch(() => {}),
  }, icon(BELL), count);
  const told = h('p', { class: 'bell-failed', role: 'status' });
  const node = h('div', { class: 'notifications' }, inline ? null : bell, told);

  const update = () => {
    const { unread, unseen } = store.getState();
    const n = unread ?? 0;
    show(bell, unread !== null);
    const isNew = unseen > 0 || me.invitations.length > 0;
    // The account's number, strong while some are new to this user. Without a number it is a dot.
    show(count, n > 0 || isNew);
    setText(count, n > MOST ? `${MOST}+` : n > 0 ? formatCount(n) : '');
    count.classList.toggle('new', isNew);
    const text = n > 0 ? fill(words.unread[n === 1 ? 0 : 1], { n: formatCount(n) }) : words.none;
    setAttribute(bell, 'aria-label', fill(words.bell, { unread: isNew ? fill(words.bellNew, { unread: text }) : text }));
    panel?.update();
    const counts = `${unread} ${unseen}`;
    if (counts !== said && unread !== null) around.counted({ unread, unseen });
    said = counts;
  };
  const open = () => (opening ??= loadModule('notifications/panel', () => import('./notifications/panel.js')).then(async ({ newPanel }) => {
    const made = await newPanel({ around, store, bell, me, changed: update });
    if (stopped) made.stop();
    else node.append(made.node);
    return (panel = made);
  }).catch((error) => {
    opening = null;
    throw error;
  }));
  /** However often it is pressed while the list is on its way, that opens it. */
  const press = async () => {
    if (pressed) return;
    pressed = true;
    (await toldOf(told, page, open()))?.toggle();
    pressed = false;
  };
  /** Who invites this user to other accounts, and which role the user has in this one. */
  const reload = async () => {
    const answer = await ask('/api/auth/me').catch(() => null);
    if (!answer || stopped) return;
    me.role = answer.accounts?.find((/** @type {any} */ one) => String(one.ownerId) === around.ownerId)?.role ?? '';
    me.invitations = Array.isArray(answer.invitations) ? answer.invitations : [];
    update();
  };
  void reload();
  if (inline) await open();

  return {
    node, update, reload,
    show: (bookingId) => (bookingId ? around.open(bookingId) : void open().then((opened) => opened.list()).catch(() => {})),
    tell: (doing, failed) => toldOf(told, page, doing, failed),
    tick: () => panel?.tick(),
    stop() {
      stopped = true;
      panel?.stop();
      node.remove();
    },
  };
}

/** Outside a browser there is no HTMLElement, and importing must still be harmless. */
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

class Notifications extends Base {
  static observedAttributes = ['owner-id', 'server', 'lang', 'view'];

  /** @type {T.Token | null | undefined} */
  #token = null;
  /**
   * What carries requests in place of the browser's own `fetch` and `WebSocket`.
   * @type {T.Carrier}
   */
  carrier = {};
  /**
   * A connection of the page's to follow, in place of one of the element's own. Set it before the
   * token.
   * @type {T.WebSocketManager | null}
   */
  manager = null;
  /**
   * What came on it before the element did.
   * @type {T.MessageOf<'notifications_updated'> | null}
   */
  latest = null;
  /** @type {(() => void)[]} */
  #stops = [];
  #started = '';
  #frame = h('div', { class: 'frame' });
  /** @type {N.View | null} */
  #view = null;

  constructor() {
    super();
    this.attachShadow({ mode: 'open' }).append(this.#frame);
  }

  /**
   * A string, or a function asked again at every dial; null disconnects.
   * @param {T.Token | null | undefined} token
   */
  set token(token) {
    this.#token = token;
    this.#questions.forget();
    this.#start();
  }

  /** Asks again for the invitations of the user. */
  reload() {
    this.#view?.reload();
  }

  /** Opens a booking, or the list where it is empty. @param {string} bookingId */
  show(bookingId) {
    this.#view?.show(bookingId);
  }

  connectedCallback() {
    this.#start();
  }

  disconnectedCallback() {
    queueMicrotask(() => this.isConnected || this.#stop());
  }

  attributeChangedCallback() {
    this.#start();
  }

  #server() {
    return this.getAttribute('server') || location.origin;
  }

  #questions = newQuestions(this, () => this.#token);
  /**
   * One of the element's own questions: a path after that of the account, or one that begins with a
   * slash.
   */
  ask = newAsk(this.#questions);

  #stop() {
    this.#stops.forEach((stop) => stop());
    this.#stops = [];
    this.#view = null;
    this.#started = '';
    this.#frame.replaceChildren();
  }

  #start() {
    const ownerId = this.getAttribute('owner-id') ?? '';
    const wanted = this.isConnected && ownerId && this.#token;
    const key = wanted ? [ownerId, this.#server(), this.lang, this.getAttribute('view')].join(' ') : '';
    if (key === this.#started) return;
    this.#stop();
    this.#started = key;
    if (key) void this.#show(ownerId, key);
  }

  /** @param {string} ownerId @param {string} key */
  async #show(ownerId, key) {
    const frame = this.#frame;
    const server = this.#server();
    const given = this.manager;
    const manager = given ?? createManager(ownerId, this.#questions.ask, { baseUrl: server, ...this.carrier });
    /**
     * How far the server's clock is ahead of the manager's, by messages that are sent as they are
     * made.
     */
    let skew = 0;
    const store = new NotificationStore(this.ask, () => this.#view?.update());
    const hear = (/** @type {T.Message} */ { id, type, timestamp, data }) => {
      if (timestamp && !id) skew = timestamp - manager.now();
      if (type === 'notifications_updated') store.apply(/** @type {T.NotificationsUpdated} */ (data));
    };
    if (this.latest) hear(this.latest);
    const ends = [manager.on('message', hear), () => store.stop(), () => given || manager.close()];
    this.#stops = ends;
    if (!given) manager.connect().catch(() => {}); // its outcome is in the manager's state
    for (;;) {
      try {
        const found = (await wordingOf(this.lang).catch(() => null)) ?? wording;
        await adoptSheet(server, frame, 'element.css');
        if (key !== this.#started) return;
        frame.lang = found.words.language;
        const view = await newBell({
          wording: found, frame, server, ownerId, ask: this.ask, inline: this.getAttribute('view') === 'list',
          now: () => manager.now() + skew, zone: () => manager.getState().timezone,
          open: (bookingId) => void this.#view?.tell(loadModule('notifications/booking', () => import('./notifications/booking.js'))
            .then(({ openBooking }) => openBooking(this, frame, bookingId, found, manager.getState().timezone)), found.words.detailsFailed),
          counted: (detail) => this.dispatchEvent(new CustomEvent('unreadchange', { detail })),
          answered: (id, accept) => this.dispatchEvent(new CustomEvent('invitationanswered', { detail: { id, accept } })),
        }, store);
        if (key !== this.#started) return view.stop();
        this.#view = view;
        view.update();
        frame.append(view.node);
        followZoom(frame);
        const ticker = setInterval(() => document.visibilityState === 'hidden' || view.tick(), TICK_MS);
        this.#stops = [() => clearInterval(ticker), view.stop, ...ends];
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, STYLES_MS));
        if (key !== this.#started) return;
      }
    }
  }
}

/** The element of a first copy of this module on the page stays the element. */
const Registered = /** @type {typeof Notifications | undefined} */ (globalThis.customElements?.get('owner-notifications'));
if (globalThis.customElements && !Registered) customElements.define('owner-notifications', Notifications);
export const OwnerNotifications = Registered ?? Notifications;
