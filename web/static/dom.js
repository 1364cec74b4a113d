/**
 * The few ways in which this page touches the DOM: make, fill, and rewrite only
 * what differs. Text is always text; nothing here parses markup.
 * @import * as T from './shapes.js'
 */
import { ANSWER_MS } from './parts.js';

export { loadModule } from './parts.js';

const SVG = 'http://www.w3.org/2000/svg';

/** Drawings on a 24 × 24 grid. */
export const ICONS = {
  money: 'M12 3v18M16.8 8c-.5-1.7-2.3-2.5-4.8-2.5-2.7 0-4.6 1.1-4.6 3.1 0 4.5 9.4 2.3 9.4 6.8 0 2-2.1 3.1-4.8 3.1-2.7 0-4.6-.9-5.1-2.7',
  new: 'M8 3v4M16 3v4M4 10h16M6 5h12a2 2 0 0 1 2 2v11a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2z',
  hangar: 'M3 20v-8c1.5-4.5 4.5-7 9-7s7.5 2.5 9 7v8M2 20h20M7 20v-6h10v6M12 14v6',
  up: 'M3 17l6-6 4 4 8-8M15 7h6v6',
  down: 'M3 7l6 6 4-4 8 8M15 17h6v-6',
  flat: 'M4 12h16M15 7l5 5-5 5',
  ok: 'M5 12.5l4.5 4.5L19 7.5',
  cancel: 'M7 7l10 10M17 7L7 17',
  edit: 'M4 20l1-4L16 5l3 3L8 19zM14 7l3 3',
  in: 'M4 12h11M11 8l4 4-4 4M20 4v16',
  out: 'M20 12H9M13 8l-4 4 4 4M4 4v16',
  refresh: 'M20 4v5h-5M4 20v-5h5M5.5 9.5a7 7 0 0 1 13-1.5L20 9M18.5 14.5a7 7 0 0 1-13 1.5L4 15',
  pause: 'M8 5v14M16 5v14',
  play: 'M7 4.5v15l12-7.5z',
};

/** @type {T.Make} */
export const h = (tag, props, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else setAttribute(element, name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
};

/** As it is without styles too. @type {Record<string, string>} */
const DRAWN = {
  viewBox: '0 0 24 24', class: 'icon', 'aria-hidden': 'true', width: '20', height: '20', fill: 'none', stroke: 'currentColor', 'stroke-width': '1.9',
};

/** A decorative icon of stroked paths on a 24 × 24 grid. @param {string} paths */
export function icon(paths) {
  const svg = document.createElementNS(SVG, 'svg');
  for (const name in DRAWN) svg.setAttribute(name, DRAWN[name]);
  svg.append(document.createElementNS(SVG, 'path'));
  setIcon(svg, paths);
  return svg;
}

/** @param {SVGElement} svg @param {string} paths */
export const setIcon = (svg, paths) => setAttribute(/** @type {Element} */ (svg.firstElementChild), 'd', paths);

/** @type {T.SetAttribute} */
export const setAttribute = (element, name, value) => {
  const text = value === true ? '' : String(value);
  if (value === false || value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== text) element.setAttribute(name, text);
};

/** @type {T.SetText} */
export const setText = (node, text) => {
  if (node.textContent === text) return false;
  // Keeps the text node: replacing it would count as a change of layout.
  if (node.firstChild?.nodeType === 3 && node.childNodes.length === 1) node.firstChild.nodeValue = text;
  else node.textContent = text;
  return true;
};

/** What takes longer is told of. */
const SLOW_MS = 1000;

/**
 * Waits for something, and tells that it takes long, or that it failed.
 * @template T @param {Node} node says so @param {{loading: string, noReply: string}} words
 * @param {Promise<T>} doing @param {string} [failed] @returns {Promise<T | null>} null: it failed
 */
export async function toldOf(node, words, doing, failed = words.noReply) {
  setText(node, '');
  const slow = setTimeout(setText, SLOW_MS, node, words.loading);
  const done = await doing.catch(() => null);
  clearTimeout(slow);
  setText(node, done === null ? failed : '');
  return done;
}

/** @param {HTMLElement} element @param {boolean} shown */
export function show(element, shown) {
  if (element.hidden === shown) element.hidden = !shown;
}

/** Plays the short tint that says "this has just changed". @param {HTMLElement} element */
export function tint(element) {
  element.classList.remove('changed');
  void element.offsetWidth; // restarts the animation
  element.classList.add('changed');
}

/** @type {WeakMap<HTMLElement, T.Row<any>[]>} */
const slotsOf = new WeakMap();

/** @type {T.Rows} */
export const rows = (parent, items, make) => {
  const slots = slotsOf.get(parent) ?? [];
  slotsOf.set(parent, slots);
  while (slots.length > items.length) slots.pop()?.node.remove();
  while (slots.length < items.length) {
    const slot = make();
    slots.push(slot);
    parent.append(slot.node);
  }
  items.forEach((item, i) => slots[i].update(item));
};

/** @type {T.Paced} */
export const paced = (call, ms) => {
  let last = -Infinity;
  /** @type {any} */
  let timer = null;
  const run = () => {
    timer = null;
    if (call() !== false) last = performance.now();
  };
  const request = () => {
    const wait = last + ms - performance.now();
    if (timer === null) wait <= 0 ? run() : (timer = setTimeout(run, wait));
  };
  request.cancel = () => {
    clearTimeout(timer);
    timer = null;
  };
  return request;
};

/** A finger's way, in CSS pixels: that begins a swipe, and that does what it means. */
const SWIPE_BEGINS = 12;
const SWIPE_DOES = 72;

/**
 * Calls when a finger has swiped an element sideways, which follows it by `--swipe`.
 * @param {HTMLElement} element @param {(left: boolean) => void} swiped
 */
export function onSwipe(element, swiped) {
  element.addEventListener('pointerdown', ({ pointerType, clientX, clientY }) => {
    let moved = 0;
    const over = new AbortController();
    /** @param {string} type @param {(event: PointerEvent) => void} listener */
    const on = (type, listener) => element.addEventListener(/** @type {'pointerup'} */ (type), listener, { signal: over.signal });
    const end = () => {
      over.abort();
      element.style.removeProperty('--swipe');
    };
    if (pointerType !== 'touch') return;
    on('pointermove', (event) => {
      const [dx, dy] = [event.clientX - clientX, event.clientY - clientY];
      if (moved === 0 && Math.abs(dy) > Math.abs(dx)) return end();
      if (Math.abs(dx) < SWIPE_BEGINS) return;
      moved = dx;
      element.style.setProperty('--swipe', `${dx}px`);
    });
    on('pointerup', () => {
      end();
      if (Math.abs(moved) >= SWIPE_DOES) swiped(moved < 0);
    });
    for (const type of ['pointercancel', 'pointerdown']) on(type, end);
  });
}

/**
 * Where only text is zoomed, Firefox enlarges also a size that comes from a width: tells the styles
 * by how much.
 * @param {HTMLElement} frame
 */
export function followZoom(frame) {
  const probe = h('i', { class: 'probe', 'aria-hidden': 'true' });
  frame.append(probe);
  new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width > 0) frame.style.setProperty('--zoom', (contentRect.width * 20 / frame.clientWidth).toFixed(2));
  }).observe(probe);
}

