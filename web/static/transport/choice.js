/** Which transport is dialled: a WebSocket, unless something on the way dislikes them. */

/** Silent failures, with plain HTTP working, until the other transport is tried. */
const SILENT_FAILURES = 2;
const UPGRADE_FIRST_MS = 30_000;
const UPGRADE_MAX_MS = 300_000;

/** @typedef {'websocket' | 'sse'} Mode */

export class TransportChoice {
  /** @type {Mode} */
  mode = 'websocket';
  /** How long a fallback is kept before a WebSocket is tried beside it. */
  upgradeMs = UPGRADE_FIRST_MS;
  #silent = 0;

  established() {
    this.#silent = 0;
  }

  /** A dial ended without a word, although plain HTTP works. @param {Mode} mode @returns {boolean} whether the other one is next */
  failed(mode) {
    if (mode !== this.mode || ++this.#silent < SILENT_FAILURES) return false;
    this.#silent = 0;
    this.mode = mode === 'websocket' ? 'sse' : 'websocket';
    return true;
  }

  upgraded() {
    this.mode = 'websocket';
    this.upgradeMs = UPGRADE_FIRST_MS;
  }

  upgradeFailed() {
    this.upgradeMs = Math.min(this.upgradeMs * 2, UPGRADE_MAX_MS);
  }
}

/** Whether the server answers at all; a refusal is an answer. @param {typeof fetch} fetch @param {string} baseUrl @param {string} token */
export async function plainHttpWorks(fetch, baseUrl, token) {
  try {
    const headers = { Authorization: `Bearer ${token}` };
    const response = await fetch(new URL('/api/auth/me', baseUrl).href, { headers, cache: 'no-store' });
    return response.status < 500;
  } catch {
    return false; // nothing works: that is an outage, not a matter of transport
  }
}
