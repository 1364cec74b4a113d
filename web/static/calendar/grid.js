/**
 * The grid: hangars by days. Cells are for the keyboard and for ears, bars for eyes and pointers.
 * @import * as C from './shapes.js'
 */
import { h, setAttribute, setText, tint } from '../dom.js';
import { visible } from '../state/wording.js';
import { occupies, part, staysOn, turnovers, weekday } from './state.js';

/** A bar is placed by its beginning and its end, in parts of the window. */
const percent = (/** @type {number} */ part) => `${(part * 100).toFixed(3)}%`;
/** A turnover with less than an hour asks for attention. */
const SHORT_H = 1;

/** What a stay is in words. @param {any} tools @param {C.Stay} stay */
export function describe({ around: { wording }, words }, stay) {
  return [visible(stay.guestName) || words.noName, wording.formatStay(stay.checkInDate, stay.checkOutDate), wording.statusWord(stay.status),
    wording.formatMoney(stay.amount), stay.paid ? words.paid : words.unpaid].join(' · ');
}

/** @param {any} tools @param {number} arrivals @param {number} departures */
const moves = ({ words, say }, arrivals, departures) => [
  arrivals === 1 ? words.arrives : arrivals > 1 && say('arrive', { n: arrivals }), departures === 1 ? words.leaves : departures > 1 && say('leave', { n: departures }),
];

/** What a day of a hangar is in words. @param {any} tools @param {C.Page} data @param {C.Hangar} hangar @param {number} day */
export function describeDay(tools, data, hangar, day) {
  const { around: { wording }, say } = tools;
  const over = hangar.over[day];
  return [
    say('cell', { hangar: hangar.hangarNumber, day: wording.formatWeekday(data.days[day].date), of: say('of', { n: hangar.nights[day], spaces: hangar.spaces }) }),
    ...moves(tools, hangar.arrivals[day], hangar.departures[day]), over > 0 && say('over', { n: over }),
  ].filter(Boolean).join(', ');
}

