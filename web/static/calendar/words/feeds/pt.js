/** The words of feeds in Portuguese, beside those of the calendar. */
export default {
  about: 'Um endereço secreto, que o Google Agenda, o Outlook ou outro portal lê sem senha. Cada um atualiza no seu ritmo: o Google, a cada 8 a 24 horas.',
  refused: 'Só proprietários e gestores criam endereços para outras agendas.',
  tooManyFeeds: 'A conta tem 100 endereços: revogue um que ninguém lê mais.',
  failed: 'A resposta não chegou.', noFeeds: 'Nenhum endereço ainda.',
  label: 'Nome', labelHint: 'Onde será usado, como “Airbnb”', which: 'Reservas de',
  all: 'todos os hangares', detail: 'Mostrar', busy: 'apenas livre/ocupado', full: 'nomes dos hóspedes',
  create: 'Criar endereço', once: 'Copie agora: este endereço não aparece de novo.',
  address: 'Endereço de {label}', copy: 'Copiar', copied: 'Copiado',
  madeBy: 'criado por {who} em {time}', read: 'lido {ago} por {agent}', unknown: 'um programa sem nome',
  never: 'nunca lido', revoke: 'Revogar', reallyRevoke: 'Revogar mesmo?',
  revoked: '{label} foi revogado: o endereço fica vazio por 7 dias e depois some.',
};
