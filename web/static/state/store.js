/**
 * What the dashboard shows, from snapshots and events. Every event carries the
 * whole new state of one thing, so applying it late or twice does no harm.
 * @import * as T from '../shapes.js'
 */
const MAX_NOTICES = 100;

/** @type {T.DashboardState} */
const EMPTY = {
  metrics: null, bookings: [], occupancy: [], listings: null, unread: 0, canUndoClear: false, loaded: false,
  failedParts: { bookings: false, listings: false },
};

export class DashboardStore {
  #state = EMPTY;
  /** @type {Set<() => void>} */
  #listeners = new Set();
  /** When live numbers last came, by the client's clock: a snapshot begun earlier is older. */
  #metricsAt = -Infinity;
  /** Bookings cleared away do not return with the next snapshot. */
  #clearedAt = -Infinity;
  /** @type {Pick<T.DashboardState, 'bookings' | 'occupancy' | 'unread'> & {clearedAt: number} | null} */
  #cleared = null;
  #now;

  /** @param {() => number} [now] */
  constructor(now = Date.now) {
    this.#now = now;
  }

  getState() {
    return this.#state;
  }

  /** @param {() => void} listener */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Follows a manager until the returned function is called. @param {T.WebSocketManager} manager */
  follow(manager) {
    const stops = [
      manager.on('message', (message) => this.apply(message)),
      manager.on('snapshot', (snapshot) => this.applySnapshot(snapshot)),
    ];
    return () => stops.forEach((stop) => stop());
  }

