/**
 * The calendar where there is little room: a list by day of who comes, who goes and who stays.
 * @import * as C from './shapes.js'
 */
import { h } from '../dom.js';
import { formatHour, visible } from '../state/wording.js';
import { occupies, staysByDay } from './state.js';

/** @param {C.Tools} tools */
export function newList({ open, wording }) {
  const { words, sayMany } = wording;
  const node = h('ol', { class: 'cal-list', 'aria-label': words.title });
  return {
    node,
    /** @param {C.Page} data */
    update(data) {
      const hangars = new Map(data.hangars.map((hangar) => [hangar.hangarId, hangar]));
      const staying = staysByDay(data, data.stays);
      node.replaceChildren(...data.days.map((day, i) => {
        /** @type {[number, C.Stay][]} */
        const entries = staying[i].map((stay) => [
          stay.checkInDate.startsWith(day.date) ? 0 : stay.checkOutDate.startsWith(day.date) ? 1 : 2, stay,
        ]);
        // With dates alone a guest leaves at the first instant of a day that is no longer theirs.
        if (data.precision === 'date') data.stays.filter((stay) => stay.checkOutDate.startsWith(day.date)).forEach((stay) => entries.push([1, stay]));
        const hourOf = (/** @type {number} */ kind, /** @type {C.Stay} */ stay) => (kind === 1 ? stay.checkOutDate : stay.checkInDate);
        entries.sort(([a, x], [b, y]) => a - b || hourOf(a, x).localeCompare(hourOf(b, y)));
        const entry = (/** @type {[number, C.Stay]} */ [kind, stay]) => {
          const hangar = hangars.get(stay.hangarId);
          const over = occupies(stay) && hangar && stay.lane >= hangar.spaces;
          const hour = kind === 2 ? '' : formatHour(hourOf(kind, stay));
          return h('li', null, h('button', { class: `cal-entry${over ? ' over' : ''}`, type: 'button', 'data-booking': stay.bookingId, 'data-status': stay.status, onclick: () => open(stay.bookingId) },
            h('span', { class: kind === 2 ? 'sr' : 'cal-when' }, [words.comes, words.goes, words.remains][kind], ' ', hour),
            h('b', null, hangar?.hangarNumber ?? ''), h('bdi', null, visible(stay.guestName) || words.noName),
            kind === 2 ? null : h('small', null, [wording.statusWord(stay.status), stay.paid ? words.paid : words.unpaid, over ? words.overbooked : ''].filter(Boolean).join(' · '))));
        };
        const remain = entries.filter(([kind]) => kind === 2);
        return h('li', { class: day.date === data.today ? 'today' : '' },
          h('h3', null, wording.formatWeekday(day.date), h('small', null, sayMany('spaces', day.spaces, { taken: day.nights }))),
          entries.length === 0 ? h('p', { class: 'place' }, words.nobody) : h('ul', null, ...entries.filter(([kind]) => kind !== 2).map(entry)),
          remain.length > 0 ? h('ul', { class: 'cal-remain', 'aria-label': words.remains }, ...remain.map(entry)) : null);
      }));
    },
  };
}
