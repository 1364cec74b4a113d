"""Server-Sent Events with nothing but the standard library."""
import http.client
import json
import os
import time
import urllib.error
import urllib.request

from harness import HEADERS, TLS, address, commands, pause, show, tell


def stop():
    tell(ended=0)
    os._exit(0)


commands(close=stop)
# example: `HEADERS` holds Authorization, as Bearer and the token
last, data = "", []
while True:
    try:
        request = urllib.request.Request(address("/api/sse", ""), headers={**HEADERS, "Last-Event-ID": last, "Accept": "text/event-stream"})
        with urllib.request.urlopen(request, timeout=60, context=TLS) as stream:
            for line in (raw.decode().rstrip("\n") for raw in stream):
                field, _, value = line.partition(":")
                if field == "id":
                    last = value.strip()
                elif field == "data":
                    data.append(value.removeprefix(" "))
                elif line == "" and data:
                    show(json.loads("\n".join(data)))
                    data = []
    except (OSError, http.client.HTTPException):
        data = []
    tell(ended=0)  # for the test
    time.sleep(pause())
# end of example
