"""What is attested of a member: by whom, until when, and who takes it back."""

from __future__ import annotations

from typing import Any

import pytest

from chain.base.errors import InvariantBroken, OperatorError, Reason
from chain.content.actions import Attest, Leave
from chain.content.policyfile import decode_policy, read_policy
from chain.content.proposals import Accredit, Suspend
from chain.documents.words import category_name
from chain.register import attributes, registry
from chain.register.entries import Attributes, Held
from chain.register.statekeys import attributes_key
from tests.support.register import DIGEST, FOREVER, MUNICIPAL, Person, Register, altered

LICENCE, TRAINING = 500, 501
ROWS: list[dict[str, Any]] = [
    {"code": LICENCE, "name": "licence", "valid_days": 9, "closed": False},
    {"code": TRAINING, "name": "training", "valid_days": 30, "closed": False},
]
OTHER = bytes([7]) * 32


class Town:
    """A board that attests both; Ann is a member."""

    def __init__(self) -> None:
        rules = altered(MUNICIPAL, attribute=ROWS, identity={"leave_days": 14})
        self.register = Register(rules)
        self.board = self.register.office(LICENCE, TRAINING)
        self.ann = self.register.member()

    def attests(self, code: int = LICENCE, days: int = 5, digest: bytes = DIGEST) -> Attest:
        return Attest(self.ann.key, code, digest, self.register.draft.date_slot + days)

    def takes_back(self, code: int = LICENCE) -> Attest:
        return Attest(self.ann.key, code, b"", 0)

    @property
    def held(self) -> dict[int, Held]:
        entry: Attributes | None = self.register.draft.get(attributes_key(self.ann.identity))
        return {} if entry is None else {each.attribute: each for each in entry.held}


@pytest.fixture
def town() -> Town:
    return Town()


def test_an_attribute_ends_at_its_date_and_no_point_follows_from_it(town: Town) -> None:
    register, score = town.register, town.register.score(town.ann)
    register.do(town.board, town.attests(LICENCE, 5))
    register.do(town.board, town.attests(TRAINING, 8, OTHER))
    assert town.held == {
        LICENCE: Held(LICENCE, town.board.key, DIGEST, 1, 6),
        TRAINING: Held(TRAINING, town.board.key, OTHER, 1, 9),
    }
    assert register.score(town.ann) == score
    register.block(4)
    assert set(town.held) == {LICENCE, TRAINING}
    register.block()
    assert set(town.held) == {TRAINING}
    register.block(3)
    assert register.draft.get(attributes_key(town.ann.key)) is None


def test_it_lasts_no_longer_than_the_policy_has_it_and_not_until_yesterday(town: Town) -> None:
    for days in (-3, 0, 10):
        assert town.register.refusal(town.board, town.attests(days=days)) is Reason.WRONG_TERM
    town.register.do(town.board, town.attests(days=9))
    town.register.do(town.board, town.attests(days=1))
    assert town.held[LICENCE].expires_slot == town.register.draft.slot + 1, "a shorter one replaces it"


def test_only_who_is_accredited_for_it_and_in_office_attests(town: Town) -> None:
    register = town.register
    other = register.office(13)
    assert register.refusal(other, town.attests()) is Reason.NOT_ACCREDITED
    assert register.refusal(town.ann, town.attests()) is Reason.NOT_AUTHORITY
    assert register.refusal(town.board, town.attests(13)) is Reason.UNKNOWN_ATTRIBUTE
    late = register.office(LICENCE, term=(50, 60))
    assert register.refusal(late, town.attests()) is Reason.NOT_ACCREDITED
    register.carry(Suspend(town.board.key))
    assert register.refusal(town.board, town.attests()) is Reason.AUTHORITY_SUSPENDED


def test_nobody_attests_anything_of_itself(town: Town) -> None:
    town.register.carry(Accredit(town.ann.key, 0, (LICENCE,), 0, FOREVER))
    assert town.register.refusal(town.ann, town.attests()) is Reason.SELF_RECORD


