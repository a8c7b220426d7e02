"""Validators that break the rules: what all of them share, and what theory says about each way to break them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from chain.branches.blockchain import Blockchain
from chain.consensus.headers import Header
from chain.consensus.statements import NO_TAG
from chain.consensus.votes import Votes
from chain.content.blocks import Block
from chain.protocol.events import Request, SigningState
from chain.protocol.messages import Status
from chain.protocol.production import Producer
from scripts.simulation.forge import Cabal, outcome_of, tell, whisper
from scripts.simulation.node import SimulatedNode
from scripts.simulation.world import World

# A leader signs a little after its slot began.
INTO_SLOT_MS = 10

Outcome = Literal["live", "stalls", "forks"]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What theory predicts of the honest nodes while villains are at work.

    ``live``: they agree, and finality moves on.  ``stalls``: they agree and their chain grows, but nothing new is
    final until the villains return to their duty; then finality moves on.  ``forks``: two of them finalize different
    blocks.  ``named`` says whether headers that they saw prove every villain guilty; else nothing proves anything.
    """

    outcome: Outcome
    named: bool


class Villain(SimulatedNode):
    """A validator that does what its strategy says.

    Where there are more of them than are tolerated, they return to their duty once the faults end: the damage must
    be mended then, unless it is a fork.
    """

    is_honest = False

    def __init__(self, world: World, seat: int, cabal: Cabal, strategy: Strategy) -> None:
        super().__init__(world, f"villain{seat}", world.secrets[seat])
        self.engine_key = None
        self.secret = world.secrets[seat]
        self.cabal = cabal
        self._strategy = strategy
        self._honest = Producer(world.genesis, self.secret, SigningState(), NO_TAG)
        self._generated = 0

    @property
    def strategy(self) -> Strategy:
        """What it does at present."""
        return DUTIFUL if self.world.is_mended and not self.world.checks.is_safe else self._strategy

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
        self.world.schedule.later(self.world.genesis.slot_ms // 2, self._attest)
        self._next_slot()

    def _attest(self) -> None:
        self.strategy.attest(self)

    def leader(self, slot: int) -> bytes:
        """Whose turn ``slot`` is, on the head that it follows."""
        return self.engine.chain.electorate.leader(slot)

    @property
    def head(self) -> tuple[Header, Votes]:
        """The head that it follows, and the votes there."""
        node = self.engine.chain.head
        return node.header, node.votes

    def sign(self, slot: int, *, votes_not: bool = False) -> Block | None:
        """The empty block that an honest validator would sign on the head, if it would sign one.

        ``votes_not`` makes it one that casts no vote, and carries none.
        """
        header, votes = self.head
        signing = self._honest.signing or SigningState()
        if header.slot >= slot or self.secret.public in votes.electorate.barred:
            return None
        root, decision = outcome_of(self, slot, ())
        heard = None if votes_not else self.engine.heard
        mhg = header.height + 1 if votes_not else max(signing.mhg, self._generated)
        block = self.cabal.forge(
            self.secret, header, votes, slot, mhg=mhg, state_root=root, decision=decision, heard=heard
        )
        if (block.header.mhp, block.header.height) <= signing.last:
            return None
        self._honest.said(block.header)
        self._generated = max(self._generated, block.header.height)
        return block

    def attest(self) -> None:
        """Stand behind the head, if an honest validator would."""
        attestation = self._honest.attest(self.engine.chain)
        if attestation is not None:
            self.engine.heard.add(attestation)
            whisper(self, attestation, self.world.nodes)

    def attest_for(self, chain: Blockchain, receivers: list[SimulatedNode], mhg: int | None = None) -> None:
        """Stand behind the head of a chain, for some, as if there were no other chain; or as if nothing was said."""
        header, votes = chain.head.header, chain.head.votes
        row = votes.row(header.height)
        if row is not None and self.secret.public not in row.said:
            whisper(self, self.cabal.attest(self.secret, header, votes, mhg), receivers)

    def forge(
        self, parent: tuple[Header, Votes], slot: int, *, mhg: int | None = None, mhp: int | None = None
    ) -> Block:
        """An empty block of this villain, true to its branch but for what is given."""
        block = self.cabal.forge(self.secret, *parent, slot, mhg=mhg, mhp=mhp)
        self._generated = max(self._generated, block.header.height)
        return block

    def tell(self, block: Block | None, receivers: list[SimulatedNode] | None = None) -> None:
        """Announce a block, if there is one, to everybody or to some."""
        if block is None:
            return
        header = block.header
        self.say(
            f"forges  {header.id.hex()[:8]} height {header.height} slot {header.slot} on {header.parent.hex()[:8]}"
        )
        tell(self, block, self.world.nodes if receivers is None else receivers)

    def status_for(self, peer: str) -> bytes | None:
        truth = replace(self.engine.status(self.now_ms), credential=self.credential)
        status = self.strategy.status(self, peer, truth)
        return None if status is None else status.encode()

    def answer(self, request: Request) -> bytes | None:
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
    """What a villain does; without more it makes no block, and is polite otherwise.

    ``tolerated`` is predicted with as many villains as the protocol tolerates, ``too_many`` with one more.
    """

    tolerated: ClassVar[Expectation] = Expectation("live", named=False)
    too_many: ClassVar[Expectation] = Expectation("stalls", named=False)
    # How many more are tolerated, since they turn only when the others are jailed.
    later: ClassVar[int] = 0

    def join(self, cabal: Cabal, seat: int) -> None:
        """Take a validator's seat in the world."""
        cabal.world.add(Villain(cabal.world, seat, cabal, self))

    def each_slot(self, villain: Villain, slot: int) -> None:
        """A slot begins."""

    def lead(self, villain: Villain, slot: int) -> None:
        """It is the villain's turn."""

    def attest(self, villain: Villain) -> None:
        """The middle of a slot: time to stand behind its block."""

    def status(self, villain: Villain, peer: str, status: Status) -> Status | None:
        """What it tells a peer about itself, where ``status`` is true."""
        return status

    def answer(self, villain: Villain, request: Request, reply: bytes | None) -> bytes | None:
        """What it replies to a request, where ``reply`` is right."""
        return reply


class Attests(Strategy):
    """What those share who stand behind blocks as they should."""

    def attest(self, villain: Villain) -> None:
        villain.attest()


class Dutiful(Attests):
    """No villain at all."""

    def lead(self, villain: Villain, slot: int) -> None:
        villain.tell(villain.sign(slot))


DUTIFUL = Dutiful()
