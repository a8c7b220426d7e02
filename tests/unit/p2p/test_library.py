"""What a stranger could have the library do."""

from __future__ import annotations

import socket
from itertools import permutations
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
import trio.testing
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.exceptions import MissingDeserializerError
from libp2p.crypto.pb import crypto_pb2
from libp2p.crypto.serialization import deserialize_public_key
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.io.trio import TrioTCPStream
from libp2p.stream_muxer.yamux.yamux import YamuxStream

from chain.protocol.messages import REPLY_BYTES
from p2p.library import GRANT_BYTES, MAX_NAME_BYTES, MAX_WINDOW_BYTES, PIECES_A_TURN, PromptLock, tame
from tests.unit.p2p.net import PATIENCE_S, framed, mesh_of, require_service


def test_keys_of_other_kinds_are_not_even_read() -> None:
    tame()
    key = create_new_key_pair(bytes(32)).public_key
    assert deserialize_public_key(key.serialize()) == key
    for kind in (crypto_pb2.RSA, crypto_pb2.Secp256k1, crypto_pb2.ECDSA):
        with pytest.raises(MissingDeserializerError):
            deserialize_public_key(crypto_pb2.PublicKey(key_type=kind, data=b"").SerializeToString())


@pytest.mark.parametrize(
    "opening",
    [b"\x80\x80\x80\x80\x40", b"\xff" * 11, framed(b"x" * (MAX_NAME_BYTES + 1)), framed(b"no line feed")],
    ids=["gigabytes", "endless-length", "long-name", "no-line"],
)
async def test_a_long_name_ends_a_handshake_before_it_is_read(opening: bytes) -> None:
    async with mesh_of(2) as (node, friend):
        stream = await trio.open_tcp_stream("127.0.0.1", int(node.address.split("/")[4]))
        await stream.send_all(opening)
        with trio.fail_after(PATIENCE_S / 2):  # before the handshake's own time-out
            try:
                while await stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass
        await stream.aclose()
        await require_service(node, friend)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_the_other_end_of_a_connection_is_known_by_either_kind_of_host(host: str) -> None:
    tame()
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host=host)
        stream = TrioTCPStream(await trio.open_tcp_stream(host, listener.socket.getsockname()[1]))
        for _ in range(2):  # the second from memory, as after the connection has ended
            assert stream.get_remote_address() == (host, listener.socket.getsockname()[1])
            await stream.close()
        await listener.aclose()
        nursery.cancel_scope.cancel()


async def test_ipv4_on_a_socket_of_ipv6_is_ipv4() -> None:
    tame()
    with trio.socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        await listener.bind(("::", 0))
        listener.listen()
        caller = await trio.open_tcp_stream("127.0.0.1", listener.getsockname()[1])
        accepted, _ = await listener.accept()
        stream = TrioTCPStream(trio.SocketStream(accepted))
        assert stream.get_remote_address() == ("127.0.0.1", caller.socket.getsockname()[1])
        await stream.close()
        await caller.aclose()


async def test_a_connection_that_never_was_has_no_other_end() -> None:
    tame()
    closed = trio.socket.socket()
    stream = TrioTCPStream(trio.SocketStream.__new__(trio.SocketStream))
    stream.stream.socket = closed
    closed.close()
    assert stream.get_remote_address() is None


async def test_what_is_read_ahead_of_a_socket_comes_in_order_and_ends_with_it() -> None:
    tame()
    ours, theirs = trio.testing.memory_stream_pair()
    stream = TrioTCPStream(cast(trio.SocketStream, theirs))
    await ours.send_all(b"one two three")
    pieces = [await stream.read(4), await stream.read(0), await stream.read(4), await stream.read(None)]
    assert pieces == [b"one ", b"", b"two ", b"three"]
    await ours.aclose()
    assert await stream.read(1) == b""


async def test_others_have_a_turn_while_what_was_read_ahead_is_taken_in_tiny_pieces() -> None:
    """A peer may send a message of the secured connection for each byte of a frame, all of which are here already."""
    tame()
    ours, theirs = trio.testing.memory_stream_pair()
    stream = TrioTCPStream(cast(trio.SocketStream, theirs))
    await ours.send_all(bytes(4_000))
    turns = 0
    async with trio.open_nursery() as nursery:

        async def take() -> None:
            for _ in range(4_000):
                assert await stream.read(1) == bytes(1)
            nursery.cancel_scope.cancel()

        nursery.start_soon(take)
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1
    assert turns >= 4_000 // PIECES_A_TURN


async def test_who_gives_up_reading_takes_nothing_with_it() -> None:
    tame()
    ours, theirs = trio.testing.memory_stream_pair()
    stream = TrioTCPStream(cast(trio.SocketStream, theirs))
    await ours.send_all(bytes(range(200)))
    read = b""
    while len(read) < 200:
        with trio.CancelScope() as scope:
            read += await stream.read(1)
            scope.cancel()
            while len(read) < 200:
                read += await stream.read(1)
    assert read == bytes(range(200))


class _Broken:
    async def receive_some(self, _size: int) -> bytes:
        raise trio.BrokenResourceError


async def test_a_reset_connection_is_told_as_the_library_does() -> None:
    tame()
    _, closed = trio.testing.memory_stream_pair()
    stream = TrioTCPStream(cast(trio.SocketStream, closed))
    await closed.aclose()
    assert await stream.read(1) == b"", "closed here"
    stream = TrioTCPStream(cast(trio.SocketStream, _Broken()))
    with pytest.raises(ConnectionClosedError):
        await stream.read(1)


async def test_a_free_lock_is_taken_at_once_and_one_that_is_held_is_waited_for() -> None:
    lock, order = PromptLock(), list[str]()

    async def hold(name: str) -> None:
        async with lock:
            order.append(name)
            await trio.lowlevel.checkpoint()
            order.append(name)

    with trio.testing.assert_no_checkpoints():
        async with lock:
            pass
    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(hold, name)
    assert "".join(order) in {"".join(2 * each for each in names) for names in permutations("abc")}


async def test_a_window_is_given_back_in_pieces_and_altogether() -> None:
    tame()
    granted: list[int] = []

    async def note(frame: bytes) -> None:
        granted.append(int.from_bytes(frame[8:], "big"))

    connection: Any = SimpleNamespace(rtt=lambda: 0.0, stream_buffers={}, _write_frame=note)
    stream = YamuxStream(1, connection, is_initiator=True)
    window = stream.recv_window
    for _ in range(10):
        stream.recv_window -= GRANT_BYTES // 4
        await stream._auto_tune_and_send_window_update(bytes_read=GRANT_BYTES // 4)
    assert [given >= GRANT_BYTES for given in granted] == [True, True], "one for four small reads"
    stream.recv_window -= 3 * GRANT_BYTES
    await stream._auto_tune_and_send_window_update(bytes_read=3 * GRANT_BYTES)
    assert len(granted) == 3
    assert stream.recv_window - window == sum(granted) - (10 * GRANT_BYTES // 4 + 3 * GRANT_BYTES)


async def test_a_window_grows_no_further_than_one_reply() -> None:
    tame()
    connection: Any = SimpleNamespace(rtt=lambda: 1.0, stream_buffers={})
    stream = YamuxStream(1, connection, is_initiator=True)
    for _ in range(20):
        stream._apply_autotune_epoch(0)
    assert stream.target_recv_window == MAX_WINDOW_BYTES
    assert REPLY_BYTES <= MAX_WINDOW_BYTES
