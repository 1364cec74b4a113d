/** The page in a real Chromium, against a server that does what the test says. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch } from './chromium.js';
import { DISCONNECTED, booking, card, dashboard as open, drawn, live, rowsOf, wholeDay } from './dashboard.js';
import { midnight } from './fake-server.js';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const dashboard = (run, options) => open(browser, run, options);

const faultless = async (page, complaints) => {
  assert.deepEqual(complaints, []);
  assert.deepEqual(await page.evaluate(() => globalThis.violations), []);
};

describe('first load', () => {
  test('skeletons, then numbers, without an error, a foreign request, a shift, or a token in an address', () => dashboard(async ({ server, page, complaints }) => {
    await page.getByText('Conectando…').waitFor();
    assert.equal(await page.getByText(DISCONNECTED).count(), 0);
    await page.locator('.card.loading').nth(3).waitFor();
    server.faults.release();
    await live(page);
    assert.equal(await card(page, 'revenueToday').textContent(), 'R$\u00A04.350,00');
    await page.locator('[data-metric=growthPercentage]').getByText('+12,4% vs. 7 dias inteiros (hoje parcial)').waitFor();
    assert.equal(await rowsOf(page).count(), 8);
    assert.equal(await page.title(), 'HangarShare');
    assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1);
    await faultless(page, complaints);
    assert.ok(await page.evaluate(() => globalThis.shift) <= 0.02);
    assert.ok(server.seen.urls.every((url) => url.startsWith('/client/') || !/token|bearer/i.test(url)), 'no token in an address');
    assert.equal(server.seen.snapshots, 1);
    // What rescues a page from a bad network is loaded once it is live, and growth like for like is
    // asked for once everything is there.
    const asked = server.seen.urls.filter((url) => !/^\/client\/(fallback|element\/cards|element\/words\/pt|state\/days)\.js$|\/trends\?/.test(url));
    assert.ok(asked.length <= 20, `${asked.length} requests until everything is there:\n${asked.join('\n')}`);
  }, { before: ({ server }) => server.faults.holdAll() }));

  test('who arrives and leaves today, and a check-in as it happens', () => dashboard(async ({ server, page }) => {
    await live(page);
    await wholeDay(page);
    const guests = (list) => rowsOf(page, list).locator('.guest').allTextContents();
    assert.deepEqual((await guests('arrivals')).sort(), ['Ana Souza', 'João Batista Ferreira', 'Táxi Aéreo Vale']);
    assert.deepEqual((await guests('departures')).sort(), ['Marina Lopes', 'Pedro Antunes']);
    const [, expected] = server.owners.get('1').today;
    server.push('1', 'booking_updated', { ...expected, status: 'cancelled', previousStatus: 'confirmed' });
    await rowsOf(page, 'arrivals').filter({ hasText: expected.guestName }).waitFor({ state: 'detached' });
    server.push('1', 'booking_created', booking('today', { guestName: 'Chega Hoje', checkInDate: midnight(0), status: 'confirmed' }));
    await rowsOf(page, 'arrivals').getByRole('button', { name: 'Chega Hoje' }).waitFor();
  }));

  test('a part that failed is asked for again', () => dashboard(async ({ server, page }) => {
    const retry = page.getByRole('button', { name: 'Tentar de novo' });
    await retry.waitFor();
    server.faults.parts.clear();
    await retry.click();
    await page.locator('.agenda').getByText('Chegam hoje').waitFor();
  }, { before: ({ server }) => server.faults.parts.add('today') }));
});

describe('events', () => {
  test('a booking reaches card, list, counter and title', () => dashboard(async ({ server, page, complaints }) => {
    await live(page);
    const guestName = 'Carla Dias';
    server.push('1', 'booking_created', booking('77', { guestName }));
    server.setMetrics('1', { bookingsToday: 8 });
    await page.waitForFunction(() => document.title === '(1) HangarShare');
    await page.getByText('1 não lida', { exact: true }).waitFor();
    await rowsOf(page).first().getByText(guestName).waitFor();
    await page.waitForFunction(() => document.querySelector('realtime-metrics-display').shadowRoot
      .querySelector('[data-metric=bookingsToday] .value').textContent === '8');
    await faultless(page, complaints);
  }));

  test('a name is text, whatever is in it', () => dashboard(async ({ server, page, complaints }) => {
    await live(page);
    const names = [
      '<img src=x onerror="globalThis.owned=1">', '"><script>globalThis.owned=1</script>', "javascript:globalThis.owned=1//'", '{{constructor.constructor("owned=1")()}}',
      '<svg/onload=globalThis.owned=1>', '&lt;b&gt;Ana&lt;/b&gt;', `${'Maximiliana'.repeat(30)}`,
    ];
    await page.setViewportSize({ width: 320, height: 700 });
    for (const [i, guestName] of names.entries()) {
      server.push('1', 'booking_created', booking(`x${i}`, { guestName, checkInDate: midnight(0), hangarNumber: '<b>A</b>' }));
      server.push('1', 'occupancy_changed', { hangarId: '4', hangarNumber: 'B-07', isNowOccupied: true, newOccupant: guestName });
      await rowsOf(page).first().getByText(guestName).waitFor();
      await page.locator('.tile .guest').nth(3).getByText(guestName, { exact: true }).waitFor();
    }
    const { owned, foreign, width } = await page.evaluate(() => ({
      owned: 'owned' in globalThis, width: document.documentElement.scrollWidth,
      foreign: document.querySelector('realtime-metrics-display').shadowRoot.querySelectorAll('img, script, b, svg:not(.icon)').length,
    }));
    assert.deepEqual({ owned, foreign, width }, { owned: false, foreign: 0, width: 320 });
    await faultless(page, complaints);
  }));

  test('an occupancy change turns its tile and joins its list', () => dashboard(async ({ server, page }) => {
    await live(page);
    server.push('1', 'occupancy_changed', { hangarId: '4', hangarNumber: 'B-07', isNowOccupied: true, newOccupant: 'Marina Lopes' });
    await rowsOf(page).first().getByText(/^Chegou: .Marina Lopes.$/).waitFor();
    await page.locator('.tile.occupied', { hasText: 'B-07' }).waitFor();
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
    await page.getByText('Nada para ler').waitFor();
    assert.equal(await rowsOf(page).count(), 0);
    await page.getByRole('button', { name: 'Desfazer' }).press('Enter');
    await page.getByRole('button', { name: 'Mostrar mais' }).press('Enter');
    await rowsOf(page).nth(8).waitFor();
  }));

  test('what is under the pointer stays; newer rows wait behind a button', () => dashboard(async ({ server, page }) => {
    await live(page);
    const first = await rowsOf(page).first().textContent();
    await rowsOf(page).first().hover();
    for (let i = 0; i < 3; i++) server.push('1', 'booking_created', booking(`h${i}`));
    await page.getByRole('button', { name: '3 novas' }).waitFor();
    assert.equal((await rowsOf(page).first().textContent()).slice(0, 20), first.slice(0, 20));
    // The pointer stays where it is.
    await page.getByRole('button', { name: '3 novas' }).dispatchEvent('click');
    await page.waitForFunction(() => document.querySelector('realtime-metrics-display').shadowRoot
      .querySelector('[data-list=feed] li').textContent.includes('Carlos Nogueira'));
  }));

  test('what has the focus stays too, and the counter counts on', () => dashboard(async ({ server, page }) => {
    await live(page);
    server.push('1', 'booking_created', booking('f0', { guestName: 'Primeira' }));
    const mark = rowsOf(page).first().getByRole('button', { name: /Marcar como lida/ });
    await mark.focus();
    for (let i = 1; i < 3; i++) server.push('1', 'booking_created', booking(`f${i}`));
    await page.getByRole('button', { name: '2 novas' }).waitFor();
    assert.match(await rowsOf(page).first().textContent(), /Primeira/);
    assert.equal(await page.title(), '(3) HangarShare');
    await page.locator('.reconnect').focus();
    await rowsOf(page).first().getByText('Carlos Nogueira').waitFor();
  }));

  for (const viewport of [{ width: 1280, height: 900 }, { width: 768, height: 1024 }, { width: 360, height: 780 }]) {
    test(`the button of new rows moves no row, at ${viewport.width} px`, () => dashboard(async ({ server, page }) => {
      await live(page);
      const list = page.locator('[data-list=feed]');
      const top = () => list.evaluate((element) => element.getBoundingClientRect().top + scrollY);
      server.push('1', 'booking_created', booking('first'));
      await page.getByText('1 não lida', { exact: true }).waitFor();
      const before = await top();
      await list.focus();
      for (let i = 0; i < 3; i++) server.push('1', 'booking_created', booking(`n${i}`));
      await page.getByRole('button', { name: '3 novas' }).waitFor();
      assert.equal(await top(), before);
    }, { page: { viewport } }));
  }

  test('clearing can be undone for eight seconds', () => dashboard(async ({ page }) => {
    await live(page);
    await page.getByRole('button', { name: 'Limpar' }).click();
    const undo = page.getByRole('button', { name: 'Desfazer' });
    await page.clock.runFor(7500);
    assert.equal(await undo.isVisible(), true);
    await page.clock.runFor(1000);
    await undo.waitFor({ state: 'hidden' });
    assert.equal(await rowsOf(page).count(), 0);
  }, { before: ({ page }) => page.clock.install() }));

  test('a pause holds everything still, counts, and lets it all in again', () => dashboard(async ({ server, page }) => {
    await live(page);
    await page.getByRole('button', { name: 'Pausar' }).click();
    server.setMetrics('1', { revenueToday: 9999 });
    for (let i = 0; i < 5; i++) server.push('1', 'booking_created', booking(`p${i}`));
    await page.getByText('Atualizações pausadas · 5 em espera').waitFor();
    assert.equal(await card(page, 'revenueToday').textContent(), 'R$\u00A04.350,00');
    assert.equal(await page.title(), 'HangarShare');
    await page.getByRole('button', { name: 'Retomar' }).click();
    await page.getByText('5 não lidas').waitFor();
    assert.equal(await card(page, 'revenueToday').textContent(), 'R$\u00A09.999,00');
  }));

  test('fresh is what was confirmed last, not what changed last', () => dashboard(async ({ server, page }) => {
    await live(page);
    await page.clock.runFor(20_000);
    await page.getByText(/^atualizado há 2\d s$/).waitFor();
    server.heartbeat();
    await page.getByText(/^atualizado (agora|há [1-9] s)$/).waitFor();
  }, { before: ({ page }) => page.clock.install() }));

  test('a busy time shifts nothing and draws each card at most four times a second', () => dashboard(async ({ server, page }) => {
    await live(page);
    await page.evaluate(() => {
      globalThis.draws = 0;
      const value = document.querySelector('realtime-metrics-display').shadowRoot.querySelector('[data-metric=revenueToday] .value');
      new MutationObserver(() => globalThis.draws++).observe(value, { characterData: true, childList: true, subtree: true });
    });
    const seconds = 4;
    const begun = Date.now();
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
    const took = (Date.now() - begun) / 1000; // a busy machine sends for longer
    assert.ok(draws <= Math.ceil(took * 4) + 1, `${draws} draws in ${took} s`);
    assert.ok(shift <= 0.02, `layout shift ${shift}`);
  }));
});

describe('loss', () => {
  test('grace, the exact words, values stay, and back without a reload, nothing lost or doubled', () => dashboard(async ({ server, page }) => {
    await live(page);
    server.push('1', 'booking_created', booking('90'));
    await page.getByText('1 não lida', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Mostrar mais' }).click();
    const before = await rowsOf(page).count();
    Object.assign(server.faults, { refuseUpgrade: true, unavailable: true });
    const lostAt = Date.now();
    server.closeStreams(1001);
    await page.getByText(DISCONNECTED, { exact: true }).waitFor();
    assert.ok(Date.now() - lostAt >= 2000, 'two seconds of grace');
    await page.getByText(/dados de \d\d:\d\d/).waitFor();
    assert.equal(await card(page, 'revenueToday').textContent(), 'R$\u00A04.350,00');
    for (const id of ['91', '92']) server.push('1', 'booking_created', booking(id));
    Object.assign(server.faults, { refuseUpgrade: false, unavailable: false });
    await page.getByRole('button', { name: 'Reconectar' }).click();
    await live(page);
    await page.getByText('3 não lidas').waitFor();
    assert.equal(await rowsOf(page).count(), before + 2);
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
    await page.getByText('1 não lida', { exact: true }).waitFor();
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
    const kept = await page.evaluate(() => JSON.stringify([document.documentElement.outerHTML, document.querySelector('realtime-metrics-display').shadowRoot.innerHTML,
      { ...sessionStorage }, { ...localStorage }]).replace(/<option.*?<.option>/g, ''));
    for (const former of ['Segredo', 'Campo de Marte', 'Ana Souza', 'H-12', 'e1-']) assert.ok(!kept.includes(former), former);
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

describe('signing in', () => {
  const fill = async (page, email, password) => {
    await page.getByLabel('E-mail').fill(email);
    await page.getByLabel('Senha').fill(password);
    await page.getByRole('button', { name: 'Entrar', exact: true }).click();
  };

  test('by password, with words for what is wrong; a reload stays signed in, and nothing is left after signing out', () => dashboard(async ({ server, page }) => {
    await fill(page, 'busy@example.com', server.password);
    await page.getByText('Muitas tentativas. Tente de novo em 30 s.').waitFor();
    await fill(page, 'ana@example.com', 'errada');
    await page.getByText('E-mail ou senha incorretos.').waitFor();
    assert.equal(await page.getByLabel('Senha').evaluate((field) => field === document.activeElement), true);
    await fill(page, 'ana@example.com', server.password);
    await live(page);
    await page.reload();
    await live(page);
    await page.getByRole('button', { name: 'Sair' }).click();
    await page.getByLabel('Senha').waitFor();
    assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0);
    assert.equal(server.clients.size, 0);
    const before = server.seen.urls.length;
    await page.reload();
    await page.getByLabel('Senha').waitFor();
    assert.deepEqual(server.seen.urls.slice(before).filter((url) => url.startsWith('/api/')), ['/api/auth/me'], 'who never signed in has at most the portal’s cookie');
  }, { server: { demo: false } }));

  test('a token that the server refuses is renewed by the cookie', () => dashboard(async ({ server, page }) => {
    await fill(page, 'ana@example.com', server.password);
    await live(page);
    const refreshed = page.waitForResponse('**/api/auth/refresh');
    server.closeStreams(4401);
    assert.equal((await refreshed).status(), 200);
    await live(page);
    assert.equal(server.clients.size, 1);
  }, { server: { demo: false } }));

  test('the end of a session is said, keeps the numbers, and moves nothing', () => dashboard(async ({ server, page }) => {
    await fill(page, 'ana@example.com', server.password);
    await live(page);
    const before = await page.evaluate(() => globalThis.shift);
    Object.assign(server.faults, { badToken: true, signedOut: true });
    server.closeStreams(4401);
    await page.getByText('Sessão expirada', { exact: true }).waitFor();
    await page.getByText('Sua sessão expirou.').waitFor();
    assert.equal(await card(page, 'revenueToday').textContent(), 'R$\u00A04.350,00');
    await drawn(page);
    assert.ok(await page.evaluate(() => globalThis.shift) - before <= 0.005);
    Object.assign(server.faults, { badToken: false, signedOut: false });
    await page.getByRole('button', { name: 'Entrar de novo' }).click();
    await fill(page, 'ana@example.com', server.password);
    await live(page);
  }, { server: { demo: false } }));
});

