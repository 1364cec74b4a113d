/**
 * States and events in words. Pure: the same facts and time give the same words.
 * @import { BookingNotification, ConnectionState, Listing, Notice, OccupancyChange, RealTimeMetrics, RevenueReceived } from '../types.js'
 */
import {
  formatAgo, formatChange, formatCount, formatMoney, formatPercent, formatPlural, formatSpan, formatStay, formatTime,
} from '../format.js';

/** A loss shorter than this is not worth a word. */
const GRACE_MS = 2000;

/** @typedef {'live' | 'busy' | 'warn' | 'down'} Tone */

/**
 * @param {ConnectionState} state
 * @param {number} now
 * @returns {{tone: Tone, label: string, detail: string, frozen: boolean}} frozen: the numbers shown may be old
 */
export function describeConnection(state, now) {
  const { status, confirmedAt, downSince, nextRetryAt, timezone, error } = state;
  const fresh = confirmedAt === null ? '' : `atualizado ${formatAgo(now - confirmedAt)}`;
  const dataOf = confirmedAt === null ? '' : `dados de ${formatTime(confirmedAt, timezone)}`;
  /** @param {...string} parts */
  const joined = (...parts) => parts.filter(Boolean).join(' · ');
  if (status === 'live') return { tone: 'live', label: 'Ao vivo', detail: fresh, frozen: false };
  if (status === 'stale') {
    const since = confirmedAt === null ? '' : ` há ${formatSpan(now - confirmedAt)}`;
    return { tone: 'warn', label: `Sem confirmação${since}`, detail: dataOf, frozen: true };
  }
  if (status === 'auth_required') {
    const label = error?.kind === 'forbidden' ? 'Sem acesso a esta conta' : 'Sessão expirada';
    return { tone: 'down', label, detail: joined('entre de novo', dataOf), frozen: true };
  }
  if (status === 'closed') return { tone: 'down', label: 'Encerrado', detail: dataOf, frozen: true };
  if (!state.judged) return { tone: 'busy', label: 'Conectando…', detail: '', frozen: false };
  if (downSince !== null && now - downSince < GRACE_MS) {
    return { tone: 'live', label: confirmedAt === null ? 'Conectando…' : 'Ao vivo', detail: fresh, frozen: false };
  }
  let next = '';
  if (status === 'connecting') next = 'tentando agora';
  else if (state.offline) next = 'sem internet';
  else if (nextRetryAt !== null) next = `próxima tentativa em ${Math.max(1, Math.ceil((nextRetryAt - now) / 1000))} s`;
  return { tone: 'warn', label: 'Desconectado - Tentando reconectar...', detail: joined(next, dataOf), frozen: true };
}

/** @type {Record<string, string>} */
const STATUS = {
  pending: 'Pendente', confirmed: 'Confirmada', active: 'Em andamento', completed: 'Concluída',
  cancelled: 'Cancelada', deleted: 'Excluída',
};
/** @type {Record<string, string>} */
const TITLES = {
  confirmed: 'Reserva confirmada', active: 'Check-in feito', completed: 'Reserva concluída',
  cancelled: 'Reserva cancelada', deleted: 'Reserva excluída',
};
/** @type {Record<string, string>} */
const PAYMENT = {
  pix: 'Pix', credit_card: 'cartão de crédito', debit_card: 'cartão de débito', card: 'cartão', boleto: 'boleto',
  bank_transfer: 'transferência', transfer: 'transferência', cash: 'dinheiro', stripe: 'cartão',
};

/** @typedef {'new' | 'ok' | 'money' | 'edit' | 'cancel' | 'in' | 'out'} Sign */

/**
 * One row of a list.
 * @param {Notice} notice
 * @returns {{sign: Sign, title: string, hangar: string, detail: string, amount: string, struck: boolean}}
 */
