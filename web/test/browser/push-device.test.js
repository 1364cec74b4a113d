/**
 * A device of a real Chromium, subscribed by its own push manager, with the real program: what is
 * made anew when the page is opened, what sign-out takes away, and where a message leads. Only
 * Google's registration is a fake, and DevTools hands messages over; the worker runs as it is
 * served.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { launchUsual } from './chromium.js';
import { startFakeGCM } from './fake-gcm.js';
import { startProgram } from './program.js';
import { TIMEOUT_MS } from '../timeout.js';

const PASSWORD = 'senha do teste';
const HASH = '$2b$04$abcdefghijklmnopqrstuumJOdavUZyuN2Z2gD5EGyUAC0q88DFL.';

const VAPID_KEY = 'AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE';

/** @type {Awaited<ReturnType<typeof startFakeGCM>>} */
let gcm;
/** @type {Awaited<ReturnType<typeof startProgram>>} */
let program;
/** @type {import('playwright-core').BrowserContext} */
let context;
/** @type {pg.Client} */
let db;
let directory = '';

before(async () => {
  gcm = await startFakeGCM();
  program = await startProgram(['--demo-interval', '1h']);
  db = new pg.Client(program.database);
  await db.connect();
  directory = await mkdtemp(join(tmpdir(), 'hangarshare-push-'));
  context = await launchUsual(directory, gcm.flags);
}, { timeout: 2 * TIMEOUT_MS });
after(async () => {
  await context?.close();
  await db?.end();
  await program?.stop();
  await gcm?.stop();
  if (directory) await rm(directory, { recursive: true, force: true });
});

const grant = (/** @type {string} */ origin) => context.grantPermissions(['notifications'], { origin });
const bell = (/** @type {any} */ page) => page.locator('owner-notifications .bell');

/** A page with its bell. @param {string} path */
async function open(path = '/') {
  const page = await context.newPage();
  await page.goto(program.origin + path);
  await bell(page).waitFor();
  return page;
}

/** @param {any} page */
async function openSection(page) {
  await bell(page).click();
  await page.getByRole('button', { name: 'Preferências de notificação' }).click();
  await page.locator('owner-notifications .push .state').waitFor();
}

/** Turns messages on here, where they are not. @param {any} page */
async function turnOn(page) {
  await openSection(page);
  const on = page.getByText('Os avisos chegam a este aparelho.');
  const activate = page.getByRole('button', { name: 'Ativar avisos neste aparelho' });
  await activate.or(on).first().waitFor();
  if (await activate.isVisible()) await activate.click();
  await on.waitFor();
}

/** A page of a device that gets messages. */
async function openSubscribed() {
  await grant(program.origin);
  const page = await open();
  await turnOn(page);
  return page;
}

/**
 * Asks the database until it says so.
 * @param {string} question @param {(rows: any[]) => boolean} holds
 */
