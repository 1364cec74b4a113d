/**
 * What a user wants to be told of, how and when, and the account's rules. Each choice is saved at
 * once. Loaded when it is opened.
 * @import * as N from './shapes.js'
 */
import { h, loadModule, setText, show } from '../dom.js';
import { CATALOGUES, PORTUGUESE, isolated, visible } from '../state/wording.js';
import { fill } from './fill.js';
import { instantOf } from './panel.js';

/** How a language calls itself. @param {string} tag @returns {[string, string]} */
const named = (tag) => {
  const name = new Intl.DisplayNames(tag, { type: 'language' }).of(tag.split('-')[0]) ?? tag;
  return [tag, name[0].toLocaleUpperCase(tag) + name.slice(1)];
};
const CHANNELS = /** @type {const} */ (['inApp', 'push', 'mail']);
const OUTSIDE = /** @type {const} */ (['push', 'mail']);
const HOUR_MS = 3_600_000;
/** So long the rest waits for what is above it: what comes later moves it under the pointer. */
const DEVICE_MS = 1000;
const USUAL_QUIET = { quietFrom: '22:00', quietTo: '07:00' };
/** Zones of Brazil, for those whose browser does not list any. */
const ZONES = ['America/Sao_Paulo', 'America/Manaus', 'America/Rio_Branco', 'America/Noronha', 'America/Bahia', 'America/Cuiaba', 'America/Fortaleza', 'America/Belem'];

/**
 * @param {{around: N.Around, kinds: Record<string, string>, manages: boolean,
 *   tell: (text: string) => void, fail: (error: unknown) => void}} tools
 * `manages`: the user may change the account's rules
 * @returns {Promise<HTMLElement>}
 */
