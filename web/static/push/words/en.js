/** @type {typeof import('./pt.js').default} */
export default {
  language: 'en', title: 'On this device', activate: 'Turn on notifications on this device',
  states: {
    off: 'This server sends no notifications to devices. Its operator can turn them on: VAPID_PRIVATE_KEY and VAPID_SUBJECT.',
    insecure: 'Notifications work only over https: open this page at an address that begins so.',
    unsupported: 'This browser takes no notifications. In a private window none does: open a usual window.',
    install: 'On iPhone and iPad, first add this page to the Home Screen and open it from there.',
    denied: 'Notifications are blocked: allow them for this page in the browser’s settings. A private window cannot allow them.',
    on: 'Notifications reach this device.', notYet: 'This device gets no notifications yet.',
  },
  dismissed: 'The browser’s question was not answered: turn on again, and allow.',
  noService: 'The browser did not reach its own push service. Check the connection; in Brave, allow “Google services for push messaging”.',
  devices: 'Devices that get notifications', never: 'None yet.', digest: 'Digest',
  nameless: 'Device', thisOne: '(this one)', broken: 'Gets none any more: open this page on it.', lastOk: 'Last one: {time}',
  test: 'Test', remove: 'Remove', tooSoon: 'One test in ten seconds: wait a little.',
  results: {
    sent: 'Sent: it should show in a moment.', unavailable: 'The browser’s push service does not answer now.',
    gone: 'This device is no more and was removed.', refused: 'The push service refused the message.',
    misconfigured: 'The push service refuses this server: tell its operator.',
  },
  sent: 'What was sent to me', nothingSent: 'Nothing yet.', opened: 'opened', channels: { push: 'Device', mail: 'E-mail' },
  outcomes: {
    waiting: 'waiting, from', sent: 'sent', merged: 'sent with another', expired: 'expired', read: 'read before', resolved: 'resolved before', off: 'switched off',
    no_member: 'no access to the account', signed_out: 'session ended', not_set_up: 'not set up', no_address: 'no address', empty: 'nothing to tell', gone: 'device removed', refused: 'refused',
  },
};
