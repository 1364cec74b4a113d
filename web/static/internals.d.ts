/** Shapes and signatures within the client. What they promise is said here; the modules stay short for the wire. */
import type * as P from './types.js';

export * from './types.js';

/* protocol.js */

export type ErrorFacts = { code?: number | null; attempt?: number; nextRetryAt?: number | null; cause?: unknown };
/** Reads one message; the problem is a short constant, or `unknown type X`. Numbers that a `metrics_updated` lacks are those of `before`. */
export type ParseMessage = (source: string, before?: P.RealTimeMetrics) => { message: P.Message } | { problem: string };

/** The shape's fields: one that is missing in raw, or of another type, is as in the shape; a number becomes a text where one is due. */
export type ReadShape = <S>(shape: S, raw: unknown) => S;

/* parts.js */

/** Ids are opaque: the newest received is the position, and a memory of the last 512 finds repetitions. */
export interface Position {
  /** The id to resume after; empty before the first. */
  readonly value: string;
  /** Moves to an event's id; false when it was seen before, and then nothing moves. */
  accept(id: string): boolean;
  /** Moves without an event: the server said where the stream stands. Empty: the next stream starts at now. */
  moveTo(id: string): void;
}
/** Storage survives a reload of the page; where it is forbidden a reload starts at now. */
export type NewPosition = (ownerId: string, storage: P.PositionStorage | null) => Position;

/** A string, or a function asked again at every dial. */
export interface TokenSource {
  set(token: P.Token): void;
  /** One question in flight, whoever asks. */
  ask(): Promise<string>;
}
export type NewTokenSource = (token: P.Token) => TokenSource;

/** Whether a connection is still one, by the wall clock: timers stop while a laptop sleeps, and an open socket says nothing. */
export interface Liveness {
  /** The server promised to speak this often, in milliseconds. */
  start(heartbeatMs: number): void;
  /** Something arrived. */
  heard(): void;
  /**
   * The page is back from sleep or from the dark. What the browser buffered is delivered before a timer of 0 ms fires;
   * only if that was nothing the other end is asked, and has 3 s to answer.
   */
  wake(): void;
  stop(): void;
}
export type NewLiveness = (clock: P.Clock, on: { stale(stale: boolean): void; dead(): void; ping(): void }) => Liveness;

/** Listeners that cannot harm each other, and a log that cannot flood: one line per problem and minute. */
export interface Emitter {
  /** The same function twice is two registrations; what is returned ends one of them, however often called. */
  on(event: string, listener: (value: any) => void): () => void;
  emit(event: string, value?: unknown): void;
  log(problem: string, detail?: unknown): void;
  clear(): void;
}
export type NewEmitter = (clock: P.Clock, write: (problem: string, detail?: unknown) => void) => Emitter;

/** One load at a time, at most one per ten seconds after the first, and no more than one waiting. */
export interface SnapshotLoader {
  readonly loaded: boolean;
  /** True from a request until a snapshot that began after it is there. */
  readonly pending: boolean;
  /** Loads at once for the first picture; resolves when that ended, well or badly. */
  first(): Promise<void>;
  /** Asks for one load soon; a mere suspicion says by `still` whether it is one when the time comes. */
  request(still?: () => boolean): void;
  stop(): void;
}
export type NewSnapshotLoader = (
  load: (signal: AbortSignal) => Promise<Picture>, clock: P.Clock, random: () => number,
  on: { done(snapshot: P.Snapshot): void; failed(error: unknown): void },
) => SnapshotLoader;

/* snapshot.js */

export type Place = { baseUrl: string; fetch: typeof fetch };
/** Throws a RealtimeError for a refusal, with the response as its cause. */
export type GetJson = (place: Place, token: string, path: string, signal?: AbortSignal) => Promise<{ body: any; lastEventId: string }>;
/** Rows of a part of the snapshot; null when it could not be loaded. */
export type Rows = <R>(part: string, field: string, readRow: (raw: unknown) => R) => Promise<R[] | null>;
/** What a snapshot holds before it is known whether it heals a loss. */
export type Picture = Omit<P.Snapshot, 'healing'>;
/** Metrics first and lists after: the position that came with the metrics is the oldest, and a stream after it misses nothing. */
export type FetchSnapshot = (
  request: Place & { ownerId: string; token: string; clock: P.Clock; signal?: AbortSignal },
) => Promise<Picture>;

/* connection.js */

/** `tab`: another tab of this browser holds the connection. */
export type Mode = P.TransportName | 'tab';

/** One connection, being dialled or established. */
export interface Link {
  mode: Mode;
  token: string;
  transport: P.Transport | null;
  /** After which id it was asked to start. */
  sentId: string;
  /** When it was established; 0 before. */
  since: number;
  /** What the server said about its end before it came. */
  code: number;
  retryMs: number | null;
}

