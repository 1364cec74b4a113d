/**
 * What is known of an account's notifications, without a page: counts and a filtered list, which
 * follow the server's revisions, and what a person did that the server has not yet confirmed.
 * @import * as N from './shapes.js'
 */
import { NOTIFICATIONS, ceiling, read, systemClock } from '../parts.js';

/** A page of the list. */
const PAGE = 30;
/** Undoing a reading of many sends one question for each, so many at most. */
const MAX_UNDONE = 100;
const UNDO_AT_ONCE = 4;
/** A change that was confirmed and not yet told by a message is asked for after so long. */
const TOLD_MS = 1000;

/** Ids are texts of whole numbers. @param {string} a @param {string} b */
export const byId = (a, b) => a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);

/** Whether it counts as unread. @param {N.Notification} one */
export const isUnread = (one) => !one.readAt && !one.archivedAt && !one.resolvedAt;

/** @type {N.Notification} */
const NOTIFICATION = {
  id: '', kind: '', severity: 'info', count: 1, facts: {}, userId: null, happenedAt: '', createdAt: '', revision: 0,
  readAt: null, readBy: null, archivedAt: null, archivedBy: null, resolvedAt: null,
};

/** @param {any} raw @returns {N.Notification} */
export const readNotification = (raw) => {
  const { facts, userId, readAt, readBy, archivedAt, archivedBy, resolvedAt } = raw;
  const text = (/** @type {unknown} */ value) => (typeof value === 'string' && value ? value : null);
  const person = (/** @type {any} */ value) => (value && typeof value === 'object' ? read({ id: '', name: '' }, value) : null);
  return {
    ...read({ ...NOTIFICATION, facts: '', userId: '', readAt: '', readBy: '', archivedAt: '', archivedBy: '', resolvedAt: '' }, raw),
    facts: facts && typeof facts === 'object' ? facts : {}, userId: text(userId), readAt: text(readAt), readBy: person(readBy),
    archivedAt: text(archivedAt), archivedBy: person(archivedBy), resolvedAt: text(resolvedAt),
  };
};

/** @param {any} body @returns {N.Notification[]} */
const itemsOf = (body) => (Array.isArray(body?.items) ? body.items : []).filter((/** @type {any} */ one) => one?.id).map(readNotification);

export class NotificationStore {
  /** @type {N.Ask} */
  #ask;
  #changed;
  #clock;
  /** @type {Map<string, N.Notification>} as the server last said */
  #items = new Map();
  /**
   * What was done and not yet told back, by id; `revision` is 0 until the server has confirmed it.
   * @type {Map<string, {change: N.Change, revision: number}>}
   */
  #overlay = new Map();
  /** @type {N.Filter} */
  #filter = { state: 'unread', kind: '', hangarId: '' };
  /** Rows that stay in the list although the filter no longer fits, until it is chosen anew. */
  #kept = new Set();
  /** Revision of the items; below 0 before the first list. */
  #held = -1;
  /** Revision of the counts. */
  #counted = 0;
  /** @type {number | null} */
  #unread = null;
  #unseen = 0;
  /** The list reaches back to this id; empty: to the first one. */
  #oldest = '';
  #cursor = '';
  #more = false;
  #loaded = false;
  #failed = false;
  #turn = 0;
  #asking = false;
  #failures = 0;
  /** @type {unknown} */
  #timer = null;
  #stopped = false;

  /**
   * @param {N.Ask} ask @param {() => void} changed
   * @param {Pick<N.Clock, 'setTimeout' | 'clearTimeout'>} [clock]
   */
  constructor(ask, changed, clock = systemClock) {
    this.#ask = ask;
    this.#changed = changed;
    this.#clock = clock;
  }

  get filter() {
    return this.#filter;
  }

  /** One of those that are known, as a person sees it. @param {string} id */
  get(id) {
    const said = this.#items.get(id);
    return said && this.#seenAs(said);
  }

