/**
 * The words of the dashboard: the catalogue, and numbers, dates, states and events in the words of
 * one language. Another language is a file in words/ and a line in CATALOGUES below. The same facts
 * and time give the same words.
 * @import * as T from '../shapes.js'
 */
import { loadModule } from '../parts.js';

/**
 * All words of the dashboard in Brazilian Portuguese, the language where no other is asked for.
 * A pair is one and many, `{x}` is filled in. A view's own Portuguese words are loaded with it; a
 * file in words/ has those of all views.
 */
export const PORTUGUESE = {
  language: 'pt-BR',
  // Numbers, days and clocks; `omitFrom…` is left out of what the browser says
  omitFromWeekday: '-feira', omitFromZone: [' Padrão', ' Normal'], seconds: '{n} s',
  minutes: '{n} min', hours: '{n} h', days: ['dia', 'dias'],
  // Connection
  connecting: 'Conectando…', live: 'Ao vivo', updated: 'atualizado {ago}', now: 'agora',
  ago: 'há {span}', dataOf: 'dados de {time}', expired: 'Sessão expirada',
  signInAgain: 'entre de novo', noAccess: 'Sem acesso a esta conta', ended: 'Encerrado',
  paused: 'Atualizações pausadas · {n} em espera', unconfirmedShort: 'sem confirmação',
  disconnectedShort: 'desconectado', unconfirmed: 'Sem confirmação',
  unconfirmedFor: 'Sem confirmação há {span}', offline: 'Sem internet',
  offlineHint: 'volta sozinho quando a rede voltar',
  disconnected: 'Desconectado - Tentando reconectar...', trying: 'tentando agora',
  nextTry: 'próxima tentativa em {span}', partly: 'Ao vivo, incompleto',
  partlyRefused: 'o servidor não entregou os dados', partlyLate: 'os dados não chegaram',
  noToken: 'o acesso não foi renovado',
  otherOrigin: 'o servidor não aceita esta página (ALLOWED_ORIGINS)',
  serverBusy: 'o servidor pediu para esperar', restored: 'Conexão restabelecida.',
  lost: 'Conexão perdida, tentando reconectar.', pause: 'Pausar', resume: 'Retomar',
  reconnect: 'Reconectar', printed: 'Impresso em {time}',
  // Cards
  today: 'Números de hoje', revenueToday: 'Receita hoje', bookingsToday: 'Reservas hoje',
  occupancyRate: 'Ocupação agora', growthPercentage: 'Crescimento vs. semana anterior',
  sinceMidnight: 'hoje, desde 00:00', withoutCancelled: 'sem as canceladas',
  thisMoment: 'neste momento', paidRevenue: 'receita paga, 7 dias',
  noPayment: 'Nenhum pagamento hoje ainda', payments: 'Pagamentos confirmados',
  noBookings: 'Nenhuma hoje ainda', bookings: 'Recebidas desde 00:00',
  ofSpaces: 'das vagas publicadas',
  spacesTaken: ['{taken} de {n} vaga ocupada', '{taken} de {n} vagas ocupadas'],
 
  activeListings: 'Anúncios ativos',
  pendingPayouts: 'Repasses pendentes', nextPayoutDate: 'Próximo repasse', noDate: 'sem data',
  // Today
  agenda: 'Chegadas e saídas de hoje', arrivals: 'Chegam hoje', departures: 'Saem hoje',
  noArrivals: 'Ninguém chega hoje.', noDepartures: 'Ninguém sai hoje.',
  noneLeft: 'Ninguém mais hoje.', past: ['{n} já passou', '{n} já passaram'],
  agendaFailed: 'Não foi possível carregar as chegadas e saídas de hoje.', retry: 'Tentar de novo',
  allOf: 'Ver todos ({n})', less: 'Ver menos', someDay: 'hoje', noName: 'Hóspede sem nome',
  arrived: 'Chegou', left: 'Saiu', inside: 'No hangar', toConfirm: 'A confirmar',
  leavesToday: 'Sai hoje', arrivesToday: 'Chega hoje', expected: 'Esperado', over: 'Concluída',
  // Feed
  feed: 'Atividade', unread: ['não lida', 'não lidas'], allRead: 'tudo lido',
  fresh: ['nova', 'novas'], markAll: 'Marcar todas como lidas', clear: 'Limpar', undo: 'Desfazer',
  more: 'Mostrar mais', markRead: 'Marcar como lida', filter: 'Mostrar', filterAll: 'Tudo',
  filterBookings: 'Reservas', filterPending: 'A confirmar', filterMoney: 'Pagamentos',
  filterMoves: 'Chegadas e saídas',
  noneToday: 'Nenhuma reserva hoje ainda. As novas aparecem aqui na hora.',
  noneHere: 'Nada deste tipo por aqui.',
  noneUnread: 'Nada para ler. As novas reservas aparecem aqui na hora.',
  feedFailed: 'Não foi possível carregar as reservas. As novas aparecem aqui na hora.',
  becameOccupied: 'Ficou ocupado', becameFree: 'Ficou livre', came: 'Chegou: {who}',
  went: 'Saiu: {who}', paymentReceived: 'Pagamento recebido', by: 'por {method}',
  bookingNew: 'Nova reserva', bookingDone: 'Reserva concluída', bookingChanged: 'Reserva alterada',
  checkedIn: 'Check-in feito', bookingIs: 'Reserva {status}', bookingPlain: 'Reserva',
  nights: ['diária', 'diárias'],
  status: {
    pending: 'pendente', confirmed: 'confirmada', active: 'em andamento', completed: 'concluída',
    cancelled: 'cancelada', deleted: 'excluída',
  },
  payment: {
    pix: 'Pix', credit_card: 'cartão de crédito', debit_card: 'cartão de débito', card: 'cartão',
    boleto: 'boleto', bank_transfer: 'transferência', transfer: 'transferência', cash: 'dinheiro',
    stripe: 'cartão',
  },
  newBookings: ['{n} nova reserva.', '{n} novas reservas.'], revenueIs: 'Receita de hoje: {money}.',
  // Hangars
  hangars: 'Hangares', occupied: 'Ocupado', free: 'Livre', unavailable: 'Indisponível',
  spaces: ['{taken} de {n} vaga', '{taken} de {n} vagas'], noSpaces: 'sem vagas',
  perDay: '{money} por dia', occupiedOf: ['{taken} ocupado de {n}', '{taken} ocupados de {n}'],
  noHangars: 'Nenhum hangar publicado ainda.',
  hangarsFailed: 'Não foi possível carregar os hangares. Nova tentativa na próxima atualização.',
  reloading: 'atualizando…', openListing: 'Abrir o anúncio de {hangar}',
  // Details
  details: 'Detalhes da reserva', openDetails: 'Ver os detalhes: {what}', close: 'Fechar',
  guest: 'Hóspede', hangar: 'Hangar', stay: 'Estadia', price: 'Preço', paymentLabel: 'Pagamento',
  paid: 'recebido', unpaid: 'ainda não recebido', statusLabel: 'Situação', history: 'Histórico',
  historySince: 'O que se sabe desde {time}.', noHistory: 'Nada mudou desde {time}.',
  openBooking: 'Abrir no portal', detailsFailed: 'Não foi possível carregar a reserva.',
  detailsGone: 'Esta reserva não existe mais.', loading: 'Carregando…',
  // Calendar and trends, whose own words are loaded with them
  calendar: 'Calendário', trends: 'Tendências', show: 'Abrir',
  notLoaded: '{panel}: não foi possível carregar.',
  // Page
  skip: 'Ir para os números', yourNumbers: 'Seus números', account: 'Conta',
  accountOf: 'Conta {id}', demo: 'Demo',
  demoHint: 'Os dados são inventados; um simulador reserva e paga.', signOut: 'Sair',
  signIn: 'Entrar', again: 'Entrar de novo',
  noAccounts: 'Este usuário não tem nenhuma conta de proprietário.',
  accessLost: 'Você não tem mais acesso a esta conta.', openAccount: 'Abrir {company}',
  sessionOver: 'Sua sessão expirou. Os números não mudam mais.',
  portalOver: 'Sua sessão no portal expirou. Entre lá de novo.',
  sessionEnded: 'Sua sessão expirou. Entre de novo.', switching: 'Trocando de conta…',
  notSwitched: 'Não foi possível trocar de conta. Tente de novo.',
  stillSignedIn: 'O servidor não respondeu: a sessão pode continuar aberta. Entre e saia de novo quando a rede voltar.',
  noAnswer: 'O servidor não responde. Tentando de novo…', tryNow: 'Tentar agora',
  busyFor: 'O servidor pediu para esperar {span}.',
  refusedPage: 'O servidor recusou esta página ({code}). Um proxy no caminho troca o nome do servidor? Veja ALLOWED_ORIGINS e TRUSTED_PROXIES na documentação.',
  signInHint: 'Com o e-mail e a senha do portal HangarShare.', email: 'E-mail', password: 'Senha',
  showPassword: 'Mostrar o que digito', forgot: 'Esqueceu a senha?',
  wrongPassword: 'E-mail ou senha incorretos.',
  tooMany: 'Muitas tentativas. Tente de novo em {span}.',
  noPasswords: 'Este servidor não aceita entrada por senha: abra a página pelo portal.',
  noReply: 'O servidor não respondeu. Tente de novo.',
  invited: '{who} convidou você para a conta {company} ({role}).', accept: 'Aceitar',
  decline: 'Recusar', notAnswered: 'A resposta não chegou ao servidor. Tente de novo.',
  roles: { owner: 'proprietário', manager: 'gestor', viewer: 'leitor' },
  unreadElsewhere: ['{n} não lida em outras contas', '{n} não lidas em outras contas'],
};

