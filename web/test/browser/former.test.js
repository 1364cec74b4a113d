/**
 * The client as it was shipped with 0.1.0, which knows of no notifications, against the real
 * program: in tabs that a user left open over an update. `fixtures/former/client-0.1.0.tar.gz` has
 * modules of its `web/static`, as `git archive` writes them.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import pg from 'pg';
import { launch } from './chromium.js';
import { startFaultProxy } from './fault-proxy.js';
import { startProgram } from './program.js';
import { ClientPage, history, insert, signIn } from './client-page.js';

const CLICKS = 1000;
const AT_ONCE = 8;
const BOOKINGS = 3;
/** So many heartbeats that find nothing missing and nothing asked for. */
const QUIET = 2;
/** Which console message a refused WebSocket leaves: that client tries one again, now and then. */
const REFUSED = /WebSocket connection to .* failed/;

/** The files of a tar archive, by name. @param {Buffer} archive */
function untar(archive) {
  const files = new Map();
  for (let at = 0; archive[at];) {
    const text = (/** @type {number} */ from, /** @type {number} */ length) => archive.toString('utf8', at + from, at + from + length).replace(/\0.*/s, '');
    const size = parseInt(text(124, 12), 8);
    if (text(156, 1) === '0') files.set(text(0, 100), archive.toString('utf8', at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

describe('a client of 0.1.0', () => {
  /** @type {Awaited<ReturnType<typeof startProgram>>} */
  let program;
  /** @type {pg.Client} */
  let db;
  /** @type {import('playwright-core').Browser} */
  let browser;
  /** @type {Map<string, string>} */
  let files;
  /** @type {{ownerId: string, token: string}} */
  let session;

  before(async () => {
    files = untar(gunzipSync(await readFile(new URL('../fixtures/former/client-0.1.0.tar.gz', import.meta.url))));
    assert.ok(files.get('protocol.js')?.includes('unknown type') && !files.get('client.js')?.includes('notifications'), 'it is the former client');
    program = await startProgram(['--heartbeat-interval', '3s', '--limit-exempt', '127.0.0.1']);
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

  /**
   * Asks the program, past the proxy.
   * @param {string} path @param {string} [method] @param {object} [body]
   */
  async function ask(path, method = 'GET', body = undefined) {
    const answer = await fetch(`${program.origin}/api/owners/${session.ownerId}/${path}`, {
      method, body: body && JSON.stringify(body), headers: { Authorization: `Bearer ${session.token}`, 'Content-Type': 'application/json' },
    });
    assert.ok(answer.ok, `${method} ${path}: HTTP ${answer.status}`);
    return answer.json();
  }

  /** So many clicks on "read" and "unread". @param {string[]} ids */
  async function click(ids) {
    let done = 0;
    await Promise.all(Array.from({ length: AT_ONCE }, async (_, worker) => {
      while (done < CLICKS) {
        const n = done++;
        await ask(`notifications/${ids[worker % ids.length]}`, 'PATCH', { read: n % 2 === 0 });
      }
    }));
  }

  for (const transport of ['websocket', 'sse']) {
    test(`beside notifications, by ${transport}: no snapshot, no error, every event once`, async () => {
      const proxy = await startFaultProxy(program.origin);
      for (const [name, text] of files) proxy.files.set(`/former/${name}`, text);
      if (transport === 'sse') proxy.modes.websocket = 'refuse';
      const context = await browser.newContext();
      /** @type {string[]} */
      const errors = [];
      context.on('weberror', (error) => errors.push(String(error.error())));
      context.on('console', (message) => message.type() === 'error' && !(transport === 'sse' && REFUSED.test(message.text())) && errors.push(message.text()));
      const tabs = [];
      try {
        for (let i = 0; i < 2; i++) {
          const tab = await ClientPage.open(context, proxy.origin);
          await tab.start(session, {}, '/former/client.js');
          tabs.push(tab);
          await tab.carriedBy(transport, i > 0);
          await tab.page.evaluate(() => {
            const here = /** @type {any} */ (globalThis);
            const { manager } = here;
            Object.assign(here, { quiet: 0, silences: 0 });
            let confirmed = manager.getState().confirmedAt;
            manager.on('heartbeat', () => {
              // Nothing is confirmed while a snapshot is to come, or on its way.
              const { confirmedAt } = manager.getState();
              if (confirmedAt > confirmed) here.quiet++;
              confirmed = confirmedAt;
            });
            // A machine that stood still looks like a silent line, after which that client dials.
            let error = null;
            manager.subscribe(() => {
              const { error: last } = manager.getState();
              if (last && last !== error && last.kind === 'timeout') here.silences++;
              error = last;
            });
          });
        }
        const quiet = () => Promise.all(tabs.map(async (tab) => {
          const from = await tab.page.evaluate(() => /** @type {any} */ (globalThis).quiet);
          await tab.until((/** @type {number} */ wanted) => /** @type {any} */ (globalThis).quiet >= wanted, from + QUIET);
        }));
        const snapshots = () => proxy.paths.filter((path) => path.startsWith('/api/owners/')).length;
        await quiet(); // whatever the beginning asks for was asked
        errors.length = 0; // the blank page has no icon
        const [asked, dialled] = [snapshots(), proxy.seen[/** @type {'sse'} */ (transport)]];
        assert.ok(asked > 0, 'the first snapshot is counted');

        for (let i = 0; i < BOOKINGS; i++) await insert(db, session.ownerId);
        let items = [];
        while (items.length === 0) ({ items } = await ask('notifications?state=all&limit=20'));
        await click(items.map((/** @type {any} */ one) => one.id));
        await insert(db, session.ownerId);
        for (const tab of tabs) await tab.until((/** @type {number} */ wanted) => globalThis.ids.length >= wanted, BOOKINGS + 1);
        await quiet();
        let silences = 0;
        for (const tab of tabs) silences += await tab.page.evaluate(() => /** @type {any} */ (globalThis).silences);

        assert.equal(snapshots(), asked, 'a notification costs no snapshot');
        const again = proxy.seen[/** @type {'sse'} */ (transport)] - dialled;
        assert.ok(again <= silences, `and no connection: ${again}, and the line fell silent ${silences} times`);
        assert.deepEqual(errors, []);
        for (const tab of tabs) {
          assert.equal(await tab.status(), 'live');
          const ids = await tab.ids();
          const told = (await history({ origin: program.origin, session }, await tab.firstPosition())).map(({ id }) => id);
          assert.deepEqual(ids, told.slice(0, ids.length), 'every event once, in order');
        }
      } finally {
        await context.close();
        await proxy.stop();
      }
    });
  }
});
