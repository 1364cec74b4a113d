/**
 * What a dial needs beside the socket: questions by plain HTTP, what refusals mean, snapshots of an
 * owner's present, and the tabs of this browser, which share one connection.
 * @import * as T from './internals.js'
 */
import { ANSWER_MS, CODE_TIMEOUT, METRICS, OVERVIEW, RealtimeError, bounded, kindOf, read, readBookingRow } from './parts.js';

/** @type {Record<number, number>} */
const CLOSE_CODES = { 400: 4400, 401: 4401, 403: 4403, 404: 4400, 429: 4429 };

/** The close code that says the same as an HTTP status. @param {number} status */
export const closeCodeOf = (status) => CLOSE_CODES[status] ?? (status >= 500 ? 1013 : 1006);

/**
 * `Retry-After` (RFC 9110 §10.2.3) in milliseconds: seconds, or a date by the server's own clock; 0
 * without one.
 * @param {Response} response
 */
export const retryAfterMs = ({ headers }) => {
  const value = headers.get('Retry-After') ?? '';
  if (/^[\d.\s]*$/.test(value)) return bounded(Number(value) * 1000);
  return bounded(Date.parse(value) - (Date.parse(headers.get('Date') ?? '') || Date.now()));
};

/**
 * The answer's JSON, or the answer itself where it is a file, with the position and the server's
 * time of it; `date` is 0 where it may not be read. Throws a RealtimeError for a refusal, with the
 * response as its cause.
 * @type {T.GetJson}
 */
export async function getJson({ baseUrl, fetch }, token, path, signal, init) {
  const response = await fetch(new URL(path, baseUrl).href, {
    headers: { Accept: 'application/json', Authorization: `Bearer ${token}` }, cache: 'no-cache', signal, ...init,
  });
  if (!response.ok) {
    const code = closeCodeOf(response.status);
    const facts = { code, retryAfterMs: retryAfterMs(response), cause: response };
    throw new RealtimeError(kindOf(code), `${path}: HTTP ${response.status}`, facts);
  }
  const { headers } = response;
  return { body: response.status === 204 ? null : /^text\/csv/.test(headers.get('Content-Type') ?? '') ? response : await response.json(), lastEventId: headers.get('Last-Event-ID') ?? '', date: Date.parse(headers.get('Date') ?? '') || 0 };
}

/**
 * Whether an answer is one of ours: at least one field has the type that the shape says.
 * @param {object} shape @param {unknown} raw
 */
export const looksLike = (shape, raw) => Object.entries(shape)
  .some(([name, value]) => typeof value === typeof (/** @type {any} */ (raw)?.[name]) && (typeof value !== 'object' || raw));

const LISTING = {
  hangarId: '', hangarNumber: '', icaoCode: '', aerodromeName: '', city: '', status: '', isAvailable: false, dailyRate: 0,
  totalSpaces: 1, occupiedSpaces: 0, isNowOccupied: false, occupant: '',
};

/** @param {unknown} raw @returns {T.RealTimeMetrics} */
export const readMetrics = (raw) => read(METRICS, raw);

/** @param {unknown} raw @returns {T.Listing} */
export function readListing(raw) {
  const listing = read(LISTING, raw);
  return { ...listing, totalSpaces: Math.max(0, listing.totalSpaces) };
}

/**
 * The rows under a name. Throws where the body has none: it is not an answer of ours.
 * @type {T.ReadRows}
 */
export const readRows = (body, field, readRow) => {
  const found = body?.[field];
  if (!Array.isArray(found)) throw new RealtimeError('server', `an answer without ${field}`);
  return found.filter((row) => row && typeof row === 'object').map(readRow);
};

/**
 * Loads metrics and overview first, and the lists after them. A stream after the metrics' position
 * misses nothing of the lists, and those are no older than the revision.
 * @type {T.FetchSnapshot}
 */
