/**
 * Numbers, dates and durations in Brazilian Portuguese. Dates that the server
 * wrote are shown as written: their text already is the server zone's local time.
 */
const money = new Intl.NumberFormat('pt-BR', { style: 'currency', currency: 'BRL' });
const whole = new Intl.NumberFormat('pt-BR', { maximumFractionDigits: 0 });
const percent = new Intl.NumberFormat('pt-BR', { style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 });
const signedPercent = new Intl.NumberFormat('pt-BR', {
  style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1, signDisplay: 'exceptZero',
});
const plural = new Intl.PluralRules('pt-BR');
/** @type {Map<string, Intl.DateTimeFormat>} */
const clocks = new Map();

const MONTHS = ['jan.', 'fev.', 'mar.', 'abr.', 'mai.', 'jun.', 'jul.', 'ago.', 'set.', 'out.', 'nov.', 'dez.'];
const WEEKDAYS = ['domingo', 'segunda', 'terça', 'quarta', 'quinta', 'sexta', 'sábado'];

/** @param {number} value BRL */
export const formatMoney = (value) => money.format(value);
/** @param {number} value */
export const formatCount = (value) => whole.format(value);
/** @param {number} value a percentage, 0 to 100 */
export const formatPercent = (value) => percent.format(value / 100);
/** With a sign, except for zero. @param {number} value a percentage */
export const formatChange = (value) => signedPercent.format(value / 100);

/**
 * "nenhuma reserva", "1 reserva", "2 reservas". CLDR counts 0 as one in Portuguese; people do not.
 * @param {number} n @param {string} one @param {string} other @param {string} [none]
 */
export function formatPlural(n, one, other, none) {
  if (n === 0) return none ?? `0 ${other}`;
  return `${whole.format(n)} ${plural.select(n) === 'one' ? one : other}`;
}

/**
 * The calendar day written in an RFC 3339 text, without any conversion.
 * @param {string} text
 * @returns {{year: number, month: number, day: number, weekday: number} | null}
 */
export function writtenDay(text) {
  const parts = /^(\d{4})-(\d{2})-(\d{2})/.exec(text);
  if (!parts) return null;
  const [year, month, day] = parts.slice(1).map(Number);
  if (month < 1 || month > 12 || day < 1 || day > 31) return null;
  return { year, month, day, weekday: new Date(Date.UTC(year, month - 1, day)).getUTCDay() };
}

/** "21 jan.", as written. @param {string} text */
export function formatDay(text) {
  const date = writtenDay(text);
  return date ? `${date.day} ${MONTHS[date.month - 1]}` : '–';
}

/** "sexta", as written. @param {string} text */
export function formatWeekday(text) {
  const date = writtenDay(text);
  return date ? WEEKDAYS[date.weekday] : '';
}

/** "21–24 jan." or "30 jan. – 2 fev.", as written. @param {string} from @param {string} to */
export function formatStay(from, to) {
  const a = writtenDay(from);
  const b = writtenDay(to);
  if (!a || !b) return formatDay(a ? from : to);
  if (a.year === b.year && a.month === b.month) {
    return a.day === b.day ? formatDay(from) : `${a.day}–${b.day} ${MONTHS[a.month - 1]}`;
  }
  return `${formatDay(from)} – ${formatDay(to)}`;
}

/** "14:32" on a zone's clock; the browser's zone when none is given. @param {number} at @param {string | null} [timezone] */
export function formatTime(at, timezone) {
  return clock(timezone, { hour: '2-digit', minute: '2-digit' }).format(at);
}

/** "21 de jan., 14:32". @param {number} at @param {string | null} [timezone] */
export function formatMoment(at, timezone) {
  return clock(timezone, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' }).format(at);
}

/** @param {string | null | undefined} timezone @param {Intl.DateTimeFormatOptions} options */
function clock(timezone, options) {
  const key = `${timezone ?? ''} ${Object.keys(options)}`;
  let format = clocks.get(key);
  if (!format) {
    try {
      format = new Intl.DateTimeFormat('pt-BR', { ...options, timeZone: timezone || undefined });
    } catch {
      format = new Intl.DateTimeFormat('pt-BR', options); // a zone this browser does not know
    }
    clocks.set(key, format);
  }
  return format;
}

/** "agora", "há 20 s", "há 3 min", "há 2 h", "há 4 dias". @param {number} ms */
export function formatAgo(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 3) return 'agora';
  return `há ${formatSpan(ms)}`;
}

/** "20 s", "3 min", "2 h", "4 dias". @param {number} ms */
export function formatSpan(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return formatPlural(Math.floor(seconds / 86_400), 'dia', 'dias');
}
