/**
 * The panels: four cards, three facts, who comes and goes today, notifications
 * and hangars. Each is built once and rewritten in place.
 * @import * as T from '../shapes.js'
 */
import { ICONS, h, icon, rows, setAttribute, setIcon, setText, show, tint } from '../dom.js';
import {
  describeMetrics, describeNotice, describeStay, formatAgo, formatCount, formatHour, formatMoment, formatMoney, formatPlural,
  formatWeekday, zoneLabel,
} from '../state/wording.js';

const BLANK = '\u00A0';

/** @type {[T.CardKey, string, string, string, string][]} key, hue, label, time basis, drawing */
const CARDS = [
  ['revenueToday', 'blue', 'Receita hoje', 'hoje, desde 00:00', ICONS.money],
  ['bookingsToday', 'purple', 'Reservas hoje', 'sem as canceladas', ICONS.new],
  ['occupancyRate', 'green', 'Ocupação agora', 'neste momento', ICONS.hangar],
  ['growthPercentage', 'orange', 'Crescimento vs. semana anterior', 'receita paga, 7 dias', ICONS.up],
];

/** Until the first numbers the cards are skeletons of the final size. @type {T.CardsPanel} */
export const cardsPanel = () => {
  const cards = CARDS.map(([key, hue, label, basis, drawing]) => {
    const sign = icon(drawing);
    const value = h('p', { class: 'value' }, BLANK);
    const line = h('p', { class: 'line' }, BLANK);
    const foot = h('p', { class: 'basis' }, basis);
    const gauge = key === 'occupancyRate' ? h('div', { class: 'gauge', 'aria-hidden': 'true' }, h('i')) : null;
    const node = h('article', { class: `card ${hue} loading`, 'data-metric': key, 'aria-busy': 'true' },
      h('div', { class: 'top' }, h('h2', null, label), h('span', { class: 'chip' }, sign)),
      value, gauge, line, foot);
    return { key, node, sign, value, line, gauge, foot, basis };
  });
  const node = h('section', { class: 'cards', 'aria-label': 'Números de hoje' }, ...cards.map((card) => card.node));
  let filled = false;

  return {
    node,
    update(metrics, listings, clock) {
      const said = metrics && describeMetrics(metrics, listings);
      let changed = false;
      for (const { key, node, sign, value, line, gauge, foot, basis } of cards) {
        node.classList.toggle('loading', !metrics);
        setAttribute(node, 'aria-busy', metrics ? null : 'true');
        const other = setText(value, said?.[key].value ?? BLANK);
        if (other && filled && metrics) tint(node);
        changed = setText(line, said?.[key].line ?? BLANK) || other || changed;
        setText(foot, clock && key !== 'occupancyRate' ? `${basis} · ${clock}` : basis);
        gauge?.style.setProperty('--filled', String(Math.min(100, metrics?.occupancyRate ?? 0) / 100));
        const growth = metrics?.growthPercentage ?? 0;
        if (key === 'growthPercentage') setIcon(sign, growth > 0 ? ICONS.up : growth < 0 ? ICONS.down : ICONS.flat);
      }
      filled = metrics !== null;
      return changed;
    },
  };
};

/** @type {T.FactsPanel} */
export const factsPanel = () => {
  const facts = [['Anúncios ativos', 'activeListings'], ['Repasses pendentes', 'pendingPayouts'], ['Próximo repasse', 'nextPayoutDate']]
    .map(([label, name]) => ({ label, value: h('dd', { 'data-fact': name }, BLANK) }));
  const node = h('dl', { class: 'facts loading' }, ...facts.map(({ label, value }) => h('div', { class: 'fact' }, h('dt', null, label), value)));
  return {
    node,
    update(metrics) {
      node.classList.toggle('loading', metrics === null);
      const said = metrics && [formatCount(metrics.activeListings), formatMoney(metrics.pendingPayouts), formatWeekday(metrics.nextPayoutDate) || 'sem data'];
      facts.forEach(({ value }, i) => setText(value, said?.[i] ?? BLANK));
    },
  };
};

/** A day's rows that are shown before anybody asks for all, at least and at most. */
const FEWEST = 2;
const MOST = 6;

