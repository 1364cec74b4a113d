import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { readBookingRow } from '../../static/parts.js';
import { readListing, readMetrics } from '../../static/dial.js';
import { describeGrowth } from '../../static/element/cards.js';
import growthWords from '../../static/element/words/pt.js';
import { Agenda, DashboardStore, movesOf } from '../../static/state/store.js';
import {
  PORTUGUESE, dayOf, describeConnection, describeMetrics, describeItem, describeStay, formatAgo, formatChange, formatHour, formatMoney, formatPercent, formatPlural,
  formatStay, formatTime, formatWeekday, visible, wordingOf, zoneLabel,
} from '../../static/state/wording.js';

let sequence = 0;
const event = (type, data, id = `n${++sequence}`) => ({ id, type, timestamp: 1000 + sequence, ownerId: '1', data: { timestamp: 1000, ...data } });
const snapshot = (change = {}) => ({
  metrics: readMetrics({ revenueToday: 1 }), bookings: [], listings: [], overview: null, listingsRevision: '', lastEventId: 'e0', startedAt: 0, healing: false, ...change,
});
const row = (bookingId, timestamp = 500) => readBookingRow({ id: bookingId, bookingId, timestamp, status: 'confirmed' });

describe('store', () => {
  test('the unread counter does not depend on the length of a list', () => {
    const store = new DashboardStore();
    for (let i = 0; i < 250; i++) store.apply(event('booking_created', { bookingId: String(i) }));
    assert.equal(store.getState().unread, 250);
    assert.equal(store.getState().bookings.length, 100);
    store.markRead(store.getState().bookings[0].id);
    assert.equal(store.getState().unread, 249);
    store.markAllRead();
    assert.equal(store.getState().unread, 0);
    assert.ok(store.getState().bookings.every((notice) => notice.read));
  });

  test('a snapshot seeds the list as read, and an event takes its booking\'s place', () => {
    const store = new DashboardStore();
    store.applySnapshot(snapshot({ bookings: [row('7'), row('8')] }));
    assert.equal(store.getState().unread, 0);
    store.apply(event('booking_created', { bookingId: '7' }));
    assert.deepEqual(store.getState().bookings.map(({ data }) => data.bookingId), ['7', '8']);
    assert.equal(store.getState().unread, 1);
  });

  test('what a healing snapshot brings that was not known is unread', () => {
    const store = new DashboardStore();
    store.applySnapshot(snapshot({ bookings: [row('7')] }));
    store.applySnapshot(snapshot({ bookings: [row('9', 900), row('7')], healing: true }));
    assert.equal(store.getState().unread, 1);
    assert.deepEqual(store.getState().bookings.map(({ data }) => data.bookingId), ['9', '7']);
  });

  test('listings are wanted again when their revision is another, and what was asked before is not the newest', () => {
    const store = new DashboardStore();
    const overview = (listingsRevision) => ({ type: 'overview_updated', id: '', data: { listingsRevision, spaces: { occupied: 0, offered: 1 }, growthBasis: '' } });
    store.applySnapshot(snapshot({ overview: overview('r1').data, listingsRevision: 'r1' }));
    assert.equal(store.wantedListings, '');
    store.apply(overview('r2'));
    assert.equal(store.wantedListings, 'r2');
    store.apply(overview('r3'));
    store.setListings([readListing({ hangarId: '3' })], 'r2');
    assert.equal(store.wantedListings, 'r3', 'changed again while they were loaded');
    store.setListings([], 'r3');
    assert.equal(store.wantedListings, '');
    store.applySnapshot(snapshot({ listings: null, overview: overview('r4').data, listingsRevision: 'r4' }));
    assert.equal(store.wantedListings, 'r4', 'a part that could not be loaded is wanted');
  });

  test('an event without numbers leaves the numbers alone', () => {
    const store = new DashboardStore();
    store.applySnapshot(snapshot());
    const before = store.getState().metrics;
    store.apply(event('booking_updated', { bookingId: '1' }));
    assert.equal(store.getState().metrics, before);
  });

  test('clear, undo, and what came meanwhile', () => {
    const store = new DashboardStore();
    store.applySnapshot(snapshot({ bookings: [row('7')] }));
    store.apply(event('booking_created', { bookingId: '8' }));
    store.clear();
    assert.deepEqual([store.getState().bookings.length, store.getState().unread, store.getState().canUndoClear], [0, 0, true]);
    store.applySnapshot(snapshot({ bookings: [row('7')], healing: true }));
    assert.equal(store.getState().bookings.length, 0, 'cleared bookings stay cleared');
    store.apply(event('booking_created', { bookingId: '9' }));
    store.undoClear();
    assert.deepEqual(store.getState().bookings.map(({ data }) => data.bookingId), ['9', '8', '7']);
    assert.equal(store.getState().unread, 2);
    store.clear();
    store.forgetCleared();
    store.undoClear();
    assert.equal(store.getState().bookings.length, 0);
  });

  test('an occupancy change turns its hangar over', () => {
    const store = new DashboardStore();
    store.applySnapshot(snapshot({ listings: [readListing({ hangarId: '3', totalSpaces: 1 }), readListing({ hangarId: '4' })] }));
    store.apply(event('occupancy_changed', { hangarId: '3', isNowOccupied: true, newOccupant: 'Ana' }));
    const [changed, other] = store.getState().listings;
    assert.deepEqual([changed.isNowOccupied, changed.occupant, other.isNowOccupied], [true, 'Ana', false]);
    store.reset();
    assert.equal(store.getState().listings, null);
    assert.equal(store.getState().unread, 0);
  });

  test('a part that could not be loaded keeps what was there', () => {
    const store = new DashboardStore();
    store.applySnapshot(snapshot({ listings: [readListing({ hangarId: '3' })] }));
    store.applySnapshot(snapshot({ listings: null, healing: true }));
    assert.equal(store.getState().listings.length, 1);
    assert.equal(store.getState().failedParts.listings, true);
  });
});

