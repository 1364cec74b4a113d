/** What the notifications' modules tell each other. */
import type { Notification, Translated, Views, Zone } from '../shapes.js';

export type * from '../types.js';

/**
 * The words of the list, those by kind by any name: a newer server has kinds that are not known
 * here.
 */
export type Words = Wide<Translated<typeof import('./words/pt.js').default>>;
export type Settings = Wide<Views['preferences']>;
type Wide<V> = { [K in keyof V]: WordOf<V[K]> };
type WordOf<T> = T extends string ? string : T extends string[] ? string[] : Record<string, string>;

/**
 * A question about the owner: `path` after `/api/owners/ID/`, or from the root where it begins with
 * a slash.
 */
export type Ask = (path: string, method?: string, body?: object) => Promise<any>;

export type NewAsk = (questions: { get(part: string, init?: RequestInit): Promise<any> }) => Ask;

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
  around: Around; store: import('./store.js').NotificationStore; bell: HTMLElement; me: Me;
  /** The invitations are others. */
  changed: () => void;
}) => Promise<Panel>;

export interface List {
  node: HTMLElement;
  /** With everything that waits, where a person asked for that. */
  draw(inFull: boolean): void;
  /** The pointer or the focus may have left the panel. */
  release(): void;
  /** The ids on the screen, the newest first. */
  shown(): readonly string[];
  /** Takes one off the screen; the next gets the focus where it had that. */
  take(id: string): void;
  age(): void;
  /** The first row, where none is named. */
  focus(id?: string): void;
}

/** What a person may do. */
export interface Hands {
  tell(text: string, undo?: () => Promise<void>): void;
  fail(error: unknown): void;
  /** Takes away what was told. */
  forget(): void;
  drawInvitations(): void;
  archive(id: string): void;
  /** Reads, or the reverse. */
  toggle(id: string): void;
  open(id: string): void;
  key(id: string, key: string): void;
  /** Shows the preferences in place of the list, or the reverse. */
  settings(shown: boolean): void;
  /** Up to the newest that was shown. */
  readAll(through: string): void;
  more(): void;
}
/** Has it done, once it is loaded. */
export type Act = <K extends keyof Hands>(name: K, ...given: Parameters<Hands[K]>) => void;
export type NewHands = (parts: Parameters<NewPanel>[0] & {
  words: Words; list: List; mayArchive: () => boolean;
  panel: HTMLElement; heading: HTMLElement; filters: HTMLElement; body: HTMLElement; readAll: HTMLElement; settings: HTMLElement;
  invited: HTMLElement; toast: HTMLElement; told: HTMLElement;
}) => Promise<Hands>;

export interface View {
  node: HTMLElement;
  /** Draws what the store knows. */
  update(): void;
  /** Asks again for invitations. */
  reload(): void;
  /** Opens a booking, or the list where it is empty. */
  show(bookingId: string): void;
  /** Says that it takes long, or that it failed. */
  tell(doing: Promise<unknown>, failed: string): void;
  tick(): void;
  stop(): void;
}

export type Feed = ReturnType<typeof import('./store.js').newFeed>;
