/** The words beside charts in English. @type {import('../shapes.js').Words} */
export default {
  compare: 'Compare with', before: 'the period before',
  weekday: 'the same weekdays', year: 'a year ago', none: 'no comparison',
  table: 'Show as table', csv: 'Download CSV', csvStyle: '&csv=rfc4180', allHangars: 'all',
  cancelled: 'Cancelled', averageStay: 'Average stay', arrivals: 'Arrivals', nights: '{n} days',
  lost: 'cancelled: {n}', notYet: 'not begun', underWay: 'under way',
  since: 'Spaces known since {day}: before it, dotted, those of that day count.',
  summary: '{metric}, {span}: {total}, {change}. Highest: {best}, {when}',
  arrows: 'Left and right arrows read each point.', how: 'How it is calculated',
};
