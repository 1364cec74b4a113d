/**
 * What is shown of the calendar now and then: the bookings of one day of a hangar, and those whose
 * dates cannot be drawn. Loaded when it is needed.
 * @import * as C from './shapes.js'
 */
import { h } from '../dom.js';
import { describe } from './grid.js';

/**
 * Opens a choice among the bookings of a day of a hangar.
 * @param {any} tools @param {C.Page} data @param {C.Hangar} hangar @param {number} day
 * @param {C.Stay[]} stays
 */
export function showDay(tools, data, hangar, day, stays) {
  const { around, words, say } = tools;
  const before = /** @type {ShadowRoot} */ (around.frame.getRootNode()).activeElement;
  const dialog = h('dialog', { 'aria-labelledby': 'cal-day' },
    h('header', null, h('h2', { id: 'cal-day' }, say('stays', { hangar: hangar.hangarNumber, day: around.wording.formatWeekday(data.days[day].date) })),
      h('button', { class: 'tool', type: 'button', onclick: () => dialog.close() }, words.close)),
    stays.length === 0 ? h('p', { class: 'empty' }, data.counted.includes(hangar.hangarId) ? words.guests : words.nobody) : null,
    h('ul', { class: 'cal-choice' }, ...stays.map((stay) => h('li', null, h('button', { class: 'quiet', type: 'button', onclick: () => {
      dialog.close();
      around.open(stay.bookingId);
    } }, h('bdi', null, describe(tools, stay)))))));
  dialog.addEventListener('close', () => {
    dialog.remove();
    /** @type {HTMLElement | null} */ (before)?.focus();
  });
  around.frame.append(dialog);
  dialog.showModal();
}

/** Lists the bookings whose dates cannot be drawn. @param {any} tools @param {HTMLElement} list @param {C.Page} data */
export function listUncertain({ around, words, say }, list, { uncertain }) {
  const date = (/** @type {string | null} */ text) => (text ? text.slice(0, 10) : words.missing);
  list.replaceChildren(h('summary', null, say('uncertain', { n: uncertain.count })), h('ul', null, ...uncertain.stays.map((stay) =>
    h('li', null, h('button', { class: 'quiet', type: 'button', onclick: () => around.open(stay.bookingId) },
      h('bdi', null, stay.guestName || words.noName), ` · ${date(stay.checkInDate)} – ${date(stay.checkOutDate)}`)))));
}
