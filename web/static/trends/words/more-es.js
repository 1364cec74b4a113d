/** What table, file and explanation say in Spanish. @type {import('../shapes.js').Words} */
export default {
  first: 'Primer día', last: 'Último día', apply: 'Mostrar', asTable: 'Tendencias en números',
  fileName: 'tendencias', total: 'Total', past: '{metric}, antes',
  unknown: 'En curso y sin datos',
  revenueHow: 'Precio total de las reservas pagadas, el día del pago; las canceladas no cuentan.',
  bookingsHow: 'Reservas creadas, el día de su creación; las canceladas dejan de contar ese día.',
  cancelledHow: 'Reservas canceladas, el día de la cancelación. Antes de la instalación cuenta el último cambio, una estimación.',
  occupancyHow: 'Días vendidos ÷ días ofrecidos, como máximo las plazas de cada hangar. Por hora, la parte del tiempo ocupada. Es una media; la tarjeta muestra este momento.',
  averageStayHow: 'Días por reserva creada.', arrivalsHow: 'Entradas, el día del check-in.',
  comparison: 'Comparación',
  comparisonHow: 'Lo que aún no terminó se compara solo con la misma parte del período anterior.',
  unknownHow: 'Rayado: aún en curso. Gris: sin datos, lo que no es cero.',
};
