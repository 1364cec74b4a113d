/**
 * What the bell opens: the list and its filters, each notification in words. Loaded when it is
 * opened. What a person does, who invites them and what they prefer is in `hands.js` and
 * `preferences.js`, which are loaded when there is something to do.
 * @import * as N from './shapes.js'
 * @import * as T from '../shapes.js'
 */
import { ICONS, followZoom, h, icon, loadModule, onSwipe, setAttribute, setIcon, setText, show } from '../dom.js';
import { isolated, visible } from '../state/wording.js';
import { fill } from './fill.js';
import { byId, isUnread } from './store.js';

const GEAR = 'M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4';
const CHECKS = 'M2 12.5l4.5 4.5L15 8M11 16l1.5 1.5L22 8';
/** What was shown for as long counts as seen. */
const SEEN_MS = 300;
const ARCHIVE = 'M4 5h16v4H4zM6 9v10h12V9M10 13h4';
const UNREAD = 'M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8z';
const DAY_MS = 86_400_000;

/** @type {Record<string, T.Sign | 'hangar' | 'down'>} */
const SIGNS = {
  booking_created: 'new', booking_cancelled: 'cancel', booking_changed: 'edit', payment_received: 'money', payout_sent: 'money',
  payout_tomorrow: 'money', overbooked: 'hangar', to_confirm: 'new', arrives_tomorrow: 'in', leaves_today: 'out', unpaid: 'money',
  occupancy_low: 'down', member_changed: 'edit', new_sign_in: 'in',
};

/** Unix milliseconds of a time as the server writes it. @param {string | null} text */
export const instantOf = (text) => Date.parse(text ?? '') || Number(text) || 0;

/**
 * @param {N.Notification} one
 * @param {N.Words} words
 * @param {T.Wording} wording
 * @param {T.Zone} zone
 * @returns {{sign: string, title: string, hangar: string, detail: string, mark: string}} `mark` is
 *   who did what with it
 */
export function describe(one, words, wording, zone) {
  const { kind, count, facts } = one;
  const { formatMoney, formatStay, formatCount, formatPercent, formatTime, formatMoment, formatWeekday, dayOf } = wording;
  const text = (/** @type {string} */ name) => visible(['string', 'number'].includes(typeof facts[name]) ? String(facts[name]) : '');
  const number = (/** @type {string} */ name) => (typeof facts[name] === 'number' ? /** @type {number} */ (facts[name]) : null);
  /** @param {string | null} at */
  const when = (at) => {
    const ms = instantOf(at);
    return dayOf(ms, zone) === dayOf(Date.now(), zone) ? formatTime(ms, zone) : formatMoment(ms, zone);
  };
  const guest = text('guestName');
  const stay = text('checkInDate') && text('checkOutDate') ? formatStay(text('checkInDate'), text('checkOutDate')) : '';
  const amount = number('amount') !== null ? formatMoney(/** @type {number} */ (number('amount'))) : '';
  const who = text('memberName');
  const role = wording.words.roles[text('role')] ?? text('role');
  const parts = [
    guest && isolated(guest), stay, amount,
    kind === 'overbooked' && number('stays') !== null ? fill(words.overBy, { stays: formatCount(Number(number('stays'))), spaces: formatCount(number('spaces') ?? 0) }) : '',
    /^(overbooked|payout)/.test(kind) && text('date') ? fill(words.on, { day: formatWeekday(text('date')) }) : '',
    kind === 'occupancy_low' && text('percent') ? fill(words.percent, { n: formatPercent(Number(text('percent'))) }) : '',
    kind === 'member_changed' && who ? fill(!text('role') ? words.left : text('was') ? words.became : words.joined, { who: isolated(who), role }) : '',
    kind === 'invitation' ? [visible(text('companyName')), role].filter(Boolean).join(' · ') : '',
  ].filter(Boolean).join(' · ');
  const many = count > 1 && words.many[kind];
  const [at, by, known, plain] = one.archivedAt ? [one.archivedAt, one.archivedBy, words.archivedBy, words.archivedAt] : [one.readAt, one.readBy, words.readBy, words.readAt];
  return {
    sign: SIGNS[kind] ?? 'new', hangar: text('hangarNumber'),
    title: many ? fill(many, { n: formatCount(count) }) : words.kinds[kind] ?? words.other,
    detail: many && parts ? fill(words.latest, { what: parts }) : parts,
    mark: [at && fill(by ? known : plain, { who: by ? isolated(visible(by.name) || words.removed) : '', time: when(at) }), one.resolvedAt ? words.resolved : '', one.userId ? words.personal : ''].filter(Boolean).join(' · '),
  };
}

