import { el, parse } from './element.js';
import { anchor, inline } from './markdown.js';
import { describe, example, linkOf, nameOf, prose, resolve, schemaSection, shown, typeOf } from './schema.js';
import { connectEvents, connectWebSocket, curl, send } from './try.js';

/** @typedef {any} Json a part of the description, whose shape OpenAPI 3.0 tells */

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const token = /** @type {HTMLInputElement} */ (byId('token'));
const main = byId('main');

/** @type {Json} */
let api = {};

/** @param {string} status @param {Json} response */
function responseRow(status, response) {
  const r = resolve(response);
  return el('li', {}, el('strong', { className: Number(status) < 400 ? 'good' : 'bad' }, status), ' ', ...inline(r.description, linkOf),
    ...Object.entries(r.headers ?? {}).map(([name, header]) => el('p', {}, el('code', {}, name), ' ', ...inline(resolve(header).description ?? '', linkOf))),
    ...Object.entries(r.content ?? {}).map(([type, media]) => {
      const sample = media.example ?? (type.includes('json') ? example(media.schema) : undefined);
      return el('div', {}, el('p', {}, el('code', {}, type), ' ', typeOf(media.schema)),
        sample === undefined ? null : el('details', {}, el('summary', {}, 'Example'), el('pre', { tabIndex: 0 }, JSON.stringify(sample, null, 2))));
    }));
}

/** @param {string} path @param {string} method @param {Json} operation */
function operationSection(path, method, operation) {
  const verb = method.toUpperCase();
  const stream = { '/api/ws': connectWebSocket, '/api/sse': connectEvents }[path];
  const result = el('div', { className: 'result' });
  const command = el('code', { className: 'curl' });
  const fields = (operation.parameters ?? []).map(resolve).filter((/** @type {Json} */ p) => !p.name.startsWith('Sec-'))
    .map((/** @type {Json} */ p) => {
      const input = el('input', { id: `${operation.operationId}-${p.name}`, name: p.name, required: Boolean(p.required), spellcheck: false,
        placeholder: shown(p.schema.default ?? ''), value: p.required ? shown(example(p.schema)) : '' });
      return { p, input };
    });
  const body = operation.requestBody && el('textarea', { rows: 3, ariaLabel: 'Body', spellcheck: false, value: '{}' });

  /** @returns {import('./try.js').Call} */
  const call = () => {
    /** @type {import('./try.js').Call} */
    const c = { method: verb, path, headers: {} };
    const query = new URLSearchParams();
    for (const { p, input } of fields) {
      if (p.in === 'path') c.path = c.path.replace(`{${p.name}}`, input.value.split('/').map(encodeURIComponent).join('/'));
      else if (input.value && p.in === 'query') query.set(p.name, input.value);
      else if (input.value) c.headers[p.name] = input.value;
    }
    if (query.size) c.path += `?${query}`;
    if (body?.value) [c.body, c.headers['Content-Type']] = [body.value, 'application/json'];
    return c;
  };
  const open = operation.security?.length === 0;
  const bearer = () => (open ? '' : token.value.trim());
  const show = () => { command.textContent = curl(call(), !open); };
  /** @type {(() => void) | null} */
  let disconnect = null;
  const button = el('button', { className: 'primary' }, stream ? 'Connect' : 'Try');
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!stream) return void send(call(), bearer(), result);
    if (disconnect) return disconnect();
    button.textContent = 'Disconnect';
    disconnect = stream(call(), bearer(), result, () => { [disconnect, button.textContent] = [null, 'Connect']; });
  };
  show();
  return el('details', { id: operation.operationId, className: 'card' },
    el('summary', {}, el('span', { className: `verb ${method}` }, verb), el('code', {}, path), el('span', {}, operation.summary)),
    prose(operation.description),
    el('form', { className: 'try', submit, input: show },
      ...fields.map((/** @type {Json} */ { p, input }) => el('p', { className: 'field' },
        el('label', { htmlFor: input.id }, el('code', {}, p.name), ` ${p.in}${p.required ? '' : ', optional'}`), input,
        el('small', {}, ...inline(p.description ?? '', linkOf)))),
      body && el('p', { className: 'field' }, el('label', {}, nameOf(operation.requestBody.content['application/json'].schema), body)),
      el('p', { className: 'actions' }, button, stream ? null : command)),
    result,
    el('h3', {}, 'Answers'), el('ul', { className: 'responses' }, ...Object.entries(operation.responses).map(([s, r]) => responseRow(s, r))));
}

