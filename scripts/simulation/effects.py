"""What breaks a promise that somebody outside was given; the first that does is a :class:`Violation`.

These are effects, each seen without knowing the rule that should prevent it:

* a **fork**: two honest nodes finalize different blocks at one height, or one abandons or forgets what it finalized;
* a **loss**: what is final cannot be followed by a newcomer, as no node begins again then; clients of honest nodes
  see to it that nothing promised gets lost (:mod:`scripts.simulation.workload`);
* an honest validator is **accused** in what is final, or makes no block any more;
* a validator that is **jailed** makes a final block after the one that jailed it;
* an honest peer is **blamed**, and whoever proves again and again that it has no manners never is, or may sign twice;
* **memory** is kept without bound.

Stalls are noticed by whoever lets time pass (:mod:`scripts.simulation.history`), crashes where a node fails.  What
holds only while at most a third of the validators is not honest is only then asked for; what each node promises its
own users, that what it called final stays final, always.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise, starmap, takewhile

from chain.base.errors import Reason, Refused
from chain.branches.blockchain import Blockchain
from chain.consensus.headers import Header
from chain.consensus.statements import SignedStatement, is_equivocation
from chain.content.actions import Evidence, Propose
from chain.content.blocks import Block
from chain.content.kinds import decode_statement
from chain.protocol.events import AttestationsReceived, BlockAnnounced, BlocksReceived, Commit, Effect, Event, Fault
from scripts.simulation import answering, disk, realdisk, sharing, wire
from scripts.simulation import node as node_module
from scripts.simulation.bounds import kept
from scripts.simulation.node import SimulatedNode
from scripts.simulation.settings import Violation
from scripts.simulation.world import World

# So often a stranger did what proves something about it, and nobody blamed it: then nobody ever does.
UNBLAMED = 20
# What a node is made of beside the chain.
_NODE = (node_module.__name__, answering.__name__)
_OF_A_NODE = (*_NODE, disk.__name__, realdisk.__name__, wire.__name__, sharing.__name__)


class Effects:
    """Watches a world.  ``is_safe`` says that theory promises agreement, with so few villains."""

    def __init__(self, world: World, *, is_safe: bool) -> None:
        self.world = world
        self.is_safe = is_safe
        # The final chain, by height.
        self.final: list[bytes] = []
        self.final_transactions: dict[bytes, int] = {}
        self.accusations: list[Evidence] = []
        # What was done in what is final, and how often.
        self.deeds: Counter[str] = Counter()
        self.forked = 0
        # By validator, the slot of the last block that it made.
        self.last_slots: dict[bytes, int] = {}
        # Somebody who follows what is final from the genesis on.
        self.newcomer = Blockchain(world.genesis)
        self._stored: set[bytes] = set()
        self._final_of: dict[str, list[bytes]] = {}
        self._honest_keys: dict[bytes, str] = {}
        # All statements that reached an honest node, by their speaker.
        self._seen: dict[bytes, dict[bytes, SignedStatement]] = {}
        self._blamed: dict[str, set[Reason]] = {}

    def watch(self, node: SimulatedNode) -> None:
        """Take a node in."""
        self._final_of[node.name] = []
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

    def on_amnesia(self, node: SimulatedNode, final_height: int) -> None:
        """A node's disk lost something, and by no fault of the node: it is final up to there again.

        That may be more than it knew just now, where it lost more before, and a backup brings that back.
        """
        del self._final_of[node.name][final_height:]
        if node.is_honest:
            self._on_final(node, final_height)

    def on_restart(self, node: SimulatedNode, tip: bytes, *, is_sure: bool) -> None:
        """People agreed to let the chain go on from ``tip``, which a node has.

        What no home that is left knew to be final is lost with the disks that did, and all that was promised with it.
        Where it is not ``is_sure`` that nothing final is left out, whoever is not honest may bring that back.
        """
        self.is_safe &= is_sure or all(peer.is_honest for peer in self.world.peers.values())
        branch = node.find_branch(tip, 1)
        common = sum(1 for _ in takewhile(lambda pair: pair[0].id == pair[1], zip(branch, self.final, strict=False)))
        if max(map(len, self._final_of.values())) > common or common == len(self.final):
            return
        self.world.timeline.say("world", f"what was final is lost above height {common}")
        del self.final[common:]
        self.final_transactions = {key: at for key, at in self.final_transactions.items() if at <= common}
        self.newcomer = Blockchain(self.world.genesis)
        for block in branch[:common]:
            self._follow(block)

    def on_handled(self, node: SimulatedNode, event: Event, effects: list[Effect]) -> None:
        """An event was handled."""
        if not node.is_honest:
            return
        for effect in effects:
            if isinstance(effect, Fault):
                self._fail(node, effect.text)
        self._hear(headers_of(event))
        if isinstance(event, AttestationsReceived):
            self._hear(event.batch.attestations)

    def on_stored(self, node: SimulatedNode, commit: Commit, said: list[SignedStatement]) -> None:
        """A commit is durable."""
        if not node.is_honest:
            return
        self._hear(said)
        self.last_slots.update({one.speaker: one.slot for one in said if one.slot is not None})
        if self._final_of[node.name] and commit.abandoned:
            lowest = min(block.header.height for block in commit.abandoned)
            if lowest <= len(self._final_of[node.name]):
                self._fail(node, f"abandoned the final block at height {lowest}")
        self._stored.update(block.id for block in (*commit.adopted, *commit.side))
        if commit.finalized_height is not None:
            self._on_final(node, commit.finalized_height)

    def on_announced(self, node: SimulatedNode, statement: SignedStatement) -> None:
        """A statement leaves the machine."""

    def on_passed_on(self, node: SimulatedNode, header: Header, *, is_news: bool = False) -> None:
        """A node passes a header on to everybody."""

    def on_blame(self, node: SimulatedNode, peer: str, refusal: Refused) -> None:
        """A node blames a peer."""
        if node.is_honest:
            self._blamed.setdefault(peer, set()).add(refusal.reason)
        if self.is_safe and node.is_honest and self.world.peers[peer].is_honest:
            self._fail(node, f"blamed {peer}, which is honest: {refusal}")

    def on_equivocation(self, node: SimulatedNode, statement: SignedStatement) -> None:
        """A node saw somebody contradict itself."""

    # ------------------------------------------------------------------------------------------------ in between

    def each_slot(self) -> None:
        """What is too much to look at after each event."""
        for node in self.world.honest:
            if not node.is_up:
                continue
            if node.engine.chain.finalized.height < len(self._final_of[node.name]):
                self._fail(node, "its final height fell")
            for what, size, limit in kept(node):
                if size > limit:
                    self._fail(node, f"holds {what}: {size}, where the bound is {limit}")

    def at_end(self) -> None:
        """What only shows when all is over."""
        for stranger in self.world.strangers:
            for reason, times in stranger.proofs.items():
                if times > UNBLAMED and reason not in self._blamed.get(stranger.name, ()):
                    raise Violation(f"nobody blames {stranger.name} for {reason.code}, proven {times} times")
        renewed = {tag.key for tag in self.newcomer.electorate.tags}
        for key, said in self._seen.items():
            taken = [item for item in said.values() if item.slot is not None and item.id in self._stored]
            slots = {item.slot for item in taken}
            if key not in renewed and len(slots) < len(taken) and not _proves_guilt(taken):
                raise Violation("two blocks of one validator and slot were taken, and nobody can prove it: impunity")

    def culprits(self, *, stored: bool = False) -> tuple[str, ...]:
        """The validators that two statements prove guilty, both seen, or even ``stored``, by honest nodes."""
        # Where a key is on two machines, the name is the first one's.
        names = {node.key.public: node.name for node in reversed(self.world.nodes) if node.key is not None}
        return tuple(
            sorted(
                names[key]
                for key, said in self._seen.items()
                if key in names
                and _proves_guilt(
                    [item for item in said.values() if not stored or item.slot is None or item.id in self._stored]
                )
            )
        )

    def mute(self, since_slot: int) -> list[str]:
        """The honest validators that lead slots and made no block since a slot."""
        electorate = self.newcomer.electorate
        leading = [key for key in electorate.leaders if key in self._honest_keys and key not in electorate.barred]
        return [self._honest_keys[key] for key in leading if self.last_slots.get(key, -1) < since_slot]

    @property
    def jailed(self) -> int:
        """How many seats are jailed in what is final."""
        return len(self._jailed())

    # -------------------------------------------------------------------------------------------------- parts

    def _jailed(self) -> set[bytes]:
        """Who is jailed after what is final, and so makes no block from there on."""
        return {seat.key for seat in self.newcomer.ledger.validators.active if seat.is_jailed}

    def _hear(self, statements: Iterable[SignedStatement]) -> None:
        for statement in statements:
            self._seen.setdefault(statement.speaker, {})[statement.id] = statement

    def _on_final(self, node: SimulatedNode, height: int) -> None:
        known = self._final_of[node.name]
        for at in range(len(known) + 1, height + 1):
            block = node.disk.main[at]
            known.append(block.id)
            if at > len(self.final):
                self._take_final(block)
            elif self.final[at - 1] != block.id:
                self.forked += 1
                if self.is_safe:
                    self._fail(node, f"finalized another block at height {at} than others")

    def _take_final(self, block: Block) -> None:
        if self.forked:
            return
        header = block.header
        parent = self.final[-1] if self.final else self.world.genesis.id
        if header.parent != parent:
            self.forked += 1
            if self.is_safe:
                raise Violation(f"the block final at height {header.height} does not follow the one before")
            return
        jailed, voting = self._jailed(), self.newcomer.ledger.validators.voting
        self._follow(block)
        self.deeds["change of validators"] += self.newcomer.ledger.validators.voting != voting
        if header.proposer in jailed:
            raise Violation(f"the block final at height {header.height} is of a validator that is jailed")
        for item in block.transactions:
            self.deeds[item.kind] += 1
            if isinstance(item.action, Propose):
                self.deeds[type(item.action.proposal).__name__] += 1
            elif isinstance(item.action, Evidence):
                self._on_accused(item.action, header)
        self.final.append(block.id)
        self.final_transactions.update((item.id, header.height) for item in block.transactions)

    def _follow(self, block: Block) -> None:
        at = f"the block final at height {block.header.height}"
        try:
            self.newcomer.add(block, arrived_in_slot=True)
        except Refused as refusal:
            raise Violation(f"a newcomer does not take {at}: {refusal}") from refusal
        except Exception as error:
            raise Violation(f"a newcomer crashes at {at}: {type(error).__name__}: {error}") from error
        if self.newcomer.head.header.id != block.id:
            raise Violation(f"a newcomer does not follow {at}")

    def _on_accused(self, accusation: Evidence, at: Header) -> None:
        accused = decode_statement(accusation.first).speaker
        if accused in self._honest_keys:
            raise Violation(
                f"the block final at height {at.height} jails {self._honest_keys[accused]}, which is honest"
            )
        self.accusations.append(accusation)

    def _fail(self, node: SimulatedNode, what: str) -> None:
        raise Violation(f"{node.name} {what}")


def crashed(error: BaseException) -> str:
    """The node in whose chain an error arose; "" where it was the simulator's own code that failed."""
    name, module = "", ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        where = frame.f_globals.get("__name__", "")
        if not where.startswith(("chain.", "scripts.")):
            continue
        module = where
        if module in _NODE:
            name = getattr(frame.f_locals.get("self"), "name", "")
        elif module.startswith("scripts.") and module not in _OF_A_NODE:
            name = ""
    return name if module.startswith("chain.") else ""


def headers_of(event: Event) -> list[Header]:
    """The headers that an event brings."""
    if isinstance(event, BlockAnnounced):
        return [event.announcement.header]
    return [block.header for block in event.blocks] if isinstance(event, BlocksReceived) else []


def _proves_guilt(signed: list[SignedStatement]) -> bool:
    """Neighbours are enough, in the order in which an honest one says them: to follow honestly is transitive."""
    in_order = sorted(signed, key=lambda one: (one.tag, one.mhg, one.mhp, one.height))
    by_slot = sorted((one for one in signed if one.slot is not None), key=lambda one: (one.tag, one.slot))
    return any(starmap(is_equivocation, (*pairwise(in_order), *pairwise(by_slot))))
