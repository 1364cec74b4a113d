/** The words beside charts in Portuguese. */
export default {
  compare: 'Comparar com', before: 'período anterior',
  weekday: 'mesmos dias da semana', year: 'um ano antes', none: 'sem comparação',
  table: 'Ver como tabela', csv: 'Baixar CSV', csvStyle: '', allHangars: 'todos',
  cancelled: 'Canceladas', averageStay: 'Estadia média', arrivals: 'Chegadas',
  nights: '{n} diárias', lost: 'canceladas: {n}', notYet: 'ainda não começou',
  underWay: 'em andamento',
  since: 'Vagas conhecidas desde {day}: antes, em pontilhado, contam as desse dia.',
  summary: '{metric}, {span}: {total}, {change}. Maior: {best}, {when}',
  arrows: 'Setas esquerda e direita leem cada ponto.', how: 'Como é calculado',
};
