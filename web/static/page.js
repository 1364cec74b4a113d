/**
 * The page around the element: who is signed in, which account is shown, and
 * the title. It holds the token; the element holds everything live.
 */
import { delay } from './parts.js';
import { h, setText } from './dom.js';
import './element.js';

/** @typedef {{ownerId: string, companyName: string}} Account */
/** @typedef {{ownerId: string, accounts: Account[], token: string, expiresAt: number, demo: boolean}} Session */

const OWNER_KEY = 'hangarshare:owner';
const TOKEN_KEY = 'hangarshare:token';
/** A token that ends sooner than this is not handed out any more. */
const TOKEN_MARGIN_MS = 90_000;

const main = /** @type {HTMLElement} */ (document.getElementById('main'));
const accountArea = /** @type {HTMLElement} */ (document.getElementById('account'));
/** @type {Session | null} */
let session = null;
let lastChoice = 0;

/** An answer of the server that is no success. */
class HttpError extends Error {
  /** @param {number} status */
  constructor(status) {
    super(`HTTP ${status}`);
    this.status = status;
  }
}

/** @param {string} path @param {RequestInit} [options] */
async function call(path, options) {
  const response = await fetch(path, { cache: 'no-store', ...options });
  if (!response.ok) throw new HttpError(response.status);
  return response.json();
}

/** Session storage may be forbidden; then a reload begins anew. */
const memory = {
  /** @param {string} key */
  get(key) {
    try {
      return sessionStorage.getItem(key) ?? '';
    } catch {
      return '';
    }
  },
  /** @param {string} key @param {string} value */
  set(key, value) {
    try {
      if (value) sessionStorage.setItem(key, value);
      else sessionStorage.removeItem(key);
    } catch {
      // Nothing is lost but the memory of a reload.
    }
  },
};

/** @param {string} [ownerId] @returns {Promise<Session>} */
async function signInToDemo(ownerId) {
  const answer = await call('/api/auth/demo', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(ownerId ? { ownerId } : {}),
  });
  return { ...answer, ownerId: String(answer.ownerId), accounts: answer.accounts.map(account), demo: true };
}

/** @param {string} token @returns {Promise<Session>} */
async function signInWithToken(token) {
  const me = await call('/api/auth/me', { headers: { Authorization: `Bearer ${token}` } });
  /** @type {Account[]} */
  const accounts = me.accounts.map(account);
  const wanted = accounts.find(({ ownerId }) => ownerId === memory.get(OWNER_KEY)) ?? accounts[0];
  return { ownerId: wanted?.ownerId ?? '', accounts, token, expiresAt: me.expiresAt, demo: false };
}

/** @param {any} raw @returns {Account} */
function account(raw) {
  return { ownerId: String(raw.ownerId), companyName: String(raw.companyName ?? '') };
}

/** The element asks here at every dial. @param {string} ownerId */
async function freshToken(ownerId) {
  if (session?.ownerId !== ownerId) throw new Error('another account is shown');
  if (session.demo && session.expiresAt - Date.now() < TOKEN_MARGIN_MS) {
    const renewed = await signInToDemo(ownerId);
    if (session?.ownerId === ownerId) session = renewed;
    return renewed.token;
  }
  return session.token;
}

/** @param {Session} next */
function open(next) {
  session = next;
  memory.set(OWNER_KEY, next.ownerId);
  memory.set(TOKEN_KEY, next.demo ? '' : next.token);
  if (!next.ownerId) return askForToken('Este usuário não tem nenhuma conta de proprietário.');
  const shown = next.accounts.find(({ ownerId }) => ownerId === next.ownerId);
  const title = h('h1', { slot: 'heading' }, shown?.companyName || `Conta ${next.ownerId}`);
  const display = /** @type {import('./element.js').RealtimeMetricsDisplay} */ (
    h(/** @type {any} */ ('realtime-metrics-display'), { 'owner-id': next.ownerId }, title));
  display.token = () => freshToken(next.ownerId);
  display.addEventListener('unreadchange', (event) => showUnread(/** @type {CustomEvent} */ (event).detail.unread));
  display.addEventListener('statuschange', (event) => {
    const { status } = /** @type {CustomEvent} */ (event).detail;
    if (status === 'auth_required') expired(next);
  });
  main.replaceChildren(display);
  drawAccount(next);
}

/** @param {number} unread */
function showUnread(unread) {
  const title = unread > 0 ? `(${unread > 99 ? '99+' : unread}) HangarShare` : 'HangarShare';
  if (document.title !== title) document.title = title;
}

