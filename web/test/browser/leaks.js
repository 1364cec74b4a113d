/** Whether a page gives back what it took. */
import assert from 'node:assert/strict';
import { TIMEOUT_MS } from '../timeout.js';

const PAUSE = 50;

/**
 * @typedef {{nodes: number, listeners: number, heap: number}} Resources DOM nodes, event listeners,
 * bytes of heap
 */

/**
 * Tells what a page holds, without its garbage.
 * @param {import('playwright-core').Page} page
 * @returns {Promise<() => Promise<Resources>>}
 */
export async function resourcesOf(page) {
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
 * Waits until a page holds no more than the limit. A socket that still says goodbye to its server
 * keeps its listeners for so long, and longer on a busy machine; what is leaked never goes.
 * @param {() => Promise<Resources>} resources @param {Resources} limit
 */
export async function dropsBelow(resources, limit) {
  const excess = (/** @type {Resources} */ now) => Object.keys(limit).filter((kind) => now[kind] > limit[kind]);
  let now = await resources();
  for (const end = Date.now() + TIMEOUT_MS; excess(now).length > 0 && Date.now() < end; now = await resources()) {
    await new Promise((resolve) => { setTimeout(resolve, PAUSE); });
  }
  assert.deepEqual(excess(now), [], `held ${JSON.stringify(now)}, where ${JSON.stringify(limit)} is allowed`);
  return now;
}
