/**
 * Page and client in Firefox and WebKit, against the real program, with a network between them that
 * does what networks do. The rest of the tests run in Chromium; these are what engines do
 * differently.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { constants, inflateSync } from 'node:zlib';
import pg from 'pg';
import { startFaultProxy } from '../browser/fault-proxy.js';
import { startProgram } from '../browser/program.js';
import { book, history, insert, signIn } from '../browser/client-page.js';
import * as firefox from './firefox.js';
import { newBooking, numbersCut, startClient } from './in-page.js';
import * as webkit from './webkit.js';

/** @typedef {import('./webdriver.js').Tab} Tab */
/** @type {Awaited<ReturnType<typeof startProgram>>} */
let program;
/** @type {pg.Client} */
let db;
/** @type {{ownerId: string, token: string}} */
let session;
/** @type {Awaited<ReturnType<typeof startFaultProxy>>} */
let proxy;

const ENGINES = [
  { name: 'Firefox', need: 'firefox', found: firefox.path(), launch: firefox.launch, blocked: { preferences: { 'network.cookie.cookieBehavior': 2 } } },
  { name: 'WebKit', need: 'webkit', found: webkit.path(), launch: webkit.launch, blocked: { flags: ['--cookies-policy=never', '--enable-html5-local-storage=false', '--enable-html5-database=false'] } },
];
const wanted = ENGINES.filter(({ found }) => found);
for (const { name, need } of ENGINES.filter(({ found }) => !found)) console.log(`# ${name} is not there and left out: .ci/need ${need}`);

before(async () => {
  if (wanted.length === 0) return;
  program = await startProgram();
  db = new pg.Client(program.database);
  await db.connect();
  session = await signIn(program.origin);
});
after(async () => {
  await db?.end();
  await program?.stop();
});
beforeEach(async () => {
  proxy = await startFaultProxy(program.origin);
});
afterEach(async () => {
  await proxy?.stop();
});

const server = () => ({ origin: program.origin, session });

/** A client in a page that holds nothing else. @param {Tab} tab @param {object} [options] */
async function dial(tab, options = {}) {
  await tab.go(`${proxy.origin}/blank`);
  await tab.evaluate(startClient, { ...session, ...options });
}

/** @param {Tab} tab @param {string} transport @param {boolean} [shared] */
const carriedBy = (tab, transport, shared = false) => tab.until(([wanted, other]) => {
  const state = globalThis.manager.getState();
  return state.status === 'live' && state.transport === wanted && state.shared === other;
}, [transport, shared]);

/** @param {Tab} tab */
const booked = async (tab) => book(db, server(), await tab.evaluate(() => globalThis.first));

/** Everything that was committed since the client began arrived once, in order. @param {Tab} tab */
async function nothingLost(tab) {
  const expected = (await history(server(), await tab.evaluate(() => globalThis.first))).map(({ id }) => id);
  assert.ok(expected.length > 0);
  await tab.until((last) => globalThis.ids.includes(last), expected.at(-1));
  const got = await tab.evaluate(() => globalThis.ids);
  assert.deepEqual(got.slice(0, expected.length), expected);
  assert.equal(new Set(got).size, got.length, 'nothing twice');
}

/** The page, and its numbers in it. @param {Tab} tab */
async function visit(tab) {
  await tab.go(proxy.origin);
  await live(tab);
}

/** @param {Tab} tab */
const live = (tab) => tab.until(() => {
  const element = document.querySelector('realtime-metrics-display');
  const { status } = /** @type {any} */ (element)?.manager?.getState() ?? {};
  return status === 'live' && /\d/.test(element?.shadowRoot?.querySelector('[data-metric=revenueToday] .value')?.textContent ?? '');
});

/**
 * How a plain socket of a page ends.
 * @param {Tab} tab @param {string} url @param {string[]} protocols
 */
const closeCode = (tab, url, protocols) => tab.evaluate(([address, names]) => new Promise((resolve) => {
  const socket = new WebSocket(address, names);
  socket.onclose = ({ code, wasClean, reason }) => resolve({ code, wasClean, reason });
}), [url, protocols]);