export async function fetchSnapshot({ ownerId, token, clock, signal, ...server }) {
  const startedAt = clock.now();
  /** @param {string} part */
  const get = (part) => getJson(server, token, `/api/owners/${encodeURIComponent(ownerId)}/${part}`, signal);
  /** @type {T.Rows} */
  const rows = (part, field, readRow) => get(part).then(({ body }) => readRows(body, field, readRow)).catch(() => null);
  const [{ body, lastEventId }, told] = await Promise.all([
    get('metrics'), get('overview').then((answer) => answer.body, () => null),
  ]);
  const overview = looksLike({ listingsRevision: '' }, told) ? read(OVERVIEW, told) : null;
  // A middlebox may answer 200 with other JSON. The numbers on the screen stay.
  if (!looksLike(METRICS, body)) throw new RealtimeError('server', 'the answer holds no numbers');
  const [bookings, listings] = await Promise.all([
    rows('bookings?limit=50', 'bookings', readBookingRow), rows('listings', 'listings', readListing),
  ]);
  return {
    metrics: readMetrics(body), bookings, listings, overview, sparklines: told?.sparklines ?? null, listingsRevision: overview?.listingsRevision ?? '', lastEventId, startedAt,
  };
}

/**
 * The questions of an element about its owner, with the newest token.
 * A token that is refused is asked for again.
 * @type {T.NewQuestions}
 */
export function newQuestions(element, tokenOf) {
  let bearer = '';
  const server = () => element.getAttribute('server') || location.origin;
  const ownerId = () => element.getAttribute('owner-id') ?? '';
  const ask = async () => {
    const token = tokenOf();
    return (bearer = (typeof token === 'function' ? await token() : token) ?? '');
  };
  return {
    ask,
    forget() {
      bearer = '';
    },
    async get(part, init) {
      const path = `/api/owners/${encodeURIComponent(ownerId())}/${part}`;
      const origin = { baseUrl: server(), fetch: element.carrier.fetch ?? fetch };
      const request = async () => getJson(origin, bearer || await ask(), path, AbortSignal.timeout(ANSWER_MS), init);
      const { body } = await request().catch((error) => {
        if (error.kind !== 'auth') throw error;
        bearer = '';
        return request();
      });
      return body;
    },
    channel: async () => channelName(server(), ownerId(), bearer || await ask()),
  };
}

/** How often a visible follower asks whether the leader is awake. */
const ASK_MS = 5000;
const LEADER_ANSWER_MS = 3000;
/** A browser that does not say by then whether a lock is free cannot share. */
const LOCK_MS = 3000;
const BUFFERED = 256;
const CATCH_UP = 500;
/** Types that concern the leader's own connection alone. */
const CONNECTION_TYPES = /^(connection_established|token_|refreshed|server_closing|pong|error)/;

/**
 * The channel of the tabs of one server, owner and user. Empty when the token does not say whose it
 * is. It holds a digest of the user, never the token.
 * @type {T.ChannelName}
 */
export async function channelName(baseUrl, ownerId, token) {
  try {
    const claims = JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));
    const user = claims.sub ?? claims.userId ?? claims.id;
    if (user === undefined || user === null) return '';
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(`${claims.iss ?? ''} ${user}`));
    const hex = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    return `hangarshare:${new URL(baseUrl).origin}:${ownerId}:${hex}`;
  } catch {
    return '';
  }
}

/** The newest events of a leader, for tabs that come back. */
export class ReplayBuffer {
  /** @type {T.BufferedEvent[]} */
  #events = [];
  /** The id before the oldest. */
  #base = '';

  /** The stream begins anew after this id. @param {string} base */
  reset(base) {
    this.#events = [];
    this.#base = base;
  }