  /** @param {T.Message} message */
  apply(message) {
    switch (message.type) {
      case 'metrics_updated':
        this.#metricsAt = this.#now();
        return this.#set({ metrics: message.data });
      case 'booking_created':
      case 'booking_updated':
      case 'booking_completed':
      case 'revenue_received':
        return this.#set({
          bookings: added(this.#state.bookings.filter((notice) => !replaces(message, notice)), noticeOf(message)),
          unread: this.#state.unread + 1,
        });
      case 'occupancy_changed':
        return this.#set({
          occupancy: added(this.#state.occupancy, noticeOf(message)),
          listings: this.#state.listings?.map((listing) => withOccupancy(listing, message.data)) ?? null,
          unread: this.#state.unread + 1,
        });
    }
  }

  /** @param {T.Snapshot} snapshot */
  applySnapshot(snapshot) {
    const { metrics, bookings, listings, healing, startedAt } = snapshot;
    const known = new Set(this.#state.bookings.map((notice) => bookingId(notice)));
    const seeds = (bookings ?? [])
      .filter((row) => !known.has(row.bookingId) && row.timestamp > this.#clearedAt)
      .map((row) => seedOf(row, !healing));
    const merged = [...this.#state.bookings, ...seeds].sort((a, b) => b.at - a.at).slice(0, MAX_NOTICES);
    this.#set({
      metrics: startedAt >= this.#metricsAt || !this.#state.metrics ? metrics : this.#state.metrics,
      bookings: seeds.length > 0 ? merged : this.#state.bookings,
      listings: listings ?? this.#state.listings,
      unread: this.#state.unread + seeds.filter((seed) => !seed.read).length,
      loaded: true,
      failedParts: { bookings: bookings === null, listings: listings === null },
    });
  }

  /** @param {string} id */
  markRead(id) {
    const { bookings, occupancy, unread } = this.#state;
    if ([...bookings, ...occupancy].some((one) => one.id === id && !one.read)) this.#mark((one) => one.id === id, unread - 1);
  }

  markAllRead() {
    this.#mark(() => true, 0);
  }

  /** @param {(notice: T.Notice) => boolean} chosen @param {number} unread */
  #mark(chosen, unread) {
    /** @param {readonly T.Notice[]} list */
    const mark = (list) => list.map((one) => (one.read || !chosen(one) ? one : { ...one, read: true }));
    this.#set({ bookings: mark(this.#state.bookings), occupancy: mark(this.#state.occupancy), unread: Math.max(0, unread) });
  }

  /** Empties both lists; `undoClear` brings them back, with what came meanwhile on top. */
  clear() {
    const { bookings, occupancy, unread } = this.#state;
    this.#cleared = { bookings, occupancy, unread, clearedAt: this.#clearedAt };
    this.#clearedAt = Math.max(this.#clearedAt, ...bookings.map((notice) => notice.at));
    this.#set({ bookings: [], occupancy: [], unread: 0, canUndoClear: true });
  }

  undoClear() {
    const cleared = this.#cleared;
    if (!cleared) return;
    this.#cleared = null;
    this.#clearedAt = cleared.clearedAt;
    const { bookings, occupancy, unread } = this.#state;
    this.#set({
      bookings: [...bookings, ...cleared.bookings].slice(0, MAX_NOTICES),
      occupancy: [...occupancy, ...cleared.occupancy].slice(0, MAX_NOTICES),
      unread: unread + cleared.unread,
      canUndoClear: false,
    });
  }

  /** The time for second thoughts is over. */
  forgetCleared() {
    this.#cleared = null;
    if (this.#state.canUndoClear) this.#set({ canUndoClear: false });
  }

  /** Another owner: not a byte of the former remains. */
  reset() {
    this.#cleared = null;
    this.#clearedAt = this.#metricsAt = -Infinity;
    this.#set(EMPTY);
  }

  /** @param {Partial<T.DashboardState>} change */
  #set(change) {
    this.#state = Object.freeze({ ...this.#state, ...change });
    for (const listener of [...this.#listeners]) listener();
  }
}

const MAX_STAYS = 2000;

/** @implements {T.AgendaView} */
export class Agenda {
  /** @type {Map<string, T.Stay>} by booking */
  #known = new Map();
  #day = '';
  loaded = false;
  failed = false;

  /** @type {T.AgendaView['apply']} */
  apply = (message, now) => {
    if (!/^booking_/.test(message.type)) return false;
    const booking = /** @type {T.BookingNotification} */ (message.data);
    this.#known.set(booking.bookingId, { booking, at: now });
    if (this.#known.size > MAX_STAYS) {
      this.#known = new Map([...this.#known].filter(([, stay]) => `${stay.booking.checkInDate} ${stay.booking.checkOutDate}`.includes(this.#day)));
    }
    return true;
  };

  /** @type {T.AgendaView['fill']} */
  fill = (bookings, startedAt) => {
    const newer = [...this.#known].filter(([, { at }]) => at >= startedAt);
    this.#known = new Map(bookings.map((booking) => [booking.bookingId, { booking, at: startedAt }]));
    for (const [id, stay] of newer) this.#known.set(id, stay);
    this.loaded = true;
    this.failed = false;
  };

  /** @type {T.AgendaView['on']} */
  on = (day, end) => {
    this.#day = day;
    return [...this.#known.values()].map(({ booking }) => booking)
      .filter((booking) => booking[end].startsWith(day) && !/^(cancelled|deleted)$/.test(booking.status ?? ''))
      .sort((a, b) => a[end].localeCompare(b[end]));
  };
}

/** @param {readonly T.Notice[]} list @param {T.Notice} notice */
function added(list, notice) {
  return [notice, ...list.filter((one) => one.id !== notice.id)].slice(0, MAX_NOTICES);
}

/** @param {Exclude<T.EventMessage, {type: 'metrics_updated'}>} message @returns {T.Notice} */
function noticeOf(message) {
  return { id: message.id, kind: message.type, at: message.timestamp || message.data.timestamp, read: false, data: message.data };
}

/** @param {T.BookingRow} row @param {boolean} read @returns {T.Notice} */
function seedOf(row, read) {
  return { id: `booking:${row.bookingId}`, kind: 'booking', at: row.timestamp, read, data: row };
}

/** A booking that a snapshot brought gives way to its own event. @param {T.Message} message @param {T.Notice} notice */
function replaces(message, notice) {
  return notice.kind === 'booking' && message.type !== 'revenue_received' && 'bookingId' in message.data
    && bookingId(notice) === message.data.bookingId;
}

/** @param {T.Notice} notice */
function bookingId(notice) {
  return /** @type {T.BookingNotification} */ (notice.data).bookingId;
}

/** @param {T.Listing} listing @param {T.OccupancyChange} change @returns {T.Listing} */
function withOccupancy(listing, change) {
  if (listing.hangarId !== change.hangarId) return listing;
  const { isNowOccupied } = change;
  return {
    ...listing,
    isNowOccupied,
    occupant: isNowOccupied ? change.newOccupant ?? '' : '',
    occupiedSpaces: isNowOccupied ? Math.max(1, listing.occupiedSpaces) : 0,
  };
}
