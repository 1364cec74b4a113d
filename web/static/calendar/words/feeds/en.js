/**
 * The words of feeds in English, beside those of the calendar.
 * @type {import('../../shapes.js').Words}
 */
export default {
  about: 'A secret address that Google Calendar, Outlook or another portal reads without a password. Each updates at its own pace: Google every 8 to 24 hours.',
  refused: 'Only owners and managers create addresses for other calendars.',
  tooManyFeeds: 'The account has 100 addresses: revoke one that is no longer read.',
  failed: 'No answer came.', noFeeds: 'No address yet.',
  label: 'Name', labelHint: 'Where it is used, like “Airbnb”', which: 'Bookings of',
  all: 'all hangars', detail: 'Show', busy: 'only free/busy', full: 'names of guests',
  create: 'Create address', once: 'Copy it now: this address is not shown again.',
  address: 'Address of {label}', copy: 'Copy', copied: 'Copied',
  madeBy: 'created by {who} on {time}', read: 'read {ago} by {agent}', unknown: 'a program without a name',
  never: 'never read', revoke: 'Revoke', reallyRevoke: 'Really revoke?',
  revoked: '{label} is revoked: the address is empty for 7 days and then gone.',
};
