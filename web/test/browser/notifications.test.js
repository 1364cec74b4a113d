/**
 * Notifications on the page, by a server that does what the test says; `real.test.js` is about the
 * real one. One browser for all.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch, openPage } from './chromium.js';
import { accessible, booking, drawn, fits, live, rowsOf } from './dashboard.js';
import { startFakeServer } from './fake-server.js';
import { reactFiles } from './react-page.js';

const XSS = '<img src=x onerror="globalThis.hit=1">\u202Egnp\u0007';
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {any} */
let server;
before(async () => {
  const files = await reactFiles('19');
  browser = await launch();
  server = await startFakeServer({ demo: false, notifications: true, files });
});
after(async () => {
  await browser.close();
  await server.stop();
});

const ofHangar = (more = {}) => ({ hangarId: '1', hangarNumber: 'H-12', bookingId: '1000', guestName: 'Ana Souza', amount: 900, checkInDate: '2026-03-12', checkOutDate: '2026-03-15', ...more });
const bell = (/** @type {any} */ page) => page.locator('owner-notifications .bell');
const notes = (/** @type {any} */ page) => page.locator('owner-notifications .note');
const named = (/** @type {any} */ page, /** @type {string} */ name) => page.locator('owner-notifications').getByRole('button', { name, exact: true });
/** The bell says so many, and none for 0. @param {any} page @param {number} n */
const counts = (page, n) => page.waitForFunction((wanted) => {
  const count = document.querySelector('owner-notifications')?.shadowRoot?.querySelector('.count');
  return count && (wanted === 0 ? !count.textContent : !count.hidden && count.textContent === String(wanted));
}, n);
const focused = (/** @type {any} */ page) => page.evaluate(() => document.querySelector('owner-notifications').shadowRoot.activeElement?.closest('[data-id]')?.dataset.id ?? document.querySelector('owner-notifications').shadowRoot.activeElement?.className ?? '');

/** The focus is back at the bell. @param {any} page */
const atBell = (page) => page.waitForFunction(() => document.querySelector('owner-notifications').shadowRoot.activeElement?.className === 'bell');

/** Signs a person in. @param {string} user @param {object} [options] */
async function open(user, options = {}) {
  const opened = await openPage(browser, server.url, options);
  await opened.page.goto(server.url);
  await opened.page.fill('#email', `${user}@example.com`);
  await opened.page.fill('#password', server.password);
  await opened.page.click('button[type=submit]');
  await live(opened.page);
  await bell(opened.page).waitFor();
  return opened;
}
/** @param {any} page */
async function openList(page) {
  await bell(page).click();
  await page.locator('owner-notifications .notes-panel').waitFor();
  await notes(page).first().waitFor();
}
/** An account of its own for each test. @param {string} ownerId */
const fresh = (ownerId = '1') => server.notes.forget(ownerId);

