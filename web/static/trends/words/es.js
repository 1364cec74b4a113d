/** The trends' words in Spanish. @type {import('../shapes.js').Words} */
export default {
  range: 'Período', ptoday: 'Hoy', p7: '7 días', p30: '30 días', p90: '90 días', p12: '12 meses',
  pown: 'Otro', compare: 'Comparar con', before: 'período anterior',
  weekday: 'mismos días de la semana', year: 'un año antes', none: 'sin comparación',
  table: 'Ver como tabla', csv: 'Descargar CSV', csvStyle: '', revenue: 'Ingresos',
  bookings: 'Reservas', cancelled: 'Canceladas', occupancy: 'Ocupación',
  averageStay: 'Estadía media', arrivals: 'Llegadas', nights: '{n} días', was: 'antes {value}',
  lost: 'canceladas: {n}', points: 'p.p.', noBase: 'sin base de comparación', noData: 'sin datos',
  notYet: 'aún no comenzó', underWay: 'en curso', asOf: 'datos de {time}',
  since: 'Plazas conocidas desde el {day}: antes, punteado, cuentan las de ese día.',
  summary: '{metric}, {span}: {total}, {change}. Mayor: {best}, {when}',
  arrows: 'Las flechas izquierda y derecha leen cada punto.', how: 'Cómo se calcula',
};
