/**
 * The choice of another transport: WebSocket, then a stream, then polling, and back.
 * @import * as T from './internals.js'
 */
import { parseMessage } from './protocol.js';
import { getJson } from './snapshot.js';

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
