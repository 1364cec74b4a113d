// What every client here shares: its task, by environment, and how it tells the
// test what it sees, a line of JSON each.
import { createInterface } from 'node:readline';

const { BASE, OWNER, TOKEN, WAY } = process.env;

/** The address of a stream that begins after an id. */
export const address = (path, last) => `${BASE}${path}?ownerId=${OWNER}&lastEventId=${encodeURIComponent(last)}`;
export const webSocketBase = BASE.replace(/^http/, 'ws');
export const webSocketAddress = (last) => address('/api/ws', last).replace(/^http/, 'ws');

/**
 * How the token is carried: in the header, as a cookie, as a sub-protocol, or in the first message.
 */
export const headers = WAY === 'header' ? { Authorization: `Bearer ${TOKEN}` } : WAY === 'cookie' ? { Cookie: `jwt=${TOKEN}` } : {};
export const protocols = WAY === 'protocol' ? ['hangarshare.v1', `bearer.${TOKEN}`] : ['hangarshare.v1'];
export const firstMessage = WAY === 'message' ? JSON.stringify({ type: 'auth', ownerId: OWNER, token: TOKEN }) : undefined;

/** A ticket for one connection (30 s). */
export async function ticket() {
  const answer = await fetch(`${BASE}/api/auth/ticket`, { method: 'POST', headers: { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' }, body: '{}' });
  return (await answer.json()).ticket;
}

const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

/** Shows a message, as text or as an object. */
export const show = (message) => tell({ got: typeof message === 'string' ? JSON.parse(message) : message });
/** Tells that a connection has ended, with its close code where there is one. */
export const ended = (code) => tell({ ended: code ?? 0 });
/** Tells that a ping was answered. */
export const ponged = () => tell({ pong: true });

/** A random part of a second: all who were cut must not come back at once. */
export const pause = () => Math.random() * 1000;

/** Whether the test has asked for the end: then nobody comes back. */
export let closing = false;

/** Does what the test says: ping, and close. */
export function obey({ ping, close }) {
  createInterface({ input: process.stdin }).on('line', (line) => {
    if (line === 'ping') ping?.();
    if (line === 'close') {
      closing = true;
      close();
    }
  });
}
