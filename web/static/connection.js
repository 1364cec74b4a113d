/**
 * One owner's connection: it dials, resumes, notices loss and heals itself.
 * Every new dial, whatever its cause, goes through `#open`.
 * @import { ClientOptions, ConnectionState, ErrorKind, EventName, Listeners, Message, Snapshot, Token, Transport, WebSocketManager } from './types.js'
 */
import { STABLE_MS, delay } from './backoff.js';
import { Emitter } from './emitter.js';
import { Liveness } from './liveness.js';
import { Position } from './position.js';
import { CODE_TIMEOUT, RealtimeError, parseMessage, verdict } from './protocol.js';
import { SnapshotLoader, fetchSnapshot } from './snapshot.js';
import { TokenSource } from './token.js';
import { TransportChoice, plainHttpWorks } from './transport/choice.js';

/** @typedef {import('./transport/choice.js').Mode} Mode */

const ESTABLISH_MS = 5000;
/** Token and first snapshot together; a token callback may ask a person's browser to refresh. */
const PREPARE_MS = 20_000;

/** @typedef {{mode: Mode, token: string, transport: Transport | null, sentId: string, since: number | null, code: number | null, retryMs: number | null}} Link */

/** @implements {WebSocketManager} */
export class Connection {
  #options;
  #clock;
  #token;
  #position;
  #loader;
  #liveness;
  #unlisten;
  #emitter;
  /** @type {Set<{resolve: () => void, reject: (error: Error) => void}>} */
  #waiters = new Set();
  /** @type {Readonly<ConnectionState>} */
  #state;
  #choice = new TransportChoice();
  /** @type {Link | null} the one connection, being dialled or established */
  #link = null;
  /** @type {Link | null} a WebSocket tried beside a working fallback */
  #candidate = null;
  /** @type {unknown} */
  #dialTimer = null;
  /** @type {unknown} */
  #retryTimer = null;
  /** @type {unknown} */
  #upgradeTimer = null;
  #attempt = 0;
  #authFailures = 0;
  #eventAt = 0;

