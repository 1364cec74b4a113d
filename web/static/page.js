/**
 * The page around the element: who is signed in, which account is shown, and
 * the title. It holds the token, in memory only; the element holds everything live.
 * @import * as T from './shapes.js'
 */
import { RealtimeError } from './client.js';
import { h, setText } from './dom.js';
import './element.js';

const OWNER_KEY = 'hangarshare:owner';
const SIGNED_IN_KEY = 'hangarshare:signed-in';
/** A token that ends sooner than this is not handed out any more. */
const TOKEN_MARGIN_MS = 90_000;

const main = /** @type {HTMLElement} */ (document.getElementById('main'));
const accountArea = /** @type {HTMLElement} */ (document.getElementById('account'));
const isDemo = 'demo' in document.documentElement.dataset;
/** @type {T.Session | null} */
let session = null;
let lastChoice = 0;

/** Between two tries to sign in, random below a growing ceiling. @param {number} tries @returns {Promise<void>} */
const pause = (tries) => new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(60_000, 1000 * 2 ** tries)));

/** An answer of the server that is no success. */
class HttpError extends Error {
  /** @param {Response} answer */
  constructor({ status, headers }) {
    super(`HTTP ${status}`);
    this.status = status;
    this.retryAfter = Number(headers.get('Retry-After')) || 1;
  }
}

/** @param {string} action @param {object} body */
async function post(action, body) {
  const answer = await fetch(`/api/auth/${action}`, {
    method: 'POST', cache: 'no-store', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
  });
  if (!answer.ok) throw new HttpError(answer);
  return answer.status === 204 ? {} : answer.json();
}

/** Storage may be forbidden; then a reload begins anew. @template T @param {() => T} use */
function attempt(use) {
  try {
    return use();
  } catch {
    return null;
  }
}
/** Of the account shown before nothing stays in this tab, its place in the stream included. */
const forget = () => attempt(() => sessionStorage.clear());
const lastOwner = () => attempt(() => sessionStorage.getItem(OWNER_KEY)) ?? '';

/** @param {T.Session} answer of the server, which names an account or leaves that to us @returns {T.Session} */
function sessionOf({ token, expiresAt, accounts, ownerId = lastOwner() }) {
  const chosen = accounts.find((one) => one.ownerId === ownerId) ?? accounts[0];
  return { token, expiresAt, accounts, ownerId: chosen?.ownerId ?? '' };
}

/** @param {string} [ownerId] */
const demoSession = async (ownerId) => sessionOf(await post('demo', ownerId ? { ownerId } : {}));

/** Of two refreshes with one cookie the second would end the session: one at a time over all tabs. */
async function refreshed() {
  const ask = () => post('refresh', {});
  return sessionOf(await (navigator.locks?.request('hangarshare:refresh', ask) ?? ask()));
}

/** The element asks here at every dial. @param {string} ownerId @param {boolean} refused whether the last token was */
async function freshToken(ownerId, refused) {
  const before = session;
  if (before?.ownerId !== ownerId) throw new RealtimeError('closed', 'another account is shown');
  if (!refused && before.expiresAt - Date.now() > TOKEN_MARGIN_MS) return before.token;
  try {
    const { token, expiresAt } = await (isDemo ? demoSession(ownerId) : refreshed());
    Object.assign(before, { token, expiresAt });
    return token;
  } catch (cause) {
    if (cause instanceof HttpError && cause.status === 401) throw new RealtimeError('auth', 'the session has ended', { cause });
    throw cause;
  }
}

/** @param {T.Session} next */
function open(next) {
  if (session && session.ownerId !== next.ownerId) forget();
  session = next;
  if (!next.ownerId) return askForPassword('Este usuário não tem nenhuma conta de proprietário.');
  attempt(() => sessionStorage.setItem(OWNER_KEY, next.ownerId));
  if (!isDemo) attempt(() => localStorage.setItem(SIGNED_IN_KEY, 'yes'));
  const shown = next.accounts.find(({ ownerId }) => ownerId === next.ownerId);
  const display = /** @type {T.RealtimeMetricsDisplay} */ (h(/** @type {any} */ ('realtime-metrics-display'), { 'owner-id': next.ownerId },
    h('h1', { slot: 'heading' }, shown?.companyName || `Conta ${next.ownerId}`)));
  display.token = () => freshToken(next.ownerId, display.manager?.getState().error?.kind === 'auth');
  display.addEventListener('unreadchange', (event) => showUnread(/** @type {CustomEvent} */ (event).detail.unread));
  display.addEventListener('statuschange', (event) => {
    const { status, error } = /** @type {CustomEvent} */ (event).detail;
    if (status !== 'auth_required' || session !== next) return;
    note(error?.kind === 'forbidden' ? 'Você não tem mais acesso a esta conta.' : 'Sua sessão expirou. Os números não mudam mais.',
      h('button', { type: 'button', onclick: () => (isDemo ? void start() : askForPassword('')) }, 'Entrar de novo'));
  });
  showUnread(0);
  main.replaceChildren(display);
  drawAccount(next);
}