describe('agenda', () => {
  const stay = (bookingId, checkInDate, checkOutDate, status = 'confirmed') => readBookingRow({ id: bookingId, bookingId, checkInDate, checkOutDate, status });

  test('who comes and who goes, by the hour, without those who cancelled', () => {
    const agenda = new Agenda();
    agenda.fill([
      stay('1', '2026-01-21T15:00:00-03:00', '2026-01-22T11:00:00-03:00'), stay('2', '2026-01-21T09:00:00-03:00', '2026-01-21T18:00:00-03:00'),
      stay('3', '2026-01-21T10:00:00-03:00', '2026-01-22T10:00:00-03:00', 'cancelled'),
    ], 100);
    assert.deepEqual(agenda.on('2026-01-21', 'checkInDate').map(({ bookingId }) => bookingId), ['2', '1']);
    assert.deepEqual(agenda.on('2026-01-21', 'checkOutDate').map(({ bookingId }) => bookingId), ['2']);
    assert.deepEqual(agenda.on('2026-01-22', 'checkOutDate').map(({ bookingId }) => bookingId), ['1']);
  });

  test('an event that came during the load is newer than the load, one before it is not', () => {
    const agenda = new Agenda();
    const told = (bookingId, status) => event('booking_updated', stay(bookingId, '2026-01-21', '2026-01-22', status));
    assert.equal(agenda.apply(told('1', 'cancelled')), true);
    const mark = agenda.mark();
    assert.equal(agenda.apply(told('2', 'cancelled')), true);
    assert.equal(agenda.apply(event('revenue_received', { bookingId: '1' })), false);
    agenda.fill([stay('1', '2026-01-21', '2026-01-22'), stay('2', '2026-01-21', '2026-01-22')], mark);
    assert.deepEqual(agenda.on('2026-01-21', 'checkInDate').map(({ bookingId }) => bookingId), ['1']);
  });

  test('a new booking that does not say its status is asked about, and is what was known meanwhile', () => {
    const agenda = new Agenda();
    agenda.fill([stay('1', '2026-01-21', '2026-01-22', 'confirmed')], 0);
    agenda.on('2026-01-21', 'checkInDate');
    agenda.apply(event('booking_created', stay('1', '2026-01-21', '2026-01-22', '')));
    assert.equal(agenda.isIncomplete, false);
    agenda.apply(event('booking_created', stay('2', '2026-01-21', '2026-01-22', '')));
    assert.equal(agenda.isIncomplete, true);
    agenda.fill([stay('1', '2026-01-21', '2026-01-22'), stay('2', '2026-01-21', '2026-01-22', 'cancelled')], agenda.mark());
    assert.equal(agenda.isIncomplete, false);
    assert.deepEqual(agenda.on('2026-01-21', 'checkInDate').map(({ bookingId }) => bookingId), ['1']);
  });
});

