"""Small items that many nodes need soon, passed on hop by hop: what comes together travels in one frame.

Everybody speaks at about the same time and gossip costs messages, not bytes, so each node collects what it has for a
neighbour for a moment and sends it over a stream that stays open, unless the neighbour has sent the same by then.
``scripts/docs/attestations.md`` compares this with other ways.
Source: protocol 7.6.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from hashlib import sha256
from itertools import islice

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.host.exceptions import StreamFailure
from libp2p.peer.id import ID

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.base.newest import Newest
from chain.protocol.messages import RawItems, cut_to_size
from p2p.frames import LIBRARY_ERRORS, FrameReader, FrameRefused, StreamEnded, reset_quietly, write_frame
from p2p.host import GuardedHost, Report
from p2p.limits import Buckets, TokenBucket
from p2p.reputation import Weight, count_refusal

log = logging.getLogger(__name__)

WAIT_S = 0.05
"""Items for a neighbour are collected this long: half of it costs half as much again, twice of it two thirds and comes
a third later."""

MAX_ITEM_BYTES = 512
MAX_FRAME_ITEMS, MAX_FRAME_BYTES = 1_024, 128_000
"""An attestation has some 170 bytes; a hundred validators speak once a block."""

MAX_WAITING = MAX_FRAME_ITEMS
"""Items that wait for one neighbour; beyond it the oldest are dropped, since whoever said them says them again."""

MAX_KNOWN = 16_384
"""Ids of items that were let in lately: a hundred validators in FORGET_S, sixteen times."""

FORGET_S = 10.0
"""An item is taken for new again after so long, so that what is said again gets to where it was missed.  Longer than
any item waits on its way, so nothing goes round for ever."""

FRAME_RATE_PER_S, FRAME_BURST = 2 / WAIT_S, 400.0
ITEM_RATE_PER_S, ITEM_BURST = 1_000.0, 8.0 * MAX_FRAME_ITEMS
"""What one peer may send; an honest one sends half of it at most, whatever it was sent.  In bytes: 512 kB a second."""

WRITE_TIMEOUT_S = 5.0
"""A frame takes a millisecond; who takes none for so long gets what is said later, on another stream."""

REOPEN_S = 1.0
"""Between a stream that broke and the next: a peer that resets them all costs one a second."""

ADMIT_TIMEOUT_S = 10.0
"""Signatures of a frame take a tenth of a second; what takes this long hangs, and its frame is let go."""

Admit = Callable[[str, Sequence[bytes]], Awaitable[Collection[bytes]]]


class Line:
    """What one neighbour is still to be sent."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.filled = trio.Event()
        self._waiting: dict[bytes, bytes] = {}
        self._budget = TokenBucket(ITEM_RATE_PER_S / 2, ITEM_BURST / 2)

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, items: dict[bytes, bytes]) -> None:
        """Add items by their ids; where there are too many the oldest go."""
        self._waiting.update(items)
        for key in list(islice(self._waiting, max(0, len(self._waiting) - MAX_WAITING))):
            del self._waiting[key]
        self.filled.set()

    def strike(self, keys: Iterable[bytes]) -> None:
        """The neighbour has these."""
        for key in keys:
            self._waiting.pop(key, None)

    def take(self) -> tuple[bytes, ...]:
        """The next frame's items, none where nothing waits or too much was sent lately."""
        items = cut_to_size(islice(self._waiting.values(), MAX_FRAME_ITEMS), MAX_FRAME_BYTES)
        if not self._budget.take(len(items)):
            return ()
        for key in list(islice(self._waiting, len(items))):
            del self._waiting[key]
        if not self._waiting:
            self.filled = trio.Event()
        return items

    def clear(self) -> None:
        """Give up what waits."""
        self._waiting.clear()
        self.filled = trio.Event()