def test_its_authority_alone_renews_it_until_its_date(town: Town) -> None:
    register, rival = town.register, town.register.office(LICENCE)
    register.do(town.board, town.attests())
    assert register.refusal(rival, town.attests(digest=OTHER)) is Reason.NOT_ISSUER
    assert register.refusal(rival, town.takes_back()) is Reason.NOT_ISSUER
    register.do(town.board, town.attests(days=7, digest=OTHER))
    assert town.held[LICENCE].digest == OTHER
    register.block(7)
    register.do(rival, town.attests())
    assert town.held[LICENCE].issuer == rival.identity


def test_the_member_takes_it_back_as_does_who_attested_it_even_under_another_key(town: Town) -> None:
    register = town.register
    for who in (town.ann, town.board):
        register.do(town.board, town.attests())
        register.rotate(who)
        register.do(who, town.takes_back())
        assert town.held == {}
        assert register.refusal(who, town.takes_back()) is Reason.UNKNOWN_ATTRIBUTE


def test_what_waits_for_its_end_is_over_already(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    register, rival = town.register, town.register.office(LICENCE)
    register.do(town.board, town.attests())
    monkeypatch.setattr(registry, "MAX_DUE_A_BLOCK", 0)
    register.block(5)
    assert register.refusal(town.board, town.takes_back()) is Reason.UNKNOWN_ATTRIBUTE
    register.do(rival, town.attests(days=3))
    assert town.held[LICENCE].issuer == rival.identity


@pytest.mark.parametrize("slots", [1, 30])
def test_all_of_them_go_with_the_member(town: Town, slots: int) -> None:
    register = town.register
    register.do(town.board, town.attests(TRAINING, 30))
    register.do(town.ann, Leave())
    for _ in range(15 // slots + 2):
        register.block(slots)
    assert register.draft.get(attributes_key(town.ann.identity)) is None
    assert register.refusal(town.board, town.attests()) is Reason.NOT_ENROLLED


def test_a_closed_one_lasts_and_is_attested_no_more(town: Town) -> None:
    register = town.register
    register.do(town.board, town.attests(TRAINING, 30))
    register.amend(30, attribute=[ROWS[0], {**ROWS[1], "closed": True}])
    register.block(30)
    assert register.refusal(town.board, town.attests(TRAINING)) is Reason.CATEGORY_CLOSED
    assert category_name(register.draft.policy, TRAINING) == "training"


def test_an_amendment_keeps_what_is_attested(town: Town) -> None:
    for rows in ([ROWS[0]], [ROWS[0], {**ROWS[1], "name": "other"}]):
        with pytest.raises(Exception, match=f"attribute {TRAINING} must stay"):
            town.register.amend(30, attribute=rows)


def test_what_is_not_due_is_no_turn_of_its(town: Town) -> None:
    town.register.do(town.board, town.attests())
    with pytest.raises(InvariantBroken):
        attributes.fall_due(town.register.draft, attributes_key(town.ann.identity))


def test_a_policy_without_attributes_is_encoded_as_before_there_were_any() -> None:
    without, with_some = altered(MUNICIPAL), altered(MUNICIPAL, attribute=ROWS)
    assert altered(MUNICIPAL, attribute=[]).encode() == without.encode()
    assert without.digest() != with_some.digest()
    for policy in (without, with_some):
        assert decode_policy(policy.encode()) == policy
        assert read_policy(policy.to_document()) == policy


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{**ROWS[0], "code": 13}], "is the code of a category"),
        ([ROWS[0], ROWS[0]], "is used twice"),
        ([{**ROWS[0], "valid_days": 0}], "valid_days"),
        ([{**ROWS[0], "code": 600 + at} for at in range(17)], "attribute"),
    ],
)
def test_what_a_policy_cannot_say_of_attributes(rows: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(OperatorError, match=told):
        altered(MUNICIPAL, attribute=rows)


def test_quotas_count_what_is_attested_and_not_what_is_taken_back() -> None:
    register = Register(altered(MUNICIPAL, attribute=ROWS, quotas={"office": 2, "member": 1}))
    board, ann = register.office(LICENCE), register.member()

    def attests(person: Person, digest: bytes) -> Reason | None:
        return register.refusal(person, Attest(ann.key, LICENCE, digest, bool(digest) * (register.draft.date_slot + 2)))

    assert [attests(board, DIGEST), attests(ann, b""), attests(board, DIGEST), attests(ann, b"")] == [None] * 4
    assert attests(board, DIGEST) is Reason.OVER_QUOTA