describe('the feed begins with today', () => {
  const at = Date.parse('2026-01-21T15:05:00-03:00');
  const stay = (bookingId, from, to, status = 'confirmed') => readBookingRow({ bookingId, hangarNumber: `H-${bookingId}`, guestName: 'Ana', checkInDate: from, checkOutDate: to, status });
  test('who came and who went, unless an event tells it or it has not happened', () => {
    const stays = [
      stay('1', '2026-01-21T09:00:00-03:00', '2026-01-21T14:00:00-03:00'), stay('2', '2026-01-21T10:00:00-03:00', '2026-01-22T14:00:00-03:00'),
      stay('3', '2026-01-21T18:00:00-03:00', '2026-01-22T14:00:00-03:00'), stay('4', '2026-01-21T09:00:00-03:00', '2026-01-22T14:00:00-03:00', 'cancelled'),
      stay('5', '2026-01-21T00:00:00-03:00', '2026-01-22T00:00:00-03:00'),
    ];
    const told = [{ id: 'e', kind: 'occupancy_changed', at: at - 5 * 3_600_000 - 300_000, read: false, data: { hangarNumber: 'H-2', isNowOccupied: true } }];
    assert.deepEqual(movesOf(stays, told, at).map(({ id }) => id), ['in:1', 'out:1']);
    assert.ok(movesOf(stays, [], at).every(({ read }) => read));
  });
});

describe('the connection in words', () => {
  const base = {
    status: 'live', confirmedAt: 100_000, nextTryAt: null, downSince: null, judged: true, offline: false, refused: false, zone: 'UTC', held: null,
  };
  const say = (change, now = 120_000) => describeConnection({ ...base, ...change }, now);

  test('live, with its freshness', () => {
    assert.deepEqual(say({}), { tone: 'live', label: 'Ao vivo', detail: 'atualizado há 20 s', frozen: false });
    assert.equal(say({ confirmedAt: null }).label, 'Conectando…', 'no number, no green dot');
  });

  test('never disconnected before the first verdict', () => {
    assert.equal(say({ status: 'connecting', judged: false, confirmedAt: null, downSince: 0 }).label, 'Conectando…');
  });

  test('a short loss is not worth a word; a longer one is said exactly', () => {
    const lost = { status: 'waiting', downSince: 118_500, nextTryAt: 127_500, zone: undefined };
    assert.equal(say(lost).label, 'Ao vivo');
    const said = say(lost, 120_600);
    assert.equal(said.label, 'Desconectado - Tentando reconectar...');
    assert.equal(said.detail, `próxima tentativa em 7 s · dados de ${formatTime(100_000)}`);
    assert.equal(said.frozen, true);
    assert.match(say({ ...lost, status: 'connecting' }, 130_000).detail, /^tentando agora/);
    assert.equal(say({ ...lost, offline: true }, 130_000).label, 'Sem internet');
  });

  test('paused, and still honest about a loss', () => {
    assert.equal(say({ held: 5 }).label, 'Atualizações pausadas · 5 em espera');
    assert.equal(say({ held: 5 }).frozen, false);
    const lost = say({ held: 5, status: 'waiting', downSince: 100_000 });
    assert.deepEqual([lost.tone, lost.frozen], ['paused', true]);
    assert.match(lost.detail, /^desconectado/);
  });

  test('stale and refused', () => {
    assert.equal(say({ status: 'stale' }, 165_000).label, 'Sem confirmação há 1 min');
    assert.equal(say({ status: 'auth_required' }).label, 'Sessão expirada');
    assert.equal(say({ status: 'auth_required', refused: true }).label, 'Sem acesso a esta conta');
    assert.equal(say({ status: 'auth_required', held: 2 }).label, 'Sessão expirada', 'a pause hides no end');
  });
});

