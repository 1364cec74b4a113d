/**
 * Several tabs of a real Chromium against the real program: one connection, every event once in
 * each.
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
/** @type {import('playwright-core').BrowserContext} */
let context;
/** @type {ClientPage[]} */
let tabs = [];

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
  context = await browser.newContext();
  tabs = [];
});
afterEach(async () => {
  await context.close();
  await proxy.stop();
});

/**
 * Opens so many tabs, one after the other.
 * @param {number} n @param {string} transport @param {object} [options]
 */
async function open(n, transport, options) {
  for (let i = 0; i < n; i++) {
    const tab = await ClientPage.open(context, proxy.origin);
    await tab.start(session, options);
    tabs.push(tab);
    await tab.carriedBy(transport, i > 0);
  }
}

const server = () => ({ origin: program.origin, session });
const booked = async () => book(db, server(), await tabs[0].firstPosition());

/** Each tab has what was committed after it began, once and in order. */
async function nothingLost() {
  for (const tab of tabs) {
    const expected = (await history(server(), await tab.firstPosition())).map(({ id }) => id);
    assert.ok(expected.length > 0);
    await tab.until((last) => globalThis.ids.includes(last), expected.at(-1));
    const got = await tab.ids();
    assert.deepEqual(got.slice(0, expected.length), expected);
    assert.equal(new Set(got).size, got.length, 'nothing twice');
  }
}

describe('tabs', { timeout: 300_000 }, () => {
  test('two tabs, one stream', async () => {
    await open(2, 'websocket');
    await booked();
    await nothingLost();
    assert.equal(proxy.seen.websocket, 1);
    assert.equal(proxy.open('websocket'), 1);
  });

  test('eight tabs where WebSockets are refused: one stream, and room for plain requests', async () => {
    proxy.modes.websocket = 'refuse';
    await open(8, 'sse');
    await booked();
    await nothingLost();
    assert.equal(proxy.open('sse'), 1);
    assert.equal(proxy.seen.sse, 1);
    const status = await tabs[7].page.evaluate(async (token) => (await fetch('/api/auth/me', { headers: { Authorization: `Bearer ${token}` } })).status, session.token);
    assert.equal(status, 200);
  });

  test('the leader is closed: a follower takes over without loss', async () => {
    await open(3, 'websocket');
    await booked();
    await nothingLost();
    const [leader, ...others] = tabs;
    tabs = others;
    await Promise.all([leader.page.close(), booked()]);
    await tabs[0].until(() => globalThis.manager.getState().status === 'live');
    await booked();
    await nothingLost();
    assert.equal(proxy.seen.websocket, 2);
    assert.equal(proxy.open('websocket'), 1);
  });

  test('the leader freezes: its lock is stolen, and it follows when it thaws', async () => {
    await open(2, 'websocket');
    const [leader, follower] = tabs;
    // A page halted in the debugger is like a frozen one: it holds its lock and its socket, and
    // does nothing.
    const halt = await context.newCDPSession(leader.page);
    await halt.send('Debugger.enable');
    await halt.send('Debugger.pause');
    await follower.carriedBy('websocket', false);
    await book(db, server(), await follower.firstPosition());
    await halt.send('Debugger.disable');
    await booked();
    await leader.carriedBy('websocket', true);
    await proxy.until(() => proxy.open('websocket') === 1);
    await nothingLost();
  });

  test('a tab that is reloaded continues after its own position', async () => {
    await open(2, 'websocket');
    await booked();
    await nothingLost();
    const [, follower] = tabs;
    const before = (await follower.ids()).at(-1);
    await follower.page.goto('about:blank');
    await booked();
    await follower.page.goto(`${proxy.origin}/blank`);
    await follower.start(session);
    await follower.carriedBy('websocket', true);
    assert.equal(await follower.firstPosition(), before);
    await nothingLost();
    assert.equal(proxy.seen.websocket, 1);
  });

  test('share: false connects for itself', async () => {
    await open(1, 'websocket');
    const own = await ClientPage.open(context, proxy.origin);
    await own.start(session, { share: false });
    await own.carriedBy('websocket', false);
    assert.equal(proxy.open('websocket'), 2);
  });
});
