/**
 * What the tests of the page share: a dashboard with its own server, and where things are on it.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { openPage } from './chromium.js';
import { midnight, startFakeServer } from './fake-server.js';

export const DISCONNECTED = 'Desconectado - Tentando reconectar...';
const axeSource = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** @typedef {Awaited<ReturnType<typeof startFakeServer>>} Server */
/** @typedef {import('playwright-core').Page} Page */

/**
 * Opens the dashboard and ends it together with its server.
 * @param {import('playwright-core').Browser} browser
 * @param {(all: {server: Server, page: Page, complaints: string[],
 *   close: () => Promise<void>}) => Promise<void>} run
 * @param {{server?: object, page?: object, before?: (all: {server: Server,
 *   page: Page}) => unknown}} [options]
 * `before` the page is asked for; what it adds is there for `run`
 */
export async function dashboard(browser, run, { server: serverOptions, page: pageOptions, before } = {}) {
  const server = await startFakeServer(serverOptions);
  const opened = await openPage(browser, server.url, pageOptions);
  try {
    const all = { server, ...opened };
    await before?.(all);
    await opened.page.goto(server.url);
    await run(all);
  } finally {
    server.faults.release();
    await opened.close();
    await server.stop();
  }
}

export const booking = (/** @type {string} */ bookingId, change = {}) => ({
  id: bookingId, bookingId, hangarNumber: 'A-03', guestName: 'Carlos Nogueira', amount: 1350, duration: 3,
  checkInDate: midnight(1), checkOutDate: midnight(4), ...change,
});
export const card = (/** @type {Page} */ page, /** @type {string} */ name) => page.locator(`[data-metric=${name}] .value`);
export const rowsOf = (/** @type {Page} */ page, list = 'feed') => page.locator(`[data-list=${list}] li`);

/** Live, with all its parts. @param {Page} page */
export async function live(page) {
  await page.getByText('Ao vivo', { exact: true }).waitFor();
  await page.locator('.agenda:not(.loading)').waitFor();
  await page.getByRole('heading', { name: 'Hangares', exact: true }).waitFor();
}

/** Also those of today who have come and gone. @param {Page} page */
export async function wholeDay(page) {
  // One less with each click.
  const folds = page.locator('.agenda button[aria-expanded=false]:visible');
  for (let left = await folds.count(); left > 0; left--) await folds.first().click();
}

/** Two frames, after which everything asked for is drawn. @param {Page} page */
export const drawn = (page) => page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));

/**
 * Holds the page against axe-core, which needs a context that bypasses the policy. Only of what is
 * wrong it names all elements, which spares it work.
 * @param {Page} page @param {string} where @param {object} [rules] that do not apply
 */
export async function accessible(page, where, rules = {}) {
  if (!await page.evaluate(() => 'axe' in globalThis)) await page.evaluate(axeSource);
  const { violations } = await page.evaluate((chosen) => /** @type {any} */ (globalThis).axe.run({ rules: chosen, resultTypes: ['violations'] }), rules);
  assert.deepEqual(violations.map((/** @type {any} */ { id, nodes }) => `${id}: ${nodes.map((/** @type {any} */ { html }) => html).join(' ')}`), [], where);
}

/** No loss of content to the right. @param {Page} page @param {string} where */
export async function fits(page, where) {
  const [content, width] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= width, `${where}: ${content} px of content on ${width} px`);
}
