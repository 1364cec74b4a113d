/** The page in a real Chromium, against a server that does what the test says. */
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { launch, openPage } from './chromium.js';
import { midnight, startFakeServer } from './fake-server.js';

const shots = new URL('../shots/', import.meta.url).pathname;
const axeSource = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const DISCONNECTED = 'Desconectado - Tentando reconectar...';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => {
  await mkdir(shots, { recursive: true });
  browser = await launch();
});
after(() => browser.close());

const booking = (bookingId, change = {}) => ({
  id: bookingId, bookingId, hangarNumber: 'A-03', guestName: 'Carlos Nogueira', amount: 1350, duration: 3,
  checkInDate: midnight(1), checkOutDate: midnight(4), ...change,
});
const card = (page, name) => page.locator(`[data-metric=${name}] .value`);
const rowsOf = (page, list = 'bookings') => page.locator(`[data-list=${list}] li`);

/** Opens the dashboard and ends it together with its server. */
async function dashboard(run, { server: serverOptions, page: pageOptions } = {}) {
  const server = await startFakeServer(serverOptions);
  const opened = await openPage(browser, server.url, pageOptions);
  try {
    await opened.page.goto(server.url);
    await run({ server, ...opened });
  } finally {
    await opened.close();
    await server.stop();
  }
}

const live = (page) => page.getByText('Ao vivo', { exact: true }).waitFor();

describe('first load', () => {
  test('skeletons, then numbers, without an error, a foreign request, a shift, or a token in an address', async () => {
    const server = await startFakeServer();
    let release = () => {};
    server.faults.hold = new Promise((resolve) => (release = resolve));
    const { page, complaints, close } = await openPage(browser, server.url);
    try {
      await page.goto(server.url);
      await page.getByText('Conectando…').waitFor();
      assert.equal(await page.getByText(DISCONNECTED).count(), 0);
      assert.equal(await page.locator('.card.loading').count(), 4);
      release();
      await live(page);
      assert.equal(await card(page, 'revenueToday').textContent(), 'R$\u00A04.350,00');
      assert.equal(await card(page, 'growthPercentage').textContent(), '+12,4%');
      assert.equal(await rowsOf(page).count(), 6);
      assert.deepEqual(complaints, []);
      assert.ok(await page.evaluate(() => globalThis.shift) <= 0.02);
      assert.ok(server.seen.urls.every((url) => url.startsWith('/client/') || !/token|bearer/i.test(url)), 'no token in an address');
      assert.equal(server.seen.snapshots, 1);
    } finally {
      await close();
      await server.stop();
    }
  });
});