/** @param {number} unread */
function showUnread(unread) {
  document.title = unread > 0 ? `(${unread > 99 ? '99+' : unread}) HangarShare` : 'HangarShare';
}

/** @param {T.Session} current */
function drawAccount({ accounts, ownerId: own }) {
  accountArea.replaceChildren();
  if (isDemo) accountArea.append(h('span', { class: 'demo', title: 'Os dados são inventados; um simulador reserva e paga.' }, 'Demonstração'));
  if (accounts.length > 1) {
    const choice = h('select', { id: 'owner', onchange: () => void switchTo(choice.value) },
      ...accounts.map(({ ownerId, companyName }) => h('option', { value: ownerId, selected: ownerId === own }, companyName || `Conta ${ownerId}`)));
    accountArea.append(h('label', { for: 'owner' }, 'Conta'), choice);
  }
  if (!isDemo) accountArea.append(h('button', { type: 'button', onclick: signOut }, 'Sair'));
}

/** @param {string} ownerId */
async function switchTo(ownerId) {
  const before = session;
  const choice = ++lastChoice; // answers may arrive in another order than choices
  if (!before || ownerId === before.ownerId) return;
  try {
    const next = isDemo ? await demoSession(ownerId) : { ...before, ownerId };
    if (choice === lastChoice) open(next);
  } catch {
    if (choice !== lastChoice) return;
    drawAccount(before); // the choice returns to what is shown
    note('Não foi possível trocar de conta. Tente de novo.');
  }
  document.getElementById('owner')?.focus();
}

function signOut() {
  askForPassword('');
  post('logout', {}).catch(() => note('O servidor não respondeu: a sessão pode continuar aberta. Entre e saia de novo quando a rede voltar.'));
}

/** Below all else, where it moves nothing; it sticks to the lower edge of the screen. @param {string} text @param {HTMLElement} [action] */
function note(text, action) {
  const former = main.querySelector('.note');
  if (former?.firstElementChild?.textContent === text) return;
  former?.remove();
  main.append(h('div', { class: 'note', role: 'alert' }, h('span', null, text), action ?? null));
}

/** @param {string} problem */
function askForPassword(problem) {
  session = null;
  forget();
  attempt(() => localStorage.removeItem(SIGNED_IN_KEY));
  accountArea.replaceChildren();
  showUnread(0);
  const error = h('p', { class: 'problem', id: 'problem', role: 'alert' }, problem);
  const field = (/** @type {string} */ id, /** @type {string} */ type, /** @type {string} */ autocomplete) =>
    h('input', { id, type, name: id, required: true, autocomplete, spellcheck: 'false', autocapitalize: 'none', 'aria-describedby': 'problem' });
  const email = field('email', 'email', 'username');
  const password = field('password', 'password', 'current-password');
  const submit = h('button', { type: 'submit', class: 'primary' }, 'Entrar');
  const form = h('form', { class: 'sign-in', method: 'post' },
    h('h1', null, 'Entrar'), h('p', null, 'Com o e-mail e a senha do portal HangarShare.'),
    h('label', { for: 'email' }, 'E-mail'), email, h('label', { for: 'password' }, 'Senha'), password, error, submit);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    submit.disabled = true;
    setText(error, '');
    try {
      open(sessionOf(await post('login', { email: email.value.trim(), password: password.value, cookie: true })));
    } catch (cause) {
      const { status, retryAfter } = cause instanceof HttpError ? cause : { status: 0, retryAfter: 0 };
      setText(error, status === 401 ? 'E-mail ou senha incorretos.'
        : status === 429 ? `Muitas tentativas. Tente de novo em ${retryAfter} s.`
          : status === 404 ? 'Este servidor não aceita entrada por senha: abra a página pelo portal.'
            : 'O servidor não respondeu. Tente de novo.');
      submit.disabled = false;
      (status === 401 ? password : submit).focus();
    }
  });
  main.replaceChildren(form);
}

/** Signs in as a demo owner, or with the session that this browser has, else asks. Tries until the server answers. */
async function start() {
  if (!isDemo && !attempt(() => localStorage.getItem(SIGNED_IN_KEY))) return askForPassword('');
  main.replaceChildren(h(/** @type {any} */ ('realtime-metrics-display'), null, h('h1', { slot: 'heading' }, 'Seus números')));
  for (let tries = 0; ; tries++) {
    try {
      return open(await (isDemo ? demoSession(lastOwner()) : refreshed()));
    } catch (cause) {
      const status = cause instanceof HttpError ? cause.status : 0;
      if (status === 400 || status === 403) forget(); // an owner of another demo
      else if (status === 401) return askForPassword('Sua sessão expirou. Entre de novo.');
      else note('O servidor não responde. Tentando de novo…');
      await pause(tries);
    }
  }
}

void start();
