/**
 * The panels that show the present: four cards, three facts, and the hangars.
 * Each is built once and rewritten in place.
 * @import { Listing, RealTimeMetrics } from '../types.js'
 */
import { h, icon, rows, setAttribute, setIcon, setText, show, tint } from '../dom.js';
import { formatCount, formatDay, formatMoney, formatPlural, formatWeekday } from '../format.js';
import { describeMetrics, metricValues } from '../state/wording.js';

/** Drawings on a 24 × 24 grid. */
export const ICONS = {
  money: 'M12 3v18M16.8 8c-.5-1.7-2.3-2.5-4.8-2.5-2.7 0-4.6 1.1-4.6 3.1 0 4.5 9.4 2.3 9.4 6.8 0 2-2.1 3.1-4.8 3.1-2.7 0-4.6-.9-5.1-2.7',
  calendar: 'M8 3v4M16 3v4M4 10h16M6 5h12a2 2 0 0 1 2 2v11a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2z',
  hangar: 'M3 20v-8c1.5-4.5 4.5-7 9-7s7.5 2.5 9 7v8M2 20h20M7 20v-6h10v6M12 14v6',
  up: 'M3 17l6-6 4 4 8-8M15 7h6v6',
  down: 'M3 7l6 6 4-4 8 8M15 17h6v-6',
  flat: 'M4 12h16M15 7l5 5-5 5',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  cross: 'M7 7l10 10M17 7L7 17',
  pencil: 'M4 20l1-4L16 5l3 3L8 19zM14 7l3 3',
  enter: 'M4 12h11M11 8l4 4-4 4M20 4v16',
  leave: 'M20 12H9M13 8l-4 4 4 4M4 4v16',
  refresh: 'M20 4v5h-5M4 20v-5h5M5.5 9.5a7 7 0 0 1 13-1.5L20 9M18.5 14.5a7 7 0 0 1-13 1.5L4 15',
};

/** @typedef {'revenueToday' | 'bookingsToday' | 'occupancyRate' | 'growthPercentage'} CardKey */

/** @type {{key: CardKey, hue: string, label: string, basis: string, drawing: string}[]} */
const CARDS = [
  { key: 'revenueToday', hue: 'blue', label: 'Receita hoje', basis: 'hoje, desde 00:00', drawing: ICONS.money },
  { key: 'bookingsToday', hue: 'purple', label: 'Reservas hoje', basis: 'sem as canceladas', drawing: ICONS.calendar },
  { key: 'occupancyRate', hue: 'green', label: 'Ocupação agora', basis: 'neste momento', drawing: ICONS.hangar },
  { key: 'growthPercentage', hue: 'orange', label: 'Crescimento vs. semana anterior', basis: 'receita paga, 7 dias', drawing: ICONS.up },
];

/** The four cards. Until the first numbers they are skeletons of the final size. */
export function cardsPanel() {
  const cards = CARDS.map(({ key, hue, label, basis, drawing }) => {
    const sign = icon(drawing);
    const value = h('p', { class: 'value' }, '\u00A0');
    const line = h('p', { class: 'line' }, '\u00A0');
    const gauge = key === 'occupancyRate' ? h('div', { class: 'gauge', 'aria-hidden': 'true' }, h('i')) : null;
    const node = h('article', { class: `card ${hue} loading`, 'data-metric': key, 'aria-busy': 'true' },
      h('div', { class: 'top' }, h('h2', null, label), h('span', { class: 'chip' }, sign)),
      value, gauge, line, h('p', { class: 'basis' }, basis));
    return { key, node, sign, value, line, gauge };
  });
  const node = h('section', { class: 'cards', 'aria-label': 'Números de hoje' }, ...cards.map((card) => card.node));
  let filled = false;

  return {
    node,
    /** @param {RealTimeMetrics | null} metrics @param {readonly Listing[] | null} listings @param {boolean} frozen */
    update(metrics, listings, frozen) {
      node.classList.toggle('frozen', frozen && metrics !== null);
      for (const card of cards) {
        card.node.classList.toggle('loading', metrics === null);
        setAttribute(card.node, 'aria-busy', metrics === null ? 'true' : null);
      }
      if (!metrics) {
        filled = false;
        for (const { value, line } of cards) [value, line].forEach((part) => setText(part, '\u00A0'));
        return;
      }
      const values = metricValues(metrics);
      const lines = describeMetrics(metrics, listings);
      for (const card of cards) {
        if (setText(card.value, values[card.key]) && filled) tint(card.node);
        setText(card.line, lines[card.key]);
        card.gauge?.style.setProperty('--filled', String(Math.min(100, metrics.occupancyRate) / 100));
      }
      const growth = metrics.growthPercentage;
      setIcon(cards[3].sign, growth > 0 ? ICONS.up : growth < 0 ? ICONS.down : ICONS.flat);
      filled = true;
    },
  };
}

