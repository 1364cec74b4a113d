/**
 * The panels: four cards, three facts, today's arrivals and departures, the feed, and the hangars.
 * A new panel is a function here, a line in PANELS at the end, its words in the catalogues
 * (state/wording.js, words/) and its styles in element.css.
 * @import * as T from '../shapes.js'
 */
import { ICONS, h, icon, rows, setAttribute, setIcon, setText, show, tint } from '../dom.js';
import { FILTERS, filtered } from '../state/store.js';
import { formatHour, visible } from '../state/wording.js';

const BLANK = '\u00A0';

/**
 * Key, hue, time basis, drawing.
 * @type {[T.CardKey, string, 'sinceMidnight' | 'withoutCancelled' | 'thisMoment' | 'paidRevenue',
 *   string][]}
 */
const CARDS = [
  ['revenueToday', 'blue', 'sinceMidnight', ICONS.money],
  ['bookingsToday', 'purple', 'withoutCancelled', ICONS.new],
  ['occupancyRate', 'green', 'thisMoment', ICONS.hangar],
  ['growthPercentage', 'orange', 'paidRevenue', ICONS.up],
];
/** The longest value that has its usual size. */
const USUAL_LENGTH = 9;

/** Four cards. Until the first numbers they are skeletons of the final size. @type {T.NewPanel} */
const cardsPanel = ({ words, describeMetrics, zoneLabel }) => {
  const cards = CARDS.map(([key, hue, basis, drawing]) => {
    const value = h('p', { class: 'value' }, BLANK);
    const line = h('p', { class: 'line' }, BLANK);
    const foot = h('p', { class: 'basis' }, words[basis]);
    const gauge = key === 'occupancyRate' ? h('div', { class: 'gauge', 'aria-hidden': 'true' }, h('i')) : null;
    const node = h('article', { class: `card ${hue} loading`, 'data-metric': key, 'aria-busy': 'true' },
      h('div', { class: 'top' }, h('h2', null, words[key]), h('span', { class: 'chip' }, icon(drawing))),
      value, gauge, line, foot);
    return { key, node, value, line, gauge, foot, basis: words[basis] };
  });
  const node = h('section', { class: 'cards', 'aria-label': words.today }, ...cards.map((card) => card.node));
  let filled = false;

  return {
    node,
    update({ state: { metrics, overview }, now, zone }) {
      const clock = zoneLabel(now, zone);
      const said = metrics && describeMetrics(metrics, overview);
      let changed = false;
      for (const { key, node, value, line, gauge, foot, basis } of cards) {
        setText(foot, clock && key !== 'occupancyRate' ? `${basis} · ${clock}` : basis);
        if (key === 'growthPercentage') continue; // element/cards.js draws it
        node.classList.toggle('loading', !metrics);
        setAttribute(node, 'aria-busy', metrics ? null : 'true');
        const text = said?.[key].value ?? BLANK;
        const other = setText(value, text);
        value.style.setProperty('--length', String(Math.max(USUAL_LENGTH, text.length)));
        if (other && filled && metrics) tint(node);
        changed = setText(line, said?.[key].line ?? BLANK) || other || changed;
        gauge?.style.setProperty('--filled', String(Math.min(100, metrics?.occupancyRate ?? 0) / 100));
      }
      filled = metrics !== null;
      return changed;
    },
  };
};

/** Three facts below the cards. @type {T.NewPanel} */
const factsPanel = ({ words, formatCount, formatMoney, formatWeekday }) => {
  const facts = /** @type {const} */ (['activeListings', 'pendingPayouts', 'nextPayoutDate'])
    .map((name) => ({ label: words[name], value: h('dd', { 'data-fact': name }, BLANK) }));
  const node = h('dl', { class: 'facts loading' }, ...facts.map(({ label, value }) => h('div', { class: 'fact' }, h('dt', null, label), value)));
  return {
    node,
    update({ state: { metrics } }) {
      node.classList.toggle('loading', metrics === null);
      const said = metrics && [formatCount(metrics.activeListings), formatMoney(metrics.pendingPayouts), formatWeekday(metrics.nextPayoutDate) || words.noDate];
      facts.forEach(({ value }, i) => {
        const text = said?.[i] ?? BLANK;
        setText(value, text);
        value.style.setProperty('--length', String(Math.max(USUAL_LENGTH, text.length)));
      });
    },
  };
};

