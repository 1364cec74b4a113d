/**
 * The calendar's words in Spanish, beside those of the page. A pair is for one and for many.
 * @type {import('../shapes.js').Words}
 */
export default {
  title: 'Calendario de reservas', before: 'Anterior', after: 'Siguiente', today: 'Hoy',
  span: 'Período', cancelled: 'Canceladas', occupancy: 'Ocupación', spaceCount: '{n} plazas',
  cell: '{hangar}, {day}: {of}', arriving: ['llega {n}', 'llegan {n}'],
  leaving: ['sale {n}', 'salen {n}'], over: '{n} más que las plazas',
  lanes: 'Reservas de {hangar}, plaza por plaza', paid: 'pagado', unpaid: 'sin pagar',
  uncertain: 'Fechas por revisar ({n})', moved: 'Ahora es {day}', goToday: 'Ir a hoy',
  none: 'Ningún hangar todavía.', turnover: 'cambio en {n}', turnoverDay: 'cambio el mismo día',
  stays: 'Reservas de {hangar}, {day}', hidden: 'no publicado', comes: 'llega', goes: 'sale',
  remains: 'sigue', nobody: 'Nadie.', overbooked: 'por encima de las plazas', missing: '?',
  keys: 'Las flechas cambian de día y hangar; Page Up y Page Down, de período; T lleva a hoy; Enter abre.',
  guests: 'Demasiadas reservas para dibujar: los números las cuentan todas.', feeds: 'Otros calendarios',
};
