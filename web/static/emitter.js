/**
 * Listeners that cannot harm each other, and a log that cannot flood.
 * @import { Clock } from './types.js'
 */
const LOG_EVERY_MS = 60_000;
const LOG_KINDS = 100;

export class Emitter {
  #clock;
  #write;
  /** @type {Map<string, Set<(value: any) => void>>} */
  #listeners = new Map();
  /** @type {Map<string, number>} when each problem was last written */
  #written = new Map();

  /** @param {Clock} clock @param {(message: string, detail?: unknown) => void} write */
  constructor(clock, write) {
    this.#clock = clock;
    this.#write = write;
  }

  /** @param {string} event @param {(value: any) => void} listener @returns {() => void} */
  on(event, listener) {
    /** @param {any} value */
    const own = (value) => listener(value); // the same function twice is two registrations
    const all = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, all.add(own));
    return () => void all.delete(own);
  }

  /** @param {string} event @param {unknown} [value] */
  emit(event, value) {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(value);
      } catch (error) {
        this.log('a listener threw', error);
      }
    }
  }

  clear() {
    this.#listeners.clear();
  }

  /** At most one line per problem and minute. @param {string} problem @param {unknown} [detail] */
  log(problem, detail) {
    const now = this.#clock.now();
    if (now - (this.#written.get(problem) ?? -Infinity) < LOG_EVERY_MS) return;
    if (this.#written.size >= LOG_KINDS) this.#written.clear();
    this.#written.set(problem, now);
    this.#write(problem, detail);
  }
}
