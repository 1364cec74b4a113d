'use client';
/**
 * The notifications of an account for React.
 * @import * as R from '../entries/react.js'
 */
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { loadModule } from '../parts.js';
import { reach } from './connection.js';

/** @type {R.NotificationsView} */
const NONE = Object.freeze({ notifications: [], unread: 0, unseen: 0, loaded: false, failed: false, hasMore: false });
/** @type {R.NotificationsView} */
const FAILED = Object.freeze({ ...NONE, failed: true });

/**
 * The notifications of an account, live: the same for all its members, and what this user has seen.
 * What is done counts at once, and is taken back where the server refuses.
 * @param {R.UseNotificationsOptions} options
 * @returns {R.UseNotificationsReturn}
 */
export function useNotifications({ ownerId, token, server, state = 'all', kind = '', hangarId = '', autoConnect = true }) {
  const owner = String(ownerId ?? '');
  const ready = Boolean(owner && token && autoConnect);
  const reached = useMemo(() => reach(owner, server), [owner, server]);
  // Whose it is too: the first render with another owner shows nothing of the former.
  const [[of, view], setView] = useState(/** @type {[unknown, R.NotificationsView]} */ ([reached, NONE]));
  /**
   * @type {import('react').RefObject<import('../notifications/store.js').NotificationStore | null>}
   */
  const store = useRef(null);
  /** @type {import('react').RefObject<typeof import('../notifications/deeds.js') | null>} */
  const deeds = useRef(null);
  const filter = useRef({ state, kind, hangarId });
  /** Loads what is missing. @type {import('react').RefObject<(() => Promise<void>) | null>} */
  const begin = useRef(null);

  useEffect(() => {
    if (token) reached.shared().setToken(token);
  }, [reached, token]);

  useEffect(() => {
    if (!ready) return undefined;
    const shared = reached.shared();
    const release = shared.hold();
    let ended = false;
    let unfollow = () => {};
    /** @type {Promise<void> | null} */
    let beginning = null;
    const load = async () => {
      const [{ NotificationStore }, does, ask] = await Promise.all([
        loadModule('notifications/store', () => import('../notifications/store.js')), loadModule('notifications/deeds', () => import('../notifications/deeds.js')), shared.ask(),
      ]);
      if (ended) return;
      const own = new NotificationStore(ask, () => {
        const { items, unread, more, ...rest } = own.getState();
        if (!ended) setView([reached, Object.freeze({ notifications: items, unread: unread ?? 0, unseen: rest.unseen, loaded: rest.loaded, failed: rest.failed, hasMore: more })]);
      });
      store.current = own;
      deeds.current = does;
      unfollow = shared.follow((data) => own.apply(data));
      void own.choose(filter.current);
    };
    const attempt = () => load().catch((error) => {
      beginning = null;
      console.warn('hangarshare: notifications could not be loaded', error);
      if (!ended) setView([reached, FAILED]);
    });
    beginning = attempt();
    begin.current = () => {
      if (!beginning) setView([reached, NONE]);
      return (beginning ??= attempt());
    };
    return () => {
      ended = true;
      unfollow();
      store.current?.stop();
      store.current = begin.current = null;
      release();
      setView([reached, NONE]);
    };
  }, [reached, ready]);

  useEffect(() => {
    filter.current = { state, kind, hangarId };
    void store.current?.choose(filter.current);
  }, [state, kind, hangarId]);

  const act = useCallback(async (/** @type {string} */ id, /** @type {{read?: boolean, archived?: boolean}} */ change) => {
    if (store.current) await deeds.current?.change(store.current, id, change);
  }, []);
  const actions = useMemo(() => ({
    markRead: (/** @type {string} */ id) => act(id, { read: true }),
    markUnread: (/** @type {string} */ id) => act(id, { read: false }),
    archive: (/** @type {string} */ id) => act(id, { archived: true }),
    unarchive: (/** @type {string} */ id) => act(id, { archived: false }),
    async markAllRead() {
      const newest = store.current?.getState().items[0];
      if (newest && store.current) await deeds.current?.readThrough(store.current, newest.id);
    },
    async markSeen() {
      const newest = store.current?.getState().items[0];
      if (newest) await store.current?.see(newest.id);
    },
    loadMore: async () => store.current?.loadMore(),
    reload: async () => (store.current ? store.current.load() : begin.current?.()),
  }), [act]);

  return { ...(ready && of === reached ? view : NONE), ...actions };
}
