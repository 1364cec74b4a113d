/**
 * <booking-calendar owner-id="1">: an owner's bookings by hangar and day, live. It loads once its
 * `token` is set.
 * @import * as T from './shapes.js'
 */
import { newCalendar } from './calendar/view.js';
import { PanelElement, define } from './panel.js';

class Calendar extends PanelElement {
  /** @param {T.Around} around */
  newView(around) {
    return newCalendar(around);
  }
}

export const BookingCalendar = define('booking-calendar', Calendar);
