"""A process that takes every batch of transactions and does nothing with it, so that a loader can be measured alone.

Its argument is how many are in a batch.  It says its URL on stdout and ends with its standard input.
"""

from __future__ import annotations

import json
import sys
from functools import partial

import trio

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


async def take(answer: bytes, stream: trio.SocketStream) -> None:
    """Answer each request of one connection."""
    buffer = bytearray()
    async for piece in stream:
        buffer += piece
        while (size := _request_bytes(buffer)) is not None and len(buffer) >= size:
            del buffer[:size]
            await stream.send_all(answer)


def _request_bytes(buffer: bytearray) -> int | None:
    """How long the first request is; None while its head is not here."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    lines = bytes(buffer[:end]).lower().split(b"\r\n")
    lengths = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
    return end + 4 + sum(lengths)


async def main() -> None:
    """Serve until standard input ends."""
    body = json.dumps({"outcomes": [None] * int(sys.argv[1])}).encode()
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, partial(take, HEAD % len(body) + body), [listener])
        print(f"http://127.0.0.1:{listener.socket.getsockname()[1]}", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
