/**
 * The few ways in which this page touches the DOM: make, fill, and rewrite only
 * what differs. Text is always text; nothing here parses markup.
 */
const SVG = 'http://www.w3.org/2000/svg';

/**
 * Makes an element. `class`, `on…` listeners and attributes; `true` sets an
 * empty attribute, `false`, `null` and `undefined` set none.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | number | boolean | null | undefined | ((event: any) => void)> | null} [props]
 * @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else setAttribute(element, name, value);
  }
  for (const child of children) if (child !== null) element.append(child);
  return element;
}

/** A decorative icon of stroked paths on a 24 × 24 grid. @param {string} paths @param {string} [name] its class */
export function icon(paths, name = 'icon') {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', name);
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('focusable', 'false');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', paths);
  svg.append(path);
  return svg;
}

/** Another drawing for an icon. @param {SVGSVGElement | SVGElement} svg @param {string} paths */
export function setIcon(svg, paths) {
  const path = /** @type {Element} */ (svg.firstElementChild);
  if (path.getAttribute('d') !== paths) path.setAttribute('d', paths);
}

/** @param {Element} element @param {string} name @param {string | number | boolean | null | undefined} value */
export function setAttribute(element, name, value) {
  if (value === false || value === null || value === undefined) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const text = value === true ? '' : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** @param {Node} node @param {string} text @returns {boolean} whether it was another text */
export function setText(node, text) {
  if (node.textContent === text) return false;
  // Keeps the text node: replacing it would count as a change of layout.
  if (node.firstChild?.nodeType === 3 && node.childNodes.length === 1) node.firstChild.nodeValue = text;
  else node.textContent = text;
  return true;
}

/** @param {HTMLElement} element @param {boolean} shown */
export function show(element, shown) {
  if (element.hidden === shown) element.hidden = !shown;
}

/** Plays the short tint that says "this has just changed". @param {HTMLElement} element @param {string} [name] */
export function tint(element, name = 'changed') {
  element.classList.remove(name);
  void element.offsetWidth; // restarts the animation
  element.classList.add(name);
}

/**
 * Rows by place, not by key: row i is rewritten with item i, so nothing on the
 * screen moves when a new one comes in front.
 * @template T
 * @param {HTMLElement} parent
 * @param {readonly T[]} items
 * @param {() => {node: HTMLElement, update: (item: T) => void}} make
 * @returns {void}
 */
export function rows(parent, items, make) {
  /** @type {{node: HTMLElement, update: (item: T) => void}[]} */
  const slots = slotsOf.get(parent) ?? [];
  slotsOf.set(parent, slots);
  while (slots.length > items.length) slots.pop()?.node.remove();
  while (slots.length < items.length) {
    const slot = make();
    slots.push(slot);
    parent.append(slot.node);
  }
  items.forEach((item, i) => slots[i].update(item));
}

/** @type {WeakMap<HTMLElement, any[]>} */
const slotsOf = new WeakMap();

/**
 * Calls at once, and then at most once per interval with the latest state.
 * @param {() => void} call @param {number} ms
 * @returns {{(): void, cancel(): void}}
 */
export function paced(call, ms) {
  let last = -Infinity;
  /** @type {any} */
  let timer = null;
  const run = () => {
    timer = null;
    last = performance.now();
    call();
  };
  const request = () => {
    if (timer !== null) return;
    const wait = last + ms - performance.now();
    if (wait <= 0) run();
    else timer = setTimeout(run, wait);
  };
  request.cancel = () => {
    clearTimeout(timer);
    timer = null;
  };
  return request;
}
