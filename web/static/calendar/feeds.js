/**
 * Feeds: secret addresses under which other calendars read bookings. A dialog lists, makes and
 * revokes them. Loaded when it is opened.
 * @import * as C from './shapes.js'
 */
import { adoptSheet, h, loadModule, setText } from '../dom.js';
import { newWording, visible } from '../state/wording.js';
import { showDialog } from './day.js';

const PATH = 'calendar/feeds';
const MAX_LABEL = 80;

/** @param {C.Tools} tools */
export async function showFeeds(tools) {
  const { frame, get, server } = tools;
  const load = tools.wording.views.feeds ?? loadModule('calendar/words/feeds/pt', () => import('./words/feeds/pt.js')).then((pt) => pt.default);
  const [own] = await Promise.all([load, adoptSheet(server, frame, 'calendar/feeds.css')]);
  const merged = { ...tools.wording.words, ...own };
  const { words, say, formatAgo, formatMoment } = /** @type {C.FeedWording} */ (/** @type {unknown} */ (newWording(/** @type {any} */ (merged))));
  const status = h('p', { class: 'empty', role: 'status' }, words.loading);
  const made = h('div', { class: 'cal-made' });
  const list = h('ul', { class: 'cal-feeds' });
  const form = h('form', { class: 'cal-form', hidden: true, onsubmit: create });
  showDialog(tools, words.feeds, h('p', { class: 'place' }, words.about), status, made, list, form);
  /** Which hangar has which number. @type {Map<string, string>} */
  let hangars = new Map();
  await refresh(true);

  /** @param {boolean} [first] */
  async function refresh(first) {
    try {
      const [{ feeds }, { listings }] = await Promise.all([get(PATH), get('listings')]);
      hangars = new Map(listings.map((/** @type {any} */ one) => [one.hangarId, one.hangarNumber]));
      list.replaceChildren(...feeds.map(newItem));
      if (first) form.append(...fields());
      form.hidden = false;
      setText(status, feeds.length === 0 ? words.noFeeds : '');
    } catch (error) {
      fail(error);
    }
  }

  /** @param {any} error */
  function fail(error) {
    const code = error.cause?.status;
    const told = /** @type {Record<number, string>} */ ({ 403: words.refused, 409: words.tooManyFeeds })[code];
    status.replaceChildren(told ?? words.failed, told ? '' : h('button', { class: 'quiet', type: 'button', onclick: () => void refresh(form.hidden) }, words.retry));
  }

  function fields() {
    const options = (/** @type {[string, string][]} */ choices) => choices.map(([value, text]) => h('option', { value }, text));
    return [
      h('label', null, words.label, h('input', { name: 'label', required: true, maxlength: MAX_LABEL, placeholder: words.labelHint, autocomplete: 'off' })),
      h('label', null, words.which, h('select', { name: 'hangar' }, ...options([['', words.all], ...hangars]))),
      h('label', null, words.detail, h('select', { name: 'detail' }, ...options([['busy', words.busy], ['full', words.full]]))),
      h('button', { class: 'tool yes' }, words.create),
    ];
  }

  /** @param {SubmitEvent} event */
  async function create(event) {
    event.preventDefault();
    const [label, hangar, detail] = ['label', 'hangar', 'detail'].map((name) => new FormData(form).get(name));
    const body = new Blob([JSON.stringify({ label, detail, hangarId: hangar || null })], { type: 'application/json' });
    form.inert = true; // a second click makes no second feed
    try {
      const feed = await get(PATH, { method: 'POST', body });
      form.reset();
      showAddress(feed.label, new URL(feed.address, server).href);
      await refresh();
    } catch (error) {
      fail(error);
    } finally {
      form.inert = false;
    }
  }

  /** The address is told this once. @param {string} label @param {string} address */
  function showAddress(label, address) {
    const field = h('input', { readonly: true, value: address, 'aria-label': say('address', { label: visible(label) }), onfocus: () => field.select() });
    const copy = h('button', { class: 'tool', type: 'button', onclick: async () => {
      field.select();
      // Without leave the text stays selected for the keyboard.
      await navigator.clipboard?.writeText(address).then(() => setText(copy, words.copied), () => {});
    } }, words.copy);
    made.replaceChildren(h('p', { role: 'status' }, words.once), h('div', { class: 'cal-address' }, field, copy));
    field.focus();
  }

  /** @param {any} feed */
  function newItem({ id, hangarId, detail, label, createdBy, createdAt, readAt, agent }) {
    const revoke = h('button', { class: 'quiet', type: 'button', onclick: async () => {
      if (setText(revoke, words.reallyRevoke)) return;
      try {
        await get(`${PATH}/${encodeURIComponent(id)}`, { method: 'DELETE' });
        made.replaceChildren();
        await refresh();
        setText(status, say('revoked', { label: visible(label) }));
      } catch (error) {
        fail(error);
      }
    }, onblur: () => setText(revoke, words.revoke) }, words.revoke);
    const about = [
      hangarId ? hangars.get(hangarId) ?? hangarId : words.all, words[/** @type {'busy' | 'full'} */ (detail)], say('madeBy', { who: visible(createdBy) || '–', time: formatMoment(Date.parse(createdAt)) }),
      readAt ? say('read', { ago: formatAgo(tools.now() - Date.parse(readAt)), agent: visible(agent) || words.unknown }) : words.never,
    ];
    return h('li', null, h('div', null, h('b', null, h('bdi', null, visible(label))), h('small', null, h('bdi', null, about.join(' · ')))), revoke);
  }
}
