/**
 * What a connection is made of: its messages and errors, its clock, its position, its token, its
 * snapshots, its listeners.
 * @import * as T from './internals.js'
 */

/** A dial that no `connection_established` has ended by then is lost. */
export const ESTABLISH_MS = 5000;
/** No question by plain HTTP is waited for longer. */
export const ANSWER_MS = 10_000;
/** How often a server speaks that does not say how often. */
export const HEARTBEAT_MS = 20_000;

/**
 * Close codes of our own: a connection that fell silent or was never established, and a token that
 * did not come.
 */
export const CODE_TIMEOUT = 4999;
export const CODE_TOKEN = 4998;

/** The longest wait that a server may ask for. A browser's timer beyond 24 days fires at once. */
const MAX_RETRY_MS = 3_600_000;

/** A module that has not come by then is asked for at another address, too. */
const LATE_MS = 3000;

/** @template T @param {Promise<T>} loading @param {number} ms @returns {Promise<T>} */
const withLimit = (loading, ms) => Promise.race([loading, new Promise((_, reject) => {
  AbortSignal.timeout(ms).onabort = reject;
})]);

/**
 * Loads a module that the first moment does not need, and waits for it no longer than for an
 * answer. Firefox never fetches a module again that failed once, and no browser gives one up that
 * does not come, so the second try has another address. Our server takes the hash of another
 * version in it. A bundler's address is in the error's text.
 * @template T
 * @param {string} name its path from here, without its ending @param {() => Promise<T>} load
 * @returns {Promise<T>} the first of both tries
 */
export const loadModule = (name, load) => {
  const first = load();
  return withLimit(first, LATE_MS).catch((cause) => {
    const [, served] = /^(https?:.*\/client\/)(?:[0-9a-f]{16}\/)?parts\.js/.exec(import.meta.url) ?? [];
    const [bundled] = /https?:\S+\.m?js/.exec(cause.message) ?? [];
    // A copy of this module, at such an address, does not know how many there were.
    const other = Date.now().toString(16).padStart(16, '0');
    const address = served ? `${served}${other}/${name}.js` : bundled && `${bundled}?retry=${other}`;
    // A bundler with a loader of its own tries again by itself.
    return withLimit(address ? Promise.any([first, import(/* @vite-ignore */ /* webpackIgnore: true */ address)]) : first, ANSWER_MS - LATE_MS);
  });
};

/** A wait in milliseconds that a server asked for, within reason. @param {unknown} ms */
export const bounded = (ms) => Math.min(Math.max(0, Number(ms) || 0), MAX_RETRY_MS);

/** The one class of the client's errors: `kind` is for branching, `message` for a log. */
export class RealtimeError extends Error {
  /** @param {T.ErrorKind} kind @param {string} message @param {T.ErrorFacts} [facts] */
  constructor(kind, message, { code = null, attempt = 0, nextRetryAt = null, retryAfterMs = 0, cause } = {}) {
    super(message, { cause });
    this.name = 'RealtimeError';
    this.kind = kind;
    this.code = code;
    this.attempt = attempt;
    this.nextRetryAt = nextRetryAt;
    this.retryAfterMs = retryAfterMs;
    this.retryable = !/auth|forbidden|closed|aborted/.test(kind);
  }
}

/** @type {Record<number, T.ErrorKind>} */
const KINDS = {
  4400: 'protocol', 4401: 'auth', 4403: 'forbidden', 4408: 'server', 4429: 'limited', [CODE_TIMEOUT]: 'timeout', [CODE_TOKEN]: 'token',
  1001: 'server', 1011: 'server', 1012: 'server', 1013: 'server',
};

/** What the end of a connection means for the next step. @param {number} code */
export const kindOf = (code) => KINDS[code] ?? 'network';

// A shape is also the defaults of what is missing.

