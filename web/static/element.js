/**
 * <realtime-metrics-display owner-id="1">: the live dashboard as an element.
 * Set its `token` (a string, or a function that brings one) and it connects.
 * It draws; what is true is decided by the client and the stores.
 * Events: `unreadchange` {unread}, `statuschange` {status, error}.
 * @import * as T from './shapes.js'
 */
import { createManager } from './client.js';
import { ICONS, h, icon, paced, setAttribute, setIcon, setText, show } from './dom.js';
import { agendaPanel, cardsPanel, factsPanel, hangarsPanel, noticesPanel } from './element/panels.js';
import { readBookingRow } from './protocol.js';
import { Agenda, DashboardStore } from './state/store.js';
import { dayOf, describeConnection, formatMoment, formatMoney, formatPlural, zoneLabel } from './state/wording.js';

const DRAW_EVERY_MS = 250;
const ANNOUNCE_EVERY_MS = 10_000;
/** Today's arrivals are asked for at most this often, and given up after as long. */
const AGENDA_MS = 10_000;
/** The chance of asking in any one second, so that not all browsers ask in the first one after midnight. */
const SPREAD = 0.2;

/** Outside a browser there is no HTMLElement, and importing must still be harmless. */
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

/** @type {Promise<CSSStyleSheet> | null} shared by all elements of a page */
let sheet = null;

/** The styles lie beside this module; where a bundler has moved it, at the server. @param {string} server @param {HTMLElement} frame */
async function loadSheet(server, frame) {
  const own = /^https?:.*\/client\/([0-9a-f]{16}\/)?element\.js$/.test(import.meta.url);
  const base = own ? import.meta.url : new URL('/client/', server);
  const answer = await fetch(new URL('element.css', base));
  if (!answer.ok) throw new Error(`element.css: HTTP ${answer.status}`);
  frame.style.font = 'medium serif'; // the page around may make a rem as small as it likes, and monospace is smaller anyway
  const rem = parseFloat(getComputedStyle(frame).fontSize) || 16;
  frame.style.font = '';
  const made = new CSSStyleSheet();
  made.replaceSync((await answer.text()).replace(/([\d.]+)rem\b/g, (_, n) => `${n * rem}px`));
  return made;
}

export class RealtimeMetricsDisplay extends Base {
  static observedAttributes = ['owner-id', 'server', 'enabled'];

  /** @type {T.Token | null} */
  #token = null;
  /** The token last handed out, for what the element itself asks. */
  #bearer = '';
  /** @type {T.WebSocketManager | null} */
  #manager = null;
  #store = new DashboardStore();
  #agenda = new Agenda();
  /** @type {(() => void)[]} */
  #stops = [];
  #started = '';
  /** @type {any} */
  #ticker = null;
  #unread = -1;
  #status = '';
  #frozen = false;
  #judged = false;
  /** @type {number | null} since when the connection has not been up */
  #downSince = null;
  /** @type {string | null} */
  #zone = null;
  /** How far the server's clock is ahead of this one. */
  #skew = 0;
  #day = '';
  /** @type {number | null} how many events wait; null while updates are not paused */
  #held = null;
  #news = '';
  #newBookings = 0;
  /** @type {any} */
  #announceTimer = null;
  #announcedAt = -Infinity;
  #draw = paced(() => this.#render(), DRAW_EVERY_MS);
  /** Paced by themselves: numbers that follow their event by a moment need not wait for the lists. */
  #drawCards = paced(() => this.#renderCards(), DRAW_EVERY_MS);
  #loadAgenda = paced(() => void this.#fetchAgenda(), AGENDA_MS);

