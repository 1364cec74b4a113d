/**
 * Push messages on this device: asked for only after a click, given up at sign-out, told anew to
 * the server each time the page is opened. Loaded when it is used.
 */
import { h, setText, show } from './dom.js';

/** @typedef {(path: string, method?: string, body?: object) => Promise<any>} Ask */
/** @typedef {{ask: Ask, server: string, wording: import('./shapes.js').Wording, zone: () => import('./shapes.js').Zone}} Around */
/** @typedef {{around: Around, tell: (text: string) => void, fail: (error: unknown) => void}} Tools */
/** @typedef {typeof import('./push/words/pt.js').default} Words */

const WORKER = '/sw.js';
/** @type {Record<string, () => Promise<{default: any}>>} */
const WORDS = { en: () => import('./push/words/en.js'), es: () => import('./push/words/es.js') };
const SENT_SHOWN = 20;

/** The one policy that there is: it passes the worker's address, and nothing else. @type {any} */
let policy;
const workerURL = () => {
  const types = /** @type {any} */ (globalThis).trustedTypes;
  policy ??= types?.createPolicy('sw', { createScriptURL(/** @type {string} */ url) {
    if (url !== WORKER) throw new TypeError(`${url} is no worker of this page`);
    return url;
  } });
  return policy ? policy.createScriptURL(WORKER) : WORKER;
};

const supported = () => 'serviceWorker' in navigator && 'PushManager' in globalThis && 'Notification' in globalThis;
/** On iPhones only a page on the home screen gets push. */
const isPhoneOfApple = () => /iPhone|iPad|iPod/.test(navigator.userAgent) || (/Macintosh/.test(navigator.userAgent) && navigator.maxTouchPoints > 1);

/** @param {string} text @returns {Uint8Array<ArrayBuffer>} */
function bytesOf(text) {
  const raw = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(raw, (letter) => letter.charCodeAt(0));
}

/** @param {ArrayBuffer | null | undefined} one @param {Uint8Array} other */
const same = (one, other) => one != null && one.byteLength === other.length && new Uint8Array(one).every((byte, at) => byte === other[at]);

/** The device's name for its user: browser and system. */
function label() {
  const agent = navigator.userAgent;
  const first = (/** @type {[RegExp, string][]} */ list) => list.find(([pattern]) => pattern.test(agent))?.[1] ?? '';
  const browser = first([[/Edg/, 'Edge'], [/OPR/, 'Opera'], [/SamsungBrowser/, 'Samsung Internet'], [/Firefox|FxiOS/, 'Firefox'], [/Chrome|CriOS/, 'Chrome'], [/Safari/, 'Safari']]);
  const system = first([[/iPhone|iPod/, 'iPhone'], [/iPad/, 'iPad'], [/Android/, 'Android'], [/Windows/, 'Windows'], [/Macintosh/, 'Mac'], [/CrOS/, 'ChromeOS'], [/Linux/, 'Linux']]);
  return [browser, system].filter(Boolean).join(' · ') || 'Web';
}

/**
 * Subscribes this device, or tells the server again of what it is: both may have forgotten.
 * @param {Ask} ask @param {string} key the server's
 */
async function subscribe(ask, key) {
  const registration = await navigator.serviceWorker.register(workerURL(), { scope: '/', updateViaCache: 'none' });
  await navigator.serviceWorker.ready;
  const applicationServerKey = bytesOf(key);
  let subscription = await registration.pushManager.getSubscription();
  if (subscription && !same(subscription.options.applicationServerKey, applicationServerKey)) {
    await subscription.unsubscribe(); // by another key of the server's
    subscription = null;
  }
  subscription ??= await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
  return ask('/api/push/subscriptions', 'POST', { ...subscription.toJSON(), label: label() });
}

const subscriptionHere = async () => {
  const registration = supported() ? await navigator.serviceWorker.getRegistration('/') : undefined;
  return registration ? registration.pushManager.getSubscription() : null;
};

/**
 * What the page does when a user is signed in: the device is told anew, and a message's link that
 * led here is noted.
 * @param {Ask} ask
 */
export async function arrive(ask) {
  const note = async (/** @type {string} */ search) => {
    const delivery = new URLSearchParams(search).get('d');
    if (delivery) await ask(`/api/me/notifications/deliveries/${encodeURIComponent(delivery)}`, 'PATCH', { opened: true });
  };
  try {
    const parameters = new URLSearchParams(location.search);
    if (parameters.has('d')) {
      await note(location.search).catch(() => {}); // it may be another user's
      parameters.delete('d');
      history.replaceState(history.state, '', `${location.pathname}${parameters.size ? `?${parameters}` : ''}${location.hash}`);
    }
    if (!supported()) return;
    navigator.serviceWorker.addEventListener('message', ({ data }) => {
      if (data?.type === 'hangarshare:notification') note(data.search).catch(() => {});
    });
    if (Notification.permission === 'granted' && (await subscriptionHere())) await subscribe(ask, (await ask('/api/push/key')).key);
  } catch {
    // The next time the page is opened does it again.
  }
}

