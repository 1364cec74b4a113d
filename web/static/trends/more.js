/**
 * What a person asks for beside the charts: their numbers as a table and as a file, days of one's
 * own, and how all is calculated. Loaded when it is used.
 * @import * as R from './shapes.js'
 */
import { h, loadModule, setAttribute } from '../dom.js';
import { addDays } from '../state/days.js';
import { earliest, ownRange } from './address.js';

/** How long the browser may read a file that was made here. */
const FILE_MS = 60_000;
/** @type {R.Metric[]} */
const COLUMNS = ['revenue', 'bookings', 'cancelled', 'occupancy', 'averageStay', 'arrivals'];
/** Those of the charts, whose earlier numbers are there too. @type {R.Metric[]} */
const CHARTED = ['revenue', 'bookings', 'occupancy'];

/** Every number of the charts. @param {R.View} view @param {R.NameOf} nameOf */
function newTable({ data, current, choice, span, formats, wording: { words, say } }, nameOf) {
  const { asOf, buckets, series, before, totals } = /** @type {R.Answer} */ (data);
  const columns = COLUMNS.flatMap((metric) => (choice.compare !== 'none' && CHARTED.includes(metric) ? [{ metric, past: false }, { metric, past: true }] : [{ metric, past: false }]));
  const head = (/** @type {string} */ scope, /** @type {(Node | string)[]} */ ...text) => h('th', { scope }, ...text);
  const cells = (/** @type {(metric: R.Metric, past: boolean) => number | null | undefined} */ of) =>
    columns.map(({ metric, past }) => h('td', null, formats.valueOf(metric, of(metric, past))));
  return h('table', null,
    h('caption', { class: 'sr' }, `${words.asTable}: ${span}`),
    h('thead', null, h('tr', null, head('col', words.range), ...columns.map(({ metric, past }) => head('col', past ? say('past', { metric: words[metric] }) : words[metric])))),
    h('tbody', null, ...buckets.map((bucket, i) => {
      const later = Date.parse(bucket.start) > Date.parse(asOf);
      const state = i === current ? words.underWay : later && words.notYet;
      return h('tr', null, head('row', nameOf(bucket), ...(state ? [h('small', null, ` ${state}`)] : [])),
        ...later ? columns.map(() => h('td', null, '–')) : cells((metric, past) => (past ? before?.[metric] : series[metric])?.[i]));
    })),
    h('tfoot', null, h('tr', null, head('row', words.total), ...cells((metric, past) => totals[metric][past ? 'before' : 'value']))));
}

/**
 * Asks with the session's token, which a link cannot carry, and hands the answer to the browser.
 * @param {R.Around} around
 * @param {string} path
 * @param {string} name where the server's cannot be read
 */
async function saveFile(around, path, name) {
  /** @type {Response} */
  const answer = await around.get(path);
  const given = /filename="?([^";]+)/.exec(answer.headers.get('Content-Disposition') ?? '')?.[1];
  const link = h('a', { href: URL.createObjectURL(await answer.blob()), download: given ?? name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), FILE_MS);
}

/** Two days to choose. @param {R.View} view */
function newDays({ wording: { words }, choose }) {
  const [first, last] = [words.first, words.last].map((label) => h('input', { type: 'date', 'aria-label': label, required: true }));
  const node = h('form', { class: 'tr-own', onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    const days = [first.value, last.value].sort();
    choose({ own: ownRange(days[0], days[1]) });
  } }, first, '–', last, h('button', { class: 'tool' }, words.apply));
  return {
    node,
    /** @param {R.Range} range @param {string} today */
    update({ from, to }, today) {
      for (const [input, value] of /** @type {const} */ ([[first, from], [last, addDays(to, -1)]])) {
        if (input.dataset.value !== value) input.value = input.dataset.value = value;
        setAttribute(input, 'max', today);
        setAttribute(input, 'min', earliest(today));
      }
    },
  };
}

/** How each number is calculated. @param {R.Wording['words']} words */
const newHow = (words) => h('dl', null, ...[...COLUMNS, /** @type {const} */ ('comparison'), /** @type {const} */ ('unknown')].map((name) => h('div', null, h('dt', null, words[name]), h('dd', null, words[`${name}How`]))));

/**
 * All of that, with its words.
 * @param {R.View} view @param {R.NameOf} nameOf @returns {Promise<R.Extras>}
 */
export async function newExtras(view, nameOf) {
  const { around, wording: { words } } = view;
  if (!around.wording.views.trends) Object.assign(words, (await loadModule('trends/words/more-pt', () => import('./words/more-pt.js'))).default);
  /** @type {ReturnType<typeof newDays> | null} */
  let chosen = null;
  return {
    table: () => newTable(view, nameOf),
    save: (path) => saveFile(around, path, `${words.fileName}-${around.ownerId}.csv`),
    days(room) {
      chosen ??= newDays(view);
      if (!chosen.node.isConnected) room.append(chosen.node);
      if (view.choice.own) chosen.update(view.choice.own, view.today());
    },
    explain(details) {
      if (details.children.length === 1) details.append(newHow(words));
    },
  };
}
