/**
 * <realtime-metrics-display owner-id="1">: the live dashboard as an element.
 * It connects once its `token` is set: a string, or a function that returns one.
 * It draws. The client and the stores decide what is true.
 * Events: `unreadchange` {unread}, `statuschange` {status, error}.
 * @import * as T from './shapes.js'
 */
import { createManager } from './client.js';
import { ICONS, followZoom, h, icon, loadModule, loadSheet, paced, setAttribute, setIcon, setText, show, toldOf } from './dom.js';
import { PANELS } from './element/panels.js';
import { newQuestions, readListing, readRows } from './dial.js';
import { readBookingRow } from './parts.js';
import { Agenda, DashboardStore, movesOf } from './state/store.js';
import { wording, wordingOf } from './state/wording.js';

const DRAW_EVERY_MS = 250;
const ANNOUNCE_EVERY_MS = 10_000;
/** Today's arrivals and changed hangars are loaded at most this often. */
const AGENDA_MS = 10_000;
const LISTINGS_MS = 2000;
const MAX_PAUSE_MS = 60_000;
/** What failed is shown for so long. */
const TOLD_MS = 8000;
/**
 * The chance of a request in any one second, so that not all browsers ask in the first second of a
 * day.
 */
const SPREAD = 0.2;
/** Without styles by then the element is shown unstyled. */
const UNSTYLED_MS = 3000;
/** How often the page is drawn without an event, because check-in hours come. */
const HOURS_MS = 15_000;
/** Panels that are modules of their own, loaded when they are opened. @type {T.LazyName[]} */
const LAZY = ['trends', 'calendar'];

/** Outside a browser there is no HTMLElement, and importing must still be harmless. */
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

class Display extends Base {
  static observedAttributes = ['owner-id', 'server', 'enabled', 'lang', 'booking-href', 'listing-href'];

  /** @type {T.Token | null | undefined} */
  #token = null;
  /** The element's own, beside those of its manager. */
  #questions = newQuestions(this, () => this.#token);
  /**
   * What carries requests in place of the browser's own `fetch` and `WebSocket`.
   * @type {T.Carrier}
   */
  carrier = {};
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
  /** How far the server's clock is ahead of the manager's. */
  #skew = 0;
  #day = '';
  #drawnAt = 0;
  /** @type {number | null} how many events wait; null while updates are not paused */
  #held = null;
  #news = '';
  #newBookings = 0;
  /** @type {any} */
  #announceTimer = null;
  #announcedAt = -Infinity;
  /** @type {any} */
  #toldTimer = null;
  /** @type {any} */
  #styleTimer = null;
  #styleFailures = 0;
  #listingsTries = 0;
  #draw = paced(() => this.#render(), DRAW_EVERY_MS);
  /**
   * Numbers have a pace of their own: they follow their event at once and need not wait for the
   * lists.
   */
  #drawNumbers = paced(() => this.#renderNumbers(), DRAW_EVERY_MS);
  #loadAgenda = paced(() => void this.#fetchAgenda(), AGENDA_MS);
  #loadListings = paced(() => void this.#fetchListings(), LISTINGS_MS);
  /**
   * @type {import('./notifications/shapes.js').Feed | null} since the server tells of notifications
   */
  #feed = null;
  /** @type {T.Sparklines | null} the last days, as the newest snapshot told them */
  #days = null;
  /** All parts have been on the screen. */
  #begun = false;
  /** @type {T.OpenPanels} */
  #opened = new Map();
  #wording = wording;
  #language = '';
  #view = this.#build();

