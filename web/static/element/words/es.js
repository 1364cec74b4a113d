/** What the growth card says in Spanish. @type {Record<string, string>} */
export default {
  same: 'Sin cambios en 7 días', noWeeks: 'Sin ingresos en 14 días',
  firstWeek: 'Sin base de comparación', above: 'Por encima de los 7 días anteriores',
  below: 'Por debajo de los 7 días anteriores',
  untilNow: '7 días × los 7 de antes, hasta las {time} ambos',
  wholeDays: '{change} contra 7 días enteros, con hoy incompleto',
};
