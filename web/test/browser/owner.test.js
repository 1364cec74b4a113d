/** What an owner looks for on the page, and what the page has to stand. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch } from './chromium.js';
import { DISCONNECTED, accessible, booking, card, dashboard as open, drawn, fits, live, rowsOf } from './dashboard.js';
import growth from '../../static/element/words/pt.js';
import notifications from '../../static/notifications/words/pt.js';
import { PORTUGUESE } from '../../static/state/wording.js';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** @typedef {import('playwright-core').Page} Page */
const dashboard = (/** @type {any} */ run, /** @type {any} */ options) => open(browser, run, options);
const CALM = { bypassCSP: true, reducedMotion: 'reduce' };

/**
 * A server that knows the portal's addresses. A page that a test had rewritten would open no
 * WebSocket to this machine.
 */
const LINKS = { links: 'data-booking-link="/portal/reservas/{id}" data-listing-link="/portal/hangares/{id}?de=painel" data-password-link="/portal/senha"' };
const signIn = async (/** @type {Page} */ page, /** @type {string} */ password) => {
  await page.getByLabel('E-mail').fill('ana@example.com');
  await page.getByLabel('Senha').fill(password);
  await page.getByRole('button', { name: 'Entrar', exact: true }).click();
};

describe('where things lead', () => {
  test('a booking opens its details: what is known of it, a way to the portal, and back to where one was', () => dashboard(async (/** @type {any} */ { server, page }) => {
    const answers = [{ status: 500 }, { json: { ...booking('2001'), status: 'confirmed', paymentMethod: 'credit_card', paid: true, since: '2026-01-20T10:00:00-03:00',
      history: [{ type: 'booking_created', timestamp: Date.UTC(2026, 0, 20, 13), data: booking('2001') }, { type: 'revenue_received', timestamp: Date.UTC(2026, 0, 20, 14), data: { bookingId: '2001', hangarNumber: 'A-03', amount: 1350, paymentMethod: 'credit_card' } },
        { type: 'booking_updated', timestamp: Date.UTC(2026, 0, 20, 15), data: { ...booking('2001'), status: 'confirmed', previousStatus: 'pending' } }] } }, { status: 404 }];
    await page.route('**/api/owners/1/bookings/2001', (/** @type {any} */ route) => route.fulfill(answers.shift()));
    await live(page);
    const guest = rowsOf(page, 'arrivals').getByRole('button', { name: 'Táxi Aéreo Vale' });
    await guest.press('Enter');
    const dialog = page.getByRole('dialog', { name: 'Detalhes da reserva' });
    await dialog.getByText('Não foi possível carregar a reserva.').waitFor();
    await dialog.getByRole('button', { name: 'Tentar de novo' }).click();
    await dialog.getByText('Histórico').waitFor();
    const facts = await dialog.locator('.fact').evaluateAll((/** @type {Element[]} */ all) => Object.fromEntries(all.map((one) => [...one.children].map(({ textContent }) => textContent))));
    assert.equal(facts['Hóspede'], 'Carlos Nogueira');
    assert.equal(facts['Preço'], 'R$\u00A01.350,00');
    assert.equal(facts['Pagamento'], 'cartão de crédito · recebido');
    assert.equal(facts['Situação'], 'confirmada');
    assert.match(facts['Estadia'], / · 3 diárias$/);
    assert.deepEqual((await dialog.locator('.history li').allTextContents()).map((/** @type {string} */ text) => text.replace(/\u00A0/g, ' ')), [
      '20 de jan., 10:00Nova reservaR$ 1.350,00', '20 de jan., 11:00Pagamento recebidoR$ 1.350,00', '20 de jan., 12:00Reserva confirmadaR$ 1.350,00']);
    assert.equal(await dialog.getByRole('link', { name: 'Abrir no portal' }).getAttribute('href'), '/portal/reservas/2001');
    // What lies behind a modal dialog is in no landmark.
    await accessible(page, 'details', { region: { enabled: false } });
    await page.setViewportSize({ width: 320, height: 600 });
    await fits(page, 'details');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await page.waitForFunction(() => document.querySelector('realtime-metrics-display')?.shadowRoot?.activeElement?.textContent === 'Táxi Aéreo Vale');
    await guest.press('Enter');
    await dialog.getByText('Esta reserva não existe mais.').waitFor();
    await dialog.getByRole('button', { name: 'Fechar' }).click();
    assert.equal(await page.locator('.tile a.number').first().getAttribute('href'), '/portal/hangares/1?de=painel');
    server.push('1', 'booking_created', booking('77', { guestName: 'Da Lista' }));
    await page.route('**/api/owners/1/bookings/77', (/** @type {any} */ route) => route.fulfill({ json: booking('77', { guestName: 'Da Lista' }) }));
    await rowsOf(page).first().getByRole('button', { name: 'Nova reserva' }).first().click();
    await dialog.getByText('Da Lista').waitFor();
    await page.evaluate(() => document.querySelector('realtime-metrics-display')?.setAttribute('owner-id', '2'));
    await dialog.waitFor({ state: 'detached' });
  }, { page: CALM, server: LINKS }));

  test('those to confirm are filtered, each by its newest word', () => dashboard(async (/** @type {any} */ { server, page }) => {
    await live(page);
    await page.getByLabel('Mostrar', { exact: true }).selectOption({ label: 'A confirmar' });
    const titles = () => rowsOf(page).locator('.detail').allTextContents();
    const names = async () => (await titles()).map((/** @type {string} */ text) => /^\u2068(.*?)\u2069/.exec(text)?.[1]);
    assert.deepEqual(await names(), ['Táxi Aéreo Vale', 'Pedro Antunes'], 'as the bookings say');
    server.push('1', 'booking_created', booking('801', { guestName: 'Nova Aguarda' }));
    await rowsOf(page).first().getByText('Nova Aguarda').waitFor();
    server.push('1', 'booking_updated', booking('801', { guestName: 'Nova Aguarda', status: 'confirmed', previousStatus: 'pending' }));
    await rowsOf(page).getByText('Nova Aguarda').waitFor({ state: 'detached' });
    await page.getByLabel('Mostrar', { exact: true }).selectOption({ label: 'Pagamentos' });
    await page.getByText('Nada deste tipo por aqui.').waitFor();
  }));

  test('after the loss of an account the other one is offered', () => dashboard(async (/** @type {any} */ { server, page }) => {
    await live(page);
    server.closeStreams(4403);
    await page.getByText('Você não tem mais acesso a esta conta.').waitFor();
    await page.getByText('Sem acesso a esta conta').waitFor();
    await page.getByRole('button', { name: 'Abrir Aeroclube Pampulha' }).click();
    await page.getByRole('heading', { level: 1, name: 'Aeroclube Pampulha' }).waitFor();
    await live(page);
  }));

  test('500 hangars: all can be reached, and spaces stay in one line', () => dashboard(async (/** @type {any} */ { page }) => {
    await live(page);
    assert.equal(await page.locator('.tile').count(), 24);
    const broken = () => page.locator('.tile .spaces').evaluateAll((/** @type {Element[]} */ all) => all.filter((one) => one.getBoundingClientRect().height > 30).map(({ textContent }) => textContent));
    assert.deepEqual(await broken(), []);
    await page.getByRole('button', { name: 'Ver todos (500)' }).press('Enter');
    assert.equal(await page.locator('.tile').count(), 500);
    await page.setViewportSize({ width: 360, height: 700 });
    await drawn(page);
    assert.deepEqual(await broken(), []);
    await fits(page, '500 hangars');
    await page.getByRole('button', { name: 'Ver menos' }).press('Enter');
    assert.equal(await page.locator('.tile').count(), 24);
  }, { before({ server }) {
    const owner = server.owners.get('1');
    owner.listings = Array.from({ length: 500 }, (_, i) => ({ ...owner.listings[i % 4], hangarId: String(i), hangarNumber: `H-${i}`, totalSpaces: i % 3 ? 2001 : 2, occupiedSpaces: i % 3 ? 1999 : 1 }));
  } }));
});

