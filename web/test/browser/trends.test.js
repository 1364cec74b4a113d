/**
 * The trends in a real browser: charts, table and file hold the same numbers, arrows read them, a
 * new day begins by itself, and axe finds nothing.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { launch } from './chromium.js';
import { accessible, card, dashboard, drawn, fits, live } from './dashboard.js';

/** @typedef {import('playwright-core').Page} Page */

/** @param {Page} page */
async function open(page) {
  await live(page);
  await page.locator('.trends header button').click();
  await page.locator('.tr-body').waitFor();
}

/** What the table says, by row. @param {Page} page */
const table = (page) => page.locator('.tr-sheet tbody tr').evaluateAll((rows) => rows.map((row) => [...row.children].map(({ textContent }) => textContent)));
/** What a chart says of its buckets, by the arrows. @param {Page} page @param {string} metric */
async function read(page, metric) {
  const slider = page.locator(`[data-chart=${metric}] input`);
  await slider.focus();
  await slider.press('Home');
  const found = [];
  for (let left = Number(await slider.getAttribute('max')); left >= 0; left--) {
    found.push(await slider.getAttribute('aria-valuetext'));
    await slider.press('ArrowRight');
  }
  return found;
}

describe('the trends', { concurrency: false }, () => {
  /** @type {import('playwright-core').Browser} */
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());

  test('chart, table and file hold the same numbers, at 7 days and today', () => dashboard(browser, async ({ page, complaints, server }) => {
    await open(page);
    await page.getByRole('button', { name: 'Ver como tabela' }).click();
    for (const [preset, buckets] of /** @type {const} */ ([['7 dias', 7], ['Hoje', 24]])) {
      await page.getByRole('button', { name: preset, exact: true }).click();
      await page.waitForFunction((n) => document.querySelector('realtime-metrics-display').shadowRoot.querySelectorAll('.tr-sheet tbody tr').length === n, buckets);
      const rows = await table(page);
      for (const [metric, column] of /** @type {const} */ ([['revenue', 1], ['bookings', 3], ['occupancy', 6]])) {
        const told = await read(page, metric);
        told.forEach((text, i) => {
          const name = rows[i][0].replace(' em andamento', '');
          assert.ok(text.startsWith(`${name}: `), `${text} of ${name}`);
          const value = rows[i][column];
          assert.ok(value === 'sem dados' ? /sem dados|ainda não começou/.test(text) : text.includes(value), `${metric}: ${text} and ${value}`);
        });
        const bars = (await Promise.all(['bars', 'now'].map((kind) => page.locator(`[data-chart=${metric}] .tr-${kind}`).getAttribute('d')))).join('').split('M').length - 1;
        const filled = rows.filter((row) => !['sem dados', '0', 'R$ 0,00'].includes(row[column])).length;
        if (metric !== 'occupancy') assert.equal(bars, filled, `${metric}: a bar for each number`);
      }
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Baixar CSV' }).click()]);
      assert.match(download.suggestedFilename(), /^tendencias-1-\d{4}-\d\d\.csv$/);
      const lines = (await readFile(await download.path(), 'utf8')).replace(/^\uFEFF/, '').trim().split('\r\n').slice(1).map((line) => line.split(';'));
      assert.equal(lines.length, buckets);
      lines.forEach((line, i) => {
        const shown = rows[i][1].replace(/[^\d,]/g, '').replace(',', '.');
        assert.equal(line[1] === '' ? 'sem dados' : Number(line[1].replace(',', '.')), line[1] === '' ? rows[i][1] : Number(shown), `row ${i}`);
      });
    }
    assert.ok(server.seen.urls.some((url) => url.includes('format=csv')), 'asked with the session\'s token');
    assert.deepEqual(complaints, []);
    assert.deepEqual(await page.evaluate(() => globalThis.violations), []);
  }));

  test('the bucket under way follows within five seconds, the sum with it, and midnight begins a new one', () => dashboard(browser, async ({ page, server }) => {
    await open(page);
    await page.getByRole('button', { name: '7 dias', exact: true }).click();
    await page.getByRole('button', { name: 'Ver como tabela' }).click();
    const last = page.locator('.tr-sheet tbody tr').last();
    await page.waitForFunction(() => document.querySelector('realtime-metrics-display').shadowRoot.querySelectorAll('.tr-sheet tbody tr').length === 7);
    assert.match(await last.textContent() ?? '', /em andamento/);
    /** @type {number[]} */
    const asked = [];
    page.on('request', (request) => request.url().includes('/trends?') && asked.push(performance.now()));
    for (let i = 1; i <= 20; i++) server.setMetrics('1', { revenueToday: 9000 + i });
    await last.getByText('R$ 9.020,00').waitFor();
    const total = await page.locator('[data-chart=revenue] .tr-total > b').textContent();
    const sum = (await table(page)).reduce((all, row) => all + Number(row[1].replace(/[^\d,]/g, '').replace(',', '.')), 0);
    assert.equal(Number(total?.replace(/[^\d,]/g, '').replace(',', '.')), Math.round(sum * 100) / 100);
    for (const at of asked) assert.ok(asked.filter((other) => other >= at && other < at + 4900).length <= 2, 'one question about trends in 5 s, beside the growth card\'s');
    const before = (await table(page)).map((row) => row[0].replace(' em andamento', ''));
    server.advance(11 * 3_600_000);
    server.closeStreams(1001); // a new connection tells the new time
    await page.waitForFunction((first) => !document.querySelector('realtime-metrics-display').shadowRoot.querySelector('.tr-sheet tbody th').textContent.startsWith(first), before[0]);
    const after_ = (await table(page)).map((row) => row[0].replace(' em andamento', ''));
    assert.deepEqual(after_.slice(0, 6), before.slice(1));
  }));

  test('the address keeps what is chosen, and opens with it; other elements leave it alone', () => dashboard(browser, async ({ page, server }) => {
    await open(page);
    await page.getByRole('button', { name: '12 meses', exact: true }).click();
    await page.getByLabel('Comparar').selectOption('none');
    await page.getByRole('button', { name: 'Ver como tabela' }).click();
    assert.equal(new URL(page.url()).hash, '#trends=12&compare=none&table=1');
    await page.reload();
    await page.locator('.tr-sheet tbody tr').nth(11).waitFor();
    assert.equal(await page.locator('[data-preset="12"]').getAttribute('aria-pressed'), 'true');
    assert.equal(await page.locator('.tr-before').first().getAttribute('d'), '');
    await page.getByRole('button', { name: 'Outro', exact: true }).click();
    await page.getByLabel('Primeiro dia').waitFor();
    await page.locator('.trends > header button').click();
    await page.waitForFunction(() => location.hash === '');
    await page.goto(`${server.url}/#tab=2`);
    await page.evaluate(async () => {
      await import(/** @type {string} */ ('/client/trends.js'));
      const element = document.createElement('owner-trends');
      element.setAttribute('owner-id', '1');
      element.setAttribute('lang', 'en');
      /** @type {any} */ (element).token = () => 'x';
      document.body.append(element);
    });
    await page.locator('owner-trends').getByRole('button', { name: '7 days', exact: true }).click();
    await page.locator('owner-trends').getByText('Show as table').waitFor();
    assert.equal(new URL(page.url()).hash, '#tab=2');
  }));

  test('the growth card says like for like first, and names both', () => dashboard(browser, async ({ page, server }) => {
    await live(page);
    const growth = page.locator('[data-metric=growthPercentage]');
    await growth.getByText(/^7 dias × os 7 antes, ambos até \d\d:\d\d$/).waitFor();
    await growth.getByText('+12,4% contra 7 dias inteiros, com hoje incompleto').waitFor();
    assert.notEqual(await card(page, 'growthPercentage').textContent(), '+12,4%');
    assert.equal(server.seen.urls.filter((url) => url.includes('/trends?')).length, 1);
    assert.ok(Number(await page.evaluate(() => globalThis.shift)) <= 0.02, 'nothing moved');
    for (const [metric, cells] of [['revenueToday', 14], ['bookingsToday', 14], ['occupancyRate', 14], ['growthPercentage', 0]]) {
      const heights = await page.locator(`[data-metric=${metric}] .spark i`).evaluateAll((bars) => bars.map((bar) => /** @type {HTMLElement} */ (bar).offsetHeight));
      assert.equal(heights.filter((height) => height > 0).length, cells, `${metric}: ${heights}`);
    }
  }));

  test('without trends the card has the number of the metrics', () => dashboard(browser, async ({ page }) => {
    await live(page);
    await page.locator('[data-metric=growthPercentage]').getByText('Acima dos 7 dias anteriores').waitFor();
    assert.equal(await card(page, 'growthPercentage').textContent(), '+12,4%');
    await page.locator('.trends header button').click();
    await page.getByText('Tendências: não foi possível carregar.').waitFor();
  }, { before: ({ server }) => server.faults.parts.add('trends') }));

  test('axe finds nothing at three widths, light and dark, as charts and as a table, and nothing runs over', () => dashboard(browser, async ({ page }) => {
    await open(page);
    await page.locator('.tr-how summary').click();
    for (const viewport of [{ width: 1280, height: 900 }, { width: 768, height: 900 }, { width: 360, height: 800 }]) {
      await page.setViewportSize(viewport);
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        await page.emulateMedia({ colorScheme });
        await drawn(page);
        const where = `${viewport.width} px, ${colorScheme}`;
        // Axe knows a link that skips by the first other one, which is in a shadow tree here.
        await accessible(page, where, { region: { enabled: false } });
        await fits(page, where);
      }
      await page.locator('.tr-bar .tools button').click();
    }
    await page.setViewportSize({ width: 320, height: 600 });
    await fits(page, '320 px');
  }, { page: { bypassCSP: true, reducedMotion: 'reduce' } }));

  test('400 buckets are drawn without a long task, and the first paint loads nothing of them', () => dashboard(browser, async ({ page, server }) => {
    await live(page);
    assert.deepEqual(server.seen.urls.filter((url) => /client\/trends(\.|\/(view|chart|words))/.test(url)), []);
    await page.evaluate(() => {
      globalThis.longest = 0;
      new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) globalThis.longest = Math.max(globalThis.longest, duration);
      }).observe({ type: 'longtask' });
    });
    await page.evaluate(() => (location.hash = 'trends=today'));
    await page.locator('.trends header button').click();
    await page.locator('.tr-body').waitFor();
    await page.getByRole('button', { name: '90 dias', exact: true }).click();
    await page.waitForFunction(() => document.querySelector('realtime-metrics-display').shadowRoot.querySelector('[data-chart=revenue] .tr-bars').getAttribute('d').split('M').length > 80);
    console.log(`# longest task ${await page.evaluate(() => Math.round(globalThis.longest))} ms`);
  }));
});