test('rows in words', () => {
  const words = (kind, data) => describeItem({ id: '1', kind, at: 0, read: false, data: { hangarNumber: 'H-1', ...data } });
  const booking = { guestName: 'Ana', amount: 450, duration: 1, checkInDate: '2026-01-21', checkOutDate: '2026-01-22' };
  assert.equal(words('booking_created', booking).detail, `\u2068Ana\u2069 · ${formatStay('2026-01-21', '2026-01-22')} · 1 diária`);
  assert.equal(words('booking_updated', { ...booking, status: 'confirmed', previousStatus: 'pending' }).title, 'Reserva confirmada');
  assert.equal(words('booking_updated', { ...booking, status: 'confirmed', previousStatus: 'confirmed' }).title, 'Reserva alterada');
  assert.equal(words('booking_updated', { ...booking, status: 'deleted', previousStatus: 'pending' }).struck, true);
  assert.equal(words('revenue_received', { amount: 1, paymentMethod: 'pix' }).detail, 'por Pix');
  assert.equal(words('revenue_received', { amount: 4350, paymentMethod: '' }).amount, 'R$\u00A04.350,00');
  assert.equal(words('occupancy_changed', { isNowOccupied: false, previousOccupant: 'Ana' }).detail, 'Saiu: \u2068Ana\u2069');
  assert.equal(describeStay('active', false).word, 'Chegou');
  assert.equal(describeStay('active', true).word, 'No hangar');
  assert.equal(describeStay('completed', true).word, 'Saiu');
});

test('how far a guest is follows what occupancy counts', () => {
  const word = (status, leaving, when) => describeStay(status, leaving, when).word;
  assert.deepEqual([word('confirmed', false, { begun: false }), word('confirmed', false, { begun: true }), word('confirmed', false, { begun: true, over: true })], ['Esperado', 'Chegou', 'Saiu']);
  assert.deepEqual([word('active', true, { begun: true }), word('confirmed', true, { begun: false }), word('active', true, { begun: true, over: true })], ['No hangar', 'Sai hoje', 'Saiu']);
  assert.deepEqual([word('confirmed', false, { begun: false, hourless: true }), word('pending', false, { begun: true }), word('', false, {}), word('no_show', false, {}), word('completed', false, {})], ['Chega hoje', 'A confirmar', 'A confirmar', 'no_show', 'Concluída']);
});

test('the line below each card', () => {
  const overview = { listingsRevision: 'r', spaces: { occupied: 3, offered: 4 }, growthBasis: 'compared' };
  const say = (change, of = overview) => describeMetrics(readMetrics({ occupancyRate: 75, growthPercentage: 12.4, bookingsToday: 1, ...change }), of);
  assert.equal(say().occupancyRate.line, '3 de 4 vagas ocupadas');
  assert.equal(say({ occupancyRate: 0 }, { ...overview, spaces: { occupied: 1, offered: 2001 } }).occupancyRate.line, '1 de 2.001 vagas ocupadas', 'never counted from a rounded rate');
  assert.equal(say({}, null).occupancyRate.line, 'das vagas publicadas');
  const grows = (percent, basis = 'compared', growth = null) => describeGrowth(growthWords, formatChange, percent, basis, growth);
  assert.deepEqual(grows(100, 'new'), { value: '+100,0%', shown: 100, line: 'Sem base de comparação' });
  assert.equal(grows(0, 'none').line, 'Sem receita em 14 dias');
  assert.equal(grows(100).line, 'Acima dos 7 dias anteriores');
  assert.deepEqual(grows(-14.3, 'compared', { change: 3.1, time: '16:00' }),
    { value: '+3,1%', shown: 3.1, line: 'vs. 7 dias anteriores, até 16:00', whole: '-14,3% vs. 7 dias inteiros (hoje parcial)' });
  assert.deepEqual(grows(-14.3, 'compared', { change: null, time: '16:00' }).value, '-14,3%');
  assert.deepEqual(say({ bookingsToday: 0 }).bookingsToday, { value: '0', line: 'Nenhuma hoje ainda' });
});

test('names of any direction stay where they are, and one that cannot be seen is none', () => {
  assert.equal(visible('\u202Eanimal'), 'animal');
  for (const name of ['', ' ', '\u200B\u200D', '\u2066\u2069', '\u3164', '\u115F', undefined]) assert.equal(visible(name), '', JSON.stringify(name));
  assert.equal(visible('محمد'), 'محمد');
  const told = describeItem({ id: '1', kind: 'booking_created', at: 0, read: false, data: { hangarNumber: 'H-1', guestName: 'محمد \u202Eevil', amount: 1, duration: 1, checkInDate: '2026-01-21', checkOutDate: '2026-01-22' } });
  assert.ok(told.detail.startsWith('\u2068محمد evil\u2069 · '), told.detail);
});

