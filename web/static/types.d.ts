/**
 * The protocol and the shapes of the HangarShare Realtime client: types only, see entries/ for what
 * each module exports.
 */

export type EventType =
  | 'booking_created' | 'booking_updated' | 'booking_completed'
  | 'revenue_received' | 'occupancy_changed' | 'metrics_updated' | 'overview_updated'
  | 'notifications_updated';

export type ControlType =
  | 'connection_established' | 'heartbeat' | 'resync' | 'token_expiring' | 'refreshed'
  | 'token_expired' | 'server_closing' | 'pong' | 'error';

export interface RealTimeMetrics {
  /** BRL, two decimals. */
  revenueToday: number;
  bookingsToday: number;
  /** Percentage, 0 to 100, one decimal. */
  occupancyRate: number;
  /** Percentage, week over week, one decimal. */
  growthPercentage: number;
  activeListings: number;
  pendingPayouts: number;
  /** RFC 3339 with the server zone's offset; empty when unknown. */
  nextPayoutDate: string;
}

/** What a page shows beside the seven numbers. */
export interface Overview {
  /** Another one: `/listings` answers something else now. Opaque. */
  listingsRevision: string;
  /** Numerator and denominator of `occupancyRate`. */
  spaces: { occupied: number; offered: number };
  /** `compared`, `none` (both weeks are 0), `new` (only the earlier is 0); empty when unknown. */
  growthBasis: string;
}

/** The last 14 days, today at the end, and what each had. Null is unknown. */
export interface Sparklines {
  /** Dates like 2026-01-21. */
  days: string[];
  revenue: (number | null)[];
  bookings: (number | null)[];
  /** Percentage. */
  occupancy: (number | null)[];
}

export interface BookingNotification {
  id: string;
  bookingId: string;
  hangarNumber: string;
  guestName: string;
  amount: number;
  /** Days. */
  duration: number;
  checkInDate: string;
  checkOutDate: string;
  timestamp: number;
  status?: string;
  previousStatus?: string;
}

export interface RevenueReceived {
  bookingId: string;
  hangarNumber: string;
  amount: number;
  paymentMethod: string;
  timestamp: number;
}

export interface OccupancyChange {
  hangarId: string;
  hangarNumber: string;
  isNowOccupied: boolean;
  previousOccupant?: string;
  newOccupant?: string;
  timestamp: number;
}

/** Who did something; the name is empty where the account's members are not told it. */
export interface Person {
  id: string;
  name: string;
}

/** One notification of an account, as the server tells it. */
export interface Notification {
  /** A whole number as text: a later one is larger. */
  id: string;
  /** Like `booking_created`; more may come. */
  kind: string;
  severity: 'info' | 'attention' | 'urgent';
  /** How many events of a kind are told by this one. */
  count: number;
  /** What it is about: `bookingId`, `hangarId`, `hangarNumber`, `guestName`, `amount` and so on. */
  facts: { [name: string]: unknown };
  /** Only for this user; null for all of the account. */
  userId: string | null;
  /** RFC 3339, like the other times. */
  happenedAt: string;
  createdAt: string;
  /** Of the account, when this was last changed. */
  revision: number;
  readAt: string | null;
  readBy: Person | null;
  archivedAt: string | null;
  archivedBy: Person | null;
  /** Since when its cause is no more. It then does not count as unread. */
  resolvedAt: string | null;
}

/** The counts now, and what changed after the revision `since`. */
export interface NotificationsUpdated {
  revision: number;
  /** A client that holds another revision asks `GET …/notifications?since=`. */
  since: number;
  /** Of the account: the same for all its members. */
  unread: number;
  /** New to this user. */
  unseen: number;
  /** Unix milliseconds: this user cleared what happened until then; 0 for never. */
  clearedUntil: number;
  items: Notification[];
  /** All up to this id were read at once; an empty id for none. */
  readThrough: { id: string; at: string; by: Person };
  /** There was more than fits: ask. */
  more: boolean;
}

