/** The words of charts in Portuguese. */
export default {
  range: 'Período', ptoday: 'Hoje', p7: '7 dias', p30: '30 dias', p90: '90 dias', p12: '12 meses',
  pown: 'Outro', revenue: 'Receita', bookings: 'Reservas', occupancy: 'Ocupação',
  was: 'antes {value}', points: 'p.p.', noBase: 'sem base de comparação', noData: 'sem dados',
  asOf: 'dados de {time}',
};
