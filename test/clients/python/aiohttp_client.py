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

    commands(ping=lambda: asyncio.run_coroutine_threadsafe(socket.ping(), loop), close=close)
    async with aiohttp.ClientSession() as session:
        while not closing.is_set():
            try:
                # autoping answers the server's pings, and would keep pongs to
                # itself: this client shows them
                async with session.ws_connect(websocket_address(last), headers=HEADERS, protocols=PROTOCOLS, ssl=TLS, autoping=False) as socket:
                    if FIRST:
                        await socket.send_str(FIRST)
                    async for frame in socket:
                        if frame.type == aiohttp.WSMsgType.PING:
                            await socket.pong(frame.data)
                        elif frame.type == aiohttp.WSMsgType.PONG:
                            tell(pong=True)
                        elif frame.type == aiohttp.WSMsgType.TEXT:
                            message = frame.json()
                            if message["type"] == "connection_established":
                                last = message["data"]["lastEventId"]
                            last = message.get("id", last)
                            show(message)
                if not closing.is_set():
                    tell(ended=socket.close_code)
            except (OSError, aiohttp.ClientError):
                pass
            except asyncio.CancelledError:
                tell(ended=socket.close_code)
                return
            await asyncio.sleep(pause())


asyncio.run(main())
