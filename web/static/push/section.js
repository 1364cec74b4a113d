/**
 * The section of the preferences that is about this device: it asks for push messages after a
 * click, and says why there are none. It lists the user's devices and what was sent. Loaded when
 * the preferences are opened.
 */
import { h, loadModule, setAttribute, setText, show } from '../dom.js';
import { forget, listen, renew, subscribe, supported } from '../push.js';

/**
 * @typedef {{ask: import('../push.js').Ask, server: string,
 *   wording: import('../shapes.js').Wording, zone: () => import('../shapes.js').Zone}} Around
 */
/**
 * @typedef {{around: Around, kinds?: Record<string, string>, tell: (text: string) => void,
 *   fail: (error: unknown) => void}} Tools
 */
/** @typedef {typeof import('./words/pt.js').default} Words */

const SENT_SHOWN = 20;

/** On iPhones only a page on the home screen gets push. */
const isToInstall = () => !(/** @type {any} */ (navigator).standalone)
  && (/iPhone|iPad|iPod/.test(navigator.userAgent) || (/Macintosh/.test(navigator.userAgent) && navigator.maxTouchPoints > 1));

/** @param {HTMLElement} section @param {Tools} tools */
export async function newPush(section, { around, kinds = {}, tell, fail }) {
  const { ask, wording } = around;
  if (new URL(around.server, location.href).origin !== location.origin) return void section.remove();
  const bell = document.querySelector('owner-notifications');
  if (bell) listen(bell);
  const words = wording.views.push ?? (await loadModule('push/words/pt', () => import('./words/pt.js'))).default;
  /** @type {{key: string} | null} */
  const server = await ask('/api/push/key').catch((error) => {
    if (error?.status === 404) return null;
    throw error;
  });
  const state = h('p', { class: 'state', role: 'status' });
  const activate = h('button', { class: 'tool yes', type: 'button', onclick: () => void turnOn() }, words.activate);
  const devices = h('ul', { class: 'devices', 'aria-label': words.devices });
  const sent = h('details', { class: 'sent', ontoggle: () => void (sent.open && showSent()) }, h('summary', null, words.sent), h('ul'));
  let here = '';

  /** Why there are no messages, and what to do. @returns {keyof Words['states']} */
  const stateNow = () => {
    if (!server) return 'off';
    if (!isSecureContext) return 'insecure';
    if (!supported()) return isToInstall() ? 'install' : 'unsupported';
    return Notification.permission === 'denied' ? 'denied' : here ? 'on' : 'notYet';
  };
  const drawState = () => {
    const now = stateNow();
    setAttribute(state, 'data-state', now);
    setText(state, words.states[now]);
    show(activate, now === 'notYet');
  };

  async function turnOn() {
    activate.disabled = true;
    try {
      // Browsers answer this only within a click.
      const answer = await Notification.requestPermission();
      if (answer === 'default') tell(words.dismissed);
      if (server && answer === 'granted') here = await subscribe(ask, server.key);
      await drawDevices();
    } catch (error) {
      // The browser's own push service: it is away, or switched off as Brave has it.
      if (/** @type {any} */ (error)?.name === 'AbortError') tell(words.noService);
      else fail(error);
    }
    activate.disabled = false;
    drawState();
  }

  /** @param {any} device */
  const drawDevice = ({ id, label: name, lastOkAt, works }) => h('li', { 'data-device': id },
    h('span', { class: 'device' }, h('strong', { dir: 'auto' }, name || words.nameless), id === here ? ` ${words.thisOne}` : '',
      h('small', null, !works ? words.broken : lastOkAt ? words.lastOk.replace('{time}', moment(lastOkAt)) : words.never)),
    h('span', { class: 'pauses' },
      h('button', { class: 'tool', type: 'button', 'aria-label': `${words.test}: ${name}`, onclick: () => void test(id) }, words.test),
      h('button', { class: 'tool', type: 'button', 'aria-label': `${words.remove}: ${name}`, onclick: () => void remove(id) }, words.remove)));
  const drawDevices = async () => {
    const { subscriptions } = server ? await ask('/api/push/subscriptions') : { subscriptions: [] };
    devices.replaceChildren(...subscriptions.map(drawDevice));
    show(devices, subscriptions.length > 0);
  };
  /** @param {number} ms */
  const moment = (ms) => wording.formatMoment(ms, around.zone());

  /** @param {string} id */
  async function test(id) {
    try {
      const { result } = await ask('/api/push/test', 'POST', { id, language: wording.words.language });
      tell(words.results[/** @type {keyof Words['results']} */ (result)] ?? result);
      if (result !== 'gone') return;
      if (id === here) await forget(ask, ''); // a click makes another subscription
      await look();
    } catch (error) {
      if (/** @type {any} */ (error)?.status === 429) tell(words.tooSoon);
      else fail(error);
    }
  }

  /** @param {string} id */
  async function remove(id) {
    try {
      if (id === here) {
        await forget(ask, id);
        here = '';
      } else await ask(`/api/push/subscriptions/${encodeURIComponent(id)}`, 'DELETE');
      await drawDevices();
    } catch (error) {
      fail(error);
    }
    drawState();
  }

  async function showSent() {
    try {
      const { deliveries } = await ask(`/api/me/notifications/deliveries?limit=${SENT_SHOWN}`);
      sent.lastElementChild?.replaceChildren(...(deliveries.length > 0 ? deliveries.map(drawSent) : [h('li', null, words.nothingSent)]));
    } catch (error) {
      fail(error);
    }
  }
  /** @param {any} one */
  const drawSent = ({ kind, channel, device, outcome, doneAt, dueAt, openedAt }) => h('li', null,
    h('strong', null, kind === 'digest' ? words.digest : kinds[kind] ?? kind),
    ` · ${device || (words.channels[/** @type {'push'} */ (channel)] ?? channel)}`,
    h('small', null, `${words.outcomes[/** @type {keyof Words['outcomes']} */ (outcome)] ?? outcome} `,
      h('time', { datetime: new Date(doneAt ?? dueAt).toISOString() }, moment(doneAt ?? dueAt)),
      openedAt ? `, ${words.opened} ${moment(openedAt)}` : ''));

  /** What the browser and the server know at this moment. */
  const look = async () => {
    // Without an answer it is as if nothing came here: a click on the button tries again.
    if (server) here = await renew(ask, server.key).catch(() => '');
    await drawDevices();
    drawState();
  };
  await look();
  // The permission is given and withdrawn in the browser's settings, too.
  const permission = await navigator.permissions?.query({ name: 'notifications' }).catch(() => null);
  permission?.addEventListener('change', () => {
    if (section.isConnected) look().catch(fail);
  });
  section.replaceChildren(h('h3', null, words.title), state, activate, devices, sent);
  show(section, true);
}
