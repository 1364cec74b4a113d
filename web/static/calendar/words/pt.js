/** The calendar's words in Portuguese. @type {import('../shapes.js').Words} */
export default {
  title: 'Calendário de reservas', before: 'Período anterior', after: 'Próximo período',
  today: 'Hoje', days: '{n} dias', span: 'Período', cancelled: 'Canceladas', occupancy: 'Ocupação',
  of: '{n} de {spaces} vagas', hangar: 'Hangar', spaces: '{n} vagas', space: '1 vaga',
  cell: '{hangar}, {day}: {of}', arrives: 'chega 1', arrive: 'chegam {n}', leaves: 'sai 1',
  leave: 'saem {n}', over: '{n} a mais do que as vagas', open: 'Abrir as vagas de {hangar}',
  shut: 'Fechar as vagas de {hangar}', paid: 'pago', unpaid: 'não pago',
  uncertain: 'Datas a conferir ({n})', moved: 'É dia {day} agora', goToday: 'Ir para hoje',
  failed: 'O calendário não carregou.', retry: 'Tentar de novo', loading: 'Carregando…',
  none: 'Nenhum hangar ainda.', free: 'livre', turnover: 'troca em {n}',
  turnoverDay: 'troca no mesmo dia', stays: 'Reservas de {hangar}, {day}',
  hidden: 'fora do mercado', comes: 'chega', goes: 'sai', remains: 'fica', nobody: 'Ninguém.',
  keys: 'Setas mudam de dia e hangar; Page Up e Page Down, de período; T leva a hoje; Enter abre.',
  noName: 'Hóspede sem nome', missing: '?', printed: 'Calendário de {from} a {to}', close: 'Fechar',
  guests: 'Reservas demais para desenhar: os números contam todas.',
  overbooked: 'acima das vagas',
};
