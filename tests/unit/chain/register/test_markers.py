"""What ended stays ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chain.base.errors import InvariantBroken, Reason
from chain.content.actions import APPROVE, ASK, CORRECT, STRIKE, UPHOLD, WITHDRAW, Answer, Appeal, Object, Repair, Rule
from chain.content.proposals import Suspend
from chain.register.entries import Marker
from chain.register.markers import fall_due
from chain.register.statekeys import MARKERS
from tests.support.register import DIGEST, MUNICIPAL, Person, Register, altered

DEFAULT, TICKET, HERO = 1, 13, 101
EVIDENCE, NEW = bytes([1]) * 32, bytes([2]) * 32


class Town:
    """The office has recorded a ticket about Ann, on one piece of evidence."""

    def __init__(self) -> None:
        self.register = Register(altered(MUNICIPAL, rights={"lookback_days": 90}), one_document=False)
        self.office, self.judge = self.register.office(DEFAULT, TICKET, HERO), self.register.arbiter()
        self.ann = self.register.member()
        self.register.file(self.office, self.ann, TICKET, -5, evidence=EVIDENCE)

    def why(self, category: int = TICKET, points: int = -5, **fields: Any) -> Reason | None:
        """Why a record of the same day is refused."""
        filing = self.register.filing(self.ann, category, points, established_slot=1)._replace(**fields)
        return self.register.refusal(self.office, filing)

    def reopens(self, evidence: bytes = NEW, reason: bytes = DIGEST, judge: Person | None = None) -> Reason | None:
        filing = self.register.filing(self.ann, TICKET, -5, established_slot=1, evidence=evidence, reason=reason)
        return self.register.refusal(self.office, self.register.reopening(self.office, judge or self.judge, filing))


@pytest.fixture
def town() -> Town:
    return Town()


def markers_of(town: Town) -> list[Marker]:
    """All there are."""
    state = town.register.ledger.state
    keys = {*state, *town.register.draft.changes}
    found = (town.register.draft.get(key) for key in sorted(keys) if key.startswith(MARKERS))
    return [marker for marker in found if marker is not None]


def withdrawn(town: Town) -> None:
    town.register.do(town.office, Answer(town.ann.key, 0, WITHDRAW, 0, b""))


def lapsed(town: Town) -> None:
    town.register.do(town.ann, Object(town.ann.key, 0, DIGEST))
    town.register.block(20)


def struck(town: Town) -> None:
    town.register.object(town.ann, 0, town.office)
    town.register.do(town.judge, Rule(town.ann.key, 0, STRIKE, DIGEST))


def unruled(town: Town) -> None:
    town.register.object(town.ann, 0, town.office)
    town.register.block(20)


def repaired(town: Town) -> None:
    town.register.block()
    town.register.do(town.ann, Repair(town.ann.key, 0, ASK, DIGEST))
    town.register.do(town.office, Repair(town.ann.key, 0, APPROVE, DIGEST))


def repaired_by_silence(town: Town) -> None:
    town.register.block()
    town.register.do(town.ann, Repair(town.ann.key, 0, ASK, DIGEST))
    town.register.block(14)


ENDS: list[Callable[[Town], None]] = [withdrawn, lapsed, struck, unruled, repaired, repaired_by_silence]


@pytest.mark.parametrize("ends", ENDS)
def test_what_ended_is_not_recorded_again(town: Town, ends: Callable[[Town], None]) -> None:
    ends(town)
    assert town.register.record(town.ann, 0) is None
    assert town.why(evidence=EVIDENCE) is Reason.ENDED
    assert town.why(evidence=NEW) is Reason.ENDED
    # the same evidence makes nothing else of it, neither in another category nor of another day
    assert town.why(DEFAULT, -20, evidence=EVIDENCE) is Reason.ENDED
    assert town.why(evidence=EVIDENCE, established_slot=0) is Reason.ENDED
    # another office is refused as well
    other = town.register.office(TICKET)
    filing = town.register.filing(town.ann, TICKET, -5, established_slot=1)
    assert town.register.refusal(other, filing) is Reason.ENDED
    # what is neither is another matter
    town.register.block()
    town.register.file(town.office, town.ann, TICKET, -5, evidence=NEW)


def test_a_record_that_expired_is_not_recorded_again() -> None:
    town = Town()
    severe = {"severity": 1, "established_slot": 1, "evidence": NEW}
    town.register.file(town.office, town.ann, DEFAULT, -20, **severe)
    town.register.block(90)
    assert town.register.happened == ["expired", "expired"]
    assert town.why(DEFAULT, -20, severity=3) is Reason.ENDED
    assert town.why(DEFAULT, -20, severity=3, established_slot=2, evidence=NEW) is Reason.ENDED


def test_while_a_record_stands_its_evidence_makes_no_second_one_in_its_category(town: Town) -> None:
    assert town.why(evidence=EVIDENCE) is Reason.ALREADY_RECORDED
    assert town.why(evidence=EVIDENCE, established_slot=0) is Reason.ALREADY_RECORDED
    assert town.why(DEFAULT, -20, evidence=EVIDENCE) is None
    bob = town.register.member()
    town.register.file(town.office, bob, TICKET, -5, evidence=EVIDENCE)


def test_what_has_ended_is_forgotten_at_its_time_though_another_record_of_its_evidence_stands(town: Town) -> None:
    town.register.block(50)
    town.register.file(town.office, town.ann, HERO, 30, evidence=EVIDENCE, established_slot=50)
    assert markers_of(town) == [Marker(0, 0, ((TICKET, 1827), (HERO, 1876)))]
    withdrawn(town)
    assert Marker(1827, 0, ((HERO, 1876),)) in markers_of(town)
    assert town.why(HERO, 30, evidence=EVIDENCE) is Reason.ENDED
    town.register.block(1_790)
    assert markers_of(town) == [Marker(0, 0, ((HERO, 1876),))]
    assert town.why(HERO, 30, evidence=EVIDENCE, established_slot=1_800) is Reason.ALREADY_RECORDED
    assert town.why(evidence=EVIDENCE, established_slot=1_800) is None


def test_two_things_of_one_day_are_recorded_on_evidence_of_their_own(town: Town) -> None:
    assert town.why() is None


def test_markers_go_when_the_retention_of_the_conduct_ends(town: Town) -> None:
    withdrawn(town)
    for _ in range(2):
        town.register.block(900)
    assert sum(key.startswith(MARKERS) for key in town.register.ledger.state) == 2
    town.register.block(26)
    town.register.block()
    assert not any(key.startswith(MARKERS) for key in town.register.ledger.state)


def test_no_key_of_the_state_says_what_a_marker_is_of(town: Town) -> None:
    struck(town)
    town.register.block()
    told = [key + value for key, value in town.register.ledger.state.items() if key.startswith(MARKERS)]
    assert len(told) == 2
    for secret in (EVIDENCE, town.ann.key, town.office.key):
        assert not any(secret in entry for entry in told)


# ------------------------------------------------------------------------------------------------------ reopening


def test_what_ended_is_reopened_with_new_evidence_a_reason_and_an_arbiter(town: Town) -> None:
    assert town.reopens() is Reason.NOTHING_ENDED
    struck(town)
    assert town.reopens(EVIDENCE) is Reason.ENDED
    assert town.reopens(reason=b"") is Reason.NO_REASON_GIVEN
    assert town.reopens(judge=town.office) is Reason.NOT_ARBITER
    assert town.reopens(judge=town.ann) is Reason.NOT_ARBITER
    assert town.reopens() is None
    assert town.register.happened[-1] == "reopened"
    record = town.register.standing_record(town.ann, 1)
    assert (record.is_reopened, record.evidence, town.register.score(town.ann)) == (1, NEW, 995)
    # the member has every right against it, and it counts against its issuer again
    town.register.do(town.ann, Object(town.ann.key, 1, DIGEST))
    town.register.block(20)
    assert town.register.authority(town.office).overturned == 2


def test_whose_word_reopened_a_record_does_not_rule_on_it(town: Town) -> None:
    register = town.register
    withdrawn(town)
    assert town.reopens() is None
    register.object(town.ann, 1, town.office)
    assert register.drawn(town.ann, 1) == [], "of one arbiter nobody is left"
    other = register.arbiter()
    assert register.drawn(town.ann, 1) == [], "who came later is not drawn"
    register.block(20)
    assert (register.happened, register.record(town.ann, 1)) == (["unruled"], None)
    assert register.rulings(town.judge, town.office).silent == 0
    assert town.reopens(bytes([3]) * 32) is None
    register.do(town.ann, Object(town.ann.key, 2, DIGEST))
    register.do(town.office, Answer(town.ann.key, 2, CORRECT, -4, b""))
    register.object(town.ann, 2, town.office)
    assert register.drawn(town.ann, 2) == [other], "nor after a correction"
    register.do(other, Rule(town.ann.key, 2, UPHOLD, DIGEST))
    assert register.standing_record(town.ann, 2).arbiter == other.identity


def test_nor_on_the_appeal(town: Town) -> None:
    """Three others are needed then, beside who upheld it and whose word reopened it."""
    register = town.register
    withdrawn(town)
    assert town.reopens() is None
    others = [register.arbiter() for _ in range(4)]
    register.block()
    register.object(town.ann, 1, town.office)
    (first,) = register.drawn(town.ann, 1)
    register.do(first, Rule(town.ann.key, 1, UPHOLD, DIGEST))
    register.do(town.ann, Appeal(town.ann.key, 1, DIGEST))
    register.block(register.draft.policy.hearing_days)
    panel = register.drawn(town.ann, 1)
    assert set(panel) == {*others} - {first}
    assert register.refusal(town.judge, Rule(town.ann.key, 1, UPHOLD, DIGEST)) is Reason.NOT_DRAWN


def test_what_was_reopened_stands_once_and_can_be_reopened_again_when_it_ended(town: Town) -> None:
    withdrawn(town)
    assert town.reopens() is None
    assert town.reopens(bytes([3]) * 32) is Reason.ALREADY_RECORDED
    assert town.why() is Reason.ENDED
    town.register.do(town.office, Answer(town.ann.key, 1, WITHDRAW, 0, b""))
    assert town.reopens(NEW) is Reason.ENDED
    assert town.reopens(bytes([3]) * 32) is None


def test_an_arbiter_out_of_office_or_the_issuer_itself_consents_to_nothing() -> None:
    town = Town()
    withdrawn(town)
    town.register.carry(Suspend(town.judge.key))
    assert town.reopens() is Reason.NOT_ARBITER
    both = town.register.office(TICKET, rights=3)
    filing = town.register.filing(town.ann, TICKET, -5, established_slot=1, evidence=NEW, reason=DIGEST)
    assert town.register.refusal(both, town.register.reopening(both, both, filing)) is Reason.OWN_RECORD
    left = town.register.arbiter()
    town.register.rotate(left)
    assert town.reopens(judge=left.with_key(0)) is Reason.NOT_ARBITER
    assert town.reopens(judge=left) is None


def test_a_marker_that_was_prolonged_stays_and_what_is_none_falls_due_only_by_a_bug(town: Town) -> None:
    withdrawn(town)
    town.register.block()
    key = next(key for key in town.register.ledger.state if key.startswith(MARKERS))
    fall_due(town.register.draft, key)
    assert town.register.draft.get(key) is not None
    with pytest.raises(InvariantBroken):
        fall_due(town.register.draft, MARKERS + bytes(32))
