"""An independent count of votes, written from the text of the protocol and sharing no code with the chain.

It knows validators of weight 1 that never change, which is what a history has.
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.blocks import Header
from scripts.simulation.settings import BrokenInside


@dataclass(slots=True)
class Info:
    """A block of the window and the votes for it."""

    height: int
    proposer: bytes
    mhg: int
    mhp: int
    prevotes: int = 0
    precommits: int = 0


@dataclass(frozen=True, slots=True)
class Count:
    """The votes after one block; ``infos`` is the window, newest first."""

    header: Header | None
    infos: tuple[Info, ...]
    largest_precommit: dict[bytes, int]
    mhp: int
    mhpc: int


class Oracle:
    """Counts the votes after every block that an honest node stored, and judges its header."""

    def __init__(self, genesis_id: bytes, validators: tuple[bytes, ...], batch: int) -> None:
        self.counts = {genesis_id: Count(None, (), dict.fromkeys(validators, 0), 0, 0)}
        self._validators = validators
        self._threshold = 2 * len(validators) // 3 + 1
        self._window = 3 * batch

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
        if header.proposer != self._validators[header.slot % len(self._validators)]:
            raise BrokenInside(f"{name} was stored, but slot {header.slot} is another validator's")
        if header.mhp != before.mhp:
            raise BrokenInside(f"{name} was stored with mhp {header.mhp}, but {before.mhp} is prevoted before it")
        earlier = next((info for info in before.infos if info.proposer == header.proposer), None)
        if earlier is not None and contradict(earlier, header):
            raise BrokenInside(f"{name} was stored, but contradicts its proposer's block at height {earlier.height}")
        self.counts[header.id] = self._apply(before, header)

    def _apply(self, before: Count, header: Header) -> Count:
        infos = [Info(header.height, header.proposer, header.mhg, header.mhp)]
        infos += [Info(i.height, i.proposer, i.mhg, i.mhp, i.prevotes, i.precommits) for i in before.infos]
        del infos[self._window :]
        largest = before.largest_precommit
        if header.mhg < header.height:
            lowest = max(1, _not_voted(infos) + 1, largest[header.proposer] + 1)
            hits = [info for info in infos if info.height >= lowest and info.prevotes >= self._threshold]
            for info in hits:
                info.precommits += 1
            if hits:
                largest = {**largest, header.proposer: hits[0].height}
            for info in infos:
                if info.height >= max(header.mhg + 1, 1):
                    info.prevotes += 1
        prevoted = [info.height for info in infos if info.prevotes >= self._threshold]
        precommitted = [info.height for info in infos if info.precommits >= self._threshold]
        mhp = max([before.mhp, *prevoted])
        return Count(header, tuple(infos), largest, mhp, max([before.mhpc, *precommitted]))


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