  /** @param {string} ownerId @param {Token} token @param {Required<ClientOptions>} options */
  constructor(ownerId, token, options) {
    this.ownerId = ownerId;
    this.#token = new TokenSource(token);
    this.#options = options;
    this.#emitter = new Emitter(options.clock, options.log);
    this.#clock = options.clock;
    this.#position = new Position(ownerId, options.storage);
    this.#loader = new SnapshotLoader((signal) => this.#loadSnapshot(signal), options.clock, options.random, {
      done: (snapshot) => this.#applySnapshot(snapshot),
      failed: (error) => this.#emitter.log('snapshot failed', error),
    });
    this.#liveness = new Liveness(options.clock, {
      stale: (stale) => this.#set({ status: stale ? 'stale' : 'live' }),
      dead: () => this.#link && this.#lost(this.#link, CODE_TIMEOUT),
      ping: () => this.send({ type: 'ping' }),
    });
    this.#state = Object.freeze({
      status: 'idle', transport: null, attempt: 0, nextRetryAt: null, confirmedAt: null, downSince: null,
      judged: false, offline: options.page.offline(), timezone: null, error: null,
    });
    this.#unlisten = options.page.listen({
      online: () => this.#return({ offline: false }),
      offline: () => {
        this.#set({ offline: true });
        this.#liveness.wake();
      },
      shown: () => this.#return(),
      restored: () => this.#return(),
      left: () => void (this.#link && this.#park()),
    });
  }

  /** @param {{signal?: AbortSignal}} [options] @returns {Promise<void>} */
  connect({ signal } = {}) {
    if (this.#state.status === 'closed') return Promise.reject(new RealtimeError('closed', 'the client was closed'));
    if (signal?.aborted) return Promise.reject(new RealtimeError('aborted', 'connect was aborted'));
    if (this.#link?.since) return Promise.resolve();
    /** @type {Promise<void>} */
    const established = new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      this.#waiters.add(waiter);
      const aborted = () => this.#waiters.delete(waiter) && reject(new RealtimeError('aborted', 'connect was aborted'));
      signal?.addEventListener('abort', aborted, { once: true });
    });
    if (this.#state.status === 'idle' || this.#state.status === 'auth_required') this.#open();
    return established;
  }

  /** @template {EventName} E @param {E} event @param {Listeners[E]} listener */
  on(event, listener) {
    return this.#emitter.on(event, listener);
  }

  /** @param {{type: string, [field: string]: unknown}} message */
  send(message) {
    return (this.#link?.since && this.#link.transport?.send(JSON.stringify(message))) || false;
  }

  close() {
    if (this.#state.status === 'closed') return;
    this.#drop();
    this.#loader.stop();
    this.#unlisten();
    this.#set({ status: 'closed', nextRetryAt: null });
    this.#reject(new RealtimeError('closed', 'the client was closed'));
    this.#emitter.clear();
  }

  reconnect() {
    this.#attempt = 0;
    this.#authFailures = 0;
    if (this.#link && !this.#link.since) return; // already dialling: ten clicks, one socket
    this.#open();
  }

  /** @param {Token} token */
  setToken(token) {
    this.#token.set(token);
    this.#authFailures = 0;
    const { status } = this.#state;
    if (this.#link?.since) void this.#refresh();
    else if (status === 'waiting' || status === 'auth_required') this.#open();
  }

  getState = () => this.#state;

  /** @param {() => void} listener */
  subscribe(listener) {
    return this.#emitter.on('state', listener);
  }

  /** Wake-ups, `online` and a return to the page: look after a live connection, hasten a waiting one. @param {Partial<ConnectionState>} [change] */
  #return(change = {}) {
    this.#set(change);
    if (this.#link) return this.#liveness.wake();
    if (this.#state.status !== 'waiting') return;
    this.#attempt = 0;
    this.#open();
  }

  /** The one door to a new connection. */
  #open() {
    if (this.#state.status === 'closed') return;
    this.#drop();
    if (this.#options.page.hidden()) return this.#park();
    /** @type {Link} */
    const link = { mode: this.#choice.mode, token: '', transport: null, sentId: '', since: null, code: null, retryMs: null };
    this.#link = link;
    this.#set({ status: 'connecting', transport: null, nextRetryAt: null, attempt: this.#attempt });
    this.#dialTimer = this.#clock.setTimeout(() => this.#lost(link, CODE_TIMEOUT), PREPARE_MS);
    this.#prepare(link).catch((error) => {
      this.#emitter.log('token callback failed', error);
      const refused = error instanceof RealtimeError && !error.retryable;
      if (link === this.#link && refused) this.#refuse('auth', null, error);
      else this.#lost(link, 1006);
    });
  }

  /** @param {Link} link */
  async #prepare(link) {
    link.token = await this.#token.ask();
    if (link !== this.#link) return;
    if (!this.#loader.loaded) {
      const first = this.#loader.first();
      // With a position the stream need not wait for the picture; without one it starts where the picture ends.
      if (!this.#position.value) await first;
      if (link !== this.#link) return;
    }
    this.#clock.clearTimeout(this.#dialTimer);
    this.#dialTimer = this.#clock.setTimeout(() => this.#lost(link, CODE_TIMEOUT), ESTABLISH_MS);
    this.#dial(link);
  }

  /** @param {Link} link */
  #dial(link) {
    link.sentId = this.#position.value;
    const open = link.mode === 'websocket' ? this.#options.openWebSocket : this.#options.openSse;
    const request = { baseUrl: this.#options.baseUrl, ownerId: this.ownerId, token: link.token, lastEventId: link.sentId };
    const closed = (/** @type {number} */ code, /** @type {number} */ retryMs = 0) => this.#lost(link, code, retryMs);
    link.transport = open(request, { message: (text) => this.#receive(link, text), closed });
  }

  /** @param {Link} link @param {string} text */
  #receive(link, text) {
    if (link !== this.#link && link !== this.#candidate) return;
    const parsed = parseMessage(text);
    if ('problem' in parsed) return this.#emitter.log(parsed.problem);
    const { message } = parsed;
    if (link === this.#candidate) {
      if (message.type !== 'connection_established') return;
      this.#adopt(link);
    }
    this.#liveness.heard();
    if (message.ownerId && message.ownerId !== this.ownerId) return this.#emitter.log('foreign owner');
    if (!this.#handle(link, message)) return;
    this.#emitter.emit(message.type, message);
    this.#emitter.emit('message', message);
  }

  /** What the connection itself does with a message. @param {Link} link @param {Message} message @returns {boolean} whether listeners get it */
  #handle(link, message) {
    switch (message.type) {
      case 'connection_established':
        this.#established(link, message.data);
        return true;
      case 'heartbeat':
        if (message.data.lastEventId === this.#position.value) this.#loader.allay();
        else this.#loader.request(false);
        this.#confirm();
        return true;
      case 'resync':
        this.#loader.request(true);
        return true;
      case 'token_expiring':
        void this.#refresh();
        return true;
      case 'token_expired':
        link.code = 4401;
        return true;
      case 'server_closing':
        link.retryMs = message.data.retryMs;
        return true;
      case 'error': // the end of an SSE stream has no close code of its own; this says it
        if (link.mode === 'sse' && Number(message.data.code) >= 1000) link.code = Number(message.data.code);
        return true;
    }
    let fresh = true;
    if (message.id) {
      fresh = this.#position.accept(message.id);
      this.#eventAt = this.#clock.now();
    }
    this.#confirm();
    return fresh;
  }

  /** @param {Link} link @param {import('./types.js').ConnectionEstablished} data */
  #established(link, data) {
    this.#clock.clearTimeout(this.#dialTimer);
    link.since = this.#clock.now();
    this.#choice.established();
    this.#authFailures = 0;
    this.#position.moveTo(data.lastEventId);
    if (!link.sentId || !data.recovered) this.#loader.request(true);
    this.#liveness.start(data.heartbeatMs);
    this.#set({
      status: 'live', transport: link.mode, judged: true, nextRetryAt: null, error: null, offline: false,
      timezone: data.timezone || this.#state.timezone,
    });
    this.#confirm();
    if (link.mode === 'sse') this.#planUpgrade();
    for (const waiter of this.#waiters) waiter.resolve();
    this.#waiters.clear();
  }

  /** A connection ended, or never came to be. @param {Link} link @param {number} code @param {number} [retryAfterMs] */
  #lost(link, code, retryAfterMs = 0) {
    if (link === this.#candidate) return this.#dropCandidate();
    if (link !== this.#link) return;
    const now = this.#clock.now();
    if (link.since !== null && now - link.since >= STABLE_MS) this.#attempt = 0;
    if (link.code !== null && code < 4000) code = link.code;
    this.#drop();
    const kind = verdict(code);
    if (kind === 'forbidden' || (kind === 'auth' && ++this.#authFailures > 1)) return this.#refuse(kind, code);
    if (kind === 'protocol') this.#position.forget();
    if (kind === 'limited') this.#attempt = Math.max(this.#attempt, 4);
    let wait = 0;
    if (link.retryMs !== null) wait = Math.floor(this.#options.random() * link.retryMs);
    else if (kind !== 'auth') wait = Math.max(retryAfterMs, delay(this.#attempt++, this.#options.random));
    const nextRetryAt = now + wait;
    const error = new RealtimeError(kind, `connection lost (${code})`, { code, attempt: this.#attempt, nextRetryAt });
    this.#retryTimer = this.#clock.setTimeout(() => this.#open(), wait);
    this.#set({ status: 'waiting', nextRetryAt, attempt: this.#attempt, judged: true, error, transport: null });
    if (link.since === null && (kind === 'network' || kind === 'timeout')) void this.#suspect(link.mode);
  }

  /** No use in trying again until somebody brings another token. @param {ErrorKind} kind @param {number | null} code @param {unknown} [cause] */
  #refuse(kind, code, cause) {
    this.#drop();
    const error = new RealtimeError(kind, kind === 'auth' ? 'not authenticated' : 'not your account', { code, cause });
    this.#set({ status: 'auth_required', nextRetryAt: null, judged: true, error, transport: null });
    this.#reject(error);
  }

  /** A dial failed without a word: if plain HTTP works all the same, something on the way may dislike the transport. @param {Mode} mode */
  async #suspect(mode) {
    const token = await this.#token.ask().catch(() => '');
    if (!(await plainHttpWorks(this.#options.fetch, this.#options.baseUrl, token))) return;
    if (this.#choice.failed(mode) && this.#state.status === 'waiting') this.#open();
  }

  #planUpgrade() {
    this.#clock.clearTimeout(this.#upgradeTimer);
    this.#upgradeTimer = this.#clock.setTimeout(() => void this.#tryUpgrade(), this.#choice.upgradeMs);
  }

  /** Beside a working fallback, asks whether a WebSocket would do by now. */
  async #tryUpgrade() {
    const current = this.#link;
    if (!current || this.#options.page.hidden()) return this.#planUpgrade();
    const token = await this.#token.ask().catch(() => '');
    if (current !== this.#link || !token) return;
    const link = { ...current, mode: /** @type {Mode} */ ('websocket'), token, transport: null, since: null };
    this.#candidate = link;
    this.#upgradeTimer = this.#clock.setTimeout(() => this.#dropCandidate(), ESTABLISH_MS);
    this.#dial(link);
  }

  #dropCandidate() {
    this.#candidate?.transport?.close();
    this.#candidate = null;
    this.#choice.upgradeFailed();
    this.#planUpgrade();
  }

  /** The candidate becomes the connection. @param {Link} link */
  #adopt(link) {
    this.#candidate = null;
    this.#drop();
    this.#link = link;
    this.#choice.upgraded();
  }

  /** Brings a new token to a live connection, in band where the transport can. */
  async #refresh() {
    const link = this.#link;
    try {
      const token = await this.#token.ask();
      if (!link || link !== this.#link || token === link.token) return;
      link.token = token;
      if (!this.send({ type: 'refresh', token })) this.#open();
    } catch (error) {
      this.#emitter.log('token refresh failed', error); // the server will end the connection; the door asks again
    }
  }

  /** @param {AbortSignal} signal */
  async #loadSnapshot(signal) {
    const { baseUrl, fetch } = this.#options;
    const token = await this.#token.ask();
    return fetchSnapshot({ baseUrl, ownerId: this.ownerId, token, fetch, now: () => this.#clock.now(), signal });
  }

  /** @param {Snapshot} snapshot */
  #applySnapshot(snapshot) {
    // An event that came meanwhile is newer than what the snapshot's id says.
    const overtaken = this.#eventAt >= snapshot.startedAt;
    if (!this.#position.value || (snapshot.healing && !overtaken)) this.#position.moveTo(snapshot.lastEventId);
    this.#emitter.emit('snapshot', snapshot);
    if (!this.#loader.pending) this.#set({ confirmedAt: snapshot.startedAt });
  }

  /** The numbers are right as of now, unless a loss is still being healed. */
  #confirm() {
    if (this.#loader.loaded && !this.#loader.pending) this.#set({ confirmedAt: this.#clock.now() });
  }

  /** Nobody looks: no dial until the page is shown again. */
  #park() {
    this.#drop();
    this.#set({ status: 'waiting', nextRetryAt: null, transport: null });
  }

  #drop() {
    for (const timer of [this.#dialTimer, this.#retryTimer, this.#upgradeTimer]) this.#clock.clearTimeout(timer);
    this.#liveness.stop();
    this.#link?.transport?.close();
    this.#candidate?.transport?.close();
    this.#link = this.#candidate = null;
  }

  /** @param {Error} error */
  #reject(error) {
    for (const waiter of this.#waiters) waiter.reject(error);
    this.#waiters.clear();
  }

  /** @param {Partial<ConnectionState>} change */
  #set(change) {
    const before = this.#state;
    const next = { ...before, ...change };
    const up = next.status === 'live' || next.status === 'stale';
    next.downSince = up || next.status === 'idle' ? null : before.downSince ?? this.#clock.now();
    this.#state = Object.freeze(next);
    this.#emitter.emit('state');
  }
}
