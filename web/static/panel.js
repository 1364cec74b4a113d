/**
 * A panel of the dashboard as an element of its own: its owner, its token, its connection, its
 * styles and words. What it shows is the panel's. It loads once its `token` is set.
 * @import * as T from './shapes.js'
 */
import { createManager } from './client.js';
import { newQuestions } from './dial.js';
import { followZoom, h, loadSheet } from './dom.js';
import { wording, wordingOf } from './state/wording.js';

const TICK_MS = 1000;
/** What did not come is asked for again after as long. */
const AGAIN_MS = 5000;

/** Outside a browser there is no HTMLElement, and importing must still be harmless. */
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

export class PanelElement extends Base {
  static observedAttributes = ['owner-id', 'server', 'lang', 'booking-href'];

  /** @type {T.Token | null | undefined} */
  #token = null;
  /**
   * What carries requests in place of the browser's own `fetch` and `WebSocket`.
   * @type {T.Carrier}
   */
  carrier = {};
  #questions = newQuestions(this, () => this.#token);
  /** @type {(() => void)[]} */
  #stops = [];
  #started = '';
  #frame = h('div', { class: 'frame' });

  constructor() {
    super();
    this.attachShadow({ mode: 'open' }).append(this.#frame);
  }

  /**
   * Makes the panel.
   * @param {T.Around} _around
   * @returns {Promise<T.LazyView>}
   */
  newView(_around) {
    throw new Error('a panel makes its own view');
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

  #stop() {
    this.#stops.forEach((stop) => stop());
    this.#stops = [];
    this.#started = '';
    this.#frame.replaceChildren();
  }

  #start() {
    const ownerId = this.getAttribute('owner-id') ?? '';
    const wanted = this.isConnected && ownerId && this.#token;
    const key = wanted ? [ownerId, this.#server(), this.lang].join(' ') : '';
    if (key === this.#started) return;
    this.#stop();
    this.#started = key;
    if (key) void this.#show(ownerId, key);
  }

  /** @param {string} ownerId @param {string} key */
  async #show(ownerId, key) {
    const frame = this.#frame;
    const server = this.#server();
    try {
      const root = /** @type {ShadowRoot} */ (this.shadowRoot);
      const found = (await wordingOf(this.lang).catch(() => null)) ?? wording;
      const sheet = await loadSheet(server, frame, 'element.css');
      if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [sheet, ...root.adoptedStyleSheets];
      if (key !== this.#started) return;
      frame.lang = found.words.language;
      const manager = createManager(ownerId, this.#questions.ask, { baseUrl: server, ...this.carrier });
      this.#stops = [() => manager.close()];
      let skew = 0;
      manager.on('connection_established', ({ data }) => (skew = data.serverTime ? data.serverTime - manager.now() : 0));
      const view = await this.newView({
        ...this.#questions, wording: found, frame, server, ownerId, hash: this.hasAttribute('hash'),
        now: () => manager.now() + skew, open: (bookingId) => void this.#open(bookingId, found),
      });
      if (key !== this.#started) return view.stop();
      view.follow(manager);
      frame.append(view.node);
      followZoom(frame);
      const ticker = setInterval(() => document.visibilityState === 'hidden' || view.tick(), TICK_MS);
      this.#stops = [() => clearInterval(ticker), view.stop, () => manager.close()];
      manager.connect().catch(() => {}); // the panel loads without it, too
    } catch {
      this.#stops.forEach((stop) => stop());
      setTimeout(() => key === this.#started && void this.#show(ownerId, key), AGAIN_MS);
    }
  }

  /** @param {string} bookingId @param {T.Wording} found */
  async #open(bookingId, found) {
    const { showDetails } = await import('./element/details.js');
    await showDetails(this.#frame, {
      wording: found, bookingId, zone: null, href: this.getAttribute('booking-href') ?? '', load: () => this.#questions.get(`bookings/${encodeURIComponent(bookingId)}`),
    });
  }
}

/**
 * The element of a first copy of this module on the page stays the element.
 * @template {typeof PanelElement} E
 * @param {string} tag @param {E} element @returns {E}
 */
export function define(tag, element) {
  const registered = globalThis.customElements?.get(tag);
  if (globalThis.customElements && !registered) customElements.define(tag, element);
  return /** @type {E} */ (registered ?? element);
}
