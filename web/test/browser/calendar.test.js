/**
 * The calendar in a real browser, against the real program, in which this test books as the portal
 * does. The server's answer is the truth that the screen is held to.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { launch, openPage } from './chromium.js';
import { accessible, fits } from './dashboard.js';
import { startProgram } from './program.js';

const PATIENCE = 20_000;

describe('the calendar', { concurrency: false }, () => {
  /** @type {Awaited<ReturnType<typeof startProgram>>} */
  let program;
  /** @type {pg.Client} */
  let db;
  /** @type {import('playwright-core').Browser} */
  let browser;
  let [ownerId, token] = ['', ''];
  /** @type {{id: string, spaces: number}[]} */
  let hangars = [];

  before(async () => {
    program = await startProgram(['--demo-interval', '1h']);
    db = new pg.Client(program.database);
    await db.connect();
    browser = await launch();
    const answer = await fetch(`${program.origin}/api/auth/demo`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' });
    ({ ownerId, token } = await answer.json());
    ({ rows: hangars } = await db.query('SELECT id::text, total_spaces AS spaces FROM hangar_listings WHERE owner_id = $1 ORDER BY total_spaces, hangar_number', [ownerId]));
  });
  after(async () => {
    await browser?.close();
    await db?.end();
    await program?.stop();
  });

  /** @param {string} first @param {string} last */
  async function guest(first, last) {
    const { rows: [user] } = await db.query(
      `INSERT INTO users (first_name, last_name, email, password_hash, role) VALUES ($1, $2, gen_random_uuid() || '@x.example', '-', 'user') RETURNING id`, [first, last]);
    return user.id;
  }

  /** Books some days from now, by hours. @param {string} hangar @param {string} user @param {number} from @param {number} to @param {string} [status] */
  async function book(hangar, user, from, to, status = 'confirmed') {
    const { rows: [row] } = await db.query(
      `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, payment_method)
       VALUES ($1, $2, (now() + $3 * interval '1 hour') AT TIME ZONE 'utc', (now() + $4 * interval '1 hour') AT TIME ZONE 'utc', 1, 100, 10, 110, $5, 'pix') RETURNING id::text`,
      [hangar, user, from, to, status]);
    return row.id;
  }

  /** @param {string} [query] */
  const rest = async (query = '') => (await fetch(`${program.origin}/api/owners/${ownerId}/calendar${query}`, { headers: { Authorization: `Bearer ${token}` } })).json();

  /** @param {object} [options] */
  async function open(options = {}) {
    const opened = await openPage(browser, program.origin, options);
    await opened.page.goto(program.origin);
    await opened.page.getByText('Ao vivo', { exact: true }).waitFor();
    await opened.page.locator('.calendar header button').click();
    await opened.page.locator('.cal-row[data-hangar], .cal-list > li').first().waitFor();
    return opened;
  }

  /** What the grid shows. @param {import('playwright-core').Page} page */
  const screen = (page) => page.evaluate(() => {
    const root = document.querySelector('realtime-metrics-display').shadowRoot;
    return [...root.querySelectorAll('.cal-row[data-hangar]')].map((row) => ({
      hangar: row.dataset.hangar,
      cells: [...row.querySelectorAll('[role=gridcell]')].map((cell) => /(\d+) de (\d+) vagas?/.exec(cell.getAttribute('aria-label'))?.slice(1).join('/')),
      bars: [...row.querySelectorAll('.cal-stay')].map((bar) => `${bar.dataset.booking} ${bar.dataset.status} lane ${bar.style.getPropertyValue('--lane')}`).sort(),
      open: row.classList.contains('cal-open'),
    }));
  });

  /** The same by REST. @param {any} page @param {(id: string) => boolean} isOpen */
  const truth = (page, isOpen) => page.hangars.map((hangar) => ({
    hangar: hangar.hangarId,
    cells: hangar.nights.map((n) => `${n}/${hangar.spaces}`),
    bars: page.stays.filter((stay) => stay.hangarId === hangar.hangarId && isOpen(hangar.hangarId)).map((stay) => `${stay.bookingId} ${stay.status} lane ${stay.lane}`).sort(),
    open: isOpen(hangar.hangarId),
  }));

  /** @param {import('playwright-core').Page} page */
  async function agrees(page) {
    let [shown, wanted] = [[], []];
    for (const end = Date.now() + PATIENCE; Date.now() < end;) {
      shown = await screen(page);
      const opened = new Set(shown.filter((row) => row.open).map((row) => row.hangar));
      wanted = truth(await rest(), (id) => opened.has(id));
      if (JSON.stringify(shown) === JSON.stringify(wanted)) return;
      await page.waitForTimeout(100);
    }
    assert.deepEqual(shown, wanted);
  }

  test('a booking is drawn live, moves, and goes; the screen is what REST says', async () => {
    const { page, complaints, close } = await open();
    try {
      for (const fold of await page.locator('.cal-fold').all()) await fold.click();
      await agrees(page);
      const user = await guest('<img src=x onerror=alert(1)>', '\u202Eevil');
      const times = [];
      const one = hangars.find((hangar) => hangar.spaces === 1).id;
      for (let i = 0; i < 5; i++) {
        const begun = Date.now();
        const id = await book(one, user, 150 + 30 * i, 170 + 30 * i);
        await page.locator(`.cal-stay[data-booking="${id}"]`).waitFor({ state: 'attached', timeout: PATIENCE });
        times.push(Date.now() - begun);
      }
      console.log(`# commit to bar: ${times.sort((a, b) => a - b)} ms`);
      await agrees(page);
      const id = await book(hangars[0].id, user, 40, 60);
      const bar = page.locator(`.cal-stay[data-booking="${id}"]`);
      await bar.waitFor();
      assert.ok((await bar.textContent()).includes('<img src=x'), 'a name is text');
      assert.ok(!/\u202E/.test(await bar.textContent()), 'and does not turn the direction round');
      await db.query(`UPDATE bookings SET hangar_id = $2 WHERE id = $1`, [id, hangars.at(-1).id]);
      await page.locator(`[data-hangar="${hangars.at(-1).id}"] [data-booking="${id}"]`).waitFor({ state: 'attached' });
      await db.query(`UPDATE bookings SET status = 'cancelled' WHERE id = $1`, [id]);
      await page.waitForFunction((booking) => !document.querySelector('realtime-metrics-display').shadowRoot.querySelector(`[data-booking="${booking}"].cal-stay`), id);
      await agrees(page);
      await book(one, user, 151, 165); // a second one in a hangar of one space
      await page.locator('.cal-stay.over').first().waitFor({ state: 'attached' });
      await agrees(page);
      assert.deepEqual(complaints, []);
      assert.deepEqual(await page.evaluate(() => globalThis.violations), []);
    } finally {
      await close();
    }
  });

  test('fifty bookings a second: at most four questions a second, nothing shifts, and the screen is what REST says', async () => {
    const { page, close } = await open();
    try {
      for (const fold of await page.locator('.cal-fold').all()) await fold.click();
      await agrees(page);
      const user = await guest('Muitos', 'Hóspedes');
      /** @type {number[]} */
      const asked = [];
      page.on('request', (request) => request.url().includes('changed=') && asked.push(performance.now()));
      await page.evaluate(() => (globalThis.shift = 0));
      const begun = performance.now();
      for (let i = 0; i < 200; i++) {
        await book(hangars[i % hangars.length].id, user, 24 + (i * 7) % 200, 34 + (i * 7) % 200, i % 3 ? 'confirmed' : 'pending');
        const due = begun + i * 20 - performance.now();
        if (due > 0) await new Promise((resolve) => setTimeout(resolve, due));
      }
      await agrees(page);
      for (const at of asked) {
        const within = asked.filter((other) => other >= at && other < at + 1000).length;
        assert.ok(within <= 4, `${within} questions within a second`);
      }
      assert.ok(asked.length > 0);
      console.log(`# ${asked.length} questions for 200 bookings in ${Math.round((asked.at(-1) - begun) / 100) / 10} s`);
    } finally {
      await close();
      await db.query(`DELETE FROM bookings WHERE user_id IN (SELECT id FROM users WHERE first_name = 'Muitos')`);
    }
  });

  test('by keyboard: one tab stop, arrows, home and end, pages, today, enter', async () => {
    const { page, close } = await open();
    try {
      const cells = page.locator('.cal-grid [tabindex="0"]');
      assert.equal(await cells.count(), 1);
      await cells.focus();
      const label = () => page.evaluate(() => document.querySelector('realtime-metrics-display').shadowRoot.activeElement?.getAttribute('aria-label') ?? '');
      assert.match(await label(), /^Ocupação, /);
      await page.keyboard.press('ArrowDown');
      assert.match(await label(), /: \d+ de \d+ vagas/);
      const first = await label();
      await page.keyboard.press('End');
      assert.notEqual(await label(), first);
      await page.keyboard.press('Home');
      await page.keyboard.press('ArrowRight');
      assert.equal(await label(), first);
      const before = await page.locator('.cal-range').textContent();
      await page.keyboard.press('PageDown');
      await page.waitForFunction((text) => document.querySelector('realtime-metrics-display').shadowRoot.querySelector('.cal-range').textContent !== text, before);
      await page.waitForFunction(() => /vagas/.test(document.querySelector('realtime-metrics-display').shadowRoot.activeElement?.getAttribute('aria-label') ?? ''));
      await page.keyboard.press('t');
      await page.waitForFunction((text) => document.querySelector('realtime-metrics-display').shadowRoot.querySelector('.cal-range').textContent === text, before);
      assert.equal(await cells.count(), 1);
      // a day with a booking opens it
      const user = await guest('Tecla', 'Enter');
      const empty = await rest();
      const free = empty.hangars.findIndex((hangar) => hangar.spaces === 1 && hangar.nights.slice(3, 6).every((n) => n === 0) && hangar.arrivals[4] === 0);
      if (free >= 0) {
        const id = await book(empty.hangars[free].hangarId, user, 98, 100);
        await page.locator(`.cal-stay[data-booking="${id}"]`).waitFor({ state: 'attached' });
        const cell = page.locator(`[data-hangar="${empty.hangars[free].hangarId}"] [role=gridcell][aria-label*="Tecla Enter"]`).first();
        await cell.focus();
        await cell.press('Enter');
      } else await page.locator('.cal-stay').first().click();
      await page.locator('dialog[open]').waitFor();
    } finally {
      await close();
    }
  });

  for (const [name, options] of /** @type {[string, object][]} */ ([
    ['1280 px, light', {}], ['1280 px, dark', { colorScheme: 'dark' }], ['768 px, light', { viewport: { width: 768, height: 900 } }],
    ['768 px, dark', { viewport: { width: 768, height: 900 }, colorScheme: 'dark' }], ['360 px, light', { viewport: { width: 360, height: 800 } }],
    ['360 px, dark', { viewport: { width: 360, height: 800 }, colorScheme: 'dark' }],
  ])) {
    test(`axe finds nothing at ${name}`, async () => {
      const { page, close } = await open({ ...options, bypassCSP: true });
      try {
        if (await page.locator('.cal-fold').count()) await page.locator('.cal-fold').first().click();
        await accessible(page, name);
        await fits(page, name);
      } finally {
        await close();
      }
    });
  }

  test('the first paint loads nothing of it', async () => {
    const { page, close } = await openPage(browser, program.origin);
    try {
      /** @type {string[]} */
      const loaded = [];
      page.on('request', (request) => loaded.push(new URL(request.url()).pathname));
      await page.goto(program.origin);
      await page.getByText('Ao vivo', { exact: true }).waitFor();
      assert.deepEqual(loaded.filter((path) => path.includes('calendar')), []);
      assert.equal(await page.locator('link[rel=modulepreload][href*=calendar]').count(), 0);
    } finally {
      await close();
    }
  });

  test('as an element of its own', async () => {
    const { page, complaints, close } = await openPage(browser, program.origin);
    try {
      await page.goto(`${program.origin}/docs/client`);
      await page.evaluate(async ([owner, bearer]) => {
        await import('/client/calendar.js');
        const element = document.createElement('booking-calendar');
        element.setAttribute('owner-id', owner);
        element.token = bearer;
        document.body.append(element);
      }, [ownerId, token]);
      await page.locator('booking-calendar .cal-row[data-hangar]').first().waitFor();
      const user = await guest('Elemento', 'Próprio');
      const id = await book(hangars.find((hangar) => hangar.spaces === 1).id, user, 250, 260);
      await page.locator(`booking-calendar [data-booking="${id}"]`).waitFor({ state: 'attached' });
      await page.evaluate(() => document.querySelector('booking-calendar').remove());
      assert.deepEqual(complaints.filter((text) => !text.includes('favicon')), []);
    } finally {
      await close();
    }
  });
});
