/** The words of the preferences in Spanish. @type {import('../shapes.js').Settings} */
export default {
  what: 'De qué avisar', whatHint: 'Vale para usted, en esta cuenta.', saved: 'Guardado.', locked: 'No se puede desactivar.',
  channels: { inApp: 'Página', push: 'Dispositivo', mail: 'Correo' },
  modes: { now: 'al instante', digest: 'en el resumen', off: 'no' }, usual: 'Por defecto: {mode}',
  when: 'Cuándo avisar', quietFrom: 'Silencio desde las', quietTo: 'hasta las', quietDays: 'Días en que empieza el silencio',
  quietHint: 'Durante el silencio nada llega a los dispositivos ni por correo, salvo lo urgente; lo demás llega después.',
  weekdays: ['dom', 'lun', 'mar', 'mié', 'jue', 'vie', 'sáb'], zone: 'Zona horaria', accountZone: 'la de la cuenta',
  lang: 'Idioma de los avisos', digest: 'Resumen por correo', digestAt: 'Hora del resumen',
  digests: { off: 'nunca', day: 'cada día', week: 'cada semana' },
  notPaused: 'Los avisos no están en pausa.', pausedUntil: 'En pausa hasta {time}.', resume: 'Reanudar ahora',
  hour: 'Pausar 1 h', eight: 'Pausar 8 h', week: 'Pausar 1 semana', private: 'Sin nombres ni importes',
  privateHint: 'Lo que muestra el dispositivo o llega por correo no dice quién ni cuánto.',
  rules: 'Reglas de la cuenta', rulesHint: 'Valen para todos los miembros de esta cuenta.',
  params: { hours: 'Horas', percent: 'Por debajo de (%)', at: 'Hora' },
  ruleDefault: 'por defecto', ruleChanged: 'cambiada el {time}', ruleChangedBy: 'cambiada por {who}, {time}',
  pageLanguage: 'el de la página',
  languages: { 'pt-BR': 'Português', en: 'English', es: 'Español' },
};
