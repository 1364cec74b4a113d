/**
 * The wire: messages in, close codes to verdicts, and the one class of error.
 * Pure; knows nothing of sockets, time or the page.
 * @import { ErrorKind, Message, BookingNotification, BookingRow, Listing, OccupancyChange, RealTimeMetrics, RealtimeErrorShape } from './types.js'
 */

export const SUBPROTOCOL = 'hangarshare.v1';

/** Our own code for a connection that fell silent or never became established. */
export const CODE_TIMEOUT = 4999;

/** An error of the client. `kind` is for branching, `message` for a log. @implements {RealtimeErrorShape} */
export class RealtimeError extends Error {
  /**
   * @param {ErrorKind} kind
   * @param {string} message
   * @param {{code?: number | null, attempt?: number, nextRetryAt?: number | null, cause?: unknown}} [more]
   */
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

/**
 * What the end of a connection means for the next step.
 * @param {number} code
 * @returns {ErrorKind}
 */
export function verdict(code) {
  switch (code) {
    case 4401: return 'auth';
    case 4403: return 'forbidden';
    case 4400: return 'protocol';
    case 4429: return 'limited';
    case CODE_TIMEOUT: return 'timeout';
    case 1001: case 1011: case 1012: case 1013: case 4408: return 'server';
    default: return 'network';
  }
}

/** @param {number} status an HTTP status @returns {number} the close code that says the same */
export function closeCodeOf(status) {
  if (status === 400 || status === 404) return 4400;
  if (status === 401) return 4401;
  if (status === 403) return 4403;
  if (status === 429) return 4429;
  return status >= 500 ? 1013 : 1006;
}

/** @param {unknown} v @returns {Record<string, any>} */
const object = (v) => (typeof v === 'object' && v !== null && !Array.isArray(v) ? v : {});
/** @param {unknown} v */
const text = (v) => (typeof v === 'string' ? v : typeof v === 'number' ? String(v) : '');
/** @param {unknown} v @param {number} [otherwise] */
const number = (v, otherwise = 0) => (typeof v === 'number' && Number.isFinite(v) ? v : otherwise);

/** Missing numbers are 0, a missing date is empty. @param {unknown} raw @returns {RealTimeMetrics} */
export function readMetrics(raw) {
  const d = object(raw);
  return {
    revenueToday: number(d.revenueToday),
    bookingsToday: number(d.bookingsToday),
    occupancyRate: number(d.occupancyRate),
    growthPercentage: number(d.growthPercentage),
    activeListings: number(d.activeListings),
    pendingPayouts: number(d.pendingPayouts),
    nextPayoutDate: text(d.nextPayoutDate),
  };
}

/** @param {unknown} raw @param {number} timestamp @returns {BookingNotification} */
function readBooking(raw, timestamp) {
  const d = object(raw);
  return {
    id: text(d.id) || text(d.bookingId),
    bookingId: text(d.bookingId) || text(d.id),
    hangarNumber: text(d.hangarNumber),
    guestName: text(d.guestName),
    amount: number(d.amount),
    duration: number(d.duration),
    checkInDate: text(d.checkInDate),
    checkOutDate: text(d.checkOutDate),
    timestamp: number(d.timestamp, timestamp),
    status: text(d.status),
    previousStatus: text(d.previousStatus),
  };
}

/** @param {unknown} raw @returns {BookingRow} */
export function readBookingRow(raw) {
  const d = object(raw);
  return {
    ...readBooking(raw, 0),
    hangarId: text(d.hangarId),
    status: text(d.status),
    paymentMethod: text(d.paymentMethod),
  };
}

/** @param {unknown} raw @returns {Listing} */
export function readListing(raw) {
  const d = object(raw);
  return {
    hangarId: text(d.hangarId),
    hangarNumber: text(d.hangarNumber),
    icaoCode: text(d.icaoCode),
    aerodromeName: text(d.aerodromeName),
    city: text(d.city),
    status: text(d.status),
    isAvailable: d.isAvailable === true,
    dailyRate: number(d.dailyRate),
    totalSpaces: Math.max(1, number(d.totalSpaces, 1)),
    occupiedSpaces: number(d.occupiedSpaces),
    isNowOccupied: d.isNowOccupied === true,
    occupant: text(d.occupant),
  };
}

/** @param {unknown} raw @param {number} timestamp @returns {OccupancyChange} */
function readOccupancy(raw, timestamp) {
  const d = object(raw);
  return {
    hangarId: text(d.hangarId),
    hangarNumber: text(d.hangarNumber),
    isNowOccupied: d.isNowOccupied === true,
    previousOccupant: text(d.previousOccupant),
    newOccupant: text(d.newOccupant),
    timestamp: number(d.timestamp, timestamp),
  };
}

/** How the data of each known type is read. @type {Record<string, (raw: unknown, timestamp: number) => any>} */
const READERS = {
  booking_created: readBooking,
  booking_updated: readBooking,
  booking_completed: readBooking,
  revenue_received(raw, timestamp) {
    const d = object(raw);
    return {
      bookingId: text(d.bookingId),
      hangarNumber: text(d.hangarNumber),
      amount: number(d.amount),
      paymentMethod: text(d.paymentMethod),
      timestamp: number(d.timestamp, timestamp),
    };
  },
  occupancy_changed: readOccupancy,
  metrics_updated: readMetrics,
  connection_established(raw) {
    const d = object(raw);
    return {
      ownerId: text(d.ownerId),
      connectionId: text(d.connectionId),
      lastEventId: text(d.lastEventId),
      recovered: d.recovered === true,
      heartbeatMs: number(d.heartbeatMs, 20_000),
      serverTime: number(d.serverTime),
      timezone: text(d.timezone),
    };
  },
  heartbeat: (raw) => ({ lastEventId: text(object(raw).lastEventId) }),
  resync: object,
  token_expiring: object,
  refreshed: object,
  token_expired: object,
  server_closing: (raw) => ({ retryMs: number(object(raw).retryMs, 1000) }),
  pong: object,
  error(raw) {
    const d = object(raw);
    return { code: typeof d.code === 'number' ? d.code : text(d.code), message: text(d.message) };
  },
};

/**
 * Reads one message; what it lacks gets the defaults above.
 * @param {string} source
 * @returns {{message: Message} | {problem: string}} the problem is a short constant, or `unknown type X`
 */
export function parseMessage(source) {
  let raw;
  try {
    raw = JSON.parse(source);
  } catch {
    return { problem: 'invalid JSON' };
  }
  const envelope = object(raw);
  const type = text(envelope.type);
  if (!Object.hasOwn(READERS, type)) return { problem: `unknown type ${type.slice(0, 40)}` };
  const timestamp = number(envelope.timestamp);
  return {
    message: {
      id: text(envelope.id),
      type: /** @type {any} */ (type),
      timestamp,
      ownerId: text(envelope.ownerId),
      data: READERS[type](envelope.data, timestamp),
    },
  };
}
