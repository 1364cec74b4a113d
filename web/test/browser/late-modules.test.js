/**
 * Modules that are loaded when they are used, on a network that swallows: a real server takes the
 * request and does not answer. The page says so, can be asked again, and nothing breaks when the
 * answer comes after all.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch, openPage } from './chromium.js';
import { live } from './dashboard.js';
import { startFakeServer } from './fake-server.js';
import { reactFiles } from './react-page.js';
import { TIMEOUT_MS } from '../timeout.js';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/**
 * The limits of a module's two addresses end when `passLimits` is called for their milliseconds,
 * and from then on at once, where that is wanted.
 */
function byHand() {
  const { timeout } = AbortSignal;
  /** @type {Map<number, AbortController[]>} */
  const limits = new Map([[3000, []], [7000, []]]);
  const over = new Set();
  const end = (/** @type {AbortController} */ limit) => limit.abort(new DOMException('the time is over', 'TimeoutError'));
  AbortSignal.timeout = (ms) => {
    const waiting = limits.get(ms);
    if (!waiting) return timeout.call(AbortSignal, ms);
    const limit = new AbortController();
    if (over.has(ms)) setTimeout(end, 0, limit);
    else waiting.push(limit);
    return limit.signal;
  };
  Object.assign(globalThis, { passLimits: (/** @type {number} */ ms, /** @type {boolean} */ always) => {
    if (always) over.add(ms);
    else over.delete(ms);
    limits.get(ms)?.splice(0).forEach(end);
  } });
}
const passLimits = (/** @type {any} */ page, /** @type {number} */ ms, always = false) =>
  page.evaluate((/** @type {[number, boolean]} */ given) => /** @type {any} */ (globalThis).passLimits(...given), [ms, always]);

/** @param {any} page @param {any} server @param {string} search */
async function signIn(page, server, search = '') {
  await page.goto(server.url + search);
  await page.fill('#email', 'ana@example.com');
  await page.fill('#password', server.password);
  await page.click('button[type=submit]');
}

/**
 * @param {(all: {page: any, server: any, complaints: string[],
 *   silent: (act: () => Promise<unknown>, pattern: RegExp) => Promise<void>,
 *   late: () => Promise<void>}) => Promise<void>} run
 * @param {object} [options] of the server
 */
async function withPage(run, options = {}) {
  const server = await startFakeServer({ demo: false, notifications: true, ...options });
  const { page, complaints, close } = await openPage(browser, server.url);
  const { faults, seen } = server;
  /** More files than so many are held. @param {number} n */
  const held = (n) => Promise.race([
    server.until(() => seen.heldFiles > n),
    new Promise((_, reject) => AbortSignal.timeout(TIMEOUT_MS).addEventListener('abort', () => reject(new Error(`no more than ${n} files were asked for`)))),
  ]);
  try {
    await page.addInitScript(byHand);
    server.notes.add('1', 'booking_created', { bookingId: '1000', hangarNumber: 'H-12', guestName: 'Ana Souza' });
    await run({
      page, server, complaints,
      /** The network swallows these files, at both their addresses, until the limit is over. */
      async silent(act, pattern) {
        faults.heldFiles = pattern;
        const before = seen.heldFiles;
        await act();
        await held(before);
        await passLimits(page, 3000);
        await held(before + 1);
        await passLimits(page, 7000);
        faults.heldFiles = null; // what was swallowed stays so
      },
      /** The other address is asked, as the network is back. */
      late: () => passLimits(page, 3000, true),
    });
    faults.answerFiles();
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve)));
    assert.deepEqual(complaints.filter((text) => !/40[134]/.test(text)), []);
  } finally {
    faults.answerFiles();
    await close();
    await server.stop();
  }
}

const bell = (/** @type {any} */ page) => page.locator('owner-notifications .bell');
const NO_REPLY = 'O servidor não respondeu. Tente de novo.';

