/**
 * The service worker and the section about this device, in private windows of a real Chromium with
 * the real program. There is no push there: the device is one that the test adds, and messages are
 * handed over by DevTools. `push-device.test.js` is about usual windows.
 */
import assert from 'node:assert/strict';
import { createECDH, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { launch, openPage } from './chromium.js';
import { startProgram } from './program.js';
import { TIMEOUT_MS } from '../timeout.js';

/** @type {Awaited<ReturnType<typeof startProgram>>} */
let program;
/** @type {import('playwright-core').Browser} */
let browser;

before(async () => {
  program = await startProgram(['--demo-interval', '1h', '--push-hosts', '127.0.0.1:9']);
  browser = await launch();
}, { timeout: 2 * TIMEOUT_MS });
after(async () => {
  await browser?.close();
  await program?.stop();
});

/** The page, signed in, with the section filled. @param {string[]} permissions */
async function pageWithSection(permissions) {
  const opened = await openPage(browser, program.origin, { permissions });
  const { page } = opened;
  await page.goto(program.origin);
  await page.locator('realtime-metrics-display').waitFor();
  await page.evaluate(async () => {
    const { token } = await (await fetch('/api/auth/demo', { method: 'POST', body: '{}' })).json();
    globalThis.told = [];
    globalThis.askAs = async (path, method = 'GET', body) => {
      const answer = await fetch(path, { method, body: body && JSON.stringify(body), headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' } });
      if (!answer.ok) throw Object.assign(new Error(`${path}: ${answer.status}`), { status: answer.status });
      return answer.status === 204 ? {} : answer.json();
    };
    const [{ newPush }, { wording }] = await Promise.all([import('/client/push/section.js'), import('/client/state/wording.js')]);
    const section = document.createElement('section');
    section.id = 'device';
    section.hidden = true;
    document.body.append(section);
    await newPush(section, {
      around: { ask: globalThis.askAs, server: location.origin, wording, zone: () => 'America/Sao_Paulo' },
      tell: (text) => globalThis.told.push(text), fail: (error) => globalThis.told.push(`failed: ${error}`),
    });
  });
  return opened;
}

test('a device is asked for only after a click, and one that is blocked is told how', async () => {
  const { page, close } = await pageWithSection([]);
  const section = page.locator('#device');
  assert.equal(await page.evaluate(() => Notification.permission), 'denied'); // nobody to ask
  await section.getByText('Os avisos estão bloqueados').waitFor();
  assert.equal(await section.getByRole('button', { name: 'Ativar avisos' }).isVisible(), false);
  assert.deepEqual(await page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length), 0);
  await close();
});

test('only the worker may be registered, by the one policy that there is', async () => {
  const { page, close } = await pageWithSection(['notifications']);
  const section = page.locator('#device');
  await section.getByText('Este aparelho ainda não recebe avisos.').waitFor();
  const attempts = await page.evaluate(async () => {
    const outcome = async (make) => {
      try {
        await make();
        return 'done';
      } catch (error) {
        return error.name;
      }
    };
    const loose = { createScriptURL: (url) => url };
    return {
      text: await outcome(() => navigator.serviceWorker.register('/sw.js')),
      other: await outcome(() => globalThis.trustedTypes.createPolicy('other', loose)),
    };
  });
  assert.deepEqual(attempts, { text: 'TypeError', other: 'TypeError' });

  // Chromium has no push in a private window: the worker is there, and the page says so.
  await section.getByRole('button', { name: 'Ativar avisos neste aparelho' }).click();
  await page.waitForFunction(() => globalThis.told.length > 0);
  assert.match((await page.evaluate(() => globalThis.told))[0], /^(failed: |O navegador não alcançou)/);
  const second = await page.evaluate(() => {
    try {
      globalThis.trustedTypes.createPolicy('sw', { createScriptURL: (url) => url });
      return 'done';
    } catch (error) {
      return error.name;
    }
  });
  assert.equal(second, 'TypeError'); // the name is taken

  // A message as the server writes it, and one that cannot be read: both are shown.
  const devtools = await page.context().newCDPSession(page);
  const registered = new Promise((resolve) => devtools.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
    const [ours] = registrations.filter(({ isDeleted }) => !isDeleted);
    if (ours) resolve(ours.registrationId);
  }));
  await devtools.send('ServiceWorker.enable');
  const registrationId = await registered;
  const payload = { web_push: 8030, notification: { title: 'Nova reserva · H1', body: '<b>x</b>', lang: 'pt-BR', tag: 'a', navigate: `${program.origin}/?n=7&d=9`, app_badge: '3' } };
  // Each is shown before the next one comes: the worker takes them side by side. What is shown is
  // read in the moment in which it was found: a browser without a screen soon takes it away.
  const replacing = JSON.stringify({ ...payload, notification: { ...payload.notification, title: '2 novas reservas' } });
  for (const [data, title] of [[JSON.stringify(payload), 'Nova reserva · H1'], ['no JSON', 'HangarShare'], [replacing, '2 novas reservas']]) {
    await devtools.send('ServiceWorker.deliverPushMessage', { origin: program.origin, registrationId, data });
    const all = await page.evaluate(async (wanted) => {
      const registration = await navigator.serviceWorker.ready;
      for (;;) {
        const shown = (await registration.getNotifications()).map((one) => ({ title: one.title, body: one.body, tag: one.tag, lang: one.lang, data: one.data }));
        if (shown.some((one) => one.title === wanted)) return shown;
        await new Promise((resolve) => { requestAnimationFrame(resolve); });
      }
    }, title);
    if (data !== replacing) continue;
    // It took the first's place.
    assert.deepEqual(all.filter(({ tag }) => tag), [{ title: '2 novas reservas', body: '<b>x</b>', tag: 'a', lang: 'pt-BR', data: `${program.origin}/?n=7&d=9` }]);
  }
  // What was tried is all that the policy refused.
  assert.deepEqual((await page.evaluate(() => globalThis.violations)).filter((one) => !/^(require-trusted-types-for|trusted-types) /.test(one)), []);
  await close();
});