const oneDecimal = /** @type {const} */ ({ style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 });
const DAY = /** @type {const} */ ({ day: 'numeric', month: 'short' });
const SECOND = 1000;

/** @param {string} text @param {Record<string, string | number>} [values] */
const fill = (text, values = {}) => text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));

/**
 * The calendar day of an RFC 3339 text, as midnight in UTC. No time zone is ever applied to it.
 * @param {string} text
 */
const written = (text) => {
  const [year, month, day] = (/^(\d{4})-(\d\d)-(\d\d)/.exec(text) ?? []).slice(1).map(Number);
  return Date.UTC(year, month - 1, day);
};

/** "14:00"; empty for a midnight, which is a day and no hour. @type {T.FormatWritten} */
export const formatHour = (text) => (/T(?!00:00)(\d\d:\d\d)/.exec(text) ?? [])[1] ?? '';

/** A character that a reader can see. */
const VISIBLE = /[^\s\p{Cf}\p{Cc}\p{Mn}\u115F\u1160\u2800\u3164\uFFA0]/u;
/** Characters that turn the direction of the text after them (UAX #9). */
const DIRECTIONS = /[\u202A-\u202E\u2066-\u2069\u200E\u200F\u061C]/g;

/** A name to show, without marks of direction. Empty when nothing of it can be seen. */
export const visible = (name = '') => (VISIBLE.test(name) ? name.replace(DIRECTIONS, '').trim() : '');

