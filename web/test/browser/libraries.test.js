/**
 * Tokens and sessions that real sign-in libraries make, against the real program: jose,
 * oidc-provider, Auth.js, better-auth.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { decode, encode } from '@auth/core/jwt';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { toNodeHandler } from 'better-auth/node';
import { jwt } from 'better-auth/plugins';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';
import pg from 'pg';
import { startProgram } from './program.js';

const SECRET = randomBytes(32).toString('hex');
const COOKIE = 'authjs.session-token';
const AUDIENCE = 'https://live.portal.example';

/** @type {import('node:http').Server} */
let portal;
let origin = '';
/** @type {any} */
let provider;
/** @type {any} */
let auth;
/**
 * Whose column holds better-auth's id.
 * @type {(authId: string) => Promise<{id: string} | undefined>}
 */
let rowOf;
/** @type {Awaited<ReturnType<typeof startProgram>>[]} */
const programs = [];
let userId = '';
/** @type {CryptoKey} */
let privateKey;

/**
 * The portal's route for AUTH_HOOK_URL, as docs/sign-in.md has it for Auth.js.
 * @param {import('node:http').IncomingMessage} request
 */
async function whoIs(request) {
  const token = (request.headers.cookie ?? '').split('; ').find((one) => one.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1);
  const session = token && await decode({ token, secret: SECRET, salt: COOKIE }).catch(() => null);
  return session ? { userId: session.sub, expiresAt: Number(session.exp) * 1000 } : null;
}

/** @param {string[]} flags @param {string} [address] */
async function start(flags, address) {
  const program = await startProgram(flags, address);
  programs.push(program);
  return program;
}

/** @param {string} server @param {Record<string, string>} headers */
const me = async (server, headers) => (await fetch(`${server}/api/auth/me`, { headers })).status;

