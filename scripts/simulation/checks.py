"""What must hold whatever happens; the first thing that does not is a :class:`Violation`.

Of honest nodes, while at most a third of the validators is not honest:

* no two finalize different blocks at one height, and what one finalized it never abandons or forgets;
* what is final is exactly what an independent count of the votes proves, and the final chain, executed again from
  the genesis, has the state roots that its headers claim;
* no validator contradicts itself or signs two blocks for one slot, whatever its disk or its clock went through;
* nothing leaves a machine before it is durable, no block of the future is stored, no honest peer is blamed;
* queues, caches and the mempool keep their bounds, and nobody without a validator's key makes a node tell all others
  what is no news to them; who proves that it has no manners is blamed for it.

What each node promises its own users, that what it called final stays final, is checked for any number of villains.
What only shows inside a node is told apart from what hurts somebody outside, and can be left out, to see whether a
broken rule would hurt anybody.
"""

from __future__ import annotations

from collections import Counter

from chain import registry
from chain.blocks import Block
from chain.blocktree import MAX_BLOCKS_PER_SLOT
from chain.errors import Reason, Refused
from chain.events import BlockAnnounced, BlocksReceived, Commit, Effect, Event, Submitted
from chain.headers import Header, decode_header
from chain.ledger import Ledger
from chain.state import due_slot
from chain.transactions import Evidence
from chain.validators import voting_set, with_announced
from chain.votes import Votes, is_equivocation
from scripts.recount.entries import differences
from scripts.recount.rows import recount_from, write_block
from scripts.simulation.bounds import kept, sent
from scripts.simulation.node import SimulatedNode
from scripts.simulation.oracle import Oracle
from scripts.simulation.settings import BrokenInside, Violation
from scripts.simulation.world import World

# How far ahead of a node's clock a block's slot may begin, how long ago it may have begun when it is announced, and how
# many blocks of one slot and signer are, by the rules of the protocol.
CLOCK_DISPARITY_MS = 500
MAX_LATE_SLOTS = 1_024
MAX_ANNOUNCED_PER_SLOT = 2
# So often a stranger did what proves something about it, and nobody blamed it: then nobody ever does.
UNBLAMED = 20
# Clocks with which nodes start are off by less, in slots: a day.
CLOCK_SLOTS = 86_460


