/**
 * One owner's connection: it dials, resumes, notices loss and heals itself.
 * @import * as T from './internals.js'
 */
import {
  CODE_TIMEOUT, CODE_TOKEN, ESTABLISH_MS, METRICS, RealtimeError, STABLE_MS, bounded, delay, kindOf, newEmitter,
  newLiveness, newPosition, newSnapshotLoader, newSteadyClock, newTokenSource, parseMessage,
} from './parts.js';

/**
 * For the token, whose refresh may need a person's browser, and again for all else before the dial.
 */
const PREPARE_MS = 20_000;
/** The button means another dial when the present one began this long ago. */
const PATIENCE_MS = 3000;
/** When a token that ends soon is asked for again, after the source gave the same one. */
const ASK_AGAIN_MS = 4000;

/** @type {T.NewConnection} */
export function newConnection(ownerId, initialToken, given) {
  const clock = newSteadyClock(given.clock);
  const env = { ...given, clock };
  const { page, random } = env;
  const token = newTokenSource(initialToken);
  const emitter = newEmitter(clock, env.log);
  const position = newPosition(ownerId, env.storage);
  /** @type {Set<(error?: Error) => void>} */
  const waiters = new Set();
  /** @type {T.Link | null} */
  let link = null;
  /** @type {Promise<T.Fallback> | null} */
  let fallback = null;
  /** @type {T.Tabs | null} */
  let tabs = null;
  /** @type {T.TransportName} */
  let mode = 'websocket';
  /** @type {unknown} limits the present dial, or waits for the next one */
  let timer;
  let attempt = 0;
  let refusals = 0;
  /** A token that ended during an established connection. Another dial with it is useless. */
  let outlived = '';
  /** Counters, never clocks, decide which of two facts is newer. */
  let events = 0;
  let metrics = METRICS;
  /** @type {T.Overview | null} */
  let overview = null;
  /** @type {Readonly<T.ConnectionState>} */
  let state = Object.freeze({
    status: 'idle', transport: null, shared: false, attempt, nextRetryAt: null, confirmedAt: null, downSince: null,
    judged: false, offline: page.offline(), timezone: null, error: null, snapshotError: null,
  });

  const loader = newSnapshotLoader(async (signal) => {
    const before = { events, metrics, overview };
    const bearer = link?.token || await token.ask();
    const snapshot = await env.load.snapshot({ ...env, ownerId, token: bearer, signal });
    // What arrived live meanwhile is newer than the snapshot.
    if (before.metrics !== metrics) snapshot.metrics = metrics;
    if (before.overview !== overview) snapshot.overview = overview;
    return { ...snapshot, overtaken: before.events !== events };
  }, clock, random, {
    done(snapshot) {
      ({ metrics } = snapshot);
      overview = snapshot.overview ?? overview;
      if (!position.value || (snapshot.healing && !snapshot.overtaken)) position.moveTo(snapshot.lastEventId);
      if (state.snapshotError) core.set({ snapshotError: null });
      emitter.emit('snapshot', snapshot);
      core.confirm(snapshot.startedAt);
    },
    failed(cause, nextRetryAt) {
      emitter.log('snapshot failed', cause);
      const { kind = 'network', message } = cause;
      core.set({ snapshotError: new RealtimeError(kind, message, { nextRetryAt, cause }) });
    },
  });
  const liveness = newLiveness(clock, {
    stale: (stale) => core.set({ status: stale ? 'stale' : 'live' }),
    dead: () => link && core.lost(link, CODE_TIMEOUT),
    ping: () => manager.send({ type: 'ping' }),
  });

  /** @type {T.Core} */
  const core = {
    env, token, position,
    /** From now on silence says nothing about the connection. */
    ignoreSilence: liveness.stop,
    link: () => link,

    /** Publishes another state. */
    set(change) {
      const next = { ...state, ...change };
      next.downSince = /live|stale|idle/.test(next.status) ? null : state.downSince ?? clock.now();
      state = Object.freeze(next);
      emitter.emit('state');
    },

    /** The numbers were right then, in Unix milliseconds, unless a loss is still being healed. */
    confirm(confirmedAt = clock.now()) {
      if (loader.loaded && !loader.pending) core.set({ confirmedAt });
    },

    /** Ends link and timers in silence. */
    drop() {
      clock.clearTimeout(timer);
      liveness.stop();
      link?.transport?.close();
      link = null;
    },

    /** The page is hidden: no dial until it is shown again. */
    suspend() {
      core.drop();
      core.set({ status: 'waiting', nextRetryAt: null, transport: null });
    },

    /** No further dial without another token. */
    end(status, error) {
      core.drop();
      core.set({ status, nextRetryAt: null, transport: null, judged: true, error });
      for (const settle of waiters) settle(error);
    },

    /**
     * Wake-ups, `online` and a return to the page check a live connection and hasten a waiting one.
     */
    wake(change) {
      core.set(change);
      if (link) return liveness.wake();
      if (state.status !== 'waiting') return;
      attempt = 0;
      core.open();
    },

    /** The only way to a new connection, whatever the cause. It asks for the token again. */
    open() {
      if (state.status === 'closed') return;
      core.drop();
      if (page.hidden()) return core.suspend();
      /** @type {T.Link} */
      const next = (link = { mode, token: '', transport: null, sentId: '', since: 0, code: 0, retryMs: null, begunAt: clock.now() });
      core.set({ status: 'connecting', transport: null, nextRetryAt: null, attempt });
      core.limit(next, PREPARE_MS);
      core.dial(next).catch((cause) => {
        if (next !== link) return;
        emitter.log('dial failed', cause);
        if (cause?.retryable === false) core.end('auth_required', new RealtimeError('auth', 'no token', { cause }));
        // A source without a token is asked once more, like one whose token was refused.
        else if (!next.token) core.lost(next, cause?.kind === 'token' ? 4401 : CODE_TOKEN, cause?.retryAfterMs || 1000);
        else core.lost(next, 1006);
      });
    },

    /** How long this link may take, in milliseconds; 0 for no limit. */
    limit(limited, ms) {
      clock.clearTimeout(timer);
      if (!ms) return;
      timer = clock.setTimeout(() => {
        if (!limited.token) token.forget();
        core.lost(limited, limited.token ? CODE_TIMEOUT : CODE_TOKEN);
      }, ms);
    },

    /**
     * Token, snapshot, tabs, transport: in this order, and only while the link is still the present
     * one.
     */
    async dial(next) {
      const bearer = await token.ask();
      if (next !== link) return;
      next.token = bearer;
      if (bearer === outlived) return core.end('auth_required', new RealtimeError('auth', 'the token has ended'));
      core.limit(next, PREPARE_MS);
      const first = loader.loaded || loader.first();
      if (env.share || mode !== 'websocket') tabs ??= await env.load.tabs(core, manager).catch(() => null);
      if (next === link && tabs && !(await tabs.join(next.token))) next.mode = 'tab';
      // Without a position the stream starts where the snapshot ends. With one it need not wait.
      if (!position.value) await first;
      const following = next.mode === 'tab';
      const open = following ? tabs?.open : await env.load.transport(mode);
      if (next !== link || !open) return;
      core.limit(next, following ? 0 : ESTABLISH_MS);
      next.sentId = position.value;
      next.transport = open({ ...env, ownerId, token: next.token, lastEventId: next.sentId }, {
        message: (text) => core.receive(next, text),
        closed: (code, retryMs) => core.lost(next, code, retryMs),
      });
    },

    /** One message of a transport. Messages of a former link are ignored. */
    receive(from, text) {
      if (from !== link) return;
      const { problem, envelope, message } = parseMessage(text, metrics, clock.now());
      if (problem) emitter.log(problem);
      const head = envelope ?? message;
      if (!head) return;
      liveness.received();
      if (head.ownerId && head.ownerId !== ownerId) return emitter.log('foreign owner');
      if (head.id) events++;
      // A newer server's type is skipped, and the position moves.
      if (!message) return void (head.id && position.accept(head.id) && emitter.emit('skipped', { id: head.id, text }));
      if (!core.handle(from, message)) return;
      emitter.emit(message.type, message);
      emitter.emit('message', message);
      // A message about the end is the end: the close that should follow may never arrive.
      if (from.code) core.lost(from, from.code);
    },

    /** What the connection itself does with a message. Returns whether listeners get it. */
    handle(from, { type, id, data }) {
      if (type === 'connection_established') core.established(from, data);
      else if (type === 'resync') loader.request();
      else if (type === 'token_expiring') void core.refresh(true);
      else if (type === 'token_expired') from.code = 4401;
      else if (type === 'refreshed') from.refreshing = false;
      else if (type === 'server_closing') [from.code, from.retryMs] = [1001, data.retryMs];
      else if (type === 'error') core.handleError(from, data);
      else if (type === 'metrics_updated') metrics = data;
      else if (type === 'overview_updated') overview = data;
      else if (type === 'heartbeat' && data.lastEventId !== position.value) loader.request(() => data.lastEventId !== position.value);
      if (id || /heart|metrics/.test(type)) core.confirm();
      return !id || position.accept(id);
    },

    /** An `error` message announces the close code and the wait. */
    handleError(from, { code, retryMs }) {
      if (retryMs) from.retryMs = retryMs;
      // A WebSocket is also told of messages that the server did not understand. They end nothing.
      const remark = from.mode === 'websocket' && /network|protocol/.test(kindOf(code));
      // A refused refresh may succeed with another token.
      if (!remark) from.code = code === 4403 && from.refreshing ? 4401 : code;
    },

    /** The first message of a stream. Only now the client counts as connected. */
    established(from, { lastEventId, recovered, heartbeatMs, timezone }) {
      const shared = from.mode === 'tab';
      core.limit(from, 0);
      from.since = clock.now();
      if (lastEventId) position.moveTo(lastEventId);
      if (!from.sentId || !recovered) loader.request();
      liveness.start(heartbeatMs);
      core.set({
        status: 'live', judged: true, nextRetryAt: null, error: null, offline: false, timezone: timezone || state.timezone,
        shared, transport: shared ? state.transport : mode,
      });
      outlived = '';
      env.load.preload();
      core.confirm();
      for (const settle of waiters) settle();
    },

    /** A connection ended, or never came to be. Decides whether and when to dial again. */
    lost(from, code, retryAfterMs = 0) {
      if (from !== link) return;
      const lived = from.since && Math.max(1, clock.now() - from.since);
      if (lived >= STABLE_MS) attempt = refusals = 0;
      if (from.code >= 1000 && code < 4000) code = from.code;
      core.drop();
      if (from.mode === 'tab') return core.open();
      const kind = kindOf(code);
      if (kind === 'forbidden' || (kind === 'auth' && ++refusals > 1)) {
        return core.end('auth_required', new RealtimeError(kind, `refused (${code})`, { code }));
      }
      if (kind === 'auth' && lived) outlived = from.token;
      if (kind === 'protocol') position.moveTo('');
      if (kind === 'limited') attempt = Math.max(attempt, 4);
      let wait = bounded(retryAfterMs);
      if (from.retryMs !== null) wait = Math.floor(random() * bounded(from.retryMs));
      else if (kind !== 'auth') wait = Math.max(wait, delay(attempt++, random));
      core.wait(wait, kind, code);
      // It ended without a reason: a middlebox may block the transport.
      if (kind === 'network' || kind === 'timeout') core.advise().then((advice) => advice?.failed(from, lived));
    },

    /** Dials again after so many milliseconds. */
    wait(ms, kind, code) {
      const nextRetryAt = clock.now() + ms;
      const error = new RealtimeError(kind, `connection lost (${code})`, { code, attempt, nextRetryAt });
      clock.clearTimeout(timer);
      timer = clock.setTimeout(core.open, ms);
      core.set({ status: 'waiting', nextRetryAt, attempt, judged: true, error, transport: null });
    },

    /** Loads the choice of transports. From now on this one is dialled. */
    advise(next = mode) {
      mode = next;
      return (fallback ??= env.load.fallback(core, manager)).catch(() => (fallback = null));
    },

    /**
     * Brings a new token to a live connection, in band where the transport can. `expiring`: asks
     * until there is one.
     */
    async refresh(expiring) {
      const from = link;
      const fresh = await token.ask().catch((error) => emitter.log('token refresh failed', error));
      if (!from || from !== link) return;
      if (!fresh || fresh === from.token) {
        // Some providers return a cached token almost to its end. The server waits a little beyond
        // the end.
        if (expiring) timer = clock.setTimeout(() => core.refresh(true), ASK_AGAIN_MS);
        return;
      }
      from.token = fresh;
      from.refreshing = true;
      if ((tabs && !(await tabs.join(fresh))) || !manager.send({ type: 'refresh', token: fresh })) core.open();
    },

    /** Another transport from now on: dials it, or adopts a link that this message established. */
    use(next, found) {
      mode = next;
      if (!found) return void (state.status === 'waiting' && core.open());
      core.drop();
      link = found.link;
      core.receive(link, found.text);
    },
  };

  const unlisten = page.listen({
    online: () => core.wake({ offline: false }),
    offline() {
      core.set({ offline: true });
      liveness.wake();
    },
    shown: core.wake,
    restored: core.wake,
    left: () => /live|stale|ing/.test(state.status) && core.suspend(),
  });

  /** @type {T.WebSocketManager} */
  const manager = {
    ownerId,
    connect: ({ signal } = {}) => new Promise((resolve, reject) => {
      /** @param {Error} [error] */
      const settle = (error) => {
        waiters.delete(settle);
        signal?.removeEventListener('abort', abort);
        error ? reject(error) : resolve();
      };
      const abort = () => settle(new RealtimeError('aborted', 'aborted'));
      const { status, error } = state;
      if (status === 'closed') return settle(error ?? undefined);
      if (signal?.aborted) return abort();
      if (link?.since) return settle();
      waiters.add(settle);
      signal?.addEventListener('abort', abort);
      if (/idle|auth/.test(status)) core.open();
    }),
    on: emitter.on,
    subscribe: (listener) => emitter.on('state', listener),
    getState: () => state,
    now: clock.now,
    send: (message) => (link?.since && link.transport?.send(JSON.stringify(message))) || false,
    close() {
      if (state.status === 'closed') return;
      loader.stop();
      unlisten();
      core.end('closed', new RealtimeError('closed', 'closed'));
      emitter.clear();
    },
    reconnect() {
      attempt = refusals = 0;
      // Already dialling: ten clicks, one socket.
      if (link && !link.since && link.mode !== 'tab' && clock.now() - link.begunAt < PATIENCE_MS) return;
      if (!link?.token) token.forget();
      outlived = '';
      core.open();
    },
    setToken(next) {
      token.set(next);
      refusals = 0;
      outlived = '';
      if (link?.since) void core.refresh();
      else if (/waiting|auth/.test(state.status) || (link && !link.token)) core.open();
    },
  };
  return manager;
}
