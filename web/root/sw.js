/**
 * What shows a message that came by push. The server has decided that it is wanted: here it is always
 * shown, because browsers take the permission from a worker that shows nothing.
 */
const worker = /** @type {any} */ (self);

worker.addEventListener('install', () => worker.skipWaiting());
worker.addEventListener('activate', (/** @type {any} */ event) => event.waitUntil(worker.clients.claim()));

worker.addEventListener('push', (/** @type {any} */ event) => {
  let told = {};
  try {
    told = event.data.json().notification;
  } catch {
    // Something came that is not ours, or nothing: that is told too.
  }
  event.waitUntil(show(told));
});

/** @param {any} told */
async function show({ title = 'HangarShare', body, tag, lang, navigate = '/', app_badge: badge }) {
  await worker.registration.showNotification(title, { body, tag, lang, renotify: Boolean(tag), icon: '/icon-192.png', data: navigate });
  if (badge) await worker.navigator.setAppBadge?.(Number(badge)).catch(() => {});
}

worker.addEventListener('notificationclick', (/** @type {any} */ event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data));
});

/** Brings a page that is open to the front, or opens one. @param {string} address */
async function open(address) {
  const to = new URL(address, worker.location.origin);
  if (to.origin !== worker.location.origin) return;
  const [page] = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true });
  if (!page) return worker.clients.openWindow(to.href);
  await page.focus();
  page.postMessage({ type: 'hangarshare:notification', search: to.search });
}

/** The browser has another address for us: the page tells it too, when it is opened next. */
worker.addEventListener('pushsubscriptionchange', (/** @type {any} */ event) => {
  event.waitUntil((async () => {
    const options = event.oldSubscription?.options;
    const made = event.newSubscription ?? (options && await worker.registration.pushManager.subscribe(options));
    if (!made) return;
    await fetch('/api/push/subscriptions', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(made) });
  })());
});
