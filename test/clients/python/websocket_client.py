import json
import time

import websocket

from harness import CA, FIRST, HEADERS, PROTOCOLS, commands, pause, show, tell, websocket_address

last, closing, app = "", False, None


def stop():
    global closing
    closing = True
    app.sock.send_close(status=1000)


def opened(ws):
    if FIRST:
        ws.send(FIRST)


def received(ws, text):
    global last
    message = json.loads(text)
    if message["type"] == "connection_established":
        last = message["data"]["lastEventId"]
    last = message.get("id", last)
    show(message)


commands(ping=lambda: app.sock.ping(), close=stop)
while not closing:
    app = websocket.WebSocketApp(websocket_address(last), header=HEADERS, subprotocols=PROTOCOLS, on_open=opened, on_message=received,
                                 on_pong=lambda ws, data: tell(pong=True), on_close=lambda ws, code, reason: tell(ended=code or (1000 if closing else 0)))
    # Up to version 1.2 its Origin is http: also over TLS, which is another origin
    app.run_forever(sslopt={"ca_certs": CA} if CA else None, suppress_origin=True)
    if not closing:
        time.sleep(pause())
