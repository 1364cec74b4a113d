/**
 * The page around the element: the session, the account on the screen, and the title.
 * It holds the token, in memory only. The element holds everything live.
 * @import * as T from './shapes.js'
 */
import { RealtimeError } from './client.js';
import { h, loadModule, setText } from './dom.js';
import './element.js';
import { retryAfterMs } from './dial.js';
import { newSteadyClock } from './parts.js';
import { wording as portuguese, wordingOf } from './state/wording.js';

const OWNER_KEY = 'hangarshare:owner';
const SIGNED_IN_KEY = 'hangarshare:signed-in';
const LANGUAGE_KEY = 'hangarshare:language';
const LEASE_KEY = 'hangarshare:refreshing';
/** A token that ends sooner than this is not given to the element any more. */
const TOKEN_MARGIN_MS = 90_000;
/** A sign-in may take longer than other questions: the server hashes the password. */
const SIGN_IN_MS = 15_000;
const SAY_AFTER_MS = 1000;

const root = document.documentElement;
const main = /** @type {HTMLElement} */ (document.getElementById('main'));
const accountArea = /** @type {HTMLElement} */ (document.getElementById('account'));
const bellArea = /** @type {HTMLElement} */ (document.getElementById('bell'));
const isDemo = 'demo' in root.dataset;
const clock = newSteadyClock();
/** @type {T.Session | null} */
let session = null;
let lastChoice = 0;
let wording = portuguese;
let { words, say, formatSpan } = wording;

/** An answer of the server that is no success. */
class HttpError extends Error {
  /** @param {Response} answer */
  constructor(answer) {
    super(`HTTP ${answer.status}`);
    this.status = answer.status;
    this.retryAfterMs = retryAfterMs(answer);
  }
}

/** @type {T.Ask} */
async function ask(path, body, of) {
  const answer = await fetch(path, {
    method: body ? 'POST' : 'GET', cache: 'no-store', body: body ? JSON.stringify(body) : null, signal: AbortSignal.timeout(SIGN_IN_MS),
    headers: { ...(body && { 'Content-Type': 'application/json' }), ...(of && !of.carrier && { Authorization: `Bearer ${of.token}` }) },
  });
  if (!answer.ok) throw new HttpError(answer);
  const json = answer.status === 204 ? {} : await answer.json();
  return { date: Date.parse(answer.headers.get('Date') ?? '') || Date.now(), ...json };
}

/** @param {string} action @param {object} body */
const post = (action, body) => ask(`/api/auth/${action}`, body);

/** Storage may be forbidden. Then a reload begins anew. @template T @param {() => T} use */
function tryStorage(use) {
  try {
    return use();
  } catch {
    return null;
  }
}
/** Nothing of the former account stays in this tab, its position in the stream included. */
const clearStorage = () => tryStorage(() => sessionStorage.clear());
const lastOwner = () => tryStorage(() => sessionStorage.getItem(OWNER_KEY)) ?? '';

/**
 * The session of a server's answer. Where the answer names no account it is the last one, or the
 * first.
 * @param {any} answer @returns {T.Session}
 */
function sessionOf({ token, expiresAt, accounts, date, ownerId = lastOwner() }) {
  if (typeof token !== 'string' || !token || !Array.isArray(accounts)) throw new Error('not an answer of ours');
  const chosen = accounts.find((/** @type {T.Account} */ one) => one.ownerId === ownerId) ?? accounts[0];
  // The remaining time is by the server's clock, the end by this page's.
  return { token, endsAt: clock.now() + expiresAt - date, accounts, ownerId: chosen?.ownerId ?? '' };
}

/** The session of the portal's cookie, which no script can read. @returns {Promise<T.Session>} */
async function portalSession() {
  const me = await ask('/api/auth/me');
  const { carrier, labelOf, retryOnFocus } = await loadModule('page/cookie', () => import('./page/cookie.js'));
  return { ...sessionOf({ ...me, token: labelOf(me) }), carrier, retryOnFocus };
}