export function describeNotice(notice) {
  if (notice.kind === 'occupancy_changed') return describeOccupancy(/** @type {OccupancyChange} */ (notice.data));
  if (notice.kind === 'revenue_received') {
    const paid = /** @type {RevenueReceived} */ (notice.data);
    const method = PAYMENT[paid.paymentMethod.toLowerCase()] ?? paid.paymentMethod;
    return {
      sign: 'money', title: 'Pagamento recebido', hangar: paid.hangarNumber,
      detail: method ? `por ${method}` : '', amount: formatMoney(paid.amount), struck: false,
    };
  }
  const booking = /** @type {BookingNotification} */ (notice.data);
  const status = booking.status ?? '';
  const moved = status !== booking.previousStatus;
  const gone = status === 'cancelled' || status === 'deleted';
  /** @type {[Sign, string]} */
  let head = ['edit', 'Reserva alterada'];
  if (notice.kind === 'booking_created') head = ['new', 'Nova reserva'];
  else if (notice.kind === 'booking') head = [gone ? 'cancel' : 'new', `Reserva ${(STATUS[status] ?? '').toLowerCase()}`.trim()];
  else if (notice.kind === 'booking_completed') head = ['ok', TITLES.completed];
  else if (moved && TITLES[status]) head = [gone ? 'cancel' : 'ok', TITLES[status]];
  return {
    sign: head[0],
    title: head[1],
    hangar: booking.hangarNumber,
    detail: [booking.guestName, formatStay(booking.checkInDate, booking.checkOutDate),
      booking.duration > 0 ? formatPlural(booking.duration, 'diária', 'diárias') : ''].filter(Boolean).join(' · '),
    amount: formatMoney(booking.amount),
    struck: gone,
  };
}

/** @param {OccupancyChange} change @returns {ReturnType<typeof describeNotice>} */
function describeOccupancy(change) {
  const who = change.isNowOccupied ? change.newOccupant : change.previousOccupant;
  const verb = change.isNowOccupied ? 'Chegou' : 'Saiu';
  return {
    sign: change.isNowOccupied ? 'in' : 'out',
    title: change.isNowOccupied ? 'Ficou ocupado' : 'Ficou livre',
    hangar: change.hangarNumber,
    detail: who ? `${verb}: ${who}` : '',
    amount: '',
    struck: false,
  };
}

/**
 * The one comparison line below each card's value.
 * @param {RealTimeMetrics} metrics
 * @param {readonly Listing[] | null} listings
 */
export function describeMetrics(metrics, listings) {
  const growth = metrics.growthPercentage;
  const bookings = metrics.bookingsToday === 0
    ? 'Nenhuma reserva hoje ainda'
    : 'Recebidas desde a meia-noite';
  return {
    revenueToday: metrics.revenueToday === 0 ? 'Nenhum pagamento hoje ainda' : 'Pagamentos confirmados',
    bookingsToday: bookings,
    occupancyRate: describeSpaces(listings, metrics.occupancyRate) || 'das vagas publicadas',
    growthPercentage: describeGrowth(growth),
  };
}

/** @param {number} growth */
function describeGrowth(growth) {
  if (growth === 0) return 'Sem variação nos últimos 7 dias';
  // The server says 100 both for an exact double and for a week before without revenue.
  if (growth === 100) return 'Sem base de comparação, ou o dobro';
  return growth > 0 ? 'Acima dos 7 dias anteriores' : 'Abaixo dos 7 dias anteriores';
}

/**
 * "5 de 8 vagas ocupadas": spaces from the listings, occupied ones from the
 * rate, which every event brings up to date. Silent when the two do not agree.
 * @param {readonly Listing[] | null} listings @param {number} rate
 */
function describeSpaces(listings, rate) {
  const total = (listings ?? [])
    .filter((listing) => listing.status === 'active' && listing.isAvailable)
    .reduce((sum, listing) => sum + listing.totalSpaces, 0);
  const taken = Math.round((rate / 100) * total);
  if (total === 0 || Math.abs((taken / total) * 100 - rate) > 0.06) return '';
  return `${formatCount(taken)} de ${formatPlural(total, 'vaga ocupada', 'vagas ocupadas')}`;
}

/** The values of the cards. @param {RealTimeMetrics} metrics */
export function metricValues(metrics) {
  return {
    revenueToday: formatMoney(metrics.revenueToday),
    bookingsToday: formatCount(metrics.bookingsToday),
    occupancyRate: formatPercent(metrics.occupancyRate),
    growthPercentage: formatChange(metrics.growthPercentage),
  };
}