/** Active listings, pending payouts, next payout date. */
export function factsPanel() {
  const fact = (/** @type {string} */ label, /** @type {string} */ name) => {
    const value = h('dd', { 'data-fact': name }, '\u00A0');
    return { value, node: h('div', { class: 'fact' }, h('dt', null, label), value) };
  };
  const active = fact('Anúncios ativos', 'activeListings');
  const pending = fact('Repasses pendentes', 'pendingPayouts');
  const next = fact('Próximo repasse', 'nextPayoutDate');
  const node = h('dl', { class: 'facts loading' }, active.node, pending.node, next.node);
  return {
    node,
    /** @param {RealTimeMetrics | null} metrics */
    update(metrics) {
      node.classList.toggle('loading', metrics === null);
      const day = metrics?.nextPayoutDate ? formatWeekday(metrics.nextPayoutDate) : '';
      setText(active.value, metrics ? formatCount(metrics.activeListings) : '\u00A0');
      setText(pending.value, metrics ? formatMoney(metrics.pendingPayouts) : '\u00A0');
      setText(next.value, !metrics ? '\u00A0' : day ? `${day}, ${formatDay(metrics.nextPayoutDate)}` : 'sem data');
    },
  };
}

const MAX_TILES = 24;

/** Which hangars are occupied, and by whom. */
export function hangarsPanel() {
  const list = h('ul', { class: 'tiles' });
  const summary = h('p', { class: 'aside' });
  const empty = h('p', { class: 'empty', hidden: true });
  const node = h('section', { class: 'panel hangars', 'aria-labelledby': 'hangars-title' },
    h('header', null, h('h2', { id: 'hangars-title' }, 'Agora nos hangares'), summary), list, empty);

  const makeTile = () => {
    const number = h('strong');
    const place = h('span', { class: 'place' });
    const state = h('span', { class: 'state' });
    const guest = h('span', { class: 'guest' });
    const tile = h('li', { class: 'tile' }, icon(ICONS.hangar), h('div', null, h('p', null, number, state), place, guest));
    let shown = '';
    return {
      node: tile,
      /** @param {Listing} listing */
      update(listing) {
        const { hangarId, isNowOccupied } = listing;
        const closed = listing.status !== 'active' || !listing.isAvailable;
        const key = `${hangarId} ${isNowOccupied}`;
        if (shown.startsWith(`${hangarId} `) && shown !== key) tint(tile);
        shown = key;
        tile.classList.toggle('occupied', isNowOccupied);
        tile.classList.toggle('closed', closed && !isNowOccupied);
        setText(number, listing.hangarNumber || '–');
        setText(state, isNowOccupied ? 'Ocupado' : closed ? 'Indisponível' : 'Livre');
        const spaces = listing.totalSpaces > 1 ? formatPlural(listing.totalSpaces, 'vaga', 'vagas') : '';
        setText(place, [listing.icaoCode, listing.city || listing.aerodromeName, spaces].filter(Boolean).join(' · '));
        setText(guest, isNowOccupied ? listing.occupant || '\u00A0' : `${formatMoney(listing.dailyRate)} por dia`);
      },
    };
  };

  return {
    node,
    /** @param {readonly Listing[] | null} listings @param {boolean} failed */
    update(listings, failed) {
      const all = listings ?? [];
      rows(list, all.slice(0, MAX_TILES), makeTile);
      node.classList.toggle('loading', listings === null && !failed);
      const occupied = all.filter((listing) => listing.isNowOccupied).length;
      const more = all.length > MAX_TILES ? ` · mais ${all.length - MAX_TILES} não mostrados` : '';
      setText(summary, all.length > 0
        ? `${formatPlural(occupied, 'ocupado', 'ocupados', 'nenhum ocupado')} de ${formatCount(all.length)}${more}` : '');
      show(empty, listings !== null ? all.length === 0 : failed);
      setText(empty, failed && listings === null
        ? 'Não foi possível carregar os hangares. Nova tentativa na próxima atualização.'
        : 'Nenhum hangar publicado ainda.');
    },
  };
}
