"""go-libp2p from Python: a host, its streams and its gossip, of the shared library in the package libp2p-go.

Nothing of that package but the library is used, nor anything of libp2p in Python: what is on the wire is Go's.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from ctypes import POINTER, Structure, c_bool, c_char, c_char_p, c_longlong, c_size_t, c_void_p, string_at
from pathlib import Path
from threading import Thread
from typing import Any

import msgpack

LIBRARY = Path(__file__).with_name("site-packages") / "libp2p" / "bin" / "libp2p-linux_x86_64.so"
MUXER = "/yamux/1.0.0"


class GoError(Exception):
    """What go-libp2p says went wrong."""


class _Text(Structure):
    _fields_ = (("bytes", c_char_p), ("size", c_longlong))


class _Answer(Structure):
    _fields_ = (("size", c_longlong), ("bytes", POINTER(c_char)))


_OnStream = ctypes.CFUNCTYPE(None, c_size_t, c_size_t)
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "freePointer": (None, [c_void_p]),
    "option_listenAddrStrings": (c_size_t, [_Text]),
    "option_muxerYamux": (c_size_t, [_Text]),
    "option_security_noise": (c_size_t, []),
    "option_disableRelay": (c_size_t, []),
    "option_ping": (c_size_t, [c_bool]),
    "host_new": (_Answer, [_Text]),
    "host_id": (_Answer, [c_size_t]),
    "host_connect": (_Answer, [c_size_t, c_size_t]),
    "host_newStream": (_Answer, [c_size_t, c_size_t, _Text]),
    "host_setStreamHandler": (None, [c_size_t, _Text, _OnStream]),
    "peer_string": (_Answer, [c_size_t]),
    "peer_bytes": (_Answer, [c_size_t]),
    "peer_addrInfoFromP2pAddr": (_Answer, [_Text]),
    "addrInfo_id": (_Answer, [c_size_t]),
    "ping_new": (c_size_t, [c_size_t]),
    "ping_ping": (c_size_t, [c_size_t, _Text]),
    "pingChan_pop": (_Answer, [c_size_t]),
    "stream_read": (_Answer, [c_size_t, c_size_t]),
    "stream_write": (_Answer, [c_size_t, c_size_t, c_char_p]),
    "stream_close": (None, [c_size_t]),
    "stream_delete": (None, [c_size_t]),
    "pubsub_gossipSubNew": (_Answer, [c_size_t, _Text]),
    "pubsub_join": (_Answer, [c_size_t, _Text, _Text]),
    "pubsub_listPeers": (_Answer, [c_size_t, _Text]),
    "topic_publish": (_Answer, [c_size_t, c_size_t, c_char_p, _Text]),
    "topic_subscription": (_Answer, [c_size_t, _Text]),
    "subscription_next": (_Answer, [c_size_t]),
}


def _text(value: str | bytes) -> _Text:
    data = value.encode() if isinstance(value, str) else value
    return _Text(data, len(data))


def _options(**values: Any) -> _Text:
    return _text(msgpack.packb(values))


class _Library:
    """The functions of the library; those that answer give what they answer, or raise :class:`GoError`."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(str(LIBRARY))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return getattr(self._library, name)  # type: ignore[no-any-return]

    def ask(self, name: str, *arguments: Any) -> dict[str, Any]:
        answer = getattr(self._library, name)(*arguments)
        told: dict[str, Any] = msgpack.unpackb(string_at(answer.bytes, answer.size))
        self._library.freePointer(answer.bytes)
        if told.get("Error"):
            raise GoError(told["Error"])
        return told

    def handle(self, name: str, *arguments: Any) -> int:
        return int(self.ask(name, *arguments)["Handles"][0])


class Stream:
    """Bytes to and from one peer under one protocol."""

    def __init__(self, go: _Library, handle: int) -> None:
        self._go = go
        self._handle = handle

    def write(self, data: bytes) -> None:
        self._go.ask("stream_write", self._handle, len(data), data)

    def read(self, size: int) -> bytes:
        """Up to so many; none at the end."""
        try:
            told = self._go.ask("stream_read", self._handle, size)
        except GoError as error:
            if "EOF" in str(error):
                return b""
            raise
        return bytes(told["Bytes"][0][: told["Integers"][0]])

    def close(self) -> None:
        self._go.stream_close(self._handle)
        self._go.stream_delete(self._handle)


class Topic:
    """What is said to everybody under one name."""

    def __init__(self, go: _Library, gossip: int, name: str) -> None:
        self._go = go
        self._gossip = gossip
        self._name = name
        self._handle = go.handle("pubsub_join", gossip, _text(name), _options())

    def publish(self, data: bytes) -> None:
        self._go.ask("topic_publish", self._handle, len(data), data, _options())

    def peers(self) -> list[str]:
        """Who listens, as far as it is known here."""
        return list(self._go.ask("pubsub_listPeers", self._gossip, _text(self._name)).get("Strings") or ())

    def messages(self) -> Iterator[bytes]:
        subscription = self._go.handle("topic_subscription", self._handle, _options())
        while True:
            yield bytes(self._go.ask("subscription_next", subscription)["Bytes"][0])


class Host:
    """One that listens on loopback, with noise and yamux over TCP, and pings, identifies and gossips by itself."""

    def __init__(self) -> None:
        self._go = go = _Library()
        options = [
            go.option_listenAddrStrings(_options(Strings=["/ip4/127.0.0.1/tcp/0"])),
            go.option_security_noise(),
            go.option_muxerYamux(_text(MUXER)),
            go.option_disableRelay(),
            go.option_ping(True),
        ]
        self._handle = go.handle("host_new", _options(Handles=options))
        self._gossip = go.handle("pubsub_gossipSubNew", self._handle, _options())
        self._peers: dict[str, int] = {}
        self._handlers: list[Any] = []
        self.id: str = go.ask("peer_string", go.handle("host_id", self._handle))["Strings"][0]

    def connect(self, address: str) -> None:
        """Connect with who is at a multiaddr with its id."""
        info = self._go.handle("peer_addrInfoFromP2pAddr", _text(address))
        self._go.ask("host_connect", self._handle, info)
        self._peers[address.rpartition("/")[2]] = self._go.handle("addrInfo_id", info)

    def open(self, peer: str, protocol: str) -> Stream:
        """A new stream to one that we connected with."""
        return Stream(self._go, self._go.handle("host_newStream", self._handle, self._peers[peer], _text(protocol)))

    def serve(self, protocol: str, handler: Callable[[Stream], None]) -> None:
        """From now on streams of a protocol are handled, each in a thread of its own."""

        def on_stream(stream: int, _host: int) -> None:
            Thread(target=handler, args=(Stream(self._go, stream),), daemon=True).start()

        self._handlers.append(kept := _OnStream(on_stream))
        self._go.host_setStreamHandler(self._handle, _text(protocol), kept)

    def join(self, topic: str) -> Topic:
        return Topic(self._go, self._gossip, topic)

    def ping(self, peer: str) -> None:
        """Wait for an echo of libp2p's ping; raises :class:`GoError`."""
        name = self._go.ask("peer_bytes", self._peers[peer])["Bytes"][0]
        echo = self._go.ask("pingChan_pop", self._go.ping_ping(self._go.ping_new(self._handle), _text(name)))
        if echo.get("Strings"):
            raise GoError(*echo["Strings"])
