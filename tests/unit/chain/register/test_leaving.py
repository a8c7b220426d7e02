"""Who leaves is forgotten, but for a mark."""

from __future__ import annotations

import pytest

from chain.base.errors import Reason
from chain.branches.ledger import Ledger
from chain.content.actions import (
    LEAVE,
    UNDO,
    Enrol,
    Leave,
    Object,
    Propose,
    Rate,
    Statement,
    Veto,
)
from chain.content.identities import Leaving, Left, leaving_key, left_key
from chain.content.proposals import ARBITER, Accredit, AddValidator
from chain.register import leaving, registry
from chain.register.entries import ACTIVE
from chain.register.statekeys import member_key
from tests.support.guardians import Circle
from tests.support.register import DIGEST, FOREVER, MARKETPLACE, MUNICIPAL, Person, Register, altered

RULES = {"recovery_days": 3, "leave_days": 5, "return_days": 12, "annulment_days": 4}
TRADE = [{"code": 1, "name": "trade", "min": -10, "max": 10}]


@pytest.fixture
def town(monkeypatch: pytest.MonkeyPatch) -> Register:
    monkeypatch.setattr("tests.support.register.FAR", 10)
    score = {"ratings_floor": -99, "ratings_cap": 99}
    return Register(altered(MUNICIPAL, identity=RULES, rating=TRADE, score=score), one_document=False)


def traces(register: Register, person: Person) -> list[bytes]:
    """The keys of the entries in which any key of somebody stands, or that are filed under it."""
    return [
        key for key, value in register.ledger.state.items() if any(name in key or name in value for name in person.keys)
    ]


# ----------------------------------------------------------------------------------------------------- leaving


def test_everything_about_who_leaves_goes_but_a_mark(town: Register) -> None:
    office, registrar = town.office(13), town.registrar()
    ann, bob, cleo = (town.member(registrar) for _ in range(3))
    Circle(town, ann)
    for number in range(3):
        town.file(office, ann, 13, -5)
        town.do(ann, Statement(ann.key, number, DIGEST))
    town.do(ann, Object(ann.key, 1, DIGEST))
    town.do(ann, Rate(bob.key, 1, 5))
    town.do(bob, Rate(ann.key, 1, -3))
    town.do(cleo, Rate(bob.key, 1, 4))
    town.rotate(ann)
    town.do(ann, Leave())
    town.block(4)
    assert (town.score(bob), town.entry(ann).standing) == (1009, 2)
    town.block()
    town.block()
    assert traces(town, ann) == []
    assert (town.score(bob), town.authority(office).overturned, town.authority(office).status) == (1004, 0, ACTIVE)
    account = town.draft.account(bob.key)
    assert account is not None
    assert account.given == 0
    for key in ann.keys:
        assert town.draft.get(left_key(key)) == Left(6 + 12)
    assert Ledger(town.genesis, town.ledger.state).state_root == town.ledger.state_root


def test_a_dispute_about_who_leaves_counts_against_nobody_and_its_conduct_stays_ended(town: Register) -> None:
    office, judge, registrar = town.office(13), town.arbiter(), town.registrar()
    ann = town.member(registrar)
    town.file(office, ann, 13, -5)
    town.object(ann, 0, office)
    filed = town.standing_record(ann, 0)
    assert town.drawn(ann, 0) == [judge]
    town.do(ann, Leave())
    town.block(5)
    assert (town.record(ann, 0), town.rulings(judge, office)) == (None, (0, 0, 0))
    assert (town.authority(office).decided, town.authority(office).overturned) == (0, 0)
    town.block(12)
    town.do(ann, town.enrolment(ann, registrar))
    again = town.filing(ann, 13, -5, evidence=filed.evidence)
    assert town.refusal(office, again) is Reason.ENDED


