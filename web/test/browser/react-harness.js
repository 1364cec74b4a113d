// Runs in the page: `harness` mounts and unmounts hooks and the component, and shows what they
// return.
import { StrictMode, createElement, useEffect } from 'react';
import { createRoot, hydrateRoot } from 'react-dom/client';
import { NotificationCenter, OwnerTrends, RealtimeMetricsDisplay, useNotifications, useRealtimeStats } from '/client/react.js';

const roots = new Map();
const hooks = {};
const renders = [];

function Probe({ name, connected, ...options }) {
  const stats = useRealtimeStats(options);
  useEffect(() => {
    if (stats.isConnected) connected?.();
  });
  hooks[name] = stats;
  renders.push({ name, ownerId: options.ownerId, revenue: stats.metrics?.revenueToday ?? null });
  return createElement('output', { id: name }, JSON.stringify({
    revenue: stats.metrics?.revenueToday ?? null,
    bookings: stats.bookingNotifications.map((row) => row.bookingId),
    occupancy: stats.occupancyChanges.map((row) => row.hangarId),
    connected: stats.isConnected,
  }));
}

function Notes({ name, ...options }) {
  const notes = useNotifications(options);
  hooks[name] = notes;
  renders.push({ name, ownerId: options.ownerId, ids: notes.notifications.map(({ id }) => id) });
  return createElement('output', { id: name }, JSON.stringify({
    ids: notes.notifications.map(({ id }) => id), read: notes.notifications.filter(({ readAt }) => readAt).map(({ id }) => id),
    unread: notes.unread, unseen: notes.unseen, loaded: notes.loaded, failed: notes.failed,
  }));
}

const KINDS = { hook: Probe, notes: Notes, element: RealtimeMetricsDisplay, center: NotificationCenter, trends: OwnerTrends };

function rootOf(id) {
  if (!roots.has(id)) {
    const node = document.createElement('div');
    document.querySelector('main').append(node);
    roots.set(id, createRoot(node));
  }
  return roots.get(id);
}

globalThis.harness = {
  hooks,
  renders,
  /** Renders components of {kind, props}, each in StrictMode, below one root. */
  show(id, parts) {
    rootOf(id).render(createElement(StrictMode, null, parts.map(({ kind = 'hook', props }, at) => createElement(KINDS[kind], { key: props.name ?? at, ...props }))));
  },
  remove(id) {
    roots.get(id)?.unmount();
    roots.delete(id);
  },
  /** One mount, connection and unmount, with the time that the last goodbye takes. */
  async cycle(props) {
    const node = document.createElement('div');
    document.querySelector('main').append(node);
    const root = createRoot(node);
    await new Promise((connected) => root.render(createElement(StrictMode, null, createElement(Probe, { ...props, name: 'cycle', connected }))));
    root.unmount();
    node.remove();
    await new Promise((resolve) => setTimeout(resolve));
  },
  /** Takes over what a server rendered. */
  hydrate(markup, props) {
    const node = document.createElement('div');
    const parsed = new DOMParser().parseFromString(markup, 'text/html');
    node.append(...parsed.body.childNodes);
    document.querySelector('main').append(node);
    const faults = [];
    hydrateRoot(node, createElement(Probe, props), { onRecoverableError: (error) => faults.push(String(error)) });
    return faults;
  },
};
