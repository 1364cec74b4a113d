/** What the page knows of notifications, without a page. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { describe as describeOne } from '../../static/notifications/panel.js';
import { change, readThrough } from '../../static/notifications/deeds.js';
import { NotificationStore, byId, isUnread, newFeed } from '../../static/notifications/store.js';
import pt from '../../static/notifications/words/pt.js';
import { NOTIFICATIONS, parseMessage } from '../../static/parts.js';
import { recentOccupancy } from '../../static/react/occupancy.js';
import { DashboardStore } from '../../static/state/store.js';
import { wording } from '../../static/state/wording.js';
import { FakeNotifications } from '../browser/fake-notifications.js';
import { FakeClock, flushMicrotasks, newFixture, tokenOf, FakePlatform } from './fakes.js';

/** An account of the server's, and screens that follow it. */
function account() {
  const clock = new FakeClock();
  /** @type {{user: string, store: NotificationStore, deaf: boolean}[]} */
  const screens = [];
  const server = new FakeNotifications(() => clock.time, (ownerId, dataOf) => {
    for (const screen of screens) if (!screen.deaf) screen.store.apply(read(dataOf(screen.user)));
  });
  const read = (data) => parseMessage(JSON.stringify({ type: 'notifications_updated', data })).message.data;
  return {
    clock, server,
    async screen(user = 'ana', filter = {}) {
      const ask = async (path, method = 'GET', body = undefined) => {
        await null;
        const found = server.answer(method, new URL(`http://s/api/owners/1/${path}`), user, body);
        if (found[0] >= 400) throw Object.assign(new Error('refused'), { status: found[0] });
        return JSON.parse(JSON.stringify(found[1]));
      };
      const screen = { user, deaf: false, store: new NotificationStore(ask, () => {}, clock) };
      screens.push(screen);
      screen.store.apply(read(server.first('1', user)));
      if (filter) await screen.store.choose({ state: 'all', ...filter });
      return screen;
    },
    ids: (screen) => screen.store.getState().items.map(({ id }) => id),
    of: (user) => server.first('1', user),
    hear: (screen) => screen.store.apply(read(server.first('1', screen.user))),
  };
}