export interface ConnectionEstablished {
  ownerId: string;
  connectionId: string;
  lastEventId: string;
  recovered: boolean;
  heartbeatMs: number;
  serverTime: number;
  timezone: string;
}

export interface EventData {
  booking_created: BookingNotification;
  booking_updated: BookingNotification;
  booking_completed: BookingNotification;
  revenue_received: RevenueReceived;
  occupancy_changed: OccupancyChange;
  metrics_updated: RealTimeMetrics;
  overview_updated: Overview;
  notifications_updated: NotificationsUpdated;
}

export interface ControlData {
  connection_established: ConnectionEstablished;
  heartbeat: { lastEventId: string };
  resync: { lastEventId: string };
  token_expiring: { expiresAt?: number };
  refreshed: { expiresAt?: number };
  token_expired: Record<string, unknown>;
  server_closing: { retryMs: number };
  pong: Record<string, unknown>;
  error: { code: number; message: string; retryMs?: number };
}

export interface AnyData extends EventData, ControlData {}

/** One message of the stream, of type T. */
export type MessageOf<T extends keyof AnyData> = {
  [K in T]: { id: string; type: K; timestamp: number; ownerId: string; data: AnyData[K] }
}[T];

export type EventMessage = MessageOf<EventType>;
export type ControlMessage = MessageOf<ControlType>;
export type Message = EventMessage | ControlMessage;

export interface BookingRow extends BookingNotification {
  hangarId: string;
  status: string;
  paymentMethod: string;
}

export interface Listing {
  hangarId: string;
  hangarNumber: string;
  icaoCode: string;
  aerodromeName: string;
  city: string;
  status: string;
  isAvailable: boolean;
  dailyRate: number;
  totalSpaces: number;
  occupiedSpaces: number;
  isNowOccupied: boolean;
  occupant: string;
}

/** The present of one owner, and the position a stream continues after. */
export interface Snapshot {
  metrics: RealTimeMetrics;
  /** Null when that part could not be loaded. */
  bookings: BookingRow[] | null;
  listings: Listing[] | null;
  /**
   * Null from a server that does not tell it. Like the metrics, what came live during the load is
   * in its place.
   */
  overview: Overview | null;
  /** Null from a server that does not tell them, or not yet. */
  sparklines: Sparklines | null;
  /** The listings are no older than this revision; empty when it is not known. */
  listingsRevision: string;
  lastEventId: string;
  /** When the request was sent, by the manager's `now()`. */
  startedAt: number;
  /** True for a load that followed a loss, false for the first. */
  healing: boolean;
}

export type ConnectionStatus =
  | 'idle' | 'connecting' | 'live' | 'stale' | 'waiting' | 'auth_required' | 'closed';

export type TransportName = 'websocket' | 'sse' | 'polling';

export interface ConnectionState {
  status: ConnectionStatus;
  /** What carries the messages; in a tab that follows another, what carries them there. */
  transport: TransportName | null;
  /** True while another tab of this browser holds the connection. */
  shared: boolean;
  /** Tries since the last stable connection. */
  attempt: number;
  nextRetryAt: number | null;
  /** When the numbers were last confirmed, by an event, a heartbeat or a snapshot. */
  confirmedAt: number | null;
  /** Since when the connection has not been live; null while it is. */
  downSince: number | null;
  /** True once a first try has ended, well or badly. */
  judged: boolean;
  offline: boolean;
  timezone: string | null;
  error: RealtimeErrorShape | null;
  /**
   * Why the last snapshot could not be loaded; null when it could. The stream may be live all the
   * same.
   */
  snapshotError: RealtimeErrorShape | null;
}

/**
 * `token`: your token function did not bring one; `origin`: the server answers, but not to pages of
 * this origin.
 */
export type ErrorKind =
  | 'auth' | 'forbidden' | 'network' | 'timeout' | 'protocol' | 'server' | 'limited' | 'token' | 'origin' | 'closed' | 'aborted';