describe('accessibility', () => {
  test('one polite voice: at most one merged message in ten seconds', () => dashboard(async ({ server, page }) => {
    await live(page);
    await page.evaluate(() => {
      const root = document.querySelector('realtime-metrics-display').shadowRoot;
      const region = root.querySelector('[role=status]');
      globalThis.said = [];
      new MutationObserver(() => globalThis.said.push([Date.now(), region.textContent])).observe(region, { childList: true, characterData: true, subtree: true });
      globalThis.regions = root.querySelectorAll('[aria-live], [role=status], [role=alert], [role=log]').length;
    });
    const heard = (n) => page.waitForFunction((count) => globalThis.said.length >= count, n);
    const counted = (n) => page.waitForFunction((title) => document.title === title, `(${n}) HangarShare`);
    server.push('1', 'booking_created', booking('v1'));
    server.push('1', 'booking_created', booking('v2'));
    await counted(2);
    await page.clock.runFor(600);
    await heard(1);
    for (let i = 3; i < 8; i++) server.push('1', 'booking_created', booking(`v${i}`));
    server.setMetrics('1', { revenueToday: 6000 });
    await counted(7);
    await page.clock.runFor(3000);
    assert.equal((await page.evaluate(() => globalThis.said)).length, 1, 'the second waits');
    await page.clock.runFor(8000);
    await heard(2);
    const said = await page.evaluate(() => globalThis.said);
    assert.deepEqual(said.map(([, text]) => text), [
      '2 novas reservas. Receita de hoje: R$\u00A04.350,00.', '5 novas reservas. Receita de hoje: R$\u00A06.000,00.',
    ]);
    assert.ok(said[1][0] - said[0][0] >= 9900, `${said[1][0] - said[0][0]} ms between two messages`);
    assert.equal(await page.evaluate(() => globalThis.regions), 1);
  }, { before: ({ page }) => page.clock.install() }));

  test('a walk by keyboard reaches everything in its order, and the focus is seen', () => dashboard(async ({ server, page }) => {
    await live(page);
    server.push('1', 'booking_created', booking('k1'));
    await page.getByText('1 não lida', { exact: true }).waitFor();
    const walk = [];
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press('Tab');
      walk.push(await page.evaluate(() => {
        const focused = document.activeElement?.shadowRoot?.activeElement ?? document.activeElement;
        const { outlineStyle, outlineWidth } = getComputedStyle(focused);
        const { width, height } = focused.getBoundingClientRect();
        return { name: focused.getAttribute('aria-label') ?? (focused.labels?.[0] ?? focused).textContent, seen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2, least: Math.min(width, height) };
      }));
      if (walk.at(-1).name === 'Mostrar mais') break;
    }
    const order = ['Ir para os números', 'Conta', 'Pausar', 'Reconectar', 'Mostrar', 'Marcar todas como lidas', 'Limpar', 'Marcar como lida: Nova reserva, A-03', 'Mostrar mais'];
    assert.deepEqual(walk.map(({ name }) => name).filter((name) => order.includes(name)), order);
    for (const { name, seen, least } of walk) assert.ok(seen && least >= 24, `${name}: ${least} px, ${seen ? '' : 'no outline'}`);
    await rowsOf(page).first().getByRole('button', { name: /Marcar como lida/ }).press('Enter');
    await page.getByText('tudo lido').waitFor();
  }));

  test('on touch screens whatever can be pressed is as large as a finger', () => dashboard(async ({ server, page }) => {
    await live(page);
    server.push('1', 'booking_created', booking('t1'));
    await page.getByText('1 não lida', { exact: true }).waitFor();
    const small = await page.evaluate(() => [document, document.querySelector('realtime-metrics-display').shadowRoot]
      .flatMap((root) => [...root.querySelectorAll('button, select')]).filter((one) => one.checkVisibility())
      .map((one) => [one.textContent, one.getBoundingClientRect().height, one.getBoundingClientRect().width]).filter(([, ...size]) => Math.min(...size) < 44));
    assert.deepEqual(small, []);
  }, { page: { hasTouch: true, isMobile: true, viewport: { width: 390, height: 800 } } }));

  test('motion is one short tint, and none for who wants none', () => dashboard(async ({ server, page }) => {
    await live(page);
    const motion = async () => {
      server.setMetrics('1', { bookingsToday: server.owners.get('1').metrics.bookingsToday + 1 });
      await page.locator('[data-metric=bookingsToday].changed').waitFor();
      return page.evaluate(() => {
        const changed = document.querySelector('realtime-metrics-display').shadowRoot.querySelector('[data-metric=bookingsToday]');
        const { animationName, animationDuration, animationIterationCount } = getComputedStyle(changed, '::after');
        return { animationName, seconds: parseFloat(animationDuration), animationIterationCount };
      });
    };
    const { seconds, animationIterationCount } = await motion();
    assert.ok(seconds <= 1.2);
    assert.equal(animationIterationCount, '1');
    await page.emulateMedia({ reducedMotion: 'reduce' });
    assert.equal((await motion()).animationName, 'none');
  }));

  for (const [timezoneId, label] of [['Asia/Tokyo', true], ['America/Manaus', true], ['America/Sao_Paulo', false]]) {
    test(`the day is the server's, and said to be where the clock differs: ${timezoneId}`, () => dashboard(async ({ server, page }) => {
      await live(page);
      // Cards are drawn four times a second.
      if (label) await page.locator('[data-metric=revenueToday] .basis', { hasText: 'horário de Brasília' }).waitFor();
      const said = await page.locator('.agenda .aside').textContent();
      assert.equal(/horário de Brasília/.test(said), label, said);
      assert.equal(/horário de Brasília/.test(await page.locator('[data-metric=revenueToday] .basis').textContent()), label);
      const day = new Intl.DateTimeFormat('pt-BR', { timeZone: 'America/Sao_Paulo', day: 'numeric' }).format();
      assert.match(said, new RegExp(`, ${day} de `));
      await wholeDay(page);
      assert.deepEqual((await rowsOf(page, 'arrivals').locator('time').allTextContents()).sort(), ['09:30', '14:00', '16:30']);
      assert.ok(server.clients.size > 0);
    }, { page: { timezoneId } }));
  }

  test('on paper: A4, no controls, and when it was printed', () => dashboard(async ({ page }) => {
    await live(page);
    const paper = (await page.pdf({ preferCSSPageSize: true })).toString('latin1');
    const [, width, height] = /\/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]/.exec(paper) ?? [];
    assert.deepEqual([Math.round(Number(width)), Math.round(Number(height))], [595, 842]);
    await page.emulateMedia({ media: 'print' });
    await page.getByText(/^Impresso em .* · dados de /).waitFor();
    for (const name of ['Pausar', 'Reconectar', 'Limpar', 'Conta']) assert.equal(await page.getByText(name, { exact: true }).isVisible(), false, name);
  }));
});

