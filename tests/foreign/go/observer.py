"""A peer on go-libp2p beside a node: it greets, listens to blocks, fetches one, and says so, one JSON document a line.

    python -m tests.foreign.go.observer ADDRESS PREFIX CHAIN_ID [TOPIC DATA]

ADDRESS is a multiaddr with /p2p/, PREFIX what the network's protocols begin with; CHAIN_ID is hexadecimal, and so is
DATA, which is published under TOPIC on and on.  It goes on until it is killed, or sent away: then it ends with code 1.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from threading import Thread
from typing import Any, TypeVar

import msgpack

from tests.foreign.go.golib import GoError, Host, Stream

REFUSED = "/goodfaith/refused/1"
OK = b"\x00"
AT_ONCE = 65_536
EVERY_S = 0.25
BLOCK_BYTES = 100_000

T = TypeVar("T")


def say(event: str, **facts: Any) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


def frame(payload: bytes) -> bytes:
    size, length = len(payload), bytearray()
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*length, size]) + payload


def payload_of(stream: Stream) -> bytes:
    """The next frame; raises EOFError at the end."""
    size = shift = 0
    while (byte := exactly(stream, 1)[0]) & 0x80:
        size |= (byte & 0x7F) << shift
        shift += 7
    return exactly(stream, size | byte << shift)


def exactly(stream: Stream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = stream.read(min(size - len(data), AT_ONCE))
        if not piece:
            raise EOFError
        data += piece
    return data


class Observer:
    """One that has no block beyond the genesis, and is nobody's machine."""

    def __init__(self, address: str, prefix: str, chain_id: bytes) -> None:
        self._host = Host()
        self._prefix = prefix
        status = msgpack.packb([chain_id, 0, 0, 0, 0, 0, b"", b"", 1])
        greeting = msgpack.packb([[], status])
        for name, reply in {"ping": b"", "status": status, "peers": msgpack.packb([]), "hello": greeting}.items():
            self._serve(name, reply)
        self._host.serve(prefix + "attest", attested)
        self._host.serve(REFUSED, sent_away)
        self._blocks = self._host.join(prefix + "blocks")
        Thread(target=self._listen, daemon=True).start()
        self._address = address
        self._peer = address.rpartition("/")[2]
        _addresses, status = msgpack.unpackb(self._ask("hello", greeting))
        say("greeted", id=self._host.id, height=msgpack.unpackb(status)[1])
        self._insist(lambda: self._host.ping(self._peer))
        say("pinged")

    def meet(self) -> None:
        """Dial the node where it is not connected, until it is."""
        self._insist(lambda: None)

    def _insist(self, work: Callable[[], T]) -> T:
        """Do something with the node, connected, until it works; what it gives.

        go-libp2p gives up after seconds, and so does a node that hears nothing of a peer: too soon for a busy machine.
        Whoever is sent away for good is told so, and that ends this process.
        """
        while True:
            try:
                self._host.connect(self._address)
                return work()
            except (GoError, EOFError) as error:
                say("interrupted", by=str(error))
                time.sleep(EVERY_S)

    def _serve(self, name: str, reply: bytes) -> None:
        """Answer whatever is asked under a name with the same."""

        def answer(stream: Stream) -> None:
            payload_of(stream)
            stream.write(frame(OK + reply))
            stream.close()

        self._host.serve(self._prefix + name, answer)

    def _ask(self, name: str, request: bytes) -> bytes:
        return self._insist(lambda: self._answer(name, request))

    def _answer(self, name: str, request: bytes) -> bytes:
        stream = self._host.open(self._peer, self._prefix + name)
        stream.write(frame(request))
        reply = payload_of(stream)
        stream.close()
        if reply[:1] != OK:
            raise GoError(f"answered {reply!r}")
        return reply[1:]

    def _listen(self) -> None:
        for data in self._blocks.messages():
            say("gossiped", bytes=len(data))

    def fetch(self) -> None:
        """The first block, of a chain that has one."""
        height = 0
        while not height:
            time.sleep(EVERY_S)
            head, height = msgpack.unpackb(self._ask("status", b""))[:2]
        (block,) = msgpack.unpackb(self._ask("blocks", msgpack.packb([head, 1, 1, BLOCK_BYTES])))
        say("fetched", bytes=len(block))

    def publish(self, name: str, data: bytes) -> None:
        """The same on and on."""
        topic = self._host.join(self._prefix + name) if name != "blocks" else self._blocks
        while True:
            self.meet()
            if self._peer in topic.peers():
                topic.publish(data)
            time.sleep(EVERY_S)


def attested(stream: Stream) -> None:
    """The node says what it has for us as long as we listen; here the first is enough."""
    say("attested", bytes=len(payload_of(stream)))
    while stream.read(AT_ONCE):
        pass


def sent_away(stream: Stream) -> None:
    why, seconds, words = msgpack.unpackb(payload_of(stream))
    say("refused", why=why, seconds=seconds, words=words.decode())
    os._exit(1)


def main(address: str, prefix: str, chain_id: str, topic: str = "", data: str = "") -> None:
    observer = Observer(address, prefix, bytes.fromhex(chain_id))
    observer.fetch()
    if topic:
        observer.publish(topic, bytes.fromhex(data))
    while True:
        observer.meet()
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
