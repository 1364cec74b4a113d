/** Several tabs of one browser, one connection. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ReplayBuffer, channelName } from '../../static/dial.js';
import { FakeClock, FakePlatform, answer, flushMicrotasks, tokenOf, newFixture } from './fakes.js';

/** A browser whose tabs share clock, locks and channels. */
function browser() {
  const clock = new FakeClock();
  const tabs = new FakePlatform();
  return {
    clock,
    tabs,
    /** @param {object} [options] */
    open(options = {}) {
      const w = newFixture({ token: tokenOf('7'), clock, tabs, ...options });
      w.ids = [];
      w.manager.on('message', ({ id }) => id && w.ids.push(id));
      w.state = () => w.manager.getState();
      return w;
    },
    /** @param {number} n */
    async many(n, options) {
      const all = [];
      for (let i = 0; i < n; i++) {
        const w = this.open(options);
        w.manager.connect().catch(() => {});
        await flushMicrotasks();
        if (w.link) w.link.establish();
        await flushMicrotasks();
        all.push(w);
      }
      return all;
    },
  };
}

const dialled = (all) => all.flatMap((w) => w.open);

describe('tabs of one browser', () => {
  test('eight tabs, one connection, and every event once in each', async () => {
    const b = browser();
    const all = await b.many(8);
    assert.equal(dialled(all).length, 1);
    const [leader] = all;
    for (const id of ['e1', 'e2', 'e3']) leader.link.event(id);
    await flushMicrotasks();
    for (const w of all) {
      assert.deepEqual(w.ids, ['e1', 'e2', 'e3']);
      assert.equal(w.state().status, 'live');
      assert.equal(w.state().transport, 'websocket');
      assert.equal(w.state().shared, w !== leader);
    }
  });

  test('connect resolves in a follower, and what it cannot send it says', async () => {
    const b = browser();
    await b.many(1);
    const follower = b.open();
    await follower.manager.connect();
    assert.equal(follower.links.length, 0);
    assert.equal(follower.manager.send({ type: 'ping' }), false);
  });

  test('the leader is closed: another takes over after the last id, nothing lost or doubled', async () => {
    const b = browser();
    const [leader, second, third] = await b.many(3);
    leader.link.event('e1');
    await flushMicrotasks();
    leader.manager.close();
    await flushMicrotasks();
    const [next] = [second, third].filter((w) => w.links.length > 0);
    const other = next === second ? third : second;
    assert.equal(next.link.request.lastEventId, 'e1');
    next.link.establish();
    next.link.event('e2');
    next.link.event('e3');
    await flushMicrotasks();
    assert.deepEqual(next.ids, ['e1', 'e2', 'e3']);
    assert.deepEqual(other.ids, ['e1', 'e2', 'e3']);
    assert.equal(dialled([leader, second, third]).length, 1);
    assert.equal(other.state().shared, true);
    assert.equal(next.state().shared, false);
  });

  test('a frozen leader loses its lock, and follows when it thaws', async () => {
    const b = browser();
    const [leader, follower] = await b.many(2);
    leader.link.event('e1');
    await flushMicrotasks();
    for (const channel of b.tabs.channels) channel.deaf = channel === [...b.tabs.channels][0];
    await b.clock.advance(12_000);
    assert.equal(follower.links.length, 1, 'the follower dials');
    assert.equal(follower.link.request.lastEventId, 'e1');
    follower.link.establish();
    follower.link.event('e2');
    for (const channel of b.tabs.channels) channel.deaf = false;
    await b.clock.advance(12_000);
    assert.equal(dialled([leader, follower]).length, 1, 'the old connection is given up');
    assert.equal(leader.state().shared, true);
    follower.link.event('e3');
    await flushMicrotasks();
    assert.deepEqual(leader.ids, ['e1', 'e2', 'e3']);
    assert.deepEqual(follower.ids, ['e1', 'e2', 'e3']);
  });

  test('a leader that is busy but answers keeps the lead', async () => {
    const b = browser();
    const [leader, follower] = await b.many(2);
    for (let passed = 0; passed < 120; passed += 10) {
      await b.clock.advance(10_000);
      leader.link.control('heartbeat', { lastEventId: 'e0' });
    }
    assert.equal(follower.links.length, 0);
    assert.equal(leader.links.length, 1);
    assert.equal(follower.state().status, 'live');
  });

  test('followers see a loss as the leader does, with the time of the next try', async () => {
    const b = browser();
    const [leader, follower] = await b.many(2);
    await b.clock.advance(10_000);
    leader.link.drop(1006);
    await flushMicrotasks();
    assert.equal(follower.state().status, 'waiting');
    assert.equal(follower.state().nextRetryAt, leader.state().nextRetryAt);
    assert.equal(follower.state().error.kind, 'network');
    assert.equal(follower.state().error.retryable, true);
    await b.clock.advance(1000);
    leader.link.establish();
    leader.link.event('e1');
    await flushMicrotasks();
    assert.equal(follower.state().status, 'live');
    assert.deepEqual(follower.ids, ['e1']);
    assert.equal(dialled([leader, follower]).length, 1);
  });

  test('the button of a follower hastens the leader', async () => {
    const b = browser();
    const [leader, follower] = await b.many(2);
    leader.link.drop(1001);
    await flushMicrotasks();
    follower.manager.reconnect();
    await flushMicrotasks();
    assert.equal(leader.state().status, 'connecting');
    assert.equal(dialled([leader, follower]).length, 1);
  });

  test('a tab opened later continues after its own position', async () => {
    const b = browser();
    const [leader] = await b.many(1);
    for (let i = 1; i <= 5; i++) leader.link.event(`e${i}`);
    const late = b.open({ stored: 'e3' });
    await late.manager.connect();
    assert.deepEqual(late.ids, ['e4', 'e5']);
    leader.link.event('e6');
    await flushMicrotasks();
    assert.deepEqual(late.ids, ['e4', 'e5', 'e6']);
  });

  test('what the leader no longer remembers is read from the server, while the present goes on', async () => {
    const b = browser();
    const [leader] = await b.many(1);
    const late = b.open({ stored: 'old' });
    let release = () => {};
    const gate = new Promise((resolve) => (release = resolve));
    late.http.answer = (url) => url.includes('/events?after=old') && gate.then(() => answer(200, {
      events: ['a1', 'a2', 'e1'].map((id) => ({ id, type: 'booking_created', timestamp: 1, ownerId: '1', data: {} })),
      lastEventId: 'e1', hasMore: false, resync: false,
    }));
    const connected = late.manager.connect();
    await flushMicrotasks();
    leader.link.event('e1');
    leader.link.event('e2');
    await flushMicrotasks();
    assert.deepEqual(late.ids, []);
    release();
    await connected;
    await flushMicrotasks();
    assert.deepEqual(late.ids, ['a1', 'a2', 'e1', 'e2']);
  });

  test('history that cannot be read is replaced by a snapshot', async () => {
    const b = browser();
    const [leader] = await b.many(1);
    leader.link.event('e1');
    const late = b.open({ stored: 'ancient' });
    late.http.answer = (url) => (url.includes('/events?') ? answer(200, { events: [], lastEventId: 'e1', hasMore: false, resync: true }) : null);
    await late.manager.connect();
    const before = late.snapshots();
    await b.clock.advance(12_000);
    assert.equal(late.snapshots(), before + 1);
    leader.link.event('e2');
    await flushMicrotasks();
    assert.deepEqual(late.ids, ['e2']);
  });

  test('no token and no word about tokens crosses the channel', async () => {
    const b = browser();
    const [leader] = await b.many(3);
    leader.link.control('token_expiring');
    leader.link.control('refreshed', { expiresAt: 5 });
    leader.link.event('e1');
    await flushMicrotasks();
    const said = b.tabs.said.join('\n');
    assert.ok(said.includes('e1'));
    assert.ok(!said.includes(tokenOf('7')) && !/token|refresh|signature|bearer/i.test(said), said);
  });

  test('another user of the same browser hears nothing', async () => {
    const b = browser();
    const [leader] = await b.many(1);
    const stranger = b.open({ token: tokenOf('8') });
    stranger.manager.connect();
    await flushMicrotasks();
    assert.equal(stranger.links.length, 1, 'it dials for itself');
    leader.link.event('e1');
    await flushMicrotasks();
    assert.deepEqual(stranger.ids, []);
  });

  test('a tab that becomes another user\'s leaves the former one\'s channel', async () => {
    const b = browser();
    const [leader, second] = await b.many(2);
    second.manager.setToken(tokenOf('8'));
    await flushMicrotasks();
    second.link.establish();
    leader.link.event('e1');
    await flushMicrotasks();
    assert.deepEqual(second.ids, []);
    assert.equal(second.state().shared, false);
  });

  test('share: false dials for itself', async () => {
    const b = browser();
    const all = await b.many(2, { share: false });
    assert.equal(dialled(all).length, 2);
    assert.equal(b.tabs.channels.size, 0);
  });

  test('share: false is not heard where WebSockets fail: streams are too few', async () => {
    const b = browser();
    const all = [b.open({ share: false }), b.open({ share: false })];
    for (const w of all) w.manager.connect().catch(() => {});
    for (let i = 0; i < 80; i++) {
      for (const w of all) if (w.link && !w.link.closed && w.link.kind === 'websocket') w.link.drop();
      for (const w of all) if (w.link && !w.link.closed && w.state().status === 'connecting') w.link.establish();
      for (const link of dialled(all)) if (link.kind === 'sse') link.control('heartbeat', { lastEventId: 'e0' });
      await b.clock.advance(500);
    }
    assert.equal(dialled(all).length, 1);
    assert.equal(dialled(all)[0].kind, 'sse');
    assert.deepEqual(all.map((w) => w.state().status), ['live', 'live']);
    assert.deepEqual(all.map((w) => w.state().transport), ['sse', 'sse']);
  });

  test('the successor of a leader with a stream dials a stream', async () => {
    const b = browser();
    const [leader, follower] = await b.many(2);
    leader.link.drop();
    for (let i = 0; i < 80 && leader.link.kind === 'websocket'; i++) {
      if (!leader.link.closed) leader.link.drop();
      await b.clock.advance(500);
    }
    leader.link.establish();
    await flushMicrotasks();
    assert.equal(follower.state().transport, 'sse');
    leader.manager.close();
    await flushMicrotasks();
    assert.equal(follower.link.kind, 'sse');
  });

  test('a leader that may not connect any more gives way to one that may', async () => {
    const b = browser();
    const [leader, follower] = await b.many(2);
    leader.link.drop(4403);
    await flushMicrotasks();
    assert.equal(leader.state().status, 'auth_required');
    assert.equal(follower.links.length, 1);
  });

  test('a hidden leader that lost its connection gives way to a visible tab', async () => {
    const b = browser();
    const [leader, follower] = await b.many(2);
    leader.page.isHidden = true;
    leader.link.drop();
    await b.clock.advance(2000);
    assert.equal(follower.links.length, 1);
    follower.link.establish();
    leader.page.isHidden = false;
    leader.fire.shown();
    await flushMicrotasks();
    assert.equal(leader.state().shared, true);
    assert.equal(leader.state().status, 'live');
  });

  test('a hidden follower goes on listening, also to the next leader, and does not dial', async () => {
    const b = browser();
    const [leader, hidden, third] = await b.many(3);
    hidden.page.isHidden = true;
    leader.manager.close();
    await flushMicrotasks();
    assert.equal(hidden.links.length, 0);
    third.link.establish();
    third.link.event('e1');
    await flushMicrotasks();
    assert.deepEqual(hidden.ids, ['e1']);
  });

  test('close leaves nothing behind', async () => {
    const b = browser();
    const all = await b.many(3);
    for (const w of all) w.manager.close();
    await flushMicrotasks();
    assert.equal(b.clock.timers.size, 0);
    assert.equal(b.tabs.channels.size, 0);
    assert.ok([...b.tabs.names.values()].every(({ holder, queue }) => !holder && queue.length === 0));
  });
});

