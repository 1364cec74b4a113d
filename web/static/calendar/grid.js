/**
 * The grid: hangars by days. Cells are for the keyboard and for ears, bars for eyes and pointers.
 * @import * as C from './shapes.js'
 */
import { h, setAttribute, setText, tint } from '../dom.js';
import { visible } from '../state/wording.js';
import { occupies, part, staysByDay, turnovers, weekday } from './state.js';

/** A turnover with less than an hour asks for attention. */
const SHORT_H = 1;
/** More lanes than these are not drawn below each other. */
const MAX_LANES = 60;

/** What is there of some texts. @param {any[]} texts @param {string} between */
const joined = (texts, between) => texts.filter(Boolean).join(between);

/** What a stay is in words. @param {C.Tools} tools @param {C.Stay} stay */
export function describe({ wording: { words, formatStay, statusWord, formatMoney } }, stay) {
  return [visible(stay.guestName) || words.noName, formatStay(stay.checkInDate, stay.checkOutDate), statusWord(stay.status),
    formatMoney(stay.amount), stay.paid ? words.paid : words.unpaid].join(' · ');
}

/** @param {C.Tools} tools */
export function newGrid(tools) {
  const { open, wording } = tools;
  const { words, say, sayMany } = wording;
  const short = new Intl.DateTimeFormat(words.language, { weekday: 'short', timeZone: 'UTC' });
  const rows = h('div', { class: 'cal-grid', role: 'grid', 'aria-label': words.title, 'aria-describedby': 'cal-keys', onkeydown: press });
  const node = h('div', { class: 'cal-scroll' }, rows, h('p', { class: 'sr', id: 'cal-keys' }, words.keys));
  /** @type {C.Page} */
  let data;
  /** The days in words. @type {string[]} */
  let names = [];
  /** The first row is the occupancy. @type {C.Row[]} */
  let drawn = [];
  /** @type {Set<string>} hangars whose spaces are shown */
  const opened = new Set();
  const at = { row: 0, column: 1 };
  let wantsFocus = false;
  let shape = '';

  /**
   * Goes to a cell by day, or to the head of a row at 0.
   * @param {number} row @param {number} column @param {boolean} [focus]
   */
  function visit(row, column, focus = true) {
    const cellAt = () => drawn[at.row]?.parts[at.column];
    const former = cellAt();
    if (former) former.tabIndex = -1;
    at.row = Math.max(0, Math.min(drawn.length - 1, row));
    at.column = Math.max(0, Math.min(data.days.length, column));
    const cell = cellAt();
    cell.tabIndex = 0;
    if (focus) cell.focus();
  }

  /** @param {any} event */
  function press(event) {
    const { key, ctrlKey, metaKey, altKey } = event;
    const { row, column } = at;
    const click = () => drawn[row].parts[column].click();
    /** Another window is shown with the focus where it was. @param {() => void} go */
    const leave = (go) => {
      wantsFocus = true;
      go();
    };
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => visit(row, column - 1), ArrowRight: () => visit(row, column + 1), ArrowUp: () => visit(row - 1, column), ArrowDown: () => visit(row + 1, column),
      Home: () => visit(ctrlKey ? 0 : row, 0), End: () => visit(ctrlKey ? drawn.length : row, data.days.length),
      PageUp: () => leave(() => tools.move(-1)), PageDown: () => leave(() => tools.move(1)), t: () => leave(() => tools.go('')), Enter: click, ' ': click,
    };
    if (!keys[key] || metaKey || altKey || (ctrlKey && !/Home|End/.test(key))) return;
    event.preventDefault();
    keys[key]();
  }

  /** How many spaces are taken, in words. Most cells say the same. @type {Map<string, string>} */
  const takings = new Map();
  const taking = (/** @type {number} */ taken, /** @type {number} */ spaces) => {
    const key = `${taken}/${spaces}`;
    if (!takings.has(key)) takings.set(key, sayMany('spaces', spaces, { taken }));
    return takings.get(key) ?? '';
  };

  /**
   * What a day is in words.
   * @param {string} name @param {number} day
   * @param {{nights: number, spaces: number, arrivals: number, departures: number}} counts
   */
  const describeDay = (name, day, { nights, spaces, arrivals, departures }, over = 0) => joined([
    say('cell', { hangar: name, day: names[day], of: taking(nights, spaces) }),
    arrivals > 0 && sayMany('arriving', arrivals), departures > 0 && sayMany('leaving', departures), over > 0 && say('over', { n: over }),
  ], ', ');

  /**
   * @param {string} kind @param {(Node | string)[]} name @param {string} role
   * @param {(day: number) => any[]} fill @param {(day: number) => void} [click]
   */
  function newRow(kind, name, role, fill, click) {
    const head = h('div', { class: 'cal-name', role: role === 'gridcell' ? 'rowheader' : role, tabindex: -1 }, ...name);
    const cells = data.days.map(({ date }, day) => h('div', {
      class: joined(['cal-cell', [0, 6].includes(weekday(date)) && 'weekend', date === data.today && 'today'], ' '), role, tabindex: -1,
      'aria-label': names[day], 'aria-current': date === data.today && 'date', onclick: () => click?.(day),
    }, ...fill(day)));
    return { head, cells, parts: [head, ...cells], node: h('div', { class: `cal-row ${kind}`, role: 'row' }, head, ...cells) };
  }

  const newHeader = () => newRow('cal-head', [words.hangar], 'columnheader', (i) => {
    const [, month, date] = data.days[i].date.split('-').map(Number);
    return [h('span', null, short.format(Date.parse(data.days[i].date)).replace('.', '')), h('b', null, date === 1 ? `1/${month}` : String(date))];
  }).node;

  /** @returns {C.Row} */
  function newOccupancy() {
    const row = newRow('cal-sum', [words.occupancy], 'gridcell', () => [h('b'), h('i')]);
    return { ...row, update() {
      data.days.forEach((day, i) => {
        const { nights, spaces } = day;
        const [rate, gauge] = /** @type {any} */ (row.cells[i].children);
        setText(rate, spaces > 0 ? `${Math.round(nights / spaces * 100)}%` : '–');
        // Text for eyes alone: ears have the label.
        setAttribute(row.cells[i], 'data-text', `${nights}/${spaces}`);
        gauge.style.setProperty('--part', spaces > 0 ? nights / spaces : 0);
        setAttribute(row.cells[i], 'aria-label', `${describeDay(words.occupancy, i, day)}, ${rate.textContent}`);
      });
    } };
  }

  /** @param {number} index of the hangar @returns {C.Row} */
  function newHangar(index) {
    let hangar = data.hangars[index];
    const id = hangar.hangarId;
    const number = h('b');
    const place = h('small');
    const { node: row, head, cells, parts } = newRow('', [number, place], 'gridcell', () => [], (day) => {
      const stays = staysByDay(data, own())[day];
      if (stays.length === 1) return open(stays[0].bookingId);
      tools.day(({ showDay }) => showDay(tools, data, hangar, day, stays));
    });
    row.dataset.hangar = id;
    const own = () => data.stays.filter((stay) => stay.hangarId === id);
    head.addEventListener('click', () => {
      if (!opened.delete(id)) opened.add(id);
      update([]);
    });
    const bars = h('div', { class: 'cal-bars', 'aria-hidden': 'true', onclick: (/** @type {any} */ { target }) => {
      const bar = target.closest('[data-booking]');
      if (bar) open(bar.dataset.booking);
    } });
    row.append(bars);
    /** @type {Map<string, any>} */
    const barOf = new Map();

    /** @param {string[]} differing */
    function update(differing) {
      hangar = data.hangars[index];
      const { nights, arrivals, departures, over, spaces, hangarNumber } = hangar;
      const counted = data.counted.includes(id);
      const folds = spaces > 1 && !counted;
      const isOpen = folds ? opened.has(id) : !counted;
      setText(number, hangarNumber || '–');
      setText(place, joined([hangar.icaoCode, spaces > 1 && say('spaceCount', { n: spaces }), !hangar.published && words.hidden], ' · '));
      setAttribute(head, 'aria-expanded', folds ? String(isOpen) : null);
      setAttribute(head, 'title', folds && say('lanes', { hangar: hangarNumber }));
      const stays = isOpen ? own() : [];
      const texts = new Map(stays.map((stay) => [stay, describe(tools, stay)]));
      row.style.setProperty('--lanes', String(Math.min(MAX_LANES, Math.max(isOpen ? spaces : 1, ...stays.map((stay) => stay.lane + 1)))));
      row.classList.toggle('cal-open', isOpen);
      const staying = staysByDay(data, stays);
      cells.forEach((cell, day) => {
        setAttribute(cell, 'data-text', isOpen ? over[day] > 0 && `+${over[day]}` : `${nights[day]}/${spaces}`);
        cell.classList.toggle('over', over[day] > 0);
        // Cells without a style of their own share one, and most are such.
        if (isOpen || spaces <= 0 || nights[day] === 0) cell.style.removeProperty('--part');
        else cell.style.setProperty('--part', String(Math.min(1, nights[day] / spaces)));
        const label = describeDay(hangarNumber, day, { nights: nights[day], spaces, arrivals: arrivals[day], departures: departures[day] }, over[day]);
        const guests = staying[day];
        setAttribute(cell, 'aria-label', guests.length > 3 ? label : joined([label, guests.map((stay) => texts.get(stay)).join('; ')], '. '));
      });
      const gaps = turnovers(stays, data.precision === 'instant');
      for (const [booking, bar] of barOf) {
        if (stays.some((stay) => stay.bookingId === booking)) continue;
        bar.remove();
        barOf.delete(booking);
      }
      for (const [stay, text] of texts) drawBar(stay, text, gaps.get(stay.bookingId), differing);
    }

    /**
     * @param {C.Stay} stay @param {string} text @param {number | null | undefined} gap
     * @param {string[]} differing
     */
    function drawBar(stay, text, gap, differing) {
      const { bookingId, status, lane, paid } = stay;
      const bar = barOf.get(bookingId) ?? h('div', { class: 'cal-stay', 'data-booking': bookingId }, h('span', { class: 'cal-turn' }), h('bdi'), h('span', { class: 'cal-sign' }));
      barOf.set(bookingId, bar);
      if (!bar.parentNode) bars.append(bar);
      const [turn, guest, sign] = bar.children;
      const start = part(data.days, Date.parse(stay.checkInDate));
      // Placed by its beginning and its end, in parts of the window.
      bar.style.insetInlineStart = `${start * 100}%`;
      bar.style.inlineSize = `${(part(data.days, Date.parse(stay.checkOutDate)) - start) * 100}%`;
      bar.style.setProperty('--lane', lane);
      setAttribute(bar, 'data-status', status);
      setAttribute(bar, 'title', text);
      bar.classList.toggle('over', occupies(stay) && lane >= hangar.spaces);
      bar.classList.toggle('cut-left', stay.cutLeft);
      bar.classList.toggle('cut-right', stay.cutRight);
      turn.hidden = gap === undefined;
      const hours = gap === null || gap === undefined ? '' : gap < SHORT_H ? `${Math.round(gap * 60)} min` : `${Math.round(gap)} h`;
      setText(turn, hours || '↔');
      setAttribute(turn, 'title', hours ? say('turnover', { n: hours }) : words.turnoverDay);
      turn.classList.toggle('short', hours.endsWith('min'));
      setText(guest, visible(stay.guestName) || words.noName);
      setText(sign, joined([!['confirmed', 'active'].includes(status) && wording.statusWord(status), paid && '✓'], ' '));
      if (differing.includes(bookingId)) tint(bar);
    }
    return { node: row, parts, update };
  }

  return {
    node,
    /** @param {C.Page} now @param {string[]} differing @param {boolean} anew */
    update(now, differing, anew) {
      data = now;
      names = data.days.map((day) => wording.formatWeekday(day.date));
      const wanted = `${data.days[0].date} ${data.days.length} ${data.today} ${data.hangars.map((hangar) => hangar.hangarId)}`;
      const held = rows.contains(/** @type {ShadowRoot} */ (rows.getRootNode()).activeElement);
      if (anew && wanted !== shape) {
        shape = wanted;
        drawn = [newOccupancy(), ...data.hangars.map((_, index) => newHangar(index))];
        rows.style.setProperty('--days', String(data.days.length));
        rows.replaceChildren(newHeader(), ...drawn.map((row) => row.node));
        setAttribute(rows, 'aria-colcount', data.days.length + 1);
      }
      for (const row of drawn) row.update(differing);
      visit(at.row, at.column, held || wantsFocus);
      wantsFocus = false;
    },
    /** @param {C.Page} now @param {number} ms */
    tick({ days }, ms) {
      const now = part(days, ms);
      rows.classList.toggle('cal-now', now > 0 && now < 1);
      rows.style.setProperty('--now', String(now));
    },
  };
}
