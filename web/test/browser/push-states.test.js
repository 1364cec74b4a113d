/**
 * What the section about this device says where there is no push, in three languages, and how it
 * looks with devices: held against axe-core at three widths, light and dark. With SHOTS=1 it is
 * pictured into `shots/`. By a server that does what the test says.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage } from './chromium.js';
import { accessible, fits, live } from './dashboard.js';
import { startFakeServer } from './fake-server.js';

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {any} */
let server;
before(async () => {
  browser = await launch();
  server = await startFakeServer({ demo: false, notifications: true });
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/**
 * The preferences of one who has signed in.
 * @param {object} [options] @param {(page: any) => Promise<void>} [prepare]
 */
async function preferences(options = {}, prepare = async () => {}) {
  const opened = await openPage(browser, server.url, options);
  const { page } = opened;
  await prepare(page);
  await page.goto(server.url);
  await page.fill('#email', 'ana@example.com');
  await page.fill('#password', server.password);
  await page.click('button[type=submit]');
  await live(page);
  await openPreferences(page);
  return opened;
}
/** @param {any} page */
async function openPreferences(page) {
  const element = page.locator('owner-notifications');
  await element.locator('.bell').click();
  await element.locator('.heads .round:not(.read-all):not(.close)').click();
  await element.locator('.push .state').waitFor();
}

const IPHONE = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1';
const withoutPush = (/** @type {any} */ page) => page.addInitScript(() => delete globalThis.PushManager);
const SAYS = {
  off: [/opera pode ligá-los/, /operator can turn them on/, /Quien lo opera puede/],
  insecure: [/só funcionam por https/, /only over https/, /solo funcionan por https/],
  unsupported: [/janela anônima/, /private window/, /ventana privada/],
  install: [/Tela de Início/, /Home Screen/, /pantalla de inicio/],
  denied: [/configurações do navegador/, /browser’s settings/, /configuración del navegador/],
  notYet: [/ainda não recebe/, /no notifications yet/, /aún no recibe/],
};
const LANGUAGES = ['pt-BR', 'en', 'es'];

/** @type {[keyof typeof SAYS, object, (page: any) => Promise<void>][]} */
const CASES = [
  ['off', { permissions: ['notifications'] }, async () => {}],
  ['insecure', { permissions: ['notifications'] }, (page) => page.addInitScript(() => Object.defineProperty(globalThis, 'isSecureContext', { value: false }))],
  ['unsupported', {}, withoutPush],
  ['install', { userAgent: IPHONE }, withoutPush],
  ['denied', { permissions: [] }, async () => {}],
  ['notYet', { permissions: ['notifications'] }, async () => {}],
];
for (const [state, options, prepare] of CASES) {
  test(`${state}: it is said why there is no push, and what to do, in three languages`, async () => {
    const { key } = server.devices;
    if (state === 'off') server.devices.key = null;
    const { page, complaints, close } = await preferences(options, prepare);
    try {
      for (const [i, language] of LANGUAGES.entries()) {
        if (i > 0) {
          await page.evaluate((/** @type {string} */ chosen) => localStorage.setItem('hangarshare:language', chosen), language);
          await page.reload();
          await page.locator('owner-notifications .bell').waitFor();
          await openPreferences(page);
        }
        const said = page.locator('owner-notifications .push .state');
        assert.equal(await said.getAttribute('data-state'), state);
        assert.match(await said.textContent(), SAYS[state][i], language);
        assert.equal(await page.locator('owner-notifications .push .tool.yes').isVisible(), state === 'notYet', 'a button only where it can do something');
      }
      assert.deepEqual(complaints.filter((text) => !/40[14]/.test(text)), []);
    } finally {
      server.devices.key = key;
      await close();
    }
  });
}

test('a question without an answer, a push service out of reach: both are told, and the button stays', async () => {
  const { page, close } = await preferences({ permissions: ['notifications'] }, (opened) => opened.addInitScript(() => {
    Notification.requestPermission = async () => 'default';
  }));
  try {
    const activate = page.getByRole('button', { name: 'Ativar avisos neste aparelho' });
    await activate.click();
    await page.getByText(/A pergunta do navegador ficou sem resposta/).waitFor();
    await page.evaluate(() => {
      Notification.requestPermission = async () => 'granted';
      PushManager.prototype.subscribe = async () => {
        throw new DOMException('Registration failed - push service error', 'AbortError');
      };
    });
    await activate.click();
    await page.getByText(/não alcançou o serviço de avisos/).waitFor();
    assert.equal(await activate.isEnabled(), true);
  } finally {
    await close();
  }
});

for (const width of [1280, 768, 360]) {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    test(`axe finds nothing in it at ${width} px, ${colorScheme}`, async () => {
      const now = Date.now();
      server.devices.devices = [];
      server.devices.add('ana', 'Chrome · Android', { lastOkAt: now - 3_600_000 });
      server.devices.add('ana', 'Firefox · um nome comprido de aparelho '.repeat(3), { works: false });
      server.devices.add('ana', '');
      server.devices.deliveries = [
        { id: '3', kind: 'booking_created', channel: 'push', device: 'Chrome · Android', outcome: 'sent', dueAt: now - 600_000, doneAt: now - 600_000, openedAt: now - 300_000 },
        { id: '2', kind: 'digest', channel: 'mail', outcome: 'sent', dueAt: now - 7_200_000, doneAt: now - 7_200_000 },
        { id: '1', kind: 'unpaid', channel: 'push', device: 'Chrome · Android', outcome: 'read', dueAt: now - 9_000_000, doneAt: now - 9_000_000 },
      ];
      const { page, close } = await preferences({ viewport: { width, height: 900 }, colorScheme, bypassCSP: true, permissions: width === 768 ? [] : ['notifications'] });
      try {
        await page.locator('owner-notifications .sent summary').click();
        await page.locator('owner-notifications .sent').getByText('Nova reserva').waitFor();
        await accessible(page, `push ${width}`);
        await fits(page, `push ${width}`);
        await page.mouse.move(1, 1);
        if (process.env.SHOTS) await page.screenshot({ path: new URL(`../shots/push-${width}-${colorScheme}.png`, import.meta.url).pathname });
      } finally {
        server.devices.devices = [];
        server.devices.deliveries = [];
        await close();
      }
    });
  }
}
