/** What the portal's first client got wrong, each by its name. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createManager, getWebSocketManager, initWebSocket } from '../../static/client.js';
import { DashboardStore } from '../../static/state/store.js';
import { flushMicrotasks, tokenOf, newFixture } from './fakes.js';

describe('the portal\'s first client', () => {
  test('gave up after 5 tries', async () => {
    const w = newFixture();
    w.http.up = false;
    w.manager.connect();
    await flushMicrotasks();
    for (let i = 0; i < 50; i++) {
      w.link.drop();
      await w.clock.advance(60_000);
    }
    assert.ok(w.links.length > 50);
    for (let i = 0; i < 200 && w.link.closed; i++) await w.clock.advance(500);
    w.link.establish();
    assert.equal(w.manager.getState().status, 'live');
  });

  test('a closed client reconnected', async () => {
    const w = newFixture();
    await w.live();
    const [link] = w.links;
    w.manager.close();
    link.handlers.closed(1006);
    w.manager.reconnect();
    await w.clock.advance(600_000);
    assert.equal(w.links.length, 1);
    assert.equal(w.clock.timers.size, 0);
  });

  test('a second init kept the old owner and token', async () => {
    const dials = [];
    const options = {
      baseUrl: 'http://server', storage: null, tabs: null, fetch: async () => {
        throw new TypeError('network');
      },
      openWebSocket: ({ ownerId, token }) => {
        dials.push([ownerId, token]);
        return { send: () => false, close() {} };
      },
      log() {},
    };
    for (const [owner, token] of [['1', 'a'], ['2', 'b']]) {
      initWebSocket(owner, token, options).connect().catch(() => {});
      await flushMicrotasks();
    }
    assert.deepEqual(dials, [['1', 'a'], ['2', 'b']]);
    assert.equal(getWebSocketManager().ownerId, '2');
    initWebSocket('2', 'c', options).reconnect();
    getWebSocketManager().close();
  });

  test('listeners were attached only after a first success', async () => {
    const w = newFixture();
    const got = [];
    w.manager.on('booking_created', ({ id }) => got.push(id));
    w.http.up = false;
    w.manager.connect();
    await flushMicrotasks();
    w.link.drop();
    await w.clock.advance(1000);
    w.link.establish();
    w.link.event('e1');
    assert.deepEqual(got, ['e1']);
  });

  test('every click on reconnect doubled the notifications', async () => {
    const w = newFixture();
    const got = [];
    w.manager.on('booking_created', ({ id }) => got.push(id));
    await w.live();
    for (let i = 1; i <= 5; i++) {
      w.manager.reconnect();
      await flushMicrotasks();
      w.link.establish();
      w.link.event(`e${i}`);
    }
    assert.deepEqual(got, ['e1', 'e2', 'e3', 'e4', 'e5']);
  });

  test('one hook\'s unmount closed the other\'s socket', async () => {
    const w = newFixture();
    const got = [];
    const first = w.manager.on('message', () => got.push('first'));
    w.manager.on('heartbeat', () => got.push('second'));
    await w.live();
    got.length = 0;
    first();
    first();
    w.link.control('heartbeat', { lastEventId: 'e0' });
    assert.deepEqual(got, ['second']);
    assert.equal(w.link.closed, false);
  });

  test('connected at onopen', async () => {
    const sockets = [];
    globalThis.WebSocket = class {
      readyState = 1;
      sent = [];
      constructor(url, protocols) {
        sockets.push(Object.assign(this, { url, protocols }));
      }
      send(text) {
        this.sent.push(text);
      }
      close() {}
    };
    const manager = createManager('1', tokenOf('7'), { baseUrl: 'https://server', storage: null, tabs: null, fetch: async () => new Response('', { status: 503 }), log() {} });
    manager.connect().catch(() => {});
    await flushMicrotasks();
    const [socket] = sockets;
    socket.onopen?.();
    assert.equal(manager.getState().status, 'connecting');
    assert.equal(manager.send({ type: 'ping' }), false);
    assert.equal(socket.url, 'wss://server/api/ws?ownerId=1', 'the token is not in the address');
    assert.deepEqual(socket.protocols, ['hangarshare.v1', `bearer.${tokenOf('7')}`]);
    socket.onmessage({ data: JSON.stringify({ type: 'connection_established', data: { lastEventId: 'e0' } }) });
    assert.equal(manager.getState().status, 'live');
    assert.equal(manager.send({ type: 'ping' }), true);
    manager.close();
    delete globalThis.WebSocket;
  });

  test('pings nobody answered', async () => {
    const w = newFixture();
    await w.live();
    await w.clock.sleep(3_600_000);
    assert.deepEqual(w.link.sent, [{ type: 'ping' }]);
    await w.clock.advance(3000);
    assert.notEqual(w.manager.getState().status, 'live');
    await w.clock.advance(2000);
    assert.equal(w.links.length, 2, 'silence is an answer');
  });

  test('a partial metrics event wiped the other numbers', async () => {
    const w = newFixture();
    w.http.metrics = { revenueToday: 10, bookingsToday: 3, occupancyRate: 50, nextPayoutDate: '2026-01-23' };
    const seen = [];
    w.manager.on('metrics_updated', ({ data }) => seen.push(data));
    await w.live();
    w.link.control('metrics_updated', { revenueToday: 25 });
    w.link.control('metrics_updated', { bookingsToday: 4, occupancyRate: 'many' });
    assert.deepEqual(seen.map(({ revenueToday, bookingsToday, occupancyRate, nextPayoutDate }) => [revenueToday, bookingsToday, occupancyRate, nextPayoutDate]),
      [[25, 3, 50, '2026-01-23'], [25, 4, 50, '2026-01-23']]);
  });

  test('no snapshot before the first event', async () => {
    const w = newFixture();
    const order = [];
    w.manager.on('snapshot', () => order.push('snapshot'));
    w.manager.on('booking_created', () => order.push('event'));
    await w.live();
    w.link.event('e1');
    assert.deepEqual(order, ['snapshot', 'event']);
  });

  test('no ids', async () => {
    const w = newFixture();
    const got = [];
    w.manager.on('message', ({ id }) => id && got.push(id));
    await w.live();
    w.link.event('e1');
    w.link.event('e1');
    w.link.drop();
    await w.clock.advance(1000);
    assert.equal(w.link.request.lastEventId, 'e1');
    w.link.establish();
    w.link.event('e1');
    w.link.event('e2');
    assert.deepEqual(got, ['e1', 'e2']);
  });

  test('the unread counter was the length of a cut list', () => {
    const store = new DashboardStore();
    for (let i = 1; i <= 250; i++) {
      const data = { id: `${i}`, bookingId: `${i}`, hangarNumber: 'A', guestName: 'Ana', amount: 1, duration: 1, checkInDate: '', checkOutDate: '', timestamp: i };
      store.apply({ id: `e${i}`, type: 'booking_created', timestamp: i, ownerId: '1', data });
    }
    assert.equal(store.getState().unread, 250);
    assert.ok(store.getState().bookings.length < 250);
  });
});

describe('line by line', () => {
  test('a second 4401 in a row stops it, also after a word of welcome', async () => {
    let asked = 0;
    const w = newFixture({ token: async () => `t${++asked}` });
    await w.live();
    w.link.drop(4401);
    await w.clock.advance(0);
    w.link.establish();
    w.link.drop(4401);
    await w.clock.advance(600_000);
    assert.equal(w.manager.getState().status, 'auth_required');
    assert.equal(w.links.length, 2);
    assert.equal(w.manager.getState().error.kind, 'auth');
  });

  test('one question for a token in flight', async () => {
    let asked = 0;
    let release = () => {};
    const gate = new Promise((resolve) => (release = resolve));
    const w = newFixture({ token: async () => {
      asked++;
      await gate;
      return 't';
    } });
    w.manager.connect();
    w.manager.reconnect();
    w.manager.reconnect();
    await flushMicrotasks();
    assert.equal(asked, 1);
    release();
    await flushMicrotasks();
    assert.equal(w.open.length, 1);
  });

  test('an error says kind, code, whether to wait, which try, and until when', async () => {
    const w = newFixture();
    await w.live();
    w.link.drop(4408);
    const { error, nextRetryAt, status, downSince } = w.manager.getState();
    assert.equal(status, 'waiting');
    assert.deepEqual([error.name, error.kind, error.code, error.retryable, error.attempt, error.nextRetryAt],
      ['RealtimeError', 'server', 4408, true, 1, nextRetryAt]);
    assert.equal(downSince, w.clock.now());
  });

  test('a token callback that cannot help keeps its reason', async () => {
    const reason = Object.assign(new Error('signed out'), { retryable: false });
    const w = newFixture({ token: async () => {
      throw reason;
    } });
    await assert.rejects(w.manager.connect(), (error) => error.kind === 'auth' && error.cause === reason);
    assert.equal(w.manager.getState().status, 'auth_required');
  });

  test('a page put away while waiting does not dial, and resumes when it comes back', async () => {
    const w = newFixture();
    await w.live();
    w.link.event('e1');
    w.link.drop();
    w.fire.left();
    await w.clock.advance(600_000);
    assert.equal(w.links.length, 1);
    assert.equal(w.manager.getState().nextRetryAt, null);
    w.fire.restored();
    await flushMicrotasks();
    assert.equal(w.link.request.lastEventId, 'e1');
  });

  test('an aborted signal is forgotten once the client is connected', async () => {
    const w = newFixture();
    const abort = new AbortController();
    let listening = 0;
    const { signal } = abort;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...given) => (listening++, add(...given));
    signal.removeEventListener = (...given) => (listening--, remove(...given));
    const connecting = w.manager.connect({ signal });
    await flushMicrotasks();
    w.link.establish();
    await connecting;
    assert.equal(listening, 0);
    await assert.rejects(w.manager.connect({ signal: AbortSignal.abort() }), { kind: 'aborted' });
  });

  test('a string for a number, a number for a text, nothing at all', async () => {
    const w = newFixture();
    const got = [];
    w.manager.on('booking_created', ({ data }) => got.push(data));
    await w.live();
    w.link.event('e1', 'booking_created', { bookingId: 9, amount: '12', guestName: null, isNowOccupied: 1 });
    assert.equal(got[0].bookingId, '9');
    assert.equal(got[0].id, '9');
    assert.equal(got[0].amount, 0);
    assert.equal(got[0].guestName, '');
  });
});
