/**
 * The page against the real program with its own PostgreSQL, in which this test books as the portal does.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { launch, openPage } from './chromium.js';
import { startProgram } from './program.js';

const GUEST = 'Zuleica Bandeirante';
const PATIENCE = 10_000; // ms; what it took is printed

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
    program = await startProgram();
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
        page.locator('[data-list=bookings] li', { hasText: GUEST }).first().waitFor({ timeout: PATIENCE }),
        page.waitForFunction((n) => Number(document.querySelector('realtime-metrics-display').shadowRoot
          .querySelector('[data-metric=bookingsToday] .value').textContent.replace('.', '')) > n, before, { timeout: PATIENCE }),
        page.waitForFunction(() => /^\(\d+\+?\) HangarShare$/.test(document.title), null, { timeout: PATIENCE }),
      ]);
      console.log(`# commit to screen: ${Date.now() - committed} ms`);
      await page.locator('[data-list=bookings] li.unread', { hasText: GUEST }).first().waitFor();
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
      await page.locator('[data-list=bookings] li.unread', { hasText: GUEST }).first().waitFor({ timeout: PATIENCE });
      assert.ok(bookingId);
    } finally {
      await close();
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
});