class Checks:
    """Watches a world.

    ``is_safe`` says that theory promises agreement, with so few villains; with ``only_damage`` it does not look inside.
    """

    def __init__(self, world: World, *, is_safe: bool, only_damage: bool = False) -> None:
        genesis = world.genesis
        self.world = world
        self.is_safe = is_safe
        self.only_damage = only_damage
        self.oracle = Oracle(genesis.id, tuple(key for key, _ in genesis.validators), genesis.batch)
        # The final chain, by height, executed once from the genesis.
        self.final: list[bytes] = []
        self.final_transactions: dict[bytes, int] = {}
        self.accusations: list[Evidence] = []
        # For each validator the last slot of offences that were punished.
        self._punished: dict[bytes, int] = {}
        self.forked = 0
        self._stored: set[bytes] = set()
        self._ledger = Ledger(genesis)
        self._votes = self._first_votes = Votes.genesis(genesis.validators, genesis.batch)
        self._final_of: dict[str, list[bytes]] = {}
        self._proven: dict[str, int] = {}
        self._signed: dict[bytes, list[Header]] = {}
        self._honest_keys: dict[bytes, str] = {}
        # All who are or may become validators.
        self._keys: set[bytes] = set()
        # What each validator's durable state covers: the last slot it may have signed.
        self._durable: dict[str, dict[bytes, None]] = {}
        # Blocks that each node heard of when their slot was near enough: its clock may step back before it takes them.
        self._timely: dict[str, dict[bytes, None]] = {}
        # All headers that reached an honest node, by their signer.
        self._seen: dict[bytes, dict[bytes, Header]] = {}
        # What each node passed on since it started, by slot and signer.
        self._passed_on: dict[tuple[str, int], Counter[tuple[int, bytes]]] = {}
        self._blamed: dict[str, set[Reason]] = {}

    def watch(self, node: SimulatedNode) -> None:
        """Take a node in."""
        self._final_of[node.name], self._proven[node.name], self._durable[node.name] = [], 0, {}
        self._timely[node.name] = {}
        if node.key is not None:
            self._keys.add(node.key.public)
        if node.is_honest and node.key is not None:
            self._honest_keys[node.key.public] = node.name

    # ------------------------------------------------------------------------------------------ what nodes tell

    def on_start(self, node: SimulatedNode) -> None:
        """A node loaded its disk."""
        if not node.is_honest:
            return
        chain, known = node.engine.chain, self._final_of[node.name]
        if chain.finalized.height != len(known) or (known and chain.finalized.id != known[-1]):
            self._fail(node, f"was final up to {len(known)} before its restart, now up to {chain.finalized.height}")
        head = node.disk.main[max(node.disk.main)].id if node.disk.main else self.world.genesis.id
        if chain.head.header.id != head:
            self._fail_inside(node, "has another head after its restart than its disk says")

    def on_amnesia(self, node: SimulatedNode, *, wipe: bool) -> None:
        """A node's disk lost something; with ``wipe`` it begins again."""
        if wipe:
            self._final_of[node.name], self._proven[node.name] = [], 0

    def on_handled(self, node: SimulatedNode, event: Event, effects: list[Effect]) -> None:
        """An event was handled."""
        if any(isinstance(effect, Commit) for effect in effects[1:]):
            self._fail_inside(node, "wants a commit after other effects")
        if not node.is_honest:
            return
        self._note_headers(node, event)
        commit = effects[0] if effects and isinstance(effects[0], Commit) else Commit()
        for block in (*commit.adopted, *commit.side):
            is_flood = isinstance(event, BlockAnnounced) and event.announcement.header.id == block.id
            if is_flood and _rivals(node, block.header) >= MAX_BLOCKS_PER_SLOT:
                self._fail_inside(node, f"took one block more of slot {block.header.slot} without asking for it")
            if self._is_early(node, block.header) and block.id not in self._timely[node.name]:
                self._fail_inside(
                    node, f"took a block of slot {block.header.slot} in slot {self.world.genesis.slot_at(node.now_ms)}"
                )
        submitted = len(event.transactions) if isinstance(event, Submitted) else 0
        top_height = self.world.slot + CLOCK_SLOTS
        for what, size, limit in (*kept(node), *sent(effects, submitted, top_height)):
            if size > limit:
                self._fail_inside(node, f"holds or sends {what}: {size}, where the bound is {limit}")

    def on_stored(self, node: SimulatedNode, commit: Commit, made: list[Header]) -> None:
        """A commit is durable."""
        if not node.is_honest:
            return
        for header in made:
            self._seen.setdefault(header.proposer, {})[header.id] = header
            self._on_signed(node, header)
        if self._final_of[node.name] and commit.abandoned:
            lowest = min(block.header.height for block in commit.abandoned)
            if lowest <= len(self._final_of[node.name]):
                self._fail(node, f"abandoned the final block at height {lowest}")
        blocks: list[Block] = sorted((*commit.adopted, *commit.side), key=lambda block: block.header.height)
        self._stored.update(block.id for block in blocks)
        if not self.only_damage:
            # After a fork there are two final chains, each with validators of its own: no count is right for both.
            for block in blocks if not self.forked else ():
                self.oracle.learn(block.header)
            if commit.adopted and not self.forked:
                self._compare_votes(node)
        if commit.finalized_height is not None:
            self._on_final(node, commit.finalized_height)

    def on_announced(self, node: SimulatedNode, header: Header) -> None:
        """A header leaves the machine."""
        if node.is_honest and header.id not in self._durable[node.name]:
            self._fail_inside(node, f"announced block {header.id.hex()[:8]} before it was durable")

    def on_passed_on(self, node: SimulatedNode, header: Header, *, is_news: bool = False) -> None:
        """A node passes a header on to everybody: whoever can make it do so in vain floods all of them."""
        if not node.is_honest:
            return
        genesis = self.world.genesis
        what = f"passed on block {header.id.hex()[:8]} of slot {header.slot}"
        if header.proposer not in self._keys:
            self._fail(node, f"{what}, signed by somebody who is no validator")
        if self._is_early(node, header):
            self._fail(node, f"{what} in slot {genesis.slot_at(node.now_ms)}")
        if node.now_ms - genesis.slot_start_ms(header.slot) > MAX_LATE_SLOTS * genesis.slot_ms:
            self._fail(node, f"{what}, long ago, in slot {genesis.slot_at(node.now_ms)}")
        if header.height <= len(self._final_of[node.name]):
            self._fail(node, f"{what} at height {header.height}, which is final there already")
        passed_on = self._passed_on.setdefault((node.name, node.generation), Counter())
        passed_on[header.slot, header.proposer] += is_news
        if passed_on[header.slot, header.proposer] > MAX_ANNOUNCED_PER_SLOT:
            self._fail(node, f"{what}, one more by the same signer")

    def on_blame(self, node: SimulatedNode, peer: str, refusal: Refused) -> None:
        """A node blames a peer."""
        if node.is_honest:
            self._blamed.setdefault(peer, set()).add(refusal.reason)
        if self.is_safe and node.is_honest and self.world.peers[peer].is_honest:
            self._fail(node, f"blamed {peer}, which is honest: {refusal}")

    def on_equivocation(self, node: SimulatedNode, header: Header) -> None:
        """A node saw two headers of one slot."""
        if header.proposer in self._honest_keys:
            self._fail(node, f"holds two headers of {self._honest_keys[header.proposer]} for slot {header.slot}")

    # ----------------------------------------------------------------------------------------------- each slot

    def each_slot(self) -> None:
        """What is too much to look at after each event."""
        for node in self.world.honest:
            if not node.is_up:
                continue
            engine = node.engine
            if engine.mempool.bytes != sum(len(item.raw) for item in engine.mempool):
                self._fail_inside(node, f"its mempool counts {engine.mempool.bytes} bytes")
            if engine.chain.finalized.height < len(self._final_of[node.name]):
                self._fail(node, "its final height fell")
            if engine.producer is not None and engine.producer.is_stopped:
                self._fail(node, "stopped for good, though nobody else signs with its key")

    # ----------------------------------------------------------------------------------------------- at the end

    def at_end(self) -> None:
        """Every node's head, executed again from the genesis, and recounted, has the state that the node holds."""
        for stranger in self.world.strangers:
            for reason, times in stranger.proofs.items():
                if times > UNBLAMED and reason not in self._blamed.get(stranger.name, ()):
                    raise Violation(f"nobody blames {stranger.name} for {reason.code}, proven {times} times")
        executed: dict[bytes, Ledger] = {}
        for node in self.world.honest:
            if not node.is_up:
                continue
            chain, head = node.engine.chain, node.engine.chain.head.header
            if head.id not in executed:
                executed[head.id] = self._executed_and_recounted(node, head.height)
            if executed[head.id].state != chain.ledger.state or executed[head.id].state_root != chain.ledger.state_root:
                self._fail(node, "its state is not that of its chain")
            if not _keeps_its_agenda(chain.ledger):
                self._fail(node, "its agenda is not that of its state")

    def culprits(self, *, stored: bool = False) -> tuple[str, ...]:
        """The validators that two headers prove guilty, both seen, or even ``stored``, by honest nodes."""
        # Where a key is on two machines, the name is the first one's.
        names = {node.key.public: node.name for node in reversed(self.world.nodes) if node.key is not None}
        return tuple(
            sorted(
                names[key]
                for key, headers in self._seen.items()
                if _proves_guilt([item for item in headers.values() if not stored or item.id in self._stored])
            )
        )

    @property
    def jailed(self) -> int:
        """How many seats are jailed in what is final."""
        return sum(seat.is_jailed for seat in self._ledger.validators.active)

    # -------------------------------------------------------------------------------------------------- parts

    def _executed_and_recounted(self, node: SimulatedNode, height: int) -> Ledger:
        ledger, votes, recount = Ledger(self.world.genesis), self._first_votes, recount_from(self.world.genesis)
        for block in (node.disk.main[at] for at in range(1, height + 1)):
            votes = _execute(ledger, votes, block)
            write_block(recount, block, dict(voting_set(ledger.validators.active)))
        for fault in (*recount.faults, *differences(recount, ledger.state)):
            self._fail(node, f"its state is not what a recount gives: {fault}")
        return ledger

    def _note_headers(self, node: SimulatedNode, event: Event) -> None:
        headers: list[Header] = []
        if isinstance(event, BlockAnnounced):
            headers = [event.announcement.header]
        elif isinstance(event, BlocksReceived):
            headers = [block.header for block in event.blocks]
        for header in headers:
            self._seen.setdefault(header.proposer, {})[header.id] = header
            if not self._is_early(node, header):
                self._timely[node.name][header.id] = None

    def _is_early(self, node: SimulatedNode, header: Header) -> bool:
        return self.world.genesis.slot_start_ms(header.slot) - node.now_ms > CLOCK_DISPARITY_MS

    def _on_signed(self, node: SimulatedNode, header: Header) -> None:
        signing = node.disk.signing
        if signing is None or (signing.slot, signing.last_height) != (header.slot, header.height):
            self._fail_inside(node, f"signed slot {header.slot}, but its durable signing state does not say so")
        signed = self._signed.setdefault(header.proposer, [])
        for earlier in signed:
            if is_equivocation(earlier, header):
                self._fail(
                    node,
                    f"contradicts itself: (slot, height, mhg, mhp) {_fields(earlier)} and then {_fields(header)}",
                )
        signed.append(header)
        self._durable[node.name][header.id] = None

    def _compare_votes(self, node: SimulatedNode) -> None:
        chain = node.engine.chain
        count, votes = self.oracle.counts[chain.head.header.id], chain.head.votes
        if (votes.mhp, votes.mhpc) != (count.mhp, count.mhpc):
            self._fail_inside(
                node,
                f"counts mhp {votes.mhp} and final {votes.mhpc} at height {votes.height}, "
                f"where {count.mhp} and {count.mhpc} are right",
            )
        self._proven[node.name] = max(self._proven[node.name], count.mhpc)

    def _on_final(self, node: SimulatedNode, height: int) -> None:
        if not self.forked and height != self._proven[node.name]:
            self._fail_inside(node, f"says that {height} is final, where {self._proven[node.name]} is proven")
        known = self._final_of[node.name]
        for at in range(len(known) + 1, height + 1):
            block = node.disk.main[at]
            known.append(block.id)
            if at > len(self.final):
                self._execute_final(block)
            elif self.final[at - 1] != block.id:
                self.forked += 1
                if self.is_safe:
                    self._fail(node, f"finalized another block at height {at} than others")

    def _execute_final(self, block: Block) -> None:
        if self.forked:
            return
        parent = self.final[-1] if self.final else self.world.genesis.id
        if block.header.parent != parent:
            self.forked += 1
            if self.is_safe:
                raise Violation(f"the block final at height {block.header.height} does not follow the one before")
            return
        self._votes = _execute(self._ledger, self._votes, block)
        decided = self._ledger.validators
        if decided.decided_height == block.header.height:
            weights = {seat.key: 0 if seat.is_jailed else seat.weight for seat in decided.next}
            self.oracle.announce(decided.decided_height, decided.announced_height, weights)
        for item in block.transactions:
            if isinstance(item.action, Evidence):
                self._on_accused(item.action, block.header)
        self.final.append(block.id)
        self.final_transactions.update((item.id, block.header.height) for item in block.transactions)

    def _on_accused(self, accusation: Evidence, at: Header) -> None:
        first, second = decode_header(accusation.first), decode_header(accusation.second)
        if max(first.slot, second.slot) <= self._punished.get(first.proposer, 0):
            raise Violation(f"the block final at height {at.height} punishes an offence a second time")
        self._punished[first.proposer] = at.slot
        self.accusations.append(accusation)

    def _fail(self, node: SimulatedNode, what: str) -> None:
        raise Violation(f"{node.name} {what}")

    def _fail_inside(self, node: SimulatedNode, what: str) -> None:
        if not self.only_damage:
            raise BrokenInside(f"{node.name} {what}")


