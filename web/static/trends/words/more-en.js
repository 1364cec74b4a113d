/** What table, file and explanation say in English. @type {import('../shapes.js').Words} */
export default {
  first: 'First day', last: 'Last day', apply: 'Show', asTable: 'Trends in numbers',
  fileName: 'trends', total: 'Total', past: '{metric}, before',
  unknown: 'In progress and no data',
  revenueHow: 'Total price of paid bookings, on the day of payment; cancelled ones do not count.',
  bookingsHow: 'Bookings created, on the day they were created; cancelled ones no longer count on it.',
  cancelledHow: 'Bookings cancelled, on the day of cancellation. Before the installation the last change counts, which is an estimate.',
  occupancyHow: 'Days sold ÷ days offered, up to the spaces of each hangar. By hour, the share of time occupied. It is an average; the card shows this moment.',
  averageStayHow: 'Days per booking created.', arrivalsHow: 'Check-ins, on their day.',
  comparison: 'Comparison',
  comparisonHow: 'What has not ended is compared only with the same part of the previous period.',
  unknownHow: 'Hatched: still in progress. Grey: no data, which is not zero.',
};
