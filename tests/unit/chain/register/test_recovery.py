"""A key is not a person: guardians, recovery with a veto, and a thief who is first and does not win."""

from __future__ import annotations

import pytest

from chain.base.errors import Reason
from chain.content.actions import (
    ANNUL,
    GRANT,
    LEAVE,
    MAINTAIN,
    RECOVER,
    RECOVERY,
    STRIKE,
    UNDO,
    Annul,
    Answer,
    Enrol,
    Leave,
    NameGuardians,
    Object,
    Rate,
    Recover,
    Rule,
    Statement,
    Veto,
)
from chain.content.consents import sign_recovery
from chain.content.identities import (
    Guardians,
    Leaving,
    Recovery,
    commitment_of,
    guardians_key,
    leaving_key,
    recovery_key,
)
from chain.content.proposals import ARBITER, Accredit, Revoke, Suspend
from chain.content.transactions import decode_transaction, verify_transaction
from chain.register.entries import Account
from tests.support.guardians import Circle
from tests.support.refusals import refusal
from tests.support.register import DIGEST, FOREVER, MARKETPLACE, MUNICIPAL, Person, Register, altered

DELAY = 14


@pytest.fixture
def town() -> Register:
    return Register(altered(MARKETPLACE, identity={"recovery_days": DELAY}))


@pytest.fixture
def circle(town: Register) -> Circle:
    return Circle(town, town.member())


# ------------------------------------------------------------------------------------------------- lost and found


def test_guardians_give_a_member_who_lost_its_key_another(town: Register, circle: Circle) -> None:
    ann, bob = circle.member, town.member()
    town.do(bob, Rate(ann.key, 1, 5))
    new = town.person()
    town.do(new, circle.recover(new))
    assert town.draft.get(recovery_key(ann.identity)) == Recovery(new.key, 1 + DELAY)
    town.block(DELAY - 1)
    assert town.entry(ann).key == ann.key
    town.block()
    assert (town.entry(ann).key, town.entry(ann).rated_points) == (new.key, 5)
    assert town.refusal(ann, Leave()) is Reason.ROTATED_KEY
    assert town.draft.account(new.key) == Account(1, ann.identity, b"", 1, 1), "what it wrote that day goes with it"
    town.do(new, Rate(bob.key, 1, 3))
    assert town.draft.get(recovery_key(ann.identity)) is None


def test_the_present_key_vetoes_in_time(town: Register, circle: Circle) -> None:
    ann, new = circle.member, town.person()
    assert town.refusal(ann, Veto(RECOVERY)) is Reason.NOTHING_TO_STOP
    town.do(new, circle.recover(new))
    town.block(DELAY - 1)
    town.do(ann, Veto(RECOVERY))
    town.block()
    assert town.entry(ann).key == ann.key
    assert town.refusal(new, Leave()) is Reason.NOT_ENROLLED


@pytest.fixture
def city() -> Register:
    return Register(altered(MUNICIPAL, identity={"recovery_days": DELAY}))


def vetoed(city: Register, circle: Circle, registrar: Person | None = None) -> None:
    """Guardians begin, and whoever holds the key stops them."""
    new = city.person()
    city.do(new, circle.recover(new, registrar=registrar))
    city.do(circle.member, Veto(RECOVERY))


def test_guardians_and_registrar_together_after_a_veto_are_not_stopped_by_a_stolen_key(city: Register) -> None:
    registrar = city.registrar()
    circle = Circle(city, city.member(registrar))
    ann, new = circle.member, city.person()
    vetoed(city, circle)
    assert city.refusal(ann, Veto(RECOVERY)) is Reason.NOTHING_TO_STOP
    city.block(DELAY - 1)
    city.do(new, circle.recover(new, registrar=registrar))
    assert city.refusal(ann, Veto(RECOVERY)) is Reason.PAST_VETO
    city.block(DELAY - 1)
    assert city.refusal(ann, Veto(RECOVERY)) is Reason.PAST_VETO
    assert city.entry(ann).key == ann.key, "it is seen for as long as any other"
    city.block()
    assert city.entry(ann).key == new.key


