/**
 * HangarShare Realtime in the browser: an owner's numbers and events as they are committed.
 * Importing it does nothing; it is safe on a server.
 * @import * as T from './internals.js'
 */
import { newConnection } from './connection.js';
import { RealtimeError } from './protocol.js';

export { RealtimeError };

/** @type {T.WebSocketManager | null} */
let current = null;

/** The page's connection: the same owner again gets the new token, another one closes it. @type {typeof T.initWebSocket} */
export function initWebSocket(ownerId, token, options) {
  if (current?.ownerId === String(ownerId) && current.getState().status !== 'closed') current.setToken(token);
  else {
    current?.close();
    current = createManager(ownerId, token, options);
  }
  return current;
}

/** The manager that `initWebSocket` made. @type {typeof T.getWebSocketManager} */
export function getWebSocketManager() {
  if (!current) throw new RealtimeError('closed', 'call initWebSocket first');
  return current;
}

/** A manager of one's own, beside the page's. @type {typeof T.createManager} */
export function createManager(ownerId, token, options = {}) {
  return newConnection(String(ownerId), token, {
    baseUrl: globalThis.location?.origin ?? '',
    fetch: (...request) => fetch(...request),
    clock,
    random: Math.random,
    page,
    storage: sessionStore(),
    share: true,
    log: (problem, detail) => console.warn('hangarshare:', problem, detail ?? ''),
    ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
    load: {
      async transport(mode) {
        if (mode === 'websocket') return options.openWebSocket ?? openWebSocket;
        const http = await import('./fallback.js');
        return mode === 'sse' ? options.openSse ?? http.openSse : options.openPolling ?? http.openPolling;
      },
      snapshot: async (request) => (await import('./snapshot.js')).fetchSnapshot(request),
      fallback: async (inner, manager) => (await import('./fallback.js')).newFallback(inner, manager),
      tabs: async (inner, manager) => (await import('./tabs.js')).newTabs(inner, manager),
    },
  });
}

/** The token travels as a sub-protocol, never in the address. @type {T.OpenTransport} */
function openWebSocket({ baseUrl, ownerId, token, lastEventId }, { message, closed }) {
  const url = new URL(`/api/ws?${new URLSearchParams({ ownerId, ...(lastEventId && { lastEventId }) })}`, baseUrl);
  url.protocol = url.protocol.replace('http', 'ws');
  const socket = new WebSocket(url.href, ['hangarshare.v1', `bearer.${token}`]);
  socket.onmessage = ({ data }) => message(data);
  socket.onclose = ({ code }) => closed(code);
  return {
    send(text) {
      const open = socket.readyState === 1;
      if (open) socket.send(text);
      return open;
    },
    close() {
      socket.onmessage = socket.onclose = null;
      socket.close(1000);
    },
  };
}

/** @type {T.Clock} */
const clock = {
  now: () => Date.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (timer) => clearTimeout(/** @type {any} */ (timer)),
};

const sessionStore = () => {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null; // forbidden by the browser's settings
  }
};

/** Outside a browser a page that never hides. @type {T.PageLife} */
const page = {
  hidden: () => globalThis.document?.visibilityState === 'hidden',
  offline: () => globalThis.navigator?.onLine === false,
  listen({ online, offline, shown, left, restored }) {
    const stop = new AbortController();
    /** @type {Record<string, (event: any) => void>} */
    const listeners = {
      online, offline, pagehide: left,
      pageshow: (event) => event.persisted && restored(),
      visibilitychange: () => page.hidden() || shown(),
    };
    for (const event in listeners) globalThis.addEventListener?.(event, listeners[event], { signal: stop.signal });
    return () => stop.abort();
  },
};
