'use client';
/**
 * The client for React 18 and 19. Importing it does nothing; on a server the
 * hook returns its empty state and the component an empty element.
 * @import { Snapshot, Token, WebSocketManager } from './types.js'
 * @import * as R from './entries/react.js'
 */
import { createElement, useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import { RealtimeError, createManager } from './client.js';

/**
 * @typedef {Pick<R.UseRealtimeStatsReturn, 'metrics' | 'bookingNotifications' | 'occupancyChanges' | 'isConnected'>} View
 */

const MAX_ROWS = 100;

/** @type {View} */
const EMPTY = Object.freeze({ metrics: null, bookingNotifications: [], occupancyChanges: [], isConnected: false });

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
    this.#set({ bookingNotifications: [], occupancyChanges: [] });
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
      manager.on(type, (/** @type {import('./types.js').MessageOf<'booking_created'>} */ { data }) => {
        const others = this.view.bookingNotifications.filter((row) => row.bookingId !== data.bookingId);
        this.#set({ bookingNotifications: [data, ...others].slice(0, MAX_ROWS) });
      });
    }
    manager.on('occupancy_changed', ({ data }) => {
      this.#set({ occupancyChanges: [data, ...this.view.occupancyChanges].slice(0, MAX_ROWS) });
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
    const { bookingNotifications: known } = this.view;
    const told = this.#toldUntil;
    if (healing && told !== null) {
      const ids = new Set(known.map((row) => row.bookingId));
      const missed = bookings.filter((row) => row.timestamp > told && !ids.has(row.bookingId));
      if (missed.length > 0) this.#set({ bookingNotifications: [...missed, ...known].slice(0, MAX_ROWS) });
    }
    this.#toldUntil = Math.max(told ?? -Infinity, ...bookings.map((row) => row.timestamp));
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
        this.#manager = null;
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
function reach(ownerId, server) {
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

const emptyView = () => EMPTY;

/**
 * An owner's numbers and news. Hooks of the same owner share one connection,
 * which ends when the last of them does; another owner starts from nothing.
 * @param {R.UseRealtimeStatsOptions} options
 * @returns {R.UseRealtimeStatsReturn}
 */
export function useRealtimeStats({ ownerId, token, autoConnect = true, server }) {
  const owner = String(ownerId ?? '');
  const ready = Boolean(owner && token);
  const reached = useMemo(() => reach(owner, server), [owner, server]);
  const view = useSyncExternalStore(reached.subscribe, reached.view, emptyView);
  /** @type {import('react').RefObject<{release: (() => void) | null} | null>} set while mounted */
  const share = useRef(null);
  const [left, setLeft] = useState(/** @type {object | null} */ (null));

  useEffect(() => {
    if (token) reached.shared().setToken(token);
  }, [reached, token]);

  useEffect(() => {
    const own = { release: autoConnect && ready ? reached.shared().hold() : null };
    share.current = own;
    return () => {
      own.release?.();
      share.current = null;
      setLeft(null);
    };
  }, [reached, autoConnect, ready]);

  const connect = useCallback(() => {
    if (!share.current) return Promise.reject(new RealtimeError('closed', 'the component is not mounted'));
    if (!ready) return Promise.reject(new RealtimeError('auth', 'an owner and a token are needed to connect'));
    setLeft(null);
    share.current.release ??= reached.shared().hold();
    return reached.shared().connect();
  }, [reached, ready]);

  const disconnect = useCallback(() => {
    share.current?.release?.();
    if (share.current) share.current.release = null;
    setLeft(reached);
  }, [reached]);

  const clearNotifications = useCallback(() => reached.clear(), [reached]);

  const seen = ready ? view : EMPTY; // signed out
  return { ...seen, isConnected: seen.isConnected && left !== reached, connect, disconnect, clearNotifications };
}

/**
 * An element of ours as a component.
 * Nothing is shown while it is not enabled, or while its owner or token is missing.
 * @param {string} tag @param {() => Promise<unknown>} load brings the module that defines it
 * @param {R.RealtimeMetricsDisplayProps} props @param {Record<string, string | undefined>} [attributes]
 */
function useElement(tag, load, { ownerId, token, enabled = true, server }, attributes = {}) {
  /**
   * @type {import('react').RefObject<{token: Token | null | undefined} | null>}
   */
  const element = useRef(null);
  const latest = useRef(token);
  const ask = useCallback(() => (typeof latest.current === 'function' ? latest.current() : latest.current), []);
  const shown = Boolean(enabled && ownerId && token);
  // A function written in place is another one at every render.
  const given = typeof token === 'function' ? ask : token;

  useEffect(() => {
    latest.current = token;
  }, [token]);

  useEffect(() => {
    if (!shown) return undefined;
    let wanted = true;
    load().then(
      () => {
        if (wanted && element.current) element.current.token = /** @type {Token | null | undefined} */ (given);
      },
      (error) => console.warn('hangarshare: the element could not be loaded', error),
    );
    return () => {
      wanted = false;
    };
  }, [shown, given, ownerId, server, load]);

  if (!shown) return null;
  return createElement(tag, { key: `${ownerId} ${server ?? ''}`, ref: element, 'owner-id': String(ownerId), server, ...attributes });
}

const loadDisplay = () => import('./element.js');
const loadCalendar = () => import('./calendar.js');

/**
 * The dashboard's element as a component. Nothing is shown while it is not
 * enabled or its owner or token is not there yet.
 * @param {R.RealtimeMetricsDisplayProps} props
 */
export function RealtimeMetricsDisplay(props) {
  return useElement('realtime-metrics-display', loadDisplay, props);
}

/**
 * The booking calendar as a component: hangars by days, live.
 * @param {R.BookingCalendarProps} props
 */
export function BookingCalendar({ lang, bookingHref, ...props }) {
  return useElement('booking-calendar', loadCalendar, props, { lang, 'booking-href': bookingHref });
}
