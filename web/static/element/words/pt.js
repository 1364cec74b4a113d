/** What the growth card says in Portuguese. */
export default {
  same: 'Sem variação em 7 dias', noWeeks: 'Sem receita em 14 dias',
  firstWeek: 'Sem base de comparação', above: 'Acima dos 7 dias anteriores',
  below: 'Abaixo dos 7 dias anteriores', untilNow: 'vs. 7 dias anteriores, até {time}',
  wholeDays: '{change} vs. 7 dias inteiros (hoje parcial)', lastDays: 'Últimos 14 dias, com hoje',
};
