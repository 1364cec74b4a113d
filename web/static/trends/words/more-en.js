/** What table, file and explanation say in English. @type {import('../shapes.js').Words} */
export default {
  first: 'First day', last: 'Last day', apply: 'Show', asTable: 'Trends in numbers',
  fileName: 'trends', noFile: 'The file did not come.', total: 'Total', past: '{metric} before',
  unknown: 'Under way and no data',
  revenueHow: 'Total price of paid bookings, on the day of payment, without cancelled ones.',
  bookingsHow: 'Bookings created; cancelled ones leave the day on which they were created.',
  cancelledHow: 'Bookings cancelled, on the day of cancelling. Before the installation the last change counts, an estimate.',
  occupancyHow: 'Days sold ÷ days offered, at most the spaces of each hangar. By hour, the share of time. It is an average; the card shows this moment.',
  averageStayHow: 'Days of each booking created.', arrivalsHow: 'Check-ins, on their day.',
  compareHow: 'What has not ended is compared with the same part of the time before only.',
  unknownHow: 'Hatched: still under way. Grey: no data, which is not zero.',
};