def test_neither_guardians_nor_a_registrar_alone_overrule_a_veto(city: Register) -> None:
    registrar = city.registrar()
    circle, bob = Circle(city, city.member(registrar)), city.member(registrar)
    vetoed(city, circle, registrar)
    new, other = city.person(), city.person()
    city.do(new, city.recovery(new, bob, registrar))
    city.do(bob, Veto(RECOVERY))
    # whoever stopped one is left alone for so long, and need not look each day
    city.block(DELAY - 1)
    assert city.refusal(other, circle.recover(other)) is Reason.RECOVERY_PENDING
    assert city.refusal(other, city.recovery(other, bob, registrar)) is Reason.RECOVERY_PENDING
    city.block()
    vetoed(city, circle, registrar)  # a key is heard again about what begins so long after its veto
    city.block(2 * DELAY)
    assert city.entry(circle.member).key == circle.member.key


def test_a_recovery_to_a_key_whose_owner_enrolled_and_left_moves_nobody() -> None:
    identity = {"recovery_days": DELAY, "annulment_days": 1}
    city = Register(altered(MUNICIPAL, identity=identity, rights={"appeal_days": 1}))
    registrar, judge = city.registrar(), city.arbiter()
    circle, new = Circle(city, city.member(registrar)), city.person()
    city.do(new, circle.recover(new))
    city.do(new, city.enrolment(new, registrar))
    city.do(registrar, Annul(new.key, ANNUL, DIGEST))
    city.block()
    city.do(judge, Annul(new.key, GRANT, DIGEST))
    city.block()
    city.block()
    assert city.draft.account(new.key) is None
    city.block(DELAY)
    assert city.entry(circle.member).key == circle.member.key


def test_guardians_undo_whoever_stands_beside_them(city: Register) -> None:
    registrar = city.registrar()
    circle = Circle(city, city.member(registrar))
    ann, new = circle.member, city.person()
    city.rotate(ann)
    city.carry(Suspend(registrar.key))
    city.do(new, circle.recover(new, step=UNDO, registrar=registrar))
    assert city.entry(ann).key == new.key


def test_which_registrar_stands_by_guardians(city: Register) -> None:
    own, other = city.registrar(), city.registrar()
    circle, new = Circle(city, city.member(own)), city.person()
    vetoed(city, circle)
    wrong = circle.recover(new, registrar=other)
    assert city.refusal(new, wrong) is Reason.NOT_REGISTRAR
    assert city.refusal(new, circle.recover(new, registrar=city.person())) is Reason.NOT_REGISTRAR
    city.carry(Revoke(own.key))
    assert city.refusal(new, circle.recover(new, registrar=own)) is Reason.NOT_REGISTRAR
    city.do(new, wrong)
    assert city.refusal(circle.member, Veto(RECOVERY)) is Reason.PAST_VETO


def test_guardians_are_named_in_the_enrolment_too(town: Register) -> None:
    ann, new, guardian = town.person(), town.person(), town.person()
    named = commitment_of(1, (guardian.key,), bytes(16))
    town.do(ann, Enrol(guardians=named))
    assert town.draft.get(guardians_key(ann.key)) == Guardians(named)
    word = sign_recovery(guardian.secret, town.genesis.id, ann.key, new.key, RECOVER, 10)
    town.do(new, Recover(ann.key, RECOVER, 1, (guardian.key,), bytes(16), (word,)))


def test_a_veto_that_comes_too_late(town: Register, circle: Circle, monkeypatch: pytest.MonkeyPatch) -> None:
    new = town.person()
    town.do(new, circle.recover(new))
    monkeypatch.setattr("chain.register.registry.MAX_DUE_A_BLOCK", 0)
    town.block(DELAY)
    assert town.refusal(circle.member, Veto(RECOVERY)) is Reason.DEADLINE_PASSED


def test_one_recovery_at_a_time_and_only_to_a_fresh_key(town: Register, circle: Circle) -> None:
    new, other, bob = town.person(), town.person(), town.member()
    assert town.refusal(bob, circle.recover(bob)) is Reason.KEY_IN_USE
    town.do(new, circle.recover(new))
    assert town.refusal(other, circle.recover(other)) is Reason.RECOVERY_PENDING
    assert town.refusal(bob, town.rotation(bob, new)) is Reason.KEY_IN_USE


def test_a_new_key_that_became_somebodys_gets_nothing(town: Register, circle: Circle) -> None:
    new = town.person()
    town.do(new, circle.recover(new))
    town.do(new, Enrol())
    town.block(DELAY)
    assert town.entry(circle.member).key == circle.member.key
    assert town.entry(new).key == new.key