class Relay:
    """Items of one kind, to and from the neighbours, under one protocol id."""

    def __init__(self, host: GuardedHost, protocol: str) -> None:
        self._host = host
        self._protocol = TProtocol(protocol)
        self._admit: Admit = _nobody
        self._neighbours: Callable[[], set[str]] = set
        self._nursery: trio.Nursery | None = None
        self._lines: dict[str, Line] = {}
        self._readers: dict[str, trio.CancelScope] = {}
        self._known: Newest[bytes, float] = Newest(MAX_KNOWN)
        self._judging = trio.Lock()
        self._frame_rates = Buckets(FRAME_RATE_PER_S, FRAME_BURST)
        self._item_rates = Buckets(ITEM_RATE_PER_S, ITEM_BURST)
        self.report: Report = lambda _peer_id, _weight, _why: None
        self.on_bug: Callable[[Exception], None] = lambda _error: None

    def serve(self, admit: Admit, neighbours: Callable[[], set[str]]) -> None:
        """Take items and pass them on to ``neighbours()``, ids of connected peers.

        ``admit(peer_id, items)`` gets those that are new, and is the receiver; it gives back those to pass on, and
        blames the peer itself.  Frames are judged one at a time, in turn.  Items that it does not give back are new
        when they come again.  ``InvariantBroken`` stops the transport; what else it raises is logged as our fault.
        """
        self._admit = admit
        self._neighbours = neighbours
        self._host.set_stream_handler(self._protocol, self._handle)

    async def run(self) -> None:
        """Send what there is to send, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await trio.sleep_forever()

    def send(self, items: Iterable[bytes]) -> None:
        """Queue items of our own for the neighbours, also some that were sent before: it never waits.

        Raises :class:`InvariantBroken` for an item that they would refuse.
        """
        own = {sha256(item).digest(): item for item in items}
        if not all(map(_is_item, own.values())):
            raise InvariantBroken(f"an item has 1 to {MAX_ITEM_BYTES} bytes")
        self._remember(own)
        self._offer(own, "")

    def forget(self, peer_id: str) -> None:
        """A peer has gone; drop what was kept for it."""
        line = self._lines.pop(peer_id, None)
        if line is not None:
            line.scope.cancel()

    def waiting(self, peer_id: str) -> int:
        """How many items wait to be sent to a peer."""
        return len(self._lines.get(peer_id, ()))

    # -- what is sent ---------------------------------------------------------------------------------

    def _offer(self, items: dict[bytes, bytes], sender: str) -> None:
        if items:
            for peer_id in sorted(self._neighbours() - {sender}):
                self._line(peer_id).put(items)

    def _line(self, peer_id: str) -> Line:
        line = self._lines.get(peer_id)
        if line is None:
            line = Line()
            if self._nursery is not None and self._host.is_connected(peer_id):
                self._lines[peer_id] = line
                self._nursery.start_soon(self._run_line, peer_id, line)
        return line

    async def _run_line(self, peer_id: str, line: Line) -> None:
        with line.scope:
            while self._host.is_connected(peer_id):
                await line.filled.wait()
                await self._feed(peer_id, line)
                line.clear()
                await trio.sleep(REOPEN_S)
        if self._lines.get(peer_id) is line:
            del self._lines[peer_id]

    async def _feed(self, peer_id: str, line: Line) -> None:
        """Send over one stream until it breaks."""
        stream = await self._open(peer_id)
        if stream is None:
            return
        try:
            while True:
                await line.filled.wait()
                await trio.sleep(WAIT_S)
                items = line.take()
                if items:
                    with trio.fail_after(WRITE_TIMEOUT_S):
                        await write_frame(stream, RawItems(items).encode())
        except (StreamEnded, trio.TooSlowError) as error:
            log.info("peer %s takes no more items: %r", peer_id, error)
        finally:
            await reset_quietly(stream)

    async def _open(self, peer_id: str) -> INetStream | None:
        try:
            with trio.move_on_after(WRITE_TIMEOUT_S):
                return await self._host.new_stream(ID.from_base58(peer_id), [self._protocol])
        except (StreamFailure, *LIBRARY_ERRORS) as error:
            log.debug("no stream of items to %s: %r", peer_id, error)
        return None

    # -- what is received -----------------------------------------------------------------------------

    async def _handle(self, stream: INetStream) -> None:
        """Read one peer's items until it ends or misbehaves.  A newer stream of the peer replaces this one."""
        peer_id = str(stream.muxed_conn.peer_id)
        replaced = self._readers.pop(peer_id, None)
        if replaced is not None:
            replaced.cancel()
        scope = self._readers[peer_id] = trio.CancelScope()
        fault = ""
        with scope:
            fault = await self._read(FrameReader(stream), peer_id)
        if self._readers.get(peer_id) is scope:
            del self._readers[peer_id]
        await reset_quietly(stream)
        if fault:
            self.report(peer_id, Weight.MALICE, fault)

    async def _read(self, reader: FrameReader, peer_id: str) -> str:
        try:
            while True:
                await trio.lowlevel.checkpoint()  # small frames come from memory: let others run between them
                frame = await reader.frame(MAX_FRAME_BYTES)
                if not self._frame_rates.take(peer_id):
                    self.report(peer_id, Weight.EXCESS, "sends items too fast")
                    continue
                items = _items(frame)
                if self._item_rates.take(peer_id, len(items)):
                    await self._take(peer_id, items)
                else:
                    self.report(peer_id, Weight.EXCESS, "sends too many items")
        except StreamEnded:
            return ""
        except FrameRefused as error:
            return f"sent {error} for items"
        except Refused as error:
            count_refusal(error, is_blamed=True)
            return f"sent {error} for items"

    async def _take(self, peer_id: str, items: Sequence[bytes]) -> None:
        keys = {sha256(item).digest(): item for item in items}
        if peer_id in self._lines:
            self._lines[peer_id].strike(keys)
        # One frame at a time: so no copy of an item is let go because of another that is not let in, and one peer's
        # flood is one frame in the line of all peers.
        async with self._judging:
            fresh = {key: item for key, item in keys.items() if self._is_news(key)}
            if fresh:
                admitted = set(await self._judge(peer_id, tuple(fresh.values())))
                good = {key: item for key, item in fresh.items() if item in admitted}
                self._remember(good)
                self._offer(good, peer_id)

    async def _judge(self, peer_id: str, items: Sequence[bytes]) -> Collection[bytes]:
        try:
            with trio.move_on_after(ADMIT_TIMEOUT_S):
                return await self._admit(peer_id, items)
            log.error("admitting items takes too long")
        except InvariantBroken as error:
            self.on_bug(error)
        except Exception:
            log.exception("admitting items failed")
        return ()

    def _is_news(self, key: bytes) -> bool:
        return self._known.get(key, 0.0) <= trio.current_time()

    def _remember(self, keys: Iterable[bytes]) -> None:
        """These are no news until FORGET_S from now."""
        until = trio.current_time() + FORGET_S
        for key in keys:
            self._known.renew(key, until)


def _items(frame: bytes) -> tuple[bytes, ...]:
    items = RawItems.decode(frame, max_items=MAX_FRAME_ITEMS, max_bytes=MAX_FRAME_BYTES).items
    if not items or not all(map(_is_item, items)):
        raise Refused(Reason.MALFORMED, f"items have 1 to {MAX_ITEM_BYTES} bytes")
    return items


def _is_item(item: bytes) -> bool:
    return 1 <= len(item) <= MAX_ITEM_BYTES


async def _nobody(_peer_id: str, _items: Sequence[bytes]) -> Collection[bytes]:
    return ()
