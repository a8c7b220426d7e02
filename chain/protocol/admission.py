"""What the network brings unasked, and whether it gets in: announcements, claims and batches of transactions.

Everything that gossip and greetings bring is judged here, once, before it is passed on to others and before the
engine hears of it.  Checks go from cheap to dear, so that what a stranger can make a node do stays small, and what
must be checked elsewhere in between, the signatures, parts the stages, each of which is a type of its own::

    bytes ──► PlausibleAnnouncement ──► VerifiedHeader ──► AdmittedAnnouncement
    bytes ──► ReadBatch ──────────► VerifiedTransactions ──► AdmittedBatch
    bytes ──► AdmittedClaim

    bytes ──► ReadBatch ──────────► VerifiedAttestations ──► AdmittedAttestations

What does not get in is :class:`Dropped`, which is nobody's fault, or :class:`Blamed`.  Whether a block is any good on
its branch is the engine's to say, and never a reason to blame who passed it on.
Source: protocol 4.3 and 4.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from sortedcontainers import SortedDict

from chain.base.errors import Disposition, InvariantBroken, Reason, Refused
from chain.base.merkle import merkle_root
from chain.branches.blockchain import Blockchain
from chain.consensus.attestations import Attestation, VerifiedAttestation, decode_attestation
from chain.consensus.ballots import Ballot, decode_ballot
from chain.consensus.headers import Header, VerifiedHeader, decode_header
from chain.consensus.judgement import check_ballot
from chain.content.genesis import Genesis
from chain.content.transactions import VerifiedTransaction
from chain.protocol.credentials import check_credential
from chain.protocol.messages import MAX_BATCH_BYTES, MAX_BATCH_TRANSACTIONS, Announcement, RawItems, Status

# How far a header may be ahead of our clock; nearer ones wait for their slot.
CLOCK_DISPARITY_MS = 500
# An announcement is made in its slot.  What comes later than this was held back, and sync brings it if it matters.
MAX_LATE_SLOTS = 1_024
# An honest leader makes one block a slot.  The second is evidence; more would be a flood that everyone forwards.
MAX_ANNOUNCED_PER_SLOT = 2
# An honest validator attests one block of a height; the second is evidence.
MAX_ATTESTED_PER_HEIGHT = 2
# Attestations of blocks that we do not know yet: so far ahead of our head their speakers can be.
MAX_ATTESTED_AHEAD = 64
MAX_BATCH_ATTESTATIONS = 1_024
# A slot has a leader in each set of validators: room for four sets in all slots that are not too late.
MAX_COUNTED = 4 * MAX_LATE_SLOTS
# All speakers of two sets at all heights that are in time, and in a stall the latest of them.
MAX_ATTESTED = 65_536


@dataclass(frozen=True, slots=True)
class Dropped:
    """Not taken and not passed on, and nobody's fault: it depends on our clock, or on what we know."""

    refusal: Refused


@dataclass(frozen=True, slots=True)
class Blamed:
    """No honest peer sends this or passes it on: whoever did pays for it."""

    refusal: Refused


@dataclass(frozen=True, slots=True)
class Known:
    """A good announcement of a block that is here already: to be passed on, and no news."""

    header: Header


@dataclass(frozen=True, slots=True)
class PlausibleAnnouncement:
    """An announcement that is good but for its signature, which was not looked at yet."""

    header: Header
    ballot: Ballot
    transaction_ids: tuple[bytes, ...]
    is_news: bool = True


@dataclass(frozen=True, slots=True)
class AdmittedAnnouncement:
    """A header that its proposer signed and may sign, in time, with the ballot and the ids that it commits to.

    Unless it ``is_news``, it does not stand above what is final here: it is evidence at most, and not passed on.
    """

    header: VerifiedHeader
    ballot: Ballot
    transaction_ids: tuple[bytes, ...]
    is_news: bool = True


@dataclass(frozen=True, slots=True)
class AdmittedClaim:
    """Where a peer says it stands; it may be a lie, but it can be true."""

    status: Status


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """Encoded transactions, not more than a batch holds; none of them was looked at yet."""

    items: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AdmittedBatch:
    """Transactions that their actors signed; whether they are of any use is for the engine to say."""

    transactions: tuple[VerifiedTransaction, ...]


@dataclass(frozen=True, slots=True)
class AdmittedAttestations:
    """Attestations that validators signed, in time; whether their blocks are any good is for the engine to say."""

    attestations: tuple[VerifiedAttestation, ...]


Rejected: TypeAlias = Dropped | Blamed


