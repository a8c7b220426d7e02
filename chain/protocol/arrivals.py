"""Announced blocks that cannot be added yet: their slot is about to begin, or transactions are missing."""

from __future__ import annotations

from dataclasses import dataclass

from chain.branches.blocktree import MAX_BLOCKS_PER_SLOT
from chain.consensus.headers import VerifiedHeader
from chain.protocol.admission import AdmittedAnnouncement
from chain.protocol.events import Peer
from chain.protocol.messages import GetTransactions

# Honest leaders make one block a slot, so few ever wait at once; a newcomer never drives out who waits.
MAX_WAITING = 64


@dataclass(slots=True)
class Arrival:
    """An announced block.  ``due_ms`` is when its slot begins, 0 once it has begun."""

    peer: Peer
    announcement: AdmittedAnnouncement
    arrived_in_slot: bool
    due_ms: int

    @property
    def header(self) -> VerifiedHeader:
        return self.announcement.header


class WaitingRoom:
    """Arrivals by block id, at most :data:`MAX_WAITING`; of one slot and proposer, as many as the block tree takes."""

    def __init__(self) -> None:
        self._arrivals: dict[bytes, Arrival] = {}

    def __contains__(self, block_id: bytes) -> bool:
        return block_id in self._arrivals

    def __len__(self) -> int:
        return len(self._arrivals)

    def add(self, arrival: Arrival) -> bool:
        """Let a block wait.  False where there is no room."""
        slot, proposer = arrival.header.slot, arrival.header.proposer
        same_slot = sum(
            waiting.header.slot == slot and waiting.header.proposer == proposer for waiting in self._arrivals.values()
        )
        if len(self._arrivals) >= MAX_WAITING or same_slot >= MAX_BLOCKS_PER_SLOT:
            return False
        self._arrivals[arrival.header.id] = arrival
        return True

    def take_due(self, now_ms: int) -> list[Arrival]:
        """Take out those whose slot has begun."""
        return self._take([item for item in self._arrivals.values() if item.due_ms and item.due_ms <= now_ms])

    def take_completed(self, peer: Peer, request: GetTransactions) -> list[Arrival]:
        """Take out those for which ``request`` was sent to ``peer``."""
        wanted = set(request.transaction_ids)
        return self._take(
            [item for item in self._of(peer) if not item.due_ms and wanted.issubset(item.announcement.transaction_ids)]
        )

    def drop(self, peer: Peer) -> None:
        """A peer is gone or does not answer: what it announced may be announced by another."""
        self._take(self._of(peer))

    def wake_ms(self) -> list[int]:
        """When slots begin that are waited for."""
        return [item.due_ms for item in self._arrivals.values() if item.due_ms]

    def _of(self, peer: Peer) -> list[Arrival]:
        return [item for item in self._arrivals.values() if item.peer == peer]

    def _take(self, arrivals: list[Arrival]) -> list[Arrival]:
        for arrival in arrivals:
            del self._arrivals[arrival.header.id]
            arrival.due_ms = 0
        return arrivals
