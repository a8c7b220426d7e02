"""Validators that break the rules, each in one way.

A villain follows the chain with an engine that has no key, sees what it likes of the world, and forges what it
signs.  The villains of one world share one strategy, which is asked at the beginning of each slot, and for each
answer that they would give.
"""

from __future__ import annotations

from functools import partial

from chain.blocks import Block
from chain.events import BlocksReceived, Event, MissingReceived, Request, TransactionsReceived
from chain.headers import Header
from chain.messages import GetBlocks, GetTransactions, Status
from chain.transactions import Rate, sign_transaction
from chain.votes import Votes
from scripts.simulation.forge import Cabal, root_with, tell
from scripts.simulation.node import Node
from scripts.simulation.world import World, secret

# A leader signs a little after its slot began.
INTO_SLOT_MS = 10
FLOOD = 8


class Villain(Node):
    """A validator that does what its strategy says."""

    is_honest = False

    def __init__(self, world: World, seat: int, cabal: Cabal, strategy: Strategy) -> None:
        super().__init__(world, f"villain{seat}", world.secrets[seat])
        self.engine_key = None
        self.secret = world.secrets[seat]
        self.cabal = cabal
        self.strategy = strategy

    def start(self) -> None:
        """Join, and act at the beginning of each slot."""
        super().start()
        self._next_slot()

    def _next_slot(self) -> None:
        genesis = self.world.genesis
        self.world.schedule.later(
            genesis.slot_start_ms(self.world.slot + 1) + INTO_SLOT_MS - self.world.now_ms, self._act
        )

    def _act(self) -> None:
        slot = self.world.slot
        self.strategy.each_slot(self, slot)
        if self.leader(slot) == self.secret.public:
            self.strategy.lead(self, slot)
        self._next_slot()

    def leader(self, slot: int) -> bytes:
        """Whose turn ``slot`` is, on the head that it follows."""
        return self.engine.chain.next_votes.newest_set.leader(slot)

    @property
    def head(self) -> tuple[Header, Votes]:
        """The head that it follows, and the votes there."""
        node = self.engine.chain.head
        return node.header, node.votes

    def forge(
        self, parent: tuple[Header, Votes], slot: int, *, mhg: int | None = None, mhp: int | None = None
    ) -> Block:
        """An empty block of this villain, true but for what is given."""
        return self.cabal.forge(self.secret, *parent, slot, mhg=mhg, mhp=mhp)

    def tell(self, block: Block, receivers: list[Node] | None = None) -> None:
        """Announce a block, to everybody or to some."""
        header = block.header
        self.say(
            f"forges  {header.id.hex()[:8]} height {header.height} slot {header.slot} on {header.parent.hex()[:8]}"
        )
        tell(self, block, self.world.nodes if receivers is None else receivers)

    def status_for(self, peer: str) -> Status | None:
        return self.strategy.status(self, peer, self.engine.status())

    def answer(self, request: Request) -> Event | None:
        return self.strategy.answer(self, request, super().answer(request))

    def find_branch(self, tip_id: bytes, from_height: int) -> list[Block]:
        blocks: list[Block] = []
        while True:
            block = self.cabal.blocks.get(tip_id) or self.disk.blocks.get(tip_id, (None, False))[0]
            if block is None or block.header.height < from_height:
                return blocks[::-1]
            blocks.append(block)
            tip_id = block.header.parent


class Strategy:
    """What a villain does; this one is silent in its slots and polite otherwise."""

    def each_slot(self, villain: Villain, slot: int) -> None:
        """A slot begins."""

    def lead(self, villain: Villain, slot: int) -> None:
        """It is the villain's turn."""

    def status(self, villain: Villain, peer: str, status: Status) -> Status | None:
        """What it tells a peer about itself, where ``status`` is true."""
        return status

    def answer(self, villain: Villain, request: Request, reply: Event | None) -> Event | None:
        """What it replies to a request, where ``reply`` is right."""
        return reply


class Equivocates(Strategy):
    """Signs two blocks for one slot and shows each to one half."""

    def lead(self, villain: Villain, slot: int) -> None:
        head = villain.head
        enrols = (villain.cabal.stranger_enrols(),)
        root = root_with(villain, slot, enrols)
        others = [node for node in villain.world.nodes if node is not villain]
        half = len(others) // 2
        villain.tell(villain.forge(head, slot), others[:half])
        villain.tell(villain.cabal.forge(villain.secret, *head, slot, enrols, state_root=root), others[half:])

    def answer(self, villain: Villain, request: Request, reply: Event | None) -> Event | None:
        return _with_forged_transactions(villain, request, reply)


