/** One owner's connection: it dials, resumes, notices loss and heals itself. @import * as T from './internals.js' */
import { STABLE_MS, delay, newEmitter, newLiveness, newPosition, newSnapshotLoader, newTokenSource } from './parts.js';
import { CODE_TIMEOUT, METRICS, RealtimeError, parseMessage, verdict } from './protocol.js';

const ESTABLISH_MS = 5000;
/** Token and first snapshot together; a token callback may ask a person's browser to refresh. */
const PREPARE_MS = 20_000;

/** @type {T.NewConnection} */
export function newConnection(ownerId, initialToken, env) {
  const { clock, page, random } = env;
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
  /** @type {unknown} of the dial, or until the next */
  let timer;
  let attempt = 0;
  let refusals = 0;
  let eventAt = 0;
  let metrics = METRICS;
  /** @type {Readonly<T.ConnectionState>} */
  let state = Object.freeze({
    status: 'idle', transport: null, shared: false, attempt, nextRetryAt: null, confirmedAt: null, downSince: null,
    judged: false, offline: page.offline(), timezone: null, error: null,
  });

  const loader = newSnapshotLoader(async (signal) => env.load.snapshot({ ...env, ownerId, token: await token.ask(), signal }), clock, random, {
    done(snapshot) {
      // An event that came meanwhile is newer than what the snapshot's id says.
      const overtaken = eventAt >= snapshot.startedAt;
      if (!overtaken) metrics = snapshot.metrics;
      if (!position.value || (snapshot.healing && !overtaken)) position.moveTo(snapshot.lastEventId);
      emitter.emit('snapshot', snapshot);
      self.confirm(snapshot.startedAt);
    },
    failed: (error) => emitter.log('snapshot failed', error),
  });
  const liveness = newLiveness(clock, {
    stale: (stale) => self.set({ status: stale ? 'stale' : 'live' }),
    dead: () => link && self.lost(link, CODE_TIMEOUT),
    ping: () => manager.send({ type: 'ping' }),
  });

  /** @type {T.Insides} */
  const self = {
    env, token, position, rest: liveness.stop,
    link: () => link,

    set(change) {
      const next = { ...state, ...change };
      next.downSince = /live|stale|idle/.test(next.status) ? null : state.downSince ?? clock.now();
      state = Object.freeze(next);
      emitter.emit('state');
    },

    confirm(confirmedAt = clock.now()) {
      if (loader.loaded && !loader.pending) self.set({ confirmedAt });
    },

    drop() {
      clock.clearTimeout(timer);
      liveness.stop();
      link?.transport?.close();
      link = null;
    },

    park() {
      self.drop();
      self.set({ status: 'waiting', nextRetryAt: null, transport: null });
    },

    end(status, error) {
      self.drop();
      self.set({ status, nextRetryAt: null, transport: null, judged: true, error });
      for (const settle of waiters) settle(error);
    },

    look(change) {
      self.set(change);
      if (link) return liveness.wake();
      if (state.status !== 'waiting') return;
      attempt = 0;
      self.open();
    },

    open() {
      if (state.status === 'closed') return;
      self.drop();
      if (page.hidden()) return self.park();
      /** @type {T.Link} */
      const next = (link = { mode, token: '', transport: null, sentId: '', since: 0, code: 0, retryMs: null });
      self.set({ status: 'connecting', transport: null, nextRetryAt: null, attempt });
      self.limit(next, PREPARE_MS);
      self.dial(next).catch((cause) => {
        if (next !== link) return;
        emitter.log('dial failed', cause);
        if (cause?.retryable === false) self.end('auth_required', new RealtimeError('auth', 'no token', { cause }));
        else self.lost(next, 1006);
      });
    },

    limit(limited, ms) {
      clock.clearTimeout(timer);
      if (ms) timer = clock.setTimeout(() => self.lost(limited, CODE_TIMEOUT), ms);
    },

    async dial(next) {
      next.token = await token.ask();
      if (next !== link) return;
      const first = loader.loaded || loader.first();
      if (env.share || mode !== 'websocket') tabs ??= await env.load.tabs(self, manager).catch(() => null);
      if (next === link && tabs && !(await tabs.join(next.token))) next.mode = 'tab';
      // With a position the stream need not wait for the picture; without one it starts where the picture ends.
      if (!position.value) await first;
      const following = next.mode === 'tab';
      const open = following ? tabs?.open : await env.load.transport(mode);
      if (next !== link || !open) return;
      self.limit(next, following ? 0 : ESTABLISH_MS);
      next.sentId = position.value;
      next.transport = open({ ...env, ownerId, token: next.token, lastEventId: next.sentId }, {
        message: (text) => self.receive(next, text),
        closed: (code, retryMs) => self.lost(next, code, retryMs),
      });
    },

    receive(from, text) {
      if (from !== link) return;
      const parsed = parseMessage(text, metrics);
      if ('problem' in parsed) return emitter.log(parsed.problem);
      const { message } = parsed;
      liveness.heard();
      if (message.ownerId && message.ownerId !== ownerId) return emitter.log('foreign owner');
      if (!self.handle(from, message)) return;
      emitter.emit(message.type, message);
      emitter.emit('message', message);
    },

    handle(from, { type, id, data }) {
      if (type === 'connection_established') self.established(from, data);
      else if (type === 'resync') loader.request();
      else if (type === 'token_expiring') void self.refresh();
      else if (type === 'server_closing') from.retryMs = data.retryMs;
      else if (type === 'error') from.code = data.code; // the end of an SSE stream has no close code of its own
      else if (type === 'metrics_updated') metrics = data;
      else if (type === 'heartbeat' && data.lastEventId !== position.value) loader.request(() => data.lastEventId !== position.value);
      if (id || type === 'heartbeat' || type === 'metrics_updated') self.confirm();
      if (!id) return true;
      eventAt = clock.now();
      return position.accept(id);
    },

    established(from, { lastEventId, recovered, heartbeatMs, timezone }) {
      const shared = from.mode === 'tab';
      self.limit(from, 0);
      from.since = clock.now();
      if (lastEventId) position.moveTo(lastEventId);
      if (!from.sentId || !recovered) loader.request();
      liveness.start(heartbeatMs);
      self.set({
        status: 'live', judged: true, nextRetryAt: null, error: null, offline: false, timezone: timezone || state.timezone,
        shared, transport: shared ? state.transport : mode,
      });
      self.confirm();
      for (const settle of waiters) settle();
    },

    lost(from, code, retryAfterMs = 0) {
      if (from !== link) return;
      const now = clock.now();
      if (from.since && now - from.since >= STABLE_MS) attempt = refusals = 0;
      if (from.code >= 1000 && code < 4000) code = from.code;
      self.drop();
      if (from.mode === 'tab') return self.open();
      const kind = verdict(code);
      if (kind === 'forbidden' || (kind === 'auth' && ++refusals > 1)) {
        return self.end('auth_required', new RealtimeError(kind, `refused (${code})`, { code }));
      }
      if (kind === 'protocol') position.moveTo('');
      if (kind === 'limited') attempt = Math.max(attempt, 4);
      let wait = 0;
      if (from.retryMs !== null) wait = Math.floor(random() * from.retryMs);
      else if (kind !== 'auth') wait = Math.max(retryAfterMs, delay(attempt++, random));
      const nextRetryAt = now + wait;
      const error = new RealtimeError(kind, `connection lost (${code})`, { code, attempt, nextRetryAt });
      timer = clock.setTimeout(self.open, wait);
      self.set({ status: 'waiting', nextRetryAt, attempt, judged: true, error, transport: null });
      if (from.since || (kind !== 'network' && kind !== 'timeout')) return;
      // Without a word: something on the way may dislike the transport.
      self.advise().then((advice) => advice?.failed(from));
    },

    advise(next = mode) {
      mode = next;
      return (fallback ??= env.load.fallback(self, manager)).catch(() => (fallback = null));
    },

    async refresh() {
      const from = link;
      try {
        const fresh = await token.ask();
        if (!from || from !== link || fresh === from.token) return;
        from.token = fresh;
        if ((tabs && !(await tabs.join(fresh))) || !manager.send({ type: 'refresh', token: fresh })) self.open();
      } catch (error) {
        emitter.log('token refresh failed', error); // the server will end the connection; the door asks again
      }
    },

    use(next, found) {
      mode = next;
      if (!found) return void (state.status === 'waiting' && self.open());
      self.drop();
      link = found.link;
      self.receive(link, found.text);
    },
  };

  const unlisten = page.listen({
    online: () => self.look({ offline: false }),
    offline() {
      self.set({ offline: true });
      liveness.wake();
    },
    shown: () => self.look(),
    restored: () => self.look(),
    left: () => /live|stale|ing/.test(state.status) && self.park(),
  });

  /** @type {T.WebSocketManager} */
  const manager = {
    ownerId,
    connect: ({ signal } = {}) => new Promise((resolve, reject) => {
      /** @param {Error} [error] */
      const settle = (error) => {
        waiters.delete(settle);
        signal?.removeEventListener('abort', abort);
        if (error) reject(error);
        else resolve();
      };
      const abort = () => settle(new RealtimeError('aborted', 'connect was aborted'));
      const { status, error } = state;
      if (status === 'closed') return settle(error ?? undefined);
      if (signal?.aborted) return abort();
      if (link?.since) return settle();
      waiters.add(settle);
      signal?.addEventListener('abort', abort);
      if (status === 'idle' || status === 'auth_required') self.open();
    }),
    on: emitter.on,
    subscribe: (listener) => emitter.on('state', listener),
    getState: () => state,
    send: (message) => (link?.since && link.transport?.send(JSON.stringify(message))) || false,
    close() {
      if (state.status === 'closed') return;
      loader.stop();
      unlisten();
      self.end('closed', new RealtimeError('closed', 'the client was closed'));
      emitter.clear();
    },
    reconnect() {
      attempt = refusals = 0;
      if (link && !link.since && link.mode !== 'tab') return; // already dialling: ten clicks, one socket
      self.open();
    },
    setToken(next) {
      token.set(next);
      refusals = 0;
      if (link?.since) void self.refresh();
      else if (/waiting|auth/.test(state.status)) self.open();
    },
  };
  return manager;
}