/** How many of a day's rows are shown until all are asked for, at least and at most. */
const FEWEST = 1;
const MOST = 8;

/** Today's arrivals and departures, the next ones first. @type {T.NewPanel} */
const agendaPanel = (wording, { retryAgenda, open }) => {
  const { words, formatWeekday, zoneLabel } = wording;
  const day = h('p', { class: 'aside' });
  const failure = h('p', { class: 'empty', hidden: true }, words.agendaFailed, h('button', { class: 'quiet', type: 'button', onclick: retryAgenda }, words.retry));
  const lists = [staysList(wording, false, open), staysList(wording, true, open)];
  const pair = h('div', { class: 'pair' }, ...lists.map((list) => list.node));
  const node = h('section', { class: 'panel agenda loading', 'aria-labelledby': 'agenda-title' },
    h('header', null, h('h2', { id: 'agenda-title' }, words.agenda), day), pair, failure);
  return {
    node,
    update({ agenda, today, zone, now }) {
      const lost = agenda.failed && !agenda.loaded;
      node.classList.toggle('loading', !agenda.loaded && !lost);
      show(pair, !lost);
      show(failure, lost);
      setText(day, [words.someDay, formatWeekday(today), zoneLabel(now, zone)].filter(Boolean).join(' · '));
      lists[0].update(agenda.on(today, 'checkInDate'), agenda.loaded, today, now);
      lists[1].update(agenda.on(today, 'checkOutDate'), agenda.loaded, today, now);
    },
  };
};

/**
 * How far a stay is by the hour, as occupancy counts it. A guest without an hour may arrive the
 * whole day.
 * @param {T.BookingNotification} stay @param {number} now
 */
const progress = ({ checkInDate, checkOutDate, status = '' }, now) => {
  const hourless = formatHour(checkInDate) === '';
  return {
    hourless,
    begun: Date.parse(checkInDate) <= now && (!hourless || status === 'active'),
    over: Date.parse(checkOutDate) <= now && formatHour(checkOutDate) !== '',
  };
};

/** @type {T.StaysList} */
const staysList = ({ words, sayMany, say, formatCount, describeStay }, leaving, open) => {
  const list = h('ol', { class: 'rows stays', 'data-list': leaving ? 'departures' : 'arrivals' });
  const badge = h('span', { class: 'badge' });
  const empty = h('p', { class: 'empty', hidden: true });
  /**
   * Fixed when a day is first shown, with room for one more row, so that a new booking moves
   * nothing.
   */
  let slots = 0;
  let shown = '';
  let all = false;
  let at = 0;
  /** @type {T.BookingNotification[]} */
  let stays = [];
  const more = h('button', { class: 'quiet', type: 'button', hidden: true, 'aria-expanded': 'false',
    onclick() {
      all = !all;
      draw();
    } });
  const end = leaving ? 'checkOutDate' : 'checkInDate';
  const title = leaving ? words.departures : words.arrivals;
  const node = h('section', { 'aria-label': title }, h('header', null, h('h3', null, title), badge, more), list, empty);

  /** @param {T.BookingNotification} stay */
  const isPast = (stay) => {
    const { begun, over } = progress(stay, at);
    return stay.status === 'completed' || (leaving ? over : begun || over);
  };
  const makeRow = () => {
    const hour = h('time');
    const name = h('bdi');
    /** @type {T.BookingNotification | null} */
    let item = null;
    const guest = h('button', { class: 'guest', type: 'button', onclick: () => item && open(item.bookingId) }, name);
    const hangar = h('bdi', { class: 'tag' });
    const sign = icon(ICONS.in);
    const word = h('span');
    const state = h('span', { class: 'state' }, sign, word);
    return {
      node: h('li', { class: 'stay' }, hour, guest, hangar, state),
      /** @param {T.BookingNotification} stay */
      update(stay) {
        item = stay;
        const said = describeStay(stay.status ?? '', leaving, progress(stay, at));
        setText(hour, formatHour(stay[end]) || words.someDay);
        setAttribute(hour, 'datetime', stay[end]);
        setText(name, visible(stay.guestName) || words.noName);
        setAttribute(guest, 'title', visible(stay.guestName) || null);
        setText(hangar, visible(stay.hangarNumber));
        setText(word, stay.status === '' ? words.reloading : said.word);
        setIcon(sign, ICONS[said.sign]);
        state.className = `state sign-${said.sign}`;
      },
    };
  };
  const draw = () => {
    const gone = stays.filter(isPast);
    const next = stays.filter((stay) => !isPast(stay));
    if (slots === 0) slots = Math.min(MOST, Math.max(FEWEST, next.length + 1));
    const drawn = all ? [...next, ...gone.reverse()] : next.slice(0, slots);
    rows(list, drawn, makeRow);
    list.style.setProperty('--slots', String(slots || FEWEST));
    show(more, all || drawn.length < stays.length);
    setText(more, all ? words.less : next.length > slots ? say('allOf', { n: formatCount(stays.length) }) : sayMany('past', gone.length));
    setAttribute(more, 'aria-expanded', String(all));
    show(empty, shown !== '' && drawn.length === 0);
    setText(empty, gone.length > 0 ? words.noneLeft : leaving ? words.noDepartures : words.noArrivals);
  };
  return {
    node,
    update(next, loaded, today, now) {
      if (!loaded) shown = '';
      else if (shown !== today) {
        shown = today;
        all = false;
        slots = 0;
      }
      at = now;
      stays = next;
      setText(badge, formatCount(stays.length));
      show(badge, loaded);
      if (loaded) draw();
    },
  };
};

