import WebSocket from 'ws';
import { closing, ended, firstMessage, headers, obey, pause, ponged, protocols, show, webSocketAddress } from './harness.js';

let socket;
// example: `headers` holds Authorization, as Bearer and the token
let last = '';
function connect() {
  socket = new WebSocket(webSocketAddress(last), protocols, { headers });
  socket.on('message', (data) => {
    const message = JSON.parse(data);
    if (message.type === 'connection_established') last = message.data.lastEventId;
    if (message.id) last = message.id;
    show(message);
  });
  socket.on('close', (code) => {
    if (![4400, 4401, 4403].includes(code) && !closing) setTimeout(connect, pause());
    ended(code); // for the test
  });
  socket.on('error', () => {}); // close follows
  if (firstMessage) socket.on('open', () => socket.send(firstMessage)); // for the test
  socket.on('pong', ponged); // for the test
}
connect();
// end of example
obey({ ping: () => socket.ping(), close: () => socket.close(1000) });
