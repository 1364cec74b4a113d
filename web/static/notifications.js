/**
 * <owner-notifications owner-id="1">: a bell with the notifications of an owner account, and the
 * list that it opens; with `view="list"` the list itself. It connects once its `token` is set.
 * Events: `unreadchange` {unread, unseen}, `openbooking` {bookingId}, `invitationanswered` {id,
 * accept}.
 * @import * as T from './shapes.js'
 */
import { createManager } from './client.js';
import { followZoom, h, loadSheet } from './dom.js';
import { newAsk } from './notifications/ask.js';
import { newNotifications } from './notifications/view.js';
import { wording, wordingOf } from './state/wording.js';

const TICK_MS = 5000;
/** Styles that did not come are asked for again after as long. */
const STYLES_MS = 5000;

/** Outside a browser there is no HTMLElement, and importing must still be harmless. */
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

class Notifications extends Base {
  static observedAttributes = ['owner-id', 'server', 'lang', 'view'];

  /** @type {T.Token | null | undefined} */
  #token = null;
  #bearer = '';
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
  /** @type {import('./notifications/shapes.js').View | null} */
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
    this.#bearer = '';
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

  async #askToken() {
    const token = this.#token;
    return (this.#bearer = (typeof token === 'function' ? await token() : token) ?? '');
  }

  /**
   * One of the element's own questions: a path after that of the account, or one that begins with a
   * slash.
   * @type {import('./notifications/shapes.js').Ask}
   */
  ask = (...question) => newAsk({
    server: this.#server(), ownerId: this.getAttribute('owner-id') ?? '', fetch: this.carrier.fetch ?? ((...request) => fetch(...request)),
    token: async (refused) => (!refused && this.#bearer) || this.#askToken(),
  })(...question);

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
    const manager = given ?? createManager(ownerId, () => this.#askToken(), { baseUrl: server, ...this.carrier });
    let { latest } = this;
    /**
     * How far the server's clock is ahead of the manager's, by messages that are sent as they are
     * made.
     */
    let skew = 0;
    const tell = (/** @type {T.Message} */ { id, timestamp }) => timestamp && !id && (skew = timestamp - manager.now());
    if (latest) tell(latest);
    const clocked = manager.on('message', tell);
    const early = manager.on('notifications_updated', (message) => (latest = message));
    this.#stops = [clocked, early, () => given || manager.close()];
    if (!given) manager.connect().catch(() => {}); // its outcome is in the manager's state
    for (;;) {
      try {
        const root = /** @type {ShadowRoot} */ (this.shadowRoot);
        const found = (await wordingOf(this.lang).catch(() => null)) ?? wording;
        const sheet = await loadSheet(server, frame, 'element.css');
        if (key !== this.#started) return;
        if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [sheet, ...root.adoptedStyleSheets];
        frame.lang = found.words.language;
        const view = await newNotifications({
          wording: found, frame, server, ownerId, ask: this.ask, inline: this.getAttribute('view') === 'list',
          now: () => manager.now() + skew, zone: () => manager.getState().timezone,
          open: (bookingId) => void this.#open(bookingId, found, manager),
          counted: (detail) => this.dispatchEvent(new CustomEvent('unreadchange', { detail })),
          answered: (id, accept) => this.dispatchEvent(new CustomEvent('invitationanswered', { detail: { id, accept } })),
        });
        if (key !== this.#started) return view.stop();
        early();
        if (latest) view.store.apply(latest.data);
        const unfollow = view.follow(manager);
        this.#view = view;
        frame.append(view.node);
        followZoom(frame);
        const ticker = setInterval(() => document.visibilityState === 'hidden' || view.tick(), TICK_MS);
        this.#stops = [clocked, () => clearInterval(ticker), unfollow, view.stop, () => given || manager.close()];
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, STYLES_MS));
        if (key !== this.#started) return;
      }
    }
  }

  /** @param {string} bookingId @param {T.Wording} found @param {T.WebSocketManager} manager */
  async #open(bookingId, found, manager) {
    if (!this.dispatchEvent(new CustomEvent('openbooking', { detail: { bookingId }, cancelable: true }))) return;
    const { showDetails } = await import('./element/details.js');
    await showDetails(this.#frame, {
      wording: found, bookingId, zone: manager.getState().timezone, href: this.getAttribute('booking-href') ?? '',
      load: () => this.ask(`bookings/${encodeURIComponent(bookingId)}`),
    });
  }
}

/** The element of a first copy of this module on the page stays the element. */
const Registered = /** @type {typeof Notifications | undefined} */ (globalThis.customElements?.get('owner-notifications'));
if (globalThis.customElements && !Registered) customElements.define('owner-notifications', Notifications);
export const OwnerNotifications = Registered ?? Notifications;
