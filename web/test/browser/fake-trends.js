/**
 * Trends from memory, as the fake server answers them: an hourly history that is the same for the
 * same hour, summed up by bucket, in a zone three hours behind UTC.
 */
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const OFFSET_MS = 3 * HOUR_MS;
const LIMITS = { hour: 336, day: 400, week: 160, month: 60 };
const METRICS = ['revenue', 'bookings', 'cancelled', 'occupancy', 'averageStay', 'arrivals'];
/** Before it the owner had no booking, and before the second date spaces are not known. */
const FIRST_DAYS = 300;
const SPACES_DAYS = 21;

/** An instant as a text of the zone. @param {number} at */
const text = (at) => `${new Date(at - OFFSET_MS).toISOString().slice(0, 19)}-03:00`;
/** Midnight of a date. @param {string} date */
const midnight = (date) => Date.parse(`${date}T00:00:00-03:00`);
const dateOf = (/** @type {number} */ at) => text(at).slice(0, 10);

/** A number from 0 to 1 that belongs to an hour. @param {number} hour @param {number} salt */
const noise = (hour, salt) => {
  const x = Math.sin(hour * 12.9898 + salt * 78.233) * 43_758.5453;
  return x - Math.floor(x);
};
/** More by day than by night, more at the end of a week. @param {number} hour */
const weight = (hour) => {
  const local = new Date(hour * HOUR_MS - OFFSET_MS);
  const by = local.getUTCHours();
  return (by >= 7 && by <= 21 ? 1 : 0.1) * ([0, 5, 6].includes(local.getUTCDay()) ? 1.6 : 1);
};

/** @param {number} at @param {string} interval */
function begin(at, interval) {
  if (interval === 'hour') return Math.floor(at / HOUR_MS) * HOUR_MS;
  const date = dateOf(at);
  if (interval === 'month') return midnight(`${date.slice(0, 8)}01`);
  const day = midnight(date);
  return interval === 'day' ? day : day - ((new Date(day - OFFSET_MS).getUTCDay() + 6) % 7) * DAY_MS;
}

/** @param {number} start @param {string} interval */
function next(start, interval) {
  if (interval === 'hour') return start + HOUR_MS;
  if (interval === 'day') return start + DAY_MS;
  if (interval === 'week') return start + 7 * DAY_MS;
  return begin(start + 32 * DAY_MS, 'month');
}

/**
 * What the hours from one instant to another had. Today is what the cards say: what they said at
 * `owner.begun` is spread over the hours until then, and what came since belongs to this hour.
 * Each hour is that of one hangar alone, so all of them make up the whole.
 * @param {number} from @param {number} to @param {number} now @param {any} owner
 * @param {number} hangar the number of the one that is asked for, or -1
 */
function sum(from, to, now, { metrics, begun, listings }, hangar) {
  const today = midnight(dateOf(now));
  const first = today - FIRST_DAYS * DAY_MS;
  /** @type {Record<string, number | null>} */
  const found = { revenue: null, bookings: null, cancelled: null, occupancy: null, averageStay: null, arrivals: null };
  if (from >= now || to <= first) return found;
  const end = Math.min(to, now);
  const total = { revenue: 0, bookings: 0, cancelled: 0, occupancy: 0, stay: 0, arrivals: 0, ms: 0 };
  // How much of the first part of today is over at an instant, 0 to 1.
  const over = (/** @type {number} */ until) => {
    let [done, all] = [0, 0];
    for (let at = today; at < begun.at; at += HOUR_MS) {
      const whole = weight(at / HOUR_MS) * Math.min(1, (begun.at - at) / HOUR_MS);
      all += whole;
      if (at < until) done += whole;
    }
    return all > 0 ? done / all : 1;
  };
  const ofToday = (/** @type {'revenueToday' | 'bookingsToday'} */ name, /** @type {number} */ at, digits = 0) => {
    const base = begun.at > today ? begun[name] : 0;
    const until = (/** @type {number} */ instant) => Number((base * over(instant)).toFixed(digits));
    return until(at + HOUR_MS) - until(at) + (now - at < HOUR_MS ? metrics[name] - base : 0);
  };
  for (let at = Math.floor(Math.max(from, first) / HOUR_MS) * HOUR_MS; at < end; at += HOUR_MS) {
    const hour = at / HOUR_MS;
    if (hangar >= 0 && hour % listings.length !== hangar) continue;
    const part = Math.min(1, (end - at) / HOUR_MS, (at + HOUR_MS - from) / HOUR_MS);
    const isToday = at >= today;
    total.revenue += Math.round(100 * (isToday ? ofToday('revenueToday', at, 2) : part * weight(hour) * (120 + 420 * noise(hour, 1) + 150 * Math.sin(hour / 900))));
    const made = isToday ? ofToday('bookingsToday', at) : part * weight(hour) * 0.9 * noise(hour, 2);
    total.bookings += made;
    total.stay += made * (1.5 + 2.5 * noise(Math.floor(hour / 24), 3));
    total.cancelled += part * (noise(hour, 4) > 0.965 ? 1 : 0);
    total.arrivals += part * weight(hour) * 0.6 * noise(hour, 5);
    total.occupancy += part * Math.min(100, 48 + 30 * noise(Math.floor(hour / 24), 6) + 14 * Math.sin(hour / 260));
    total.ms += part;
  }
  const bookings = Math.round(total.bookings);
  return {
    revenue: total.revenue / 100, bookings, cancelled: Math.round(total.cancelled), arrivals: Math.round(total.arrivals),
    occupancy: total.ms > 0 ? Math.round(total.occupancy / total.ms * 10) / 10 : null,
    averageStay: bookings > 0 ? Math.round(total.stay / total.bookings * 10) / 10 : null,
  };
}

