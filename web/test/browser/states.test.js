/**
 * Each state of the page, brought about at three widths, light and dark: held against axe-core,
 * never wider than the screen (320 px included). With SHOTS=1 each is pictured under
 * web/test/shots, for eyes.
 */
import { mkdir } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { launch } from './chromium.js';
import { DISCONNECTED, accessible, booking, dashboard, drawn, fits, live } from './dashboard.js';

const shots = new URL('../shots/', import.meta.url).pathname;
const PICTURED = Boolean(process.env.SHOTS);
/** The screens of one page, which is loaded at the first and then resized. */
const SCREENS = [[{ width: 1280, height: 900 }, { width: 768, height: 1024 }], [{ width: 360, height: 780 }, { width: 320, height: 600 }]];
const CALM = { reducedMotion: 'reduce', bypassCSP: true };

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => {
  if (PICTURED) await mkdir(shots, { recursive: true });
  browser = await launch();
});
after(() => browser.close());

/** What an owner begins with: nothing. */
const nothing = {
  bookings: [], listings: [], today: [],
  metrics: { revenueToday: 0, bookingsToday: 0, occupancyRate: 0, growthPercentage: 0, activeListings: 0, pendingPayouts: 0, nextPayoutDate: '' },
};
const fill = (/** @type {string} */ email, /** @type {string} */ password) => async (/** @type {import('playwright-core').Page} */ page) => {
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Senha').fill(password);
  await page.getByRole('button', { name: 'Entrar' }).click();
};

/**
 * `before` the page is asked for, `reach` the state; `whole` is pictured to its end.
 * @type {Record<string, {before?: (all: any) => unknown, reach: (all: any) => Promise<unknown>,
 *   server?: object, page?: object, whole?: boolean}>}
 */
const STATES = {
  loading: {
    async before({ server, page }) {
      server.faults.holdAll();
      // On a busy machine it is still the first load after 15 s.
      await page.addInitScript(() => {
        const { timeout } = AbortSignal;
        AbortSignal.timeout = (ms) => timeout.call(AbortSignal, 100 * ms);
      });
    },
    async reach({ page }) {
      await page.getByText('Conectando…').waitFor();
      await page.locator('.card.loading').nth(3).waitFor();
    },
  },
  live: {
    whole: true,
    server: { notifications: true },
    before({ server: { notes } }) {
      notes.add('1', 'booking_created', { hangarId: '3', hangarNumber: 'A-03', bookingId: '1009', guestName: 'Carlos Eduardo Nogueira', amount: 1350 });
      notes.add('1', 'payment_received', { hangarId: '2', hangarNumber: 'H-15', bookingId: '1001', guestName: 'Táxi Aéreo Vale', amount: 767.5 });
      notes.add('1', 'to_confirm', { hangarId: '2', hangarNumber: 'H-15', bookingId: '1001', guestName: 'Táxi Aéreo Vale', amount: 767.5 }, { severity: 'attention' });
    },
    async reach({ page, server }) {
      await live(page);
      await page.locator('owner-notifications .bell').waitFor();
      await page.locator('.spark').nth(2).waitFor();
      await page.locator('[data-metric=growthPercentage]:not(.loading)').waitFor();
      server.push('1', 'booking_created', booking('1', { guestName: 'Carlos Eduardo Nogueira' }));
      server.push('1', 'revenue_received', { bookingId: '1001', hangarNumber: 'H-15', amount: 767.5, paymentMethod: 'pix' });
      server.push('1', 'occupancy_changed', { hangarId: '4', hangarNumber: 'B-07', isNowOccupied: true, newOccupant: 'Marina Lopes' });
      server.setMetrics('1', { revenueToday: 5117.5, bookingsToday: 8, occupancyRate: 75 });
      await page.getByText('3 não lidas', { exact: true }).waitFor();
      await page.getByText('Ficou ocupado').first().waitFor();
      await page.locator('[data-metric=revenueToday]').getByText(/5\.117,50/).waitFor();
    },
  },
  reconnecting: {
    async reach({ page, server }) {
      await live(page);
      Object.assign(server.faults, { refuseUpgrade: true, unavailable: true });
      server.closeStreams(1001);
      await page.getByText(DISCONNECTED, { exact: true }).waitFor();
    },
  },
  stale: {
    before: ({ page }) => page.clock.install(),
    async reach({ page }) {
      await live(page);
      await page.clock.runFor(31_000);
      await page.getByText(/^Sem confirmação há \d+ s$/).waitFor();
    },
  },
  offline: {
    async reach({ page, server }) {
      await live(page);
      await page.context().setOffline(true);
      server.closeStreams(1001);
      await page.getByText('Sem internet', { exact: true }).waitFor();
    },
  },
  paused: {
    async reach({ page, server }) {
      await live(page);
      await page.getByRole('button', { name: 'Pausar' }).click();
      for (let i = 0; i < 5; i++) server.push('1', 'booking_created', booking(`p${i}`));
      await page.getByText('Atualizações pausadas · 5 em espera').waitFor();
    },
  },
  'session-expired': {
    async reach({ page, server }) {
      await fill('ana@example.com', server.password)(page);
      await live(page);
      Object.assign(server.faults, { badToken: true, signedOut: true });
      server.closeStreams(4401);
      await page.getByRole('button', { name: 'Entrar de novo' }).waitFor();
      await page.getByText('Sessão expirada', { exact: true }).waitFor();
    },
    server: { demo: false },
  },
  'part-failed': {
    whole: true,
    before: ({ server }) => ['today', 'listings', 'bookings'].forEach((part) => server.faults.parts.add(part)),
    async reach({ page }) {
      await page.getByText('Não foi possível carregar as chegadas e saídas de hoje.').waitFor();
      await page.getByText('Não foi possível carregar os hangares.').waitFor();
    },
  },
  empty: {
    whole: true,
    before: ({ server }) => Object.assign(server.owners.get('1'), structuredClone(nothing)),
    async reach({ page }) {
      await live(page);
      await page.getByText('Nenhuma reserva hoje ainda. As novas aparecem aqui na hora.').waitFor();
    },
  },
  'no-base': {
    before: ({ server }) => Object.assign(server.owners.get('1').metrics, { growthPercentage: 100, growthBasis: 'new' }),
    async reach({ page }) {
      await live(page);
      await page.getByText(/Sem base de comparação/).waitFor();
    },
  },
  'new-ones-wait': {
    whole: true,
    async reach({ page, server }) {
      await live(page);
      await page.locator('[data-list=feed]').focus();
      for (let i = 0; i < 3; i++) server.push('1', 'booking_created', booking(`h${i}`));
      await page.getByRole('button', { name: '3 novas' }).waitFor();
    },
  },
  cleared: {
    // Undoing is offered for 8 s, pictures take longer.
    before: ({ page }) => page.addInitScript(() => {
      const own = globalThis.setTimeout;
      globalThis.setTimeout = /** @type {any} */ ((/** @type {TimerHandler} */ run, /** @type {number} */ ms) => own(run, ms === 8000 ? 100 * ms : ms));
    }),
    async reach({ page }) {
      await live(page);
      await page.getByRole('button', { name: 'Limpar' }).click();
      await page.getByRole('button', { name: 'Desfazer' }).waitFor();
    },
  },
  'sign-in': { reach: ({ page }) => page.getByLabel('Senha').waitFor(), server: { demo: false } },
  'sign-in-refused': {
    async reach({ page }) {
      await fill('ana@example.com', 'errada')(page);
      await page.getByText('E-mail ou senha incorretos.').waitFor();
    },
    server: { demo: false },
  },
  print: {
    whole: true,
    async reach({ page }) {
      await live(page);
      await page.emulateMedia({ media: 'print' });
      await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
      await page.getByText(/^Impresso em .* · dados de /).waitFor();
    },
  },
  'forced-colors': {
    async reach({ page }) {
      await live(page);
      await page.emulateMedia({ forcedColors: 'active' });
    },
  },
  'more-contrast': {
    async reach({ page }) {
      await live(page);
      await page.emulateMedia({ contrast: 'more' });
    },
  },
};

