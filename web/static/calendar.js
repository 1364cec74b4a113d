/**
 * <booking-calendar owner-id="1">: an owner's bookings by hangar and day, live. It loads once its
 * `token` is set.
 * @import * as T from './shapes.js'
 */
import { createManager } from './client.js';
import { newCalendar } from './calendar/view.js';
import { newQuestions } from './dial.js';
import { followZoom, h, loadSheet } from './dom.js';
import { wording, wordingOf } from './state/wording.js';

const TICK_MS = 1000;
/** Styles that did not come are asked for again after as long. */
const STYLES_MS = 5000;

/** Outside a browser there is no HTMLElement, and importing must still be harmless. */
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

class Calendar extends Base {
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
      const view = await newCalendar({
        ...this.#questions, wording: found, frame, server, now: () => manager.now(), open: (bookingId) => void this.#open(bookingId, found),
      });
      if (key !== this.#started) return view.stop();
      view.follow(manager);
      frame.append(view.node);
      followZoom(frame);
      const ticker = setInterval(() => document.visibilityState === 'hidden' || view.tick(), TICK_MS);
      this.#stops = [() => clearInterval(ticker), view.stop, () => manager.close()];
      manager.connect().catch(() => {}); // the calendar loads without it, too
    } catch {
      this.#stops.forEach((stop) => stop());
      setTimeout(() => key === this.#started && void this.#show(ownerId, key), STYLES_MS);
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

/** The element of a first copy of this module on the page stays the element. */
const Registered = /** @type {typeof Calendar | undefined} */ (globalThis.customElements?.get('booking-calendar'));
if (globalThis.customElements && !Registered) customElements.define('booking-calendar', Calendar);
export const BookingCalendar = Registered ?? Calendar;
