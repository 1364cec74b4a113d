/**
 * The page against the real program with its own PostgreSQL, in which this test books as the portal
 * does.
 */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { launch, openPage } from './chromium.js';
import { startProgram } from './program.js';
import { addOwner, agrees, change, randomOf, expectedPicture } from './oracle.js';
import { freePort } from '../freeport.js';
import { TIMEOUT_MS } from '../timeout.js';

const GUEST = 'Zuleica Bandeirante';
const SECRET = 'a secret of this test, which is long enough';
/** Of a portal, in all; compared after every few. */
const STATEMENTS = 250;

describe('the real program', () => {
  /** @type {Awaited<ReturnType<typeof startProgram>>} */
  let program;
  let origin = '';
  /** @type {pg.Client} */
  let db;
  /** @type {import('playwright-core').Browser} */
  let browser;
  let ownerId = '';

  before(async () => {
    program = await startProgram(['--jwt-secret', SECRET]);
    origin = program.origin;
    db = new pg.Client(program.database);
    await db.connect();
    browser = await launch();
    const answer = await fetch(`${origin}/api/auth/demo`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' });
    assert.equal(answer.status, 200, 'the server must run with --demo');
    ({ ownerId } = await answer.json());
  });
  after(async () => {
    await browser?.close();
    await db?.end();
    await program?.stop();
  });

  /** A guest of this test's own, so that its row can be told from the simulator's. */
  async function guest() {
    const { rows: [user] } = await db.query(
      `INSERT INTO users (first_name, last_name, email, password_hash, role)
       VALUES ($1, $2, $3, '-', 'user')
       ON CONFLICT (email) DO UPDATE SET first_name = excluded.first_name RETURNING id`,
      [...GUEST.split(' '), 'zuleica@example.com']);
    return user.id;
  }

  async function book() {
    const { rows: [row] } = await db.query(
      `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status,
                             payment_method, payment_date)
       SELECT id, $2, (now() AT TIME ZONE 'utc')::date + 400, (now() AT TIME ZONE 'utc')::date + 403, 3, 1200, 100, 1300,
              'confirmed', 'pix', now() AT TIME ZONE 'utc'
       FROM hangar_listings WHERE owner_id = $1 ORDER BY id LIMIT 1 RETURNING id`,
      [ownerId, await guest()]);
    return row.id;
  }

  /** @param {import('playwright-core').Page} page @param {string} name */
  const shown = (page, name) => page.locator(`[data-metric=${name}] .value`);
  const live = (/** @type {import('playwright-core').Page} */ page) => page.getByText('Ao vivo', { exact: true }).waitFor();
  const count = async (/** @type {import('playwright-core').Page} */ page) => Number((await shown(page, 'bookingsToday').textContent())?.replace('.', ''));

  test('a booking committed by SQL is on the screen', async () => {
    const { page, complaints, close } = await openPage(browser, origin);
    try {
      await page.goto(origin);
      await live(page);
      await page.waitForFunction(() => /^[\d.]+$/.test(document.querySelector('realtime-metrics-display')
        ?.shadowRoot.querySelector('[data-metric=bookingsToday] .value').textContent));
      const before = await count(page);
      await book();
      const committed = Date.now();
      await Promise.all([
        page.locator('[data-list=feed] li', { hasText: GUEST }).first().waitFor({ timeout: TIMEOUT_MS }),
        page.waitForFunction((n) => Number(document.querySelector('realtime-metrics-display').shadowRoot
          .querySelector('[data-metric=bookingsToday] .value').textContent.replace('.', '')) > n, before, { timeout: TIMEOUT_MS }),
        page.waitForFunction(() => /^\(\d+\+?\) HangarShare$/.test(document.title), null, { timeout: TIMEOUT_MS }),
      ]);
      console.log(`# commit to screen: ${Date.now() - committed} ms`);
      await page.locator('[data-list=feed] li.unread', { hasText: GUEST }).first().waitFor();
      assert.deepEqual(complaints, []);
      assert.ok(await page.evaluate(() => globalThis.shift) <= 0.02);
    } finally {
      await close();
    }
  });

  test('the event stream does the same where WebSockets are refused', async () => {
    const { page, close } = await openPage(browser, origin);
    try {
      await page.addInitScript(() => {
        // A proxy that refuses the upgrade looks like this to the page.
        globalThis.WebSocket = class {
          readyState = 3;
          constructor() {
            setTimeout(() => this.onclose?.({ code: 1006 }));
          }
          send() {}
          close() {}
        };
      });
      await page.goto(origin);
      await page.waitForFunction(() => document.querySelector('realtime-metrics-display')?.manager?.getState().transport === 'sse');
      const bookingId = await book();
      await page.locator('[data-list=feed] li.unread', { hasText: GUEST }).first().waitFor({ timeout: TIMEOUT_MS });
      assert.ok(bookingId);
    } finally {
      await close();
    }
  });

  test("the README's booking raises the revenue card by its price", async () => {
    const readme = await readFile(new URL('../../../README.md', import.meta.url), 'utf8');
    const [, sql] = /^(INSERT INTO bookings [^;]*;)$/m.exec(readme) ?? [];
    assert.ok(sql);
    const { rows: [{ owner_id: of }] } = await db.query('SELECT owner_id FROM hangar_listings WHERE id = 1');
    const { page, close } = await openPage(browser, origin);
    try {
      await page.goto(origin);
      await live(page);
      await page.getByLabel('Conta').selectOption(String(of));
      await page.waitForFunction((owner) => {
        const element = document.querySelector('realtime-metrics-display');
        return element.getAttribute('owner-id') === owner && /\d/.test(element.shadowRoot.querySelector('[data-metric=revenueToday] .value').textContent);
      }, String(of));
      const cents = async () => Number((await shown(page, 'revenueToday').textContent())?.replace(/\D/g, ''));
      const before = await cents();
      await db.query(sql);
      await page.waitForFunction((least) => Number(document.querySelector('realtime-metrics-display').shadowRoot
        .querySelector('[data-metric=revenueToday] .value').textContent.replace(/\D/g, '')) >= least, before + 66_000, { timeout: TIMEOUT_MS });
    } finally {
      await close();
    }
  });

  test('a page that comes while a server starts is answered, not refused', async () => {
    const port = await freePort();
    const opened = await openPage(browser, `http://127.0.0.1:${port}`);
    const { page } = opened;
    /** @type {string[]} */
    const refused = [];
    page.on('response', (answer) => answer.status() >= 500 && refused.push(`${answer.status()} ${answer.url()}`));
    const starting = startProgram(['--demo', '--jwt-secret', SECRET, '--addr', `127.0.0.1:${port}`], program.address);
    try {
      // The page is asked for from the first moment on, so its first questions meet a server that
      // is starting.
      for (let reached = false; !reached;) reached = await page.goto(`http://127.0.0.1:${port}/`).then(() => true, () => false);
      await live(page);
      assert.deepEqual(refused, []);
    } finally {
      await opened.close();
      await (await starting).stop();
    }
  });

  test('every demo owner can be shown', async () => {
    const { page, complaints, close } = await openPage(browser, origin);
    try {
      await page.goto(origin);
      await live(page);
      const options = await page.getByLabel('Conta').locator('option').evaluateAll((all) => all.map(({ value, textContent }) => ({ value, textContent })));
      assert.ok(options.length > 1);
      for (const { value, textContent } of options) {
        await page.getByLabel('Conta').selectOption(value);
        await page.getByRole('heading', { level: 1, name: textContent }).waitFor();
        await live(page);
      }
      assert.deepEqual(complaints, []);
    } finally {
      await close();
    }
  });

  /** A token of the portal's for a user. @param {string} sub */
  function tokenOf(sub) {
    const encode = (/** @type {object} */ value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub, exp: Math.floor(Date.now() / 1000) + 3600 })}`;
    return `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`;
  }

  test('a booking by SQL rings the bell; what is read on one screen is read on the other, and stays so', async () => {
    const owner = await addOwner(db);
    const token = tokenOf(owner.userId);
    const { rows: [hangar] } = await db.query(
      `INSERT INTO hangar_listings (owner_id, hangar_number, icao_code, aerodrome_name, city, state, daily_rate, total_spaces)
       VALUES ($1, 'N-1', 'SBMT', 'Campo de Marte', 'São Paulo', 'SP', 100, 1) RETURNING id`, [owner.id]);
    const rest = async (/** @type {string} */ query) => (await fetch(`${origin}/api/owners/${owner.id}/notifications?${query}`, { headers: { Authorization: `Bearer ${token}` } })).json();
    const open = async () => {
      const opened = await openPage(browser, origin);
      await opened.page.addInitScript((answer) => {
        const own = fetch;
        globalThis.fetch = (...request) => (request[0] === '/api/auth/demo' ? Promise.resolve(Response.json(answer)) : own(...request));
      }, { token, expiresAt: Date.now() + 3_600_000, ownerId: owner.id, accounts: [{ ownerId: owner.id, companyName: 'Hangares do Sino' }] });
      await opened.page.goto(origin);
      await live(opened.page);
      await opened.page.locator('owner-notifications .bell').waitFor();
      return opened;
    };
    const counts = (/** @type {any} */ page, /** @type {number} */ n) => page.waitForFunction((/** @type {number} */ wanted) => {
      const count = document.querySelector('owner-notifications')?.shadowRoot?.querySelector('.count');
      return count && (wanted === 0 ? !count.textContent : !count.hidden && count.textContent === String(wanted));
    }, n, { timeout: TIMEOUT_MS });
    const [here, there] = [await open(), await open()];
    try {
      await db.query(
        `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status)
         SELECT $1, $2, (now() AT TIME ZONE 'utc')::date + 40, (now() AT TIME ZONE 'utc')::date + 43, 3, 300, 30, 330, 'confirmed'`, [hangar.id, await guest()]);
      for (const { page } of [here, there]) await counts(page, 1);
      await here.page.locator('owner-notifications .bell').click();
      const row = here.page.locator('owner-notifications .note').first();
      await row.getByText('N-1').waitFor();
      await row.getByText(GUEST).waitFor();
      await row.locator('.act').first().click();
      for (const { page } of [here, there]) await counts(page, 0);
      const { items: [told], unread } = await rest('state=all');
      assert.deepEqual([told.kind, told.facts.guestName, told.readBy.id, unread], ['booking_created', GUEST, owner.userId, 0]);
      await here.page.locator('owner-notifications').getByRole('button', { name: 'Desfazer' }).click();
      for (const { page } of [here, there]) await counts(page, 1);
      await there.page.reload();
      await counts(there.page, 1);
      await here.page.locator('owner-notifications').getByRole('button', { name: 'Preferências de notificação' }).click();
      await here.page.locator('owner-notifications .rules').waitFor();
      await here.page.locator('owner-notifications').getByLabel('Reserva alterada, Página').uncheck();
      await here.page.locator('owner-notifications').getByText('Salvo.').waitFor();
      assert.deepEqual([...here.complaints, ...there.complaints].filter((text) => !/push/.test(text)), []);
    } finally {
      await here.close();
      await there.close();
    }
  });

  test(`after ${STATEMENTS} random statements everything on the page is what REST and the tables say`, async () => {
    const seed = Number(process.env.SEED ?? Date.now() % 1e9);
    const random = randomOf(seed);
    // Portals have hangars without spaces.
    await db.query('ALTER TABLE hangar_listings DROP CONSTRAINT IF EXISTS hangar_listings_total_spaces_check');
    const owner = await addOwner(db);
    const token = tokenOf(owner.userId);
    const rest = async (/** @type {string} */ part) => (await fetch(`${origin}/api/owners/${owner.id}/${part}`, { headers: { Authorization: `Bearer ${token}` } })).json();
    const { page, complaints, close } = await openPage(browser, origin);
    try {
      await page.clock.install();
      // Not by a route, which would keep the browser from its cache.
      await page.addInitScript((answer) => {
        const own = fetch;
        globalThis.fetch = (...request) => (request[0] === '/api/auth/demo' ? Promise.resolve(Response.json(answer)) : own(...request));
      }, { token, expiresAt: Date.now() + 3_600_000, ownerId: owner.id, accounts: [{ ownerId: owner.id, companyName: 'Hangares da Verdade' }] });
      await page.goto(origin);
      await live(page);
      for (let done = 0, n = 0; done < STATEMENTS;) {
        const log = [];
        for (let left = 1 + random.below(20); left > 0 && done < STATEMENTS; left--, done++) log.push(await change(db, owner, random, ++n));
        const differ = await agrees(page, () => expectedPicture(db, owner.id, rest), TIMEOUT_MS);
        assert.deepEqual(differ?.shown, differ?.expected, `SEED=${seed}, after statement ${done}:\n${log.join('\n')}`);
      }
      assert.deepEqual(complaints, []);

      // What has not changed is not sent again. The stream told metrics that the browser's cache
      // has not got yet.
      const load = async () => {
        await page.reload();
        await live(page);
        await page.locator('.agenda:not(.loading)').waitFor();
      };
      await load();
      const devtools = await page.context().newCDPSession(page);
      await devtools.send('Network.enable');
      /** @type {Record<string, string>} */
      const urls = {};
      /** @type {string[]} */
      const unchanged = [];
      devtools.on('Network.requestWillBeSent', ({ requestId, request }) => (urls[requestId] = request.url));
      devtools.on('Network.responseReceivedExtraInfo', ({ requestId, statusCode }) => statusCode === 304 && unchanged.push(requestId));
      // A load during which something changed shows nothing, so it is repeated.
      let again = [''];
      for (let tries = 0; again.length > 0 && tries < 4; tries++) {
        unchanged.length = 0;
        await load();
        const parts = unchanged.map((id) => /owners\/\d+\/(\w+)/.exec(urls[id])?.[1]);
        again = ['metrics', 'overview', 'bookings', 'listings'].filter((part) => !parts.includes(part));
      }
      assert.deepEqual(again, [], 'sent again, though nothing had changed');
    } finally {
      await close();
    }
  });
});