const change = (/** @type {number | null} */ value, /** @type {number | null} */ before) => (before && value !== null ? Math.round((value - before) / before * 1000) / 10 : null);

/**
 * The answer to a question, null for one that is refused, and undefined for a hangar of others.
 * @param {URLSearchParams} query @param {number} now @param {any} owner
 */
export function trendsOf(query, now, owner) {
  const interval = query.get('interval') ?? 'day';
  const hangarId = query.get('hangarId') ?? '';
  const hangar = owner.listings.findIndex((/** @type {any} */ one) => one.hangarId === hangarId);
  if (hangarId && hangar < 0) return undefined;
  const compare = query.get('compare') ?? 'none';
  const today = midnight(dateOf(now));
  const from = begin(midnight(query.get('from') ?? dateOf(today - 29 * DAY_MS)), interval);
  const to = midnight(query.get('to') ?? dateOf(today + DAY_MS));
  if (!(from < to) || to > today + DAY_MS) return null;
  /** @type {number[]} */
  const starts = [];
  for (let at = from; at < to; at = next(at, interval)) starts.push(at);
  if (starts.length > /** @type {any} */ (LIMITS)[interval]) return null;
  const end = next(/** @type {number} */ (starts.at(-1)), interval);
  const days = Math.round((end - from) / DAY_MS);
  const shift = (compare === 'year' ? (query.get('match') === 'weekday' ? 364 : 365) : query.get('match') === 'weekday' ? Math.ceil(days / 7) * 7 : days) * DAY_MS;
  const values = starts.map((start) => sum(start, next(start, interval), now, owner, hangar));
  const elapsed = (/** @type {number} */ start) => Math.max(start, Math.min(next(start, interval), now));
  const past = starts.map((start) => sum(start < now ? start - shift : Infinity, elapsed(start) - shift, now, owner, hangar));
  const total = sum(from, end, now, owner, hangar);
  const totalBefore = compare === 'none' ? null : sum(from - shift, Math.min(end, now) - shift, now, owner, hangar);
  const series = (/** @type {any[]} */ rows) => Object.fromEntries(METRICS.map((metric) => [metric, rows.map((row) => row[metric])]));
  return {
    timezone: 'America/Sao_Paulo', interval, from: dateOf(from), to: dateOf(end), asOf: text(now),
    buckets: starts.map((start) => ({ start: text(start), end: text(next(start, interval)), seconds: (next(start, interval) - start) / 1000, complete: next(start, interval) <= now })),
    series: series(values), ...(compare !== 'none' && { before: series(past) }),
    totals: Object.fromEntries(METRICS.map((metric) => [metric, {
      value: total[metric], before: totalBefore?.[metric] ?? null, change: change(total[metric], totalBefore?.[metric] ?? null),
    }])),
    since: { occupancy: dateOf(today - SPACES_DAYS * DAY_MS) }, definitions: {},
  };
}

/** The same as a file for spreadsheets. @param {any} answer @param {boolean} point */
export function csvOf(answer, point) {
  const number = (/** @type {number | null} */ value) => (value === null ? '' : point ? String(value) : String(value).replace('.', ','));
  const lines = [['start', ...METRICS], ...answer.buckets.map((/** @type {any} */ bucket, /** @type {number} */ i) => [bucket.start, ...METRICS.map((metric) => number(answer.series[metric][i]))])];
  return `\uFEFF${lines.map((line) => line.join(point ? ',' : ';')).join('\r\n')}\r\n`;
}

/** The last 14 days, as the overview tells them. @param {number} now @param {any} owner */
export function sparklinesOf(now, owner) {
  const from = dateOf(midnight(dateOf(now)) - 13 * DAY_MS);
  const { buckets, series } = /** @type {any} */ (trendsOf(new URLSearchParams({ interval: 'day', from }), now, owner));
  return { days: buckets.map((/** @type {any} */ bucket) => bucket.start.slice(0, 10)), revenue: series.revenue, bookings: series.bookings, occupancy: series.occupancy };
}