/** @param {string} [ownerId] */
const demoSession = async (ownerId) => sessionOf(await post('demo', ownerId ? { ownerId } : {}));

/**
 * Refreshes the session, one tab at a time: of two refreshes with one cookie the second would end
 * the session. The tab that refreshes has a lease, which ends by itself. The lock is held only
 * while the lease is acquired, never across the network.
 */
async function refreshed() {
  const acquire = () => tryStorage(() => {
    const until = Number(localStorage.getItem(LEASE_KEY)) || 0;
    if (until > Date.now() && until < Date.now() + 2 * SIGN_IN_MS) return false;
    localStorage.setItem(LEASE_KEY, String(Date.now() + SIGN_IN_MS));
    return true;
  }) ?? true;
  const locked = async () => (await navigator.locks?.request('hangarshare:lease', { signal: AbortSignal.timeout(SAY_AFTER_MS) }, acquire)) ?? acquire();
  while (!(await locked().catch(acquire))) await new Promise((resolve) => setTimeout(resolve, 100 + 200 * Math.random()));
  try {
    return sessionOf(await post('refresh', {}));
  } finally {
    tryStorage(() => localStorage.removeItem(LEASE_KEY));
  }
}

/**
 * The element's token, asked for at every dial.
 * @param {string} ownerId @param {boolean} refused whether the last token was refused
 */
async function freshToken(ownerId, refused) {
  const before = session;
  if (before?.ownerId !== ownerId) throw new RealtimeError('closed', 'another account is shown');
  // The cookie may be another one by now, or another user's.
  if (!refused && !before.carrier && before.endsAt - clock.now() > TOKEN_MARGIN_MS) return before.token;
  try {
    const { token, endsAt, carrier } = await (before.carrier ? portalSession() : isDemo ? demoSession(ownerId) : refreshed());
    if (carrier && token.split('.')[1] !== before.token.split('.')[1]) void start();
    Object.assign(before, { token, endsAt });
    return token;
  } catch (cause) {
    if (!(cause instanceof HttpError)) throw cause;
    if (cause.status === 401) throw new RealtimeError('auth', 'the session has ended', { cause });
    throw Object.assign(cause, { kind: 'server' });
  }
}

/** @param {T.Session} next */
function open(next) {
  if (session && session.ownerId !== next.ownerId) clearStorage();
  session = next;
  if (!next.ownerId) return void askForPassword(words.noAccounts);
  tryStorage(() => sessionStorage.setItem(OWNER_KEY, next.ownerId));
  if (!isDemo) tryStorage(() => (next.carrier ? localStorage.removeItem(SIGNED_IN_KEY) : localStorage.setItem(SIGNED_IN_KEY, 'yes')));
  const shown = next.accounts.find(({ ownerId }) => ownerId === next.ownerId);
  const display = newDisplay(next.ownerId, nameOf(shown ?? { ownerId: next.ownerId, companyName: '' }));
  if (next.carrier) display.carrier = next.carrier;
  display.token = () => freshToken(next.ownerId, display.manager?.getState().error?.kind === 'auth');
  display.addEventListener('unreadchange', ({ detail }) => showUnread(detail.unread));
  display.addEventListener('statuschange', ({ detail: { status, error } }) => {
    if (status !== 'auth_required' || session !== next) return;
    const [other] = next.accounts.filter(({ ownerId }) => ownerId !== next.ownerId);
    if (error?.kind === 'forbidden' && other) {
      return showAlert(words.accessLost, button(say('openAccount', { company: nameOf(other) }), () => void switchTo(other.ownerId)));
    }
    next.retryOnFocus?.(async () => {
      if (!session || session === next) open(await portalSession());
    });
    showAlert(error?.kind === 'forbidden' ? words.accessLost : next.carrier ? words.portalOver : words.sessionOver,
      button(next.carrier ? words.tryNow : words.again, () => void (isDemo || next.carrier ? start() : askForPassword(''))));
  });
  showUnread(0);
  main.replaceChildren(display);
  bellArea.replaceChildren();
  drawAccount(next);
  void showInvitations(next);
  let wanted = true;
  // The bell, once the server tells of notifications.
  display.manager?.on('notifications_updated', async (latest) => {
    if (!wanted) return;
    wanted = false;
    try {
      const { showBell } = await loadModule('page/bell', () => import('./page/bell.js'));
      if (session === next) showBell(bellArea, { session: next, display, latest, wording, token: () => freshToken(next.ownerId, false), changed: () => redraw(next) });
    } catch {
      wanted = true;
    }
  });
}

