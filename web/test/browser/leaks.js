/** Whether a page gives back what it took. */
import assert from 'node:assert/strict';

const PATIENCE = 20_000; // ms
const PAUSE = 50;

/** @typedef {{nodes: number, listeners: number, heap: number}} Holdings DOM nodes, event listeners, bytes of heap */

/**
 * Tells what a page holds, without its garbage.
 * @param {import('playwright-core').Page} page
 * @returns {Promise<() => Promise<Holdings>>}
 */
export async function holdingsOf(page) {
  const session = await page.context().newCDPSession(page);
  return async () => {
    await session.send('HeapProfiler.collectGarbage');
    await session.send('HeapProfiler.collectGarbage'); // what the first one's finalizers let go
    const { jsEventListeners: listeners, nodes } = await session.send('Memory.getDOMCounters');
    const { usedSize: heap } = await session.send('Runtime.getHeapUsage');
    return { nodes, listeners, heap };
  };
}

/**
 * Waits until a page holds no more than the limit. A socket that still says goodbye to its server keeps its listeners
 * for so long, and longer on a busy machine; what is leaked never goes.
 * @param {() => Promise<Holdings>} holdings @param {Holdings} limit
 */
export async function settlesBelow(holdings, limit) {
  const excess = (/** @type {Holdings} */ now) => Object.keys(limit).filter((kind) => now[kind] > limit[kind]);
  let now = await holdings();
  for (const end = Date.now() + PATIENCE; excess(now).length > 0 && Date.now() < end; now = await holdings()) {
    await new Promise((resolve) => { setTimeout(resolve, PAUSE); });
  }
  assert.deepEqual(excess(now), [], `held ${JSON.stringify(now)}, where ${JSON.stringify(limit)} is allowed`);
  return now;
}
