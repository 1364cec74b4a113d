/**
 * What a person does in the panel: opens, reads, archives, by buttons and keys; what is said of it,
 * and how it is undone; and invitations. Loaded when there is something to do.
 * @import * as N from './shapes.js'
 */
import { h, icon, loadModule, setText, show } from '../dom.js';
import { isolated, visible } from '../state/wording.js';
import { change, readThrough } from './deeds.js';
import { fill } from './fill.js';
import { isUnread } from './store.js';

const UNDO_MS = 8000;
const BACK = 'M15 5l-7 7 7 7';
/** @type {N.NewHands} */
export const newHands = async (parts) => {
  const { around, words: { notDone, failed, kinds, title, settings: preferred }, store, bell, me, changed, panel, list, toast, told, mayArchive } = parts;
  const { inline, ask, wording } = around;
  const words = wording.views.notifications ?? (await loadModule('notifications/words/hands-pt', () => import('./words/hands-pt.js'))).default;
  /** @type {any} */
  let timer = null;
  const undo = h('button', { class: 'quiet', type: 'button', hidden: true }, wording.words.undo);
  toast.append(undo);

  /** @param {unknown} error */
  const fail = (error) => tell(/** @type {{status?: number}} */ (error).status === 403 ? words.notAllowed : notDone);
  /** @param {string} text @param {() => Promise<void>} [undoing] */
  const tell = (text, undoing) => {
    clearTimeout(timer);
    // A screen reader says nothing when the text stays the same.
    if (!setText(told, text)) setText(told, `${text}\u00A0`);
    show(undo, Boolean(undoing));
    toast.classList.add('on');
    undo.onclick = () => {
      const hadFocus = undo.matches(':focus');
      forget();
      if (hadFocus) list.focus();
      undoing?.().then(() => list.draw(true)).catch(fail);
      list.draw(true); // it counts at once
    };
    timer = setTimeout(() => {
      if (undo.matches(':focus')) list.focus();
      forget();
    }, UNDO_MS);
  };
  const forget = () => {
    clearTimeout(timer);
    toast.classList.remove('on');
    show(undo, false);
    setText(told, '');
  };
  /** Says what was done, and how to undo it. @param {Promise<N.Deed | null>} doing */
  const say = (doing) => void doing.then((deed) => {
    if (deed) tell(deed.word === 'readMany' ? fill(words.readMany[deed.n === 1 ? 0 : 1], { n: wording.formatCount(deed.n) }) : words[deed.word], deed.undo);
  }).catch((error) => {
    list.draw(true);
    fail(error);
  });

  const preferences = h('div', { class: 'notes-body preferences', hidden: true });
  toast.before(preferences);
  const back = h('button', { class: 'round', type: 'button', 'aria-label': words.back, title: words.back, hidden: true, onclick: () => hands.settings(false) }, icon(BACK));
  parts.heading.before(back);

  /** @type {readonly any[]} */
  let drawn = [];
  /** Who invites this user to other accounts. */
  const drawInvitations = () => {
    if (drawn === me.invitations) return;
    drawn = me.invitations;
    show(parts.invited, drawn.length > 0);
    parts.invited.replaceChildren(...drawn.map(({ id, invitedByName, invitedBy, companyName, ownerId, role: as }) => {
      const company = isolated(visible(companyName) || String(ownerId));
      const answer = (/** @type {boolean} */ accept) => h('button', { class: `tool${accept ? ' yes' : ''}`, type: 'button', async onclick() {
        for (const button of buttons) button.disabled = true;
        try {
          await ask(`/api/me/invitations/${encodeURIComponent(id)}`, 'POST', { accept });
          me.invitations = me.invitations.filter((one) => one.id !== id);
          changed();
          panel.focus();
          tell(accept ? fill(words.accepted, { company }) : words.declined);
          around.answered(String(id), accept);
        } catch (error) {
          for (const button of buttons) button.disabled = false;
          fail(error);
        }
      } }, accept ? words.accept : words.decline);
      const buttons = [answer(true), answer(false)];
      return h('div', { class: 'invitation' }, h('p', null, fill(words.invitation, {
        who: isolated(visible(invitedByName) || String(invitedBy)), company, role: wording.words.roles[as] ?? String(as),
      })), ...buttons);
    }));
  };

  /** @type {N.Hands} */
  const hands = {
    tell, fail, forget, drawInvitations,
    archive(id) {
      const one = store.get(id);
      if (!one || !mayArchive()) return;
      say(change(store, id, { archived: !one.archivedAt }));
      list.take(id);
    },
    toggle(id) {
      const one = store.get(id);
      if (one) say(change(store, id, { read: !one.readAt }));
    },
    open(id) {
      const one = store.get(id);
      if (!one) return;
      if (isUnread(one)) say(change(store, id, { read: true }));
      const { bookingId } = one.facts;
      if (!bookingId) return;
      if (!inline) {
        panel.hidePopover();
        bell.focus(); // and back to it when the booking is closed
      }
      around.open(String(bookingId));
    },
    key(id, key) {
      const shown = list.shown();
      const at = shown.indexOf(id);
      if (key === 'e') return hands.archive(id);
      if (key === 'u') return hands.toggle(id);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 }[key] ?? at;
      if (shown.length > 0) list.focus(shown[Math.max(0, Math.min(shown.length - 1, to))]);
    },
    async settings(shown) {
      if (shown === !preferences.hidden) return;
      if (shown) {
        try {
          const { newPreferences } = await loadModule('notifications/preferences', () => import('./preferences.js'));
          preferences.replaceChildren(await newPreferences({ around, kinds, manages: mayArchive(), tell, fail }));
        } catch {
          return tell(failed);
        }
      }
      for (const part of [parts.filters, parts.body, parts.readAll, parts.settings]) show(part, !shown);
      show(preferences, shown);
      show(back, shown);
      setText(parts.heading, shown ? preferred : title);
      (shown ? back : parts.settings).focus();
    },
    readAll: (through) => say(readThrough(store, through)),
    more: () => void store.loadMore().then(() => list.draw(true)).catch(fail),
  };
  return hands;
};