function draw() {
  const operations = Object.entries(api.paths).flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => ({ path, method, operation })));
  const contents = [el('a', { href: '#introduction' }, 'Introduction')];
  const intro = el('section', { id: 'introduction' }, el('h1', {}, api.info.title, ' ', el('small', {}, api.info.version)), prose(api.info.description));
  main.replaceChildren(intro);
  contents.push(...[...intro.querySelectorAll('h2')].map((h) => el('a', { className: 'sub', href: `#${h.id}` }, h.textContent)));
  for (const tag of api.tags) {
    const own = operations.filter(({ operation }) => operation.tags.includes(tag.name));
    contents.push(el('a', { href: `#${anchor(`tag ${tag.name}`)}` }, tag.name),
      ...own.map(({ path, operation }) => el('a', { className: 'sub', href: `#${operation.operationId}` }, path.replaceAll('/', '/\u200b'))));
    main.append(el('section', { id: anchor(`tag ${tag.name}`) }, el('h2', {}, tag.name), prose(tag.description),
      ...own.map(({ path, method, operation }) => operationSection(path, method, operation))));
  }
  contents.push(el('a', { href: '#schemas' }, 'Schemas'));
  main.append(el('section', { id: 'schemas' }, el('h2', {}, 'Schemas'),
    ...Object.entries(api.components.schemas).map(([name, schema]) => schemaSection(name, schema))));
  byId('contents').replaceChildren(...contents);
}

/** Opens what the address names, and shows it. */
function follow() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target instanceof HTMLDetailsElement) target.open = true;
  target.scrollIntoView();
}

/** @param {string} ownerId the account that the forms begin with */
function fillOwner(ownerId) {
  for (const input of main.querySelectorAll('input')) {
    if (input.name !== 'ownerId') continue;
    input.value = ownerId;
    input.dispatchEvent(new Event('input', { bubbles: true }));
  }
}

/** Says whose the token is. */
async function introduce() {
  const who = byId('who');
  const mine = token.value.trim();
  if (!mine) return void (who.textContent = '');
  const answer = await fetch('/api/auth/me', { headers: { Authorization: `Bearer ${mine}` } });
  const me = await answer.json();
  if (mine !== token.value.trim()) return; // another was typed meanwhile
  who.textContent = answer.ok ? `${me.user.name || me.user.id} · ${me.accounts.map((/** @type {Json} */ a) => `${a.companyName} (${a.ownerId})`).join(', ')}` : me.detail;
  if (answer.ok && me.accounts[0]) fillOwner(me.accounts[0].ownerId);
}

/** Shows the demo's sign-in, which asks for no password. */
async function offerDemo() {
  const button = byId('demo');
  const signIn = () => fetch('/api/auth/demo', { method: 'POST' });
  button.hidden = !(await signIn()).ok;
  button.onclick = async () => {
    const answer = await signIn();
    const session = await answer.json();
    token.value = answer.ok ? session.token : '';
    if (answer.ok) await introduce();
    else byId('who').textContent = session.detail;
  };
}

token.onchange = introduce;
byId('session').onsubmit = (event) => { event.preventDefault(); introduce(); };
window.addEventListener('hashchange', follow);
window.addEventListener('unhandledrejection', ({ reason }) => { byId('who').textContent = `No answer: ${reason.message ?? reason}`; });
try {
  api = describe(parse(await (await fetch('/openapi.json')).text()));
  draw();
  follow();
  offerDemo();
} catch (cause) {
  main.append(el('p', { className: 'bad', role: 'alert' }, `The description could not be loaded (${cause}). Reload the page to try again.`));
}
