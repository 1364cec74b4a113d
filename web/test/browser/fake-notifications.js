/**
 * Notifications as a server keeps them, for tests that say what happens and when: one read state
 * for an account, what each user has seen, revisions, and what is told on a stream.
 */
const NAMES = { ana: 'Ana Souza', bia: 'Bia Prado' };
const MODES = { inApp: 'now', push: 'now', mail: 'off' };
const KINDS = [
  'booking_created', 'booking_cancelled', 'booking_changed', 'payment_received', 'payout_sent', 'overbooked', 'to_confirm', 'arrives_tomorrow',
  'leaves_today', 'unpaid', 'occupancy_low', 'payout_tomorrow', 'member_changed', 'new_sign_in', 'invitation',
];

export class FakeNotifications {
  #next = 1;
  /** @type {Map<string, any>} by account */
  #accounts = new Map();
  /** @type {Map<string, any>} by user */
  settings = new Map();
  /** @type {Map<string, any[]>} by user */
  invitations = new Map();
  /** @type {{method: string, path: string, user: string, body: any}[]} */
  asked = [];
  /** What the server has. */
  channels = ['inApp', 'push', 'mail'];
  /** What the next PATCH is refused with; 0 for not at all. */
  refuse = 0;
  #now;
  #tell;

  /**
   * @param {() => number} now
   * @param {(ownerId: string, dataOf: (user: string) => object) => void} tell sends a message to
   *   the streams of an account
   */
  constructor(now, tell) {
    this.#now = now;
    this.#tell = tell;
  }

  /** Begins an account anew, at a later revision. */
  forget(ownerId) {
    const { revision } = this.account(ownerId);
    this.#accounts.delete(ownerId);
    Object.assign(this.account(ownerId), { revision: revision + 1, floor: revision + 1 });
    this.settings.clear();
  }

  account(ownerId) {
    if (!this.#accounts.has(ownerId)) this.#accounts.set(ownerId, { revision: 0, floor: 0, items: [], views: new Map(), roles: new Map(), chosen: new Map(), rules: rules() });
    return this.#accounts.get(ownerId);
  }

  #view(ownerId, user) {
    const { views } = this.account(ownerId);
    if (!views.has(user)) views.set(user, { seen: 0, cleared: 0 });
    return views.get(user);
  }

  #visible = (one, user) => one.userId === null || one.userId === user;

  #counts(ownerId, user) {
    const account = this.account(ownerId);
    const { seen, cleared } = this.#view(ownerId, user);
    const unread = account.items.filter((one) => this.#visible(one, user) && !one.readAt && !one.archivedAt && !one.resolvedAt);
    return { revision: account.revision, unread: unread.length, unseen: unread.filter((one) => one.news > seen).length, clearedUntil: cleared || null };
  }

