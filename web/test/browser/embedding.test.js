/**
 * The element in another site's page: another origin, a strict policy, hostile resets. Also the
 * page while it is developed. Against the real program.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { launch, openPage } from './chromium.js';
import { accessible, live } from './dashboard.js';
import { startProgram } from './program.js';
import { insert } from './client-page.js';

/** Rules of the surrounding page, all of which would change an element without a shadow tree. */
const RESETS = `html { font-size: 62.5%; direction: rtl; writing-mode: vertical-lr }
* { all: unset; font: italic 3px/9 monospace; letter-spacing: 1em; color: red; text-transform: uppercase; text-align: right; visibility: hidden; user-select: none; cursor: wait }
body, realtime-metrics-display { visibility: hidden; white-space: pre; word-spacing: 2em; text-indent: 9em; list-style: square; border-collapse: collapse; quotes: none; zoom: 1 }
:root { --ink: red; --surface: red; --line: red; --soft: red }
button { display: none !important } section, header, ol { float: left !important; width: 1px !important }`;

let foreignOrigin = '';
/** @type {import('node:http').Server} */
let foreign;
/** @type {Awaited<ReturnType<typeof startProgram>>} */
let program;
/** @type {import('playwright-core').Browser} */
let browser;

/**
 * What the other site serves. Its policy allows our origin what the element needs, and nothing
 * else.
 */
function files() {
  const socket = program.origin.replace('http', 'ws');
  return {
    '/': { type: 'text/html; charset=utf-8', body: `<!DOCTYPE html><html lang="pt-BR"><title>Portal</title><link rel="stylesheet" href="/resets.css">
<main><realtime-metrics-display server="${program.origin}"></realtime-metrics-display></main><script type="module" src="/app.js"></script></html>` },
    '/resets.css': { type: 'text/css', body: RESETS },
    '/app.js': { type: 'text/javascript', body: `import '${program.origin}/client/element.js';
const answer = await fetch('/token');
const { token, ownerId } = await answer.json();
const element = document.querySelector('realtime-metrics-display');
element.setAttribute('owner-id', ownerId);
element.token = token;` },
    policy: `default-src 'none'; script-src 'self' ${program.origin}; style-src 'self'; connect-src 'self' ${program.origin} ${socket}; base-uri 'none';`
      + " require-trusted-types-for 'script'; trusted-types 'none'",
  };
}

before(async () => {
  foreign = createServer(async (request, response) => {
    // The other site's server asks ours for a token.
    if (request.url === '/token') {
      const answer = await fetch(`${program.origin}/api/auth/demo`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' });
      response.setHeader('Content-Type', 'application/json');
      return void response.end(await answer.text());
    }
    const all = /** @type {Record<string, any>} */ (files());
    const file = all[request.url ?? ''];
    if (!file) return void response.writeHead(404).end();
    response.writeHead(200, { 'Content-Type': file.type, 'Content-Security-Policy': all.policy });
    response.end(file.body);
  });
  await new Promise((resolve) => foreign.listen(0, '127.0.0.1', () => resolve(undefined)));
  foreignOrigin = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (foreign.address()).port}`;
  const folder = new URL('../../static', import.meta.url).pathname;
  program = await startProgram(['--allowed-origins', foreignOrigin, '--dev', folder]);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  foreign?.closeAllConnections();
  foreign?.close();
  await program?.stop();
});

/** What the element looks like, inside. @param {import('playwright-core').Page} page */
const looks = (page) => page.evaluate(() => {
  const root = /** @type {ShadowRoot} */ (/** @type {HTMLElement} */ (document.querySelector('realtime-metrics-display')).shadowRoot);
  const value = /** @type {HTMLElement} */ (root.querySelector('.line'));
  const { fontSize, letterSpacing, color, textTransform, textAlign, visibility, direction, writingMode, fontStyle, whiteSpace, textIndent } = getComputedStyle(value);
  return { fontSize, letterSpacing, color, textTransform, textAlign, visibility, direction, writingMode, fontStyle, whiteSpace, textIndent,
    button: getComputedStyle(/** @type {Element} */ (root.querySelector('.tool'))).display };
});

test('in a page of another origin, with a strict policy and hostile resets, it looks and works the same', async () => {
  const ours = await openPage(browser, program.origin);
  await ours.page.goto(program.origin);
  await live(ours.page);
  const expected = await looks(ours.page);
  await ours.close();

  const { page, complaints, close } = await openPage(browser, foreignOrigin);
  try {
    await page.goto(foreignOrigin);
    await live(page);
    assert.deepEqual(await looks(page), expected);
    await page.getByRole('button', { name: 'Pausar' }).click();
    await page.getByText(/^Atualizações pausadas/).waitFor();
    assert.deepEqual(await page.evaluate(() => /** @type {any} */ (globalThis).violations), []);
    assert.deepEqual(complaints.filter((one) => !one.startsWith(`foreign request ${program.origin}/`)), []);
  } finally {
    await close();
  }
});

test('the other site\'s page is accessible too', async () => {
  const { page, close } = await openPage(browser, foreignOrigin, { bypassCSP: true });
  try {
    await page.route('**/resets.css', (route) => route.fulfill({ body: '', contentType: 'text/css' }));
    await page.goto(foreignOrigin);
    await live(page);
    await page.evaluate(() => {
      const title = document.createElement('h1');
      title.textContent = 'Portal';
      document.querySelector('main')?.prepend(title);
    });
    await accessible(page, 'foreign');
  } finally {
    await close();
  }
});

test('the debug panel is there with --dev and ?debug=1, and names no person', async () => {
  const db = new pg.Client(program.database);
  await db.connect();
  const { page, complaints, close } = await openPage(browser, program.origin);
  try {
    const session = page.waitForResponse('**/api/auth/demo').then((answer) => answer.json());
    await page.goto(`${program.origin}/?debug=1`);
    await live(page);
    const panel = page.getByRole('region', { name: 'Debug' });
    await panel.getByText(/^status +live$/m).waitFor();
    const { token, ownerId } = await session;
    await insert(db, ownerId);
    await panel.getByText(/booking_created \d/).waitFor();
    const said = await panel.textContent() ?? '';
    const names = await page.locator('.guest').allTextContents();
    assert.ok(names.length > 0);
    const isolated = await page.locator('.guest').evaluateAll((all) => all.every((one) => one.matches('bdi') || one.firstElementChild?.matches('bdi')));
    assert.ok(isolated, 'a name turns the words beside it round');
    for (const secret of [token, ...names.filter(Boolean)]) assert.ok(!said.includes(secret), `it tells ${secret}`);
    await page.goto(program.origin);
    await live(page);
    assert.equal(await panel.count(), 0);
    assert.deepEqual(complaints, []);
  } finally {
    await close();
    await db.end();
  }
});
