/**
 * The real program, started for a test on a free port with a private PostgreSQL in an empty
 * directory.
 */
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TIMEOUT_MS } from '../timeout.js';

const BINARY = process.env.HANGARSHARE_BIN ?? new URL('../../../bin/hangarshare', import.meta.url).pathname;

/**
 * @param {string[]} flags more flags for `serve`
 * @param {string} [address] of the database of another one, in place of a PostgreSQL of its own
 * @returns {Promise<{origin: string, address: string, database: import('pg').ClientConfig,
 *   stop: () => Promise<void>}>}
 */
export async function startProgram(flags = [], address = '') {
  const directory = await mkdtemp(join(tmpdir(), 'hangarshare-page-'));
  await chmod(directory, 0o755); // PostgreSQL may run as another user
  const child = spawn(BINARY, ['serve', '--addr', '127.0.0.1:0', '--admin-addr', '127.0.0.1:0', '--data-dir', directory, ...flags],
    { env: { ...process.env, DATABASE_URL: address, JWT_SECRET: '' } });
  const ended = new Promise((resolve) => child.once('close', resolve));
  let output = '';
  let late;
  const addresses = new Promise((resolve, reject) => {
    late = setTimeout(() => reject(new Error(`the program did not start:\n${output}`)), TIMEOUT_MS);
    child.once('error', (error) => reject(new Error(`${BINARY}: ${error.message}; run make build first`)));
    child.once('close', () => reject(new Error(`the program ended:\n${output}`)));
    const read = (/** @type {Buffer} */ chunk) => {
      output += chunk;
      const origin = /HangarShare Realtime is at (http\S+?)\/\n/.exec(output);
      const database = /Its PostgreSQL: psql '(\S+)'\n/.exec(output);
      if (origin && (database || address)) resolve([origin[1], database?.[1]]);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
  });
  const stop = async () => {
    clearTimeout(late);
    child.kill('SIGTERM');
    await ended;
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const [origin, database = address] = await addresses;
    clearTimeout(late);
    return { origin, address: database, database: settings(database), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The address of a database behind a socket, which no URL parser reads. @param {string} address */
function settings(address) {
  const [, user, database, query] = /^postgres:\/\/([^@]*)@[^/]*\/([^?]*)\?(.*)$/.exec(address);
  const parameters = new URLSearchParams(query);
  return { user, database, host: parameters.get('host'), port: Number(parameters.get('port')) };
}
