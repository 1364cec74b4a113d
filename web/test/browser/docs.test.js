/** The pages beside the dashboard, from the real program: for developers, and for operators. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage } from './chromium.js';
import { accessible, fits } from './dashboard.js';
import { startProgram } from './program.js';
import { freePort } from '../freeport.js';

/** @type {Awaited<ReturnType<typeof startProgram>>} */
let program;
/** @type {import('playwright-core').Browser} */
let browser;
/** Where operators reach the program, and what it asks of them. */
let operators = '';
const TOKEN = 'a token of operators';
before(async () => {
  operators = `127.0.0.1:${await freePort()}`;
  program = await startProgram(['--admin-addr', operators, '--admin-token', TOKEN]);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await program?.stop();
});

test('the page shows all messages, copies code and goes live, under the strict policy', async () => {
  const { page, complaints, close } = await openPage(browser, program.origin, { permissions: ['clipboard-read', 'clipboard-write'] });
  await page.goto(`${program.origin}/docs/client`);
  await page.locator('#schema-MetricsUpdated').waitFor();
  const { components: { schemas } } = await (await fetch(`${program.origin}/openapi.json`)).json();
  const shown = await page.locator('#messages > details').evaluateAll((all) => all.map(({ id }) => id.slice('schema-'.length)));
  const wanted = ['Message', ...schemas.Message.oneOf.map(({ $ref }) => $ref.split('/').at(-1)), 'ClientMessage', 'RealTimeMetrics', 'OccupancyChange', 'ClientAuth'];
  assert.deepEqual(wanted.filter((name) => !shown.includes(name)), []);
  const dangling = await page.locator('a[href^="#"]').evaluateAll((links) => links.map((link) => link.getAttribute('href')).filter((to) => !document.getElementById(to.slice(1))));
  assert.deepEqual(dangling, [], 'every link leads somewhere');

  await page.locator('#react').getByRole('button', { name: 'Copy' }).click();
  await page.getByText('Copied.').waitFor();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /useRealtimeStats\(\{ ownerId, token, server \}\)/);

  await page.locator('a[href="#schema-RealTimeMetrics"]').first().click();
  await page.locator('#schema-RealTimeMetrics[open]').waitFor();

  await page.getByRole('button', { name: /demo owner/ }).click();
  await page.locator('realtime-metrics-display').getByText('Ao vivo').waitFor();
  await page.setViewportSize({ width: 320, height: 800 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is cut at 320 px');
  assert.deepEqual(complaints, []);
  await close();
});

test('operators see a connection come, end it and see it go; axe finds nothing at any theme and width', async () => {
  const origin = `http://${operators}`;
  const httpCredentials = { username: 'anybody', password: TOKEN };
  const { page, complaints, close } = await openPage(browser, origin, { httpCredentials });
  await page.goto(`${origin}/admin/`);
  await page.locator('#word', { hasText: /^ready$/ }).waitFor();
  await page.locator('#parts').getByText('listener', { exact: true }).waitFor();

  const demo = await (await fetch(`${program.origin}/api/auth/demo`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' })).json();
  const stream = await fetch(`${program.origin}/api/sse`, { headers: { Authorization: `Bearer ${demo.token}` } });
  const told = /** @type {ReadableStream<Uint8Array>} */ (stream.body).pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  const next = async (/** @type {RegExp} */ wanted) => {
    for (;;) {
      const found = wanted.exec(text);
      if (found) return found;
      const { value, done } = await told.read();
      assert.ok(!done, `the stream ended before ${wanted}: ${text}`);
      text += value;
    }
  };
  const [, connection] = await next(/"connectionId":"(\w+)"/);
  const row = page.locator('#connections tr').filter({ hasText: connection });
  await row.waitFor(); // without a reload
  await Promise.all([next(/server_closing/), row.getByRole('button', { name: 'Disconnect' }).click()]);
  await told.cancel();
  await page.locator('h1').click(); // the list stays while one of its buttons has the focus
  await row.waitFor({ state: 'detached' });

  await page.locator('#disconnect input[name=id]').fill('nobody');
  await page.locator('#disconnect button').click();
  await page.locator('#figures').getByText('Event streams').waitFor();
  assert.equal(await page.locator('#problem').isVisible(), false);
  assert.deepEqual([complaints, await page.evaluate(() => globalThis.violations)], [[], []]);
  await close();

  for (const colorScheme of ['light', 'dark']) {
    const opened = await openPage(browser, origin, { httpCredentials, colorScheme, bypassCSP: true });
    await opened.page.goto(`${origin}/admin/`);
    await opened.page.locator('#word', { hasText: /^ready$/ }).waitFor();
    for (const width of [1280, 360]) {
      await opened.page.setViewportSize({ width, height: 900 });
      await accessible(opened.page, `${width} px, ${colorScheme}`);
      await fits(opened.page, `${width} px, ${colorScheme}`);
    }
    await opened.close();
  }
});
