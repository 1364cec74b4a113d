/** What the notifications' modules tell each other. */
import type { Notification, Views, WebSocketManager, Zone } from '../shapes.js';

export type * from '../types.js';

/** All words, those by kind by any name: a newer server has kinds that are not known here. */
export type Words = { [K in keyof Views['notifications']]: WordOf<Views['notifications'][K]> };
export type Settings = { [K in keyof Views['preferences']]: WordOf<Views['preferences'][K]> };
type WordOf<T> = T extends string ? string : T extends string[] ? string[] : Record<string, string>;

/**
 * A question about the owner: `path` after `/api/owners/ID/`, or from the root where it begins with
 * a slash.
 */
export type Ask = (path: string, method?: string, body?: object) => Promise<any>;

export type NewAsk = (around: {
  server: string; ownerId: string; fetch: typeof fetch;
  /** The token, or another one where the first was refused. */
  token: (refused: boolean) => Promise<string>;
}) => Ask;

export interface Filter {
  state: 'unread' | 'all' | 'archived';
  /** Empty: all. */
  kind: string;
  hangarId: string;
}

/** What a person does to one notification. */
export type Change = { read?: boolean; archived?: boolean };

/** What is undone by its `undo`, within a few seconds. */
export interface Deed {
  word: 'readOne' | 'unreadOne' | 'archivedOne' | 'unarchivedOne' | 'readMany';
  n: number;
  undo: () => Promise<void>;
}

export interface StoreState {
  /** Of the account; null until the server has said it. */
  unread: number | null;
  /** Of this user. */
  unseen: number;
  /** Those that the filter shows, newest first. */
  items: readonly Notification[];
  loaded: boolean;
  failed: boolean;
  /** There are older ones. */
  more: boolean;
}

export interface Around {
  wording: import('../shapes.js').Wording;
  frame: HTMLElement;
  server: string;
  ownerId: string;
  ask: Ask;
  now: () => number;
  zone: () => Zone;
  /** A click on one that concerns a booking. */
  open: (bookingId: string) => void;
  /** The list stands in the page, in place of a bell that opens it. */
  inline: boolean;
  counted: (counts: { unread: number; unseen: number }) => void;
  answered: (invitationId: string, accept: boolean) => void;
}

/** Who is signed in, as far as the panel needs it. */
export interface Me {
  role: string;
  invitations: readonly any[];
}

export type SayMany = (name: 'unread' | 'fresh' | 'readMany', n: number) => string;

export interface Panel {
  node: HTMLElement;
  update(): void;
  toggle(): void;
  /** Opens the list, with all that is in it. */
  list(): void;
  tick(): void;
  stop(): void;
}
export type NewPanel = (parts: {
  around: Around; words: Words; sayMany: SayMany; store: import('./store.js').NotificationStore; bell: HTMLElement; me: Me;
  /** The invitations are others. */
  changed: () => void;
}) => Panel;

export interface View {
  node: HTMLElement;
  store: import('./store.js').NotificationStore;
  follow(manager: WebSocketManager): () => void;
  /** Asks again for invitations. */
  reload(): void;
  /** Opens a booking, or the list where it is empty. */
  show(bookingId: string): void;
  tick(): void;
  stop(): void;
}

export type Feed = ReturnType<typeof import('./feed.js').newFeed>;