const UNDO_MS = 8000;
const FIRST_ROWS = 8;
const NARROW_ROWS = 5;
const FEWEST_ROWS = 2;
const NARROW_PX = 576;
const MORE_ROWS = 20;

/** @param {HTMLElement} element */
const isFocused = (element) => /** @type {ShadowRoot} */ (element.getRootNode()).activeElement === element;

/**
 * One bounded list with a filter, an unread counter that does not depend on its length, and buttons
 * to read and clear it. While a pointer or the focus is on the list it stays as it is, and newer
 * rows wait behind a button.
 * @type {T.NewPanel}
 */
const feedPanel = ({ words, sayMany, formatPlural, formatAgo, formatMoment, describeItem }, actions) => {
  const badge = h('span', { class: 'badge' });
  /** @type {any} */
  let undoTimer = null;
  const quiet = (/** @type {string} */ label, /** @type {() => void} */ onclick) =>
    h('button', { class: 'quiet', type: 'button', onclick: () => onclick() }, label);
  // aria-disabled and not disabled: a disabled button loses the focus.
  const readAll = quiet(words.markAll, actions.markAllRead);
  const clear = quiet(words.clear, () => {
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
  const undo = quiet(words.undo, () => {
    clearTimeout(undoTimer);
    actions.undoClear();
    clear.focus();
  });
  const filter = h('select', { 'aria-label': words.filter, onchange: () => refill() },
    ...Object.keys(FILTERS).map((name) => h('option', { value: name }, String(words[/** @type {'filterAll'} */ (name)]))));
  const list = h('ol', { class: 'rows', 'data-list': 'feed' });
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
    } }, words.more);
  const node = h('section', { class: 'panel feed', 'aria-labelledby': 'feed-title' },
    h('header', null, h('h2', { id: 'feed-title' }, words.feed), badge, fresh, h('div', { class: 'actions' }, filter, readAll, clear, undo)), list, empty, more);

  /** @type {readonly T.FeedItem[]} */
  let everything = [];
  /** @type {readonly T.FeedItem[]} what the filter shows of it */
  let latest = [];
  /** @type {readonly T.FeedItem[]} what is on the screen */
  let drawn = [];
  let none = '';
  let limit = 0;
  let slots = 0;
  let paused = false;
  let now = 0;
  /** @type {T.Zone} */
  let zone = null;
  /** @type {Set<() => void>} */
  const ages = new Set();

  const isHeld = () => paused || list.matches(':hover') || list.contains(/** @type {ShadowRoot} */ (list.getRootNode()).activeElement);

  const draw = (/** @type {boolean} */ inFull) => {
    // None while the panel waits for its first rows.
    const width = limit > 0 ? 0 : node.parentElement?.clientWidth ?? 0;
    if (width > 0) {
      limit = width < NARROW_PX ? NARROW_ROWS : FIRST_ROWS;
      // Room for one more row, which then moves nothing.
      slots = Math.max(FEWEST_ROWS, Math.min(limit, latest.length + 1));
      list.style.setProperty('--slots', String(slots));
    }
    const before = drawn;
    let waiting = 0;
    if (!inFull && drawn.length > 0 && latest.length > 0 && isHeld()) {
      const current = new Map(latest.map((item) => [item.id, item]));
      const present = new Set(drawn.map(({ id }) => id));
      waiting = latest.filter(({ id, at }) => !present.has(id) && at >= drawn[0].at).length;
      drawn = drawn.map((item) => current.get(item.id) ?? item);
    } else {
      drawn = latest.slice(0, limit);
    }
    rows(list, drawn, makeRow);
    show(fresh, waiting > 0);
    setText(fresh, formatPlural(waiting, ...words.fresh));
    show(more, latest.length > drawn.length + waiting);
    show(empty, drawn.length === 0);
    setText(empty, everything.length > 0 ? words.noneHere : none);
    if (before.length > 0 && drawn.length > 0 && drawn[0].id !== before[0].id && !drawn[0].read) tint(/** @type {HTMLElement} */ (list.firstElementChild));
  };
  const refill = () => {
    latest = filtered(everything, filter.value);
    draw(true);
  };
  const release = () => {
    if (!fresh.hidden) queueMicrotask(() => draw(false));
  };
  list.addEventListener('pointerleave', release);
  list.addEventListener('focusout', release);

  const makeRow = () => {
    const sign = icon(ICONS.new);
    const title = h('strong');
    const what = h('button', { class: 'open', type: 'button', onclick: () => item && 'bookingId' in item.data && actions.open(item.data.bookingId) }, title);
    const hangar = h('bdi', { class: 'tag' });
    const detail = h('p', { class: 'detail' });
    const amount = h('span', { class: 'amount' });
    const time = h('time');
    /** @type {T.FeedItem | null} */
    let item = null;
    const mark = h('button', { class: 'mark', type: 'button', title: words.markRead,
      onclick() {
        // The button disappears when its row is read. The next unread one gets the focus.
        const others = [...list.querySelectorAll('.unread .mark')];
        const next = others[(others.indexOf(mark) + 1) % others.length];
        if (next !== mark) /** @type {HTMLElement} */ (next)?.focus();
        else if (isFocused(mark)) list.focus();
        if (item) actions.markRead(item.id);
      } });
    const row = h('li', { class: 'row' }, h('span', { class: 'sign' }, sign), h('div', { class: 'what' }, what, hangar), detail, amount, time, mark);
    const age = () => {
      if (!row.isConnected) ages.delete(age);
      else if (item) setText(time, formatAgo(now - item.at));
    };
    ages.add(age);
    return {
      node: row,
      /** @param {T.FeedItem} next */
      update(next) {
        const said = describeItem(next);
        item = next;
        setIcon(sign, ICONS[said.sign]);
        row.className = row.className.replace(/^row( unread)?( struck)?( sign-\w+)?/,
          `row${next.read ? '' : ' unread'}${said.struck ? ' struck' : ''} sign-${said.sign}`);
        setText(title, said.title);
        // An arrival or departure names a hangar and no booking: nothing can be opened.
        what.disabled = !('bookingId' in next.data && next.data.bookingId);
        setText(hangar, said.hangar);
        setText(detail, said.detail || BLANK);
        setAttribute(detail, 'title', said.detail || null);
        setText(amount, said.amount);
        setAttribute(time, 'datetime', new Date(next.at).toISOString());
        setAttribute(time, 'title', formatMoment(next.at, zone));
        age();
        setAttribute(mark, 'aria-label', `${words.markRead}: ${said.title}, ${said.hangar}`);
        show(mark, !next.read);
      },
    };
  };
  list.tabIndex = -1;

  return {
    node,
    interactive: true,
    update({ state, moves, ...view }) {
      const { unread, bookings, occupancy } = state;
      setText(badge, formatPlural(unread, ...words.unread, words.allRead));
      badge.classList.toggle('some', unread > 0);
      setAttribute(readAll, 'aria-disabled', String(unread === 0));
      setAttribute(clear, 'aria-disabled', String(bookings.length + occupancy.length === 0));
      show(undo, state.canUndoClear);
      show(clear, !state.canUndoClear);
      ({ now, zone, paused } = view);
      none = state.failedParts.bookings ? words.feedFailed : state.metrics && state.metrics.bookingsToday > 0 ? words.noneUnread : words.noneToday;
      everything = [...bookings, ...occupancy, ...moves].sort((a, b) => b.at - a.at);
      latest = filtered(everything, filter.value);
      draw(false);
    },
    tick(at) {
      now = at;
      ages.forEach((age) => age());
    },
    stop: () => clearTimeout(undoTimer),
  };
};

