import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readBookingRow } from '../../static/protocol.js';
import { readListing, readMetrics } from '../../static/snapshot.js';
import { DashboardStore } from '../../static/state/store.js';
import { describeConnection, describeMetrics, describeNotice } from '../../static/state/wording.js';

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

describe('the connection in words', () => {
  const base = {
    status: 'live', transport: 'websocket', attempt: 0, nextRetryAt: null, confirmedAt: 100_000, downSince: null, judged: true,
    offline: false, timezone: 'UTC', error: null,
  };
  const say = (change, now = 120_000) => describeConnection({ ...base, ...change }, now);

  test('live, with its freshness', () => {
    assert.deepEqual(say({}), { tone: 'live', label: 'Ao vivo', detail: 'atualizado há 20 s', frozen: false });
  });

  test('never disconnected before the first verdict', () => {
    assert.equal(say({ status: 'connecting', judged: false, confirmedAt: null, downSince: 0 }).label, 'Conectando…');
  });

  test('a short loss is not worth a word; a longer one is said exactly', () => {
    const lost = { status: 'waiting', downSince: 118_500, nextRetryAt: 127_500 };
    assert.equal(say(lost).label, 'Ao vivo');
    const said = say(lost, 120_600);
    assert.equal(said.label, 'Desconectado - Tentando reconectar...');
    assert.equal(said.detail, 'próxima tentativa em 7 s · dados de 00:01');
    assert.equal(said.frozen, true);
    assert.match(say({ ...lost, offline: true }, 130_000).detail, /^sem internet/);
  });

  test('stale and refused', () => {
    assert.equal(say({ status: 'stale' }, 165_000).label, 'Sem confirmação há 1 min');
    assert.equal(say({ status: 'auth_required' }).label, 'Sessão expirada');
    assert.equal(say({ status: 'auth_required', error: { kind: 'forbidden' } }).label, 'Sem acesso a esta conta');
  });
});

test('rows in words', () => {
  const words = (kind, data) => describeNotice({ id: '1', kind, at: 0, read: false, data: { hangarNumber: 'H-1', ...data } });
  const booking = { guestName: 'Ana', amount: 450, duration: 1, checkInDate: '2026-01-21', checkOutDate: '2026-01-22' };
  assert.equal(words('booking_created', booking).detail, 'Ana · 21–22 jan. · 1 diária');
  assert.equal(words('booking_updated', { ...booking, status: 'confirmed', previousStatus: 'pending' }).title, 'Reserva confirmada');
  assert.equal(words('booking_updated', { ...booking, status: 'confirmed', previousStatus: 'confirmed' }).title, 'Reserva alterada');
  assert.equal(words('booking_updated', { ...booking, status: 'deleted', previousStatus: 'pending' }).struck, true);
  assert.equal(words('revenue_received', { amount: 1, paymentMethod: 'pix' }).detail, 'por Pix');
  assert.equal(words('occupancy_changed', { isNowOccupied: false, previousOccupant: 'Ana' }).detail, 'Saiu: Ana');
});

test('the line below each card', () => {
  const listings = [readListing({ status: 'active', isAvailable: true, totalSpaces: 3 }), readListing({ status: 'active', isAvailable: true }), readListing({ status: 'active' })];
  const metrics = (change) => readMetrics({ occupancyRate: 75, growthPercentage: 12.4, bookingsToday: 1, ...change });
  assert.equal(describeMetrics(metrics(), listings).occupancyRate, '3 de 4 vagas ocupadas');
  assert.equal(describeMetrics(metrics({ occupancyRate: 60 }), listings).occupancyRate, 'das vagas publicadas');
  assert.match(describeMetrics(metrics({ growthPercentage: 100 }), null).growthPercentage, /^Sem base de comparação/);
  assert.equal(describeMetrics(metrics({ bookingsToday: 0 }), null).bookingsToday, 'Nenhuma reserva hoje ainda');
});
