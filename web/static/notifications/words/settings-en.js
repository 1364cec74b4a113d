/** The words of the preferences in English. @type {import('../shapes.js').Settings} */
export default {
  what: 'What to tell', whatHint: 'For you, in this account.', saved: 'Saved.', locked: 'Cannot be switched off.',
  channels: { inApp: 'Page', push: 'Device', mail: 'E-mail' },
  modes: { now: 'at once', digest: 'in the digest', off: 'no' }, usual: 'Default: {mode}',
  when: 'When to tell', quietFrom: 'Quiet from', quietTo: 'to', quietDays: 'Beginning on',
  quietHint: 'In quiet hours nothing goes to devices or by e-mail but what is urgent; after them it does.',
  weekdays: ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'], zone: 'Time zone', accountZone: 'that of the account',
  lang: 'Language', digest: 'Digest by e-mail', digestAt: 'Time of the digest',
  digests: { off: 'never', day: 'every day', week: 'every week' },
  notPaused: 'Notifications are not paused.', pausedUntil: 'Paused until {time}.', resume: 'Resume now',
  hour: 'Pause 1 h', eight: 'Pause 8 h', week: 'Pause 1 week', private: 'Without names and amounts',
  privateHint: 'What a device shows or a mail says does not tell who or how much.',
  rules: 'Rules of the account', rulesHint: 'For all members of this account.',
  params: { hours: 'Hours', percent: 'Below (%)', at: 'At' },
  ruleDefault: 'as it comes', ruleChanged: 'changed {time}', ruleChangedBy: 'changed by {who}, {time}',
  pageLanguage: 'that of the page',
  languages: { 'pt-BR': 'Português', en: 'English', es: 'Español' },
};
