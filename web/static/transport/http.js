/**
 * The transports over plain HTTP: Server-Sent Events, read with fetch so that
 * the token stays in a header and a refusal can be told from a loss; and
 * polling, where no stream gets through either.
 * @import { OpenTransport } from '../types.js'
 */
import { closeCodeOf, getJson, retryAfterMs } from '../snapshot.js';

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

/** @type {OpenTransport} */
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

/** Each wait is random between this and one and a half of it, so that clients do not ask in step. */
const EVERY_MS = 4000;
const TIMEOUT_MS = 10_000;
const PAGE = 100;
/** What counts as silence: several polls. */
const HEARTBEAT_MS = 20_000;

/** @type {OpenTransport} */
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
  /** Whoever holds this transport dials again, and waits longer each time. @param {number} code @param {number} [retryMs] */
  const end = (code, retryMs) => {
    if (abort.signal.aborted) return;
    close();
    closed(code, retryMs);
  };
  void poll();
  return { send: () => false, close };
}
