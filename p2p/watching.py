"""Following a network by its headers alone, from whoever is connected: none of them is trusted, and each is enough.

Every peer has a task that asks where it stands and fetches the headers that it claims and that are not here.  Who is
slow holds nobody up; what is refused gets its sender banned.  Where a peer's chain leaves ours further back than is
remembered, both are counted again from the beginning, side by side.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import takewhile
from typing import TypeVar

import trio

from chain.base.errors import Disposition, Reason, Refused
from chain.base.newest import Newest
from chain.branches.lightchain import LightChain, rehearse, shown_final, verified
from chain.consensus.headers import VerifiedHeader
from chain.content.blocks import Heading, decode_heading
from chain.documents.proof import Proven, check_evidence
from chain.protocol import serving
from chain.protocol.messages import MAX_BLOCKS_PER_REQUEST, MAX_MESSAGE_BYTES, GetHeadings, GetStatus, Status
from chain.protocol.serving import HEADINGS, STATUS
from p2p.clocks import wall_ms
from p2p.limits import TokenBucket
from p2p.network import Transport, TransportConfig, open_transport
from p2p.prices import PROOF
from p2p.reputation import Weight
from p2p.requests import RequestError

T = TypeVar("T")
R = TypeVar("R")

Keep = Callable[[LightChain, Sequence[Heading]], None]
"""Called with headings that were just added to a chain, in their order; before a checkpoint is reached there may be
several chains, one after the other."""

log = logging.getLogger(__name__)

# Slots are not shorter, as a rule.
POLL_S = 1.0
ASK_TIMEOUT_S = 10.0
# Who brings headers leads, and others wait for it as long as more of them come at least so often.
LEAD_S = 3.0
# And as long as those are so many or so large, or all that it claims: who brings one at a time leads nobody.
LEAD_HEADINGS = 64
LEAD_BYTES = 100_000
# What is asked for first where a peer's headers do not stand on ours; twice as much the next time.
STEP_BACK = 32
# So far behind what is final here, a proof is one of yesterday.
STALE_BLOCKS = 64
# Whole chains are counted again one at a time, and so many an hour: identities cost nothing.
COMPARED_AN_HOUR = 8
# Slots that begin later are not looked at: a validator could fill them with headers that nobody outdoes.
AHEAD_MS = 60_000
THREADS = 2
# Identities cost nothing: of so many that sent something wrong it is told what.
MAX_REFUSED = 256


class Watch:
    """A light chain, and those who bring its headers.

    ``chain`` is the chain that goes through the checkpoint, once any peer has shown it; ``refused`` says of each peer
    that brought something wrong what that was.
    """

    def __init__(self, transport: Transport, chain: LightChain, keep: Keep = lambda _chain, _headings: None) -> None:
        self.chain = chain
        self.refused: Newest[str, str] = Newest(MAX_REFUSED)
        self._transport = transport
        self._genesis = chain.genesis
        self._threads = trio.CapacityLimiter(THREADS)
        self._keep = keep
        # Until the checkpoint is reached, each peer is believed by itself alone, and one after the other.
        self._trial: tuple[str, LightChain] = "", chain
        self._compared: set[str] = set()
        self._comparing = trio.Lock()
        self._comparisons = TokenBucket(COMPARED_AN_HOUR / 3_600, COMPARED_AN_HOUR)
        self._statuses: dict[str, Status] = {}
        self._leader = ""
        self._moved_at = 0.0
        self._news = trio.Event()

    async def run(self) -> None:
        """Follow whoever is connected, until cancelled."""
        peers, scopes = self._transport.peers, dict[str, trio.CancelScope]()
        async with trio.open_nursery() as nursery:
            while True:
                connected = {info.peer_id for info in peers.connected()}
                for peer in scopes.keys() - connected:
                    scopes.pop(peer).cancel()
                    self._forget(peer)
                for peer in connected - scopes.keys():
                    scopes[peer] = trio.CancelScope()
                    nursery.start_soon(self._follow, peer, scopes[peer])
                await trio.sleep(POLL_S / 4)

    def _forget(self, peer: str) -> None:
        self._give_up(peer)
        self._statuses.pop(peer, None)
        self._compared.discard(peer)

    @property
    def claimed(self) -> int:
        """The greatest height that a peer claims to have."""
        return max((status.height for status in self._statuses.values()), default=0)

    @property
    def peers(self) -> tuple[str, ...]:
        """Who said where it stands."""
        return tuple(self._statuses)

    @property
    def has_caught_up(self) -> bool:
        """Whether a peer's chain is here up to its head, and the checkpoint reached."""
        return self.chain.is_anchored and any(each.head_id in self.chain for each in self._statuses.values())

    async def moved(self) -> None:
        """Wait until something is new."""
        await self._news.wait()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()

    # ------------------------------------------------------------------------------------------------- one peer

    async def _follow(self, peer: str, scope: trio.CancelScope) -> None:
        with scope:
            while True:
                try:
                    status = Status.decode(await self.ask(peer, STATUS.name, GetStatus().encode(), STATUS.max_reply))
                    self._statuses[peer] = status
                    self._tell()
                    await self._chase(peer, status)
                except RequestError as failure:
                    log.info("peer %s: %s", peer, failure)
                except Refused as refusal:
                    self.blame(peer, refusal)
                await trio.sleep(POLL_S)

    def blame(self, peer: str, refusal: Refused) -> None:
        """Send a peer away that sent what no honest one does."""
        self._give_up(peer)
        if refusal.reason.disposition is Disposition.BLAME:
            self.refused[peer] = str(refusal)
            self._tell()
        self._transport.peers.refuse(peer, refusal, Weight.MALICE)

    async def ask(self, peer: str, name: str, question: bytes, limit: int) -> bytes:
        """A peer's reply of at most ``limit`` bytes.  Raises :class:`~p2p.requests.RequestError`."""
        return await self._transport.requests.ask(peer, name, question, max_response=limit, timeout_s=ASK_TIMEOUT_S)

    def _chain_of(self, peer: str) -> LightChain:
        """The chain that this peer brings; before the checkpoint is reached, one that it begins where nobody leads."""
        if self.chain.is_anchored:
            return self.chain
        if self._trial[0] != peer:
            self._trial = peer, LightChain(self._genesis, self.chain.checkpoint)
            self._lead(peer)
        return self._trial[1]

    def _give_up(self, peer: str) -> None:
        """What this peer alone brought is nothing."""
        if self._trial[0] == peer:
            self._trial = "", self.chain
        if self._leader == peer:
            self._leader = ""

    def _lead(self, peer: str) -> None:
        self._leader, self._moved_at = peer, trio.current_time()

    async def _chase(self, peer: str, status: Status) -> None:
        """Fetch what a peer claims and is not here.  Raises :class:`Refused`, and what asking raises."""
        if self._others_lead(peer):
            return
        back, start = 0, self._chain_of(peer).head.header.height + 1
        while not self._others_lead(peer):
            chain = self._chain_of(peer)
            if status.head_id in chain or status.height < chain.lowest:
                return
            start = max(chain.lowest, min(start, status.height) - back)
            headings = await self._headings(peer, status, start, chain)
            if not headings:
                return  # it does not have what it claims, any more
            if chain.get(headings[0].header.parent) is None:
                if start == chain.lowest:
                    await self._compare(peer, status)
                    return
                back = max(STEP_BACK, 2 * back)
                continue
            self._take(peer, status, chain, headings, await self._prepared(chain, headings))
            back, start = 0, headings[-1].header.height + 1

    def _others_lead(self, peer: str) -> bool:
        is_recent = trio.current_time() - self._moved_at < LEAD_S
        return self._leader not in ("", peer) and self._leader in self._statuses and is_recent

    def _take(self, peer: str, status: Status, chain: LightChain, headings: Sequence[Heading], shown: int) -> None:
        if chain not in (self.chain, self._trial[1]):
            return  # another has begun meanwhile
        news = [heading for heading in headings if heading.header.id not in chain]
        for count, heading in enumerate(news):
            try:
                chain.add(heading, is_shown=heading.header.height <= shown)
            except Refused:
                self._keep(chain, news[:count])
                raise
        self._keep(chain, news)
        if news and (_are_many(news) or news[-1].header.id == status.head_id):
            self._lead(peer)
        if chain is not self.chain and chain.is_anchored:
            self.chain = chain
        self._tell()

    # ---------------------------------------------------------------------------------------- headers, checked

    async def _headings(self, peer: str, status: Status, start: int, chain: LightChain) -> list[Heading]:
        """Headings in a row from a height, each signed by its proposer.  Raises :class:`Refused`."""
        count = min(MAX_BLOCKS_PER_REQUEST, status.height - start + 1)
        request = GetHeadings(status.head_id, start, count)
        raws = serving.read_reply(request, await self.ask(peer, HEADINGS.name, request.encode(), HEADINGS.max_reply))
        headings = [each for part in await self._in_threads(raws, partial(_read, chain)) for each in part]
        for at, heading in enumerate(headings):
            if heading.header.height != start + at or (at and heading.header.parent != headings[at - 1].header.id):
                raise Refused(Reason.UNSOLICITED, "the reply is not one branch from the height asked for")
        latest = self._genesis.slot_at(wall_ms() + AHEAD_MS)
        return list(takewhile(lambda heading: heading.header.slot <= latest, headings))

    async def _prepared(self, chain: LightChain, headings: list[Heading]) -> int:
        """Up to which height they show themselves final; else what they carry is checked beforehand."""
        shown = await trio.to_thread.run_sync(shown_final, headings, chain, limiter=self._threads)
        rest = [heading for heading in headings if not chain.is_vouched(heading.header.height)]
        if not shown and rest:
            await self._in_threads(rest, lambda part: rehearse(part, headings, chain))
        return shown

    async def _in_threads(self, items: Sequence[T], work: Callable[[Sequence[T]], R]) -> list[R]:
        """The results of ``work`` on equal parts of some items, in their order.  Raises what it raises."""
        size = -(-len(items) // THREADS) or 1
        parts = [items[at : at + size] for at in range(0, len(items), size)]
        results: dict[int, R] = {}
        errors: dict[int, Refused] = {}

        async def run(number: int) -> None:
            try:
                results[number] = await trio.to_thread.run_sync(work, parts[number], limiter=self._threads)
            except Refused as refusal:
                errors[number] = refusal

        async with trio.open_nursery() as nursery:
            for number in range(len(parts)):
                nursery.start_soon(run, number)
        for number in sorted(errors):
            raise errors[number]
        return [results[number] for number in range(len(parts))]

    # ----------------------------------------------------------------------------------------- two whole chains

    async def _compare(self, peer: str, status: Status) -> None:
        """Count a peer's chain from the beginning beside ours, to see whether both are final.

        Raises :class:`Refused` where the peer's is none, and what asking it raises.
        """
        async with self._comparing:
            if peer in self._compared or self.chain.contradiction is not None:
                return
            if self._comparisons.take():
                self._compared.add(peer)
                await self._count_both(peer, status)

    async def _count_both(self, peer: str, status: Status) -> None:
        both = LightChain(self._genesis, self.chain.checkpoint)
        ours = Status(self.chain.head.header.id, self.chain.head.header.height, 0, 0)
        mine, other = 1, 1
        while other <= status.height and both.contradiction is None:
            if mine <= min(other, ours.height):
                headings = await self._from_a_friend(peer, ours, mine, both)
                if not headings:
                    self._compared.discard(peer)  # nobody was there who shares ours
                    if mine == 1:
                        self._comparisons.give_back()
                    return
                mine = headings[-1].header.height + 1
                _add_all(both, headings)
            headings = await self._headings(peer, status, other, both)
            if not headings:
                return
            _add_all(both, headings)
            other = headings[-1].header.height + 1
        if both.contradiction is not None:
            self.chain.contradiction = both.contradiction
            self._tell()

    async def _from_a_friend(self, peer: str, ours: Status, start: int, chain: LightChain) -> list[Heading]:
        for friend in self.peers:
            if friend != peer:
                try:
                    if headings := await self._headings(friend, ours, start, chain):
                        return headings
                except RequestError as failure:
                    log.info("peer %s: %s", friend, failure)
                except Refused as refusal:
                    self.blame(friend, refusal)
        return []

    # ------------------------------------------------------------------------------------------------- members

    async def prove(self, peer: str, key: bytes) -> Proven:
        """What a peer proves about a key, in a state that is final here.

        Raises :class:`Refused`, ``CROSSES_FINALITY`` where it is of a state that is not final here, or no more known;
        and what asking raises.
        """
        data = await self.ask(peer, PROOF, key, MAX_MESSAGE_BYTES)
        proven = await trio.to_thread.run_sync(check_evidence, self._genesis, data, limiter=self._threads)
        if proven.key != key:
            raise Refused(Reason.UNSOLICITED, "a proof about somebody else")
        header = proven.header
        with trio.move_on_after(ASK_TIMEOUT_S):  # it may be of a block that was not fetched yet
            while header.height > self.chain.final.header.height:
                await self.moved()
        if not self.chain.is_final(header):
            raise Refused(Reason.NOT_EXECUTED, f"height {header.height} is not final here")
        return proven

    async def newest_proof(self, key: bytes) -> Proven:
        """A proof from whichever peer gives a fresh one, or the newest where none is fresh.

        Raises :class:`Refused` ``NOT_EXECUTED`` where nobody gives any.
        """
        found: Proven | None = None
        why = "nobody is connected"
        for peer in self.peers:
            try:
                proven = await self.prove(peer, key)
            except RequestError as failure:
                why = str(failure)
                continue
            except Refused as refusal:
                self.blame(peer, refusal)
                why = str(refusal)
                continue
            if found is None or proven.header.height > found.header.height:
                found = proven
            if found.header.height > self.chain.final.header.height - STALE_BLOCKS:
                return found
        if found is None:
            raise Refused(Reason.NOT_EXECUTED, why)
        return found


def _read(chain: LightChain, raws: Sequence[bytes]) -> list[Heading]:
    """Decode headings, and check who signed those that are news."""
    read = map(decode_heading, raws)
    return [
        Heading(VerifiedHeader(header), ballot) if header.id in chain else verified(header, ballot, chain)
        for header, ballot in read
    ]


def _are_many(headings: Sequence[Heading]) -> bool:
    size = sum(len(heading.header.raw) + len(heading.ballot.raw) for heading in headings)
    return len(headings) >= LEAD_HEADINGS or size >= LEAD_BYTES


def _add_all(chain: LightChain, headings: Sequence[Heading]) -> None:
    for heading in headings:
        chain.add(heading)


@asynccontextmanager
async def open_watch(
    config: TransportConfig, chain: LightChain, keep: Keep = lambda _chain, _headings: None
) -> AsyncIterator[Watch]:
    """Follow the network of ``chain`` from the peers of ``config`` until the block is left.

    Raises :class:`chain.base.errors.OperatorError` for addresses that cannot be used.
    """
    nothing = Status(chain.genesis.id, 0, 0, 0).encode()

    async def status(_peer: str, _question: bytes) -> bytes:
        return nothing

    async with open_transport(config) as transport:
        transport.peers.local_hello = lambda: nothing
        serve = transport.requests.serve
        serve(STATUS.name, status, max_request=STATUS.max_request, max_response=STATUS.max_reply, max_concurrent=8)
        transport.start()
        watch = Watch(transport, chain, keep)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch.run)
            yield watch
            nursery.cancel_scope.cancel()
