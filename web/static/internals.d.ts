/** Shapes and signatures within the client. What a function promises is said beside its code. */
import type * as P from './types.js';

export type * from './entries/client.js';

/* parts.js: messages */

export type ErrorFacts = { code?: number | null; attempt?: number; nextRetryAt?: number | null; retryAfterMs?: number; cause?: unknown };
export type Envelope = { id: string; type: string; timestamp: number; ownerId: string };
export type ParseMessage = (source: string, before?: P.RealTimeMetrics, now?: number) =>
  { message: P.Message; problem?: undefined; envelope?: undefined } | { problem: string; envelope?: Envelope; message?: undefined };
export type ReadShape = <S>(shape: S, raw: unknown) => S;

/* parts.js: what a connection is made of */

export type OpenSocket = (
  request: Pick<P.TransportRequest, 'baseUrl' | 'ownerId' | 'lastEventId'>, protocols: string[], handlers: P.TransportHandlers,
) => P.Transport;

export type NewSteadyClock = (clock?: P.Clock) => P.Clock;

export interface Position {
  readonly value: string;
  accept(id: string): boolean;
  moveTo(id: string): void;
}
export type NewPosition = (ownerId: string, storage: P.PositionStorage | null) => Position;

export interface TokenSource {
  set(token: P.Token | null): void;
  ask(): Promise<string>;
  forget(): void;
}
export type NewTokenSource = (token: P.Token | null) => TokenSource;

export interface Liveness {
  start(heartbeatMs: number): void;
  received(): void;
  wake(): void;
  stop(): void;
}
export type NewLiveness = (clock: P.Clock, on: { stale(stale: boolean): void; dead(): void; ping(): void }) => Liveness;

export interface Emitter {
  on(event: string, listener: (value: any) => void): () => void;
  emit(event: string, value?: unknown): void;
  log(problem: string, detail?: unknown): void;
  clear(): void;
}
export type NewEmitter = (clock: P.Clock, write: (problem: string, detail?: unknown) => void) => Emitter;

export interface SnapshotLoader {
  readonly loaded: boolean;
  readonly pending: boolean;
  first(): Promise<void>;
  request(isNeeded?: () => boolean): void;
  stop(): void;
}
export type NewSnapshotLoader = (
  load: (signal: AbortSignal) => Promise<SnapshotData>, clock: P.Clock, random: () => number,
  on: { done(snapshot: P.Snapshot & SnapshotData): void; failed(error: any, nextRetryAt: number): void },
) => SnapshotLoader;

/* dial.js: plain HTTP */

export type Server = { baseUrl: string; fetch: typeof fetch };
export type GetJson = (server: Server, token: string, path: string, signal?: AbortSignal, init?: RequestInit) => Promise<{ body: any; lastEventId: string; date: number }>;
/**
 * `ask` brings a new token, and `forget` has the next question ask. `channel` names what tabs
 * share.
 */
export interface Questions {
  ask(): Promise<string>;
  forget(): void;
  get(part: string, init?: RequestInit): Promise<any>;
  channel(): Promise<string>;
}
export type NewQuestions = (element: Pick<HTMLElement, 'getAttribute'> & { carrier: P.Carrier }, tokenOf: () => P.Token | null | undefined) => Questions;
export type ReadRows = <R>(body: any, field: string, readRow: (raw: unknown) => R) => R[];
/** Rows of a part of the snapshot; null when it could not be loaded. */
export type Rows = <R>(part: string, field: string, readRow: (raw: unknown) => R) => Promise<R[] | null>;
/** What a snapshot holds before it is known whether it heals a loss. */
export type SnapshotData = Omit<P.Snapshot, 'healing'> & { /** An event came while it was loaded. */ overtaken?: boolean };
export type FetchSnapshot = (
  request: Server & { ownerId: string; token: string; clock: P.Clock; signal?: AbortSignal },
) => Promise<SnapshotData>;

/* client.js */

export type ModuleOf<M extends Record<string, () => Promise<unknown>>> = <N extends keyof M>(name: N) => ReturnType<M[N]>;

