import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { getWebSocketManager, initWebSocket } from '../../static/client.js';
import { RealtimeError } from '../../static/parts.js';
import { FakeClock, flushMicrotasks, newFixture } from './fakes.js';

const status = (w) => w.manager.getState().status;

describe('connecting', () => {
  test('connected means connection_established, not an open socket', async () => {
    const w = newFixture();
    let connected = false;
    w.manager.connect().then(() => (connected = true));
    await flushMicrotasks();
    assert.equal(status(w), 'connecting');
    assert.equal(connected, false);
    assert.equal(w.manager.send({ type: 'ping' }), false, 'nothing is queued in silence');
    w.link.establish();
    await flushMicrotasks();
    assert.equal(status(w), 'live');
    assert.equal(connected, true);
    assert.equal(w.manager.send({ type: 'ping' }), true);
  });

  test('the snapshot comes first and the stream starts after its position', async () => {
    const w = newFixture();
    w.http.position = 'e7';
    const seen = [];
    w.manager.on('snapshot', ({ metrics }) => seen.push(metrics.revenueToday));
    await w.live();
    assert.deepEqual(seen, [10]);
    assert.equal(w.link.request.lastEventId, 'e7');
    await w.clock.advance(5000);
    assert.equal(w.snapshots(), 1);
  });

  test('without a snapshot it dials all the same and loads one as soon as it can', async () => {
    const w = newFixture();
    w.http.up = false;
    w.manager.connect().catch(() => {});
    await flushMicrotasks();
    assert.equal(w.link.request.lastEventId, '');
    w.http.up = true;
    w.link.establish();
    await w.clock.advance(1500);
    assert.equal(w.manager.getState().confirmedAt !== null, true);
  });

  test('connect is idempotent', async () => {
    const w = newFixture();
    const both = [w.manager.connect(), w.manager.connect()];
    await flushMicrotasks();
    w.link.establish();
    await Promise.all([...both, w.manager.connect()]);
    assert.equal(w.links.length, 1);
  });

  test('abort rejects the caller and leaves the connection alone', async () => {
    const w = newFixture();
    const abort = new AbortController();
    const connecting = w.manager.connect({ signal: abort.signal });
    abort.abort();
    await assert.rejects(connecting, { kind: 'aborted' });
    await flushMicrotasks();
    w.link.establish();
    assert.equal(status(w), 'live');
  });

  test('listeners attached before the first success are called', async () => {
    const w = newFixture();
    const got = [];
    w.manager.on('booking_created', (message) => got.push(message.id));
    w.manager.connect().catch(() => {});
    await flushMicrotasks();
    w.link.drop();
    await w.clock.advance(1000);
    w.link.establish();
    w.link.event('e1');
    assert.deepEqual(got, ['e1']);
  });

  test('a hidden page does not dial until it is shown', async () => {
    const w = newFixture({ hidden: true });
    w.manager.connect().catch(() => {});
    await w.clock.advance(120_000);
    assert.equal(w.links.length, 0);
    w.page.isHidden = false;
    w.fire.shown();
    await flushMicrotasks();
    assert.equal(w.links.length, 1);
  });
});

