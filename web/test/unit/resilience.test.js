/**
 * The client where things go wrong: endings without a close, clocks that are set, waits without an
 * answer, boxes on the way.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { retryAfterMs } from '../../static/dial.js';
import { newSteadyClock } from '../../static/parts.js';
import { parseMessage } from '../../static/parts.js';
import { FakeClock, FakePlatform, answer, flushMicrotasks, tokenOf, newFixture } from './fakes.js';

const status = (w) => w.manager.getState().status;
const error = (w) => w.manager.getState().error;
const never = () => new Promise(() => {});

/** Starts to connect, with whatever outcome. @param {ReturnType<typeof newFixture>} w */
async function dial(w) {
  w.manager.connect().catch(() => {});
  await flushMicrotasks();
  return w;
}

describe('a message about the end is the end', () => {
  test('token_expired: a new token is dialled with, though no close came', async () => {
    let n = 0;
    const w = newFixture({ token: () => `t${n++}` });
    await w.live();
    w.link.control('token_expired');
    await w.clock.advance(0);
    assert.equal(w.links.length, 2);
    assert.equal(w.links[0].closed, true);
    assert.equal(w.link.request.token, 't1');
  });

  test('a string token that ends is a session that ends, at once and with one socket', async () => {
    const w = newFixture();
    await w.live();
    w.link.control('token_expired');
    await w.clock.advance(0);
    assert.equal(status(w), 'auth_required');
    assert.equal(error(w).kind, 'auth');
    await w.clock.advance(600_000);
    assert.equal(w.links.length, 1);
  });

  test('so is a source that brings the ended token again', async () => {
    const w = newFixture({ token: () => 'same' });
    await w.live();
    w.link.drop(4401);
    await w.clock.advance(0);
    assert.equal(status(w), 'auth_required');
    assert.equal(w.links.length, 1);
    w.manager.reconnect();
    await flushMicrotasks();
    assert.equal(w.links.length, 2, 'the button tries all the same');
  });

  test('after the second 4401 right behind the first message the user signs in', async () => {
    let n = 0;
    const w = newFixture({ token: () => `t${n++}` });
    await w.live();
    w.link.control('token_expired');
    await w.clock.advance(0);
    w.link.establish();
    w.link.control('token_expired');
    await w.clock.advance(0);
    assert.equal(status(w), 'auth_required');
    assert.equal(w.links.length, 2);
  });

  for (const [code, expected, kind] of [[4401, 'waiting', 'auth'], [4403, 'auth_required', 'forbidden'], [4408, 'waiting', 'server'], [4429, 'waiting', 'limited']]) {
    test(`error ${code}`, async () => {
      let n = 0;
      const w = newFixture({ token: () => `t${n++}` });
      await w.live();
      w.link.control('error', { code, message: 'as it is' });
      assert.equal(status(w), expected);
      assert.equal(error(w).kind, kind);
      assert.equal(w.links[0].closed, true);
    });
  }

  test('an answer to a message that the server did not understand ends nothing, and does not count at a later loss', async () => {
    const w = newFixture();
    await w.live();
    w.link.event('e1');
    w.link.control('error', { code: 4400, message: 'unknown type' });
    assert.equal(status(w), 'live');
    w.link.drop(1006);
    await w.clock.advance(1000);
    assert.equal(w.link.request.lastEventId, 'e1');
  });

  test('a refreshed token of another user is dialled with before the user is sent away', async () => {
    let n = 0;
    const w = newFixture({ token: () => `t${n++}` });
    await w.live();
    w.link.control('token_expiring');
    await flushMicrotasks();
    w.link.control('error', { code: 4403, message: 'another user\'s' });
    await w.clock.advance(0);
    assert.equal(w.links.length, 2);
    assert.equal(status(w), 'connecting');
  });

  test('1013 waits a random part of what the server asks, and asks for no sign-in', async () => {
    const w = newFixture();
    await dial(w);
    w.link.control('error', { code: 1013, message: 'keys are away', retryMs: 20_000 });
    assert.equal(status(w), 'waiting');
    assert.equal(w.manager.getState().nextRetryAt - w.clock.now(), 10_000);
    w.link.drop(1013);
    await w.clock.advance(10_000);
    assert.equal(w.links.length, 2);
    w.link.drop(1013);
    assert.equal(status(w), 'waiting');
    assert.equal(error(w).kind, 'server');
  });

  test('server_closing without a close', async () => {
    const w = newFixture();
    await w.live();
    w.link.control('server_closing', { retryMs: 8000 });
    assert.equal(status(w), 'waiting');
    assert.equal(w.links[0].closed, true);
    await w.clock.advance(4000);
    assert.equal(w.links.length, 2);
  });

  test('a wait of 35 days is not waited for, and is no wait of nothing', async () => {
    for (const retryMs of [35 * 86_400_000, 1e300]) {
      const w = newFixture({ random: () => 0.999 });
      await w.live();
      w.link.control('server_closing', { retryMs });
      const wait = w.manager.getState().nextRetryAt - w.clock.now();
      assert.ok(wait > 60_000 && wait <= 3_600_000, `${wait}`);
    }
  });
});

