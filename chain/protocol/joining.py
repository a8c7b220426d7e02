"""Fetching a state part by part, from several peers at once: who brings what, and what is still missing.

Nothing is trusted but the root: each part is shown to be all that the state holds there (:mod:`chain.tree.ranges`).  A
peer that brings something wrong is asked no more, one that fails rests, and what comes late is asked of another;
whichever comes first is taken.  What is missing is small enough to be stored with every part that was taken, so that
whoever is killed goes on from there.

**Healing.**  The state of a later block is mostly that of an earlier one.  Where the root changes, everything is
missing again, but whatever lies beside a part that comes, and has by its proof the hash that it has here already, is
not asked for: so the walk goes down only to what differs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from chain.base.codec import array, blob, decode, encode
from chain.base.errors import Refused
from chain.base.newest import Newest
from chain.protocol.messages import GetPart
from chain.tree.ranges import MAX_PART_BYTES, WHOLE, Fetched, Part, check_part, read_part
from chain.tree.stateproof import EMPTY, HASH_BYTES, MAX_DEPTH

# So far behind what is final may be what a node gives away: it holds one state while it is asked for.
MAX_BEHIND = 1_024
# Parts that one peer has under way: the next one is on its way while the last one is checked.
PARTS_AT_ONCE = 2
# So long nothing else is asked for what a peer was asked for.
PATIENCE_MS = 5_000
# A peer that failed is not asked for so long; twice as long each time, up to the limit.
REST_MS = 2_000
MAX_REST_MS = 60_000
# Who shows less than this share of the bytes asked for, and not all of the part, holds things up.
STINGY = 16
# Where little differs: some forty entries, and the hashes beside the way to them.  Twice as much as long as all does.
HEAL_BYTES = 4_000
# What may be missing in pieces: those beside the way to each part that is under way.  Each takes some 40 bytes.
MAX_MISSING = 2**14
MAX_SAVED_BYTES = 2**20
# Peers of which it is remembered that they failed or lied: identities cost nothing.
MAX_REMEMBERED = 1_024

Here = Callable[[Part], bytes]
"""The hash of the subtree over what is here of a part (:func:`chain.tree.pages.subtree`)."""


def nothing(_part: Part) -> bytes:
    """Nothing is here."""
    return EMPTY


class Asked(NamedTuple):
    """A part that a peer was asked for, and when."""

    part: Part
    since_ms: int


class Joining:
    """The state under ``root``, as far as it is not here: ``missing`` are disjoint parts, ascending.

    ``here`` tells of entries that are here, of whatever state; ``total`` is how many there will be, 0 as long as no
    part came.
    """

    def __init__(self, root: bytes, missing: Sequence[Part] = (WHOLE,), here: Here = nothing) -> None:
        self.root = root
        self.missing = list(missing)
        self.total = 0
        self._here = here
        self._bytes = MAX_PART_BYTES
        self._asked: dict[tuple[str, GetPart], Asked] = {}
        # How often in a row a peer failed, and until when it rests.
        self._resting: Newest[str, tuple[int, int]] = Newest(MAX_REMEMBERED)
        self._liars: Newest[str, None] = Newest(MAX_REMEMBERED)

    @property
    def is_done(self) -> bool:
        """Whether all of the state is here."""
        return not self.missing

    def turn_to(self, root: bytes) -> None:
        """Fetch another state: of what is here only that which differs."""
        self.root, self.missing, self._bytes = root, [WHOLE], HEAL_BYTES
        self._asked.clear()

    # -------------------------------------------------------------------------------------------- whom to ask

    def requests(self, peers: Collection[str], now_ms: int) -> Iterator[tuple[str, GetPart]]:
        """What to ask of which of the connected peers now."""
        for turn in range(PARTS_AT_ONCE):
            for peer in peers:
                if self._under_way(peer) <= turn and self._is_able(peer, now_ms):
                    part = self._wanted(peer, now_ms)
                    if part is None:
                        continue
                    request = GetPart(self.root, part, min(self._bytes, MAX_PART_BYTES))
                    self._asked[peer, request] = Asked(part, now_ms)
                    yield peer, request

    def _under_way(self, peer: str) -> int:
        return sum(asker == peer for asker, _ in self._asked)

    def _is_able(self, peer: str, now_ms: int) -> bool:
        return peer not in self._liars and self._resting.get(peer, (0, 0))[1] <= now_ms

    def _wanted(self, peer: str, now_ms: int) -> Part | None:
        """The first part that nobody was asked for, else the first that is late with others."""
        askers: dict[Part, list[tuple[str, int]]] = {}
        for (asker, _), (part, since_ms) in self._asked.items():
            askers.setdefault(part, []).append((asker, since_ms))
        for part in self.missing:
            if part not in askers:
                return part
        for part in self.missing:
            others = askers[part]
            if all(asker != peer and not 0 <= now_ms - since_ms < PATIENCE_MS for asker, since_ms in others):
                return part
        return None

    # -------------------------------------------------------------------------------------------- what they bring

    def take(self, peer: str, request: GetPart, reply: bytes, now_ms: int) -> Fetched | None:
        """What a reply shows, where that was missing: these are all the entries there are in its part.

        Raises :class:`Refused` as :func:`~chain.tree.ranges.check_part` does; the peer is asked no more then.
        """
        asked = self._asked.pop((peer, request), None)
        if asked is None:
            return None
        try:
            fetched = check_part(self.root, asked.part, reply)
        except Refused:
            self._liars[peer] = None
            raise
        self.total = fetched.total
        if _is_stingy(request, fetched):
            self._rest(peer, now_ms)
        else:
            self._resting.pop(peer, None)
        return fetched if self._cover(fetched) else None

    def _cover(self, fetched: Fetched) -> bool:
        """A part is here: whether any of it was missing until now."""
        part, covered = fetched.part, False
        missing: list[Part] = []
        for each in self.missing:
            if part.first in each and each.depth <= part.depth:
                covered = True
                missing += self._differing(fetched, each)
            elif each.first in part:
                covered = True
            else:
                missing.append(each)
        if len(missing) > MAX_MISSING:  # it can wait: others fill what there is
            return False
        self.missing = missing
        return covered

    def _differing(self, fetched: Fetched, missing: Part) -> list[Part]:
        """What was missing beside a part, but for what is here with the hash that is shown."""
        shown = list(fetched.beside(missing))
        here = [self._here(part) for part, _ in shown]
        is_known = any(known == digest != EMPTY for known, (_, digest) in zip(here, shown, strict=True))
        self._bytes = HEAL_BYTES if is_known else min(2 * self._bytes, MAX_PART_BYTES)
        return [part for known, (part, digest) in zip(here, shown, strict=True) if known != digest]

    def failed(self, peer: str, request: GetPart, now_ms: int) -> None:
        """A peer brought nothing: it rests, longer each time."""
        if self._asked.pop((peer, request), None) is not None:
            self._rest(peer, now_ms)

    def _rest(self, peer: str, now_ms: int) -> None:
        times = self._resting.get(peer, (0, 0))[0]
        self._resting.renew(peer, (times + 1, now_ms + min(REST_MS << min(times, 16), MAX_REST_MS)))

    def forget(self, peer: str) -> None:
        """A peer is gone, and with it what it was asked for; if it comes back, it still has its rest."""
        for key in [key for key in self._asked if key[0] == peer]:
            del self._asked[key]

    # ------------------------------------------------------------------------------------------------ on the disk

    def encode(self) -> bytes:
        """What is still missing, to be stored together with what :meth:`take` gave."""
        return encode((self.root, tuple(self.missing)))

    @classmethod
    def decode(cls, data: bytes, here: Here = nothing) -> Joining:
        """One that :meth:`encode` wrote.  Raises :class:`Refused` ``MALFORMED``."""
        root, missing = array(decode(data, max_bytes=MAX_SAVED_BYTES, max_items=MAX_MISSING), 2, 2, "a join")
        parts = [read_part(*array(row, 2, 2, "a part")) for row in array(missing, 0, MAX_MISSING, "what is missing")]
        return cls(blob(root, HASH_BYTES, "a root"), parts, here)


def _is_stingy(request: GetPart, fetched: Fetched) -> bool:
    """Whether a reply shows, truly, next to nothing: each time it leaves more pieces than there were."""
    return fetched.part.depth > request.part.depth and STINGY * fetched.size < request.max_bytes


def share(joining: Joining) -> int:
    """How much of all key hashes is here, in thousandths: with many entries, how much of the state."""
    missing = sum(1 << MAX_DEPTH - part.depth for part in joining.missing)
    return 1_000 - (1_000 * missing >> MAX_DEPTH)
