"""Questions to one peer: a request, a reply, one stream for each.

A request is one frame.  A reply is one byte of status and, if that is OK, the body, in one frame.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID

from chain.base.errors import InvariantBroken, Refused
from p2p.dues import Account, Dues, Inquiry
from p2p.frames import (
    LIBRARY_ERRORS,
    FrameReader,
    FrameRefused,
    StreamEnded,
    is_agreed,
    proposal,
    reset_quietly,
    write_frame,
    write_slowly,
)
from p2p.host import GuardedHost, Report
from p2p.library import remote_of
from p2p.limits import Buckets, Places
from p2p.reputation import Weight, count_refusal

log = logging.getLogger(__name__)

DEFAULT_RATE = (50.0, 200.0)
"""What one peer may ask, a second and at once: a node that catches up asks some twenty times a second."""

MAX_ASKED_AT_ONCE = 8
"""Our requests to one peer under way; more gain nothing (53 MB/s with eight)."""

MAX_ANSWERED_AT_ONCE = 2 * MAX_ASKED_AT_ONCE
"""A peer's requests under way here: twice what an honest one has, as both sides see their ends apart."""

READ_TIMEOUT_S = 10.0
TURN_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 10.0
WRITE_TIMEOUT_S = 20.0
"""For the stages of an inbound request.  A peer that is slower is given up."""

SLOWEST_RATE = 4_000
"""Bytes a second: so many of a reply buy one more second for the rest.  A line of 600 kbit/s does it twenty times."""

GRACE_S = 2.0
"""A megabyte takes 0.03 s on loopback.  A reply that takes longer than this gives way where others wait; one that
is cut off in the middle of a write takes its connection with it."""

LINGER_S = 5.0
"""How long the asker may take to close its side; the library keeps a stream until both are closed."""

Handler = Callable[[str, bytes], Awaitable[bytes]]

Progress = Callable[[int, int], None]
"""Called with the bytes of a reply that are here, and those that it has."""


class Failure(Enum):
    """Why a request brought no reply."""

    TIMEOUT = "timeout"  # the peer is slow, stopped or silent
    DISCONNECTED = "disconnected"  # there is no connection, or it broke
    UNSUPPORTED = "unsupported"  # the peer does not speak this protocol; it may be of another network
    BUSY = "busy"  # the peer answers later; we asked too much
    REFUSED = "refused"  # the peer understood and says no
    FAILED = "failed"  # the peer could not answer, through a fault of its own
    TOO_LARGE = "too_large"  # the reply is larger than asked for
    MALFORMED = "malformed"  # the reply is not one


class RequestError(Exception):
    """A request that brought no reply; ``failure`` is for programs, ``detail`` for people."""

    def __init__(self, failure: Failure, detail: str = "") -> None:
        super().__init__(failure, detail)
        self.failure = failure
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.failure.value}: {self.detail}" if self.detail else self.failure.value


class Unreadable(Refused):
    """A request that cannot be read: no honest peer of this network sends one, so it is held against its sender."""


@contextmanager
def reading() -> Iterator[None]:
    """What is refused in here is the request itself, and not what follows from it.  Raises :class:`Unreadable`."""
    try:
        yield
    except Refused as refusal:
        raise Unreadable(refusal.reason, refusal.detail) from refusal


class ReplyStatus(Enum):
    OK = 0
    BUSY = 1
    REFUSED = 2
    FAILED = 3


_FAILURE_OF = {
    ReplyStatus.BUSY.value: Failure.BUSY,
    ReplyStatus.REFUSED.value: Failure.REFUSED,
    ReplyStatus.FAILED.value: Failure.FAILED,
}

MAX_DETAIL_BYTES = 200
"""The explanation that comes with a refusal."""


@dataclass
class Endpoint:
    """One question that this node answers."""

    name: str
    handler: Handler
    max_request: int
    max_response: int
    places: Places


