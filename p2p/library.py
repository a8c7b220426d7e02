"""What the library lacks, in one place: each with what upstream would have to do before it can be dropped.

Some of it has no place to put it in, so :func:`tame` replaces pieces once for the whole process.
"""

from __future__ import annotations

import logging
import os
import struct
from types import ModuleType, SimpleNamespace
from typing import Any, cast
from weakref import WeakKeyDictionary

import trio
from libp2p.abc import IMuxedConn, ISecureConn, ISecureTransport
from libp2p.crypto import serialization
from libp2p.crypto.keys import KeyType
from libp2p.custom_types import TProtocol
from libp2p.exceptions import ParseError
from libp2p.io import trio as tcp
from libp2p.io.abc import Reader, ReadWriteCloser
from libp2p.io.exceptions import ConnectionClosedError, MessageTooLarge
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.stream import net_stream
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.protocol_muxer import multiselect_communicator
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_PROTOCOL_ID
from libp2p.stream_muxer import rw_lock
from libp2p.stream_muxer.yamux import yamux
from libp2p.stream_muxer.yamux.yamux import FLAG_SYN, HEADER_SIZE, TYPE_DATA, YAMUX_HEADER_FORMAT, Yamux, YamuxStream
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX_PROTOCOL_ID
from libp2p.transport.upgrader import TransportUpgrader
from libp2p.utils.varint import read_varint_prefixed_bytes_limited
from multiaddr import Multiaddr

from p2p.addresses import plain_host
from p2p.influx import Influx
from p2p.limits import TRAFFIC

log = logging.getLogger(__name__)

MAX_NAME_BYTES = 1024
"""A line of multistream-select; the longest of ours has 40 bytes."""

MAX_WINDOW_BYTES = 1024 * 1024
"""What a peer is granted for one stream, however well it goes: the largest reply of ours, which on a line of 200 ms
there and back is 5 MB a second."""

MAX_UNREAD_BYTES = 4 * MAX_WINDOW_BYTES
"""What a peer may have sent that nobody has read yet.  The library's multiplexer does not enforce the windows that it
grants, so without this a peer could fill the memory."""

MAX_ALL_UNREAD_BYTES = 24 * 1024 * 1024
"""And all peers of this process together: beyond it who has more than an equal part is closed.  Of an honest peer
hardly anything waits but in a moment when all that it was asked for comes at once."""

AHEAD_BYTES = 64 * 1024
"""What is read from a socket at once: a frame of the multiplexer, which the library asks for in four pieces."""

PIECES_A_TURN = 64
"""So many pieces of that are taken before others have a turn: a frame has two in a message of the secured connection,
and waits for its turn by itself, but a peer can cut one into a message for each byte."""

GRANT_BYTES = 16 * 1024
"""A window is given back in pieces of so much, or more where more was read: what a slow line brings in four seconds,
and a writer waits five."""

LARGER_BYTES = 1_024
"""More than the library says by itself, whatever has become of the program above it."""


class Unread:
    """What was sent and not read yet, by connection; each was last counted when something came over it."""

    def __init__(self) -> None:
        self._bytes: WeakKeyDictionary[BoundedYamux, int] = WeakKeyDictionary()

    def is_too_much(self, connection: BoundedYamux) -> bool:
        """Whether a connection has more than its part of what all may have."""
        self._bytes[connection] = unread = connection.unread
        if sum(self._bytes.values()) > MAX_ALL_UNREAD_BYTES:
            for each in list(self._bytes):
                self._bytes[each] = each.unread
        known = [size for size in self._bytes.values() if size]
        total = sum(known)
        return unread > MAX_UNREAD_BYTES or (total > MAX_ALL_UNREAD_BYTES and unread * len(known) >= total)


UNREAD = Unread()
"""Of the connections of this process."""


