/**
 * What is shown of the calendar now and then: the bookings of one day of a hangar, and those whose
 * dates cannot be drawn. Loaded when it is needed.
 * @import * as C from './shapes.js'
 */
import { h } from '../dom.js';
import { describe } from './grid.js';

/**
 * Shows a dialog. What had the focus before gets it back.
 * @param {C.Tools} tools @param {string} title @param {(Node | string | null)[]} content
 */
export function showDialog({ frame, wording: { words } }, title, ...content) {
  const before = /** @type {HTMLElement | null} */ (/** @type {ShadowRoot} */ (frame.getRootNode()).activeElement);
  const dialog = h('dialog', { 'aria-labelledby': 'cal-dialog', onclose: () => {
    dialog.remove();
    before?.focus();
  } }, h('header', null, h('h2', { id: 'cal-dialog' }, title), h('button', { class: 'tool', type: 'button', onclick: () => dialog.close() }, words.close)), ...content);
  frame.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Opens a choice among the bookings of a day of a hangar.
 * @param {C.Tools} tools @param {C.Page} data @param {C.Hangar} hangar @param {number} day
 * @param {C.Stay[]} stays
 */
export function showDay(tools, data, hangar, day, stays) {
  const { words, say, formatWeekday } = tools.wording;
  const dialog = showDialog(tools, say('stays', { hangar: hangar.hangarNumber, day: formatWeekday(data.days[day].date) }),
    stays.length === 0 ? h('p', { class: 'empty' }, data.counted.includes(hangar.hangarId) ? words.guests : words.nobody) : null,
    h('ul', { class: 'cal-choice' }, ...stays.map((stay) => h('li', null, h('button', { class: 'quiet', type: 'button', onclick: () => {
      dialog.close();
      tools.open(stay.bookingId);
    } }, h('bdi', null, describe(tools, stay)))))));
}

/**
 * Lists the bookings whose dates cannot be drawn.
 * @param {C.Tools} tools @param {HTMLElement} list @param {C.Page} data
 */
export function listUncertain({ open, wording: { words, say } }, list, { uncertain }) {
  const date = (/** @type {string | null} */ text) => (text ? text.slice(0, 10) : words.missing);
  list.replaceChildren(h('summary', null, say('uncertain', { n: uncertain.count })), h('ul', null, ...uncertain.stays.map((stay) =>
    h('li', null, h('button', { class: 'quiet', type: 'button', onclick: () => open(stay.bookingId) },
      h('bdi', null, stay.guestName || words.noName), ` · ${date(stay.checkInDate)} – ${date(stay.checkOutDate)}`)))));
}