/** @param {Session} current */
function drawAccount(current) {
  const demo = current.demo ? h('span', { class: 'demo', title: 'Os dados são de demonstração' }, 'Demonstração') : null;
  const leave = current.demo ? null : h('button', { type: 'button', onclick: signOut }, 'Sair');
  if (current.accounts.length < 2) return accountArea.replaceChildren(...[demo, leave].filter((part) => part !== null));
  const choice = h('select', { id: 'owner', onchange: () => void switchTo(choice.value) },
    ...current.accounts.map(({ ownerId, companyName }) =>
      h('option', { value: ownerId, selected: ownerId === current.ownerId }, companyName || `Conta ${ownerId}`)));
  const parts = [demo, h('label', { for: 'owner' }, 'Conta'), choice, leave];
  accountArea.replaceChildren(...parts.filter((part) => part !== null));
}

/** @param {string} ownerId */
async function switchTo(ownerId) {
  const before = session;
  if (!before) return;
  if (ownerId === before.ownerId) return void lastChoice++;
  if (!before.demo) return open({ ...before, ownerId });
  const choice = ++lastChoice; // answers may arrive in another order than choices
  try {
    const next = await signInToDemo(ownerId);
    if (choice !== lastChoice) return;
    open(next);
  } catch {
    if (choice !== lastChoice) return;
    drawAccount(before); // the choice returns to what is shown
    note('Não foi possível trocar de conta. Tente de novo.');
  }
  document.getElementById('owner')?.focus();
}

function signOut() {
  session = null;
  memory.set(TOKEN_KEY, '');
  memory.set(OWNER_KEY, '');
  accountArea.replaceChildren();
  askForToken('');
}

/** The server wants to know anew who this is. @param {Session} current */
function expired(current) {
  if (session !== current || current.demo) {
    return note('Sua sessão expirou.', h('button', { type: 'button', onclick: () => void start() }, 'Entrar de novo'));
  }
  signOut();
  note('Sua sessão expirou ou não dá acesso a esta conta. Entre de novo.');
}

/** @param {string} text @param {HTMLElement} [action] */
function note(text, action) {
  main.querySelector('.note')?.remove();
  const box = h('div', { class: 'note', role: 'alert' }, h('span', null, text));
  if (action) box.append(action);
  main.prepend(box);
}

/** @param {string} problem */
function askForToken(problem) {
  showUnread(0);
  const error = h('p', { class: 'problem', id: 'problem', role: 'alert' }, problem);
  const field = h('textarea', {
    id: 'token', name: 'token', rows: 4, required: true, autocomplete: 'off', spellcheck: 'false', 'aria-describedby': 'hint problem',
  });
  const submit = h('button', { type: 'submit', class: 'primary' }, 'Ver meus números');
  const form = h('form', { class: 'sign-in' },
    h('h1', null, 'Entrar'),
    h('p', { id: 'hint' }, 'Cole um token de acesso do portal HangarShare. Ele fica só nesta aba.'),
    h('label', { for: 'token' }, 'Token de acesso'), field, error, submit);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    submit.disabled = true;
    try {
      open(await signInWithToken(field.value.trim()));
    } catch (cause) {
      const refused = cause instanceof HttpError && cause.status === 401;
      setText(error, refused ? 'Este token não é válido ou já expirou.' : 'O servidor não respondeu. Tente de novo.');
      submit.disabled = false;
      field.focus();
    }
  });
  main.replaceChildren(form);
}

/** Signs in with what this tab remembers, else as a demo owner, else asks. Tries until the server answers. */
async function start() {
  main.replaceChildren(h(/** @type {any} */ ('realtime-metrics-display'), null, h('h1', { slot: 'heading' }, 'Seus números')));
  for (let attempt = 0; ; attempt++) {
    try {
      const remembered = memory.get(TOKEN_KEY);
      return open(remembered ? await signInWithToken(remembered) : await signInToDemo(memory.get(OWNER_KEY)));
    } catch (cause) {
      const status = cause instanceof HttpError ? cause.status : 0;
      if (status === 401) memory.set(TOKEN_KEY, '');
      else if (status === 403 || status === 400) memory.set(OWNER_KEY, '');
      else if (status === 404 || status === 405) return askForToken('');
      else note('O servidor não responde. Tentando de novo…');
      await new Promise((resolve) => setTimeout(resolve, delay(attempt, Math.random)));
    }
  }
}

void start();
