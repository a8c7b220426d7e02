"""Fetching the whole of a final state from the peers of a :class:`~p2p.watching.Watch`, which are not trusted.

Each peer is asked now and then which state it gives away.  The one that most of them give is fetched from all of those;
where nobody gives it any more, or less of it comes than of another one, that is turned to, and only what differs is
fetched.  What was promised and not given counts against those who promised it, whatever else they promise then.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection
from typing import Protocol

import trio

from chain.base.errors import Refused
from chain.base.newest import Newest
from chain.branches.blocktree import Judged
from chain.protocol.joining import MAX_BEHIND, Joining
from chain.protocol.messages import MAX_MESSAGE_BYTES, GetPart
from chain.tree.ranges import ANY, WHOLE, read_shown
from p2p.prices import STATE
from p2p.requests import RequestError
from p2p.watching import Watch

log = logging.getLogger(__name__)

# How often peers are looked at that were not there, or rested, and how often each is asked what it gives.
LOOK_S = 0.5
OFFER_S = 3.0
# So long whoever promised a state is waited for, and who brings a large part meanwhile is as good as anybody.
STALLED_S = 20.0
ENOUGH_BYTES = 256_000
# Peers of which it is remembered how much they brought.
MAX_MEASURED = 1_024


class Store(Protocol):
    """What was fetched so far; its methods block, and are called in a thread, one at a time."""

    @property
    def joining(self) -> Joining | None:
        """What is missing of the state that is fetched."""

    @property
    def target(self) -> Judged | None:
        """Of which header that is."""

    def aim(self, target: Judged) -> Joining:
        """Fetch the state of this header; what is here already of another one stays."""

    def take(self, peer: str, request: GetPart, reply: bytes, now_ms: int) -> None:
        """Store what a reply shows.  Raises :class:`Refused`."""


class Fetching:
    """Fetches a state into a store, until all of it is there."""

    def __init__(self, watch: Watch, store: Store) -> None:
        self._watch = watch
        self._store = store
        self._one_at_a_time = trio.Lock()
        self._offers: dict[str, bytes] = {}
        self._asked_at: dict[str, float] = {}
        self._brought: Newest[str, int] = Newest(MAX_MEASURED)
        self._since = trio.current_time()
        self._came: Counter[str] = Counter()
        self._changed = trio.Event()

    async def run(self) -> None:
        """Until the state is whole."""
        async with trio.open_nursery() as nursery:
            while self._store.joining is None or not self._store.joining.is_done:
                self._changed = trio.Event()
                for peer in self._watch.peers:
                    if trio.current_time() - self._asked_at.get(peer, -OFFER_S) >= OFFER_S:
                        self._asked_at[peer] = trio.current_time()
                        nursery.start_soon(self._ask_what_it_gives, peer)
                await self._turn()
                for peer, request in await self._requests():
                    nursery.start_soon(self._ask, peer, request)
                with trio.move_on_after(LOOK_S):
                    await self._changed.wait()
            nursery.cancel_scope.cancel()

    async def _requests(self) -> list[tuple[str, GetPart]]:
        joining = self._store.joining
        if joining is None:
            return []
        async with self._one_at_a_time:
            for peer in self._offers.keys() - set(self._watch.peers):
                del self._offers[peer]
                joining.forget(peer)
            return list(joining.requests([peer for peer in self._offers if self._gives(peer, joining)], _now_ms()))

    def _gives(self, peer: str, joining: Joining) -> bool:
        return self._offers[peer] == joining.root

    # ------------------------------------------------------------------------------------------- which state

    async def _turn(self) -> None:
        """Aim at the state that most peers give, of those that come, where it is worth more than what is fetched."""
        joining, known = self._store.joining, self._known()
        if joining is not None and trio.current_time() - self._since > STALLED_S:
            self._look_back(joining.root)
        givers = {root: self._givers(root) for root in self._offers.values() if root in known}
        worth = {root: self._worth(peers) for root, peers in givers.items()}
        best = max(worth, key=lambda root: (worth[root], known[root].header.height), default=None)
        if best is None or (joining is not None and joining.root in worth and worth[joining.root] >= worth[best]):
            return
        height, count = known[best].header.height, len(givers[best])
        log.info("the state of height %d is fetched; peers that give it: %d", height, count)
        self._begin_to_count()
        async with self._one_at_a_time:
            await trio.to_thread.run_sync(self._store.aim, known[best])

    def _givers(self, root: bytes) -> list[str]:
        return [peer for peer, offered in self._offers.items() if offered == root]

    def _worth(self, peers: Collection[str]) -> tuple[int, int]:
        """Of a state that these give: what one of them brought when it was waited for, and how many they are."""
        return max(self._brought.get(peer, ENOUGH_BYTES) for peer in peers), len(peers)

    def _look_back(self, root: bytes) -> None:
        for peer in self._givers(root):
            self._brought.renew(peer, min(self._came[peer], ENOUGH_BYTES))
        self._begin_to_count()

    def _begin_to_count(self) -> None:
        self._since = trio.current_time()
        self._came.clear()

    def _known(self) -> dict[bytes, Judged]:
        """The states that are known to be final, by their roots."""
        chain, target = self._watch.chain, self._store.target
        finals = {header.state_root: header for header in reversed(chain.finals(MAX_BEHIND))}
        known = {root: judged for root, header in finals.items() if (judged := chain.get(header.id)) is not None}
        return known if target is None else {target.header.state_root: target, **known}

    async def _ask_what_it_gives(self, peer: str) -> None:
        question = GetPart(ANY, WHOLE, 1)
        try:
            reply = await self._watch.ask(peer, STATE, question.encode(), MAX_MESSAGE_BYTES)
            root, _ = await trio.to_thread.run_sync(read_shown, WHOLE, reply)
            self._offers[peer] = root
        except RequestError as failure:
            log.info("peer %s: %s", peer, failure)
            self._offers.pop(peer, None)
        except Refused as refusal:
            self._watch.blame(peer, refusal)
        self._changed.set()

    # --------------------------------------------------------------------------------------------- its parts

    async def _ask(self, peer: str, request: GetPart) -> None:
        joining = self._store.joining
        try:
            reply = await self._watch.ask(peer, STATE, request.encode(), MAX_MESSAGE_BYTES)
            async with self._one_at_a_time:
                await trio.to_thread.run_sync(self._store.take, peer, request, reply, _now_ms())
            self._came[peer] += len(reply)
        except RequestError as failure:
            log.info("peer %s: %s", peer, failure)
            self._offers.pop(peer, None)
            async with self._one_at_a_time:
                if joining is not None:
                    joining.failed(peer, request, _now_ms())
        except Refused as refusal:
            self._watch.blame(peer, refusal)
        self._changed.set()


def _now_ms() -> int:
    return int(trio.current_time() * 1_000)