/** @param {any} tools */
export function newGrid(tools) {
  const { around, words, say, language } = tools;
  const { wording } = around;
  const short = new Intl.DateTimeFormat(language, { weekday: 'short', timeZone: 'UTC' });
  const line = h('div', { class: 'cal-now', 'aria-hidden': 'true' });
  const rows = h('div', { class: 'cal-grid', role: 'grid', 'aria-label': words.title, 'aria-describedby': 'cal-keys', onkeydown: press });
  const keys = h('p', { class: 'sr', id: 'cal-keys' }, words.keys);
  const node = h('div', { class: 'cal-scroll' }, rows, keys);
  /** @type {C.Page} */
  let data;
  /** @type {Map<string, any>} */
  const known = new Map();
  /** @type {Set<string>} hangars whose spaces are shown */
  const opened = new Set();
  /** The parts that the keyboard visits: rows of a head and cells. @type {HTMLElement[][]} */
  let visits = [];
  const at = { row: 0, column: 1 };
  let wantsFocus = false;

  /** A cell by day, and the head of a row at 0. @param {number} row @param {number} column @param {boolean} [focus] */
  function visit(row, column, focus = true) {
    const former = visits[at.row]?.[at.column];
    if (former) former.tabIndex = -1;
    at.row = Math.max(0, Math.min(visits.length - 1, row));
    at.column = Math.max(0, Math.min((visits[at.row]?.length ?? 1) - 1, column));
    const cell = visits[at.row]?.[at.column];
    if (!cell) return;
    cell.tabIndex = 0;
    if (focus) cell.focus();
  }

  /** @param {any} event */
  function press(event) {
    const { key, ctrlKey, metaKey, altKey } = event;
    if (metaKey || altKey) return;
    const { row, column } = at;
    /** @type {Record<string, () => void>} */
    const moves = {
      ArrowLeft: () => visit(row, column - 1), ArrowRight: () => visit(row, column + 1), ArrowUp: () => visit(row - 1, column), ArrowDown: () => visit(row + 1, column),
      Home: () => visit(ctrlKey ? 0 : row, 0), End: () => visit(ctrlKey ? visits.length - 1 : row, data.days.length),
      PageUp: () => leave(() => tools.move(-1)), PageDown: () => leave(() => tools.move(1)), t: () => leave(() => tools.go('')),
      Enter: () => visits[row][column].click(), ' ': () => visits[row][column].click(),
    };
    if (!moves[key] || (ctrlKey && key !== 'Home' && key !== 'End')) return;
    event.preventDefault();
    moves[key]();
  }

  /** Another window is shown with the focus where it was. @param {() => void} go */
  function leave(go) {
    wantsFocus = true;
    go();
  }

  const shades = (/** @type {C.Day} */ day) => [
    'cal-cell', [0, 6].includes(weekday(day.date)) ? 'weekend' : '', day.date === data.today ? 'today' : '',
  ].filter(Boolean).join(' ');

  function newHeader() {
    const cells = data.days.map((day) => {
      const [, month, date] = day.date.split('-');
      return h('div', { class: `${shades(day)} cal-day`, role: 'columnheader', 'aria-label': wording.formatWeekday(day.date), 'aria-current': day.date === data.today ? 'date' : null },
        h('span', null, short.format(Date.parse(`${day.date}T12:00:00Z`)).replace('.', '')), h('b', null, date === '01' ? `${Number(date)}/${Number(month)}` : String(Number(date))));
    });
    return h('div', { class: 'cal-row cal-head', role: 'row' }, h('div', { class: 'cal-name', role: 'columnheader' }, words.hangar), ...cells);
  }

  function newOccupancy() {
    const head = h('div', { class: 'cal-name', role: 'rowheader', tabindex: -1 }, words.occupancy);
    const cells = data.days.map((day) => h('div', { class: shades(day), role: 'gridcell', tabindex: -1 }, h('b'), h('i')));
    const row = h('div', { class: 'cal-row cal-sum', role: 'row' }, head, ...cells);
    return {
      node: row, visits: [head, ...cells],
      update() {
        data.days.forEach((day, i) => {
          const [rate, gauge] = /** @type {any} */ (cells[i].children);
          const share = day.spaces > 0 ? day.nights / day.spaces : 0;
          setText(rate, day.spaces > 0 ? `${Math.round(share * 100)}%` : '–');
          // Text for eyes alone: ears have the label.
          setAttribute(cells[i], 'data-text', `${day.nights}/${day.spaces}`);
          gauge.style.setProperty('--part', String(share));
          setAttribute(cells[i], 'aria-label', [`${words.occupancy}, ${wording.formatWeekday(day.date)}: ${rate.textContent}`, say('of', { n: day.nights, spaces: day.spaces }),
            ...moves(tools, day.arrivals, day.departures)].filter(Boolean).join(', '));
        });
      },
    };
  }

  /** @param {string} id */
  function newRow(id) {
    /** @type {C.Hangar} */
    let hangar;
    const number = h('b');
    const place = h('small');
    const fold = h('button', { class: 'cal-fold', type: 'button', tabindex: -1, onclick: toggle }, number, place);
    const plain = h('div', { class: 'cal-name', role: 'rowheader', tabindex: -1 });
    const cells = data.days.map((day, i) => h('div', { class: shades(day), role: 'gridcell', tabindex: -1, onclick: () => void openDay(i) }));
    const bars = h('div', { class: 'cal-bars', 'aria-hidden': 'true', onclick: (/** @type {any} */ event) => {
      const found = event.target.closest('[data-booking]');
      if (found) around.open(found.dataset.booking);
    } });
    const row = h('div', { class: 'cal-row', role: 'row', 'data-hangar': id }, plain, ...cells, bars);
    /** @type {Map<string, any>} */
    const drawn = new Map();
    const self = { node: row, visits: /** @type {HTMLElement[]} */ ([plain, ...cells]), update };

    /** A single booking opens itself. @param {number} day */
    async function openDay(day) {
      const stays = staysOn(data, hangar, day);
      if (stays.length === 1) return around.open(stays[0].bookingId);
      return (await import('./day.js')).showDay(tools, data, hangar, day, stays);
    }

    function toggle() {
      if (!opened.delete(id)) opened.add(id);
      update(hangar, []);
    }

    /** @param {C.Hangar} now @param {string[]} differing */
    function update(now, differing) {
      hangar = now;
      const many = hangar.spaces > 1;
      const counted = data.counted.includes(id);
      const open = !counted && (!many || opened.has(id));
      setText(number, hangar.hangarNumber || '–');
      setText(place, [hangar.icaoCode, many ? say('spaces', { n: hangar.spaces }) : '', hangar.published ? '' : words.hidden].filter(Boolean).join(' · '));
      const folds = many && !counted;
      if (folds !== plain.contains(fold)) plain.replaceChildren(...(folds ? [fold] : [number, place]));
      else if (!plain.firstChild) plain.append(number, place);
      if (folds && number.parentNode !== fold) fold.append(number, place);
      setAttribute(fold, 'aria-expanded', String(open));
      setAttribute(fold, 'title', say(open ? 'shut' : 'open', { hangar: hangar.hangarNumber }));
      self.visits[0] = folds ? fold : plain;
      const stays = open ? data.stays.filter((stay) => stay.hangarId === id) : [];
      const lanes = Math.max(open ? hangar.spaces : 1, ...stays.map((stay) => stay.lane + 1));
      row.style.setProperty('--lanes', String(Math.min(lanes, 60)));
      row.classList.toggle('cal-open', open);
      cells.forEach((cell, day) => {
        const over = hangar.over[day];
        setAttribute(cell, 'data-text', open ? over > 0 && `+${over}` : `${hangar.nights[day]}/${hangar.spaces}`);
        cell.classList.toggle('over', over > 0);
        cell.classList.toggle('full', !open && hangar.nights[day] >= hangar.spaces);
        cell.style.setProperty('--part', String(hangar.spaces > 0 ? Math.min(1, hangar.nights[day] / hangar.spaces) : 0));
        const label = describeDay(tools, data, hangar, day);
        const guests = open ? staysOn(data, hangar, day) : [];
        setAttribute(cell, 'aria-label', guests.length > 0 && guests.length <= 3 ? `${label}. ${guests.map((stay) => describe(tools, stay)).join('; ')}` : label);
      });
      drawBars(stays, differing);
    }

    /** @param {C.Stay[]} stays @param {string[]} differing */
    function drawBars(stays, differing) {
      const gaps = turnovers(stays, data.precision === 'instant');
      const wanted = new Set(stays.map((stay) => stay.bookingId));
      for (const [booking, bar] of drawn) {
        if (wanted.has(booking)) continue;
        bar.remove();
        drawn.delete(booking);
      }
      for (const stay of stays) {
        let bar = drawn.get(stay.bookingId);
        if (!bar) {
          bar = h('div', { class: 'cal-stay', 'data-booking': stay.bookingId }, h('span', { class: 'cal-turn' }), h('bdi'), h('span', { class: 'cal-sign' }));
          drawn.set(stay.bookingId, bar);
          bars.append(bar);
        }
        const [turn, guest, sign] = bar.children;
        const [start, end] = [part(data.days, Date.parse(stay.checkInDate)), part(data.days, Date.parse(stay.checkOutDate))];
        bar.style.insetInlineStart = percent(start);
        bar.style.inlineSize = percent(end - start);
        bar.style.setProperty('--lane', String(stay.lane));
        setAttribute(bar, 'data-status', stay.status);
        setAttribute(bar, 'title', describe(tools, stay));
        bar.classList.toggle('over', occupies(stay) && stay.lane >= hangar.spaces);
        bar.classList.toggle('cut-left', stay.cutLeft);
        bar.classList.toggle('cut-right', stay.cutRight);
        const gap = gaps.get(stay.bookingId);
        turn.hidden = gap === undefined;
        if (gap !== undefined) {
          const hours = gap === null ? '' : gap < SHORT_H ? `${Math.round(gap * 60)} min` : `${Math.round(gap)} h`;
          setText(turn, hours || '↔');
          setAttribute(turn, 'title', hours ? say('turnover', { n: hours }) : words.turnoverDay);
          turn.classList.toggle('short', gap !== null && gap < SHORT_H);
        }
        setText(guest, visible(stay.guestName) || words.noName);
        setText(sign, [stay.status === 'confirmed' || stay.status === 'active' ? '' : wording.statusWord(stay.status), stay.paid ? '✓' : ''].filter(Boolean).join(' '));
        if (differing.includes(stay.bookingId)) tint(bar);
      }
    }
    return self;
  }

  /** @type {any} */
  let occupancy = null;
  let shape = '';
  return {
    node,
    /** @param {C.Page} now @param {string[]} differing @param {boolean} anew */
    update(now, differing, anew) {
      data = now;
      const wanted = `${data.days[0].date} ${data.days.length} ${data.today} ${data.hangars.map((hangar) => hangar.hangarId)}`;
      const held = rows.contains(/** @type {ShadowRoot} */ (rows.getRootNode()).activeElement);
      if (anew && wanted !== shape) {
        shape = wanted;
        known.clear();
        occupancy = newOccupancy();
        for (const hangar of data.hangars) known.set(hangar.hangarId, newRow(hangar.hangarId));
        rows.style.setProperty('--days', String(data.days.length));
        rows.replaceChildren(newHeader(), occupancy.node, ...[...known.values()].map((row) => row.node), line);
        setAttribute(rows, 'aria-colcount', data.days.length + 1);
      }
      occupancy.update();
      for (const hangar of data.hangars) known.get(hangar.hangarId)?.update(hangar, differing);
      visits = [occupancy.visits, ...[...known.values()].map((row) => row.visits)];
      visit(at.row, at.column, held || wantsFocus);
      wantsFocus = false;
    },
    /** @param {C.Page} now @param {number} ms */
    tick(now, ms) {
      const first = Date.parse(now.days[0].start);
      const last = now.days[now.days.length - 1];
      line.hidden = ms < first || ms >= Date.parse(last.start) + last.hours * 3_600_000;
      rows.style.setProperty('--now', String(part(now.days, ms)));
    },
  };
}