/** Gives this device up. */
async function leave() {
  await (await subscriptionHere())?.unsubscribe();
}

/** At sign-out: the next user of this browser gets nothing of the former one. */
globalThis.addEventListener?.('signout', () => void leave().catch(() => {}));

/**
 * Fills the section of the preferences that is about this device.
 * @param {HTMLElement} section @param {Tools} tools
 */
export async function newPush(section, { around, tell, fail }) {
  const { ask, wording } = around;
  if (new URL(around.server, location.href).origin !== location.origin) return void section.remove();
  const load = WORDS[wording.words.language] ?? (() => import('./push/words/pt.js'));
  /** @type {Words} */
  const words = (await load()).default;
  /** @type {{key: string} | null} */
  const server = await ask('/api/push/key').catch((error) => {
    if (error?.status === 404) return null;
    throw error;
  });
  const state = h('p', { role: 'status' });
  const activate = h('button', { class: 'tool', type: 'button', onclick: () => void turnOn() }, words.activate);
  const devices = h('ul', { class: 'devices' });
  const sent = h('details', { class: 'sent', ontoggle: () => void (sent.open && showSent()) }, h('summary', null, words.sent), h('ul'));
  let here = '';

  const drawState = () => {
    const denied = supported() && Notification.permission === 'denied';
    setText(state, !server ? words.off : !supported() ? (isPhoneOfApple() ? words.install : words.unsupported)
      : denied ? words.denied : here ? words.on : words.notYet);
    show(activate, Boolean(server) && supported() && !denied && !here);
  };

  async function turnOn() {
    activate.disabled = true;
    try {
      // Browsers answer this only within a click.
      if (server && (await Notification.requestPermission()) === 'granted') here = (await subscribe(ask, server.key)).id;
      await drawDevices();
    } catch (error) {
      fail(error);
    }
    activate.disabled = false;
    drawState();
  }

  /** @param {any} device */
  const drawDevice = ({ id, label: name, lastOkAt, works }) => h('li', { 'data-device': id },
    h('strong', { dir: 'auto' }, name || words.nameless), id === here ? ` ${words.thisOne}` : '',
    h('small', null, !works ? words.broken : lastOkAt ? words.lastOk.replace('{time}', moment(lastOkAt)) : ''),
    h('span', { class: 'pauses' },
      h('button', { class: 'tool', type: 'button', 'aria-label': `${words.test}: ${name}`, onclick: () => void test(id) }, words.test),
      h('button', { class: 'tool', type: 'button', 'aria-label': `${words.remove}: ${name}`, onclick: () => void remove(id) }, words.remove)));
  const drawDevices = async () => {
    const { subscriptions } = server ? await ask('/api/push/subscriptions') : { subscriptions: [] };
    devices.replaceChildren(...subscriptions.map(drawDevice));
  };
  /** @param {number} ms */
  const moment = (ms) => wording.formatMoment(ms, around.zone());

  /** @param {string} id */
  async function test(id) {
    try {
      const { result } = await ask('/api/push/test', 'POST', { id, language: words.language });
      tell(words.results[/** @type {keyof Words['results']} */ (result)] ?? result);
      if (result === 'gone') await drawDevices();
    } catch (error) {
      if (/** @type {any} */ (error)?.status === 429) tell(words.tooSoon);
      else fail(error);
    }
  }

  /** @param {string} id */
  async function remove(id) {
    try {
      await ask(`/api/push/subscriptions/${encodeURIComponent(id)}`, 'DELETE');
      if (id === here) {
        here = '';
        await leave();
      }
      await drawDevices();
    } catch (error) {
      fail(error);
    }
    drawState();
  }

  async function showSent() {
    try {
      const { deliveries } = await ask(`/api/me/notifications/deliveries?limit=${SENT_SHOWN}`);
      sent.lastElementChild?.replaceChildren(...(deliveries.length > 0 ? deliveries.map(drawSent) : [h('li', null, words.nothingSent)]));
    } catch (error) {
      fail(error);
    }
  }
  /** @param {any} one */
  const drawSent = ({ kind, channel, device, outcome, doneAt, dueAt, openedAt }) => h('li', null,
    `${words.channels[/** @type {'push'} */ (channel)] ?? channel}${device ? ` · ${device}` : ''} · ${words.outcomes[/** @type {keyof Words['outcomes']} */ (outcome)] ?? outcome} `,
    h('time', { datetime: new Date(doneAt ?? dueAt).toISOString() }, moment(doneAt ?? dueAt)),
    openedAt ? `, ${words.opened} ${moment(openedAt)}` : '', h('small', null, ` ${kind}`));

  if (server && supported() && Notification.permission === 'granted' && (await subscriptionHere())) here = (await subscribe(ask, server.key)).id;
  await drawDevices();
  drawState();
  section.replaceChildren(h('h3', null, words.title), state, activate, devices, sent);
  show(section, true);
}