/** The user may see other accounts now. @param {T.Session} of */
async function redraw(of) {
  const { accounts } = await ask('/api/auth/me', undefined, session ?? of);
  if (session && Array.isArray(accounts)) drawAccount(Object.assign(session, { accounts }));
}

/** @param {T.Account} account */
const nameOf = ({ ownerId, companyName }) => companyName || say('accountOf', { id: ownerId });
/** @param {string} text @param {() => void} onclick */
const button = (text, onclick) => h('button', { type: 'button', onclick }, text);

/** @param {string | null} ownerId @param {string} heading */
function newDisplay(ownerId, heading) {
  const { bookingLink, listingLink } = root.dataset;
  return h('realtime-metrics-display', { 'owner-id': ownerId, hash: true, lang: words.language, 'booking-href': bookingLink, 'listing-href': listingLink },
    h('h1', { slot: 'heading', dir: 'auto' }, heading));
}

/** Shows invitations to other accounts. @param {T.Session} of */
async function showInvitations(of) {
  if (isDemo) return;
  const answer = await ask('/api/auth/me', undefined, of).catch(() => null);
  if (!Array.isArray(answer?.invitations) || answer.invitations.length === 0 || session !== of) return;
  const { invitationBoxes } = await loadModule('page/invitations', () => import('./page/invitations.js'));
  main.append(...invitationBoxes(answer.invitations, { wording: { words, say }, answer: async (id, accept) => {
    await ask(`/api/me/invitations/${encodeURIComponent(id)}`, { accept }, session ?? of);
    await redraw(of);
    bellArea.querySelector('owner-notifications')?.reload();
  } }));
}

/** @param {number} unread */
function showUnread(unread) {
  document.title = unread > 0 ? `(${unread > 99 ? '99+' : unread}) HangarShare` : 'HangarShare';
}

/** @param {T.Session} current */
function drawAccount({ accounts, ownerId: own, carrier }) {
  accountArea.replaceChildren();
  if (isDemo) accountArea.append(h('span', { class: 'demo', title: words.demoHint }, words.demo));
  if (accounts.length > 1) {
    const choice = h('select', { id: 'owner', onchange: () => void switchTo(choice.value) },
      ...accounts.map((account) => h('option', { value: account.ownerId, selected: account.ownerId === own }, nameOf(account))));
    accountArea.append(h('label', { for: 'owner' }, words.account), choice);
  } else accountArea.append(h('bdi', { class: 'company', 'aria-hidden': 'true' }, accounts.map(nameOf).join('')));
  // Only the portal can end its session.
  if (!isDemo && !carrier) accountArea.append(button(words.signOut, signOut));
}

/** @param {string} ownerId */
async function switchTo(ownerId) {
  const before = session;
  const choice = ++lastChoice; // answers may arrive in another order than choices
  if (!before || ownerId === before.ownerId) return;
  const slow = setTimeout(() => showAlert(words.switching), SAY_AFTER_MS);
  try {
    const next = isDemo ? await demoSession(ownerId) : { ...before, ownerId };
    if (choice === lastChoice) open(next);
  } catch {
    if (choice !== lastChoice) return;
    drawAccount(before); // the choice returns to what is shown
    showAlert(words.notSwitched);
  } finally {
    clearTimeout(slow);
  }
  document.getElementById('owner')?.focus();
}

async function signOut() {
  dispatchEvent(new Event('signout'));
  await askForPassword('');
  post('logout', {}).catch(() => showAlert(words.stillSignedIn));
}

