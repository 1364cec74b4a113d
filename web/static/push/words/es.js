/** @type {typeof import('./pt.js').default} */
export default {
  language: 'es', title: 'En este dispositivo', activate: 'Activar avisos en este dispositivo',
  states: {
    off: 'Este servidor no envía avisos a dispositivos. Quien lo opera puede activarlos: VAPID_PRIVATE_KEY y VAPID_SUBJECT.',
    insecure: 'Los avisos solo funcionan por https: abra esta página en una dirección que empiece así.',
    unsupported: 'Este navegador no recibe avisos. En una ventana privada ninguno los recibe: abra una ventana normal.',
    install: 'En iPhone y iPad, primero añada esta página a la pantalla de inicio y ábrala desde allí.',
    denied: 'Los avisos están bloqueados: permítalos para esta página en la configuración del navegador. En una ventana privada no es posible.',
    on: 'Los avisos llegan a este dispositivo.', notYet: 'Este dispositivo aún no recibe avisos.',
  },
  dismissed: 'La pregunta del navegador quedó sin respuesta: active de nuevo y permita.',
  noService: 'El navegador no alcanzó su servicio de avisos. Revise la conexión; en Brave, permita “servicios de Google para mensajes push”.',
  devices: 'Dispositivos que reciben avisos', never: 'Ningún aviso todavía.', digest: 'Resumen',
  nameless: 'Dispositivo', thisOne: '(este)', broken: 'Ya no recibe: abra esta página en él.', lastOk: 'Último aviso: {time}',
  test: 'Probar', remove: 'Quitar', tooSoon: 'Una prueba cada diez segundos: espere un poco.',
  results: {
    sent: 'Enviado: el aviso debe aparecer en un momento.', unavailable: 'El servicio de avisos del navegador no responde ahora.',
    gone: 'Este dispositivo ya no existe y se quitó.', refused: 'El servicio de avisos rechazó el mensaje.',
    misconfigured: 'El servicio de avisos rechaza este servidor: avise a quien lo opera.',
  },
  sent: 'Lo que se me ha enviado', nothingSent: 'Nada todavía.', opened: 'abierto', channels: { push: 'Dispositivo', mail: 'Correo' },
  outcomes: {
    waiting: 'en espera, desde', sent: 'enviado', merged: 'enviado con otro', expired: 'venció', read: 'ya leído', resolved: 'ya resuelto', off: 'desactivado',
    no_member: 'sin acceso a la cuenta', signed_out: 'sesión terminada', not_set_up: 'no configurado', no_address: 'sin dirección', empty: 'nada que avisar', gone: 'dispositivo quitado', refused: 'rechazado',
  },
};
