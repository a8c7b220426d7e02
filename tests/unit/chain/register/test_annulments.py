"""An enrolment is called void: both are heard, a lot names who rules, the member appeals once."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from chain.base.errors import Reason
from chain.content.actions import (
    ANNUL,
    APPEAL,
    CONTEST,
    DENY,
    GRANT,
    LEAVE,
    STRIKE,
    UPHOLD,
    Annul,
    Leave,
    NameGuardians,
    Propose,
    Veto,
)
from chain.content.identities import GRANTED, Annulment, annulment_key, recovery_key
from chain.content.proposals import ARBITER, REGISTRAR, Accredit, JudgeEnrolment, Revoke
from chain.register import arbiters, registry
from chain.register.statekeys import member_key
from tests.support.register import DIGEST, FOREVER, MUNICIPAL, Person, Register, altered

RULES = {"recovery_days": 3, "leave_days": 5, "return_days": 12, "annulment_days": 4}
RIGHTS = {"hearing_days": 3, "appeal_days": 6}
RULING = 20


class Court(NamedTuple):
    """A register with some arbiters; a registrar has enrolled Ann."""

    register: Register
    registrar: Person
    ann: Person
    arbiters: list[Person]

    def act(self, step: int) -> Annul:
        return Annul(self.ann.key, step, DIGEST)

    def asks(self) -> None:
        self.register.do(self.registrar, self.act(ANNUL))

    def hear(self, days: int = RULES["annulment_days"]) -> None:
        self.register.block(days)

    @property
    def annulment(self) -> Annulment | None:
        found: Annulment | None = self.register.draft.get(annulment_key(self.ann.key))
        return found

    @property
    def drawn(self) -> list[Person]:
        draft, annulment = self.register.draft, self.annulment
        assert annulment is not None
        found = arbiters.drawn(draft, arbiters.annulment_case(self.ann.key, annulment), draft.date_slot)
        return list(map(self.register.owner, found))

    @property
    def is_there(self) -> bool:
        return self.register.draft.get(member_key(self.ann.key)) is not None

    def granted(self) -> Person:
        """Who granted it."""
        self.asks()
        self.hear()
        (drawn,) = self.drawn
        self.register.do(drawn, self.act(GRANT))
        return drawn

    def appealed(self) -> Person:
        granter = self.granted()
        self.register.do(self.ann, self.act(APPEAL))
        self.hear(RIGHTS["hearing_days"])
        return granter


def court(arbiters_there: int = 5, **rules: object) -> Court:
    register = Register(altered(MUNICIPAL, identity=RULES, rights=RIGHTS, **rules), one_document=False)
    registrar = register.registrar()
    judges = [register.arbiter() for _ in range(arbiters_there)]
    ann = register.member(registrar)
    register.block()
    return Court(register, registrar, ann, judges)


@pytest.fixture
def usual(monkeypatch: pytest.MonkeyPatch) -> Court:
    monkeypatch.setattr("tests.support.register.FAR", 10)
    return court()


def test_registrar_and_who_was_drawn_annul_a_double_and_the_member_is_heard(usual: Court) -> None:
    register, ann = usual.register, usual.ann
    assert register.refusal(usual.arbiters[0], usual.act(GRANT)) is Reason.NOTHING_TO_ANNUL
    usual.asks()
    assert register.refusal(usual.registrar, usual.act(ANNUL)) is Reason.ANNULMENT_OPEN
    assert register.refusal(usual.arbiters[0], usual.act(GRANT)) is Reason.IN_HEARING
    assert register.refusal(usual.arbiters[0], usual.act(CONTEST)) is Reason.OTHERS_RECORD
    assert register.refusal(ann, usual.act(APPEAL)) is Reason.NOT_UPHELD
    register.do(ann, usual.act(CONTEST))
    assert register.refusal(ann, usual.act(CONTEST)) is Reason.UNDER_OBJECTION
    assert usual.drawn == [], "nobody knows who will rule"
    usual.hear()
    (drawn,) = usual.drawn
    for other in usual.arbiters:
        if other is not drawn:
            assert register.refusal(other, usual.act(GRANT)) is Reason.NOT_DRAWN
    assert register.refusal(usual.registrar, usual.act(GRANT)) is Reason.NOT_ARBITER
    register.do(drawn, usual.act(GRANT))
    assert register.rulings(drawn, usual.registrar) == (1, 0, 0)
    assert register.refusal(drawn, usual.act(GRANT)) is Reason.ALREADY_UPHELD
    register.block(RIGHTS["appeal_days"])
    assert register.refusal(ann, Veto(LEAVE)) is Reason.NOT_ENROLLED, "nobody vetoes that"
    register.block()
    register.block()
    assert not usual.is_there
    assert register.refusal(ann, register.enrolment(ann, usual.registrar)) is Reason.HAS_LEFT


def test_three_others_decide_an_appeal(usual: Court) -> None:
    granter = usual.appealed()
    assert usual.is_there
    panel = usual.drawn
    assert len(panel) == 3
    assert granter not in panel
    assert usual.register.refusal(granter, usual.act(GRANT)) is Reason.NOT_DRAWN
    usual.register.do(panel[0], usual.act(GRANT))
    assert usual.register.refusal(panel[0], usual.act(GRANT)) is Reason.ALREADY_RULED
    usual.register.do(panel[1], usual.act(DENY))
    assert usual.annulment is not None
    usual.register.do(panel[2], usual.act(GRANT))
    usual.register.block()
    usual.register.block()
    assert not usual.is_there


def test_two_who_deny_are_enough(usual: Court) -> None:
    usual.appealed()
    for arbiter in usual.drawn[:2]:
        usual.register.do(arbiter, usual.act(DENY))
        assert usual.register.rulings(arbiter, usual.registrar) == (0, 1, 0)
    usual.register.block(40)
    assert usual.is_there


def test_an_appeal_is_made_once_and_in_time(usual: Court) -> None:
    usual.appealed()
    assert usual.register.refusal(usual.ann, usual.act(APPEAL)) is Reason.NOT_UPHELD
    late = court()
    late.granted()
    late.register.block(RIGHTS["appeal_days"])
    assert late.register.refusal(late.ann, late.act(APPEAL)) is Reason.NOT_ENROLLED


@pytest.mark.parametrize(("verdict", "stays"), [(STRIKE, True), (UPHOLD, False)])
def test_where_there_are_too_few_a_motion_decides_the_appeal(verdict: int, stays: bool) -> None:
    few = court(2)
    motion = JudgeEnrolment(few.ann.key, verdict)
    validator = few.register.validators[0]
    assert few.register.refusal(validator, Propose(motion)) is Reason.NOTHING_TO_ANNUL
    granter = few.granted()
    assert few.register.refusal(validator, Propose(motion)) is Reason.USELESS_MOTION
    few.register.do(few.ann, few.act(APPEAL))
    few.hear(RIGHTS["hearing_days"])
    (other,) = (arbiter for arbiter in few.arbiters if arbiter is not granter)
    assert few.register.refusal(other, few.act(GRANT)) is Reason.NOT_DRAWN
    few.register.carry(motion)
    few.register.block()
    few.register.block()
    assert few.is_there == stays


def test_silence_of_who_was_drawn_leaves_the_enrolment_as_it_is_and_counts(usual: Court) -> None:
    usual.asks()
    usual.hear()
    (drawn,) = usual.drawn
    usual.register.block(RULING)
    assert usual.annulment is None
    assert usual.register.rulings(drawn, usual.registrar) == (0, 0, 1)
    assert usual.register.refusal(drawn, usual.act(GRANT)) is Reason.NOTHING_TO_ANNUL


def test_what_stood_is_not_called_void_again_until_it_comes_with_another_lot(usual: Court) -> None:
    """Asked again and again, the lot would fall on the registrar's friend in the end."""
    usual.asks()
    usual.hear()
    usual.register.do(usual.drawn[0], usual.act(DENY))
    assert usual.register.refusal(usual.registrar, usual.act(ANNUL)) is Reason.ENDED
    usual.register.block(usual.register.draft.policy.retention_days)
    usual.register.block()
    usual.asks()


