/**
 * Firefox for make test-browsers: Debian's, or the one that FIREFOX names, driven by its
 * Marionette.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TIMEOUT_MS } from '../timeout.js';
import { newSession } from './webdriver.js';

const NAMES = ['/usr/bin/firefox-esr', '/usr/bin/firefox', '/Applications/Firefox.app/Contents/MacOS/firefox'];
const PREFERENCES = {
  'marionette.port': 0, // any that is free; the profile tells which
  'intl.accept_languages': 'pt-BR,pt',
  'browser.shell.checkDefaultBrowser': false,
  'datareporting.policy.dataSubmissionEnabled': false,
};

/** Where the browser is, or undefined. */
export const path = () => [process.env.FIREFOX, ...NAMES].find((file) => file && existsSync(file));

/**
 * One question at a time: length, colon, JSON.
 * @param {number} port
 */
async function startMarionette(port) {
  const socket = connect(port, '127.0.0.1');
  /** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void}>} */
  const asked = new Map();
  let bytes = Buffer.alloc(0);
  let last = 0;
  const greeted = new Promise((resolve) => asked.set(0, { resolve, reject: () => {} }));
  socket.on('error', () => {}).on('close', () => {
    for (const { reject } of asked.values()) reject(new Error('Firefox has ended'));
  });
  socket.on('data', (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (let colon; (colon = bytes.indexOf(':')) > 0;) {
      const end = colon + 1 + Number(bytes.subarray(0, colon));
      if (bytes.length < end) return;
      const told = JSON.parse(bytes.toString('utf8', colon + 1, end));
      bytes = bytes.subarray(end);
      const [, id, error, result] = Array.isArray(told) ? told : [1, 0, null, told];
      const question = asked.get(id);
      asked.delete(id);
      if (error) question?.reject(new Error(`${error.error}: ${error.message}`));
      else question?.resolve(result && 'value' in result ? result.value : result);
    }
  });
  await greeted;
  /** @param {string} command @param {object} [parameters] @returns {Promise<any>} */
  return (command, parameters = {}) => new Promise((resolve, reject) => {
    const id = ++last;
    asked.set(id, { resolve, reject });
    const text = JSON.stringify([0, id, command, parameters]);
    socket.write(`${Buffer.byteLength(text)}:${text}`);
  });
}

/**
 * @param {{preferences?: Record<string, unknown>}} [options]
 * @returns {Promise<import('./webdriver.js').Browser & {chrome: (run: Function,
 *   argument?: unknown) => Promise<any>, print: () => Promise<Buffer>, openPrivate: () =>
 *   Promise<import('./webdriver.js').Tab>}>}
 */
export async function launch({ preferences = {} } = {}) {
  const profile = await mkdtemp(join(tmpdir(), 'hangarshare-firefox-'));
  const lines = Object.entries({ ...PREFERENCES, ...preferences }).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`);
  await writeFile(join(profile, 'user.js'), lines.join('\n'));
  const child = spawn(/** @type {string} */ (path()), ['--headless', '--marionette', '--remote-allow-system-access', '--no-remote', '--profile', profile], {
    stdio: 'ignore', env: { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: '1' },
  });
  const ended = new Promise((resolve) => child.once('close', resolve).once('error', resolve));
  const close = async () => {
    child.kill();
    await ended;
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    let port = 0;
    for (const end = Date.now() + 2 * TIMEOUT_MS; !port;) {
      port = Number(await readFile(join(profile, 'MarionetteActivePort'), 'utf8').catch(() => ''));
      if (Date.now() > end || child.exitCode !== null) throw new Error('Firefox did not start');
    }
    const ask = await startMarionette(port);
    const { capabilities } = await ask('WebDriver:NewSession', { capabilities: { alwaysMatch: { timeouts: { script: TIMEOUT_MS, pageLoad: TIMEOUT_MS } } } });
    /**
     * In the browser's own window, which knows what no page can ask for.
     * @param {Function} run @param {unknown} [argument]
     */
    const chrome = async (run, argument) => {
      await ask('Marionette:SetContext', { value: 'chrome' });
      try {
        return await ask('WebDriver:ExecuteScript', { script: `return (${run})(...arguments);`, args: [argument ?? null] });
      } finally {
        await ask('Marionette:SetContext', { value: 'content' });
      }
    };
    const session = newSession({
      execute: (script, args) => ask('WebDriver:ExecuteAsyncScript', { script, args, sandbox: null }),
      turnTo: (handle) => ask('WebDriver:SwitchToWindow', { handle }),
      handle: () => ask('WebDriver:GetWindowHandle'),
      open: async () => (await ask('WebDriver:NewWindow', { type: 'tab' })).handle,
      go: (url) => ask('WebDriver:Navigate', { url }),
      back: () => ask('WebDriver:Back'),
      reload: () => ask('WebDriver:Refresh'),
      close: () => ask('WebDriver:CloseWindow'),
      // The window has a least width that a page has not.
      resize: (width, height) => chrome((/** @type {number[]} */ [w, h]) => {
        const { style } = /** @type {any} */ (globalThis).gBrowser.selectedBrowser;
        for (const [name, value] of [['width', w], ['height', h]]) for (const edge of ['min-', 'max-', '']) style.setProperty(edge + name, `${value}px`);
      }, [width, height]),
      picture: () => ask('WebDriver:TakeScreenshot', { full: false }),
      quit: () => ask('Marionette:Quit', { flags: ['eForceQuit'] }),
    });
    return {
      name: 'Firefox', version: capabilities.browserVersion, session, chrome, close,
      /** The page as a PDF, on the paper that its styles name. */
      print: async () => Buffer.from(await ask('WebDriver:Print', {}), 'base64'),
      openPrivate: async () => session.tab((await ask('WebDriver:NewWindow', { type: 'window', private: true })).handle),
    };
  } catch (error) {
    await close();
    throw error;
  }
}
