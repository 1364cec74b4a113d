/**
 * <realtime-metrics-display owner-id="1">: the live dashboard as an element.
 * Set its `token` (a string, or a function that brings one) and it connects.
 * It draws; what is true is decided by the client and the store.
 * Events: `unreadchange` {unread}, `statuschange` {status, error}.
 * @import { ClientOptions, Token, WebSocketManager } from './types.js'
 */
import { createManager } from './client.js';
import { h, icon, paced, setText, show } from './dom.js';
import { noticesPanel } from './element/notices.js';
import { ICONS, cardsPanel, factsPanel, hangarsPanel } from './element/panels.js';
import { styles } from './element/styles.js';
import { formatMoney, formatPlural } from './format.js';
import { DashboardStore } from './state/store.js';
import { describeConnection } from './state/wording.js';

const DRAW_EVERY_MS = 250;
const ANNOUNCE_EVERY_MS = 10_000;

/** @type {CSSStyleSheet | null} shared by all elements of a page */
let sheet = null;

/** Outside a browser there is no HTMLElement, and importing must still be harmless. */
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

export class RealtimeMetricsDisplay extends Base {
  static observedAttributes = ['owner-id', 'server', 'enabled'];

  /** @type {Token | null} */
  #token = null;
  /** @type {WebSocketManager | null} */
  #manager = null;
  #store = new DashboardStore();
  /** @type {(() => void)[]} */
  #stops = [];
  #started = '';
  /** @type {any} */
  #ticker = null;
  #unread = -1;
  #status = '';
  /** @type {string[]} */
  #news = [];
  #newBookings = 0;
  /** @type {any} */
  #announceTimer = null;
  #announcedAt = -Infinity;
  #draw = paced(() => this.#render(), DRAW_EVERY_MS);

