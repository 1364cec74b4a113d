/**
 * Where a WebSocket does not get through: Server-Sent Events, polling, the choice among them, and
 * the way back. Server-Sent Events are read with fetch, so that the token stays in a header.
 * @import * as T from './internals.js'
 */
import { closeCodeOf, getJson, looksLike, retryAfterMs } from './dial.js';
import { ANSWER_MS, ESTABLISH_MS, HEARTBEAT_MS, METRICS, RealtimeError, parseMessage } from './parts.js';

/** Best first. @type {T.TransportName[]} */
const LADDER = ['websocket', 'sse', 'polling'];
/** So many silent failures in a row, while plain HTTP works, and the next transport is tried. */
const SILENT_FAILURES = 2;
/** A middlebox cuts connections when so many in a row ended early. */
const SHORT_LIVES = 4;
/** A connection that lived this long did not end early. */
const LONG_MS = 60_000;
const PROBE_FIRST_MS = 30_000;
const PROBE_MAX_MS = 300_000;

/**
 * Chooses the transport that is dialled when a middlebox blocks the first: WebSocket, SSE, polling,
 * and back.
 * @type {T.NewFallback}
 */
export function newFallback(core, manager) {
  const { clock, page, load } = core.env;
  let silent = 0;
  /**
   * @type {Partial<Record<T.Mode, number>>} connections that ended early, in a row, by transport
   */
  const earlyEnds = {};
  let probeMs = PROBE_FIRST_MS;
  let probed = 0;
  /** @type {unknown} */
  let timer = null;
  /** @type {T.Link | null} a better transport, tried beside the working one */
  let candidate = null;

  const stop = () => {
    clock.clearTimeout(timer);
    candidate?.transport?.close();
    timer = candidate = null;
  };

  const plan = () => {
    stop();
    timer = clock.setTimeout(() => void probe().catch(failedProbe), probeMs);
  };

  const failedProbe = () => {
    probeMs = Math.min(probeMs * 2, PROBE_MAX_MS);
    plan();
  };

  /**
   * Tries a better transport. The tries alternate among all that are better, the best one first.
   */
  const probe = async () => {
    const current = core.link();
    if (!current?.since || page.hidden()) return plan();
    const step = probed++ % LADDER.indexOf(/** @type {T.TransportName} */ (current.mode));
    const mode = LADDER[step];
    const [token, open] = await Promise.all([core.token.ask(), load.transport(mode)]);
    if (current !== core.link()) return;
    /** @type {T.Link} */
    const link = { ...current, mode, token, transport: null, sentId: core.position.value, since: 0, code: 0, retryMs: null };
    candidate = link;
    timer = clock.setTimeout(failedProbe, ESTABLISH_MS);
    link.transport = open({ ...core.env, ownerId: manager.ownerId, token, lastEventId: link.sentId }, {
      message(text) {
        if (link !== candidate) return core.receive(link, text);
        const parsed = parseMessage(text);
        if ('problem' in parsed || parsed.message.type !== 'connection_established') return;
        candidate = null;
        if (!earlyEnds[mode]) probeMs = PROBE_FIRST_MS;
        core.use(mode, { link, text });
        if (step > 0) plan();
        else stop();
      },
      closed(code, retryMs) {
        if (link === candidate) failedProbe();
        else core.lost(link, code, retryMs);
      },
    });
  };

  /**
   * The next dial is no earlier than the server asked for.
   * @param {T.RealtimeErrorShape} refusal
   */
  const postpone = ({ kind, code, retryAfterMs: ms }) => {
    const { status, nextRetryAt } = manager.getState();
    if (status === 'waiting' && (nextRetryAt ?? Infinity) < clock.now() + ms) core.wait(ms, kind, code);
  };

  /** A refusal is an answer too. One with `Retry-After` postpones the next dial. */
  const plainHttpWorks = async (/** @type {string} */ token) => {
    if (page.offline() || !token) return false;
    const limit = AbortSignal.timeout(ESTABLISH_MS);
    const error = await getJson(core.env, token, '/api/auth/me', limit).then(() => null, (cause) => cause);
    // An aborted request has a code too, and is no answer.
    const refused = error?.name === 'RealtimeError';
    if (error?.retryAfterMs) postpone(error);
    else if (error && !refused) await lookForOrigin(limit);
    return !error || (refused && error.code !== 1013);
  };

  /**
   * A server that answers, but not readably, does not accept this page's origin.
   * @param {AbortSignal} signal
   */
  const lookForOrigin = async (signal) => {
    const { baseUrl, fetch } = core.env;
    const here = globalThis.location?.origin;
    if (!here || new URL(baseUrl).origin === here || manager.getState().status !== 'waiting') return;
    const request = fetch(new URL('/healthz', baseUrl).href, { mode: 'no-cors', cache: 'no-store', signal });
    const answered = await request.then(() => true, () => false);
    const { status, error } = manager.getState();
    if (!answered || status !== 'waiting') return;
    const problem = `${baseUrl} answers, but not to pages of ${here}: is it among its ALLOWED_ORIGINS?`;
    core.set({ error: new RealtimeError('origin', problem, { ...error }) });
  };

  let live = false;
  manager.subscribe(() => {
    const { status, shared, transport } = manager.getState();
    const now = (status === 'live' || status === 'stale') && !shared;
    if (now === live) return;
    live = now;
    if (!live) return stop();
    silent = 0;
    if (transport !== 'websocket') plan();
  });

  return {
    /**
     * A connection ended without a reason after so many milliseconds; 0 when it was never
     * established. When plain HTTP works all the same, the second dial in a row moves to the next
     * transport, and so does the fourth early end.
     */
    async failed({ mode, token }, lived) {
      const next = LADDER[LADDER.indexOf(/** @type {T.TransportName} */ (mode)) + 1];
      const cut = (earlyEnds[mode] = lived >= LONG_MS ? 0 : (earlyEnds[mode] ?? 0) + (lived ? 1 : 0));
      if (lived && cut < SHORT_LIVES) return;
      if (!(await plainHttpWorks(token)) || !next || (!lived && ++silent < SILENT_FAILURES)) return;
      silent = probed = 0;
      // A transport that is cut again and again is probed less and less often.
      probeMs = lived ? Math.min(PROBE_FIRST_MS * 2 ** (cut - SHORT_LIVES), PROBE_MAX_MS) : PROBE_FIRST_MS;
      core.use(next);
    },
  };
}