class BoundedYamux(Yamux):
    """A yamux connection that counts its bytes, takes its frames in turn, and is closed before too much lies unread.

    ``heard_at`` is when the last piece of a larger message came, in trio's time.
    Drop the bound when the library ends a stream that oversteps its window, and the turns when it has a limit for
    frames and lets others run between them.
    """

    heard_at = 0.0
    coming = 0
    farewell: object = None  # why the peer sends us away, once it said so

    def __init__(self, conn: ISecureConn, peer_id: ID, influx: Influx) -> None:
        super().__init__(conn, peer_id, is_initiator=conn.is_initiator)
        self._influx = influx
        self._whose = str(peer_id), remote_of(conn)[0]
        self.secured_conn = cast(ISecureConn, _InTurn(self, conn))

    async def await_turn(self) -> None:
        """Until the peer's next frame may be taken; others run meanwhile in any case."""
        await trio.sleep(self._influx.wait_s(*self._whose, is_dialled=self.is_initiator))

    def note_frame(self, header: bytes) -> None:
        """One came; a larger one is free where it belongs to what we asked for."""
        _, kind, _, number, length = struct.unpack(YAMUX_HEADER_FORMAT, header)
        size = length if kind == TYPE_DATA else 0
        is_asked = number in self.streams and number % 2 == self.next_stream_id % 2
        if size < LARGER_BYTES or not is_asked:
            self._influx.charge(*self._whose, 0 if is_asked else size)

    async def tell(self, data: bytes) -> None:
        """Write on a new stream and never look at it again; also on a connection that was not started."""
        number, self.next_stream_id = self.next_stream_id, self.next_stream_id + 2
        await self._write_frame(struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_DATA, FLAG_SYN, number, len(data)) + data)

    @property
    def unread(self) -> int:
        """The bytes that nobody has read, with those of the frame that is ``coming``."""
        return sum(map(len, self.stream_buffers.values())) + self.coming

    async def _read_data_body(self, length: int) -> bytes:
        self.coming = length
        if UNREAD.is_too_much(self):
            raise trio.TooSlowError  # what the library answers by closing the connection
        TRAFFIC["received"] += length
        try:
            body: bytes = await super()._read_data_body(length)
        finally:
            self.coming = 0
        if length >= LARGER_BYTES:
            self.heard_at = trio.current_time()
        return body

    async def _write_frame(self, data: bytes) -> None:
        TRAFFIC["sent"] += len(data)
        async with self._write_lock:  # the library's own puts together what it would log
            await self.secured_conn.write(data)


class _InTurn:
    """A secured connection whose frames begin when it is their turn."""

    def __init__(self, muxed_conn: BoundedYamux, conn: ISecureConn) -> None:
        self._muxed_conn = muxed_conn
        self._conn = conn

    async def read(self, n: int | None = None) -> bytes:
        """What the library asks for: the header of a frame, or what is ``coming`` behind one."""
        if n != HEADER_SIZE or self._muxed_conn.coming:
            return await self._conn.read(n)
        await self._muxed_conn.await_turn()
        header = await self._conn.read(n)
        if len(header) == HEADER_SIZE:
            self._muxed_conn.note_frame(header)
        return header

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)


def heard_at(muxed_conn: Any) -> float:
    """When a piece of a larger message last came over a connection, in trio's time."""
    return cast(BoundedYamux, muxed_conn).heard_at


def remote_of(connection: Any) -> tuple[str, int]:
    """Host and port of the other end, empty where they are not known any more."""
    return cast("tuple[str, int] | None", connection.get_remote_address()) or ("", 0)


class GuardedUpgrader(TransportUpgrader):
    """Noise and yamux.  Drop it when the library makes the class of connection that it is told to make."""

    def __init__(self, noise: ISecureTransport, influx: Influx) -> None:
        super().__init__({NOISE_PROTOCOL_ID: noise}, {TProtocol(YAMUX_PROTOCOL_ID): Yamux})
        self._influx = influx

    async def upgrade_connection(self, conn: ISecureConn, peer_id: ID) -> IMuxedConn:
        """Agree on yamux with an authenticated peer."""
        await super().upgrade_connection(conn, peer_id)  # makes nothing but an object that was not started
        return BoundedYamux(conn, peer_id, self._influx)


class LeaklessSwarm(Swarm):
    """The library's connection table, which takes new connections also after some hundred have come and gone.

    Drop it when the library gives the slot of an inbound connection back as the connection ends, not as the node stops,
    and closes a socket that it was cancelled in the middle of binding.
    """

    async def listen(self, *multiaddrs: Multiaddr) -> bool:
        """Listen, whoever gives up meanwhile: it takes no longer than the system's calls.  Whether any is there."""
        with trio.CancelScope(shield=True):
            return await super().listen(*multiaddrs)

    async def receive(self, raw_conn: RawConnection, maddr: Multiaddr) -> IMuxedConn | None:
        """The handshake of an inbound connection.  Raises whatever garbage makes the library raise."""
        return await self.upgrade_inbound_raw_conn(raw_conn, maddr)

    async def _do_handle_inbound_connection(
        self, read_write_closer: ReadWriteCloser, maddr: Multiaddr, failure_event: object
    ) -> None:
        raw_conn = RawConnection(read_write_closer, False)
        try:
            muxed_conn: Any = await self.receive(raw_conn, maddr)
            if muxed_conn is not None:
                await muxed_conn.event_closed.wait()
        except Exception as error:  # noqa: BLE001 - garbage breaks a handshake in any way it likes
            log.debug("inbound connection failed: %r", error)
        finally:
            with trio.CancelScope(shield=True):
                await raw_conn.close()


def tame() -> None:
    """Make the library of this process safe to listen with.  May be called again."""
    _know_ed25519_only()
    # The library lets a window grow to 16 MiB.  Drop when a connection can be told its own limit.
    yamux.MAX_WINDOW_SIZE = MAX_WINDOW_BYTES
    # The library believes any announced length, before anybody has proved an identity.  Drop when it has a bound.
    multiselect_communicator.read_delim = _read_name  # type: ignore[attr-defined]
    # The library wants addresses of two parts; those of IPv6 have four.  Drop when it knows both.
    TrioTCPStream.get_remote_address = _remote_address  # type: ignore[method-assign,assignment]
    TrioTCPStream.read = _read_ahead  # type: ignore[method-assign,assignment]
    YamuxStream._auto_tune_and_send_window_update = _give_back  # type: ignore[method-assign,assignment]
    YamuxStream.reset_received = property(_is_reset, _note_reset)  # type: ignore[assignment]
    for module in (tcp, rw_lock, yamux, net_stream):
        _give_prompt_locks(module)
    _quieten()