/**
 * A name within a sentence, whose direction does not change the sentence's.
 * @param {string} name
 */
export const isolated = (name) => `\u2068${name}\u2069`;

/** @param {(string | undefined)[]} parts */
const joined = (parts) => parts.filter(Boolean).join(' · ');

/** A loss shorter than this is not shown. */
const GRACE_MS = 2000;

/** @type {T.NewWording} */
export function newWording(words, views = {}) {
  const { language } = words;
  const money = new Intl.NumberFormat(language, { style: 'currency', currency: 'BRL', currencyDisplay: 'narrowSymbol' });
  const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
  const percent = new Intl.NumberFormat(language, oneDecimal);
  const signed = new Intl.NumberFormat(language, { ...oneDecimal, signDisplay: 'exceptZero' });
  const plural = new Intl.PluralRules(language);
  /** @type {Map<string, Intl.DateTimeFormat>} */
  const clocks = new Map();

  /** @param {T.Zone} zone @param {Intl.DateTimeFormatOptions} options */
  const clock = (zone, options) => {
    const key = `${zone} ${Object.keys(options)}`;
    let format = clocks.get(key);
    if (!format) {
      try {
        format = new Intl.DateTimeFormat(language, { ...options, timeZone: zone || undefined });
      } catch {
        format = new Intl.DateTimeFormat(language, options); // a zone this browser does not know
      }
      clocks.set(key, format);
    }
    return format;
  };

  /** @type {T.Say} */
  const say = (name, values) => fill(/** @type {string} */ (words[name]), values);
  const formatMoney = (/** @type {number} */ value) => money.format(value);
  const formatCount = (/** @type {number} */ value) => whole.format(value);
  const formatPercent = (/** @type {number} */ value) => percent.format(value / 100);
  const formatChange = (/** @type {number} */ value) => signed.format(value / 100);

  /** CLDR counts 0 as one in Portuguese; people do not. @type {T.FormatPlural} */
  const formatPlural = (n, one, other, none = `0 ${other}`) =>
    (n === 0 ? none : `${whole.format(n)} ${plural.select(n) === 'one' ? one : other}`);
  /** @type {T.SayMany} */
  const sayMany = (name, n, values) => {
    const [one, many] = /** @type {[string, string]} */ (words[name]);
    return fill(n !== 0 && plural.select(n) === 'one' ? one : many, { n: whole.format(n), ...values });
  };

  /** @type {T.FormatWritten} */
  const formatWeekday = (text) => (written(text) ? clock('UTC', { weekday: 'long', ...DAY }).format(written(text)).replace(words.omitFromWeekday, '') : '');
  /** @type {T.FormatStay} */
  const formatStay = (from, to) => (written(from) <= written(to) ? clock('UTC', DAY).formatRange(written(from), written(to)) : '–');
  /** @type {T.FormatInstant} */
  const formatTime = (at, zone) => clock(zone, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(at);
  /** @type {T.FormatInstant} */
  const formatMoment = (at, zone) => clock(zone, { ...DAY, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(at);
  /** @type {T.FormatInstant} */
  const dayOf = (at, zone) => {
    const parts = clock(zone, { year: 'numeric', month: '2-digit', day: '2-digit' }).formatToParts(at);
    return ['year', 'month', 'day'].map((type) => parts.find((part) => part.type === type)?.value).join('-');
  };
  /** @type {T.FormatInstant} */
  const zoneLabel = (at, zone) => {
    if (!zone || formatMoment(at, zone) === formatMoment(at)) return '';
    const name = clock(zone, { timeZoneName: 'longGeneric' }).formatToParts(at).find(({ type }) => type === 'timeZoneName')?.value;
    return words.omitFromZone.reduce((text, part) => text.replace(part, ''), name ?? zone).replace(/^Hor/, 'hor');
  };

  /** @type {T.FormatNumber} */
  const formatSpan = (ms) => {
    const seconds = Math.max(0, Math.floor(ms / SECOND));
    if (seconds < 60) return say('seconds', { n: seconds });
    if (seconds < 3600) return say('minutes', { n: Math.floor(seconds / 60) });
    if (seconds < 86_400) return say('hours', { n: Math.floor(seconds / 3600) });
    return formatPlural(Math.floor(seconds / 86_400), ...words.days);
  };
  /** @type {T.FormatNumber} */
  const formatAgo = (ms) => (ms < 3000 ? words.now : say('ago', { span: formatSpan(ms) }));

  /** @type {T.DescribeConnection} */
  const describeConnection = (facts, now) => {
    const { status, confirmedAt, nextTryAt, downSince, zone, cause = '', partFailed } = facts;
    const skew = facts.skew ?? 0;
    const known = confirmedAt !== null;
    const fresh = known ? say('updated', { ago: formatAgo(now - confirmedAt) }) : '';
    const label = zoneLabel(now + skew, zone);
    const dataOf = known ? say('dataOf', { time: formatTime(confirmedAt + skew, zone) }) + (label && ` (${label})`) : '';
    /**
     * @type {(tone: T.Tone, label: string, ...detail: string[]) =>
     *   ReturnType<T.DescribeConnection>}
     */
    const tell = (tone, word, ...detail) => ({ tone, label: word, detail: joined(detail), frozen: tone === 'warn' || tone === 'down' });
    const inSeconds = (/** @type {number | null} */ at) => (at === null ? '' : say('nextTry', { span: formatSpan(Math.max(1000, Math.ceil((at - now) / 1000) * 1000)) }));

    if (status === 'auth_required') {
      return facts.refused ? tell('down', words.noAccess, dataOf) : tell('down', words.expired, words.signInAgain, dataOf);
    }
    if (status === 'closed') return tell('down', words.ended, dataOf);
    if (!facts.judged) return tell('busy', words.connecting);
    const brief = downSince !== null && now - downSince < GRACE_MS;
    if (facts.held !== null) {
      const lost = status === 'stale' ? words.unconfirmedShort : status === 'live' || brief ? '' : words.disconnectedShort;
      return { ...tell('paused', say('paused', { n: whole.format(facts.held) }), lost, dataOf), frozen: lost !== '' };
    }
    if (status === 'live' || brief) {
      if (partFailed) {
        return tell('warn', words.partly, partFailed.late ? words.partlyLate : words.partlyRefused + (partFailed.code ? ` (${partFailed.code})` : ''), inSeconds(partFailed.nextTryAt), dataOf);
      }
      return known ? tell('live', words.live, fresh) : tell('busy', words.connecting);
    }
    if (status === 'stale') return tell('warn', known ? say('unconfirmedFor', { span: formatSpan(now - confirmedAt) }) : words.unconfirmed, dataOf);
    if (facts.offline) return tell('warn', words.offline, words.offlineHint, dataOf);
    const why = { token: words.noToken, origin: words.otherOrigin, limited: words.serverBusy }[cause] ?? '';
    return tell('warn', words.disconnected, why, status === 'connecting' ? words.trying : inSeconds(nextTryAt), dataOf);
  };

  /** @param {string} status */
  const statusWord = (status) => words.status[status] ?? status;
  /** @param {string} method */
  const paymentWord = (method) => words.payment[method.toLowerCase()] ?? visible(method);

  /** @type {T.DescribeItem} */
  const describeItem = ({ kind, data }) => {
    const hangar = visible(data.hangarNumber);
    if (kind === 'occupancy_changed') {
      const { isNowOccupied, newOccupant, previousOccupant } = /** @type {T.OccupancyChange} */ (data);
      const who = visible(isNowOccupied ? newOccupant : previousOccupant);
      return {
        sign: isNowOccupied ? 'in' : 'out', title: isNowOccupied ? words.becameOccupied : words.becameFree, hangar,
        detail: who ? say(isNowOccupied ? 'came' : 'went', { who: isolated(who) }) : '', amount: '', struck: false,
      };
    }
    if (kind === 'revenue_received') {
      const { paymentMethod, amount } = /** @type {T.RevenueReceived} */ (data);
      const method = paymentWord(paymentMethod);
      return { sign: 'money', title: words.paymentReceived, hangar, detail: method && say('by', { method }), amount: formatMoney(amount), struck: false };
    }
    const booking = /** @type {T.BookingNotification} */ (data);
    const { status = '', previousStatus, duration } = booking;
    const struck = status === 'cancelled' || status === 'deleted';
    let title = words.bookingChanged;
    if (kind === 'booking_created') title = words.bookingNew;
    else if (kind === 'booking_completed') title = words.bookingDone;
    else if (kind === 'booking') title = words.status[status] ? say('bookingIs', { status: words.status[status] }) : words.bookingPlain;
    else if (status !== previousStatus && status === 'active') title = words.checkedIn;
    else if (status !== previousStatus && words.status[status]) title = say('bookingIs', { status: words.status[status] });
    const guest = visible(booking.guestName);
    return {
      sign: struck ? 'cancel' : /^booking(_created)?$/.test(kind) ? 'new' : title === words.bookingChanged ? 'edit' : 'ok',
      title, hangar, struck, amount: formatMoney(booking.amount),
      detail: joined([guest && isolated(guest), formatStay(booking.checkInDate, booking.checkOutDate), duration > 0 ? formatPlural(duration, ...words.nights) : '']),
    };
  };

  /** @type {T.DescribeStay} */
  const describeStay = (status, leaving, when = {}) => {
    const { begun = status === 'active', over = false, hourless = false } = when;
    if (status === 'completed') return { sign: 'ok', word: leaving ? words.left : words.over };
    if (status !== 'confirmed' && status !== 'active') return { sign: leaving ? 'out' : 'in', word: status === 'pending' || !status ? words.toConfirm : statusWord(status) };
    if (over) return { sign: 'ok', word: words.left };
    if (!leaving) return begun ? { sign: 'ok', word: words.arrived } : { sign: 'in', word: hourless ? words.arrivesToday : words.expected };
    return { sign: 'out', word: begun ? words.inside : words.leavesToday };
  };

  /** @type {T.DescribeMetrics} */
  const describeMetrics = (metrics, overview) => {
    const { revenueToday, bookingsToday, occupancyRate } = metrics;
    const { occupied = 0, offered = 0 } = overview?.spaces ?? {};
    return {
      revenueToday: { value: formatMoney(revenueToday), line: revenueToday === 0 ? words.noPayment : words.payments },
      bookingsToday: { value: formatCount(bookingsToday), line: bookingsToday === 0 ? words.noBookings : words.bookings },
      occupancyRate: { value: formatPercent(occupancyRate), line: offered > 0 ? sayMany('spacesTaken', offered, { taken: formatCount(occupied) }) : words.ofSpaces },
    };
  };

  return {
    words, views, say, sayMany, formatMoney, formatCount, formatPercent, formatChange, formatPlural, formatWeekday, formatStay, formatTime, formatMoment, dayOf,
    zoneLabel, formatSpan, formatAgo, describeConnection, describeItem, describeStay, describeMetrics, statusWord, paymentWord,
  };
}

/** Portuguese, in force until another language is asked for and loaded. */
export const wording = newWording(/** @type {T.Catalogue} */ (/** @type {unknown} */ (PORTUGUESE)));
export const {
  formatMoney, formatCount, formatPercent, formatChange, formatPlural, formatWeekday, formatStay, formatTime, formatMoment, dayOf, zoneLabel, formatSpan,
  formatAgo, describeConnection, describeItem, describeStay, describeMetrics,
} = wording;

/**
 * The other languages, loaded when used.
 * @type {Record<string, () => Promise<{default: T.Language}>>}
 */
export const CATALOGUES = {
  en: () => import('../words/en.js'),
  es: () => import('../words/es.js'),
};

/**
 * The words of a language like en-GB. Null where there is no catalogue, or where it is Portuguese.
 * @param {string} language @returns {Promise<T.Wording | null>}
 */
export async function wordingOf(language) {
  const name = language.toLowerCase().split('-')[0];
  const load = Object.hasOwn(CATALOGUES, name) && CATALOGUES[name];
  if (!load) return null;
  const { page, ...views } = (await loadModule(`words/${name}`, load)).default;
  return newWording(page, views);
}
