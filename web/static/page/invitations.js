/**
 * Invitations to other accounts. An account is shown only after its invitation was accepted.
 * @import * as T from '../shapes.js'
 */
import { h, setText } from '../dom.js';
import { isolated } from '../state/wording.js';

/** @type {T.InvitationBoxes} */
export const invitationBoxes = (invitations, { wording: { words, say }, answer }) => invitations.map((invitation) => {
  const { invitedByName, invitedBy, companyName, ownerId, role } = invitation;
  const text = h('span', null, say('invited', {
    who: isolated(invitedByName || invitedBy), company: isolated(companyName || ownerId), role: words.roles[role] ?? role,
  }));
  const choose = (/** @type {boolean} */ accept) => h('button', { type: 'button',
    async onclick() {
      for (const one of buttons) one.disabled = true;
      try {
        await answer(invitation.id, accept);
        box.remove();
      } catch {
        for (const one of buttons) one.disabled = false;
        setText(text, words.notAnswered);
      }
    } }, accept ? words.accept : words.decline);
  const buttons = [choose(true), choose(false)];
  const box = h('section', { class: 'alert invitation', role: 'status', 'data-invitation': invitation.id }, text, ...buttons);
  return box;
});
