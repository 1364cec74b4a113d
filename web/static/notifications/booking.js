/**
 * Opens the booking that a notification is about. Loaded when that is done.
 * @import * as T from '../shapes.js'
 */
import { showDetails } from '../element/details.js';

/**
 * @param {import('../entries/notifications.js').OwnerNotifications} element
 * @param {HTMLElement} frame @param {string} bookingId @param {T.Wording} wording
 * @param {T.Zone} zone
 */
export function openBooking(element, frame, bookingId, wording, zone) {
  if (!element.dispatchEvent(new CustomEvent('openbooking', { detail: { bookingId }, cancelable: true }))) return;
  void showDetails(frame, {
    wording, bookingId, zone, href: element.getAttribute('booking-href') ?? '', load: () => element.ask(`bookings/${encodeURIComponent(bookingId)}`),
  });
}
