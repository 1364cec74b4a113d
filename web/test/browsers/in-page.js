/**
 * What runs inside of a page: each of these functions is sent there as text, and knows nothing
 * around it.
 */

/**
 * A client, and what came to it.
 * @param {{ownerId: string, token: string, folder?: string}} given
 */
export async function startClient({ ownerId, token, folder = 'client', ...options }) {
  // Seven of eight tabs are behind the first; a hidden page does not dial.
  Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'visible' });
  const { createManager } = await import(`/${folder}/client.js`);
  const manager = createManager(ownerId, token, { random: () => 0.1, ...options });
  Object.assign(globalThis, { manager, ids: [], first: '', snapshots: 0 });
  manager.on('message', (/** @type {{id?: string}} */ { id }) => id && globalThis.ids.push(id));
  manager.on('connection_established', (/** @type {any} */ { data }) => (globalThis.first ||= data.lastEventId));
  manager.on('snapshot', () => globalThis.snapshots++);
  manager.connect().catch(() => {});
}

export const newBooking = {
  count: () => Number(document.querySelector('realtime-metrics-display')?.shadowRoot
    ?.querySelector('[data-metric=bookingsToday] .value')?.textContent?.replace(/\D/g, '')),
  shown: (/** @type {{before: number}} */ { before }) => {
    const root = document.querySelector('realtime-metrics-display')?.shadowRoot;
    const now = Number(root?.querySelector('[data-metric=bookingsToday] .value')?.textContent?.replace(/\D/g, ''));
    return now > before && Boolean(root?.querySelector('[data-list=feed] li.unread')) && /^\(\d+\+?\) /.test(document.title);
  },
};

/** Which numbers and icons leave their box or the page, and whether the page scrolls sideways. */
export function numbersCut() {
  const found = [];
  const { scrollWidth } = document.documentElement;
  if (scrollWidth > innerWidth) found.push(`the page is ${scrollWidth} px wide in ${innerWidth}`);
  const roots = [document, document.querySelector('realtime-metrics-display')?.shadowRoot];
  for (const root of roots) {
    for (const element of root?.querySelectorAll('*') ?? []) {
      const text = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.textContent).join('');
      const pictured = element.matches('svg, img');
      if ((!/\d/.test(text) && !pictured) || element.closest('.sr, noscript, script, style, option, .skip') || !element.checkVisibility()) continue;
      const range = document.createRange();
      if (pictured) range.selectNode(element);
      else range.selectNodeContents(element);
      const { left, right, width } = range.getBoundingClientRect();
      if (width === 0) continue;
      for (let box = /** @type {Element | null} */ (element); box; box = box.parentElement) {
        const style = getComputedStyle(box);
        if (style.clipPath !== 'none') break; // for ears
        const { left: from, right: to } = box.getBoundingClientRect();
        const holds = box.matches('.card, .fact, .tile, .row, .stay, .panel, header') || /hidden|clip/.test(style.overflowX);
        if (holds && (left < from - 1 || right > to + 1)) {
          found.push(`${pictured ? element.localName : JSON.stringify(text)} (${Math.round(left)} to ${Math.round(right)}) leaves ${box.className || box.localName} (${Math.round(from)} to ${Math.round(to)})`);
          break;
        }
      }
    }
  }
  return found;
}
