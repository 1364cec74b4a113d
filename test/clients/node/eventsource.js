import { EventSource } from 'eventsource';
import { address, ended, headers, obey, show } from './harness.js';

// example: The library keeps the id and comes back with Last-Event-ID by itself
const types = ['booking_created', 'booking_updated', 'booking_completed', 'revenue_received', 'occupancy_changed',
  'metrics_updated', 'overview_updated', 'connection_established', 'heartbeat', 'resync', 'server_closing', 'token_expiring', 'token_expired'];
const source = new EventSource(address('/api/sse', ''), {
  fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }),
});
for (const type of types) source.addEventListener(type, ({ data }) => show(data));
source.addEventListener('error', (event) => {
  if (event.data) show(event.data); // the server's; without data it is the connection's
  else ended(); // for the test
});
// end of example
obey({
  close: () => {
    source.close();
    ended();
  },
});
