// The calendar without a page: lanes, changes, places of bars, turnovers.
import assert from 'node:assert/strict';
import test from 'node:test';
import { apply, assignLanes, newChanges } from '../../static/calendar/changes.js';
import { addDays, append, part, staysByDay, turnovers, weekday } from '../../static/calendar/state.js';

const stay = (bookingId, from, to, change = {}) => ({
  bookingId, hangarId: 'h', lane: 0, status: 'confirmed', guestName: 'Ana', checkInDate: `2026-03-${from}:00-03:00`, checkOutDate: `2026-03-${to}:00-03:00`,
  amount: 1, paid: true, cutLeft: false, cutRight: false, ...change,
});
const hangar = (hangarId = 'h', change = {}) => ({
  hangarId, hangarNumber: hangarId, icaoCode: 'SBMT', spaces: 1, published: true, nights: [0, 0, 0], arrivals: [0, 0, 0], departures: [0, 0, 0], over: [0, 0, 0], ...change,
});
const day = (date, hours = 24, hour = '00') => ({ date, start: `${date}T${hour}:00:00-03:00`, hours, spaces: 1, nights: 0, arrivals: 0, departures: 0 });
const page = (stays, hangars = [hangar()], change = {}) => ({
  timezone: 'America/Sao_Paulo', today: '2026-03-10', from: '2026-03-10', to: '2026-03-13', asOf: '', precision: 'instant',
  days: [day('2026-03-10'), day('2026-03-11'), day('2026-03-12')], hangars, stays, counted: [], uncertain: { count: 0, stays: [] }, next: null, ...change,
});

test('dates are counted as dates, also over a change of clocks and a leap day', () => {
  assert.equal(addDays('2018-11-03', 1), '2018-11-04');
  assert.equal(addDays('2018-11-04', 1), '2018-11-05');
  assert.equal(addDays('2028-02-28', 1), '2028-02-29');
  assert.equal(addDays('2026-03-01', -1), '2026-02-28');
  assert.equal(weekday('2026-03-08'), 0);
});

test('lanes are those of the server', () => {
  const stays = [
    stay('10', '10T14:00', '12T12:00'), stay('9', '10T14:00', '11T12:00'), stay('c', '11T12:00', '12T12:00'),
    stay('p', '10T10:00', '12T10:00', { status: 'pending' }), stay('x', '10T10:00', '10T11:00', { status: 'cancelled' }),
  ];
  assignLanes(stays);
  // "10" is before "9" as a text; what ends when another begins does not meet it
  assert.deepEqual(Object.fromEntries(stays.map((one) => [one.bookingId, one.lane])), { 10: 0, 9: 1, c: 1, p: 2, x: 0 });
});

test('no two stays that meet have one lane, over random histories', () => {
  let seed = 7;
  const random = (n) => (seed = (seed * 48_271) % 2_147_483_647) % n;
  for (let round = 0; round < 200; round++) {
    const stays = Array.from({ length: 30 }, (_, i) => {
      const from = random(200);
      const at = (hours) => new Date(Date.UTC(2026, 2, 10, hours)).toISOString();
      return stay(String(i), '', '', { checkInDate: at(from), checkOutDate: at(from + 1 + random(60)), status: ['confirmed', 'pending', 'cancelled'][random(3)] });
    });
    assignLanes(stays);
    for (const a of stays) {
      for (const b of stays) {
        const meet = a !== b && Date.parse(a.checkInDate) < Date.parse(b.checkOutDate) && Date.parse(b.checkInDate) < Date.parse(a.checkOutDate);
        assert.ok(!meet || a.lane !== b.lane, `${a.bookingId} and ${b.bookingId} in round ${round}`);
      }
    }
  }
});

test('what changed comes and goes, and what it leaves gets new lanes', () => {
  const window = page([stay('1', '10T14:00', '12T12:00'), stay('2', '10T15:00', '11T12:00', { lane: 1 })]);
  const differs = apply(window, page([stay('3', '11T14:00', '12T12:00', { lane: 0 })], [hangar('h', { nights: [1, 1, 0] })], { gone: ['1'] }), ['1', '3']);
  assert.deepEqual(differs, ['3']);
  assert.deepEqual(window.stays.map((one) => [one.bookingId, one.lane]), [['2', 0], ['3', 0]]);
  assert.deepEqual(window.hangars[0].nights, [1, 1, 0]);
  assert.deepEqual(apply(window, page([{ ...window.stays[1] }], [hangar()]), ['3']), [], 'told again it is the same');
});

test('another list of hangars, or one that comes as counts now, asks for the window', () => {
  assert.equal(apply(page([]), page([], [hangar('new')]), ['1']), null);
  assert.equal(apply(page([]), page([], [hangar()], { counted: ['h'] }), ['1']), null);
});

test('a stay of another page is left to that page', () => {
  const window = page([stay('1', '10T14:00', '12T12:00')]);
  append(window, page([stay('2', '10T14:00', '12T12:00', { hangarId: 'k' })], [hangar('k')]));
  apply(window, page([], [hangar()], { gone: ['2'] }), ['2']);
  assert.deepEqual(window.stays.map((one) => one.bookingId), ['1', '2']);
  apply(window, page([], [hangar('k')], { gone: ['2'] }), ['2']);
  assert.deepEqual(window.stays.map((one) => one.bookingId), ['1']);
});