/**
 * A message below all else, where it moves nothing. It sticks to the lower edge of the screen.
 * @param {string} text @param {HTMLElement} [action]
 */
function showAlert(text, action) {
  const former = main.querySelector('.alert');
  if (former?.firstElementChild?.textContent === text) return;
  former?.remove();
  main.append(h('div', { class: 'alert', role: 'alert' }, h('span', null, text), action ?? null));
}

/** Shows the form, which is loaded when it is needed. @param {string} problem */
async function askForPassword(problem) {
  session = null;
  clearStorage();
  tryStorage(() => localStorage.removeItem(SIGNED_IN_KEY));
  accountArea.replaceChildren();
  bellArea.replaceChildren();
  showUnread(0);
  main.replaceChildren();
  if ('noPasswords' in root.dataset) return showAlert(words.noPasswords, button(words.tryNow, () => void start()));
  for (let tries = 0; ; tries++) {
    try {
      const { signInForm } = await loadModule('page/sign-in', () => import('./page/sign-in.js'));
      const form = signInForm(problem, { wording: { words, say, formatSpan }, forgot: root.dataset.passwordLink ?? '',
        signIn: async (email, password) => open(sessionOf(await post('login', { email, password, cookie: true }))) });
      if (session) return;
      main.replaceChildren(form);
      return void form.querySelector('input')?.focus();
    } catch {
      showAlert(words.noReply, button(words.tryNow, () => location.reload()));
      await pause(tries, 0);
    }
  }
}

/** @type {() => void} */
let skipPause = () => {};
/**
 * Waits between two tries: random below a growing ceiling, and no less than the server asked for.
 * `skipPause` ends it.
 * @param {number} tries
 * @param {number} least milliseconds
 * @returns {Promise<void>}
 */
const pause = (tries, least) => new Promise((resolve) => {
  skipPause = resolve;
  setTimeout(resolve, Math.max(least, Math.random() * Math.min(60_000, 1000 * 2 ** tries)));
});

/**
 * Signs in as a demo owner, or with the session of this browser, or with the portal's; else shows
 * the form. Tries until the server answers.
 */
async function start() {
  let ours = isDemo || tryStorage(() => localStorage.getItem(SIGNED_IN_KEY));
  const ended = ours ? words.sessionEnded : '';
  main.replaceChildren(newDisplay(null, words.yourNumbers));
  for (let tries = 0; ; tries++) {
    const owner = isDemo ? lastOwner() : '';
    try {
      return open(await (isDemo ? demoSession(owner) : ours ? refreshed() : portalSession()));
    } catch (cause) {
      const { status, retryAfterMs: least } = cause instanceof HttpError ? cause : { status: 0, retryAfterMs: 0 };
      const tryNow = button(words.tryNow, () => skipPause());
      if (owner && (status === 400 || status === 403)) clearStorage(); // an owner of another demo
      // A server that takes no passwords has nothing to refresh.
      else if (status === 401 || status === 404) {
        if (isDemo || !ours) return askForPassword(ended);
        ours = null;
        continue;
      }
      else if (status === 403 || status === 421) showAlert(say('refusedPage', { code: status }), tryNow);
      else if (least > SAY_AFTER_MS) showAlert(say('busyFor', { span: formatSpan(least) }), tryNow);
      else showAlert(words.noAnswer, tryNow);
      await pause(tries, least);
    }
  }
}

/** The language that `?lang=` once named; Portuguese otherwise. */
async function loadLanguage() {
  const asked = new URLSearchParams(location.search).get('lang');
  if (asked) tryStorage(() => localStorage.setItem(LANGUAGE_KEY, asked));
  const found = await wordingOf(asked ?? tryStorage(() => localStorage.getItem(LANGUAGE_KEY)) ?? '').catch(() => null);
  if (!found) return;
  wording = found;
  ({ words, say, formatSpan } = found);
  root.lang = words.language;
  setText(/** @type {Element} */ (document.querySelector('.skip')), words.skip);
}

void loadLanguage().then(start);
