/** A newFixture in which time moves only when told to, and a server is a few functions. */
import { createHash } from 'node:crypto';
import { createManager } from '../../static/client.js';

/** The same digest without the thread pool, so that no promise waits for a busy machine. */
Object.defineProperty(crypto.subtle, 'digest', {
  value: async (/** @type {string} */ name, /** @type {Uint8Array} */ bytes) => createHash(name.replace('-', '')).update(bytes).digest(),
});

export class FakeClock {
  time = 1_768_977_456_000;
  #next = 1;
  /** @type {Map<number, {at: number, callback: () => void}>} */
  timers = new Map();

  now = () => this.time;
  setTimeout = (callback, ms) => {
    this.timers.set(this.#next, { at: this.time + Math.max(0, ms), callback });
    return this.#next++;
  };
  clearTimeout = (id) => void this.timers.delete(id);

  /** Moves on, firing what is due in order, and lets promises flushMicrotasks after each. */
  async advance(ms) {
    const end = this.time + ms;
    await flushMicrotasks();
    for (;;) {
      const due = [...this.timers].filter(([, timer]) => timer.at <= end).sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0];
      if (!due) break;
      this.timers.delete(due[0]);
      this.time = Math.max(this.time, due[1].at);
      due[1].callback();
      await flushMicrotasks();
    }
    this.time = end;
  }

  /** The lid was closed: time passed, timers did not run until now. */
  async sleep(ms) {
    this.time += ms;
    await this.advance(0);
  }
}

/**
 * Modules that the client loads when it first needs them are loaded for good, so that no promise
 * waits for a disk.
 */
await Promise.all(['fallback', 'dial'].map((name) => import(`../../static/${name}.js`)));

/**
 * Lets all promise reactions run that are ready, and those they make ready, loaded modules
 * included.
 */
export async function flushMicrotasks() {
  for (let turn = 0; turn < 4; turn++) {
    for (let i = 0; i < 50; i++) await null;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** One dialled connection, seen from the server. */
class FakeLink {
  closed = false;
  sent = [];
  constructor(kind, request, handlers) {
    Object.assign(this, { kind, request, handlers });
  }
  control(type, data = {}) {
    this.message({ type, timestamp: 1, ownerId: '1', data });
  }
  event(id, type = 'booking_created', data = { bookingId: id }) {
    this.message({ id, type, timestamp: 1, ownerId: '1', data });
  }
  message(message) {
    if (!this.closed) this.handlers.message(JSON.stringify(message));
  }
  establish(data = {}) {
    this.control('connection_established', {
      ownerId: '1', connectionId: 'c', lastEventId: this.request.lastEventId || 'e0', recovered: this.request.lastEventId !== '',
      heartbeatMs: 20_000, timezone: 'America/Sao_Paulo', ...data,
    });
  }
  drop(code = 1006, retryMs) {
    if (this.closed) return;
    this.closed = true;
    this.handlers.closed(code, retryMs);
  }
}

/**
 * A manager with a clock, a network and a page that a test decides on.
 * @param {object} [options]
 */
export function newFixture({ token = 'secret', stored = '', random = () => 0.5, hidden = false, clock = new FakeClock(), tabs = null, ...more } = {}) {
  const links = [];
  const logs = [];
  const requests = [];
  const storage = new Map(stored ? [['hangarshare:position:1', stored]] : []);
  const http = { up: true, position: 'e0', metrics: { revenueToday: 10 }, /** @type {((url: string, options: any) => any) | null} */ answer: null };
  let handlers = null;
  const page = { isHidden: hidden };
  const open = (kind) => (request, linkHandlers) => {
    const link = new FakeLink(kind, request, linkHandlers);
    links.push(link);
    return {
      send(text) {
        link.sent.push(JSON.parse(text));
        return kind === 'websocket';
      },
      close() {
        link.closed = true;
      },
    };
  };
  const fetch = async (url, options) => {
    requests.push(url);
    if (!http.up) throw new TypeError('network');
    if (options?.signal?.aborted) throw new Error('aborted');
    const answer = http.answer?.(url, options);
    if (answer) return answer;
    const body = url.includes('/metrics') ? http.metrics : url.includes('/bookings') ? { bookings: [] } : { listings: [] };
    return { ok: true, status: 200, headers: new Headers({ 'Last-Event-ID': http.position }), json: async () => body };
  };
  const manager = createManager('1', token, {
    baseUrl: 'http://server', fetch, clock, random,
    openWebSocket: open('websocket'), openSse: open('sse'), openPolling: open('polling'), tabs,
    page: {
      hidden: () => page.isHidden,
      offline: () => false,
      listen(given) {
        handlers = given;
        return () => (handlers = null);
      },
    },
    storage: {
      getItem: (key) => storage.get(key) ?? null,
      setItem: (key, value) => void storage.set(key, value),
      removeItem: (key) => void storage.delete(key),
    },
    log: (message) => logs.push(message),
    ...more,
  });
  return {
    clock, links, logs, requests, storage, http, page, manager,
    get fire() {
      return handlers;
    },
    get link() {
      return links.at(-1);
    },
    get open() {
      return links.filter((link) => !link.closed);
    },
    snapshots: () => requests.filter((url) => url.endsWith('/metrics')).length,
    /** Dials and establishes. */
    async live() {
      const connected = manager.connect();
      await flushMicrotasks();
      links.at(-1).establish();
      await connected;
      await flushMicrotasks();
    },
  };
}

/** An answer as fetch brings it. */
export function answer(status, body, headers = {}) {
  return { ok: status < 300, status, headers: new Headers({ 'Content-Type': 'application/json', ...headers }), json: async () => body };
}

/** A token of a user, with a signature that only a server could check. */
export function tokenOf(user, more = {}) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'HS256' })}.${part({ sub: user, ...more })}.signature`;
}

/** Web Locks and BroadcastChannel of one browser, shared by the worlds that are its tabs. */
export class FakePlatform {
  /** @type {Map<string, {holder: any, queue: any[]}>} */
  names = new Map();
  /** @type {Set<any>} */
  channels = new Set();
  said = [];

  locks = {
    request: (name, options, callback) => new Promise((resolve, reject) => {
      const lock = this.names.get(name) ?? { holder: null, queue: [] };
      this.names.set(name, lock);
      const entry = { callback, resolve, reject, options };
      if (options.steal) {
        lock.holder?.reject(new Error('stolen'));
        lock.holder = null;
        return this.#grant(lock, entry);
      }
      if (!lock.holder) return this.#grant(lock, entry);
      if (options.ifAvailable) return resolve(callback(null));
      lock.queue.push(entry);
      options.signal?.addEventListener('abort', () => {
        const at = lock.queue.indexOf(entry);
        if (at < 0) return;
        lock.queue.splice(at, 1);
        reject(new Error('aborted'));
      });
    }),
  };

  async #grant(lock, entry) {
    lock.holder = entry;
    const held = entry.callback({});
    const result = await held;
    if (lock.holder !== entry) return;
    lock.holder = null;
    entry.resolve(result);
    const next = lock.queue.shift();
    if (next) this.#grant(lock, next);
  }

  openChannel = (name) => {
    const channel = {
      name,
      deaf: false,
      onmessage: null,
      postMessage: (data) => {
        const text = JSON.stringify(data);
        this.said.push(text);
        for (const other of this.channels) {
          if (other === channel || other.name !== name) continue;
          queueMicrotask(() => this.channels.has(other) && !other.deaf && other.onmessage?.({ data: JSON.parse(text) }));
        }
      },
      close: () => this.channels.delete(channel),
    };
    this.channels.add(channel);
    return channel;
  };
}
