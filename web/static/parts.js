/** The parts of a connection: its place, its token, its snapshots, its listeners, its sense of time. @import * as T from './internals.js' */

/** A connection that held this long ends the backoff. */
export const STABLE_MS = 10_000;

/** The longest wait of a try, counted from 0. @param {number} attempt */
export const ceiling = (attempt) => Math.min(1000 * 2 ** attempt, 60_000);

/** A random wait below that: full jitter. @param {number} attempt @param {() => number} random */
export const delay = (attempt, random) => Math.floor(random() * ceiling(attempt));

/** In missed heartbeats. */
const STALE_AFTER = 1.5;
const DEAD_AFTER = 2.5;
const PROBE_MS = 3000;

/** @type {T.NewLiveness} */
export function newLiveness(clock, on) {
  let beatMs = 0;
  let heardAt = 0;
  let tickedAt = 0;
  let stale = false;
  /** @type {unknown} */
  let timer = null;
  /** @type {unknown} */
  let probe = null;

  const wake = () => {
    const before = heardAt;
    if (timer === null || probe !== null || clock.now() - before < beatMs * STALE_AFTER) return;
    /** @param {number} ms @param {() => void} next */
    const unlessHeard = (ms, next) => {
      probe = clock.setTimeout(() => {
        probe = null;
        if (heardAt === before) next();
      }, ms);
    };
    unlessHeard(0, () => {
      on.ping();
      unlessHeard(PROBE_MS, on.dead);
    });
  };
  const tick = () => {
    const now = clock.now();
    const slept = now - tickedAt > beatMs * 0.75 + 1000;
    const missed = (now - heardAt) / beatMs;
    tickedAt = now;
    timer = clock.setTimeout(tick, beatMs / 4);
    if (slept) wake();
    else if (probe === null && missed >= DEAD_AFTER) return on.dead();
    if (missed >= STALE_AFTER && !stale) on.stale((stale = true));
  };
  const stop = () => {
    clock.clearTimeout(timer);
    clock.clearTimeout(probe);
    timer = probe = null;
  };
  return {
    start(heartbeatMs) {
      stop();
      beatMs = Math.max(heartbeatMs, 100);
      stale = false;
      heardAt = tickedAt = clock.now();
      timer = clock.setTimeout(tick, beatMs / 4);
    },
    heard() {
      heardAt = clock.now();
      if (stale) on.stale((stale = false));
    },
    wake,
    stop,
  };
}

const LOG_EVERY_MS = 60_000;
const LOG_KINDS = 100;

/** @type {T.NewEmitter} */
export function newEmitter(clock, write) {
  /** @type {Map<string, Set<(value: any) => void>>} */
  const listeners = new Map();
  /** @type {Map<string, number>} */
  const written = new Map();
  return {
    on(event, listener) {
      /** @param {any} value */
      const own = (value) => listener(value);
      const all = listeners.get(event) ?? new Set();
      listeners.set(event, all.add(own));
      return () => void all.delete(own);
    },
    emit(event, value) {
      for (const listener of [...(listeners.get(event) ?? [])]) {
        try {
          listener(value);
        } catch (error) {
          this.log('a listener threw', error);
        }
      }
    },
    log(problem, detail) {
      const now = clock.now();
      if (now - (written.get(problem) ?? 0) < LOG_EVERY_MS) return;
      if (written.size >= LOG_KINDS) written.clear();
      written.set(problem, now);
      write(problem, detail);
    },
    clear: () => listeners.clear(),
  };
}

const REMEMBERED = 512;

/** @type {T.NewPosition} */
export function newPosition(ownerId, storage) {
  const key = `hangarshare:position:${ownerId}`;
  const seen = new Set(); // oldest first
  let value = '';
  const store = (/** @type {() => void} */ use) => {
    try {
      use();
    } catch {
      storage = null;
    }
  };
  store(() => (value = storage?.getItem(key) ?? ''));
  return {
    get value() {
      return value;
    },
    accept(id) {
      const fresh = !seen.delete(id);
      seen.add(id);
      if (seen.size > REMEMBERED) seen.delete(seen.values().next().value);
      if (fresh) this.moveTo(id);
      return fresh;
    },
    moveTo(id) {
      if (id === value) return;
      value = id;
      store(() => (id ? storage?.setItem(key, id) : storage?.removeItem(key)));
    },
  };
}

/** @type {T.NewTokenSource} */
export function newTokenSource(token) {
  /** @type {Promise<string> | null} */
  let asking = null;
  return {
    set(next) {
      token = next;
      asking = null;
    },
    ask() {
      if (typeof token === 'string') return Promise.resolve(token);
      const mine = (asking ??= Promise.resolve().then(token).finally(() => {
        if (asking === mine) asking = null;
      }));
      return mine;
    },
  };
}

const MIN_GAP_MS = 10_000;
const JITTER_MS = 1000;
const TIMEOUT_MS = 10_000;

/** @type {T.NewSnapshotLoader} */
export function newSnapshotLoader(load, clock, random, on) {
  let loaded = false;
  let startedAt = 0;
  let failures = 0;
  /** @type {(() => boolean) | null} */
  let wanted = null;
  /** @type {unknown} */
  let timer = null;
  /** @type {Promise<void> | null} */
  let running = null;
  /** @type {AbortController | null} */
  let current = null;

  const clear = () => {
    clock.clearTimeout(timer);
    timer = null;
  };
  /** @param {number} ms */
  const schedule = (ms) => {
    timer = clock.setTimeout(() => {
      clear();
      if (wanted?.()) void run();
      else wanted = null;
    }, ms);
  };
  const sure = () => true;
  const request = (still = sure) => {
    if (wanted !== sure) wanted = still;
    if (timer === null && !running) schedule(loaded ? Math.max(random() * JITTER_MS, startedAt + MIN_GAP_MS - clock.now()) : 0);
  };
  const run = () => {
    clear();
    const abort = (current = new AbortController());
    const limit = clock.setTimeout(() => abort.abort(), TIMEOUT_MS);
    startedAt = clock.now();
    wanted = null;
    return (running = load(abort.signal).then((snapshot) => {
      if (abort !== current) return;
      const healing = loaded;
      running = null;
      failures = 0;
      loaded = true;
      if (wanted) request(wanted);
      on.done({ ...snapshot, healing });
    }, (error) => {
      if (abort !== current) return;
      running = null;
      wanted = sure;
      schedule(ceiling(failures++) * (0.5 + random() / 2));
      on.failed(error);
    }).finally(() => clock.clearTimeout(limit)));
  };
  return {
    get loaded() {
      return loaded;
    },
    get pending() {
      return timer !== null || running !== null;
    },
    first: () => running ?? run(),
    request,
    stop() {
      clear();
      current?.abort();
      current = running = wanted = null;
    },
  };
}