@pytest.mark.parametrize("slots", [1, 20], ids=["a block a slot", "one block for all of it"])
@pytest.mark.parametrize("stays", [False, True])
def test_what_is_due_before_who_leaves_has_its_turn(town: Register, slots: int, stays: bool) -> None:
    """However many blocks there are in between: silence counts, and a recovery calls the leave off."""
    office, registrar = town.office(13), town.registrar()
    ann, new = town.member(registrar), town.person()
    circle = Circle(town, ann)
    town.file(office, ann, 13, -5)
    town.do(ann, Object(ann.key, 0, DIGEST))
    due_slot = town.standing_record(ann, 0).due_slot
    town.block(due_slot - 2 - town.draft.slot)
    town.do(ann, Leave())
    if stays:
        town.do(new, circle.recover(new))
    for _ in range(20 // slots):
        town.block(slots)
    assert (town.authority(office).decided, town.authority(office).overturned) == (1, 1)
    assert town.draft.get(leaving_key(ann.key)) is None
    if not stays:
        assert town.draft.get(member_key(ann.key)) is None
        return
    assert (town.record(ann, 0), town.entry(new).key, town.entry(new).leaves_slot) == (None, new.key, 0)


def test_a_key_that_left_comes_back_when_the_policy_says(town: Register) -> None:
    registrar = town.registrar()
    ann, bob = town.member(registrar), town.member(registrar)
    town.do(ann, Leave())
    town.block(5)
    assert town.refusal(ann, town.enrolment(ann, registrar)) is Reason.HAS_LEFT
    assert town.refusal(bob, town.rotation(bob, ann)) is Reason.KEY_IN_USE
    town.block(11)
    assert town.refusal(ann, town.enrolment(ann, registrar)) is Reason.HAS_LEFT
    town.block()
    town.do(ann, town.enrolment(ann, registrar))
    assert (town.entry(ann).filed, town.entry(ann).enrolled_slot) == (0, 18)


def test_what_was_signed_before_is_void_for_good(town: Register) -> None:
    """A mark outlives every transaction that a block held before, so none of them is taken twice."""
    register = Register(altered(MARKETPLACE, identity={**RULES, "return_days": 1}))
    ann = register.person()
    joins = register.sign(ann, Enrol(), life=10)
    registry.apply(register.draft, joins)
    register.do(ann, Leave())
    register.block(5)
    mark = register.draft.get(left_key(ann.key))
    assert isinstance(mark, Left)
    assert mark.until_slot > register.draft.slot + register.genesis.max_expiry_blocks


def test_who_stays_after_all(town: Register) -> None:
    ann = town.member()
    assert town.refusal(ann, Veto(LEAVE)) is Reason.NOTHING_TO_STOP
    town.do(ann, Leave())
    assert town.refusal(ann, Leave()) is Reason.ALREADY_LEAVING
    town.block(4)
    town.do(ann, Veto(LEAVE))
    town.block(9)
    assert town.entry(ann).key == ann.key


def test_offices_leave_by_motion(town: Register) -> None:
    office, seated = town.member(), town.member()
    town.carry(Accredit(office.key, ARBITER, (), 0, FOREVER))
    town.carry(AddValidator(seated.key, 1))
    for person in (office, seated):
        assert town.refusal(person, Leave()) is Reason.HOLDS_OFFICE


def test_who_holds_an_office_by_then_keeps_its_keys(town: Register) -> None:
    ann = town.member()
    town.do(ann, Leave())
    town.carry(Accredit(ann.key, ARBITER, (), 0, FOREVER))
    town.block(5)
    assert town.refusal(ann, Statement(ann.key, 0, DIGEST)) is Reason.NOT_ENROLLED
    assert town.draft.account(ann.key) is not None
    town.rotate(ann)


@pytest.mark.parametrize("office", [True, False], ids=["an office", "a seat"])
def test_nobody_comes_back_clean_by_way_of_an_office(town: Register, office: bool) -> None:
    registrar, issuer = town.registrar(), town.office(13)
    ann = town.member(registrar)
    town.file(issuer, ann, 13, -5)
    town.do(ann, Leave())
    town.carry(Accredit(ann.key, ARBITER, (), 0, FOREVER) if office else AddValidator(ann.key, 1))
    town.block(5)
    if office:
        town.rotate(ann)
        town.carry(Accredit(ann.identity, ARBITER, (), 0, 99))  # its terms are another matter
    for slots in (1, 11):
        assert town.refusal(ann, town.enrolment(ann, registrar)) is Reason.HAS_LEFT
        town.block(slots)
    town.do(ann, town.enrolment(ann, registrar))


def test_one_block_forgets_only_so_much_and_nobody_acts_meanwhile(
    town: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    office, registrar = town.office(13), town.registrar()
    ann, bob = town.member(registrar), town.member(registrar)
    for _ in range(5):
        town.file(office, ann, 13, -5)
    town.do(ann, Leave())
    monkeypatch.setattr(registry, "MAX_DUE_A_BLOCK", 2)
    town.block(5)
    assert [town.record(ann, number) is None for number in range(5)] == [True, True, False, False, False]
    assert town.refusal(bob, Rate(ann.key, 1, 5)) is Reason.NOT_ENROLLED
    assert town.refusal(office, town.filing(ann, 13, -5)) is Reason.NOT_ENROLLED
    town.block()
    assert town.draft.get(leaving_key(ann.key)) is not None
    town.block()
    town.block()
    assert traces(town, ann) == []


def test_many_keys_are_forgotten_a_few_at_a_time(town: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "KEYS_A_VISIT", 2)
    ann = town.member()
    for _ in range(4):
        town.rotate(ann)
    town.do(ann, Leave())
    town.block(5)
    assert town.draft.get(leaving_key(ann.identity)) == Leaving(6, cursor=ann.keys[2])
    town.block()
    town.block()
    town.block()
    assert traces(town, ann) == []
    assert all(town.draft.get(left_key(key)) is not None for key in ann.keys)


def test_nobody_enrols_again_while_its_keys_are_forgotten(town: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its last key somebody came back as the same member, whose first keys were gone: every node stopped."""
    monkeypatch.setattr(leaving, "KEYS_A_VISIT", 2)
    registrar = town.registrar()
    ann = town.member(registrar)
    for _ in range(4):
        town.rotate(ann)
    town.do(ann, Leave())
    town.block(5)
    assert town.refusal(ann, town.enrolment(ann, registrar)) is Reason.HAS_LEFT
    for _ in range(3):
        town.block()
    assert traces(town, ann) == []
    assert town.refusal(ann, town.enrolment(ann, registrar)) is Reason.HAS_LEFT


def test_two_who_rated_each_other_leave_in_one_block(town: Register) -> None:
    registrar = town.registrar()
    ann, bob = town.member(registrar), town.member(registrar)
    town.do(ann, Rate(bob.key, 1, 5))
    town.do(bob, Rate(ann.key, 1, 5))
    for person in (ann, bob):
        town.do(person, Leave())
    town.block(5)
    town.block()
    assert (traces(town, ann), traces(town, bob)) == ([], [])


def test_who_leaves_is_gone_and_back_when_the_policy_said_to_which_it_consented(town: Register) -> None:
    registrar = town.registrar()
    ann = town.member(registrar)
    town.amend(60, identity={**RULES, "leave_days": 9, "return_days": 30})
    town.block(60)
    cleo = town.member(registrar)
    for person in (ann, cleo):
        town.do(person, Leave())
    town.block(5)
    assert town.draft.get(member_key(ann.key)) is None
    assert town.entry(cleo).leaves_slot == town.draft.slot + 4
    town.block(12)
    town.do(ann, town.enrolment(ann, registrar))
    assert town.refusal(cleo, town.enrolment(cleo, registrar)) is Reason.HAS_LEFT


def test_who_leaves_has_a_better_later_policy_too(town: Register) -> None:
    ann = town.member()
    town.amend(60, identity={**RULES, "leave_days": 3})
    town.block(60)
    town.do(ann, Leave())
    town.block(3)
    assert town.draft.get(member_key(ann.key)) is None


def test_nobody_is_gone_before_guardians_can_undo_that_as_long_as_they_were_promised(town: Register) -> None:
    """A shorter leave is better, and so is a longer delay: of two policies the one must not outrun the other."""
    circle, new = Circle(town, town.member()), town.person()
    town.amend(60, identity={**RULES, "recovery_days": 1, "leave_days": 1})
    town.block(60)
    town.do(circle.member, Leave())
    town.block(RULES["recovery_days"] - 1)
    town.do(new, circle.recover(new, step=UNDO))
    assert town.entry(new).leaves_slot == 0


def test_nobody_gets_an_office_while_its_keys_are_forgotten(town: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its last key, gone a block later, would hold one, and whoever comes back with the first would find it."""
    monkeypatch.setattr(leaving, "KEYS_A_VISIT", 2)
    ann = town.member(town.registrar())
    for _ in range(4):
        town.rotate(ann)
    town.do(ann, Leave())
    town.block(5)
    assert town.draft.account(ann.key) is not None, "some of its keys are left"
    validator = town.validators[0]
    for proposal in (Accredit(ann.key, ARBITER, (), 0, FOREVER), AddValidator(ann.key, 1)):
        assert town.refusal(validator, Propose(proposal)) is Reason.HAS_LEFT
    for _ in range(2):
        town.block()
        assert town.refusal(validator, Propose(Accredit(ann.key, ARBITER, (), 0, FOREVER))) is Reason.HAS_LEFT
    town.block(12)
    town.carry(Accredit(ann.key, ARBITER, (), 0, FOREVER))
