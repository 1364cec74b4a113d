/** A page with nothing but the client in it, and what a test asks of it. */
import { TIMEOUT_MS } from '../timeout.js';


/**
 * A demo owner's session.
 * @param {string} origin
 * @returns {Promise<{ownerId: string, token: string}>}
 */
export async function signIn(origin) {
  const answer = await fetch(`${origin}/api/auth/demo`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' });
  if (!answer.ok) throw new Error(`the server must run with --demo: HTTP ${answer.status}`);
  return answer.json();
}

/**
 * A place in the server's history.
 * @typedef {{origin: string, session: {ownerId: string, token: string}}} Server
 */

/**
 * The events after an id, as the server tells them.
 * @param {Server} server @param {string} after
 */
export async function history({ origin, session }, after) {
  const events = [];
  for (let more = true; more;) {
    const path = `/api/owners/${session.ownerId}/events?limit=100&after=${encodeURIComponent(after)}`;
    const answer = await fetch(origin + path, { headers: { Authorization: `Bearer ${session.token}` } });
    const page = await answer.json();
    events.push(...page.events);
    more = page.hasMore;
    after = page.lastEventId;
  }
  return events;
}

/**
 * Commits a booking as the portal does, and sees it in the server's history.
 * @param {import('pg').Client} db @param {Server} server @param {string} after
 */
export async function book(db, server, after) {
  const id = await insert(db, server.session.ownerId);
  for (const end = Date.now() + TIMEOUT_MS; Date.now() < end;) {
    if ((await history(server, after)).some(({ data }) => data.bookingId === id)) return;
  }
  throw new Error('the booking did not become an event');
}

/**
 * Inserts a booking for an owner, as the portal does, and returns its id.
 * @param {import('pg').Client} db
 * @param {string} ownerId
 */
export async function insert(db, ownerId) {
  const { rows: [row] } = await db.query(
    `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, payment_method, payment_date)
     SELECT l.id, u.id, (now() AT TIME ZONE 'utc')::date + 400, (now() AT TIME ZONE 'utc')::date + 403, 3, 1200, 100, 1300,
            'confirmed', 'pix', now() AT TIME ZONE 'utc'
     FROM hangar_listings l, users u WHERE l.owner_id = $1 ORDER BY l.id, u.id LIMIT 1 RETURNING id`, [ownerId]);
  return String(row.id);
}

export class ClientPage {
  /** @param {import('playwright-core').Page} page */
  constructor(page) {
    this.page = page;
  }

  /**
   * @param {import('playwright-core').BrowserContext} context @param {string} origin
   * @param {{clock?: boolean}} [options]
   */
  static async open(context, origin, { clock = false } = {}) {
    const page = await context.newPage();
    if (clock) await page.clock.install();
    await page.goto(`${origin}/blank`);
    return new ClientPage(page);
  }

  /**
   * @param {{ownerId: string, token: string}} session @param {object} [options] of the client
   * @param {string} [module] its address
   */
  start({ ownerId, token }, options = {}, module = '/client/client.js') {
    return this.page.evaluate(async (given) => {
      const { createManager } = await import(given.module);
      const manager = createManager(given.ownerId, given.token, given.options);
      Object.assign(globalThis, { manager, ids: [], first: '' });
      manager.on('message', ({ id }) => id && globalThis.ids.push(id));
      manager.on('connection_established', ({ data }) => (globalThis.first ||= data.lastEventId));
      manager.connect().catch(() => {});
    }, { ownerId, token, options, module });
  }

  ids() {
    return this.page.evaluate(() => globalThis.ids);
  }

  status() {
    return this.page.evaluate(() => globalThis.manager.getState().status);
  }

  /** After which id its events begin. */
  firstPosition() {
    return this.page.evaluate(() => globalThis.first);
  }

  /** @param {(argument: any) => unknown} condition @param {unknown} [argument] */
  until(condition, argument) {
    return this.page.waitForFunction(condition, argument, { timeout: TIMEOUT_MS, polling: 20 });
  }

  /** @param {string} transport @param {boolean} [shared] */
  carriedBy(transport, shared = false) {
    return this.until(([wanted, other]) => {
      const state = globalThis.manager.getState();
      return state.status === 'live' && state.transport === wanted && state.shared === other;
    }, [transport, shared]);
  }

  /**
   * Lets the page's clock run in steps until a transport carries. It stands still while the client
   * dials: the network answers in real time, and a busy machine must not look like a silent line.
   * @param {number} step @param {string} transport
   */
  async patiently(step, transport) {
    const end = Date.now() + 2 * TIMEOUT_MS;
    const state = () => this.page.evaluate(() => globalThis.manager.getState());
    for (let now = await state(); now.status !== 'live' || now.transport !== transport; now = await state()) {
      if (Date.now() > end) throw new Error(`not carried by ${transport}: ${JSON.stringify(now)}`);
      if (now.status === 'connecting') await this.until(() => globalThis.manager.getState().status !== 'connecting');
      else await this.page.clock.runFor(step);
    }
  }

  async close() {
    await this.page.context().close();
  }
}
