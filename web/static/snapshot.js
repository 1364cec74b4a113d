/**
 * Snapshots: the present of an owner over plain HTTP. One load at a time, at
 * most one per ten seconds after the first, and no more than one waiting.
 * @import { Clock, Snapshot } from './types.js'
 */
import { ceiling } from './backoff.js';
import { RealtimeError, closeCodeOf, readBookingRow, readListing, readMetrics, verdict } from './protocol.js';

const MIN_GAP_MS = 10_000;
const JITTER_MS = 1000;
const TIMEOUT_MS = 10_000;

/**
 * Reads metrics first and lists after: the position that came with the metrics
 * is then the oldest of the three, and a stream after it misses nothing.
 * @param {{baseUrl: string, ownerId: string, token: string, fetch: typeof fetch, now: () => number, signal?: AbortSignal}} request
 * @returns {Promise<Omit<Snapshot, 'healing'>>}
 */
export async function fetchSnapshot({ baseUrl, ownerId, token, fetch, now, signal }) {
  const startedAt = now();
  /** @param {string} part */
  const get = async (part) => {
    const url = new URL(`/api/owners/${encodeURIComponent(ownerId)}/${part}`, baseUrl);
    const response = await fetch(url.href, {
      headers: { Accept: 'application/json', Authorization: `Bearer ${token}` },
      cache: 'no-store',
      signal,
    });
    if (!response.ok) {
      const code = closeCodeOf(response.status);
      throw new RealtimeError(verdict(code), `${part}: HTTP ${response.status}`, { code });
    }
    return { body: await response.json(), lastEventId: response.headers.get('Last-Event-ID') ?? '' };
  };
  const metrics = await get('metrics');
  const [bookings, listings] = await Promise.allSettled([get('bookings?limit=50'), get('listings')]);
  /** @param {PromiseSettledResult<{body: any}>} part @param {string} field @param {(raw: unknown) => any} read */
  const rows = (part, field, read) =>
    part.status === 'fulfilled' && Array.isArray(part.value.body?.[field]) ? part.value.body[field].map(read) : null;
  return {
    metrics: readMetrics(metrics.body),
    bookings: rows(bookings, 'bookings', readBookingRow),
    listings: rows(listings, 'listings', readListing),
    lastEventId: metrics.lastEventId,
    startedAt,
  };
}

export class SnapshotLoader {
  #load;
  #clock;
  #random;
  #done;
  #failed;
  #loaded = false;
  #startedAt = -Infinity;
  #failures = 0;
  /** @type {unknown} */
  #timer = null;
  /** @type {Promise<void> | null} */
  #running = null;
  #again = false;
  #certain = false;
  /** @type {AbortController | null} */
  #abort = null;

  /**
   * @param {(signal: AbortSignal) => Promise<Omit<Snapshot, 'healing'>>} load
   * @param {Clock} clock
   * @param {() => number} random
   * @param {{done: (snapshot: Snapshot) => void, failed: (error: unknown) => void}} handlers
   */
  constructor(load, clock, random, { done, failed }) {
    this.#load = load;
    this.#clock = clock;
    this.#random = random;
    this.#done = done;
    this.#failed = failed;
  }

  get loaded() {
    return this.#loaded;
  }

  /** True from a request until a snapshot that began after it is there. */
  get pending() {
    return this.#timer !== null || this.#running !== null;
  }

  /** Loads at once for the first picture; resolves when that ended, well or badly. */
  first() {
    if (this.#running) return this.#running;
    this.#clear();
    return this.#run();
  }

  /** Asks for one load soon. @param {boolean} certain false for a suspicion that `allay` may take back */
  request(certain) {
    this.#certain ||= certain;
    if (this.#running) {
      this.#again = true;
      return;
    }
    if (this.#timer !== null) return;
    const jitter = this.#loaded ? this.#random() * JITTER_MS : 0;
    const gap = this.#loaded ? this.#startedAt + MIN_GAP_MS - this.#clock.now() : 0;
    this.#schedule(Math.max(jitter, gap));
  }

  /** The suspicion was wrong: a load that has not begun need not begin. */
  allay() {
    if (!this.#certain && this.#loaded && !this.#running) this.#clear();
  }

  stop() {
    this.#clear();
    this.#again = false;
    this.#abort?.abort();
    this.#abort = null;
    this.#running = null;
  }

  /** @param {number} ms */
  #schedule(ms) {
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = null;
      void this.#run();
    }, ms);
  }

  #clear() {
    if (this.#timer !== null) this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
  }

  #run() {
    const abort = new AbortController();
    const limit = this.#clock.setTimeout(() => abort.abort(), TIMEOUT_MS);
    this.#abort = abort;
    this.#startedAt = this.#clock.now();
    this.#again = false;
    this.#certain = false;
    const run = this.#load(abort.signal).then(
      (snapshot) => {
        if (this.#abort !== abort) return;
        const healing = this.#loaded;
        this.#running = this.#abort = null;
        this.#failures = 0;
        this.#loaded = true;
        if (this.#again) this.request(true);
        this.#done({ ...snapshot, healing });
      },
      (error) => {
        if (this.#abort !== abort) return;
        this.#running = this.#abort = null;
        this.#certain = true;
        const wait = ceiling(this.#failures++);
        this.#schedule(wait / 2 + (this.#random() * wait) / 2);
        this.#failed(error);
      },
    ).finally(() => this.#clock.clearTimeout(limit));
    this.#running = run;
    return run;
  }
}
