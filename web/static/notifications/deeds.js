/**
 * What a person does with notifications: it counts at once, and is taken back where the server
 * refuses. Loaded when it is first done.
 * @import * as N from './shapes.js'
 */
import { byId, isUnread, itemsOf } from './store.js';

/** Undoing a reading of many sends one question for each, so many at most. */
const MAX_UNDONE = 100;
const UNDO_AT_ONCE = 4;
/** A change that was confirmed and not yet told by a message is asked for after so long. */
const TOLD_MS = 1000;

/** @typedef {import('./store.js').NotificationStore} Store */

/**
 * Reads, archives, or the reverse.
 * @param {Store} store @param {string} id @param {N.Change} change
 * @returns {Promise<N.Deed | null>} null: nothing changed
 */
export async function change(store, id, change) {
  const one = store.get(id);
  if (!one) return null;
  /** @type {N.Change} */
  const before = {};
  if (change.read !== undefined && change.read !== Boolean(one.readAt)) before.read = !change.read;
  if (change.archived !== undefined && change.archived !== Boolean(one.archivedAt)) before.archived = !change.archived;
  if (Object.keys(before).length === 0) return null;
  await send(store, id, change);
  const word = change.archived !== undefined ? (change.archived ? 'archivedOne' : 'unarchivedOne') : change.read ? 'readOne' : 'unreadOne';
  return { word, n: 1, undo: () => send(store, id, before) };
}

/**
 * Shows a change before the server has confirmed it.
 * @param {Store} store @param {string} id @param {N.Change} change
 */
function foresee(store, id, change) {
  const entry = { change: { ...store.overlay.get(id)?.change, ...change }, revision: 0 };
  if (store.filter.state === 'unread') store.kept.add(id);
  store.overlay.set(id, entry);
  return { id, entry };
}

/** @param {Store} store @param {ReturnType<typeof foresee>} foreseen */
function forget(store, { id, entry }) {
  if (store.overlay.get(id) === entry) store.overlay.delete(id);
}

/**
 * The server did it. What is shown stays until counts of that revision are here, so that no number
 * jumps back.
 * @param {Store} store @param {ReturnType<typeof foresee>[]} all @param {any} answer
 */
function confirm(store, all, answer) {
  const revision = Number(answer?.revision) || store.counted + 1;
  for (const one of all) {
    one.entry.revision = revision;
    if (store.counted >= revision) forget(store, one);
  }
  if (store.counted < revision) store.later(TOLD_MS);
  store.changed();
}

/** @param {Store} store @param {string} id @param {N.Change} change */
async function send(store, id, change) {
  const foreseen = foresee(store, id, change);
  store.changed();
  try {
    confirm(store, [foreseen], await store.ask(`notifications/${encodeURIComponent(id)}`, 'PATCH', change));
  } catch (error) {
    forget(store, foreseen);
    const { status } = /** @type {{status?: number}} */ (error);
    if (status === 404) store.items.delete(id); // gone for this user
    store.changed();
    throw error;
  }
}

/**
 * Reads all up to the newest that was shown, and none that came later.
 * @param {Store} store @param {string} through its id @returns {Promise<N.Deed | null>}
 */
export async function readThrough(store, through) {
  const { filter: { kind, hangarId }, held: since } = store;
  const known = [...store.items.keys()].filter((id) => {
    const one = /** @type {N.Notification} */ (store.get(id));
    return isUnread(one) && byId(id, through) <= 0 && (!kind || one.kind === kind) && (!hangarId || String(one.facts.hangarId ?? '') === hangarId);
  });
  const undo = async (/** @type {string[]} */ ids) => {
    for (let at = 0; at < Math.min(ids.length, MAX_UNDONE); at += UNDO_AT_ONCE) {
      await Promise.all(ids.slice(at, at + UNDO_AT_ONCE).map((id) => send(store, id, { read: false })));
    }
  };
  // The server reads by kind, not by hangar.
  if (hangarId) {
    for (const id of known) await send(store, id, { read: true });
    return known.length > 0 ? { word: 'readMany', n: known.length, undo: () => undo(known) } : null;
  }
  const foreseen = known.map((id) => foresee(store, id, { read: true }));
  store.changed();
  try {
    const answer = await store.ask('notifications/read', 'POST', { through, revision: Math.max(0, since), ...(kind && { kind }) });
    confirm(store, foreseen, answer);
    return { word: 'readMany', n: known.length, undo: async () => undo(await readBy(store, since, Number(answer?.revision) || 0, known)) };
  } catch (error) {
    foreseen.forEach((one) => forget(store, one));
    store.changed();
    throw error;
  }
}

/**
 * Which a reading of many has read, those that were not on the screen included.
 * @param {Store} store @param {number} since @param {number} revision @param {string[]} known
 */
async function readBy(store, since, revision, known) {
  const body = since >= 0 && revision ? await store.ask(`notifications?since=${since}`).catch(() => null) : null;
  const read = body && !body.reset ? itemsOf(body).filter((one) => one.revision === revision && one.readAt) : [];
  store.merge(read.filter((one) => store.items.has(one.id)));
  return [...new Set([...known, ...read.map(({ id }) => id)])];
}
