/** The trends' words in Portuguese. @type {import('../shapes.js').Words} */
export default {
  range: 'Período', ptoday: 'Hoje', p7: '7 dias', p30: '30 dias', p90: '90 dias', p12: '12 meses',
  pown: 'Outro', compare: 'Comparar com', before: 'período anterior',
  weekday: 'mesmos dias da semana', year: 'um ano antes', none: 'sem comparação',
  table: 'Ver como tabela', csv: 'Baixar CSV', csvStyle: '', revenue: 'Receita',
  bookings: 'Reservas', cancelled: 'Canceladas', occupancy: 'Ocupação',
  averageStay: 'Estadia média', arrivals: 'Chegadas', nights: '{n} diárias', was: 'antes {value}',
  lost: 'canceladas: {n}', points: 'p.p.', noBase: 'sem base de comparação', noData: 'sem dados',
  notYet: 'ainda não começou', underWay: 'em andamento', asOf: 'dados de {time}',
  since: 'Vagas conhecidas desde {day}: antes, em pontilhado, contam as desse dia.',
  summary: '{metric}, {span}: {total}, {change}. Maior: {best}, {when}',
  arrows: 'Setas esquerda e direita leem cada ponto.', how: 'Como é calculado',
};
