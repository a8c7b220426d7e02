"""Blocks on any branch, valid unless told otherwise, and an engine to hand them to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from chain.base.errors import Refused
from chain.base.keys import SecretKey
from chain.base.merkle import merkle_root
from chain.branches.blockchain import Blockchain
from chain.branches.blocktree import genesis_header
from chain.branches.ledger import Ledger, decided
from chain.consensus.attestations import Attestation, VerifiedAttestation, sign_attestation
from chain.consensus.ballots import make_ballot
from chain.consensus.headers import sign_header
from chain.consensus.restart import Restart, restarted
from chain.consensus.votes import Votes
from chain.content.blocks import Block, Heading, assemble
from chain.content.genesis import Genesis
from chain.content.transactions import VerifiedTransaction
from chain.protocol.admission import AdmittedAnnouncement, AdmittedAttestations, AdmittedBatch, AdmittedClaim
from chain.protocol.engine import Engine
from chain.protocol.events import (
    Ask,
    AttestationsReceived,
    BlockAnnounced,
    BlocksReceived,
    Effect,
    Event,
    HeadingsReceived,
    Request,
    SigningState,
    StatusReceived,
    TransactionsReceived,
)
from chain.protocol.messages import GetBlocks, GetHeadings, GetTransactions, Status
from chain.register import registry
from chain.register.draft import Draft, Parent
from chain.register.validators import Validators
from tests.support.world import secret

T = TypeVar("T")
NAMED_KEYS = 100
MAX_ASKS = 1_000
FRESH_TAG = b"a fresh new tag!"


@dataclass(frozen=True)
class _Known:
    """A block's place: its slot, its branch up to and with it, the votes and the state after it."""

    slot: int
    branch: tuple[Block, ...]
    votes: Votes
    state: dict[bytes, bytes]