class Quota:
    """At most ``limit`` things signed for each of the latest ``max_keys`` slots (or heights) and signers."""

    def __init__(self, limit: int, max_keys: int) -> None:
        self._limit = limit
        self._max_keys = max_keys
        # Sorted, as it stays full in a stall, and then each one more asks for the oldest.
        self._taken: SortedDict[tuple[int, bytes], list[bytes]] = SortedDict()

    def __len__(self) -> int:
        return len(self._taken)

    def is_used_up(self, slot: int, signer: bytes, thing: bytes = b"") -> bool:
        """Whether no more are within the limit, but a ``thing`` that was counted before, by its id."""
        taken = self._taken.get((slot, signer), ())
        return len(taken) >= self._limit and (not thing or thing not in taken)

    def take(self, slot: int, signer: bytes, thing: bytes = b"") -> bool:
        """Whether one more is within the limit; if so it is counted, once where it has an id."""
        if self.is_used_up(slot, signer, thing):
            return False
        taken = self._taken.setdefault((slot, signer), [])
        if not thing or thing not in taken:
            taken.append(thing)
        while len(self._taken) > self._max_keys:
            self._taken.popitem(0)
        return True


class Admission:
    """One node's door.  It remembers nothing but how many blocks of each slot came through."""

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis
        self._announced = Quota(MAX_ANNOUNCED_PER_SLOT, MAX_COUNTED)
        self._attested = Quota(MAX_ATTESTED_PER_HEIGHT, MAX_ATTESTED)

    def __len__(self) -> int:
        return len(self._announced) + len(self._attested)

    def announcement(
        self, data: bytes, chain: Blockchain, now_ms: int
    ) -> PlausibleAnnouncement | Known | Dropped | Blamed:
        """Judge an announced block as far as that needs no signature.  Never raises for what is announced."""
        try:
            announcement = Announcement.decode(data)
            header = decode_header(announcement.header)
            ballot = decode_ballot(announcement.ballot)
            check_height(header)
        except Refused as refusal:
            return rejected(refusal)
        try:
            self._check_timely(header, chain, now_ms)
        except Refused as refusal:
            return Dropped(refusal)
        try:
            chain.check_leader(header)
            # Also for a block that is known: a good header must not carry other ids through the network.
            check_ballot(header, ballot)
            check_root(header, announcement.transaction_ids)
        except Refused as refusal:
            return rejected(refusal)
        is_news = _is_news(header, chain)
        if header.id in chain.tree and is_news:
            return Known(header)
        return PlausibleAnnouncement(header, ballot, announcement.transaction_ids, is_news)

    def admit(self, plausible: PlausibleAnnouncement, header: VerifiedHeader) -> AdmittedAnnouncement | Dropped:
        """Let an announcement in whose ``header`` is verified by now, as long as its slot has room.

        Raises :class:`InvariantBroken` for the signature of another header.
        """
        if header.id != plausible.header.id:
            raise InvariantBroken("an announcement admitted by the signature of another")
        if not self._announced.take(header.slot, header.proposer):
            return Dropped(_flood(header))
        return AdmittedAnnouncement(header, plausible.ballot, plausible.transaction_ids, plausible.is_news)

    def plausible_attestations(self, batch: ReadBatch, chain: Blockchain) -> tuple[Attestation, ...] | Blamed:
        """Those of a batch that can be news, as far as that needs no signature.  Never raises for what is in it."""
        try:
            attestations = tuple(map(decode_attestation, batch.items))
        except Refused as refusal:
            return Blamed(refusal)
        lowest, highest = chain.finalized.height + 1, chain.head.header.height + MAX_ATTESTED_AHEAD
        speakers = chain.speakers()
        return tuple(
            each
            for each in attestations
            if lowest <= each.height <= highest
            and each.speaker in speakers
            and not self._attested.is_used_up(each.height, each.speaker, each.id)
        )

    def admit_attestations(self, attestations: tuple[VerifiedAttestation, ...]) -> AdmittedAttestations:
        """Let verified attestations in, as far as their heights have room."""
        return AdmittedAttestations(
            tuple(each for each in attestations if self._attested.take(each.height, each.speaker, each.id))
        )

    def claim(self, data: bytes, peer: str, now_ms: int) -> AdmittedClaim | Blamed:
        """Judge what a peer says of itself.  Never raises for what it says.

        Whoever stands beyond our time counts as standing at the genesis, so that it is known and asked again, and what
        time it has is heard: ours may be wrong.
        """
        try:
            status = Status.decode(data)
            if max(status.mhp, status.finalized_height, status.restart) > status.height:
                raise Refused(Reason.MALFORMED, "a status that contradicts itself")
            check_credential(status.credential, self._genesis.id, peer)
        except Refused as refusal:
            return Blamed(refusal)
        try:
            check_claim(self._genesis, status, now_ms)
        except Refused:
            return AdmittedClaim(Status(self._genesis.id, 0, 0, 0, status.time_ms, status.credential))
        return AdmittedClaim(status)

    def _check_timely(self, header: Header, chain: Blockchain, now_ms: int) -> None:
        """Refuse what is good perhaps, but comes too early, too late, or too often."""
        check_clock(self._genesis, header, now_ms)
        check_not_late(self._genesis, header, now_ms)
        if self._announced.is_used_up(header.slot, header.proposer):
            # What is above the final block and here already passes all the same.
            check_not_final(header, chain)
            if header.id not in chain.tree:
                raise _flood(header)


