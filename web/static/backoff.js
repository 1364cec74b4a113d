/** How long to wait before dialling again: growing ceilings, full jitter, no last try. */

const CEILINGS_MS = [1000, 2000, 4000, 8000, 16000, 32000, 60000];

/** A connection that held this long was a good one: the next loss starts from the first ceiling. */
export const STABLE_MS = 10_000;

/** The longest wait of the given try, counted from 0. @param {number} attempt */
export function ceiling(attempt) {
  return CEILINGS_MS[Math.min(Math.max(attempt, 0), CEILINGS_MS.length - 1)];
}

/**
 * A random wait below the try's ceiling, so that clients cut together do not return together.
 * @param {number} attempt
 * @param {() => number} random in [0, 1)
 */
export function delay(attempt, random) {
  return Math.floor(random() * ceiling(attempt));
}
