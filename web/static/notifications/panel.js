/**
 * What the bell opens: the list, its filters, invitations, what can be undone, preferences. Loaded
 * when it is opened.
 * @import * as N from './shapes.js'
 */
import { followZoom, h, icon, setAttribute, setText, show } from '../dom.js';
import { isolated, visible } from '../state/wording.js';
import { fill } from './fill.js';
import { newList } from './list.js';

const GEAR = 'M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4';
const CHECKS = 'M2 12.5l4.5 4.5L15 8M11 16l1.5 1.5L22 8';
const BACK = 'M15 5l-7 7 7 7';
const UNDO_MS = 8000;
/** What was shown for as long counts as seen. */
const SEEN_MS = 300;

/** @type {N.NewPanel} */
export const newPanel = ({ around, words, sayMany, store, bell, me, changed }) => {
  const { inline, ask } = around;
  let opened = inline;
  let hadFocus = false;
  let loading = false;
  /** What is read is to be in the list when it opens, too. */
  let inFull = false;
  /** @type {any} */
  let undoTimer = null;
  /** @type {any} */
  let seenTimer = null;
  let stopped = false;

  /**
   * A round button with an icon.
   * @param {string} paths @param {string} label @param {() => void} onclick @param {string} [more]
   */
  const round = (paths, label, onclick, more = '') =>
    h('button', { class: `round ${more}`, type: 'button', 'aria-label': label, title: label, onclick: () => onclick() }, icon(paths));

  const readAll = round(CHECKS, words.readAll, () => {
    const through = list.newest();
    if (readAll.ariaDisabled !== 'true' && through) act(store.readThrough(through));
  }, 'read-all');
  const settings = round(GEAR, words.settings, () => void showSettings(true));
  const close = round('M6 6l12 12M18 6L6 18', words.close, () => panel.hidePopover?.(), 'close');
  const back = round(BACK, words.back, () => void showSettings(false));
  const heading = h('h2', { id: 'notes-title' }, words.title);
  const states = /** @type {const} */ (['unread', 'all', 'archived']).map((state) =>
    h('button', { type: 'button', 'data-state': state, onclick: () => void choose({ state }) }, words[/** @type {'stateAll'} */ (`state${state[0].toUpperCase()}${state.slice(1)}`)]));
  const kinds = h('select', { 'aria-label': words.kind, onchange: () => void choose({ kind: kinds.value }) }, h('option', { value: '' }, words.allKinds),
    ...Object.entries(words.kinds).map(([kind, word]) => h('option', { value: kind }, word)));
  const hangars = h('select', { 'aria-label': words.hangar, hidden: true, onchange: () => void choose({ hangarId: hangars.value }) }, h('option', { value: '' }, words.allHangars));
  const filters = h('div', { class: 'filters' }, h('div', { class: 'states', role: 'group', 'aria-label': words.show }, ...states), kinds, hangars);
  const invited = h('div', { class: 'invited', hidden: true });
  const waiting = h('button', { class: 'fresh', type: 'button', hidden: true, onclick: () => {
    list.draw(true);
    list.focus();
  } });
  const empty = h('p', { class: 'empty', hidden: true });
  const retry = h('button', { class: 'quiet', type: 'button', hidden: true, onclick: () => void load() }, words.retry);
  const more = h('button', { class: 'quiet more', type: 'button', hidden: true, onclick: () => store.loadMore().then(() => list.draw(true)).catch(fail) }, words.more);
  const open = (/** @type {string} */ bookingId) => {
    if (!inline) {
      panel.hidePopover();
      bell.focus(); // and back to it when the booking is closed
    }
    around.open(bookingId);
  };
  const list = newList({ around: { ...around, open }, words, store, mayArchive: () => me.role !== 'viewer', act, drawn });
  const told = h('span', { role: 'status' });
  const undo = h('button', { class: 'quiet', type: 'button', hidden: true }, words.undo);
  const toast = h('div', { class: 'toast' }, told, undo);
  const body = h('div', { class: 'notes-body' }, invited, h('div', { class: 'waiting' }, waiting), list.node, empty, retry, more, h('p', { class: 'keys' }, words.keys));
  const preferences = h('div', { class: 'notes-body preferences', hidden: true });
  const panel = h('section', { class: `panel notes-panel${inline ? '' : ' pop'}`, role: inline ? 'region' : 'dialog', 'aria-labelledby': 'notes-title', tabindex: '-1', popover: inline ? null : 'auto' },
    h('div', { class: 'notes-head' }, back, heading, h('div', { class: 'heads' }, readAll, settings, inline ? null : close)), filters, body, preferences, toast);
  show(back, false);
  if (!inline) followZoom(panel);

  const load = async () => {
    loading = true;
    await store.load();
    loading = false;
    list.draw(true);
  };
  /** @param {Partial<N.Filter>} change */
  const choose = async (change) => {
    loading = true;
    await store.choose(change);
    loading = false;
    body.scrollTop = 0;
    list.draw(true);
  };

  /** @param {unknown} error */
  function fail(error) {
    tell(/** @type {{status?: number}} */ (error).status === 403 ? words.notAllowed : words.notDone, null);
  }
  /** @param {string} text @param {(() => Promise<void>) | null} undoing */
  function tell(text, undoing) {
    clearTimeout(undoTimer);
    // A screen reader says nothing when the text stays the same.
    if (!setText(told, text)) setText(told, `${text}\u00A0`);
    show(undo, Boolean(undoing));
    toast.classList.add('on');
    undo.onclick = () => {
      const hadFocus = undo.matches(':focus');
      forget();
      if (hadFocus) list.focus();
      undoing?.().then(() => list.draw(true)).catch(fail);
    };
    undoTimer = setTimeout(() => {
      if (undo.matches(':focus')) list.focus();
      forget();
    }, UNDO_MS);
  }
  function forget() {
    clearTimeout(undoTimer);
    toast.classList.remove('on');
    show(undo, false);
    setText(told, '');
  }
  /** What a person did: says so, and how to undo it. @param {Promise<N.Deed | null>} doing */
  function act(doing) {
    doing.then((deed) => {
      // Opening one reads it. Only what took something away, or many at once, is told.
      if (!deed) return;
      tell(deed.word === 'readMany' ? sayMany('readMany', deed.n) : words[deed.word], deed.undo);
    }).catch((error) => {
      list.draw(true);
      fail(error);
    });
  }

  function drawn() {
    const { failed, more: older, loaded } = store.getState();
    const none = list.isEmpty();
    const { state, kind, hangarId } = store.filter;
    show(waiting, list.waiting() > 0);
    setText(waiting, sayMany('fresh', list.waiting()));
    show(list.node, !none);
    show(empty, none);
    setText(empty, failed ? words.failed : !loaded ? words.loading : kind || hangarId ? words.emptyHere : words[/** @type {'emptyAll'} */ (`empty${state[0].toUpperCase()}${state.slice(1)}`)]);
    show(retry, none && failed);
    show(more, older && !none);
    if (opened && !none && seenTimer === null) {
      seenTimer = setTimeout(() => {
        seenTimer = null;
        if (opened && !stopped && document.visibilityState === 'visible') void store.see(list.newest());
      }, SEEN_MS);
    }
  }

  function update() {
    const { unread } = store.getState();
    const n = unread ?? 0;
    setText(states[0], n > 0 ? `${words.stateUnread} (${around.wording.formatCount(n)})` : words.stateUnread);
    setAttribute(readAll, 'aria-disabled', String(n === 0));
    for (const button of states) setAttribute(button, 'aria-pressed', String(button.dataset.state === store.filter.state));
    if (opened && !loading) list.draw(false);
    drawInvitations();
  }

  /** @param {boolean} shown */
  async function showSettings(shown) {
    if (shown) {
      try {
        const { newPreferences } = await import('./preferences.js');
        preferences.replaceChildren(await newPreferences({ around, kinds: words.kinds, manages: me.role !== 'viewer', tell: (text) => tell(text, null), fail }));
      } catch {
        return tell(words.failed, null);
      }
    }
    for (const part of [filters, body, readAll, settings]) show(part, !shown);
    show(preferences, shown);
    show(back, shown);
    setText(heading, shown ? words.settings : words.title);
    (shown ? back : settings).focus();
  }

  /** @type {readonly any[]} */
  let drawnInvitations = [];
  /** Who invites this user to other accounts. */
  function drawInvitations() {
    if (drawnInvitations === me.invitations) return;
    drawnInvitations = me.invitations;
    show(invited, drawnInvitations.length > 0);
    invited.replaceChildren(...drawnInvitations.map(({ id, invitedByName, invitedBy, companyName, ownerId, role: as }) => {
      const company = isolated(visible(companyName) || String(ownerId));
      const answer = (/** @type {boolean} */ accept) => h('button', { class: `tool${accept ? ' yes' : ''}`, type: 'button', async onclick() {
        for (const button of buttons) button.disabled = true;
        try {
          await ask(`/api/me/invitations/${encodeURIComponent(id)}`, 'POST', { accept });
          me.invitations = me.invitations.filter((one) => one.id !== id);
          changed();
          panel.focus();
          tell(accept ? fill(words.accepted, { company }) : words.declined, null);
          around.answered(String(id), accept);
        } catch (error) {
          for (const button of buttons) button.disabled = false;
          fail(error);
        }
      } }, accept ? words.accept : words.decline);
      const buttons = [answer(true), answer(false)];
      return h('div', { class: 'invitation' }, h('p', null, fill(words.invitation, {
        who: isolated(visible(invitedByName) || String(invitedBy)), company, role: words.roles[as] ?? String(as),
      })), ...buttons);
    }));
  }

  /** Below the bell, as far as there is room. */
  const place = () => {
    const at = bell.getBoundingClientRect();
    const { clientWidth } = document.documentElement;
    panel.style.setProperty('--top', `${Math.round(at.bottom + scrollY + 8)}px`);
    panel.style.setProperty('--right', `${Math.max(8, Math.round(clientWidth - at.right))}px`);
    panel.style.setProperty('--room', `${Math.round(innerHeight - at.bottom - 24)}px`);
  };
  const filled = async () => {
    void fillHangars();
    await choose({ state: (store.getState().unread ?? 0) > 0 && !inFull ? 'unread' : 'all' });
    inFull = false;
  };
  const fillHangars = async () => {
    const body = await ask('listings').catch(() => null);
    if (!Array.isArray(body?.listings) || stopped) return;
    const { value } = hangars;
    hangars.replaceChildren(h('option', { value: '' }, words.allHangars),
      ...body.listings.map((/** @type {any} */ one) => h('option', { value: String(one.hangarId) }, visible(String(one.hangarNumber)) || String(one.hangarId))));
    hangars.value = value;
    show(hangars, body.listings.length > 1);
  };
  panel.addEventListener('beforetoggle', (event) => {
    opened = /** @type {ToggleEvent} */ (event).newState === 'open';
    if (opened) place();
    else hadFocus = panel.contains(/** @type {ShadowRoot} */ (panel.getRootNode()).activeElement);
  });
  panel.addEventListener('toggle', () => {
    setAttribute(bell, 'aria-expanded', String(opened));
    if (!opened) {
      forget();
      // Unless it is where a click closed the panel.
      const { host } = /** @type {ShadowRoot} */ (panel.getRootNode());
      if (hadFocus && [document.body, host].includes(/** @type {HTMLElement} */ (document.activeElement))) bell.focus();
      return;
    }
    if (!preferences.hidden) void showSettings(false);
    void filled();
    panel.focus();
  });
  panel.addEventListener('pointerleave', list.release);
  panel.addEventListener('focusout', list.release);
  const replace = () => opened && !inline && place();
  addEventListener('resize', replace);
  update();
  if (inline) void filled();

  return {
    node: panel,
    update,
    toggle: () => panel.togglePopover(),
    list() {
      if (opened) return void choose({ state: 'all' });
      inFull = true;
      panel.showPopover();
    },
    tick: () => opened && list.age(),
    stop() {
      stopped = true;
      clearTimeout(undoTimer);
      clearTimeout(seenTimer);
      removeEventListener('resize', replace);
    },
  };
};
