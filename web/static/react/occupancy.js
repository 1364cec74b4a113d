/**
 * What `/events` still knows of hangars that filled or emptied.
 * @import * as N from '../notifications/shapes.js'
 */

/** So many questions, and so many events each, at most. */
const PAGES = 10;
const PAGE = 500;
const KEPT = 100;

/**
 * The newest changes of occupancy that the log still holds, newest first. Nothing where it holds
 * too much to be read here.
 * @param {N.Ask} ask @returns {Promise<import('../types.js').OccupancyChange[]>}
 */
export async function recentOccupancy(ask) {
  /** @type {import('../types.js').OccupancyChange[]} */
  const found = [];
  let after = '';
  for (let page = 0; page < PAGES; page++) {
    const body = await ask(`events?${after && `after=${encodeURIComponent(after)}&`}limit=${PAGE}`);
    if (!Array.isArray(body?.events)) break;
    for (const { type, data } of body.events) if (type === 'occupancy_changed') found.unshift(data);
    if (!body.hasMore) return found.slice(0, KEPT);
    after = body.lastEventId;
  }
  return [];
}
