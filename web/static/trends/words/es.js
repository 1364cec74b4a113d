/** The words of charts in Spanish. @type {import('../shapes.js').Words} */
export default {
  range: 'Período', ptoday: 'Hoy', p7: '7 días', p30: '30 días', p90: '90 días', p12: '12 meses',
  pown: 'Otro', revenue: 'Ingresos', bookings: 'Reservas', occupancy: 'Ocupación',
  was: 'antes {value}', points: 'p.p.', noBase: 'sin base de comparación', noData: 'sin datos',
  asOf: 'datos de las {time}',
};