/** @type {T.RealTimeMetrics} */
export const METRICS = {
  revenueToday: 0, bookingsToday: 0, occupancyRate: 0, growthPercentage: 0, activeListings: 0, pendingPayouts: 0, nextPayoutDate: '',
};
/** @type {T.Overview} */
export const OVERVIEW = { listingsRevision: '', spaces: { occupied: 0, offered: 0 }, growthBasis: '' };
/** @type {T.NotificationsUpdated} */
export const NOTIFICATIONS = {
  revision: 0, since: 0, unread: 0, unseen: 0, clearedUntil: 0, items: [], more: false,
  readThrough: { id: '', at: '', by: { id: '', name: '' } },
};
const PLACE = { hangarNumber: '', timestamp: 0 };
const BOOKING = {
  ...PLACE, id: '', bookingId: '', guestName: '', amount: 0, duration: 0, checkInDate: '', checkOutDate: '', status: '', previousStatus: '',
};

/** @type {Record<string, object>} */
const SHAPES = {
  booking_created: BOOKING, booking_updated: BOOKING, booking_completed: BOOKING,
  revenue_received: { ...PLACE, bookingId: '', amount: 0, paymentMethod: '' },
  occupancy_changed: { ...PLACE, hangarId: '', isNowOccupied: false, previousOccupant: '', newOccupant: '' },
  metrics_updated: METRICS, overview_updated: OVERVIEW, notifications_updated: NOTIFICATIONS,
  connection_established: {
    ownerId: '', connectionId: '', lastEventId: '', recovered: false, heartbeatMs: HEARTBEAT_MS, serverTime: 0, timezone: '',
  },
  heartbeat: { lastEventId: '' }, server_closing: { retryMs: 1000 }, error: { code: 0, message: '', retryMs: 0 },
  token_expiring: { expiresAt: 0 }, refreshed: { expiresAt: 0 }, resync: { lastEventId: '' }, token_expired: {}, pong: {},
};

/**
 * Unix milliseconds of Unix seconds, milli-, micro- or nanoseconds, or of RFC 3339.
 * @param {unknown} raw @param {number} otherwise
 */
const instant = (raw, otherwise) => {
  let at = Number(raw) || Date.parse(`${raw}`);
  if (!(at > -1e14 && at < 1e20)) return otherwise;
  if (at > 1e8 && at < 1e11) at *= 1000;
  while (at >= 1e14) at /= 1000;
  return Math.floor(at);
};

/**
 * The fields of a shape. One that is missing, or of another type, is as in the shape.
 * A number becomes a text where a text is due.
 * @type {T.ReadShape}
 */
export const read = (shape, raw) => {
  /** @type {any} */
  const result = { ...shape };
  for (const name in result) {
    const otherwise = result[name];
    const value = /** @type {any} */ (raw)?.[name];
    if (name === 'timestamp') result[name] = instant(value, otherwise);
    else if (Array.isArray(otherwise)) result[name] = Array.isArray(value) ? value : otherwise;
    else if (typeof otherwise === 'object') result[name] = read(otherwise, value);
    else if (typeof value === typeof otherwise && Math.abs(value) !== Infinity) result[name] = value;
    else if (otherwise === '' && typeof value === 'number') result[name] = `${value}`;
  }
  return result;
};

/** @template {{id: string, bookingId: string}} B @param {B} booking @returns {B} */
const named = (booking) => ({ ...booking, id: booking.id || booking.bookingId, bookingId: booking.bookingId || booking.id });

/** @param {unknown} raw @returns {T.BookingRow} */
export const readBookingRow = (raw) => named(read({ ...BOOKING, hangarId: '', paymentMethod: '' }, raw));

/**
 * Reads one message. The problem is a short constant, or `unknown type X`, and then the envelope is
 * there all the same. Numbers that a `metrics_updated` lacks are those of `before`. An event
 * without a timestamp happened `now`.
 * @type {T.ParseMessage}
 */
export function parseMessage(source, before = METRICS, now = 0) {
  let raw;
  try {
    raw = JSON.parse(source);
  } catch {
    return { problem: 'invalid JSON' };
  }
  const envelope = read({ id: '', type: '', ownerId: '', timestamp: 0 }, raw);
  const { type } = envelope;
  if (!Object.hasOwn(SHAPES, type)) return { problem: `unknown type ${type.slice(0, 40)}`, envelope };
  const shape = SHAPES[type];
  const timestamp = (envelope.timestamp ||= envelope.id ? now : 0);
  const data = read(shape === METRICS ? before : 'timestamp' in shape ? { ...shape, timestamp } : shape, raw.data);
  return { message: /** @type {any} */ ({ ...envelope, data: shape === BOOKING ? named(/** @type {any} */ (data)) : data }) };
}

