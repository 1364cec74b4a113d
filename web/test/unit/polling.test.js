/** Where neither a WebSocket nor a stream gets through. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openPolling } from '../../static/fallback.js';
import { FakeClock, answer, flushMicrotasks, newFixture } from './fakes.js';

/** A server's history behind `GET /events` and its numbers behind `GET /metrics`. */
class History {
  /** @type {{id: string}[]} */
  events = [];
  gone = false;
  page = 2;
  status = 200;
  retryAfter = '';
  metrics = { revenueToday: 1 };
  /** @type {string[]} */
  asked = [];
  /** @type {((since: number) => object) | null} */
  notes = null;
  /** @type {string[]} */
  noted = [];

  add(...ids) {
    for (const id of ids) this.events.push({ id, type: 'booking_created', timestamp: 1, ownerId: '1', data: { bookingId: id } });
  }

  answer = (url, options) => {
    if (options?.signal?.aborted) throw new Error('aborted');
    const { pathname, searchParams } = new URL(url);
    const last = this.events.at(-1)?.id ?? 'e0';
    if (this.status !== 200) return answer(this.status, {}, this.retryAfter ? { 'Retry-After': this.retryAfter } : {});
    if (pathname.endsWith('/metrics')) return answer(200, this.metrics, { 'Last-Event-ID': last });
    if (pathname.endsWith('/notifications') && this.notes) {
      this.noted.push(searchParams.toString());
      return answer(200, this.notes(Number(searchParams.get('since') ?? -1)));
    }
    if (!pathname.endsWith('/events')) return null;
    const after = searchParams.get('after');
    this.asked.push(after);
    if (this.gone) {
      this.gone = false;
      return answer(200, { events: [], lastEventId: last, hasMore: false, resync: true });
    }
    const from = this.events.findIndex(({ id }) => id === after) + 1;
    const events = this.events.slice(from, from + this.page);
    return answer(200, { events, lastEventId: events.at(-1)?.id ?? after, hasMore: from + this.page < this.events.length, resync: false });
  };
}

function poll(history, lastEventId = 'e0') {
  const clock = new FakeClock();
  const got = [];
  const ends = [];
  const transport = openPolling({
    baseUrl: 'http://server', ownerId: '1', token: 't', lastEventId, clock, random: () => 0.5, fetch: async (url, options) => history.answer(url, options),
  }, { message: (text) => got.push(JSON.parse(text)), closed: (...end) => ends.push(end) });
  return { clock, got, ends, transport, ids: () => got.flatMap(({ id }) => id || []), types: () => got.map(({ type }) => type) };
}

describe('polling', () => {
  test('speaks like a stream: established, what came, numbers, heartbeat', async () => {
    const history = new History();
    history.add('e1', 'e2', 'e3');
    const p = poll(history);
    await flushMicrotasks();
    assert.deepEqual(p.types(), ['connection_established', 'booking_created', 'booking_created', 'booking_created', 'metrics_updated', 'heartbeat']);
    assert.equal(p.got[0].data.recovered, true);
    assert.equal(p.got.at(-1).data.lastEventId, 'e3');
    assert.equal(p.transport.send('{}'), false);
  });

  test('every event once and in order, over any number of polls', async () => {
    const history = new History();
    const p = poll(history);
    for (let i = 1; i <= 40; i += 4) {
      history.add(...[0, 1, 2, 3].map((n) => `e${i + n}`));
      await p.clock.advance(6000);
    }
    assert.deepEqual(p.ids(), Array.from({ length: 40 }, (_, i) => `e${i + 1}`));
    assert.equal(p.types().filter((type) => type === 'metrics_updated').length, 1, 'numbers that did not change are not news');
  });

  test('notifications: the counts at first, then what changed; the same again is not news', async () => {
    const history = new History();
    let revision = 5;
    history.notes = (since) => ({ revision, unread: revision - 3, unseen: 1, items: since < 0 || since === revision ? [] : [{ id: String(revision) }], clearedUntil: null });
    const p = poll(history);
    await flushMicrotasks();
    await p.clock.advance(6000);
    revision = 7;
    await p.clock.advance(6000);
    const told = p.got.filter(({ type }) => type === 'notifications_updated').map(({ data }) => data);
    assert.deepEqual(told.map(({ since, revision: now, unread, items }) => [since, now, unread, items.length]), [[5, 5, 2, 0], [5, 7, 4, 1]]);
    assert.deepEqual(history.noted, ['limit=1', 'since=5', 'since=5']);
    history.notes = () => ({ revision: 9, unread: 0, unseen: 0, items: [], reset: true });
    await p.clock.advance(6000);
    assert.deepEqual(p.got.filter(({ type }) => type === 'notifications_updated').at(-1).data.since, 9, 'a list to be read anew');
  });

  test('history that does not reach back is told, not hidden', async () => {
    const history = new History();
    history.add('e9');
    history.gone = true;
    const p = poll(history, 'ancient');
    await flushMicrotasks();
    assert.equal(p.got[0].data.recovered, false);
    assert.equal(p.got[0].data.lastEventId, 'e9');
    history.gone = true;
    await p.clock.advance(6000);
    assert.ok(p.types().includes('resync'));
  });

  test('a refusal ends it with the code that says the same', async () => {
    for (const [status, code] of [[401, 4401], [403, 4403], [503, 1013]]) {
      const history = new History();
      Object.assign(history, { status, retryAfter: '7' });
      const p = poll(history);
      await flushMicrotasks();
      assert.deepEqual(p.ends, [[code, 7000]]);
      assert.equal(p.clock.timers.size, 0);
    }
  });

  test('a server that does not answer ends it after ten seconds', async () => {
    const history = new History();
    const p = poll(history);
    await flushMicrotasks();
    history.answer = () => new Promise(() => {});
    await p.clock.advance(20_000);
    assert.deepEqual(p.ends, [[1006, undefined]]);
  });

  test('closed, it is silent and asks no more', async () => {
    const history = new History();
    const p = poll(history);
    await flushMicrotasks();
    const before = p.got.length;
    p.transport.close();
    history.add('e1');
    await p.clock.advance(60_000);
    assert.equal(p.got.length, before);
    assert.equal(p.clock.timers.size, 0);
  });
});

