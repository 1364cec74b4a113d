/**
 * HangarShare Realtime, the browser's side: an owner's numbers and events as
 * they are committed. Importing it does nothing; it is safe on a server.
 * @import { ClientOptions, Clock, PageLife, Token, WebSocketManager } from './types.js'
 */
import { Connection } from './connection.js';
import { RealtimeError } from './protocol.js';
import { sseTransport } from './transport/sse.js';
import { webSocketTransport } from './transport/ws.js';

export { RealtimeError };

/** @type {WebSocketManager | null} */
let current = null;

/**
 * The page's connection for an owner. The same owner again gets the same
 * manager with the new token; another owner closes the former's.
 * @param {string} ownerId
 * @param {Token} token or a function that brings a fresh one at every dial
 * @param {ClientOptions} [options]
 * @returns {WebSocketManager}
 */
export function initWebSocket(ownerId, token, options = {}) {
  if (current && current.ownerId === String(ownerId) && current.getState().status !== 'closed') {
    current.setToken(token);
    return current;
  }
  current?.close();
  current = createManager(ownerId, token, options);
  return current;
}

/** The manager that `initWebSocket` made. @returns {WebSocketManager} */
export function getWebSocketManager() {
  if (!current) throw new RealtimeError('closed', 'call initWebSocket first');
  return current;
}

/**
 * A manager of one's own, beside the page's.
 * @param {string} ownerId
 * @param {Token} token
 * @param {ClientOptions} [options]
 * @returns {WebSocketManager}
 */
export function createManager(ownerId, token, options = {}) {
  const fetchFunction = options.fetch ?? globalThis.fetch.bind(globalThis);
  return new Connection(String(ownerId), token, {
    baseUrl: options.baseUrl ?? globalThis.location?.origin ?? '',
    fetch: fetchFunction,
    openWebSocket: options.openWebSocket ?? webSocketTransport(),
    openSse: options.openSse ?? sseTransport(fetchFunction),
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
    page: options.page ?? browserPage(),
    storage: options.storage === undefined ? sessionStore() : options.storage,
    log: options.log ?? ((message, detail) => console.warn('hangarshare:', message, detail ?? '')),
  });
}

/** @type {Clock} */
const systemClock = {
  now: () => Date.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (timer) => clearTimeout(/** @type {any} */ (timer)),
};

function sessionStore() {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null; // forbidden by the browser's settings
  }
}

/** The page's own events; outside a browser a page that never hides. @returns {PageLife} */
function browserPage() {
  if (typeof document === 'undefined') {
    return { hidden: () => false, offline: () => false, listen: () => () => {} };
  }
  return {
    hidden: () => document.visibilityState === 'hidden',
    offline: () => !navigator.onLine,
    listen({ online, offline, shown, left, restored }) {
      const stop = new AbortController();
      const { signal } = stop;
      addEventListener('online', online, { signal });
      addEventListener('offline', offline, { signal });
      addEventListener('pagehide', left, { signal });
      addEventListener('pageshow', (event) => {
        if (event.persisted) restored();
      }, { signal });
      document.addEventListener('visibilitychange', () => {
        if (document.visibilityState === 'visible') shown();
      }, { signal });
      return () => stop.abort();
    },
  };
}
