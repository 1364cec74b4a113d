/**
 * Numbers, dates, states and events in Brazilian Portuguese. Pure: the same
 * facts and time give the same words.
 * @import * as T from '../shapes.js'
 */
const LANGUAGE = 'pt-BR';
const oneDecimal = /** @type {const} */ ({ style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 });
const money = new Intl.NumberFormat(LANGUAGE, { style: 'currency', currency: 'BRL' });
const whole = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 0 });
const percent = new Intl.NumberFormat(LANGUAGE, oneDecimal);
const signed = new Intl.NumberFormat(LANGUAGE, { ...oneDecimal, signDisplay: 'exceptZero' });
const plural = new Intl.PluralRules(LANGUAGE);
/** @type {Map<string, Intl.DateTimeFormat>} */
const clocks = new Map();

/** BRL. @type {T.FormatNumber} */
export const formatMoney = (value) => money.format(value);
/** @type {T.FormatNumber} */
export const formatCount = (value) => whole.format(value);
/** Of a percentage, 0 to 100. @type {T.FormatNumber} */
export const formatPercent = (value) => percent.format(value / 100);
/** With a sign, except for zero. @type {T.FormatNumber} */
export const formatChange = (value) => signed.format(value / 100);

/** CLDR counts 0 as one in Portuguese; people do not. @type {T.FormatPlural} */
export const formatPlural = (n, one, other, none = `0 ${other}`) =>
  (n === 0 ? none : `${whole.format(n)} ${plural.select(n) === 'one' ? one : other}`);

/** The calendar day written in an RFC 3339 text, as UTC's midnight: no zone is ever applied to it. @param {string} text */
const written = (text) => {
  const [year, month, day] = (/^(\d{4})-(\d\d)-(\d\d)/.exec(text) ?? []).slice(1).map(Number);
  return Date.UTC(year, month - 1, day);
};
const DAY = /** @type {const} */ ({ day: 'numeric', month: 'short' });

/** "sexta, 23 de jan."; empty for no date. @type {T.FormatWritten} */
export const formatWeekday = (text) => (written(text) ? clock('UTC', { weekday: 'long', ...DAY }).format(written(text)).replace('-feira', '') : '');

/** "21 – 24 de jan." @type {T.FormatStay} */
export const formatStay = (from, to) => (written(from) <= written(to) ? clock('UTC', DAY).formatRange(written(from), written(to)) : '–');

/** "14:00"; empty for a midnight, which is a day and no hour. @type {T.FormatWritten} */
export const formatHour = (text) => (/T(?!00:00)(\d\d:\d\d)/.exec(text) ?? [])[1] ?? '';

/** "14:32" @type {T.FormatInstant} */
export const formatTime = (at, zone) => clock(zone, { hour: '2-digit', minute: '2-digit' }).format(at);

/** "21 de jan., 14:32" @type {T.FormatInstant} */
export const formatMoment = (at, zone) => clock(zone, { ...DAY, hour: '2-digit', minute: '2-digit' }).format(at);

/** "2026-01-21" @type {T.FormatInstant} */
export const dayOf = (at, zone) => {
  const parts = clock(zone, { year: 'numeric', month: '2-digit', day: '2-digit' }).formatToParts(at);
  return ['year', 'month', 'day'].map((type) => parts.find((part) => part.type === type)?.value).join('-');
};

/** "horário de Brasília" where the browser's clock shows another time, else nothing. @type {T.FormatInstant} */
export const zoneLabel = (at, zone) => {
  if (!zone || formatMoment(at, zone) === formatMoment(at)) return '';
  const name = clock(zone, { timeZoneName: 'longGeneric' }).formatToParts(at).find(({ type }) => type === 'timeZoneName')?.value;
  return (name ?? zone).replace(/^H/, 'h').replace(/ (padrão|normal)/i, '');
};

