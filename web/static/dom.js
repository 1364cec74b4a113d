/**
 * The few ways in which this page touches the DOM: make, fill, and rewrite only
 * what differs. Text is always text; nothing here parses markup.
 * @import * as T from './shapes.js'
 */
const SVG = 'http://www.w3.org/2000/svg';

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

/** A decorative icon of stroked paths on a 24 × 24 grid. @param {string} paths */
export function icon(paths) {
  const svg = document.createElementNS(SVG, 'svg');
  for (const [name, value] of [['viewBox', '0 0 24 24'], ['class', 'icon'], ['aria-hidden', 'true']]) svg.setAttribute(name, value);
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
    last = performance.now();
    call();
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
