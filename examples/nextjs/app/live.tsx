'use client';
import { RealtimeMetricsDisplay } from 'hangarshare-realtime-client/react';
import { token } from './token';

export function Live({ ownerId, server }: { ownerId: string; server: string }) {
  return <RealtimeMetricsDisplay ownerId={ownerId} token={token} server={server} />;
}
