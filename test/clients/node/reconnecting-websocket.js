import ReconnectingWebSocket from 'reconnecting-websocket';
import WebSocket from 'ws';
import { ended, firstMessage, obey, protocols, show, webSocketAddress } from './harness.js';

// example: The library comes back by itself; the address must be a function, or it asks for the same id for ever
let last = '';
const socket = new ReconnectingWebSocket(() => webSocketAddress(last), protocols, { WebSocket, minReconnectionDelay: 200, maxReconnectionDelay: 2000 });
socket.addEventListener('message', ({ data }) => {
  const message = JSON.parse(data);
  if (message.type === 'connection_established') last = message.data.lastEventId;
  if (message.id) last = message.id;
  show(message);
});
socket.addEventListener('close', ({ code }) => {
  if ([4400, 4401, 4403].includes(code)) socket.close(); // final
  ended(code); // for the test
});
// end of example
socket.addEventListener('open', () => firstMessage && socket.send(firstMessage));
socket.addEventListener('error', () => {});
obey({ close: () => socket.close(1000) });
