/** What the growth card says in Portuguese. @type {Record<string, string>} */
export default {
  same: 'Sem variação em 7 dias', noWeeks: 'Sem receita em 14 dias',
  firstWeek: 'Sem base de comparação', above: 'Acima dos 7 dias anteriores',
  below: 'Abaixo dos 7 dias anteriores', untilNow: '7 dias × os 7 antes, ambos até {time}',
  wholeDays: '{change} contra 7 dias inteiros, com hoje incompleto',
};
