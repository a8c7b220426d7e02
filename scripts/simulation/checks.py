"""What must hold inside, step by step: comparisons with copies of the rules, to find a fault where it arises.

Every ordinary history is watched by them beside its effects (:mod:`scripts.simulation.effects`).  Of honest nodes:

* no validator contradicts itself or signs two blocks for one slot, whatever its disk or its clock went through;
* nothing leaves a machine before it is durable, and no block of the future is stored;
* what is sent keeps its bounds, and nobody without a validator's key makes a node tell all others what is no news to
  them;
* the chain of every node, executed again from the genesis, has the state roots and decisions that it claims, and the
  state that an independent recount gives.

None of this proves that somebody is hurt: whoever judges a broken rule by it only learns that the copies are whole.
"""

from __future__ import annotations

from collections import Counter

from chain.base.errors import OperatorError, Refused
from chain.branches.blocktree import MAX_BLOCKS_PER_SLOT
from chain.branches.ledger import Ledger, decided
from chain.consensus.electorate import Electorate
from chain.consensus.headers import Header
from chain.consensus.judgement import judge
from chain.consensus.restart import restarted
from chain.consensus.statements import SignedStatement, is_equivocation
from chain.consensus.votes import Votes
from chain.content.actions import Evidence
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.content.kinds import decode_statement
from chain.protocol.events import BlockAnnounced, Commit, Effect, Event, HeadingsReceived, Submitted
from chain.register import registry
from chain.register.state import due_slot
from scripts.recount.entries import differences
from scripts.recount.rows import recount_from, write_block
from scripts.simulation.bounds import sent
from scripts.simulation.effects import Effects, headers_of
from scripts.simulation.node import SimulatedNode
from scripts.simulation.settings import BrokenInside
from scripts.simulation.world import World

# How far ahead of a node's clock a block's slot may begin, how long ago it may have begun when it is announced, and how
# many blocks of one slot and signer are, by the rules of the protocol.
CLOCK_DISPARITY_MS = 500
MAX_LATE_SLOTS = 1_024
MAX_ANNOUNCED_PER_SLOT = 2
# Clocks with which nodes start are off by less, in slots: a day.
CLOCK_SLOTS = 86_460