export async function newPreferences({ around, kinds, manages, tell, fail }) {
  const { ask, wording } = around;
  // What concerns this device, on our own page: no other has the worker that shows messages.
  const push = h('section', { class: 'push', hidden: true });
  /** @type {Promise<unknown>} */
  let device = Promise.resolve();
  if ('tree' in document.documentElement.dataset) {
    device = loadModule('push/section', () => import('../push/section.js')).then(({ newPush }) => newPush(push, { around, kinds, tell, fail })).catch(() => push.remove());
  }

  /** @type {N.Settings | Promise<N.Settings>} */
  const own = wording.views.preferences ?? loadModule('notifications/words/settings-pt', () => import('./words/settings-pt.js')).then((pt) => pt.default);
  const [words, preferences, rules, mine] = await Promise.all([
    own, ask('notifications/preferences'), ask('notifications/rules').catch(() => null), ask('/api/me/notifications'),
  ]);
  const nameOf = (/** @type {string} */ kind) => kinds[kind] ?? kind;
  // What this server cannot send is not offered. An older one does not say.
  const has = (/** @type {string} */ channel) => preferences.channels?.includes(channel) ?? true;
  const channels = CHANNELS.filter(has);
  const missing = OUTSIDE.filter((channel) => !has(channel)).map((channel) => words.missing[channel]).join(' ');

  /**
   * Saves a choice; where that fails the control shows what holds.
   * @param {() => Promise<unknown>} send @param {() => void} restore
   */
  const save = (send, restore) => void send().then(() => tell(words.saved), (error) => {
    restore();
    fail(error);
  });

  /**
   * One choice of a user by kind and channel.
   * @param {string} kind @param {typeof CHANNELS[number]} channel @param {any} given
   */
  const choice = (kind, channel, { mode = 'off', default: usual = '', locked = false } = {}) => {
    let now = mode;
    const about = {
      'aria-label': `${nameOf(kind)}, ${words.channels[channel]}`, disabled: locked,
      title: locked ? words.locked : fill(words.usual, { mode: words.modes[usual] ?? usual }),
    };
    /** @param {string} value @param {() => void} restore */
    const choose = (value, restore) => save(async () => {
      await ask('notifications/preferences', 'PATCH', { kind, channel, mode: value });
      now = value;
    }, restore);
    if (channel !== 'mail') {
      const box = h('input', { type: 'checkbox', checked: now !== 'off', ...about, onchange: () => choose(box.checked ? 'now' : 'off', () => (box.checked = now !== 'off')) });
      return box;
    }
    const select = h('select', { ...about, onchange: () => choose(select.value, () => (select.value = now)) },
      ...['now', 'digest', 'off'].map((one) => h('option', { value: one, selected: one === now }, words.modes[one])));
    return select;
  };
  const matrix = h('section', null, h('h3', null, words.what), h('p', { class: 'basis' }, words.whatHint), missing ? h('p', { class: 'basis missing' }, missing) : null,
    h('table', { class: 'matrix' },
      h('thead', null, h('tr', null, h('td'), ...channels.map((channel) => h('th', { scope: 'col' }, words.channels[channel])))),
      h('tbody', null, ...(preferences.kinds ?? []).map((/** @type {any} */ { kind, channels: chosen }) => h('tr', null, h('th', { scope: 'row' }, nameOf(kind)),
        ...channels.map((channel) => h('td', { 'data-channel': words.channels[channel] }, chosen?.[channel] ? choice(kind, channel, chosen[channel]) : null)))))));

  /** @param {string} label @param {HTMLElement} control @param {string} [hint] */
  const field = (label, control, hint = '') => h('label', { class: 'field' }, h('span', null, label), control, hint ? h('small', null, hint) : null);

  let settings = mine;
  /** @param {object} change @param {() => void} restore @param {(() => void)} [then] */
  const saveMine = (change, restore, then) => save(async () => {
    settings = { ...settings, ...change, ...(await ask('/api/me/notifications', 'PATCH', change)) };
    then?.();
  }, restore);
  /** @param {string} name @param {[string, string][]} options */
  const pick = (name, options) => {
    const now = () => String(settings[name] ?? '');
    const known = options.some(([value]) => value === now()) ? options : [[now(), now()], ...options];
    const select = h('select', { onchange: () => saveMine({ [name]: select.value || null }, () => (select.value = now())) },
      ...known.map(([value, word]) => h('option', { value, selected: value === now() }, word)));
    return select;
  };
  /** @param {string} name */
  const time = (name) => {
    const now = () => String(settings[name] ?? '').slice(0, 5);
    const input = h('input', { type: 'time', value: now(), onchange: () => saveMine({ [name]: input.value || null }, () => (input.value = now())) });
    return input;
  };
  // Quiet hours have both ends or none.
  const quiet = /** @type {const} */ (['quietFrom', 'quietTo']).map((name, i, names) => {
    const other = names[1 - i];
    const now = (/** @type {string} */ end) => String(settings[end] ?? '').slice(0, 5);
    const input = h('input', { type: 'time', value: now(name), onchange() {
      const chosen = input.value ? { [name]: input.value, [other]: now(other) || USUAL_QUIET[other] } : { quietFrom: null, quietTo: null };
      const draw = () => quiet.forEach((one, at) => (one.value = now(names[at])));
      saveMine(chosen, draw, draw);
    } });
    return input;
  });
  const days = h('fieldset', { class: 'days' }, h('legend', null, words.quietDays), ...words.weekdays.map((word, day) => {
    const chosen = () => (settings.quietDays?.length > 0 ? settings.quietDays : [0, 1, 2, 3, 4, 5, 6]);
    const box = h('input', { type: 'checkbox', checked: chosen().includes(day), onchange() {
      const others = chosen().filter((/** @type {number} */ one) => one !== day);
      const quietDays = box.checked ? [...others, day].sort() : others;
      // No day at all would mean every day.
      if (quietDays.length === 0) return void (box.checked = true);
      saveMine({ quietDays: quietDays.length === 7 ? [] : quietDays }, () => (box.checked = !box.checked));
    } });
    return h('label', null, box, word);
  }));
  const pausedUntil = h('p', { role: 'status' });
  const resume = h('button', { class: 'tool', type: 'button', onclick: () => pause(null) }, words.resume);
  const drawPause = () => {
    const until = instantOf(settings.pausedUntil ?? null);
    const paused = until > around.now();
    setText(pausedUntil, paused ? fill(words.pausedUntil, { time: wording.formatMoment(until, around.zone()) }) : words.notPaused);
    show(resume, paused);
  };
  /** @param {string | null} until */
  const pause = (until) => saveMine({ pausedUntil: until }, drawPause, drawPause);
  drawPause();
  const pauses = /** @type {const} */ ([['hour', 1], ['eight', 8], ['week', 168]]).map(([name, hours]) =>
    h('button', { class: 'tool', type: 'button', onclick: () => pause(new Date(around.now() + hours * HOUR_MS).toISOString()) }, words[name]));
  const isPrivate = h('input', { type: 'checkbox', checked: settings.private !== false, onchange: () =>
    saveMine({ private: isPrivate.checked }, () => (isPrivate.checked = settings.private !== false)) });
  const zones = /** @type {any} */ (Intl).supportedValuesOf?.('timeZone') ?? ZONES;
  const when = h('section', null, h('h3', null, words.when),
    h('div', { class: 'fields' }, field(words.quietFrom, quiet[0]), field(words.quietTo, quiet[1])), days,
    h('p', { class: 'basis' }, words.quietHint),
    h('div', { class: 'fields' },
      field(words.zone, pick('zone', [['', words.accountZone], ...zones.map((/** @type {string} */ zone) => /** @type {[string, string]} */ ([zone, zone.replaceAll('_', ' ')]))])),
      field(words.lang, pick('lang', [['', words.pageLanguage], ...[PORTUGUESE.language, ...Object.keys(CATALOGUES)].map(named)])),
      ...(has('mail') ? [field(words.digest, pick('digest', [['off', words.digests.off], ['day', words.digests.day], ['week', words.digests.week]])), field(words.digestAt, time('digestAt'))] : [])),
    h('div', { class: 'pauses' }, pausedUntil, resume, ...pauses),
    h('label', { class: 'switch' }, isPrivate, h('span', null, words.private, h('small', null, words.privateHint))));

  await Promise.race([device, new Promise((resolve) => setTimeout(resolve, DEVICE_MS))]);
  return h('div', { class: 'preferences-in' }, push, matrix, OUTSIDE.some(has) ? when : null, ...(Array.isArray(rules?.rules) ? [rulesOf(rules.rules)] : []));

  /** @param {any[]} given */
  function rulesOf(given) {
    return h('section', null, h('h3', null, words.rules), h('p', { class: 'basis' }, words.rulesHint),
      h('ul', { class: 'rules' }, ...given.map((rule) => {
        let { enabled, params } = rule;
        const by = h('small', null, changedBy(rule));
        /** @param {object} change */
        const send = async (change) => {
          const answer = await ask('notifications/rules', 'PATCH', { kind: rule.kind, ...change });
          const now = answer?.rules?.find((/** @type {any} */ one) => one.kind === rule.kind) ?? { ...rule, enabled, params, ...change };
          ({ enabled, params } = now);
          setText(by, changedBy(now));
        };
        const on = h('input', { type: 'checkbox', checked: enabled, disabled: !manages, onchange: () => save(() => send({ enabled: on.checked }), () => (on.checked = enabled)) });
        const inputs = Object.entries(params ?? {}).map(([name, value]) => {
          const number = typeof value === 'number';
          const input = h('input', { type: number ? 'number' : /^\d\d:\d\d/.test(String(value)) ? 'time' : 'text', min: number ? 1 : null, disabled: !manages, value: number ? value : String(value).slice(0, 5), required: true,
            onchange() {
              if (input.value === '' || !input.checkValidity()) return void (input.value = String(params[name]));
              save(() => send({ params: { ...params, [name]: number ? Number(input.value) : input.value } }), () => (input.value = String(params[name])));
            } });
          return field(words.params[name] ?? name, input);
        });
        return h('li', { 'data-rule': rule.kind }, h('label', { class: 'switch' }, on, h('strong', null, nameOf(rule.kind))), inputs.length > 0 ? h('div', { class: 'fields' }, ...inputs) : '', by);
      })));
  }

  /** @param {{changedBy?: any, changedAt?: string | null}} rule */
  function changedBy({ changedBy: who, changedAt }) {
    if (!changedAt) return words.ruleDefault;
    const time = wording.formatMoment(instantOf(changedAt), around.zone());
    const name = visible(typeof who === 'string' ? who : who?.name);
    return name ? fill(words.ruleChangedBy, { who: isolated(name), time }) : fill(words.ruleChanged, { time });
  }
}