def test_who_holds_an_office_by_then_keeps_its_key(town: Register, circle: Circle) -> None:
    new = town.person()
    town.do(new, circle.recover(new))
    town.carry(Accredit(circle.member.key, ARBITER, (), 0, FOREVER))
    later = town.person()
    assert town.refusal(later, circle.recover(later)) is Reason.HOLDS_OFFICE
    town.block(DELAY)
    assert town.entry(circle.member).key == circle.member.key


def test_a_recovery_during_a_rotation_during_a_recovery(town: Register, circle: Circle) -> None:
    ann, new = circle.member, town.person()
    town.do(new, circle.recover(new))
    town.rotate(ann)
    town.block(DELAY)
    assert town.entry(ann).key == new.key
    assert town.refusal(ann, Leave()) is Reason.ROTATED_KEY


def test_a_recovery_during_a_rotation_during_an_objection() -> None:
    # given a record that is objected to, after which the key moves, and guardians who undo that
    town = Register(altered(MUNICIPAL, identity={"recovery_days": DELAY}))
    office, registrar, judge = town.office(13), town.registrar(), town.arbiter()
    ann = town.member(registrar)
    circle, new = Circle(town, ann), town.person()
    number = town.file(office, ann, 13, -5)
    town.do(ann, Object(ann.key, number, DIGEST))
    old = ann.key
    town.rotate(ann)
    town.do(new, circle.recover(new, step=UNDO))
    # when the issuer maintains it, and the hearing is over
    town.do(office, Answer(old, number, MAINTAIN, 0, DIGEST))
    town.block(town.draft.policy.hearing_days)
    # then the arbiter strikes it by whichever key the member had, and the last one has the member's say
    assert town.refusal(ann, Statement(old, number, DIGEST)) is Reason.ROTATED_KEY
    town.do(new, Statement(old, number, DIGEST))
    town.do(judge, Rule(ann.key, number, STRIKE, DIGEST))
    assert (town.record(ann, number), town.entry(ann).key, town.entry(ann).suspended) == (None, new.key, 0)


# ------------------------------------------------------------------------------------------------------ guardians


def test_who_is_no_guardian(town: Register, circle: Circle) -> None:
    new = town.person()
    good = circle.recover(new)
    for bad in (
        good._replace(threshold=1),
        good._replace(salt=bytes(16)),
        good._replace(guardians=good.guardians[:2], signatures=good.signatures[:2]),
        good._replace(signatures=(good.signatures[0], b"", b"")),
        good._replace(signatures=good.signatures[:2]),
        Recover(circle.member.key, RECOVER),
    ):
        assert town.refusal(new, bad) is Reason.NOT_GUARDIANS
    town.do(new, good)


@pytest.mark.parametrize(("threshold", "count"), [(1, 2), (2, 4), (0, 1), (3, 2)])
def test_guardians_who_could_contradict_one_another_are_none(town: Register, threshold: int, count: int) -> None:
    """Two majorities share a guardian, so two recoveries at odds show somebody who said both."""
    circle = Circle(town, town.member(), threshold=threshold, count=count)
    new = town.person()
    assert town.refusal(new, circle.recover(new)) is Reason.NOT_GUARDIANS


def test_every_signature_is_checked(town: Register, circle: Circle) -> None:
    new = town.person()
    good = town.sign(new, circle.recover(new))
    verify_transaction(decode_transaction(good.raw), town.genesis.id)
    action = good.action
    assert isinstance(action, Recover)
    for bad in (
        action._replace(step=UNDO),
        action._replace(subject=town.validators[0].key),
        action._replace(signatures=(bytes(64), *action.signatures[1:])),
        action._replace(registrar=town.validators[0].key, consent=bytes(64)),
        action._replace(consent=bytes(64)),
    ):
        assert refusal(verify_transaction, town.sign(new, bad), town.genesis.id) is Reason.BAD_SIGNATURE
    other = town.person()
    assert refusal(verify_transaction, town.sign(other, action), town.genesis.id) is Reason.BAD_SIGNATURE
    assert refusal(verify_transaction, town.sign(new, action, life=11), town.genesis.id) is Reason.BAD_SIGNATURE


def test_the_largest_circle_fits_into_a_transaction(town: Register) -> None:
    circle = Circle(town, town.member(), threshold=7, count=7)
    new = town.person()
    signed = town.sign(new, circle.recover(new))
    assert decode_transaction(signed.raw) == signed
    town.do(new, circle.recover(new))


