// The trends without a page: ranges, the address, axes, bars, lines, and a window that goes on.
import assert from 'node:assert/strict';
import test from 'node:test';
import { daysBetween } from '../../static/state/days.js';
import { wording } from '../../static/state/wording.js';
import { box, labelled, linePaths, newFormats, ticksOf } from '../../static/trends/chart.js';
import { merge } from '../../static/trends/live.js';
import { earliest, firstOfMonth, ownRange, readHash, writeHash } from '../../static/trends/address.js';
import { currentOf, pathOf, rangeOf } from '../../static/trends/range.js';

const TODAY = '2026-03-15';
const choice = (change = {}) => ({ preset: '30', compare: 'before', table: false, hangar: '', own: null, ...change });

test('a preset ends today, and a range of one\'s own has the buckets that fit', () => {
  assert.deepEqual(rangeOf(choice({ preset: 'today' }), TODAY), { interval: 'hour', from: TODAY, to: '2026-03-16' });
  assert.deepEqual(rangeOf(choice({ preset: '7' }), TODAY), { interval: 'day', from: '2026-03-09', to: '2026-03-16' });
  assert.deepEqual(rangeOf(choice({ preset: '90' }), TODAY), { interval: 'day', from: '2025-12-16', to: '2026-03-16' });
  assert.deepEqual(rangeOf(choice({ preset: '12' }), TODAY), { interval: 'month', from: '2025-04-15', to: '2026-03-16' });
  for (const [today, month] of [['2026-01-01', '2025-02'], ['2024-02-29', '2023-03'], ['2026-12-31', '2026-01'], ['2025-03-31', '2024-04']]) {
    assert.equal(rangeOf(choice({ preset: '12' }), today).from.slice(0, 7), month, `12 months at ${today}`);
  }
  const own = (first, last) => rangeOf(choice({ preset: 'own', own: ownRange(first, last) }), TODAY);
  assert.deepEqual(own('2026-03-01', '2026-03-02'), { interval: 'hour', from: '2026-03-01', to: '2026-03-03' });
  assert.equal(own('2026-01-01', '2026-03-01').interval, 'day');
  assert.equal(own('2025-01-01', '2026-03-01').interval, 'week');
  assert.equal(own(earliest(TODAY), TODAY).interval, 'month');
});

test('no range of one\'s own has more buckets than the server answers', () => {
  for (let days = 1; days <= daysBetween(earliest(TODAY), TODAY) + 1; days++) {
    const first = new Date(Date.parse(TODAY) - (days - 1) * 86_400_000).toISOString().slice(0, 10);
    const { interval } = ownRange(first, TODAY);
    const buckets = { hour: days * 24, day: days, week: Math.ceil(days / 7) + 1, month: Math.ceil(days / 28) }[interval];
    assert.ok(interval === 'month' || buckets <= { hour: 336, day: 400, week: 160 }[interval], `${days} days by ${interval}`);
  }
  assert.equal(earliest(TODAY), '2021-04-01', '60 months with this one');
  assert.equal(firstOfMonth('2026-01-31', -1), '2025-12-01');
});

test('the question names what is compared', () => {
  const range = rangeOf(choice({ preset: '7' }), TODAY);
  assert.equal(pathOf(choice(), range), 'trends?interval=day&from=2026-03-09&to=2026-03-16&compare=before');
  assert.equal(pathOf(choice({ compare: 'weekday' }), range), 'trends?interval=day&from=2026-03-09&to=2026-03-16&compare=before&match=weekday');
  assert.match(pathOf(choice({ compare: 'year' }), range), /compare=year$/);
  assert.match(pathOf(choice({ hangar: 'a&b' }), range), /compare=before&hangarId=a%26b$/);
});

