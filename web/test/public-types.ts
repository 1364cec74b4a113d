// Compiled, never run: what is declared in entries/ must be what the modules export.
import * as client from '../static/client.js';
import * as element from '../static/element.js';
import * as calendar from '../static/calendar.js';
import * as notifications from '../static/notifications.js';
import * as trends from '../static/trends.js';
import * as react from '../static/react.js';
import type * as declaredClient from '../static/entries/client.js';
import type * as declaredElement from '../static/entries/element.js';
import type * as declaredCalendar from '../static/entries/calendar.js';
import type * as declaredNotifications from '../static/entries/notifications.js';
import type * as declaredTrends from '../static/entries/trends.js';
import type * as declaredReact from '../static/entries/react.js';

type Values<M, N extends keyof M> = Pick<M, N>;

export const exportsOfClient: Values<typeof declaredClient, 'RealtimeError' | 'initWebSocket' | 'getWebSocketManager' | 'createManager'> = client;
export const exportsOfElement: Values<typeof declaredElement, 'RealtimeMetricsDisplay'> = element;
export const exportsOfReact: Values<typeof declaredReact, 'useRealtimeStats' | 'RealtimeMetricsDisplay' | 'BookingCalendar' | 'useNotifications' | 'NotificationCenter' | 'OwnerTrends'> = react;
export const exportsOfCalendar: Values<typeof declaredCalendar, 'BookingCalendar'> = calendar;
export const exportsOfNotifications: Values<typeof declaredNotifications, 'OwnerNotifications'> = notifications;
export const exportsOfTrends: Values<typeof declaredTrends, 'OwnerTrends'> = trends;