describe('coming back', () => {
  test('resumes with the last id on every path', async () => {
    const w = newFixture();
    await w.live();
    w.link.event('e1');
    w.link.event('e2');
    for (const again of [() => w.link.drop(), () => w.manager.reconnect(), () => w.link.drop(1001), () => w.link.drop(4408)]) {
      again();
      await w.clock.advance(2000);
      assert.equal(w.link.request.lastEventId, 'e2');
      w.link.establish();
    }
    assert.equal(w.storage.get('hangarshare:position:1'), 'e2');
  });

  test('resumes over a reload of the page', async () => {
    const w = newFixture({ stored: 'e40' });
    await w.live();
    assert.equal(w.link.request.lastEventId, 'e40');
    assert.equal(w.snapshots(), 1);
  });

  test('drops what it has seen before', async () => {
    const w = newFixture();
    const got = [];
    w.manager.on('message', (message) => message.id && got.push(message.id));
    await w.live();
    for (const id of ['e1', 'e2', 'e1', 'e2', 'e3']) w.link.event(id);
    assert.deepEqual(got, ['e1', 'e2', 'e3']);
  });

  test('still tries after 24 hours, never slower than once a minute', async () => {
    const w = newFixture({ random: () => 0.999 });
    w.http.up = false;
    w.manager.connect().catch(() => {});
    await flushMicrotasks();
    const waits = [];
    const end = w.clock.now() + 86_400_000;
    while (w.clock.now() < end) {
      w.link.drop();
      const wait = w.manager.getState().nextRetryAt - w.clock.now();
      waits.push(wait);
      await w.clock.advance(wait);
      assert.equal(w.open.length, 1);
    }
    assert.ok(waits.length > 1400, `${waits.length} tries`);
    assert.deepEqual(waits.slice(0, 8).map((ms) => Math.ceil(ms / 1000)), [1, 2, 4, 8, 16, 32, 60, 60]);
    assert.ok(Math.max(...waits) <= 60_000);
  });

  test('the backoff starts anew after ten stable seconds, not at once', async () => {
    const w = newFixture();
    await w.live();
    w.link.drop();
    await w.clock.advance(500);
    w.link.establish();
    w.link.drop();
    assert.equal(w.manager.getState().nextRetryAt - w.clock.now(), 1000);
    await w.clock.advance(1000);
    w.link.establish();
    await w.clock.advance(10_000);
    w.link.drop();
    assert.equal(w.manager.getState().nextRetryAt - w.clock.now(), 500);
  });

  test('ten fast clicks on reconnect make one connection', async () => {
    const w = newFixture();
    await w.live();
    for (let i = 0; i < 10; i++) w.manager.reconnect();
    await flushMicrotasks();
    assert.equal(w.links.length, 2);
    assert.equal(w.open.length, 1);
    const got = [];
    w.manager.on('booking_created', ({ id }) => got.push(id));
    w.link.establish();
    w.link.event('e1');
    assert.deepEqual(got, ['e1']);
  });

  test('after server_closing it waits a random part of what the server asks', async () => {
    const w = newFixture();
    await w.live();
    w.link.control('server_closing', { retryMs: 30_000 });
    w.link.drop(1001);
    assert.equal(w.manager.getState().nextRetryAt - w.clock.now(), 15_000);
  });

  test('online and a wake-up use the same door', async () => {
    const w = newFixture();
    await w.live();
    w.link.drop();
    w.fire.online();
    w.fire.shown();
    w.fire.online();
    await flushMicrotasks();
    assert.equal(w.open.length, 1);
    await w.clock.advance(4000);
    assert.equal(w.links.length, 2);
  });

  test('a page put away closes its connection and resumes when it returns', async () => {
    const w = newFixture();
    await w.live();
    w.link.event('e5');
    w.fire.left();
    assert.equal(w.open.length, 0);
    w.fire.restored();
    await flushMicrotasks();
    assert.equal(w.link.request.lastEventId, 'e5');
  });
});

describe('healing', () => {
  test('a heartbeat with another id loads one snapshot and takes its position', async () => {
    const w = newFixture();
    await w.live();
    w.http.position = 'e9';
    w.link.control('heartbeat', { lastEventId: 'e9' });
    w.link.control('heartbeat', { lastEventId: 'e9' });
    await w.clock.advance(15_000);
    assert.equal(w.snapshots(), 2);
    const before = w.manager.getState().confirmedAt;
    await w.clock.advance(1000);
    w.link.control('heartbeat', { lastEventId: 'e9' });
    assert.ok(w.manager.getState().confirmedAt > before);
    assert.equal(w.snapshots(), 2);
  });

  test('a heartbeat that only ran ahead needs none', async () => {
    const w = newFixture();
    await w.live();
    w.link.control('heartbeat', { lastEventId: 'e1' });
    w.link.event('e1');
    w.link.control('heartbeat', { lastEventId: 'e1' });
    await w.clock.advance(15_000);
    assert.equal(w.snapshots(), 1);
  });

  test('resync and recovered: false load one snapshot together, at most one per ten seconds', async () => {
    const w = newFixture({ stored: 'ancient' });
    w.manager.connect();
    await flushMicrotasks();
    w.link.establish({ lastEventId: 'e100', recovered: false });
    w.link.control('resync');
    await w.clock.advance(9000);
    assert.equal(w.snapshots(), 1);
    await w.clock.advance(2000);
    assert.equal(w.snapshots(), 2);
    for (let i = 0; i < 20; i++) w.link.control('resync');
    await w.clock.advance(60_000);
    assert.equal(w.snapshots(), 3);
  });

  test('a suspicion that is being healed does not count as confirmed', async () => {
    const w = newFixture();
    await w.live();
    const before = w.manager.getState().confirmedAt;
    await w.clock.advance(1000);
    w.http.up = false;
    w.link.control('resync');
    await w.clock.advance(15_000);
    w.link.control('heartbeat', { lastEventId: 'e0' });
    assert.equal(w.manager.getState().confirmedAt, before);
  });
});

