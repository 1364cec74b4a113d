/** What the client exports. */
import type { ClientOptions, ErrorKind, RealtimeErrorShape, Token, WebSocketManager } from '../types.js';

export type * from '../types.js';

/** The one class of error; `kind` is for branching. */
export class RealtimeError extends Error implements RealtimeErrorShape {
  constructor(kind: ErrorKind, message: string, more?: {
    code?: number | null; attempt?: number; nextRetryAt?: number | null; retryAfterMs?: number; cause?: unknown;
  });
  kind: ErrorKind;
  code: number | null;
  retryable: boolean;
  attempt: number;
  nextRetryAt: number | null;
  retryAfterMs: number;
}

/**
 * The page's connection for an owner: the same owner gets the same manager, another owner closes
 * the former's.
 */
export function initWebSocket(ownerId: string, token: Token | null, options?: ClientOptions): WebSocketManager;
/** The manager that `initWebSocket` made. */
export function getWebSocketManager(): WebSocketManager;
/** A manager of one's own, beside the page's. */
export function createManager(ownerId: string, token: Token | null, options?: ClientOptions): WebSocketManager;