test('devices are listed, tested and removed, and what was sent is told', async () => {
  const { page, close } = await pageWithSection(['notifications']);
  const key = createECDH('prime256v1');
  key.generateKeys();
  const keys = { p256dh: key.getPublicKey('base64url'), auth: randomBytes(16).toString('base64url') };
  await page.evaluate(async ({ keys: given }) => {
    await globalThis.askAs('/api/push/subscriptions', 'POST', { endpoint: `https://127.0.0.1:9/${crypto.randomUUID()}`, keys: given, label: 'Firefox · <b>Linux</b>' });
    await import('/client/push/section.js').then(async ({ newPush }) => {
      const { wording } = await import('/client/state/wording.js');
      await newPush(document.getElementById('device'), {
        around: { ask: globalThis.askAs, server: location.origin, wording, zone: () => 'America/Sao_Paulo' },
        tell: (text) => globalThis.told.push(text), fail: (error) => globalThis.told.push(`failed: ${error}`),
      });
    });
  }, { keys });
  const section = page.locator('#device');
  const device = section.getByRole('listitem').filter({ hasText: 'Firefox · <b>Linux</b>' });
  await device.getByRole('button', { name: 'Testar: Firefox' }).click();
  await page.waitForFunction(() => globalThis.told.length > 0);
  assert.deepEqual(await page.evaluate(() => globalThis.told), ['O serviço de avisos do navegador não responde agora.']);
  await device.getByRole('button', { name: 'Testar: Firefox' }).click();
  await page.waitForFunction(() => globalThis.told.length > 1);
  assert.equal(await page.evaluate(() => globalThis.told[1]), 'Um teste a cada dez segundos: espere um pouco.');
  await section.getByText('O que foi enviado para mim').click();
  await section.getByText('Nada ainda.').waitFor();
  await device.getByRole('button', { name: 'Remover: Firefox' }).click();
  await device.waitFor({ state: 'detached' });
  await close();
});