export interface RealtimeErrorShape extends Error {
  kind: ErrorKind;
  code: number | null;
  retryable: boolean;
  attempt: number;
  nextRetryAt: number | null;
  /** What the server asked to wait; 0 when it did not. */
  retryAfterMs: number;
  cause?: unknown;
}

type MessageListeners = { [K in keyof AnyData]: (message: MessageOf<K>) => void };

/** What `on` may listen to, and what the listener receives. */
export interface Listeners extends MessageListeners {
  /** Every message, after its own listeners. */
  message: (message: Message) => void;
  snapshot: (snapshot: Snapshot) => void;
}
export type EventName = keyof Listeners;

/** A token, or a function that brings one; nothing is sent while there is none. */
export type Token = string | (() => string | null | undefined | Promise<string | null | undefined>);

export interface WebSocketManager {
  /**
   * Idempotent; resolves at connection_established; rejects only on terminal errors, close() or
   * abort.
   */
  connect(options?: { signal?: AbortSignal }): Promise<void>;
  on<E extends EventName>(event: E, listener: Listeners[E]): () => void;
  /** False: not sent. Nothing is queued in silence. */
  send(message: { type: string; [field: string]: unknown }): boolean;
  /** Final: no sockets, no timers, no window listeners remain. */
  close(): void;
  /** Dials at once and resets the backoff. */
  reconnect(): void;
  setToken(token: Token | null): void;
  getState(): Readonly<ConnectionState>;
  /**
   * The clock of the state's times: Unix milliseconds that never step back, so that differences are
   * durations.
   */
  now(): number;
  subscribe(listener: () => void): () => void;
  readonly ownerId: string;
}

export interface TransportHandlers {
  message(text: string): void;
  /** The connection has ended and not by our close(). */
  closed(code: number, retryMs?: number): void;
}

export interface TransportRequest {
  baseUrl: string;
  ownerId: string;
  token: string;
  lastEventId: string;
  fetch: typeof fetch;
  clock: Clock;
  random: () => number;
}

export interface Transport {
  send(text: string): boolean;
  /** After it no handler is called. */
  close(): void;
}

export type OpenTransport = (request: TransportRequest, handlers: TransportHandlers) => Transport;

export interface Clock {
  /** Unix milliseconds. */
  now(): number;
  /**
   * Milliseconds since an arbitrary moment, which no setting of the clock changes; `now` where
   * there is none.
   */
  monotonic?(): number;
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** What the client must know of the page it lives in. */
export interface PageLife {
  hidden(): boolean;
  offline(): boolean;
  listen(handlers: { online(): void; offline(): void; shown(): void; left(): void; restored(): void }): () => void;
}

/** The parts of the browser that tabs of one origin share. */
export interface TabsPlatform {
  locks: Pick<LockManager, 'request'>;
  openChannel(name: string): Pick<BroadcastChannel, 'postMessage' | 'close' | 'onmessage'>;
}

export type PositionStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/** All that the client takes from its surroundings; everything has a default in a browser. */
export interface ClientOptions {
  /** The server's address; the page's own origin by default. */
  baseUrl?: string;
  fetch?: typeof fetch;
  openWebSocket?: OpenTransport;
  openSse?: OpenTransport;
  openPolling?: OpenTransport;
  /**
   * One connection for all tabs of this browser that show the owner to the same user; true by
   * default. Without a WebSocket it is shared all the same, because a browser allows six HTTP/1.1
   * connections per host.
   */
  share?: boolean;
  /** Web Locks and BroadcastChannel; null where there are none, and then nothing is shared. */
  tabs?: TabsPlatform | null;
  clock?: Clock;
  random?: () => number;
  page?: PageLife;
  storage?: PositionStorage | null;
  log?: (message: string, detail?: unknown) => void;
}

/** What carries requests to the server. */
export type Carrier = Pick<ClientOptions, 'fetch' | 'openWebSocket'>;