/**
 * While a pointer or the focus is on the panel nothing moves, and newer ones wait behind a button.
 * @param {{around: N.Around, words: N.Words, store: import('./store.js').NotificationStore,
 *   mayArchive: () => boolean, act: N.Act, drawn: (waiting: number) => void}} tools
 * @returns {N.List}
 */
function newList({ around, words, store, mayArchive, act, drawn }) {
  const { wording } = around;
  const node = h('ol', { class: 'notes', 'data-list': 'notifications', 'aria-label': words.title, title: '', tabindex: '-1' });
  /**
   * @type {Map<string, {node: HTMLElement, main: HTMLElement,
   *   update: (one: N.Notification) => void, age: () => void}>}
   */
  const rows = new Map();
  /** @type {string[]} what is on the screen */
  let shown = [];
  let waiting = 0;

  const focused = () => /** @type {ShadowRoot} */ (node.getRootNode()).activeElement;
  /** A click on a button of the panel is about what was on the screen, too. */
  const isHeld = () => {
    const panel = node.closest('.notes-panel');
    return Boolean(panel?.matches(':hover') || panel?.contains(focused()));
  };

  /** @param {string} id */
  const makeRow = (id) => {
    const sign = icon(ICONS.new);
    const title = h('strong');
    const main = h('button', { class: 'open', type: 'button', 'aria-describedby': `h${id} d${id} m${id}`, onclick: () => act('open', id) }, title);
    const hangar = h('bdi', { class: 'tag', id: `h${id}` });
    const level = h('span', { class: 'level' });
    const detail = h('p', { class: 'detail', id: `d${id}` });
    const time = h('time');
    const mark = h('span', { class: 'by' });
    const readIcon = icon(ICONS.ok);
    const readButton = h('button', { class: 'act', type: 'button', onclick: () => act('toggle', id) }, readIcon);
    const archiveButton = h('button', { class: 'act', type: 'button', onclick: () => act('archive', id) }, icon(ARCHIVE));
    const row = h('li', { class: 'note', 'data-id': id }, h('span', { class: 'sign' }, sign),
      h('div', { class: 'what' }, main, hangar, level), detail, h('p', { class: 'meta', id: `m${id}` }, time, mark), h('div', { class: 'acts' }, readButton, archiveButton));
    onSwipe(row, (left) => act(left ? 'archive' : 'toggle', id));
    /** @type {N.Notification | null} */
    let item = null;
    const age = () => {
      if (!item) return;
      const at = instantOf(item.happenedAt) || instantOf(item.createdAt);
      const passed = around.now() - at;
      setText(time, passed < DAY_MS ? wording.formatAgo(passed) : wording.formatMoment(at, around.zone()));
    };
    return {
      node: row, main, age,
      /** @param {N.Notification} one */
      update(one) {
        item = one;
        const said = describe(one, words, wording, around.zone());
        const unread = isUnread(one);
        row.className = `note sign-${said.sign}${unread ? ' unread' : ''}${one.severity === 'info' ? '' : ` ${one.severity}`}`;
        setIcon(sign, ICONS[/** @type {'new'} */ (said.sign)] ?? ICONS.new);
        setText(title, said.title);
        setText(hangar, said.hangar);
        setText(level, one.severity === 'info' ? '' : words[one.severity]);
        setText(detail, said.detail);
        setText(mark, said.mark);
        const at = instantOf(one.happenedAt) || instantOf(one.createdAt);
        setAttribute(time, 'datetime', at ? new Date(at).toISOString() : null);
        setAttribute(time, 'title', wording.formatMoment(at, around.zone()));
        setAttribute(main, 'aria-label', unread ? `${said.title}, ${words.notRead}` : null);
        const name = [said.title, said.hangar].filter(Boolean).join(', ');
        setIcon(readIcon, one.readAt ? UNREAD : ICONS.ok);
        for (const [button, word] of /** @type {const} */ ([[readButton, one.readAt ? words.markUnread : wording.words.markRead], [archiveButton, one.archivedAt ? words.unarchive : words.archive]])) {
          setAttribute(button, 'aria-label', `${word}: ${name}`);
          setAttribute(button, 'title', word);
        }
        show(archiveButton, mayArchive());
        age();
      },
    };
  };

  node.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.target).closest('.note'));
    if (!/^(Arrow(Down|Up)|Home|End|[eu])$/.test(event.key)) return;
    event.preventDefault();
    act('key', row?.dataset.id ?? '', event.key);
  });

  /** @param {boolean} inFull */
  const draw = (inFull) => {
    const items = store.getState().items.map(({ id }) => id);
    waiting = 0;
    if (!inFull && shown.length > 0 && isHeld()) {
      const present = new Set(shown);
      waiting = items.filter((id) => !present.has(id) && byId(id, shown[0]) > 0).length;
      const older = items.filter((id) => !present.has(id) && byId(id, shown[shown.length - 1]) < 0);
      shown = [...shown.filter((id) => store.get(id)), ...older];
    } else shown = items;
    const wanted = new Set(shown);
    for (const [id, row] of rows) {
      if (wanted.has(id)) continue;
      row.node.remove();
      rows.delete(id);
    }
    shown.forEach((id, i) => {
      const row = rows.get(id) ?? makeRow(id);
      rows.set(id, row);
      if (node.children[i] !== row.node) node.insertBefore(row.node, node.children[i] ?? null);
      row.update(/** @type {N.Notification} */ (store.get(id)));
    });
    drawn(waiting);
  };
  const release = () => {
    if (waiting > 0) queueMicrotask(() => draw(false));
  };

  /** The list itself where there is no such row. */
  const focusOn = (id = shown[0]) => (rows.get(id)?.main ?? node).focus();

  return {
    node,
    draw,
    /** The ids on the screen. */
    shown: () => shown,
    /** Takes one off the screen; whatever had the focus in it gives it to the next. */
    take(id) {
      const at = shown.indexOf(id);
      const had = rows.get(id)?.node.contains(focused());
      shown = shown.filter((other) => other !== id);
      draw(false);
      if (had) focusOn(shown[at] ?? shown[at - 1]);
    },
    /** The pointer or the focus may have left the panel. */
    release,
    age: () => rows.forEach((row) => row.age()),
    focus: focusOn,
  };
}