  /** What a stream begins with. */
  first(ownerId, user) {
    return { ...this.#counts(ownerId, user), since: this.account(ownerId).revision, items: [], more: false };
  }

  /** Changes an account in one revision, and tells it. */
  #commit(ownerId, change, readThrough = undefined) {
    const account = this.account(ownerId);
    const since = account.revision++;
    const items = change(account.revision) ?? [];
    this.#tell(ownerId, (user) => ({
      ...this.#counts(ownerId, user), since, items: readThrough ? [] : items.filter((one) => this.#visible(one, user)), more: false, ...(readThrough && { readThrough }),
    }));
    return account.revision;
  }

  #iso = (ago = 0) => new Date(this.#now() - ago).toISOString();

  /** A new notification; `ago` is in milliseconds. */
  add(ownerId, kind, facts = {}, { ago = 0, severity = 'info', userId = null, count = 1 } = {}) {
    const one = {
      id: String(this.#next++), kind, severity, count, facts, userId, happenedAt: this.#iso(ago), createdAt: this.#iso(ago), revision: 0, news: 0,
      readAt: null, readBy: null, archivedAt: null, archivedBy: null, resolvedAt: null,
    };
    this.#commit(ownerId, (revision) => {
      Object.assign(one, { revision, news: revision });
      this.account(ownerId).items.push(one);
      return [one];
    });
    return one;
  }

  /** Its cause is no more. */
  resolve(ownerId, id) {
    this.#commit(ownerId, (revision) => this.account(ownerId).items.filter((one) => one.id === id).map((one) => Object.assign(one, { resolvedAt: this.#iso(), revision })));
  }

  /** As another of the account's people does it. */
  patch(ownerId, id, user, change) {
    const one = this.account(ownerId).items.find((item) => item.id === id);
    const by = { id: user, name: NAMES[user] ?? '' };
    this.#commit(ownerId, (revision) => {
      if (change.read !== undefined) Object.assign(one, change.read ? { readAt: this.#iso(), readBy: by } : { readAt: null, readBy: null });
      if (change.archived !== undefined) Object.assign(one, change.archived ? { archivedAt: this.#iso(), archivedBy: by } : { archivedAt: null, archivedBy: null });
      one.revision = revision;
      return [one];
    });
    return one;
  }

  /** Answers one request: a status and a body; null where the path is none of ours. */
  answer(method, url, user, body) {
    const path = url.pathname;
    this.asked.push({ method, path: path + url.search, user, body });
    if (path === '/api/me/notifications/counts') {
      return [200, { accounts: [...this.#accounts.keys()].map((ownerId) => ({ ownerId, ...this.#counts(ownerId, user) })) }];
    }
    if (path === '/api/me/notifications') {
      const mine = this.settings.get(user) ?? { zone: null, lang: 'pt-BR', quietFrom: null, quietTo: null, quietDays: null, digest: 'off', digestAt: '08:00', pausedUntil: null, private: true };
      if (method === 'PATCH') Object.assign(mine, body);
      this.settings.set(user, mine);
      return [200, mine];
    }
    const [, ownerId, rest = ''] = /^\/api\/owners\/([^/]+)\/notifications\/?(.*)$/.exec(path) ?? [];
    if (!ownerId) return null;
    if (method === 'PATCH' && this.refuse) {
      const status = this.refuse;
      this.refuse = 0;
      return [status, { title: 'refused' }];
    }
    const account = this.account(ownerId);
    const viewer = account.roles.get(user) === 'viewer';
    if (rest === '' && method === 'GET') return [200, this.#list(ownerId, user, url.searchParams)];
    if (rest === 'preferences') return this.#preferences(account, user, method, body);
    if (rest === 'rules') return viewer && method === 'PATCH' ? [403, {}] : this.#rules(account, user, method, body);
    const view = this.#view(ownerId, user);
    if (rest === 'seen') {
      view.seen = Math.max(view.seen, ...account.items.filter((one) => this.#visible(one, user) && Number(one.id) <= Number(body.through)).map((one) => one.news));
      this.#tell(ownerId, (who) => this.first(ownerId, who));
      return [204, null];
    }
    if (rest === 'cleared') {
      view.cleared = body.until ?? 0;
      this.#tell(ownerId, (who) => this.first(ownerId, who));
      return [204, null];
    }
    if (rest === 'read') {
      const { through, kind } = body;
      const at = this.#iso();
      const by = { id: user, name: NAMES[user] ?? '' };
      const read = account.items.filter((one) => this.#visible(one, user) && !one.readAt && !one.archivedAt && !one.resolvedAt && Number(one.id) <= Number(through) && (!kind || one.kind === kind));
      const revision = this.#commit(ownerId, (next) => read.map((one) => Object.assign(one, { readAt: at, readBy: by, revision: next })), kind ? undefined : { id: String(through), by, at });
      return [200, { revision }];
    }
    const one = account.items.find((item) => item.id === rest && this.#visible(item, user));
    if (!one) return [404, {}];
    if (viewer && body.archived !== undefined) return [403, {}];
    return [200, this.patch(ownerId, rest, user, body)];
  }

  #list(ownerId, user, query) {
    const account = this.account(ownerId);
    const mine = account.items.filter((one) => this.#visible(one, user));
    if (query.has('since')) {
      const since = Number(query.get('since'));
      if (since < account.floor || since > account.revision) return { ...this.#counts(ownerId, user), items: [], reset: true };
      return { ...this.#counts(ownerId, user), items: mine.filter((one) => one.revision > since) };
    }
    const [state, kind, hangarId, before, limit] = ['state', 'kind', 'hangarId', 'before', 'limit'].map((name) => query.get(name) ?? '');
    const found = mine.filter((one) => (state === 'archived' ? one.archivedAt : !one.archivedAt && (state !== 'unread' || (!one.readAt && !one.resolvedAt)))
      && (!kind || one.kind === kind) && (!hangarId || String(one.facts.hangarId) === hangarId) && (!before || Number(one.id) < Number(before))).reverse();
    const n = Number(limit) || 50;
    return { ...this.#counts(ownerId, user), items: found.slice(0, n), next: found.length > n ? found[n - 1].id : null };
  }

  #preferences({ chosen }, user, method, body) {
    if (!chosen.has(user)) chosen.set(user, new Map());
    const mine = chosen.get(user);
    if (method === 'PATCH') mine.set(`${body.kind} ${body.channel}`, body.mode);
    return [200, { channels: this.channels, kinds: KINDS.map((kind) => ({ kind, channels: Object.fromEntries(Object.entries(MODES).map(([channel, mode]) => [channel, {
      mode: mine.get(`${kind} ${channel}`) ?? mode, default: mode, locked: /member|sign_in/.test(kind) && channel !== 'push',
    }])) })) }];
  }

  #rules(account, user, method, body) {
    if (method === 'PATCH') Object.assign(account.rules.find(({ kind }) => kind === body.kind), body, { changedBy: { id: user, name: NAMES[user] ?? '' }, changedAt: this.#iso() });
    return [200, { rules: account.rules }];
  }
}

const rules = () => [
  { kind: 'to_confirm', params: { hours: 2 } }, { kind: 'arrives_tomorrow', params: { at: '18:00' } }, { kind: 'leaves_today', params: { at: '07:00' } },
  { kind: 'unpaid', params: { hours: 24 } }, { kind: 'occupancy_low', params: { percent: 30 } }, { kind: 'payout_tomorrow', params: {} },
].map((rule) => ({ ...rule, enabled: true, changedBy: null, changedAt: null }));
