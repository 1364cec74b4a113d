"""The keep-alive of the library: a ping each half second, and the end when no pong comes in half of that."""
import asyncio

import aiohttp

from harness import FIRST, HEADERS, PROTOCOLS, TLS, commands, pause, show, tell, websocket_address

socket = None


async def main():
    global socket
    last, closing = "", asyncio.Event()
    loop, reading = asyncio.get_running_loop(), asyncio.current_task()

    def close():
        # the reader ends and closes: beside one, close() waits for no answer
        closing.set()
        loop.call_soon_threadsafe(reading.cancel)

    commands(close=close)
    # example: The library's own pings, each 10 s or so, notice a dead connection
    async with aiohttp.ClientSession() as session:
        while not closing.is_set():
            try:
                async with session.ws_connect(websocket_address(last), headers=HEADERS, protocols=PROTOCOLS, ssl=TLS, heartbeat=4) as socket:
                    if FIRST:  # for the test
                        await socket.send_str(FIRST)  # for the test
                    async for frame in socket:
                        message = frame.json()
                        if message["type"] == "connection_established":
                            last = message["data"]["lastEventId"]
                        last = message.get("id", last)
                        show(message)
            except (OSError, aiohttp.ClientError):
                pass
            except asyncio.CancelledError:  # for the test
                tell(ended=socket.close_code)  # for the test
                return  # for the test
            if socket is not None and not closing.is_set():  # for the test
                tell(ended=socket.close_code or 0)  # for the test
            await asyncio.sleep(pause())
    # end of example


asyncio.run(main())
