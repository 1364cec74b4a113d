'use client';
import { useRealtimeStats } from 'hangarshare-realtime-client/react';
import { token } from './token';

const money = new Intl.NumberFormat('pt-BR', { style: 'currency', currency: 'BRL' });

export function Today({ ownerId, server }: { ownerId: string; server: string }) {
  const { metrics, bookingNotifications, isConnected, clearNotifications } = useRealtimeStats({ ownerId, token, server });
  if (!metrics) return <p>Conectando…</p>;
  return (
    <section>
      <h2>{money.format(metrics.revenueToday)} {isConnected ? 'Ao vivo' : 'Desconectado - Tentando reconectar...'}</h2>
      <ul>{bookingNotifications.map((b) => <li key={b.bookingId}><a href={`/bookings/${b.bookingId}`}>{b.guestName}</a>, {b.hangarNumber}</li>)}</ul>
      <button onClick={clearNotifications}>Limpar</button>
    </section>
  );
}
