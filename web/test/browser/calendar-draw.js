/**
 * How long the calendar takes to draw, by Chromium's own tracing, and from commit to bar:
 * node browser/calendar-draw.js, on a machine that does nothing else.
 */
import pg from 'pg';
import { launch } from './chromium.js';
import { startProgram } from './program.js';

const TRIES = 5;
const program = await startProgram(['--demo-interval', '1h']);
const db = new pg.Client(program.database);
await db.connect();
const browser = await launch();

/**
 * The longest task of the page's main thread while something is done, in ms: by the clock, and of
 * the processor alone.
 * @param {import('playwright-core').Page} page
 * @param {() => Promise<unknown>} work
 */
async function longestTask(page, work) {
  const session = await browser.newBrowserCDPSession();
  const events = [];
  session.on('Tracing.dataCollected', ({ value }) => events.push(...value));
  const ended = new Promise((resolve) => session.once('Tracing.tracingComplete', resolve));
  await session.send('Tracing.start', { categories: 'toplevel,disabled-by-default-devtools.timeline,devtools.timeline', transferMode: 'ReportEvents' });
  await work();
  await session.send('Tracing.end');
  await ended;
  await session.detach();
  const mains = new Set(events.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(({ pid, tid }) => `${pid} ${tid}`));
  const tasks = events.filter(({ name, pid, tid }) => /RunTask$/.test(name) && mains.has(`${pid} ${tid}`));
  return [Math.max(0, ...tasks.map(({ dur = 0 }) => dur / 1000)), Math.max(0, ...tasks.map(({ tdur = 0 }) => tdur / 1000))];
}

/** @param {number[]} times */
const sorted = (times) => times.map(Math.round).sort((a, b) => a - b);

try {
  const answer = await fetch(`${program.origin}/api/auth/demo`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' });
  const { ownerId, token } = await answer.json();
  await db.query('DELETE FROM bookings WHERE hangar_id IN (SELECT id FROM hangar_listings WHERE owner_id = $1)', [ownerId]);
  const { rows: [{ n }] } = await db.query('SELECT count(*)::int AS n FROM hangar_listings WHERE owner_id = $1', [ownerId]);
  await db.query('UPDATE hangar_listings SET total_spaces = 1 WHERE owner_id = $1', [ownerId]);
  await db.query(`INSERT INTO hangar_listings (owner_id, hangar_number, icao_code, aerodrome_name, city, state, daily_rate, total_spaces)
    SELECT $1, 'Z-' || n, 'SBMT', 'Campo de Marte', 'São Paulo', 'SP', 100, 1 FROM generate_series($2::int + 1, 200) n`, [ownerId, n]);
  const { rows: hangars } = await db.query('SELECT id::text FROM hangar_listings WHERE owner_id = $1 ORDER BY hangar_number', [ownerId]);
  const { rows: [{ id: user }] } = await db.query('SELECT min(id) AS id FROM users');
  await db.query(`INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, payment_method)
    SELECT h.id, $2, date_trunc('day', now() AT TIME ZONE 'utc') + n * interval '4 days' + interval '17 hours', date_trunc('day', now() AT TIME ZONE 'utc') + n * interval '4 days' + interval '3 days 15 hours',
      3, 300, 30, 330, 'confirmed', 'pix' FROM hangar_listings h, generate_series(0, 6) n WHERE h.owner_id = $1`, [ownerId, user]);
  const pages = [];
  for (let cursor = ''; pages.length === 0 || cursor;) {
    const url = new URL(`${program.origin}/api/owners/${ownerId}/calendar`);
    const from = new Date().toLocaleDateString('sv', { timeZone: 'America/Sao_Paulo' });
    for (const [name, value] of Object.entries({ from, to: new Date(Date.parse(from) + 30 * 86_400_000).toISOString().slice(0, 10), cursor })) if (value) url.searchParams.set(name, value);
    pages.push(await (await fetch(url, { headers: { Authorization: `Bearer ${token}` } })).json());
    cursor = pages.at(-1).next;
  }
  for (const rows of [40, 200]) {
    const times = [];
    let bars = 0;
    for (let i = 0; i < TRIES; i++) {
      const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
      await page.goto(`${program.origin}/docs/client`);
      await page.evaluate(async (shown) => {
        const [{ newCalendar }, { wording }] = await Promise.all([import('/client/calendar/view.js'), import('/client/state/wording.js')]);
        const main = document.createElement('section');
        document.body.prepend(main);
        const frame = document.createElement('div');
        main.attachShadow({ mode: 'open' }).append(frame);
        globalThis.draw = async () => {
          const view = await newCalendar({ wording, frame, server: location.origin, get: async () => structuredClone(shown), channel: async () => '', open() {}, now: () => Date.now() });
          frame.append(view.node);
          while (!frame.querySelector('.cal-row[data-hangar]')) await new Promise((resolve) => setTimeout(resolve));
          await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
          return frame.querySelectorAll('.cal-stay').length;
        };
      }, { ...pages[0], hangars: pages.flatMap((one) => one.hangars).slice(0, rows), stays: pages.slice(0, rows / 20).flatMap((one) => one.stays), next: null });
      times.push(await longestTask(page, async () => (bars = await page.evaluate(() => globalThis.draw()))));
      await page.close();
    }
    console.log(`${rows} hangars, 30 days, ${bars} bars: longest task ${sorted(times.map(([ms]) => ms))} ms, of the processor ${sorted(times.map(([, ms]) => ms))} ms`);
  }
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(program.origin);
  await page.getByText('Ao vivo', { exact: true }).waitFor();
  await page.locator('.calendar header button').click();
  await page.locator('.cal-row[data-hangar]').first().waitFor();
  await page.evaluate(() => {
    const root = document.querySelector('realtime-metrics-display').shadowRoot;
    globalThis.seen = new Map();
    new MutationObserver(() => root.querySelectorAll('.cal-stay').forEach((bar) => globalThis.seen.has(bar.dataset.booking) || globalThis.seen.set(bar.dataset.booking, Date.now())))
      .observe(root, { childList: true, subtree: true });
  });
  const times = [];
  for (let i = 0; i < Number(process.env.BOOKINGS ?? 100); i++) {
    const { rows: [{ id }] } = await db.query(`INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, payment_method)
      VALUES ($1, $2, now() AT TIME ZONE 'utc' + interval '3 days 16 hours', now() AT TIME ZONE 'utc' + interval '3 days 19 hours', 1, 100, 10, 110, 'pending', 'pix') RETURNING id::text`, [hangars[i % 20].id, user]);
    const committed = Date.now();
    await page.waitForFunction((booking) => globalThis.seen.has(booking), id);
    times.push(await page.evaluate((booking) => globalThis.seen.get(booking), id) - committed);
    await page.waitForTimeout(100 + 300 * Math.random());
  }
  times.sort((a, b) => a - b);
  console.log(`commit to bar, ${times.length} bookings: p50 ${times[times.length >> 1]} ms, p95 ${times[Math.floor(times.length * 0.95) - 1]} ms, most ${times.at(-1)} ms`);
} finally {
  await browser.close();
  await db.end();
  await program.stop();
}
