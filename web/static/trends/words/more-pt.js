/** What table, file and explanation say in Portuguese. @type {import('../shapes.js').Words} */
export default {
  first: 'Primeiro dia', last: 'Último dia', apply: 'Mostrar', asTable: 'Tendências em números',
  fileName: 'tendencias', noFile: 'O arquivo não veio.', total: 'Total', past: '{metric}, antes',
  unknown: 'Em andamento e sem dados',
  revenueHow: 'Preço total das reservas pagas, no dia do pagamento; as canceladas saem.',
  bookingsHow: 'Reservas criadas; as canceladas saem do dia em que foram criadas.',
  cancelledHow: 'Reservas canceladas, no dia do cancelamento. Antes da instalação vale a última mudança, uma estimativa.',
  occupancyHow: 'Diárias vendidas ÷ diárias oferecidas, no máximo as vagas de cada hangar. Por hora, a parte do tempo ocupada. É uma média; o cartão mostra este momento.',
  averageStayHow: 'Diárias por reserva criada.', arrivalsHow: 'Entradas, no dia do check-in.',
  compareHow: 'O que ainda não terminou é comparado só com a mesma parte do tempo anterior.',
  unknownHow: 'Hachurado: ainda em andamento. Cinza: sem dados, o que não é zero.',
};
