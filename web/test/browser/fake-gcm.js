/**
 * Where Chromium registers before it subscribes to push: two questions over HTTP, which Google's
 * servers answer otherwise. With it `pushManager.subscribe` is the browser's own, to the last byte.
 * No message comes from here: DevTools hands those over.
 */
import { createServer } from 'node:http';

/** A field of 8 bytes in a protocol buffer. @param {number} number @param {bigint} value */
function fixed64(number, value) {
  const field = Buffer.alloc(9);
  field[0] = (number << 3) | 1;
  field.writeBigUInt64LE(value, 1);
  return field;
}

/** AndroidCheckinResponse: stats_ok, android_id, security_token. */
const CHECKIN = Buffer.concat([Buffer.from([0x08, 1]), fixed64(7, 0x1234_5678_9abcn), fixed64(8, 0x0fed_cba9_8765n)]);

/**
 * @returns {Promise<{flags: string[], seen: string[], stop: () => Promise<void>}>} `flags` are
 *   Chromium's
 */
export async function startFakeGCM() {
  let tokens = 0;
  /** @type {string[]} */
  const seen = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    request.resume().on('end', () => {
      if (request.url === '/checkin') return void response.writeHead(200, { 'Content-Type': 'application/x-protobuffer' }).end(CHECKIN);
      response.writeHead(200, { 'Content-Type': 'text/plain' }).end(`token=of-a-test-${++tokens}`);
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const origin = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
  return {
    flags: [`--gcm-checkin-url=${origin}/checkin`, `--gcm-registration-url=${origin}/register`, '--gcm-mcs-endpoint=https://127.0.0.1:9'],
    seen,
    stop: () => new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    }),
  };
}
