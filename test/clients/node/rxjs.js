import { defer, repeat, retry } from 'rxjs';
import { webSocket } from 'rxjs/webSocket';
import WebSocket from 'ws';
import { closing, ended, firstMessage, obey, pause, protocols, show, webSocketAddress } from './harness.js';

let subject;
// example: `retry` alone is not enough: an orderly close completes the stream, and `repeat` must begin it anew
let last = '';
const messages = defer(() => {
  subject = webSocket({
    url: webSocketAddress(last),
    protocol: protocols,
    WebSocketCtor: WebSocket,
    openObserver: { next: () => firstMessage && subject.next(JSON.parse(firstMessage)) }, // for the test
    closeObserver: { next: ({ code }) => ended(code) }, // for the test
  });
  return subject;
}).pipe(retry({ delay: pause() }), repeat({ delay: pause() }));
const subscription = messages.subscribe((message) => {
  if (message.type === 'connection_established') last = message.data.lastEventId;
  if (message.id) last = message.id;
  show(message);
});
// end of example
obey({
  close: () => {
    if (closing) subscription.unsubscribe();
  },
});
