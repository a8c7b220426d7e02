"""An independent count of votes, written from the text of the protocol and sharing no code with the chain.

Which sets of validators the state announced it is told (:meth:`Oracle.announce`); when they are in force it
finds out by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chain.headers import Header
from scripts.simulation.settings import BrokenInside


@dataclass(slots=True)
class Info:
    """A block of the window and the votes for it."""

    height: int
    proposer: bytes
    mhg: int
    mhp: int
    weights: dict[bytes, int]
    prevotes: int = 0
    precommits: int = 0

    @property
    def threshold(self) -> int:
        """The weight of votes that this block needs."""
        return 2 * sum(self.weights.values()) // 3 + 1


@dataclass(frozen=True, slots=True)
class Count:
    """The votes after one block; ``infos`` is the window, newest first.

    ``weights`` are those in force from the height ``since``, ``reach`` is for each validator the lowest height that
    it votes for and the highest that it precommitted.
    """

    header: Header | None
    infos: tuple[Info, ...]
    weights: dict[bytes, int]
    since: int
    reach: dict[bytes, tuple[int, int]]
    mhp: int
    mhpc: int
    mhpc_before: int


class Oracle:
    """Counts the votes after every block that an honest node stored, and judges its header."""

    def __init__(self, genesis_id: bytes, validators: tuple[bytes, ...], batch: int) -> None:
        weights, reach = dict.fromkeys(validators, 1), dict.fromkeys(validators, (1, 0))
        self.counts = {genesis_id: Count(None, (), weights, 1, reach, 0, 0, 0)}
        self._window = 3 * batch
        self._announced: list[tuple[int, int, dict[bytes, int]]] = []

    def announce(self, decided_height: int, announced_height: int, weights: dict[bytes, int]) -> None:
        """The final chain decided on another set; the order of ``weights`` is that of the leaders."""
        self._announced.append((decided_height, announced_height, weights))

    def learn(self, header: Header) -> None:
        """Count a block on top of its parent.  Raises :class:`BrokenInside` for one that no honest node may store."""
        if header.id in self.counts:
            return
        before = self.counts.get(header.parent)
        name = f"block {header.id.hex()[:8]} at height {header.height}"
        if before is None:
            raise BrokenInside(f"{name} was stored without its parent")
        height, slot = (0, 0) if before.header is None else (before.header.height, before.header.slot)
        if header.height != height + 1 or header.slot <= slot:
            raise BrokenInside(f"{name} in slot {header.slot} was stored on height {height} and slot {slot}")
        before = self._changed(before, header.height)
        leaders = [key for key, weight in before.weights.items() if weight]
        if header.proposer != leaders[header.slot % len(leaders)]:
            raise BrokenInside(f"{name} was stored, but slot {header.slot} is another validator's")
        if header.mhp != before.mhp:
            raise BrokenInside(f"{name} was stored with mhp {header.mhp}, but {before.mhp} is prevoted before it")
        earlier = next((info for info in before.infos if info.proposer == header.proposer), None)
        if earlier is not None and contradict(earlier, header):
            raise BrokenInside(f"{name} was stored, but contradicts its proposer's block at height {earlier.height}")
        self.counts[header.id] = self._apply(before, header)

    def _changed(self, before: Count, height: int) -> Count:
        """With the set that is in force from ``height``, if one was decided on final ground and is due."""
        for decided_height, announced_height, weights in self._announced:
            is_new = before.since <= decided_height <= before.mhpc_before
            if is_new and announced_height <= height:
                reach = {key: before.reach.get(key, (height, height - 1)) for key in weights}
                return replace(before, weights=weights, since=height, reach=reach)
        return before

    def _apply(self, before: Count, header: Header) -> Count:
        proposer = header.proposer
        infos = [Info(header.height, proposer, header.mhg, header.mhp, before.weights)]
        infos += [replace(info) for info in before.infos]
        del infos[self._window :]
        reach = before.reach
        if header.mhg < header.height:
            first, largest = reach[proposer]
            lowest = max(first, _not_voted(infos) + 1, largest + 1)
            hits = [info for info in infos if info.height >= lowest and info.prevotes >= info.threshold]
            for info in hits:
                info.precommits += info.weights.get(proposer, 0)
            if hits:
                reach = {**reach, proposer: (first, hits[0].height)}
            for info in infos:
                if info.height >= max(header.mhg + 1, first):
                    info.prevotes += info.weights.get(proposer, 0)
        prevoted = [info.height for info in infos if info.prevotes >= info.threshold]
        precommitted = [info.height for info in infos if info.precommits >= info.threshold]
        mhp, mhpc = max([before.mhp, *prevoted]), max([before.mhpc, *precommitted])
        return Count(header, tuple(infos), before.weights, before.since, reach, mhp, mhpc, before.mhpc)


def _not_voted(infos: list[Info]) -> int:
    """The largest height that the newest block's proposer did not vote for."""
    height, proposer, previous = infos[0].height, infos[0].proposer, infos[0].mhg
    while height - previous < len(infos):
        info = infos[height - previous]
        if info.proposer != proposer or info.mhg >= previous:
            return previous
        previous = info.mhg
    return infos[-1].height - 1


def contradict(one: Info | Header, two: Info | Header) -> bool:
    """Whether two distinct headers of one validator contradict each other (LIP 0014)."""
    first, second = sorted((one, two), key=lambda header: (header.mhg, header.mhp, header.height))
    return (
        (first.mhp == second.mhp and first.height >= second.height)
        or first.height > second.mhg
        or first.mhp > second.mhp
    )