test('a whole session moves nothing: rushes, losses, pauses, clearing', async () => {
  for (const viewport of [{ width: 1280, height: 900 }, { width: 768, height: 1024 }, { width: 360, height: 780 }]) {
    await dashboard(async ({ server, page, complaints }) => {
      await live(page);
      for (let i = 0; i < 12; i++) {
        server.push('1', 'booking_created', booking(`s${i}`, { guestName: i % 2 ? 'Ana' : 'Companhia de Táxi Aéreo do Vale do São Francisco Ltda.', checkInDate: midnight(0) }));
        server.push('1', 'occupancy_changed', { hangarId: String(1 + (i % 4)), hangarNumber: 'B-07', isNowOccupied: i % 3 > 0, newOccupant: 'Marina Lopes' });
        server.setMetrics('1', { revenueToday: 10 ** (i % 7), bookingsToday: 7 + i, growthPercentage: 50 - 20 * i });
      }
      await page.getByText('24 não lidas').waitFor();
      server.closeStreams(1001);
      Object.assign(server.faults, { refuseUpgrade: true, unavailable: true });
      await page.getByText(DISCONNECTED, { exact: true }).waitFor();
      Object.assign(server.faults, { refuseUpgrade: false, unavailable: false });
      await page.getByRole('button', { name: 'Reconectar' }).click();
      await live(page);
      await page.getByRole('button', { name: 'Pausar' }).click();
      await page.getByText(/^Atualizações pausadas/).waitFor();
      await page.getByRole('button', { name: 'Retomar' }).click();
      await page.getByRole('button', { name: 'Limpar' }).click();
      await page.getByRole('button', { name: 'Desfazer' }).click();
      await drawn(page);
      const shift = await page.evaluate(() => globalThis.shift);
      assert.ok(shift <= 0.02, `layout shift ${shift} at ${viewport.width} px`);
      assert.deepEqual(await page.evaluate(() => globalThis.violations), []);
      assert.deepEqual(complaints.filter((one) => !/503|403|WebSocket/.test(one)), []);
    }, { page: { viewport } });
  }
});
