"""A supplier was late a year ago, and what that takes from it fades: as everybody is told who asks."""

from __future__ import annotations

from typing import Any

from chain.content.actions import MAINTAIN, UPHOLD, Answer, Object, Rule
from chain.content.policyfile import shipped_policy
from chain.documents.people import explanation
from chain.register.scores import standing
from tests.support.register import DIGEST, Person, Register

LATE, DEFECT = 31, 32
YEAR, NOTICE = 365, 90
SUPPLIERS = shipped_policy("suppliers")


def lines(register: Register, who: Person) -> list[dict[str, Any]]:
    """Why somebody stands where it stands, as everybody is told; it adds up."""
    register.block()
    view = register.ledger.view()
    identity, member = view.member(who.key)
    told = explanation(view, identity, member)
    assert sum(line["points"] for line in told) == standing(view.policy, member).score
    return told


def test_what_was_late_a_year_ago_says_half_as_much_of_today() -> None:
    # Given a supplier that was late, and objected in vain
    register = Register(SUPPLIERS, one_document=False)
    chamber, judge, mill = register.office(LATE, DEFECT), register.arbiter(), register.member(register.registrar())
    register.file(chamber, mill, LATE, -15, reason=DIGEST)
    assert register.score(mill) == 85
    register.object(mill, 0, chamber)
    register.do(judge, Rule(mill.key, 0, UPHOLD, DIGEST))
    # When nothing has faded yet, the explanation says when it will
    [_, record] = lines(register, mill)
    assert (record["points"], record["halves_slot"]) == (-15, 1 + YEAR)
    assert record["fading"].endswith(" it halves to -7")
    # And when a year has gone by since it was late
    register.block(YEAR + 1 - register.draft.slot)
    # Then it counts for half, rounded in its favour, and the explanation says why and what comes next
    assert register.score(mill) == 93
    [_, record] = lines(register, mill)
    assert (record["points"], record["points_recorded"], record["halves_slot"]) == (-7, -15, 1 + 2 * YEAR)
    assert record["fading"].startswith("-15 was recorded, and halved once since the conduct; on ")
    # And when it is late again, the new record counts whole beside the old one
    register.file(chamber, mill, LATE, -15, reason=DIGEST)
    assert register.score(mill) == 78
    # And in the third year the old one is told to end before it halves again, and ends
    register.block(3 * YEAR - register.draft.slot)
    _, old, _ = lines(register, mill)
    assert old["fading"] == "-15 was recorded, and halved twice since the conduct; it ends before it halves again"
    assert [line["number"] for line in lines(register, mill) if line["kind"] == "record"] == [1]


def test_a_majority_that_wants_blame_to_last_has_it_for_what_comes_and_not_for_what_was() -> None:
    # Given two suppliers, and a record about the first
    register = Register(SUPPLIERS, one_document=False)
    registrar, chamber = register.registrar(), register.office(LATE)
    mill, forge = register.member(registrar), register.member(registrar)
    register.file(chamber, mill, LATE, -12, reason=DIGEST)
    # When all validators carry that such records fade no more
    rows = [{**row, "half_life_days": 0} for row in SUPPLIERS.to_document()["category"]]
    register.amend(NOTICE, category=rows)
    register.block(NOTICE)
    register.file(chamber, forge, LATE, -12, reason=DIGEST)
    register.block(YEAR)
    # Then what was recorded before fades as it was promised, and what was recorded since does not
    assert (register.score(mill), register.score(forge)) == (94, 88)
    # And an objection that is lost does not change that
    register.do(mill, Object(mill.key, 0, DIGEST))
    register.do(chamber, Answer(mill.key, 0, MAINTAIN, 0, DIGEST))
    assert register.standing_record(mill, 0).worth == -6
