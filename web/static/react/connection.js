/**
 * One owner's connection, shared by all hooks of the page that name it, and what it brought.
 * @import { NotificationsUpdated, OccupancyChange, BookingNotification, Snapshot, Token,
 *   WebSocketManager } from '../types.js'
 * @import { Ask } from '../notifications/shapes.js'
 * @import * as R from '../entries/react.js'
 */
import { createManager } from '../client.js';
import { loadModule } from '../parts.js';

/**
 * @typedef {Pick<R.UseRealtimeStatsReturn, 'metrics' | 'bookingNotifications' |
 *   'occupancyChanges' | 'isConnected'>} View
 */

const MAX_ROWS = 100;

/** @type {View} */
export const EMPTY = Object.freeze({ metrics: null, bookingNotifications: [], occupancyChanges: [], isConnected: false });

/**
 * The connections of the page by owner and server, shared with a second copy of this module; only
 * effects put one here, so a server keeps none.
 * @type {() => Map<string, Shared>}
 */
const connections = () => (/** @type {any} */ (globalThis)[Symbol.for('hangarshare:react')] ??= new Map());

/** One owner's connection, shared by all hooks that name it, and what it brought. */
class Shared {
  #key;
  #ownerId;
  #server;
  /** @type {Token} */
  #token = '';
  /** @type {WebSocketManager | null} */
  #manager = null;
  /** @type {Set<() => void>} */
  #listeners = new Set();
  #holds = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #leaving;
  /**
   * The newest booking that need not be told of; null before the first list.
   * @type {number | null}
   */
  #toldUntil = null;
  /** Both lists with what was cleared, newest first. @type {readonly BookingNotification[]} */
  #bookings = [];
  /** @type {readonly OccupancyChange[]} */
  #occupancy = [];
  /** What happened until then was cleared. */
  #clearedUntil = -Infinity;
  /** Clearings that the server has not yet answered. */
  #clearing = 0;
  /**
   * @type {readonly BookingNotification[] | null} those of the first snapshot, until they are in
   *   the list
   */
  #recent = null;
  #filled = false;
  /** @type {NotificationsUpdated | null} since the server tells of notifications */
  latest = null;
  /** @type {Set<(data: NotificationsUpdated) => void>} */
  #followers = new Set();
  view = EMPTY;

  /** @param {string} key @param {string} ownerId @param {string | undefined} server */
  constructor(key, ownerId, server) {
    this.#key = key;
    this.#ownerId = ownerId;
    this.#server = server;
  }

