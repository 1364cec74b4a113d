/** What the growth card says in Spanish. @type {Record<string, string>} */
export default {
  same: 'Sin cambios en 7 días', noWeeks: 'Sin ingresos en 14 días',
  firstWeek: 'Sin base de comparación', above: 'Por encima de los 7 días anteriores',
  below: 'Por debajo de los 7 días anteriores',
  untilNow: 'vs. 7 días anteriores, hasta las {time}',
  wholeDays: '{change} vs. 7 días enteros (hoy parcial)', lastDays: 'Últimos 14 días, con hoy',
};