def batch(data: bytes, *, has_room: bool) -> ReadBatch | Dropped | Blamed:
    """Read a batch of transactions, to have their signatures checked.  Never raises for what is in it.

    Where there is no room for them they are not even read.
    """
    if not has_room:
        return Dropped(Refused(Reason.POOL_FULL, "too many transactions wait already"))
    return _read_batch(data, MAX_BATCH_TRANSACTIONS)


def attestation_batch(data: bytes) -> ReadBatch | Dropped | Blamed:
    """Read a batch of attestations.  Never raises for what is in it."""
    return _read_batch(data, MAX_BATCH_ATTESTATIONS)


def _read_batch(data: bytes, max_items: int) -> ReadBatch | Dropped | Blamed:
    try:
        return ReadBatch(RawItems.decode(data, max_items=max_items, max_bytes=MAX_BATCH_BYTES).items)
    except Refused as refusal:
        return rejected(refusal)


def rejected(refusal: Refused) -> Dropped | Blamed:
    """What follows from a refusal, by its reason alone."""
    return Blamed(refusal) if refusal.reason.disposition is Disposition.BLAME else Dropped(refusal)


def check_height(header: Header) -> None:
    """No branch has more blocks than slots.  Raises :class:`Refused` ``WRONG_HEIGHT``."""
    if header.height > header.slot:
        raise Refused(Reason.WRONG_HEIGHT, f"height {header.height} in slot {header.slot}")


def check_claim(genesis: Genesis, status: Status, now_ms: int) -> None:
    """No chain has more blocks than slots have begun.  Raises :class:`Refused` ``FUTURE_SLOT``: clocks may differ."""
    if status.height > max(0, genesis.slot_at(now_ms + CLOCK_DISPARITY_MS)):
        raise Refused(Reason.FUTURE_SLOT, f"claims height {status.height}, for which there were too few slots")


def check_clock(genesis: Genesis, header: Header, now_ms: int) -> None:
    """Not before its slot, as far as clocks agree.  Raises :class:`Refused` ``FUTURE_SLOT``.

    It is fetched later if a chain builds on it.
    """
    early_ms = genesis.slot_start_ms(header.slot) - now_ms
    if early_ms > CLOCK_DISPARITY_MS:
        raise Refused(Reason.FUTURE_SLOT, f"slot {header.slot} begins in {early_ms} ms")


def check_not_late(genesis: Genesis, header: Header, now_ms: int) -> None:
    """Not long after its slot.  Raises :class:`Refused` ``EXPIRED``."""
    late_ms = now_ms - genesis.slot_start_ms(header.slot)
    if late_ms > MAX_LATE_SLOTS * genesis.slot_ms:
        raise Refused(Reason.EXPIRED, f"slot {header.slot} began {late_ms} ms ago")


def check_not_final(header: Header, chain: Blockchain) -> None:
    """Above what is final here.  Raises :class:`Refused` ``CROSSES_FINALITY``.

    Anyone can send old announcements again, one after the other: they are good, but no news.  A validator's other block
    of a slot long final is evidence all the same, so what is old gets in as often as what is new, and no further.
    """
    if header.height <= chain.finalized.height:
        raise Refused(Reason.CROSSES_FINALITY, f"height {header.height} is final here")


def check_root(header: Header, transaction_ids: tuple[bytes, ...]) -> None:
    """These transactions are what the header commits to.  Raises :class:`Refused` ``WRONG_TX_ROOT``."""
    if merkle_root(transaction_ids) != header.transaction_root:
        raise Refused(Reason.WRONG_TX_ROOT, "announced with other transactions than it commits to")


def _is_news(header: Header, chain: Blockchain) -> bool:
    try:
        check_not_final(header, chain)
    except Refused:
        return False
    return True


def _flood(header: Header) -> Refused:
    return Refused(Reason.TREE_FULL, f"{MAX_ANNOUNCED_PER_SLOT} blocks of slot {header.slot} were announced")
