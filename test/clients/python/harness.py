"""What every client here shares: its task, by environment, and how it tells the test what it sees, a line of JSON each."""
import json
import os
import random
import ssl
import sys
import threading
import urllib.parse

BASE, OWNER, TOKEN, WAY = (os.environ[name] for name in ("BASE", "OWNER", "TOKEN", "WAY"))
CA = os.environ.get("CA_FILE")
TLS = ssl.create_default_context(cafile=CA) if CA else None

HEADERS = {"header": {"Authorization": f"Bearer {TOKEN}"}, "cookie": {"Cookie": f"jwt={TOKEN}"}}.get(WAY, {})
PROTOCOLS = ["hangarshare.v1", f"bearer.{TOKEN}"] if WAY == "protocol" else ["hangarshare.v1"]
FIRST = json.dumps({"type": "auth", "ownerId": OWNER, "token": TOKEN}) if WAY == "message" else None


def address(path, last):
    return f"{BASE}{path}?ownerId={OWNER}&lastEventId={urllib.parse.quote(last)}"


def websocket_address(last):
    return address("/api/ws", last).replace("http", "ws", 1)


def pause():
    """A random part of a second: all who were cut must not come back at once."""
    return random.random()


def tell(**what):
    print(json.dumps(what), flush=True)


def show(message):
    tell(got=message)


def commands(**do):
    """Does in a thread what the test says."""

    def read():
        for line in sys.stdin:
            do.get(line.strip(), lambda: None)()

    threading.Thread(target=read, daemon=True).start()
