"""Peers without a validator's key and without manners: what anybody on the network can do to its nodes.

A stranger hears all gossip at once, sees what it likes of the world, and each slot does something of
:data:`ACTS`.  What an act proves about its sender is the reason beside it: sooner or later an honest node blames the
stranger for it.  Where there is none, nobody can be blamed; but nothing that strangers do costs honest nodes anything.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, TypeAlias

from chain.base.codec import decode, encode
from chain.base.errors import Reason
from chain.base.keys import SIGNATURE_BYTES, SecretKey
from chain.base.merkle import EMPTY_ROOT
from chain.consensus.attestations import VerifiedAttestation, sign_attestation
from chain.consensus.ballots import EMPTY
from chain.consensus.headers import Header, decode_header, sign_header
from chain.consensus.restart import SALT_BYTES
from chain.consensus.statements import NO_TAG
from chain.content.actions import Enrol
from chain.content.blocks import encode_block, heading_of
from chain.content.transactions import sign_transaction
from chain.protocol.events import Request
from chain.protocol.messages import Announcement, GetHeadings, GetTransactions, RawItems, Status
from scripts.simulation.checks import CLOCK_DISPARITY_MS, MAX_LATE_SLOTS
from scripts.simulation.forge import in_the_name_of
from scripts.simulation.node import SimulatedNode
from scripts.simulation.wire import Announced, Attested, Batch, Claim, Gossip, Message, attested
from scripts.simulation.world import World, secret

FIRST_STRANGER = 70_000
FLOOD = 3
# Announcements and attestations that a stranger remembers, to send them again.
MAX_HEARD = 400
FAR_SLOTS = 1_000


class Stranger:
    """Somebody on the wire who runs no engine."""

    is_honest = False
    key: SecretKey | None = None

    def __init__(self, world: World, name: str, number: int) -> None:
        self.world = world
        self.name = name
        self.secret = secret(FIRST_STRANGER + number)
        self.is_up = True
        # How often it did what proves something about it, by what it proves.
        self.proofs: Counter[Reason] = Counter()
        self._heard: deque[Announced | Attested] = deque(maxlen=MAX_HEARD)
        self._heard_first: list[Announced] = []

    @property
    def acts(self) -> Sequence[Deed]:
        """What it does, one in each slot."""
        return ACTS

    @property
    def targets(self) -> Sequence[SimulatedNode]:
        """To whom."""
        return self.world.nodes

    def start(self) -> None:
        """Act from now on, each slot."""
        self.world.schedule.later(self.world.genesis.slot_ms, self._each_slot)

    def leave(self) -> None:
        """Be gone for good."""
        self.is_up = False

    def _each_slot(self) -> None:
        if not self.is_up:
            return
        act, proves = self.world.random.choice(self.acts)
        for message in act(self):
            self.shout(message, proves)
        self.start()

    # ------------------------------------------------------------------------------------------ what it says

    def shout(self, message: Message, proves: Reason | None = None) -> None:
        """Tell everybody, each directly.

        Some of it proves nothing to a node whose clock is wrong, or that does not know the head it stands on.
        """
        if proves is not None and any(map(self._can_judge, self.world.honest)):
            self.proofs[proves] += 1
        for node in self.targets:
            self.world.network.send(self.name, node, message)

    def _can_judge(self, node: SimulatedNode) -> bool:
        is_on_time = abs(node.now_ms - self.world.now_ms) <= CLOCK_DISPARITY_MS
        return node.is_up and is_on_time and self._witness().engine.chain.head.header.id in node.engine.chain.tree

    def overhear(self, message: Gossip) -> None:
        """Gossip reaches it, too, and first: others get a block of transactions from it without them."""
        if not self.is_up or isinstance(message, Batch):
            return
        self._heard.append(message)
        if isinstance(message, Attested):
            return
        if len(self._heard_first) < FLOOD:
            self._heard_first.append(message)
        announcement = Announcement.decode(message.data)
        if announcement.transaction_ids:
            stripped = Announcement(announcement.header, announcement.ballot, ())
            self.shout(Announced(stripped.encode()), Reason.WRONG_TX_ROOT)

    def garbage(self) -> list[Message]:
        """What is no message."""
        junk = b"\xc1" + self.world.random.randbytes(40)
        return [Announced(junk), Batch(junk), Attested(junk), Claim(junk)]

    def spoilt_transactions(self) -> list[Message]:
        """Transactions that nobody signed."""
        raw = sign_transaction(self.secret, self.world.genesis.id, 0, 50_000, Enrol()).raw
        return [Batch(RawItems((raw[:-1] + bytes([raw[-1] ^ 1]),)).encode())]

    def own_headers(self) -> list[Message]:
        """Headers of its own, for the slots that run."""
        return [self._announce(self._header(self.world.slot + 1 - number)) for number in range(FLOOD)]

    def forged_headers(self) -> list[Message]:
        """Headers in the name of the leader, whose signature nobody else can make."""
        slot = max(1, self.world.slot)
        leader = self._witness().engine.chain.electorate.leader(slot)
        raw = self._header(slot).raw.replace(self.secret.public, leader)
        return [self._announce(decode_header(raw))]

    def far_headers(self) -> list[Message]:
        """Headers for slots of a time to come."""
        return [self._announce(self._header(self.world.slot + FAR_SLOTS + number)) for number in range(FLOOD)]

    def tall_headers(self) -> list[Message]:
        """Headers of heights that no chain can have in their slot."""
        slot = max(1, self.world.slot)
        return [self._announce(self._header(slot, height=slot + 1 + self.world.random.randrange(FAR_SLOTS)))]

    def forged_attestations(self) -> list[Message]:
        """Attestations in the name of each validator, about blocks that nobody knows."""
        keys = sorted(self._witness().engine.chain.electorate.speakers)
        return [attested([in_the_name_of(key, self._attestation(1)) for key in keys])]

    def misshapen(self) -> list[Message]:
        """Headers, ballots and attestations with a field too many, or too few."""
        header, attestation = self._header(max(1, self.world.slot)), self._attestation(1)
        return [
            Announced(Announcement(self._resized(header.raw), EMPTY.raw, ()).encode()),
            Announced(Announcement(header.raw, self._misshapen_ballot(), ()).encode()),
            Attested(RawItems((self._resized(attestation.raw),)).encode()),
        ]

    def _misshapen_ballot(self) -> bytes:
        key, tag, signature = self.secret.public, NO_TAG, bytes(SIGNATURE_BYTES)
        weight, renewed, row = [key, 1], [key, tag], [1, key, 0, signature]
        decision: list[Any] = [[weight], [[key]], [renewed]]
        signed: list[Any] = [key, signature]
        restart: list[Any] = [key, 1, bytes(SALT_BYTES), [signed]]
        if self.world.random.randrange(2):
            ballot = [[row], decision, []]
            self._resize([ballot, row, decision, weight, renewed])
        else:
            ballot = [[], decision, [restart]]
            self._resize([ballot, restart, signed])
        return encode(ballot)

    def _resized(self, raw: bytes) -> bytes:
        fields: list[Any] = [*decode(raw[:-SIGNATURE_BYTES], max_bytes=len(raw))]
        self._resize([fields])
        return encode(fields) + raw[-SIGNATURE_BYTES:]

    def _resize(self, records: list[list[Any]]) -> None:
        """Spoil one of some records."""
        record = self.world.random.choice(records)
        if self.world.random.randrange(2):
            record.append(0)
        else:
            record.pop()

    def foreign_attestations(self) -> list[Message]:
        """Attestations by somebody who has no say, early and late."""
        ahead = self.world.random.choice([-3, 1, FAR_SLOTS])
        return [attested([self._attestation(ahead + number) for number in range(FLOOD)])]

    def replays(self) -> list[Message]:
        """Good announcements and attestations of some time ago, again; in a long history the first announcements."""
        if self.world.slot > MAX_LATE_SLOTS:
            return list(self._heard_first)
        return list(self.world.random.choices(self._heard, k=FLOOD)) if self._heard else []

    # ---------------------------------------------------------------------------------------- what it claims

    def broken_claim(self) -> list[Message]:
        """A claim that contradicts itself."""
        return [Claim(Status(self.world.random.randbytes(32), 7, 8, 0).encode())]

    def impossible_claim(self) -> list[Message]:
        """More blocks than there were slots."""
        height = self.world.random.choice([self.world.slot + 100, 2**63])
        return [Claim(Status(self.world.random.randbytes(32), height, height, 0).encode())]

    def tempting_claim(self) -> list[Message]:
        """The longest chain that there can be."""
        height = max(0, self.world.slot - 1)
        return [Claim(Status(self.world.random.randbytes(32), height, height, 0).encode())]

    def status_for(self, peer: str) -> bytes | None:
        """What it says when it is asked."""
        claims = self.world.random.choice([self.impossible_claim, self.tempting_claim])()
        return claims[0].data if peer else None

    # ------------------------------------------------------------------------------------------ what it serves

    def answer(self, request: Request) -> bytes | None:
        """Nothing, nonsense, or blocks that nobody asked for."""
        random = self.world.random
        count = 1 if isinstance(request, GetTransactions) else request.count
        raws = list(map(encode_block, islice(self._witness().disk.main.values(), count)))
        if isinstance(request, GetHeadings):
            raws = list(map(heading_of, raws))
        match random.randrange(5):
            case 0:
                return None
            case 1:
                return RawItems(()).encode()
            case 2:
                return random.randbytes(40)
            case 3:
                return RawItems(tuple(raws)).encode()
            case _:
                return RawItems(tuple(raw[:-1] for raw in raws[:1])).encode()

    # ------------------------------------------------------------------------------------------------- parts

    def _witness(self) -> SimulatedNode:
        return self.world.honest[0]

    def _header(self, slot: int, *, height: int | None = None) -> Header:
        # So near to what is final that everybody knows who leads there.
        final_height = max(node.engine.chain.finalized.height for node in self.world.honest)
        head = self._witness().engine.chain.head.header
        return sign_header(
            self.secret,
            self.world.genesis.id,
            height=min(final_height + 1, max(1, slot)) if height is None else height,
            slot=max(1, slot),
            parent=head.id,
            tag=NO_TAG,
            mhg=0,
            mhp=head.mhp,
            votes_root=EMPTY.root,
            transaction_root=EMPTY_ROOT,
            state_root=self.world.random.randbytes(32),
        )

    def _attestation(self, ahead: int) -> VerifiedAttestation:
        """One of its own, about a block so far above all that is final."""
        final_height = max(node.engine.chain.finalized.height for node in self.world.honest)
        height = max(1, final_height + ahead)
        tip = self.world.random.randbytes(32)
        return sign_attestation(
            self.secret, self.world.genesis.id, tag=NO_TAG, tip=tip, height=height, mhg=height - 1, mhp=0
        )

    @staticmethod
    def _announce(header: Header) -> Announced:
        return Announced(Announcement(header.raw, EMPTY.raw, ()).encode())


# What a stranger does, and what that proves about it.
Deed: TypeAlias = tuple[Callable[[Stranger], list[Message]], Reason | None]
ACTS: list[Deed] = [
    (Stranger.garbage, Reason.MALFORMED),
    (Stranger.misshapen, Reason.MALFORMED),
    (Stranger.spoilt_transactions, Reason.BAD_SIGNATURE),
    (Stranger.own_headers, Reason.WRONG_LEADER),
    (Stranger.forged_headers, Reason.BAD_SIGNATURE),
    (Stranger.far_headers, None),
    (Stranger.tall_headers, Reason.WRONG_HEIGHT),
    (Stranger.forged_attestations, Reason.BAD_SIGNATURE),
    (Stranger.foreign_attestations, None),
    (Stranger.replays, None),
    (Stranger.broken_claim, Reason.MALFORMED),
    (Stranger.impossible_claim, None),
    (Stranger.tempting_claim, None),
]


def let_near(world: World, count: int) -> None:
    """Add strangers to a world."""
    for number in range(count):
        world.let_near(Stranger(world, f"stranger{number}", number))
