/**
 * What the server keeps of the feed for all devices of a user: which of its bookings have unread
 * notifications, and up to when it was cleared. And what `/events` still knows of hangars.
 * @import * as N from './shapes.js'
 */
import { NotificationStore } from './store.js';

export { newAsk } from './ask.js';

/** So many questions, and so many events each, at most. */
const PAGES = 10;
const PAGE = 500;
const KEPT = 100;

/**
 * @param {N.Ask} ask
 * @param {(unread: number, bookings: ReadonlySet<string>, clearedUntil: number) => void} changed
 */
export function newFeed(ask, changed) {
  let clearedUntil = 0;
  let sending = 0;
  let loaded = false;
  const unreadOf = () => store.getState().items.filter((one) => !one.readAt && !one.archivedAt && !one.resolvedAt);
  const store = new NotificationStore(ask, () => {
    const { unread } = store.getState();
    if (unread !== null) changed(unread, new Set(unreadOf().flatMap(({ facts }) => (facts.bookingId ? [String(facts.bookingId)] : []))), clearedUntil);
  });
  return {
    /** @param {N.NotificationsUpdated} data */
    apply(data) {
      if (!sending) ({ clearedUntil } = data);
      store.apply(data);
      if (!loaded) void store.load();
      loaded = true;
    },
    /** Reads what is told of one booking. @param {string} bookingId */
    async read(bookingId) {
      await Promise.all(unreadOf().filter(({ facts }) => String(facts.bookingId) === bookingId).map(({ id }) => store.change(id, { read: true })));
    },
    /** Reads all up to the newest that is known here. */
    async readAll() {
      const [newest] = unreadOf();
      if (newest) await store.readThrough(newest.id);
    },
    /**
     * Clears the two lists up to an instant, on all devices of the user; with -Infinity nothing is
     * cleared any more.
     * @param {number} until Unix milliseconds
     */
    async clear(until) {
      clearedUntil = Number.isFinite(until) ? until : 0;
      sending++;
      try {
        await ask('notifications/cleared', 'POST', { until: clearedUntil || null });
      } finally {
        sending--;
      }
    },
    stop: () => store.stop(),
  };
}

/**
 * The newest changes of occupancy that the log still holds, newest first. Nothing where it holds
 * too much to be read here.
 * @param {N.Ask} ask @returns {Promise<import('../types.js').OccupancyChange[]>}
 */
export async function recentOccupancy(ask) {
  /** @type {import('../types.js').OccupancyChange[]} */
  const found = [];
  let after = '';
  for (let page = 0; page < PAGES; page++) {
    const body = await ask(`events?${after && `after=${encodeURIComponent(after)}&`}limit=${PAGE}`);
    if (!Array.isArray(body?.events)) break;
    for (const { type, data } of body.events) if (type === 'occupancy_changed') found.unshift(data);
    if (!body.hasMore) return found.slice(0, KEPT);
    after = body.lastEventId;
  }
  return [];
}
