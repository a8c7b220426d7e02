"""What gossip and the relay bring: judged (:mod:`chain.protocol.admission`), passed on, and then the engine's."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from chain.base.errors import Reason, Refused
from chain.protocol import admission
from chain.protocol.admission import (
    Admission,
    AdmittedAnnouncement,
    AdmittedAttestations,
    AdmittedBatch,
    Blamed,
    Dropped,
    Known,
    PlausibleAnnouncement,
    ReadBatch,
    Rejected,
    rejected,
)
from chain.protocol.events import AttestationsReceived, BlockAnnounced, TransactionsReceived
from chain.protocol.trial import screen
from p2p.backend import Backend
from p2p.lobby import Use
from p2p.peers import PeerSupervisor
from p2p.reputation import count_refusal
from p2p.signatures import Signatures

log = logging.getLogger(__name__)


class Reception:
    """Takes what peers say to everybody, for the node behind it."""

    def __init__(self, node: Backend, peers: PeerSupervisor, signatures: Signatures, admission: Admission) -> None:
        self._node = node
        self._peers = peers
        self._signatures = signatures
        self._admission = admission

    async def on_batch(self, peer: str, data: bytes) -> bool:
        """Take gossiped transactions, as :meth:`p2p.gossip.Gossip.subscribe` wants it.  Raises :class:`Refused`."""
        match await self._admit_batch(data):
            case AdmittedBatch() as batch:
                await self._node.post(TransactionsReceived(peer, batch))
                self._peers.credit(peer, Use.DELIVERED)
                return True
            case rejection:
                return _turned_away("transactions", peer, rejection)

    async def _admit_batch(self, data: bytes) -> AdmittedBatch | Rejected:
        read = admission.batch(data, has_room=self._node.has_room)
        if not isinstance(read, ReadBatch):
            return read
        look = screen(self._node.chain, takes_strangers=self._node.takes_strangers)
        try:
            return AdmittedBatch(await self._signatures.transactions(read.items, screen=look))
        except Refused as refusal:
            return rejected(refusal)

    async def on_announcement(self, peer: str, data: bytes) -> bool:
        """The same of an announcement of a block.  Raises :class:`Refused` for what is dropped without blame."""
        match await self._admit_announcement(data):
            case AdmittedAnnouncement() as announcement:
                await self._node.post(BlockAnnounced(peer, announcement))
                if not announcement.is_news:
                    raise Refused(Reason.CROSSES_FINALITY, f"height {announcement.header.height} is final here")
                self._peers.credit(peer, Use.DELIVERED)
                return True
            case Known():
                return True
            case rejection:
                return _turned_away("announcement", peer, rejection)

    async def _admit_announcement(self, data: bytes) -> AdmittedAnnouncement | Known | Rejected:
        plausible = self._admission.announcement(data, self._node.chain, self._node.now_ms())
        if not isinstance(plausible, PlausibleAnnouncement):
            return plausible
        try:
            return self._admission.admit(plausible, await self._signatures.header(plausible.header))
        except Refused as refusal:
            return rejected(refusal)

    async def on_attestations(self, peer: str, items: Sequence[bytes]) -> tuple[bytes, ...]:
        """Take attestations of the relay; those that are to be passed on, as a :data:`p2p.relay.Admit` says."""
        match await self._admit_attestations(items):
            case AdmittedAttestations(attestations) as batch:
                if attestations:
                    await self._node.post(AttestationsReceived(peer, batch))
                    self._peers.credit(peer, Use.DELIVERED)
                return tuple(attestation.raw for attestation in attestations)
            case Blamed(refusal):
                self._peers.refuse(peer, refusal)
        return ()

    async def _admit_attestations(self, items: Sequence[bytes]) -> AdmittedAttestations | Rejected:
        plausible = self._admission.plausible_attestations(ReadBatch(tuple(items)), self._node.chain)
        if isinstance(plausible, Blamed):
            return plausible
        try:
            return self._admission.admit_attestations(await self._signatures.attestations(plausible))
        except Refused as refusal:
            return rejected(refusal)


def _turned_away(what: str, peer: str, rejection: Rejected) -> bool:
    """What gossip makes of something that is not let in: False blames its sender, :class:`Refused` nobody."""
    # How much that weighs is gossip's, so this is counted here.
    count_refusal(rejection.refusal, is_blamed=isinstance(rejection, Blamed))
    if isinstance(rejection, Dropped):
        raise rejection.refusal
    log.info("%s from %s refused: %s", what, peer, rejection.refusal)
    return False
