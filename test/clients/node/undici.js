import { WebSocket } from 'undici';
import { closing, ended, firstMessage, headers, obey, pause, protocols, show, webSocketAddress } from './harness.js';

let socket;
let last = '';
function connect() {
  socket = new WebSocket(webSocketAddress(last), { protocols, headers });
  socket.addEventListener('open', () => firstMessage && socket.send(firstMessage));
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === 'connection_established') last = message.data.lastEventId;
    if (message.id) last = message.id;
    show(message);
  });
  socket.addEventListener('error', () => {});
  socket.addEventListener('close', ({ code }) => {
    ended(code);
    if (!closing) setTimeout(connect, pause());
  });
}
connect();
obey({ close: () => socket.close(1000) });
