/**
 * Our own page without a sign-in of its own: the portal's session is in a cookie that no script can
 * read, a provider's token or one that only the portal understands. Against the real program.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { launch, openPage } from './chromium.js';
import { live } from './dashboard.js';
import { startProgram } from './program.js';
import { TIMEOUT_MS } from '../timeout.js';

const ISSUER = 'https://sso.portal.example/realms/portal';
const { publicKey, privateKey } = generateKeyPairSync('ed25519');

/** @type {import('node:http').Server} */
let portal;
let portalOrigin = '';
/** @type {Awaited<ReturnType<typeof startProgram>>} */
let demo;
/** @type {Awaited<ReturnType<typeof startProgram>>} */
let byToken;
/** @type {Awaited<ReturnType<typeof startProgram>>} */
let byHook;
/** @type {pg.Client} */
let db;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {{ownerId: string, userId: string}[]} */
let owners;
/**
 * Users by opaque sessions of the portal; each question makes a session last 15 s more.
 * @type {Map<string, string>}
 */
const sessions = new Map();

const encode = (/** @type {object} */ value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** @param {string} userId @param {number} seconds that it lives */
function token(userId, seconds) {
  const now = Math.floor(Date.now() / 1000);
  const text = `${encode({ alg: 'EdDSA', typ: 'JWT', kid: 'k1' })}.${encode({ iss: ISSUER, aud: 'portal-live', sub: userId, iat: now, exp: now + seconds })}`;
  return `${text}.${sign(null, Buffer.from(text), privateKey).toString('base64url')}`;
}

before(async () => {
  portal = createServer((request, response) => {
    if (request.url === '/jwks') return void response.end(JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'EdDSA' }] }));
    const [, id = ''] = /(?:^|; )portal_session=([^;]+)/.exec(request.headers.cookie ?? '') ?? [];
    const userId = sessions.get(id);
    response.writeHead(userId ? 200 : 401).end(JSON.stringify(userId ? { userId, expiresAt: Date.now() + 15_000 } : null));
  });
  await new Promise((resolve) => portal.listen(0, '127.0.0.1', () => resolve(undefined)));
  portalOrigin = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (portal.address()).port}`;
  demo = await startProgram(); // a portal with owners who book, whose database the others share
  byToken = await startProgram(['--jwks-url', `${portalOrigin}/jwks`, '--jwt-issuer', ISSUER, '--jwt-audience', 'portal-live', '--jwt-cookie', '__session,jwt'], demo.address);
  byHook = await startProgram(['--auth-hook-url', `${portalOrigin}/whoami`], demo.address);
  db = new pg.Client(demo.database);
  await db.connect();
  ({ rows: owners } = await db.query('SELECT id::text AS "ownerId", user_id::text AS "userId" FROM hangar_owners ORDER BY id LIMIT 2'));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  portal?.closeAllConnections();
  portal?.close();
  await db?.end();
  await Promise.all([byToken, byHook].map((program) => program?.stop()));
  await demo?.stop();
});

/** @param {string} guest @param {string} ownerId */
const book = (guest, ownerId) => db.query(`WITH guest AS (INSERT INTO users (first_name, last_name, email, password_hash, role)
    VALUES ($1::text, 'Externa', $1::text || '@example.com', '-', 'user') RETURNING id)
  INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status)
  SELECT l.id, guest.id, now() + interval '400 days', now() + interval '403 days', 3, 1200, 100, 1300, 'confirmed'
  FROM hangar_listings l, guest WHERE l.owner_id::text = $2 ORDER BY l.id LIMIT 1`, [guest, ownerId]);

/**
 * @param {typeof byToken} program
 * @param {(page: import('playwright-core').Page,
 *   tools: {cookie(name: string, value: string): Promise<void>, asked: string[],
 *   complaints: string[]}) => Promise<void>} run
 */
async function visit(program, run) {
  const { page, complaints, close } = await openPage(browser, program.origin);
  /** @type {string[]} what was sent of tokens, other than by cookie */
  const asked = [];
  page.on('request', (request) => {
    const { authorization } = request.headers();
    if (authorization || /token|bearer|eyJ/i.test(request.url())) asked.push(`${request.url()} ${authorization}`);
  });
  const { hostname } = new URL(program.origin);
  const cookie = (/** @type {string} */ name, /** @type {string} */ value) => page.context()
    .addCookies([{ name, value, domain: hostname, path: '/', httpOnly: true, sameSite: 'Strict' }]);
  try {
    await run(page, { cookie, asked, complaints });
    assert.deepEqual(asked, [], 'a token left the cookie');
  } finally {
    await close();
  }
}

/**
 * How many streams were opened; the page forgets it with a reload.
 * @param {import('playwright-core').Page} page
 */
const watchSockets = (page) => page.addInitScript(() => {
  const { WebSocket } = globalThis;
  const all = /** @type {any} */ (globalThis);
  all.sockets = [];
  all.WebSocket = class extends WebSocket {
    /** @param {string} url @param {string | string[]} protocols */
    constructor(url, protocols) {
      super(url, protocols);
      all.sockets.push([protocols].flat());
    }
  };
});

test('a provider’s token in an HttpOnly cookie: the page lives, and sends no token', () => visit(byToken, async (page, { cookie, complaints }) => {
  await watchSockets(page);
  await cookie('__session', token(owners[0].userId, 3600));
  await page.goto(byToken.origin);
  await live(page);
  await book('Vivaldina', owners[0].ownerId);
  await page.locator('[data-list=feed] li', { hasText: 'Vivaldina' }).first().waitFor();
  assert.deepEqual(await page.evaluate(() => /** @type {any} */ (globalThis).sockets), [['hangarshare.v1']]);
  assert.equal(await page.getByRole('button', { name: 'Sair' }).count(), 0, 'the portal’s session is not ours to end');
  assert.deepEqual(complaints, []);
}));

test('its token ends: the page takes the cookie’s next one, and says where to sign in once there is none', () => visit(byToken, async (page, { cookie }) => {
  await watchSockets(page);
  await cookie('__session', token(owners[0].userId, 20));
  const dialled = page.waitForEvent('websocket');
  await page.goto(byToken.origin);
  await dialled;
  await cookie('__session', token(owners[0].userId, 25)); // the portal, in another tab
  await live(page);
  await page.getByText('Sua sessão no portal expirou').waitFor({ timeout: TIMEOUT_MS });
  // Once by each cookie; what a token outlived is not dialled with.
  assert.equal(await page.evaluate(() => /** @type {any} */ (globalThis).sockets.length), 2);
  await cookie('__session', token(owners[0].userId, 3600));
  await page.evaluate(() => dispatchEvent(new Event('focus')));
  await live(page);
}));

test('another user signs in at the portal: nothing of the former stays', () => visit(byToken, async (page, { cookie }) => {
  await cookie('__session', token(owners[0].userId, 3600));
  await page.goto(byToken.origin);
  await live(page);
  assert.equal(await page.locator('realtime-metrics-display').getAttribute('owner-id'), owners[0].ownerId);
  await cookie('__session', token(owners[1].userId, 3600));
  await page.getByRole('button', { name: 'Reconectar' }).click();
  await page.locator(`realtime-metrics-display[owner-id="${owners[1].ownerId}"]`).waitFor();
  await live(page);
}));

test('without a session, where there are no passwords, the page leads to the portal', () => visit(byToken, async (page) => {
  await page.goto(byToken.origin);
  await page.getByText('Este servidor não aceita entrada por senha').waitFor();
  assert.equal(await page.locator('form').count(), 0);
}));

test('a session that only the portal understands: asked of it, live, and over with it', () => visit(byHook, async (page, { cookie, complaints }) => {
  sessions.set('s1', owners[0].userId);
  await cookie('portal_session', 's1');
  await page.goto(byHook.origin);
  await live(page);
  await book('Hortência', owners[0].ownerId);
  await page.locator('[data-list=feed] li', { hasText: 'Hortência' }).first().waitFor();
  assert.deepEqual(complaints, []);
  sessions.delete('s1');
  await page.getByText('Sua sessão no portal expirou').waitFor({ timeout: TIMEOUT_MS });
}));

test('a WebSocket that does not come through: the cookie goes with SSE too', () => visit(byToken, async (page, { cookie }) => {
  await page.addInitScript(() => {
    /** @type {any} */ (globalThis).WebSocket = class { constructor() { setTimeout(() => /** @type {any} */ (this).onclose?.({ code: 1006 }), 1); } close() {} };
  });
  await cookie('__session', token(owners[0].userId, 3600));
  const streamed = page.waitForRequest((request) => request.url().includes('/api/sse?'));
  await page.goto(byToken.origin);
  await streamed;
  await live(page);
}));
