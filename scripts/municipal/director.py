"""Brings a story onto a chain: reads final blocks, and says what to submit next.

It has neither clock nor network: time is the slot of the last final block.  Whoever drives it hands it every final
block once, in order, offers what :meth:`Director.offers` returns to any node, and asks one what the next block would
make of what :meth:`Director.attempts` returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from chain.base.errors import Refused
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.content.transactions import VerifiedTransaction, sign_transaction
from scripts.municipal.cast import Company
from scripts.municipal.scenes import Chapter, Do, Scene, Step, Until
from scripts.municipal.telling import sentence_of, summary_of
from scripts.recount.follow import Follower

# Finality takes 5 slots with four validators: what is not final after so many was dropped, or is refused.
PATIENCE_SLOTS = 20

Tell = Callable[[str], None]


@dataclass(slots=True)
class Errand:
    """Something that is to get onto the chain.  It may have been signed more than once."""

    do: Do
    ids: set[bytes] = field(default_factory=set)
    transaction: VerifiedTransaction | None = None
    offered_slot: int = 0
    is_over: bool = False


@dataclass(slots=True)
class Thread:
    """A scene, and what it waits for."""

    scene: Scene
    until: Until | None = None
    errands: list[Errand] = field(default_factory=list)
    is_over: bool = False

    def is_free(self) -> bool:
        """Whether the scene can go on."""
        return all(errand.is_over for errand in self.errands) and (self.until is None or self.until.condition())


@dataclass(frozen=True, slots=True)
class Told:
    """A chapter and the final height at which it began."""

    title: str
    height: int


class Director:
    """``proposers`` are those who made a final block; ``skipped`` is what turned out to be impossible.

    ``submitted`` counts what was offered, once however often it was signed; what is attempted is tried, and never sent.
    ``refused`` is what was attempted, and why it was refused, as it had to be.
    """

    def __init__(self, genesis: Genesis, cast: Company, tell: Tell) -> None:
        self.genesis = genesis
        self.cast = cast
        self._follower = Follower(genesis)
        self.paper = self._follower.recount
        self.proposers: set[bytes] = set()
        self.transactions = 0
        self.submitted = 0
        self.skipped: list[str] = []
        self.refused: list[str] = []
        self.told: list[Told] = []
        self._tell = tell
        self._chapters: Iterator[Chapter] = iter(())
        self._threads: list[Thread] = []
        self._meanwhile: list[Thread] = []
        self._is_begun = self._is_told = False
        self._seen = 0

    @property
    def is_done(self) -> bool:
        """Whether the story has come to its end, and all of it is final."""
        return self._is_told and not self._threads and not self._meanwhile

    def begin(self, chapters: Iterator[Chapter]) -> None:
        """Take up a story; its chapters are made one after the other, when they begin."""
        self._chapters = chapters

    def observe(self, block: Block) -> None:
        """The next final block."""
        self._follower.read(block)
        self.proposers.add(block.header.proposer)
        self.transactions += len(block.transactions)
        found = {transaction.id for transaction in block.transactions}
        for errand in self._errands():
            errand.is_over |= not found.isdisjoint(errand.ids)
        for event in self.paper.events[self._seen :]:
            if sentence := sentence_of(event, self.paper, self.cast):
                self._tell(sentence)
        self._seen = len(self.paper.events)

    def offers(self) -> list[VerifiedTransaction]:
        """What is to be submitted now: what is new, and what was offered long ago without success."""
        while self._advance():
            pass
        repeated, fresh = self._repeated(), self._fresh()
        self.submitted += len(fresh)
        return [*repeated, *fresh]

    def attempts(self) -> list[VerifiedTransaction]:
        """What is to be tried out, and refused; a node that is behind may be asked again."""
        return [errand.transaction or self._sign(errand) for errand in self._errands() if errand.do.refusal]

    def answered(self, tried: Sequence[VerifiedTransaction], outcomes: Sequence[Refused | None]) -> None:
        """What a node made of attempts: one that was refused for its reason is over, and told."""
        answers = {item.id: outcome for item, outcome in zip(tried, outcomes, strict=True)}
        for errand in [errand for errand in self._errands() if errand.ids & answers.keys()]:
            outcome, do = answers[next(iter(errand.ids))], errand.do
            if outcome is not None and outcome.reason is do.refusal:
                errand.is_over = True
                self.refused.append(f"{do.actor.name} {do.words}: refused, {outcome.detail}")
                self._tell(self.refused[-1])
            elif self.paper.slot - errand.offered_slot >= PATIENCE_SLOTS:
                errand.is_over = True
                self.skipped.append(f"{do.actor.name} {do.words}, and is not refused")

    # ------------------------------------------------------------------------------------------------- the scenes

    def _advance(self) -> bool:
        """Let every scene that can go on do so once; whether one did."""
        is_moved = False
        for thread in (*self._threads, *self._meanwhile):
            if thread.is_free():
                self._next_step(thread)
                is_moved = True
        self._threads = [thread for thread in self._threads if not thread.is_over]
        self._meanwhile = [thread for thread in self._meanwhile if not thread.is_over]
        return is_moved or self._next_chapter()

    def _next_step(self, thread: Thread) -> None:
        thread.until, thread.errands = None, []
        step: Step | None = next(thread.scene, None)
        match step:
            case None:
                thread.is_over = True
            case Until():
                thread.until = step
            case _:
                thread.errands = [Errand(do) for do in step]

    def _next_chapter(self) -> bool:
        if self._threads or self._is_told:
            return False
        if self.told:
            self._tell(f"    {summary_of(self.paper)}")
        chapter = next(self._chapters, None)
        if chapter is None:
            self._is_told = True
            return False
        self.told.append(Told(chapter.title, self.paper.height))
        self._tell(f"Chapter {len(self.told)}: {chapter.title}")
        self._threads = [Thread(scene) for scene in chapter.scenes]
        self._meanwhile += [Thread(scene) for scene in chapter.meanwhile]
        return True

    # ------------------------------------------------------------------------------------------------- the errands

    def _errands(self) -> Iterator[Errand]:
        for thread in (*self._threads, *self._meanwhile):
            yield from (errand for errand in thread.errands if not errand.is_over)

    def _fresh(self) -> list[VerifiedTransaction]:
        return [
            self._sign(errand)
            for errand in list(self._errands())
            if errand.transaction is None and errand.do.refusal is None
        ]

    def _repeated(self) -> list[VerifiedTransaction]:
        """What was offered long ago, unless it cannot happen any more; signed again where its nonce cannot."""
        late: list[Errand] = []
        for errand in self._errands():
            is_waiting = self.paper.slot - errand.offered_slot < PATIENCE_SLOTS
            if errand.transaction is None or errand.do.refusal or is_waiting:
                continue
            if errand.do.is_open():
                late.append(errand)
            else:
                errand.is_over = True
                self.skipped.append(f"{errand.do.actor.name}: {errand.transaction.kind}")
        offers = []
        for errand in late:
            nonce = 0 if errand.transaction is None else errand.transaction.nonce
            if nonce not in self._usable(errand):
                errand.transaction = None
                offers.append(self._sign(errand))
            elif errand.transaction is not None:
                errand.offered_slot = self.paper.slot
                offers.append(errand.transaction)
        return offers

    def _usable(self, errand: Errand) -> range:
        """The nonces that lead without a gap from the chain's to that of this errand."""
        first = self.paper.nonces[errand.do.actor.key]
        return range(first, first + 1 + len(self._outstanding(errand)))

    def _outstanding(self, errand: Errand) -> set[int]:
        """The nonces of the other errands of the same actor."""
        return {
            other.transaction.nonce
            for other in self._errands()
            if other is not errand and other.transaction is not None and other.do.actor.key == errand.do.actor.key
        }

    def _sign(self, errand: Errand) -> VerifiedTransaction:
        actor = errand.do.actor
        taken = self._outstanding(errand)
        nonce = next(nonce for nonce in count(self.paper.nonces[actor.key]) if nonce not in taken)
        action = errand.do.action(nonce) if callable(errand.do.action) else errand.do.action
        # The furthest expiry that the first block would take: the story has no use for a shorter one.
        expiry_height = self.genesis.max_expiry_blocks
        signed = sign_transaction(actor.secret, self.genesis.id, nonce, expiry_height, action)
        errand.transaction, errand.offered_slot = signed, self.paper.slot
        errand.ids.add(signed.id)
        return signed
