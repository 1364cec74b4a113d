/** What the module of notifications exports; importing it defines `<owner-notifications>`. */
import type { Carrier, MessageOf, Token, WebSocketManager } from '../types.js';

export interface OwnerNotificationsEventMap extends HTMLElementEventMap {
  /** The account's unread ones, and those that are new to this user. */
  unreadchange: CustomEvent<{ unread: number; unseen: number }>;
  /** A click on one about a booking. Unless it is prevented, the booking's details are shown. */
  openbooking: CustomEvent<{ bookingId: string }>;
  /** The user accepted or declined an invitation: the accounts may be others. */
  invitationanswered: CustomEvent<{ id: string; accept: boolean }>;
}

/**
 * `<owner-notifications owner-id server lang view booking-href>`: a bell, or with `view="list"` the
 * list itself.
 */
export class OwnerNotifications extends HTMLElement {
  /** A token, or a function that is asked at every dial; null disconnects. */
  set token(token: Token | null | undefined);
  /**
   * What carries requests in place of the browser's own `fetch` and `WebSocket`; set it before the
   * token.
   */
  carrier: Carrier;
  /** A connection of the page's to follow, in place of one of its own; set it before the token. */
  manager: WebSocketManager | null;
  /** What that connection told before; set it before the token. */
  latest: MessageOf<'notifications_updated'> | null;
  /**
   * A question about the account: a path after `/api/owners/ID/`, or one that begins with a slash.
   */
  ask(path: string, method?: string, body?: object): Promise<any>;
  /** Asks again for the user's invitations. */
  reload(): void;
  /** Opens a booking, or the list where `bookingId` is empty; nothing before `unreadchange`. */
  show(bookingId: string): void;
  addEventListener<K extends keyof OwnerNotificationsEventMap>(
    type: K, listener: (this: OwnerNotifications, event: OwnerNotificationsEventMap[K]) => unknown, options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof OwnerNotificationsEventMap>(
    type: K, listener: (this: OwnerNotifications, event: OwnerNotificationsEventMap[K]) => unknown, options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap {
    'owner-notifications': OwnerNotifications;
  }
}
