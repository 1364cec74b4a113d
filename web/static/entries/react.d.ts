/** The React entry of the HangarShare Realtime client, for React 18 and 19. */
import type { DetailedHTMLProps, HTMLAttributes, ReactElement } from 'react';
import type { BookingNotification, Notification, OccupancyChange, RealTimeMetrics, Token } from '../types.js';
import type { RealtimeMetricsDisplay as DisplayElement } from './element.js';

export interface UseRealtimeStatsOptions {
  ownerId: string;
  /**
   * A token, or a function that brings a fresh one at every dial; nothing is dialled while it is
   * empty.
   */
  token: Token | null | undefined;
  /** False waits for `connect()`; true by default. */
  autoConnect?: boolean;
  /** The server's origin; the page's own by default. */
  server?: string;
}

export interface UseRealtimeStatsReturn {
  /** Null until the first snapshot. */
  metrics: RealTimeMetrics | null;
  /** Newest first, one per booking, at most 100. */
  bookingNotifications: readonly BookingNotification[];
  /** Newest first, at most 100. */
  occupancyChanges: readonly OccupancyChange[];
  /** True from `connection_established` on, while heartbeats come. */
  isConnected: boolean;
  /** Resolves when the connection is established; rejects when no try can succeed. */
  connect: () => Promise<void>;
  /** Gives up this hook's share: the connection ends with the last one. The numbers stay. */
  disconnect: () => void;
  /** Empties both lists, for all hooks of this owner. */
  clearNotifications: () => void;
}

export interface RealtimeMetricsDisplayProps {
  ownerId: string;
  token: Token | null | undefined;
  /** True by default. */
  enabled?: boolean;
  /** The server's origin; the page's own by default. */
  server?: string;
}

export interface BookingCalendarProps extends RealtimeMetricsDisplayProps {
  /** `pt-BR` by default, `en` or `es`. */
  lang?: string;
  /** The portal's page of a booking, with `{id}`. */
  bookingHref?: string;
}

export interface NotificationCenterProps extends RealtimeMetricsDisplayProps {
  /** `pt-BR` by default, `en` or `es`. */
  lang?: string;
  /** The portal's page of a booking, with `{id}`. */
  bookingHref?: string;
  /** `bell` by default: a button that opens the list; `list` is the list itself. */
  view?: 'bell' | 'list';
}

export interface UseNotificationsOptions extends UseRealtimeStatsOptions {
  /** `all` by default, which is without archived ones. */
  state?: 'unread' | 'all' | 'archived';
  /** Like `booking_created`; all by default. */
  kind?: string;
  hangarId?: string;
}

export interface NotificationsView {
  /** Newest first, as the filter says. */
  notifications: readonly Notification[];
  /** Of the account: the same for all its members. */
  unread: number;
  /** New to this user. */
  unseen: number;
  loaded: boolean;
  failed: boolean;
  /** There are older ones. */
  hasMore: boolean;
}

export interface UseNotificationsReturn extends NotificationsView {
  /** What is done counts at once; it is taken back, and rejects, where the server refuses. */
  markRead: (id: string) => Promise<void>;
  markUnread: (id: string) => Promise<void>;
  archive: (id: string) => Promise<void>;
  unarchive: (id: string) => Promise<void>;
  /** All up to the newest of `notifications`, and none that came later. */
  markAllRead: () => Promise<void>;
  /** The user has seen the list. */
  markSeen: () => Promise<void>;
  loadMore: () => Promise<void>;
  reload: () => Promise<void>;
}

export function useNotifications(options: UseNotificationsOptions): UseNotificationsReturn;
/**
 * A bell with an account's notifications, or their list. Its modules are loaded when it is shown.
 */
export function NotificationCenter(props: NotificationCenterProps): ReactElement | null;
export interface OwnerTrendsProps extends RealtimeMetricsDisplayProps {
  /** `pt-BR` by default, `en` or `es`. */
  lang?: string;
  /** Keeps range, comparison and view in the hash of the page's address; false by default. */
  hash?: boolean;
}

export function useRealtimeStats(options: UseRealtimeStatsOptions): UseRealtimeStatsReturn;
export function RealtimeMetricsDisplay(props: RealtimeMetricsDisplayProps): ReactElement | null;
/** The booking calendar: hangars by days, live. Its modules are loaded when it is shown. */
export function BookingCalendar(props: BookingCalendarProps): ReactElement | null;
/**
 * Revenue, bookings and occupancy by hour, day and month, live. Its modules are loaded when it is
 * shown.
 */
export function OwnerTrends(props: OwnerTrendsProps): ReactElement | null;

/**
 * The element itself in JSX; a string or function `token` is set as a property by React 19, by a
 * ref before it.
 */
export type RealtimeMetricsDisplayElementProps = DetailedHTMLProps<HTMLAttributes<DisplayElement>, DisplayElement> & {
  'owner-id'?: string;
  server?: string;
  enabled?: 'true' | 'false';
  'booking-href'?: string;
  'listing-href'?: string;
  token?: Token | null;
};

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements {
      'realtime-metrics-display': RealtimeMetricsDisplayElementProps;
    }
  }
}

declare global {
  namespace JSX {
    interface IntrinsicElements {
      'realtime-metrics-display': RealtimeMetricsDisplayElementProps;
    }
  }
}
