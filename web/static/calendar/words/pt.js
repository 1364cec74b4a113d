/** The calendar's words in Portuguese, beside those of the page. A pair is for one and for many. */
export default {
  title: 'Calendário de reservas', before: 'Período anterior', after: 'Próximo período',
  today: 'Hoje', span: 'Período', cancelled: 'Canceladas', occupancy: 'Ocupação',
  spaceCount: '{n} vagas', cell: '{hangar}, {day}: {of}', arriving: ['chega {n}', 'chegam {n}'],
  leaving: ['sai {n}', 'saem {n}'], over: '{n} a mais do que as vagas',
  lanes: 'Reservas de {hangar}, vaga por vaga', paid: 'pago', unpaid: 'não pago',
  uncertain: 'Datas a conferir ({n})', moved: 'É dia {day} agora', goToday: 'Ir para hoje',
  none: 'Nenhum hangar ainda.', turnover: 'troca em {n}', turnoverDay: 'troca no mesmo dia',
  stays: 'Reservas de {hangar}, {day}', hidden: 'não anunciado', comes: 'chega', goes: 'sai',
  remains: 'fica', nobody: 'Ninguém.', overbooked: 'acima das vagas', missing: '?',
  keys: 'Setas mudam de dia e hangar; Page Up e Page Down, de período; T leva a hoje; Enter abre.',
  guests: 'Reservas demais para desenhar: os números contam todas.', feeds: 'Outras agendas',
};
