/** The trends' words in English. @type {import('../shapes.js').Words} */
export default {
  range: 'Period', ptoday: 'Today', p7: '7 days', p30: '30 days', p90: '90 days', p12: '12 months',
  pown: 'Other', compare: 'Compare with', before: 'the period before',
  weekday: 'the same weekdays', year: 'a year ago', none: 'no comparison',
  table: 'Show as table', csv: 'Download CSV', csvStyle: '&csv=rfc4180', revenue: 'Revenue',
  bookings: 'Bookings', cancelled: 'Cancelled', occupancy: 'Occupancy', averageStay: 'Average stay',
  arrivals: 'Arrivals', nights: '{n} days', was: 'before: {value}', lost: 'cancelled: {n}',
  points: 'points', noBase: 'nothing to compare with', noData: 'no data', notYet: 'not begun', underWay: 'under way',
  asOf: 'data of {time}',
  since: 'Spaces known since {day}: before it, dotted, those of that day count.',
  summary: '{metric}, {span}: {total}, {change}. Highest: {best}, {when}',
  arrows: 'Left and right arrows read each point.', how: 'How it is calculated',
};
