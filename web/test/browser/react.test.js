import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch, openPage } from './chromium.js';
import { startFakeServer } from './fake-server.js';
import { resourcesOf, dropsBelow } from './leaks.js';
import { reactFiles } from './react-page.js';

const BOOKING = { hangarNumber: 'H-12', guestName: 'Ana Souza', amount: 900, duration: 2 };

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

for (const version of ['18', '19']) {
  describe(`React ${version}`, () => {
    let server;
    before(async () => (server = await startFakeServer({ files: await reactFiles(version) })));
    after(() => server.stop());

    /** A page with React on it, and nothing left open afterwards. */
    async function withHarness(run) {
      const opened = await openPage(browser, server.url);
      const start = { ...server.seen };
      try {
        await opened.page.goto(`${server.url}/react/index.html`);
        await opened.page.waitForFunction(() => 'harness' in globalThis);
        await run({
          page: opened.page,
          dials: () => server.seen.upgrades - start.upgrades,
          show: (id, ...parts) => opened.page.evaluate(([i, p]) => globalThis.harness.show(i, p), [id, parts]),
          remove: (id) => opened.page.evaluate((i) => globalThis.harness.remove(i), id),
          /** Waits until a hook's output satisfies the condition, a text evaluated with `it`. */
          until: (name, condition) => opened.page.waitForFunction(([n, c]) => {
            const text = document.getElementById(n)?.textContent;
            return text && new Function('it', `return ${c}`)(JSON.parse(text));
          }, [name, condition]),
          read: (name) => opened.page.evaluate((n) => JSON.parse(document.getElementById(n).textContent), name),
        });
        assert.deepEqual(opened.complaints, []);
      } finally {
        await opened.close();
      }
    }
    const hook = (name, more = {}) => ({ props: { name, ownerId: '1', token: 'secret', ...more } });
    /** Waits until the server has that many streams. */
    const closed = async (count) => {
      while (server.clients.size !== count) await new Promise((resolve) => setImmediate(resolve));
    };

    test('the hook returns what was agreed, and follows the stream', () => withHarness(async ({ page, show, until, read }) => {
      await show('a', hook('one'));
      await until('one', 'it.connected && it.revenue === 4350');
      assert.deepEqual(await page.evaluate(() => Object.keys(globalThis.harness.hooks.one).sort()),
        ['bookingNotifications', 'clearNotifications', 'connect', 'disconnect', 'isConnected', 'metrics', 'occupancyChanges']);
      server.push('1', 'booking_created', { ...BOOKING, bookingId: '7001' });
      server.push('1', 'booking_created', { ...BOOKING, bookingId: '7002' });
      server.push('1', 'booking_updated', { ...BOOKING, bookingId: '7001', status: 'confirmed' });
      server.push('1', 'occupancy_changed', { hangarId: '3', hangarNumber: 'A-03', isNowOccupied: false });
      await until('one', "it.occupancy.length === 1 && it.bookings.join() === '7001,7002'");
      await page.evaluate(() => globalThis.harness.hooks.one.clearNotifications());
      await until('one', 'it.occupancy.length === 0 && it.bookings.length === 0');
      assert.equal((await read('one')).revenue, 4350, 'the numbers stay');
      server.setMetrics('1', { revenueToday: 5000 });
      await until('one', 'it.revenue === 5000');
      server.setMetrics('1', { revenueToday: 4350 });
    }));

    test('StrictMode and two hooks dial once; one that goes leaves the other connected', () => withHarness(async ({ show, until, remove, dials, page }) => {
      await show('a', hook('one'));
      await show('b', hook('two'));
      await until('one', 'it.connected');
      await until('two', 'it.connected');
      assert.equal(dials(), 1);
      await remove('a');
      server.push('1', 'booking_created', { ...BOOKING, bookingId: '7003' });
      await until('two', "it.bookings.includes('7003') && it.connected");
      assert.equal(server.clients.size, 1);
      await show('a', hook('one'));
      await until('one', "it.connected && it.bookings.includes('7003')");
      assert.equal(dials(), 1, 'the third hook found the connection');
      await remove('a');
      await remove('b');
      await closed(0);
    }));

    test('another owner starts from nothing', () => withHarness(async ({ page, show, until, remove, read }) => {
      server.owners.get('2').metrics.revenueToday = 99;
      await show('a', hook('one'));
      await until('one', 'it.connected');
      server.push('1', 'booking_created', { ...BOOKING, bookingId: '7004' });
      await until('one', 'it.bookings.length === 1');
      await show('a', hook('one', { ownerId: '2' }));
      await until('one', 'it.connected && it.revenue === 99');
      assert.deepEqual((await read('one')).bookings, []);
      const mixed = await page.evaluate(() => globalThis.harness.renders.filter((r) => r.ownerId === '2' && r.revenue === 4350));
      assert.deepEqual(mixed, [], 'no render of the new owner saw the former\'s numbers');
      await closed(1);
      await show('a', hook('one', { ownerId: '2', token: '' }));
      await until('one', '!it.connected && it.revenue === null');
      await closed(0);
      await remove('a');
    }));

    test('connect and disconnect are a hook\'s own', () => withHarness(async ({ page, show, until, remove, dials }) => {
      await show('a', hook('one', { autoConnect: false }), hook('two', { autoConnect: false }));
      await until('one', '!it.connected');
      assert.equal(dials(), 0);
      await page.evaluate(() => globalThis.harness.hooks.one.connect());
      await page.evaluate(() => globalThis.harness.hooks.two.connect());
      await until('two', 'it.connected');
      assert.equal(dials(), 1);
      await page.evaluate(() => globalThis.harness.hooks.one.disconnect());
      await until('one', '!it.connected && it.revenue === 4350');
      await until('two', 'it.connected');
      assert.equal(server.clients.size, 1);
      await page.evaluate(() => globalThis.harness.hooks.two.disconnect());
      await closed(0);
      await page.evaluate(() => globalThis.harness.hooks.one.connect());
      await until('one', 'it.connected');
      const late = await page.evaluate(async () => {
        const { connect } = globalThis.harness.hooks.one;
        globalThis.harness.remove('a');
        return connect().then(() => 'connected', (error) => error.kind);
      });
      assert.equal(late, 'closed', 'a component that has gone connects no more');
      await closed(0);
      await remove('a');
    }));

    test('a cut loses no booking', () => withHarness(async ({ show, until, page }) => {
      await show('a', hook('one'));
      await until('one', 'it.connected');
      server.push('1', 'booking_created', { ...BOOKING, bookingId: '7005' });
      await until('one', "it.bookings.join() === '7005'");
      server.closeStreams(1001);
      await until('one', '!it.connected');
      server.push('1', 'booking_created', { ...BOOKING, bookingId: '7006' });
      await until('one', "it.connected && it.bookings.join() === '7006,7005'");
      await page.evaluate(() => globalThis.harness.remove('a'));
      await closed(0);
    }));

    test('the component wraps the element', () => withHarness(async ({ page, show, remove }) => {
      const element = (props) => ({ kind: 'element', props: { ownerId: '1', token: 'secret', ...props } });
      await show('a', element({}));
      await page.getByText('Ao vivo').waitFor();
      assert.ok(!(await page.content()).includes('secret'), 'the token is in no markup');
      await show('a', element({ ownerId: '2' }));
      await page.waitForFunction(() => document.querySelector('realtime-metrics-display')?.manager?.getState().status === 'live');
      assert.equal(await page.evaluate(() => document.querySelector('realtime-metrics-display').manager.ownerId), '2');
      await show('a', element({ enabled: false }));
      await page.waitForFunction(() => !document.querySelector('realtime-metrics-display'));
      await closed(0);
      await remove('a');
    }));

    test('200 mounts leave nothing behind', { timeout: 300_000 }, () => withHarness(async ({ page, show, until, remove }) => {
      const resources = await resourcesOf(page);
      const cycle = (times) => page.evaluate(async (n) => {
        for (let i = 0; i < n; i++) await globalThis.harness.cycle({ ownerId: '1', token: 'secret' });
        globalThis.harness.renders.length = 0;
      }, times);
      await cycle(20);
      await closed(0);
      const { nodes, listeners, heap } = await resources();
      await cycle(200);
      await closed(0);
      await dropsBelow(resources, { nodes: nodes + 50, listeners: listeners + 5, heap: heap + 1_000_000 });
      await show('a', hook('one'));
      await until('one', 'it.connected');
      await remove('a');
      await closed(0);
    }));

    test('hydration begins empty, as the server rendered', () => withHarness(async ({ page, until }) => {
      const markup = '<output id="one">{&quot;revenue&quot;:null,&quot;bookings&quot;:[],&quot;occupancy&quot;:[],&quot;connected&quot;:false}</output>';
      const faults = await page.evaluateHandle((html) => globalThis.harness.hydrate(html, { name: 'one', ownerId: '1', token: 'secret' }), markup);
      await until('one', 'it.connected && it.revenue === 4350');
      assert.deepEqual(await faults.jsonValue(), []);
    }));
  });
}