/**
 * The styles of each document, by name: a sheet belongs to the document that made it.
 * @type {WeakMap<Document, Map<string, Promise<CSSStyleSheet>>>}
 */
const sheets = new WeakMap();

/**
 * Styles from beside this module, loaded once. Where a bundler has moved the module, the server has
 * them. Those that did not come are asked for again by the next call.
 * @param {string} server @param {HTMLElement} frame @param {string} name
 */
export function loadSheet(server, frame, name) {
  const known = sheets.get(frame.ownerDocument) ?? new Map();
  sheets.set(frame.ownerDocument, known);
  const loading = known.get(name) ?? fetchSheet(server, frame, name);
  known.set(name, loading);
  loading.catch(() => known.delete(name));
  return /** @type {Promise<CSSStyleSheet>} */ (loading);
}

/**
 * Styles for the shadow tree of a frame, beside those that it has.
 * @param {string} server @param {HTMLElement} frame @param {string} name
 */
export async function adoptSheet(server, frame, name) {
  const sheet = await loadSheet(server, frame, name);
  const root = /** @type {ShadowRoot} */ (frame.getRootNode());
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
}

/** @param {string} server @param {HTMLElement} frame @param {string} name */
async function fetchSheet(server, frame, name) {
  const { documentElement, defaultView } = frame.ownerDocument;
  const own = /^https?:.*\/client\/([0-9a-f]{16}\/)?dom\.js$/.test(import.meta.url);
  const base = own ? import.meta.url : new URL('/client/', server);
  const answer = await fetch(new URL(name, base), { signal: AbortSignal.timeout(ANSWER_MS) });
  if (!answer.ok || !/^text\/css\b/i.test(answer.headers.get('Content-Type') ?? '')) throw new Error(`${name}: HTTP ${answer.status}`);
  // The page around may change what a rem is. Both sizes include the zoom of text, their ratio does
  // not.
  frame.style.font = 'medium serif'; // monospace is smaller
  const ratio = parseFloat(getComputedStyle(frame).fontSize) / parseFloat(getComputedStyle(documentElement).fontSize) || 1;
  frame.style.font = '';
  const made = new (/** @type {typeof globalThis} */ (defaultView ?? globalThis).CSSStyleSheet)();
  const text = await answer.text();
  made.replaceSync(Math.abs(ratio - 1) < 0.01 ? text : text.replace(/([\d.]+)rem\b/g, (_, n) => `${n * ratio}rem`));
  return made;
}