describe('the way down and up', () => {
  /** Two silent failures at each step. @param {ReturnType<typeof newFixture>} w */
  async function down(w, kind) {
    for (let i = 0; i < 200 && w.link?.kind !== kind; i++) {
      if (!w.link?.closed) w.link?.drop();
      await w.clock.advance(500);
    }
    assert.equal(w.link.kind, kind);
  }

  test('WebSocket, stream, polling; then the best is probed first, and every other time the second', async () => {
    const w = newFixture();
    w.manager.connect();
    await flushMicrotasks();
    await down(w, 'sse');
    await down(w, 'polling');
    const polling = w.link;
    polling.establish();
    assert.equal(w.manager.getState().transport, 'polling');
    const kinds = [];
    for (let passed = 0; passed < 400; passed += 10) {
      await w.clock.advance(10_000);
      polling.control('heartbeat', { lastEventId: 'e0' });
      if (w.link !== polling && !w.link.closed) {
        kinds.push(w.link.kind);
        w.link.drop();
      }
    }
    assert.deepEqual(kinds.slice(0, 3), ['websocket', 'sse', 'websocket']);
    assert.equal(polling.closed, false, 'what works is left alone');
    assert.equal(w.manager.getState().status, 'live');
  });

  test('a stream that works again takes over from polling, and a WebSocket from the stream, without a gap or a repetition', async () => {
    const w = newFixture();
    const got = [];
    w.manager.on('message', ({ id }) => id && got.push(id));
    w.manager.connect();
    await flushMicrotasks();
    await down(w, 'sse');
    await down(w, 'polling');
    w.link.establish();
    w.link.event('e1');
    let refused = 0;
    for (const wanted of ['sse', 'websocket']) {
      const current = w.open[0];
      for (let i = 0; i < 60 && w.manager.getState().transport !== wanted; i++) {
        await w.clock.advance(10_000);
        current.control('heartbeat', { lastEventId: got.at(-1) });
        if (w.link === current || w.link.closed) continue;
        if (w.link.kind !== wanted) {
          refused++;
          w.link.drop();
          continue;
        }
        assert.equal(w.link.request.lastEventId, got.at(-1));
        current.event(`${wanted}-both`);
        w.link.establish();
        w.link.event(`${wanted}-both`);
        w.link.event(`${wanted}-only`);
      }
      assert.equal(w.manager.getState().transport, wanted);
      assert.equal(w.open.length, 1);
    }
    assert.equal(refused, 1);
    assert.deepEqual(got, ['e1', 'sse-both', 'sse-only', 'websocket-both', 'websocket-only']);
  });

  test('while the browser is offline nothing is held against the transport', async () => {
    const w = newFixture({ page: { hidden: () => false, offline: () => true, listen: () => () => {} } });
    w.manager.connect();
    await flushMicrotasks();
    for (let i = 0; i < 12; i++) {
      if (!w.link.closed) w.link.drop();
      await w.clock.advance(60_000);
    }
    assert.ok(w.links.every(({ kind }) => kind === 'websocket'));
  });

  test('an outage below polling waits longer each time and stays with polling', async () => {
    const w = newFixture({ random: () => 0.999 });
    w.manager.connect();
    await flushMicrotasks();
    await down(w, 'sse');
    await down(w, 'polling');
    w.http.up = false;
    const waits = [];
    for (let i = 0; i < 6; i++) {
      w.link.drop();
      waits.push(w.manager.getState().nextRetryAt - w.clock.now());
      await w.clock.advance(waits.at(-1));
    }
    assert.equal(w.link.kind, 'polling');
    assert.deepEqual([...waits].sort((a, b) => a - b), waits);
  });
});
