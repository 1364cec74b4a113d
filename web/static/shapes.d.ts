/** Shapes and signatures of the page and the element, beside the public ones. */
export type * from './entries/client.js';
export type * from './entries/element.js';
import type { BookingNotification, Carrier, EventType, Listing, Message, OccupancyChange, Overview, RealTimeMetrics, RevenueReceived, Sparklines, WebSocketManager } from './types.js';

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
/**
 * Rows by place, not by key: row i is rewritten with item i, so nothing on the screen moves when a
 * new one comes in front.
 */
export type Rows = <T>(parent: HTMLElement, items: readonly T[], make: () => Row<T>) => void;
/**
 * Calls at once, and then at most once per interval with the latest state. A call that returns
 * false changed nothing, and does not count.
 */
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
  /** How far the server's clock is ahead of the manager's. */
  skew?: number;
  /** The kind of the last error. */
  cause?: string;
  /** The stream lives, but its snapshot could not be loaded. */
  partFailed?: { code: number | null; late: boolean; nextTryAt: number | null } | null;
}

/** `frozen`: the numbers shown may be old. */
export type DescribeConnection = (facts: Facts, now: number) => { tone: Tone; label: string; detail: string; frozen: boolean };

export type Sign = 'new' | 'ok' | 'money' | 'edit' | 'cancel' | 'in' | 'out';
/** One row of a list. */
export type DescribeItem = (item: FeedItem) => {
  sign: Sign; title: string; hangar: string; detail: string; amount: string; struck: boolean;
};
/** How far a guest is who arrives or leaves today; `when` is by the hour, as occupancy is. */
export type DescribeStay = (status: string, leaving: boolean, when?: { begun?: boolean; over?: boolean; hourless?: boolean }) => { sign: Sign; word: string };

export type CardKey = 'revenueToday' | 'bookingsToday' | 'occupancyRate' | 'growthPercentage';
/** The four values, and the one comparison line below each. */
export type DescribeMetrics = (metrics: RealTimeMetrics, overview: Overview | null) => Record<Exclude<CardKey, 'growthPercentage'>, { value: string; line: string }>;

/* state/wording.js, words/ */

/** One and many. */
type Pair = [string, string];
/** All words of one language: the Portuguese ones say which there are. */
export type Catalogue = { [K in keyof typeof import('./state/wording.js').PORTUGUESE]: WordOf<(typeof import('./state/wording.js').PORTUGUESE)[K]> };
type WordOf<T> = T extends string ? string : T extends unknown[] ? Pair : Record<string, string>;
/** The same names as Portuguese has, each with a word: none less, none more. */
export type Translated<T> = { [K in keyof T]: T[K] extends string ? string : T[K] extends unknown[] ? string[] : Translated<T[K]> };
type PortugueseOf<M extends { default: object }> = Translated<M['default']>;
/** The words of views in one language, by view. */
export interface Views {
  growth: PortugueseOf<typeof import('./element/words/pt.js')>;
  calendar: PortugueseOf<typeof import('./calendar/words/pt.js')>;
  feeds: PortugueseOf<typeof import('./calendar/words/feeds/pt.js')>;
  trends: PortugueseOf<typeof import('./trends/words/pt.js')> & PortugueseOf<typeof import('./trends/words/controls-pt.js')>
    & PortugueseOf<typeof import('./trends/words/more-pt.js')>;
  notifications: PortugueseOf<typeof import('./notifications/words/pt.js')> & PortugueseOf<typeof import('./notifications/words/bell-pt.js')>
    & PortugueseOf<typeof import('./notifications/words/hands-pt.js')>;
  preferences: PortugueseOf<typeof import('./notifications/words/settings-pt.js')>;
  push: PortugueseOf<typeof import('./push/words/pt.js')>;
}
/** A file in words/: a word that Portuguese has and it lacks is an error of `npm run types`. */
export interface Language extends Views {
  page: { [K in keyof typeof import('./state/wording.js').PORTUGUESE]: PageWord<(typeof import('./state/wording.js').PORTUGUESE)[K]> };
}
type PageWord<T> = T extends string ? string : T extends unknown[] ? Pair : Translated<T>;
type NamesOf<V> = { [K in keyof Catalogue]: Catalogue[K] extends V ? K : never }[keyof Catalogue];

export type Say = (name: NamesOf<string>, values?: Record<string, string | number>) => string;
export type SayMany = (name: NamesOf<Pair>, n: number, values?: Record<string, string | number>) => string;