class Forge:
    """Makes blocks after any block that it made; the keys of all validators that tests name are at hand."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self._secrets = {secret(n).public: secret(n) for n in range(1, NAMED_KEYS)}
        ledger = Ledger(genesis)
        self.root = genesis_header(genesis, ledger.state_root)
        votes = Votes.genesis(genesis.validators, genesis.batch)
        self._known = {self.root.id: _Known(0, (), votes, dict(ledger.state))}

    def signer(self, slot: int, parent: Block | None = None) -> SecretKey:
        """The leader of a slot after ``parent`` (default: the genesis)."""
        return self._secrets[self._after(parent).votes.electorate.leader(slot)]

    def slot_of(self, leader: int, after: int) -> int:
        """The first slot after ``after`` that belongs to the validator with index ``leader``."""
        size = len(self.genesis.validators)
        return next(slot for slot in range(after + 1, after + size + 1) if slot % size == leader)

    def block(
        self,
        parent: Block | None = None,
        transactions: Sequence[VerifiedTransaction] = (),
        /,
        *,
        slot: int | None = None,
        signer: SecretKey | None = None,
        carrying: Sequence[Attestation] = (),
        restart: Restart | None = None,
        **fields: Any,
    ) -> Block:
        """The block that the leader of ``slot`` (default: the next) makes after ``parent`` (default: the genesis).

        ``fields`` replace fields of the header, and ``decision`` what the block says that it decides.  Transactions and
        attestations that are refused are put in all the same.
        """
        before = self._after(parent)
        parent_id = self.root.id if parent is None else parent.id
        votes = restarted(before.votes, restart, parent_id, self.genesis.id)
        electorate = votes.electorate
        slot = self._next_slot(before) if slot is None else slot
        signer = self.signer(slot, parent) if signer is None else signer
        base = Parent(parent.id, parent.header.slot) if parent is not None else Parent(self.genesis.id, 0)
        ledger = Ledger(self.genesis, before.state, len(before.branch), base)
        draft = ledger.draft(slot, electorate)
        for transaction in transactions:
            with suppress(Refused):
                registry.apply(draft, transaction)
        decision = fields.pop("decision", None) or decided(draft, electorate)
        ballot = make_ballot([each.carried for each in carrying], decision, restart)
        state_root, changes = ledger.seal(draft)
        mine = [each.height for each in carrying if each.speaker == signer.public]
        counting = votes.open(votes.height + 1)
        for each in carrying:
            with suppress(Refused):
                counting.take(each.speaker, each.height, each.mhg)
        header = {
            "height": len(before.branch) + 1,
            "slot": slot,
            "parent": parent_id,
            "tag": electorate.tag(signer.public).tag,
            "mhg": max([self._spoken_up_to(before, signer.public), *mine]),
            "mhp": counting.carried_all(),
            "votes_root": ballot.root,
            "transaction_root": merkle_root([transaction.id for transaction in transactions]),
            "state_root": state_root,
        }
        signed = sign_header(signer, self.genesis.id, **{**header, **fields})
        roots = ("votes_root", "transaction_root")
        fits = all(getattr(signed, root) == header[root] for root in roots)
        block = assemble(signed, ballot, transactions) if fits else Block(signed, ballot, tuple(transactions))
        if signed.height == header["height"]:
            state = dict(before.state)
            for key, (_, after) in changes.items():
                if after is None:
                    del state[key]
                else:
                    state[key] = after
            with suppress(Refused):
                counting.speak(signer.public, signed.mhg)
            with suppress(Refused):
                after_it = counting.close(signed.id, decision)
                self._known[block.id] = _Known(slot, (*before.branch, block), after_it, state)
        return block

    def chain(self, length: int, parent: Block | None = None, *, slot: int | None = None) -> list[Block]:
        """``length`` empty blocks one after the other, in the slots from ``slot`` on, that nobody attests."""
        blocks: list[Block] = []
        for number in range(length):
            blocks.append(self.block(parent, slot=None if slot is None else slot + number))
            parent = blocks[-1]
        return blocks

    def attested(
        self, length: int, parent: Block | None = None, *, slot: int | None = None, by: Sequence[int] | None = None
    ) -> list[Block]:
        """Like :meth:`chain`, but each block carries what all (or those in ``by``) say about the one before it."""
        blocks: list[Block] = []
        for number in range(length):
            said = () if parent is None else self.attestations(parent, by=by)
            blocks.append(self.block(parent, slot=None if slot is None else slot + number, carrying=said))
            parent = blocks[-1]
        return blocks

    def attest(self, block: Block, speaker: int, **fields: Any) -> VerifiedAttestation:
        """What the validator with ``secret(speaker + 1)`` says of a block; ``fields`` replace fields."""
        known, key = self._known[block.id], secret(speaker + 1)
        header = block.header
        said = {
            "tag": known.votes.electorate.tag(key.public).tag,
            "tip": header.id,
            "height": header.height,
            "mhg": min(header.height - 1, self._spoken_up_to(known, key.public)),
            "mhp": header.mhp,
        }
        return sign_attestation(key, self.genesis.id, **{**said, **fields})

    def attestations(self, block: Block, *, by: Sequence[int] | None = None) -> list[VerifiedAttestation]:
        """What all validators of the genesis but its maker (or those in ``by``) say of a block."""
        speakers = range(len(self.genesis.validators)) if by is None else by
        return [self.attest(block, each) for each in speakers if secret(each + 1).public != block.header.proposer]

    @staticmethod
    def _next_slot(before: _Known) -> int:
        """The first one whose leader is not jailed."""
        electorate = before.votes.electorate
        return next(slot for slot in count(before.slot + 1) if electorate.leader(slot) not in electorate.barred)

    def _spoken_up_to(self, known: _Known, key: bytes) -> int:
        """The largest height that a key spoke at on a branch."""
        made = (block.header.height for block in known.branch if block.header.proposer == key)
        said = (each.height for block in known.branch for each in block.ballot.attestations if each.speaker == key)
        return max(*made, *said, 0, 0)

    def _after(self, parent: Block | None) -> _Known:
        return self._known[self.root.id if parent is None else parent.id]

    def validators(self, block: Block) -> Validators:
        """The validators in the state after a block."""
        return Draft(self._known[block.id].state, self.genesis, 0, 0).validators

    def votes(self, block: Block) -> Votes:
        """The votes after a block."""
        return self._known[block.id].votes

    def state(self, block: Block) -> dict[bytes, bytes]:
        """The state after a block."""
        return self._known[block.id].state


def blockchain(genesis: Genesis, blocks: Sequence[Block]) -> Blockchain:
    """A chain that received these blocks in time."""
    chain = Blockchain(genesis)
    for block in blocks:
        chain.add(block, arrived_in_slot=True)
    return chain


def announced(block: Block, peer: str = "peer") -> BlockAnnounced:
    """How a block arrives by gossip."""
    ids = tuple(transaction.id for transaction in block.transactions)
    return BlockAnnounced(peer, AdmittedAnnouncement(block.header, block.ballot, ids))


def told(*attestations: VerifiedAttestation, peer: str = "peer") -> AttestationsReceived:
    """How attestations arrive by gossip."""
    return AttestationsReceived(peer, AdmittedAttestations(attestations))


def gossiped(*transactions: VerifiedTransaction, peer: str = "peer") -> TransactionsReceived:
    """How transactions arrive by gossip."""
    return TransactionsReceived(peer, AdmittedBatch(transactions))


def claimed(peer: str, status: Status) -> StatusReceived:
    """How a peer's claim arrives."""
    return StatusReceived(peer, AdmittedClaim(status))


