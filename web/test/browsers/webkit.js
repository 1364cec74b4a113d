/**
 * WebKit for make test-browsers: WebKitGTK's MiniBrowser on a screen of its own, driven over
 * WebDriver.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '../freeport.js';
import { TIMEOUT_MS } from '../timeout.js';
import { newSession } from './webdriver.js';

const DRIVER = '/usr/bin/WebKitWebDriver';
const SCREEN = '/usr/bin/Xvfb';
/** A tool bar with buttons would keep the window wider than a phone. */
const NARROW = '* { font-size: 1px; padding: 0; margin: 0; min-width: 0; min-height: 0; border-width: 0; -gtk-icon-transform: scale(0); }';

/** MiniBrowser lies below the library's own folder, whose name tells architecture and version. */
function miniBrowser() {
  for (const base of ['/usr/lib', '/usr/libexec', '/usr/lib64']) {
    for (const folder of existsSync(base) ? ['', ...readdirSync(base)] : []) {
      for (const library of ['webkitgtk-6.0', 'webkit2gtk-4.1', 'webkit2gtk-4.0']) {
        const file = join(base, folder, library, 'MiniBrowser');
        if (existsSync(file)) return file;
      }
    }
  }
  return undefined;
}

/** Where the browser is, or undefined. */
export const path = () => (existsSync(DRIVER) && existsSync(SCREEN) ? miniBrowser() : undefined);

/** @param {import('node:child_process').ChildProcess} child */
async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill();
  await ended;
}

/** A virtual screen, and its number. */
async function startScreen() {
  const child = spawn(SCREEN, ['-displayfd', '1', '-screen', '0', '1600x1200x24', '-nolisten', 'tcp'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const number = new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('error', reject).once('close', () => reject(new Error('Xvfb ended')));
  });
  return { child, display: `:${await number}` };
}

/**
 * @param {{flags?: string[]}} [options] flags of MiniBrowser
 * @returns {Promise<import('./webdriver.js').Browser>}
 */
export async function launch({ flags = [] } = {}) {
  const home = await mkdtemp(join(tmpdir(), 'hangarshare-webkit-'));
  await mkdir(join(home, 'gtk-3.0'));
  await writeFile(join(home, 'gtk-3.0', 'gtk.css'), NARROW);
  const screen = await startScreen();
  const port = await freePort();
  const driver = spawn(DRIVER, [`--port=${port}`], {
    stdio: 'ignore',
    env: {
      ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home, XDG_DATA_HOME: home, DISPLAY: screen.display, GDK_BACKEND: 'x11',
      LIBGL_ALWAYS_SOFTWARE: '1', NO_AT_BRIDGE: '1', LANG: 'C.UTF-8',
    },
  });
  const close = async () => {
    await end(driver);
    await end(screen.child);
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  };
  /**
   * @param {string} method @param {string} command @param {object} [body]
   * @returns {Promise<any>}
   */
  const ask = async (method, command, body) => {
    const answer = await fetch(`http://127.0.0.1:${port}${command}`, { method, ...(method === 'POST' && { body: JSON.stringify(body ?? {}) }) });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`${command}: ${value.error}: ${value.message}`);
    return value;
  };
  try {
    for (const late = Date.now() + TIMEOUT_MS; !(await ask('GET', '/status').then(({ ready }) => ready, () => false));) {
      if (Date.now() > late || driver.exitCode !== null) throw new Error('WebKitWebDriver did not start');
    }
    const { sessionId, capabilities } = await ask('POST', '/session', {
      capabilities: {
        alwaysMatch: {
          timeouts: { script: TIMEOUT_MS, pageLoad: TIMEOUT_MS },
          'webkitgtk:browserOptions': { binary: path(), args: ['--automation', ...flags] },
        },
      },
    });
    /** @param {string} command @param {object} [body] */
    const post = (command, body) => ask('POST', `/session/${sessionId}${command}`, body);
    /** @param {string} command */
    const get = (command) => ask('GET', `/session/${sessionId}${command}`);
    /** @param {string} script @param {unknown[]} args */
    const execute = (script, args) => post('/execute/async', { script, args });
    const session = newSession({
      execute,
      turnTo: (handle) => post('/window', { handle }),
      handle: () => get('/window'),
      open: async () => (await post('/window/new', { type: 'tab' })).handle,
      go: (url) => post('/url', { url }),
      back: () => post('/back'),
      reload: () => post('/refresh'),
      close: () => ask('DELETE', `/session/${sessionId}/window`),
      // The window is larger than its page.
      async resize(width, height) {
        const { width: outer, height: high } = await get('/window/rect');
        const [w, h] = await execute('arguments[0]([innerWidth, innerHeight]);', []);
        await post('/window/rect', { width: width + outer - w, height: height + high - h });
      },
      picture: () => get('/screenshot'),
      quit: () => ask('DELETE', `/session/${sessionId}`),
    });
    return {
      name: 'WebKit', version: capabilities.browserVersion, session,
      async close() {
        await session.quit().catch(() => {});
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
