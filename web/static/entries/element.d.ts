/** What the element's module exports; importing it defines `<realtime-metrics-display>`. */
import type { Carrier, RealtimeErrorShape, Token, WebSocketManager, ConnectionStatus } from '../types.js';

export interface RealtimeMetricsDisplayEventMap extends HTMLElementEventMap {
  unreadchange: CustomEvent<{ unread: number }>;
  statuschange: CustomEvent<{ status: ConnectionStatus; error: RealtimeErrorShape | null }>;
}

/** `<realtime-metrics-display owner-id server enabled>`: the dashboard. */
export class RealtimeMetricsDisplay extends HTMLElement {
  /** A token, or a function that is asked at every dial; null disconnects. */
  set token(token: Token | null | undefined);
  /**
   * What carries requests in place of the browser's own `fetch` and `WebSocket`; set it before the
   * token.
   */
  carrier: Carrier;
  /** The manager behind the element, or null while it is not connected. */
  get manager(): WebSocketManager | null;
  addEventListener<K extends keyof RealtimeMetricsDisplayEventMap>(
    type: K, listener: (this: RealtimeMetricsDisplay, event: RealtimeMetricsDisplayEventMap[K]) => unknown, options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof RealtimeMetricsDisplayEventMap>(
    type: K, listener: (this: RealtimeMetricsDisplay, event: RealtimeMetricsDisplayEventMap[K]) => unknown, options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap {
    'realtime-metrics-display': RealtimeMetricsDisplay;
  }
}
