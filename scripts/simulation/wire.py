"""What travels between nodes, and what becomes of it at the door: as ``p2p/protocol.py`` does it, without a network.

The code that judges is the node's own, :mod:`chain.protocol.admission` and :mod:`chain.protocol.serving`.  Only
signatures are checked once for all: what they are worth is the same for everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias, TypeVar

from chain.base.errors import Reason, Refused
from chain.branches.blockchain import Blockchain
from chain.consensus.attestations import Attestation, VerifiedAttestation, verify_attestation
from chain.consensus.headers import Header, VerifiedHeader, verify_header
from chain.content.blocks import Block, Heading, assemble, decode_block, decode_heading
from chain.content.genesis import Genesis
from chain.content.transactions import Transaction, VerifiedTransaction, decode_transaction, verify_transaction
from chain.protocol import admission, serving
from chain.protocol.admission import (
    Admission,
    AdmittedAnnouncement,
    AdmittedAttestations,
    AdmittedBatch,
    AdmittedClaim,
    Blamed,
    Known,
    PlausibleAnnouncement,
    ReadBatch,
    Rejected,
    rejected,
)
from chain.protocol.events import (
    AttestationsReceived,
    BlockAnnounced,
    BlocksReceived,
    Event,
    HeadingsReceived,
    MissingReceived,
    Request,
    StatusReceived,
    TransactionsReceived,
)
from chain.protocol.messages import Announcement, GetBlocks, GetHeadings, GetTransactions, RawItems, batches

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Announced:
    """Gossip about a block: an encoded announcement."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """Gossip of transactions, encoded."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Attested:
    """Attestations that are passed on, encoded."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """Where the sender says it stands: an encoded status."""

    data: bytes


Gossip: TypeAlias = Announced | Batch | Attested
Message: TypeAlias = Gossip | Claim


def announcement_of(block: Block) -> Announced:
    """How a block is announced."""
    ids = tuple(transaction.id for transaction in block.transactions)
    return Announced(Announcement(block.header.raw, block.ballot.raw, ids).encode())


def attested(attestations: Sequence[VerifiedAttestation]) -> Attested:
    """How attestations are passed on."""
    return Attested(RawItems(tuple(attestation.raw for attestation in attestations)).encode())


def batched(transactions: Sequence[VerifiedTransaction]) -> Iterable[Batch]:
    """How transactions are gossiped."""
    return (Batch(batch.encode()) for batch in batches([transaction.raw for transaction in transactions]))


class Signatures:
    """Checks each signature once, for all nodes of a world."""

    def __init__(self, chain_id: bytes) -> None:
        self._chain_id = chain_id
        self._attestations: dict[bytes, VerifiedAttestation] = {}
        self._headers: dict[bytes, VerifiedHeader] = {}
        self._transactions: dict[bytes, VerifiedTransaction] = {}
        self._blocks: dict[bytes, Block] = {}

    def header(self, header: Header) -> VerifiedHeader:
        """Check one header.  Raises :class:`Refused`."""
        if header.id not in self._headers:
            self._headers[header.id] = verify_header(header, self._chain_id)
        return self._headers[header.id]

    def attestation(self, attestation: Attestation) -> VerifiedAttestation:
        """Check one attestation.  Raises :class:`Refused`."""
        if attestation.id not in self._attestations:
            self._attestations[attestation.id] = verify_attestation(attestation, self._chain_id)
        return self._attestations[attestation.id]

    def transactions(self, raws: Iterable[bytes]) -> tuple[VerifiedTransaction, ...]:
        """Decode and check transactions.  Raises :class:`Refused` for the first bad one."""
        return tuple(
            self._transactions.get(sha256(raw).digest()) or self._check(decode_transaction(raw)) for raw in raws
        )

    def heading(self, raw: bytes) -> Heading:
        """Decode and check a heading.  Raises :class:`Refused`."""
        header, ballot = decode_heading(raw)
        return Heading(self.header(header), ballot)

    def block(self, raw: bytes) -> Block:
        """Decode and check a whole block.  Raises :class:`Refused`."""
        key = sha256(raw).digest()
        if key not in self._blocks:
            header, ballot, transactions = decode_block(raw)
            verified = self.header(header)
            self._blocks[key] = assemble(
                verified, ballot, [self._transactions.get(item.id) or self._check(item) for item in transactions]
            )
        return self._blocks[key]

    def _check(self, transaction: Transaction) -> VerifiedTransaction:
        return self._transactions.setdefault(transaction.id, verify_transaction(transaction, self._chain_id))


class Door:
    """One node's way in."""

    def __init__(self, genesis: Genesis, signatures: Signatures) -> None:
        self.admission = Admission(genesis)
        self._signatures = signatures

    def let_in(self, sender: str, message: Message, chain: Blockchain, now_ms: int) -> Event | Known | Rejected:
        """What a message becomes: an event of the engine, nothing new, or it is turned away."""
        match message:
            case Announced(data):
                outcome = self._announcement(data, chain, now_ms)
                return BlockAnnounced(sender, outcome) if isinstance(outcome, AdmittedAnnouncement) else outcome
            case Batch(data):
                batch = self._batch(data)
                return TransactionsReceived(sender, batch) if isinstance(batch, AdmittedBatch) else batch
            case Attested(data):
                heard = self._attestations(data, chain)
                return AttestationsReceived(sender, heard) if isinstance(heard, AdmittedAttestations) else heard
            case Claim(data):
                claim = self.admission.claim(data, sender, now_ms)
                return StatusReceived(sender, claim) if isinstance(claim, AdmittedClaim) else claim

    def open_reply(self, peer: str, request: Request, reply: bytes) -> tuple[Event, Refused | None]:
        """The event that a reply is, and what is wrong with its end.  Raises :class:`Refused` where all of it is."""
        if len(reply) > serving.kind_of(request).max_reply:
            raise Refused(Reason.TOO_LARGE, f"a reply of {len(reply)} bytes")
        items = serving.read_reply(request, reply)
        match request:
            case GetTransactions():
                return MissingReceived(peer, request, self._signatures.transactions(items)), None
            case GetHeadings():
                headings, flaw = _up_to_a_flaw(map(self._signatures.heading, items))
                return HeadingsReceived(peer, request, headings), flaw
            case GetBlocks():
                blocks, flaw = _up_to_a_flaw(map(self._signatures.block, items))
                return BlocksReceived(peer, request, blocks), flaw

    def _announcement(self, data: bytes, chain: Blockchain, now_ms: int) -> AdmittedAnnouncement | Known | Rejected:
        plausible = self.admission.announcement(data, chain, now_ms)
        if not isinstance(plausible, PlausibleAnnouncement):
            return plausible
        try:
            return self.admission.admit(plausible, self._signatures.header(plausible.header))
        except Refused as refusal:
            return rejected(refusal)

    def _attestations(self, data: bytes, chain: Blockchain) -> AdmittedAttestations | Rejected:
        read = admission.attestation_batch(data)
        if not isinstance(read, ReadBatch):
            return read
        plausible = self.admission.plausible_attestations(read, chain)
        if isinstance(plausible, Blamed):
            return plausible
        try:
            return self.admission.admit_attestations(tuple(map(self._signatures.attestation, plausible)))
        except Refused as refusal:
            return rejected(refusal)

    def _batch(self, data: bytes) -> AdmittedBatch | Rejected:
        read = admission.batch(data, has_room=True)  # the pool of a simulated node never fills
        if not isinstance(read, ReadBatch):
            return read
        try:
            return AdmittedBatch(self._signatures.transactions(read.items))
        except Refused as refusal:
            return rejected(refusal)


def _up_to_a_flaw(checked: Iterator[T]) -> tuple[tuple[T, ...], Refused | None]:
    """What comes before the first that is refused, and why that is; raises :class:`Refused` where it is the first."""
    good: list[T] = []
    try:
        good.extend(checked)
    except Refused as refusal:
        if not good:
            raise
        return tuple(good), refusal
    return tuple(good), None
