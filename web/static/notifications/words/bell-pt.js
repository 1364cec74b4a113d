/** The words of the bell in Portuguese; a pair is one and many. */
export default {
  bell: 'Notificações: {unread}', bellNew: '{unread}, há novas para você', unread: ['{n} não lida', '{n} não lidas'], none: 'nenhuma não lida',
};