/** Who arrives and who leaves today. @type {T.AgendaPanel} */
export const agendaPanel = (retry) => {
  const day = h('p', { class: 'aside' });
  const failure = h('p', { class: 'empty', hidden: true }, 'Não foi possível carregar as chegadas e saídas de hoje.',
    h('button', { class: 'quiet', type: 'button', onclick: retry }, 'Tentar de novo'));
  const lists = [staysList('Chegam hoje', 'Ninguém chega hoje.', false), staysList('Saem hoje', 'Ninguém sai hoje.', true)];
  const pair = h('div', { class: 'pair' }, ...lists.map((list) => list.node));
  const node = h('section', { class: 'panel agenda loading', 'aria-labelledby': 'agenda-title' },
    h('header', null, h('h2', { id: 'agenda-title' }, 'Agora'), day), pair, failure);
  return {
    node,
    update(agenda, today, zone) {
      const lost = agenda.failed && !agenda.loaded;
      node.classList.toggle('loading', !agenda.loaded && !lost);
      show(pair, !lost);
      show(failure, lost);
      setText(day, ['hoje', formatWeekday(today), zoneLabel(Date.now(), zone)].filter(Boolean).join(' · '));
      lists[0].update(agenda.on(today, 'checkInDate'), agenda.loaded, today);
      lists[1].update(agenda.on(today, 'checkOutDate'), agenda.loaded, today);
    },
  };
};

/** @type {T.StaysList} */
const staysList = (title, none, leaving) => {
  const list = h('ol', { class: 'rows stays', 'data-list': leaving ? 'departures' : 'arrivals' });
  const badge = h('span', { class: 'badge' });
  const empty = h('p', { class: 'empty', hidden: true }, none);
  /** Fixed when a day is first shown, with room for one more: nothing below moves when a booking comes. */
  let slots = 0;
  let shown = '';
  let all = false;
  /** @type {T.BookingNotification[]} */
  let stays = [];
  const more = h('button', { class: 'quiet', type: 'button', hidden: true, 'aria-expanded': 'false',
    onclick() {
      all = !all;
      draw();
    } });
  const node = h('section', { 'aria-label': title }, h('header', null, h('h3', null, title), badge, more), list, empty);
  const end = leaving ? 'checkOutDate' : 'checkInDate';

  const makeRow = () => {
    const hour = h('time');
    const guest = h('span', { class: 'guest' });
    const hangar = h('span', { class: 'tag' });
    const sign = icon(ICONS.in);
    const word = h('span');
    const state = h('span', { class: 'state' }, sign, word);
    return {
      node: h('li', { class: 'stay' }, hour, guest, hangar, state),
      /** @param {T.BookingNotification} stay */
      update(stay) {
        const said = describeStay(stay.status ?? '', leaving);
        setText(hour, formatHour(stay[end]) || 'hoje');
        setAttribute(hour, 'datetime', stay[end]);
        setText(guest, stay.guestName || 'Hóspede sem nome');
        setAttribute(guest, 'title', stay.guestName || null);
        setText(hangar, stay.hangarNumber);
        setText(word, said.word);
        setIcon(sign, ICONS[said.sign]);
        state.className = `state sign-${said.sign}`;
      },
    };
  };
  const draw = () => {
    rows(list, stays.slice(0, all ? stays.length : slots), makeRow);
    show(more, stays.length > slots);
    setText(more, all ? 'Ver menos' : `Ver todos (${formatCount(stays.length)})`);
    setAttribute(more, 'aria-expanded', String(all));
  };
  return {
    node,
    update(next, loaded, today) {
      if (!loaded) shown = '';
      else if (shown !== today) {
        shown = today;
        all = false;
        slots = Math.min(MOST, Math.max(FEWEST, next.length + 1));
      }
      list.style.setProperty('--slots', String(slots || FEWEST));
      stays = next;
      setText(badge, formatCount(stays.length));
      show(badge, loaded);
      show(empty, loaded && stays.length === 0);
      draw();
    },
  };
};

const MAX_TILES = 24;

