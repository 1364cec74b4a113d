/**
 * Where tokens come from: a string, or a function asked again at every dial.
 * @import { Token } from './types.js'
 */
export class TokenSource {
  #token;
  /** @type {Promise<string> | null} */
  #asking = null;

  /** @param {Token} token */
  constructor(token) {
    this.#token = token;
  }

  /** @param {Token} token */
  set(token) {
    this.#token = token;
    this.#asking = null;
  }

  /** One question in flight, whoever asks. @returns {Promise<string>} */
  ask() {
    const token = this.#token;
    if (typeof token === 'string') return Promise.resolve(token);
    if (this.#asking) return this.#asking;
    const asking = Promise.resolve().then(token).finally(() => {
      if (this.#asking === asking) this.#asking = null;
    });
    return (this.#asking = asking);
  }
}
