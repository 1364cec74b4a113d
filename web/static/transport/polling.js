/**
 * Where neither a WebSocket nor a stream gets through: plain requests for what
 * came after the last event, and for the numbers. Speaks like a stream.
 * @import { OpenTransport } from '../types.js'
 */
import { closeCodeOf, getJson, retryAfterMs } from '../snapshot.js';

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
