/**
 * The trends against the real program with its own PostgreSQL: a booking by SQL moves the chart,
 * and chart, file and table are what REST and the tables say.
 */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { launch, openPage } from './chromium.js';
import { addOwner, randomOf } from './oracle.js';
import { startProgram } from './program.js';
import { TIMEOUT_MS } from '../timeout.js';

/** @typedef {import('playwright-core').Page} Page */

const SECRET = 'a secret of this test, which is long enough';
const BOOKINGS = 120;

/** The amount in a text like "R$ 1.234,56". @param {string | null} text */
const amount = (text) => Number((text ?? '').replace(/[^\d,-]/g, '').replace(',', '.'));
const cents = (/** @type {number} */ value) => Math.round(value * 100) / 100;

/**
 * A file for spreadsheets as rows of texts (RFC 4180, with another separator).
 * @param {string} text
 */
function parse(text) {
  assert.ok(text.startsWith('\uFEFF'), 'a byte order mark');
  const [rows, fields] = [[], []];
  for (const [, quoted, plain, end] of text.slice(1).matchAll(/(?:"((?:[^"]|"")*)"|([^";\r\n]*))(;|\r\n)/g)) {
    fields.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === '\r\n') rows.push(fields.splice(0));
  }
  return rows;
}

/** @param {Page} page @param {string} name */
const total = (page, name) => page.locator(`[data-chart=${name}] .tr-total > b`);
const named = (/** @type {Page} */ page, /** @type {string} */ name) => page.getByRole('button', { name, exact: true });

