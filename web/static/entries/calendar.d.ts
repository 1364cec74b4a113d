/** What the calendar's module exports; importing it defines `<booking-calendar>`. */
import type { Carrier, Token } from '../types.js';

/** `<booking-calendar owner-id server lang booking-href>`: hangars by days, live. */
export class BookingCalendar extends HTMLElement {
  /** A token, or a function that is asked at every dial; null disconnects. */
  set token(token: Token | null | undefined);
  /**
   * What carries requests in place of the browser's own `fetch` and `WebSocket`; set it before the
   * token.
   */
  carrier: Carrier;
}

declare global {
  interface HTMLElementTagNameMap {
    'booking-calendar': BookingCalendar;
  }
}