test('tabs meet by server, owner and user, not by token', async () => {
  const name = (token, owner = '1', server = 'https://a.example/x') => channelName(server, owner, token);
  assert.equal(await name(tokenOf('7', { exp: 1 })), await name(tokenOf('7', { exp: 2 }), '1', 'https://a.example'));
  const others = [name(tokenOf('8')), name(tokenOf('7'), '2'), name(tokenOf('7'), '1', 'https://b.example'), name(tokenOf('7', { iss: 'x' }))];
  assert.equal(new Set([await name(tokenOf('7')), ...await Promise.all(others)]).size, 5);
  const claims = (object) => `x.${Buffer.from(JSON.stringify(object)).toString('base64url')}.y`;
  assert.equal(await name(claims({ userId: 7 })), await name(claims({ id: '7' })));
  for (const token of ['', 'secret', 'a.b.c', claims({ email: 'ana@example.com' })]) assert.equal(await name(token), '');
});

test('a leader keeps a bounded number of events', () => {
  const buffer = new ReplayBuffer();
  buffer.reset('e0');
  for (let i = 1; i <= 1000; i++) buffer.add(`e${i}`, `text ${i}`);
  assert.deepEqual(buffer.after('e998'), ['text 999', 'text 1000']);
  assert.equal(buffer.after('e744').length, 256);
  assert.equal(buffer.after('e743'), null);
  assert.equal(buffer.after(''), null);
  buffer.reset('e2000');
  assert.deepEqual(buffer.after('e2000'), []);
});
