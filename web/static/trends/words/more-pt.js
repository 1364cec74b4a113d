/** What table, file and explanation say in Portuguese. */
export default {
  first: 'Primeiro dia', last: 'Último dia', apply: 'Mostrar', asTable: 'Tendências em números',
  fileName: 'tendencias', total: 'Total', past: '{metric}, antes',
  unknown: 'Em andamento e sem dados',
  revenueHow: 'Preço total das reservas pagas, no dia do pagamento; as canceladas não contam.',
  bookingsHow: 'Reservas criadas, no dia da criação; as canceladas deixam de contar nesse dia.',
  cancelledHow: 'Reservas canceladas, no dia do cancelamento. Antes da instalação vale a última mudança, uma estimativa.',
  occupancyHow: 'Diárias vendidas ÷ diárias oferecidas, no máximo as vagas de cada hangar. Por hora, a parte do tempo ocupada. É uma média; o cartão mostra este momento.',
  averageStayHow: 'Diárias por reserva criada.', arrivalsHow: 'Entradas, no dia do check-in.',
  comparison: 'Comparação',
  comparisonHow: 'O que ainda não terminou é comparado só com a mesma parte do período anterior.',
  unknownHow: 'Hachurado: ainda em andamento. Cinza: sem dados, o que não é zero.',
};
