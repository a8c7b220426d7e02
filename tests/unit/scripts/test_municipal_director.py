"""The director: nonces, patience, and what cannot happen any more."""

from __future__ import annotations

from collections.abc import Sequence

from chain.base.errors import Reason, Refused
from chain.content.actions import Enrol
from chain.content.blocks import Block
from chain.content.transactions import VerifiedTransaction
from scripts.municipal.cast import Cast, Player
from scripts.municipal.director import PATIENCE_SLOTS, Director
from scripts.municipal.scenes import Chapter, Do, Scene, Until
from tests.support.forge import Forge
from tests.support.world import Actor, genesis_of, secret

GENESIS = genesis_of(1)
CAST = Cast(b"unit", [secret(1)], secret(2))
ANN = Player("Ann", secret(50))


class Stage:
    """A director, and a chain that takes what the test wants."""

    def __init__(self, *chapters: Chapter) -> None:
        self.told: list[str] = []
        self._forge = Forge(GENESIS)
        self._head: Block | None = None
        self.director = Director(GENESIS, CAST, self.told.append)
        self.director.begin(iter(chapters))

    def block(self, *transactions: VerifiedTransaction, slots: int = 1) -> None:
        """The next final block, so many slots after the last."""
        slot = self.director.paper.slot + slots
        self._head = self._forge.block(self._head, transactions, slot=slot)
        self.director.observe(self._head)


def doing(*steps: Sequence[Do]) -> Scene:
    yield from steps


def once(*dos: Do) -> Stage:
    """A story of one chapter, in which all of this happens at once."""
    return Stage(Chapter("all", [doing(dos)]))


def nonces(offers: Sequence[VerifiedTransaction]) -> list[int]:
    return [transaction.nonce for transaction in offers]


def test_an_actor_signs_one_nonce_after_the_other() -> None:
    stage = once(Do(ANN, Enrol()), Do(ANN, Enrol()), Do(CAST.bank, Enrol()))
    offers = stage.director.offers()
    assert nonces(offers) == [0, 1, 0]
    assert stage.director.offers() == []
    stage.block(*offers)
    stage.director.offers()
    assert stage.director.is_done


def test_a_scene_goes_on_when_what_it_did_is_final() -> None:
    stage = Stage(Chapter("one", [doing([Do(ANN, Enrol())], [Do(ANN, Enrol())])]))
    first = stage.director.offers()
    stage.block()
    assert stage.director.offers() == []
    stage.block(*first)
    assert nonces(stage.director.offers()) == [1]


def test_what_does_not_become_final_is_offered_again_as_it_was() -> None:
    stage = once(Do(ANN, Enrol()))
    offers = stage.director.offers()
    stage.block(slots=PATIENCE_SLOTS - 1)
    assert stage.director.offers() == []
    stage.block()
    assert stage.director.offers() == offers
    assert stage.director.offers() == []


def test_what_cannot_happen_any_more_is_skipped_and_leaves_no_gap() -> None:
    stage = once(Do(ANN, Enrol(), lambda: False), Do(ANN, Enrol()), Do(ANN, Enrol()))
    assert nonces(stage.director.offers()) == [0, 1, 2]
    stage.block(slots=PATIENCE_SLOTS)
    again = stage.director.offers()
    assert sorted(nonces(again)) == [0, 1]
    assert stage.director.skipped == ["Ann: enrol"]
    stage.block(*sorted(again, key=lambda transaction: transaction.nonce))
    stage.director.offers()
    assert stage.director.is_done


def test_a_nonce_that_something_else_used_is_replaced() -> None:
    stage = once(Do(ANN, Enrol()))
    stage.director.offers()
    stage.block(Actor(GENESIS, 50).sign(Enrol(), expiry_height=7))
    stage.block(slots=PATIENCE_SLOTS)
    assert nonces(stage.director.offers()) == [1]
    assert stage.director.submitted == 1


def test_what_was_signed_twice_is_over_with_either() -> None:
    stage = once(Do(ANN, Enrol(), lambda: False), Do(ANN, Enrol()))
    _, older = stage.director.offers()
    stage.block(slots=PATIENCE_SLOTS)
    assert nonces(stage.director.offers()) == [0]
    stage.block(older)
    stage.director.offers()
    assert stage.director.is_done


def test_an_attempt_is_tried_out_until_it_is_refused_for_its_reason() -> None:
    stage = once(Do(ANN, Enrol(), words="enrols", refusal=Reason.HAS_LEFT))
    assert stage.director.offers() == []
    (attempt,) = stage.director.attempts()
    # A node that is behind says something else.
    for outcome in (None, Refused(Reason.NONCE_GAP)):
        stage.director.answered([attempt], [outcome])
        assert stage.director.attempts() == [attempt]
    stage.director.answered([attempt], [Refused(Reason.HAS_LEFT, "this key has left")])
    stage.director.offers()
    assert stage.director.is_done
    assert stage.director.refused == stage.told[1:2] == ["Ann enrols: refused, this key has left"]
    assert stage.director.submitted == 0


def test_an_attempt_that_is_not_refused_is_told_in_the_end() -> None:
    stage = once(Do(ANN, Enrol(), words="enrols", refusal=Reason.HAS_LEFT))
    stage.director.offers()
    attempts = stage.director.attempts()
    stage.block(slots=PATIENCE_SLOTS)
    stage.director.answered(attempts, [None])
    assert (stage.director.refused, stage.director.skipped) == ([], ["Ann enrols, and is not refused"])


def test_chapters_follow_each_other_and_what_happens_meanwhile_holds_up_the_end_alone() -> None:
    is_over = False
    slow: Scene = (step for step in [Until(lambda: is_over)])
    stage = Stage(Chapter("one", [doing()], [slow]), Chapter("two", [doing([Do(ANN, Enrol())])]))
    stage.block(*stage.director.offers())
    assert stage.director.offers() == []
    assert [line for line in stage.told if line.startswith("Chapter")] == ["Chapter 1: one", "Chapter 2: two"]
    assert not stage.director.is_done
    is_over = True
    stage.director.offers()
    assert stage.director.is_done