describe('the store', () => {
  test('counts are absolute, the newest revision wins, and seen is each user\'s own', async () => {
    const a = account();
    const bell = await a.screen('ana', null);
    assert.deepEqual([bell.store.getState().unread, bell.store.getState().unseen], [0, 0]);
    a.server.add('1', 'booking_created');
    const old = a.of('ana');
    a.server.add('1', 'booking_created');
    bell.store.apply({ ...NOTIFICATIONS, ...old, clearedUntil: 0 });
    assert.deepEqual([bell.store.getState().unread, bell.store.getState().unseen], [2, 2], 'a message of an earlier revision changes nothing');
    const [ana, bia] = [await a.screen('ana'), await a.screen('bia')];
    await ana.store.see('2');
    await flushMicrotasks();
    assert.deepEqual([ana, bia].map(({ store }) => store.getState().unseen), [0, 2]);
    assert.deepEqual([ana, bia].map(({ store }) => store.getState().unread), [2, 2]);
  });

  test('what one reads is read for all, with the name; unread, archived and back likewise', async () => {
    const a = account();
    const { id } = a.server.add('1', 'booking_created');
    const [ana, bia] = [await a.screen('ana'), await a.screen('bia', { state: 'unread' })];
    const deed = await change(ana.store, id, { read: true });
    assert.equal(deed.word, 'readOne');
    const row = bia.store.getState().items.find((one) => one.id === id);
    assert.equal(row.readBy.name, 'Ana Souza', 'it stays on the screen, and says by whom');
    assert.equal(bia.store.getState().unread, 0);
    await deed.undo();
    assert.equal(bia.store.get(id).readAt, null);
    await change(ana.store, id, { archived: true });
    assert.deepEqual([a.ids(ana), a.ids(bia)], [[], []]);
    assert.equal(bia.store.getState().unread, 0);
    assert.equal(await change(ana.store, '99', { read: true }), null, 'one that is not known');
    await ana.store.choose({ state: 'archived' });
    assert.deepEqual(a.ids(ana), [id]);
  });

  test('it counts at once, and is taken back where the server refuses', async () => {
    const a = account();
    const { id } = a.server.add('1', 'booking_created');
    const ana = await a.screen('ana');
    a.server.refuse = 503;
    const doing = change(ana.store, id, { read: true });
    assert.equal(ana.store.getState().unread, 0);
    await assert.rejects(doing);
    assert.equal(ana.store.getState().unread, 1);
    assert.equal(isUnread(ana.store.get(id)), true);
    // The answer came, the message about it did not: the number does not jump back meanwhile.
    ana.deaf = true;
    await change(ana.store, id, { read: true });
    assert.equal(ana.store.getState().unread, 0);
    await a.clock.advance(2000);
    assert.equal(ana.store.getState().unread, 0, 'asked for');
    assert.ok(a.server.asked.some(({ path }) => path.includes('since=')));
  });

  test('all are read through what was shown: not what came since, not another kind', async () => {
    const a = account();
    for (const kind of ['booking_created', 'unpaid', 'booking_created']) a.server.add('1', kind);
    const ana = await a.screen('ana');
    const late = a.server.add('1', 'booking_created');
    const deed = await readThrough(ana.store, '3');
    assert.equal(deed.n, 3);
    assert.equal(ana.store.getState().unread, 1);
    assert.equal(isUnread(ana.store.get(late.id)), true);
    await deed.undo();
    assert.equal(ana.store.getState().unread, 4);
    await ana.store.choose({ kind: 'unpaid' });
    await readThrough(ana.store, '4');
    assert.deepEqual(a.server.account('1').items.map(({ readAt }) => Boolean(readAt)), [false, true, false, false]);
    await ana.store.choose({ kind: '', hangarId: '7' });
    assert.equal(await readThrough(ana.store, '4'), null, 'none of this hangar');
  });

  test('undoing a reading of many reaches those that were not on the screen', async () => {
    const a = account();
    for (let i = 0; i < 45; i++) a.server.add('1', 'booking_created');
    const ana = await a.screen('ana', { state: 'unread' });
    assert.equal(a.ids(ana).length, 30);
    const deed = await readThrough(ana.store, '45');
    assert.equal(ana.store.getState().unread, 0);
    await deed.undo();
    assert.equal(ana.store.getState().unread, 45);
    await ana.store.loadMore();
    assert.equal(a.ids(ana).length, 45);
    assert.equal(ana.store.getState().more, false);
  });

  test('a message that was missed is asked for, and a reset loads the list', async () => {
    const a = account();
    a.server.add('1', 'booking_created');
    const ana = await a.screen('ana');
    ana.deaf = true;
    a.server.add('1', 'unpaid');
    ana.deaf = false;
    a.server.add('1', 'overbooked', {}, { severity: 'urgent' });
    await flushMicrotasks();
    assert.deepEqual(a.ids(ana), ['3', '2', '1']);
    ana.deaf = true;
    a.server.add('1', 'unpaid');
    a.server.account('1').floor = a.server.account('1').revision + 1;
    a.hear(ana);
    a.server.account('1').floor = 0;
    await flushMicrotasks();
    assert.deepEqual(a.ids(ana), ['4', '3', '2', '1']);
  });

  test('after random deeds of three people, and lost messages, every screen is the table', async () => {
    let seed = 7;
    const random = (n) => (seed = (seed * 48_271) % 2_147_483_647) % n;
    const a = account();
    const screens = [await a.screen('ana'), await a.screen('bia', { state: 'unread' }), await a.screen('ana', { state: 'archived' })];
    for (let step = 0; step < 150; step++) {
      const { items } = a.server.account('1');
      const screen = screens[random(3)];
      const one = items[random(Math.max(1, items.length))];
      for (const other of screens) other.deaf = random(5) === 0;
      const deed = random(8);
      if (deed < 2 || !one) a.server.add('1', ['booking_created', 'unpaid'][random(2)], {}, { userId: random(6) === 0 ? 'bia' : null });
      else if (deed === 2) a.server.resolve('1', one.id);
      else if (deed === 3) await readThrough(screen.store, one.id).catch(() => {});
      else await change(screen.store, one.id, [{ read: true }, { read: false }, { archived: true }, { archived: false }][deed - 4]).catch(() => {});
    }
    for (const screen of screens) {
      screen.deaf = false;
      a.hear(screen);
    }
    await a.clock.advance(5000);
    for (const screen of screens) {
      const { unread } = a.of(screen.user);
      assert.equal(screen.store.getState().unread, unread);
      const before = a.ids(screen);
      await screen.store.load();
      if (screen.store.filter.state !== 'unread') assert.deepEqual(before, a.ids(screen), screen.store.filter.state);
      if (screen.store.filter.state === 'unread') assert.equal(a.ids(screen).length, Math.min(30, unread));
    }
  });

  test('ids are numbers written as text', () => assert.deepEqual(['9', '10', '2'].sort(byId), ['2', '9', '10']));
});

