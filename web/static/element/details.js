/**
 * One booking in a dialog: its facts, and what the log still knows of its history. Loaded when a
 * booking is opened.
 * @import * as T from '../shapes.js'
 */
import { h, setText } from '../dom.js';
import { readBookingRow } from '../parts.js';
import { formatHour, visible } from '../state/wording.js';

/** @type {T.ShowDetails} */
export const showDetails = async (frame, { wording, bookingId, href, zone, load }) => {
  const { words, say, formatMoney, formatMoment, formatStay, formatPlural, statusWord, paymentWord, describeItem } = wording;
  const body = h('div', { class: 'details', 'aria-live': 'off' }, h('p', { class: 'empty' }, words.loading));
  const close = h('button', { class: 'tool', type: 'button', onclick: () => dialog.close() }, words.close);
  const dialog = h('dialog', { 'aria-labelledby': 'details-title' }, h('header', null, h('h2', { id: 'details-title' }, words.details), close), body);
  const before = /** @type {HTMLElement | null} */ (/** @type {ShadowRoot} */ (frame.getRootNode()).activeElement);
  dialog.addEventListener('close', () => {
    dialog.remove();
    before?.focus(); // the browser itself cannot when the focused part of the dialog is gone
  });
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
  frame.append(dialog);
  dialog.showModal();

  const fetchBooking = async () => {
    close.focus();
    setText(body, words.loading);
    try {
      const answer = await load();
      const booking = readBookingRow(answer);
      if (!booking.bookingId) throw new Error('not a booking');
      draw(booking, answer);
    } catch (error) {
      const gone = /** @type {{cause?: {status?: number}}} */ (error).cause?.status === 404;
      body.replaceChildren(h('p', { class: 'empty', role: 'alert' }, gone ? words.detailsGone : words.detailsFailed,
        gone ? null : h('button', { class: 'quiet', type: 'button', onclick: fetchBooking }, words.retry)));
    }
  };
  /** @param {T.BookingRow} booking @param {any} answer */
  const draw = (booking, answer) => {
    const hours = [booking.checkInDate, booking.checkOutDate].map(formatHour);
    /** @type {[string, string][]} */
    const facts = [
      [words.guest, visible(booking.guestName) || words.noName],
      [words.hangar, visible(booking.hangarNumber) || '–'],
      [words.stay, [formatStay(booking.checkInDate, booking.checkOutDate), hours.every(Boolean) ? hours.join(' – ') : '',
        booking.duration > 0 ? formatPlural(booking.duration, ...words.nights) : ''].filter(Boolean).join(' · ')],
      [words.price, formatMoney(booking.amount)],
      [words.paymentLabel, [paymentWord(booking.paymentMethod), answer.paid ? words.paid : words.unpaid].filter(Boolean).join(' · ')],
      [words.statusLabel, statusWord(booking.status)],
    ];
    const since = typeof answer.since === 'string' && Date.parse(answer.since) ? formatMoment(Date.parse(answer.since), zone) : '';
    /** @type {T.FeedItem[]} */
    const history = (Array.isArray(answer.history) ? answer.history : []).filter((/** @type {any} */ one) => one && one.data)
      .map((/** @type {any} */ { type, timestamp, data }, /** @type {number} */ i) => ({ id: String(i), kind: type, at: timestamp, read: true, data: { ...booking, status: '', previousStatus: '', ...data } }));
    body.replaceChildren(
      h('dl', { class: 'sheet' }, ...facts.map(([label, value]) => h('div', { class: 'fact' }, h('dt', null, label), h('dd', null, h('bdi', null, value))))),
      h('h3', null, words.history),
      since ? h('p', { class: 'basis' }, say(history.length > 0 ? 'historySince' : 'noHistory', { time: since })) : '',
      h('ol', { class: 'history' }, ...history.map((item) => {
        const told = describeItem(item);
        return h('li', null, h('time', { datetime: new Date(item.at).toISOString() }, formatMoment(item.at, zone)), h('span', null, told.title), h('span', { class: 'amount' }, told.amount));
      })),
      href ? h('p', null, h('a', { class: 'tool', href: href.replaceAll('{id}', encodeURIComponent(bookingId)) }, words.openBooking)) : '',
    );
  };
  await fetchBooking();
};