describe('events', () => {
  test('a booking reaches card, list, counter, title, and nothing is parsed as markup', () => dashboard(async ({ server, page, complaints }) => {
    await live(page);
    const guestName = '<img src=x onerror="document.title=\'owned\'">';
    server.push('1', 'booking_created', booking('77', { guestName }));
    server.setMetrics('1', { bookingsToday: 8 });
    await page.waitForFunction(() => document.title === '(1) HangarShare', null, { timeout: 1000 });
    await page.getByText('1 não lida', { exact: true }).waitFor({ timeout: 1000 });
    await rowsOf(page).first().getByText(guestName).waitFor({ timeout: 1000 });
    await page.waitForFunction(() => document.querySelector('realtime-metrics-display').shadowRoot
      .querySelector('[data-metric=bookingsToday] .value').textContent === '8', null, { timeout: 1000 });
    assert.equal(await page.locator('.row img').count(), 0);
    assert.deepEqual(complaints, []);
  }));

  test('an occupancy change turns its tile and joins its list', () => dashboard(async ({ server, page }) => {
    await live(page);
    server.push('1', 'occupancy_changed', { hangarId: '4', hangarNumber: 'B-07', isNowOccupied: true, newOccupant: 'Marina Lopes' });
    await rowsOf(page, 'occupancy').first().getByText('Chegou: Marina Lopes').waitFor({ timeout: 1000 });
    await page.locator('.tile.occupied', { hasText: 'B-07' }).waitFor({ timeout: 1000 });
  }));

  test('read one, read all, clear, undo, by keyboard', () => dashboard(async ({ server, page }) => {
    await live(page);
    for (let i = 0; i < 3; i++) server.push('1', 'booking_created', booking(`k${i}`));
    await page.getByText('3 não lidas').waitFor();
    await rowsOf(page).first().getByRole('button', { name: /Marcar como lida/ }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('2 não lidas').waitFor();
    await page.getByRole('button', { name: 'Marcar todas como lidas' }).press('Enter');
    await page.getByText('tudo lido').waitFor();
    assert.equal(await page.title(), 'HangarShare');
    await page.getByRole('button', { name: 'Limpar' }).press('Enter');
    await page.getByText('Nada por ler').waitFor();
    assert.equal(await rowsOf(page).count(), 0);
    await page.getByRole('button', { name: 'Desfazer' }).press('Enter');
    await rowsOf(page).nth(7).waitFor();
  }));

  test('what is under the pointer stays; newer rows wait behind a button', () => dashboard(async ({ server, page }) => {
    await live(page);
    const first = await rowsOf(page).first().textContent();
    await rowsOf(page).first().hover();
    for (let i = 0; i < 3; i++) server.push('1', 'booking_created', booking(`h${i}`));
    await page.getByRole('button', { name: '3 novas' }).waitFor();
    assert.equal((await rowsOf(page).first().textContent()).slice(0, 20), first.slice(0, 20));
    await page.getByRole('button', { name: '3 novas' }).click();
    await page.waitForFunction(() => document.querySelector('realtime-metrics-display').shadowRoot
      .querySelector('[data-list=bookings] li').textContent.includes('Carlos Nogueira'));
  }));

  test('a busy time shifts nothing and draws each card at most four times a second', () => dashboard(async ({ server, page }) => {
    await live(page);
    await page.evaluate(() => {
      globalThis.draws = 0;
      const value = document.querySelector('realtime-metrics-display').shadowRoot.querySelector('[data-metric=revenueToday] .value');
      new MutationObserver(() => globalThis.draws++).observe(value, { characterData: true, childList: true, subtree: true });
    });
    const seconds = 4;
    let sent = 0;
    await new Promise((resolve) => {
      const timer = setInterval(() => {
        server.push('1', 'booking_created', booking(`r${sent}`, { guestName: `Hóspede ${sent}` }));
        server.setMetrics('1', { revenueToday: 5000 + sent });
        if (++sent === seconds * 50) {
          clearInterval(timer);
          resolve();
        }
      }, 20);
    });
    await page.getByText(`${sent} não lidas`).waitFor();
    await page.waitForFunction((last) => document.querySelector('realtime-metrics-display').shadowRoot
      .querySelector('[data-metric=revenueToday] .value').textContent.endsWith(last), `5.${sent - 1},00`);
    const { draws, shift } = await page.evaluate(() => ({ draws: globalThis.draws, shift: globalThis.shift }));
    assert.ok(draws <= seconds * 4 + 6, `${draws} draws in ${seconds} s`);
    assert.ok(shift <= 0.02, `layout shift ${shift}`);
  }));
});

describe('loss', () => {
  test('grace, the exact words, values stay, and back without a reload, nothing lost or doubled', () => dashboard(async ({ server, page }) => {
    await live(page);
    server.push('1', 'booking_created', booking('90'));
    await page.getByText('1 não lida', { exact: true }).waitFor();
    Object.assign(server.faults, { refuseUpgrade: true, unavailable: true });
    const lostAt = Date.now();
    server.closeStreams(1001);
    await page.getByText(DISCONNECTED, { exact: true }).waitFor();
    assert.ok(Date.now() - lostAt >= 2000, 'two seconds of grace');
    await page.getByText(/dados de \d\d:\d\d/).waitFor();
    assert.equal(await card(page, 'revenueToday').textContent(), 'R$\u00A04.350,00');
    await page.screenshot({ path: `${shots}disconnected-1280-light.png` });
    for (const id of ['91', '92']) server.push('1', 'booking_created', booking(id));
    Object.assign(server.faults, { refuseUpgrade: false, unavailable: false });
    await page.getByRole('button', { name: 'Reconectar' }).click();
    await live(page);
    await page.getByText('3 não lidas').waitFor();
    assert.equal(await rowsOf(page).count(), 8);
  }));

  test('ten fast clicks on reconnect: one stream, one notification', () => dashboard(async ({ server, page }) => {
    await live(page);
    await page.evaluate(() => {
      const button = document.querySelector('realtime-metrics-display').shadowRoot.querySelector('.reconnect');
      for (let i = 0; i < 10; i++) button.click();
    });
    await server.until((seen) => seen.upgrades === 2);
    await live(page);
    await page.waitForFunction(() => document.querySelector('realtime-metrics-display').manager.getState().status === 'live');
    assert.equal(server.clients.size, 1);
    server.push('1', 'booking_created', booking('93'));
    await page.getByText('1 não lida', { exact: true }).waitFor();
  }));

  test('a refused WebSocket becomes an event stream, with its token in no address', () => dashboard(async ({ server, page, close }) => {
    await live(page);
    server.faults.refuseUpgrade = true;
    server.closeStreams(1001);
    await server.until((seen) => seen.sse === 1);
    await page.waitForFunction(() => document.querySelector('realtime-metrics-display').manager.getState().transport === 'sse');
    server.push('1', 'booking_created', booking('94'));
    await page.getByText('1 não lida', { exact: true }).waitFor({ timeout: 1000 });
    assert.ok(server.seen.urls.every((url) => url.startsWith('/client/') || !/bearer|token/i.test(url)));
    await close();
  }));

  test('another owner: not a byte of the former remains', () => dashboard(async ({ server, page }) => {
    await live(page);
    server.push('1', 'booking_created', booking('95', { guestName: 'Segredo' }));
    await page.getByText('Segredo').waitFor();
    await page.getByLabel('Conta').selectOption('2');
    await page.getByRole('heading', { name: 'Aeroclube Pampulha', level: 1 }).waitFor();
    await live(page);
    server.push('1', 'booking_created', booking('96', { guestName: 'Segredo' }));
    server.push('2', 'booking_created', booking('97', { guestName: 'Visível' }));
    await page.getByText('Visível').waitFor();
    assert.equal(await page.getByText('Segredo').count(), 0);
    assert.equal([...server.clients].length, 1);
    assert.equal(await page.title(), '(1) HangarShare');
  }));

  test('of two quick choices the last one counts, in whatever order the answers come', () => dashboard(async ({ page }) => {
    await live(page);
    let answerFirst = () => {};
    const held = new Promise((resolve) => (answerFirst = resolve));
    await page.route('**/api/auth/demo', async (route) => {
      if (route.request().postDataJSON().ownerId === '2') await held;
      await route.continue();
    });
    const owner = page.getByLabel('Conta');
    await owner.selectOption('2');
    await owner.selectOption('1');
    const answered = page.waitForResponse('**/api/auth/demo');
    answerFirst();
    await (await answered).finished();
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    assert.equal(await page.locator('realtime-metrics-display').getAttribute('owner-id'), '1');
    assert.equal(await owner.inputValue(), '1');
  }));

  test('a reload resumes where the tab was', () => dashboard(async ({ server, page }) => {
    await live(page);
    server.push('1', 'booking_created', booking('98'));
    await page.getByText('1 não lida', { exact: true }).waitFor();
    await page.goto('about:blank');
    server.push('1', 'booking_created', booking('99'));
    await page.goto(server.url);
    await page.getByText('1 não lida', { exact: true }).waitFor();
    assert.ok(server.seen.urls.some((url) => url.includes('lastEventId=e1-1')));
  }));
});

test('without a demo the page asks for a token, and tells a bad one', () => dashboard(async ({ page }) => {
  await page.getByLabel('Token de acesso').fill('wrong');
  await page.getByRole('button', { name: 'Ver meus números' }).click();
  await page.getByText('Este token não é válido').waitFor();
  await page.getByLabel('Token de acesso').fill('right');
  await page.getByRole('button', { name: 'Ver meus números' }).click();
  await live(page);
  await page.reload();
  await live(page);
  await page.getByRole('button', { name: 'Sair' }).click();
  await page.getByLabel('Token de acesso').waitFor();
}, { server: { demo: false } }));

/** Each state of the page: brought about, pictured, and held against axe-core. */
const STATES = {
  loading: { async reach({ page }) {
    await page.getByText('Conectando…').waitFor();
  }, hold: true },
  live: { async reach({ page, server }) {
    await live(page);
    server.push('1', 'booking_created', booking('1', { guestName: 'Carlos Eduardo Nogueira' }));
    server.push('1', 'revenue_received', { bookingId: '1001', hangarNumber: 'H-15', amount: 767.5, paymentMethod: 'pix' });
    server.push('1', 'occupancy_changed', { hangarId: '2', hangarNumber: 'H-15', isNowOccupied: true, newOccupant: 'Marina Lopes' });
    server.setMetrics('1', { revenueToday: 5117.5, bookingsToday: 8, occupancyRate: 66.7 });
    await page.getByText('3 não lidas').waitFor();
  } },
  reconnecting: { async reach({ page, server }) {
    await live(page);
    Object.assign(server.faults, { refuseUpgrade: true, unavailable: true });
    server.closeStreams(1001);
    await page.getByText(DISCONNECTED).waitFor();
  } },
  empty: { async reach({ page }) {
    await live(page);
    await page.getByText('Nenhuma reserva hoje ainda. As novas').waitFor();
  }, empty: true },
  'sign-in': { async reach({ page }) {
    await page.getByLabel('Token de acesso').waitFor();
  }, demo: false },
};

for (const [name, state] of Object.entries(STATES)) {
  test(`${name}: accessible and pictured, light and dark, on a desk and on a phone`, async () => {
    for (const colorScheme of ['light', 'dark']) {
      for (const viewport of [{ width: 1280, height: 900 }, { width: 360, height: 780 }, { width: 320, height: 600 }]) {
        const server = await startFakeServer({ demo: state.demo !== false });
        let release = () => {};
        if (state.hold) server.faults.hold = new Promise((resolve) => (release = resolve));
        if (state.empty) {
          Object.assign(server.owners.get('1'), { bookings: [], listings: [] });
          Object.assign(server.owners.get('1').metrics, { revenueToday: 0, bookingsToday: 0, occupancyRate: 0, growthPercentage: 0, activeListings: 0, pendingPayouts: 0, nextPayoutDate: '' });
        }
        const { page, close } = await openPage(browser, server.url, { colorScheme, viewport, bypassCSP: true, reducedMotion: 'reduce' });
        try {
          await page.goto(server.url);
          await state.reach({ page, server });
          await page.evaluate(axeSource);
          const { violations } = await page.evaluate(() => globalThis.axe.run());
          assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`), [],
            `${name} ${colorScheme} ${viewport.width}`);
          const width = await page.evaluate(() => document.documentElement.scrollWidth);
          assert.ok(width <= viewport.width, `${width} px of content on ${viewport.width} px`);
          if (viewport.width !== 320) {
            await page.screenshot({ path: `${shots}${name}-${viewport.width}-${colorScheme}.png`, fullPage: true });
          }
        } finally {
          release();
          await close();
          await server.stop();
        }
      }
    }
  });
}
