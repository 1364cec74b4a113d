/** The same for CommonJS, which brings modules in by require where Node is 20.19 or newer. */
import type * as entry from './react.js' with { 'resolution-mode': 'import' };

export type { NotificationCenterProps, RealtimeMetricsDisplayProps, UseNotificationsOptions, UseNotificationsReturn, UseRealtimeStatsOptions, UseRealtimeStatsReturn } from './react.js' with { 'resolution-mode': 'import' };
export declare const useRealtimeStats: typeof entry.useRealtimeStats;
export declare const RealtimeMetricsDisplay: typeof entry.RealtimeMetricsDisplay;
export declare const useNotifications: typeof entry.useNotifications;
export declare const NotificationCenter: typeof entry.NotificationCenter;
export declare const BookingCalendar: typeof entry.BookingCalendar;
export type BookingCalendarProps = entry.BookingCalendarProps;
export declare const OwnerTrends: typeof entry.OwnerTrends;
export type OwnerTrendsProps = entry.OwnerTrendsProps;
