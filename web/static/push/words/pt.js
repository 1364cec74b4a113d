/** The words about this device in Portuguese. */
export default {
  title: 'Neste aparelho', activate: 'Ativar avisos neste aparelho',
  states: {
    off: 'Este servidor não envia avisos a aparelhos. Quem o opera pode ligá-los: VAPID_PRIVATE_KEY e VAPID_SUBJECT.',
    insecure: 'Avisos só funcionam por https: abra esta página por um endereço que comece assim.',
    unsupported: 'Este navegador não recebe avisos. Numa janela anônima nenhum recebe: abra uma janela comum.',
    install: 'No iPhone e no iPad, primeiro adicione esta página à Tela de Início e abra-a de lá.',
    denied: 'Os avisos estão bloqueados: permita-os para esta página nas configurações do navegador. Numa janela anônima não há como.',
    on: 'Os avisos chegam a este aparelho.', notYet: 'Este aparelho ainda não recebe avisos.',
  },
  dismissed: 'A pergunta do navegador ficou sem resposta: ative de novo e permita.',
  noService: 'O navegador não alcançou o serviço de avisos dele. Veja a conexão; no Brave, permita “serviços do Google para mensagens push”.',
  devices: 'Aparelhos que recebem avisos', never: 'Nenhum aviso ainda.', digest: 'Resumo',
  nameless: 'Aparelho', thisOne: '(este)', broken: 'Não recebe mais: abra esta página nele.', lastOk: 'Último aviso: {time}',
  test: 'Testar', remove: 'Remover', tooSoon: 'Um teste a cada dez segundos: espere um pouco.',
  results: {
    sent: 'Enviado: o aviso deve aparecer em instantes.', unavailable: 'O serviço de avisos do navegador não responde agora.',
    gone: 'Este aparelho não existe mais e foi removido.', refused: 'O serviço de avisos recusou a mensagem.',
    misconfigured: 'O serviço de avisos recusa este servidor: avise quem o opera.',
  },
  sent: 'O que foi enviado para mim', nothingSent: 'Nada ainda.', opened: 'aberto', channels: { push: 'Aparelho', mail: 'E-mail' },
  outcomes: {
    waiting: 'aguardando, a partir de', sent: 'enviado', merged: 'enviado com outro', expired: 'venceu', read: 'já lido', resolved: 'já resolvido', off: 'desligado',
    no_member: 'sem acesso à conta', signed_out: 'sessão encerrada', not_set_up: 'não configurado', no_address: 'sem endereço', empty: 'nada a avisar', gone: 'aparelho removido', refused: 'recusado',
  },
};
