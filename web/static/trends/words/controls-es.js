/** The words beside charts in Spanish. @type {import('../shapes.js').Words} */
export default {
  compare: 'Comparar con', before: 'período anterior',
  weekday: 'mismos días de la semana', year: 'un año antes', none: 'sin comparación',
  table: 'Ver como tabla', csv: 'Descargar CSV', csvStyle: '', allHangars: 'todos',
  cancelled: 'Canceladas', averageStay: 'Estadía media', arrivals: 'Llegadas',
  nights: '{n} días', lost: 'canceladas: {n}', notYet: 'aún no comenzó', underWay: 'en curso',
  since: 'Plazas conocidas desde el {day}: antes, punteado, cuentan las de ese día.',
  summary: '{metric}, {span}: {total}, {change}. Mayor: {best}, {when}',
  arrows: 'Las flechas izquierda y derecha leen cada punto.', how: 'Cómo se calcula',
};