/** @param {T.Zone} zone @param {Intl.DateTimeFormatOptions} options */
function clock(zone, options) {
  const key = `${zone} ${Object.keys(options)}`;
  let format = clocks.get(key);
  if (!format) {
    try {
      format = new Intl.DateTimeFormat(LANGUAGE, { ...options, timeZone: zone || undefined });
    } catch {
      format = new Intl.DateTimeFormat(LANGUAGE, options); // a zone this browser does not know
    }
    clocks.set(key, format);
  }
  return format;
}

/** "agora", "há 20 s", of milliseconds. @type {T.FormatNumber} */
export const formatAgo = (ms) => (ms < 3000 ? 'agora' : `há ${formatSpan(ms)}`);

/** "20 s", "3 min", "2 h", "4 dias" @type {T.FormatNumber} */
export const formatSpan = (ms) => {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return formatPlural(Math.floor(seconds / 86_400), 'dia', 'dias');
};

/** @param {(string | undefined)[]} parts */
const joined = (parts) => parts.filter(Boolean).join(' · ');

/** A loss shorter than this is not worth a word. */
const GRACE_MS = 2000;

/** @type {T.DescribeConnection} */
export const describeConnection = (facts, now) => {
  const { status, confirmedAt, nextTryAt, downSince, zone } = facts;
  const known = confirmedAt !== null;
  const fresh = known ? `atualizado ${formatAgo(now - confirmedAt)}` : '';
  const label = zoneLabel(now, zone);
  const dataOf = known ? `dados de ${formatTime(confirmedAt, zone)}${label && ` (${label})`}` : '';
  /** @type {(tone: T.Tone, label: string, ...detail: string[]) => ReturnType<T.DescribeConnection>} */
  const say = (tone, word, ...detail) => ({ tone, label: word, detail: joined(detail), frozen: tone === 'warn' || tone === 'down' });

  if (status === 'auth_required') {
    return facts.refused ? say('down', 'Sem acesso a esta conta', dataOf) : say('down', 'Sessão expirada', 'entre de novo', dataOf);
  }
  if (status === 'closed') return say('down', 'Encerrado', dataOf);
  if (!facts.judged) return say('busy', 'Conectando…');
  const brief = downSince !== null && now - downSince < GRACE_MS;
  if (facts.held !== null) {
    const lost = status === 'stale' ? 'sem confirmação' : status === 'live' || brief ? '' : 'desconectado';
    return { ...say('paused', `Atualizações pausadas · ${whole.format(facts.held)} em espera`, lost, dataOf), frozen: lost !== '' };
  }
  if (status === 'live' || brief) return known ? say('live', 'Ao vivo', fresh) : say('busy', 'Conectando…');
  if (status === 'stale') return say('warn', `Sem confirmação${known ? ` há ${formatSpan(now - confirmedAt)}` : ''}`, dataOf);
  if (facts.offline) return say('warn', 'Sem internet', 'volta sozinho quando a rede voltar', dataOf);
  const next = nextTryAt === null ? '' : `próxima tentativa em ${Math.max(1, Math.ceil((nextTryAt - now) / 1000))} s`;
  return say('warn', 'Desconectado - Tentando reconectar...', status === 'connecting' ? 'tentando agora' : next, dataOf);
};

/** @type {Record<string, string>} */
const STATUS = {
  pending: 'pendente', confirmed: 'confirmada', active: 'em andamento', completed: 'concluída', cancelled: 'cancelada', deleted: 'excluída',
};
/** @type {Record<string, string>} */
const PAYMENT = {
  pix: 'Pix', credit_card: 'cartão de crédito', debit_card: 'cartão de débito', card: 'cartão', boleto: 'boleto',
  bank_transfer: 'transferência', transfer: 'transferência', cash: 'dinheiro', stripe: 'cartão',
};

