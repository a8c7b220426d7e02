"""The ways in which validators break the rules, each with what theory predicts of it.

A villain follows the chain with an engine that has no key, sees what it likes of the world, and forges what it
signs.  The villains of one world share one strategy, which is asked at the beginning of each slot, and for each
answer that they would give.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from chain.content.actions import Rate
from chain.content.blocks import Block, encode_block, heading_of
from chain.content.transactions import sign_transaction
from chain.protocol.events import Request
from chain.protocol.messages import GetBlocks, GetHeadings, GetTransactions, RawItems, Status
from scripts.simulation.copies import CopiedHome, CopiedKey
from scripts.simulation.forge import outcome_of, tell
from scripts.simulation.node import SimulatedNode
from scripts.simulation.villain import Attests, Expectation, Strategy, Villain
from scripts.simulation.wire import batched
from scripts.simulation.world import secret

FLOOD = 4
# What a liar says of the time is wrong by so much: it is not before the epoch, and no clock agrees with it.
TIME_LIE_MS = 30_000


class Silent(Strategy):
    """Makes no block."""


class SignsTwice(Strategy):
    """What double signers share: at first they rule the network and part the honest nodes; and they serve nobody."""

    tolerated = Expectation("live", named=True)
    too_many = Expectation("forks", named=True)

    def each_slot(self, villain: Villain, slot: int) -> None:
        network = villain.world.network
        if slot < villain.world.half_slot:
            left, right = halves(villain)
            ways = [(one.name, two.name) for one in left for two in right]
            network.cut(ways + [(two, one) for one, two in ways], noticed=False)
        elif slot == villain.world.half_slot:
            network.heal()

    def attest(self, villain: Villain) -> None:
        for half in halves(villain):
            up = [node for node in half if node.is_up]
            for node in up:
                villain.attest_for(node.engine.chain, up)

    def status(self, villain: Villain, peer: str, status: Status) -> Status | None:
        return None

    def answer(self, villain: Villain, request: Request, reply: bytes | None) -> bytes | None:
        return _forged_transactions(villain, request)


class Equivocates(SignsTwice):
    """Signs two blocks for one slot and shows one to each half, each on the head of that half."""

    def lead(self, villain: Villain, slot: int) -> None:
        for half, is_second in zip(halves(villain), (False, True), strict=True):
            up, best = best_of(half, slot)
            if best is None:
                continue
            head = best.engine.chain.head
            enrols = (villain.cabal.stranger_enrols(best, slot),) if is_second else ()
            root, decision = outcome_of(best, slot, enrols)
            block = villain.cabal.forge(
                villain.secret,
                head.header,
                head.votes,
                slot,
                enrols,
                state_root=root,
                decision=decision,
                heard=best.engine.heard,
                tag=self.tag(villain),
            )
            villain.tell(block, up)

    def tag(self, villain: Villain) -> bytes | None:
        """With which tag it signs the next block; None for its own."""
        return None


class Clones(SignsTwice):
    """Signs on every fork there is, and opens one where there is none (the attack of the clones)."""

    def lead(self, villain: Villain, slot: int) -> None:
        honest = [node for node in villain.world.honest if node.is_up]
        parents = {node.engine.chain.head.header.id: node.engine.chain.head for node in honest}
        for node in honest[:1] if len(parents) == 1 else ():
            tree, head = node.engine.chain.tree, node.engine.chain.head.header
            if head.parent in tree:
                parents[head.parent] = tree[head.parent]
        for parent_id, parent in parents.items():
            if parent.header.slot < slot:
                block = villain.forge((parent.header, parent.votes), slot)
                villain.tell(block, [node for node in honest if parent_id in node.engine.chain.tree])


class Betrays(SignsTwice):
    """Helps the larger half until something is final there, then only the other, with votes that it cast before."""

    def lead(self, villain: Villain, slot: int) -> None:
        half, is_final = self.helped(villain)
        up, best = best_of(half, slot)
        if best is None:
            return
        head = best.engine.chain.head
        for mhg in (0, None) if is_final else (None,):
            villain.tell(villain.forge((head.header, head.votes), slot, mhg=mhg), up)

    @staticmethod
    def helped(villain: Villain) -> tuple[list[SimulatedNode], bool]:
        """Whom it helps at present, and whether something is final for the larger half."""
        left, right = halves(villain)
        is_final = any(node.is_up and node.engine.chain.finalized.height for node in right)
        return (left if is_final else right), is_final


class Withholds(Strategy):
    """Signs as it should, but keeps each block until its next turn, when it is too late for it."""

    def __init__(self) -> None:
        self._kept: dict[str, Block | None] = {}

    def lead(self, villain: Villain, slot: int) -> None:
        villain.tell(self._kept.get(villain.name))
        self._kept[villain.name] = villain.sign(slot)


class BuildsOnStale(Strategy):
    """Builds some blocks below the head."""

    tolerated = Expectation("live", named=True)
    too_many = Expectation("stalls", named=True)

    def lead(self, villain: Villain, slot: int) -> None:
        tree = villain.engine.chain.tree
        header = villain.head[0]
        for _ in range(villain.world.random.randint(1, 2 * len(villain.world.secrets))):
            if header.parent in tree:
                header = tree[header.parent].header
        villain.tell(villain.forge((header, tree[header.id].votes), slot))


class Lies(Strategy):
    """Says what is not so about the heights that it generated and saw prevoted."""

    tolerated = Expectation("live", named=True)
    too_many = Expectation("stalls", named=True)

    def lead(self, villain: Villain, slot: int) -> None:
        random, (header, votes) = villain.world.random, villain.head
        top = header.height + 1
        lies = [header.height, top, top + 100, 2**63]
        if votes.spoken_up_to(villain.secret.public):
            lies.append(0)
        mhp = random.choice([votes.mhp, votes.mhp, votes.mhp + 1, 0, 2**63])
        villain.tell(villain.forge((header, votes), slot, mhg=random.choice(lies), mhp=mhp))


class Stalls(Strategy):
    """Makes valid blocks that cast no vote, to keep finality back with the least it can do."""

    def lead(self, villain: Villain, slot: int) -> None:
        villain.tell(villain.sign(slot, votes_not=True))


class Censors(Attests):
    """Makes empty blocks only, and gives nobody anything: others record what it does not."""

    too_many = Expectation("live", named=False)

    def lead(self, villain: Villain, slot: int) -> None:
        villain.tell(villain.sign(slot))

    def answer(self, villain: Villain, request: Request, reply: bytes | None) -> bytes | None:
        return None


class Floods(Attests):
    """Orphans, blocks of the future, invalid blocks and transactions, beside the blocks that it should make."""

    tolerated = Expectation("live", named=True)
    too_many = Expectation("live", named=True)

    def each_slot(self, villain: Villain, slot: int) -> None:
        world, head, cabal = villain.world, villain.head, villain.cabal
        count = len(world.secrets)
        mine = next((at for at in range(slot, slot + count) if villain.leader(at) == villain.secret.public), None)
        if mine is None:  # jailed: it has no slots left
            return
        for number in range(FLOOD):
            orphan_slot = max(mine - count * number, mine % count or count)
            random_id = world.random.randbytes(32)
            height = head[0].height + world.random.randint(1, 50)
            orphan = cabal.forge(villain.secret, *head, orphan_slot, parent_id=random_id, height=height)
            future = cabal.forge(villain.secret, *head, mine + count * (number + 1))
            for block in (orphan, future):
                tell(villain, block, world.nodes)
        key = secret(60_000 + world.random.randrange(100))
        junk = tuple(
            sign_transaction(key, world.genesis.id, 1 + nonce, 50_000, Rate(world.random.randbytes(32), 1, 1))
            for nonce in range(FLOOD)
        )
        for batch in batched(junk):
            world.network.broadcast(villain, batch)

    def lead(self, villain: Villain, slot: int) -> None:
        cabal, head, random = villain.cabal, villain.head, villain.world.random
        enrols = cabal.stranger_enrols(villain, slot)
        match random.randrange(4):
            case 0:
                villain.tell(cabal.forge(villain.secret, *head, slot, state_root=random.randbytes(32)))
            case 1:
                root, decision = outcome_of(villain, slot, (enrols,))
                twice = (enrols, enrols)
                villain.tell(cabal.forge(villain.secret, *head, slot, twice, state_root=root, decision=decision))
            case _:
                villain.tell(villain.sign(slot))

    def answer(self, villain: Villain, request: Request, reply: bytes | None) -> bytes | None:
        return _forged_transactions(villain, request) or reply


class LiesAboutStatus(Attests):
    """Claims another chain to each peer, and answers with nothing, with what nobody asked for, or not at all."""

    too_many = Expectation("live", named=False)

    def lead(self, villain: Villain, slot: int) -> None:
        villain.tell(villain.sign(slot))

    def each_slot(self, villain: Villain, slot: int) -> None:
        for node in villain.world.honest:
            if node.is_up and slot % 4 == 0:
                villain.world.network.ask_status(node, villain.name)

    def status(self, villain: Villain, peer: str, status: Status) -> Status | None:
        random = villain.world.random
        match random.randrange(5):
            case 0:
                return Status(random.randbytes(32), 2**63, 2**63, 0)
            case 1:
                return Status(random.randbytes(32), status.height + 300, status.mhp + 1, status.height + 200)
            case 2:
                return Status(status.head_id, status.height + 1, status.mhp + 1, 0)
            case 3:
                return replace(status, time_ms=villain.world.now_ms + random.choice([-TIME_LIE_MS, TIME_LIE_MS]))
            case _:
                return status

    def answer(self, villain: Villain, request: Request, reply: bytes | None) -> bytes | None:
        if not isinstance(request, GetHeadings | GetBlocks):
            return reply
        random = villain.world.random
        raws = map(encode_block, villain.find_branch(villain.head[0].id, 1)[: request.count])
        match random.randrange(4):
            case 0:
                return None
            case 1:
                return RawItems(()).encode()
            case 2:
                return RawItems(tuple(raws if isinstance(request, GetBlocks) else map(heading_of, raws))).encode()
            case _:
                return reply


class Rewrites(Attests):
    """Behaves at first, then grows another past in secret, shows all of it at once, and behaves again."""

    tolerated = Expectation("live", named=True)
    too_many = Expectation("live", named=True)
    BEHAVES_SLOTS = 20
    SECRET_SLOTS = 60
    SHOWN_SLOTS = 66

    def __init__(self) -> None:
        self._branch: list[Block] = []

    def lead(self, villain: Villain, slot: int) -> None:
        if self._behaves(slot):
            villain.tell(villain.sign(slot))
        if not self.BEHAVES_SLOTS < slot <= self.SECRET_SLOTS:
            return
        tip = self._branch[-1] if self._branch else next(iter(villain.cabal.blocks.values()))
        self._branch.append(villain.forge((tip.header, villain.cabal.votes[tip.id]), slot))

    def attest(self, villain: Villain) -> None:
        if self._behaves(villain.world.slot):
            super().attest(villain)

    def _behaves(self, slot: int) -> bool:
        return not self.BEHAVES_SLOTS < slot <= self.SHOWN_SLOTS

    def each_slot(self, villain: Villain, slot: int) -> None:
        if slot != self.SECRET_SLOTS + 1:
            return
        for at, block in enumerate(self._branch):
            villain.world.schedule.later(100 * at, partial(villain.tell, block))


STRATEGIES: dict[str, type[Strategy]] = {
    "silent": Silent,
    "equivocates": Equivocates,
    "clones": Clones,
    "betrays": Betrays,
    "withholds": Withholds,
    "stale": BuildsOnStale,
    "lies": Lies,
    "stalls": Stalls,
    "censors": Censors,
    "floods": Floods,
    "statuses": LiesAboutStatus,
    "rewrites": Rewrites,
    "copied-key": CopiedKey,
    "copied-home": CopiedHome,
}


def halves(villain: Villain) -> tuple[list[SimulatedNode], list[SimulatedNode]]:
    """The honest nodes, in two halves."""
    honest = villain.world.honest
    return honest[: len(honest) // 2], honest[len(honest) // 2 :]


def best_of(nodes: list[SimulatedNode], slot: int) -> tuple[list[SimulatedNode], SimulatedNode | None]:
    """Those of some nodes that run, and the one with the best head to build on in a slot."""
    up = [node for node in nodes if node.is_up]
    best = max(up, key=lambda node: (node.engine.status(node.now_ms).rank, node.name), default=None)
    return up, best if best is not None and best.engine.chain.head.header.slot < slot else None


def _forged_transactions(villain: Villain, request: Request) -> bytes | None:
    """The villain's engine does not know the transactions of a block that it made."""
    if not isinstance(request, GetTransactions):
        return None
    forged = villain.cabal.transactions
    found = tuple(forged[key].raw for key in request.transaction_ids if key in forged)
    return RawItems(found).encode() if found else None
