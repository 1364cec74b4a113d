/**
 * <owner-trends owner-id="1">: an owner's revenue, bookings and occupancy by hour, day and month,
 * live. It loads once its `token` is set.
 * @import * as T from './shapes.js'
 */
import { PanelElement, define } from './panel.js';
import { newTrends } from './trends/view.js';

class Trends extends PanelElement {
  /** @param {T.Around} around */
  newView(around) {
    return newTrends(around);
  }
}

export const OwnerTrends = define('owner-trends', Trends);
