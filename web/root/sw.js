/**
 * What shows a message that came by push. The server has decided that it is wanted: here it is
 * always shown, because browsers take the permission from a worker that shows nothing.
 */
const worker = /** @type {any} */ (self);
/**
 * What is said where a message cannot be read, by the browser's language.
 * @type {Record<string, string>}
 */
const NEWS = { pt: 'Há novidades na sua conta.', en: 'There is news in your account.', es: 'Hay novedades en su cuenta.' };
/** A page that does not answer within this time is loaded anew at the place. */
const ANSWER_MS = 2000;

worker.addEventListener('install', () => worker.skipWaiting());
worker.addEventListener('activate', (/** @type {any} */ event) => event.waitUntil(worker.clients.claim()));

worker.addEventListener('push', (/** @type {any} */ event) => {
  let told;
  try {
    told = event.data.json().notification;
  } catch {
    // Something came that is not ours, or nothing: that is told too.
  }
  event.waitUntil(show(told ?? {}));
});

/** @param {unknown} value */
const text = (value) => (typeof value === 'string' ? value : '');

/** @param {any} told by a server that may be older or newer than this worker */
async function show(told) {
  const { registration, navigator } = worker;
  const title = text(told.title);
  const [tag, lang] = title ? [text(told.tag), text(told.lang)] : ['', ''];
  const body = title ? text(told.body) : NEWS[navigator.language.slice(0, 2)] ?? NEWS.pt;
  await registration.showNotification(title || 'HangarShare', { body, tag, lang, renotify: tag !== '', icon: '/icon-192.png', data: text(told.navigate) });
  const badge = Number(told.app_badge);
  if (badge > 0) await navigator.setAppBadge?.(badge).catch(() => {});
}

worker.addEventListener('notificationclick', (/** @type {any} */ event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data));
});

/** A place of ours. @param {unknown} address */
function placeOf(address) {
  const home = new URL('/', worker.location.origin);
  try {
    const place = new URL(text(address), home);
    return place.origin === home.origin ? place : home;
  } catch {
    return home;
  }
}

/**
 * The pages that are open at a path, the one that was used last first.
 * @param {string} path @returns {Promise<any[]>}
 */
const pagesAt = async (path) => (await worker.clients.matchAll({ type: 'window', includeUncontrolled: true }))
  .filter((/** @type {any} */ { url }) => new URL(url).pathname === path);

/** Tells a page, and says whether it has taken it. @param {any} page @param {object} message */
const tell = (page, message) => new Promise((resolve) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => resolve(true);
  setTimeout(() => resolve(false), ANSWER_MS);
  page.postMessage(message, [port2]);
});

/** Brings a page that is open to the front, at the place, or opens one. @param {unknown} address */
async function open(address) {
  const to = placeOf(address);
  const [page] = await pagesAt(to.pathname);
  if (!page) return worker.clients.openWindow(to.href);
  await page.focus().catch(() => {});
  // The user may have signed out there, or it has not learnt to listen yet.
  if (!(await tell(page, { type: 'hangarshare:notification', search: to.search }))) await page.navigate(to.href);
}

/**
 * The browser has another address for us: an open page tells the server, or this worker, or the
 * next page.
 */
worker.addEventListener('pushsubscriptionchange', (/** @type {any} */ event) => {
  event.waitUntil((async () => {
    const options = event.oldSubscription?.options;
    const made = event.newSubscription ?? (options && await worker.registration.pushManager.subscribe(options));
    if (!made) return;
    const [page] = await pagesAt('/');
    if (page && await tell(page, { type: 'hangarshare:subscription' })) return;
    const body = JSON.stringify({ ...made.toJSON(), renews: event.oldSubscription?.endpoint ?? '' });
    const { status } = await fetch('/api/push/subscriptions', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
    if (status === 410) await made.unsubscribe(); // its user has removed this device
  })());
});
