/** The words beside charts in English. @type {import('../shapes.js').Words} */
export default {
  compare: 'Compare with', before: 'previous period',
  weekday: 'same days of the week', year: 'a year earlier', none: 'no comparison',
  table: 'Show as table', csv: 'Download CSV', csvStyle: '&csv=rfc4180', allHangars: 'all',
  cancelled: 'Cancelled', averageStay: 'Average stay', arrivals: 'Arrivals', nights: '{n} days',
  lost: 'cancelled: {n}', notYet: 'not started', underWay: 'in progress',
  since: 'Spaces known since {day}: before that, dotted, those of that day count.',
  summary: '{metric}, {span}: {total}, {change}. Highest: {best}, {when}',
  arrows: 'The left and right arrow keys read each point.', how: 'How it is calculated',
};
