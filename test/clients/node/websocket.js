import websocket from 'websocket';
import { closing, ended, firstMessage, headers, obey, pause, ponged, protocols, show, webSocketAddress } from './harness.js';

let connection;
let last = '';
function connect() {
  const client = new websocket.client();
  const again = () => closing || setTimeout(connect, pause());
  client.on('connectFailed', again);
  client.on('connect', (opened) => {
    connection = opened;
    connection.on('message', ({ utf8Data }) => {
      const message = JSON.parse(utf8Data);
      if (message.type === 'connection_established') last = message.data.lastEventId;
      if (message.id) last = message.id;
      show(message);
    });
    connection.on('close', (code) => {
      ended(code);
      again();
    });
    connection.on('error', () => {});
    connection.on('pong', ponged);
    if (firstMessage) connection.sendUTF(firstMessage);
  });
  client.connect(webSocketAddress(last), protocols, null, headers);
}
connect();
obey({ ping: () => connection.ping(''), close: () => connection.close() });
