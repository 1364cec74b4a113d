/**
 * Questions of the page that are never answered, locks that another tab holds, and a browser whose
 * clock is wrong.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch } from './chromium.js';
import { booking, dashboard as open, live, rowsOf } from './dashboard.js';

/** @typedef {import('playwright-core').Page} Page */

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const dashboard = (/** @type {any} */ run, /** @type {any} */ options) => open(browser, run, options);

/**
 * Makes the page's own limit of 15 s short while an address is never answered. `answer` ends that.
 * @param {Page} page
 * @param {string} address
 * @param {number} [ms] the limit meanwhile; without it `passLimits` in the page says when it is
 *   over
 */
async function hold(page, address, ms) {
  await page.addInitScript(shorten, ms);
  await page.evaluate(shorten, ms);
  await page.route(address, () => {});
  return async () => {
    await page.evaluate(() => /** @type {any} */ (globalThis).restoreLimits());
    await page.unroute(address);
  };
}

function shorten(/** @type {number | undefined} */ ms) {
  const { timeout } = AbortSignal;
  /** @type {AbortController[]} */
  const limits = [];
  AbortSignal.timeout = (given) => {
    if (given !== 15_000) return timeout.call(AbortSignal, given);
    if (ms !== undefined) return timeout.call(AbortSignal, ms);
    const limit = new AbortController();
    limits.push(limit);
    return limit.signal;
  };
  Object.assign(globalThis, {
    restoreLimits: () => (AbortSignal.timeout = timeout),
    passLimits: () => limits.splice(0).forEach((limit) => limit.abort(new DOMException('the time is over', 'TimeoutError'))),
  });
}

describe('a question without an answer has a limit, says so, and can be asked again', () => {
  test('the demo\'s sign-in', () => dashboard(async (/** @type {any} */ { page, answer }) => {
    await page.getByText('O servidor não responde. Tentando de novo…').waitFor();
    await answer();
    // Where the page has tried again by itself meanwhile, the button is gone.
    await page.getByRole('button', { name: 'Tentar agora' }).click({ timeout: 5_000 }).catch(() => undefined);
    await live(page);
  }, { before: async (/** @type {any} */ all) => {
    all.answer = await hold(all.page, '**/api/auth/demo', 300);
  } }));

  test('a sign-in by password', () => dashboard(async (/** @type {any} */ { page, server }) => {
    await page.getByLabel('Senha').waitFor();
    const answer = await hold(page, '**/api/auth/login', 300);
    await page.getByLabel('E-mail').fill('ana@example.com');
    await page.getByLabel('Senha').fill(server.password);
    const submit = page.getByRole('button', { name: 'Entrar', exact: true });
    await submit.click();
    await page.getByText('O servidor não respondeu. Tente de novo.').waitFor();
    await answer();
    await submit.click();
    await live(page);
  }, { server: { demo: false } }));

  test('a change of accounts', () => dashboard(async (/** @type {any} */ { page }) => {
    await live(page);
    const answer = await hold(page, '**/api/auth/demo');
    const choice = page.getByLabel('Conta');
    await choice.selectOption('2');
    await page.getByText('Trocando de conta…').waitFor();
    await page.evaluate(() => /** @type {any} */ (globalThis).passLimits());
    await page.getByText('Não foi possível trocar de conta. Tente de novo.').waitFor();
    assert.equal(await choice.inputValue(), '1', 'the choice is what is shown');
    await answer();
    await choice.selectOption('2');
    await page.getByRole('heading', { name: 'Aeroclube Pampulha', level: 1 }).waitFor();
    await live(page);
  }));
});

describe('the lock of a refresh', () => {
  const LEASE = 'hangarshare:lease';
  const signIn = async (/** @type {Page} */ page, /** @type {string} */ password) => {
    await page.getByLabel('E-mail').fill('ana@example.com');
    await page.getByLabel('Senha').fill(password);
    await page.getByRole('button', { name: 'Entrar', exact: true }).click();
    await live(page);
  };

  test('that another tab holds is waited for with a limit', () => dashboard(async (/** @type {any} */ { page, server }) => {
    await signIn(page, server.password);
    const other = await page.context().newPage();
    await other.goto(`${server.url}/client/page.css`);
    await other.evaluate((/** @type {string} */ name) => new Promise((held) => {
      void navigator.locks.request(name, () => {
        held(undefined);
        return new Promise(() => {});
      });
    }), LEASE);
    await page.reload();
    await live(page);
  }, { server: { demo: false } }));

  test('is not held across the network', () => dashboard(async (/** @type {any} */ { page, server }) => {
    await signIn(page, server.password);
    let answer = () => {};
    const answered = new Promise((resolve) => (answer = () => resolve(undefined)));
    await page.route('**/api/auth/refresh', async (/** @type {any} */ route) => {
      await answered;
      await route.continue();
    });
    const asked = page.waitForRequest('**/api/auth/refresh');
    await page.reload();
    await asked;
    const { held } = await page.evaluate(() => navigator.locks.query());
    assert.deepEqual(held.filter((/** @type {any} */ { name }) => name === LEASE), []);
    answer();
    await live(page);
  }, { server: { demo: false } }));
});

describe('a browser whose clock is wrong', () => {
  for (const hours of [-3, 3]) {
    const wrong = { before: (/** @type {any} */ { page }) => page.addInitScript((/** @type {number} */ ahead) => {
      const { now } = Date;
      Date.now = () => now() + ahead * 3_600_000;
    }, hours) };

    test(`by ${hours} h: ages are by the server's clock, and so is the end of a token`, () => dashboard(async (/** @type {any} */ { page, server }) => {
      await live(page);
      server.push('1', 'booking_created', booking('clock', { guestName: 'Desta Hora' }));
      await rowsOf(page).filter({ hasText: 'Desta Hora' }).getByText('agora', { exact: true }).waitFor();
      const signIns = () => server.seen.urls.filter((/** @type {string} */ url) => url === '/api/auth/demo').length;
      const dials = server.seen.upgrades;
      server.closeStreams(1001);
      await server.until((/** @type {any} */ seen) => seen.upgrades > dials);
      await live(page);
      assert.equal(signIns(), 1, 'a token of one hour is still the page\'s');
    }, wrong));
  }
});
