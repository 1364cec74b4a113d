/** @type {typeof import('./pt.js').default} */
export default {
  language: 'en', title: 'On this device', activate: 'Turn on notifications on this device',
  states: {
    off: 'This server sends no notifications to devices. Its operator can turn them on: VAPID_PRIVATE_KEY and VAPID_SUBJECT.',
    insecure: 'Notifications work only over https: open this page at an address that begins with it.',
    unsupported: 'This browser does not support notifications. No browser does in a private window: open a normal one.',
    install: 'On iPhone and iPad, first add this page to the Home Screen and open it from there.',
    denied: 'Notifications are blocked: allow them for this page in the browser’s settings. A private window cannot allow them.',
    on: 'This device receives notifications.', notYet: 'This device receives no notifications yet.',
  },
  dismissed: 'The browser’s question was not answered: turn them on again, and allow them.',
  noService: 'The browser did not reach its own push service. Check the connection; in Brave, allow “Google services for push messaging”.',
  devices: 'Devices that receive notifications', never: 'None yet.', digest: 'Digest',
  nameless: 'Device', thisOne: '(this one)', broken: 'No longer receives any: open this page on it.', lastOk: 'Last one: {time}',
  test: 'Test', remove: 'Remove', tooSoon: 'One test every ten seconds: wait a little.',
  results: {
    sent: 'Sent: it should show in a moment.', unavailable: 'The browser’s push service is not answering now.',
    gone: 'This device no longer exists and was removed.', refused: 'The push service refused the message.',
    misconfigured: 'The push service refuses this server: tell its operator.',
  },
  sent: 'What was sent to me', nothingSent: 'Nothing yet.', opened: 'opened', channels: { push: 'Device', mail: 'E-mail' },
  outcomes: {
    waiting: 'waiting, from', sent: 'sent', merged: 'sent with another', expired: 'expired', read: 'read before', resolved: 'resolved before', off: 'switched off',
    no_member: 'no access to the account', signed_out: 'session ended', not_set_up: 'not set up', no_address: 'no address', empty: 'nothing to report', gone: 'device removed', refused: 'refused',
  },
};
