import { readFileSync } from 'node:fs';
import faye from 'faye-websocket';
import { closing, ended, firstMessage, headers, obey, pause, ponged, protocols, show, webSocketAddress } from './harness.js';

let socket;
let last = '';
function connect() {
  const ca = process.env.CA_FILE ? { ca: readFileSync(process.env.CA_FILE) } : {};
  socket = new faye.Client(webSocketAddress(last), protocols, { headers, tls: ca });
  socket.on('open', () => firstMessage && socket.send(firstMessage));
  socket.on('message', ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === 'connection_established') last = message.data.lastEventId;
    if (message.id) last = message.id;
    show(message);
  });
  socket.on('error', () => {});
  socket.on('close', ({ code }) => {
    ended(code);
    if (!closing) setTimeout(connect, pause());
  });
}
connect();
obey({ ping: () => socket.ping('', ponged), close: () => socket.close() });
