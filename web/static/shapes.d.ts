/** Shapes and signatures that only the page and the element know, beside those of all; what they promise is said here. */
export type * from './types.js';
import type { BookingNotification, DashboardState, Listing, Message, Notice, RealTimeMetrics } from './types.js';

/* dom.js */

/** `true` is an empty attribute; `false`, null and undefined are none. */
export type Value = string | number | boolean | null | undefined;

/** Makes an element; `on…` are listeners, all else attributes. */
export type Make = <K extends keyof HTMLElementTagNameMap>(
  tag: K, props?: Record<string, Value | ((event: any) => void)> | null, ...children: (Node | string | null)[]
) => HTMLElementTagNameMap[K];
export type SetAttribute = (element: Element, name: string, value: Value) => void;
/** Whether it was another text. */
export type SetText = (node: Node, text: string) => boolean;
export type Row<T> = { node: HTMLElement; update(item: T): void };
/** Rows by place, not by key: row i is rewritten with item i, so nothing on the screen moves when a new one comes in front. */
export type Rows = <T>(parent: HTMLElement, items: readonly T[], make: () => Row<T>) => void;
/** Calls at once, and then at most once per interval with the latest state. A call that returns false changed nothing, and does not count. */
export type Paced = (call: () => boolean | void, ms: number) => { (): void; cancel(): void };

/* state/wording.js */

export type Zone = string | null | undefined;
export type FormatNumber = (value: number) => string;
/** "nenhuma reserva", "1 reserva", "2 reservas". */
export type FormatPlural = (n: number, one: string, other: string, none?: string) => string;
/** Of a date that the server wrote, without any conversion. */
export type FormatWritten = (text: string) => string;
export type FormatStay = (from: string, to: string) => string;
/** Of an instant in Unix milliseconds on a zone's clock; the browser's zone when none is given. */
export type FormatInstant = (at: number, zone?: Zone) => string;

export type Tone = 'live' | 'busy' | 'warn' | 'down' | 'paused';

/** What is known of a connection: its manager's state, and what only time tells. */
export interface Facts {
  /** Of the manager. */
  status: string;
  /** When the numbers were last confirmed, not when they last changed. */
  confirmedAt: number | null;
  nextTryAt: number | null;
  /** Null while the connection is up. */
  downSince: number | null;
  /** Whether a first try has ended. */
  judged: boolean;
  offline: boolean;
  /** Whether the account, not the session, was refused. */
  refused: boolean;
  zone: Zone;
  /** How many events wait while updates are paused; null while they are not. */
  held: number | null;
}

/** `frozen`: the numbers shown may be old. */
export type DescribeConnection = (facts: Facts, now: number) => { tone: Tone; label: string; detail: string; frozen: boolean };

export type Sign = 'new' | 'ok' | 'money' | 'edit' | 'cancel' | 'in' | 'out';
/** One row of a list. */
export type DescribeNotice = (notice: Notice) => {
  sign: Sign; title: string; hangar: string; detail: string; amount: string; struck: boolean;
};
/** Where somebody stands who arrives or leaves today. */
export type DescribeStay = (status: string, leaving: boolean) => { sign: Sign; word: string };

export type CardKey = 'revenueToday' | 'bookingsToday' | 'occupancyRate' | 'growthPercentage';
type Listings = readonly Listing[] | null;
/** The four values, and the one comparison line below each. */
export type DescribeMetrics = (metrics: RealTimeMetrics, listings: Listings) => Record<CardKey, { value: string; line: string }>;

/** "5 de 8 vagas ocupadas" */
export type DescribeSpaces = (listings: Listings, rate: number) => string;

/* state/store.js */

/** A booking of the agenda, and when it was told by the clock of `startedAt`. */
export type Stay = { booking: BookingNotification; at: number };

/** Who arrives and who leaves on one day: a snapshot of that day, and the events since. Days are compared as written. */
export interface AgendaView {
  loaded: boolean;
  failed: boolean;
  /** Whether the message was about a booking. */
  apply(message: Message, now: number): boolean;
  /** `startedAt`: when the bookings were asked for; what was told since is newer. */
  fill(bookings: readonly BookingNotification[], startedAt: number): void;
  /** Who comes or goes on a day like 2026-01-21, by the hour. */
  on(day: string, end: 'checkInDate' | 'checkOutDate'): BookingNotification[];
}

/* element/ */

export interface NoticeActions {
  markRead(id: string): void;
  markAllRead(): void;
  clear(): void;
  undoClear(): void;
  forgetCleared(): void;
}

/** Two bounded lists, an unread counter that does not depend on their length, and the controls to read and clear them. */
export type NoticesPanel = (actions: NoticeActions) => {
  node: HTMLElement;
  /** While paused the rows on the screen stay, whatever comes. */
  update(state: DashboardState, zone: Zone, paused: boolean): void;
  /** Rewrites the ages of the rows. */
  tick(): void;
  /** Another owner, or none. */
  stop(): void;
};
/** `narrow`: how many rows it begins with in a narrow element. */
export type NoticeList = (title: string, name: string, narrow: number, markRead: (id: string) => void) => {
  node: HTMLElement;
  update(notices: readonly Notice[], none: string, zone: Zone, paused: boolean): void;
  tick(): void;
};

export type CardsPanel = () => {
  node: HTMLElement;
  /** `clock` names the clock whose days these are, where it is not the browser's own. Returns whether another text is shown. */
  update(metrics: RealTimeMetrics | null, listings: Listings, clock: string): boolean;
};
export type FactsPanel = () => { node: HTMLElement; update(metrics: RealTimeMetrics | null): void };
export type AgendaPanel = (retry: () => void) => { node: HTMLElement; update(agenda: AgendaView, today: string, zone: Zone): void };
export type StaysList = (title: string, none: string, leaving: boolean) => {
  node: HTMLElement;
  update(next: BookingNotification[], loaded: boolean, today: string): void;
};
export type HangarsPanel = () => { node: HTMLElement; update(listings: Listings, failed: boolean): void };

/* page.js */

export type Account = { ownerId: string; companyName: string };

/** Who is signed in, and which of his accounts is shown. */
export interface Session {
  ownerId: string;
  accounts: Account[];
  token: string;
  expiresAt: number;
}
