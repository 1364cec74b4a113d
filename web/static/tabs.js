/** One connection for the tabs of a browser, see internals.d.ts. @import * as T from './internals.js' */
import { CODE_TIMEOUT, RealtimeError } from './protocol.js';
import { getJson } from './snapshot.js';

/** A visible follower asks this often whether the leader is awake. */
const ASK_MS = 5000;
const ANSWER_MS = 3000;
const REMEMBERED = 256;
const CATCH_UP = 500;
const SHARED = /^(booking_|revenue_|occupancy_|metrics_|heartbeat|resync)/;

/** Where tabs meet. @type {T.MeetingPlace} */
export async function meetingPlace(baseUrl, ownerId, token) {
  try {
    const claims = JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));
    const user = claims.sub ?? claims.userId ?? claims.id;
    if (user === undefined || user === null) return '';
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(`${claims.iss ?? ''} ${user}`));
    const hex = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    return `hangarshare:${new URL(baseUrl).origin}:${ownerId}:${hex}`;
  } catch {
    return '';
  }
}

/** What a leader remembers. */
export class Memory {
  /** @type {T.Heard[]} */
  #heard = [];
  #base = '';

  /** The stream begins anew after this id. @param {string} base */
  reset(base) {
    this.#heard = [];
    this.#base = base;
  }

