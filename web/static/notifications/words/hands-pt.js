/** The words of what a person does in Portuguese; a pair is one and many. */
export default {
  back: 'Voltar',
  readOne: 'Marcada como lida.', unreadOne: 'Marcada como não lida.', archivedOne: 'Arquivada.', unarchivedOne: 'Desarquivada.',
  readMany: ['{n} marcada como lida.', '{n} marcadas como lidas.'],
  notAllowed: 'Seu papel nesta conta não permite isso.',
  invitation: '{who} convidou você para a conta {company} ({role}).',
  accept: 'Aceitar', decline: 'Recusar', accepted: 'Convite aceito: {company}.', declined: 'Convite recusado.',
};
