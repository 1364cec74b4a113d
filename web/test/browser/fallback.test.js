/**
 * The client in a real Chromium against the real program, with a network between them that does
 * what networks do.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import pg from 'pg';
import { launch } from './chromium.js';
import { startFaultProxy } from './fault-proxy.js';
import { startProgram } from './program.js';
import { ClientPage, book, history, signIn } from './client-page.js';

/** @type {Awaited<ReturnType<typeof startProgram>>} */
let program;
/** @type {pg.Client} */
let db;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {{ownerId: string, token: string}} */
let session;
/** @type {Awaited<ReturnType<typeof startFaultProxy>>} */
let proxy;
/** @type {ClientPage} */
let visit;

before(async () => {
  program = await startProgram();
  db = new pg.Client(program.database);
  await db.connect();
  browser = await launch();
  session = await signIn(program.origin);
});
after(async () => {
  await browser?.close();
  await db?.end();
  await program?.stop();
});
beforeEach(async () => {
  proxy = await startFaultProxy(program.origin);
});
afterEach(async () => {
  await visit?.close();
  await proxy.stop();
});

/** Opens a page with a client in it. @param {{clock?: boolean}} [options] */
async function open({ clock = false } = {}) {
  visit = await ClientPage.open(await browser.newContext(), proxy.origin, { clock });
  await visit.start(session);
  return visit;
}

/** A booking is committed. */
const booked = async () => book(db, { origin: program.origin, session }, await visit.firstPosition());

/** Everything that was committed since the client began arrived once, in order. */
async function nothingLost() {
  const expected = (await history({ origin: program.origin, session }, await visit.firstPosition())).map(({ id }) => id);
  assert.ok(expected.length > 0);
  await visit.until((last) => globalThis.ids.includes(last), expected.at(-1));
  const got = await visit.ids();
  assert.deepEqual(got.slice(0, expected.length), expected);
  assert.equal(new Set(got).size, got.length, 'nothing twice');
}

describe('the way round what does not work', { timeout: 300_000 }, () => {
  test('WebSockets are refused: a stream', async () => {
    proxy.modes.websocket = 'refuse';
    await open();
    await visit.carriedBy('sse');
    await booked();
    await nothingLost();
    assert.ok(proxy.paths.every((path) => !path.includes(session.token)), 'the token is in no address');
  });

  test('WebSockets are accepted and their frames dropped: a stream', async () => {
    proxy.modes.websocket = 'frames';
    await open({ clock: true });
    for (let i = 0; i < 2; i++) {
      await proxy.until(() => proxy.seen.websocket > i);
      await visit.page.clock.runFor(6500);
    }
    await visit.carriedBy('sse');
    await booked();
    await nothingLost();
  });

  test('both are blocked: polling; and back to a WebSocket when it works again', async () => {
    proxy.modes.websocket = proxy.modes.sse = 'refuse';
    await open({ clock: true });
    await visit.patiently(500, 'polling');
    await booked();
    await visit.page.clock.runFor(7000);
    await nothingLost();
    proxy.modes.websocket = proxy.modes.sse = 'pass';
    await visit.patiently(500, 'websocket');
    await booked();
    await nothingLost();
  });

  test('an outage is waited for, and no transport is blamed', async () => {
    await open({ clock: true });
    await visit.carriedBy('websocket');
    for (const kind of ['websocket', 'sse', 'plain']) proxy.modes[kind] = 'reset';
    proxy.cut();
    for (let i = 0; i < 30; i++) await visit.page.clock.runFor(5000);
    assert.equal(proxy.seen.sse, 0);
    assert.match(await visit.status(), /waiting|connecting/);
    await booked();
    for (const kind of ['websocket', 'sse', 'plain']) proxy.modes[kind] = 'pass';
    await visit.patiently(500, 'websocket');
    await nothingLost();
  });
});

describe('lines that go silent', { timeout: 300_000 }, () => {
  for (const mode of ['swallow', 'half']) {
    test(`${mode === 'half' ? 'half-open' : 'a black hole'}: unconfirmed, then dead, then another connection, nothing lost`, async () => {
      await open({ clock: true });
      await visit.carriedBy('websocket');
      proxy.modes.websocket = mode;
      await booked();
      await visit.page.clock.runFor(36_000);
      assert.equal(await visit.status(), 'stale');
      proxy.modes.websocket = 'pass';
      const before = proxy.seen.websocket;
      await visit.patiently(500, 'websocket');
      assert.equal(proxy.seen.websocket, before + 1);
      await nothingLost();
    });
  }

  test('a cut line is taken up where it ended', async () => {
    await open();
    await visit.carriedBy('websocket');
    for (let i = 0; i < 3; i++) {
      await booked();
      const before = proxy.seen.websocket;
      proxy.cut('websocket');
      await booked();
      await proxy.until(() => proxy.seen.websocket > before);
      await visit.carriedBy('websocket');
    }
    await nothingLost();
  });

  test('a slow line is no reason to leave it', async () => {
    proxy.delayMs = 1500;
    await open();
    await visit.carriedBy('websocket');
    await booked();
    await nothingLost();
    assert.equal(proxy.seen.sse, 0);
  });
});

describe('the lid is closed for eight hours', { timeout: 300_000 }, () => {
  test('a connection that outlived it is asked first, and kept', async () => {
    await open({ clock: true });
    await visit.carriedBy('websocket');
    const before = proxy.seen.websocket;
    await visit.page.clock.fastForward('08:00:00');
    await visit.until(() => globalThis.manager.getState().status === 'live');
    await visit.page.clock.runFor(4000);
    assert.equal(proxy.seen.websocket, before);
    await booked();
    await nothingLost();
  });

  test('a connection that did not is replaced after the last id', async () => {
    await open({ clock: true });
    await visit.carriedBy('websocket');
    proxy.modes.websocket = 'swallow';
    await booked();
    await visit.page.clock.fastForward('08:00:00');
    proxy.modes.websocket = 'pass';
    const before = proxy.seen.websocket;
    await visit.patiently(500, 'websocket');
    assert.ok(proxy.seen.websocket > before);
    await nothingLost();
  });
});