/** A machine whose wall clock may be set. */
class SetClock extends FakeClock {
  ahead = 0;
  monotonic = () => this.time;
  now = () => this.time + this.ahead;
}

describe('a clock that is set', () => {
  test('durations never run backwards, and a step ahead may have been a sleep', () => {
    const machine = new SetClock();
    const clock = newSteadyClock(machine);
    const began = clock.now();
    machine.ahead = -3 * 3_600_000;
    machine.time += 5000;
    assert.equal(clock.now() - began, 5000);
    machine.ahead = 0;
    machine.time += 1000;
    assert.equal(clock.now() - began, 5000 + 3 * 3_600_000 + 1000);
    for (let i = 0; i < 1000; i++) {
      machine.time += 0.4;
      clock.now();
    }
    assert.ok(Math.abs(clock.now() - began - 6400 - 3 * 3_600_000) <= 2, 'it does not drift with the number of questions');
  });

  test('set back by three hours: a black hole is noticed as soon as ever', async () => {
    const clock = new SetClock();
    const w = newFixture({ clock });
    await w.live();
    clock.ahead = -3 * 3_600_000;
    await clock.advance(52_000);
    assert.equal(w.links.length, 2);
  });

  test('set back: a loss is told with the time of the next try, and the next try comes', async () => {
    const clock = new SetClock();
    const w = newFixture({ clock });
    await w.live();
    clock.ahead = -3 * 3_600_000;
    w.link.drop(1006);
    assert.equal(w.manager.getState().nextRetryAt - w.manager.now(), 500);
    await clock.advance(500);
    assert.equal(w.links.length, 2);
  });

  test('set back: a resync loads its snapshot within seconds', async () => {
    const clock = new SetClock();
    const w = newFixture({ clock });
    await w.live();
    clock.ahead = -3 * 3_600_000;
    w.link.control('resync');
    await clock.advance(11_000);
    assert.equal(w.snapshots(), 2);
  });

  test('set back: newer numbers win', async () => {
    const clock = new SetClock();
    const w = newFixture({ clock });
    const shown = [];
    w.manager.on('snapshot', ({ metrics }) => shown.push(metrics.revenueToday));
    await w.live();
    let release = () => {};
    w.http.metrics = { revenueToday: 20 };
    w.http.answer = (url) => url.endsWith('/metrics') && new Promise((resolve) => (release = () => resolve(answer(200, w.http.metrics))));
    w.link.control('resync');
    await clock.advance(10_500);
    clock.ahead = -3 * 3_600_000;
    w.link.control('metrics_updated', { revenueToday: 30 });
    release();
    await flushMicrotasks();
    assert.deepEqual(shown, [10, 30], 'what came during the load is newer than the load');
    w.http.metrics = { revenueToday: 40 };
    w.link.control('resync');
    await clock.advance(10_500);
    release();
    await flushMicrotasks();
    assert.deepEqual(shown, [10, 30, 40], 'what came before it is older');
  });

  test('set ahead: a live connection is asked, not thrown away', async () => {
    const clock = new SetClock();
    const w = newFixture({ clock });
    await w.live();
    clock.ahead = 3 * 3_600_000;
    await clock.advance(6000);
    assert.deepEqual(w.link.sent, [{ type: 'ping' }]);
    w.link.control('pong');
    await clock.advance(3000);
    assert.equal(w.links.length, 1);
  });
});