  #label = h('span', { class: 'label' }, 'Conectando…');
  #detail = h('span', { class: 'detail' });
  #statusLine = h('div', { class: 'status', 'data-tone': 'busy' },
    h('span', { class: 'pill' }, h('span', { class: 'dot', 'aria-hidden': 'true' }), this.#label), this.#detail);
  #live = h('p', { class: 'sr', role: 'status', 'aria-live': 'polite' });
  #printed = h('p', { class: 'printed' });
  #pauseIcon = icon(ICONS.pause);
  #pauseWord = h('span', null, 'Pausar');
  #pause = h('button', { class: 'tool', type: 'button', onclick: () => this.#togglePause() }, this.#pauseIcon, this.#pauseWord);
  #reconnect = h('button', { class: 'tool reconnect', type: 'button', onclick: () => this.#manager?.reconnect() },
    icon(ICONS.refresh), h('span', null, 'Reconectar'));
  #cards = cardsPanel();
  #facts = factsPanel();
  #hangars = hangarsPanel();
  #agendaPanel = agendaPanel(() => void this.#fetchAgenda());
  #notices = noticesPanel({
    markRead: (id) => this.#act(() => this.#store.markRead(id)),
    markAllRead: () => this.#act(() => this.#store.markAllRead()),
    clear: () => this.#act(() => this.#store.clear()),
    undoClear: () => this.#act(() => this.#store.undoClear()),
    forgetCleared: () => this.#act(() => this.#store.forgetCleared()),
  });
  #frame = h('div', { class: 'frame', lang: 'pt-BR', hidden: true },
    h('div', { class: 'bar' }, h('slot', { name: 'heading' }), this.#statusLine, h('div', { class: 'tools' }, this.#pause, this.#reconnect)),
    this.#cards.node, this.#facts.node, this.#agendaPanel.node, this.#notices.node, this.#hangars.node, this.#printed, this.#live);

  constructor() {
    super();
    this.attachShadow({ mode: 'open' }).append(this.#frame);
  }

  /** A string, or a function asked again at every dial. @param {T.Token | null} token */
  set token(token) {
    this.#token = token;
    this.#bearer = '';
    if (this.#manager && token) this.#manager.setToken(() => this.#ask());
    else this.#start();
  }

  /** The manager behind the element, or null while it is not connected. */
  get manager() {
    return this.#manager;
  }

  connectedCallback() {
    void this.#dress();
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

  /** Nothing is shown before its styles are there. */
  async #dress() {
    const root = /** @type {ShadowRoot} */ (this.shadowRoot);
    if (root.adoptedStyleSheets.length > 0) return;
    try {
      sheet ??= loadSheet(this.#server(), this.#frame);
      root.adoptedStyleSheets = [await sheet];
    } catch {
      sheet = null; // bare, but legible; asked for again with the next connection
    }
    this.#frame.hidden = false;
  }

  #server() {
    return this.getAttribute('server') || location.origin;
  }

  async #ask() {
    const token = this.#token;
    return (this.#bearer = typeof token === 'function' ? await token() : token ?? '');
  }

  #start() {
    const ownerId = this.getAttribute('owner-id') ?? '';
    const wanted = this.isConnected && ownerId && this.#token && this.getAttribute('enabled') !== 'false';
    const key = wanted ? `${ownerId} ${this.#server()}` : '';
    if (key === this.#started) return;
    this.#stop();
    this.#started = key;
    if (!wanted) return;
    const manager = createManager(ownerId, () => this.#ask(), { baseUrl: this.#server() });
    const print = () => this.#renderPrinted();
    addEventListener('beforeprint', print);
    this.#manager = manager;
    this.#stops = [
      this.#store.follow(manager),
      this.#store.subscribe(() => this.#changed()),
      manager.subscribe(this.#draw),
      manager.on('snapshot', () => this.#loadAgenda()),
      manager.on('message', (message) => {
        if (message.id && this.#held !== null) this.#held++;
        if (message.type === 'booking_created') this.#announceBooking();
        if (message.type === 'connection_established') {
          void this.#dress();
          this.#zone = message.data.timezone || null;
          this.#skew = message.data.serverTime ? message.data.serverTime - Date.now() : 0;
        }
        if (this.#agenda.apply(message, Date.now())) this.#changed();
      }),
      () => removeEventListener('beforeprint', print),
      () => manager.close(),
    ];
    this.#ticker = setInterval(() => this.#tick(), 1000);
    manager.connect().catch(() => {}); // its outcome is in the manager's state
    this.#draw();
  }

  /** Nothing of what was shown remains. */
  #stop() {
    this.#stops.forEach((stop) => stop());
    this.#stops = [];
    this.#manager = null;
    this.#started = this.#bearer = this.#news = this.#status = this.#day = '';
    clearInterval(this.#ticker);
    clearTimeout(this.#announceTimer);
    this.#announceTimer = this.#held = this.#downSince = this.#zone = null;
    this.#newBookings = 0;
    this.#judged = false;
    for (const part of [this.#live, this.#printed]) setText(part, '');
    this.#draw.cancel();
    this.#drawCards.cancel();
    this.#loadAgenda.cancel();
    this.#notices.stop();
    this.#store.reset();
    this.#agenda = new Agenda();
    this.#renderCards();
    this.#render();
  }

  #changed() {
    if (this.#held !== null) return this.#drawStatus();
    this.#drawCards();
    this.#draw();
  }

  /** What a person does is drawn at once, also while updates are paused. @param {() => void} change */
  #act(change) {
    change();
    this.#drawNotices();
  }

  #togglePause() {
    this.#held = this.#held === null ? 0 : null;
    this.#renderCards();
    this.#render();
  }

  #tick() {
    if (document.visibilityState === 'hidden') return;
    this.#drawStatus();
    if (this.#held !== null) return;
    this.#notices.tick();
    const due = this.#agenda.failed ? this.#status === 'live' : this.#agenda.loaded && this.#today() !== this.#day;
    if (due && Math.random() < SPREAD) this.#loadAgenda();
  }

  #today() {
    return dayOf(Date.now() + this.#skew, this.#zone);
  }

  async #fetchAgenda() {
    const agenda = this.#agenda;
    const startedAt = Date.now();
    try {
      const url = new URL(`/api/owners/${encodeURIComponent(this.getAttribute('owner-id') ?? '')}/bookings?on=today&limit=500`, this.#server());
      const get = async () => fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(AGENDA_MS),
        headers: { Authorization: `Bearer ${this.#bearer || await this.#ask()}` } });
      let answer = await get();
      if (answer.status === 401) {
        this.#bearer = '';
        answer = await get();
      }
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      agenda.fill((await answer.json()).bookings.map(readBookingRow), startedAt);
    } catch {
      agenda.failed = true; // said in the panel; the next snapshot asks again
    }
    if (agenda !== this.#agenda) return;
    this.#day = this.#today();
    this.#changed();
  }

  #renderCards() {
    if (this.#held !== null) return false;
    const { metrics, listings } = this.#store.getState();
    this.#facts.update(metrics);
    return this.#cards.update(metrics, listings, zoneLabel(Date.now(), this.#zone));
  }

  #render() {
    const state = this.#store.getState();
    this.#drawStatus();
    if (this.#held !== null) return;
    this.#drawCards();
    this.#agendaPanel.update(this.#agenda, this.#today(), this.#zone);
    this.#hangars.update(state.listings, state.failedParts.listings);
    // Below a panel whose height its first rows decide: shown with them, so that nothing moves.
    const settled = state.loaded && (this.#agenda.loaded || this.#agenda.failed);
    show(this.#notices.node, settled);
    show(this.#hangars.node, settled);
    this.#drawNotices();
  }

  #drawNotices() {
    const state = this.#store.getState();
    this.#notices.update(state, this.#zone, this.#held !== null);
    if (state.unread === this.#unread) return;
    this.#unread = state.unread;
    this.dispatchEvent(new CustomEvent('unreadchange', { detail: { unread: state.unread } }));
  }

  #connection() {
    const state = this.#manager?.getState();
    const now = Date.now();
    const status = state?.status ?? 'idle';
    const up = status === 'live' || status === 'stale';
    this.#downSince = up ? null : this.#downSince ?? now;
    this.#judged ||= up || status === 'waiting';
    return {
      status, zone: this.#zone, held: this.#held, downSince: this.#downSince, judged: this.#judged,
      confirmedAt: state?.confirmedAt ?? null, nextTryAt: state?.nextRetryAt ?? null, offline: !navigator.onLine,
      refused: state?.error?.kind === 'forbidden',
    };
  }

  #drawStatus() {
    const state = this.#manager?.getState();
    for (const button of [this.#pause, this.#reconnect]) button.disabled = !state;
    setIcon(this.#pauseIcon, this.#held === null ? ICONS.pause : ICONS.play);
    setText(this.#pauseWord, this.#held === null ? 'Pausar' : 'Retomar');
    const { tone, label, detail, frozen } = describeConnection(this.#connection(), Date.now());
    this.#cards.node.classList.toggle('frozen', frozen || tone === 'paused');
    if (frozen !== this.#frozen) {
      this.#announce(!frozen ? 'Conexão restabelecida.' : tone === 'down' ? `${label}.` : 'Conexão perdida, tentando reconectar.');
    }
    this.#frozen = frozen;
    setAttribute(this.#statusLine, 'data-tone', tone);
    setText(this.#label, label);
    setText(this.#detail, detail);
    if (!state || state.status === this.#status) return;
    this.#status = state.status;
    this.dispatchEvent(new CustomEvent('statuschange', { detail: { status: state.status, error: state.error } }));
  }

  #renderPrinted() {
    const { confirmedAt, zone } = this.#connection();
    const of = confirmedAt === null ? '' : ` · dados de ${formatMoment(confirmedAt, zone)}`;
    setText(this.#printed, `Impresso em ${formatMoment(Date.now(), zone)}${of}`);
  }

  #announceBooking() {
    this.#newBookings++;
    this.#announce('');
  }

  /** Collects what happened into one polite message per ten seconds. @param {string} news */
  #announce(news) {
    this.#news = news || this.#news;
    if (this.#announceTimer !== null || !this.#manager) return;
    const wait = Math.max(500, this.#announcedAt + ANNOUNCE_EVERY_MS - performance.now());
    this.#announceTimer = setTimeout(() => {
      this.#announceTimer = null;
      this.#announcedAt = performance.now();
      const { metrics } = this.#store.getState();
      const booked = this.#newBookings > 0 && this.#held === null;
      const parts = [this.#news, booked ? `${formatPlural(this.#newBookings, 'nova reserva', 'novas reservas')}.` : '',
        booked && metrics ? `Receita de hoje: ${formatMoney(metrics.revenueToday)}.` : ''].filter(Boolean);
      this.#news = '';
      this.#newBookings = 0;
      if (parts.length > 0) setText(this.#live, parts.join(' '));
    }, wait);
  }
}

if (globalThis.customElements && !customElements.get('realtime-metrics-display')) {
  customElements.define('realtime-metrics-display', RealtimeMetricsDisplay);
}
