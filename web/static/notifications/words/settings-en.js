/** The words of the preferences in English. @type {import('../shapes.js').Settings} */
export default {
  what: 'What to notify you of', whatHint: 'For you, in this account.', saved: 'Saved.', locked: 'Cannot be switched off.',
  channels: { inApp: 'Page', push: 'Device', mail: 'E-mail' },
  modes: { now: 'at once', digest: 'in the digest', off: 'no' }, usual: 'Default: {mode}',
  when: 'When to notify you', quietFrom: 'Quiet from', quietTo: 'until', quietDays: 'Days on which quiet hours begin',
  quietHint: 'During quiet hours nothing reaches devices or e-mail except what is urgent; the rest arrives afterwards.',
  weekdays: ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'], zone: 'Time zone', accountZone: 'same as the account',
  lang: 'Language of notifications', digest: 'Digest by e-mail', digestAt: 'Time of the digest',
  digests: { off: 'never', day: 'every day', week: 'every week' },
  notPaused: 'Notifications are not paused.', pausedUntil: 'Paused until {time}.', resume: 'Resume now',
  hour: 'Pause 1 h', eight: 'Pause 8 h', week: 'Pause 1 week', private: 'Without names and amounts',
  privateHint: 'What a device shows or an e-mail says does not tell who or how much.',
  rules: 'Rules of the account', rulesHint: 'For all members of this account.',
  params: { hours: 'Hours', percent: 'Below (%)', at: 'Time' },
  ruleDefault: 'default', ruleChanged: 'changed {time}', ruleChangedBy: 'changed by {who}, {time}',
  pageLanguage: 'same as the page',
  languages: { 'pt-BR': 'Português', en: 'English', es: 'Español' },
};