describe('waits', () => {
  test('a slow token is asked once', async () => {
    let asked = 0;
    const w = newFixture({ token: () => (asked++, new Promise((resolve) => w.clock.setTimeout(() => resolve('slow'), 15_000))) });
    await dial(w);
    await w.clock.advance(15_000);
    assert.equal(asked, 1);
    assert.equal(w.link.request.token, 'slow');
    assert.equal(w.snapshots(), 1);
  });

  test('a token that never comes is said, and asked for anew', async () => {
    let asked = 0;
    const w = newFixture({ token: () => (asked++ === 0 ? never() : 'late') });
    await dial(w);
    await w.clock.advance(20_000);
    assert.equal(status(w), 'waiting');
    assert.equal(error(w).kind, 'token');
    await w.clock.advance(2000);
    assert.equal(w.link.request.token, 'late');
  });

  test('the button asks anew for a token that does not come; ten clicks ask once', async () => {
    let asked = 0;
    const w = newFixture({ token: () => (asked++ === 0 ? never() : 'late') });
    await dial(w);
    for (let i = 0; i < 10; i++) w.manager.reconnect();
    await flushMicrotasks();
    assert.equal(asked, 1);
    await w.clock.advance(3000);
    for (let i = 0; i < 10; i++) w.manager.reconnect();
    await flushMicrotasks();
    assert.equal(asked, 2);
    assert.equal(w.link.request.token, 'late');
  });

  test('so does another token', async () => {
    const w = newFixture({ token: never });
    await dial(w);
    w.manager.setToken('given');
    await flushMicrotasks();
    assert.equal(w.link.request.token, 'given');
  });

  test('a source that throws is its own kind of trouble', async () => {
    const w = newFixture({ token: () => Promise.reject(new Error('the portal is away')) });
    await dial(w);
    assert.equal(error(w).kind, 'token');
    assert.equal(status(w), 'waiting');
  });

  test('an empty bearer is never sent', async () => {
    for (const token of ['', '  ', null, undefined]) {
      const w = await dial(newFixture({ token: () => token }));
      await w.clock.advance(600_000);
      assert.deepEqual([w.links.length, w.requests.length, status(w)], [0, 0, 'auth_required']);
      const text = await dial(newFixture({ token: token ?? '' }));
      assert.deepEqual([text.links.length, text.requests.length, status(text)], [0, 0, 'auth_required']);
    }
  });

  test('a session that is not there yet is asked for once more', async () => {
    let asked = 0;
    const w = await dial(newFixture({ token: () => (asked++ === 0 ? null : 'here') }));
    await w.clock.advance(1000);
    assert.equal(w.link.request.token, 'here');
  });

  test('a snapshot that never comes is given up, said, and loaded again', async () => {
    const w = newFixture();
    w.http.answer = never;
    await dial(w);
    await w.clock.advance(10_000);
    w.link.establish();
    assert.equal(w.manager.getState().snapshotError.kind, 'timeout');
    w.http.answer = null;
    await w.clock.advance(3000);
    assert.equal(w.manager.getState().snapshotError, null);
    assert.notEqual(w.manager.getState().confirmedAt, null);
  });

  test('a lock that is neither granted nor refused is not waited for', async () => {
    const tabs = new FakePlatform();
    tabs.locks.request = never;
    const w = newFixture({ tabs, token: tokenOf('7') });
    await dial(w);
    await w.clock.advance(3000);
    assert.equal(w.links.length, 1);
    assert.equal(w.manager.getState().shared, false);
  });
});

