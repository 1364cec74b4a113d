/** The words of the preferences in Portuguese. */
export default {
  what: 'O que avisar', whatHint: 'Vale para você, nesta conta.', saved: 'Salvo.', locked: 'Não pode ser desligado.',
  channels: { inApp: 'Página', push: 'Aparelho', mail: 'E-mail' },
  missing: { push: 'Este servidor não envia avisos a aparelhos.', mail: 'Este servidor não envia e-mails.' },
  modes: { now: 'na hora', digest: 'no resumo', off: 'não' }, usual: 'Padrão: {mode}',
  when: 'Quando avisar', quietFrom: 'Silêncio a partir das', quietTo: 'até as', quietDays: 'Dias em que o silêncio começa',
  quietHint: 'Durante o silêncio nada chega aos aparelhos nem por e-mail, exceto o que é urgente; o resto chega depois.',
  weekdays: ['dom', 'seg', 'ter', 'qua', 'qui', 'sex', 'sáb'], zone: 'Fuso horário', accountZone: 'o da conta',
  lang: 'Idioma dos avisos', digest: 'Resumo por e-mail', digestAt: 'Hora do resumo',
  digests: { off: 'nunca', day: 'todo dia', week: 'toda semana' },
  notPaused: 'Os avisos não estão pausados.', pausedUntil: 'Pausados até {time}.', resume: 'Retomar agora',
  hour: 'Pausar 1 h', eight: 'Pausar 8 h', week: 'Pausar 1 semana', private: 'Sem nomes nem valores',
  privateHint: 'O que aparece no aparelho ou chega por e-mail não diz quem nem quanto.',
  rules: 'Regras da conta', rulesHint: 'Valem para todos os membros desta conta.',
  params: { hours: 'Horas', percent: 'Abaixo de (%)', at: 'Horário' },
  ruleDefault: 'padrão', ruleChanged: 'alterada em {time}', ruleChangedBy: 'alterada por {who}, {time}',
  pageLanguage: 'o da página',
};