async function until(question, holds) {
  for (const deadline = Date.now() + TIMEOUT_MS; ;) {
    const { rows } = await db.query(question);
    if (holds(rows)) return rows;
    if (Date.now() > deadline) assert.fail(`${question}: ${JSON.stringify(rows)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
const DEVICES = 'SELECT id, endpoint, label, key_id, user_id FROM realtime.push_subscriptions ORDER BY created_at';

/** What the browser holds of it. @param {any} page */
const held = (page) => page.evaluate(async () => {
  const registration = await navigator.serviceWorker.getRegistration('/');
  return { endpoint: (await registration?.pushManager.getSubscription())?.endpoint ?? '', id: localStorage.getItem('hangarshare:device') ?? '' };
});

/** The worker, with what a click on a real notification allows it, and what it did by that. */
async function clickable() {
  const worker = context.serviceWorkers()[0] ?? await context.waitForEvent('serviceworker');
  await worker.evaluate(() => {
    const it = /** @type {any} */ (globalThis);
    it.done = [];
    it.WindowClient.prototype.focus = async function focus() {
      it.done.push(`focus ${new URL(this.url).pathname}`);
      return this;
    };
    it.clients.openWindow = async (/** @type {string} */ address) => void it.done.push(`open ${address}`);
  });
  return worker;
}

/** A click on a notification that leads somewhere. @param {any} worker @param {unknown} data */
const click = (worker, data) => worker.evaluate(async (/** @type {unknown} */ given) => {
  const it = /** @type {any} */ (globalThis);
  it.done.length = 0;
  const title = `click ${JSON.stringify(given)}`;
  await it.registration.showNotification(title, { data: given });
  const shown = (await it.registration.getNotifications()).find((/** @type {any} */ one) => one.title === title);
  const event = new it.NotificationEvent('notificationclick', { notification: shown });
  let waiting;
  event.waitUntil = (/** @type {Promise<void>} */ promise) => (waiting = promise);
  it.dispatchEvent(event);
  await waiting;
  return it.done;
}, data);

test('a device is turned on by a click, and made anew without one: the server forgot it, the browser did, or the key is another', async () => {
  await grant(program.origin);
  const page = await open();
  await openSection(page);
  await page.getByText('Este aparelho ainda não recebe avisos.').waitFor();
  assert.deepEqual(await held(page), { endpoint: '', id: '' }, 'nothing happens without a click');
  await page.getByRole('button', { name: 'Ativar avisos neste aparelho' }).click();
  await page.getByText('Os avisos chegam a este aparelho.').waitFor();
  const [first] = await until(DEVICES, (rows) => rows.length === 1);
  assert.deepEqual(await held(page), { endpoint: first.endpoint, id: first.id });
  assert.equal(first.label, 'Chrome · Linux');

  await db.query('DELETE FROM realtime.push_subscriptions'); // the server forgot it
  await page.reload();
  const [second] = await until(DEVICES, (rows) => rows.length === 1);
  assert.equal(second.endpoint, first.endpoint);

  // The browser forgot it.
  await page.evaluate(async () => (await (await navigator.serviceWorker.ready).pushManager.getSubscription()).unsubscribe());
  await page.reload();
  const [third] = await until(DEVICES, (rows) => rows.length === 1 && rows[0].endpoint !== first.endpoint);
  assert.equal(third.id, second.id, 'it stays that device');

  // It is subscribed by a key that the server does not have any more.
  const other = await page.evaluate(async () => {
    const { pushManager } = await navigator.serviceWorker.ready;
    await (await pushManager.getSubscription()).unsubscribe();
    const { publicKey } = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, true, ['deriveBits']);
    return (await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: await crypto.subtle.exportKey('raw', publicKey) })).endpoint;
  });
  // Two tabs at once: one subscription comes of it.
  const tab = await context.newPage();
  await Promise.all([page.reload(), tab.goto(program.origin)]);
  await until(DEVICES, ([row]) => row.endpoint !== third.endpoint);
  const now = await held(page);
  assert.notEqual(now.endpoint, other);
  const rows = await until(DEVICES, (all) => all.every(({ endpoint }) => endpoint === now.endpoint));
  assert.deepEqual(rows.map(({ id }) => id), [third.id]);
  assert.equal(now.id, third.id);
  await page.close();
  await tab.close();
});

test('a device whose permission was withdrawn is forgotten by both', async () => {
  const page = await openSubscribed();
  const { id } = await held(page);
  assert.notEqual(id, '');
  await context.clearPermissions();
  await page.reload();
  await until(DEVICES, (rows) => !rows.some((one) => one.id === id));
  await page.waitForFunction(() => !localStorage.getItem('hangarshare:device'));
  assert.equal((await held(page)).endpoint, '');
  // A permission alone does not bring it back.
  await grant(program.origin);
  await page.reload();
  await bell(page).waitFor();
  await openSection(page);
  await page.getByText('Este aparelho ainda não recebe avisos.').waitFor();
  assert.deepEqual(await held(page), { endpoint: '', id: '' });
  await page.close();
});

test('a device that its user removed elsewhere stays removed, until a click on it', async () => {
  await grant(program.origin);
  let page = await open();
  const activate = () => page.getByRole('button', { name: 'Ativar avisos neste aparelho' });
  const turnOn = async () => {
    await openSection(page);
    if (await activate().isVisible()) await activate().click();
    await page.getByText('Os avisos chegam a este aparelho.').waitFor();
    const now = await held(page);
    await until(DEVICES, (rows) => rows.some(({ id }) => id === now.id));
    return now;
  };
  const remove = (/** @type {string} */ id) => page.locator('owner-notifications').evaluate(
    (/** @type {any} */ element, one) => element.ask(`/api/push/subscriptions/${one}`, 'DELETE'), id);
  const reload = async () => {
    await page.reload();
    await bell(page).waitFor();
    await page.waitForFunction(() => !localStorage.getItem('hangarshare:device'));
    await openSection(page);
    await page.getByText('Este aparelho ainda não recebe avisos.').waitFor();
    assert.deepEqual(await held(page), { endpoint: '', id: '' }, 'the browser has given it up');
    await page.close();
    page = await open();
  };
  const first = await turnOn();
  await remove(first.id);
  await reload();
  await until(DEVICES, (rows) => !rows.some(({ endpoint }) => endpoint === first.endpoint));

  // By a click it is there again, and stays.
  const second = await turnOn();
  await page.reload();
  await bell(page).waitFor();
  await openSection(page);
  await page.getByText('Os avisos chegam a este aparelho.').waitFor();
  assert.deepEqual(await held(page), second);

  // The browser has another address for it meanwhile: it is known by its name.
  await remove(second.id);
  await page.evaluate(async () => (await (await navigator.serviceWorker.ready).pushManager.getSubscription()).unsubscribe());
  await reload();
  await until(DEVICES, (rows) => !rows.some(({ id }) => id === second.id));
  await page.close();
});

test('a click leads an open tab to the booking and reads what told of it, or opens one; to no other origin', async () => {
  let page = await openSubscribed();
  await page.keyboard.press('Escape');
  const worker = await clickable();
  const ownerId = await page.locator('owner-notifications').getAttribute('owner-id');
  const { rows: [{ id: bookingId }] } = await db.query(`SELECT b.id::text FROM bookings b JOIN hangar_listings l ON l.id = b.hangar_id WHERE l.owner_id::text = $1 ORDER BY b.id LIMIT 1`, [ownerId]);
  const notify = async (/** @type {string} */ owner, /** @type {object} */ facts, kind = 'booking_created') => (await db.query(
    `INSERT INTO realtime.notifications (owner_id, kind, key, group_key, revision, news, happened_at, facts)
     VALUES ($1, $2, gen_random_uuid()::text, gen_random_uuid()::text, 1, 1, now(), $3) RETURNING id::text`, [owner, kind, JSON.stringify(facts)])).rows[0].id;
  const readAt = (/** @type {string} */ id) => until(`SELECT 1 FROM realtime.notifications WHERE id = ${id} AND read_at IS NOT NULL`, (rows) => rows.length === 1);
  const details = (/** @type {any} */ at) => at.locator('owner-notifications').getByRole('dialog', { name: 'Detalhes da reserva' });

  const one = await notify(ownerId, { bookingId });
  assert.deepEqual(await click(worker, `${program.origin}/?n=${one}&d=999999&o=${ownerId}`), ['focus /']);
  await details(page).waitFor();
  await readAt(one);
  await page.keyboard.press('Escape');

  // About no booking: the list, with those that are read.
  const list = await notify(ownerId, {}, 'occupancy_low');
  assert.deepEqual(await click(worker, `/?n=${list}&o=${ownerId}`), ['focus /']);
  await page.locator(`owner-notifications .note[data-id="${list}"]`).waitFor();
  await readAt(list);
  await page.keyboard.press('Escape');

  // Of another account of the user: that one is shown first.
  const others = await page.locator('#owner option').evaluateAll((all) => all.map((option) => /** @type {HTMLOptionElement} */ (option).value));
  const elsewhere = others.find((id) => id !== ownerId);
  const theirs = await notify(elsewhere, {}, 'occupancy_low');
  assert.deepEqual(await click(worker, `/?n=${theirs}&o=${elsewhere}`), ['focus /']);
  await page.locator(`owner-notifications[owner-id="${elsewhere}"] .note[data-id="${theirs}"]`).waitFor();
  await readAt(theirs);

  // Whatever else it says, it stays here.
  for (const address of ['https://evil.example/?n=1', '//evil.example/', 'javascript:alert(1)', 'http://', 7, null, undefined]) {
    assert.deepEqual(await click(worker, address), ['focus /'], String(address));
  }
  assert.equal(new URL(page.url()).origin, program.origin);

  // A page that does not listen is loaded anew, at the place.
  await page.goto(`${program.origin}/?silent`);
  await bell(page).waitFor();
  await page.evaluate(() => document.querySelector('owner-notifications').remove());
  const silent = await notify(ownerId, { bookingId });
  assert.deepEqual(await click(worker, `/?n=${silent}&o=${ownerId}`), ['focus /']);
  await readAt(silent);
  await details(page).waitFor();
  assert.equal(new URL(page.url()).search, '', 'and is left without it: a reload opens nothing again');

  // No page: one is opened. And a link does the same as a click.
  await page.close();
  const last = await notify(ownerId, { bookingId });
  assert.deepEqual(await click(worker, `/?n=${last}&o=${ownerId}`), [`open ${program.origin}/?n=${last}&o=${ownerId}`]);
  page = await open(`/?n=${last}&o=${ownerId}`);
  await details(page).waitFor();
  await readAt(last);
  await page.close();
});

test('whatever comes by push is shown, and another subscription of the browser is told', async () => {
  const page = await openSubscribed();
  const worker = await clickable();
  const show = (/** @type {string | null} */ data) => worker.evaluate(async (given) => {
    const it = /** @type {any} */ (globalThis);
    for (const one of await it.registration.getNotifications()) one.close();
    /** @type {any[]} */
    const shown = [];
    const real = it.registration.showNotification;
    it.registration.showNotification = (/** @type {string} */ title, /** @type {any} */ options) => {
      shown.push([title, options.body, options.tag, options.data]);
      return real.call(it.registration, title, options);
    };
    const event = new it.PushEvent('push', given === null ? {} : { data: given });
    let waiting;
    event.waitUntil = (/** @type {Promise<void>} */ promise) => (waiting = promise);
    it.dispatchEvent(event);
    await waiting;
    it.registration.showNotification = real;
    return shown;
  }, data);
  const news = [['HangarShare', 'Há novidades na sua conta.', '', '']];
  for (const garbage of [null, '', '\u0000\uFFFF', 'no JSON', 'null', '5', '[]', '{}', '{"notification":null}', '{"notification":"text"}', '{"title":"an older form","body":"x"}',
    '{"notification":{"title":{"a":1},"body":["x"],"tag":7,"navigate":{}}}', '{"notification":{"title":"","tag":"a","navigate":5}}']) {
    assert.deepEqual(await show(garbage), news, String(garbage));
  }
  assert.deepEqual(await show('{"web_push":8030,"notification":{"title":"Nova reserva","body":7,"tag":"a","lang":"xx-??","app_badge":"many","navigate":"/?n=1","more":{}}}'), [['Nova reserva', '', 'a', '/?n=1']]);

  // The browser has another subscription: the page that is open tells it.
  const before = await held(page);
  const changed = await worker.evaluate(async () => {
    const it = /** @type {any} */ (globalThis);
    const old = await it.registration.pushManager.getSubscription();
    const event = new it.ExtendableEvent('pushsubscriptionchange');
    Object.assign(event, { oldSubscription: { options: old.options }, newSubscription: null });
    await old.unsubscribe();
    let waiting;
    event.waitUntil = (/** @type {Promise<void>} */ promise) => (waiting = promise);
    it.dispatchEvent(event);
    await waiting;
    return (await it.registration.pushManager.getSubscription()).endpoint;
  });
  assert.notEqual(changed, before.endpoint);
  await until(DEVICES, (rows) => rows.some(({ endpoint, label }) => endpoint === changed && label === 'Chrome · Linux'));
  await page.close();
});

/**
 * Has an owner sign in by password, at a server of the test's own.
 * @typedef {Awaited<ReturnType<typeof startProgram>>} Program
 * @typedef {{own: Program, user: string, page: any, signIn: () => Promise<void>}} Given
 * @param {(given: Given) => Promise<void>} use
 */
async function withPassword(use) {
  const { rows: [{ email, user }] } = await db.query(`UPDATE users SET password_hash = $1 WHERE id = (SELECT user_id FROM hangar_owners ORDER BY id LIMIT 1) RETURNING email, id::text AS user`, [HASH]);
  await db.query('DELETE FROM realtime.push_subscriptions');
  const own = await startProgram(['--jwt-secret', 'a secret of this test, which is long enough', '--vapid-private-key', VAPID_KEY, '--vapid-subject', 'mailto:ops@portal.com.br'], program.address);
  try {
    await context.clearCookies(); // of whoever signed in before
    await grant(own.origin);
    const page = await context.newPage();
    const signIn = async () => {
      await page.goto(own.origin);
      await page.fill('#email', email);
      await page.fill('#password', PASSWORD);
      await page.click('button[type=submit]');
      await bell(page).waitFor();
    };
    await signIn();
    await use({ own, user, page, signIn });
    await page.close();
  } finally {
    await own.stop();
  }
}

test('without a page the worker tells of another subscription itself, and gives up one that its user removed', () => withPassword(async ({ own, page }) => {
  await turnOn(page);
  const before = await held(page);
  const worker = context.serviceWorkers().find((one) => one.url().startsWith(own.origin));
  const goElsewhere = () => page.goto('about:blank');
  const comeBack = async () => {
    await page.goto(own.origin);
    await bell(page).waitFor();
  };
  /** The browser has another subscription. @returns {Promise<string>} what is left of it */
  const change = () => worker.evaluate(async () => {
    const it = /** @type {any} */ (globalThis);
    const { pushManager } = it.registration;
    const old = await pushManager.getSubscription();
    const event = new it.ExtendableEvent('pushsubscriptionchange');
    Object.assign(event, { oldSubscription: { endpoint: old.endpoint, options: old.options }, newSubscription: null });
    await old.unsubscribe();
    let waiting;
    event.waitUntil = (/** @type {Promise<void>} */ promise) => (waiting = promise);
    it.dispatchEvent(event);
    await waiting;
    return (await pushManager.getSubscription())?.endpoint ?? '';
  });
  await goElsewhere();
  const changed = await change();
  assert.notEqual(changed, before.endpoint);
  const [row] = await until(DEVICES, (rows) => rows.some(({ endpoint }) => endpoint === changed));
  assert.equal(row.id, before.id, 'it stays that device');

  await comeBack();
  await page.locator('owner-notifications').evaluate((/** @type {any} */ element, id) => element.ask(`/api/push/subscriptions/${id}`, 'DELETE'), before.id);
  await goElsewhere();
  assert.equal(await change(), '', 'the browser has given it up');
  await until(DEVICES, (rows) => rows.length === 0);
  await comeBack();
  await openSection(page);
  await page.getByText('Este aparelho ainda não recebe avisos.').waitFor();
  assert.deepEqual(await held(page), { endpoint: '', id: '' });
}));

test('sign-out gives the device up, with what it shows, and the server forgets it; also after a session that ended elsewhere', () => withPassword(async ({ own, user, page, signIn }) => {
  await turnOn(page);
  await page.keyboard.press('Escape');
  const [device] = await until(DEVICES, (rows) => rows.length === 1);
  assert.equal(device.user_id, user);
  await page.evaluate(async () => (await navigator.serviceWorker.ready).showNotification('Nova reserva', { tag: 'a' }));
  await page.getByRole('button', { name: 'Sair' }).click();
  await page.locator('#password').waitFor();
  await page.waitForFunction(async () => {
    const registration = await navigator.serviceWorker.ready;
    return !(await registration.pushManager.getSubscription()) && (await registration.getNotifications()).length === 0;
  });
  await until(DEVICES, (rows) => rows.length === 0);
  // The next sign-in brings nothing back.
  await signIn();
  await openSection(page);
  await page.getByText('Este aparelho ainda não recebe avisos.').waitFor();
  await page.keyboard.press('Escape');
  await turnOn(page);
  await page.keyboard.press('Escape');
  await until(DEVICES, (rows) => rows.length === 1);
  // Their session is ended from elsewhere: the server forgets the device by itself.
  const cookies = await context.cookies(own.origin);
  const ended = await fetch(`${own.origin}/api/auth/logout`, {
    method: 'POST', headers: { 'Content-Type': 'application/json', Cookie: cookies.map(({ name, value }) => `${name}=${value}`).join('; '), Origin: own.origin },
  });
  assert.ok(ended.ok, `logout: HTTP ${ended.status}`);
  await until(DEVICES, (rows) => rows.length === 0);
}));
