/**
 * The page over time, against the real program: how soon a commit is seen, a rush of events, cuts
 * and changes of transport, and being mounted over and over. Figures are printed; LOAD=1 takes
 * the time that they need to mean something.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { launch, openPage } from './chromium.js';
import { resourcesOf, dropsBelow } from './leaks.js';
import { startProgram } from './program.js';
import { book as bookAndSee, history } from './client-page.js';
import { TIMEOUT_MS } from '../timeout.js';

const LONG = Boolean(process.env.LOAD);

/**
 * A number of the sorted ones below which a share of them lies.
 * @param {number[]} values @param {number} share
 */
function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** Choices that a seed repeats (mulberry32). @param {number} seed */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * A line between browser and program that can be cut, and that can refuse WebSockets.
 * @param {string} origin
 */
async function cuttable(origin) {
  const port = Number(new URL(origin).port);
  /** @type {Set<net.Socket>} */
  const open = new Set();
  let upgrades = true;
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        open.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.on('data', (chunk) => {
      if (!upgrades && /\r\nupgrade: websocket\r\n/i.test(chunk.toString('latin1'))) {
        near.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
        return;
      }
      far.write(chunk);
    });
    far.pipe(near);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(null)));
  return {
    origin: `http://127.0.0.1:${/** @type {net.AddressInfo} */ (server.address()).port}`,
    cut: () => open.forEach((socket) => socket.resetAndDestroy()),
    /** @param {boolean} yes */
    allowUpgrades: (yes) => { upgrades = yes; },
    close: () => {
      open.forEach((socket) => socket.destroy());
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** What the cards and facts say. @param {import('playwright-core').Page} page */
const screen = (page) => page.evaluate(() => {
  const root = document.querySelector('realtime-metrics-display').shadowRoot;
  const text = (/** @type {string} */ selector) => root.querySelector(selector)?.textContent;
  return {
    revenueToday: text('[data-metric=revenueToday] .value'), bookingsToday: text('[data-metric=bookingsToday] .value'),
    occupancyRate: text('[data-metric=occupancyRate] .value'),
    growthPercentage: /^(\S+) /.exec(text('[data-metric=growthPercentage] .whole') ?? '')?.[1] ?? text('[data-metric=growthPercentage] .value'),
    activeListings: text('[data-fact=activeListings]'), pendingPayouts: text('[data-fact=pendingPayouts]'),
  };
});

/** What they should say. @param {Record<string, number>} metrics */
function expected(metrics) {
  const money = new Intl.NumberFormat('pt-BR', { style: 'currency', currency: 'BRL' });
  const whole = new Intl.NumberFormat('pt-BR', { maximumFractionDigits: 0 });
  const percent = (/** @type {object} */ options) => new Intl.NumberFormat('pt-BR', { style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1, ...options });
  return {
    revenueToday: money.format(metrics.revenueToday), bookingsToday: whole.format(metrics.bookingsToday),
    occupancyRate: percent({}).format(metrics.occupancyRate / 100),
    growthPercentage: percent({ signDisplay: 'exceptZero' }).format(metrics.growthPercentage / 100),
    activeListings: whole.format(metrics.activeListings), pendingPayouts: money.format(metrics.pendingPayouts),
  };
}

describe('the page over time', () => {
  /** @type {Awaited<ReturnType<typeof startProgram>>} */
  let program;
  /** @type {pg.Client} */
  let db;
  /** @type {import('playwright-core').Browser} */
  let browser;
  let owner = { ownerId: '', token: '' };
  /** @type {number[]} */
  let hangars = [];
  let guest = 0;

  before(async () => {
    program = await startProgram(['--demo-interval', '1h']); // only this test books
    db = new pg.Client(program.database);
    await db.connect();
    browser = await launch();
    const answer = await fetch(`${program.origin}/api/auth/demo`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' });
    owner = await answer.json();
    hangars = (await db.query('SELECT id FROM hangar_listings WHERE owner_id = $1 ORDER BY id', [owner.ownerId])).rows.map((row) => row.id);
    guest = (await db.query(`SELECT id FROM users WHERE id NOT IN (SELECT user_id FROM hangar_owners) ORDER BY id LIMIT 1`)).rows[0].id;
  });
  after(async () => {
    await browser?.close();
    await db?.end();
    await program?.stop();
  });

  const book = async (/** @type {Partial<{status: string, price: number, hangar: number, paid: boolean, days: number}>} */ what = {}) => {
    const { status = 'confirmed', price = 660, hangar = hangars[0], paid = true, days = 400 } = what;
    const { rows: [row] } = await db.query(
      `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, payment_method, payment_date)
       VALUES ($1, $2, now() AT TIME ZONE 'utc' + make_interval(days => $3), now() AT TIME ZONE 'utc' + make_interval(days => $3 + 2), 2,
               $4 * 0.9, $4 * 0.1, $4, $5, 'pix', CASE WHEN $6 THEN now() AT TIME ZONE 'utc' END) RETURNING id`,
      [hangar, guest, days, price, status, paid]);
    return row.id;
  };

  /**
   * Opens the page and waits until it is live.
   * @param {import('playwright-core').Page} page @param {string} origin
   */
  async function open(page, origin) {
    await page.goto(origin);
    await page.waitForFunction(() => document.querySelector('realtime-metrics-display')?.manager?.getState().status === 'live'
      && /\d/.test(document.querySelector('realtime-metrics-display').shadowRoot.querySelector('[data-metric=bookingsToday] .value').textContent),
    null, { timeout: TIMEOUT_MS });
  }

  /**
   * Waits until the screen says what REST says.
   * @param {import('playwright-core').Page} page @param {string} what
   */
  async function agrees(page, what) {
    const deadline = Date.now() + TIMEOUT_MS;
    for (;;) {
      const answer = await fetch(`${program.origin}/api/owners/${owner.ownerId}/metrics`, { headers: { Authorization: `Bearer ${owner.token}` } });
      const want = expected(await answer.json());
      const got = await screen(page);
      try {
        assert.deepEqual(got, want);
        return;
      } catch (error) {
        if (Date.now() > deadline) throw new Error(`${what}: the screen never says what REST says: ${error.message}`, { cause: error });
      }
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => resolve(null))));
    }
  }

  test('from commit to pixel', async () => {
    const { page, close } = await openPage(browser, program.origin);
    try {
      await open(page, program.origin);
      const base = await page.evaluate(() => {
        const value = document.querySelector('realtime-metrics-display').shadowRoot.querySelector('[data-metric=bookingsToday] .value');
        const read = () => Number(value.textContent.replace(/\D/g, ''));
        globalThis.painted = new Map();
        new MutationObserver(() => requestAnimationFrame(() => {
          const channel = new MessageChannel(); // its message comes after the frame
          channel.port1.onmessage = () => globalThis.painted.set(read(), Date.now());
          channel.port2.postMessage(0);
        })).observe(value, { childList: true, characterData: true, subtree: true });
        return read();
      });
      const times = [];
      for (let n = 1; n <= (LONG ? 150 : 15); n++) {
        const begun = Date.now();
        await book();
        const painted = await page.waitForFunction((wanted) => globalThis.painted.get(wanted), base + n, { timeout: TIMEOUT_MS });
        times.push(/** @type {number} */ (await painted.jsonValue()) - begun);
        await page.waitForTimeout(300 + 40 * (n % 5)); // events far apart, as they are in life
      }
      console.log(`# commit to pixel, ${times.length} bookings: p50 ${quantile(times, 0.5)} ms, p95 ${quantile(times, 0.95)} ms`);
    } finally {
      await close();
    }
  });

  test('a rush of 50 events a second', async () => {
    const { page, complaints, close } = await openPage(browser, program.origin);
    try {
      await page.addInitScript(() => {
        globalThis.tasks = [];
        new PerformanceObserver((list) => globalThis.tasks.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: 'longtask', buffered: true });
      });
      await open(page, program.origin);
      await page.evaluate(() => {
        const value = document.querySelector('realtime-metrics-display').shadowRoot.querySelector('[data-metric=revenueToday] .value');
        globalThis.updates = 0;
        globalThis.tasks.length = 0;
        new MutationObserver(() => { globalThis.updates++; }).observe(value, { childList: true, characterData: true, subtree: true });
      });
      const seconds = LONG ? 60 : 6;
      const begun = performance.now();
      for (let n = 0; n < seconds * 50; n++) {
        await book({ price: 100 + n, hangar: hangars[n % hangars.length] });
        const ahead = begun + (n + 1) * 20 - performance.now();
        if (ahead > 0) await new Promise((resolve) => setTimeout(resolve, ahead));
      }
      const took = (performance.now() - begun) / 1000;
      await agrees(page, 'after a rush');
      const { tasks, updates, shift } = await page.evaluate(() => ({ tasks: globalThis.tasks, updates: globalThis.updates, shift: globalThis.shift }));
      console.log(`# ${(seconds * 50 / took).toFixed(0)} events a second for ${took.toFixed(0)} s: longest task ${Math.max(0, ...tasks)} ms, ` +
        `${tasks.filter((ms) => ms > 100).length} over 100 ms, ${(updates / took).toFixed(1)} updates of a card a second, layout shift ${shift.toFixed(4)}`);
      assert.ok(updates <= Math.ceil(took * 4) + 4, `${updates} updates of a card in ${took} s`);
      assert.ok(shift <= 0.02, `layout shift ${shift}`);
      assert.deepEqual(complaints, []);
    } finally {
      await close();
    }
  });

  test('500 random events through cuts and changes of transport', async () => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
    console.log(`# SEED=${seed}`);
    const next = random(seed);
    const pick = (/** @type {any[]} */ all) => all[Math.floor(next() * all.length)];
    const line = await cuttable(program.origin);
    const { page, close } = await openPage(browser, line.origin);
    try {
      await open(page, line.origin);
      await page.evaluate(() => {
        globalThis.seen = [];
        const { manager } = document.querySelector('realtime-metrics-display');
        for (const type of ['booking_created', 'booking_updated', 'booking_completed', 'revenue_received', 'occupancy_changed']) {
          manager.on(type, (_data, message) => globalThis.seen.push((message ?? _data).id));
        }
      });
      const start = await fetch(`${program.origin}/api/owners/${owner.ownerId}/metrics`, { headers: { Authorization: `Bearer ${owner.token}` } });
      const from = start.headers.get('Last-Event-ID');
      const ids = [];
      for (let n = 0; n < 500; n++) {
        const choice = next();
        const id = pick(ids);
        if (choice < 0.5 || !id) ids.push(await book({ status: pick(['pending', 'confirmed', 'active']), price: 50 + Math.floor(next() * 9000) / 10, hangar: pick(hangars), paid: next() < 0.5, days: next() < 0.2 ? -1 : 200 }));
        else if (choice < 0.65) await db.query(`UPDATE bookings SET status = $2 WHERE id = $1`, [id, pick(['confirmed', 'active', 'completed', 'cancelled'])]);
        else if (choice < 0.75) await db.query(`UPDATE bookings SET payment_date = now() AT TIME ZONE 'utc' WHERE id = $1 AND payment_date IS NULL`, [id]);
        else if (choice < 0.85) await db.query(`UPDATE bookings SET total_price = total_price + 1 WHERE id = $1`, [id]);
        else if (choice < 0.9) await db.query(`DELETE FROM bookings WHERE id = $1`, [ids.splice(ids.indexOf(id), 1)[0]]);
        else if (choice < 0.93) await db.query(`UPDATE hangar_listings SET is_available = NOT is_available WHERE id = $1`, [pick(hangars)]);
        else if (choice < 0.97) line.cut();
        else {
          line.allowUpgrades(next() < 0.5);
          line.cut();
        }
      }
      line.allowUpgrades(true);
      const server = { origin: program.origin, session: owner };
      await bookAndSee(db, server, from); // behind it nothing is on its way any more
      const wanted = (await history(server, from)).map(({ id }) => id);
      await page.evaluate(() => document.querySelector('realtime-metrics-display').manager.reconnect());
      await page.waitForFunction((last) => globalThis.seen.at(-1) === last, wanted.at(-1), { timeout: TIMEOUT_MS });
      assert.deepEqual(await page.evaluate(() => globalThis.seen), wanted, 'each event once, in order');
      await agrees(page, 'after cuts');
    } finally {
      await close();
      await line.close();
    }
  });

  test('mounted and taken away over and over', async () => {
    const { page, close } = await openPage(browser, program.origin);
    try {
      await open(page, program.origin);
      const resources = await resourcesOf(page);
      const mount = (/** @type {number} */ times) => page.evaluate(async ({ times, ownerId, token }) => {
        for (let n = 0; n < times; n++) {
          const element = document.createElement('realtime-metrics-display');
          element.setAttribute('owner-id', ownerId);
          element.token = token;
          document.body.append(element);
          // Some of them become live.
          await new Promise((resolve) => { setTimeout(resolve, n % 10 === 0 ? 150 : 5); });
          element.remove();
          await new Promise((resolve) => { setTimeout(resolve, 0); });
        }
      }, { times, ownerId: owner.ownerId, token: owner.token });
      await mount(20);
      const first = await resources();
      await mount(LONG ? 200 : 60);
      const last = await dropsBelow(resources, {
        nodes: first.nodes * 1.05 + 50, listeners: first.listeners * 1.05 + 20, heap: first.heap * 1.3 + 512 * 1024,
      });
      console.log(`# nodes ${first.nodes} -> ${last.nodes}, listeners ${first.listeners} -> ${last.listeners}, ` +
        `heap ${(first.heap / 1024).toFixed(0)} -> ${(last.heap / 1024).toFixed(0)} KiB`);
      await book();
      await agrees(page, 'after mounts');
    } finally {
      await close();
    }
  });
});