def test_other_guardians_replace_the_first_after_the_delay(town: Register, circle: Circle) -> None:
    ann, mine = circle.member, commitment_of(2, circle.keys, circle.salt)
    other = Circle(town, ann, salt=b"another circle's")
    assert town.draft.get(guardians_key(ann.key)) == Guardians(
        mine, commitment_of(2, other.keys, other.salt), 1 + DELAY, 1 + DELAY
    )
    new = town.person()
    assert town.refusal(new, other.recover(new)) is Reason.NOT_GUARDIANS
    town.block(DELAY)
    assert town.refusal(new, circle.recover(new)) is Reason.NOT_GUARDIANS
    town.do(new, other.recover(new))


def test_a_registrar_recovers_whom_it_enrolled_and_who_named_nobody() -> None:
    town = Register()
    registrar, other = town.registrar(), town.registrar()
    ann, new = town.member(registrar), town.person()
    assert town.refusal(new, town.recovery(new, ann, other)) is Reason.NOT_REGISTRAR
    assert town.refusal(new, town.recovery(new, ann, registrar, step=UNDO)) is Reason.NOT_GUARDIANS
    town.do(new, town.recovery(new, ann, registrar))
    town.do(ann, Veto(RECOVERY))
    town.do(ann, NameGuardians(bytes(32)))
    newer = town.person()
    assert town.refusal(newer, town.recovery(newer, ann, registrar)) is Reason.NOT_GUARDIANS


def test_a_policy_may_leave_registrars_out_of_it() -> None:
    town = Register(altered(MUNICIPAL, identity={"registrar": "recovers nobody"}))
    registrar = town.registrar()
    ann, new = town.member(registrar), town.person()
    assert town.refusal(new, town.recovery(new, ann, registrar)) is Reason.NOT_GUARDIANS


# ---------------------------------------------------------------------------------------------------- the thief


def test_a_thief_who_rotates_first_does_not_win(town: Register, circle: Circle) -> None:
    ann = circle.member
    thief = town.person()
    town.do(ann, town.rotation(ann, thief))
    town.block(DELAY - 1)
    new = town.person()
    town.do(new, circle.recover(new, step=UNDO))
    assert town.entry(ann).key == new.key
    assert town.refusal(thief, Leave()) is Reason.ROTATED_KEY
    again = town.person()
    assert town.refusal(again, circle.recover(again, step=UNDO)) is Reason.NOTHING_TO_UNDO, "it is done once"


def test_what_nobody_undid_in_time_stands(town: Register, circle: Circle) -> None:
    new = town.person()
    assert town.refusal(new, circle.recover(new, step=UNDO)) is Reason.NOTHING_TO_UNDO
    town.rotate(circle.member)
    town.block(DELAY)
    assert town.refusal(new, circle.recover(new, step=UNDO)) is Reason.NOTHING_TO_UNDO


def test_a_thief_names_other_guardians_and_leaves_in_vain(town: Register, circle: Circle) -> None:
    ann = circle.member
    town.do(ann, NameGuardians(bytes(32)))
    town.do(ann, Leave())
    new = town.person()
    town.do(new, circle.recover(new, step=UNDO))
    assert town.draft.get(leaving_key(ann.identity)) is None
    assert town.draft.get(guardians_key(ann.identity)) == Guardians(commitment_of(2, circle.keys, circle.salt))


def test_a_thiefs_friends_are_not_the_guardians_of_whom_is_given_back(town: Register, circle: Circle) -> None:
    """Else they undo whatever its owner does next with the key that it was given."""
    ann, new, thief = circle.member, town.person(), town.person()
    friends = Circle(town, ann, salt=b"a thief's friends")
    town.block()
    town.do(new, circle.recover(new))
    assert town.refusal(ann, NameGuardians(bytes(32))) is Reason.RECOVERY_PENDING
    town.block(DELAY + 3)
    assert town.entry(ann).key == new.key
    assert town.draft.get(guardians_key(ann.identity)) == Guardians(commitment_of(2, circle.keys, circle.salt))
    town.do(new, NameGuardians(bytes(32)))
    assert town.refusal(thief, friends.recover(thief, step=UNDO)) is Reason.NOT_GUARDIANS


