/** The React entry of the HangarShare Realtime client, for React 18 and 19. */
import type { DetailedHTMLProps, HTMLAttributes, ReactElement } from 'react';
import type { BookingNotification, OccupancyChange, RealTimeMetrics, Token } from '../types.js';
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

export function useRealtimeStats(options: UseRealtimeStatsOptions): UseRealtimeStatsReturn;
export function RealtimeMetricsDisplay(props: RealtimeMetricsDisplayProps): ReactElement | null;
/** The booking calendar: hangars by days, live. Its modules are loaded when it is shown. */
export function BookingCalendar(props: BookingCalendarProps): ReactElement | null;

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