describe('notifications', () => {
  test('two people, and two tabs of one of them: one count, one read state, each their own seen', async () => {
    fresh();
    const first = server.notes.add('1', 'booking_created', ofHangar(), { ago: 60_000 });
    const ana = await open('ana');
    const second = await ana.page.context().newPage();
    const bia = await open('bia');
    try {
      await second.goto(server.url);
      await live(second);
      const all = [ana.page, second, bia.page];
      for (const page of all) await counts(page, 1);
      assert.equal(await ana.page.title(), '(1) HangarShare');
      server.notes.add('1', 'unpaid', ofHangar({ bookingId: '1001', guestName: XSS }), { severity: 'attention' });
      for (const page of all) await counts(page, 2);
      for (const page of all) await page.locator('owner-notifications .new').waitFor();
      await openList(ana.page);
      await ana.page.locator('owner-notifications .new').waitFor({ state: 'hidden' });
      await second.locator('owner-notifications .new').waitFor({ state: 'hidden' });
      assert.equal(await bia.page.locator('owner-notifications .new').isVisible(), true, 'Bia has not seen it');
      await openList(bia.page);
      await named(ana.page, 'Marcar como lida: Nova reserva, H-12').click();
      for (const page of all) await counts(page, 1);
      const row = bia.page.locator(`owner-notifications [data-id="${first.id}"]`);
      await row.getByText(/lida por .Ana Souza., \d\d:\d\d/).waitFor();
      assert.equal(await bia.page.title(), '(1) HangarShare');
      await named(ana.page, 'Desfazer').click();
      for (const page of all) await counts(page, 2);
      assert.match(await notes(bia.page).first().textContent() ?? '', /<img src=x/, 'a name is text');
      assert.equal(await bia.page.evaluate(() => /** @type {any} */ (globalThis).hit), undefined);
      // A reconnect brings the exact counts, and what was missed.
      await bia.page.keyboard.press('Escape');
      server.closeStreams(1001);
      server.notes.add('1', 'overbooked', ofHangar({ stays: 2, spaces: 1, date: '2026-12-02' }), { severity: 'urgent' });
      for (const page of all) await counts(page, 3);
      await ana.page.waitForFunction(() => document.querySelector('owner-notifications').shadowRoot.querySelectorAll('.note').length === 3
        || document.querySelector('owner-notifications').shadowRoot.querySelector('.waiting .fresh:not([hidden])'));
      for (const { complaints, page } of [ana, bia]) {
        assert.deepEqual(complaints.filter((text) => !/401/.test(text)), []);
        assert.deepEqual(await page.evaluate(() => /** @type {any} */ (globalThis).violations), []);
      }
    } finally {
      await ana.close();
      await bia.close();
    }
  });

  test('new ones wait while a pointer or the focus is on the list; all are read through what was shown; undo', async () => {
    fresh();
    for (let i = 0; i < 4; i++) server.notes.add('1', 'booking_created', ofHangar({ bookingId: `100${i}` }), { ago: 600_000 });
    const { page, close } = await open('ana');
    try {
      await openList(page);
      await page.mouse.move(5, 5);
      await notes(page).nth(1).locator('.open').focus();
      const before = await notes(page).nth(1).boundingBox();
      const id = await focused(page);
      server.notes.add('1', 'payment_received', ofHangar());
      server.notes.add('1', 'unpaid', ofHangar());
      await page.locator('owner-notifications').getByText('2 novas', { exact: true }).waitFor();
      await drawn(page);
      assert.deepEqual(await notes(page).nth(1).boundingBox(), before, 'nothing moves');
      assert.equal(await focused(page), id, 'the focus stays');
      assert.equal(await notes(page).count(), 4);
      // What waits was not shown, so it is not read with the others.
      await named(page, 'Marcar todas como lidas').click();
      await counts(page, 2);
      await page.locator('owner-notifications').getByText('4 marcadas como lidas.').waitFor();
      await named(page, 'Desfazer').click();
      await counts(page, 6);
      assert.equal(await notes(page).count(), 6, 'the list is drawn anew with what a person does');
      // Archiving by key: the next row gets the focus, and undoing brings it back to its place.
      const ids = await notes(page).evaluateAll((rows) => rows.map((row) => /** @type {HTMLElement} */ (row).dataset.id));
      await notes(page).nth(2).locator('.open').focus();
      await page.keyboard.press('e');
      await page.waitForFunction(() => document.querySelector('owner-notifications').shadowRoot.querySelectorAll('.note').length === 5);
      assert.equal(await focused(page), ids[3]);
      await counts(page, 5);
      await page.locator('owner-notifications').getByText('Arquivada.', { exact: true }).waitFor();
      await named(page, 'Desfazer').click();
      await counts(page, 6);
      await drawn(page);
      assert.deepEqual(await notes(page).evaluateAll((rows) => rows.map((row) => /** @type {HTMLElement} */ (row).dataset.id)), ids);
      // Arrows, Home and End; U; Escape leads back to the bell.
      await notes(page).first().locator('.open').focus();
      await page.keyboard.press('End');
      assert.equal(await focused(page), ids[5]);
      await page.keyboard.press('ArrowUp');
      assert.equal(await focused(page), ids[4]);
      await page.keyboard.press('u');
      await counts(page, 5);
      assert.equal(await focused(page), ids[4], 'a row that is read stays until the list is opened anew');
      await page.keyboard.press('Escape');
      await atBell(page);
      // The server refuses: the screen says so, and shows what holds.
      await openList(page);
      server.notes.refuse = 503;
      await notes(page).first().locator('.act').first().click();
      await page.locator('owner-notifications').getByText('nada mudou').waitFor();
      await counts(page, 5);
    } finally {
      await close();
    }
  });

  test('filters, a booking behind a row, and what a viewer may not do', async () => {
    fresh();
    server.notes.account('1').roles.set('bia', 'viewer');
    server.notes.add('1', 'booking_created', ofHangar());
    server.notes.add('1', 'unpaid', ofHangar({ hangarId: '2', hangarNumber: 'H-15' }));
    server.notes.add('1', 'new_sign_in', {}, { userId: 'ana' });
    const { page, close } = await open('bia');
    try {
      await counts(page, 2);
      await openList(page);
      await page.locator('owner-notifications').getByLabel('Hangar', { exact: true }).selectOption({ label: 'H-15' });
      await page.waitForFunction(() => document.querySelector('owner-notifications').shadowRoot.querySelectorAll('.note').length === 1);
      assert.match(await notes(page).first().textContent() ?? '', /Reserva sem pagamento/);
      await page.locator('owner-notifications').getByLabel('Hangar', { exact: true }).selectOption('');
      await page.locator('owner-notifications').getByLabel('Tipo', { exact: true }).selectOption('booking_created');
      await page.locator('owner-notifications .note', { hasText: 'Nova reserva' }).waitFor();
      assert.equal(await named(page, 'Arquivar: Nova reserva, H-12').count(), 0, 'a viewer reads and does not archive');
      await page.locator('owner-notifications [data-state=archived]').click();
      await page.getByText('Nada com este filtro.').waitFor();
      await page.locator('owner-notifications [data-state=all]').click();
      await notes(page).first().locator('.open').click();
      await page.locator('owner-notifications dialog[open]').getByText('Ana Souza').waitFor();
      await counts(page, 1);
      await page.keyboard.press('Escape');
      await atBell(page);
      await bell(page).click();
      await named(page, 'Preferências de notificação').click();
      assert.equal(await page.locator('owner-notifications .rules input:not(:disabled)').count(), 0);
    } finally {
      await close();
    }
  });

  test('preferences, rules, quiet hours, a pause: each is saved at once, and comes back where it is refused', async () => {
    fresh();
    server.notes.add('1', 'booking_created', ofHangar());
    const { page, close } = await open('ana');
    try {
      await openList(page);
      await named(page, 'Preferências de notificação').click();
      const box = page.locator('owner-notifications').getByLabel('Reserva cancelada, Aparelho');
      await box.uncheck();
      await page.locator('owner-notifications').getByText('Salvo.').waitFor();
      assert.deepEqual(server.notes.asked.findLast((/** @type {any} */ one) => one.method === 'PATCH'), { method: 'PATCH', path: '/api/owners/1/notifications/preferences', user: 'ana', body: { kind: 'booking_cancelled', channel: 'push', mode: 'off' } });
      assert.equal(await page.locator('owner-notifications').getByLabel('Acesso à conta alterado, Página').isDisabled(), true);
      server.notes.refuse = 500;
      await page.locator('owner-notifications').getByLabel('Nova reserva, E-mail').selectOption('digest');
      await page.locator('owner-notifications').getByText('nada mudou').waitFor();
      assert.equal(await page.locator('owner-notifications').getByLabel('Nova reserva, E-mail').inputValue(), 'off');
      await page.locator('owner-notifications').getByLabel('Silêncio a partir das').fill('23:00');
      await page.waitForFunction(() => [...document.querySelector('owner-notifications').shadowRoot.querySelectorAll('input[type=time]')].some((one) => /** @type {HTMLInputElement} */ (one).value === '07:00' && one.closest('.field').textContent === 'até as'));
      assert.deepEqual([server.notes.settings.get('ana').quietFrom, server.notes.settings.get('ana').quietTo], ['23:00', '07:00'], 'both ends or none');
      await named(page, 'Pausar 8 h').click();
      await page.locator('owner-notifications').getByText(/Pausados até/).waitFor();
      const rule = page.locator('owner-notifications [data-rule=occupancy_low]');
      await rule.getByLabel('Abaixo de (%)').fill('45');
      await rule.getByLabel('Abaixo de (%)').press('Tab');
      await rule.getByText(/alterada por .Ana Souza./).waitFor();
      assert.deepEqual(server.notes.account('1').rules.find((/** @type {any} */ one) => one.kind === 'occupancy_low').params, { percent: 45 });
      await named(page, 'Voltar').click();
      await notes(page).first().waitFor();
      assert.match(await page.evaluate(() => document.querySelector('owner-notifications').shadowRoot.activeElement.className), /round/);
    } finally {
      await close();
    }
  });

  test('a channel that the server has not is not offered, and it is said', async () => {
    fresh();
    server.notes.add('1', 'booking_created', ofHangar());
    const { page, close } = await open('ana');
    const list = page.locator('owner-notifications');
    try {
      for (const [channels, heads, missing, when, digest] of /** @type {const} */ ([
        [['inApp', 'push', 'mail'], ['Página', 'Aparelho', 'E-mail'], [], 1, 1],
        [['inApp', 'push'], ['Página', 'Aparelho'], ['Este servidor não envia e-mails.'], 1, 0],
        [['inApp', 'mail'], ['Página', 'E-mail'], ['Este servidor não envia avisos a aparelhos.'], 1, 1],
        [['inApp'], ['Página'], ['Este servidor não envia avisos a aparelhos. Este servidor não envia e-mails.'], 0, 0],
        [undefined, ['Página', 'Aparelho', 'E-mail'], [], 1, 1], // an older server
      ])) {
        server.notes.channels = channels;
        await openList(page);
        await named(page, 'Preferências de notificação').click();
        await list.locator('.matrix').waitFor();
        assert.deepEqual(await list.locator('.matrix th[scope=col]').allTextContents(), heads);
        assert.equal(await list.locator('.matrix tbody tr').first().locator('input, select').count(), heads.length);
        assert.deepEqual(await list.locator('.missing').allTextContents(), missing);
        assert.equal(await list.getByLabel('Silêncio a partir das').count(), when);
        assert.equal(await list.getByLabel('Hora do resumo').count(), digest);
        await page.reload();
        await bell(page).waitFor();
      }
    } finally {
      server.notes.channels = ['inApp', 'push', 'mail'];
      await close();
    }
  });

  test('an invitation is answered with one click; the switcher tells of the other accounts', async () => {
    fresh();
    fresh('2');
    server.notes.add('1', 'booking_created', ofHangar());
    for (let i = 0; i < 3; i++) server.notes.add('2', 'booking_created', ofHangar());
    server.notes.invitations.set('ana', [{ id: '9', ownerId: '7', companyName: 'Hangar do Vale', role: 'viewer', invitedBy: 'bia@example.com', invitedByName: 'Bia \u202EPrado' }]);
    const { page, close } = await open('ana');
    try {
      await page.locator('.sum', { hasText: '3 não lidas em outras contas' }).waitFor();
      assert.deepEqual(await page.locator('#owner option').evaluateAll((all) => all.map((one) => /** @type {HTMLOptionElement} */ (one).label)), ['Hangares Campo de Marte Ltda.', 'Aeroclube Pampulha (3)']);
      await page.getByRole('button', { name: 'Notificações: 1 não lida, há novas para você' }).waitFor();
      await openList(page);
      await page.locator('owner-notifications .invitation').getByText(/Bia Prado. convidou você para a conta/).waitFor();
      await named(page, 'Aceitar').click();
      await page.locator('owner-notifications').getByText(/Convite aceito/).waitFor();
      assert.deepEqual(server.notes.asked.filter((/** @type {any} */ one) => /invitations/.test(one.path)).at(-1).body, { accept: true });
      await page.locator('main .invitation').waitFor({ state: 'detached' });
      await page.locator('#owner').selectOption('2');
      await live(page);
      await counts(page, 3);
    } finally {
      server.notes.invitations.clear();
      await close();
    }
  });

  test('the feed: cleared here is cleared there and after a reload; undone likewise; rows are unread by what the account has read', async () => {
    fresh();
    server.notes.add('1', 'booking_created', ofHangar({ bookingId: '1001' }));
    const [here, there] = [await open('ana'), await open('ana')];
    try {
      const rows = (/** @type {any} */ page) => rowsOf(page, 'feed');
      const all = await rows(here.page).count();
      assert.ok(all > 3);
      const unread = (/** @type {any} */ page) => page.locator('[data-list=feed] .unread');
      await unread(here.page).waitFor();
      assert.equal(await unread(here.page).count(), 1, 'the row of the one booking with an unread notification');
      await unread(here.page).locator('.mark').click();
      for (const { page } of [here, there]) {
        await counts(page, 0);
        await unread(page).waitFor({ state: 'detached' });
        assert.equal(await page.title(), 'HangarShare');
      }
      await here.page.getByRole('button', { name: 'Limpar' }).click();
      for (const { page } of [here, there]) await page.waitForFunction(() => document.querySelector('realtime-metrics-display').shadowRoot.querySelectorAll('[data-list=feed] li').length === 0);
      await there.page.reload();
      await live(there.page);
      await there.page.waitForFunction(() => document.querySelector('realtime-metrics-display').shadowRoot.querySelectorAll('[data-list=feed] li').length === 0);
      await here.page.locator('.feed').getByRole('button', { name: 'Desfazer' }).click();
      for (const { page } of [here, there]) await page.waitForFunction((n) => document.querySelector('realtime-metrics-display').shadowRoot.querySelectorAll('[data-list=feed] li').length === n, all);
      server.push('1', 'booking_created', booking('7001'));
      await rows(there.page).filter({ hasText: 'Carlos Nogueira' }).waitFor();
    } finally {
      await here.close();
      await there.close();
    }
  });

  test('a finger archives to the left and reads to the right, as the keys do; a short way or a scroll does nothing', async () => {
    fresh();
    const ids = Array.from({ length: 4 }, (_, i) => server.notes.add('1', 'booking_created', ofHangar({ bookingId: `${1000 + i}` })).id);
    const { page, close } = await open('ana', { viewport: { width: 360, height: 800 }, hasTouch: true, isMobile: true });
    const devtools = await page.context().newCDPSession(page);
    const row = (/** @type {string} */ id) => page.locator(`owner-notifications .note[data-id="${id}"]`);
    /** A finger's way over a row. @param {string} id @param {number} dx @param {number} dy */
    const swipe = async (id, dx, dy) => {
      const box = await row(id).boundingBox();
      const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
      const touch = (/** @type {string} */ type, /** @type {number} */ part) => devtools.send('Input.dispatchTouchEvent', {
        type, touchPoints: type === 'touchEnd' ? [] : [{ x: x + dx * part, y: y + dy * part }],
      });
      await touch('touchStart', 0);
      for (let step = 1; step <= 8; step++) await touch('touchMove', step / 8);
      await touch('touchEnd', 1);
      await drawn(page);
    };
    const sent = () => server.notes.asked.filter(({ method }) => method === 'PATCH').map(({ path, body }) => `${path.split('/').at(-1)} ${JSON.stringify(body)}`);
    try {
      let letGo = () => {};
      const held = new Promise((resolve) => (letGo = resolve));
      await page.route(/\/hands\.js/, async (route) => {
        await held;
        await route.continue();
      });
      await bell(page).tap();
      await notes(page).nth(3).waitFor();
      await page.locator('owner-notifications [data-state=all]').tap();
      await notes(page).nth(3).waitFor();
      server.notes.asked.length = 0;
      // The first counts although what it does is still on its way.
      await swipe(ids[0], 130, 0);
      letGo();
      await page.locator(`owner-notifications .note[data-id="${ids[0]}"]:not(.unread)`).waitFor();
      assert.deepEqual(sent(), [`${ids[0]} {"read":true}`]);
      server.notes.asked.length = 0;
      await swipe(ids[3], -40, 0);
      await swipe(ids[3], 6, -120);
      assert.deepEqual(sent(), []);
      await swipe(ids[3], 130, 0);
      await page.locator(`owner-notifications .note[data-id="${ids[3]}"]:not(.unread)`).waitFor();
      await swipe(ids[2], -130, 0);
      await row(ids[2]).waitFor({ state: 'detached' });
      await page.getByRole('button', { name: 'Desfazer' }).waitFor();
      // The same by keys.
      await row(ids[1]).locator('.open').focus();
      await page.keyboard.press('u');
      await page.locator(`owner-notifications .note[data-id="${ids[1]}"]:not(.unread)`).waitFor();
      await page.keyboard.press('e');
      await row(ids[1]).waitFor({ state: 'detached' });
      assert.deepEqual(sent(), [`${ids[3]} {"read":true}`, `${ids[2]} {"archived":true}`, `${ids[1]} {"read":true}`, `${ids[1]} {"archived":true}`]);
      assert.equal(await page.getByRole('dialog', { name: 'Detalhes da reserva' }).count(), 0, 'a swipe is no tap');
      assert.equal(await row(ids[3]).evaluate((/** @type {HTMLElement} */ one) => one.style.getPropertyValue('--swipe')), '', 'nothing stays beside its place');
    } finally {
      await close();
    }
  });

  for (const [language, title, unread, read] of /** @type {const} */ ([
    ['pt-BR', 'Nova reserva', 'não lida', /lida por .Bia/], ['en', 'New booking', 'unread', /read by .Bia/], ['es', 'Nueva reserva', 'sin leer', /leída por .Bia/],
  ])) {
    test(`a screen reader hears of each row whether it is read, and what it is about, in ${language}`, async () => {
      fresh();
      const one = server.notes.add('1', 'booking_created', ofHangar(), { ago: 60_000 });
      server.notes.add('1', 'booking_created', ofHangar({ hangarNumber: 'H-15' }));
      server.notes.patch('1', one.id, 'bia', { read: true });
      const { page, close } = await openPage(browser, server.url);
      try {
        await page.goto(server.url);
        await page.evaluate(async (lang) => {
          await import(/** @type {any} */ ('/client/notifications.js'));
          const element = document.createElement('owner-notifications');
          for (const [name, value] of Object.entries({ 'owner-id': '1', view: 'list', lang })) element.setAttribute(name, value);
          element.token = 'secret';
          document.body.append(element);
        }, language);
        await notes(page).first().waitFor();
        await page.locator('owner-notifications [data-state=all]').click();
        await notes(page).nth(1).waitFor();
        const devtools = await page.context().newCDPSession(page);
        const { nodes } = /** @type {any} */ (await devtools.send('Accessibility.getFullAXTree'));
        const rows = nodes.filter((/** @type {any} */ node) => node.role?.value === 'button' && node.name?.value.startsWith(title));
        assert.deepEqual(rows.map((/** @type {any} */ node) => node.name.value), [`${title}, ${unread}`, title]);
        assert.deepEqual(rows.map((/** @type {any} */ node) => /^H-1[25] .*Ana Souza/.test(node.description?.value)), [true, true], JSON.stringify(rows[0].description));
        assert.match(rows[1].description.value, read);
      } finally {
        await close();
      }
    });
  }

  for (const width of [1280, 768, 360]) {
    for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
      test(`axe finds nothing at ${width} px, ${colorScheme}`, async () => {
        fresh();
        server.notes.invitations.set('ana', [{ id: '9', ownerId: '7', companyName: 'Hangar do Vale', role: 'viewer', invitedBy: 'b@example.com', invitedByName: 'Bia' }]);
        const one = server.notes.add('1', 'booking_created', ofHangar(), { count: 3 });
        server.notes.add('1', 'overbooked', ofHangar({ stays: 2, spaces: 1, date: '2026-12-02' }), { severity: 'urgent' });
        server.notes.add('1', 'unpaid', ofHangar({ guestName: 'Um nome comprido '.repeat(20) }), { severity: 'attention' });
        const { page, close } = await open('ana', { viewport: { width, height: 800 }, colorScheme, bypassCSP: true });
        try {
          await openList(page);
          await page.locator('owner-notifications [data-state=all]').click();
          server.notes.patch('1', one.id, 'bia', { read: true });
          await page.getByText(/lida por/).waitFor();
          await accessible(page, `list ${width}`);
          await fits(page, `list ${width}`);
          await named(page, 'Preferências de notificação').click();
          await page.locator('owner-notifications .rules').waitFor();
          await accessible(page, `preferences ${width}`);
          await fits(page, `preferences ${width}`);
        } finally {
          server.notes.invitations.clear();
          await close();
        }
      });
    }
  }

  test('on a screen as narrow as a phone whose text is twice as large nothing covers anything, and words stay whole', async () => {
    fresh();
    server.notes.add('1', 'booking_created', ofHangar());
    const { page, close } = await open('ana', { viewport: { width: 180, height: 390 } });
    try {
      await openList(page);
      const where = (/** @type {string} */ name) => page.locator(`owner-notifications ${name}`).evaluate((one) => {
        const range = document.createRange();
        range.selectNodeContents(one);
        const { left, right, top, bottom, height } = range.getBoundingClientRect();
        return { left, right, top, bottom, height, line: Number.parseFloat(getComputedStyle(one).fontSize) };
      });
      const [title, buttons] = [await where('.notes-head h2'), await where('.heads')];
      assert.ok(title.bottom <= buttons.top || title.right <= buttons.left, `${JSON.stringify(title)} ${JSON.stringify(buttons)}`);
      const said = await where('.note strong');
      assert.ok(said.height < 3 * said.line, JSON.stringify(said));
      await named(page, 'Preferências de notificação').click();
      await page.locator('owner-notifications .rules').waitFor();
      const kind = await where('.matrix tbody tr:first-child th');
      assert.ok(kind.height < 4 * kind.line, JSON.stringify(kind));
      const beside = await page.locator('owner-notifications .matrix tbody tr:first-child td').evaluateAll((cells) => cells.map((cell) => getComputedStyle(cell, '::after').content));
      assert.deepEqual(beside.map((text) => text.split('"')[1]), ['Página', 'Aparelho', 'E-mail'], 'each choice says its channel');
      for (const language of ['pt', 'en', 'es']) {
        const { channels } = language === 'pt' ? (await import('../../static/notifications/words/settings-pt.js')).default
          : (await import(`../../static/words/${language}.js`)).default.preferences;
        const [content, room] = await page.locator('owner-notifications .preferences').evaluate((body, names) => {
          body.querySelectorAll('[data-channel]').forEach((cell, i) => cell.setAttribute('data-channel', names[i % names.length]));
          return [body.scrollWidth, body.clientWidth];
        }, Object.values(channels));
        assert.ok(content <= room, `${language}: preferences of ${content} px scroll sideways within ${room} px`);
      }
    } finally {
      await close();
    }
  });

  test('a list that does not come: the bell says so, and the next press opens it, however often it is pressed', async () => {
    fresh();
    server.notes.add('1', 'booking_created', ofHangar());
    const { page, complaints, close } = await open('ana');
    const failed = page.locator('owner-notifications').getByText('O servidor não respondeu. Tente de novo.');
    const dialog = page.locator('owner-notifications .notes-panel');
    const lost = /\/notifications\/(panel|hands|preferences)\.js/;
    try {
      await page.route(lost, (route) => route.abort());
      await bell(page).focus();
      await page.keyboard.press('Enter');
      await failed.waitFor();
      await page.unroute(lost);
      let letGo = () => {};
      const held = new Promise((resolve) => (letGo = resolve));
      await page.route(lost, async (route) => {
        await held;
        await route.continue();
      });
      await page.keyboard.press('Enter');
      await failed.waitFor({ state: 'detached' });
      await page.keyboard.press('Enter');
      letGo();
      await notes(page).first().waitFor();
      assert.equal(await bell(page).getAttribute('aria-expanded'), 'true');
      await page.unroute(lost);

      // The same of what is done with it.
      await page.keyboard.press('Escape');
      await atBell(page);
      await page.reload();
      await bell(page).waitFor();
      await page.route(/\/(hands|preferences)\.js/, (route) => route.abort());
      await bell(page).click();
      await notes(page).first().waitFor();
      await notes(page).first().getByRole('button', { name: 'Marcar como lida' }).click();
      await dialog.getByText('nada mudou').waitFor();
      await page.unroute(/\/(hands|preferences)\.js/);
      await notes(page).first().getByRole('button', { name: 'Marcar como lida' }).click();
      await page.getByRole('button', { name: 'Desfazer' }).waitFor();
      await page.route(/\/preferences\.js/, (route) => route.abort());
      await named(page, 'Preferências de notificação').click();
      await dialog.getByText('Não foi possível').waitFor();
      await page.unroute(/\/preferences\.js/);
      await named(page, 'Preferências de notificação').click();
      await page.locator('owner-notifications .matrix').waitFor();
      assert.deepEqual(complaints.filter((text) => !/401|ERR_FAILED/.test(text)), []);
    } finally {
      await close();
    }
  });

  test('as an element of its own, as a list, in English; the first paint loads nothing of it', async () => {
    fresh();
    server.notes.add('1', 'booking_created', ofHangar());
    const { page, complaints, close } = await openPage(browser, server.url);
    try {
      /** @type {string[]} */
      const loaded = [];
      page.on('request', (request) => loaded.push(new URL(request.url()).pathname));
      await page.goto(server.url);
      await page.locator('#email').waitFor();
      assert.deepEqual(loaded.filter((path) => path.includes('notifications')), []);
      await page.evaluate(async () => {
        await import(/** @type {any} */ ('/client/notifications.js'));
        const element = document.createElement('owner-notifications');
        for (const [name, value] of Object.entries({ 'owner-id': '1', view: 'list', lang: 'en' })) element.setAttribute(name, value);
        element.token = 'secret';
        element.addEventListener('openbooking', (event) => {
          event.preventDefault();
          document.title = /** @type {any} */ (event).detail.bookingId;
        });
        document.body.append(element);
      });
      await page.locator('owner-notifications .note', { hasText: 'New booking' }).waitFor();
      await notes(page).first().locator('.open').click();
      await page.waitForFunction(() => document.title === '1000');
      server.notes.add('1', 'unpaid', ofHangar());
      await page.mouse.move(5, 5);
      await page.locator('owner-notifications').getByText('1 new', { exact: true }).waitFor();
      await page.evaluate(() => document.querySelector('owner-notifications').remove());
      await page.waitForFunction(() => true);
      assert.deepEqual(complaints.filter((text) => !/401/.test(text)), []);
    } finally {
      await close();
    }
  });

  test('React: two hooks of one owner, another owner without a row of the former, the end while it loads', async () => {
    fresh();
    fresh('2');
    const one = server.notes.add('1', 'booking_created', ofHangar());
    const two = server.notes.add('2', 'unpaid', ofHangar());
    const { page, complaints, close } = await openPage(browser, server.url);
    const show = (/** @type {string} */ ownerId) => page.evaluate((owner) => {
      const props = { ownerId: owner, token: 'secret' };
      /** @type {any} */ (globalThis).harness.show('a', [
        { kind: 'notes', props: { ...props, name: 'left' } }, { kind: 'notes', props: { ...props, name: 'right', state: 'unread' } }, { kind: 'center', props }, { kind: 'center', props: { ...props, view: 'list' } },
      ]);
    }, ownerId);
    const loaded = (/** @type {string} */ id) => page.waitForFunction((wanted) => ['left', 'right'].every((name) => {
      const text = document.getElementById(name)?.textContent;
      return text && JSON.parse(text).ids.join() === wanted;
    }), id);
    try {
      await page.goto(`${server.url}/react/index.html`);
      await page.waitForFunction(() => 'harness' in globalThis);
      await show('1');
      await loaded(one.id);
      await counts(page, 1);
      await page.locator('owner-notifications[view=list] .note').waitFor();
      await show('2');
      await loaded(two.id);
      const foreign = await page.evaluate((id) => /** @type {any} */ (globalThis).harness.renders.filter((/** @type {any} */ one) => one.ownerId === '2' && one.ids.includes(id)).length, one.id);
      assert.equal(foreign, 0, 'no render of an owner has rows of the former');
      // The next goes while it loads.
      server.faults.heldFiles = /./;
      server.faults.holdAll();
      await show('1');
      await page.evaluate(() => /** @type {any} */ (globalThis).harness.remove('a'));
      server.faults.answerFiles();
      server.faults.release();
      while (server.clients.size > 0) await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(complaints, []);
    } finally {
      server.faults.answerFiles();
      server.faults.release();
      server.faults.hold = null;
      await close();
    }
  });

  test('React: the hook and the component, in StrictMode; the lists of the stats survive a reload', async () => {
    fresh();
    const one = server.notes.add('1', 'booking_created', ofHangar());
    const two = server.notes.add('1', 'unpaid', ofHangar());
    server.push('1', 'occupancy_changed', { hangarId: '3', hangarNumber: 'A-03', isNowOccupied: false });
    const { page, complaints, close } = await openPage(browser, server.url);
    /** @param {string} name @param {string} condition evaluated with `it` */
    const until = (name, condition) => page.waitForFunction(([n, c]) => {
      const text = document.getElementById(n)?.textContent;
      return text && new Function('it', `return ${c}`)(JSON.parse(text));
    }, [name, condition]);
    const show = () => page.evaluate(() => {
      const props = { ownerId: '1', token: 'secret' };
      /** @type {any} */ (globalThis).harness.show('a', [{ kind: 'notes', props: { ...props, name: 'notes' } }, { props: { ...props, name: 'stats' } }, { kind: 'center', props }]);
    });
    const visit = async () => {
      await page.goto(`${server.url}/react/index.html`);
      await page.waitForFunction(() => 'harness' in globalThis);
      await show();
    };
    try {
      await visit();
      await until('notes', `it.loaded && it.unread === 2 && it.ids.join() === '${two.id},${one.id}'`);
      await counts(page, 2);
      await until('stats', 'it.bookings.length === 6 && it.occupancy.length > 0');
      await page.evaluate((id) => /** @type {any} */ (globalThis).harness.hooks.notes.markRead(id), one.id);
      await until('notes', `it.unread === 1 && it.read.join() === '${one.id}'`);
      await counts(page, 1);
      server.notes.add('1', 'booking_created', ofHangar());
      await until('notes', 'it.unread === 2 && it.ids.length === 3 && it.unseen === 2');
      await page.evaluate(() => /** @type {any} */ (globalThis).harness.hooks.notes.markSeen());
      await until('notes', 'it.unseen === 0');
      await page.evaluate(() => /** @type {any} */ (globalThis).harness.hooks.notes.markAllRead());
      await counts(page, 0);
      await page.evaluate(() => /** @type {any} */ (globalThis).harness.hooks.stats.clearNotifications());
      await until('stats', 'it.bookings.length === 0 && it.occupancy.length === 0');
      await visit();
      await until('stats', 'it.connected && it.revenue === 4350');
      await until('notes', 'it.loaded && it.unread === 0');
      await until('stats', 'it.bookings.length === 0 && it.occupancy.length === 0');
      server.push('1', 'booking_created', booking('7002'));
      await until('stats', "it.bookings.join() === '7002'");
      await page.evaluate(() => /** @type {any} */ (globalThis).harness.remove('a'));
      while (server.clients.size > 0) await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(complaints, []);
    } finally {
      await close();
    }
  });
});
