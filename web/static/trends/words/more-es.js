/** What table, file and explanation say in Spanish. @type {import('../shapes.js').Words} */
export default {
  first: 'Primer día', last: 'Último día', apply: 'Mostrar', asTable: 'Tendencias en números',
  fileName: 'tendencias', noFile: 'El archivo no llegó.', total: 'Total', past: '{metric}, antes',
  unknown: 'En curso y sin datos',
  revenueHow: 'Precio total de las reservas pagadas, el día del pago; las canceladas salen.',
  bookingsHow: 'Reservas creadas; las canceladas salen del día en que se crearon.',
  cancelledHow: 'Reservas canceladas, el día de la cancelación. Antes de la instalación cuenta el último cambio, una estimación.',
  occupancyHow: 'Días vendidos ÷ días ofrecidos, como máximo las plazas de cada hangar. Por hora, la parte del tiempo ocupada. Es una media; la tarjeta muestra este momento.',
  averageStayHow: 'Días por reserva creada.', arrivalsHow: 'Entradas, el día del check-in.',
  compareHow: 'Lo que aún no terminó se compara solo con la misma parte del tiempo anterior.',
  unknownHow: 'Rayado: aún en curso. Gris: sin datos, lo que no es cero.',
};
