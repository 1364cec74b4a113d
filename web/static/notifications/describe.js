/**
 * One notification in words. The same facts and time give the same words.
 * @import * as N from './shapes.js'
 * @import * as T from '../shapes.js'
 */
import { isolated, visible } from '../state/wording.js';
import { fill } from './fill.js';

/** @type {Record<string, T.Sign | 'hangar' | 'down'>} */
const SIGNS = {
  booking_created: 'new', booking_cancelled: 'cancel', booking_changed: 'edit', payment_received: 'money', payout_sent: 'money',
  payout_tomorrow: 'money', overbooked: 'hangar', to_confirm: 'new', arrives_tomorrow: 'in', leaves_today: 'out', unpaid: 'money',
  occupancy_low: 'down', member_changed: 'edit', new_sign_in: 'in',
};

/** Unix milliseconds of a time as the server writes it. @param {string | null} text */
export const instantOf = (text) => Date.parse(text ?? '') || Number(text) || 0;

/** A person's name within a sentence. @param {N.Person | null} who @param {N.Words} words */
const named = (who, words) => who && isolated(visible(who.name) || words.removed);

/**
 * @param {N.Notification} one
 * @param {N.Words} words
 * @param {T.Wording} wording
 * @param {T.Zone} zone
 * @returns {{sign: string, title: string, hangar: string, detail: string, mark: string}} `mark` is
 *   who did what with it
 */
export function describe(one, words, wording, zone) {
  const { kind, count, facts } = one;
  const { formatMoney, formatStay, formatCount, formatPercent, formatTime, formatMoment, formatWeekday, dayOf } = wording;
  const text = (/** @type {string} */ name) => visible(['string', 'number'].includes(typeof facts[name]) ? String(facts[name]) : '');
  const number = (/** @type {string} */ name) => (typeof facts[name] === 'number' ? /** @type {number} */ (facts[name]) : null);
  /** @param {string | null} at */
  const when = (at) => {
    const ms = instantOf(at);
    return dayOf(ms, zone) === dayOf(Date.now(), zone) ? formatTime(ms, zone) : formatMoment(ms, zone);
  };
  const guest = text('guestName');
  const stay = text('checkInDate') && text('checkOutDate') ? formatStay(text('checkInDate'), text('checkOutDate')) : '';
  const amount = number('amount') !== null ? formatMoney(/** @type {number} */ (number('amount'))) : '';
  const who = text('memberName');
  const role = words.roles[text('role')] ?? text('role');
  const parts = [
    guest && isolated(guest), stay, amount,
    kind === 'overbooked' && number('stays') !== null ? fill(words.overBy, { stays: formatCount(Number(number('stays'))), spaces: formatCount(number('spaces') ?? 0) }) : '',
    /^(overbooked|payout)/.test(kind) && text('date') ? fill(words.on, { day: formatWeekday(text('date')) }) : '',
    kind === 'occupancy_low' && text('percent') ? fill(words.percent, { n: formatPercent(Number(text('percent'))) }) : '',
    kind === 'member_changed' && who ? fill(!text('role') ? words.left : text('was') ? words.became : words.joined, { who: isolated(who), role }) : '',
    kind === 'invitation' ? [visible(text('companyName')), role].filter(Boolean).join(' · ') : '',
  ].filter(Boolean).join(' · ');
  const many = count > 1 && words.many[kind];
  const mark = one.archivedAt ? one.archivedBy ? fill(words.archivedBy, { who: named(one.archivedBy, words) ?? '', time: when(one.archivedAt) }) : fill(words.archivedAt, { time: when(one.archivedAt) })
    : one.readAt ? one.readBy ? fill(words.readBy, { who: named(one.readBy, words) ?? '', time: when(one.readAt) }) : fill(words.readAt, { time: when(one.readAt) }) : '';
  return {
    sign: SIGNS[kind] ?? 'new', hangar: text('hangarNumber'),
    title: many ? fill(many, { n: formatCount(count) }) : words.kinds[kind] ?? words.other,
    detail: many && parts ? fill(words.latest, { what: parts }) : parts,
    mark: [mark, one.resolvedAt ? words.resolved : '', one.userId ? words.personal : ''].filter(Boolean).join(' · '),
  };
}
