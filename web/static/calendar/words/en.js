/** The calendar's words in English. @type {import('../shapes.js').Words} */
export default {
  title: 'Booking calendar', before: 'Earlier', after: 'Later', today: 'Today', days: '{n} days',
  span: 'Days shown', cancelled: 'Cancelled', occupancy: 'Occupancy', of: '{n} of {spaces} spaces',
  hangar: 'Hangar', spaces: '{n} spaces', space: '1 space', cell: '{hangar}, {day}: {of}',
  arrives: '1 arrives', arrive: '{n} arrive', leaves: '1 leaves', leave: '{n} leave',
  over: '{n} more than the spaces', open: 'Show the spaces of {hangar}',
  shut: 'Hide the spaces of {hangar}', paid: 'paid', unpaid: 'unpaid',
  uncertain: 'Dates to check ({n})', moved: 'It is {day} now', goToday: 'Go to today',
  failed: 'The calendar could not be loaded.', retry: 'Try again', loading: 'Loading…',
  none: 'No hangar yet.', free: 'free', turnover: 'turnover in {n}',
  turnoverDay: 'turnover on the same day', stays: 'Bookings of {hangar}, {day}',
  hidden: 'not on the market', comes: 'arrives', goes: 'leaves', remains: 'stays',
  nobody: 'Nobody.',
  keys: 'Arrows move by day and hangar; Page Up and Page Down by window; T goes to today; Enter opens.',
  noName: 'Guest without a name', missing: '?', printed: 'Calendar from {from} to {to}',
  close: 'Close', guests: 'Too many bookings to draw: the counts have all of them.',
  overbooked: 'over-booked',
};