/** A stream that sends this many characters without ending an event is not ours. */
const MAX_EVENT_CHARS = 1 << 20;

/**
 * Parses the event-stream format (WHATWG HTML §9.2.6) in chunks of any size.
 * @param {(event: {id: string, event: string, data: string}) => void} onEvent
 */
export function sseParser(onEvent) {
  /** @type {string[]} the beginning of a line, in pieces */
  let held = [];
  let heldSize = 0;
  let started = false;
  let id = '';
  let event = '';
  /** @type {string[]} */
  let data = [];
  let size = 0;

  /** @param {string} line */
  const parseLine = (line) => {
    if (line === '') {
      if (data.length > 0) onEvent({ id, event: event || 'message', data: data.join('\n') });
      event = '';
      data = [];
      size = 0;
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') {
      data.push(value);
      size += value.length;
    } else if (field === 'event') event = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
  };

  /** @param {string} chunk */
  return (chunk) => {
    if (chunk === '') return;
    if (!started && chunk[0] === '\uFEFF') chunk = chunk.slice(1);
    started = true;
    if (heldSize + chunk.length + size > MAX_EVENT_CHARS) throw new Error('event too long');
    held.push(chunk);
    heldSize += chunk.length;
    if (!/[\r\n]/.test(chunk) && !(held.at(-2) ?? '').endsWith('\r')) return;
    const text = held.join('');
    let from = 0;
    for (const end of text.matchAll(/\r\n|\n|\r(?!$)/g)) {
      parseLine(text.slice(from, end.index));
      from = end.index + end[0].length;
    }
    held = from < text.length ? [text.slice(from)] : []; // a last \r may be half of \r\n
    heldSize = text.length - from;
  };
}

/** @type {T.OpenTransport} */
export function openSse({ baseUrl, ownerId, token, lastEventId, fetch }, handlers) {
  const url = new URL('/api/sse', baseUrl);
  url.searchParams.set('ownerId', ownerId);
  if (lastEventId) url.searchParams.set('lastEventId', lastEventId);
  const abort = new AbortController();
  let over = false;
  /** @param {number} code @param {number} [retryMs] */
  const end = (code, retryMs) => {
    if (over) return;
    over = true;
    abort.abort();
    handlers.closed(code, retryMs);
  };
  const read = async () => {
    const response = await fetch(url.href, {
      headers: { Accept: 'text/event-stream', Authorization: `Bearer ${token}` }, cache: 'no-store', signal: abort.signal,
    });
    // A refusal of our server is JSON. Any other comes from a middlebox.
    const ours = response.status >= 429 || /json/.test(response.headers.get('Content-Type') ?? '');
    if (!response.ok || !response.body) return end(ours ? closeCodeOf(response.status) : 1006, retryAfterMs(response));
    const parse = sseParser(({ data }) => over || handlers.message(data));
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || over) return end(1006);
      parse(decoder.decode(value, { stream: true }));
    }
  };
  read().catch(() => end(1006));
  return {
    send: () => false,
    close() {
      over = true;
      abort.abort();
    },
  };
}