describe('the client', () => {
  const data = { revision: 5, since: 4, unread: 2, unseen: 1, items: [{ id: '1' }], more: false, readThrough: { id: '3', by: { id: '7', name: null }, at: '' }, clearedUntil: null };

  test('a message is read with defaults, and is no event', async () => {
    const { message } = parseMessage(JSON.stringify({ type: 'notifications_updated', ownerId: '1', data }));
    assert.deepEqual(message.data, { ...data, clearedUntil: 0, readThrough: { id: '3', by: { id: '7', name: '' }, at: '' } });
    assert.deepEqual(parseMessage('{"type":"notifications_updated","data":{"items":"x"}}').message.data, NOTIFICATIONS);
    const w = newFixture();
    await w.live();
    const got = [];
    w.manager.on('notifications_updated', (one) => got.push(one.data.unread));
    w.link.control('notifications_updated', data);
    w.link.control('heartbeat', { lastEventId: 'e0' });
    await flushMicrotasks();
    assert.deepEqual(got, [2]);
    assert.equal(w.snapshots(), 1, 'the position has not moved');
  });

  test('every tab gets it, and one that comes later gets the last', async () => {
    const [clock, tabs] = [new FakeClock(), new FakePlatform()];
    const open = async () => {
      const w = newFixture({ token: tokenOf('7'), clock, tabs });
      w.counts = [];
      w.manager.on('notifications_updated', (one) => w.counts.push(one.data.unread));
      w.manager.connect().catch(() => {});
      await flushMicrotasks();
      w.link?.establish();
      await flushMicrotasks();
      return w;
    };
    const [leader, second] = [await open(), await open()];
    leader.link.control('notifications_updated', data);
    await flushMicrotasks();
    assert.deepEqual([leader.counts, second.counts], [[2], [2]]);
    const third = await open();
    assert.deepEqual(third.counts, [2]);
    leader.link.control('notifications_updated', { ...data, revision: 6, unread: 3 });
    await flushMicrotasks();
    assert.deepEqual(third.counts, [2, 3]);
  });
});