describe('the trends of the real program', { concurrency: false }, () => {
  /** @type {Awaited<ReturnType<typeof startProgram>>} */
  let program;
  /** @type {pg.Client} */
  let db;
  /** @type {import('playwright-core').Browser} */
  let browser;
  /** @type {Awaited<ReturnType<typeof addOwner>>} */
  let owner;
  /** @type {string[]} */
  let hangars = [];
  let token = '';

  before(async () => {
    program = await startProgram(['--jwt-secret', SECRET, '--demo-interval', '1h']);
    db = new pg.Client(program.database);
    await db.connect();
    browser = await launch();
    owner = await addOwner(db);
    const encode = (/** @type {object} */ value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub: owner.userId, exp: Math.floor(Date.now() / 1000) + 3600 })}`;
    token = `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`;
    // A name that a spreadsheet would take for a formula.
    for (const name of ["=cmd|'/C calc'!A0", 'T-2; "B"']) {
      const { rows: [row] } = await db.query(
        `INSERT INTO hangar_listings (owner_id, hangar_number, icao_code, aerodrome_name, city, state, daily_rate, total_spaces)
         VALUES ($1, $2, 'SBMT', 'Campo de Marte', 'São Paulo', 'SP', 100, 2) RETURNING id`, [owner.id, name]);
      hangars.push(String(row.id));
    }
    const random = randomOf(18);
    for (let n = 0; n < BOOKINGS; n++) {
      // Seventy days, so that each comparison has something to compare with; a year ago too.
      const ago = random.below(70) + (n % 3 === 0 ? 365 : 0);
      await db.query(
        `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, payment_method, payment_date, created_at, updated_at)
         SELECT $1, $2, at + interval '1 hour', at + interval '49 hours', 2, $3::numeric, 0, $3, $4, 'pix', CASE WHEN $5 THEN at END, at, at
         FROM (SELECT now() AT TIME ZONE 'utc' - make_interval(hours => $6) AS at) t`,
        [random.pick(hangars), owner.guests[0], (10_000 + random.below(90_000)) / 100, random.pick(['confirmed', 'completed', 'cancelled']), random.below(5) > 0, ago * 24 + random.below(24)]);
    }
  });
  after(async () => {
    await browser?.close();
    await db?.end();
    await program?.stop();
  });

  const rest = async (/** @type {string} */ query) => {
    const answer = await fetch(`${program.origin}/api/owners/${owner.id}/trends?${query}`, { headers: { Authorization: `Bearer ${token}` } });
    assert.equal(answer.status, 200, query);
    return answer.json();
  };

  /**
   * Opens the trends, on a page that must not complain but of what is expected.
   * @param {(page: Page) => Promise<void>} run
   * @param {{hash?: string, expected?: RegExp}} [options]
   */
  async function opened(run, { hash = '', expected } = {}) {
    const { page, complaints, close } = await openPage(browser, program.origin);
    try {
      await page.addInitScript((answer) => {
        const own = fetch;
        globalThis.fetch = (...request) => (request[0] === '/api/auth/demo' ? Promise.resolve(Response.json(answer)) : own(...request));
      }, { token, expiresAt: Date.now() + 3_600_000, ownerId: owner.id, accounts: [{ ownerId: owner.id, companyName: 'Hangares da Verdade' }] });
      await page.goto(`${program.origin}/${hash}`);
      await page.getByText('Ao vivo', { exact: true }).waitFor();
      if (!hash) await page.locator('.trends header button').click();
      await page.locator('.tr-body').waitFor();
      await page.getByLabel('Comparar').waitFor();
      await run(page);
      assert.deepEqual(complaints.filter((text) => !expected?.test(text)), []);
      assert.deepEqual(await page.evaluate(() => globalThis.violations), []);
    } finally {
      await close();
    }
  }

  /**
   * Does something that asks for another window, and returns that question once its answer is
   * drawn. A question that failed is asked again.
   * @param {Page} page @param {() => Promise<unknown>} act
   */
  async function asked(page, act) {
    await act();
    await page.waitForFunction(() => {
      const trends = document.querySelector('realtime-metrics-display').shadowRoot.querySelector('.tr');
      return !trends.hasAttribute('aria-busy') && trends.querySelector('[role=status]').hidden;
    }, null, { timeout: TIMEOUT_MS });
    return (await page.getByRole('link', { name: 'Baixar CSV' }).getAttribute('href') ?? '').replace('&format=csv', '');
  }

  /**
   * What the page says is what REST says.
   * @param {Page} page @param {string} query @param {string} what
   */
  async function agrees(page, query, what) {
    const { totals, series } = await rest(query);
    assert.equal(amount(await total(page, 'revenue').textContent()), totals.revenue.value, `${what}: revenue`);
    assert.equal(amount(await total(page, 'bookings').textContent()), totals.bookings.value, `${what}: bookings`);
    const bars = (await Promise.all(['bars', 'now'].map((kind) => page.locator(`[data-chart=revenue] .tr-${kind}`).getAttribute('d')))).join('').split('M').length - 1;
    assert.equal(bars, series.revenue.filter((/** @type {number | null} */ value) => value).length, `${what}: a bar for each number`);
    return totals;
  }

  test('a booking by SQL moves the bar of today and the sum, and the file adds up', () => opened(async (page) => {
    await asked(page, () => named(page, '7 dias').click());
    const before = amount(await total(page, 'revenue').textContent());
    const bar = await page.locator('[data-chart=revenue] .tr-now').getAttribute('d');
    await db.query(
      `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, payment_method, payment_date)
       VALUES ($1, $2, now() AT TIME ZONE 'utc' + interval '300 days', now() AT TIME ZONE 'utc' + interval '302 days', 2, 600, 60, 660.07, 'confirmed', 'pix', now() AT TIME ZONE 'utc')`,
      [hangars[0], owner.guests[0]]);
    await page.waitForFunction((/** @type {string} */ was) => document.querySelector('realtime-metrics-display').shadowRoot.querySelector('[data-chart=revenue] .tr-now').getAttribute('d') !== was, bar, { timeout: TIMEOUT_MS });
    assert.equal(amount(await total(page, 'revenue').textContent()), cents(before + 660.07));
    await page.locator('[data-chart=revenue] .tr-read', { hasText: 'em andamento' }).waitFor();

    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Baixar CSV' }).click()]);
    assert.match(download.suggestedFilename(), new RegExp(`^tendencias-${owner.id}-[\\d_-]+\\.csv$`));
    const [head, ...rows] = parse(await readFile(await download.path(), 'utf8'));
    assert.equal(rows.length, 7);
    const column = head.indexOf('receita (BRL)');
    assert.equal(cents(rows.reduce((sum, row) => sum + Number(row[column].replace(',', '.') || 0), 0)), amount(await total(page, 'revenue').textContent()));
    const days = await db.query(
      `SELECT coalesce(sum(b.total_price), 0)::float AS revenue FROM bookings b JOIN hangar_listings l ON l.id = b.hangar_id
       WHERE l.owner_id = $1 AND b.status <> 'cancelled' AND (b.payment_date AT TIME ZONE 'utc' AT TIME ZONE 'America/Sao_Paulo')::date > (now() AT TIME ZONE 'America/Sao_Paulo')::date - 7`, [owner.id]);
    assert.equal(amount(await total(page, 'revenue').textContent()), cents(days.rows[0].revenue), 'what the tables say');
  }));

  test('each way to compare says what REST says, in each range', () => opened(async (page) => {
    for (const preset of ['Hoje', '7 dias', '30 dias', '90 dias', '12 meses']) {
      if (await named(page, preset).getAttribute('aria-pressed') !== 'true') await asked(page, () => named(page, preset).click());
      for (const compare of ['weekday', 'year', 'none', 'before']) {
        const url = await asked(page, () => page.getByLabel('Comparar').selectOption(compare));
        const what = `${preset}, ${compare}`;
        const { revenue } = await agrees(page, new URL(url).search.slice(1), what);
        const told = await page.locator('[data-chart=revenue] .tr-change').textContent() ?? '';
        const line = await page.locator('[data-chart=revenue] .tr-before').getAttribute('d');
        if (compare === 'none') assert.deepEqual([told, line], ['', ''], what);
        else if (revenue.change === null) assert.match(told, /^sem base de comparação/, what);
        else assert.equal(amount(/antes (.*)$/.exec(told)?.[1] ?? ''), revenue.before, `${what}: ${told}`);
      }
    }
  }));

  test('one hangar alone, all of them together, and its name in the file is no formula', () => opened(async (page) => {
    await asked(page, () => named(page, '90 dias').click());
    const all = amount(await total(page, 'revenue').textContent());
    let sum = 0;
    for (const id of hangars) {
      const url = await asked(page, () => page.locator('.tr-place select').selectOption(id));
      assert.equal(new URL(url).searchParams.get('hangarId'), id);
      await agrees(page, new URL(url).search.slice(1), `hangar ${id}`);
      sum += amount(await total(page, 'revenue').textContent());
    }
    assert.equal(cents(sum), all);
    await page.locator('.tr-range', { hasText: 'Hangar T-2; "B" · ' }).waitFor();
    await asked(page, () => page.locator('.tr-place select').selectOption(hangars[0]));
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Baixar CSV' }).click()]);
    const [head, ...rows] = parse(await readFile(await download.path(), 'utf8'));
    assert.deepEqual([...new Set(rows.map((row) => row[head.indexOf('hangar')]))], ["'=cmd|'/C calc'!A0"]);
  }));

  test('what is chosen survives a reload, hangar and table too', () => opened(async (page) => {
    await asked(page, () => named(page, '7 dias').click());
    await asked(page, () => page.getByLabel('Comparar').selectOption('weekday'));
    await asked(page, () => page.locator('.tr-place select').selectOption(hangars[1]));
    await named(page, 'Ver como tabela').click();
    await page.locator('.tr-sheet tbody tr').nth(6).waitFor();
    const shown = () => Promise.all([total(page, 'revenue').textContent(), page.locator('.tr-range').textContent(), page.locator('.tr-sheet').textContent()]);
    const before = await shown();
    assert.equal(new URL(page.url()).hash, `#trends=7&compare=weekday&hangar=${hangars[1]}&table=1`);
    await page.reload();
    await page.locator('.tr-range', { hasText: 'Hangar T-2' }).waitFor();
    await page.locator('.tr-sheet tbody tr').nth(6).waitFor();
    assert.deepEqual(await shown(), before);
    assert.equal(await page.getByLabel('Comparar').inputValue(), 'weekday');
    assert.equal(await page.locator('.tr-place select').inputValue(), hangars[1]);
    assert.equal(await named(page, '7 dias').getAttribute('aria-pressed'), 'true');
  }));

  test('a hangar of another owner in the address is left out', async () => {
    const { rows: [other] } = await db.query('SELECT id FROM hangar_listings WHERE owner_id <> $1 ORDER BY id LIMIT 1', [owner.id]);
    // The browser writes the refused question into its console.
    await opened(async (page) => {
      await page.waitForFunction(() => location.hash === '#trends=7');
      await agrees(page, new URL(await asked(page, () => named(page, '30 dias').click())).search.slice(1), 'all hangars');
    }, { hash: `#trends=7&hangar=${other.id}`, expected: /404.*hangarId=/ });
  });
});
