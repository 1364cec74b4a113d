/** The words of charts in English. @type {import('../shapes.js').Words} */
export default {
  range: 'Period', ptoday: 'Today', p7: '7 days', p30: '30 days', p90: '90 days', p12: '12 months',
  pown: 'Custom', revenue: 'Revenue', bookings: 'Bookings', occupancy: 'Occupancy',
  was: 'before: {value}', points: 'points', noBase: 'nothing to compare with', noData: 'no data',
  asOf: 'data as of {time}',
};