test('each day is as wide as the others, whatever its hours', () => {
  const days = [day('2018-11-03'), day('2018-11-04', 23, '01'), day('2018-11-05')];
  days[1].start = '2018-11-04T01:00:00-02:00';
  days[2].start = '2018-11-05T00:00:00-02:00';
  assert.equal(part(days, Date.parse('2018-11-03T12:00:00-03:00')), 0.5 / 3);
  assert.equal(part(days, Date.parse('2018-11-04T12:30:00-02:00')), 1.5 / 3);
  assert.equal(part(days, Date.parse('2018-11-01T00:00:00-03:00')), 0);
  assert.equal(part(days, Date.parse('2018-12-01T00:00:00-02:00')), 1);
});

test('turnovers: hours between, none at all, and none where bookings have no hours', () => {
  const stays = [stay('1', '10T14:00', '11T10:00'), stay('2', '11T10:30', '12T10:00'), stay('3', '12T10:00', '12T18:00')];
  assert.deepEqual([...turnovers(stays, true)], [['2', 0.5], ['3', 0]]);
  assert.deepEqual([...turnovers(stays, false)], [['2', null], ['3', null]]);
  assert.deepEqual([...turnovers([stays[0], stay('2', '12T10:30', '12T11:00')], true)], []);
});

test('a day has the stays that reach into it', () => {
  const window = page([stay('1', '09T14:00', '10T00:00'), stay('2', '10T23:59', '12T00:00')]);
  assert.deepEqual(staysByDay(window, window.stays).map((stays) => stays.map((one) => one.bookingId)), [['2'], ['2'], []]);
});

/**
 * Time that passes as soon as nothing else is to be done.
 * @param {import('node:test').TestContext} t
 */
function newTime(t) {
  let now = 0;
  /** @type {{at: number, call: () => void}[]} */
  const timers = [];
  t.mock.method(globalThis, 'setTimeout', (call, wait = 0) => timers.push({ at: now + wait, call }));
  t.mock.method(performance, 'now', () => now);
  return {
    now: () => now,
    /** @param {number} until */
    async pass(until) {
      for (;;) {
        for (let i = 0; i < 20; i++) await null;
        timers.sort((a, b) => a.at - b.at);
        if (!timers[0] || timers[0].at > until) break;
        const { at, call } = timers.shift();
        now = Math.max(now, at);
        call();
      }
      now = until;
    },
  };
}

test('questions: at once, then four a second, and one a second when there are always more', async (t) => {
  const time = newTime(t);
  const asked = [];
  const changes = newChanges('', {
    pages: (ids = []) => [`calendar?changed=${ids}`], load: async () => {}, isQuiet: () => false, take: () => true,
    get: async (path) => asked.push({ at: time.now(), ids: path.split('=')[1].split(',') }),
  });
  for (let i = 0; i < 3000; i++) {
    changes.add(`${i % 90}`, `event ${i}`);
    await time.pass((i + 1) * 20);
  }
  assert.equal(asked[0].at, 0, 'the first waits for nothing');
  const within = (at) => asked.filter((one) => one.at >= at && one.at < at + 1000).length;
  assert.ok(asked.every(({ at }) => within(at) <= 4));
  assert.ok(asked.filter(({ at }) => at >= 12_000).every(({ at }) => within(at) <= 1), `${asked.map(({ at }) => at)}`);
  await time.pass(65_000);
  assert.ok(asked.some(({ at, ids }) => at >= 59_980 && ids.includes('29')), 'the last is asked about');
  await time.pass(120_000);
  changes.add('1', 'later');
  await time.pass(120_020);
  assert.equal(asked.at(-1).at, 120_000, 'after a rest the first waits for nothing again');
});

test('a booking that another event names during a question is asked about again', async (t) => {
  const time = newTime(t);
  let answer = () => {};
  const asked = [];
  const changes = newChanges('', {
    pages: (ids = []) => [`calendar?changed=${ids}`], load: async () => {}, isQuiet: () => false, take: () => true,
    get: (path) => new Promise((resolve) => (asked.push(path), (answer = resolve))),
  });
  changes.add('1', 'a');
  await time.pass(10);
  changes.add('1', 'b');
  answer();
  await time.pass(1000);
  answer();
  await time.pass(3000);
  assert.deepEqual(asked, ['calendar?changed=1', 'calendar?changed=1']);
});

test('more than a hundred bookings, or an answer that does not fit, load the window', async (t) => {
  const time = newTime(t);
  const done = [];
  const changes = newChanges('', {
    pages: (ids = []) => [`calendar?changed=${ids}`], isQuiet: () => false, take: () => false, get: async () => done.push('asked'),
    load: async () => {
      changes.loading();
      done.push('loaded');
    },
  });
  changes.add('1', 'a');
  await time.pass(1000);
  assert.deepEqual(done, ['asked', 'loaded']);
  for (let i = 0; i <= 100; i++) changes.add(`${i}`, 'b');
  await time.pass(3000);
  assert.deepEqual(done, ['asked', 'loaded', 'loaded']);
});