def _rivals(node: SimulatedNode, header: Header) -> int:
    place = (header.slot, header.proposer)
    others = (other for other in node.engine.chain.tree.headers() if other.id != header.id)
    return sum((other.slot, other.proposer) == place for other in others)


def _proves_guilt(signed: list[Header]) -> bool:
    return any(is_equivocation(one, two) for at, one in enumerate(signed) for two in signed[:at])


def _keeps_its_agenda(ledger: Ledger) -> bool:
    due = ((due_slot(key, value), key) for key, value in ledger.state.items())
    return list(ledger._agenda) == sorted((slot, key) for slot, key in due if slot is not None)


def _execute(ledger: Ledger, votes: Votes, block: Block) -> Votes:
    """Execute a block on the head of a ledger where votes stand so; the votes after it."""
    votes = with_announced(votes, ledger.validators)
    draft = ledger.draft(block.header.slot, votes.newest_set.start)
    try:
        for transaction in block.transactions:
            registry.apply(draft, transaction)
    except Refused as refusal:
        raise Violation(f"an invalid transaction at height {block.header.height} was taken: {refusal}") from refusal
    root, changes = ledger.seal(draft)
    if root != block.header.state_root:
        raise Violation(f"the block at height {block.header.height} was taken with a wrong state root")
    ledger.adopt(block, changes)
    return votes.apply(block.header)


def _fields(header: Header) -> tuple[int, int, int, int]:
    return header.slot, header.height, header.mhg, header.mhp
