/**
 * Ports for programs that must be told where to listen. They are none that the system gives to
 * outgoing connections or to those who ask for any, nor one that another test has been given.
 */
import { createServer } from 'node:net';
import { platform } from 'node:os';

const FIRST = 20_000;
const COUNT = 10_000;

/**
 * Listens, and resolves to the server, or to nothing where that place is taken.
 * @param {number | string} at a port of this machine, or the name of a socket
 * @returns {Promise<import('node:net').Server | undefined>}
 */
const listen = (at) => new Promise((resolve) => {
  const server = createServer().once('error', () => resolve(undefined));
  server.unref();
  if (typeof at === 'number') server.listen(at, '127.0.0.1', () => resolve(server));
  else server.listen(at, () => resolve(server));
});

/**
 * A port that nobody listens on. It is the process's until that ends, also while nobody listens
 * there: Linux has names for sockets that are no files, one of which stands for a port.
 */
export async function freePort() {
  for (;;) {
    const port = FIRST + Math.floor(COUNT * Math.random());
    const reserved = platform() !== 'linux' || await listen(`\0hangarshare-test-port-${port}`);
    if (!reserved) continue;
    const probe = await listen(port);
    if (!probe) continue;
    await new Promise((resolve) => probe.close(resolve));
    return port;
  }
}