describe('signing in', () => {
  test('the first field is ready, what is typed can be seen, and a forgotten password has a link', () => dashboard(async (/** @type {any} */ { page }) => {
    await page.getByLabel('E-mail').waitFor();
    await page.waitForFunction(() => document.activeElement?.id === 'email');
    const password = page.getByLabel('Senha');
    await password.fill('segredo');
    await page.getByLabel('Mostrar o que digito').check();
    assert.equal(await password.getAttribute('type'), 'text');
    await page.getByLabel('Mostrar o que digito').uncheck();
    assert.equal(await password.getAttribute('type'), 'password');
    assert.equal(await page.getByRole('link', { name: 'Esqueceu a senha?' }).getAttribute('href'), '/portal/senha');
  }, { server: { demo: false, ...LINKS } }));

  test('an invitation is asked about, may fail, and brings its account', () => dashboard(async (/** @type {any} */ { server, page }) => {
    await page.getByLabel('Senha').waitFor();
    const invitation = { id: '9', ownerId: '7', companyName: 'Hangar do Vale', role: 'viewer', invitedBy: 'bia@example.com', invitedByName: 'Bia \u202EPrado' };
    let accepted = false;
    await page.route('**/api/auth/me', (/** @type {any} */ route) => route.fulfill({ json: {
      accounts: ['1', '2', ...(accepted ? ['7'] : [])].map((ownerId) => ({ ownerId, companyName: `Conta ${ownerId}`, role: 'owner' })), invitations: accepted ? [] : [invitation] } }));
    const answers = [{ status: 503 }, { status: 204 }];
    /** @type {any[]} */
    const asked = [];
    await page.route('**/api/me/invitations/9', (/** @type {any} */ route) => {
      asked.push(route.request().postDataJSON());
      accepted = answers.length === 1;
      return route.fulfill(answers.shift());
    });
    await signIn(page, server.password);
    await live(page);
    await page.getByText('convidou você para a conta').waitFor();
    await accessible(page, 'invitation');
    await page.getByRole('button', { name: 'Aceitar' }).click();
    await page.getByText('A resposta não chegou ao servidor. Tente de novo.').waitFor();
    await page.getByRole('button', { name: 'Aceitar' }).click();
    await page.locator('.invitation').waitFor({ state: 'detached' });
    assert.deepEqual(asked, [{ accept: true }, { accept: true }]);
    assert.deepEqual(await page.getByLabel('Conta', { exact: true }).locator('option').allTextContents(), ['Conta 1', 'Conta 2', 'Conta 7']);
  }, { server: { demo: false }, page: CALM }));

  for (const [name, answer, said] of /** @type {[string, any, RegExp][]} */ ([
    ['a proxy that rewrites Host', { status: 403 }, /^O servidor recusou esta página \(403\).*ALLOWED_ORIGINS/],
    ['another server\'s name', { status: 421 }, /^O servidor recusou esta página \(421\)/],
    ['a refused refresh', { status: 503, headers: { 'Retry-After': '30' } }, /^O servidor pediu para esperar 30 s\.$/],
    ['a refusal until a date', { status: 429, headers: { 'Retry-After': new Date(Date.now() + 35 * 86_400_000).toUTCString() } }, /^O servidor pediu para esperar 1 h\.$/],
    ['something else that answers 200', { json: {} }, /^O servidor não responde\. Tentando de novo…$/],
  ])) {
    test(`at load, ${name}: says what is wrong, and can be tried at once`, () => dashboard(async (/** @type {any} */ { page }) => {
      await page.getByRole('alert').getByText(said).waitFor();
      await page.unroute('**/api/auth/demo');
      // Without a time to wait for the page tries by itself.
      if (answer.headers) await page.getByRole('button', { name: 'Tentar agora' }).click();
      await live(page);
    }, { before: (/** @type {any} */ { page }) => page.route('**/api/auth/demo', (/** @type {any} */ route) => route.fulfill(answer)) }));
  }
});

