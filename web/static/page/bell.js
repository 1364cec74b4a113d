/**
 * The bell beside the account. Loaded when the server first tells of notifications; what is of
 * other accounts, and what is of messages on this device, is loaded where there are such.
 * @import * as T from '../shapes.js'
 */
import { h } from '../dom.js';
import '../notifications.js';

/** The name by which the server knows this device, while it is to get messages. */
const DEVICE_KEY = 'hangarshare:device';

/** Whether a link led here from a message, or this device gets any. */
async function hasMessages() {
  if (/[?&][nd]=/.test(location.search)) return true;
  try {
    if (localStorage.getItem(DEVICE_KEY)) return true;
  } catch {
    // Storage may be forbidden.
  }
  return Boolean(await navigator.serviceWorker?.getRegistration('/').catch(() => true));
}

const badge = (/** @type {number} */ unread) => /** @type {any} */ (navigator).setAppBadge?.(unread).catch(() => {});
addEventListener('signout', () => badge(0));

/** @type {T.ShowBell} */
export function showBell(area, around) {
  const { session, display, latest, token, wording: { words }, changed } = around;
  const bell = h('owner-notifications', { 'owner-id': session.ownerId, lang: words.language, 'booking-href': document.documentElement.dataset.bookingLink });
  if (session.carrier) bell.carrier = session.carrier;
  bell.manager = display.manager;
  bell.latest = latest;
  bell.token = token;
  const elsewhere = () => document.getElementById('owner')
    && import('./elsewhere.js').then(({ showElsewhere }) => showElsewhere(bell, around)).catch(() => {});
  bell.addEventListener('invitationanswered', async ({ detail }) => {
    document.querySelector(`[data-invitation="${CSS.escape(detail.id)}"]`)?.remove();
    await changed();
    void elsewhere();
  });
  bell.addEventListener('unreadchange', async ({ detail: { unread } }) => {
    badge(unread);
    if (await hasMessages()) (await import('../push.js')).arrive(bell);
  });
  area.replaceChildren(bell);
  void elsewhere();
}