for (const engine of wanted) {
  describe(engine.name, { timeout: 600_000 }, () => {
    /** @type {Awaited<ReturnType<typeof engine.launch>>} */
    let browser;
    /** @type {Tab} */
    let first;
    /** @type {Tab} */
    let tab;

    before(async () => {
      browser = await engine.launch();
      first = await browser.session.first();
      console.log(`# ${browser.name} ${browser.version}`);
    });
    after(() => browser?.close());
    beforeEach(async () => {
      tab = first;
    });
    afterEach(() => tab?.go('about:blank'));

    test('first load, and a booking by SQL', async () => {
      await visit(tab);
      const before = Number(await tab.evaluate(newBooking.count));
      const id = await insert(db, session.ownerId);
      await tab.until(newBooking.shown, { before, id });
    });

    test('a cut line is taken up where it ended', async () => {
      await dial(tab);
      await carriedBy(tab, 'websocket');
      for (let i = 0; i < 2; i++) {
        await booked(tab);
        const before = proxy.seen.websocket;
        proxy.cut('websocket');
        await booked(tab);
        await proxy.until(() => proxy.seen.websocket > before);
        await carriedBy(tab, 'websocket');
      }
      await nothingLost(tab);
    });

    test('a reload goes on after its last event', async () => {
      await dial(tab);
      await carriedBy(tab, 'websocket');
      await booked(tab);
      await nothingLost(tab);
      const before = (await tab.evaluate(() => globalThis.ids)).at(-1);
      await tab.go('about:blank');
      await book(db, server(), before);
      await dial(tab);
      await carriedBy(tab, 'websocket');
      assert.equal(await tab.evaluate(() => globalThis.first), before);
      await nothingLost(tab);
    });

    test('WebSockets are refused: a stream, and nothing lost over its cut', async () => {
      proxy.modes.websocket = 'refuse';
      await dial(tab);
      await carriedBy(tab, 'sse');
      await booked(tab);
      proxy.cut('sse');
      await booked(tab);
      await nothingLost(tab);
      assert.ok(proxy.paths.every((path) => !path.includes(session.token)), 'the token is in no address');
    });

    test('both are refused: polling', async () => {
      proxy.modes.websocket = proxy.modes.sse = 'refuse';
      await dial(tab);
      await carriedBy(tab, 'polling');
      await booked(tab);
      await nothingLost(tab);
    });

    test('eight tabs where WebSockets are refused: one stream', async () => {
      proxy.modes.websocket = 'refuse';
      const tabs = [tab];
      await dial(tab);
      await carriedBy(tab, 'sse');
      while (tabs.length < 8) {
        const other = await browser.session.open();
        tabs.push(other);
        await dial(other);
        await carriedBy(other, 'sse', true);
      }
      await booked(tab);
      for (const each of tabs) await nothingLost(each);
      assert.equal(proxy.open('sse'), 1);
      // The one that carries the others is closed.
      await tab.go('about:blank');
      const [, successor] = tabs;
      await booked(successor);
      for (const each of tabs.slice(1)) await nothingLost(each);
      assert.equal(proxy.open('sse'), 1);
      for (const each of tabs.slice(1)) await each.close();
    });

    for (const [where, folder] of [['served by us', 'client'], ['put elsewhere by a bundler', 'bundle']]) {
      test(`modules that were lost once, ${where}`, async () => {
        proxy.lost = /\/(fallback|dial)\.js/;
        await dial(tab, { folder });
        await proxy.until(() => proxy.paths.filter((path) => proxy.lost?.test(path)).length > 1);
        proxy.lost = null;
        await carriedBy(tab, 'websocket');
        proxy.modes.websocket = 'refuse';
        proxy.cut('websocket');
        await carriedBy(tab, 'sse');
        await tab.until(() => globalThis.snapshots > 0);
      });
    }

    test('the list of notifications was lost once: the bell says so, and the next press opens it', async () => {
      const said = () => Boolean(document.querySelector('owner-notifications')?.shadowRoot?.querySelector('.bell-failed')?.textContent);
      const press = () => document.querySelector('owner-notifications')?.shadowRoot?.querySelector('.bell').click();
      proxy.lost = /\/notifications\/panel\.js/;
      await tab.go(`${proxy.origin}/`);
      await tab.until(() => document.querySelector('owner-notifications')?.shadowRoot?.querySelector('.bell:not([hidden])'));
      await tab.evaluate(press);
      await tab.until(said);
      proxy.lost = null;
      await tab.evaluate(press);
      await tab.until(() => document.querySelector('owner-notifications')?.shadowRoot?.querySelector('.bell')?.getAttribute('aria-expanded') === 'true');
    });

    test('what rescues is there before it is needed', async () => {
      await dial(tab);
      await carriedBy(tab, 'websocket');
      await proxy.until(() => proxy.paths.some((path) => path.includes('fallback.js')));
      proxy.lost = /\.js/;
      proxy.modes.websocket = 'refuse';
      proxy.cut('websocket');
      await carriedBy(tab, 'sse');
    });

    test('close codes reach the page', async () => {
      await tab.go(`${proxy.origin}/blank`);
      const address = `${proxy.origin.replace('http', 'ws')}/api/ws?ownerId=`;
      const bearer = ['hangarshare.v1', `bearer.${session.token}`];
      for (const [owner, protocols, code] of [
        [session.ownerId, ['hangarshare.v1', 'bearer.not.a.token'], 4401],
        ['999999', bearer, 4403],
      ]) {
        const told = await closeCode(tab, address + owner, /** @type {string[]} */ (protocols));
        assert.equal(told.code, code, JSON.stringify(told));
        assert.ok(told.wasClean, `${code} is a clean close`);
      }
      /**
       * What comes of it when the page says something after the first message.
       * @param {string} what
       */
      const said = (what) => tab.evaluate(([url, protocols, text]) => new Promise((resolve) => {
        const socket = new WebSocket(url, protocols);
        socket.onmessage = () => {
          socket.onmessage = null;
          if (text === 'close') socket.close(1000, 'seen enough');
          else socket.send(text === 'bytes' ? new Uint8Array([1, 2, 3]) : 'x'.repeat(20_000));
        };
        socket.onclose = ({ code, wasClean }) => resolve(`${code} ${wasClean}`);
      }), [address + session.ownerId, bearer, what]);
      assert.match(await said('too much'), /^1009 /);
      assert.equal(await said('close'), '1000 true');
    });

    test('nothing runs over or sideways, from 1280 px to 320', async () => {
      await visit(tab);
      for (const width of [1280, 768, 360, 320]) {
        await tab.resize(width);
        await nothingCut(tab, `at ${width} px`);
        if (process.env.SHOTS) await shoot(tab, `${engine.need}-${width}`);
      }
      await tab.resize(1280);
      const asked = proxy.paths.filter((path) => path.includes('element.css')).length;
      // WebKit's private windows, which the driver opens, keep no preloaded copy for fetch.
      assert.ok(asked === 1 || (engine.need === 'webkit' && asked === 2), `${asked} requests for the styles`);
    });

    test('back from another page it is live', async () => {
      await visit(tab);
      const before = proxy.seen.websocket;
      await tab.go(`${proxy.origin}/healthz`);
      await tab.back();
      // Not before it has dialled: what WebKit's driver is asked in the middle of a navigation it
      // never answers.
      await proxy.until(() => proxy.seen.websocket > before);
      await live(tab);
      await tab.until(() => document.querySelector('realtime-metrics-display')?.shadowRoot?.textContent?.includes('Ao vivo'));
    });

    test('site data blocked', async () => {
      const blocked = await engine.launch(/** @type {any} */ (engine.blocked));
      try {
        const other = await blocked.session.first();
        await dial(other);
        await carriedBy(other, 'websocket');
        await booked(other);
        await nothingLost(other);
        await visit(other);
      } finally {
        await blocked.close();
      }
    });

    if (engine.need === 'firefox') firefoxAlone(() => /** @type {any} */ (browser), () => tab);
  });
}