const MAX_TILES = 24;

/** Which hangars are occupied, and by which guest. @type {T.NewPanel} */
const hangarsPanel = ({ words, say, sayMany, formatCount, formatMoney }) => {
  const list = h('ul', { class: 'tiles' });
  const summary = h('p', { class: 'aside' });
  const empty = h('p', { class: 'empty', hidden: true });
  let all = false;
  let drawAgain = () => {};
  const more = h('button', { class: 'quiet more', type: 'button', hidden: true, 'aria-expanded': 'false',
    onclick() {
      all = !all;
      drawAgain();
    } });
  const node = h('section', { class: 'panel hangars', 'aria-labelledby': 'hangars-title' },
    h('header', null, h('h2', { id: 'hangars-title' }, words.hangars), summary), list, empty, more);
  let template = '';

  const makeTile = () => {
    const number = h('bdi');
    const link = h('a', { class: 'number' }, number);
    const place = h('bdi', { class: 'place' });
    const state = h('span', { class: 'state' });
    const spaces = h('span', { class: 'spaces' });
    const guest = h('bdi', { class: 'guest' });
    const tile = h('li', { class: 'tile' }, icon(ICONS.hangar), h('div', null, h('p', null, h('strong', null, link), state), place, spaces, guest));
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
        setText(number, visible(listing.hangarNumber) || '–');
        setAttribute(link, 'href', template && template.replaceAll('{id}', encodeURIComponent(hangarId)) || null);
        setText(state, isNowOccupied ? words.occupied : closed ? words.unavailable : words.free);
        setText(place, [listing.icaoCode, listing.city || listing.aerodromeName].map(visible).filter(Boolean).join(' · '));
        setText(spaces, totalSpaces > 1 ? sayMany('spaces', totalSpaces, { taken: formatCount(occupiedSpaces) }) : totalSpaces === 0 ? words.noSpaces : '');
        setText(guest, isNowOccupied ? visible(listing.occupant) || BLANK : say('perDay', { money: formatMoney(listing.dailyRate) }));
      },
    };
  };

  return {
    node,
    update({ state: { listings, failedParts }, listingsAreCurrent, listingHref }) {
      template = listingHref;
      drawAgain = () => {
        const found = listings ?? [];
        rows(list, all ? found : found.slice(0, MAX_TILES), makeTile);
        show(more, found.length > MAX_TILES);
        setText(more, all ? words.less : say('allOf', { n: formatCount(found.length) }));
        setAttribute(more, 'aria-expanded', String(all));
      };
      drawAgain();
      const count = listings?.length ?? 0;
      const occupied = (listings ?? []).filter((listing) => listing.isNowOccupied).length;
      setText(summary, count === 0 ? '' : [sayMany('occupiedOf', occupied, { taken: formatCount(occupied), n: formatCount(count) }), listingsAreCurrent ? '' : words.reloading].filter(Boolean).join(' · '));
      node.classList.toggle('old', !listingsAreCurrent);
      show(empty, count === 0);
      setText(empty, failedParts.listings && !listings ? words.hangarsFailed : words.noHangars);
    },
  };
};

/**
 * Every panel, from top to bottom. `numbers` are drawn by themselves, so that they need not wait
 * for the lists. `columns` stand side by side below all else, and appear with their first rows.
 * @type {Record<'numbers' | 'lists' | 'columns', T.NewPanel[]>}
 */
export const PANELS = {
  numbers: [cardsPanel, factsPanel],
  lists: [agendaPanel],
  columns: [feedPanel, hangarsPanel],
};
