/**
 * Push messages on this device: told anew to the server each time the page is opened, given up at
 * sign-out, and followed to what they tell. Loaded with the bell's first counts where this device
 * gets messages or was led here by one; `push/section.js` asks for them.
 */

/** @typedef {(path: string, method?: string, body?: object) => Promise<any>} Ask */
/** @typedef {import('./entries/notifications.js').OwnerNotifications} Bell */

const WORKER = '/sw.js';
/** The name by which the server knows this device, while it is to get messages. */
const DEVICE_KEY = 'hangarshare:device';

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

export const supported = () => 'serviceWorker' in navigator && 'PushManager' in globalThis && 'Notification' in globalThis;

/** Storage may be forbidden. Then the browser's subscription alone says what was wanted. */
const storedId = () => {
  try {
    return localStorage.getItem(DEVICE_KEY) ?? '';
  } catch {
    return '';
  }
};
/** @param {string} id */
const storeId = (id) => {
  try {
    if (id) localStorage.setItem(DEVICE_KEY, id);
    else localStorage.removeItem(DEVICE_KEY);
  } catch {
    // As above.
  }
};

/**
 * One tab at a time: two that renew a subscription side by side would each end the other's.
 * @param {() => Promise<string>} use @returns {Promise<string>}
 */
const alone = async (use) => (navigator.locks ? navigator.locks.request('hangarshare:push', use) : use());

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

const subscriptionHere = async () => {
  const registration = supported() ? await navigator.serviceWorker.getRegistration('/') : undefined;
  return registration ? registration.pushManager.getSubscription() : null;
};

/**
 * Subscribes this device, or tells the server again of what it is: both may have forgotten.
 * @param {Ask} ask
 * @param {string} key the server's
 * @param {string} [renews] its former name, where no click asks for it
 * @returns {Promise<string>} its name
 */
export const subscribe = (ask, key, renews) => alone(async () => {
  const registration = await navigator.serviceWorker.register(workerURL(), { scope: '/', updateViaCache: 'none' });
  await navigator.serviceWorker.ready;
  const applicationServerKey = bytesOf(key);
  let subscription = await registration.pushManager.getSubscription();
  if (subscription && !same(subscription.options.applicationServerKey, applicationServerKey)) {
    await subscription.unsubscribe(); // by another key of the server's
    subscription = null;
  }
  subscription ??= await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
  const { id } = await ask('/api/push/subscriptions', 'POST', { ...subscription.toJSON(), label: label(), renews });
  storeId(id);
  return id;
});

/**
 * What the user wanted of this device, once more: whatever was lost on the way is made anew without
 * a question. Where they have withdrawn the permission, or removed it on another device, it is
 * forgotten.
 * @param {Ask} ask
 * @param {string} [key]
 * @returns {Promise<string>} its name; empty where it gets nothing
 */
export async function renew(ask, key) {
  if (!supported()) return '';
  const id = storedId();
  if (!id && !(await subscriptionHere())) return '';
  const granted = Notification.permission === 'granted';
  if (granted) {
    try {
      return await subscribe(ask, key ?? (await ask('/api/push/key')).key, id);
    } catch (/** @type {any} */ error) {
      if (error?.status !== 410) throw error;
    }
  }
  await forget(ask, granted ? '' : id);
  return '';
}

/** Has this device get nothing any more. @param {Ask} ask @param {string} id */
export async function forget(ask, id) {
  await leave();
  if (id) {
    await ask(`/api/push/subscriptions/${encodeURIComponent(id)}`, 'DELETE').catch((error) => {
      if (error?.status !== 404) throw error;
    });
  }
  storeId('');
}

/** Gives the device up, with what it still shows. */
async function leave() {
  const registration = await navigator.serviceWorker?.getRegistration('/');
  for (const shown of (await registration?.getNotifications?.()) ?? []) shown.close();
  await (await subscriptionHere())?.unsubscribe();
}

/**
 * The bells whose counts are here: they can show what a message leads to.
 * @type {WeakSet<Element>}
 */
const bells = new WeakSet();
/** @param {Element} element */
export const listen = (element) => void bells.add(element);
const bell = () => {
  const element = /** @type {Bell | null} */ (document.querySelector('owner-notifications'));
  return element && bells.has(element) ? element : null;
};

/** Where a message leads: a query, until it was followed. */
let wanted = '';

/**
 * Follows a message: to the account that it is of, then to the booking, or to the list. It is read
 * and opened by that.
 */
async function follow() {
  const to = new URLSearchParams(wanted);
  const [id, delivery, ownerId] = ['n', 'd', 'o'].map((name) => to.get(name) ?? '');
  const element = bell();
  if (!element || !(id || delivery)) return;
  const { ask } = element;
  const choice = /** @type {HTMLSelectElement | null} */ (document.getElementById('owner'));
  const isHere = !ownerId || ownerId === element.getAttribute('owner-id');
  if (!isHere && choice && [...choice.options].some(({ value }) => value === ownerId)) {
    to.delete('o'); // that account's bell goes on, once
    wanted = String(to);
    choice.value = ownerId;
    return void choice.dispatchEvent(new Event('change'));
  }
  wanted = '';
  // Each may be another user's, or gone.
  if (delivery) ask(`/api/me/notifications/deliveries/${encodeURIComponent(delivery)}`, 'PATCH', { opened: true }).catch(() => {});
  if (!id || !isHere) return;
  const told = await ask(`notifications/${encodeURIComponent(id)}`, 'PATCH', { read: true }).catch(() => null);
  element.show(String(told?.facts?.bookingId ?? ''));
}

/**
 * A bell has counted. For a new one a link that led here is followed, and the device told anew.
 * @param {Bell} element
 */
export async function arrive(element) {
  if (bells.has(element)) return;
  listen(element);
  const parameters = new URLSearchParams(location.search);
  if (['n', 'd'].some((name) => parameters.has(name))) {
    wanted = location.search;
    for (const name of ['n', 'd', 'o']) parameters.delete(name);
    history.replaceState(history.state, '', `${location.pathname}${parameters.size ? `?${parameters}` : ''}${location.hash}`);
  }
  try {
    await follow();
    await renew(element.ask);
  } catch {
    // The next time the page is opened does it again.
  }
}

globalThis.navigator?.serviceWorker?.addEventListener('message', ({ data, ports: [port] }) => {
  const element = bell();
  if (!element) return; // the worker loads the page anew
  if (data?.type === 'hangarshare:notification') wanted = data.search;
  else if (data?.type !== 'hangarshare:subscription') return;
  port?.postMessage('taken');
  (wanted ? follow() : renew(element.ask)).catch(() => {});
});

/** At sign-out: the next user of this browser gets nothing of the former one. */
globalThis.addEventListener?.('signout', () => {
  storeId('');
  leave().catch(() => {});
});
