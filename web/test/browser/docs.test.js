/** The page for front-end developers, from the real program. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage } from './chromium.js';
import { startProgram } from './program.js';

/** @type {Awaited<ReturnType<typeof startProgram>>} */
let program;
/** @type {import('playwright-core').Browser} */
let browser;
before(async () => {
  [program, browser] = await Promise.all([startProgram(), launch()]);
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