class Checks(Effects):
    """Watches a world, and looks inside."""

    def __init__(self, world: World, *, is_safe: bool) -> None:
        super().__init__(world, is_safe=is_safe)
        # For each validator the last height of offences that were punished.
        self._punished: dict[bytes, int] = {}
        self._signed: dict[bytes, list[SignedStatement]] = {}
        # All who are or may become validators.
        self._keys: set[bytes] = set()
        # What each validator's durable state covers: the statements that it may have made.
        self._durable: dict[str, dict[bytes, None]] = {}
        # Blocks that each node heard of when their slot was near enough: its clock may step back before it takes them.
        self._timely: dict[str, dict[bytes, None]] = {}
        # What each node passed on since it started, by slot and signer.
        self._passed_on: dict[tuple[str, int], Counter[tuple[int, bytes]]] = {}

    def watch(self, node: SimulatedNode) -> None:
        super().watch(node)
        self._durable[node.name], self._timely[node.name] = {}, {}
        if node.key is not None:
            self._keys.add(node.key.public)

    # ------------------------------------------------------------------------------------------ what nodes tell

    def on_start(self, node: SimulatedNode) -> None:
        super().on_start(node)
        head = node.disk.main[max(node.disk.main)].id if node.disk.main else self.world.genesis.id
        # A file that SQLite itself finds damaged, if asked, may tell two things by its index and by its table.
        if node.is_honest and not node.disk.is_unsound and node.engine.chain.head.header.id != head:
            self._fail_inside(node, "has another head after its restart than its disk says")

    def on_restart(self, node: SimulatedNode, tip: bytes, *, is_sure: bool) -> None:
        super().on_restart(node, tip, is_sure=is_sure)
        if len(self.final) < max(self._punished.values(), default=0):
            self._punished.clear()  # what was lost may be punished again

    def on_handled(self, node: SimulatedNode, event: Event, effects: list[Effect]) -> None:
        if Commit in map(type, effects[1:]):
            self._fail_inside(node, "wants a commit after other effects")
        super().on_handled(node, event, effects)
        if not node.is_honest:
            return
        timely = self._timely[node.name]
        for one in _told(event):
            if not self._is_early(node, one):
                timely[one.id] = None
        if not effects:
            return
        commit = effects[0]
        for block in (*commit.adopted, *commit.side) if isinstance(commit, Commit) else ():
            is_flood = isinstance(event, BlockAnnounced) and event.announcement.header.id == block.id
            if is_flood and _rivals(node, block.header) >= MAX_BLOCKS_PER_SLOT:
                self._fail_inside(node, f"took one block more of slot {block.header.slot} without asking for it")
            if self._is_early(node, block.header) and block.id not in self._timely[node.name]:
                self._fail_inside(
                    node, f"took a block of slot {block.header.slot} in slot {self.world.genesis.slot_at(node.now_ms)}"
                )
        submitted = len(event.transactions) if isinstance(event, Submitted) else 0
        top_height = self.world.slot + CLOCK_SLOTS
        for what, size, limit in sent(effects, submitted, top_height):
            if size > limit:
                self._fail_inside(node, f"sends {what}: {size}, where the bound is {limit}")

    def on_stored(self, node: SimulatedNode, commit: Commit, said: list[SignedStatement]) -> None:
        for statement in said if node.is_honest else ():
            self._on_signed(node, statement)
        super().on_stored(node, commit, said)

    def on_announced(self, node: SimulatedNode, statement: SignedStatement) -> None:
        if node.is_honest and statement.id not in self._durable[node.name]:
            self._fail_inside(node, f"sent statement {statement.id.hex()[:8]} before it was durable")

    def on_passed_on(self, node: SimulatedNode, header: Header, *, is_news: bool = False) -> None:
        if not node.is_honest:
            return
        genesis = self.world.genesis
        what = f"passed on block {header.id.hex()[:8]} of slot {header.slot}"
        if header.proposer not in self._keys:
            self._fail_inside(node, f"{what}, signed by somebody who is no validator")
        if self._is_early(node, header):
            self._fail_inside(node, f"{what} in slot {genesis.slot_at(node.now_ms)}")
        if node.now_ms - genesis.slot_start_ms(header.slot) > MAX_LATE_SLOTS * genesis.slot_ms:
            self._fail_inside(node, f"{what}, long ago, in slot {genesis.slot_at(node.now_ms)}")
        if header.height <= len(self._final_of[node.name]):
            self._fail_inside(node, f"{what} at height {header.height}, which is final there already")
        passed_on = self._passed_on.setdefault((node.name, node.generation), Counter())
        passed_on[header.slot, header.proposer] += is_news
        if passed_on[header.slot, header.proposer] > MAX_ANNOUNCED_PER_SLOT:
            self._fail_inside(node, f"{what}, one more by the same signer")

    def on_equivocation(self, node: SimulatedNode, statement: SignedStatement) -> None:
        if statement.speaker in self._honest_keys:
            self._fail_inside(node, f"holds contradicting statements of {self._honest_keys[statement.speaker]}")

    # ------------------------------------------------------------------------------------------------ in between

    def each_slot(self) -> None:
        super().each_slot()
        for node in self.world.honest:
            if not node.is_up:
                continue
            engine = node.engine
            if engine.mempool.ready != sum(1 for _ in engine.mempool.candidates()):
                self._fail_inside(node, f"its mempool counts {engine.mempool.ready} that are ready")
            if engine.mempool.bytes != sum(len(item.raw) for item in engine.mempool):
                self._fail_inside(node, f"its mempool counts {engine.mempool.bytes} bytes")
            if engine.producer is not None and engine.producer.is_stopped and not engine.producer.may_be_restored:
                self._fail_inside(node, "stopped for good, though nobody else signs with its key")

    def at_end(self) -> None:
        """Every node's head, executed again from the genesis, and recounted, has the state that the node holds."""
        super().at_end()
        executed: dict[bytes, Ledger] = {}
        for node in self.world.honest:
            if not node.is_up:
                continue
            chain, head = node.engine.chain, node.engine.chain.head.header
            if head.id not in executed:
                executed[head.id] = self._executed_and_recounted(node, head.height)
            try:
                with node.disk.told():
                    self._compare(node, executed[head.id], chain.ledger)
            except OperatorError as refusal:
                node.say(f"cannot read: {refusal}")

    def _compare(self, node: SimulatedNode, executed: Ledger, ledger: Ledger) -> None:
        if executed.state != ledger.state or executed.state_root != ledger.state_root:
            self._fail_inside(node, "its state is not that of its chain")
        if not _keeps_its_agenda(ledger):
            self._fail_inside(node, "its agenda is not that of its state")

    # -------------------------------------------------------------------------------------------------- parts

    def _executed_and_recounted(self, node: SimulatedNode, height: int) -> Ledger:
        genesis = self.world.genesis
        ledger, recount = Ledger(genesis), recount_from(genesis)
        votes = Votes.genesis(genesis.validators, genesis.batch)
        for block in (node.disk.main[at] for at in range(1, height + 1)):
            write_block(recount, block, _electorate(genesis, votes, block))
            votes = _execute(ledger, votes, block)
        for fault in (*recount.faults, *differences(recount, ledger.state)):
            self._fail_inside(node, f"its state is not what a recount gives: {fault}")
        return ledger

    def _is_early(self, node: SimulatedNode, header: Header) -> bool:
        return self.world.genesis.slot_start_ms(header.slot) - node.now_ms > CLOCK_DISPARITY_MS

    def _on_signed(self, node: SimulatedNode, statement: SignedStatement) -> None:
        signing = node.disk.signing
        if signing is None or signing.last < (statement.mhp, statement.height):
            self._fail_inside(
                node, f"spoke at height {statement.height}, but its durable signing state does not say so"
            )
        signed = self._signed.setdefault(statement.speaker, [])
        for earlier in signed:
            if is_equivocation(earlier, statement):
                self._fail_inside(
                    node,
                    f"contradicts itself: (slot, height, mhg, mhp) {_fields(earlier)} and then {_fields(statement)}",
                )
        signed.append(statement)
        self._durable[node.name][statement.id] = None

    def _on_accused(self, accusation: Evidence, at: Header) -> None:
        super()._on_accused(accusation, at)
        first, second = decode_statement(accusation.first), decode_statement(accusation.second)
        if max(first.height, second.height) <= self._punished.get(first.speaker, 0):
            raise BrokenInside(f"the block final at height {at.height} punishes an offence a second time")
        self._punished[first.speaker] = at.height

    def _fail_inside(self, node: SimulatedNode, what: str) -> None:
        raise BrokenInside(f"{node.name} {what}")


