/**
 * A WebSocket behind the handlers that every transport has.
 * @import { OpenTransport } from '../types.js'
 */
import { SUBPROTOCOL } from '../protocol.js';

/**
 * The token travels as a sub-protocol, never in the address. `WebSocketClass` is for tests outside a browser.
 * @param {typeof WebSocket} [WebSocketClass]
 * @returns {OpenTransport}
 */
export function webSocketTransport(WebSocketClass) {
  return ({ baseUrl, ownerId, token, lastEventId }, handlers) => {
    const Socket = WebSocketClass ?? WebSocket;
    const url = new URL('/api/ws', baseUrl);
    url.protocol = url.protocol.replace('http', 'ws');
    url.searchParams.set('ownerId', ownerId);
    if (lastEventId) url.searchParams.set('lastEventId', lastEventId);
    const socket = new Socket(url.href, [SUBPROTOCOL, `bearer.${token}`]);
    let over = false;
    socket.onmessage = (event) => {
      if (!over && typeof event.data === 'string') handlers.message(event.data);
    };
    socket.onclose = (event) => {
      if (over) return;
      over = true;
      handlers.closed(event.code);
    };
    return {
      send(text) {
        if (over || socket.readyState !== Socket.OPEN) return false;
        socket.send(text);
        return true;
      },
      close() {
        over = true;
        socket.onmessage = socket.onclose = null;
        socket.close(1000);
      },
    };
  };
}
