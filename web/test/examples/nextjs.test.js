/**
 * The example of a Next.js portal, built as it is and driven in Chromium against the real program.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { launch } from '../browser/chromium.js';
import { startProgram } from '../browser/program.js';
import { insert, signIn } from '../browser/client-page.js';
import { freePort } from '../freeport.js';

const run = promisify(execFile);
const web = fileURLToPath(new URL('../../', import.meta.url));
const example = fileURLToPath(new URL('../../../examples/nextjs/', import.meta.url));
const next = join(example, 'node_modules/next/dist/bin/next');
const SECRET = 'a secret of the tests, long enough to sign';
const LIVE = 60_000; // ms, for a machine that has other things to do

/** The package as it is now, in the place of the one that npm packed when it was installed. */
async function bringPackage() {
  const folder = await mkdtemp(join(tmpdir(), 'hangarshare-example-'));
  const installed = join(example, 'node_modules/hangarshare-realtime-client');
  try {
    const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: web });
    await run('tar', ['-xzf', join(folder, JSON.parse(stdout)[0].filename), '--strip-components=1', '-C', installed]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe('the Next.js example', { timeout: 600_000 }, () => {
  /** @type {Awaited<ReturnType<typeof startProgram>>} */
  let program;
  /** @type {pg.Client} */
  let db;
  /** @type {import('playwright-core').Browser} */
  let browser;
  /** @type {import('node:child_process').ChildProcess} */
  let portal;
  let origin = '';
  let ownerId = '';

  before(async () => {
    await bringPackage();
    const quiet = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: /** @type {const} */ ('production') };
    await run(process.execPath, [next, 'build'], { cwd: example, env: quiet }).catch(({ stdout, stderr }) => {
      throw new Error(`next build failed:\n${stdout}${stderr}`);
    });
    const port = await freePort();
    origin = `http://127.0.0.1:${port}`;
    program = await startProgram(['--jwt-secret', SECRET, '--allowed-origins', origin]);
    db = new pg.Client(program.database);
    await db.connect();
    const session = await signIn(program.origin);
    ({ ownerId } = session);
    const { sub } = JSON.parse(Buffer.from(session.token.split('.')[1] ?? '', 'base64url').toString());
    portal = spawn(process.execPath, [next, 'start', '-H', '0.0.0.0', '-p', String(port)], {
      cwd: example, stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...quiet, JWT_SECRET: SECRET, PORTAL_USER: sub, PORTAL_OWNER: ownerId, REALTIME_SERVER: program.origin },
    });
    await new Promise((resolve, reject) => {
      portal.once('close', () => reject(new Error('next start ended')));
      createInterface({ input: /** @type {import('node:stream').Readable} */ (portal.stdout) }).on('line', (line) => /Ready/.test(line) && resolve(undefined));
    });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    if (portal && portal.exitCode === null) {
      const ended = new Promise((resolve) => portal.once('close', resolve));
      portal.kill();
      await ended;
    }
    await db?.end();
    await program?.stop();
  });

  test('its token lasts five minutes and names the user', async () => {
    const answer = await fetch(`${origin}/api/realtime-token`);
    assert.equal(answer.headers.get('Cache-Control'), 'no-store');
    const { token } = await answer.json();
    const { iat, exp, sub } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
    assert.equal(exp - iat, 300);
    assert.ok(sub);
    const metrics = await fetch(`${program.origin}/api/owners/${ownerId}/metrics`, { headers: { Authorization: `Bearer ${token}` } });
    assert.equal(metrics.status, 200);
  });

  test('hook and element are live, a booking by SQL appears, and leads to its page', async () => {
    const page = await browser.newPage();
    try {
      await page.goto(origin);
      await page.getByText('Ao vivo', { exact: true }).waitFor({ timeout: LIVE });
      await page.getByRole('heading', { level: 2, name: /R\$.*Ao vivo/ }).waitFor({ timeout: LIVE });
      assert.ok(await page.evaluate(() => document.querySelector('realtime-metrics-display')?.shadowRoot?.adoptedStyleSheets.length), 'the element has its styles');
      const id = await insert(db, ownerId);
      const link = page.locator(`a[href="/bookings/${id}"]`);
      await link.first().waitFor({ timeout: LIVE });
      await link.first().click();
      await page.getByRole('heading', { level: 1, name: `Reserva ${id}` }).waitFor({ timeout: LIVE });
      await page.getByRole('link', { name: 'Voltar' }).click();
      await page.getByText('Ao vivo', { exact: true }).waitFor({ timeout: LIVE });
    } finally {
      await page.close();
    }
  });

  test('a forgotten ALLOWED_ORIGINS does not look like the network', async () => {
    const page = await browser.newPage();
    try {
      const { port } = new URL(origin);
      await page.goto(`http://localhost:${port}`); // another origin, which the server was not told
      await page.waitForFunction(() => /** @type {any} */ (document.querySelector('realtime-metrics-display'))?.manager?.getState().error?.kind === 'origin', null, { timeout: LIVE });
      const { message } = await page.evaluate(() => /** @type {any} */ (document.querySelector('realtime-metrics-display')).manager.getState().error);
      assert.match(message, /ALLOWED_ORIGINS/);
    } finally {
      await page.close();
    }
  });
});
