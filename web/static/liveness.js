/**
 * Whether a connection is still one, by the wall clock: timers stop while a
 * laptop sleeps, and an open socket says nothing about the other end.
 * @import { Clock } from './types.js'
 */

/** Heartbeats missed until the numbers count as unconfirmed, and until the connection counts as dead. */
const STALE_AFTER = 1.5;
const DEAD_AFTER = 2.5;
const PROBE_MS = 3000;

export class Liveness {
  #clock;
  #on;
  #heartbeatMs = 20_000;
  #heardAt = 0;
  #tickedAt = 0;
  /** @type {unknown} */
  #timer = null;
  /** @type {unknown} */
  #probe = null;
  #stale = false;

  /**
   * @param {Clock} clock
   * @param {{stale: (stale: boolean) => void, dead: () => void, ping: () => void}} on
   */
  constructor(clock, on) {
    this.#clock = clock;
    this.#on = on;
  }

  /** @param {number} heartbeatMs how often the server promised to speak */
  start(heartbeatMs) {
    this.stop();
    this.#heartbeatMs = Math.max(heartbeatMs, 100);
    this.#stale = false;
    this.#heardAt = this.#tickedAt = this.#clock.now();
    this.#arm();
  }

  /** Something arrived. */
  heard() {
    this.#heardAt = this.#clock.now();
    if (!this.#stale) return;
    this.#stale = false;
    this.#on.stale(false);
  }

  /**
   * The page is back from sleep or from the dark. What the browser buffered is
   * delivered before a timer of 0 ms fires; only if that was nothing, ask.
   */
  wake() {
    if (this.#timer === null || this.#probe !== null) return;
    const quietMs = this.#clock.now() - this.#heardAt;
    if (quietMs < this.#heartbeatMs * STALE_AFTER) return;
    const heardBefore = this.#heardAt;
    this.#probe = this.#clock.setTimeout(() => {
      if (this.#heardAt !== heardBefore) return void (this.#probe = null);
      this.#on.ping();
      this.#probe = this.#clock.setTimeout(() => {
        this.#probe = null;
        if (this.#heardAt === heardBefore) this.#on.dead();
      }, PROBE_MS);
    }, 0);
  }

  stop() {
    if (this.#timer !== null) this.#clock.clearTimeout(this.#timer);
    if (this.#probe !== null) this.#clock.clearTimeout(this.#probe);
    this.#timer = this.#probe = null;
  }

  #arm() {
    const every = this.#heartbeatMs / 4;
    this.#timer = this.#clock.setTimeout(() => {
      const now = this.#clock.now();
      const slept = now - this.#tickedAt > every * 3 + 1000;
      this.#tickedAt = now;
      this.#arm();
      const quietMs = now - this.#heardAt;
      if (slept) this.wake();
      else if (this.#probe !== null) return;
      else if (quietMs >= this.#heartbeatMs * DEAD_AFTER) return this.#on.dead();
      if (quietMs >= this.#heartbeatMs * STALE_AFTER && !this.#stale) {
        this.#stale = true;
        this.#on.stale(true);
      }
    }, every);
  }
}
