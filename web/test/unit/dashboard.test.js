import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readBookingRow } from '../../static/protocol.js';
import { readListing, readMetrics } from '../../static/snapshot.js';
import { Agenda, DashboardStore } from '../../static/state/store.js';
import {
  dayOf, describeConnection, describeMetrics, describeNotice, describeStay, formatAgo, formatChange, formatHour, formatMoney, formatPercent, formatPlural,
  formatStay, formatTime, formatWeekday, zoneLabel,
} from '../../static/state/wording.js';

let sequence = 0;
const event = (type, data, id = `n${++sequence}`) => ({ id, type, timestamp: 1000 + sequence, ownerId: '1', data: { timestamp: 1000, ...data } });
const snapshot = (change = {}) => ({
  metrics: readMetrics({ revenueToday: 1 }), bookings: [], listings: [], lastEventId: 'e0', startedAt: 0, healing: false, ...change,
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

  test('live numbers that came during a load are newer than the load', () => {
    let now = 100;
    const store = new DashboardStore(() => now);
    now = 200;
    store.apply({ type: 'metrics_updated', data: readMetrics({ revenueToday: 5 }) });
    store.applySnapshot(snapshot({ startedAt: 150 }));
    assert.equal(store.getState().metrics.revenueToday, 5);
    store.applySnapshot(snapshot({ startedAt: 250 }));
    assert.equal(store.getState().metrics.revenueToday, 1);
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
    assert.equal(agenda.apply(told('1', 'cancelled'), 90), true);
    assert.equal(agenda.apply(told('2', 'cancelled'), 110), true);
    assert.equal(agenda.apply(event('revenue_received', { bookingId: '1' }), 110), false);
    agenda.fill([stay('1', '2026-01-21', '2026-01-22'), stay('2', '2026-01-21', '2026-01-22')], 100);
    assert.deepEqual(agenda.on('2026-01-21', 'checkInDate').map(({ bookingId }) => bookingId), ['1']);
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
  const words = (kind, data) => describeNotice({ id: '1', kind, at: 0, read: false, data: { hangarNumber: 'H-1', ...data } });
  const booking = { guestName: 'Ana', amount: 450, duration: 1, checkInDate: '2026-01-21', checkOutDate: '2026-01-22' };
  assert.equal(words('booking_created', booking).detail, `Ana · ${formatStay('2026-01-21', '2026-01-22')} · 1 diária`);
  assert.equal(words('booking_updated', { ...booking, status: 'confirmed', previousStatus: 'pending' }).title, 'Reserva confirmada');
  assert.equal(words('booking_updated', { ...booking, status: 'confirmed', previousStatus: 'confirmed' }).title, 'Reserva alterada');
  assert.equal(words('booking_updated', { ...booking, status: 'deleted', previousStatus: 'pending' }).struck, true);
  assert.equal(words('revenue_received', { amount: 1, paymentMethod: 'pix' }).detail, 'por Pix');
  assert.equal(words('revenue_received', { amount: 4350, paymentMethod: '' }).amount, 'R$\u00A04.350,00');
  assert.equal(words('occupancy_changed', { isNowOccupied: false, previousOccupant: 'Ana' }).detail, 'Saiu: Ana');
  assert.equal(describeStay('active', false).word, 'Chegou');
  assert.equal(describeStay('active', true).word, 'No hangar');
  assert.equal(describeStay('completed', true).word, 'Saiu');
});

test('the line below each card', () => {
  const listings = [readListing({ status: 'active', isAvailable: true, totalSpaces: 3 }), readListing({ status: 'active', isAvailable: true }), readListing({ status: 'active' })];
  const say = (change, of = listings) => describeMetrics(readMetrics({ occupancyRate: 75, growthPercentage: 12.4, bookingsToday: 1, ...change }), of);
  assert.equal(say().occupancyRate.line, '3 de 4 vagas ocupadas');
  assert.equal(say({ occupancyRate: 60 }).occupancyRate.line, 'das vagas publicadas');
  assert.match(say({ growthPercentage: 100 }, null).growthPercentage.line, /sem base de comparação/);
  assert.deepEqual(say({ bookingsToday: 0 }).bookingsToday, { value: '0', line: 'Nenhuma hoje ainda' });
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
  assert.match(zoneLabel(lateInBrazil, elsewhere), /^horário/);
  assert.equal(dayOf(lateInBrazil, 'Mars/Olympus'), dayOf(lateInBrazil), 'a zone that this browser does not know');
});