  /** @param {string} id @param {string} text */
  add(id, text) {
    this.#heard.push({ id, text });
    if (this.#heard.length > REMEMBERED) this.#base = /** @type {T.Heard} */ (this.#heard.shift()).id;
  }

  /** What came after an id; null when that is not known. @param {string} id @returns {string[] | null} */
  after(id) {
    const at = this.#heard.findIndex((one) => one.id === id);
    if (!id || (at < 0 && id !== this.#base)) return null;
    return this.#heard.slice(at + 1).map((one) => one.text);
  }
}

/** What a browser has, in a secure context. @returns {T.TabsPlatform | null} */
function browserPlatform() {
  if (!globalThis.navigator?.locks || !globalThis.BroadcastChannel) return null;
  return { locks: navigator.locks, openChannel: (name) => new BroadcastChannel(name) };
}

/** @type {T.NewTabs} */
export function newTabs(inner, manager) {
  const { clock, page, baseUrl, random, tabs: platform = browserPlatform() } = inner.env;
  if (!platform) return null;
  const { locks, openChannel } = platform;
  const self = crypto.randomUUID();
  const memory = new Memory();
  let place = '';
  let known = '';
  /** @type {ReturnType<T.TabsPlatform['openChannel']> | null} */
  let channel = null;
  let leading = false;
  let turn = 0;
  let release = () => {};
  /** @type {AbortController | null} our place in the queue for the lock */
  let queued = null;
  /** @type {T.ConnectionEstablished | null} of the leader's connection, while it is up */
  let facts = null;
  let told = '';
  /** @type {T.TransportName | null} of the leader */
  let carrier = null;
  /** @type {(note: T.Note) => void} */
  let follow = () => {};

  /** @param {string} kind @param {Partial<T.Note>} [more] */
  const post = (kind, more) => channel?.postMessage({ kind, from: self, ...more });

  const leave = () => {
    turn++;
    queued?.abort();
    queued = null;
    release();
    release = () => {};
    channel?.close();
    channel = facts = null;
    leading = false;
    place = told = '';
  };

  /** @param {LockOptions} options @returns {Promise<boolean>} whether this tab leads now */
  const request = (options) => new Promise((done) => {
    const mine = turn;
    let held = false;
    locks.request(place, options, (lock) => {
      if (!lock || mine !== turn || leading || (options.signal && page.hidden())) return done(false);
      held = leading = true;
      if (!options.signal) queued?.abort();
      post('lead');
      done(true);
      return new Promise((end) => (release = () => end(undefined)));
    }).catch(() => {
      done(false);
      if (!held || mine !== turn) return;
      leading = false; // stolen: this tab was asleep
      facts = null;
      inner.open();
    });
  });

  const takeOver = () => {
    if (carrier && carrier !== 'websocket') inner.advise(carrier);
    inner.open();
  };

  /** A page that is looked at waits for the lead. */
  const queue = async () => {
    if (queued || leading || !channel || page.hidden()) return;
    const mine = (queued = new AbortController());
    const granted = await request({ signal: mine.signal });
    if (queued === mine) queued = null;
    if (granted) takeOver();
  };

  /** @param {T.Note} note */
  const answer = ({ kind, from, after = '' }) => {
    if (kind === 'ask') return post('alive', { to: from });
    if (kind !== 'hello') return;
    const position = inner.position.value;
    const replay = after === position ? [] : memory.after(after);
    post('welcome', { to: from, state: plain(manager.getState()), facts, position, replay });
    if (manager.getState().status === 'waiting') manager.reconnect(); // somebody looks at that tab
  };

  manager.subscribe(() => {
    const state = manager.getState();
    const { status, transport, attempt, nextRetryAt } = state;
    const parked = status === 'waiting' && nextRetryAt === null && !inner.link();
    if (parked || status === 'closed' || status === 'auth_required') return leave();
    if (!leading) return void queue();
    if (status !== 'live' && status !== 'stale') facts = null;
    const now = `${status} ${transport} ${attempt} ${nextRetryAt}`;
    if (now !== told) post('state', { state: plain(state) });
    told = now;
  });
  manager.on('message', (message) => {
    const { type, id } = message;
    if (type === 'connection_established') {
      if (memory.after(message.data.lastEventId)?.length !== 0) memory.reset(message.data.lastEventId);
      if (!leading) return;
      facts = message.data;
      post('up');
    } else if (SHARED.test(type)) {
      const text = JSON.stringify(message);
      if (id) memory.add(id, text);
      if (leading) post('say', { text });
    }
  });
  manager.on('snapshot', ({ healing }) => {
    if (healing) memory.reset(inner.position.value); // something is missing before it
  });

  return {
    async join(token) {
      const mine = turn;
      const wanted = place && token === known ? place : await meetingPlace(baseUrl, manager.ownerId, token);
      if (mine !== turn) return true;
      known = token;
      if (wanted !== place) {
        leave();
        place = wanted;
        channel = place ? openChannel(place) : null;
        if (channel) {
          channel.onmessage = ({ data }) => {
            if (data.to && data.to !== self) return;
            if (leading) answer(data);
            else follow(data);
          };
        }
      }
      if (!place || leading) return true;
      if (!(await request({ ifAvailable: true }))) void queue();
      return leading || !place;
    },

    open({ ownerId, token, fetch }, handlers) {
      let over = false;
      let sent = '';
      let welcomed = false;
      /** @type {string[] | null} what is said while the past is being read */
      let held = null;
      /** @type {unknown} */
      let timer = null;

      const steal = async () => {
        if (page.hidden()) return watch();
        await request({ steal: true });
        if (over) return;
        if (carrier && carrier !== 'websocket') inner.advise(carrier);
        handlers.closed(CODE_TIMEOUT);
      };
      /** @param {string} kind @param {Partial<T.Note>} [more] */
      const ask = (kind, more) => {
        post(kind, more);
        clock.clearTimeout(timer);
        timer = clock.setTimeout(() => void steal(), ANSWER_MS);
      };
      const watch = () => {
        clock.clearTimeout(timer);
        timer = clock.setTimeout(() => (page.hidden() ? watch() : ask('ask')), ASK_MS * (1 + random() / 2));
      };
      const hello = () => {
        sent = inner.position.value;
        welcomed = false;
        held = null;
        ask('hello', { after: sent });
      };
      /** @param {string} type @param {object} data */
      const say = (type, data) => handlers.message(JSON.stringify({ type, timestamp: clock.now(), ownerId, data }));

      /** @param {T.Note} note */
      const admit = async ({ facts: given, position, replay }) => {
        if (!given) return;
        const after = sent;
        welcomed = true;
        if (!replay && after) {
          /** @type {string[]} */
          const mine = (held = []);
          replay = await readPast({ baseUrl, fetch }, token, ownerId, after).catch(() => null);
          if (over || held !== mine) return;
        }
        say('connection_established', { ...given, lastEventId: replay ? after : position, recovered: Boolean(replay) });
        for (const text of [...(replay ?? []), ...(held ?? [])]) if (!over) handlers.message(text);
        held = null;
      };

      follow = (note) => {
        if (over || !['lead', 'up', 'state', 'alive', 'welcome', 'say'].includes(note.kind)) return;
        watch();
        if (note.state) mirror(note.state);
        if (note.kind === 'lead' || note.kind === 'up') hello();
        else if (note.kind === 'alive') say('pong', {});
        else if (note.kind === 'welcome') void admit(note);
        else if (note.kind === 'say' && welcomed && note.text) {
          if (!held) handlers.message(note.text);
          else if (held.push(note.text) > CATCH_UP) hello();
        }
      };
      hello();
      return {
        send() {
          ask('ask'); // only ever a ping of our own: the answer is a sign of life
          return false;
        },
        close() {
          over = true;
          clock.clearTimeout(timer);
        },
      };
    },
  };

  /** The leader's state is shown here too. @param {T.ConnectionState} state */
  function mirror({ status, transport, attempt, nextRetryAt, error }) {
    const link = inner.link();
    if (link?.mode !== 'tab') return;
    carrier = transport ?? carrier;
    if (status !== 'connecting' && status !== 'waiting') return inner.set(link.since ? { status, transport } : { transport });
    link.since = 0;
    inner.rest();
    inner.set({
      status, transport, attempt, nextRetryAt, judged: true, shared: true, error: error && new RealtimeError(error.kind, error.message, error),
    });
  }
}

/** An error's fields do not cross a channel by themselves. @param {Readonly<T.ConnectionState>} state @returns {T.ConnectionState} */
function plain(state) {
  const { error } = state;
  return { ...state, error: error && { ...error, message: error.message } };
}

/** @type {T.ReadPast} */
async function readPast(server, token, ownerId, after) {
  /** @type {string[]} */
  const texts = [];
  for (;;) {
    const path = `/api/owners/${encodeURIComponent(ownerId)}/events?after=${encodeURIComponent(after)}&limit=100`;
    const { body } = await getJson(server, token, path, AbortSignal.timeout(10_000));
    if (body.resync || texts.length > CATCH_UP) return null;
    texts.push(...body.events.map((/** @type {unknown} */ event) => JSON.stringify(event)));
    if (!body.hasMore) return texts;
    after = body.lastEventId;
  }
}