describe('the feed of the page', () => {
  const created = (id, bookingId, timestamp) => ({ id, type: 'booking_created', timestamp, ownerId: '1', data: { id, bookingId, hangarNumber: 'A', timestamp } });

  test('what the server keeps decides: the count, which rows are unread, what was cleared', () => {
    const store = new DashboardStore();
    store.apply(created('e1', '10', 100));
    store.apply(created('e2', '11', 200));
    assert.equal(store.getState().unread, 2);
    store.setShared(7, new Set(['10']), 0);
    assert.deepEqual(store.getState().bookings.map(({ read }) => read), [true, false]);
    assert.equal(store.getState().unread, 7);
    store.apply(created('e3', '12', 300));
    assert.equal(store.getState().unread, 7, 'events no longer count');
    store.setShared(7, new Set(['10', '12']), 200);
    assert.deepEqual(store.getState().bookings.map(({ id }) => id), ['e3'], 'cleared on another device');
    store.setShared(7, new Set(), 0);
    assert.deepEqual(store.getState().bookings.map(({ id }) => id), ['e3', 'e2', 'e1'], 'and undone there');
    assert.equal(store.bookingOf('e3'), '12');
  });

  test('clearing is told until the newest that was shown, undoing tells the former', async () => {
    const a = account();
    a.server.add('1', 'booking_created', { bookingId: '10' });
    a.server.add('1', 'payout_sent', {});
    const told = [];
    const feed = newFeed(async (path, method = 'GET', body = undefined) => a.server.answer(method, new URL(`http://s/api/owners/1/${path}`), 'ana', body)[1], (...all) => told.push(all));
    feed.apply({ ...NOTIFICATIONS, ...a.of('ana'), clearedUntil: 5 });
    await flushMicrotasks();
    assert.deepEqual(told.at(-1), [2, new Set(['10']), 5]);
    await feed.clear(900);
    await feed.clear(-Infinity);
    assert.deepEqual(a.server.asked.filter(({ path }) => path.endsWith('/cleared')).map(({ body }) => body.until), [900, null]);
    await feed.read('10');
    assert.equal(a.server.account('1').items[0].readBy.id, 'ana');
    feed.stop();
  });

  test('hangars that filled or emptied are read from history, unless there is too much of it', async () => {
    const event = (i) => ({ type: i % 2 ? 'occupancy_changed' : 'booking_created', data: { hangarId: String(i) } });
    const pages = [[0, 1, 2], [3, 4, 5]];
    const found = await recentOccupancy(async (path) => {
      const page = path.includes('after=') ? 1 : 0;
      return { events: pages[page].map(event), hasMore: page === 0, lastEventId: 'e' };
    });
    assert.deepEqual(found.map(({ hangarId }) => hangarId), ['5', '3', '1']);
    assert.deepEqual(await recentOccupancy(async () => ({ events: [event(1)], hasMore: true, lastEventId: 'e' })), []);
  });
});

describe('in words', () => {
  const one = (kind, facts = {}, more = {}) => describeOne(/** @type {any} */ ({ kind, facts, count: 1, readAt: null, readBy: null, archivedAt: null, archivedBy: null, resolvedAt: null, userId: null, ...more }), pt, wording, 'America/Sao_Paulo');

  test('kinds, facts, groups, and who read it', () => {
    const said = one('booking_created', { hangarNumber: 'H-12', guestName: 'Ana\u202E', amount: 900, checkInDate: '2026-03-12', checkOutDate: '2026-03-15' });
    assert.deepEqual([said.title, said.hangar], ['Nova reserva', 'H-12']);
    assert.match(said.detail, /^\u2068Ana\u2069 · 12\s–\s15 de mar\. · R\$\u00A0900,00$/);
    assert.equal(one('booking_created', {}, { count: 3 }).title, '3 novas reservas');
    assert.equal(one('overbooked', { stays: 2, spaces: 1, date: '2026-12-02' }).detail, 'estadias: 2, vagas: 1 · quarta, 2 de dez.');
    assert.equal(one('occupancy_low', { percent: '24.5' }).detail, '24,5% de ocupação nos próximos 7 dias');
    assert.equal(one('member_changed', { memberName: 'Bia', was: '', role: 'viewer' }).detail, '\u2068Bia\u2069 agora tem acesso');
    assert.equal(one('member_changed', { memberName: 'Bia', was: 'viewer' }).detail, '\u2068Bia\u2069 não tem mais acesso');
    assert.match(one('unpaid', {}, { readAt: '2026-01-21T14:32:00-03:00', readBy: { id: '7', name: 'Ana' } }).mark, /^lida por \u2068Ana\u2069, 21 de jan\.,? 14:32$/);
    assert.match(one('unpaid', {}, { readAt: '2026-01-21T14:32:00-03:00', readBy: { id: '7', name: '' } }).mark, /usuário removido/);
    assert.equal(one('unpaid', {}, { resolvedAt: '2026-01-21T14:32:00-03:00', userId: '7' }).mark, 'resolvida · só para você');
    assert.equal(one('of_tomorrow', { amount: { a: 1 }, guestName: ['x'] }).title, 'Notificação', 'a newer server\'s kind');
  });

  test('there are words for every kind', () => {
    const source = readFileSync(new URL('../../static/notifications/panel.js', import.meta.url), 'utf8');
    for (const kind of Object.keys(pt.kinds)) assert.ok(kind === 'invitation' || source.includes(`${kind}:`), kind);
  });
});
