/**
 * Server-Sent Events read with fetch, so that the token stays in a header and a
 * refusal can be told from a lost connection.
 * @import { OpenTransport } from '../types.js'
 */
import { closeCodeOf, retryAfterMs } from '../snapshot.js';

/** A stream that sends this much without ending an event is not ours. */
const MAX_EVENT_CHARS = 1 << 20;

/**
 * An incremental parser of the event-stream format: give it text as it comes,
 * in whatever pieces, and it calls back with each complete event.
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
