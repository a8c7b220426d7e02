"""Blocks on any branch, valid unless told otherwise, and an engine to hand them to."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from chain import registry
from chain.admission import AdmittedAnnouncement, AdmittedBatch, AdmittedClaim
from chain.blockchain import Blockchain
from chain.blocks import Block, assemble
from chain.blocktree import genesis_header
from chain.draft import Draft
from chain.engine import Engine
from chain.errors import Refused
from chain.events import (
    BlockAnnounced,
    BlocksReceived,
    Effect,
    Event,
    SigningState,
    StatusReceived,
    TransactionsReceived,
)
from chain.genesis import Genesis
from chain.headers import sign_header
from chain.keys import SecretKey
from chain.ledger import Ledger
from chain.merkle import merkle_root
from chain.messages import GetBlocks, Status
from chain.transactions import VerifiedTransaction
from chain.validators import Validators, with_announced
from chain.votes import Votes
from tests.support.world import secret

T = TypeVar("T")
NAMED_KEYS = 100


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
        self._known = {self.root.id: _Known(0, (), votes, ledger.state)}

    def signer(self, slot: int, parent: Block | None = None) -> SecretKey:
        """The leader of a slot after ``parent`` (default: the genesis)."""
        return self._secrets[self._next_votes(parent).newest_set.leader(slot)]

    def slot_of(self, leader: int, after: int) -> int:
        """The first slot after ``after`` that belongs to the validator with index ``leader``."""
        count = len(self.genesis.validators)
        return next(slot for slot in range(after + 1, after + count + 1) if slot % count == leader)

    def block(
        self,
        parent: Block | None = None,
        transactions: Sequence[VerifiedTransaction] = (),
        /,
        *,
        slot: int | None = None,
        signer: SecretKey | None = None,
        **fields: Any,
    ) -> Block:
        """The block that the leader of ``slot`` (default: the next) makes after ``parent`` (default: the genesis).

        ``fields`` replace fields of the header.  Transactions that are refused are put in all the same.
        """
        before = self._after(parent)
        votes = self._next_votes(parent)
        slot = before.slot + 1 if slot is None else slot
        signer = self.signer(slot, parent) if signer is None else signer
        ledger = Ledger(self.genesis, before.state, len(before.branch))
        draft = ledger.draft(slot, votes.newest_set.start)
        for transaction in transactions:
            with suppress(Refused):
                registry.apply(draft, transaction)
        state_root, changes = ledger.seal(draft)
        mine = [block.header.height for block in before.branch if block.header.proposer == signer.public]
        header = {
            "height": len(before.branch) + 1,
            "slot": slot,
            "parent": self.root.id if parent is None else parent.id,
            "mhg": max(mine, default=0),
            "mhp": votes.mhp,
            "transaction_root": merkle_root([transaction.id for transaction in transactions]),
            "state_root": state_root,
        }
        signed = sign_header(signer, self.genesis.id, **{**header, **fields})
        fits = signed.transaction_root == header["transaction_root"]
        block = assemble(signed, transactions) if fits else Block(signed, tuple(transactions))
        if signed.height == header["height"]:
            state = dict(before.state)
            for key, (_, after) in changes.items():
                if after is None:
                    del state[key]
                else:
                    state[key] = after
            self._known[block.id] = _Known(slot, (*before.branch, block), votes.apply(signed), state)
        return block

    def chain(self, length: int, parent: Block | None = None, *, slot: int | None = None) -> list[Block]:
        """``length`` empty blocks one after the other, in the slots from ``slot`` on."""
        blocks: list[Block] = []
        for number in range(length):
            blocks.append(self.block(parent, slot=None if slot is None else slot + number))
            parent = blocks[-1]
        return blocks

    def _after(self, parent: Block | None) -> _Known:
        return self._known[self.root.id if parent is None else parent.id]

    def _next_votes(self, parent: Block | None) -> Votes:
        known = self._after(parent)
        return with_announced(known.votes, self._validators(known))

    def validators(self, block: Block) -> Validators:
        """The validators in the state after a block."""
        return self._validators(self._known[block.id])

    def _validators(self, known: _Known) -> Validators:
        return Draft(known.state, self.genesis, 0, 0).validators

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
    return BlockAnnounced(peer, AdmittedAnnouncement(block.header, ids))


def gossiped(*transactions: VerifiedTransaction, peer: str = "peer") -> TransactionsReceived:
    """How transactions arrive by gossip."""
    return TransactionsReceived(peer, AdmittedBatch(transactions))


def claimed(peer: str, status: Status) -> StatusReceived:
    """How a peer's claim arrives."""
    return StatusReceived(peer, AdmittedClaim(status))


class Rig:
    """One engine, its clock, and everything that it wanted done."""

    def __init__(self, genesis: Genesis, validator: int | None = None, signing: SigningState | None = None) -> None:
        self.genesis = genesis
        self.now_ms = genesis.genesis_time_ms
        key = None if validator is None else secret(validator + 1)
        self.engine = Engine(genesis, Blockchain(genesis), secret=key, signing=signing)
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

    def reply(self, peer: str, request: GetBlocks, blocks: Sequence[Block]) -> list[Effect]:
        """A peer answers a request for blocks."""
        return self.handle(BlocksReceived(peer, request, tuple(blocks)))


def only(effects: Sequence[Effect], kind: type[T]) -> list[T]:
    """The effects of one kind."""
    return [effect for effect in effects if isinstance(effect, kind)]
