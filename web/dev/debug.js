/**
 * A panel below the page with --dev, at /?debug=1: states, counts and kinds of
 * messages. Never a token, never what a message says.
 */
const KEPT = 12;

/**
 * @typedef {{ on(event: string, listener: (message: any) => void): void,
 *   subscribe(listener: () => void): void, getState(): Record<string, unknown> }} Manager
 */

const panel = document.createElement('section');
const state = document.createElement('pre');
const recent = document.createElement('pre');
/** @type {Map<string, number>} */
const counts = new Map();
/** @type {string[]} */
const lines = [];
/** @type {Manager | null} */
let followed = null;

/** @param {Record<string, unknown>} values only what cannot name a person */
const safe = (values) => Object.entries(values).map(([name, value]) => {
  const error = /** @type {{ kind?: string, code?: number } | null} */ (name === 'error' ? value : null);
  return `${name.padEnd(16)}${error ? `${error.kind} ${error.code ?? ''}` : String(value)}`;
}).join('\n');

function draw() {
  state.textContent = followed ? safe(followed.getState()) : 'no manager';
  recent.textContent = [[...counts].map(([type, n]) => `${type} ${n}`).join(', '), ...lines].join('\n');
}

/** @param {Manager} manager */
function follow(manager) {
  followed = manager;
  counts.clear();
  lines.length = 0;
  manager.subscribe(draw);
  manager.on('message', ({ type, id, timestamp }) => {
    counts.set(type, (counts.get(type) ?? 0) + 1);
    lines.unshift(`${new Date().toISOString().slice(11, 23)} ${type} ${id || '(no id)'} after ${Date.now() - timestamp} ms`);
    lines.length = Math.min(lines.length, KEPT);
    draw();
  });
  draw();
}

if (new URLSearchParams(location.search).get('debug') === '1') {
  panel.className = 'inner debug';
  panel.setAttribute('aria-label', 'Debug');
  panel.append(state, recent);
  document.body.append(panel);
  setInterval(() => {
    const { manager } = /** @type {{ manager?: Manager }} */ (/** @type {unknown} */ (document.querySelector('realtime-metrics-display') ?? {}));
    if (manager && manager !== followed) follow(manager);
  }, 250);
}
