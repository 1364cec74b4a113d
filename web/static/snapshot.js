/** Snapshots: the present of an owner over plain HTTP. @import * as T from './internals.js' */
import { METRICS, RealtimeError, read, readBookingRow, verdict } from './protocol.js';

const LISTING = {
  hangarId: '', hangarNumber: '', icaoCode: '', aerodromeName: '', city: '', status: '', isAvailable: false, dailyRate: 0,
  totalSpaces: 1, occupiedSpaces: 0, isNowOccupied: false, occupant: '',
};

/** @param {unknown} raw @returns {T.RealTimeMetrics} */
export const readMetrics = (raw) => read(METRICS, raw);

/** @param {unknown} raw @returns {T.Listing} */
export function readListing(raw) {
  const listing = read(LISTING, raw);
  return { ...listing, totalSpaces: Math.max(1, listing.totalSpaces) };
}

/** @type {Record<number, number>} */
const CLOSE_CODES = { 400: 4400, 401: 4401, 403: 4403, 404: 4400, 429: 4429 };

/** The close code that says the same as an HTTP status. @param {number} status */
export const closeCodeOf = (status) => CLOSE_CODES[status] ?? (status >= 500 ? 1013 : 1006);

/** In milliseconds; 0 when it does not say. @param {Response} response */
export const retryAfterMs = (response) => Math.max(0, Number(response.headers.get('Retry-After')) || 0) * 1000;

/** @type {T.GetJson} */
export async function getJson({ baseUrl, fetch }, token, path, signal) {
  const response = await fetch(new URL(path, baseUrl).href, {
    headers: { Accept: 'application/json', Authorization: `Bearer ${token}` }, cache: 'no-store', signal,
  });
  if (!response.ok) {
    const code = closeCodeOf(response.status);
    throw new RealtimeError(verdict(code), `${path}: HTTP ${response.status}`, { code, cause: response });
  }
  return { body: await response.json(), lastEventId: response.headers.get('Last-Event-ID') ?? '' };
}

/** Metrics first: a stream after their position misses nothing of the lists. @type {T.FetchSnapshot} */
export async function fetchSnapshot({ ownerId, token, clock, signal, ...place }) {
  const startedAt = clock.now();
  /** @param {string} part */
  const get = (part) => getJson(place, token, `/api/owners/${encodeURIComponent(ownerId)}/${part}`, signal);
  /** @type {T.Rows} */
  const rows = (part, field, readRow) => get(part).then(({ body }) => body[field].map(readRow)).catch(() => null);
  const { body, lastEventId } = await get('metrics');
  const [bookings, listings] = await Promise.all([
    rows('bookings?limit=50', 'bookings', readBookingRow), rows('listings', 'listings', readListing),
  ]);
  return { metrics: readMetrics(body), bookings, listings, lastEventId, startedAt };
}