describe('liveness', () => {
  test('live, stale, dead, and back', async () => {
    const w = newFixture();
    await w.live();
    await w.clock.advance(31_000);
    assert.equal(status(w), 'stale');
    w.link.control('heartbeat', { lastEventId: 'e0' });
    assert.equal(status(w), 'live');
    await w.clock.advance(57_000);
    assert.equal(w.links.length, 2);
    assert.equal(w.links[0].closed, true);
  });

  test('after a night it first reads, then asks, then dials', async () => {
    const w = newFixture();
    await w.live();
    await w.clock.sleep(8 * 3_600_000);
    assert.deepEqual(w.link.sent, [{ type: 'ping' }]);
    w.link.control('pong');
    await w.clock.advance(3000);
    assert.equal(w.links.length, 1);
    await w.clock.sleep(8 * 3_600_000);
    await w.clock.advance(6000);
    assert.equal(w.links.length, 2);
  });
});

describe('tokens', () => {
  test('the door asks for the token again, once at a time', async () => {
    let asked = 0;
    const w = newFixture({ token: async () => `t${++asked}` });
    await w.live();
    w.link.drop();
    await w.clock.advance(1000);
    assert.match(w.link.request.token, /^t\d$/);
    assert.notEqual(w.link.request.token, w.links[0].request.token);
  });

  test('a second 4401 in a row ends the hammering until a token comes', async () => {
    const w = newFixture();
    const connecting = w.manager.connect();
    await flushMicrotasks();
    w.link.drop(4401);
    await w.clock.advance(0);
    w.link.drop(4401);
    await assert.rejects(connecting, (error) => error instanceof RealtimeError && error.kind === 'auth' && !error.retryable);
    await w.clock.advance(600_000);
    assert.equal(w.links.length, 2);
    assert.equal(status(w), 'auth_required');
    w.fire.shown();
    w.fire.online();
    await flushMicrotasks();
    assert.equal(w.links.length, 2);
    w.manager.setToken('better');
    await flushMicrotasks();
    assert.equal(w.link.request.token, 'better');
  });

  test('4403 is final', async () => {
    const w = newFixture();
    const connecting = w.manager.connect();
    await flushMicrotasks();
    w.link.drop(4403);
    await assert.rejects(connecting, { kind: 'forbidden' });
    await w.clock.advance(600_000);
    assert.equal(w.links.length, 1);
  });

  test('token_expiring is answered in band', async () => {
    let n = 0;
    const w = newFixture({ token: () => `t${n++}` });
    await w.live();
    w.link.control('token_expiring');
    await flushMicrotasks();
    assert.deepEqual(w.link.sent, [{ type: 'refresh', token: 't1' }]);
    assert.equal(w.links.length, 1);
  });

  test('a token that is the same again is not sent, and the stream goes on', async () => {
    const w = newFixture({ token: () => 't0' });
    await w.live();
    w.link.control('token_expiring');
    await flushMicrotasks();
    assert.deepEqual(w.link.sent, []);
    assert.equal(w.links.length, 1);
    assert.equal(status(w), 'live');
  });

  test('a provider whose cache holds its tokens almost to the end: ten minutes on one stream, each token brought once', async () => {
    const clock = new FakeClock();
    const start = clock.now();
    let asked = 0;
    const w = newFixture({ clock, token() {
      asked++;
      // The next one a second after the server warns.
      return `t${Math.floor((clock.now() - start + 9000) / 60_000)}`;
    } });
    await w.live();
    for (let second = 5; second <= 600; second += 5) {
      await clock.advance(5000);
      if (second % 20 === 0) w.link.control('heartbeat', { lastEventId: 'e0' });
      if (second % 60 === 50) w.link.control('token_expiring');
    }
    await flushMicrotasks();
    assert.deepEqual(w.link.sent.filter(({ type }) => type === 'refresh').map(({ token }) => token), Array.from({ length: 10 }, (_, i) => `t${i + 1}`));
    assert.equal(w.links.length, 1, 'the stream was closed');
    assert.ok(asked <= 25, `asked ${asked} times`);
  });
});

