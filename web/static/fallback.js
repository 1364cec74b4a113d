/**
 * Where a WebSocket does not get through: Server-Sent Events, read with fetch
 * so that the token stays in a header; polling, where no stream does either;
 * and the choice among them, and back.
 * @import * as T from './internals.js'
 */
import { parseMessage } from './protocol.js';
import { closeCodeOf, getJson, retryAfterMs } from './snapshot.js';

/** Best first. @type {T.TransportName[]} */
const LADDER = ['websocket', 'sse', 'polling'];
/** Silent failures, with plain HTTP working, until the next transport is tried. */
const SILENT_FAILURES = 2;
const PROBE_FIRST_MS = 30_000;
const PROBE_MAX_MS = 300_000;
const ESTABLISH_MS = 5000;

/** @type {T.NewFallback} */
export function newFallback(inner, manager) {
  const { clock, page, load } = inner.env;
  let silent = 0;
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

  /** Asks whether a better transport would do by now; the best one every time but one. */
  const probe = async () => {
    const current = inner.link();
    if (!current?.since || page.hidden()) return plan();
    const rung = probed++ % LADDER.indexOf(/** @type {T.TransportName} */ (current.mode));
    const mode = LADDER[rung];
    const [token, open] = await Promise.all([inner.token.ask(), load.transport(mode)]);
    if (current !== inner.link()) return;
    /** @type {T.Link} */
    const link = { ...current, mode, token, transport: null, sentId: inner.position.value, since: 0, code: 0, retryMs: null };
    candidate = link;
    timer = clock.setTimeout(failedProbe, ESTABLISH_MS);
    link.transport = open({ ...inner.env, ownerId: manager.ownerId, token, lastEventId: link.sentId }, {
      message(text) {
        if (link !== candidate) return inner.receive(link, text);
        const parsed = parseMessage(text);
        if ('problem' in parsed || parsed.message.type !== 'connection_established') return;
        candidate = null;
        probeMs = PROBE_FIRST_MS;
        inner.use(mode, { link, text });
        if (rung > 0) plan();
        else stop();
      },
      closed(code, retryMs) {
        if (link === candidate) failedProbe();
        else inner.lost(link, code, retryMs);
      },
    });
  };

  /** A refusal is an answer too. */
  const plainHttpWorks = async (/** @type {string} */ token) => {
    if (page.offline()) return false;
    const error = await getJson(inner.env, token, '/api/auth/me', AbortSignal.timeout(ESTABLISH_MS)).then(() => null, (cause) => cause);
    return !error || (error.code && error.code !== 1013);
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
    async failed({ mode, token }) {
      const next = LADDER[LADDER.indexOf(/** @type {T.TransportName} */ (mode)) + 1];
      if (!next || !(await plainHttpWorks(token)) || ++silent < SILENT_FAILURES) return;
      silent = probed = 0;
      probeMs = PROBE_FIRST_MS;
      inner.use(next);
    },
  };
}

/** A stream that sends this much without ending an event is not ours. */
const MAX_EVENT_CHARS = 1 << 20;

/** Reads the event-stream format in whatever pieces it comes. @param {(event: {id: string, event: string, data: string}) => void} onEvent */
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
  const take = (line) => {
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
      take(text.slice(from, end.index));
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
    // A refusal of ours says so in JSON; another one is of something on the way.
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

/** To one and a half of it, at random. */
const EVERY_MS = 4000;
const TIMEOUT_MS = 10_000;
const PAGE = 100;
const HEARTBEAT_MS = 20_000;

/** @type {T.OpenTransport} */
export function openPolling({ baseUrl, ownerId, token, lastEventId, fetch, clock, random }, { message, closed }) {
  const abort = new AbortController();
  const path = `/api/owners/${encodeURIComponent(ownerId)}/`;
  let position = lastEventId;
  let established = false;
  let numbers = '';
  /** @type {unknown} */
  let timer = null;

  /** @param {string} part @param {AbortSignal} signal */
  const get = (part, signal) => getJson({ baseUrl, fetch }, token, path + part, signal);
  /** @param {string} type @param {object} data */
  const tell = (type, data) => message(JSON.stringify({ type, timestamp: clock.now(), ownerId, data }));

  /** @param {AbortSignal} signal */
  const ask = async (signal) => {
    if (!position) position = (await get('metrics', signal)).lastEventId;
    for (let more = true; more && !signal.aborted;) {
      const { body } = await get(`events?after=${encodeURIComponent(position)}&limit=${PAGE}`, signal);
      if (signal.aborted) return;
      if (!established) {
        established = true;
        tell('connection_established', {
          ownerId, lastEventId: body.resync ? body.lastEventId : position, recovered: Boolean(lastEventId) && !body.resync,
          heartbeatMs: HEARTBEAT_MS,
        });
      } else if (body.resync) tell('resync', {});
      position = body.lastEventId;
      for (const event of body.events) message(JSON.stringify(event));
      more = body.hasMore;
    }
    const { body } = await get('metrics', signal);
    if (signal.aborted) return;
    const now = JSON.stringify(body);
    if (now !== numbers) tell('metrics_updated', body);
    numbers = now;
    tell('heartbeat', { lastEventId: position });
  };

  const poll = async () => {
    const limit = clock.setTimeout(() => end(1006), TIMEOUT_MS);
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