  constructor() {
    super();
    this.attachShadow({ mode: 'open' }).append(this.#view.frame);
  }

  /** All that is drawn, in the words of one language. */
  #build() {
    const { words } = this.#wording;
    const label = h('span', { class: 'label' }, words.connecting);
    const detail = h('span', { class: 'detail' });
    const statusLine = h('div', { class: 'status', 'data-tone': 'busy' },
      h('span', { class: 'pill' }, h('span', { class: 'dot', 'aria-hidden': 'true' }), label), detail);
    const live = h('p', { class: 'sr', role: 'status', 'aria-live': 'polite' });
    const told = h('p', { class: 'told', 'aria-hidden': 'true' });
    const printed = h('p', { class: 'printed' });
    const pauseIcon = icon(ICONS.pause);
    const pauseWord = h('span', null, words.pause);
    const pause = h('button', { class: 'tool', type: 'button', onclick: () => this.#togglePause() }, pauseIcon, pauseWord);
    const reconnect = h('button', { class: 'tool reconnect', type: 'button', onclick: () => this.#manager?.reconnect() },
      icon(ICONS.refresh), h('span', null, words.reconnect));
    /** @type {T.Actions} */
    const actions = {
      markRead: (id) => this.#act(() => this.#store.markRead(id), (feed) => feed.read(this.#store.bookingOf(id))),
      markAllRead: () => this.#act(() => this.#store.markAllRead(), (feed) => feed.readAll()),
      clear: () => this.#act(() => this.#store.clear(Math.max(...this.#moves(-Infinity).map(({ at }) => at))), (feed) => feed.clear(this.#store.clearedAt)),
      undoClear: () => this.#act(() => this.#store.undoClear(), (feed) => feed.clear(this.#store.clearedAt)),
      forgetCleared: () => this.#act(() => this.#store.forgetCleared()),
      open: (bookingId) => void this.#openBooking(bookingId),
      retryAgenda: () => void this.#fetchAgenda(),
    };
    const [numbers, lists, columns] = [PANELS.numbers, PANELS.lists, PANELS.columns]
      .map((panels) => panels.map((newPanel) => newPanel(this.#wording, actions)));
    const nodes = (/** @type {T.Panel[]} */ panels) => panels.map(({ node }) => node);
    const pair = h('div', { class: 'columns' }, ...nodes(columns));
    const lazy = LAZY.map((name) => {
      const title = `${name}-title`;
      const button = h('button', { class: 'tool', type: 'button', 'aria-expanded': 'false', 'aria-describedby': title, onclick: () => void this.#toggle(name, button) }, words.show);
      return h('section', { class: `panel lazy ${name}`, 'aria-labelledby': title, hidden: true }, h('header', null, h('h2', { id: title }, words[name]), button));
    });
    const frame = h('div', { class: 'frame', lang: words.language, hidden: true },
      h('div', { class: 'bar' }, h('slot', { name: 'heading' }), statusLine, h('div', { class: 'tools' }, pause, reconnect)),
      ...nodes(numbers), ...nodes(lists), ...lazy, pair, printed, told, live);
    followZoom(frame);
    return {
      frame, lazy, label, detail, statusLine, live, told, printed, pauseIcon, pauseWord, pause, reconnect, columns: pair,
      numbers, lists: [...lists, ...columns], panels: [...numbers, ...lists, ...columns],
    };
  }

  /**
   * A string, or a function asked again at every dial.
   * @param {T.Token | null | undefined} token
   */
  set token(token) {
    this.#token = token;
    this.#questions.forget();
    if (this.#manager && token) this.#manager.setToken(this.#questions.ask);
    else this.#start();
  }

  /** The manager behind the element, or null while it is not connected. */
  get manager() {
    return this.#manager;
  }

  connectedCallback() {
    void this.#loadStyles();
    void this.#loadLanguage();
    this.#start();
    if (!this.#manager) this.#render();
  }

  disconnectedCallback() {
    // An element that is only moved comes back within the same task.
    queueMicrotask(() => {
      if (!this.isConnected) this.#stop();
    });
  }

  adoptedCallback() {
    void this.#loadStyles(); // a sheet cannot move to another document
  }

  /** @param {string} name */
  attributeChangedCallback(name) {
    if (name === 'lang') void this.#loadLanguage();
    else if (name.endsWith('-href')) this.#draw();
    else this.#start();
  }

  /**
   * Loads the words of the language that the element's own `lang` names. Until they are there it is
   * Portuguese.
   */
  async #loadLanguage() {
    const language = this.getAttribute('lang') ?? '';
    if (language === this.#language) return;
    this.#language = language;
    const found = await wordingOf(language).catch(() => null);
    if (language !== this.#language || (found ?? wording) === this.#wording) return;
    this.#wording = found ?? wording;
    const { frame, panels } = this.#view;
    panels.forEach((panel) => panel.stop?.());
    this.#opened.forEach(({ close }) => close());
    this.#begun = false;
    this.#view = this.#build();
    this.#view.frame.hidden = frame.hidden;
    frame.replaceWith(this.#view.frame);
    this.#render();
  }

  /**
   * Nothing is shown before the styles are there, unless they are late. They are requested until
   * they come.
   */
  async #loadStyles() {
    const root = /** @type {ShadowRoot} */ (this.shadowRoot);
    const { ownerDocument } = this;
    if (root.adoptedStyleSheets.length > 0) return;
    clearTimeout(this.#styleTimer);
    const unstyled = setTimeout(() => (this.#view.frame.hidden = false), UNSTYLED_MS);
    try {
      const sheet = await loadSheet(this.#server(), this.#view.frame, 'element.css');
      if (ownerDocument === this.ownerDocument) root.adoptedStyleSheets = [sheet];
      this.#styleFailures = 0;
    } catch {
      const wait = Math.min(MAX_PAUSE_MS, 2000 * 2 ** this.#styleFailures++);
      if (this.isConnected) this.#styleTimer = setTimeout(() => void this.#loadStyles(), wait);
    }
    clearTimeout(unstyled);
    this.#view.frame.hidden = false;
  }

  #server() {
    return this.getAttribute('server') || location.origin;
  }

  /** The server's time in Unix milliseconds, as far as it is known. */
  #now() {
    return (this.#manager?.now() ?? Date.now()) + this.#skew;
  }

  #start() {
    const ownerId = this.getAttribute('owner-id') ?? '';
    const wanted = this.isConnected && ownerId && this.#token && this.getAttribute('enabled') !== 'false';
    const key = wanted ? `${ownerId} ${this.#server()}` : '';
    if (key === this.#started) return;
    this.#stop();
    this.#started = key;
    if (!wanted) return;
    const manager = createManager(ownerId, this.#questions.ask, { baseUrl: this.#server(), ...this.carrier });
    const print = () => this.#renderPrinted();
    addEventListener('beforeprint', print);
    this.#manager = manager;
    this.#stops = [
      this.#store.follow(manager),
      this.#store.subscribe(() => this.#changed()),
      manager.subscribe(this.#draw),
      manager.on('snapshot', ({ sparklines }) => {
        this.#days = sparklines ?? this.#days;
        this.#loadAgenda();
      }),
      manager.on('message', (message) => this.#receive(message)),
      () => removeEventListener('beforeprint', print),
      () => manager.close(),
    ];
    this.#ticker = setInterval(() => this.#tick(), 1000);
    manager.connect().catch(() => {}); // its outcome is in the manager's state
    this.#draw();
  }

  /** @param {T.Message} message */
  #receive(message) {
    if (message.id && this.#held !== null) this.#held++;
    if (message.type === 'booking_created') this.#announceBooking();
    if (message.type === 'notifications_updated') void this.#share(message.data);
    if (message.type === 'connection_established') {
      void this.#loadStyles();
      this.#zone = message.data.timezone || null;
    }
    // An event's timestamp is older than the moment when it was sent.
    const sentAt = message.type === 'connection_established' ? message.data.serverTime : message.id ? 0 : message.timestamp;
    if (sentAt && this.#manager) this.#skew = sentAt - this.#manager.now();
    if (this.#agenda.apply(message)) {
      if (this.#agenda.isIncomplete) this.#loadAgenda();
      this.#changed();
    }
  }

  /** Ends the connection and clears the screen. */
  #stop() {
    this.#stops.forEach((stop) => stop());
    this.#stops = [];
    this.#manager = null;
    this.#questions.forget();
    this.#started = this.#news = this.#status = this.#day = '';
    clearInterval(this.#ticker);
    clearTimeout(this.#announceTimer);
    clearTimeout(this.#toldTimer);
    clearTimeout(this.#styleTimer);
    this.#announceTimer = this.#held = this.#downSince = this.#zone = null;
    this.#newBookings = this.#listingsTries = 0;
    this.#judged = false;
    for (const part of [this.#view.live, this.#view.told, this.#view.printed]) setText(part, '');
    this.#view.frame.querySelector('dialog')?.close();
    this.#draw.cancel();
    this.#drawNumbers.cancel();
    this.#loadAgenda.cancel();
    this.#loadListings.cancel();
    this.#view.panels.forEach((panel) => panel.stop?.());
    this.#feed?.stop();
    this.#feed = null;
    this.#opened.forEach(({ close }) => close());
    this.#days = null;
    this.#store.reset();
    this.#agenda = new Agenda();
    this.#renderNumbers();
    this.#render();
  }

  #changed() {
    if (this.#store.wantedListings) this.#loadListings();
    if (this.#held !== null) return this.#drawStatus();
    this.#drawNumbers();
    this.#draw();
  }

  /**
   * Follows what the server keeps of the feed for all devices of the user.
   * @param {T.NotificationsUpdated} data
   */
  async #share(data) {
    const manager = this.#manager;
    try {
      const { newFeed, newAsk } = await import('./notifications/store.js');
      if (!manager || manager !== this.#manager) return;
      this.#feed ??= newFeed(newAsk(this.#questions), (...told) => this.#store.setShared(...told));
      this.#feed.apply(data);
    } catch {
      // the next message tries again
    }
  }

  /**
   * What a person does is drawn at once, also while updates are paused.
   * @param {() => void} change
   * @param {(feed: import('./notifications/shapes.js').Feed) => Promise<void>} [share] tells the
   *   server
   */
  #act(change, share) {
    change();
    if (this.#feed && share) void this.#tell(share(this.#feed), this.#wording.words.noReply);
    this.#update(this.#view.panels.filter(({ interactive }) => interactive));
    this.#reportUnread();
  }

  #togglePause() {
    this.#held = this.#held === null ? 0 : null;
    this.#renderNumbers();
    this.#render();
  }

  #tick() {
    if (document.visibilityState === 'hidden') return;
    this.#drawStatus();
    if (this.#held !== null) return;
    for (const panel of this.#view.panels) panel.tick?.(this.#now());
    this.#opened.forEach(({ view }) => view.tick());
    const due = this.#agenda.failed ? this.#status === 'live' : this.#agenda.loaded && (this.#today() !== this.#day || this.#agenda.isIncomplete);
    if (due && Math.random() < SPREAD) this.#loadAgenda();
    if (Math.abs(this.#now() - this.#drawnAt) > HOURS_MS) this.#draw();
  }

  #today() {
    return this.#wording.dayOf(this.#now(), this.#zone);
  }

  async #fetchAgenda() {
    const agenda = this.#agenda;
    const mark = agenda.mark();
    const day = this.#today();
    try {
      agenda.fill(readRows(await this.#questions.get('bookings?on=today&limit=500'), 'bookings', readBookingRow), mark);
      this.#day = day;
    } catch {
      agenda.failed = true; // the panel says so, and the next snapshot asks again
    }
    if (agenda === this.#agenda) this.#changed();
  }

  /** Loads the hangars of the newest revision. Until they are there the panel says so. */
  async #fetchListings() {
    const [manager, revision] = [this.#manager, this.#store.wantedListings];
    if (!manager || !revision) return;
    try {
      const listings = readRows(await this.#questions.get('listings'), 'listings', readListing);
      if (manager !== this.#manager) return;
      this.#listingsTries = 0;
      const names = new Map(this.#store.getState().listings?.map((one) => [one.hangarId, one.hangarNumber]));
      this.#store.setListings(listings, revision);
      // The agenda names hangars, and no event tells that one was renamed.
      if (listings.some((one) => names.has(one.hangarId) && names.get(one.hangarId) !== one.hangarNumber)) this.#loadAgenda();
    } catch {
      const wait = Math.min(MAX_PAUSE_MS, LISTINGS_MS * 2 ** this.#listingsTries++);
      setTimeout(() => manager === this.#manager && this.#loadListings(), wait);
    }
  }

  /** What waits until all parts have been on the screen. */
  async #begin() {
    this.#begun = true;
    const { frame, lazy, numbers, panels } = this.#view;
    if (this.hasAttribute('hash') && /[#&]trends=/.test(location.hash)) lazy[0].querySelector('button')?.click();
    try {
      const { newCards } = await loadModule('element/cards', () => import('./element/cards.js'));
      const cards = await newCards({ frame, wording: this.#wording, get: this.#questions.get, days: () => this.#days, redraw: () => this.#changed() });
      numbers.push(cards);
      panels.push(cards);
      this.#renderNumbers();
    } catch {
      this.#begun = false; // the next drawing tries again
    }
  }

  /** @param {T.LazyName} name @param {HTMLElement} button */
  async #toggle(name, button) {
    const manager = this.#manager;
    await this.#tell(loadModule('element/lazy', () => import('./element/lazy.js')).then(({ togglePanel }) => togglePanel(name, button, this.#opened, manager, {
      ...this.#questions, wording: this.#wording, frame: this.#view.frame, server: this.#server(), ownerId: this.getAttribute('owner-id') ?? '',
      hash: this.hasAttribute('hash'), now: () => this.#now(), open: (bookingId) => void this.#openBooking(bookingId), paused: () => this.#held !== null,
    }, () => manager === this.#manager)), this.#wording.say('notLoaded', { panel: this.#wording.words[name] }));
  }

  /**
   * Shows that something takes long, or for a while that it failed, and says the latter by the one
   * voice.
   * @template D @param {Promise<D>} doing @param {string} failed @returns {Promise<D | null>}
   */
  async #tell(doing, failed) {
    const { told } = this.#view;
    clearTimeout(this.#toldTimer);
    const done = await toldOf(told, this.#wording.words, doing, failed);
    if (done === null) {
      this.#announce(failed);
      this.#toldTimer = setTimeout(setText, TOLD_MS, told, '');
    }
    return done;
  }

  /** @param {string} bookingId */
  async #openBooking(bookingId) {
    const wording = this.#wording;
    const made = await this.#tell(loadModule('element/details', () => import('./element/details.js')), wording.words.detailsFailed);
    void made?.showDetails(this.#view.frame, {
      wording, bookingId, zone: this.#zone, href: this.getAttribute('booking-href') ?? '',
      load: () => this.#questions.get(`bookings/${encodeURIComponent(bookingId)}`),
    });
  }

  /** Arrivals and departures that no event told, after an instant. @param {number} after */
  #moves(after) {
    const { loaded, occupancy } = this.#store.getState();
    return loaded ? movesOf(this.#agenda.stays(), occupancy, this.#now()).filter(({ at }) => at > after) : [];
  }

  /**
   * Draws panels with what is known now. Returns whether one of them shows another number.
   * @param {T.Panel[]} panels
   */
  #update(panels) {
    const state = this.#store.getState();
    const now = this.#now();
    const agenda = this.#agenda;
    const { clearedAt } = this.#store;
    const moves = () => this.#moves(clearedAt);
    /** @type {T.View} */
    const view = {
      state, now, agenda,
      get moves() {
        return moves();
      },
      today: this.#today(), zone: this.#zone, paused: this.#held !== null,
      listingsAreCurrent: !this.#store.wantedListings, listingHref: this.getAttribute('listing-href') ?? '',
    };
    return panels.filter((panel) => panel.update(view)).length > 0;
  }

  #renderNumbers() {
    return this.#held === null && this.#update(this.#view.numbers);
  }

  #render() {
    const { loaded } = this.#store.getState();
    this.#drawStatus();
    if (this.#held !== null) return;
    this.#drawnAt = this.#now();
    this.#drawNumbers();
    // The first rows decide the height of the lists. What is below them appears together with them,
    // so that nothing moves.
    const complete = loaded && (this.#agenda.loaded || this.#agenda.failed);
    for (const below of [this.#view.columns, ...this.#view.lazy]) show(below, complete);
    this.#update(this.#view.lists);
    this.#reportUnread();
    if (complete && !this.#begun) void this.#begin();
  }

  #reportUnread() {
    const { unread } = this.#store.getState();
    if (unread === this.#unread) return;
    this.#unread = unread;
    this.dispatchEvent(new CustomEvent('unreadchange', { detail: { unread } }));
  }

  #connection() {
    const manager = this.#manager;
    const state = manager?.getState();
    const now = manager?.now() ?? Date.now();
    const status = state?.status ?? 'idle';
    const up = status === 'live' || status === 'stale';
    this.#downSince = up ? null : this.#downSince ?? now;
    this.#judged ||= up || status === 'waiting';
    const failed = state?.snapshotError;
    return {
      status, zone: this.#zone, held: this.#held, downSince: this.#downSince, judged: this.#judged, skew: this.#skew,
      confirmedAt: state?.confirmedAt ?? null, nextTryAt: state?.nextRetryAt ?? null, offline: !navigator.onLine,
      refused: state?.error?.kind === 'forbidden', cause: state?.error?.kind ?? '',
      partFailed: failed ? { code: /** @type {any} */ (failed.cause)?.cause?.status ?? null, late: failed.kind === 'timeout', nextTryAt: failed.nextRetryAt } : null,
    };
  }

  #drawStatus() {
    const state = this.#manager?.getState();
    const { words, describeConnection } = this.#wording;
    const { pause, reconnect, pauseIcon, pauseWord, statusLine, frame } = this.#view;
    for (const button of [pause, reconnect]) button.disabled = !state;
    setIcon(pauseIcon, this.#held === null ? ICONS.pause : ICONS.play);
    setText(pauseWord, this.#held === null ? words.pause : words.resume);
    const { tone, label, detail, frozen } = describeConnection(this.#connection(), this.#manager?.now() ?? Date.now());
    // Everything that may be old looks old.
    frame.classList.toggle('frozen', frozen || tone === 'paused');
    if (frozen !== this.#frozen) this.#announce(!frozen ? words.restored : tone === 'down' ? `${label}.` : words.lost);
    this.#frozen = frozen;
    setAttribute(statusLine, 'data-tone', tone);
    setText(this.#view.label, label);
    setText(this.#view.detail, detail);
    if (!state || state.status === this.#status) return;
    this.#status = state.status;
    this.dispatchEvent(new CustomEvent('statuschange', { detail: { status: state.status, error: state.error } }));
  }

  #renderPrinted() {
    const { confirmedAt, zone } = this.#connection();
    const { say, formatMoment } = this.#wording;
    const of = confirmedAt === null ? '' : ` · ${say('dataOf', { time: formatMoment(confirmedAt + this.#skew, zone) })}`;
    setText(this.#view.printed, say('printed', { time: formatMoment(this.#now(), zone) }) + of);
  }

  #announceBooking() {
    this.#newBookings++;
    this.#announce('');
  }

  /** Merges what happened into one polite message per ten seconds. @param {string} news */
  #announce(news) {
    this.#news = news || this.#news;
    if (this.#announceTimer !== null || !this.#manager) return;
    const wait = Math.max(500, this.#announcedAt + ANNOUNCE_EVERY_MS - performance.now());
    this.#announceTimer = setTimeout(() => {
      this.#announceTimer = null;
      this.#announcedAt = performance.now();
      const { metrics } = this.#store.getState();
      const { say, sayMany, formatMoney } = this.#wording;
      const booked = this.#newBookings > 0 && this.#held === null;
      const parts = [this.#news, booked ? sayMany('newBookings', this.#newBookings) : '',
        booked && metrics ? say('revenueIs', { money: formatMoney(metrics.revenueToday) }) : ''].filter(Boolean);
      this.#news = '';
      this.#newBookings = 0;
      const text = parts.join(' ');
      // A screen reader says nothing when the text stays the same.
      if (text && !setText(this.#view.live, text)) setText(this.#view.live, `${text}\u00A0`);
    }, wait);
  }
}

/** The element of a first copy of this module on the page stays the element. */
const Registered = /** @type {typeof Display | undefined} */ (globalThis.customElements?.get('realtime-metrics-display'));
if (globalThis.customElements && !Registered) customElements.define('realtime-metrics-display', Display);
export const RealtimeMetricsDisplay = Registered ?? Display;
