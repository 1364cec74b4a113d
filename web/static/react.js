'use client';
/**
 * The client for React 18 and 19. Importing it does nothing; on a server the
 * hook returns its empty state and the component an empty element.
 * @import { Token } from './types.js'
 * @import * as R from './entries/react.js'
 */
import { createElement, useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import { RealtimeError } from './client.js';
import { loadModule } from './parts.js';
import { EMPTY, reach } from './react/connection.js';

export { useNotifications } from './react/notifications.js';

const emptyView = () => EMPTY;
/** A module that did not come is asked for again after as long. */
const AGAIN_MS = 5000;

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
 * @param {R.RealtimeMetricsDisplayProps} props
 * @param {Record<string, string | undefined>} [attributes]
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
    /** @type {any} */
    let timer = null;
    const bring = () => void load().then(
      () => {
        if (wanted && element.current) element.current.token = /** @type {Token | null | undefined} */ (given);
      },
      (error) => {
        console.warn('hangarshare: the element could not be loaded, and is asked for again', error);
        if (wanted) timer = setTimeout(bring, AGAIN_MS);
      },
    );
    bring();
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [shown, given, ownerId, server, load]);

  if (!shown) return null;
  return createElement(tag, { key: `${ownerId} ${server ?? ''}`, ref: element, 'owner-id': String(ownerId), server, ...attributes });
}

const loadDisplay = () => loadModule('element', () => import('./element.js'));
const loadCalendar = () => loadModule('calendar', () => import('./calendar.js'));
const loadNotifications = () => loadModule('notifications', () => import('./notifications.js'));
const loadTrends = () => loadModule('trends', () => import('./trends.js'));

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

/**
 * The notifications of an account as a component: a bell that opens them, or, with `view="list"`,
 * the list itself.
 * @param {R.NotificationCenterProps} props
 */
export function NotificationCenter({ lang, bookingHref, view, ...props }) {
  return useElement('owner-notifications', loadNotifications, props, { lang, 'booking-href': bookingHref, view });
}

/**
 * Revenue, bookings and occupancy by hour, day and month as a component, live.
 * @param {R.OwnerTrendsProps} props
 */
export function OwnerTrends({ lang, hash, ...props }) {
  return useElement('owner-trends', loadTrends, props, { lang, hash: hash ? '' : undefined });
}
