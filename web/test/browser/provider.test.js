/**
 * The element in the portal's page with tokens of a provider, and our own page beside it, against
 * the real program: its keys are at an address, its users' ids in a nested claim, and its tokens
 * live for a minute.
 */
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { launch, openPage } from './chromium.js';
import { live } from './dashboard.js';
import { startProgram } from './program.js';

const ISSUER = 'https://abcdefghijklmnop.supabase.co/auth/v1';
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });

/** @type {import('node:http').Server} */
let portal;
let portalOrigin = '';
/** @type {Awaited<ReturnType<typeof startProgram>>} */
let program;
/** @type {pg.Client} */
let db;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {{ownerId: string, userId: string}} */
let owner;
let given = 0;
let kept = { until: 0, token: '' };

const encode = (/** @type {object} */ value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token as Supabase signs them, here with ES384. @param {object} differ */
function token(differ = {}) {
  const now = Math.floor(Date.now() / 1000);
  const text = `${encode({ alg: 'ES384', typ: 'JWT', kid: 'k1' })}.${encode({
    iss: ISSUER, aud: 'authenticated', sub: randomUUID(), iat: now, exp: now + 60, role: 'authenticated', is_anonymous: false,
    app_metadata: { provider: 'email', portal_id: Number(owner.userId) }, ...differ })}`;
  return `${text}.${sign('sha384', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

before(async () => {
  portal = createServer((request, response) => {
    const answer = (/** @type {string} */ type, /** @type {string} */ body) => response.writeHead(200, { 'Content-Type': type }).end(body);
    switch (request.url) {
      case '/jwks': return void answer('application/json', JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'ES384' }] }));
      case '/cached': { // as a provider's own client: the same token until shortly before its end
        const now = Math.floor(Date.now() / 1000);
        if (now >= kept.until) kept = { until: now + 15, token: token({ exp: now + 18 }) };
        return void answer('application/json', JSON.stringify({ token: kept.token }));
      }
      case '/token': given++; return void answer('application/json', JSON.stringify({ token: token() }));
      case '/': case '/?cached': return void answer('text/html; charset=utf-8', `<!DOCTYPE html><html lang="pt-BR"><title>Portal</title>
<realtime-metrics-display server="${program.origin}" owner-id="${owner.ownerId}"></realtime-metrics-display><script type="module">
import '${program.origin}/client/element.js';
document.querySelector('realtime-metrics-display').token = async () => (await (await fetch(location.search ? '/cached' : '/token')).json()).token;
</script></html>`);
      default: return void response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => portal.listen(0, '127.0.0.1', () => resolve(undefined)));
  portalOrigin = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (portal.address()).port}`;
  program = await startProgram(['--allowed-origins', portalOrigin, '--jwks-url', `${portalOrigin}/jwks`, '--jwt-issuer', ISSUER,
    '--jwt-audience', 'authenticated', '--jwt-user-claim', '/app_metadata/portal_id', '--jwt-required-claims', 'is_anonymous=false']);
  db = new pg.Client(program.database);
  await db.connect();
  const { rows } = await db.query('SELECT id::text AS "ownerId", user_id::text AS "userId" FROM hangar_owners ORDER BY id LIMIT 1');
  [owner] = rows;
  browser = await launch();
});
after(async () => {
  await browser?.close();
  portal?.closeAllConnections();
  portal?.close();
  await db?.end();
  await program?.stop();
});

test('the element in the portal’s page lives by the provider’s tokens', async () => {
  const { page, close } = await openPage(browser, portalOrigin);
  try {
    await page.goto(portalOrigin);
    await live(page);
    await db.query(`WITH guest AS (INSERT INTO users (first_name, last_name, email, password_hash, role)
        VALUES ('Provedora', 'Externa', 'externa@example.com', '-', 'user') RETURNING id)
      INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status)
      SELECT l.id, guest.id, now() + interval '400 days', now() + interval '403 days', 3, 1200, 100, 1300, 'confirmed'
      FROM hangar_listings l, guest WHERE l.owner_id::text = $1 ORDER BY l.id LIMIT 1`, [owner.ownerId]);
    await page.locator('[data-list=feed] li', { hasText: 'Provedora' }).first().waitFor();
    assert.ok(given >= 1 && given < 10, `the page was asked for ${given} tokens`);
  } finally {
    await close();
  }
});

test('a provider’s cache: short tokens follow each other on one stream, each told of once', async () => {
  const { page, close } = await openPage(browser, portalOrigin);
  /** @type {string[]} */
  const told = [];
  const renewed = new Promise((resolve) => page.on('websocket', (socket) => {
    told.push('opened');
    socket.on('framereceived', ({ payload }) => {
      const [, type] = /"type":"(token_expiring|refreshed|token_expired)"/.exec(String(payload)) ?? [];
      if (type) told.push(type);
      if (told.filter((one) => one === 'refreshed').length === 2) resolve(undefined);
    });
  }));
  try {
    await page.goto(`${portalOrigin}/?cached`);
    await live(page);
    await renewed;
    assert.deepEqual(told, ['opened', 'token_expiring', 'refreshed', 'token_expiring', 'refreshed']);
  } finally {
    await close();
  }
});

test('the page at / lives beside it, by the server’s own tokens', async () => {
  const { page, complaints, close } = await openPage(browser, program.origin);
  try {
    await page.goto(program.origin);
    await live(page);
    assert.deepEqual(complaints, []);
  } finally {
    await close();
  }
});

test('tokens of another purpose, issuer or secret are refused', async () => {
  const ask = async (/** @type {string} */ bearer) => (await fetch(`${program.origin}/api/auth/me`, { headers: { Authorization: `Bearer ${bearer}` } })).status;
  assert.equal(await ask(token()), 200);
  assert.equal(await ask(token({ is_anonymous: true })), 401);
  assert.equal(await ask(token({ iss: 'https://other.supabase.co/auth/v1' })), 401);
  assert.equal(await ask(token({ aud: 'other' })), 401);
  assert.equal(await ask(token({ app_metadata: {}, sub: owner.userId })), 401);
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub: owner.userId, exp: 9999999999 })}`;
  assert.equal(await ask(`${text}.${createHmac('sha256', publicKey.export({ type: 'spki', format: 'pem' })).update(text).digest('base64url')}`), 401);
});