class Requests:
    """Asking and answering.  Protocol ids begin with the network's prefix, so networks never mix."""

    def __init__(self, host: GuardedHost, prefix: str, rate: tuple[float, float] = DEFAULT_RATE) -> None:
        self._host = host
        self.prefix = prefix
        self._buckets = Buckets(*rate)
        self.dues = Dues()
        self._answering: Counter[str] = Counter()
        self._asking: defaultdict[str, trio.CapacityLimiter] = defaultdict(
            lambda: trio.CapacityLimiter(MAX_ASKED_AT_ONCE)
        )
        self.report: Report = lambda _peer_id, _weight, _why: None
        self.on_bug: Callable[[Exception], None] = lambda _error: None

    def serve(self, name: str, handler: Handler, *, max_request: int, max_response: int, max_concurrent: int) -> None:
        """Answer ``name`` with ``await handler(peer_id, request)``; sizes are in bytes.

        At most ``max_concurrent`` are being worked on; others wait for their turn, and for what :attr:`dues` says.
        ``Refused`` from the handler tells the peer no.  Anything else it raises is logged as our fault
        and the peer told so; ``InvariantBroken`` also stops the transport.
        """
        # A quarter for one peer: it takes several to be in anybody's way.
        places = Places(max_concurrent, max(1, max_concurrent // 4), grace_s=GRACE_S, wait_s=TURN_TIMEOUT_S)
        endpoint = Endpoint(name, handler, max_request, max_response, places)

        async def handle(stream: INetStream) -> None:
            await self._handle(endpoint, stream)

        self._host.set_stream_handler(TProtocol(self.prefix + name), handle)

    async def ask(
        self,
        peer_id: str,
        name: str,
        payload: bytes,
        *,
        max_response: int,
        timeout_s: float,
        on_progress: Progress = lambda _received, _size: None,
    ) -> bytes:
        """The reply of a connected peer.  Raises :class:`RequestError` and nothing else.

        At most :data:`MAX_ASKED_AT_ONCE` requests to a peer are under way; ``timeout_s`` is for the wait for a turn,
        and then for the reply to begin; the rest of it has to come at :data:`SLOWEST_RATE`.
        """
        await trio.lowlevel.checkpoint()  # so that a caller that tries again and again lets others run
        if not self._host.is_connected(peer_id):
            raise RequestError(Failure.DISCONNECTED, f"before {name}")
        turns = self._asking[peer_id]
        with trio.move_on_after(timeout_s) as waiting:
            await turns.acquire()
        if waiting.cancelled_caught:
            raise RequestError(Failure.TIMEOUT, f"no turn for {name} within {timeout_s} s")
        try:
            return await self.ask_now(
                peer_id, name, payload, max_response=max_response, timeout_s=timeout_s, on_progress=on_progress
            )
        finally:
            turns.release()

    async def ask_now(
        self,
        peer_id: str,
        name: str,
        payload: bytes,
        *,
        max_response: int,
        timeout_s: float,
        on_progress: Progress = lambda _received, _size: None,
    ) -> bytes:
        """As :meth:`ask`, past the queue: for what must not wait behind other requests.  Raises the same."""
        with trio.move_on_after(timeout_s) as patience:
            began = trio.current_time()

            def progress(received: int, size: int) -> None:
                patience.deadline = began + timeout_s + received / SLOWEST_RATE
                on_progress(received, size)

            stream = await self._open(peer_id, name)
            replied = False
            try:
                reply = await self._converse_on(stream, name, payload, max_response, progress)
                await stream.close()
                replied = True
            except FrameRefused as error:
                raise RequestError(Failure.TOO_LARGE, str(error)) from error
            except (StreamEnded, *LIBRARY_ERRORS) as error:
                raise RequestError(Failure.DISCONNECTED, f"during {name}: {error}") from error
            finally:
                if not replied:
                    await reset_quietly(stream)
            return _body(reply, max_response)
        raise RequestError(Failure.TIMEOUT, f"no reply to {name} in time")

    async def _converse_on(
        self, stream: INetStream, name: str, payload: bytes, max_response: int, progress: Progress
    ) -> bytes:
        """Propose the protocol and ask at once; the reply with its byte of status."""
        protocol = self.prefix + name
        await write_frame(stream, payload, before=proposal(protocol))
        reader = FrameReader(stream, progress)
        if not await is_agreed(reader, protocol):
            raise RequestError(Failure.UNSUPPORTED, name)
        return await reader.frame(max(max_response, MAX_DETAIL_BYTES) + 1)

    async def _open(self, peer_id: str, name: str) -> INetStream:
        try:
            return await self._host.open_stream(ID.from_base58(peer_id), TProtocol(self.prefix + name))
        except LIBRARY_ERRORS as error:
            raise RequestError(Failure.DISCONNECTED, f"before {name}: {error}") from error

    def forget(self, peer_id: str) -> None:
        """A peer has gone; drop what was kept for it."""
        self._asking.pop(peer_id, None)

    # -- answering ------------------------------------------------------------------------------------

    async def _handle(self, endpoint: Endpoint, stream: INetStream) -> None:
        peer_id = str(stream.muxed_conn.peer_id)
        self._answering[peer_id] += 1
        is_answered = False
        try:
            is_answered = await self._converse(endpoint, peer_id, stream)
        except (StreamEnded, FrameRefused) as error:
            log.debug("request %s of %s not answered: %r", endpoint.name, peer_id, error)
        finally:
            self._answering[peer_id] -= 1
            if not self._answering[peer_id]:
                del self._answering[peer_id]
            if not is_answered:
                await reset_quietly(stream)
        if is_answered:
            await _finish(stream)

    async def _converse(self, endpoint: Endpoint, peer_id: str, stream: INetStream) -> bool:
        """Read a request, answer it, write the reply.  False where that came to nothing."""
        if not self._buckets.take(peer_id):
            self.report(peer_id, Weight.EXCESS, "asks too often")
            return await self._reply(peer_id, stream, ReplyStatus.BUSY, b"too many requests")
        if self._answering[peer_id] > MAX_ANSWERED_AT_ONCE:
            return await self._reply(peer_id, stream, ReplyStatus.BUSY, b"too many requests at once")
        request = await self._read(endpoint, peer_id, stream)
        if request is None:
            return False
        inquiry = Inquiry(endpoint.name, peer_id, remote_of(stream.muxed_conn)[0], request)
        try:
            return await self._in_turn(endpoint, self.dues.open(inquiry), stream)
        except trio.TooSlowError:
            return await self._reply(peer_id, stream, ReplyStatus.BUSY, b"too many requests at once")

    async def _in_turn(self, endpoint: Endpoint, account: Account, stream: INetStream) -> bool:
        """Answer once there is a place and nothing is owed that it has to wait for.  Raises ``trio.TooSlowError``."""
        give_up_at, is_held, is_answered = trio.current_time() + TURN_TIMEOUT_S, False, False
        peer_id = account.inquiry.peer_id
        while not is_held:
            with trio.fail_at(give_up_at):
                await trio.sleep(account.wait_s())
            # Only now, since whoever dawdles over a request must not keep others from theirs.
            async with endpoint.places.hold(peer_id):
                is_held = not account.wait_s()  # others of the peer that waited may have been quicker
                if is_held:
                    status, body = await self._answer(endpoint, account)
                    is_answered = await self._reply(peer_id, stream, status, body)
        return is_answered

    async def _read(self, endpoint: Endpoint, peer_id: str, stream: INetStream) -> bytes | None:
        reader = FrameReader(stream)
        try:
            with trio.move_on_after(READ_TIMEOUT_S):
                return await reader.frame(endpoint.max_request)
        except FrameRefused as error:
            self.report(peer_id, Weight.INVALID, f"sent {error} as {endpoint.name}")
            raise
        # Else without blame, here and below: honest peers stop and stall, and it may be this machine that is busy.
        if reader.is_dribbled:
            self.report(peer_id, Weight.EXCESS, f"holds back the rest of {endpoint.name}")
        else:
            log.info("peer %s asks too slowly", peer_id)
        return None

    async def _reply(self, peer_id: str, stream: INetStream, status: ReplyStatus, body: bytes) -> bool:
        with trio.move_on_after(WRITE_TIMEOUT_S) as patience:

            def progress(taken: int) -> None:
                patience.deadline += taken / SLOWEST_RATE

            await write_slowly(stream, bytes([status.value]) + body, progress)
            return True
        log.info("peer %s does not take what it asked for", peer_id)
        return False

    async def _answer(self, endpoint: Endpoint, account: Account) -> tuple[ReplyStatus, bytes]:
        try:
            with trio.fail_after(ANSWER_TIMEOUT_S):
                reply = await endpoint.handler(account.inquiry.peer_id, account.inquiry.request)
            if len(reply) > endpoint.max_response:
                raise InvariantBroken(f"a reply to {endpoint.name} has {len(reply)} bytes")
            account.charge(reply)
        except Refused as error:
            is_unreadable = isinstance(error, Unreadable)
            count_refusal(error, is_blamed=is_unreadable)
            if is_unreadable:
                self.report(account.inquiry.peer_id, Weight.INVALID, f"sent as {endpoint.name} what is {error}")
            return ReplyStatus.REFUSED, str(error).encode()[:MAX_DETAIL_BYTES]
        except InvariantBroken as error:
            self.on_bug(error)
            return ReplyStatus.FAILED, b""
        except Exception:
            log.exception("answering %s failed", endpoint.name)
            return ReplyStatus.FAILED, b""
        return ReplyStatus.OK, reply


def _body(reply: bytes, max_response: int) -> bytes:
    status, body = reply[:1], reply[1:]
    if status == bytes([ReplyStatus.OK.value]):
        if len(body) > max_response:
            raise RequestError(Failure.TOO_LARGE, f"{len(body)} bytes where {max_response} are allowed")
        return body
    failure = _FAILURE_OF.get(status[0]) if status else None
    if failure is None:
        raise RequestError(Failure.MALFORMED, "the reply has no known status")
    raise RequestError(failure, body[:MAX_DETAIL_BYTES].decode(errors="replace"))


async def _finish(stream: Any) -> None:
    """Close our side and wait a little for the peer's, so that the stream is forgotten."""
    ended = False
    with trio.move_on_after(LINGER_S):
        try:
            await stream.close_write()
            ended = await FrameReader(stream).ended()
        except LIBRARY_ERRORS as error:
            log.debug("closing a stream failed: %r", error)
    if not ended:
        await reset_quietly(stream)
    else:
        await stream.remove()