/** Which hangars are occupied, and by whom. @type {T.HangarsPanel} */
export const hangarsPanel = () => {
  const list = h('ul', { class: 'tiles' });
  const summary = h('p', { class: 'aside' });
  const empty = h('p', { class: 'empty', hidden: true });
  const node = h('section', { class: 'panel hangars', 'aria-labelledby': 'hangars-title' },
    h('header', null, h('h2', { id: 'hangars-title' }, 'Hangares'), summary), list, empty);

  const makeTile = () => {
    const number = h('strong');
    const place = h('span', { class: 'place' });
    const state = h('span', { class: 'state' });
    const guest = h('span', { class: 'guest' });
    const tile = h('li', { class: 'tile' }, icon(ICONS.hangar), h('div', null, h('p', null, number, state), place, guest));
    let shown = '';
    return {
      node: tile,
      /** @param {T.Listing} listing */
      update(listing) {
        const { hangarId, isNowOccupied, occupiedSpaces, totalSpaces } = listing;
        const closed = listing.status !== 'active' || !listing.isAvailable;
        const key = `${hangarId} ${isNowOccupied}`;
        if (shown.startsWith(`${hangarId} `) && shown !== key) tint(tile);
        shown = key;
        tile.className = tile.className.replace(/^tile( occupied| closed)?/, `tile${isNowOccupied ? ' occupied' : closed ? ' closed' : ''}`);
        setText(number, listing.hangarNumber || '–');
        setText(state, isNowOccupied ? 'Ocupado' : closed ? 'Indisponível' : 'Livre');
        const spaces = totalSpaces > 1 ? `${formatCount(occupiedSpaces)}/${formatPlural(totalSpaces, 'vaga', 'vagas')}` : '';
        setText(place, [listing.icaoCode, listing.city || listing.aerodromeName, spaces].filter(Boolean).join(' · '));
        setText(guest, isNowOccupied ? listing.occupant || BLANK : `${formatMoney(listing.dailyRate)} por dia`);
      },
    };
  };

  return {
    node,
    update(listings, failed) {
      const all = listings ?? [];
      rows(list, all.slice(0, MAX_TILES), makeTile);
      const occupied = all.filter((listing) => listing.isNowOccupied).length;
      const more = all.length > MAX_TILES ? ` · mais ${all.length - MAX_TILES} não mostrados` : '';
      setText(summary, all.length > 0 ? `${formatPlural(occupied, 'ocupado', 'ocupados', 'nenhum ocupado')} de ${formatCount(all.length)}${more}` : '');
      show(empty, all.length === 0);
      setText(empty, failed && !listings ? 'Não foi possível carregar os hangares. Nova tentativa na próxima atualização.' : 'Nenhum hangar publicado ainda.');
    },
  };
};

const UNDO_MS = 8000;
const FIRST_ROWS = 6;
const NARROW_PX = 576;
const MORE_ROWS = 20;

/** @type {T.NoticesPanel} */
export const noticesPanel = (actions) => {
  const badge = h('span', { class: 'badge' });
  /** @type {any} */
  let undoTimer = null;
  const quiet = (/** @type {string} */ label, /** @type {() => void} */ onclick) =>
    h('button', { class: 'quiet', type: 'button', onclick: () => onclick() }, label);
  // Buttons that have nothing to do say so and keep the focus that a disabled one would lose.
  const readAll = quiet('Marcar todas como lidas', actions.markAllRead);
  const clear = quiet('Limpar', () => {
    if (clear.ariaDisabled === 'true') return;
    clearTimeout(undoTimer);
    actions.clear();
    undo.focus();
    undoTimer = setTimeout(() => {
      const focused = isFocused(undo);
      actions.forgetCleared();
      if (focused) clear.focus();
    }, UNDO_MS);
  });
  const undo = quiet('Desfazer', () => {
    clearTimeout(undoTimer);
    actions.undoClear();
    clear.focus();
  });
  const bookings = noticeList('Reservas recentes', 'bookings', 3, actions.markRead);
  const occupancy = noticeList('Mudanças de ocupação', 'occupancy', 2, actions.markRead);
  const node = h('section', { class: 'notices', 'aria-labelledby': 'notices-title' },
    h('header', null, h('h2', { id: 'notices-title' }, 'Notificações'), badge, h('div', { class: 'actions' }, readAll, clear, undo)),
    h('div', { class: 'columns' }, bookings.node, occupancy.node));

  return {
    node,
    update(state, zone, paused) {
      setText(badge, formatPlural(state.unread, 'não lida', 'não lidas', 'tudo lido'));
      badge.classList.toggle('some', state.unread > 0);
      setAttribute(readAll, 'aria-disabled', String(state.unread === 0));
      setAttribute(clear, 'aria-disabled', String(state.bookings.length + state.occupancy.length === 0));
      show(undo, state.canUndoClear);
      show(clear, !state.canUndoClear); // one gives its place to the other
      let none = 'Nenhuma reserva hoje ainda. As novas aparecem aqui na hora.';
      if (state.failedParts.bookings) none = 'Não foi possível carregar as reservas. As novas aparecem aqui na hora.';
      else if (state.metrics && state.metrics.bookingsToday > 0) none = 'Nada por ler. As novas reservas aparecem aqui na hora.';
      bookings.update(state.bookings, none, zone, paused);
      occupancy.update(state.occupancy, 'Nenhuma mudança ainda. Entradas e saídas aparecem aqui na hora.', zone, paused);
    },
    tick() {
      bookings.tick();
      occupancy.tick();
    },
    stop: () => clearTimeout(undoTimer),
  };
};

/** @param {HTMLElement} element */
const isFocused = (element) => /** @type {ShadowRoot} */ (element.getRootNode()).activeElement === element;

