/**
 * The trends in a real browser: charts, table and file hold the same numbers, arrows read them, a
 * new day begins by itself, and axe finds nothing.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { launch } from './chromium.js';
import { accessible, card, dashboard, drawn, fits, live } from './dashboard.js';
import { reactFiles } from './react-page.js';
import { trendsOf } from './fake-trends.js';
import { TIMEOUT_MS } from '../timeout.js';

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
          const [, name, state] = /^(.*?)( em andamento| ainda não começou)?$/.exec(rows[i][0]) ?? [];
          assert.ok(text.startsWith(`${name}: `), `${text} of ${name}`);
          const value = rows[i][column];
          assert.equal(value === '–', state === ' ainda não começou', `${rows[i]}`);
          assert.ok(text.includes(value === '–' ? 'ainda não começou' : value), `${metric}: ${text} and ${value}`);
        });
        const bars = (await Promise.all(['bars', 'now'].map((kind) => page.locator(`[data-chart=${metric}] .tr-${kind}`).getAttribute('d')))).join('').split('M').length - 1;
        const filled = rows.filter((row) => !['–', 'sem dados', '0', 'R$ 0,00'].includes(row[column])).length;
        if (metric !== 'occupancy') assert.equal(bars, filled, `${metric}: a bar for each number`);
      }
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Baixar CSV' }).click()]);
      assert.match(download.suggestedFilename(), /^tendencias-1-\d{4}-\d\d\.csv$/);
      const lines = (await readFile(await download.path(), 'utf8')).replace(/^\uFEFF/, '').trim().split('\r\n').slice(1).map((line) => line.split(';'));
      assert.equal(lines.length, buckets);
      lines.forEach((line, i) => {
        const shown = rows[i][1].replace(/[^\d,]/g, '').replace(',', '.');
        if (line[1] === '') assert.match(rows[i][1], /^(–|sem dados)$/, `row ${i}`);
        else assert.equal(Number(line[1].replace(',', '.')), Number(shown), `row ${i}`);
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
    const compared = () => page.evaluate(() => {
      const root = document.querySelector('realtime-metrics-display').shadowRoot;
      return [...root.querySelectorAll('.tr-sheet tbody tr:last-child td:nth-child(3), .tr-sheet tfoot td:nth-child(3)')].map((cell) => cell.textContent);
    });
    const past = await compared();
    /** @type {number[]} */
    const asked = [];
    page.on('request', (request) => request.url().includes('/trends?') && asked.push(performance.now()));
    for (let i = 1; i <= 20; i++) server.setMetrics('1', { revenueToday: 9000 + i });
    await last.getByText('R$ 9.020,00').waitFor();
    assert.deepEqual(await compared(), past, 'compared with the period before the window, and not with yesterday');
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

  test('back, forward and a reload bring the choice of their address', () => dashboard(browser, async ({ page, server }) => {
    const chosen = (/** @type {string} */ preset) => page.locator(`.tr [data-preset="${preset}"][aria-pressed=true]`).waitFor();
    const pictured = (/** @type {number} */ buckets) => page.waitForFunction((wanted) =>
      document.querySelector('realtime-metrics-display').shadowRoot.querySelectorAll('.tr-sheet tbody tr').length === wanted, buckets);
    await page.goto('about:blank');
    await page.goto(`${server.url}/#trends=7&table=1`);
    await chosen('7');
    await pictured(7);
    await page.evaluate(() => (location.hash = '#trends=12&compare=none&table=1&hangar=3'));
    await chosen('12');
    await pictured(12);
    await page.goBack();
    await chosen('7');
    await pictured(7);
    assert.equal(await page.getByLabel('Comparar').inputValue(), 'before');
    await page.goForward();
    await chosen('12');
    await pictured(12);
    assert.equal(await page.locator('.tr label', { hasText: 'Hangar' }).locator('select').inputValue(), '3');
    await page.goto(`${server.url}/docs`);
    await page.goBack();
    await chosen('12');
    await pictured(12);
    await page.reload();
    await chosen('12');
    await pictured(12);
    assert.deepEqual([await page.getByLabel('Comparar').inputValue(), await page.locator('.tr label', { hasText: 'Hangar' }).locator('select').inputValue()], ['none', '3']);
    await page.getByRole('button', { name: '90 dias', exact: true }).click();
    await pictured(90);
    await page.goBack();
    await chosen('7');
  }));

  test('React: the component in StrictMode, its language and its address, and nothing after it', async () => {
    const files = await reactFiles('19');
    await dashboard(browser, async ({ page, server, complaints }) => {
      await page.goto(`${server.url}/react/index.html`);
      await page.waitForFunction(() => 'harness' in globalThis);
      const show = (/** @type {object} */ props) => page.evaluate((given) => /** @type {any} */ (globalThis).harness.show('a', [{ kind: 'trends', props: { ownerId: '1', token: 'secret', ...given } }]), props);
      const shown = page.locator('owner-trends .tr-body');
      await show({ lang: 'en' });
      await shown.waitFor();
      await page.locator('owner-trends').getByRole('button', { name: 'Show as table' }).waitFor();
      await page.locator('owner-trends').getByRole('button', { name: '7 days', exact: true }).click();
      await page.locator('owner-trends [data-preset="7"][aria-pressed=true]').waitFor();
      assert.equal(new URL(page.url()).hash, '', 'the address is the page\u2019s');
      await show({ lang: 'es', hash: true });
      await page.locator('owner-trends').getByRole('button', { name: 'Ver como tabla' }).waitFor();
      await page.locator('owner-trends [data-preset="90"]').click();
      await page.waitForFunction(() => location.hash === '#trends=90');
      assert.equal(await page.locator('owner-trends').count(), 1);
      await show({ lang: 'es', hash: true, enabled: false });
      await page.locator('owner-trends').waitFor({ state: 'detached' });
      await page.waitForFunction(() => location.hash === '');
      await page.evaluate(() => (location.hash = '#trends=today'));
      await show({ lang: 'es', hash: true });
      await page.locator('owner-trends [data-preset=today][aria-pressed=true]').waitFor();
      await page.evaluate(() => /** @type {any} */ (globalThis).harness.remove('a'));
      assert.equal(await page.locator('owner-trends').count(), 0);
      assert.deepEqual(complaints, []);
    }, { server: { files } });
  });

  test('a colour says what a change means, its sign and arrow where it goes: more cancellations are not good', () => dashboard(browser, async ({ page, server }) => {
    let change = 70;
    await page.route(/\/trends\?/, async (route) => {
      const answer = /** @type {any} */ (trendsOf(new URL(route.request().url()).searchParams, Date.now() + server.ahead, server.owners.get('1')));
      for (const total of Object.values(answer.totals)) Object.assign(total, { value: 100 + change, before: 100, change });
      await route.fulfill({ json: answer });
    });
    await open(page);
    const [good, bad] = ['rgb(22, 101, 52)', 'rgb(154, 52, 18)'];
    for (const [now, preset, arrow, sign] of /** @type {const} */ ([[70, '7 dias', '▲', '+'], [-70, '90 dias', '▼', '-']])) {
      change = now;
      await page.getByRole('button', { name: preset, exact: true }).click();
      await page.locator('.tr-facts .tr-change b', { hasText: `${sign}70` }).nth(2).waitFor();
      const said = await page.locator('.tr-change b').evaluateAll((all) => all.map((one) => ({
        name: one.closest('.tr-chart, .tr-facts > div')?.querySelector('h3, dt')?.textContent, text: one.textContent,
        color: getComputedStyle(one).color, arrow: getComputedStyle(one, '::before').content[1],
      })));
      assert.equal(said.length, 6);
      for (const one of said) {
        assert.equal(one.color, (now > 0) === (one.name === 'Canceladas') ? bad : good, `${one.name} ${one.text}`);
        assert.equal(one.arrow, arrow, one.name);
        assert.ok(one.text?.startsWith(sign), one.name);
      }
    }
  }));

  test('what is compared is said once: no base, or only what was', () => dashboard(browser, async ({ page, server }) => {
    await page.route(/\/trends\?/, async (route) => {
      const answer = /** @type {any} */ (trendsOf(new URL(route.request().url()).searchParams, Date.now() + server.ahead, server.owners.get('1')));
      Object.assign(answer.totals.revenue, { before: 0, change: null });
      Object.assign(answer.totals.bookings, { before: null, change: null });
      Object.assign(answer.totals.averageStay, { value: null, before: 2.5, change: null });
      await route.fulfill({ json: answer });
    });
    await open(page);
    await page.locator('.tr-facts').waitFor();
    const said = (/** @type {string} */ of) => page.locator(`${of} .tr-change`).textContent();
    assert.equal(await said('[data-chart=revenue]'), 'sem base de comparação');
    assert.equal(await said('[data-chart=bookings]'), 'sem base de comparação');
    assert.equal(await said('.tr-facts > div:nth-child(2)'), 'antes 2,5 diárias');
  }));

  test('on a tablet the choices stand together, and a hangar is named once', () => dashboard(browser, async ({ page, complaints }) => {
    await open(page);
    await page.locator('.tr-place select').waitFor();
    const tops = await page.locator('.tr label').evaluateAll((all) => all.map((one) => one.getBoundingClientRect().top));
    assert.equal(new Set(tops).size, 1, `${tops}`);
    for (const [id, name] of [['1', 'Hangar 007'], ['2', 'Hangar B-01']]) {
      await page.locator('.tr-place select').selectOption(id);
      await page.locator('.tr-range', { hasText: new RegExp(`^${name} · `) }).waitFor();
    }
    // The address names it before the hangars are known.
    await page.reload();
    await page.locator('.tr-range', { hasText: /^Hangar B-01 · / }).waitFor();
    assert.deepEqual(complaints, []);
  }, { page: { viewport: { width: 768, height: 900 } }, before: ({ server }) => {
    const [first, second] = server.owners.get('1').listings;
    [first.hangarNumber, second.hangarNumber] = ['Hangar 007', 'B-01'];
  } }));

  test('the growth card says like for like first, and names both', () => dashboard(browser, async ({ page, server }) => {
    await live(page);
    const growth = page.locator('[data-metric=growthPercentage]');
    await growth.getByText(/^vs\. 7 dias anteriores, até \d\d:\d\d$/).waitFor();
    await growth.getByText('+12,4% vs. 7 dias inteiros (hoje parcial)').waitFor();
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
    await page.locator('.tr-place select').selectOption('3');
    await page.getByRole('button', { name: 'Outro', exact: true }).click();
    await page.getByLabel('Primeiro dia').waitFor();
    await page.locator('.tr-how summary').click();
    await page.locator('.tr-how dl').waitFor();
    for (const viewport of [{ width: 1280, height: 900 }, { width: 768, height: 900 }, { width: 360, height: 800 }]) {
      await page.setViewportSize(viewport);
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        await page.emulateMedia({ colorScheme });
        for (const shape of ['charts', 'table']) {
          await drawn(page);
          const where = `${viewport.width} px, ${colorScheme}, ${shape}`;
          assert.equal(await page.locator('.tr-sheet').isVisible(), shape === 'table', where);
          // Axe knows a link that skips by the first other one, which is in a shadow tree here.
          await accessible(page, where, { region: { enabled: false } });
          await fits(page, where);
          await page.getByRole('button', { name: 'Ver como tabela' }).click();
        }
      }
    }
    await page.setViewportSize({ width: 320, height: 600 });
    await fits(page, '320 px');
  }, { page: { bypassCSP: true, reducedMotion: 'reduce' } }));

  for (const language of ['pt-BR', 'en', 'es']) {
    test(`on a phone, with text of 100 and 200 %, no word and no number is cut: ${language}`, () => dashboard(browser, async ({ page, server }) => {
      await page.addInitScript((name) => localStorage.setItem('hangarshare:language', name), language);
      const devtools = await page.context().newCDPSession(page);
      for (const standard of [16, 32]) {
        await devtools.send('Page.setFontSizes', { fontSizes: { standard, fixed: 13 } });
        for (const revenueToday of [4350, 123_529_388.89]) {
          server.setMetrics('1', { revenueToday });
          await page.goto('about:blank');
          await page.goto(`${server.url}/#trends=30`);
          await page.locator('.tr-place:not([hidden])').waitFor();
          await page.locator('.tr-how summary').click();
          await page.locator('.tr-how dl').waitFor();
          for (const width of [360, 320]) {
            await page.setViewportSize({ width, height: 800 });
            await drawn(page);
            const where = `${width} px, ${standard} px, ${revenueToday}`;
            assert.equal(await page.locator('.tr-range').evaluate((one) => getComputedStyle(one).fontSize), `${standard}px`, where);
            await fits(page, where);
            const found = await page.evaluate(() => {
              const root = document.querySelector('realtime-metrics-display').shadowRoot;
              const texts = document.createTreeWalker(root.querySelector('.tr'), NodeFilter.SHOW_TEXT);
              const [cut, broken] = [[], []];
              for (let text = texts.nextNode(); text; text = texts.nextNode()) {
                const holder = text.parentElement;
                if (!text.textContent.trim() || !holder.checkVisibility() || holder.closest('select, .sr')) continue;
                const range = document.createRange();
                range.selectNodeContents(text);
                const room = holder.closest('.tr-chart, .tr-facts > div, button, .tr').getBoundingClientRect();
                const { left, right } = range.getBoundingClientRect();
                if (left < room.left || right > room.right) cut.push(`${text.textContent}: ${left} to ${right} in ${room.left} to ${room.right}`);
                if (holder.matches('.tr-presets button, .tr-total > b') && new Set([...range.getClientRects()].map(({ top }) => top)).size > 1) broken.push(text.textContent);
              }
              // What is chosen is to be read.
              for (const select of root.querySelectorAll('.tr select')) {
                const size = parseFloat(getComputedStyle(select).fontSize);
                if (select.getBoundingClientRect().width < 6 * size) cut.push(`a choice of ${select.getBoundingClientRect().width} px at ${size} px`);
              }
              // Names and numbers of an axis do not meet.
              for (const anchor of ['end', 'middle']) {
                for (const svg of root.querySelectorAll('.tr svg')) {
                  const boxes = [...svg.querySelectorAll(`text[text-anchor=${anchor}]`)].map((one) => one.getBoundingClientRect());
                  boxes.forEach((box, i) => {
                    const next = boxes[i + 1];
                    if (next && (anchor === 'end' ? next.bottom > box.top + box.height / 3 : next.left < box.right)) cut.push(`names of an axis meet: ${anchor} ${i}`);
                  });
                }
              }
              return { cut, broken };
            });
            assert.deepEqual(found, { cut: [], broken: [] }, where);
          }
        }
      }
    }, { page: { viewport: { width: 360, height: 800 }, reducedMotion: 'reduce' } }));
  }

  test('by keyboard alone: every control in order, what each chart says, table, days and explanation', () => dashboard(browser, async ({ page }) => {
    await live(page);
    await page.locator('.trends header button').focus();
    await page.keyboard.press('Enter');
    await page.locator('.tr-body').waitFor();
    await page.locator('.tr-place select').waitFor();
    /** What has the focus, and whether that is to be seen. */
    const focused = () => page.evaluate(() => {
      const element = document.querySelector('realtime-metrics-display').shadowRoot.activeElement;
      const name = element.getAttribute('aria-label') ?? element.closest('label')?.firstChild.textContent ?? element.textContent;
      const seen = element.matches('input[type=range]') ? element.nextElementSibling : element;
      return [name.trim(), element.matches(':focus-visible') && getComputedStyle(seen).outlineStyle !== 'none'];
    });
    const order = ['Hoje', '7 dias', '30 dias', '90 dias', '12 meses', 'Outro', 'Hangar', 'Comparar com', 'Ver como tabela', 'Baixar CSV',
      ...['Receita', 'Reservas', 'Ocupação'].map((name) => `${name}. Setas esquerda e direita leem cada ponto.`), 'Como é calculado'];
    for (const name of order) {
      await page.keyboard.press('Tab');
      assert.deepEqual(await focused(), [name, true]);
    }
    await page.keyboard.press('Enter');
    await page.locator('.tr-how dl').waitFor();
    for (let n = 0; n < 3; n++) await page.keyboard.press('Shift+Tab');
    const slider = page.locator('[data-chart=revenue] input');
    const text = () => slider.getAttribute('aria-valuetext');
    const newest = await text();
    await page.keyboard.press('ArrowLeft');
    const left = await text();
    assert.notEqual(left, newest);
    assert.equal(await page.locator('[data-chart=revenue] .tr-read').textContent(), left, 'what is heard is seen');
    await page.keyboard.press('ArrowRight');
    assert.equal(await text(), newest);
    await page.keyboard.press('Home');
    assert.equal(await slider.inputValue(), '0');
    const first = await text();
    // The window is loaded again while a person reads: the point stays where it was.
    await Promise.all([page.waitForResponse(/trends\?/), page.evaluate(() => document.querySelector('realtime-metrics-display').shadowRoot.querySelector('[data-preset="30"]').click())]);
    await page.waitForFunction(() => !document.querySelector('realtime-metrics-display').shadowRoot.querySelector('.tr[aria-busy]'));
    assert.deepEqual([await text(), (await focused())[0]], [first, order[10]]);
    for (let n = 0; n < 2; n++) await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await page.locator('.tr-sheet tbody tr').nth(29).waitFor();
    assert.deepEqual(await focused(), ['Ver como tabela', true]);
    for (let n = 0; n < 5; n++) await page.keyboard.press('Tab');
    assert.deepEqual((await focused())[0], 'Ver como tabela', 'the table, which scrolls');
    const scrolled = page.waitForFunction(() => document.querySelector('realtime-metrics-display').shadowRoot.querySelector('.tr-sheet').scrollTop > 0);
    await page.keyboard.press('End');
    await scrolled;
  }));

  test('in forced colours nothing rests on a colour of our own', () => dashboard(browser, async ({ page }) => {
    await open(page);
    await page.locator('.tr-legend li:visible').nth(2).waitFor();
    for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
      await page.emulateMedia({ forcedColors: 'active', colorScheme });
      await drawn(page);
      const found = await page.evaluate(() => {
        const root = document.querySelector('realtime-metrics-display').shadowRoot;
        const probe = document.createElement('i');
        document.body.append(probe);
        const system = (/** @type {string} */ name) => {
          probe.style.cssText = `forced-color-adjust: none; color: ${name}`;
          return getComputedStyle(probe).color;
        };
        const of = (/** @type {string} */ selector, /** @type {string} */ property) => getComputedStyle(root.querySelector(selector)).getPropertyValue(property);
        const answer = {
          bars: [of('.tr-bars', 'fill'), system('CanvasText')], line: [of('[data-chart=occupancy] .tr-line', 'stroke'), system('CanvasText')],
          hatch: [of('.tr-hatch', 'stroke'), system('CanvasText')], before: [of('.tr-before', 'stroke'), system('Highlight')],
          cancelled: [of('.tr-under', 'fill'), system('GrayText')], names: [of('.tr-grid text', 'fill'), system('GrayText')],
          pressed: [of('.tr [aria-pressed=true]', 'background-color'), system('Highlight')], word: [of('.tr [aria-pressed=true]', 'color'), system('HighlightText')],
        };
        probe.remove();
        return { answer, canvas: system('Canvas') };
      });
      for (const [what, [shown, wanted]] of Object.entries(found.answer)) {
        assert.equal(shown, wanted, `${what}, ${colorScheme}`);
        assert.notEqual(shown, found.canvas, `${what} is as its ground, ${colorScheme}`);
      }
      await accessible(page, `forced colours, ${colorScheme}`, { region: { enabled: false } });
    }
  }, { page: { bypassCSP: true } }));

  test('on paper: no controls, what is compared and where, and the whole table', () => dashboard(browser, async ({ page }) => {
    await open(page);
    await page.locator('.tr-place select').selectOption('2');
    await page.locator('.tr-range', { hasText: 'Hangar ' }).waitFor();
    await page.getByRole('button', { name: '90 dias', exact: true }).click();
    await page.getByRole('button', { name: 'Ver como tabela' }).click();
    await page.locator('.tr-sheet tbody tr').nth(89).waitFor();
    await page.locator('.tr-how summary').click();
    await page.locator('.tr-how dl').waitFor();
    await page.setViewportSize({ width: 718, height: 1000 });
    await page.emulateMedia({ media: 'print' });
    await drawn(page);
    for (const control of ['.trends .tool', '.tr label', '.tr select']) assert.equal(await page.locator(`${control}:visible`).count(), 0, control);
    for (const told of ['.tr-range', '.tr .basis', '.tr-legend', '.tr-facts', '[data-chart=revenue] svg', '[data-chart=occupancy] .tr-total']) assert.ok(await page.locator(told).first().isVisible(), told);
    await page.locator('.tr-legend').getByText('período anterior').waitFor();
    assert.doesNotMatch(await page.locator('.tr').innerText(), /Comparar com/, 'a choice is not asked of paper');
    const cut = await page.locator('.tr-sheet').evaluate((sheet) => [sheet.scrollHeight - sheet.clientHeight, sheet.scrollWidth - sheet.clientWidth]);
    assert.deepEqual(cut, [0, 0], 'nothing of the table is cut off');
    await fits(page, 'paper');
    for (const metric of ['revenue', 'bookings', 'occupancy']) {
      const [drawing, room] = await page.locator(`[data-chart=${metric}]`).evaluate((chart) => [chart.querySelector('svg'), chart].map((one) => one.getBoundingClientRect().right));
      assert.ok(drawing <= room, `${metric}: ${drawing} of ${room}`);
    }
    // A hatched bar without its background would be an empty one.
    assert.equal(await page.locator('.tr').evaluate((node) => getComputedStyle(node).printColorAdjust), 'exact');
    assert.ok((await page.pdf({ preferCSSPageSize: true })).length > 10_000);
  }));

  test('the full hour and midnight pass while it is open: buckets and like for like follow', () => dashboard(browser, async ({ page, server }) => {
    await live(page);
    await page.locator('.trends header button').click();
    await page.locator('.tr-body').waitFor();
    const names = () => page.locator('.tr-sheet tbody tr').evaluateAll((rows) => rows.map((row) => row.firstElementChild.textContent));
    /** @type {any} the newest answer about all that is shown, not about the newest bucket alone */
    let answer;
    page.on('response', async (one) => {
      if (/trends\?.*compare=before/.test(one.url())) answer = { url: one.url(), ...await one.json() };
    });
    /**
     * What the page says is the server's answer to a question of this day.
     * @param {string} query
     */
    const agrees = async (query) => {
      assert.ok(answer.url.includes(query), `${answer.url}: ${query}`);
      const { totals } = answer;
      const amount = (/** @type {string | null} */ text) => Number((text ?? '').replace(/[^\d,]/g, '').replace(',', '.'));
      assert.equal(amount(await page.locator('[data-chart=revenue] .tr-total > b').textContent()), totals.revenue.value, query);
      assert.equal(amount(/antes (.*)$/.exec(await page.locator('[data-chart=revenue] .tr-change').textContent() ?? '')?.[1] ?? ''), totals.revenue.before, query);
    };
    /** Both clocks go on. @param {number} minutes */
    const pass = async (minutes) => {
      server.advance(minutes * 60_000);
      await page.clock.fastForward(minutes * 60_000);
    };
    const asOf = (/** @type {string} */ time) => page.locator('.tr .basis', { hasText: `dados de ${time}` }).first().waitFor({ timeout: TIMEOUT_MS });
    const range = (/** @type {number} */ days) => {
      const day = (/** @type {number} */ n) => new Date(Date.now() + server.ahead - 3 * 3_600_000 + n * 86_400_000).toISOString().slice(0, 10);
      return `from=${day(1 - days)}&to=${day(1)}&compare=before`;
    };
    await page.getByRole('button', { name: 'Ver como tabela' }).click();
    await page.getByRole('button', { name: 'Hoje', exact: true }).click();
    await page.locator('.tr-sheet tbody tr').nth(23).waitFor();
    assert.equal((await names()).findIndex((name) => /em andamento/.test(name)), 14);

    await pass(30); // 15:02: another hour is under way
    await page.locator('.tr-sheet tbody tr').nth(15).getByText('em andamento').waitFor({ timeout: TIMEOUT_MS });
    assert.equal((await names()).filter((name) => /em andamento/.test(name)).length, 1);
    await asOf('15:0');
    await agrees(`interval=hour&${range(1)}`);

    // By days the bucket is the same, and what it is compared with ends an hour later.
    await page.getByRole('button', { name: '7 dias', exact: true }).click();
    await page.locator('.tr-sheet tbody tr').nth(7).waitFor({ state: 'detached' });
    const week = await names();
    await pass(60);
    await asOf('16:0');
    assert.deepEqual(await names(), week);
    await agrees(`interval=day&${range(7)}`);

    await pass(8 * 60); // 00:02
    await asOf('00:0');
    const next = await names();
    assert.deepEqual(next.slice(0, 6), week.slice(1).map((name) => name.replace(' em andamento', '')));
    assert.match(next[6], /em andamento$/);
    await agrees(`interval=day&${range(7)}`);
    await page.getByRole('button', { name: 'Hoje', exact: true }).click();
    await page.locator('.tr-sheet tbody tr').nth(23).waitFor();
    assert.equal((await names()).findIndex((name) => /em andamento/.test(name)), 0);
    await agrees(`interval=hour&${range(1)}`);
  }, { server: { at: '14:32' }, before: ({ page }) => page.clock.install() }));

  test('744 buckets are drawn, each with its bar, its row and its place under the arrows', () => dashboard(browser, async ({ page, server }) => {
    await page.route(/\/trends\?interval=hour/, async (route) => {
      const { searchParams } = new URL(route.request().url());
      const to = Date.parse(`${searchParams.get('to')}T00:00:00Z`);
      // More than the server answers at once: the answers of three questions.
      const parts = [31, 21, 11].map((days, i) => {
        const at = (/** @type {number} */ n) => new Date(to - n * 86_400_000).toISOString().slice(0, 10);
        return /** @type {any} */ (trendsOf(new URLSearchParams({ interval: 'hour', from: at(days), to: at([21, 11, 0][i]), compare: 'before' }), Date.now() + server.ahead, server.owners.get('1')));
      });
      const joined = { ...parts[2], from: parts[0].from, buckets: parts.flatMap(({ buckets }) => buckets) };
      for (const side of ['series', 'before']) {
        joined[side] = Object.fromEntries(Object.keys(parts[0][side]).map((metric) => [metric, parts.flatMap((part) => part[side][metric])]));
      }
      await route.fulfill({ json: joined });
    });
    await open(page);
    await page.evaluate(() => {
      globalThis.longest = 0;
      new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) globalThis.longest = Math.max(globalThis.longest, duration);
      }).observe({ type: 'longtask' });
    });
    const count = (/** @type {string} */ metric, /** @type {string} */ kind) => page.locator(`[data-chart=${metric}] .tr-${kind}`).first().getAttribute('d').then((d) => (d ?? '').split('M').length - 1);
    await page.getByRole('button', { name: 'Hoje', exact: true }).click();
    await page.locator('[data-chart=revenue] input[max="743"]').waitFor({ state: 'attached' });
    await drawn(page);
    console.log(`# longest task of 744 buckets: ${await page.evaluate(() => Math.round(globalThis.longest))} ms`);
    const shown = await count('revenue', 'bars') + await count('revenue', 'now');
    assert.ok(shown > 700 && shown <= 744, `${shown} bars`);
    await fits(page, '744 buckets');
    const names = await page.locator('[data-chart=revenue] text[text-anchor=middle]').evaluateAll((texts) => texts.map((text) => text.getBoundingClientRect()).map(({ left, right }) => [left, right]));
    for (let i = 1; i < names.length; i++) assert.ok(names[i][0] >= names[i - 1][1], 'names below the axis do not meet');
    await page.getByRole('button', { name: 'Ver como tabela' }).click();
    await page.locator('.tr-sheet tbody tr').nth(743).waitFor();
    const slider = page.locator('[data-chart=revenue] input');
    await slider.focus();
    await slider.press('Home');
    const first = await slider.getAttribute('aria-valuetext');
    await slider.press('End');
    assert.notEqual(await slider.getAttribute('aria-valuetext'), first);
    assert.equal(await slider.inputValue(), '743');
  }));

  test('400 buckets are drawn, of which 300 are known, and the first paint loads nothing of them', () => dashboard(browser, async ({ page, server }) => {
    // As many days as the server answers at once.
    await page.route(/\/trends\?interval=day/, async (route) => {
      const { searchParams } = new URL(route.request().url());
      searchParams.set('from', new Date(Date.parse(`${searchParams.get('to')}T00:00:00Z`) - 400 * 86_400_000).toISOString().slice(0, 10));
      await route.fulfill({ json: trendsOf(searchParams, Date.now() + server.ahead, server.owners.get('1')) });
    });
    await live(page);
    assert.deepEqual(server.seen.urls.filter((url) => /client\/trends(\.|\/)/.test(url)), []);
    await page.evaluate(() => {
      globalThis.longest = 0;
      new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) globalThis.longest = Math.max(globalThis.longest, duration);
      }).observe({ type: 'longtask' });
    });
    await page.evaluate(() => (location.hash = 'trends=90&table=1'));
    await page.locator('.trends header button').click();
    await page.locator('.tr-sheet tbody tr').nth(399).waitFor();
    assert.equal(await page.locator('.tr-sheet tbody tr').count(), 400);
    console.log(`# longest task of 400 buckets: ${await page.evaluate(() => Math.round(globalThis.longest))} ms`);
    const boxes = async (/** @type {string} */ kind) => (await page.locator(`[data-chart=revenue] .tr-${kind}`).getAttribute('d') ?? '').split('M').length - 1;
    assert.equal(await boxes('bars') + await boxes('now'), 301, 'today, and 300 days before it');
    assert.equal(await boxes('unknown'), 99);
    const slider = page.locator('[data-chart=revenue] input');
    await slider.focus();
    await slider.press('Home');
    assert.match(await slider.getAttribute('aria-valuetext') ?? '', /: sem dados/);
    await slider.press('End');
    assert.equal(await slider.inputValue(), '399');
    assert.match(await slider.getAttribute('aria-valuetext') ?? '', /: R\$.*em andamento/);
    await fits(page, '400 buckets');
  }));
});