/** Numbers, dates and states in the words of one language. */
export interface Wording {
  words: Catalogue;
  /** The words of views in the same language; in Portuguese each view loads its own. */
  views: Partial<Views>;
  say: Say;
  /** By the number; `{n}` is the number. */
  sayMany: SayMany;
  /** BRL. */
  formatMoney: FormatNumber;
  formatCount: FormatNumber;
  /** Of a percentage, 0 to 100. */
  formatPercent: FormatNumber;
  /** With a sign, except for zero. */
  formatChange: FormatNumber;
  formatPlural: FormatPlural;
  /** "sexta, 23 de jan."; empty for no date. */
  formatWeekday: FormatWritten;
  /** "21 – 24 de jan." */
  formatStay: FormatStay;
  /** "14:32" */
  formatTime: FormatInstant;
  /** "21 de jan., 14:32" */
  formatMoment: FormatInstant;
  /** "2026-01-21" */
  dayOf: FormatInstant;
  /** "horário de Brasília" where the browser's clock shows another time, else nothing. */
  zoneLabel: FormatInstant;
  /** "20 s", "3 min", "2 h", "4 dias" */
  formatSpan: FormatNumber;
  /** "agora", "há 20 s", of milliseconds. */
  formatAgo: FormatNumber;
  describeConnection: DescribeConnection;
  describeItem: DescribeItem;
  describeStay: DescribeStay;
  describeMetrics: DescribeMetrics;
  statusWord: (status: string) => string;
  paymentWord: (method: string) => string;
}
export type NewWording = (words: Catalogue, views?: Partial<Views>) => Wording;

/* state/store.js */

/** One row of the feed. */
export interface FeedItem {
  /** The event's id, or `booking:` and the booking's id for one that a snapshot brought. */
  id: string;
  kind: EventType | 'booking';
  /** Unix milliseconds. */
  at: number;
  read: boolean;
  data: BookingNotification | RevenueReceived | OccupancyChange;
}

export interface DashboardState {
  metrics: RealTimeMetrics | null;
  /** Newest first. */
  bookings: readonly FeedItem[];
  occupancy: readonly FeedItem[];
  listings: readonly Listing[] | null;
  overview: Overview | null;
  /** Counts events, not the rows of a bounded list. */
  unread: number;
  canUndoClear: boolean;
  loaded: boolean;
  failedParts: { bookings: boolean; listings: boolean };
}

export type MovesOf = (stays: readonly BookingNotification[], occupancy: readonly FeedItem[], now: number) => FeedItem[];

/** A booking of the agenda, and the number of the message that brought it. */
export type Stay = { booking: BookingNotification; sequence: number };

/**
 * Who arrives and who leaves on one day: a snapshot of that day, and the events since. Days are
 * compared as written.
 */
export interface AgendaView {
  loaded: boolean;
  failed: boolean;
  readonly isIncomplete: boolean;
  /** Called before bookings are requested. */
  mark(): number;
  /** Whether the message was about a booking. */
  apply(message: Message): boolean;
  /** Messages since the mark are newer than these bookings. */
  fill(bookings: readonly BookingNotification[], mark: number): void;
  stays(): BookingNotification[];
  /** Who comes or goes on a day like 2026-01-21, by the hour. */
  on(day: string, end: 'checkInDate' | 'checkOutDate'): BookingNotification[];
}

/* element/ */

/** All that panels draw from. Instants are the server's, in Unix milliseconds. */
export interface View {
  state: DashboardState;
  agenda: AgendaView;
  /** Today's arrivals and departures that no event told. */
  moves: readonly FeedItem[];
  now: number;
  /** The server's day, like 2026-01-21. */
  today: string;
  zone: Zone;
  /** While updates are paused the rows on the screen stay, whatever comes. */
  paused: boolean;
  /** Nothing has changed since the listings were loaded. */
  listingsAreCurrent: boolean;
  /** An address in the portal with `{id}`, or nothing. */
  listingHref: string;
}

/** What a panel asks of the element. */
export interface Actions {
  markRead(id: string): void;
  markAllRead(): void;
  clear(): void;
  undoClear(): void;
  forgetCleared(): void;
  /** Shows one booking's details. */
  open(bookingId: string): void;
  /** Loads today's arrivals and departures again. */
  retryAgenda(): void;
}

/** A part of the dashboard, built once for one language and rewritten in place. */
export interface Panel {
  node: HTMLElement;
  /** Returns whether another number is shown, where that matters for the pace of drawing. */
  update(view: View): boolean | void;
  /** What a person does here is drawn at once, also while updates are paused. */
  interactive?: boolean;
  /** Once a second. */
  tick?(now: number): void;
  /** Another owner, or none. */
  stop?(): void;
}
export type NewPanel = (wording: Wording, actions: Actions) => Panel;