/** While a pointer or the focus is on a list, it holds still: newer rows wait behind a button. @type {T.NoticeList} */
const noticeList = (title, name, narrow, markRead) => {
  const list = h('ol', { class: 'rows', 'data-list': name });
  const empty = h('p', { class: 'empty', hidden: true });
  const fresh = h('button', { class: 'fresh', type: 'button', hidden: true,
    onclick() {
      draw(true);
      list.querySelector('button')?.focus();
    } });
  const more = h('button', { class: 'quiet more', type: 'button', hidden: true,
    onclick() {
      limit += MORE_ROWS;
      draw(true);
    } }, 'Mostrar mais');
  const node = h('section', { class: `panel list ${name}`, 'aria-labelledby': `${name}-title` },
    h('header', null, h('h3', { id: `${name}-title` }, title), fresh), list, empty, more);

  /** @type {readonly T.Notice[]} */
  let latest = [];
  /** @type {readonly T.Notice[]} what is on the screen */
  let drawn = [];
  let limit = 0;
  let paused = false;
  /** @type {T.Zone} */
  let zone = null;
  /** @type {Set<() => void>} */
  const ages = new Set();

  const held = () => paused || node.matches(':hover') || node.contains(/** @type {ShadowRoot} */ (list.getRootNode()).activeElement);

  const draw = (/** @type {boolean} */ release) => {
    const width = limit > 0 ? 0 : node.parentElement?.clientWidth ?? 0; // none while the panel waits for its first rows
    if (width > 0) limit = width < NARROW_PX ? narrow : FIRST_ROWS;
    const before = drawn;
    let waiting = 0;
    if (!release && drawn.length > 0 && latest.length > 0 && held()) {
      const current = new Map(latest.map((notice) => [notice.id, notice]));
      const known = new Set(drawn.map(({ id }) => id));
      waiting = latest.filter(({ id, at }) => !known.has(id) && at >= drawn[0].at).length;
      drawn = drawn.map((notice) => current.get(notice.id) ?? notice);
    } else {
      drawn = latest.slice(0, limit);
    }
    rows(list, drawn, makeRow);
    show(fresh, waiting > 0);
    setText(fresh, formatPlural(waiting, 'nova', 'novas'));
    show(more, latest.length > drawn.length + waiting);
    show(empty, drawn.length === 0);
    if (before.length > 0 && drawn.length > 0 && drawn[0].id !== before[0].id && !drawn[0].read) tint(/** @type {HTMLElement} */ (list.firstElementChild));
  };
  const settle = () => {
    if (!fresh.hidden) queueMicrotask(() => draw(false));
  };
  node.addEventListener('pointerleave', settle);
  node.addEventListener('focusout', settle);

  const makeRow = () => {
    const sign = icon(ICONS.new);
    const what = h('strong');
    const hangar = h('span', { class: 'tag' });
    const detail = h('p', { class: 'detail' });
    const amount = h('span', { class: 'amount' });
    const time = h('time');
    /** @type {T.Notice | null} */
    let item = null;
    const mark = h('button', { class: 'mark', type: 'button', title: 'Marcar como lida',
      onclick() {
        // The button goes when its row is read; the next unread one takes the focus.
        const others = [...list.querySelectorAll('.unread .mark')];
        const next = others[(others.indexOf(mark) + 1) % others.length];
        if (next !== mark) /** @type {HTMLElement} */ (next)?.focus();
        else if (isFocused(mark)) list.focus();
        if (item) markRead(item.id);
      } });
    const row = h('li', { class: 'row' }, h('span', { class: 'sign' }, sign),
      h('div', { class: 'what' }, what, hangar), detail, amount, time, mark);
    const age = () => {
      if (!row.isConnected) ages.delete(age);
      else if (item) setText(time, formatAgo(Date.now() - item.at));
    };
    ages.add(age);
    return {
      node: row,
      /** @param {T.Notice} notice */
      update(notice) {
        const words = describeNotice(notice);
        item = notice;
        setIcon(sign, ICONS[words.sign]);
        row.className = row.className.replace(/^row( unread)?( struck)?( sign-\w+)?/,
          `row${notice.read ? '' : ' unread'}${words.struck ? ' struck' : ''} sign-${words.sign}`);
        setText(what, words.title);
        setText(hangar, words.hangar);
        setText(detail, words.detail || BLANK);
        setAttribute(detail, 'title', words.detail || null);
        setText(amount, words.amount);
        setAttribute(time, 'datetime', new Date(notice.at).toISOString());
        setAttribute(time, 'title', formatMoment(notice.at, zone));
        age();
        setAttribute(mark, 'aria-label', `Marcar como lida: ${words.title}, ${words.hangar}`);
        show(mark, !notice.read);
      },
    };
  };
  list.tabIndex = -1;

  return {
    node,
    update(notices, none, timezone, isPaused) {
      latest = notices;
      zone = timezone;
      paused = isPaused;
      setText(empty, none);
      draw(false);
    },
    tick: () => ages.forEach((age) => age()),
  };
};
