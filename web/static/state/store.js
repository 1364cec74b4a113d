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
  /**
   * The lists with what was cleared, newest first.
   * @type {Pick<T.DashboardState, 'bookings' | 'occupancy'>}
   */
  #lists = EMPTY;
  /** What happened until then was cleared, and does not return with the next snapshot. */
  #clearedAt = -Infinity;
  /** @type {{at: number, unread: number} | null} what clearing changed */
  #cleared = null;
  /**
   * Bookings with unread notifications, once the server has told of them. Then it counts, too.
   * @type {ReadonlySet<string> | null}
   */
  #unreadBookings = null;
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
    const { bookings, occupancy } = this.#lists;
    switch (message.type) {
      case 'metrics_updated':
        return this.#set({ metrics: message.data });
      case 'overview_updated':
        return this.#set({ overview: message.data });
      case 'booking_created':
      case 'booking_updated':
      case 'booking_completed':
      case 'revenue_received':
        return this.#add({ bookings: added(bookings.filter((item) => !replaces(message, item)), itemOf(message)) }, 1);
      case 'occupancy_changed':
        return this.#add({ occupancy: added(occupancy, itemOf(message)) }, 1, {
          listings: this.#state.listings?.map((listing) => withOccupancy(listing, message.data)) ?? null,
        });
    }
  }

  /** @param {T.Snapshot} snapshot */
  applySnapshot(snapshot) {
    const { metrics, overview, bookings, listings, listingsRevision, healing } = snapshot;
    if (listings) this.#listingsRevision = listingsRevision;
    const present = new Set(this.#lists.bookings.map((item) => bookingId(item)));
    const seeds = (bookings ?? []).filter((row) => !present.has(row.bookingId)).map((row) => seedOf(row, !healing));
    const merged = [...this.#lists.bookings, ...seeds].sort((a, b) => b.at - a.at).slice(0, MAX_ITEMS);
    this.#add(seeds.length > 0 ? { bookings: merged } : {}, seeds.filter((seed) => !seed.read && seed.at > this.#clearedAt).length, {
      metrics,
      overview: overview ?? this.#state.overview,
      listings: listings ?? this.#state.listings,
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

  /**
   * What the server keeps for all devices: how many are unread, which bookings they are about, and
   * up to when this user cleared the lists, 0 for never.
   * @param {number} unread @param {ReadonlySet<string>} bookings @param {number} clearedUntil
   */
  setShared(unread, bookings, clearedUntil) {
    this.#unreadBookings = bookings;
    this.#clearedAt = clearedUntil || -Infinity;
    this.#add({}, 0, { unread });
  }

  /** The booking of an item; empty where it is about none. @param {string} id */
  bookingOf(id) {
    const item = this.#lists.bookings.find((one) => one.id === id);
    return item ? bookingId(item) ?? '' : '';
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
    const { bookings, occupancy } = this.#lists;
    this.#add({ bookings: mark(bookings), occupancy: mark(occupancy) }, 0, { unread: Math.max(0, unread) });
  }

  /** Empties both lists. `undoClear` brings them back, below what came meanwhile. */
  clear(now = -Infinity) {
    const { bookings, occupancy, unread } = this.#state;
    this.#cleared = { at: this.#clearedAt, unread: this.#unreadBookings ? 0 : unread };
    this.#clearedAt = Math.max(this.#clearedAt, now, ...[...bookings, ...occupancy].map((item) => item.at));
    this.#add({}, -this.#cleared.unread, { canUndoClear: true });
  }

  undoClear() {
    const cleared = this.#cleared;
    if (!cleared) return;
    this.#cleared = null;
    this.#clearedAt = cleared.at;
    this.#add({}, cleared.unread, { canUndoClear: false });
  }

  /** From now on the clearing cannot be undone. */
  forgetCleared() {
    this.#cleared = null;
    if (this.#state.canUndoClear) this.#set({ canUndoClear: false });
  }

  /** Another owner: nothing of the former one remains. */
  reset() {
    this.#cleared = this.#unreadBookings = null;
    this.#clearedAt = -Infinity;
    this.#listingsRevision = '';
    this.#lists = EMPTY;
    this.#set(EMPTY);
  }

  /**
   * Other lists, of which what was cleared is not shown. So many more are unread, as long as the
   * server does not count.
   * @param {Partial<Pick<T.DashboardState, 'bookings' | 'occupancy'>>} lists
   * @param {number} more
   * @param {Partial<T.DashboardState>} [change]
   */
  #add(lists, more, change) {
    this.#lists = { ...this.#lists, ...lists };
    const ids = this.#unreadBookings;
    /** @param {readonly T.FeedItem[]} list */
    const shown = (list) => list.filter(({ at }) => at > this.#clearedAt)
      .map((item) => (!ids || item.read === !ids.has(bookingId(item)) ? item : { ...item, read: !item.read }));
    this.#set({ bookings: shown(this.#lists.bookings), occupancy: shown(this.#lists.occupancy), unread: this.#state.unread + (ids ? 0 : more), ...change });
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
 * @param {Exclude<T.EventMessage, {type: 'metrics_updated' | 'overview_updated' |
 *   'notifications_updated'}>} message
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