def test_nor_of_whom_a_registrar_gave_back(city: Register) -> None:
    registrar = city.registrar()
    ann, new = city.member(registrar), city.person()
    city.do(new, city.recovery(new, ann, registrar))
    assert city.refusal(ann, NameGuardians(bytes(32))) is Reason.RECOVERY_PENDING
    city.block(DELAY)
    assert (city.entry(ann).key, city.draft.get(guardians_key(ann.identity))) == (new.key, None)


def test_nor_do_they_undo_what_guardians_and_a_registrar_say_after_a_veto(city: Register) -> None:
    registrar = city.registrar()
    circle = Circle(city, city.member(registrar))
    ann, new, thief = circle.member, city.person(), city.person()
    vetoed(city, circle)
    friends = Circle(city, ann, salt=b"a thief's friends")
    city.block()
    city.do(new, circle.recover(new, registrar=registrar))
    city.block(DELAY - 1)
    city.rotate(ann)
    assert city.refusal(thief, friends.recover(thief, step=UNDO)) is Reason.NOT_GUARDIANS
    city.block()
    assert city.entry(ann).key == new.key


def test_a_recovery_that_waits_keeps_its_member_from_being_gone(town: Register, circle: Circle) -> None:
    ann, new = circle.member, town.person()
    town.do(ann, Leave())
    town.block(29)
    town.do(new, circle.recover(new))
    assert town.draft.get(leaving_key(ann.identity)) == Leaving(30 + DELAY + 1)
    assert town.refusal(ann, Leave()) is Reason.ALREADY_LEAVING
    town.block(DELAY + 3)
    assert town.entry(ann).key == new.key, "both were due in one block, and the recovery came first"
    town.do(new, Leave())
    town.do(new, Veto(LEAVE))


@pytest.mark.parametrize(
    "deeds", ["rotate rotate", "rotate veto", "veto name rotate", "leave rotate", "veto name name rotate"]
)
def test_no_sequence_of_a_thiefs_transactions_wins_against_guardians_in_time(
    town: Register, circle: Circle, deeds: str
) -> None:
    """Whoever holds the key, within the delay the member is its guardians' to give back."""
    holder, new = circle.member, town.person()
    waiting = town.person()
    town.do(waiting, circle.recover(waiting))
    for deed in deeds.split():
        match deed:
            case "rotate":
                other: Person = town.person()
                town.do(holder, town.rotation(holder, other))
                holder = other
            case "veto":
                town.do(holder, Veto(RECOVERY))
            case "name":
                town.do(holder, NameGuardians(bytes(32)))
            case _:
                town.do(holder, Leave())
    town.block(DELAY - 1)
    town.do(new, circle.recover(new, step=UNDO))
    town.block(60)
    assert town.draft.member(circle.member.identity)[1].key == new.key


# -------------------------------------------------------------------------------------------------------- terms


def test_the_delays_are_those_of_the_policy_that_the_member_consented_to() -> None:
    """A majority cuts the time in which somebody can veto: that holds for those who join after it."""
    town = Register(altered(MARKETPLACE, identity={"recovery_days": DELAY}))
    circle = Circle(town, town.member())
    town.amend(60, identity={"recovery_days": 1})
    town.block(60)
    other, new, fresh = Circle(town, town.member()), town.person(), town.person()
    town.do(new, circle.recover(new))
    town.do(fresh, other.recover(fresh))
    now = town.draft.slot
    assert town.draft.get(recovery_key(circle.member.identity)).due_slot == now + DELAY
    assert town.draft.get(recovery_key(other.member.identity)).due_slot == now + 1
    town.do(circle.member, Veto(RECOVERY))
    assert town.draft.get(recovery_key(circle.member.identity)).due_slot == now + DELAY
    town.rotate(circle.member)
    assert town.draft.get(guardians_key(circle.member.identity)).undo_until_slot == now + DELAY


def test_a_registrar_recovers_only_who_consented_to_that() -> None:
    town = Register(altered(MUNICIPAL, identity={"registrar": "recovers nobody"}))
    registrar = town.registrar()
    ann = town.member(registrar)
    town.amend(60, identity={"registrar": "recovers"})
    town.block(60)
    bob = town.member(registrar)
    for person, reason in ((ann, Reason.NOT_GUARDIANS), (bob, None)):
        new = town.person()
        assert town.refusal(new, town.recovery(new, person, registrar)) is reason