/**
 * A WebSocket as a transport.
 * @type {T.OpenSocket}
 */
export function openSocket({ baseUrl, ownerId, lastEventId }, protocols, { message, closed }) {
  const query = new URLSearchParams({ ownerId, ...(lastEventId && { lastEventId }) });
  const url = new URL(`/api/ws?${query}`, baseUrl);
  url.protocol = url.protocol.replace('http', 'ws');
  const socket = new WebSocket(url.href, protocols);
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

/** A connection that held this long ends the backoff. */
export const STABLE_MS = 10_000;

/** The longest wait of a try, counted from 0. @param {number} attempt */
export const ceiling = (attempt) => Math.min(1000 * 2 ** attempt, 60_000);

/** A random wait below that: full jitter. @param {number} attempt @param {() => number} random */
export const delay = (attempt, random) => Math.floor(random() * ceiling(attempt));

/** The clock of a browser and of Node. @type {T.Clock} */
export const systemClock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (timer) => clearTimeout(/** @type {any} */ (timer)),
};

/**
 * The wall clock was set, or the machine slept, when it runs ahead of the monotonic one by this
 * much.
 */
const STEP_MS = 1000;

/**
 * The clock of all durations, in Unix milliseconds. It begins with the wall clock and runs with the
 * monotonic one. It follows the wall clock forward, because the machine may have slept, and never
 * back.
 * @type {T.NewSteadyClock}
 */
export function newSteadyClock(clock = systemClock) {
  /** The wall clock and the monotonic one. */
  const read = () => [clock.now(), clock.monotonic?.() ?? clock.now()];
  let before = read();
  let [time] = before;
  return {
    now() {
      const after = read();
      const [step, ran] = after.map((at, i) => at - before[i]);
      before = after;
      time += step - ran > STEP_MS ? step : Math.max(0, ran);
      return Math.round(time);
    },
    setTimeout: (callback, ms) => clock.setTimeout(callback, ms),
    clearTimeout: (timer) => clock.clearTimeout(timer),
  };
}

/** In missed heartbeats. */
const STALE_AFTER = 1.5;
const DEAD_AFTER = 2.5;
const PROBE_MS = 3000;

/**
 * Whether a connection is still one. Timers stop while a laptop sleeps, and an open socket says
 * nothing.
 * @type {T.NewLiveness}
 */
export function newLiveness(clock, on) {
  let beatMs = 0;
  let receivedAt = 0;
  let tickedAt = 0;
  let stale = false;
  /** @type {unknown} */
  let timer = null;
  /** @type {unknown} */
  let probe = null;

  /**
   * The page was asleep or hidden. What the browser buffered is delivered before a timer of 0 ms
   * fires. Only when there was nothing the server is asked, and has 3 s to answer.
   */
  const wake = () => {
    const before = receivedAt;
    if (timer === null || probe !== null || clock.now() - before < beatMs * STALE_AFTER) return;
    /** @param {number} ms @param {() => void} next */
    const unlessReceived = (ms, next) => {
      probe = clock.setTimeout(() => {
        probe = null;
        if (receivedAt === before) next();
      }, ms);
    };
    unlessReceived(0, () => {
      on.ping();
      unlessReceived(PROBE_MS, on.dead);
    });
  };
  const tick = () => {
    const now = clock.now();
    const slept = now - tickedAt > beatMs * 0.75 + 1000;
    const missed = (now - receivedAt) / beatMs;
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
    /** The server promised to speak this often, in milliseconds. */
    start(heartbeatMs) {
      stop();
      beatMs = Math.max(bounded(heartbeatMs), 100);
      stale = false;
      receivedAt = tickedAt = clock.now();
      timer = clock.setTimeout(tick, beatMs / 4);
    },
    received() {
      receivedAt = clock.now();
      if (stale) on.stale((stale = false));
    },
    wake,
    stop,
  };
}

const LOG_EVERY_MS = 60_000;
const LOG_KINDS = 100;

/**
 * Listeners that cannot harm each other, and a log with at most one line per problem and minute.
 * @type {T.NewEmitter}
 */