test('a snapshot that is refused while the stream lives is said, with what it answered', () => dashboard(async (/** @type {any} */ { server, page }) => {
  await page.getByText('Ao vivo, incompleto').waitFor();
  await page.getByText(/o servidor não entregou os dados \(500\)/).waitFor();
  server.faults.parts.clear();
  await live(page);
}, { before: (/** @type {any} */ { server }) => server.faults.parts.add('metrics') }));

describe('styles', () => {
  const frame = (/** @type {Page} */ page) => page.evaluate(() => {
    const root = /** @type {ShadowRoot} */ (document.querySelector('realtime-metrics-display')?.shadowRoot);
    return { sheets: root.adoptedStyleSheets.length, hidden: /** @type {HTMLElement} */ (root.querySelector('.frame')).hidden,
      icon: Math.max(...[...root.querySelectorAll('svg')].map((one) => one.getBoundingClientRect().height)), height: document.documentElement.scrollHeight };
  });
  for (const [name, answer] of /** @type {[string, any][]} */ ([['missing', { status: 404 }], ['HTML', { contentType: 'text/html', body: '<h1>Entrar no Wi-Fi</h1>' }]])) {
    test(`${name}: legible without them, and asked for until they come`, () => dashboard(async (/** @type {any} */ { page }) => {
      await live(page);
      const { sheets, icon, height } = await frame(page);
      assert.equal(sheets, 0);
      assert.ok(icon <= 32 && height < 10_000, `${icon} px of icon, ${height} px of page`);
      await page.unroute('**/element.css');
      await page.waitForFunction(() => document.querySelector('realtime-metrics-display')?.shadowRoot?.adoptedStyleSheets.length === 1);
    }, { page: CALM, before: (/** @type {any} */ { page }) => page.route('**/element.css', (/** @type {any} */ route) => route.fulfill(answer)) }));
  }

  test('late: shown without them after three seconds, and styled when they come', () => dashboard(async (/** @type {any} */ { page, come }) => {
    await page.waitForFunction(() => document.querySelector('realtime-metrics-display')?.shadowRoot?.querySelector('.frame')?.checkVisibility());
    assert.equal((await frame(page)).sheets, 0);
    come();
    await page.waitForFunction(() => document.querySelector('realtime-metrics-display')?.shadowRoot?.adoptedStyleSheets.length === 1);
  }, { before: (/** @type {any} */ all) => {
    const held = new Promise((resolve) => (all.come = resolve));
    return all.page.route('**/element.css', (/** @type {any} */ route) => held.then(() => route.continue()));
  } }));

  test('adopted by another document: styled there too, and live', () => dashboard(async (/** @type {any} */ { server, page }) => {
    await live(page);
    const sheets = await page.evaluate(async () => {
      const other = document.body.appendChild(document.createElement('iframe'));
      const display = /** @type {HTMLElement} */ (document.querySelector('realtime-metrics-display'));
      other.contentDocument?.body.append(display);
      Object.assign(globalThis, { display });
      while (display.shadowRoot?.adoptedStyleSheets.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      return display.shadowRoot?.adoptedStyleSheets.length;
    });
    assert.equal(sheets, 1);
    server.setMetrics('1', { revenueToday: 77 });
    await page.waitForFunction(() => /** @type {any} */ (globalThis).display.shadowRoot.querySelector('.value').textContent.endsWith('77,00'));
  }, { page: CALM }));
});

describe('numbers are never cut', () => {
  const WIDTHS = [320, 360, 414, 600, 768, 1024, 1280, 1920];
  /** What runs over its card, or the screen. @param {Page} page */
  const cut = (page) => page.evaluate(() => {
    const root = /** @type {ShadowRoot} */ (document.querySelector('realtime-metrics-display')?.shadowRoot);
    const over = document.documentElement.scrollWidth > innerWidth ? [`${document.documentElement.scrollWidth} px on ${innerWidth}`] : [];
    for (const value of root.querySelectorAll('.value, dd')) {
      const range = document.createRange();
      range.selectNodeContents(value);
      const box = /** @type {Element} */ (value.closest('.card, .fact')).getBoundingClientRect();
      const { left, right, width } = range.getBoundingClientRect();
      if (left < box.left || right > box.right || width === 0) over.push(`${value.textContent}: ${left} to ${right} in ${box.left} to ${box.right}`);
    }
    return over;
  });
  for (const standard of [16, 32]) {
    test(`1e5 to 1e9 at ${WIDTHS.length} widths, text at ${standard / 0.16} %`, () => dashboard(async (/** @type {any} */ { server, page }) => {
      const devtools = await page.context().newCDPSession(page);
      await devtools.send('Page.setFontSizes', { fontSizes: { standard, fixed: 13 } });
      await page.reload();
      await live(page);
      const size = await page.evaluate(() => parseFloat(getComputedStyle(/** @type {Element} */ (document.querySelector('realtime-metrics-display')?.shadowRoot?.querySelector('.line'))).fontSize));
      assert.ok(Math.abs(size / standard - 0.94) < 0.1, `text of ${size} px where a person wants ${standard}`);
      for (const amount of [123_529.89, 1_235_293.89, 12_352_938.89, 123_529_388.89, 1_235_293_888.89]) {
        server.setMetrics('1', { revenueToday: amount, pendingPayouts: amount, bookingsToday: Math.floor(amount), growthPercentage: -amount / 1000, activeListings: 2001 });
        await page.waitForFunction((/** @type {string} */ text) => document.querySelector('realtime-metrics-display')?.shadowRoot?.querySelector('.value')?.textContent?.replace(/\u00A0/g, ' ') === text,
          amount.toLocaleString('pt-BR', { style: 'currency', currency: 'BRL' }).replace(/\u00A0/g, ' '));
        for (const width of WIDTHS) {
          await page.setViewportSize({ width, height: 800 });
          assert.deepEqual(await cut(page), [], `${amount} at ${width} px`);
        }
      }
    }, { page: CALM }));
  }
});

test('whatever may be old looks old while the page is disconnected', () => dashboard(async (/** @type {any} */ { server, page }) => {
  await live(page);
  const looks = () => page.evaluate(() => [...(document.querySelector('realtime-metrics-display')?.shadowRoot?.querySelectorAll('.card, .facts, .panel, .tile, .stay .state, .row') ?? [])]
    .filter((one) => one.checkVisibility()).map((one) => {
      const style = getComputedStyle(one);
      const container = /** @type {Element} */ (one.closest('.panel, .card, .facts'));
      return { of: one.className, dashed: getComputedStyle(container).borderTopStyle === 'dashed', hue: style.getPropertyValue('--hue'), soft: style.getPropertyValue('--soft') };
    }));
  assert.ok((await looks()).every(({ dashed }) => !dashed), 'live looks live');
  Object.assign(server.faults, { refuseUpgrade: true, unavailable: true });
  server.closeStreams(1001);
  await page.getByText(DISCONNECTED, { exact: true }).waitFor();
  const old = await looks();
  assert.ok(old.length > 20);
  assert.deepEqual(old.filter(({ of, dashed, hue, soft }) => !dashed || (/card|tile|state|row/.test(of) && hue !== soft)), []);
}, { page: CALM }));

test('colour says what the number says: up is good, down is not, occupied and free differ', () => dashboard(async (/** @type {any} */ { server, page }) => {
  await live(page);
  const growth = page.locator('[data-metric=growthPercentage]');
  const colour = (/** @type {any} */ of) => of.evaluate((/** @type {Element} */ one) => getComputedStyle(one).color);
  /** @type {string[]} */
  const shown = [];
  for (const [growthPercentage, text] of /** @type {[number, string][]} */ ([[12, '+12,0%'], [-12, '-12,0%'], [0, '0,0%']])) {
    server.setMetrics('1', { growthPercentage });
    await growth.getByText(text, { exact: true }).waitFor();
    shown.push(await colour(growth.locator('.value')));
  }
  assert.deepEqual(shown, ['rgb(22, 101, 52)', 'rgb(154, 52, 18)', await colour(card(page, 'bookingsToday'))]);
  const tiles = await page.locator('.tile').evaluateAll((all) => all.map((one) => getComputedStyle(/** @type {Element} */ (one.querySelector('.state'))).color));
  assert.equal(new Set(tiles).size, 2, `occupied and free: ${tiles}`);
}, { before: ({ server }) => server.faults.parts.add('trends') }));

test('on a phone the first number is above y = 200, and the company is named once', () => dashboard(async (/** @type {any} */ { page }) => {
  await live(page);
  const { y, height } = await card(page, 'revenueToday').boundingBox();
  assert.ok(y < 200, `the first number begins at y = ${y}, ${height} px high`);
  const names = await page.getByText('Hangares Campo de Marte Ltda.', { exact: true }).evaluateAll((all) => all.filter((one) => {
    const { width, height: tall } = one.getBoundingClientRect();
    return getComputedStyle(one).clipPath === 'none' && width > 1 && tall > 1;
  }).length);
  const choice = await page.getByLabel('Conta').boundingBox();
  assert.equal(names + (choice ? 1 : 0), 1);
  const [first, second] = await page.locator('.tile').evaluateAll((all) => all.slice(0, 2).map((one) => one.getBoundingClientRect().top));
  assert.equal(first, second, 'hangars stand side by side');
}, { page: { viewport: { width: 360, height: 780 } } }));

test('no panel is empty on a day with arrivals: the feed begins with them', () => dashboard(async (/** @type {any} */ { page }) => {
  await live(page);
  await page.getByLabel('Mostrar', { exact: true }).selectOption({ label: 'Chegadas e saídas' });
  assert.ok(await rowsOf(page).count() > 0);
  assert.equal(await page.getByText('Nada deste tipo por aqui.').isVisible(), false);
}));

test('the same news twice is said twice', () => dashboard(async (/** @type {any} */ { server, page }) => {
  await live(page);
  await page.evaluate(() => {
    const region = /** @type {Element} */ (document.querySelector('realtime-metrics-display')?.shadowRoot?.querySelector('[role=status]'));
    Object.assign(globalThis, { said: [] });
    new MutationObserver(() => /** @type {any} */ (globalThis).said.push(region.textContent)).observe(region, { childList: true, characterData: true, subtree: true });
  });
  for (let n = 1; n <= 3; n++) {
    server.push('1', 'booking_created', booking(`n${n}`));
    await page.waitForFunction((/** @type {string} */ title) => document.title === title, `(${n}) HangarShare`);
    await page.clock.runFor(10_600);
    await page.waitForFunction((/** @type {number} */ count) => /** @type {any} */ (globalThis).said.length >= count, n);
  }
  const said = await page.evaluate(() => /** @type {any} */ (globalThis).said);
  assert.deepEqual(said.map((/** @type {string} */ text) => text.trim()), Array(3).fill('1 nova reserva. Receita de hoje: R$\u00A04.350,00.'));
  assert.notEqual(said[0], said[1]);
  assert.notEqual(said[1], said[2]);
}, { before: (/** @type {any} */ { page }) => page.clock.install() }));

test('midnight: another day, whose arrivals are asked for', () => dashboard(async (/** @type {any} */ { server, page }) => {
  await live(page);
  const before = await page.locator('.agenda .aside').textContent();
  const asked = () => server.seen.urls.filter((/** @type {string} */ url) => url.includes('on=today')).length;
  const questions = asked();
  for (let i = 0; i < 30 && asked() === questions; i++) {
    server.advance(5000);
    await page.clock.runFor(5000);
    server.heartbeat();
    await drawn(page);
  }
  assert.ok(asked() > questions);
  await page.waitForFunction((/** @type {string} */ former) => document.querySelector('realtime-metrics-display')?.shadowRoot?.querySelector('.agenda .aside')?.textContent !== former, before);
}, { server: { at: '23:59' }, before: (/** @type {any} */ { page }) => page.clock.install() }));

describe('words', () => {
  /**
   * Every word of ours in brackets: what is shown without them stands somewhere else.
   * @param {any} value
   * @returns {any}
   */
  const marked = (value) => (typeof value === 'string' ? `⟦${value}⟧` : Array.isArray(value) ? value.map(marked) : Object.fromEntries(Object.entries(value).map(([name, one]) => [name, marked(one)])));
  /** In place of English: the page's words, and those of what it loads at once. */
  const catalogue = () => `export default ${JSON.stringify({ page: { ...marked(PORTUGUESE), language: 'en' }, growth: marked(growth), notifications: marked(notifications) })};`;
  /** Texts and names with a letter in them and nothing of the catalogue. @param {Page} page */
  const untranslated = (page) => page.evaluate(() => {
    /** @type {string[]} */
    const found = [];
    const look = (/** @type {string | null} */ text) => {
      if (/\p{L}/u.test(text ?? '') && !/[⟦⟧]/.test(text ?? '')) found.push(text ?? '');
    };
    for (const root of [document.body, /** @type {ShadowRoot} */ (document.querySelector('realtime-metrics-display')?.shadowRoot)].filter(Boolean)) {
      for (const one of root.querySelectorAll('*:not(noscript, script)')) {
        for (const child of one.childNodes) if (child.nodeType === 3 && one.checkVisibility() && !one.matches('bdi, option, h1, time, noscript *, [dir=auto]') && !one.closest('.brand')) look(child.textContent);
        for (const name of ['aria-label', 'title', 'placeholder', 'alt']) if (!one.closest('bdi') && !one.matches('time, .guest, .detail')) look(one.getAttribute(name));
      }
    }
    // Numbers and dates are the browser's words, in the language that was asked for.
    return found.filter((text) => !/^(R\$|[A-Z][a-z]+, [A-Z]|\d)/.test(text));
  });
  const speak = { server: LINKS, before: async (/** @type {any} */ { page }) => {
    await page.addInitScript(() => localStorage.setItem('hangarshare:language', 'en'));
    await page.route('**/words/en.js', async (/** @type {any} */ route) => route.fulfill({ contentType: 'text/javascript', body: catalogue() }));
  }, page: CALM };

  test('the dashboard holds none but the catalogue\'s', () => dashboard(async (/** @type {any} */ { server, page }) => {
    await page.getByText('⟦Ao vivo⟧').waitFor();
    await page.locator('.columns:not([hidden])').waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'en');
    assert.equal(await page.locator('.frame').getAttribute('lang'), 'en');
    server.push('1', 'booking_created', booking('w1'));
    server.push('1', 'revenue_received', { bookingId: '1001', hangarNumber: 'H-15', amount: 767.5, paymentMethod: 'pix' });
    server.push('1', 'occupancy_changed', { hangarId: '4', hangarNumber: 'B-07', isNowOccupied: true, newOccupant: 'Marina Lopes' });
    await page.getByText(/^3 ⟦não lidas⟧$/).waitFor();
    assert.deepEqual(await untranslated(page), []);
    Object.assign(server.faults, { refuseUpgrade: true, unavailable: true });
    server.closeStreams(1001);
    await page.getByText(`⟦${DISCONNECTED}⟧`).waitFor();
    assert.deepEqual(await untranslated(page), []);
  }, speak));

  test('nor does the way in', () => dashboard(async (/** @type {any} */ { server, page }) => {
    await page.getByLabel('⟦Senha⟧').waitFor();
    await page.getByLabel('⟦E-mail⟧').fill('ana@example.com');
    await page.getByLabel('⟦Senha⟧').fill('errada');
    await page.getByRole('button', { name: '⟦Entrar⟧' }).click();
    await page.getByText('⟦E-mail ou senha incorretos.⟧').waitFor();
    assert.deepEqual(await untranslated(page), []);
    await page.getByLabel('⟦Senha⟧').fill(server.password);
    await page.getByRole('button', { name: '⟦Entrar⟧' }).click();
    await page.getByText('⟦Ao vivo⟧').waitFor();
    Object.assign(server.faults, { badToken: true, signedOut: true });
    server.closeStreams(4401);
    await page.getByText('⟦Sessão expirada⟧').waitFor();
    assert.deepEqual(await untranslated(page), []);
  }, { ...speak, server: { demo: false, ...LINKS } }));

  for (const [language, live] of [['en', 'Live'], ['es', 'En vivo']]) {
    const numbers = new Intl.NumberFormat(language, { style: 'currency', currency: 'BRL', currencyDisplay: 'narrowSymbol' }).format(1350).replace(/\u00A0/g, ' ');
    test(`?lang=${language} speaks it, says so, and stays`, () => dashboard(async (/** @type {any} */ { server, page }) => {
      await page.goto(`${server.url}/?lang=${language}`);
      await page.getByText(live, { exact: true }).waitFor();
      await page.goto(server.url);
      await page.getByText(live, { exact: true }).waitFor();
      assert.equal(await page.evaluate(() => document.documentElement.lang), language);
      server.setMetrics('1', { revenueToday: 1350 });
      await page.waitForFunction((/** @type {string} */ text) => document.querySelector('realtime-metrics-display')?.shadowRoot?.querySelector('.value')?.textContent?.replace(/\u00A0/g, ' ') === text, numbers);
      await accessible(page, language);
    }, { page: CALM }));
  }
});

test('on one page of paper, without a word that it is live', () => dashboard(async (/** @type {any} */ { page }) => {
  await live(page);
  await page.getByText(/anteriores, até \d/).waitFor(); // the longest text of the cards comes last
  const paper = (await page.pdf({ preferCSSPageSize: true })).toString('latin1');
  assert.equal(paper.match(/\/Type ?\/Page\b(?!s)/g)?.length, 1);
  await page.emulateMedia({ media: 'print' });
  assert.equal(await page.getByText('Ao vivo').isVisible(), false);
  assert.equal(await card(page, 'revenueToday').isVisible(), true);
}, { before({ server }) {
  const owner = server.owners.get('1');
  owner.listings = Array.from({ length: 40 }, (_, i) => ({ ...owner.listings[i % 4], hangarId: String(i), hangarNumber: `H-${i}` }));
  owner.today = Array.from({ length: 24 }, (_, i) => ({ ...owner.today[1], bookingId: `p${i}`, guestName: `Hóspede ${i}` }));
} }));
