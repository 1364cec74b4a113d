/**
 * A TCP proxy between browser and server that does what networks do to people. It reads just enough
 * HTTP to tell an upgrade and a stream from a plain request, and has an empty page of its own at
 * /blank. What lies below /bundle/ is what lies below /client/, at an address that the client does
 * not know, as a bundler's is. `files` are modules that it has itself.
 */
import { connect, createServer } from 'node:net';
import { TIMEOUT_MS } from '../timeout.js';

/** @typedef {'websocket' | 'sse' | 'plain'} Kind */
/**
 * pass: nothing happens. swallow: both directions fall silent, the connections stay open and never
 * speak again (a black hole). half: what the server says is lost, what the browser says arrives.
 * reset: connections are cut, new ones too. refuse: answered by 403. frames: the answer's head
 * passes, all that follows is dropped.
 * @typedef {'pass' | 'swallow' | 'half' | 'reset' | 'refuse' | 'frames'} Mode
 */

const HEAD_END = '\r\n\r\n';
const BLANK = '<!DOCTYPE html><title>Blank</title>';
const BLANK_PAGE = `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ${BLANK.length}\r\n\r\n${BLANK}`;
const REFUSAL = 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';

/** @param {string} head @returns {Kind} */
function kindOf(head) {
  if (/^upgrade:\s*websocket/im.test(head)) return 'websocket';
  return /^\S+ \/api\/sse/.test(head) ? 'sse' : 'plain';
}

/**
 * The lengths of whole server frames in the bytes, and what is left over (RFC 6455, section 5.2;
 * servers do not mask).
 * @param {Buffer} bytes
 */
function takeFrame(bytes) {
  if (bytes.length < 2) return 0;
  const short = bytes[1] & 0x7f;
  const head = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < head) return 0;
  const size = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  return bytes.length >= head + size ? head + size : 0;
}

/**
 * @param {string} target the server's origin
 * @returns {Promise<{origin: string, modes: Record<Kind, Mode>, delayMs: number, lost: RegExp |
 *   null, files: Map<string, string>, dropFrame: (n: number) => void, cut: (kind?: Kind) => void,
 *   open: (kind: Kind) => number, seen: Record<Kind, number>, paths: string[],
 *   until: (condition: () => boolean) => Promise<void>, stop: () => Promise<void>}>}
 */
export async function startFaultProxy(target) {
  const { hostname, port } = new URL(target);
  /** @type {Record<Kind, Mode>} */
  const modes = { websocket: 'pass', sse: 'pass', plain: 'pass' };
  const seen = { websocket: 0, sse: 0, plain: 0 };
  const paths = [];
  const pairs = new Set();
  const waiting = new Set();
  let dropAt = 0;
  const noteChange = () => waiting.forEach((check) => check());

  const server = createServer((browser) => {
    const upstream = connect(Number(port), hostname);
    const pair = { browser, upstream, /** @type {Kind} */ kind: 'plain', answered: false, frames: Buffer.alloc(0), dead: false };
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      browser.destroy();
      upstream.destroy();
      noteChange();
    };
    for (const socket of [browser, upstream]) socket.on('error', end).on('close', end).setNoDelay(true);

    let head = '';
    browser.on('data', (bytes) => {
      const text = bytes.toString('latin1');
      if (/^[A-Z]+ \S+ HTTP\/1\.1\r\n/.test(text)) {
        head = text;
        pair.kind = kindOf(head);
        pair.answered = false;
        seen[pair.kind]++;
        paths.push(head.split(' ', 2)[1]);
        noteChange();
        if (/^GET \/blank /.test(head)) return void browser.write(BLANK_PAGE);
        const file = proxy.files.get(head.split(' ', 2)[1]);
        if (file !== undefined) return void browser.write(`HTTP/1.1 200 OK\r\nContent-Type: text/javascript; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(file)}\r\n\r\n${file}`);
        if (modes[pair.kind] === 'refuse') return void browser.end(REFUSAL);
        if (proxy.lost?.test(head.split(' ', 2)[1])) return void browser.resetAndDestroy();
        bytes = Buffer.from(text.replace(/^GET \/bundle\//, 'GET /client/'), 'latin1');
      }
      const mode = modes[pair.kind];
      if (mode === 'reset') return void browser.resetAndDestroy();
      if (mode !== 'swallow') upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (proxy.delayMs > 0) setTimeout(() => forward(pair, bytes), proxy.delayMs);
      else forward(pair, bytes);
    });
  });

  /** @param {Buffer} bytes */
  function forward(pair, bytes) {
    const { browser, kind } = pair;
    const mode = modes[kind];
    // TCP loses no bytes in the middle: what fell silent stays so.
    pair.dead ||= mode === 'swallow' || mode === 'half';
    if (browser.destroyed || pair.dead) return;
    if (mode === 'reset') return void browser.resetAndDestroy();
    if (kind === 'plain') return void browser.write(bytes);
    if (!pair.answered) {
      const at = bytes.indexOf(HEAD_END);
      if (at < 0) return void browser.write(bytes);
      pair.answered = true;
      browser.write(bytes.subarray(0, at + HEAD_END.length));
      bytes = bytes.subarray(at + HEAD_END.length);
    }
    if (mode === 'frames') return;
    if (kind === 'sse') return void browser.write(bytes);
    pair.frames = Buffer.concat([pair.frames, bytes]);
    for (let size; (size = takeFrame(pair.frames)) > 0; pair.frames = pair.frames.subarray(size)) {
      if (dropAt > 0 && --dropAt === 0) continue;
      browser.write(pair.frames.subarray(0, size));
    }
  }

  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const proxy = {
    origin: `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`,
    modes,
    /** How late what the server says arrives. */
    delayMs: 0,
    /** Requests for these paths are cut. @type {RegExp | null} */
    lost: null,
    /** By path. @type {Map<string, string>} */
    files: new Map(),
    seen,
    paths,
    /** Loses the n-th WebSocket frame from now, counted from 1. */
    dropFrame: (n) => void (dropAt = n),
    /** Resets what is open. */
    cut(kind) {
      for (const pair of [...pairs]) if (!kind || pair.kind === kind) pair.browser.resetAndDestroy();
    },
    /** How many connections of a kind are open now. */
    open: (kind) => [...pairs].filter((pair) => pair.kind === kind).length,
    /** Resolves when the condition holds; it is asked again whenever a connection comes or goes. */
    until: (condition) => new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`the proxy waited in vain for ${condition}`)), TIMEOUT_MS);
      const check = () => {
        if (!condition()) return;
        clearTimeout(late);
        waiting.delete(check);
        resolve(undefined);
      };
      waiting.add(check);
      check();
    }),
    async stop() {
      for (const { browser } of [...pairs]) browser.destroy();
      await new Promise((resolve) => server.close(() => resolve(undefined)));
    },
  };
  return proxy;
}