describe('fallback', () => {
  test('two silent WebSockets while HTTP works: SSE; and back when a WebSocket works again', async () => {
    const w = newFixture();
    w.manager.connect();
    await flushMicrotasks();
    await w.clock.advance(5000);
    await w.clock.advance(1000);
    await w.clock.advance(5000);
    await flushMicrotasks();
    assert.equal(w.link.kind, 'sse');
    w.link.establish();
    w.link.event('e1');
    assert.equal(w.manager.getState().transport, 'sse');
    const [sse] = w.open;

    for (let passed = 0; passed < 30; passed += 10) {
      await w.clock.advance(10_000);
      sse.control('heartbeat', { lastEventId: 'e1' });
    }
    const candidate = w.link;
    assert.equal(candidate.kind, 'websocket');
    assert.equal(candidate.request.lastEventId, 'e1');
    const got = [];
    w.manager.on('message', ({ id }) => id && got.push(id));
    sse.event('e2');
    candidate.establish();
    candidate.event('e2');
    candidate.event('e3');
    assert.deepEqual(got, ['e2', 'e3']);
    assert.equal(sse.closed, true);
    assert.equal(w.manager.getState().transport, 'websocket');
    assert.equal(w.open.length, 1);
  });

  test('an outage is no reason to change the transport', async () => {
    const w = newFixture();
    w.http.up = false;
    w.manager.connect();
    await flushMicrotasks();
    for (let i = 0; i < 12; i++) {
      if (!w.link.closed) w.link.drop();
      await w.clock.advance(60_000);
    }
    assert.ok(w.links.every((link) => link.kind === 'websocket'));
  });

  test('a candidate that fails leaves the working stream alone', async () => {
    const w = newFixture();
    w.manager.connect();
    await flushMicrotasks();
    for (let i = 0; i < 2; i++) {
      w.link.drop();
      await w.clock.advance(4000);
    }
    const sse = w.link;
    assert.equal(sse.kind, 'sse');
    sse.establish();
    for (let i = 0; i < 12; i++) {
      await w.clock.advance(15_000);
      sse.control('heartbeat', { lastEventId: 'e0' });
      if (w.link !== sse) w.link.drop();
    }
    assert.equal(sse.closed, false);
    assert.equal(status(w), 'live');
  });

  test('the end of an SSE stream is named by its error message', async () => {
    const w = newFixture();
    w.manager.connect().catch(() => {});
    await flushMicrotasks();
    for (let i = 0; i < 2; i++) {
      w.link.drop();
      await w.clock.advance(4000);
    }
    w.link.establish();
    w.link.control('error', { code: 4403, message: 'not yours' });
    w.link.drop(1006);
    assert.equal(status(w), 'auth_required');
  });
});

describe('the end', () => {
  test('close is final: no socket, no timer, no listener, no return', async () => {
    const w = newFixture();
    await w.live();
    w.link.drop();
    w.manager.close();
    assert.equal(w.clock.timers.size, 0);
    assert.equal(w.fire, null);
    w.manager.reconnect();
    w.manager.setToken('other');
    await w.clock.advance(600_000);
    assert.equal(w.links.length, 1);
    await assert.rejects(w.manager.connect(), { kind: 'closed' });
  });

  test('close while connecting rejects', async () => {
    const w = newFixture();
    const connecting = w.manager.connect();
    w.manager.close();
    await assert.rejects(connecting, { kind: 'closed' });
    await flushMicrotasks();
    assert.equal(w.links.length, 0);
  });
});

describe('messages', () => {
  test('nonsense is logged once per kind and minute, and skipped', async () => {
    const w = newFixture();
    await w.live();
    for (let i = 0; i < 100; i++) {
      w.link.handlers.message('{');
      w.link.handlers.message('{"type":"surprise"}');
    }
    assert.deepEqual(w.logs, ['invalid JSON', 'unknown type surprise']);
    await w.clock.advance(20_000);
    assert.equal(status(w), 'live');
  });

  test('another owner\'s event is dropped', async () => {
    const w = newFixture();
    await w.live();
    const got = [];
    w.manager.on('message', (message) => got.push(message));
    w.link.message({ id: 'x', type: 'booking_created', timestamp: 1, ownerId: '2', data: {} });
    assert.deepEqual(got, []);
  });

  test('a listener that throws harms no other; unsubscribing twice does nothing', async () => {
    const w = newFixture();
    await w.live();
    const got = [];
    w.manager.on('booking_created', () => {
      throw new Error('mine');
    });
    const listener = ({ id }) => got.push(id);
    const stop = w.manager.on('booking_created', listener);
    const other = w.manager.on('booking_created', listener);
    w.link.event('e1');
    stop();
    stop();
    w.link.event('e2');
    other();
    w.link.event('e3');
    assert.deepEqual(got, ['e1', 'e1', 'e2']);
  });
});

test('a second copy of the module shares the page\'s connection', async () => {
  assert.throws(getWebSocketManager, { kind: 'closed' });
  const copy = await import('../../static/client.js?copy');
  const first = initWebSocket('1', 'a', { storage: null, baseUrl: 'http://server' });
  assert.equal(copy.getWebSocketManager(), first);
  assert.equal(copy.initWebSocket('1', 'b'), first);
  const second = copy.initWebSocket('2', 'c', { storage: null, baseUrl: 'http://server' });
  assert.equal(first.getState().status, 'closed');
  assert.equal(getWebSocketManager(), second);
  second.close();
});

test('initWebSocket: the same owner keeps its manager, another owner ends it', () => {
  const options = { storage: null, baseUrl: 'http://server' };
  const first = initWebSocket('1', 'a', options);
  assert.equal(initWebSocket('1', 'b', options), first);
  const second = initWebSocket('2', 'c', options);
  assert.equal(first.getState().status, 'closed');
  assert.equal(getWebSocketManager(), second);
  second.close();
  assert.notEqual(initWebSocket('2', 'c', options), second);
  getWebSocketManager().close();
});
