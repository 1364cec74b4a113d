/**
 * The calendar in a real browser, against the real program, in which this test books as the portal
 * does. The server's answer is the truth that the screen is held to.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { launch, openPage } from './chromium.js';
import { accessible, fits } from './dashboard.js';
import { startFaultProxy } from './fault-proxy.js';
import { startProgram } from './program.js';
import { TIMEOUT_MS } from '../timeout.js';

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

  /**
   * Books some days from now, by hours.
   * @param {string} hangar @param {string} user @param {number} from @param {number} to
   * @param {string} [status]
   */
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
    for (const end = Date.now() + TIMEOUT_MS; Date.now() < end;) {
      shown = await screen(page);
      const opened = new Set(shown.filter((row) => row.open).map((row) => row.hangar));
      wanted = truth(await rest(), (id) => opened.has(id));
      if (JSON.stringify(shown) === JSON.stringify(wanted)) return;
      await page.waitForTimeout(100);
    }
    assert.deepEqual(shown, wanted);
  }

  /**
   * No second has more questions than four, by the browser's clock.
   * @param {import('playwright-core').Request[]} questions
   */
  function paced(questions) {
    const asked = questions.map((request) => request.timing().startTime);
    for (const at of asked) {
      const within = asked.filter((other) => other >= at && other < at + 990).length;
      assert.ok(within <= 4, `${within} questions within a second: ${asked.map((one) => Math.round(one - asked[0]))}`);
    }
  }

  test('a booking is drawn live, moves, and goes; the screen is what REST says', async () => {
    const { page, complaints, close } = await open();
    try {
      for (const fold of await page.locator('.cal-name[aria-expanded]').all()) await fold.click();
      await agrees(page);
      const user = await guest('<img src=x onerror=alert(1)>', '\u202Eevil');
      const times = [];
      const one = hangars.find((hangar) => hangar.spaces === 1).id;
      for (let i = 0; i < 5; i++) {
        const begun = Date.now();
        const id = await book(one, user, 150 + 30 * i, 170 + 30 * i);
        await page.locator(`.cal-stay[data-booking="${id}"]`).waitFor({ state: 'attached', timeout: TIMEOUT_MS });
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
      await agrees(page);
      const user = await guest('Muitos', 'Hóspedes');
      /** @type {import('playwright-core').Request[]} */
      const asked = [];
      page.on('request', (request) => request.url().includes('changed=') && asked.push(request));
      await page.evaluate(() => (globalThis.shift = 0));
      const bookings = Number(process.env.CALENDAR_BOOKINGS ?? 150);
      const begun = performance.now();
      for (let i = 0; i < bookings; i++) {
        const { id, spaces } = hangars[i % hangars.length];
        // One more lane would make a row higher: where there is one space guests follow each other.
        const from = spaces === 1 ? 400 + 10 * i : 24 + (i * 7) % 200;
        await book(id, user, from, from + 8, i % 3 ? 'confirmed' : 'pending');
        const due = begun + i * 20 - performance.now();
        if (due > 0) await new Promise((resolve) => setTimeout(resolve, due));
      }
      await agrees(page);
      const shift = await page.evaluate(() => globalThis.shift);
      assert.ok(asked.length > 0);
      paced(asked);
      console.log(`# ${asked.length} questions, a shift of ${shift} for ${bookings} bookings in ${Math.round((performance.now() - begun) / 100) / 10} s`);
      assert.ok(shift < 0.001, `a shift of ${shift}`);
      for (const head of await page.locator('.cal-name[aria-expanded]').all()) await head.click();
      await agrees(page);
    } finally {
      await close();
      await db.query(`DELETE FROM bookings WHERE user_id IN (SELECT id FROM users WHERE first_name = 'Muitos')`);
    }
  });

  test('of two tabs one asks, and both show what REST says; a tab with another window asks for itself', async () => {
    const one = await open();
    try {
      const other = await one.page.context().newPage();
      await other.goto(program.origin);
      await other.locator('.calendar header button').click();
      await other.locator('.cal-row[data-hangar]').first().waitFor();
      const tabs = [one.page, other];
      for (const tab of tabs) for (const head of await tab.locator('.cal-name[aria-expanded]').all()) await head.click();
      // Both claim to be visible, as two windows are.
      for (const tab of tabs) await tab.evaluate(() => Object.defineProperty(document, 'visibilityState', { value: 'visible' }));
      /** @type {import('playwright-core').Request[]} */
      const asked = [];
      for (const tab of tabs) tab.on('request', (request) => request.url().includes('changed=') && asked.push(request));
      const user = await guest('Duas', 'Abas');
      for (let i = 0; i < 8; i++) {
        const id = await book(hangars[i % hangars.length].id, user, 30 + 9 * i, 40 + 9 * i);
        for (const tab of tabs) await tab.locator(`.cal-stay[data-booking="${id}"]`).waitFor({ state: 'attached' });
      }
      for (const tab of tabs) await agrees(tab);
      const named = asked.flatMap((request) => new URL(request.url()).searchParams.get('changed').split(','));
      assert.equal(new Set(named).size, 8, 'each booking was asked about');
      console.log(`# two tabs: ${asked.length} questions about 8 bookings, named ${named.length} times`);
      assert.ok(named.length <= 12, `${named.length} times, where two tabs for themselves ask 16 times`);
      paced(asked);
      // The other tab goes on to the next fortnight.
      await other.locator('.cal-bar .tool').nth(2).click();
      await other.locator('.cal-head .cal-cell').first().waitFor();
      const late = await book(hangars.find((hangar) => hangar.spaces === 1).id, user, 24 * 16, 24 * 16 + 10);
      await other.locator(`.cal-stay[data-booking="${late}"]`).waitFor({ state: 'attached' });
      await agrees(one.page);
    } finally {
      await one.close();
      await db.query(`DELETE FROM bookings WHERE user_id IN (SELECT id FROM users WHERE first_name = 'Duas')`);
    }
  });

  test('feeds are made, read, listed and revoked; a viewer makes none', async () => {
    const { page, complaints, close } = await open();
    const dialog = page.locator('dialog');
    const button = page.getByRole('button', { name: 'Outras agendas' });
    try {
      await button.click();
      await dialog.getByText('Nenhum endereço ainda.').waitFor();
      await dialog.getByLabel('Nome', { exact: true }).fill('Airbnb <b>\u202E');
      await dialog.getByLabel(/^Mostrar/).selectOption('full');
      await dialog.getByRole('button', { name: 'Criar endereço' }).click();
      const address = await dialog.getByLabel(/^Endereço de Airbnb <b>/).inputValue();
      assert.match(address, new RegExp(`^${program.origin}/calendar/[A-Za-z0-9_-]{43}\\.ics$`));
      await dialog.getByText('nunca lido').waitFor();
      const feed = await fetch(address, { headers: { 'User-Agent': 'Agenda/1.0' } });
      assert.match(await feed.text(), /^BEGIN:VCALENDAR/);
      await page.keyboard.press('Escape');
      assert.equal(await dialog.count(), 0);
      await button.click();
      await dialog.getByText(/lido .* por Agenda\/1\.0/).waitFor();
      assert.ok(!(await page.content()).includes(address) && !(await dialog.textContent()).includes('/calendar/'), 'the address was shown once');
      await dialog.getByRole('button', { name: 'Revogar' }).click();
      await dialog.getByRole('button', { name: 'Revogar mesmo?' }).click();
      await dialog.getByText(/foi revogado/).waitFor();
      assert.equal(await dialog.locator('.cal-feeds li').count(), 0);
      assert.ok(!(await (await fetch(address)).text()).includes('VEVENT'));
      await page.keyboard.press('Escape');
      assert.deepEqual(complaints, []);
      assert.deepEqual(await page.evaluate(() => globalThis.violations), []);
      const { rows: [{ user_id: owner }] } = await db.query('SELECT user_id FROM hangar_owners WHERE id = $1', [ownerId]);
      await db.query('UPDATE hangar_owners SET user_id = $2 WHERE id = $1', [ownerId, await guest('Outro', 'Dono')]);
      await db.query(`INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'viewer')`, [ownerId, owner]);
      await button.click();
      await dialog.getByText('Só proprietários e gestores criam endereços para outras agendas.').waitFor();
      assert.equal(await dialog.locator('form').isVisible(), false);
      await db.query('UPDATE hangar_owners SET user_id = $2 WHERE id = $1', [ownerId, owner]);
      await db.query('DELETE FROM realtime.members WHERE owner_id = $1', [ownerId]);
    } finally {
      await close();
    }
  });

  test('on paper it lies on its side, and what is not of it does not', async () => {
    const { page, close } = await open();
    try {
      const paper = (await page.pdf({ preferCSSPageSize: true })).toString('latin1');
      const sheets = [...paper.matchAll(/\/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]/g)].map(([, width, height]) => Number(width) > Number(height));
      assert.ok(sheets.includes(true) && sheets.includes(false), `sheets on their side: ${sheets}`);
    } finally {
      await close();
    }
  });

  test('the line of this moment lies below the counts of a day and above what fills it', async () => {
    const { page, close } = await open();
    try {
      const found = await page.evaluate(() => {
        const root = document.querySelector('realtime-metrics-display').shadowRoot;
        // Whatever is in front takes the pointer.
        const sheet = new CSSStyleSheet();
        sheet.replaceSync('.cal-now, .cal-row::after { pointer-events: auto !important; }');
        root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
        const row = root.querySelector('.cal-row[data-hangar]:not(.cal-open)');
        const cell = row.querySelector('.today');
        row.scrollIntoView({ block: 'center' });
        const { left, width, top, height } = cell.getBoundingClientRect();
        const whole = row.getBoundingClientRect();
        // The middle of today, where its count is.
        const middle = left + width / 2;
        const name = row.firstElementChild.getBoundingClientRect().width;
        root.querySelector('.cal-grid').style.setProperty('--now', String((middle - whole.left - name) / (whole.width - name)));
        const at = (y) => root.elementFromPoint(middle, y) === cell ? 'cell' : 'line';
        return { count: at(top + height / 2), below: at(top + height - 3), text: cell.dataset.text };
      });
      assert.match(found.text, /^\d+\/\d+$/);
      assert.deepEqual([found.count, found.below], ['cell', 'line']);
    } finally {
      await close();
    }
  });

  test('at 320 px, enlarged four times, and without motion', async () => {
    for (const [name, options] of /** @type {[string, object][]} */ ([
      ['320 px', { viewport: { width: 320, height: 256 }, deviceScaleFactor: 4 }],
      ['without motion', { reducedMotion: 'reduce' }],
    ])) {
      const { page, close } = await open(options);
      try {
        await fits(page, name);
        const user = await guest('Sem', name);
        const id = await book(hangars.find((hangar) => hangar.spaces === 1).id, user, 60, 70);
        const entry = page.locator(`.calendar [data-booking="${id}"]`).first();
        await entry.waitFor({ state: 'attached' });
        if (name === 'without motion') {
          assert.equal(await entry.evaluate((node) => node.getAnimations({ subtree: true }).length), 0);
        } else {
          const { left, right } = await entry.evaluate((node) => node.getBoundingClientRect());
          assert.ok(left >= 0 && right <= 320, `${name}: from ${left} to ${right}`);
        }
        await db.query('DELETE FROM bookings WHERE id = $1', [id]);
      } finally {
        await close();
      }
    }
  });

  test('a window that is open at midnight stays, says which day it is, and goes there', async () => {
    const { page, close } = await openPage(browser, program.origin);
    try {
      await page.goto(`${program.origin}/docs/client`);
      const days = () => page.evaluate(() => [...document.querySelector('main').shadowRoot.querySelectorAll('.cal-head .cal-cell')].map((cell) => cell.getAttribute('aria-label')));
      await page.evaluate(async ([owner, bearer]) => {
        const [{ newCalendar }, { wording }] = await Promise.all([import('/client/calendar/view.js'), import('/client/state/wording.js')]);
        document.querySelector('main').remove();
        const main = document.createElement('main');
        document.body.append(main);
        const frame = document.createElement('div');
        main.attachShadow({ mode: 'open' }).append(frame);
        const get = async (part) => (await fetch(`/api/owners/${owner}/${part}`, { headers: { Authorization: `Bearer ${bearer}` } })).json();
        globalThis.now = Date.now();
        globalThis.view = await newCalendar({ wording, frame, server: location.origin, get, channel: async () => '', open() {}, now: () => globalThis.now });
        frame.append(globalThis.view.node);
      }, [ownerId, token]);
      await page.locator('main .cal-row[data-hangar]').first().waitFor();
      const before = await days();
      const tick = (/** @type {number} */ now) => page.evaluate((at) => {
        globalThis.now = at;
        globalThis.view.tick();
      }, now);
      const [, second] = (await rest()).days;
      const moved = page.locator('main .cal-moved');
      await tick(Date.parse(second.start) - 1);
      assert.equal(await moved.isVisible(), false);
      await tick(Date.parse(second.start));
      assert.equal(await moved.locator('button').count(), 1);
      assert.match(await moved.textContent(), new RegExp(`^É dia .*${Number(second.date.slice(8))} .* agora`));
      assert.deepEqual(await days(), before, 'the window stays');
      await moved.locator('button').click();
      await page.waitForFunction((first) => document.querySelector('main').shadowRoot.querySelector('.cal-head .cal-cell').getAttribute('aria-label') === first, before[1]);
      assert.equal((await days()).length, before.length);
    } finally {
      await close();
    }
  });

  test('the lid of a laptop: what was booked meanwhile is there', async () => {
    const proxy = await startFaultProxy(program.origin);
    const { page, close } = await openPage(browser, proxy.origin);
    try {
      await page.clock.install();
      await page.goto(proxy.origin);
      await page.getByText('Ao vivo', { exact: true }).waitFor();
      await page.locator('.calendar header button').click();
      await page.locator('.cal-row[data-hangar]').first().waitFor();
      for (const head of await page.locator('.cal-name[aria-expanded]').all()) await head.click();
      Object.assign(proxy.modes, { websocket: 'swallow', sse: 'swallow', plain: 'swallow' });
      const user = await guest('Tampa', 'Fechada');
      const id = await book(hangars[0].id, user, 80, 90);
      Object.assign(proxy.modes, { websocket: 'pass', sse: 'pass', plain: 'pass' });
      await page.clock.fastForward('08:00:00');
      await page.locator(`.cal-stay[data-booking="${id}"]`).waitFor({ state: 'attached', timeout: TIMEOUT_MS });
      await agrees(page);
      await db.query('DELETE FROM bookings WHERE id = $1', [id]);
    } finally {
      await close();
      await proxy.stop();
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
      assert.match(await label(), /: \d+ de \d+ vaga/);
      const first = await label();
      await page.keyboard.press('End');
      assert.notEqual(await label(), first);
      await page.keyboard.press('Home');
      await page.keyboard.press('ArrowRight');
      assert.equal(await label(), first);
      const before = await page.locator('.cal-range').textContent();
      await page.keyboard.press('PageDown');
      await page.waitForFunction((text) => document.querySelector('realtime-metrics-display').shadowRoot.querySelector('.cal-range').textContent !== text, before);
      await page.waitForFunction(() => /vaga/.test(document.querySelector('realtime-metrics-display').shadowRoot.activeElement?.getAttribute('aria-label') ?? ''));
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
        if (await page.locator('.cal-name[aria-expanded]').count()) await page.locator('.cal-name[aria-expanded]').first().click();
        await accessible(page, name);
        await fits(page, name);
        if (!/1280 px, dark|360 px, light/.test(name)) return;
        await page.getByRole('button', { name: 'Outras agendas' }).click();
        await page.locator('dialog form').waitFor();
        await accessible(page, `${name}, feeds`);
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