describe('modules that never come', () => {
  test('the list: the bell says that it is loading, that it did not come, and opens it', () => withPage(async ({ page, server, silent, late }) => {
    await signIn(page, server);
    await live(page);
    await bell(page).waitFor();
    const told = page.locator('owner-notifications .bell-failed');
    await silent(async () => {
      await bell(page).focus();
      await page.keyboard.press('Enter');
      await told.getByText('Carregando…').waitFor();
    }, /notifications\/panel\.js/);
    await told.getByText(NO_REPLY).waitFor();
    await page.keyboard.press('Enter');
    await late();
    await page.locator('owner-notifications .note').waitFor();
    server.faults.answerFiles();
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve)));
    assert.equal(await page.locator('owner-notifications .notes-panel').count(), 1, 'a later answer makes no second list');
    assert.equal(await told.textContent(), '');
  }));

  test('what is done in the list, and its preferences', () => withPage(async ({ page, server, silent, late }) => {
    await signIn(page, server);
    await live(page);
    await bell(page).click();
    const panel = page.locator('owner-notifications .notes-panel');
    await panel.locator('.note').waitFor();
    await silent(() => panel.getByRole('button', { name: 'Marcar como lida: ' }).click(), /notifications\/hands\.js/);
    await panel.locator('.toast').getByText('nada mudou').waitFor();
    await panel.getByRole('button', { name: 'Marcar como lida: ' }).click();
    await late();
    await panel.getByText('Marcada como lida.').waitFor();
    await silent(() => panel.getByRole('button', { name: 'Preferências de notificação' }).click(), /notifications\/preferences\.js/);
    await panel.locator('.toast').getByText('Não foi possível carregar').waitFor();
    await panel.getByRole('button', { name: 'Preferências de notificação' }).click();
    await late();
    await panel.locator('.matrix').waitFor();
  }));

  test('the booking behind a notification', () => withPage(async ({ page, server, silent, late }) => {
    await signIn(page, server);
    await live(page);
    await bell(page).click();
    const row = page.locator('owner-notifications .note .open');
    await silent(() => row.click(), /notifications\/booking\.js/);
    await page.locator('owner-notifications .bell-failed').getByText('Não foi possível carregar a reserva.').waitFor();
    await bell(page).click();
    await page.locator('owner-notifications [data-state=all]').click();
    await row.click();
    await late();
    await page.getByRole('dialog', { name: 'Detalhes da reserva' }).getByText('Ana Souza').waitFor();
  }));

  for (const [name, heading, module, shown] of /** @type {const} */ ([
    ['trends', 'Tendências', /trends\/view\.js/, '.tr-body'], ['trends', 'Tendências', /trends\/words\/pt\.js/, '.tr-body'],
    ['calendar', 'Calendário', /calendar\/view\.js/, '.cal-bar'], ['calendar', 'Calendário', /calendar\/words\/pt\.js/, '.cal-bar'],
    ['trends', 'Tendências', /element\/lazy\.js/, '.tr-body'],
  ])) {
    test(`${heading}, without ${module.source}`, () => withPage(async ({ page, server, silent, late }) => {
      await signIn(page, server);
      await live(page);
      const section = page.locator(`section.${name}`);
      const told = page.locator('realtime-metrics-display .told');
      const open = section.getByRole('button', { name: 'Abrir', exact: true });
      await silent(async () => {
        await open.click();
        await told.getByText('Carregando…').waitFor();
      }, module);
      const failed = `${heading}: não foi possível carregar.`;
      await told.getByText(failed).waitFor();
      await page.locator('realtime-metrics-display').getByRole('status').getByText(failed).waitFor({ state: 'attached' });
      assert.equal(await open.getAttribute('aria-expanded'), 'false');
      await open.click();
      await late();
      await section.locator(shown).waitFor();
      server.faults.answerFiles();
      await page.evaluate(() => new Promise((resolve) => setTimeout(resolve)));
      assert.equal(await section.locator(shown).count(), 1);
    }));
  }

  test('what is beside the charts comes with the next answer, the table when it is asked for again', () => withPage(async ({ page, server, silent, late }) => {
    await signIn(page, server);
    await live(page);
    const section = page.locator('section.trends');
    await silent(() => section.getByRole('button', { name: 'Abrir', exact: true }).click(), /trends\/controls\.js/);
    await section.locator('.tr-body').waitFor();
    await section.getByRole('button', { name: '7 dias' }).click();
    await late();
    const table = section.getByRole('button', { name: 'Ver como tabela' });
    await table.waitFor();
    await silent(() => table.click(), /trends\/more\.js/);
    await section.getByText('Tendências: não foi possível carregar.').waitFor();
    await section.getByRole('button', { name: 'Tentar de novo' }).click();
    await late();
    await section.locator('table').waitFor();
  }));

  test('a booking of the dashboard', () => withPage(async ({ page, server, silent, late }) => {
    await signIn(page, server);
    await live(page);
    const guest = page.locator('.stay .guest').first();
    await silent(() => guest.click(), /element\/details\.js/);
    await page.locator('.told').getByText('Não foi possível carregar a reserva.').waitFor();
    await guest.click();
    await late();
    await page.getByRole('dialog', { name: 'Detalhes da reserva' }).waitFor();
  }));

  test('the feeds of the calendar', () => withPage(async ({ page, server, silent, late }) => {
    await signIn(page, server);
    await live(page);
    const section = page.locator('section.calendar');
    await section.getByRole('button', { name: 'Abrir', exact: true }).click();
    await section.locator('.cal-bar').waitFor();
    const feeds = section.locator('.cal-bar > button');
    await silent(() => feeds.click(), /calendar\/feeds\.js/);
    await section.getByText('Calendário: não foi possível carregar.').waitFor();
    await feeds.click();
    await late();
    await page.locator('realtime-metrics-display dialog[open]').waitFor();
  }));

  test('the form to sign in', () => withPage(async ({ page, server, silent }) => {
    await silent(() => page.goto(server.url), /page\/sign-in\.js/);
    await page.getByText(NO_REPLY).waitFor();
    server.faults.answerFiles();
    await page.locator('#email').waitFor();
  }));

  test('another language: the page is Portuguese until it comes', () => withPage(async ({ page, server, silent, late }) => {
    await silent(() => page.goto(`${server.url}?lang=en`), /words\/en\.js/);
    await page.getByText('Senha', { exact: true }).waitFor();
    await page.reload();
    await page.getByText('Password', { exact: true }).waitFor();
    await late();
  }));

  test('React: the hook says that it failed, and loads when it is asked to', async () => {
    const files = await reactFiles('19');
    await withPage(async ({ page, server, silent, late }) => {
      await page.goto(`${server.url}/react/index.html`);
      await page.waitForFunction(() => 'harness' in globalThis);
      const until = (/** @type {string} */ condition) => page.waitForFunction((/** @type {string} */ c) => {
        const text = document.getElementById('notes')?.textContent;
        return text && new Function('it', `return ${c}`)(JSON.parse(text));
      }, condition);
      await silent(() => page.evaluate(() => /** @type {any} */ (globalThis).harness.show('a', [{ kind: 'notes', props: { ownerId: '1', token: 'secret', name: 'notes' } }])), /notifications\/deeds\.js/);
      await until('it.failed && !it.loaded');
      await page.evaluate(() => void /** @type {any} */ (globalThis).harness.hooks.notes.reload());
      await until('!it.failed');
      await late();
      await until('it.loaded && it.ids.length === 1');
    }, { files });
  });
});