describe('site data blocked', () => {
  const refuse = () => {
    throw new DOMException('denied', 'SecurityError');
  };
  for (const [name, change] of Object.entries({
    'a lock that rejects': (tabs) => (tabs.locks.request = async () => refuse()),
    'a lock that throws': (tabs) => (tabs.locks.request = refuse),
    'a channel that throws': (tabs) => (tabs.openChannel = refuse),
    'a channel that cannot be written to': (tabs) => {
      const open = tabs.openChannel;
      tabs.openChannel = (at) => Object.assign(open(at), { postMessage: refuse });
    },
  })) {
    test(`${name}: dials for itself`, async () => {
      const tabs = new FakePlatform();
      change(tabs);
      const w = newFixture({ tabs, token: tokenOf('7') });
      await w.live();
      assert.equal(status(w), 'live');
      assert.equal(w.manager.getState().shared, false);
      w.link.drop();
      await w.clock.advance(1000);
      assert.equal(w.links.length, 2);
    });
  }
});

describe('refusals over HTTP', () => {
  test('a snapshot refused while the stream lives is said, and Retry-After obeyed', async () => {
    const w = newFixture();
    w.http.answer = (url) => url.endsWith('/metrics') && answer(503, {}, { 'Retry-After': '120' });
    await dial(w);
    w.link.establish();
    const { snapshotError } = w.manager.getState();
    assert.equal(status(w), 'live');
    assert.equal(snapshotError.kind, 'server');
    assert.equal(snapshotError.nextRetryAt - w.manager.now(), 120_000);
    for (let i = 0; i < 11; i++) {
      await w.clock.advance(10_000);
      w.link.control('heartbeat', { lastEventId: 'e0' });
    }
    assert.equal(w.snapshots(), 1);
    w.http.answer = null;
    await w.clock.advance(10_000);
    assert.equal(w.snapshots(), 2);
    assert.equal(w.manager.getState().snapshotError, null);
  });

  test('Retry-After in both forms, and bounded', () => {
    const say = (headers) => retryAfterMs(answer(503, {}, headers));
    assert.equal(say({}), 0);
    assert.equal(say({ 'Retry-After': '7' }), 7000);
    assert.equal(say({ 'Retry-After': 'Sat, 28 Nov 2026 10:00:30 GMT', Date: 'Sat, 28 Nov 2026 10:00:00 GMT' }), 30_000);
    assert.ok(say({ 'Retry-After': new Date(Date.now() + 60_000).toUTCString() }) > 50_000);
    assert.equal(say({ 'Retry-After': 'Sat, 28 Nov 2020 10:00:30 GMT' }), 0);
    assert.equal(say({ 'Retry-After': 'soon' }), 0);
    assert.equal(say({ 'Retry-After': String(35 * 86_400) }), 3_600_000);
  });

  test('35 days by an event stream: no rush of dials', async () => {
    const w = newFixture();
    await dial(w);
    w.link.drop(1013, 35 * 86_400_000);
    await w.clock.advance(3000);
    assert.equal(w.links.length, 1);
  });

  test('a question that was given up is no answer', async () => {
    const w = newFixture();
    w.http.answer = (url) => url.endsWith('/me') && Promise.reject(new DOMException('late', 'TimeoutError'));
    await dial(w);
    for (let i = 0; i < 6; i++) {
      w.link.drop(1006);
      while (w.link.closed) await w.clock.advance(500);
    }
    assert.ok(w.links.every(({ kind }) => kind === 'websocket'));
  });

  test('what plain HTTP answers to a lost socket is obeyed too', async () => {
    const w = newFixture();
    await dial(w);
    w.http.answer = (url) => url.endsWith('/me') && answer(503, {}, { 'Retry-After': '90' });
    w.link.drop(1006);
    await flushMicrotasks();
    assert.equal(w.manager.getState().nextRetryAt - w.manager.now(), 90_000);
    assert.equal(error(w).kind, 'server');
  });
});

