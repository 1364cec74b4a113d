/**
 * Opens and closes the panels that are modules of their own.
 * @import * as T from '../shapes.js'
 */
import { loadModule, setAttribute, setText } from '../dom.js';

/** @type {Record<T.LazyName, (around: T.Around) => Promise<T.LazyView>>} */
const MODULES = {
  trends: async (around) => (await loadModule('trends/view', () => import('../trends/view.js'))).newTrends(around),
  calendar: async (around) => (await loadModule('calendar/view', () => import('../calendar/view.js'))).newCalendar(around),
};

/** @type {T.TogglePanel} */
export async function togglePanel(name, button, opened, manager, around, isCurrent) {
  const { words } = around.wording;
  const node = /** @type {HTMLElement} */ (button.closest('section'));
  const draw = (/** @type {boolean} */ open) => {
    node.classList.toggle('shown', open);
    setAttribute(button, 'aria-expanded', String(open));
    setText(button, open ? words.close : words.show);
  };
  const former = opened.get(name);
  if (former) return former.close();
  const view = await MODULES[name](around);
  // Meanwhile it may be another owner, another language, or open.
  if (!manager || !isCurrent() || !node.isConnected || opened.has(name)) return view.stop();
  opened.set(name, { view, close: () => {
    opened.delete(name);
    view.stop();
    draw(false);
  } });
  view.follow(manager);
  node.append(view.node);
  draw(true);
}