  /** As a person sees it: what they did counts at once. @returns {N.StoreState} */
  getState() {
    let undone = 0;
    for (const [id] of this.#overlay) {
      const said = this.#items.get(id);
      if (said) undone += Number(isUnread(this.#seenAs(said))) - Number(isUnread(said));
    }
    const items = [...this.#items.values()].filter((one) => this.#fits(one)).map((one) => this.#seenAs(one)).sort((a, b) => byId(b.id, a.id));
    return {
      unread: this.#unread === null ? null : Math.max(0, this.#unread + undone), unseen: this.#unseen,
      items, loaded: this.#loaded, failed: this.#failed, more: this.#more,
    };
  }

  /** @param {N.Notification} one */
  #seenAs(one) {
    const change = this.#overlay.get(one.id)?.change;
    if (!change) return one;
    const now = new Date().toISOString();
    const { read: isRead = Boolean(one.readAt), archived = Boolean(one.archivedAt) } = change;
    return { ...one, readAt: isRead ? one.readAt ?? now : null, readBy: isRead ? one.readBy : null, archivedAt: archived ? one.archivedAt ?? now : null };
  }

  /** @param {N.Notification} said */
  #fits(said) {
    const one = this.#seenAs(said);
    const { state, kind, hangarId } = this.#filter;
    if ((kind && one.kind !== kind) || (hangarId && String(one.facts.hangarId ?? '') !== hangarId)) return false;
    if (this.#oldest && byId(one.id, this.#oldest) < 0) return false;
    if (state === 'archived') return Boolean(one.archivedAt);
    if (one.archivedAt) return false;
    return state === 'all' || isUnread(one) || this.#kept.has(one.id);
  }

  /** Shows what the filter says, from its first page. @param {Partial<N.Filter>} change */
  async choose(change) {
    this.#filter = { ...this.#filter, ...change };
    await this.load();
  }

  /** Loads the first page of the list anew. */
  async load() {
    const turn = ++this.#turn;
    this.#loaded = this.#failed = this.#more = false;
    this.#oldest = '';
    this.#kept.clear();
    this.#changed();
    try {
      const body = await this.#ask(this.#query(''));
      if (turn !== this.#turn || this.#stopped) return;
      const items = itemsOf(body);
      const { revision } = read(NOTIFICATIONS, body);
      // What messages brought meanwhile is newer than an older page.
      if (revision >= this.#held) {
        this.#items.clear();
        this.#held = revision;
      }
      this.#merge(items);
      this.#page(body, items);
      this.#loaded = true;
      this.#count(body);
    } catch {
      if (turn === this.#turn) this.#failed = true;
    }
    if (turn === this.#turn && !this.#stopped) this.#changed();
  }

  /** Loads older ones. */
  async loadMore() {
    const turn = this.#turn;
    if (!this.#more) return;
    const body = await this.#ask(this.#query(this.#cursor));
    if (turn !== this.#turn || this.#stopped) return;
    const items = itemsOf(body);
    this.#merge(items);
    this.#page(body, items);
    this.#changed();
  }

  /** @param {string} before */
  #query(before) {
    const { state, kind, hangarId } = this.#filter;
    return `notifications?${new URLSearchParams({ state, ...(kind && { kind }), ...(hangarId && { hangarId }), ...(before && { before }), limit: String(PAGE) })}`;
  }

  /** @param {any} body @param {N.Notification[]} items */
  #page(body, items) {
    this.#more = Boolean(body.next) && items.length > 0;
    this.#cursor = this.#more ? String(body.next) : '';
    this.#oldest = this.#more ? items[items.length - 1].id : '';
  }

  /** An item of a lower revision never replaces a newer one. @param {N.Notification[]} items */
  #merge(items) {
    for (const one of items) {
      const before = this.#items.get(one.id);
      if (before && before.revision > one.revision) continue;
      if (before && this.#filter.state === 'unread' && isUnread(before) && !isUnread(one)) this.#kept.add(one.id);
      this.#items.set(one.id, one);
    }
  }

  /** Counts are absolute, and the newest revision wins. @param {any} raw @returns {boolean} */
  #count(raw) {
    const { revision, unread, unseen } = read(NOTIFICATIONS, raw);
    if (revision < this.#counted) return false;
    this.#counted = revision;
    this.#unread = unread;
    this.#unseen = unseen;
    for (const [id, { revision: confirmed }] of this.#overlay) if (confirmed && confirmed <= revision) this.#overlay.delete(id);
    return true;
  }

  /** A `notifications_updated`, from whatever transport. @param {N.NotificationsUpdated} data */
  apply(data) {
    const { revision, since, more, readThrough } = data;
    if (!this.#count(data)) return;
    if (this.#held >= 0 && revision > this.#held) {
      if (since === this.#held && !more) {
        this.#merge(itemsOf(data));
        if (readThrough.id) this.#readThrough(readThrough, revision);
        this.#held = revision;
      } else void this.catchUp();
    } else if (this.#held === revision) this.#merge(itemsOf(data));
    this.#changed();
  }

  /** @param {N.NotificationsUpdated['readThrough']} told @param {number} revision */
  #readThrough({ id, by, at }, revision) {
    this.#merge([...this.#items.values()].filter((one) => isUnread(one) && byId(one.id, id) <= 0)
      .map((one) => ({ ...one, readAt: at || new Date().toISOString(), readBy: by, revision })));
  }

  /**
   * Asks for what changed after the revision that is held: a message was missed, or held too much.
   */
  async catchUp() {
    if (this.#asking || this.#stopped || this.#held < 0) return;
    this.#asking = true;
    this.#clock.clearTimeout(this.#timer);
    try {
      const turn = this.#turn;
      const confirmed = [...this.#overlay].filter(([, { revision }]) => revision);
      const body = await this.#ask(`notifications?since=${this.#held}`);
      this.#failures = 0;
      if (this.#stopped || turn !== this.#turn) return;
      if (body?.reset) return void (await this.load());
      const { revision } = read(NOTIFICATIONS, body);
      if (revision < this.#held) return;
      this.#merge(itemsOf(body));
      this.#held = revision;
      this.#count(body);
      for (const [id, entry] of confirmed) if (this.#overlay.get(id) === entry) this.#overlay.delete(id);
      this.#changed();
    } catch {
      this.#later(ceiling(this.#failures++));
    } finally {
      this.#asking = false;
      // A message that came meanwhile told of more.
      if (this.#counted > this.#held && this.#failures === 0) this.#later(0);
    }
  }

  /** @param {number} ms */
  #later(ms) {
    this.#clock.clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = this.#clock.setTimeout(() => void this.catchUp(), ms);
  }

  /**
   * Reads, archives, or the reverse. It is shown at once, and taken back where the server refuses.
   * @param {string} id
   * @param {N.Change} change
   * @returns {Promise<N.Deed | null>} null: nothing changed
   */
  async change(id, change) {
    const said = this.#items.get(id);
    if (!said) return null;
    const one = this.#seenAs(said);
    /** @type {N.Change} */
    const before = {};
    if (change.read !== undefined && change.read !== Boolean(one.readAt)) before.read = !change.read;
    if (change.archived !== undefined && change.archived !== Boolean(one.archivedAt)) before.archived = !change.archived;
    if (Object.keys(before).length === 0) return null;
    await this.#send(id, change);
    const word = change.archived !== undefined ? (change.archived ? 'archivedOne' : 'unarchivedOne') : change.read ? 'readOne' : 'unreadOne';
    return { word, n: 1, undo: () => this.#send(id, before) };
  }

  /** @param {string} id @param {N.Change} change */
  async #send(id, change) {
    const entry = { change: { ...this.#overlay.get(id)?.change, ...change }, revision: 0 };
    if (this.#filter.state === 'unread') this.#kept.add(id);
    this.#overlay.set(id, entry);
    this.#changed();
    try {
      const answer = await this.#ask(`notifications/${encodeURIComponent(id)}`, 'PATCH', change);
      this.#confirmed(entry, id, answer);
    } catch (error) {
      if (this.#overlay.get(id) === entry) this.#overlay.delete(id);
      const { status = 0 } = /** @type {{status?: number}} */ (error);
      if (status === 404) this.#items.delete(id); // gone for this user
      this.#changed();
      throw error;
    }
  }

  /**
   * The server did it. What is shown stays until counts of that revision are here, so that no
   * number jumps back.
   * @param {{revision: number}} entry @param {string} id @param {any} answer
   */
  #confirmed(entry, id, answer) {
    const revision = Number(answer?.revision) || this.#counted + 1;
    entry.revision = revision;
    if (this.#counted >= revision && this.#overlay.get(id) === entry) this.#overlay.delete(id);
    else this.#later(TOLD_MS);
    this.#changed();
  }

  /**
   * Reads all up to the newest that was shown, and none that came later.
   * @param {string} through its id @returns {Promise<N.Deed | null>}
   */
  async readThrough(through) {
    const { kind, hangarId } = this.#filter;
    const known = [...this.#items.values()].map((one) => this.#seenAs(one))
      .filter((one) => isUnread(one) && byId(one.id, through) <= 0 && (!kind || one.kind === kind) && (!hangarId || String(one.facts.hangarId ?? '') === hangarId))
      .map(({ id }) => id);
    const undo = (/** @type {string[]} */ ids) => async () => {
      for (let at = 0; at < Math.min(ids.length, MAX_UNDONE); at += UNDO_AT_ONCE) {
        await Promise.all(ids.slice(at, at + UNDO_AT_ONCE).map((id) => this.#send(id, { read: false })));
      }
    };
    // The server reads by kind, not by hangar.
    if (hangarId) {
      for (const id of known) await this.#send(id, { read: true });
      return known.length > 0 ? { word: 'readMany', n: known.length, undo: undo(known) } : null;
    }
    const since = this.#held;
    const entries = known.map((id) => {
      const entry = { change: { read: true }, revision: 0 };
      if (this.#filter.state === 'unread') this.#kept.add(id);
      this.#overlay.set(id, entry);
      return { id, entry };
    });
    this.#changed();
    try {
      const answer = await this.#ask('notifications/read', 'POST', { through, revision: Math.max(0, this.#held), ...(kind && { kind }) });
      const revision = Number(answer?.revision) || 0;
      for (const { entry } of entries) entry.revision = revision || Math.max(1, this.#counted + 1);
      if (this.#counted < (revision || this.#counted + 1)) this.#later(TOLD_MS);
      if (revision && this.#counted >= revision) for (const { id, entry } of entries) if (this.#overlay.get(id) === entry) this.#overlay.delete(id);
      this.#changed();
      return { word: 'readMany', n: known.length, undo: async () => undo(await this.#readBy(since, revision, known))() };
    } catch (error) {
      for (const { id, entry } of entries) if (this.#overlay.get(id) === entry) this.#overlay.delete(id);
      this.#changed();
      throw error;
    }
  }

  /**
   * Which a reading of many has read, those that were not on the screen included.
   * @param {number} since @param {number} revision @param {string[]} known
   */
  async #readBy(since, revision, known) {
    const body = since >= 0 && revision ? await this.#ask(`notifications?since=${since}`).catch(() => null) : null;
    const read = body && !body.reset ? itemsOf(body).filter((one) => one.revision === revision && one.readAt) : [];
    this.#merge(read.filter((one) => this.#items.has(one.id)));
    return [...new Set([...known, ...read.map(({ id }) => id)])];
  }

  /** This user has seen all up to this one. @param {string} through */
  async see(through) {
    if (!through || this.#unseen === 0) return;
    const newer = this.getState().items.filter((one) => byId(one.id, through) > 0).length;
    this.#unseen = Math.min(this.#unseen, newer);
    this.#changed();
    await this.#ask('notifications/seen', 'POST', { through, revision: Math.max(0, this.#held) }).catch(() => {});
  }

  stop() {
    this.#stopped = true;
    this.#clock.clearTimeout(this.#timer);
  }
}