  /** @param {() => void} listener */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      this.#leave();
    };
  }

  /** @param {Token} token a new function is the same source; a new string is a new token */
  setToken(token) {
    const changed = token !== this.#token && (typeof token === 'string' || typeof this.#token === 'string');
    this.#token = token;
    if (changed && token) this.#manager?.setToken(this.#ask);
  }

  /** Keeps the connection until the returned function is called. */
  hold() {
    this.#holds++;
    this.#start();
    let held = true;
    return () => {
      if (held) this.#holds--;
      held = false;
      this.#leave();
    };
  }

  /** @returns {Promise<void>} */
  connect() {
    return this.#start().connect();
  }

  clear() {
    const rows = this.view.bookingNotifications.map((row) => row.timestamp);
    this.#toldUntil = Math.max(this.#toldUntil ?? -Infinity, ...rows);
    if (!this.latest) {
      this.#bookings = this.#occupancy = [];
      return this.#show();
    }
    // The server keeps it for all devices of the user.
    this.#clearedUntil = Math.max(this.#clearedUntil, ...rows, ...this.view.occupancyChanges.map((row) => row.timestamp));
    this.#show();
    this.#clearing++;
    this.ask().then((ask) => ask('notifications/cleared', 'POST', { until: this.#clearedUntil }))
      .catch((error) => console.warn('hangarshare: the lists were cleared on this device only', error))
      .finally(() => this.#clearing--);
  }

  /** Asks about the owner by plain HTTP. @returns {Promise<Ask>} */
  async ask() {
    const [{ newQuestions }, { newAsk }] = await Promise.all([
      loadModule('dial', () => import('../dial.js')), loadModule('notifications/store', () => import('../notifications/store.js')),
    ]);
    const named = { server: this.#server, 'owner-id': this.#ownerId };
    return newAsk(newQuestions({ carrier: {}, getAttribute: (name) => named[/** @type {keyof named} */ (name)] ?? null }, () => this.#ask));
  }

  /**
   * Calls with each `notifications_updated`, and at once with the last one.
   * @param {(data: NotificationsUpdated) => void} listener
   */
  follow(listener) {
    this.#followers.add(listener);
    if (this.latest) listener(this.latest);
    return () => void this.#followers.delete(listener);
  }

  #ask = () => (typeof this.#token === 'function' ? this.#token() : this.#token);

  #start() {
    if (this.#manager) return this.#manager;
    const manager = createManager(this.#ownerId, this.#ask, this.#server ? { baseUrl: this.#server } : {});
    this.#manager = manager;
    manager.subscribe(() => this.#set({ isConnected: manager.getState().status === 'live' }));
    manager.on('snapshot', (snapshot) => this.#applySnapshot(snapshot));
    manager.on('metrics_updated', ({ data }) => this.#set({ metrics: data }));
    for (const type of /** @type {const} */ (['booking_created', 'booking_updated', 'booking_completed'])) {
      manager.on(type, (/** @type {import('../types.js').MessageOf<'booking_created'>} */ { data }) => {
        this.#bookings = [data, ...this.#bookings.filter((row) => row.bookingId !== data.bookingId)].slice(0, MAX_ROWS);
        this.#show();
      });
    }
    manager.on('occupancy_changed', ({ data }) => {
      this.#occupancy = [data, ...this.#occupancy].slice(0, MAX_ROWS);
      this.#show();
    });
    manager.on('notifications_updated', ({ data }) => {
      this.latest = data;
      if (!this.#clearing) this.#clearedUntil = data.clearedUntil || -Infinity;
      this.#fill();
      this.#show();
      for (const follower of [...this.#followers]) follower(data);
    });
    manager.connect().catch(() => {}); // its outcome is in the manager's state
    return manager;
  }

  /**
   * After a loss the list also tells of the bookings whose events did not come.
   * @param {Snapshot} snapshot
   */
  #applySnapshot({ metrics, bookings, healing }) {
    this.#set({ metrics });
    if (!bookings) return;
    const told = this.#toldUntil;
    if (healing && told !== null) {
      const ids = new Set(this.#bookings.map((row) => row.bookingId));
      const missed = bookings.filter((row) => row.timestamp > told && !ids.has(row.bookingId));
      this.#bookings = [...missed, ...this.#bookings].slice(0, MAX_ROWS);
    }
    this.#toldUntil = Math.max(told ?? -Infinity, ...bookings.map((row) => row.timestamp));
    if (!healing) this.#recent = bookings;
    this.#fill();
    this.#show();
  }

  /**
   * Where the server knows what was cleared, the lists begin with what there was before: bookings
   * of the snapshot, changes of hangars that the log still holds.
   */
  async #fill() {
    const recent = this.#recent;
    if (!this.latest || !recent) return;
    this.#recent = null;
    const ids = new Set(this.#bookings.map((row) => row.bookingId));
    this.#bookings = [...this.#bookings, ...recent.filter((row) => !ids.has(row.bookingId))].slice(0, MAX_ROWS);
    if (this.#filled) return;
    this.#filled = true;
    const manager = this.#manager;
    const before = await loadModule('react/occupancy', () => import('./occupancy.js'))
      .then(async ({ recentOccupancy }) => recentOccupancy(await this.ask())).catch(() => []);
    if (manager !== this.#manager) return;
    const known = new Set(this.#occupancy.map((row) => `${row.hangarId} ${row.timestamp}`));
    this.#occupancy = [...this.#occupancy, ...before.filter((row) => !known.has(`${row.hangarId} ${row.timestamp}`))].slice(0, MAX_ROWS);
    this.#show();
  }

  /** The lists without what was cleared. */
  #show() {
    const shown = (/** @type {readonly any[]} */ rows, /** @type {readonly any[]} */ before) => {
      const next = rows.filter((row) => row.timestamp > this.#clearedUntil || !this.latest);
      return next.length === before.length && next.every((row, i) => row === before[i]) ? before : next;
    };
    const { bookingNotifications, occupancyChanges } = this.view;
    this.#set({ bookingNotifications: shown(this.#bookings, bookingNotifications), occupancyChanges: shown(this.#occupancy, occupancyChanges) });
  }

  /**
   * In the next macrotask, unless a hook came back meanwhile (StrictMode mounts everything twice):
   * the end.
   */
  #leave() {
    clearTimeout(this.#leaving);
    this.#leaving = setTimeout(() => {
      if (this.#holds === 0) {
        this.#manager?.close();
        this.#manager = this.latest = null;
        this.#set({ isConnected: false });
        if (this.#listeners.size === 0 && connections().get(this.#key) === this) connections().delete(this.#key);
      }
    });
  }

  /** @param {Partial<View>} change */
  #set(change) {
    const entries = /** @type {[keyof View, unknown][]} */ (Object.entries(change));
    if (entries.every(([name, value]) => this.view[name] === value)) return;
    this.view = Object.freeze({ ...this.view, ...change });
    for (const listener of [...this.#listeners]) listener();
  }
}

/**
 * What a hook uses of a connection that comes to be with the first effect.
 * @param {string} ownerId @param {string} [server]
 */
export function reach(ownerId, server) {
  const key = `${ownerId} ${server ?? ''}`;
  const shared = () => {
    const found = connections().get(key) ?? new Shared(key, ownerId, server);
    connections().set(key, found);
    return found;
  };
  return {
    shared,
    subscribe: (/** @type {() => void} */ listener) => shared().subscribe(listener),
    view: () => connections().get(key)?.view ?? EMPTY,
    clear: () => connections().get(key)?.clear(),
  };
}