/** Sizes follow a frame later. @param {Tab} tab @param {string} when */
async function nothingCut(tab, when) {
  let cut = [];
  for (let tries = 0; tries < 40; tries++) {
    cut = await tab.evaluate(numbersCut);
    if (cut.length === 0) return;
    await tab.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
  }
  assert.deepEqual(cut, [], when);
}

/** @param {Tab} tab @param {string} name */
async function shoot(tab, name) {
  const { writeFile } = await import('node:fs/promises');
  await writeFile(new URL(`../shots/${name}.png`, import.meta.url), await tab.picture());
}

/**
 * How many pages a PDF has. Its objects may be compressed (ISO 32000-1, 7.5.7).
 * @param {Buffer} pdf
 */
function pagesOf(pdf) {
  const texts = [pdf.toString('latin1')];
  for (const { index, 0: { length } } of texts[0].matchAll(/stream\r?\n/g)) {
    try {
      texts.push(inflateSync(pdf.subarray(index + length), { finishFlush: constants.Z_SYNC_FLUSH }).toString('latin1'));
    } catch {
      // a stream that is not compressed, or in another way: a font, a picture
    }
  }
  return texts.join('\n').match(/\/Type ?\/Page\b/g)?.length;
}

/** @param {() => Awaited<ReturnType<typeof firefox.launch>>} browser @param {() => Tab} tab */
function firefoxAlone(browser, tab) {
  test('on one page of paper', async () => {
    await visit(tab());
    assert.equal(pagesOf(await tab().within(() => browser().print())), 1);
  });

  test('a private window loads the styles once', async () => {
    const other = await browser().openPrivate();
    try {
      await visit(other);
      assert.equal(proxy.paths.filter((path) => path.includes('element.css')).length, 1);
    } finally {
      await other.close();
    }
  });

  test('dark: a choice has the colours of the page', async () => {
    const dark = (/** @type {number | null} */ value) => tab().within(() => browser().chrome((/** @type {number | null} */ to) => {
      const { prefs } = /** @type {any} */ (globalThis).Services;
      if (to === null) prefs.clearUserPref('layout.css.prefers-color-scheme.content-override');
      else prefs.setIntPref('layout.css.prefers-color-scheme.content-override', to);
    }, value));
    try {
      await dark(0);
      await visit(tab());
      await tab().until(() => matchMedia('(prefers-color-scheme: dark)').matches);
      const colours = await tab().evaluate(() => {
        const root = document.querySelector('realtime-metrics-display')?.shadowRoot;
        const of = (/** @type {any} */ element) => [getComputedStyle(element).backgroundColor, getComputedStyle(element).color];
        return { surface: of(root?.querySelector('.panel')), inside: of(root?.querySelector('select')), outside: of(document.querySelector('#owner')) };
      });
      assert.deepEqual([colours.inside, colours.outside], [colours.surface, colours.surface]);
    } finally {
      await dark(null);
    }
  });

  test('text alone is zoomed: nothing is cut, and a reload changes nothing', async () => {
    const sizes = () => tab().evaluate(() => {
      const root = document.querySelector('realtime-metrics-display')?.shadowRoot;
      return ['h2', '.line', '.pill', '.quiet', 'dt'].map((name) => getComputedStyle(/** @type {Element} */ (root?.querySelector(name))).fontSize);
    });
    /** @param {number} zoom */
    const zoomed = (zoom) => tab().within(() => browser().chrome((/** @type {number} */ to) => {
      /** @type {any} */ (globalThis).gBrowser.selectedBrowser.textZoom = to;
    }, zoom));
    try {
      await visit(tab());
      for (const width of [1280, 768, 360]) {
        await tab().resize(width);
        await zoomed(2);
        await nothingCut(tab(), `zoomed live, at ${width} px`);
        const before = await sizes();
        await tab().reload();
        await zoomed(2);
        await live(tab());
        assert.deepEqual(await sizes(), before);
        await nothingCut(tab(), `loaded zoomed, at ${width} px`);
        if (process.env.SHOTS) await shoot(tab(), `firefox-${width}-text-200`);
        await zoomed(1);
      }
    } finally {
      await zoomed(1);
      await tab().resize(1280);
    }
  });
}
