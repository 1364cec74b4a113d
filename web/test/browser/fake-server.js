/**
 * A server that speaks the contract from memory, for tests that need to say
 * what happens and when. Faults are switches: `faults.refuseUpgrade` and so on.
 */
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';
import { FakeNotifications } from './fake-notifications.js';
import { FakePush } from './fake-push.js';
import { csvOf, sparklinesOf, trendsOf } from './fake-trends.js';

const webFolder = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.html': 'text/html; charset=utf-8' };
const OFFSET = '-03:00';
const DAY_MS = 86_400_000;

/** The password of every user. */
export const PASSWORD = 'a senha certa';

/** An RFC 3339 midnight some days from today. */
export function midnight(days) {
  return `${new Date(Date.now() - 3 * 3_600_000 + days * DAY_MS).toISOString().slice(0, 10)}T00:00:00${OFFSET}`;
}

/** An hour of today, as the server writes it. @param {string} time like 14:30 */
const today = (time) => midnight(0).replace('00:00:00', `${time}:00`);

const GUESTS = ['Ana Souza', 'Táxi Aéreo Vale', 'João Batista Ferreira', 'Aero Agrícola Cerrado', 'Marina Lopes', 'Pedro Antunes'];

function demoOwner(ownerId, companyName, now, places, guests = GUESTS) {
  return {
    ownerId,
    companyName,
    metrics: {
      revenueToday: 4350, bookingsToday: 7, occupancyRate: 62.5, growthPercentage: 12.4, activeListings: places.length,
      pendingPayouts: 18240.5, nextPayoutDate: midnight(3),
    },
    listings: places.map(([hangarNumber, icaoCode, city], i) => {
      const [occupiedSpaces, totalSpaces] = [[1, 1], [2, 3], [2, 2], [0, 2]][i];
      return {
        hangarId: String(i + 1), hangarNumber, icaoCode, aerodromeName: city, city, status: 'active', isAvailable: true,
        dailyRate: 380 + i * 45, totalSpaces, occupiedSpaces, isNowOccupied: occupiedSpaces > 0, occupant: occupiedSpaces > 0 ? guests[i] : '',
      };
    }),
    bookings: guests.map((guestName, i) => ({
      id: `b${i}`, bookingId: String(1000 + i), hangarNumber: places[i % places.length][0], guestName,
      amount: 450 + i * 317.5, duration: 1 + i, checkInDate: midnight(i), checkOutDate: midnight(i * 2 + 1),
      timestamp: now - (i * i * 11 + 2) * 60_000, hangarId: '1', status: ['confirmed', 'pending', 'completed', 'cancelled'][i % 4],
      paymentMethod: 'pix',
    })),
    /** Who arrives and who leaves today. */
    today: [
      [today('09:30'), midnight(2), 'active'], [today('14:00'), midnight(3), 'confirmed'], [today('16:30'), midnight(1), 'pending'],
      [midnight(-3), today('10:00'), 'completed'], [midnight(-2), today('18:00'), 'active'],
    ].map(([checkInDate, checkOutDate, status], i) => ({
      id: `d${i}`, guestName: guests[[0, 1, 2, 4, 5][i] % guests.length], bookingId: String(2000 + i), hangarNumber: places[i % places.length][0], amount: 900, duration: 2,
      checkInDate, checkOutDate, timestamp: now - DAY_MS, hangarId: '1', status, paymentMethod: 'pix',
    })),
    events: [],
    /** What the cards said when it began. */
    begun: { at: now, revenueToday: 4350, bookingsToday: 7 },
  };
}

/**
 * Files are served besides the page's own, by their addresses. Its clock stands at an hour of today
 * when it starts, so that a test is the same at any hour.
 * `links` are attributes of the page that lead to the portal. Without `notifications` it is a
 * server that does not know them.
 * @param {{demo?: boolean, heartbeatMs?: number, port?: number, at?: string, files?: Record<string,
 *   string>, links?: string, notifications?: boolean}} [options]
 */