def heading(block: Block) -> Heading:
    """What judges a block without its transactions."""
    return Heading(block.header, block.ballot)


class Rig:
    """One engine, its clock, and everything that it wanted done."""

    def __init__(
        self,
        genesis: Genesis,
        validator: int | None = None,
        signing: SigningState | None = None,
        fresh_tag: bytes = FRESH_TAG,
        chain: Blockchain | None = None,
    ) -> None:
        self.genesis = genesis
        self.now_ms = genesis.genesis_time_ms
        key = None if validator is None else secret(validator + 1)
        self.engine = Engine(genesis, chain or Blockchain(genesis), secret=key, signing=signing, fresh_tag=fresh_tag)
        self.effects: list[Effect] = []

    @property
    def head(self) -> bytes:
        return self.engine.chain.head.header.id

    def at(self, slot: int, into_ms: int = 10) -> Rig:
        """Set the clock a little into a slot."""
        self.now_ms = self.genesis.slot_start_ms(slot) + into_ms
        return self

    def handle(self, event: Event) -> list[Effect]:
        """Let an event happen now."""
        effects = self.engine.handle(event, self.now_ms)
        self.effects += effects
        return effects

    def grow(self, blocks: Sequence[Block], peer: str = "peer") -> None:
        """Announce blocks, each in its slot."""
        for block in blocks:
            self.at(block.header.slot).handle(announced(block, peer))

    def claim(self, peer: str, block: Block | None = None, **fields: Any) -> list[Effect]:
        """A peer says that its head is ``block``, or what ``fields`` say."""
        claim = {"head_id": bytes(32), "height": 0, "mhp": 0, "finalized_height": 0}
        if block is not None:
            header = block.header
            claim |= {"head_id": header.id, "height": header.height, "mhp": header.mhp}
        return self.handle(claimed(peer, Status(**{**claim, **fields})))

    def reply(self, peer: str, request: Request, blocks: Sequence[Block]) -> list[Effect]:
        """A peer answers a request for headings or blocks."""
        if isinstance(request, GetHeadings):
            return self.handle(HeadingsReceived(peer, request, tuple(map(heading, blocks))))
        assert isinstance(request, GetBlocks)
        return self.handle(BlocksReceived(peer, request, tuple(blocks)))

    def serve(self, effects: Sequence[Effect], peers: Mapping[str, Sequence[Block]]) -> list[Effect]:
        """Peers answer all that they are asked for, each out of a chain that begins at height 1; what came of it."""
        done: list[Effect] = []
        asks = only(effects, Ask)
        for _ in range(MAX_ASKS):
            if not asks:
                break
            ask = asks.pop(0)
            if ask.peer not in peers or isinstance(ask.request, GetTransactions):
                continue
            first, count = ask.request.from_height, ask.request.count
            answered = self.reply(ask.peer, ask.request, peers[ask.peer][first - 1 :][:count])
            asks += only(answered, Ask)
            done += answered
        assert not asks, "asked without end"
        return done


def only(effects: Sequence[Effect], kind: type[T]) -> list[T]:
    """The effects of one kind."""
    return [effect for effect in effects if isinstance(effect, kind)]