/** @param {string} name @param {{width: number, height: number}[]} screens */
const hold = (name, screens) => {
  const state = STATES[name];
  return dashboard(browser, async (all) => {
    const { page } = all;
    await state.reach(all);
    for (const viewport of screens) {
      await page.setViewportSize(viewport);
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        const where = `${name}-${viewport.width}-${colorScheme}`;
        await page.emulateMedia({ colorScheme });
        await drawn(page);
        await fits(page, where);
        // The narrowest layout differs from 360 px by its width alone.
        if (viewport.width === 320) break;
        // Colours are the same at every width, so the second screen is held in one theme.
        if (viewport !== screens[1] || colorScheme === 'light') await accessible(page, where);
        if (PICTURED) await page.screenshot({ path: `${shots}${where}.png`, fullPage: state.whole });
      }
    }
  }, {
    server: state.server, page: { ...CALM, viewport: screens[0], ...state.page },
    async before(all) {
      await state.before?.(all);
      // The browser's clock is right, as most are.
      await all.page.addInitScript((ahead) => {
        const { now } = Date;
        Date.now = () => now() + ahead;
      }, all.server.ahead);
    },
  });
};

// Most of a state's time is waiting for it.
describe('accessible, and fits', { concurrency: 3 }, () => {
  for (const name of Object.keys(STATES)) test(name, () => Promise.all(SCREENS.map((screens) => hold(name, screens))));
});

// No script runs there, so axe-core cannot either: only the picture shows what is missing.
test('no-script: says what is missing', () => Promise.all(SCREENS.flat().map((viewport) => dashboard(browser, async ({ page }) => {
  await page.locator('noscript .alert').waitFor();
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    await page.emulateMedia({ colorScheme });
    if (PICTURED && viewport.width > 320) await page.screenshot({ path: `${shots}no-script-${viewport.width}-${colorScheme}.png` });
  }
}, { page: { viewport, javaScriptEnabled: false } }))));