describe('200 with something else in it', () => {
  for (const body of [{}, null, [], 'welcome', { error: 'captive' }]) {
    test(`metrics are ${JSON.stringify(body)}: what was right stays`, async () => {
      const w = newFixture();
      const shown = [];
      w.manager.on('snapshot', ({ metrics }) => shown.push(metrics.revenueToday));
      await w.live();
      w.http.metrics = body;
      w.link.control('resync');
      await w.clock.advance(15_000);
      assert.deepEqual(shown, [10]);
      assert.equal(w.manager.getState().snapshotError.kind, 'server');
      w.http.metrics = { revenueToday: 11 };
      await w.clock.advance(10_000);
      assert.deepEqual(shown, [10, 11]);
    });
  }

  test('lists that are none are parts that failed', async () => {
    const w = newFixture();
    let got = null;
    w.manager.on('snapshot', (snapshot) => (got = snapshot));
    w.http.answer = (url) => (url.includes('/bookings') ? answer(200, { bookings: {} }) : url.endsWith('/listings') ? answer(200, null) : null);
    await w.live();
    assert.deepEqual([got.bookings, got.listings, got.overview], [null, null, null]);
  });
});

describe('middleboxes', () => {
  test('sockets that never live long: an event stream, and no return to them every half minute', async () => {
    const w = newFixture();
    await dial(w);
    let sockets = 0;
    let sse = null;
    for (let passed = 0; passed < 1_800_000; passed += 1000) {
      const link = w.link;
      if (link.kind === 'websocket' && !link.closed) {
        if (!link.since) {
          link.since = w.clock.now();
          link.establish({ recovered: true });
          sockets++;
        } else if (w.clock.now() - link.since >= 7000) link.drop(1006);
      }
      for (const stream of w.open) {
        if (stream.kind !== 'sse') continue;
        sse ??= w.clock.now();
        if (!stream.since) {
          stream.since = w.clock.now();
          stream.establish({ recovered: true });
        }
        if (passed % 10_000 === 0) stream.control('heartbeat', { lastEventId: 'e0' });
      }
      await w.clock.advance(1000);
    }
    assert.ok(sse - 1_768_977_456_000 < 60_000, 'within a minute');
    assert.ok(sockets <= 3 + 12, `${sockets} sockets in half an hour`);
    assert.equal(w.manager.getState().transport, 'sse');
  });

  test('a long life is no reason to step down', async () => {
    const w = newFixture();
    await w.live();
    for (let i = 0; i < 6; i++) {
      for (let beat = 0; beat < 7; beat++) {
        await w.clock.advance(10_000);
        w.link.control('heartbeat', { lastEventId: 'e0' });
      }
      w.link.drop();
      await w.clock.advance(1000);
      w.link.establish();
    }
    assert.ok(w.links.every(({ kind }) => kind === 'websocket'));
  });

  test('a server that says why it ends them is no middlebox', async () => {
    const w = newFixture();
    await w.live();
    for (let i = 0; i < 6; i++) {
      w.link.drop(1001);
      while (w.link.closed) await w.clock.advance(500);
      w.link.establish();
    }
    assert.ok(w.links.every(({ kind }) => kind === 'websocket'));
  });

  test('a server that answers, but not to this origin, is told apart from the network', async (t) => {
    globalThis.location = /** @type {any} */ ({ origin: 'https://portal.example' });
    t.after(() => delete globalThis.location);
    const asked = [];
    const w = newFixture({
      fetch: async (url, options) => {
        asked.push([url, options.mode]);
        if (options.mode === 'no-cors') return { ok: false, status: 0 };
        throw new TypeError('Failed to fetch');
      },
    });
    await dial(w);
    w.link.drop(1006);
    await flushMicrotasks();
    assert.equal(error(w).kind, 'origin');
    assert.match(error(w).message, /portal\.example.*ALLOWED_ORIGINS/);
    assert.deepEqual(asked.at(-1), ['http://server/healthz', 'no-cors']);
    assert.equal(status(w), 'waiting');
  });
});

