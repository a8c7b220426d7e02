"""What must hold whatever happens; the first thing that does not is a :class:`Violation`.

Of honest nodes, while at most a third of the validators is not honest:

* no two finalize different blocks at one height, and what one finalized it never abandons or forgets;
* what is final is exactly what an independent count of the votes proves, and the final chain, executed again from
  the genesis, has the state roots that its headers claim;
* no validator contradicts itself or signs two blocks for one slot, whatever its disk or its clock went through;
* nothing leaves a machine before it is durable, no block of the future is stored, no honest peer is blamed;
* queues, caches and the mempool keep their bounds.

What each node promises its own users, that what it called final stays final, is checked for any number of villains.
"""

from __future__ import annotations

from chain import arrivals, blocktree, mempool, registry, sync
from chain.blocks import Block
from chain.errors import Refused
from chain.events import Commit, Effect
from chain.headers import Header
from chain.ledger import Ledger
from chain.validators import with_announced
from chain.votes import Votes, is_equivocation
from scripts.simulation.node import Node
from scripts.simulation.oracle import Oracle
from scripts.simulation.settings import Violation
from scripts.simulation.world import World

# How far ahead of a node's clock a block's slot may begin, by the rules of the protocol.
CLOCK_DISPARITY_MS = 500
# As long as a block may wait for transactions that were asked for.
REQUEST_TIMEOUT_MS = 10_000