/** @type {N.NewPanel} */
export const newPanel = async ({ around, store, bell, me, changed }) => {
  const { inline, ask, wording: { words: page, views, formatCount } } = around;
  /** @type {N.Words} */
  const words = views.notifications ?? (await loadModule('notifications/words/pt', () => import('./words/pt.js'))).default;
  let opened = inline;
  let hadFocus = false;
  let loading = false;
  /** What is read is to be in the list when it opens, too. */
  let inFull = false;
  /** @type {N.Hands | null} */
  let hands = null;
  /** @type {any} */
  let seenTimer = null;
  let stopped = false;

  /**
   * A round button with an icon.
   * @param {string} paths @param {string} label @param {() => void} onclick @param {string} [more]
   */
  const round = (paths, label, onclick, more = '') =>
    h('button', { class: `round ${more}`, type: 'button', 'aria-label': label, title: label, onclick }, icon(paths));

  const readAll = round(CHECKS, page.markAll, () => {
    const [through] = list.shown();
    if (readAll.ariaDisabled !== 'true' && through) act('readAll', through);
  }, 'read-all');
  const settings = round(GEAR, words.settings, () => act('settings', true));
  const close = round('M6 6l12 12M18 6L6 18', page.close, () => panel.hidePopover?.(), 'close');
  const heading = h('h2', { id: 'notes-title' }, words.title);
  const states = Object.entries(words.states).map(([state, word]) =>
    h('button', { type: 'button', 'data-state': state, onclick: () => choose({ state: /** @type {N.Filter['state']} */ (state) }) }, word));
  /** @param {[string, string][]} options */
  const optionsOf = (options) => options.map(([value, word]) => h('option', { value }, word));
  /** @param {'kind' | 'hangarId'} name @param {string} label @param {[string, string][]} options */
  const choice = (name, label, options) => {
    const select = h('select', { 'aria-label': label, onchange: () => choose({ [name]: select.value }) }, ...optionsOf(options));
    return select;
  };
  const kinds = choice('kind', words.kind, [['', words.allKinds], ...Object.entries(words.kinds)]);
  const hangars = choice('hangarId', page.hangar, []);
  hangars.hidden = true;
  const filters = h('div', { class: 'filters' }, h('div', { class: 'states', role: 'group', 'aria-label': page.filter }, ...states), kinds, hangars);
  const invited = h('div', { class: 'invited', hidden: true });
  const waiting = h('button', { class: 'fresh', type: 'button', hidden: true, onclick: () => {
    list.draw(true);
    list.focus();
  } });
  const empty = h('p', { class: 'empty', hidden: true });
  const retry = h('button', { class: 'quiet', type: 'button', hidden: true, onclick: () => choose({}) }, page.retry);
  const more = h('button', { class: 'quiet more', type: 'button', hidden: true, onclick: () => act('more') }, page.more);
  /** @type {N.Act} */
  const act = (name, ...given) => {
    const does = (/** @type {any} */ made) => made[name](...given);
    if (hands) return does(hands);
    newHands().then(does).catch(() => {
      setText(told, words.notDone);
      toast.classList.add('on');
    });
  };
  const mayArchive = () => me.role !== 'viewer';
  const list = newList({ around, words, store, mayArchive, act, drawn });
  const told = h('span', { role: 'status' });
  const toast = h('div', { class: 'toast' }, told);
  const body = h('div', { class: 'notes-body' }, invited, h('div', { class: 'waiting' }, waiting), list.node, empty, retry, more, h('p', { class: 'keys' }, words.keys));
  const panel = h('section', { class: `panel notes-panel${inline ? '' : ' pop'}`, role: inline ? 'region' : 'dialog', 'aria-labelledby': 'notes-title', tabindex: '-1', popover: inline ? null : 'auto' },
    h('div', { class: 'notes-head' }, heading, h('div', { class: 'heads' }, readAll, settings, inline ? null : close)), filters, body, toast);
  if (!inline) followZoom(panel);

  /** @type {Promise<N.Hands> | null} */
  let coming = null;
  const newHands = () => (coming ??= loadModule('notifications/hands', () => import('./hands.js')).then(async (made) => {
    hands = await made.newHands({ around, words, store, bell, me, changed, panel, heading, filters, body, readAll, settings, list, invited, toast, told, mayArchive });
    return hands;
  }).catch((error) => {
    coming = null;
    throw error;
  }));
  // Before the click comes.
  for (const type of ['pointerover', 'focusin']) list.node.addEventListener(type, () => newHands().catch(() => {}), { once: true });

  /** @param {Partial<N.Filter>} change */
  const choose = async (change) => {
    loading = true;
    await store.choose(change);
    loading = false;
    body.scrollTop = 0;
    list.draw(true);
  };

  /** @param {number} fresh how many newer ones wait */
  function drawn(fresh) {
    const { failed, more: older, loaded } = store.getState();
    const none = list.shown().length === 0;
    const { state, kind, hangarId } = store.filter;
    show(waiting, fresh > 0);
    setText(waiting, fill(words.fresh[fresh === 1 ? 0 : 1], { n: formatCount(fresh) }));
    show(list.node, !none);
    show(empty, none);
    setText(empty, failed ? words.failed : !loaded ? page.loading : kind || hangarId ? words.emptyHere : words.empty[state]);
    show(retry, none && failed);
    show(more, older && !none);
    if (opened && !none && seenTimer === null) {
      seenTimer = setTimeout(() => {
        seenTimer = null;
        if (opened && !stopped && document.visibilityState === 'visible') void store.see(list.shown()[0]);
      }, SEEN_MS);
    }
  }

  function update() {
    const { unread } = store.getState();
    const n = unread ?? 0;
    setText(states[0], words.states.unread + (n > 0 ? ` (${formatCount(n)})` : ''));
    setAttribute(readAll, 'aria-disabled', String(n === 0));
    for (const button of states) setAttribute(button, 'aria-pressed', String(button.dataset.state === store.filter.state));
    if (opened && !loading) list.draw(false);
    if (me.invitations.length > 0 || !invited.hidden) newHands().then((made) => made.drawInvitations()).catch(() => {});
  }

  /** Below the bell, as far as there is room. */
  const place = () => {
    const at = bell.getBoundingClientRect();
    const { clientWidth } = document.documentElement;
    const sizes = { top: at.bottom + scrollY + 8, right: Math.max(8, clientWidth - at.right), room: innerHeight - at.bottom - 24 };
    for (const [name, size] of Object.entries(sizes)) panel.style.setProperty(`--${name}`, `${Math.round(size)}px`);
  };
  const filled = async () => {
    void fillHangars();
    await choose({ state: (store.getState().unread ?? 0) > 0 && !inFull ? 'unread' : 'all' });
    inFull = false;
  };
  const fillHangars = async () => {
    const body = await ask('listings').catch(() => null);
    if (!Array.isArray(body?.listings) || stopped) return;
    const { value } = hangars;
    hangars.replaceChildren(...optionsOf([['', words.allHangars],
      ...body.listings.map((/** @type {any} */ one) => [String(one.hangarId), visible(String(one.hangarNumber)) || String(one.hangarId)])]));
    hangars.value = value;
    show(hangars, body.listings.length > 1);
  };
  panel.addEventListener('beforetoggle', (event) => {
    opened = /** @type {ToggleEvent} */ (event).newState === 'open';
    if (opened) place();
    else hadFocus = panel.contains(/** @type {ShadowRoot} */ (panel.getRootNode()).activeElement);
  });
  panel.addEventListener('toggle', () => {
    setAttribute(bell, 'aria-expanded', String(opened));
    if (!opened) {
      hands?.forget();
      toast.classList.remove('on');
      // Unless it is where a click closed the panel.
      const { host } = /** @type {ShadowRoot} */ (panel.getRootNode());
      if (hadFocus && [document.body, host].includes(/** @type {HTMLElement} */ (document.activeElement))) bell.focus();
      return;
    }
    hands?.settings(false);
    void filled();
    panel.focus();
  });
  panel.addEventListener('pointerleave', list.release);
  panel.addEventListener('focusout', list.release);
  const replace = () => opened && !inline && place();
  addEventListener('resize', replace);
  update();
  if (inline) void filled();

  return {
    node: panel,
    update,
    toggle: () => panel.togglePopover(),
    list() {
      if (opened) return void choose({ state: 'all' });
      inFull = true;
      panel.showPopover();
    },
    tick: () => opened && list.age(),
    stop() {
      stopped = true;
      hands?.forget();
      clearTimeout(seenTimer);
      removeEventListener('resize', replace);
    },
  };
};