describe('other languages', () => {
  test('loaded when asked for; any other language is Portuguese', async () => {
    const english = await wordingOf('en-GB');
    assert.equal(english.formatMoney(1234.5).replace('\u00A0', ''), 'R$1,234.50');
    assert.equal(english.formatAgo(20_000), '20 s ago');
    assert.equal(english.describeStay('confirmed', false, {}).word, 'Expected');
    assert.equal((await wordingOf('es')).formatPercent(62.5).replace(/\s/, ' '), '62,5 %');
    for (const language of ['', 'pt', 'pt-BR', 'xx', 'constructor']) assert.equal(await wordingOf(language).catch(() => 'threw'), null, language);
  });

  test('no words stand elsewhere', () => {
    const root = new URL('../../static/', import.meta.url);
    for (const file of readdirSync(root, { recursive: true }).filter((name) => /\.js$/.test(name) && !/(^|\/)words\//.test(name))) {
      const code = readFileSync(new URL(file, root), 'utf8').replace(/export const PORTUGUESE = \{[\s\S]*?\n\};/, '')
        .replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '').replace(/(`|')(\\.|(?!\1).)*ALLOWED_ORIGINS\?\1/, '');
      // A word of ours for people: two words between quotes that begin with a capital, or letters
      // that only Portuguese has.
      const found = code.match(/'[A-ZÀ-Ú][a-zà-ú]+ [a-zà-ú ]+[^']*'|[ãõçêâ]\w*/g) ?? [];
      assert.deepEqual(found, [], file);
    }
  });
});

test('numbers and days as Brazil writes them', () => {
  assert.equal(formatMoney(1234.5), 'R$\u00A01.234,50');
  assert.equal(formatPercent(62.5), '62,5%');
  assert.deepEqual([12.4, -3, 0].map(formatChange), ['+12,4%', '-3,0%', '0,0%']);
  assert.deepEqual([0, 1, 2].map((n) => formatPlural(n, 'nova', 'novas')), ['0 novas', '1 nova', '2 novas'], 'zero is not one');
  assert.equal(formatPlural(0, 'nova', 'novas', 'nenhuma'), 'nenhuma');
  assert.match(formatWeekday('2026-01-21'), /^quarta, 21 de jan/, 'a date is a day in no zone');
  assert.match(formatWeekday('2026-01-21T00:00:00+14:00'), /^quarta, 21 de jan/);
  assert.equal(formatWeekday(''), '');
  assert.deepEqual(['2026-01-21T14:30:00-03:00', '2026-01-21T00:00:00-03:00', '2026-01-21'].map(formatHour), ['14:30', '', '']);
});

test('ages', () => {
  const table = [[-5, 'agora'], [2999, 'agora'], [20_000, 'há 20 s'], [61_000, 'há 1 min'], [7_300_000, 'há 2 h'], [86_400_000, 'há 1 dia'], [4e8, 'há 4 dias']];
  for (const [ms, words] of table) assert.equal(formatAgo(ms), words);
});

test('the day is the one of the server\'s zone, which is named where the browser\'s clock differs', () => {
  const lateInBrazil = Date.UTC(2026, 0, 22, 2, 30);
  assert.equal(dayOf(lateInBrazil, 'America/Sao_Paulo'), '2026-01-21');
  assert.equal(dayOf(lateInBrazil, 'Asia/Tokyo'), '2026-01-22');
  assert.equal(zoneLabel(lateInBrazil, Intl.DateTimeFormat().resolvedOptions().timeZone), '');
  assert.equal(zoneLabel(lateInBrazil, null), '');
  const elsewhere = ['America/Sao_Paulo', 'Asia/Tokyo'].find((zone) => formatTime(lateInBrazil, zone) !== formatTime(lateInBrazil)) ?? '';
  assert.match(zoneLabel(lateInBrazil, elsewhere), /^horário d[eo] /);
  assert.equal(dayOf(lateInBrazil, 'Mars/Olympus'), dayOf(lateInBrazil), 'a zone that this browser does not know');
});
