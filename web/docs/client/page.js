/**
 * Fills the page at /docs/client: buttons that copy, a live element, and the messages from the
 * server's own description.
 */
import { el, parse } from '../element.js';
import { describe, nameOf, schemaSection } from '../schema.js';

/** @typedef {import('../schema.js').Json} Json */

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {HTMLPreElement} code */
function offerCopy(code) {
  const said = el('output', {});
  const text = code.textContent;
  const click = async () => {
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = ' Copied.';
    } catch {
      getSelection()?.selectAllChildren(code); // a page without HTTPS has no clipboard
      said.textContent = ' Selected: copy it with the keyboard.';
    }
  };
  code.after(el('p', {}, el('button', { type: 'button', click }, 'Copy'), said));
}

/**
 * All schemas that one names, itself first.
 * @param {Json} api @param {string} name @param {Set<string>} [found]
 */
function reachable(api, name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  for (const [, other] of JSON.stringify(api.components.schemas[name]).matchAll(/"#\/components\/schemas\/(\w+)"/g)) reachable(api, other ?? '', found);
  return found;
}

async function drawMessages() {
  const api = describe(parse(await (await fetch('/openapi.json')).text()));
  const messages = api.components.schemas.Message.oneOf.map(nameOf);
  const all = new Set(['Message', ...messages, 'ClientMessage']);
  for (const name of [...all]) for (const other of reachable(api, name)) all.add(other);
  byId('messages').append(...[...all].map((name) => schemaSection(name, api.components.schemas[name])));
}

/** Signs in as a demo owner, where the server has any, and lets the element show the numbers. */
async function showLive() {
  const answer = await fetch('/api/auth/demo', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' });
  if (!answer.ok) return void (byId('tried').textContent = 'This server has no demo owners: start one with hangarshare serve --demo.');
  const { token, ownerId } = await answer.json();
  await import('/client/element.js');
  const display = /** @type {import('../../static/entries/element.js').RealtimeMetricsDisplay} */ (document.createElement('realtime-metrics-display'));
  display.setAttribute('owner-id', ownerId);
  display.token = token;
  byId('live').replaceChildren(display);
  byId('tried').textContent = `Owner ${ownerId}.`;
}

function follow() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target instanceof HTMLDetailsElement) target.open = true;
  target.scrollIntoView();
}

document.querySelectorAll('pre').forEach(offerCopy);
byId('try').onclick = () => showLive().catch((cause) => { byId('tried').textContent = `No answer: ${cause.message ?? cause}`; });
window.addEventListener('hashchange', follow);
try {
  await drawMessages();
  follow();
} catch (cause) {
  byId('messages').append(el('p', { className: 'bad', role: 'alert' }, `The messages could not be loaded (${cause}). Reload the page to try again.`));
}