export function newEmitter(clock, write) {
  /** @type {Map<string, Set<(value: any) => void>>} */
  const listeners = new Map();
  /** @type {Map<string, number>} */
  const written = new Map();
  return {
    /**
     * The same function twice is two registrations. The returned function ends one of them, however
     * often it is called.
     */
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

/**
 * The id to resume after, and the last 512 ids, so that a repeated event is recognised. Ids are
 * opaque. Storage survives a reload of the page. Where it is forbidden a reload starts at now.
 * @type {T.NewPosition}
 */
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
    /** Empty before the first id. */
    get value() {
      return value;
    },
    /** Moves to an event's id. False when it was seen before, and then nothing moves. */
    accept(id) {
      const fresh = !seen.delete(id);
      seen.add(id);
      if (seen.size > REMEMBERED) seen.delete(seen.values().next().value);
      if (fresh) this.moveTo(id);
      return fresh;
    },
    /** Moves without an event. Empty: the next stream starts at now. */
    moveTo(id) {
      if (id === value) return;
      value = id;
      store(() => (id ? storage?.setItem(key, id) : storage?.removeItem(key)));
    },
  };
}

/**
 * A string, or a function that is asked again at every dial.
 * @type {T.NewTokenSource}
 */
export function newTokenSource(token) {
  /** @type {Promise<string> | null} */
  let asking = null;
  /** An empty token is never sent. @param {unknown} raw @param {T.ErrorKind} kind */
  const present = (raw, kind) => {
    const text = typeof raw === 'string' ? raw.trim() : '';
    if (text) return text;
    throw new RealtimeError(kind, 'there is no token');
  };
  return {
    set(next) {
      token = next;
      asking = null;
    },
    /**
     * One question at a time, for all callers. Throws `auth` for an empty string, `token` for a
     * function without one.
     */
    async ask() {
      if (typeof token !== 'function') return present(token, 'auth');
      const mine = (asking ??= Promise.resolve().then(token).then((raw) => present(raw, 'token')).finally(() => {
        if (asking === mine) asking = null;
      }));
      return mine;
    },
    /** The present question is given up; the next `ask` begins another. */
    forget: () => (asking = null),
  };
}

const MIN_GAP_MS = 10_000;
const JITTER_MS = 1000;

/**
 * One load at a time, at most one per ten seconds after the first, and no more than one waiting.
 * @type {T.NewSnapshotLoader}
 */
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
  /** @type {unknown} */
  let limit = null;

  const clear = () => {
    clock.clearTimeout(timer);
    clock.clearTimeout(limit);
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
  const always = () => true;
  /** Asks for one load soon. `isNeeded` is called when the time comes. */
  const request = (isNeeded = always) => {
    if (wanted !== always) wanted = isNeeded;
    if (timer === null && !running) schedule(loaded ? Math.max(random() * JITTER_MS, startedAt + MIN_GAP_MS - clock.now()) : 0);
  };
  const run = () => {
    clear();
    const abort = (current = new AbortController());
    /** @type {Promise<never>} an aborted load may never settle */
    const late = new Promise((_, reject) => {
      limit = clock.setTimeout(() => {
        abort.abort();
        reject(new RealtimeError('timeout', 'the snapshot did not come'));
      }, ANSWER_MS);
    });
    startedAt = clock.now();
    wanted = null;
    return (running = Promise.race([load(abort.signal), late]).then((snapshot) => {
      if (abort !== current) return;
      clear();
      const healing = loaded;
      running = null;
      failures = 0;
      loaded = true;
      if (wanted) request(wanted);
      on.done({ ...snapshot, healing });
    }, (error) => {
      if (abort !== current) return;
      clear();
      running = null;
      wanted = always;
      const wait = Math.max(bounded(error.retryAfterMs), ceiling(failures++) * (0.5 + random() / 2));
      schedule(wait);
      on.failed(error, clock.now() + wait);
    }));
  };
  return {
    get loaded() {
      return loaded;
    },
    /** True from a request until a snapshot that began after it is there. */
    get pending() {
      return timer !== null || running !== null;
    },
    /** Loads at once for the first paint. Resolves when that ended, well or badly. */
    first: () => running ?? run(),
    request,
    stop() {
      clear();
      current?.abort();
      current = running = wanted = null;
    },
  };
}
