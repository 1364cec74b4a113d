/**
 * Where in an owner's stream this client stands. Ids are opaque: the newest one
 * received is the position, and a small memory of earlier ones finds repetitions.
 * @import { PositionStorage } from './types.js'
 */

const REMEMBERED = 512;

export class Position {
  #key;
  #storage;
  #value = '';
  /** @type {Set<string>} oldest first */
  #seen = new Set();

  /** @param {string} ownerId @param {PositionStorage | null} storage survives a reload of the page */
  constructor(ownerId, storage) {
    this.#key = `hangarshare:position:${ownerId}`;
    this.#storage = storage;
    try {
      this.#value = storage?.getItem(this.#key) ?? '';
    } catch {
      this.#storage = null; // storage may be forbidden; then a reload starts at now
    }
  }

  /** The id to resume after; empty before the first. */
  get value() {
    return this.#value;
  }

  /** Moves to an event's id. @param {string} id @returns {boolean} false when it was seen before */
  accept(id) {
    const fresh = !this.#seen.delete(id);
    this.#seen.add(id);
    if (this.#seen.size > REMEMBERED) this.#seen.delete(/** @type {string} */ (this.#seen.values().next().value));
    this.moveTo(id);
    return fresh;
  }

  /** Moves without an event: the server said where the stream stands. @param {string} id */
  moveTo(id) {
    if (!id || id === this.#value) return;
    this.#value = id;
    try {
      this.#storage?.setItem(this.#key, id);
    } catch {
      this.#storage = null;
    }
  }

  /** The server refused the id: the next stream starts at now. */
  forget() {
    this.#value = '';
    try {
      this.#storage?.removeItem(this.#key);
    } catch {
      this.#storage = null;
    }
  }
}
