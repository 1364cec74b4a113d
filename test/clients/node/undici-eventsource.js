import { EventSource } from 'undici';
import { address, ended, obey, show, ticket } from './harness.js';

// A plain EventSource cannot carry a header: a ticket serves one connection, so
// each connection gets one.
const types = ['booking_created', 'booking_updated', 'booking_completed', 'revenue_received', 'occupancy_changed',
  'metrics_updated', 'overview_updated', 'connection_established', 'heartbeat', 'resync', 'server_closing'];
let source;
let last = '';
async function connect() {
  let pass;
  try {
    pass = await ticket();
  } catch {
    setTimeout(connect, 300);
    return;
  }
  source = new EventSource(`${address('/api/sse', last)}&ticket=${encodeURIComponent(pass)}`);
  for (const type of types) {
    source.addEventListener(type, ({ data, lastEventId }) => {
      if (lastEventId) last = lastEventId;
      show(data);
    });
  }
  source.addEventListener('error', (event) => {
    if (event.data) return;
    source.close();
    ended();
    setTimeout(connect, 300);
  });
}
connect();
obey({
  close: () => {
    source.close();
    ended();
    process.exit();
  },
});
