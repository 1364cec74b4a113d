/** The React entry of the HangarShare Realtime client, for React 18 and 19. */
import type { ReactElement } from 'react';
import type { BookingNotification, OccupancyChange, RealTimeMetrics, Token } from './types.js';

export interface UseRealtimeStatsOptions {
  ownerId: string;
  /** A token, or a function that brings a fresh one at every dial; nothing is dialled while it is empty. */
  token: Token;
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
  token: Token;
  /** True by default. */
  enabled?: boolean;
  /** The server's origin; the page's own by default. */
  server?: string;
}

export function useRealtimeStats(options: UseRealtimeStatsOptions): UseRealtimeStatsReturn;
export function RealtimeMetricsDisplay(props: RealtimeMetricsDisplayProps): ReactElement | null;
