/**
 * The words of feeds in Spanish, beside those of the calendar.
 * @type {import('../../shapes.js').Words}
 */
export default {
  about: 'Una dirección secreta que Google Calendar, Outlook u otro portal lee sin contraseña. Cada uno actualiza a su ritmo: Google, cada 8 a 24 horas.',
  refused: 'Solo propietarios y gestores crean direcciones para otros calendarios.',
  tooManyFeeds: 'La cuenta tiene 100 direcciones: revoque una que ya nadie lee.',
  failed: 'No llegó respuesta.', noFeeds: 'Ninguna dirección todavía.',
  label: 'Nombre', labelHint: 'Dónde se usará, como “Airbnb”', which: 'Reservas de',
  all: 'todos los hangares', detail: 'Mostrar', busy: 'solo libre/ocupado', full: 'nombres de los huéspedes',
  create: 'Crear dirección', once: 'Cópiela ahora: esta dirección no vuelve a mostrarse.',
  address: 'Dirección de {label}', copy: 'Copiar', copied: 'Copiado',
  madeBy: 'creada por {who} el {time}', read: 'leída {ago} por {agent}', unknown: 'un programa sin nombre',
  never: 'nunca leída', revoke: 'Revocar', reallyRevoke: '¿Revocar de verdad?',
  revoked: '{label} está revocada: la dirección queda vacía 7 días y luego desaparece.',
};
