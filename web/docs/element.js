/**
 * Makes an element. Functions listen to the event of their name, properties of the element are set
 * as such, others as attributes; texts become text, never markup.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (typeof value === 'function') element.addEventListener(name, /** @type {EventListener} */ (value));
    else if (name in element) Object.assign(element, { [name]: value });
    else element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/**
 * @param {string} text
 * @returns JSON parsed, with decimals as they are written (4350.00) where the browser can
 */
export function parse(text) {
  const raw = /** @type {{ rawJSON?: (text: string) => unknown }} */ (/** @type {unknown} */ (JSON)).rawJSON;
  /** @type {(key: string, value: unknown, context?: { source?: string }) => unknown} */
  const keep = (_, value, context) => (raw && typeof value === 'number' && context?.source?.includes('.') ? raw(context.source) : value);
  return JSON.parse(text, keep);
}

/** @param {string} text @returns it indented, if it is JSON */
export function pretty(text) {
  try {
    return JSON.stringify(parse(text), null, 2);
  } catch {
    return text;
  }
}
