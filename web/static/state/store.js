/**
 * What the dashboard shows, from snapshots and events. Every event carries the whole new state of
 * one thing, so applying it late or twice does no harm.
 * @import * as T from '../shapes.js'
 */
const MAX_ITEMS = 100;

/** @type {T.DashboardState} */
const EMPTY = {
  metrics: null, overview: null, bookings: [], occupancy: [], listings: null, unread: 0, canUndoClear: false, loaded: false,
  failedParts: { bookings: false, listings: false },
};

export class DashboardStore {
  #state = EMPTY;
  /** @type {Set<() => void>} */
  #listeners = new Set();
  /** Bookings up to then were cleared, and do not return with the next snapshot. */
  #clearedAt = -Infinity;
  /**
   * @type {Pick<T.DashboardState, 'bookings' | 'occupancy' | 'unread'> & {clearedAt: number} |
   * null}
   */
  #cleared = null;
  /** The listings are no older than this revision. */
  #listingsRevision = '';

  getState() {
    return this.#state;
  }

  /** @param {() => void} listener */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Applies a manager's messages and snapshots until the returned function is called.
   * @param {T.WebSocketManager} manager
   */
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
        return this.#set({ metrics: message.data });
      case 'overview_updated':
        return this.#set({ overview: message.data });
      case 'booking_created':
      case 'booking_updated':
      case 'booking_completed':
      case 'revenue_received':
        return this.#set({
          bookings: added(this.#state.bookings.filter((item) => !replaces(message, item)), itemOf(message)),
          unread: this.#state.unread + 1,
        });
      case 'occupancy_changed':
        return this.#set({
          occupancy: added(this.#state.occupancy, itemOf(message)),
          listings: this.#state.listings?.map((listing) => withOccupancy(listing, message.data)) ?? null,
          unread: this.#state.unread + 1,
        });
    }
  }

  /** @param {T.Snapshot} snapshot */
  applySnapshot(snapshot) {
    const { metrics, overview, bookings, listings, listingsRevision, healing } = snapshot;
    if (listings) this.#listingsRevision = listingsRevision;
    const present = new Set(this.#state.bookings.map((item) => bookingId(item)));
    const seeds = (bookings ?? [])
      .filter((row) => !present.has(row.bookingId) && row.timestamp > this.#clearedAt)
      .map((row) => seedOf(row, !healing));
    const merged = [...this.#state.bookings, ...seeds].sort((a, b) => b.at - a.at).slice(0, MAX_ITEMS);
    this.#set({
      metrics,
      overview: overview ?? this.#state.overview,
      bookings: seeds.length > 0 ? merged : this.#state.bookings,
      listings: listings ?? this.#state.listings,
      unread: this.#state.unread + seeds.filter((seed) => !seed.read).length,
      loaded: true,
      failedParts: { bookings: bookings === null, listings: listings === null },
    });
  }

  /** What happened until then was cleared. */
  get clearedAt() {
    return this.#clearedAt;
  }

  /** The revision for which listings must be loaded. Empty when those on the screen are current. */
  get wantedListings() {
    const revision = this.#state.overview?.listingsRevision ?? '';
    return revision === this.#listingsRevision ? '' : revision;
  }

  /**
   * Listings that were requested after this revision was known.
   * @param {T.Listing[]} listings @param {string} revision
   */
  setListings(listings, revision) {
    this.#listingsRevision = revision;
    this.#set({ listings, failedParts: { ...this.#state.failedParts, listings: false } });
  }

  /** @param {string} id */
  markRead(id) {
    const { bookings, occupancy, unread } = this.#state;
    if ([...bookings, ...occupancy].some((one) => one.id === id && !one.read)) this.#mark((one) => one.id === id, unread - 1);
  }

  markAllRead() {
    this.#mark(() => true, 0);
  }

  /** @param {(item: T.FeedItem) => boolean} chosen @param {number} unread */
  #mark(chosen, unread) {
    /** @param {readonly T.FeedItem[]} list */
    const mark = (list) => list.map((one) => (one.read || !chosen(one) ? one : { ...one, read: true }));
    this.#set({ bookings: mark(this.#state.bookings), occupancy: mark(this.#state.occupancy), unread: Math.max(0, unread) });
  }

  /** Empties both lists. `undoClear` brings them back, below what came meanwhile. */
  clear(now = -Infinity) {
    const { bookings, occupancy, unread } = this.#state;
    this.#cleared = { bookings, occupancy, unread, clearedAt: this.#clearedAt };
    this.#clearedAt = Math.max(this.#clearedAt, now, ...bookings.map((item) => item.at));
    this.#set({ bookings: [], occupancy: [], unread: 0, canUndoClear: true });
  }

  undoClear() {
    const cleared = this.#cleared;
    if (!cleared) return;
    this.#cleared = null;
    this.#clearedAt = cleared.clearedAt;
    const { bookings, occupancy, unread } = this.#state;
    this.#set({
      bookings: [...bookings, ...cleared.bookings].slice(0, MAX_ITEMS),
      occupancy: [...occupancy, ...cleared.occupancy].slice(0, MAX_ITEMS),
      unread: unread + cleared.unread,
      canUndoClear: false,
    });
  }

  /** From now on the clearing cannot be undone. */
  forgetCleared() {
    this.#cleared = null;
    if (this.#state.canUndoClear) this.#set({ canUndoClear: false });
  }

  /** Another owner: nothing of the former one remains. */
  reset() {
    this.#cleared = null;
    this.#clearedAt = -Infinity;
    this.#listingsRevision = '';
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
  #stays = new Map();
  #day = '';
  /** Counts messages, so that a booking's newest word is known. */
  #sequence = 0;
  loaded = false;
  failed = false;

  /** Messages up to this number are older than bookings that are requested from now on. */
  mark = () => this.#sequence;

  /** @type {T.AgendaView['apply']} */
  apply = (message) => {
    if (!/^booking_/.test(message.type)) return false;
    const booking = /** @type {T.BookingNotification} */ (message.data);
    const before = this.#stays.get(booking.bookingId)?.booking;
    // A new booking's event does not say its status. A status that is known stays.
    const status = booking.status || (message.type === 'booking_completed' ? 'completed' : before?.status ?? '');
    this.#stays.set(booking.bookingId, { booking: { ...booking, status }, sequence: ++this.#sequence });
    if (this.#stays.size > MAX_STAYS) this.#stays = new Map([...this.#stays].filter(([, stay]) => this.#isOfTheDay(stay)));
    return true;
  };

  /** @type {T.AgendaView['fill']} */
  fill = (bookings, mark) => {
    const newer = [...this.#stays].filter(([, { sequence }]) => sequence > mark);
    this.#stays = new Map(bookings.map((booking) => [booking.bookingId, { booking, sequence: mark }]));
    for (const [id, stay] of newer) {
      const booking = this.#stays.get(id)?.booking;
      this.#stays.set(id, { ...stay, booking: { ...stay.booking, status: stay.booking.status || booking?.status || '' } });
    }
    this.loaded = true;
    this.failed = false;
  };

  /** @param {T.Stay} stay */
  #isOfTheDay = ({ booking }) => `${booking.checkInDate} ${booking.checkOutDate}`.includes(this.#day);

  /** Whether the status of a booking of the day is unknown. Only the server can say it. */
  get isIncomplete() {
    return [...this.#stays.values()].some((stay) => !stay.booking.status && this.#isOfTheDay(stay));
  }

  /** All stays, of other days too. */
  stays = () => [...this.#stays.values()].map(({ booking }) => booking);

  /** @type {T.AgendaView['on']} */
  on = (day, end) => {
    this.#day = day;
    return this.stays()
      .filter((booking) => booking[end].startsWith(day) && !/^(cancelled|canceled|deleted)$/.test(booking.status ?? ''))
      .sort((a, b) => a[end].localeCompare(b[end]));
  };
}

/** @param {readonly T.FeedItem[]} list @param {T.FeedItem} item */
function added(list, item) {
  return [item, ...list.filter((one) => one.id !== item.id)].slice(0, MAX_ITEMS);
}

/**
 * @param {Exclude<T.EventMessage, {type: 'metrics_updated' | 'overview_updated'}>} message
 * @returns {T.FeedItem}
 */
function itemOf(message) {
  return { id: message.id, kind: message.type, at: message.timestamp || message.data.timestamp, read: false, data: message.data };
}

/** @param {T.BookingRow} row @param {boolean} read @returns {T.FeedItem} */
function seedOf(row, read) {
  return { id: `booking:${row.bookingId}`, kind: 'booking', at: row.timestamp, read, data: row };
}

/**
 * The event of a booking replaces the item that a snapshot made of it.
 * @param {T.Message} message @param {T.FeedItem} item
 */
function replaces(message, item) {
  return item.kind === 'booking' && message.type !== 'revenue_received' && 'bookingId' in message.data
    && bookingId(item) === message.data.bookingId;
}

/** @param {T.FeedItem} item */
function bookingId(item) {
  return /** @type {T.BookingNotification} */ (item.data).bookingId;
}

/** @param {T.Listing} listing @param {T.OccupancyChange} change @returns {T.Listing} */
function withOccupancy(listing, change) {
  if (listing.hangarId !== change.hangarId) return listing;
  const { isNowOccupied } = change;
  return {
    ...listing,
    isNowOccupied,
    occupant: isNowOccupied ? change.newOccupant ?? '' : '', // until the listings are loaded again
    occupiedSpaces: isNowOccupied ? Math.max(1, listing.occupiedSpaces) : 0,
  };
}

/** @param {T.FeedItem} item */
const isBooking = ({ kind }) => kind.startsWith('booking');

/** @param {T.FeedItem} item */
const statusOf = ({ data }) => ('status' in data && data.status) || '';

/**
 * The feed's filters, by the names of their words.
 * @type {Record<string, (item: T.FeedItem) => boolean>}
 */
export const FILTERS = {
  filterAll: () => true,
  filterBookings: isBooking,
  filterPending: (item) => isBooking(item) && /^(pending)?$/.test(statusOf(item)),
  filterMoney: ({ kind }) => kind === 'revenue_received',
  filterMoves: ({ kind }) => kind === 'occupancy_changed',
};

/**
 * The items that a filter shows. Only the newest item of a booking says whether it is pending: one
 * that was confirmed since is not shown as pending.
 * @param {readonly T.FeedItem[]} items newest first
 * @param {string} filter
 */
export function filtered(items, filter) {
  const seen = new Set();
  /** @param {T.FeedItem} item */
  const isOutdated = (item) => isBooking(item) && 'bookingId' in item.data && seen.size === seen.add(item.data.bookingId).size;
  const passes = FILTERS[filter] ?? FILTERS.filterAll;
  return items.filter((item) => !(filter === 'filterPending' && isOutdated(item)) && passes(item));
}

const DAY_MS = 86_400_000;
/** An event and a stay's hour that lie this close tell of the same move. */
const SAME_MOVE_MS = 600_000;

/**
 * Today's arrivals and departures by the hours of the stays, as items of the feed. One that an
 * event tells is left out.
 * @type {T.MovesOf}
 */
export const movesOf = (stays, occupancy, now) => {
  /** @type {T.FeedItem[]} */
  const moves = [];
  for (const { bookingId, hangarNumber, guestName, checkInDate, checkOutDate, status = '' } of stays) {
    if (!/^(confirmed|active|completed)$/.test(status)) continue;
    for (const isNowOccupied of [true, false]) {
      const text = isNowOccupied ? checkInDate : checkOutDate;
      const at = Date.parse(text);
      if (!(at <= now && at > now - DAY_MS) || /T00:00/.test(text)) continue;
      if (occupancy.some((item) => item.data.hangarNumber === hangarNumber && Math.abs(item.at - at) < SAME_MOVE_MS)) continue;
      const guest = isNowOccupied ? { newOccupant: guestName } : { previousOccupant: guestName };
      moves.push({
        id: `${isNowOccupied ? 'in' : 'out'}:${bookingId}`, kind: 'occupancy_changed', at, read: true,
        data: { hangarId: '', hangarNumber, isNowOccupied, timestamp: at, ...guest },
      });
    }
  }
  return moves;
};