/** All that a connection takes from its surroundings. */
export interface Environment extends Required<Omit<P.ClientOptions, 'openWebSocket' | 'openSse' | 'openPolling' | 'tabs'>> {
  tabs?: P.TabsPlatform | null;
  /** What is fetched when it is first needed. */
  load: {
    transport(mode: P.TransportName): Promise<P.OpenTransport>;
    snapshot: FetchSnapshot;
    fallback: (inner: Insides, manager: P.WebSocketManager) => Promise<Fallback>;
    /** Null where the browser cannot share. */
    tabs: (inner: Insides, manager: P.WebSocketManager) => Promise<Tabs | null>;
  };
}

export type NewConnection = (ownerId: string, token: P.Token, env: Environment) => P.WebSocketManager;

/** The steps of a connection, for itself and for the modules that are loaded when they are needed. */
export interface Insides {
  env: Environment;
  token: TokenSource;
  position: Position;
  link(): Link | null;
  set(change?: Partial<P.ConnectionState>): void;
  /** The numbers were right then (now by default), unless a loss is still being healed. */
  confirm(at?: number): void;
  /** Ends link and timers in silence. */
  drop(): void;
  /** Nobody looks: no dial until the page is shown again. */
  park(): void;
  /** No way on, unless somebody brings another token. */
  end(status: P.ConnectionStatus, error: P.RealtimeErrorShape): void;
  /** Wake-ups, `online` and a return to the page look after a live connection and hasten a waiting one. */
  look(change?: Partial<P.ConnectionState>): void;
  /** The one door to a new connection, whatever the cause: it asks for the token again. */
  open(): void;
  /** How long this link may take; 0 for no limit. */
  limit(link: Link, ms: number): void;
  dial(link: Link): Promise<void>;
  receive(link: Link, text: string): void;
  /** What the connection itself does with a message; whether listeners get it. */
  handle(link: Link, message: P.Message): boolean;
  established(link: Link, data: P.ConnectionEstablished): void;
  /** A connection ended, or never came to be. */
  lost(link: Link, code: number, retryAfterMs?: number): void;
  /** Brings a new token to a live connection, in band where the transport can. */
  refresh(): Promise<void>;
  /** Loads the choice of transports; from now on this one is dialled. */
  advise(mode?: P.TransportName): Promise<Fallback | null>;
  /** Another transport from now on: dials it, or takes a link over that was established by this message. */
  use(mode: P.TransportName, established?: { link: Link; text: string }): void;
  /** Stops listening for signs of life. */
  rest(): void;
}

/* fallback.js */

/** Which transport is dialled when something on the way dislikes the first: WebSocket, SSE, polling, and back. */
export interface Fallback {
  /** A dial ended without a word. When plain HTTP works all the same, the second in a row steps down. */
  failed(link: Link): void;
}
export type NewFallback = (inner: Insides, manager: P.WebSocketManager) => Fallback;

/* tabs.js */

/** Where tabs of one server, owner and user meet; empty when the token does not say whose it is. */
export type MeetingPlace = (baseUrl: string, ownerId: string, token: string) => Promise<string>;
/** An event that a leader remembers. */
export type Heard = { id: string; text: string };
/**
 * What tabs tell each other. Leader: `lead` (from now on), `up` (connected), `state`, `say` (a message), `alive` (to who
 * asked), `welcome` (to who came, with what it missed as far as the leader remembers). Follower: `hello`, `ask`.
 */
export type Note = {
  kind: string; from: string; to?: string; text?: string; state?: P.ConnectionState;
  after?: string; facts?: P.ConnectionEstablished | null; position?: string; replay?: string[] | null;
};
/** The events after an id; null when history does not reach back, or they are too many. */
export type ReadPast = (server: Place, token: string, ownerId: string, after: string) => Promise<string[] | null>;

/**
 * One connection per browser, owner and user. The tab that holds a Web Lock leads: it alone is connected, and tells the
 * others over a BroadcastChannel what it hears. The others wait for the lock, and steal it from a leader that does not
 * answer. No token crosses the channel; its name holds a digest of whom the token is for, so that another user's tab
 * listens elsewhere.
 */
export interface Tabs {
  /** Takes part as the user of this token. True: this tab dials, because it leads or cannot take part. */
  join(token: string): Promise<boolean>;
  /** While this tab follows: what the leader tells. */
  open: P.OpenTransport;
}
/** Null where the browser cannot share. */
export type NewTabs = (inner: Insides, manager: P.WebSocketManager) => Tabs | null;
