"""The register as the HTTP face tells it: what is there, newest first, and never without bound."""

from __future__ import annotations

import pytest

from chain.draft import Draft
from chain.genesis import Genesis, found_genesis
from chain.keys import did_from_key
from chain.policy import shipped_policy
from chain.proposals import ReplaceValidator, encode_proposal
from chain.registry import genesis_state
from chain.state import (
    DOCKET_KEY,
    OBJECTED,
    OPEN,
    Account,
    Docket,
    Member,
    Motion,
    Record,
    account_key,
    member_key,
    motion_key,
    record_key,
)
from p2p.local import views
from p2p.local.views import newest_motions, policy_in_force, records_about
from tests.support.world import secret

TOWN: Genesis = found_genesis("town", shipped_policy("municipal"), [secret(1).public], genesis_time_ms=0, slot_ms=1000)
ANN, HEIR, OFFICE = (secret(number).public for number in (100, 101, 102))
RECORD = Record(OFFICE, 1, -20, 1, bytes(32), b"", 0, 5, 1, 900, 30, -1, OBJECTED, 0, 70, bytes(32), b"", b"")


@pytest.fixture
def view() -> Draft:
    """Ann, who moved to another key, has had eight records; those with odd numbers are still there."""
    draft = Draft(genesis_state(TOWN), TOWN, 10, 10)
    draft.put(member_key(ANN), Member(HEIR, 1, 0, 0, 0, 8, 0, 4, ()))
    draft.put(account_key(HEIR), Account(0, ANN, b""))
    for number in (1, 3, 5, 7):
        draft.put(record_key(ANN, number), RECORD._replace(height=number))
    return draft


@pytest.mark.parametrize("key", [ANN, HEIR], ids=["the first key", "the key it moved to"])
def test_the_records_that_are_there_come_newest_first(view: Draft, key: bytes) -> None:
    told = records_about(view, key)
    assert (told["height"], told["filed"]) == (9, 8)
    assert [row["number"] for row in told["records"]] == [7, 5, 3, 1]
    assert told["records"][0] == {
        "number": 7,
        "issuer": did_from_key(OFFICE),
        "category": "contract or loan default",
        "points": -20,
        "status": "objected",
        "upheld": False,
        "height": 7,
        "evidence": "00" * 32,
        "established_slot": 0,
        "repair_slot": 30,
        "deadline_slot": 70,
        "expires_slot": 900,
    }


def test_a_stranger_has_none(view: Draft) -> None:
    assert records_about(view, OFFICE) == {"height": 9, "filed": 0, "records": []}


def test_records_are_bounded_in_what_is_shown_and_looked_at(view: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MAX_SHOWN", 3)
    assert [row["number"] for row in records_about(view, ANN)["records"]] == [7, 5, 3]
    monkeypatch.setattr(views, "MAX_LOOKED_AT", 4)
    assert [row["number"] for row in records_about(view, ANN)["records"]] == [7, 5]


def test_the_newest_motions_come_first(view: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    assert newest_motions(view) == {"height": 9, "motions": []}
    proposal = encode_proposal(ReplaceValidator(ANN, HEIR))
    for number in range(3):
        view.put(motion_key(number), Motion(OFFICE, proposal, number, 99, (OFFICE,), OPEN, 0))
    view.put(DOCKET_KEY, Docket(3, (0, 1, 2)))
    told = newest_motions(view)["motions"]
    assert [row["number"] for row in told] == [2, 1, 0]
    assert told[0] == {
        "number": 2,
        "kind": "ReplaceValidator",
        "about": [did_from_key(ANN), did_from_key(HEIR)],
        "status": "open",
        "proposer": did_from_key(OFFICE),
        "approvals": 1,
        "height": 2,
        "expires_slot": 99,
    }
    monkeypatch.setattr(views, "MAX_SHOWN", 2)
    assert [row["number"] for row in newest_motions(view)["motions"]] == [2, 1]


def test_the_policy_in_force_is_told_whole(view: Draft) -> None:
    told = policy_in_force(view)
    assert told == {"version": 1, "next_version": 0, "next_slot": 0, "policy": TOWN.policy.to_document()}