export type StaysList = (wording: Wording, leaving: boolean, open: (bookingId: string) => void) => {
  node: HTMLElement;
  update(next: BookingNotification[], loaded: boolean, today: string, now: number): void;
};

export type ShowDetails = (frame: HTMLElement, details: {
  wording: Wording; bookingId: string; href: string; zone: Zone; load: () => Promise<any>;
}) => Promise<void>;

/* Panels that are loaded when they are opened: calendar/, trends/ */

/** What such a panel needs from around it. */
export interface Around {
  wording: Wording;
  frame: HTMLElement;
  /** The server's origin. */
  server: string;
  ownerId: string;
  /** Whether the page's address may keep what is chosen. */
  hash: boolean;
  /**
   * Asks for a part of what there is of the owner; `init` makes it another method than GET. A file
   * is the answer itself.
   */
  get(part: string, init?: RequestInit): Promise<any>;
  /** Names what tabs of this owner and user share; empty where they share nothing. */
  channel(): Promise<string>;
  /** Shows one booking's details. */
  open(bookingId: string): void;
  /** The server's time in Unix milliseconds. */
  now(): number;
  /** Whether updates are paused. */
  paused?(): boolean;
}
export type LazyName = 'calendar' | 'trends';
export type OpenPanels = Map<LazyName, { view: LazyView; close(): void }>;
export type TogglePanel = (
  name: LazyName, button: HTMLElement, opened: OpenPanels, manager: WebSocketManager | null, around: Around, isCurrent: () => boolean,
) => Promise<void>;
export interface LazyView { node: HTMLElement; follow(manager: WebSocketManager): void; /** Once a second. */ tick(): void; stop(): void }

/** Growth of paid revenue, both weeks up to the same clock time. */
export interface Growth {
  /** Percent; null without a base. */
  change: number | null;
  /** That clock time. */
  time: string;
}

/**
 * `percent` is the number of the contract, in which a part of today stands against a whole day.
 * `shown` is the one whose sign counts.
 */
export type DescribeGrowth = (words: Record<string, string>, formatChange: FormatNumber, percent: number, basis: string, growth: Growth | null) =>
  { value: string; line: string; whole?: string; shown: number };
/** A panel of what is in the cards already; `days` are those of the newest snapshot. */
export type NewCards = (around: Pick<Around, 'frame' | 'wording' | 'get'> & { days(): Sparklines | null; redraw(): void }) => Promise<Panel>;

/* page.js */

export type Account = { ownerId: string; companyName: string };

/** The user who is signed in, and the account on the screen. */
export interface Session {
  ownerId: string;
  accounts: Account[];
  /** Where the browser's cookie names the user, a text in place of its token. */
  token: string;
  /** By the page's steady clock. */
  endsAt: number;
  /** What sends no token, where the cookie names the user. */
  carrier?: Carrier;
  /** Tries again whenever the window gets the focus, until it works. */
  retryOnFocus?: RetryOnFocus;
}
export type RetryOnFocus = (again: () => Promise<void>) => void;

/** A text for what `GET /api/auth/me` says about a cookie. */
export type CookieLabel = (me: { user: { id: string }; expiresAt: number }) => string;

/**
 * A question to the server, with a limit; `date` is the server's time of the answer. Throws a
 * refusal with its `status`.
 */
export type Ask = (path: string, body?: object, of?: Session) => Promise<any>;

export type SignInForm = (problem: string, around: {
  wording: Pick<Wording, 'words' | 'say' | 'formatSpan'>; forgot: string; signIn: (email: string, password: string) => Promise<void>;
}) => HTMLFormElement;

/* page/bell.js, page/elsewhere.js */

export type AroundBell = {
  session: Session; display: import('./entries/element.js').RealtimeMetricsDisplay; latest: import('./types.js').MessageOf<'notifications_updated'>;
  token: () => Promise<string>; wording: Pick<Wording, 'words' | 'sayMany'>;
  /** The user may see other accounts now. */
  changed: () => Promise<void>;
};
export type ShowBell = (area: HTMLElement, around: AroundBell) => void;
/** Shows the counts of the user's other accounts; once more for a bell: counts them anew. */
export type ShowElsewhere = (bell: import('./entries/notifications.js').OwnerNotifications, around: Pick<AroundBell, 'session' | 'wording'>) => void;

export type Invitation = { id: string; ownerId: string; companyName: string; role: string; invitedBy: string; invitedByName: string };
export type InvitationBoxes = (invitations: Invitation[], around: {
  wording: Pick<Wording, 'words' | 'say'>; answer: (id: string, accept: boolean) => Promise<void>;
}) => HTMLElement[];
