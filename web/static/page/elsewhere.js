/**
 * How many notifications the user's other accounts have. Loaded where there are other accounts.
 * @import * as T from '../shapes.js'
 */
import { h, setAttribute, setText, show } from '../dom.js';

/** How often they are counted while the page is visible. */
const COUNT_MS = 60_000;

/** By bell: counts anew. @type {WeakMap<HTMLElement, () => void>} */
const counting = new WeakMap();

/** @type {T.ShowElsewhere} */
export function showElsewhere(bell, { session, wording: { sayMany } }) {
  const again = counting.get(bell);
  if (again) return again();
  const number = h('span', { class: 'number', 'aria-hidden': 'true' });
  const said = h('span', { class: 'said' });
  const sum = h('span', { class: 'sum', hidden: true }, number, said);

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
  const shown = () => void load();
  const timer = setInterval(shown, COUNT_MS);
  const stop = () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', shown);
  };
  document.addEventListener('visibilitychange', shown);
  counting.set(bell, shown);
  shown();
}