/* connection.js */

/** `tab`: another tab of this browser holds the connection. */
export type Mode = P.TransportName | 'tab';

/**
 * One connection, being dialled or established. Instants are of the steady clock, in milliseconds.
 */
export interface Link {
  mode: Mode;
  token: string;
  transport: P.Transport | null;
  /** The id after which it was asked to start. */
  sentId: string;
  begunAt: number;
  /** When it was established; 0 before. */
  since: number;
  /** The close code that the server announced; 0 while there is none. */
  code: number;
  /** The longest wait that the server announced for the next try, in milliseconds. */
  retryMs: number | null;
  /** A refresh with another token is on its way. */
  refreshing?: boolean;
}

/** All that a connection needs from its surroundings. */
export interface Environment extends Required<Omit<P.ClientOptions, 'openWebSocket' | 'openSse' | 'openPolling' | 'tabs'>> {
  tabs?: P.TabsPlatform | null;
  /** What is fetched when it is first needed. */
  load: {
    transport(mode: P.TransportName): Promise<P.OpenTransport>;
    snapshot: FetchSnapshot;
    fallback: (core: Core, manager: P.WebSocketManager) => Promise<Fallback>;
    /** Null where the browser cannot share. */
    tabs: (core: Core, manager: P.WebSocketManager) => Promise<Tabs | null>;
    /** The modules that an outage needs. */
    preload(): unknown;
  };
}

export type NewConnection = (ownerId: string, token: P.Token | null, env: Environment) => P.WebSocketManager;

/**
 * The steps of a connection, for itself and for the modules that are loaded when they are needed.
 */
export interface Core {
  env: Environment;
  token: TokenSource;
  position: Position;
  link(): Link | null;
  set(change?: Partial<P.ConnectionState>): void;
  confirm(at?: number): void;
  drop(): void;
  suspend(): void;
  end(status: P.ConnectionStatus, error: P.RealtimeErrorShape): void;
  wake(change?: Partial<P.ConnectionState>): void;
  open(): void;
  limit(link: Link, ms: number): void;
  dial(link: Link): Promise<void>;
  receive(link: Link, text: string): void;
  handle(link: Link, message: P.Message): boolean;
  handleError(link: Link, data: P.ControlData['error']): void;
  established(link: Link, data: P.ConnectionEstablished): void;
  lost(link: Link, code: number, retryAfterMs?: number): void;
  wait(ms: number, kind: P.ErrorKind, code: number | null): void;
  refresh(expiring?: boolean): Promise<void>;
  advise(mode?: P.TransportName): Promise<Fallback | null>;
  use(mode: P.TransportName, established?: { link: Link; text: string }): void;
  ignoreSilence(): void;
}

/* fallback.js */

export interface Fallback {
  failed(link: Link, lived: number): void;
}
export type NewFallback = (core: Core, manager: P.WebSocketManager) => Fallback;

/* dial.js: tabs */

export type ChannelName = (baseUrl: string, ownerId: string, token: string) => Promise<string>;
/** An event that a leader keeps for tabs that come back. */
export type BufferedEvent = { id: string; text: string };
/**
 * What tabs tell each other. A leader sends `lead` (from now on), `up` (connected), `state`, `say`
 * (an event), `alive` (to the tab that asked) and `welcome` (to a new tab, with the events that it
 * missed, as far as they are kept). A follower sends `hello` and `ask`.
 */
export type TabMessage = {
  kind: string; from: string; /** By the sender's clock. */ at?: number; to?: string; text?: string; state?: P.ConnectionState;
  after?: string; facts?: P.ConnectionEstablished | null; position?: string; replay?: string[] | null;
};
export type ReadEvents = (server: Server, token: string, ownerId: string, after: string) => Promise<string[] | null>;

export interface Tabs {
  join(token: string): Promise<boolean>;
  /** The transport of a follower: what the leader tells. */
  open: P.OpenTransport;
}
export type NewTabs = (core: Core, manager: P.WebSocketManager) => Tabs | null;
