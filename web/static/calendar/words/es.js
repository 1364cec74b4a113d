/** The calendar's words in Spanish. @type {import('../shapes.js').Words} */
export default {
  title: 'Calendario de reservas', before: 'Anterior', after: 'Siguiente', today: 'Hoy',
  days: '{n} días', span: 'Período', cancelled: 'Canceladas', occupancy: 'Ocupación',
  of: '{n} de {spaces} plazas', hangar: 'Hangar', spaces: '{n} plazas', space: '1 plaza',
  cell: '{hangar}, {day}: {of}', arrives: 'llega 1', arrive: 'llegan {n}', leaves: 'sale 1',
  leave: 'salen {n}', over: '{n} más que las plazas', open: 'Abrir las plazas de {hangar}',
  shut: 'Cerrar las plazas de {hangar}', paid: 'pagado', unpaid: 'sin pagar',
  uncertain: 'Fechas por revisar ({n})', moved: 'Ahora es {day}', goToday: 'Ir a hoy',
  failed: 'El calendario no se cargó.', retry: 'Reintentar', loading: 'Cargando…',
  none: 'Ningún hangar todavía.', free: 'libre', turnover: 'cambio en {n}',
  turnoverDay: 'cambio el mismo día', stays: 'Reservas de {hangar}, {day}',
  hidden: 'fuera del mercado', comes: 'llega', goes: 'sale', remains: 'sigue', nobody: 'Nadie.',
  keys: 'Las flechas cambian de día y hangar; Page Up y Page Down, de período; T lleva a hoy; Enter abre.',
  noName: 'Huésped sin nombre', missing: '?', printed: 'Calendario del {from} al {to}',
  close: 'Cerrar', guests: 'Demasiadas reservas para dibujar: los números las cuentan todas.',
  overbooked: 'sobre las plazas',
};
