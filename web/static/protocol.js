/** The wire: messages in, close codes to verdicts, the one class of error. Pure. @import * as T from './internals.js' */

/** Our own code for a connection that fell silent or never became established. */
export const CODE_TIMEOUT = 4999;

/** An error of the client: `kind` is for branching, `message` for a log. */
export class RealtimeError extends Error {
  /** @param {T.ErrorKind} kind @param {string} message @param {T.ErrorFacts} [facts] */
  constructor(kind, message, { code = null, attempt = 0, nextRetryAt = null, cause } = {}) {
    super(message, { cause });
    this.name = 'RealtimeError';
    this.kind = kind;
    this.code = code;
    this.attempt = attempt;
    this.nextRetryAt = nextRetryAt;
    this.retryable = !['auth', 'forbidden', 'closed', 'aborted'].includes(kind);
  }
}

/** @type {Record<number, T.ErrorKind>} */
const VERDICTS = {
  4400: 'protocol', 4401: 'auth', 4403: 'forbidden', 4408: 'server', 4429: 'limited', [CODE_TIMEOUT]: 'timeout',
  1001: 'server', 1011: 'server', 1012: 'server', 1013: 'server',
};

/** What the end of a connection means for the next step. @param {number} code */
export const verdict = (code) => VERDICTS[code] ?? 'network';

// A shape is also the defaults of what is missing.

/** @type {T.RealTimeMetrics} */
export const METRICS = {
  revenueToday: 0, bookingsToday: 0, occupancyRate: 0, growthPercentage: 0, activeListings: 0, pendingPayouts: 0, nextPayoutDate: '',
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
  metrics_updated: METRICS,
  connection_established: {
    ownerId: '', connectionId: '', lastEventId: '', recovered: false, heartbeatMs: 20_000, serverTime: 0, timezone: '',
  },
  heartbeat: { lastEventId: '' }, server_closing: { retryMs: 1000 }, error: { code: 0, message: '' },
  token_expiring: { expiresAt: 0 }, refreshed: { expiresAt: 0 }, resync: { lastEventId: '' }, token_expired: {}, pong: {},
};

/** Fields as in the shape where missing or of another type. @type {T.ReadShape} */
export const read = (shape, raw) => {
  /** @type {any} */
  const result = { ...shape };
  for (const name in result) {
    const otherwise = result[name];
    const value = /** @type {any} */ (raw)?.[name];
    if (typeof value === typeof otherwise && Math.abs(value) !== Infinity) result[name] = value;
    else if (otherwise === '' && typeof value === 'number') result[name] = `${value}`;
  }
  return result;
};

/** @template {{id: string, bookingId: string}} B @param {B} booking @returns {B} */
const named = (booking) => ({ ...booking, id: booking.id || booking.bookingId, bookingId: booking.bookingId || booking.id });

/** @param {unknown} raw @returns {T.BookingRow} */
export const readBookingRow = (raw) => named(read({ ...BOOKING, hangarId: '', paymentMethod: '' }, raw));

/** @type {T.ParseMessage} */
export function parseMessage(source, before = METRICS) {
  let raw;
  try {
    raw = JSON.parse(source);
  } catch {
    return { problem: 'invalid JSON' };
  }
  const envelope = read({ id: '', type: '', timestamp: 0, ownerId: '' }, raw);
  const { type, timestamp } = envelope;
  if (!Object.hasOwn(SHAPES, type)) return { problem: `unknown type ${type.slice(0, 40)}` };
  const shape = SHAPES[type];
  const data = read(shape === METRICS ? before : 'timestamp' in shape ? { ...shape, timestamp } : shape, raw.data);
  return { message: /** @type {any} */ ({ ...envelope, data: shape === BOOKING ? named(/** @type {any} */ (data)) : data }) };
}