before(async () => {
  const pair = await generateKeyPair('Ed25519', { extractable: true });
  privateKey = pair.privateKey;
  const keys = [{ ...await exportJWK(pair.publicKey), kid: 'jose', alg: 'Ed25519', use: 'sig' }];
  portal = createServer(async (request, response) => {
    if (request.url === '/jose/jwks') return void response.setHeader('Content-Type', 'application/json').end(JSON.stringify({ keys }));
    if (request.url === '/whoami') {
      const known = await whoIs(request);
      return void response.writeHead(known ? 200 : 401, { 'Content-Type': 'application/json' }).end(JSON.stringify(known));
    }
    if (request.url?.startsWith('/api/auth/')) return void toNodeHandler(auth)(request, response);
    if (request.url === '/better/whoami') { // as docs/sign-in.md has it
      const known = await auth.api.getSession({ headers: new Headers({ cookie: request.headers.cookie ?? '' }) });
      const body = known && { userId: (await rowOf(known.user.id))?.id, expiresAt: known.session.expiresAt };
      return void response.writeHead(known ? 200 : 401, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    }
    provider.callback()(request, response);
  });
  await new Promise((resolve) => portal.listen(0, '127.0.0.1', () => resolve(undefined)));
  origin = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (portal.address()).port}`;
  provider = new Provider(origin, {
    clients: [{ client_id: 'batch', client_secret: SECRET, grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }],
    features: {
      devInteractions: { enabled: false }, clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true, defaultResource: () => AUDIENCE,
        getResourceServerInfo: () => ({ scope: 'live', audience: AUDIENCE, accessTokenFormat: 'jwt' }),
      },
    },
    findAccount: (/** @type {unknown} */ _, /** @type {string} */ id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  });
});
after(async () => {
  for (const program of programs.reverse()) await program.stop(); // the first one has the database
  portal?.closeAllConnections();
  portal?.close();
});

/** A demo owner's user. @param {Awaited<ReturnType<typeof startProgram>>} program */
async function ownerOf(program) {
  const db = new pg.Client(program.database);
  await db.connect();
  const { rows: [row] } = await db.query('SELECT user_id::text AS id FROM hangar_owners ORDER BY id LIMIT 1');
  await db.end();
  return row.id;
}

test('jose: Ed25519 by its own name, and the token of a route that signs', async () => {
  const program = await start(['--jwks-url', `${origin}/jose/jwks`, '--jwt-issuer', origin, '--jwt-audience', AUDIENCE, '--jwt-secret', SECRET,
    '--auth-hook-url', `${origin}/whoami`]);
  userId = await ownerOf(program);
  const made = (/** @type {string} */ aud) => new SignJWT({}).setProtectedHeader({ alg: 'Ed25519', kid: 'jose', typ: 'at+jwt' })
    .setSubject(userId).setIssuer(origin).setAudience(aud).setIssuedAt().setExpirationTime('60s').sign(privateKey);
  assert.equal(await me(program.origin, { Authorization: `Bearer ${await made(AUDIENCE)}` }), 200);
  assert.equal(await me(program.origin, { Authorization: `Bearer ${await made('other')}` }), 401);
  const own = await new SignJWT({ sub: userId }).setProtectedHeader({ alg: 'HS256' }).setIssuedAt().setExpirationTime('5m')
    .sign(new TextEncoder().encode(SECRET));
  assert.equal(await me(program.origin, { Authorization: `Bearer ${own}` }), 200);
});

test('Auth.js: its encrypted session is nothing by itself, and the portal says whose it is', async () => {
  const [program] = programs;
  const session = await encode({ token: { sub: userId, name: 'Ana' }, secret: SECRET, salt: COOKIE, maxAge: 3600 });
  assert.equal(session.split('.').length, 5);
  assert.equal(await me(program.origin, { Cookie: `theme=dark; ${COOKIE}=${session}` }), 200);
  assert.equal(await me(program.origin, { Cookie: `theme=dark; ${COOKIE}=${session.slice(0, -4)}AAAA` }), 401);
  assert.equal(await me(program.origin, { Cookie: `${COOKIE}=${session}`, Origin: 'https://evil.example' }), 403);
  const stranger = await encode({ token: { sub: userId }, secret: `${SECRET}x`, salt: COOKIE });
  assert.equal(await me(program.origin, { Cookie: `${COOKIE}=${stranger}` }), 401);
});

test('oidc-provider: its users’ tokens count, a program’s do not', async () => {
  const program = await start(['--jwks-url', `${origin}/jwks`, '--jwt-issuer', origin, '--jwt-audience', AUDIENCE, '--jwt-secret', SECRET]);
  const user = await ownerOf(program);
  const minted = new provider.AccessToken({ accountId: user, client: await provider.Client.find('batch'), grantId: 'g', scope: 'live', gty: 'authorization_code' });
  minted.resourceServer = new provider.ResourceServer(AUDIENCE, { scope: 'live', audience: AUDIENCE, accessTokenFormat: 'jwt' });
  const own = await minted.save();
  assert.equal(await me(program.origin, { Authorization: `Bearer ${own}` }), 200);
  const answer = await fetch(`${origin}/token`, {
    method: 'POST', headers: { Authorization: `Basic ${Buffer.from(`batch:${SECRET}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'live', resource: AUDIENCE }),
  });
  const { access_token: machine } = await answer.json();
  assert.equal(machine?.split('.').length, 3, `the provider answers ${answer.status}`);
  assert.equal(await me(program.origin, { Authorization: `Bearer ${machine}` }), 401);
});

test('better-auth: the tokens of its plugin by JWKS_URL, and its opaque sessions by the hook', async () => {
  const [{ address, database }] = programs;
  const db = new pg.Client(database);
  await db.connect();
  try {
    await db.query('ALTER TABLE users ADD auth_id text UNIQUE');
    rowOf = async (authId) => (await db.query('SELECT id::text FROM users WHERE auth_id = $1', [authId])).rows[0];
    auth = betterAuth({
      baseURL: origin, secret: SECRET, database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
      emailAndPassword: { enabled: true }, plugins: [jwt()], telemetry: { enabled: false },
    });
    const signedUp = await auth.api.signUpEmail({ body: { name: 'Ana', email: 'ana@portal.example', password: SECRET }, asResponse: true });
    const { user: { id } } = await signedUp.json();
    const cookie = signedUp.headers.getSetCookie().map((/** @type {string} */ one) => one.split(';')[0]).join('; ');
    await db.query('UPDATE users SET auth_id = $1 WHERE id::text = $2', [id, userId]);
    const { token } = await (await fetch(`${origin}/api/auth/token`, { headers: { Cookie: cookie } })).json();
    assert.equal(token?.split('.').length, 3);

    const byKey = await start(['--jwks-url', `${origin}/api/auth/jwks`, '--jwt-issuer', origin, '--jwt-audience', origin, '--jwt-user-column', 'auth_id'], address);
    const known = await (await fetch(`${byKey.origin}/api/auth/me`, { headers: { Authorization: `Bearer ${token}` } })).json();
    assert.equal(known.user?.id, userId, JSON.stringify(known));
    assert.equal(await me(byKey.origin, { Cookie: cookie }), 401); // a session is no token

    const byHook = await start(['--auth-hook-url', `${origin}/better/whoami`], address);
    assert.equal(await me(byHook.origin, { Cookie: cookie }), 200);
    assert.equal(await me(byHook.origin, { Cookie: cookie.replace(/=./, '=x') }), 401);
  } finally {
    await db.end();
  }
});
