/**
 * What is known of an account's notifications, without a page: counts and a filtered list, which
 * follow the server's revisions; and what the page's feed shares of them. What a person does is in
 * `deeds.js`, which is loaded when it is done.
 * @import * as N from './shapes.js'
 */
import { NOTIFICATIONS, ceiling, loadModule, read, systemClock } from '../parts.js';

/** A page of the list. */
const PAGE = 30;

/**
 * Questions and changes by plain HTTP.
 * @type {N.NewAsk}
 */
export const newAsk = ({ get }) => async (path, method = 'GET', body) => {
  // A blob says of itself that it is JSON.
  const content = body && new Blob([JSON.stringify(body)], { type: 'application/json' });
  try {
    return (await get(path.replace(/^\/api\//, '../../'), method === 'GET' ? undefined : { method, cache: 'no-store', body: content })) ?? {};
  } catch (/** @type {any} */ error) {
    throw Object.assign(error, { status: error.cause?.status ?? 0 });
  }
};

/** Ids are texts of whole numbers. @param {string} a @param {string} b */
export const byId = (a, b) => a.length - b.length || (a < b ? -1 : Number(a > b));

/** Whether it counts as unread. @param {N.Notification} one */
export const isUnread = (one) => !one.readAt && !one.archivedAt && !one.resolvedAt;

/** @param {any} raw @returns {N.Notification} */
const readNotification = (raw) => {
  const text = (/** @type {string} */ name) => (typeof raw[name] === 'string' && raw[name] ? raw[name] : null);
  const object = (/** @type {string} */ name) => (raw[name] && typeof raw[name] === 'object' ? raw[name] : null);
  const person = (/** @type {string} */ name) => object(name) && read({ id: '', name: '' }, raw[name]);
  return {
    .../** @type {any} */ (read({ id: '', kind: '', severity: 'info', count: 1, happenedAt: '', createdAt: '', revision: 0 }, raw)),
    facts: object('facts') ?? {}, userId: text('userId'), readAt: text('readAt'), readBy: person('readBy'),
    archivedAt: text('archivedAt'), archivedBy: person('archivedBy'), resolvedAt: text('resolvedAt'),
  };
};

/** @param {any} body @returns {N.Notification[]} */
export const itemsOf = (body) => (Array.isArray(body?.items) ? body.items : []).filter((/** @type {any} */ one) => one?.id).map(readNotification);

/** Fields are for the modules of notifications alone. */
export class NotificationStore {
  /** @type {Map<string, N.Notification>} as the server last said */
  items = new Map();
  /**
   * What was done and not yet told back, by id; `revision` is 0 until the server has confirmed it.
   * @type {Map<string, {change: N.Change, revision: number}>}
   */
  overlay = new Map();
  /** @type {N.Filter} */
  filter = { state: 'unread', kind: '', hangarId: '' };
  /** Rows that stay in the list although the filter no longer fits, until it is chosen anew. */
  kept = new Set();
  /** Revision of the items; below 0 before the first list. */
  held = -1;
  /** Revision of the counts. */
  counted = 0;
  /** Goes up with each first page. */
  turn = 0;
  stopped = false;
  /** @type {number | null} */
  #unread = null;
  #unseen = 0;
  /** The list reaches back to this id; empty: to the first one. */
  #oldest = '';
  #cursor = '';
  #loaded = false;
  #failed = false;
  #asking = false;
  #failures = 0;
  /** @type {unknown} */
  #timer = null;

  /**
   * @param {N.Ask} ask @param {() => void} changed
   * @param {Pick<N.Clock, 'setTimeout' | 'clearTimeout'>} [clock]
   */
  constructor(ask, changed, clock = systemClock) {
    this.ask = ask;
    this.changed = changed;
    this.clock = clock;
  }

  /** One of those that are known, as a person sees it. @param {string} id */
  get(id) {
    const said = this.items.get(id);
    return said && this.seenAs(said);
  }

  /** As a person sees it: what they did counts at once. @returns {N.StoreState} */
  getState() {
    let undone = 0;
    for (const id of this.overlay.keys()) {
      const said = this.items.get(id);
      if (said) undone += Number(isUnread(this.seenAs(said))) - Number(isUnread(said));
    }
    const items = [...this.items.values()].filter((one) => this.#fits(one)).map((one) => this.seenAs(one)).sort((a, b) => byId(b.id, a.id));
    return {
      unread: this.#unread === null ? null : Math.max(0, this.#unread + undone), unseen: this.#unseen,
      items, loaded: this.#loaded, failed: this.#failed, more: this.#cursor !== '',
    };
  }

  /** @param {N.Notification} one */
  seenAs(one) {
    const change = this.overlay.get(one.id)?.change;
    if (!change) return one;
    const now = new Date().toISOString();
    const { read: isRead = Boolean(one.readAt), archived = Boolean(one.archivedAt) } = change;
    return { ...one, readAt: isRead ? one.readAt ?? now : null, readBy: isRead ? one.readBy : null, archivedAt: archived ? one.archivedAt ?? now : null };
  }

  /** @param {N.Notification} said */
  #fits(said) {
    const one = this.seenAs(said);
    const { state, kind, hangarId } = this.filter;
    if ((kind && one.kind !== kind) || (hangarId && String(one.facts.hangarId ?? '') !== hangarId)) return false;
    if (this.#oldest && byId(one.id, this.#oldest) < 0) return false;
    if (state === 'archived') return Boolean(one.archivedAt);
    if (one.archivedAt) return false;
    return state === 'all' || isUnread(one) || this.kept.has(one.id);
  }

  /** Shows what the filter says, from its first page. @param {Partial<N.Filter>} change */
  async choose(change) {
    this.filter = { ...this.filter, ...change };
    await this.load();
  }

  /** Loads the first page of the list anew. */
  async load() {
    const turn = ++this.turn;
    this.#loaded = this.#failed = false;
    this.#oldest = this.#cursor = '';
    this.kept.clear();
    this.changed();
    try {
      const body = await this.#page(turn);
      if (!body) return;
      this.#loaded = true;
      this.#count(body);
    } catch {
      if (turn === this.turn) this.#failed = true;
    }
    if (turn === this.turn && !this.stopped) this.changed();
  }

  /** Loads older ones. */
  async loadMore() {
    if (this.#cursor && await this.#page(this.turn)) this.changed();
  }

  /** The page at the cursor; null where it is no longer wanted. @param {number} turn */
  async #page(turn) {
    const isFirst = !this.#cursor;
    const chosen = Object.entries({ ...this.filter, before: this.#cursor, limit: PAGE }).filter(([, value]) => value);
    const body = await this.ask(`notifications?${new URLSearchParams(/** @type {any} */ (chosen))}`);
    if (turn !== this.turn || this.stopped) return null;
    const items = itemsOf(body);
    const { revision } = read(NOTIFICATIONS, body);
    // What messages brought meanwhile is newer than an older page.
    if (isFirst && revision >= this.held) {
      this.items.clear();
      this.held = revision;
    }
    this.merge(items);
    this.#cursor = items.length > 0 && body.next ? String(body.next) : '';
    this.#oldest = this.#cursor && items[items.length - 1].id;
    return body;
  }

  /** An item of a lower revision never replaces a newer one. @param {N.Notification[]} items */
  merge(items) {
    for (const one of items) {
      const before = this.items.get(one.id);
      if (before && before.revision > one.revision) continue;
      if (before && this.filter.state === 'unread' && isUnread(before) && !isUnread(one)) this.kept.add(one.id);
      this.items.set(one.id, one);
    }
  }

  /** Counts are absolute, and the newest revision wins. @param {any} raw @returns {boolean} */
  #count(raw) {
    const { revision, unread, unseen } = read(NOTIFICATIONS, raw);
    if (revision < this.counted) return false;
    this.counted = revision;
    this.#unread = unread;
    this.#unseen = unseen;
    for (const [id, { revision: confirmed }] of this.overlay) if (confirmed && confirmed <= revision) this.overlay.delete(id);
    return true;
  }

  /** A `notifications_updated`, from whatever transport. @param {N.NotificationsUpdated} data */
  apply(data) {
    const { revision, since, more, readThrough: { id, by, at } } = data;
    if (!this.#count(data)) return;
    if (this.held >= 0 && revision > this.held) {
      if (since === this.held && !more) {
        this.merge(itemsOf(data));
        if (id) {
          this.merge([...this.items.values()].filter((one) => isUnread(one) && byId(one.id, id) <= 0)
            .map((one) => ({ ...one, readAt: at || new Date().toISOString(), readBy: by, revision })));
        }
        this.held = revision;
      } else void this.catchUp();
    } else if (this.held === revision) this.merge(itemsOf(data));
    this.changed();
  }

  /**
   * Asks for what changed after the revision that is held: a message was missed, or held too much.
   */
  async catchUp() {
    if (this.#asking || this.stopped || this.held < 0) return;
    this.#asking = true;
    this.clock.clearTimeout(this.#timer);
    try {
      const { turn } = this;
      const confirmed = [...this.overlay].filter(([, { revision }]) => revision);
      const body = await this.ask(`notifications?since=${this.held}`);
      this.#failures = 0;
      if (this.stopped || turn !== this.turn) return;
      if (body?.reset) return void (await this.load());
      const { revision } = read(NOTIFICATIONS, body);
      if (revision < this.held) return;
      this.merge(itemsOf(body));
      this.held = revision;
      this.#count(body);
      for (const [id, entry] of confirmed) if (this.overlay.get(id) === entry) this.overlay.delete(id);
      this.changed();
    } catch {
      this.later(ceiling(this.#failures++));
    } finally {
      this.#asking = false;
      // A message that came meanwhile told of more.
      if (this.counted > this.held && this.#failures === 0) this.later(0);
    }
  }

  /** Catches up after a while. @param {number} ms */
  later(ms) {
    this.clock.clearTimeout(this.#timer);
    if (!this.stopped) this.#timer = this.clock.setTimeout(() => void this.catchUp(), ms);
  }

  /** This user has seen all up to this one. @param {string} through */
  async see(through) {
    if (!through || this.#unseen === 0) return;
    const newer = this.getState().items.filter((one) => byId(one.id, through) > 0).length;
    this.#unseen = Math.min(this.#unseen, newer);
    this.changed();
    await this.ask('notifications/seen', 'POST', { through, revision: Math.max(0, this.held) }).catch(() => {});
  }

  stop() {
    this.stopped = true;
    this.clock.clearTimeout(this.#timer);
  }
}

/**
 * What the server keeps of the page's feed for all devices of a user: which of its bookings have
 * unread notifications, and up to when it was cleared.
 * @param {N.Ask} ask
 * @param {(unread: number, bookings: ReadonlySet<string>, clearedUntil: number) => void} changed
 */
export function newFeed(ask, changed) {
  let clearedUntil = 0;
  let sending = 0;
  let loaded = false;
  const deeds = () => loadModule('notifications/deeds', () => import('./deeds.js'));
  const unreadOf = () => store.getState().items.filter(isUnread);
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
      const { change } = await deeds();
      await Promise.all(unreadOf().filter(({ facts }) => String(facts.bookingId) === bookingId).map(({ id }) => change(store, id, { read: true })));
    },
    /** Reads all up to the newest that is known here. */
    async readAll() {
      const [newest] = unreadOf();
      if (newest) await (await deeds()).readThrough(store, newest.id);
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
