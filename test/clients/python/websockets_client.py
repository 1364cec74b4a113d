import asyncio
import json

import websockets

from harness import FIRST, HEADERS, PROTOCOLS, TLS, commands, pause, show, tell, websocket_address

socket = None


async def main():
    global socket
    last, closing = "", asyncio.Event()
    loop = asyncio.get_running_loop()

    async def ping():
        await (await socket.ping())
        tell(pong=True)

    async def close():
        closing.set()
        await socket.close(1000)

    commands(ping=lambda: asyncio.run_coroutine_threadsafe(ping(), loop), close=lambda: asyncio.run_coroutine_threadsafe(close(), loop))
    # example: `HEADERS` holds Authorization, as Bearer and the token
    while not closing.is_set():
        try:
            async with websockets.connect(websocket_address(last), extra_headers=HEADERS, subprotocols=PROTOCOLS, ssl=TLS) as socket:
                if FIRST:  # for the test
                    await socket.send(FIRST)  # for the test
                async for text in socket:
                    message = json.loads(text)
                    if message["type"] == "connection_established":
                        last = message["data"]["lastEventId"]
                    last = message.get("id", last)
                    show(message)
            if socket.close_code in (4400, 4401, 4403):
                break
        except (OSError, websockets.WebSocketException):
            pass
        if socket and socket.close_code is not None:  # for the test
            tell(ended=socket.close_code)  # for the test
        await asyncio.sleep(pause())
    # end of example


asyncio.run(main())
