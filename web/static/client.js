/**
 * HangarShare Realtime in the browser: an owner's numbers and events as they are committed.
 * Importing it does nothing, so a server may import it too.
 * @import * as T from './internals.js'
 */
import { newConnection } from './connection.js';
import { RealtimeError, loadModule, openSocket, systemClock } from './parts.js';

export { RealtimeError };

/**
 * Shared with a second copy of this module on the page. Nothing is kept before the first use.
 * @type {() => {current?: T.WebSocketManager}}
 */
const ofPage = () => (/** @type {any} */ (globalThis)[Symbol.for('hangarshare:page')] ??= {});

/**
 * Makes the page's connection, or returns it. The same owner again gets the new token; another
 * owner closes it first.
 * @type {typeof T.initWebSocket}
 */
export function initWebSocket(ownerId, token, options) {
  const shared = ofPage();
  const { current } = shared;
  if (current?.ownerId === String(ownerId) && current.getState().status !== 'closed') {
    current.setToken(token);
    return current;
  }
  current?.close();
  return (shared.current = createManager(ownerId, token, options));
}

/**
 * The manager that `initWebSocket` made. Throws before that.
 * @type {typeof T.getWebSocketManager}
 */
export function getWebSocketManager() {
  const { current } = ofPage();
  if (!current) throw new RealtimeError('closed', 'call initWebSocket first');
  return current;
}

/** A separate manager beside the page's. @type {typeof T.createManager} */
export function createManager(ownerId, token, options = {}) {
  return newConnection(String(ownerId), token, {
    baseUrl: globalThis.location?.origin ?? '',
    fetch: (...request) => fetch(...request),
    clock: systemClock,
    random: Math.random,
    page,
    storage: sessionStore(),
    share: true,
    log: (problem, detail) => console.warn('hangarshare:', problem, detail ?? ''),
    ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
    load: {
      async transport(mode) {
        if (mode === 'websocket') return options.openWebSocket ?? openWebSocket;
        const http = await moduleOf('fallback');
        return mode === 'sse' ? options.openSse ?? http.openSse : options.openPolling ?? http.openPolling;
      },
      snapshot: async (request) => (await moduleOf('dial')).fetchSnapshot(request),
      fallback: async (core, manager) => (await moduleOf('fallback')).newFallback(core, manager),
      tabs: async (core, manager) => (await moduleOf('dial')).newTabs(core, manager),
      // An outage needs this module, so it is loaded while the network works.
      preload: () => moduleOf('fallback').catch(() => {}),
    },
  });
}

const MODULES = { fallback: () => import('./fallback.js'), dial: () => import('./dial.js') };
/** @type {Record<string, any>} */
const loaded = {};

/**
 * A module that the first moment does not need. One that failed to load is asked for again with the
 * next need.
 * @type {T.ModuleOf<typeof MODULES>}
 */
const moduleOf = (name) => (loaded[name] ??= loadModule(name, /** @type {() => Promise<any>} */ (MODULES[name]))
  .catch((error) => {
    delete loaded[name];
    throw error;
  }));

/** The token is sent as a sub-protocol, never in the address. @type {T.OpenTransport} */
const openWebSocket = (request, handlers) =>
  openSocket(request, ['hangarshare.v1', `bearer.${request.token}`], handlers);

const sessionStore = () => {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null; // forbidden by the browser's settings
  }
};

/** The page's life. Outside a browser it is never hidden. @type {T.PageLife} */
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