  #dot = h('span', { class: 'dot', 'aria-hidden': 'true' });
  #label = h('span', { class: 'label' }, 'Conectando…');
  #detail = h('span', { class: 'detail' });
  #statusLine = h('div', { class: 'status', 'data-tone': 'busy' }, h('span', { class: 'pill' }, this.#dot, this.#label), this.#detail);
  #live = h('p', { class: 'sr', role: 'status', 'aria-live': 'polite' });
  /** @type {HTMLButtonElement} */
  #reconnect;
  #cards = cardsPanel();
  #facts = factsPanel();
  #hangars = hangarsPanel();
  #notices = noticesPanel({
    markRead: (id) => this.#store.markRead(id),
    markAllRead: () => this.#store.markAllRead(),
    clear: () => this.#store.clear(),
    undoClear: () => this.#store.undoClear(),
    forgetCleared: () => this.#store.forgetCleared(),
  });

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    if (!sheet) {
      sheet = new CSSStyleSheet();
      sheet.replaceSync(styles);
    }
    root.adoptedStyleSheets = [sheet];
    this.#reconnect = h('button', {
      class: 'reconnect', type: 'button', disabled: true, onclick: () => this.#manager?.reconnect(),
    }, icon(ICONS.refresh), 'Reconectar');
    root.append(h('div', { class: 'frame' },
      h('div', { class: 'bar' }, h('slot', { name: 'heading' }), this.#statusLine, this.#reconnect),
      this.#cards.node, this.#facts.node, this.#hangars.node, this.#notices.node, this.#live));
  }

  /** A string, or a function asked again at every dial. @param {Token | null} token */
  set token(token) {
    this.#token = token;
    if (this.#manager && token) this.#manager.setToken(token);
    else this.#start();
  }

  /** The manager behind the element, or null while it is not connected. */
  get manager() {
    return this.#manager;
  }

  connectedCallback() {
    this.#start();
    if (!this.#manager) this.#render();
  }

  disconnectedCallback() {
    // An element that is only moved comes back within the same task.
    queueMicrotask(() => {
      if (!this.isConnected) this.#stop();
    });
  }

  attributeChangedCallback() {
    this.#start();
  }

  #start() {
    const ownerId = this.getAttribute('owner-id') ?? '';
    const wanted = this.isConnected && ownerId && this.#token && this.getAttribute('enabled') !== 'false';
    const key = wanted ? `${ownerId} ${this.getAttribute('server') ?? ''}` : '';
    if (key === this.#started) return;
    this.#stop();
    this.#started = key;
    if (!wanted || !this.#token) return;
    /** @type {ClientOptions} */
    const options = {};
    const server = this.getAttribute('server');
    if (server) options.baseUrl = server;
    const manager = createManager(ownerId, this.#token, options);
    this.#manager = manager;
    this.#stops = [
      this.#store.follow(manager),
      this.#store.subscribe(this.#draw),
      manager.subscribe(this.#draw),
      manager.on('booking_created', () => this.#announceBooking()),
      () => manager.close(),
    ];
    this.#ticker = setInterval(() => this.#tick(), 1000);
    manager.connect().catch(() => {}); // its outcome is in the manager's state
    this.#draw();
  }

  #stop() {
    this.#stops.forEach((stop) => stop());
    this.#stops = [];
    this.#manager = null;
    this.#started = '';
    clearInterval(this.#ticker);
    clearTimeout(this.#announceTimer);
    this.#announceTimer = null;
    this.#newBookings = 0;
    this.#news = [];
    setText(this.#live, '');
    this.#draw.cancel();
    this.#notices.stop();
    this.#store.reset();
    this.#render();
  }

  #tick() {
    if (document.visibilityState === 'hidden') return;
    this.#drawStatus();
    this.#notices.tick();
  }

  #render() {
    const state = this.#store.getState();
    const frozen = this.#drawStatus();
    this.#cards.update(state.metrics, state.listings, frozen);
    this.#facts.update(state.metrics);
    this.#hangars.update(state.listings, state.failedParts.listings);
    // Below panels whose height the first snapshot decides: shown with it, so that nothing moves.
    show(this.#notices.node, state.loaded);
    this.#notices.update(state, this.#manager?.getState().timezone ?? null);
    if (state.unread === this.#unread) return;
    this.#unread = state.unread;
    this.dispatchEvent(new CustomEvent('unreadchange', { detail: { unread: state.unread } }));
  }

  /** @returns {boolean} whether the numbers may be old */
  #drawStatus() {
    const state = this.#manager?.getState();
    this.#reconnect.disabled = !state;
    if (!state) {
      this.#statusLine.dataset.tone = 'busy';
      setText(this.#label, 'Conectando…');
      setText(this.#detail, '');
      return false;
    }
    const { tone, label, detail, frozen } = describeConnection(state, Date.now());
    this.#cards.node.classList.toggle('frozen', frozen);
    if (this.#statusLine.dataset.tone !== tone) {
      if (frozen || this.#statusLine.dataset.tone === 'warn') this.#announce(frozen ? 'Conexão perdida, tentando reconectar.' : 'Conexão restabelecida.');
      this.#statusLine.dataset.tone = tone;
    }
    setText(this.#label, label);
    setText(this.#detail, detail);
    if (state.status !== this.#status) {
      this.#status = state.status;
      this.dispatchEvent(new CustomEvent('statuschange', { detail: { status: state.status, error: state.error } }));
    }
    return frozen;
  }

  #announceBooking() {
    this.#newBookings++;
    this.#announce('');
  }

  /** Collects what happened into one polite message per ten seconds. @param {string} news */
  #announce(news) {
    if (news) this.#news = [news];
    if (this.#announceTimer !== null) return;
    const wait = Math.max(500, this.#announcedAt + ANNOUNCE_EVERY_MS - performance.now());
    this.#announceTimer = setTimeout(() => {
      this.#announceTimer = null;
      this.#announcedAt = performance.now();
      const parts = [...this.#news];
      const { metrics } = this.#store.getState();
      if (this.#newBookings > 0) {
        parts.push(`${formatPlural(this.#newBookings, 'nova reserva', 'novas reservas')}.`);
        if (metrics) parts.push(`Receita de hoje: ${formatMoney(metrics.revenueToday)}.`);
      }
      this.#news = [];
      this.#newBookings = 0;
      setText(this.#live, parts.join(' '));
    }, wait);
  }
}

if (globalThis.customElements && !customElements.get('realtime-metrics-display')) {
  customElements.define('realtime-metrics-display', RealtimeMetricsDisplay);
}