  /** @param {string} id @param {string} text */
  add(id, text) {
    this.#events.push({ id, text });
    if (this.#events.length > BUFFERED) this.#base = /** @type {T.BufferedEvent} */ (this.#events.shift()).id;
  }

  /**
   * The events after an id; null when the buffer does not reach back to it.
   * @param {string} id
   * @returns {string[] | null}
   */
  after(id) {
    const at = this.#events.findIndex((event) => event.id === id);
    if (!id || (at < 0 && id !== this.#base)) return null;
    return this.#events.slice(at + 1).map((event) => event.text);
  }
}

/** Web Locks and BroadcastChannel, which a secure context has. @returns {T.TabsPlatform | null} */
function browserPlatform() {
  try {
    if (!navigator.locks || !BroadcastChannel) return null;
    return { locks: navigator.locks, openChannel: (name) => new BroadcastChannel(name) };
  } catch {
    return null;
  }
}

/**
 * One connection per browser, owner and user. The tab that holds a Web Lock leads: it alone is
 * connected, and passes on over a BroadcastChannel what it receives. The others wait for the lock,
 * and steal it from a leader that does not answer. No token crosses the channel. Null where the
 * browser cannot share.
 * @type {T.NewTabs}
 */
export function newTabs(core, manager) {
  const { clock, page, baseUrl, random, tabs: platform = browserPlatform() } = core.env;
  if (!platform) return null;
  const { locks, openChannel } = platform;
  const tabId = crypto.randomUUID();
  const buffer = new ReplayBuffer();
  /** Of the channel and of the lock. Empty while this tab does not take part. */
  let name = '';
  let knownToken = '';
  let blocked = false;
  /** @type {ReturnType<T.TabsPlatform['openChannel']> | null} */
  let channel = null;
  let leading = false;
  let generation = 0;
  let release = () => {};
  /** @type {AbortController | null} set while this tab waits for the lock */
  let queued = null;
  /** @type {T.ConnectionEstablished | null} of the leader's connection, while it is up */
  let facts = null;
  let posted = '';
  /** The leader's last `notifications_updated`, for tabs that come later. */
  let notes = '';
  /** @type {T.TransportName | null} of the leader */
  let leaderTransport = null;
  /** @type {(message: T.TabMessage) => void} */
  let follow = () => {};

  /** @param {string} kind @param {Partial<T.TabMessage>} [more] */
  const post = (kind, more) => {
    try {
      channel?.postMessage({ kind, from: tabId, at: clock.now(), ...more });
    } catch {
      channel = null; // the browser closed it
    }
  };

  /**
   * Where site data is blocked the browser refuses locks and channels. Then this tab dials for
   * itself.
   */
  const refuse = () => {
    leave();
    blocked = true;
  };

  const leave = () => {
    generation++;
    queued?.abort();
    queued = null;
    release();
    release = () => {};
    channel?.close();
    channel = facts = null;
    leading = false;
    name = posted = notes = '';
  };

  /**
   * An async function: a lock manager that throws rejects too.
   * @param {LockOptions} options @param {(lock: Lock | null) => unknown} use
   */
  const lockFor = async (options, use) => locks.request(name, options, /** @type {any} */ (use));

  /** @param {LockOptions} options @returns {Promise<boolean>} whether this tab leads now */
  const request = (options) => new Promise((done) => {
    const mine = generation;
    let held = false;
    const giveUp = () => {
      if (mine !== generation || held) return;
      refuse();
      done(false);
    };
    const limit = options.ifAvailable ? clock.setTimeout(giveUp, LOCK_MS) : null;
    lockFor(options, (lock) => {
      clock.clearTimeout(limit);
      if (!lock || mine !== generation || leading || (options.signal && page.hidden())) return done(false);
      held = leading = true;
      if (!options.signal) queued?.abort();
      post('lead');
      done(true);
      return new Promise((end) => (release = () => end(undefined)));
    }).catch(() => {
      clock.clearTimeout(limit);
      if (!held && options.ifAvailable && mine === generation) refuse();
      done(false);
      if (!held || mine !== generation) return;
      leading = false; // stolen: this tab was asleep
      facts = null;
      core.open();
    });
  });

  const dialAsLeader = () => {
    if (leaderTransport && leaderTransport !== 'websocket') core.advise(leaderTransport);
    core.open();
  };

  /** A visible page waits for the lock. */
  const queue = async () => {
    if (queued || leading || !channel || page.hidden()) return;
    const mine = (queued = new AbortController());
    const granted = await request({ signal: mine.signal });
    if (queued === mine) queued = null;
    if (granted) dialAsLeader();
  };

  /** @param {T.TabMessage} message */
  const answer = ({ kind, from, after = '' }) => {
    if (kind === 'ask') return post('alive', { to: from });
    if (kind !== 'hello') return;
    const position = core.position.value;
    const replay = after === position ? [] : buffer.after(after);
    post('welcome', { to: from, state: cloneable(manager.getState()), facts, position, replay, text: notes });
    if (manager.getState().status === 'waiting') manager.reconnect(); // that tab is visible
  };

  manager.subscribe(() => {
    const state = manager.getState();
    const { status, transport, attempt, nextRetryAt } = state;
    const suspended = status === 'waiting' && nextRetryAt === null && !core.link();
    if (suspended || status === 'closed' || status === 'auth_required') return leave();
    if (!leading) return void queue();
    if (status !== 'live' && status !== 'stale') facts = null;
    const now = `${status} ${transport} ${attempt} ${nextRetryAt}`;
    if (now !== posted) post('state', { state: cloneable(state) });
    posted = now;
  });
  manager.on('message', (message) => {
    const { type, id } = message;
    if (type === 'connection_established') {
      if (buffer.after(message.data.lastEventId)?.length !== 0) buffer.reset(message.data.lastEventId);
      if (!leading) return;
      facts = message.data;
      post('up');
    } else if (!CONNECTION_TYPES.test(type)) {
      const text = JSON.stringify(message);
      if (id) buffer.add(id, text);
      if (type === 'notifications_updated') notes = text;
      if (leading) post('say', { text });
    }
  });
  // A type that this version does not know may be one that another tab's version knows.
  /** @type {(event: any, listener: (event: T.BufferedEvent) => void) => void} */ (manager.on)('skipped', ({ id, text }) => {
    buffer.add(id, text);
    if (leading) post('say', { text });
  });
  manager.on('snapshot', ({ healing }) => {
    if (healing) buffer.reset(core.position.value); // events are missing before it
  });

  return {
    /**
     * Takes part as the user of this token. True: this tab dials, because it leads or cannot share.
     */
    async join(token) {
      if (blocked) return true;
      const mine = generation;
      const wanted = name && token === knownToken ? name : await channelName(baseUrl, manager.ownerId, token);
      if (mine !== generation) return true;
      knownToken = token;
      if (wanted !== name) {
        leave();
        name = wanted;
        try {
          channel = name ? openChannel(name) : null;
        } catch {
          refuse();
        }
        if (channel) {
          channel.onmessage = ({ data }) => {
            if (data.to && data.to !== tabId) return;
            if (leading) answer(data);
            else follow(data);
          };
        }
      }
      if (!name || leading) return true;
      if (!(await request({ ifAvailable: true })) && !blocked) void queue();
      return leading || !name;
    },

    open({ ownerId, token, fetch }, handlers) {
      let over = false;
      let sent = '';
      let welcomed = false;
      /** @type {string[] | null} events that arrive while the missed ones are being read */
      let held = null;
      /** @type {unknown} */
      let timer = null;

      const steal = async () => {
        if (page.hidden()) return watch();
        await request({ steal: true });
        if (over) return;
        if (leaderTransport && leaderTransport !== 'websocket') core.advise(leaderTransport);
        handlers.closed(CODE_TIMEOUT);
      };
      /** @param {string} kind @param {Partial<T.TabMessage>} [more] */
      const ask = (kind, more) => {
        post(kind, more);
        clock.clearTimeout(timer);
        timer = clock.setTimeout(() => void steal(), LEADER_ANSWER_MS);
      };
      const watch = () => {
        clock.clearTimeout(timer);
        timer = clock.setTimeout(() => (page.hidden() ? watch() : ask('ask')), ASK_MS * (1 + random() / 2));
      };
      const hello = () => {
        sent = core.position.value;
        welcomed = false;
        held = null;
        ask('hello', { after: sent });
      };
      /** @param {string} type @param {object} data */
      const deliver = (type, data) => handlers.message(JSON.stringify({ type, ownerId, data }));

      /** @param {T.TabMessage} message */
      const establish = async ({ facts: given, position, replay, text: last }) => {
        if (!given) return;
        const after = sent;
        welcomed = true;
        if (!replay && after) {
          /** @type {string[]} */
          const mine = (held = []);
          replay = await readEvents({ baseUrl, fetch }, token, ownerId, after).catch(() => null);
          if (over || held !== mine) return;
        }
        deliver('connection_established', { ...given, lastEventId: replay ? after : position, recovered: Boolean(replay) });
        for (const text of [...(replay ?? []), ...(last ? [last] : []), ...(held ?? [])]) if (!over) handlers.message(text);
        held = null;
      };

      follow = (message) => {
        if (over || !['lead', 'up', 'state', 'alive', 'welcome', 'say'].includes(message.kind)) return;
        watch();
        if (message.state) mirror(message.state, message.at === undefined ? 0 : clock.now() - message.at);
        if (message.kind === 'lead' || message.kind === 'up') hello();
        else if (message.kind === 'alive') deliver('pong', {});
        else if (message.kind === 'welcome') void establish(message);
        else if (message.kind === 'say' && welcomed && message.text) {
          if (!held) handlers.message(message.text);
          else if (held.push(message.text) > CATCH_UP) hello();
        }
      };
      hello();
      return {
        send() {
          ask('ask'); // the only message here is a ping, and the leader's answer proves it alive
          return false;
        },
        close() {
          over = true;
          clock.clearTimeout(timer);
        },
      };
    },
  };

  /**
   * The leader's state becomes this tab's, on this tab's clock.
   * @param {T.ConnectionState} state
   * @param {number} ahead how far this clock is ahead of the leader's, in milliseconds
   */
  function mirror({ status, transport, attempt, nextRetryAt, error }, ahead) {
    const link = core.link();
    if (link?.mode !== 'tab') return;
    leaderTransport = transport ?? leaderTransport;
    if (status !== 'connecting' && status !== 'waiting') return core.set(link.since ? { status, transport } : { transport });
    link.since = 0;
    core.ignoreSilence();
    core.set({
      status, transport, attempt, nextRetryAt: nextRetryAt && nextRetryAt + ahead, judged: true, shared: true,
      error: error && new RealtimeError(error.kind, error.message, error),
    });
  }
}

/**
 * A state that a channel can carry: structured cloning drops the fields of an error.
 * @param {Readonly<T.ConnectionState>} state @returns {T.ConnectionState}
 */
function cloneable(state) {
  const { error } = state;
  return { ...state, snapshotError: null, error: error && { ...error, message: error.message } };
}

/**
 * The events after an id; null when history does not reach back, or they are too many.
 * @type {T.ReadEvents}
 */
async function readEvents(server, token, ownerId, after) {
  /** @type {string[]} */
  const texts = [];
  for (;;) {
    const path = `/api/owners/${encodeURIComponent(ownerId)}/events?after=${encodeURIComponent(after)}&limit=100`;
    const { body } = await getJson(server, token, path, AbortSignal.timeout(ANSWER_MS));
    if (!Array.isArray(body?.events) || body.resync || texts.length > CATCH_UP) return null;
    texts.push(...body.events.map((/** @type {unknown} */ event) => JSON.stringify(event)));
    if (!body.hasMore) return texts;
    after = body.lastEventId;
  }
}