def _know_ed25519_only() -> None:
    # A key comes from a stranger, in a handshake or with a message.  Checking one signature with an RSA key
    # whose exponent has a million bits takes minutes, on the event loop.  Drop when the library bounds them.
    known = serialization.key_type_to_public_key_deserializer
    for kind in known.keys() - {KeyType.Ed25519.value}:
        del known[kind]


async def _read_name(reader: Reader) -> bytes:
    """One line of protocol negotiation, without its end."""
    try:
        line: bytes = await read_varint_prefixed_bytes_limited(reader, MAX_NAME_BYTES)
    except MessageTooLarge as error:
        raise ParseError("a protocol name is too long") from error
    if not line.endswith(b"\n"):
        raise ParseError("a protocol name ends with a line feed")
    return line[:-1]


def _remote_address(stream: TrioTCPStream) -> tuple[str, int] | None:
    """Host and port of the other end, in the form that addresses have: no zone, and IPv4 as such."""
    known = stream._cached_remote_address
    if known is None:
        try:
            host, port = stream.stream.socket.getpeername()[:2]
        except OSError:
            return None
        known = stream._cached_remote_address = plain_host(host), int(port)
    return known


async def _give_back(stream: YamuxStream, *, bytes_read: int = 0) -> None:
    # The library answers each read with a frame, which is half of what a small message costs.  Drop when it waits.
    stream._pending_recv_release += bytes_read
    if stream._pending_recv_release >= GRANT_BYTES:
        given, stream._pending_recv_release = stream._pending_recv_release, 0
        stream.recv_window += given
        buffered = len(stream.conn.stream_buffers.get(stream.stream_id, b""))
        await stream.send_window_update(given + stream._apply_autotune_epoch(buffered))


def _is_reset(stream: YamuxStream) -> bool:
    return bool(vars(stream).get("is_reset"))


def _note_reset(stream: YamuxStream, is_reset: bool) -> None:
    # The library forgets what came before a reset where nobody read it yet: who answers "na", and takes what follows
    # the proposal for another one, would not be heard.  Drop when it gives the rest first, as it does at a proper end.
    vars(stream)["is_reset"] = is_reset
    stream.recv_closed = stream.recv_closed or is_reset


class PromptLock:
    """A lock of trio's that lets nobody run first where it is free."""

    def __init__(self) -> None:
        self._lock = trio.Lock()

    async def __aenter__(self) -> None:
        try:
            self._lock.acquire_nowait()
        except trio.WouldBlock:
            await self._lock.acquire()

    async def __aexit__(self, *_error: object) -> None:
        self._lock.release()


def _give_prompt_locks(module: ModuleType) -> None:
    # A frame is written under five locks and read under four, each of which is a round of the event loop; frames come
    # in turn as it is.  Drop when the library locks nothing that one task alone touches.
    module.trio = SimpleNamespace(**{**vars(trio), "Lock": PromptLock})  # type: ignore[attr-defined]


class _Ahead(bytearray):
    """What was read of a socket and nobody took yet; so many ``pieces`` were taken since others had a turn."""

    pieces = 0


async def _read_ahead(stream: TrioTCPStream, size: int | None = None) -> bytes:
    # The library asks the system for each length and each message by itself.  Drop when it reads ahead.
    ahead: _Ahead = vars(stream).setdefault("ahead", _Ahead())
    if ahead.pieces >= PIECES_A_TURN:
        ahead.pieces = 0
        await trio.lowlevel.checkpoint()
    if not ahead and size != 0:
        async with stream.read_lock:
            if not ahead:
                ahead += await _receive(stream.stream)
    ahead.pieces += 1
    taken = bytes(ahead[:size])
    del ahead[:size]
    return taken


async def _receive(stream: trio.SocketStream) -> bytes:
    try:
        return await stream.receive_some(AHEAD_BYTES)
    except trio.BrokenResourceError as error:
        raise ConnectionClosedError(f"the other end reset the connection: {error}", transport="tcp") from error
    except trio.ClosedResourceError:
        return b""


def _quieten() -> None:
    # Anyone who can reach the port decides what the library logs, so it is not shown unless asked for.  Drop when
    # the library keeps its logging to its own loggers, and says once what comes a thousand times.
    if "LIBP2P_DEBUG" in os.environ:
        return
    library = logging.getLogger("libp2p")
    library.setLevel(logging.CRITICAL)
    if not library.handlers:
        library.addHandler(logging.NullHandler())
    # Parts of the library log through the root logger's functions, which install a handler to stderr
    # where there is none.
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