test('the address keeps a choice, beside what is of others, and refuses nonsense', () => {
  for (const one of [choice({ preset: 'today' }), choice({ preset: '12', compare: 'none', table: true }), choice({ preset: 'own', own: ownRange('2026-01-02', '2026-02-03'), compare: 'weekday' }), choice({ hangar: 'é 7&x=#' })]) {
    const hash = writeHash('#tab=2', one);
    assert.match(hash, /^#tab=2&trends=/);
    assert.deepEqual(readHash(hash, TODAY), one);
    assert.equal(writeHash(hash, null), '#tab=2');
  }
  assert.equal(writeHash('#main', choice()), '#trends=30', 'an anchor is no state');
  assert.equal(writeHash('#main', null), '');
  for (const bad of ['', '#main', '#trends=31', '#trends=own', '#trends=2026-02-30..2026-03-01x', '#trends=2026-03-02..2026-03-01', '#trends=2026-03-01..2026-03-16', '#trends=1999-01-01..2026-03-01', '#trends=2026-13-01..2026-14-01']) {
    assert.equal(readHash(bad, TODAY), null, bad);
  }
  assert.equal(readHash('#trends=7&compare=evil', TODAY)?.compare, 'before');
  assert.equal(readHash(`#trends=7&hangar=${'x'.repeat(129)}`, TODAY)?.hangar, '', 'no id is so long');
});

test('an axis has round numbers, and holds the largest value', () => {
  assert.deepEqual(ticksOf(0), [0, 1]);
  assert.deepEqual(ticksOf(7, true), [0, 5, 10]);
  assert.deepEqual(ticksOf(2, true), [0, 1, 2]);
  assert.deepEqual(ticksOf(0.5), [0, 0.2, 0.4, 0.6]);
  for (const max of [1, 3, 9.99, 12, 99, 101, 2501, 7499, 1e6, 123456.78, 0.07]) {
    for (const whole of [false, true]) {
      const ticks = ticksOf(max, whole);
      assert.ok(ticks.at(-1) >= max && ticks.at(-1) < 2.6 * max + 2, `${max}: ${ticks}`);
      assert.ok(ticks.length >= 2 && ticks.length <= 5, `${max}: ${ticks}`);
      if (whole) assert.ok(ticks.every(Number.isInteger), `${max}: ${ticks}`);
    }
  }
});

test('names below the axis have room, and today always has one', () => {
  assert.deepEqual(labelled(7, 10, true), [0, 1, 2, 3, 4, 5, 6]);
  assert.deepEqual(labelled(30, 5, true), [5, 11, 17, 23, 29]);
  assert.deepEqual(labelled(24, 8, false), [0, 3, 6, 9, 12, 15, 18, 21]);
  assert.deepEqual(labelled(3, 0, true), [2]);
});

test('days below the axis keep their month, also one that begins like a word that is left out', () => {
  const { shortOf } = newFormats(wording);
  const names = ['2026-11-30', '2026-12-01', '2026-12-15'].map((day) => shortOf({ buckets: [], interval: 'day' }, { start: `${day}T00:00:00-03:00` }));
  assert.deepEqual(names.map((name) => name.replace(/ \d{4}$/, '')), ['30 nov', '1 dez', '15 dez']);
});

test('nothing has no bar, little has one, and a negative sum goes down', () => {
  assert.equal(box(10, 100, 20, 0), '');
  assert.equal(box(10, 100, 20, 0.01), 'M0.0 100.0v-2.0h20.0V100.0z', 'two pixels');
  assert.equal(box(10, 100, 20, 50), 'M0.0 100.0v-50.0h20.0V100.0z');
  assert.equal(box(10, 100, 20, -50), 'M0.0 100.0v50.0h20.0V100.0z');
});

test('a line breaks where nothing is known, and 0 is known', () => {
  const at = (values, dotted) => linePaths(values, (i) => i, (value) => 100 - value, dotted);
  assert.deepEqual(at([10, 0, 20]), ['M0.0 90.0L1.0 100.0M1.0 100.0L2.0 80.0', '']);
  assert.deepEqual(at([10, null, 20, 30]), ['M0.0 90.0h.1M2.0 80.0L3.0 70.0', '']);
  assert.deepEqual(at([null, undefined, null]), ['', '']);
  assert.deepEqual(at([1, 2, 3], (i) => i === 2), ['M0.0 99.0L1.0 98.0', 'M1.0 98.0L2.0 97.0']);
});

const bucket = (day, complete = true) => ({ start: `2026-03-${day}T00:00:00-03:00`, end: `2026-03-${String(Number(day) + 1).padStart(2, '0')}T00:00:00-03:00`, seconds: 86_400, complete });
const METRICS = ['revenue', 'bookings', 'cancelled', 'occupancy', 'averageStay', 'arrivals'];
const answer = (days, numbers, past, totals) => ({
  timezone: 'America/Sao_Paulo', interval: 'day', from: '', to: '', asOf: '2026-03-15T12:00:00-03:00', buckets: days.map((day) => bucket(day, day !== '15')),
  series: Object.fromEntries(METRICS.map((metric) => [metric, [...numbers]])), before: Object.fromEntries(METRICS.map((metric) => [metric, [...past]])),
  totals: Object.fromEntries(METRICS.map((metric) => [metric, { ...totals }])),
});

test('the newest bucket moves sums by what it moved, to the cent, and leaves averages and what is compared', () => {
  const window = answer(['13', '14', '15'], [0.1, 0.2, 10.07], [1, 2, 3], { value: 10.37, before: 6, change: 72.8 });
  assert.equal(merge(window, answer(['15'], [20.1], [4.5], {})), true);
  assert.deepEqual(window.series.revenue, [0.1, 0.2, 20.1]);
  assert.deepEqual(window.before.revenue, [1, 2, 3]);
  assert.deepEqual(window.totals.revenue, { value: 20.4, before: 6, change: 240 });
  assert.deepEqual(window.totals.occupancy, { value: 10.37, before: 6, change: 72.8 });
  assert.equal(merge(window, answer(['16'], [1], [1], {})), false, 'another day asks for the window');
});

test('a sum without a base has no change', () => {
  const window = answer(['15'], [1], [0], { value: 1, before: 0, change: null });
  merge(window, answer(['15'], [5], [0], {}));
  assert.deepEqual(window.totals.revenue, { value: 5, before: 0, change: null });
});

test('the bucket under way is the one with this moment in it', () => {
  const buckets = ['13', '14', '15'].map((day) => bucket(day));
  assert.equal(currentOf(buckets, Date.parse('2026-03-15T00:00:00-03:00')), 2);
  assert.equal(currentOf(buckets, Date.parse('2026-03-14T23:59:59.999-03:00')), 1);
  assert.equal(currentOf(buckets, Date.parse('2026-03-16T00:00:00-03:00')), -1);
});
