/** What the trends' module exports; importing it defines `<owner-trends>`. */
import type { Carrier, Token } from '../types.js';

/** `<owner-trends owner-id server lang hash>`: revenue, bookings and occupancy over time, live. */
export class OwnerTrends extends HTMLElement {
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
    'owner-trends': OwnerTrends;
  }
}