def _told(event: Event) -> list[Header]:
    """The headers that an event brings, with their blocks or without."""
    return [one.header for one in event.headings] if isinstance(event, HeadingsReceived) else headers_of(event)


def _rivals(node: SimulatedNode, header: Header) -> int:
    place = (header.slot, header.proposer)
    others = (other for other in node.engine.chain.tree.headers() if other.id != header.id)
    return sum((other.slot, other.proposer) == place for other in others)


def _keeps_its_agenda(ledger: Ledger) -> bool:
    due = ((due_slot(key, value), key) for key, value in ledger.state.items())
    return ledger.agenda() == sorted((slot, key) for slot, key in due if slot is not None)


def _execute(ledger: Ledger, votes: Votes, block: Block) -> Votes:
    """Execute a block on the head of a ledger where votes stand so; the votes after it."""
    electorate = _electorate(ledger.genesis, votes, block)
    draft = ledger.draft(block.header.slot, electorate)
    try:
        for transaction in block.transactions:
            registry.apply(draft, transaction)
    except Refused as refusal:
        raise BrokenInside(f"an invalid transaction at height {block.header.height} was taken: {refusal}") from refusal
    if decided(draft, electorate) != block.ballot.decision:
        raise BrokenInside(f"the block at height {block.header.height} was taken with a wrong decision")
    root, changes = ledger.seal(draft)
    if root != block.header.state_root:
        raise BrokenInside(f"the block at height {block.header.height} was taken with a wrong state root")
    ledger.adopt(block, changes)
    return judge(block.header, block.ballot, votes, ledger.genesis.id)


def _electorate(genesis: Genesis, votes: Votes, block: Block) -> Electorate:
    """Who votes in a block on the tip after which votes stand so."""
    return restarted(votes, block.ballot.restart, block.header.parent, genesis.id).electorate


def _fields(statement: SignedStatement) -> tuple[int | None, int, int, int]:
    return statement.slot, statement.height, statement.mhg, statement.mhp
