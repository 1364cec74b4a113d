/**
 * The bell beside the account, and how many notifications the user's other accounts have. Loaded
 * when the server first tells of notifications.
 * @import * as T from '../shapes.js'
 */
import { h, setAttribute, setText, show } from '../dom.js';
import '../notifications.js';

/** How often the other accounts are counted while the page is visible. */
const COUNT_MS = 60_000;

/** @type {T.ShowBell} */
export function showBell(area, { session, display, latest, token, wording: { words, sayMany }, changed }) {
  const bell = h('owner-notifications', { 'owner-id': session.ownerId, lang: words.language, 'booking-href': document.documentElement.dataset.bookingLink });
  if (session.carrier) bell.carrier = session.carrier;
  bell.manager = display.manager;
  bell.latest = latest;
  bell.token = token;
  bell.addEventListener('invitationanswered', async ({ detail }) => {
    document.querySelector(`[data-invitation="${CSS.escape(detail.id)}"]`)?.remove();
    await changed();
    void load();
  });
  const number = h('span', { class: 'number', 'aria-hidden': 'true' });
  const said = h('span', { class: 'said' });
  const sum = h('span', { class: 'sum', hidden: true }, number, said);
  area.replaceChildren(bell);

  /** @type {Record<string, number>} unread ones, by other account */
  let counts = {};
  const draw = () => {
    const owner = /** @type {HTMLSelectElement | null} */ (document.getElementById('owner'));
    const elsewhere = Object.values(counts).reduce((all, n) => all + n, 0);
    owner?.after(sum); // drawn anew with the accounts
    show(sum, elsewhere > 0);
    setText(number, elsewhere > 99 ? '99+' : `+${elsewhere}`);
    sum.title = sayMany('unreadElsewhere', elsewhere);
    setText(said, sum.title);
    for (const option of owner?.options ?? []) {
      const n = counts[option.value] ?? 0;
      setAttribute(option, 'label', n > 0 ? `${option.text} (${n > 99 ? '99+' : n})` : null);
    }
  };
  const load = async () => {
    if (!bell.isConnected) return stop();
    if (document.visibilityState === 'hidden' || !document.getElementById('owner')) return;
    const answer = await bell.ask('/api/me/notifications/counts').catch(() => null);
    if (!Array.isArray(answer?.accounts)) return;
    counts = Object.fromEntries(answer.accounts.map((/** @type {any} */ one) => [one.ownerId, Number(one.unread) || 0]));
    delete counts[session.ownerId]; // the bell tells of its own
    draw();
  };
  bell.addEventListener('unreadchange', ({ detail }) => import('../push.js').then(({ arrive }) => arrive(bell, detail.unread)));
  const timer = setInterval(load, COUNT_MS);
  const shown = () => void load();
  const stop = () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', shown);
  };
  document.addEventListener('visibilitychange', shown);
  void load();
}
