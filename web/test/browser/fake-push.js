/** Devices and deliveries as a server keeps them, for tests of what the page says of them. */
import { createECDH } from 'node:crypto';

export class FakePush {
  /** Without a key the server sends no push. @type {string | null} */
  key;
  /**
   * @type {{id: string, user: string, endpoint: string, label: string, lastOkAt?: number,
   *   works: boolean}[]}
   */
  devices = [];
  /** What their users removed: ids and endpoints. */
  removed = new Set();
  /** What was sent to each user, newest first. @type {any[]} */
  deliveries = [];
  /** How the next test ends. */
  result = 'sent';
  /** @type {{method: string, path: string, body: any}[]} */
  asked = [];
  #next = 1;

  constructor() {
    const pair = createECDH('prime256v1');
    pair.generateKeys();
    this.key = pair.getPublicKey('base64url');
  }

  /** Adds a device. */
  add(user, label, more = {}) {
    const device = { id: `d${this.#next++}`, user, endpoint: `https://push.example/${this.#next}`, label, works: true, ...more };
    this.devices.push(device);
    return device;
  }

  /** Answers one request: a status and a body; null where the path is none of ours. */
  answer(method, path, user, body) {
    if (path.startsWith('/api/push/') || path.startsWith('/api/me/notifications/deliveries')) this.asked.push({ method, path, body });
    if (path === '/api/me/notifications/deliveries') return [200, { deliveries: this.deliveries }];
    if (path.startsWith('/api/me/notifications/deliveries/')) return [204, null];
    if (!path.startsWith('/api/push/')) return null;
    if (!this.key) return [404, {}];
    if (path === '/api/push/key') return [200, { key: this.key, keyId: 'k1' }];
    if (path === '/api/push/test') return [200, { result: this.result, code: 201 }];
    const mine = this.devices.filter((one) => one.user === user).map(({ user: _, endpoint: __, ...shown }) => shown);
    if (path === '/api/push/subscriptions' && method === 'GET') return [200, { subscriptions: mine }];
    if (path === '/api/push/subscriptions') {
      if (body.renews === undefined) this.removed.delete(body.endpoint);
      else if (this.removed.has(body.endpoint) || this.removed.has(body.renews)) return [410, {}];
      const found = this.devices.find(({ id, endpoint }) => endpoint === body.endpoint || body.renews && [id, endpoint].includes(body.renews));
      if (found) Object.assign(found, { user, endpoint: body.endpoint, label: body.label });
      return found ? [200, found] : [201, this.add(user, body.label, { endpoint: body.endpoint })];
    }
    const id = path.split('/').at(-1);
    if (!mine.some((one) => one.id === id)) return [404, {}];
    const { endpoint } = this.devices.find((one) => one.id === id);
    this.removed.add(id).add(endpoint);
    this.devices = this.devices.filter((one) => one.id !== id);
    return [204, null];
  }
}
