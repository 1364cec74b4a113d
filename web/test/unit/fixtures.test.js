/**
 * What the server's tests wrote is read as it was meant, and what the client writes is what the
 * server's tests read.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { OVERVIEW, parseMessage, read, readBookingRow } from '../../static/parts.js';
import { readListing, readMetrics } from '../../static/dial.js';
import { flushMicrotasks, newFixture } from './fakes.js';

const folder = new URL('../fixtures/', import.meta.url);
const text = (/** @type {string} */ name) => readFileSync(new URL(name, folder), 'utf8');

/** Everything that the server said is in what was read, under the same name. */
function holds(/** @type {any} */ read, /** @type {any} */ said, /** @type {string} */ at) {
  if (said !== null && typeof said === 'object') {
    for (const [name, value] of Object.entries(said)) holds(read?.[name], value, `${at}.${name}`);
  } else if (said === null) assert.ok(!read, `${at} is none`);
  else assert.strictEqual(read, said, at);
}

describe('messages of the server', () => {
  const files = readdirSync(new URL('server/', folder));
  for (const file of files) {
    const said = JSON.parse(text(`server/${file}`));
    if (!said.type) continue;
    test(said.type, () => {
      const { message, problem } = parseMessage(text(`server/${file}`));
      assert.equal(problem, undefined);
      if (said.data.clearedUntil === null) said.data.clearedUntil = 0; // never, to the page
      holds(message, said, said.type);
    });
  }

  test('every type there is', () => {
    const types = readFileSync(new URL('../../static/types.d.ts', import.meta.url), 'utf8')
      .match(/export type EventType =[^;]*;|export type ControlType =[^;]*;/g).join().match(/'[a-z_]+'/g).map((type) => type.slice(1, -1));
    assert.ok(types.length >= 15);
    for (const type of types) assert.ok(files.includes(`${type}.json`), type);
  });
});

describe('snapshots of the server', () => {
  test('metrics', () => {
    const said = JSON.parse(text('server/metrics.json'));
    holds(readMetrics(said), said, 'metrics');
  });
  test('bookings', () => {
    const [{ paid, ...said }] = JSON.parse(text('server/bookings.json')).bookings;
    assert.equal(typeof paid, 'boolean'); // nothing in the page says it
    holds(readBookingRow({ ...said, paid }), said, 'booking');
  });
  test('listings', () => {
    const [said] = JSON.parse(text('server/listings.json')).listings;
    holds(readListing(said), said, 'listing');
  });
  test('overview', () => {
    const { sparklines, ...said } = JSON.parse(text('server/overview.json'));
    assert.deepEqual(read(OVERVIEW, said), said);
  });
  test('history, whose events are messages', () => {
    const { events } = JSON.parse(text('server/events.json'));
    for (const said of events) holds(parseMessage(JSON.stringify(said)).message, said, said.type);
    assert.equal(events.length, 1);
  });
});

describe('messages of the client', () => {
  const written = (/** @type {string} */ type) => JSON.parse(text(`client/${type}.json`));

  test('refresh', async () => {
    let asked = 0;
    const w = newFixture({ token: async () => (asked++ === 0 ? 'first' : written('refresh').token) });
    w.manager.connect();
    await flushMicrotasks();
    w.link.establish();
    await flushMicrotasks();
    w.link.control('token_expiring');
    await flushMicrotasks();
    assert.deepEqual(w.link.sent.at(-1), written('refresh'));
  });

  test('ping, and auth as the portal\'s own client sends it', async () => {
    const w = newFixture();
    w.manager.connect();
    await flushMicrotasks();
    w.link.establish();
    await flushMicrotasks();
    for (const type of ['ping', 'auth']) {
      assert.equal(w.manager.send(written(type)), true);
      assert.deepEqual(w.link.sent.at(-1), written(type));
    }
  });
});