def test_nobody_annuls_alone_what_it_judges() -> None:
    lonely = court(0)
    both = lonely.register.office(rights=REGISTRAR | ARBITER)
    ann = lonely.register.member(both)
    lonely.register.block()
    lonely.register.do(both, Annul(ann.key, ANNUL, DIGEST))
    lonely.register.block(RULES["annulment_days"])
    assert lonely.register.refusal(both, Annul(ann.key, GRANT, DIGEST)) is Reason.OWN_RECORD


def test_the_registrar_who_enrolled_says_so_as_long_as_it_is_in_office(usual: Court) -> None:
    other = usual.register.registrar()
    assert usual.register.entry(usual.ann).registrar == usual.registrar.key
    assert usual.register.refusal(other, usual.act(ANNUL)) is Reason.NOT_REGISTRAR
    usual.register.carry(Revoke(usual.registrar.key))
    usual.register.do(other, usual.act(ANNUL))


def test_an_annulment_too_late_or_of_an_office(usual: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    register = usual.register
    bob = register.member(usual.registrar)
    register.carry(Accredit(bob.key, 0, (13,), 0, FOREVER))
    assert register.refusal(usual.registrar, Annul(bob.key, ANNUL, DIGEST)) is Reason.HOLDS_OFFICE
    usual.asks()
    monkeypatch.setattr(registry, "MAX_DUE_A_BLOCK", 0)
    usual.hear()
    assert register.refusal(usual.arbiters[0], usual.act(GRANT)) is Reason.DEADLINE_PASSED


def test_who_holds_an_office_by_then_stays(usual: Court) -> None:
    usual.granted()
    usual.register.carry(Accredit(usual.ann.key, ARBITER, (), 0, FOREVER))
    usual.register.block(RIGHTS["appeal_days"])
    usual.register.block()
    assert usual.is_there
    assert usual.annulment is None


@pytest.mark.parametrize("slots", [1, 40], ids=["a block a slot", "one block for all of it"])
@pytest.mark.parametrize("wait", [0, 2, 6])
def test_who_leaves_meanwhile_is_judged_no_more(usual: Court, slots: int, wait: int) -> None:
    """However the deadlines lie, and however late the block: the end of both is that it has left."""
    usual.asks()
    usual.register.block(1 + wait)
    usual.register.do(usual.ann, Leave())
    for _ in range(40 // slots + 2):
        usual.register.block(slots)
    assert not usual.is_there
    assert usual.annulment is None


def test_the_terms_are_those_that_the_member_consented_to(usual: Court) -> None:
    register = usual.register
    register.amend(60, identity={**RULES, "annulment_days": 1}, rights={"hearing_days": 1, "appeal_days": 1})
    register.block(60)
    usual.asks()
    usual.hear()
    register.do(usual.drawn[0], usual.act(GRANT))
    assert usual.annulment is not None
    assert (usual.annulment.status, usual.annulment.due_slot) == (GRANTED, register.draft.slot + RIGHTS["appeal_days"])
    bob = register.member(usual.registrar)
    register.do(usual.registrar, Annul(bob.key, ANNUL, DIGEST))
    found: Annulment = register.draft.get(annulment_key(bob.key))
    assert found.due_slot == register.draft.slot + 1


def test_no_sequence_of_transactions_of_one_office_ends_a_membership() -> None:
    """A registrar who is an arbiter too tries all it can; without another arbiter the member stays."""
    town = Register(altered(MUNICIPAL, identity=RULES))
    both = town.office(13, rights=REGISTRAR | ARBITER)
    ann = town.member(both)
    town.do(ann, NameGuardians(bytes(32)))
    for _ in range(6):
        for step in (ANNUL, CONTEST, GRANT, APPEAL, DENY):
            town.refusal(both, Annul(ann.key, step, DIGEST))
        town.refusal(town.person(), town.recovery(town.person(), ann, both))
        town.block(5)
    assert town.entry(ann).key == ann.key


def test_a_recovery_that_is_due_with_it_does_not_bring_back_whose_enrolment_is_void(usual: Court) -> None:
    register, ann = usual.register, usual.ann
    usual.granted()
    register.block(RIGHTS["appeal_days"] - RULES["recovery_days"])
    new = register.person()
    register.do(new, register.recovery(new, ann, usual.registrar))
    assert usual.annulment is not None
    assert register.draft.get(recovery_key(ann.key)).due_slot == usual.annulment.due_slot
    register.block(RULES["recovery_days"])
    register.block()
    assert not usual.is_there
    assert (register.draft.faults, register.draft.get(recovery_key(ann.key))) == ([], None)


def test_nor_does_one_that_was_due_before_a_leave_that_a_late_block_finds_due_as_well(usual: Court) -> None:
    register, ann = usual.register, usual.ann
    usual.granted()
    register.block(2)
    register.do(ann, Leave())
    register.block()
    new = register.person()
    register.do(new, register.recovery(new, ann, usual.registrar))
    register.block(4)  # a slot late: the annulment and the recovery were due in the one before, the leave is in this
    register.block()
    assert not usual.is_there
    assert register.draft.faults == []