class Clones(Strategy):
    """Signs on every fork that it knows, and opens one where there is none (the attack of the clones)."""

    def lead(self, villain: Villain, slot: int) -> None:
        tree = villain.engine.chain.tree
        tips = [tip for tip in tree.tips() if tip.slot < slot][:4]
        parents = [tree[tip.id].header for tip in tips]
        if len(parents) == 1 and parents[0].parent in tree:
            parents.append(tree[parents[0].parent].header)
        for parent in parents:
            villain.tell(villain.forge((parent, tree[parent.id].votes), slot))


class Withholds(Strategy):
    """Keeps its blocks, builds on them in secret, and releases them late."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, Block]] = []

    def lead(self, villain: Villain, slot: int) -> None:
        parent = villain.head
        if self._kept:
            tip = self._kept[-1][1]
            if tip.header.height >= parent[0].height:
                parent = tip.header, villain.cabal.votes[tip.id]
        block = villain.forge(parent, slot)
        self._kept.append((slot + villain.world.random.randint(1, 3 * len(villain.world.secrets)), block))

    def each_slot(self, villain: Villain, slot: int) -> None:
        for due, block in self._kept:
            if due <= slot:
                villain.tell(block)
        self._kept = [(due, block) for due, block in self._kept if due > slot]


class BuildsOnStale(Strategy):
    """Builds some blocks below the head."""

    def lead(self, villain: Villain, slot: int) -> None:
        tree = villain.engine.chain.tree
        header = villain.head[0]
        for _ in range(villain.world.random.randint(1, 2 * len(villain.world.secrets))):
            if header.parent in tree:
                header = tree[header.parent].header
        villain.tell(villain.forge((header, tree[header.id].votes), slot))


class Lies(Strategy):
    """Says what is not so about the heights that it generated and saw prevoted."""

    def lead(self, villain: Villain, slot: int) -> None:
        random, (header, votes) = villain.world.random, villain.head
        top = header.height + 1
        mhg = random.choice([0, random.randrange(top), header.height, top, top + 100, 2**63])
        mhp = random.choice([votes.mhp, votes.mhp, votes.mhp + 1, 0, 2**63])
        villain.tell(villain.forge((header, votes), slot, mhg=mhg, mhp=mhp))


class Stalls(Strategy):
    """Makes valid blocks that cast no vote, to keep finality back with the least it can do."""

    def lead(self, villain: Villain, slot: int) -> None:
        head = villain.head
        villain.tell(villain.forge(head, slot, mhg=head[0].height + 1))


class Censors(Strategy):
    """Makes empty blocks only, and gives nobody anything."""

    def lead(self, villain: Villain, slot: int) -> None:
        villain.tell(villain.forge(villain.head, slot))

    def answer(self, villain: Villain, request: Request, reply: Event | None) -> Event | None:
        return None


class Floods(Strategy):
    """Orphans, blocks of the future, blocks that are invalid when executed, transactions that never can enter."""

    def each_slot(self, villain: Villain, slot: int) -> None:
        world, head, cabal = villain.world, villain.head, villain.cabal
        count = len(world.secrets)
        mine = next(at for at in range(slot, slot + count) if villain.leader(at) == villain.secret.public)
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
        world.network.broadcast(villain, TransactionsReceived(villain.name, junk))

    def lead(self, villain: Villain, slot: int) -> None:
        cabal, head = villain.cabal, villain.head
        enrols = cabal.stranger_enrols()
        root = villain.world.random.randbytes(32)
        villain.tell(cabal.forge(villain.secret, *head, slot, state_root=root))
        villain.tell(cabal.forge(villain.secret, *head, slot, (enrols, enrols), state_root=root))

    def answer(self, villain: Villain, request: Request, reply: Event | None) -> Event | None:
        return _with_forged_transactions(villain, request, reply)


class LiesAboutStatus(Strategy):
    """Claims another chain to each peer, and answers with nothing, with what nobody asked for, or not at all."""

    def lead(self, villain: Villain, slot: int) -> None:
        villain.tell(villain.forge(villain.head, slot))

    def each_slot(self, villain: Villain, slot: int) -> None:
        for node in villain.world.honest:
            if node.is_up and slot % 4 == 0:
                villain.world.network.ask_status(node, villain.name)

    def status(self, villain: Villain, peer: str, status: Status) -> Status | None:
        random = villain.world.random
        match random.randrange(4):
            case 0:
                return Status(random.randbytes(32), 2**63, 2**63, 0)
            case 1:
                return Status(random.randbytes(32), status.height + 300, status.mhp + 1, status.height + 200)
            case 2:
                return Status(status.head_id, status.height + 1, status.mhp + 1, 0)
            case _:
                return status

    def answer(self, villain: Villain, request: Request, reply: Event | None) -> Event | None:
        if not isinstance(request, GetBlocks):
            return reply
        random = villain.world.random
        blocks = villain.find_branch(villain.head[0].id, 1)
        match random.randrange(4):
            case 0:
                return None
            case 1:
                return BlocksReceived(villain.name, request, ())
            case 2:
                return BlocksReceived(villain.name, request, tuple(blocks[: request.count]))
            case _:
                return reply


class Splits(Strategy):
    """Cuts the honest nodes into two halves and helps both: with f + 1 villains both become final."""

    def each_slot(self, villain: Villain, slot: int) -> None:
        if villain.world.is_mended:
            return
        left, right = _halves(villain)
        ways = [(one.name, two.name) for one in left for two in right]
        villain.world.network.cut(ways + [(two, one) for one, two in ways], noticed=False)

    def lead(self, villain: Villain, slot: int) -> None:
        for half in _halves(villain):
            up = [node for node in half if node.is_up]
            if up:
                best = max(up, key=lambda node: (node.engine.status().rank, node.name))
                head = best.engine.chain.head
                if head.header.slot < slot:
                    villain.tell(villain.forge((head.header, head.votes), slot), up)

    def status(self, villain: Villain, peer: str, status: Status) -> Status | None:
        return None

    def answer(self, villain: Villain, request: Request, reply: Event | None) -> Event | None:
        return None


class Rewrites(Strategy):
    """With a quorum of villains: behaves at first, then grows another past in secret and shows all of it at once."""

    BEHAVES_SLOTS = 20
    SECRET_SLOTS = 60

    def __init__(self) -> None:
        self._branch: list[Block] = []

    def lead(self, villain: Villain, slot: int) -> None:
        if slot <= self.BEHAVES_SLOTS or slot > self.SECRET_SLOTS:
            villain.tell(villain.forge(villain.head, slot))
            return
        tip = self._branch[-1] if self._branch else next(iter(villain.cabal.blocks.values()))
        self._branch.append(villain.forge((tip.header, villain.cabal.votes[tip.id]), slot))

    def each_slot(self, villain: Villain, slot: int) -> None:
        if slot != self.SECRET_SLOTS + 1:
            return
        for at, block in enumerate(self._branch):
            villain.world.schedule.later(100 * at, partial(villain.tell, block))


STRATEGIES: dict[str, type[Strategy]] = {
    "silent": Strategy,
    "equivocates": Equivocates,
    "clones": Clones,
    "withholds": Withholds,
    "stale": BuildsOnStale,
    "lies": Lies,
    "stalls": Stalls,
    "censors": Censors,
    "floods": Floods,
    "statuses": LiesAboutStatus,
    "splits": Splits,
    "rewrites": Rewrites,
}


def join_cabal(world: World, name: str, seats: list[int]) -> None:
    """Add the villains of a world."""
    cabal, strategy = Cabal(world), STRATEGIES[name]()
    for seat in seats:
        world.add(Villain(world, seat, cabal, strategy))


def _halves(villain: Villain) -> tuple[list[Node], list[Node]]:
    honest = villain.world.honest
    return honest[: len(honest) // 2], honest[len(honest) // 2 :]


def _with_forged_transactions(villain: Villain, request: Request, reply: Event | None) -> Event | None:
    """The villain's engine does not know the transactions of a block that it made."""
    if not isinstance(request, GetTransactions):
        return reply
    forged = villain.cabal.transactions
    found = tuple(forged[key] for key in request.transaction_ids if key in forged)
    return MissingReceived(villain.name, request, found) if found else reply