/** The shortest pause between two polls. The longest is half as long again. */
const EVERY_MS = 4000;
const PAGE = 100;

/** @type {T.OpenTransport} */
export function openPolling({ baseUrl, ownerId, token, lastEventId, fetch, clock, random }, { message, closed }) {
  const abort = new AbortController();
  const path = `/api/owners/${encodeURIComponent(ownerId)}/`;
  let position = lastEventId;
  let established = false;
  let numbers = '';
  let shown = '';
  let counted = '';
  let revision = 0;
  /** @type {unknown} */
  let timer = null;

  /** @param {string} part @param {AbortSignal} signal */
  const get = (part, signal) => getJson({ baseUrl, fetch }, token, path + part, signal);
  /**
   * A message as a stream would bring it. Only the server's own clock gives a timestamp.
   * @param {string} type @param {object} data @param {number} [timestamp]
   */
  const emit = (type, data, timestamp = 0) => message(JSON.stringify({ type, timestamp, ownerId, data }));

  /** The overview, which an older server does not have. @param {AbortSignal} signal */
  const pollOverview = async (signal) => {
    const { body } = await get('overview', signal).catch(() => ({ body: null }));
    const now = JSON.stringify(body);
    if (body?.listingsRevision && now !== shown && !signal.aborted) emit('overview_updated', body);
    shown = now;
  };

  /** The same for notifications: what changed since the last poll. @param {AbortSignal} signal */
  const pollNotifications = async (signal) => {
    const { body } = await get(`notifications?${revision ? `since=${revision}` : 'limit=1'}`, signal).catch(() => ({ body: null }));
    if (typeof body?.revision !== 'number' || signal.aborted) return;
    // Without items the store asks for what it lacks.
    const data = revision && !body.reset ? { ...body, since: revision } : { ...body, since: body.revision, items: [] };
    const now = JSON.stringify({ ...data, since: 0 });
    if (now !== counted) emit('notifications_updated', data);
    counted = now;
    ({ revision } = body);
  };

  /** @param {AbortSignal} signal */
  const ask = async (signal) => {
    if (!position) position = (await get('metrics', signal)).lastEventId;
    for (let more = true; more && !signal.aborted;) {
      const { body } = await get(`events?after=${encodeURIComponent(position)}&limit=${PAGE}`, signal);
      if (signal.aborted) return;
      if (!Array.isArray(body?.events) || typeof body.lastEventId !== 'string') throw new Error('not an answer of ours');
      if (!established) {
        established = true;
        emit('connection_established', {
          ownerId, lastEventId: body.resync ? body.lastEventId : position, recovered: Boolean(lastEventId) && !body.resync,
          heartbeatMs: HEARTBEAT_MS,
        });
      } else if (body.resync) emit('resync', {});
      position = body.lastEventId;
      for (const event of body.events) message(JSON.stringify(event));
      more = body.hasMore;
    }
    const { body, date } = await get('metrics', signal);
    if (signal.aborted) return;
    if (!looksLike(METRICS, body)) throw new Error('not an answer of ours');
    const now = JSON.stringify(body);
    if (now !== numbers) emit('metrics_updated', body);
    numbers = now;
    await Promise.all([pollOverview(signal), pollNotifications(signal)]);
    emit('heartbeat', { lastEventId: position }, date);
  };

  const poll = async () => {
    const limit = clock.setTimeout(() => end(1006), ANSWER_MS);
    try {
      await ask(abort.signal);
      if (!abort.signal.aborted) timer = clock.setTimeout(poll, EVERY_MS * (1 + random() / 2));
    } catch (error) {
      const { cause } = /** @type {{cause?: unknown}} */ (error);
      if (cause && typeof cause === 'object' && 'status' in cause) {
        const response = /** @type {Response} */ (cause);
        end(closeCodeOf(response.status), retryAfterMs(response));
      } else end(1006);
    } finally {
      clock.clearTimeout(limit);
    }
  };
  const close = () => {
    abort.abort();
    clock.clearTimeout(timer);
  };
  /** @param {number} code @param {number} [retryMs] */
  const end = (code, retryMs) => {
    if (abort.signal.aborted) return;
    close();
    closed(code, retryMs);
  };
  void poll();
  return { send: () => false, close };
}