export async function startFakeServer({ demo = true, heartbeatMs = 20_000, port = 0, at = '13:05', files = {}, links = '', notifications = false } = {}) {
  let ahead = Date.parse(today(at)) - Date.now();
  const now = () => Date.now() + ahead;
  const owners = new Map([
    ['1', demoOwner('1', 'Hangares Campo de Marte Ltda.', now(), [['H-12', 'SBMT', 'São Paulo'], ['H-15', 'SBMT', 'São Paulo'], ['A-03', 'SBJD', 'Jundiaí'], ['B-07', 'SBBH', 'Belo Horizonte']])],
    ['2', demoOwner('2', 'Aeroclube Pampulha', now(), [['P-1', 'SBBH', 'Belo Horizonte'], ['P-2', 'SBBH', 'Belo Horizonte']], ['Rui Prado', 'Lia Castro', 'Voar Táxi Aéreo'])],
  ]);
  const csp = /const contentSecurityPolicy = ([\s\S]*?)\n\n/.exec(await readFile(path.join(webFolder, 'web.go'), 'utf8'))[1]
    .split('\n').map((line) => /"(.*)"/.exec(line)[1]).join('');
  const faults = {
    refuseUpgrade: false, swallow: false, unavailable: false, badToken: false, signedOut: false,
    /** @type {Set<string>} parts of a snapshot, and `today` */ parts: new Set(),
    /** Files that are not answered before `answerFiles`. @type {RegExp | null} */ heldFiles: null,
    /** @type {(() => void)[]} */ held: [],
    /** Answers those of them that were asked for, and no longer holds any. */
    answerFiles() {
      faults.heldFiles = null;
      for (const answer of faults.held.splice(0)) answer();
    },
    /** @type {Promise<void> | null} */ hold: null,
    /** Answers what was held. */ release() {},
    /** Answers no question before `release`. */
    holdAll() {
      faults.hold = new Promise((resolve) => (faults.release = () => resolve(undefined)));
    },
  };
  const seen = { upgrades: 0, sse: 0, snapshots: 0, heldFiles: 0, urls: [] };
  const clients = new Set();
  const waiting = new Set();
  let sequence = 0;
  let token = 0;
  /** @type {Map<string, string>} users by token; any other token is Ana's */
  const users = new Map();
  const userOf = (bearer = '') => users.get(bearer.replace('Bearer ', '')) ?? 'ana';
  const notes = notifications ? new FakeNotifications(now, (ownerId, dataOf) => {
    for (const client of clients) if (client.owner.ownerId === ownerId) client.control('notifications_updated', dataOf(client.user));
  }) : null;
  const push = notifications ? new FakePush() : null;
  /** A token that names its user, as real ones do, where tabs are to share a connection. */
  const newToken = (user) => {
    const name = notifications ? `h.${Buffer.from(JSON.stringify({ sub: user })).toString('base64url')}.${++token}` : `t${++token}`;
    users.set(name, user);
    return name;
  };

  const count = (kind) => {
    seen[kind]++;
    for (const check of waiting) check();
  };

  async function serveFile(name, response) {
    try {
      let body = await readFile(path.join(webFolder, 'static', name));
      if (name === 'index.html') {
        body = body.toString()
          .replace(/\{\{-? range [\s\S]*?\{\{-? end\}\}/, '')
          .replace(/\{\{if \.Demo\}\}(.*?)\{\{end\}\}/, demo ? '$1' : '')
          .replace(/\{\{if \.[\s\S]*?\{\{end\}\}/g, '')
          .replace(/\{\{with [\s\S]*?\{\{end\}\}/g, '')
          .replace(/\{\{-? if \.Dev[\s\S]*?\{\{-? end\}\}/, '')
          .replaceAll('{{.Icon}}', `data:image/svg+xml;base64,${await readFile(path.join(webFolder, 'static/favicon.svg'), 'base64')}`)
          .replaceAll('{{.Base}}', '/client')
          .replace('<html ', `<html ${links} `);
      }
      response.writeHead(200, { 'Content-Type': TYPES[path.extname(name)] ?? 'text/plain', 'Cache-Control': 'no-cache', 'X-Content-Type-Options': 'nosniff', 'Content-Security-Policy': csp });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  }

  const json = (response, status, body, headers = {}) => {
    response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };

  /** Of the listings as they are; whatever they say is in the revision. */
  function overviewOf(owner, days = false) {
    const { listings, metrics } = owner;
    const offered = listings.filter((one) => one.status === 'active' && one.isAvailable);
    const sum = (rows, name) => rows.reduce((total, row) => total + row[name], 0);
    const hidden = listings.filter((one) => !offered.includes(one));
    return {
      listingsRevision: String(JSON.stringify(listings).split('').reduce((hash, c) => (hash * 31 + c.charCodeAt(0)) | 0, 7)),
      spaces: { occupied: sum(listings, 'occupiedSpaces'), offered: sum(offered, 'totalSpaces') + sum(hidden, 'occupiedSpaces') },
      growthBasis: metrics.growthBasis ?? 'compared',
      // Only the snapshot tells them.
      ...(days && { sparklines: sparklinesOf(now(), owner) }),
    };
  }

  const lastId = (owner) => owner.events.at(-1)?.id ?? `e${owner.ownerId}-0`;

  /** The replay and first messages of a stream; a stream is {write(message), end(code), owner}. */
  function admit(owner, lastEventId, write, end, user = 'ana') {
    const at = lastEventId ? owner.events.findIndex((event) => event.id === lastEventId) : owner.events.length - 1;
    const known = !lastEventId || at >= 0 || lastEventId === `e${owner.ownerId}-0`;
    const from = known ? at + 1 : owner.events.length;
    const client = { owner, write, end, user };
    clients.add(client);
    const control = (type, data) => write({ type, timestamp: now(), ownerId: owner.ownerId, data });
    client.control = control;
    control('connection_established', {
      ownerId: owner.ownerId, connectionId: `c${clients.size}`, lastEventId: known && lastEventId ? lastEventId : lastId(owner),
      recovered: Boolean(lastEventId) && known, heartbeatMs, serverTime: now(), timezone: 'America/Sao_Paulo',
    });
    if (!known) control('resync', {});
    for (const event of owner.events.slice(from)) write(event);
    control('metrics_updated', owner.metrics);
    control('overview_updated', overviewOf(owner));
    if (notes) control('notifications_updated', notes.first(owner.ownerId, user));
    client.timer = setInterval(() => control('heartbeat', { lastEventId: lastId(owner) }), heartbeatMs);
    return () => {
      clearInterval(client.timer);
      clients.delete(client);
    };
  }

  const accounts = (user = 'ana') => [...owners.values()].map(({ ownerId, companyName }) => ({ ownerId, companyName, role: notes?.account(ownerId).roles.get(user) ?? 'owner' }));

  /** Signing in: by password, by the cookie of an earlier sign-in, or as a demo owner. */
  async function authenticate(request, response, action) {
    if (action === 'me') return json(response, ...(request.headers.authorization ? [200, { user: { id: '1' }, accounts: accounts(userOf(request.headers.authorization)), invitations: notes?.invitations.get(userOf(request.headers.authorization)) ?? [], expiresAt: Date.now() + 3_600_000 }] : [401, {}]));
    if (request.headers['content-type'] !== 'application/json') return json(response, 415, {});
    let text = '';
    for await (const chunk of request) text += chunk;
    const body = text ? JSON.parse(text) : {};
    const user = String(body.email ?? /hangarshare_refresh=r1-(\w+)/.exec(request.headers.cookie ?? '')?.[1] ?? 'ana').replace(/@.*/, '');
    const welcome = (change, headers) => json(response, 200, { token: newToken(user), expiresAt: Date.now() + 3_600_000, accounts: accounts(), ...change }, headers);
    const cookie = (value) => ({ 'Set-Cookie': `hangarshare_refresh=${value}; HttpOnly; SameSite=Strict; Path=/api/auth` });
    if (action === 'demo' && demo) {
      const ownerId = body.ownerId ?? '1';
      return owners.has(ownerId) ? welcome({ ownerId }) : json(response, 403, {});
    }
    if (action === 'login') {
      if (body.email === 'busy@example.com') return json(response, 429, {}, { 'Retry-After': '30' });
      return body.password === PASSWORD && body.cookie === true ? welcome({}, cookie(`r1-${user}`)) : json(response, 401, {});
    }
    if (action === 'refresh') return !faults.signedOut && /hangarshare_refresh=r1/.test(request.headers.cookie ?? '') ? welcome({}, cookie(`r1-${user}`)) : json(response, 401, {});
    return action === 'logout' ? json(response, 200, {}, cookie('')) : json(response, 404, {});
  }

  async function answerNotes(request, response, url) {
    let text = '';
    for await (const chunk of request) text += chunk;
    const user = userOf(request.headers.authorization);
    const body = text ? JSON.parse(text) : {};
    const [, invitation] = /^\/api\/me\/invitations\/(.+)$/.exec(url.pathname) ?? [];
    if (invitation) {
      notes.asked.push({ method: 'POST', path: url.pathname, user, body });
      notes.invitations.set(user, (notes.invitations.get(user) ?? []).filter((one) => one.id !== invitation));
      return json(response, 200, {});
    }
    const [status, answer] = push.answer(request.method, url.pathname, user, body) ?? notes.answer(request.method, url, user, body) ?? [404, {}];
    return status === 204 ? response.writeHead(204).end() : json(response, status, answer);
  }

  async function api(request, response, url) {
    await faults.hold;
    if (faults.unavailable) return json(response, 503, { title: 'unavailable' }, { 'Retry-After': '1' });
    if (url.pathname.startsWith('/api/auth/')) return authenticate(request, response, url.pathname.slice(10));
    if (!request.headers.authorization) return json(response, 401, {});
    if (notes && /\/notifications|\/me\/|\/push\//.test(url.pathname)) return answerNotes(request, response, url);
    if (notes && /\/events$/.test(url.pathname)) {
      const owner = owners.get(url.pathname.split('/')[3]);
      return json(response, 200, { events: owner.events, lastEventId: lastId(owner), hasMore: false, resync: false });
    }
    const booking = /^\/api\/owners\/([^/]+)\/bookings\/([^/]+)$/.exec(url.pathname);
    if (booking) {
      const found = [...owners.get(booking[1])?.bookings ?? [], ...owners.get(booking[1])?.today ?? []].find(({ bookingId }) => bookingId === booking[2]);
      return found ? json(response, 200, { ...found, paid: true, history: [], since: new Date(now()).toISOString() }) : json(response, 404, {});
    }
    const [, ownerId, name] = /^\/api\/owners\/([^/]+)\/(\w+)$/.exec(url.pathname) ?? [];
    const part = url.searchParams.has('on') ? 'today' : name;
    const owner = owners.get(ownerId);
    if (!owner) return json(response, 403, {});
    if (part === 'metrics') count('snapshots');
    if (faults.parts.has(part)) return json(response, 500, {});
    if (part === 'trends') {
      const answer = trendsOf(url.searchParams, now(), owner);
      if (!answer) return json(response, answer === null ? 400 : 404, {});
      if (url.searchParams.get('format') !== 'csv') return json(response, 200, answer, { 'Last-Event-ID': lastId(owner) });
      response.writeHead(200, { 'Content-Type': 'text/csv; charset=utf-8', 'Content-Disposition': `attachment; filename="tendencias-${ownerId}-${answer.from.slice(0, 7)}.csv"` });
      return response.end(csvOf(answer, url.searchParams.get('csv') === 'rfc4180'));
    }
    const body = {
      metrics: owner.metrics, overview: overviewOf(owner, true), bookings: { bookings: owner.bookings }, today: { bookings: owner.today }, listings: { listings: owner.listings },
    }[part];
    return body ? json(response, 200, body, { 'Last-Event-ID': lastId(owner) }) : json(response, 404, {});
  }

  function sse(request, response, url) {
    const owner = owners.get(url.searchParams.get('ownerId'));
    if (!request.headers.authorization || !owner) return json(response, 401, {});
    count('sse');
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    const write = (message) => response.write(`${message.id ? `id: ${message.id}\n` : ''}event: ${message.type}\ndata: ${JSON.stringify(message)}\n\n`);
    const leave = admit(owner, url.searchParams.get('lastEventId'), write, () => response.end(), userOf(request.headers.authorization));
    response.on('close', leave);
  }

  const http = createServer((request, response) => {
    const url = new URL(request.url, 'http://fake');
    seen.urls.push(request.url);
    if (files[url.pathname]) return void response.writeHead(200, { 'Content-Type': TYPES[path.extname(url.pathname)] }).end(files[url.pathname]);
    if (url.pathname === '/') return void serveFile('index.html', response);
    if (/^\/(sw\.js|manifest\.webmanifest|[\w-]+\.png)$/.test(url.pathname)) return void serveFile(`../root${url.pathname}`, response);
    if (faults.heldFiles?.test(url.pathname)) {
      faults.held.push(() => void serveFile(url.pathname.slice(8).replace(/^[0-9a-f]{16}\//, ''), response));
      return count('heldFiles');
    }
    if (url.pathname.startsWith('/client/')) return void serveFile(url.pathname.slice(8).replace(/^[0-9a-f]{16}\//, ''), response);
    if (url.pathname === '/api/sse') return void sse(request, response, url);
    // A page that is closed aborts its questions.
    return void api(request, response, url).catch(() => response.destroy());
  });
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'hangarshare.v1' });
  http.on('upgrade', (request, socket, head) => {
    const url = new URL(request.url, 'http://fake');
    seen.urls.push(request.url);
    count('upgrades');
    socket.on('error', () => {}); // a browser that goes away before it has read the refusal
    if (faults.refuseUpgrade) return void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
    sockets.handleUpgrade(request, socket, head, (ws) => {
      if (faults.swallow) return;
      if (faults.badToken) return ws.close(4401);
      const owner = owners.get(url.searchParams.get('ownerId'));
      const leave = admit(owner, url.searchParams.get('lastEventId'), (message) => ws.send(JSON.stringify(message)), (code) => ws.close(code),
        userOf(/bearer\.(\S+?)(,|$)/.exec(request.headers['sec-websocket-protocol'] ?? '')?.[1]));
      ws.on('close', leave);
      ws.on('message', (text) => {
        if (JSON.parse(text).type === 'ping') ws.send(JSON.stringify({ type: 'pong', timestamp: now(), ownerId: owner.ownerId, data: {} }));
      });
    });
  });
  await new Promise((resolve) => http.listen(port, '127.0.0.1', resolve));
  const chosen = http.address().port;

  return {
    url: `http://127.0.0.1:${chosen}`,
    port: chosen,
    faults,
    password: PASSWORD,
    seen,
    owners,
    notes,
    devices: push,
    clients,
    /** Commits an event; `lose` keeps it from the open streams. */
    push(ownerId, type, data, { lose = false } = {}) {
      const owner = owners.get(ownerId);
      const event = { id: `e${ownerId}-${++sequence}`, type, timestamp: now(), ownerId, data: { timestamp: now(), ...data } };
      owner.events.push(event);
      if (!lose) for (const client of clients) if (client.owner === owner) client.write(event);
      return event;
    },
    setMetrics(ownerId, change) {
      const owner = owners.get(ownerId);
      Object.assign(owner.metrics, change);
      for (const client of clients) if (client.owner === owner) client.control('metrics_updated', owner.metrics);
    },
    /** How far its clock is ahead of this machine's, in milliseconds. */
    get ahead() {
      return ahead;
    },
    /** Its clock goes on by so many milliseconds. */
    advance(ms) {
      ahead += ms;
    },
    heartbeat() {
      for (const client of clients) client.control('heartbeat', { lastEventId: lastId(client.owner) });
    },
    closeStreams(code) {
      for (const client of [...clients]) client.end(code);
    },
    /** Resolves when the condition on `seen` holds. */
    until(condition) {
      return new Promise((resolve) => {
        const check = () => {
          if (!condition(seen)) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      });
    },
    async stop() {
      for (const client of clients) clearInterval(client.timer);
      for (const ws of sockets.clients) ws.terminate();
      sockets.close();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await startFakeServer({ port: Number(process.env.PORT ?? 0) });
  console.log(server.url);
}
