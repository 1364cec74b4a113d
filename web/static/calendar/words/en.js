/**
 * The calendar's words in English, beside those of the page. A pair is for one and for many.
 * @type {import('../shapes.js').Words}
 */
export default {
  title: 'Booking calendar', before: 'Earlier', after: 'Later', today: 'Today', span: 'Days shown',
  cancelled: 'Cancelled', occupancy: 'Occupancy', spaceCount: '{n} spaces',
  cell: '{hangar}, {day}: {of}', arriving: ['{n} arrives', '{n} arrive'],
  leaving: ['{n} leaves', '{n} leave'], over: '{n} more than the spaces',
  lanes: 'Bookings of {hangar}, space by space', paid: 'paid', unpaid: 'unpaid',
  uncertain: 'Dates to check ({n})', moved: 'It is {day} now', goToday: 'Go to today',
  none: 'No hangar yet.', turnover: 'turnover in {n}', turnoverDay: 'turnover on the same day',
  stays: 'Bookings of {hangar}, {day}', hidden: 'not listed', comes: 'arrives',
  goes: 'leaves', remains: 'stays', nobody: 'Nobody.', overbooked: 'overbooked', missing: '?',
  keys: 'Arrows move by day and hangar; Page Up and Page Down by window; T goes to today; Enter opens.',
  guests: 'Too many bookings to draw: the counts have all of them.', feeds: 'Other calendars',
};