/** @type {T.DescribeNotice} */
export const describeNotice = ({ kind, data }) => {
  const hangar = data.hangarNumber;
  if (kind === 'occupancy_changed') {
    const { isNowOccupied, newOccupant, previousOccupant } = /** @type {T.OccupancyChange} */ (data);
    const [sign, title, verb, who] = /** @type {[T.Sign, string, string, string]} */ (isNowOccupied
      ? ['in', 'Ficou ocupado', 'Chegou', newOccupant] : ['out', 'Ficou livre', 'Saiu', previousOccupant]);
    return { sign, title, hangar, detail: who ? `${verb}: ${who}` : '', amount: '', struck: false };
  }
  if (kind === 'revenue_received') {
    const { paymentMethod, amount } = /** @type {T.RevenueReceived} */ (data);
    const method = PAYMENT[paymentMethod.toLowerCase()] ?? paymentMethod;
    return { sign: 'money', title: 'Pagamento recebido', hangar, detail: method && `por ${method}`, amount: formatMoney(amount), struck: false };
  }
  const booking = /** @type {T.BookingNotification} */ (data);
  const { status = '', previousStatus, duration } = booking;
  const struck = status === 'cancelled' || status === 'deleted';
  let title = 'Reserva alterada';
  if (kind === 'booking_created') title = 'Nova reserva';
  else if (kind === 'booking_completed') title = 'Reserva concluída';
  else if (kind === 'booking') title = `Reserva ${STATUS[status] ?? ''}`.trim();
  else if (status !== previousStatus && status === 'active') title = 'Check-in feito';
  else if (status !== previousStatus && STATUS[status]) title = `Reserva ${STATUS[status]}`;
  return {
    sign: struck ? 'cancel' : /^booking(_created)?$/.test(kind) ? 'new' : title === 'Reserva alterada' ? 'edit' : 'ok',
    title, hangar, struck, amount: formatMoney(booking.amount),
    detail: joined([booking.guestName, formatStay(booking.checkInDate, booking.checkOutDate),
      duration > 0 ? formatPlural(duration, 'diária', 'diárias') : '']),
  };
};

/** @type {T.DescribeStay} */
export const describeStay = (status, leaving) => {
  const done = status === 'completed' || (status === 'active' && !leaving);
  if (done) return { sign: 'ok', word: leaving ? 'Saiu' : 'Chegou' };
  if (status === 'active') return { sign: 'out', word: 'No hangar' };
  return { sign: leaving ? 'out' : 'in', word: status === 'pending' ? 'A confirmar' : leaving ? 'Sai hoje' : 'Esperado' };
};

/** @type {T.DescribeMetrics} */
export const describeMetrics = (metrics, listings) => {
  const { revenueToday, bookingsToday, occupancyRate, growthPercentage } = metrics;
  return {
    revenueToday: { value: formatMoney(revenueToday), line: revenueToday === 0 ? 'Nenhum pagamento hoje ainda' : 'Pagamentos confirmados' },
    bookingsToday: { value: formatCount(bookingsToday), line: bookingsToday === 0 ? 'Nenhuma hoje ainda' : 'Recebidas desde a meia-noite' },
    occupancyRate: { value: formatPercent(occupancyRate), line: describeSpaces(listings, occupancyRate) || 'das vagas publicadas' },
    growthPercentage: { value: formatChange(growthPercentage), line: describeGrowth(growthPercentage) },
  };
};

/** @param {number} growth */
function describeGrowth(growth) {
  if (growth === 0) return 'Sem variação nos últimos 7 dias';
  // The server says 100 both for an exact double and for a week before without revenue.
  if (growth === 100) return 'Dobrou, ou sem base de comparação';
  return growth > 0 ? 'Acima dos 7 dias anteriores' : 'Abaixo dos 7 dias anteriores';
}

/** Spaces from the listings, occupied ones from the newer rate. Silent when the two do not agree. @type {T.DescribeSpaces} */
const describeSpaces = (listings, rate) => {
  const total = (listings ?? [])
    .filter((listing) => listing.status === 'active' && listing.isAvailable)
    .reduce((sum, listing) => sum + listing.totalSpaces, 0);
  const taken = Math.round((rate / 100) * total);
  if (total === 0 || Math.abs((taken / total) * 100 - rate) > 0.06) return '';
  return `${formatCount(taken)} de ${formatPlural(total, 'vaga ocupada', 'vagas ocupadas')}`;
};
