/**
 * What becomes of the bookings that events name. One tab of an account asks at a time, and the
 * others take its answer: limits are per user. Loaded once the calendar is drawn.
 * @import * as C from './shapes.js'
 */
import { ANSWER_MS } from '../parts.js';
import { occupies } from './state.js';

/** The least time between two questions of all tabs, and the least when they go on and on. */
const GATHER_MS = 250;
const BUSY_MS = 1000;
/** So many questions may come at the shorter pace: about 10 s of them. */
const QUICK = 30;
/** More bookings than these are loaded with their window. */
const MAX_CHANGED = 100;

/**
 * Gives the stays of one hangar their lanes by the server's rule.
 * Those that occupy a space come first, then pending ones, then cancelled ones.
 * Each, by check-in and id, gets the first lane that is free.
 * @param {C.Stay[]} stays
 */
export function assignLanes(stays) {
  const rank = (/** @type {C.Stay} */ stay) => (occupies(stay) ? 0 : stay.status === 'pending' ? 1 : 2);
  const times = (/** @type {C.Stay} */ stay) => [Date.parse(stay.checkInDate), Date.parse(stay.checkOutDate)];
  /** @type {[number, number][][]} */
  const lanes = [];
  const order = (/** @type {C.Stay} */ a, /** @type {C.Stay} */ b) =>
    rank(a) - rank(b) || times(a)[0] - times(b)[0] || (a.bookingId < b.bookingId ? -1 : 1);
  for (const stay of [...stays].sort(order)) {
    const [from, to] = times(stay);
    let lane = lanes.findIndex((taken) => taken.every(([start, end]) => end <= from || to <= start));
    if (lane < 0) lane = lanes.push([]) - 1;
    lanes[lane].push([from, to]);
    stay.lane = lane;
  }
}

/**
 * Brings what `changed` answered into a window. Returns the ids of the stays that differ now.
 * Null says that the page holds other hangars than before: then the window is loaded again.
 * @param {C.Page} window @param {C.Page} answer @param {string[]} asked
 */
export function apply(window, answer, asked) {
  const at = new Map(window.hangars.map((hangar, i) => [hangar.hangarId, i]));
  const differs = answer.hangars.some((hangar) => {
    const known = window.hangars[at.get(hangar.hangarId) ?? -1];
    return !known || window.counted.includes(hangar.hangarId) !== answer.counted.includes(hangar.hangarId);
  });
  if (differs) return null;
  const own = new Set(answer.hangars.map((hangar) => hangar.hangarId));
  const gone = new Set(asked);
  const former = new Map(window.stays.map((stay) => [stay.bookingId, JSON.stringify({ ...stay, lane: 0 })]));
  const touched = new Set(answer.stays.map((stay) => stay.hangarId));
  const kept = window.stays.filter((stay) => {
    // A stay of another page is that page's to tell.
    if (!gone.has(stay.bookingId) || !own.has(stay.hangarId)) return true;
    touched.add(stay.hangarId);
    return false;
  });
  const fresh = new Set(answer.stays.map((stay) => stay.bookingId));
  window.stays = [...kept.filter((stay) => !fresh.has(stay.bookingId)), ...answer.stays];
  answer.hangars.forEach((hangar) => (window.hangars[/** @type {number} */ (at.get(hangar.hangarId))] = hangar));
  window.days = answer.days;
  window.today = answer.today;
  for (const id of touched) assignLanes(window.stays.filter((stay) => stay.hangarId === id));
  return answer.stays.filter((stay) => former.get(stay.bookingId) !== JSON.stringify({ ...stay, lane: 0 })).map((stay) => stay.bookingId);
}

/** @type {C.NewChanges} */
export function newChanges(name, { pages, get, isQuiet, take, load }) {
  /** Each booking, with the last event that named it. @type {Map<string, string>} */
  const named = new Map();
  let wantsLoad = false;
  let running = false;
  let quick = QUICK;
  let askedAt = -Infinity;
  /** Counts the loads of the window. */
  let loads = 0;
  /** The count when another tab asked: its answer may be older than a later load. */
  let heardAt = -1;
  /** @type {BroadcastChannel | null} */
  let channel = null;

  const isPending = () => (wantsLoad || named.size > 0) && !isQuiet();

  function spend() {
    const now = performance.now();
    quick = Math.min(QUICK, quick + (now - askedAt) / BUSY_MS) - 1;
    askedAt = now;
  }

  /** Waits until a question is allowed. Returns whether there still is one. */
  async function pace() {
    let wait = 0;
    do {
      if (!isPending()) return false;
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = askedAt + (quick > 0 ? GATHER_MS : BUSY_MS) - performance.now();
    } while (wait > 0);
    if (!isPending()) return false;
    spend();
    channel?.postMessage({});
    return true;
  }

  /** @param {[string, string][]} asked @param {string} key @param {C.Page[]} answers */
  function use(asked, key, answers) {
    if (key !== String(pages())) return;
    if (!take(answers, asked.map(([id]) => id))) wantsLoad = true;
    // One that a later event names is asked about again.
    for (const [id, event] of asked) if (named.get(id) === event) named.delete(id);
  }

  async function question() {
    if (!(await pace())) return;
    if (wantsLoad || named.size > MAX_CHANGED) return load();
    const [at, asked, key] = [loads, [...named], String(pages())];
    /** @type {C.Page[]} */
    const answers = [];
    for (const path of pages(asked.map(([id]) => id))) {
      if (answers.length > 0 && !(await pace())) return;
      answers.push(await get(path));
    }
    if (at !== loads) return;
    channel?.postMessage({ asked, key, answers });
    use(asked, key, answers);
  }

  async function ask() {
    if (running || !isPending()) return;
    running = true;
    try {
      // A tab that keeps the lock too long is asleep.
      const turn = channel && navigator.locks?.request(name, { signal: AbortSignal.timeout(ANSWER_MS) }, question).catch(question);
      await (turn ?? question());
      queueMicrotask(ask);
    } catch {
      // The next tick asks again.
    } finally {
      running = false;
    }
  }

  try {
    channel = name ? new BroadcastChannel(name) : null;
  } catch {
    // Where site data is blocked each tab asks for itself.
  }
  if (channel) {
    channel.onmessage = ({ data: { asked, key, answers } }) => {
      if (answers) return void (heardAt === loads && !isQuiet() && use(asked, key, answers));
      spend();
      heardAt = isQuiet() ? -1 : loads;
    };
  }
  return {
    add(id, event) {
      named.set(id, event);
      void ask();
    },
    reload() {
      wantsLoad = true;
      void ask();
    },
    loading() {
      loads++;
      wantsLoad = false;
      named.clear();
    },
    ask,
    stop: () => channel?.close(),
  };
}