describe('a newer server', () => {
  test('an unknown type is skipped, and the position moves', async () => {
    const w = newFixture();
    await w.live();
    w.link.event('n1', 'something_new');
    w.link.control('heartbeat', { lastEventId: 'n1' });
    await w.clock.advance(15_000);
    assert.equal(w.snapshots(), 1, 'nothing is missing');
    w.link.drop();
    await w.clock.advance(1000);
    assert.equal(w.link.request.lastEventId, 'n1');
    assert.ok(w.logs.includes('unknown type something_new'));
  });

  test('in the other tabs too, and in those that come later', async () => {
    const clock = new FakeClock();
    const tabs = new FakePlatform();
    const open = () => newFixture({ clock, tabs, token: tokenOf('7') });
    const leader = open();
    await leader.live();
    const follower = open();
    await follower.manager.connect();
    leader.link.event('e1');
    leader.link.event('n2', 'something_new');
    await flushMicrotasks();
    assert.equal(follower.storage.get('hangarshare:position:1'), 'n2');
    const late = newFixture({ clock, tabs, token: tokenOf('7'), stored: 'e1' });
    await late.manager.connect();
    await flushMicrotasks();
    assert.equal(late.storage.get('hangarshare:position:1'), 'n2');
  });

  test('another owner\'s moves nothing', async () => {
    const w = newFixture();
    await w.live();
    w.link.message({ id: 'x1', type: 'something_new', ownerId: '2' });
    assert.notEqual(w.storage.get('hangarshare:position:1'), 'x1');
  });

  test('overview_updated is state: no id, and newer than a snapshot that was under way', async () => {
    const w = newFixture();
    const seen = [];
    w.manager.on('overview_updated', ({ data }) => seen.push(data));
    w.manager.on('snapshot', ({ overview }) => seen.push(overview));
    let release = () => {};
    w.http.answer = (url) => url.endsWith('/overview') && new Promise((resolve) => (release = () => resolve(answer(200, { listingsRevision: 'r1' }))));
    await dial(w);
    w.link?.establish();
    await w.clock.advance(10_000);
    w.link.establish();
    w.http.answer = (url) => url.endsWith('/overview') && new Promise((resolve) => (release = () => resolve(answer(200, { listingsRevision: 'r1' }))));
    await w.clock.advance(2000);
    w.link.control('overview_updated', { listingsRevision: 'r2', spaces: { occupied: 1, offered: 2001 }, growthBasis: 'new' });
    release();
    await flushMicrotasks();
    assert.deepEqual(seen, [
      { listingsRevision: 'r2', spaces: { occupied: 1, offered: 2001 }, growthBasis: 'new' },
      { listingsRevision: 'r2', spaces: { occupied: 1, offered: 2001 }, growthBasis: 'new' },
    ]);
  });
});

test('times of other units, or none', () => {
  const at = (timestamp) => parseMessage(JSON.stringify({ id: '1', type: 'booking_created', timestamp, data: {} }), undefined, 42).message;
  for (const given of [1_768_977_456_006, 1_768_977_456_006_000, 1_768_977_456_006_000_000, '1768977456006', '2026-01-21T06:37:36.006Z']) {
    assert.equal(Math.abs(at(given).timestamp - 1_768_977_456_006) <= 1, true, `${given}`);
    assert.equal(at(given).data.timestamp, at(given).timestamp);
  }
  assert.equal(at(1_768_977_456).timestamp, 1_768_977_456_000);
  for (const given of [undefined, null, {}, 'yesterday', 1e300]) assert.equal(at(given).timestamp, 42, `${given}`);
});