class Checks:
    """Watches a world.  ``is_safe`` says that theory promises agreement, with so few villains."""

    def __init__(self, world: World, *, is_safe: bool) -> None:
        genesis = world.genesis
        self.world = world
        self.is_safe = is_safe
        self.oracle = Oracle(genesis.id, tuple(key for key, _ in genesis.validators), genesis.batch)
        # The final chain, by height, executed once from the genesis.
        self.final: list[bytes] = []
        self.final_transactions: dict[bytes, int] = {}
        self.forked = 0
        self.most_waiting = 0
        self.most_pooled = 0
        self._ledger = Ledger(genesis)
        self._votes = self._first_votes = Votes.genesis(genesis.validators, genesis.batch)
        self._final_of: dict[str, list[bytes]] = {}
        self._proven: dict[str, int] = {}
        self._signed: dict[bytes, list[Header]] = {}
        self._honest_keys: dict[bytes, str] = {}
        # What each validator's durable state covers: the last slot it may have signed.
        self._durable: dict[str, dict[bytes, None]] = {}

    def watch(self, node: Node) -> None:
        """Take a node in."""
        self._final_of[node.name], self._proven[node.name], self._durable[node.name] = [], 0, {}
        if node.is_honest and node.key is not None:
            self._honest_keys[node.key.public] = node.name

    # ------------------------------------------------------------------------------------------ what nodes tell

    def on_start(self, node: Node) -> None:
        """A node loaded its disk."""
        if not node.is_honest:
            return
        chain, known = node.engine.chain, self._final_of[node.name]
        if chain.finalized.height != len(known) or (known and chain.finalized.id != known[-1]):
            self._fail(node, f"was final up to {len(known)} before its restart, now up to {chain.finalized.height}")
        head = node.disk.main[max(node.disk.main)].id if node.disk.main else self.world.genesis.id
        if chain.head.header.id != head:
            self._fail(node, "has another head after its restart than its disk says")

    def on_amnesia(self, node: Node, *, wipe: bool) -> None:
        """A node's disk lost something; with ``wipe`` it begins again."""
        if wipe:
            self._final_of[node.name], self._proven[node.name] = [], 0

    def on_handled(self, node: Node, effects: list[Effect]) -> None:
        """An event was handled."""
        if any(isinstance(effect, Commit) for effect in effects[1:]):
            self._fail(node, "wants a commit after other effects")
        if not node.is_honest:
            return
        # What was judged by a clock that was fast may still wait for its transactions when the clock is set right.
        is_steady = self.world.now_ms - node.clock_fell_ms > REQUEST_TIMEOUT_MS
        if is_steady and effects and isinstance(effects[0], Commit):
            for block in (*effects[0].adopted, *effects[0].side):
                early_ms = self.world.genesis.slot_start_ms(block.header.slot) - node.now_ms
                if early_ms > CLOCK_DISPARITY_MS and block.id not in node.disk.blocks:
                    self._fail(node, f"took a block whose slot begins in {early_ms} ms")
        waiting, pooled = len(node.engine._waiting), len(node.engine.mempool)
        self.most_waiting, self.most_pooled = max(self.most_waiting, waiting), max(self.most_pooled, pooled)
        if waiting > arrivals.MAX_WAITING or pooled > mempool.MAX_TRANSACTIONS:
            self._fail(node, f"holds {waiting} waiting blocks and {pooled} transactions")

    def on_stored(self, node: Node, commit: Commit, made: list[Header]) -> None:
        """A commit is durable."""
        if not node.is_honest:
            return
        for header in made:
            self._on_signed(node, header)
        if self._final_of[node.name] and commit.abandoned:
            lowest = min(block.header.height for block in commit.abandoned)
            if lowest <= len(self._final_of[node.name]):
                self._fail(node, f"abandoned the final block at height {lowest}")
        blocks: list[Block] = sorted((*commit.adopted, *commit.side), key=lambda block: block.header.height)
        for block in blocks:
            self.oracle.learn(block.header)
        if commit.adopted:
            self._compare_votes(node)
        if commit.finalized_height is not None:
            self._on_final(node, commit.finalized_height)

    def on_announced(self, node: Node, header: Header) -> None:
        """A header leaves the machine."""
        if node.is_honest and header.id not in self._durable[node.name]:
            self._fail(node, f"announced block {header.id.hex()[:8]} before it was durable")

    def on_blame(self, node: Node, peer: str, refusal: Refused) -> None:
        """A node blames a peer."""
        if self.is_safe and node.is_honest and self.world.by_name[peer].is_honest:
            self._fail(node, f"blamed {peer}, which is honest: {refusal}")

    def on_equivocation(self, node: Node, header: Header) -> None:
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
            pool, conversation = engine.mempool, engine.sync
            if pool.bytes != sum(len(item.raw) for item in pool) or pool.bytes > 2 * mempool.MAX_BYTES:
                self._fail(node, f"its mempool counts {pool.bytes} bytes")
            if max(len(conversation._statuses), len(conversation._resting)) > sync.MAX_STATUSES:
                self._fail(node, "remembers more peers than it may")
            if len(conversation._cursors) > sync.MAX_STATUSES or len(engine.chain.tree) > blocktree.MAX_BLOCKS:
                self._fail(node, "holds more blocks or downloads than it may")
            if engine.chain.finalized.height < len(self._final_of[node.name]):
                self._fail(node, "its final height fell")
            if engine.producer is not None and engine.producer.is_stopped:
                self._fail(node, "stopped for good, though nobody else signs with its key")

    # ----------------------------------------------------------------------------------------------- at the end

    def at_end(self) -> None:
        """Every node's head, executed again from the genesis, has the state that the node holds."""
        for node in self.world.honest:
            if not node.is_up:
                continue
            chain = node.engine.chain
            ledger, votes = Ledger(self.world.genesis), self._first_votes
            for height in range(1, chain.head.header.height + 1):
                votes = _execute(ledger, votes, node.disk.main[height])
            if ledger.state_root != chain.ledger.state_root or ledger.state != chain.ledger.state:
                self._fail(node, "its state is not that of its chain")

    def culprits(self) -> tuple[str, ...]:
        """The validators that two headers, both stored by honest nodes, prove guilty."""
        headers: dict[bytes, list[Header]] = {}
        for count in self.oracle.counts.values():
            if count.header is not None:
                headers.setdefault(count.header.proposer, []).append(count.header)
        names = {node.key.public: node.name for node in self.world.nodes if node.key is not None}
        return tuple(
            sorted(
                names[key]
                for key, signed in headers.items()
                if any(is_equivocation(one, two) for at, one in enumerate(signed) for two in signed[:at])
            )
        )

    # -------------------------------------------------------------------------------------------------- parts

    def _on_signed(self, node: Node, header: Header) -> None:
        signing = node.disk.signing
        if signing is None or (signing.slot, signing.last_height) != (header.slot, header.height):
            self._fail(node, f"signed slot {header.slot}, but its durable signing state does not say so")
        signed = self._signed.setdefault(header.proposer, [])
        for earlier in signed:
            if is_equivocation(earlier, header):
                self._fail(
                    node,
                    f"contradicts itself: (slot, height, mhg, mhp) {_fields(earlier)} and then {_fields(header)}",
                )
        signed.append(header)
        self._durable[node.name][header.id] = None

    def _compare_votes(self, node: Node) -> None:
        chain = node.engine.chain
        count, votes = self.oracle.counts[chain.head.header.id], chain.head.votes
        if (votes.mhp, votes.mhpc) != (count.mhp, count.mhpc):
            self._fail(
                node,
                f"counts mhp {votes.mhp} and final {votes.mhpc} at height {votes.height}, "
                f"where {count.mhp} and {count.mhpc} are right",
            )
        self._proven[node.name] = max(self._proven[node.name], count.mhpc)

    def _on_final(self, node: Node, height: int) -> None:
        if height != self._proven[node.name]:
            self._fail(node, f"says that {height} is final, where {self._proven[node.name]} is proven")
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
        self.final.append(block.id)
        self.final_transactions.update((item.id, block.header.height) for item in block.transactions)

    def _fail(self, node: Node, what: str) -> None:
        raise Violation(f"{node.name} {what}")


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
