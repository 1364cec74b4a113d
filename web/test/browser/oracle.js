/**
 * Random statements of a portal against one owner's tables, and what the page must show after them:
 * computed here from the tables and from REST, never by the page's own code.
 */
import { isDeepStrictEqual } from 'node:util';

const ZONE = 'America/Sao_Paulo';
const LIVING = ['confirmed', 'active'];
/**
 * Hours from now at which stays begin and end: never so near that the hour comes while a picture is
 * compared.
 */
const HOURS = [-75, -30, -11, -3, -1, 1, 2, 5, 13, 26, 80];

/** A small generator of numbers that a seed decides (mulberry32). @param {number} seed */
export function randomOf(seed) {
  const next = () => {
    seed = (seed + 0x6D2B79F5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return { next, below: (/** @type {number} */ n) => Math.floor(next() * n), pick: (/** @type {any[]} */ all) => all[Math.floor(next() * all.length)] };
}

/** An owner of the test's own, whom no simulator knows. @param {import('pg').Client} db */
export async function addOwner(db) {
  const guests = [];
  for (const [first, last] of [['Ana', 'Souza'], ['Lia', 'Prado'], ['Rui', 'Castro'], ['Táxi Aéreo', 'Vale']]) {
    const { rows: [row] } = await db.query(`INSERT INTO users (first_name, last_name, email, password_hash) VALUES ($1, $2, $3, '-') RETURNING id`,
      [first, last, `${first.replace(/\W/g, '')}.${Math.random()}@example.com`]);
    guests.push(row.id);
  }
  const { rows: [user] } = await db.query(`INSERT INTO users (first_name, last_name, email, password_hash) VALUES ('Bia', 'Dona', $1, '-') RETURNING id`, [`bia.${Math.random()}@example.com`]);
  const { rows: [owner] } = await db.query(`INSERT INTO hangar_owners (user_id, company_name) VALUES ($1, 'Hangares da Verdade') RETURNING id`, [user.id]);
  return { id: String(owner.id), userId: String(user.id), guests };
}

/**
 * One statement as a portal makes it, by chance.
 * @param {import('pg').Client} db @param {Awaited<ReturnType<typeof addOwner>>} owner
 * @param {ReturnType<typeof randomOf>} random @param {number} n of its kind's names
 */
export async function change(db, owner, random, n) {
  const { below, pick } = random;
  const ids = async (/** @type {string} */ query) => (await db.query(query, [owner.id])).rows.map(({ id }) => id);
  const hangars = await ids('SELECT id FROM hangar_listings WHERE owner_id = $1 ORDER BY id');
  const bookings = await ids('SELECT b.id FROM bookings b JOIN hangar_listings l ON l.id = b.hangar_id WHERE l.owner_id = $1 ORDER BY b.id');
  const at = (/** @type {number} */ hours) => `date_trunc('minute', now() AT TIME ZONE 'utc') + interval '${hours} hours'`;
  const status = pick(['pending', 'confirmed', 'confirmed', 'active', 'completed', 'cancelled']);
  const hangar = pick(hangars);
  const booking = pick(bookings);
  /** @type {[string, any[]?]} */
  let statement;
  const kind = hangars.length < 3 ? 0 : bookings.length < 6 ? 1 : below(13);
  const begins = pick(HOURS.slice(0, -1));
  const ends = pick(HOURS.filter((hours) => hours > begins));
  switch (kind) {
    case 0:
      statement = [`INSERT INTO hangar_listings (owner_id, hangar_number, icao_code, aerodrome_name, city, state, daily_rate, total_spaces)
        VALUES ($1, $2, 'SBMT', 'Campo de Marte', 'São Paulo', 'SP', $3, $4)`, [owner.id, `H-${n}`, 100 + below(900), pick([1, 1, 2, 3, 0, 2001])]];
      break;
    case 1: case 2:
      statement = [`INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, payment_method, payment_date)
        VALUES ($1, $2, ${at(begins)}, ${at(ends)}, 1, $3::numeric, 10, $3::numeric + 10, $4, 'pix', ${below(2) ? "now() AT TIME ZONE 'utc'" : 'NULL'})`, [hangar, pick(owner.guests), below(100_000) / 100, status]];
      break;
    case 3: // days without hours, as many portals have them
      statement = [`UPDATE bookings SET check_in = ((now() AT TIME ZONE '${ZONE}')::date - $2::int)::timestamp AT TIME ZONE '${ZONE}' AT TIME ZONE 'utc',
        check_out = ((now() AT TIME ZONE '${ZONE}')::date + $3::int)::timestamp AT TIME ZONE '${ZONE}' AT TIME ZONE 'utc' WHERE id = $1`, [booking, below(3), 1 + below(2)]];
      break;
    case 4: case 5: statement = ['UPDATE bookings SET status = $2 WHERE id = $1', [booking, status]]; break;
    case 6: statement = [`UPDATE bookings SET check_in = ${at(begins)}, check_out = ${at(ends)} WHERE id = $1`, [booking]]; break;
    // A turnover.
    case 7: statement = [`UPDATE bookings SET user_id = $2, hangar_id = $3 WHERE id = $1`, [booking, pick(owner.guests), hangar]]; break;
    case 8: statement = [`UPDATE bookings SET payment_date = now() AT TIME ZONE 'utc', total_price = $2 WHERE id = $1`, [booking, below(100_000) / 100]]; break;
    case 9: statement = below(3) ? ['DELETE FROM bookings WHERE id = $1', [booking]] : ['UPDATE hangar_listings SET hangar_number = $2 WHERE id = $1', [hangar, `N-${n}`]]; break;
    case 10: statement = ['UPDATE hangar_listings SET daily_rate = $2, total_spaces = $3 WHERE id = $1', [hangar, below(1000), pick([1, 1, 2, 3, 0, 2001])]]; break;
    case 11: statement = ['UPDATE hangar_listings SET is_available = $2, status = $3 WHERE id = $1', [hangar, below(4) > 0, pick(['active', 'active', 'inactive'])]]; break;
    default: statement = ['DELETE FROM hangar_listings l WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM bookings WHERE hangar_id = l.id)', [hangar]];
  }
  await db.query(...statement);
  return `${statement[0].replace(/\s+/g, ' ')} ${JSON.stringify(statement[1])}`;
}

/** @param {number} n @param {string} one @param {string} many */
const counted = (n, one, many) => `${n.toLocaleString('pt-BR')} ${n === 1 ? one : many}`;
const money = (/** @type {number} */ n) => n.toLocaleString('pt-BR', { style: 'currency', currency: 'BRL' });
const percent = (/** @type {number} */ n, /** @type {object} */ options = {}) => (n / 100).toLocaleString('pt-BR', { style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1, ...options });
const dayIn = (/** @type {Date} */ at) => at.toLocaleDateString('en-CA', { timeZone: ZONE });
const hourIn = (/** @type {Date} */ at) => at.toLocaleTimeString('pt-BR', { timeZone: ZONE, hour: '2-digit', minute: '2-digit' });

/**
 * What the page should show now: numbers from REST, hangars and today from the tables.
 * @param {import('pg').Client} db @param {string} ownerId
 * @param {(part: string) => Promise<any>} rest
 */
export async function expectedPicture(db, ownerId, rest) {
  const [metrics, { listings }] = [await rest('metrics'), await rest('listings')];
  const { rows: stays } = await db.query(`SELECT b.id, b.hangar_id, b.status, b.check_in AT TIME ZONE 'utc' AS "from", b.check_out AT TIME ZONE 'utc' AS until,
    l.hangar_number AS hangar, concat_ws(' ', u.first_name, u.last_name) AS guest
    FROM bookings b JOIN hangar_listings l ON l.id = b.hangar_id JOIN users u ON u.id = b.user_id WHERE l.owner_id = $1`, [ownerId]);
  const { rows: hangars } = await db.query(`SELECT id, hangar_number, status, is_available, total_spaces, daily_rate::float AS rate FROM hangar_listings WHERE owner_id = $1`, [ownerId]);
  const now = new Date();
  const inside = (/** @type {any} */ stay) => LIVING.includes(stay.status) && stay.from <= now && now < stay.until;
  const within = (/** @type {any} */ hangar) => stays.filter((stay) => stay.hangar_id === hangar.id && inside(stay));
  const open = (/** @type {any} */ hangar) => hangar.status === 'active' && hangar.is_available;
  const taken = (/** @type {any} */ hangar) => Math.min(within(hangar).length, hangar.total_spaces);
  const sum = (/** @type {number[]} */ all) => all.reduce((total, one) => total + one, 0);
  const occupied = sum(hangars.map(taken));
  const offered = sum(hangars.map((hangar) => (open(hangar) ? hangar.total_spaces : taken(hangar))));

  const tiles = listings.map((/** @type {any} */ listed) => {
    const hangar = hangars.find(({ id }) => String(id) === listed.hangarId);
    if (!hangar) return `${listed.hangarNumber} is not in the table`;
    const isOccupied = within(hangar).length > 0;
    const spaces = hangar.total_spaces === 1 ? '' : hangar.total_spaces === 0 ? 'sem vagas' : `${taken(hangar).toLocaleString('pt-BR')} de ${counted(hangar.total_spaces, 'vaga', 'vagas')}`;
    return [hangar.hangar_number, isOccupied ? 'Ocupado' : open(hangar) ? 'Livre' : 'Indisponível', spaces, isOccupied ? listed.occupant : `${money(hangar.rate)} por dia`].join(' | ');
  });
  const busy = hangars.filter((hangar) => within(hangar).length > 0).length;
  const row = (/** @type {any} */ stay, /** @type {boolean} */ leaving) => {
    const at = leaving ? stay.until : stay.from;
    const hourless = hourIn(stay.from) === '00:00';
    const [begun, over] = [stay.from <= now && (!hourless || stay.status === 'active'), stay.until <= now && hourIn(stay.until) !== '00:00'];
    let word = hourless ? 'Chega hoje' : 'Esperado';
    if (stay.status === 'completed') word = leaving ? 'Saiu' : 'Concluída';
    else if (stay.status === 'pending') word = 'A confirmar';
    else if (over) word = 'Saiu';
    else if (leaving) word = begun ? 'No hangar' : 'Sai hoje';
    else if (begun) word = 'Chegou';
    return [hourIn(at) === '00:00' ? 'hoje' : hourIn(at), stay.guest, stay.hangar, word].join(' | ');
  };
  const todays = (/** @type {boolean} */ leaving) => stays.filter((stay) => stay.status !== 'cancelled' && dayIn(leaving ? stay.until : stay.from) === dayIn(now)).map((stay) => row(stay, leaving)).sort();
  return {
    cards: [money(metrics.revenueToday), metrics.bookingsToday.toLocaleString('pt-BR'), percent(metrics.occupancyRate), percent(metrics.growthPercentage, { signDisplay: 'exceptZero' })],
    spaces: offered > 0 ? `${occupied.toLocaleString('pt-BR')} de ${offered.toLocaleString('pt-BR')} ${offered === 1 ? 'vaga ocupada' : 'vagas ocupadas'}` : 'das vagas publicadas',
    rate: percent(offered > 0 ? Math.round(occupied / offered * 1000) / 10 : 0),
    facts: [metrics.activeListings.toLocaleString('pt-BR'), money(metrics.pendingPayouts)],
    summary: hangars.length === 0 ? '' : `${busy.toLocaleString('pt-BR')} ${busy === 1 ? 'ocupado' : 'ocupados'} de ${hangars.length.toLocaleString('pt-BR')}`,
    tiles, arrivals: todays(false), departures: todays(true), label: 'Ao vivo',
  };
}

/** What the page shows, with nothing folded. @param {import('playwright-core').Page} page */
export const picture = (page) => page.evaluate(() => {
  const root = /** @type {ShadowRoot} */ (document.querySelector('realtime-metrics-display')?.shadowRoot);
  for (const fold of root.querySelectorAll('.agenda button[aria-expanded=false], .hangars > button[aria-expanded=false]')) if (!(/** @type {HTMLElement} */ (fold).hidden)) /** @type {HTMLElement} */ (fold).click();
  const text = (/** @type {Element | Document | ShadowRoot} */ of, /** @type {string} */ what) => of.querySelector(what)?.textContent ?? '';
  const each = (/** @type {string} */ what, /** @type {string[]} */ parts) => [...root.querySelectorAll(what)].map((one) => parts.map((part) => text(one, part)).join(' | '));
  return {
    // Growth like for like stands first, where it is known; the metrics' number below it.
    cards: [...root.querySelectorAll('.card')].map((one) => /^(\S+) /.exec(text(one, '.whole'))?.[1] ?? text(one, '.value')),
    spaces: text(root, '[data-metric=occupancyRate] .line'),
    rate: text(root, '[data-metric=occupancyRate] .value'),
    facts: ['activeListings', 'pendingPayouts'].map((name) => text(root, `[data-fact=${name}]`)),
    summary: text(root, '.hangars .aside'),
    tiles: each('.tile', ['.number', '.state', '.spaces', '.guest']),
    arrivals: each('[data-list=arrivals] li', ['time', '.guest', '.tag', '.state']).sort(),
    departures: each('[data-list=departures] li', ['time', '.guest', '.tag', '.state']).sort(),
    label: text(root, '.label'),
  };
});

/**
 * Waits until the page shows what is true; the page's clock may run ahead of its pacing, which is
 * seconds.
 * @param {import('playwright-core').Page} page @param {() => Promise<any>} wanted
 * @param {number} patience ms
 */
export async function agrees(page, wanted, patience) {
  const end = Date.now() + patience;
  let hurry = 24; // half seconds of the page's clock; more would look like a silent line
  for (;;) {
    const [expected, shown] = [await wanted(), await picture(page)];
    if (isDeepStrictEqual(expected, shown)) return null;
    if (Date.now() > end) return { expected, shown };
    if (hurry-- > 0) await page.clock.runFor(500);
    else await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
  }
}
