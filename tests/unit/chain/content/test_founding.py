"""What founders sign: every term binds, whoever puts entries together makes the same, and what does not go together."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest

from chain.base.errors import OperatorError, Refused
from chain.content.founding import MAX_FOUNDERS, RANGES, Entry, founders, lacking, read_entry, read_founding, read_plan
from chain.content.genesis import found_together, make_genesis, plan_of
from chain.content.policyfile import shipped_policy
from chain.content.tables import Mistake
from tests.support.founding import PLAN, entries_of, entry_of, plan_with
from tests.support.world import secret

FOUR = entries_of(1, 2, 3, 4)
GENESIS = found_together(PLAN, FOUR)


def refusal(entries: list[Entry], plan: Any = PLAN) -> str:
    with pytest.raises(OperatorError) as refused:
        founders(plan, entries)
    return str(refused.value)


def test_whoever_puts_entries_together_makes_the_same_file() -> None:
    files = {found_together(PLAN, order).to_json() for order in permutations(FOUR)}
    assert files == {GENESIS.to_json()}
    assert found_together(PLAN, [*FOUR, FOUR[0]]) == GENESIS  # twice the same file is once


def test_batch_and_weights_follow_from_the_entries() -> None:
    plan = plan_with(max_weight=3)
    entries = [entry_of(number, plan, weight=weight) for number, weight in enumerate((3, 2, 3, 3), 1)]
    made = found_together(plan, entries)
    assert made.batch == 6
    assert dict(made.validators) == {secret(number).public: entries[number - 1].weight for number in (1, 2, 3, 4)}
    assert [key for key, _ in made.validators] == sorted(secret(number).public for number in (1, 2, 3, 4))
    assert (made.name, made.genesis_time_ms, made.slot_ms) == (plan.name, plan.genesis_time_ms, plan.slot_ms)
    assert made.founding is not None
    assert plan_of(made, made.founding) == plan


@pytest.mark.parametrize(
    "changes",
    [*({name: getattr(PLAN, name) + 1} for name in RANGES), {"name": "town"}, {"policy": shipped_policy("municipal")}],
    ids=str,
)
def test_every_term_of_the_plan_is_signed(changes: dict[str, Any]) -> None:
    other = plan_with(**changes)
    assert other.digest != PLAN.digest
    assert "does not bear the signature of its key under this plan" in refusal([FOUR[0]], other)


@pytest.mark.parametrize(
    "changes",
    [{"organisation": "Office 9"}, {"key": secret(9).public}, {"address": "/ip4/192.0.2.9/tcp/1/p2p/x"}],
    ids=str,
)
def test_every_field_of_an_entry_is_signed(changes: dict[str, Any]) -> None:
    assert "does not bear the signature of its key under this plan; have it join again" in refusal(
        [FOUR[0]._replace(**changes)]
    )


def test_a_weight_is_signed_too() -> None:
    plan = plan_with(max_weight=2)
    assert "does not bear the signature" in refusal([entry_of(1, plan)._replace(weight=2)], plan)
    assert founders(plan, [entry_of(1, plan, weight=2)])


@pytest.mark.parametrize(
    ("number", "changes", "sentence"),
    [
        (1, {"organisation": "Office 9"}, "have the same key, did:key:z6Mk"),
        (2, {"organisation": "OFFICE 1"}, "two organisations are called"),
        (2, {"address": FOUR[0].address.replace("192.0.2.1", "192.0.2.9")}, "name one machine, 12D3Koo"),
        (
            2,
            {"address": "/ip4/192.0.2.1/tcp/4001/p2p/x"},
            "name one address, /ip4/192.0.2.1/tcp/4001; have one of them",
        ),
    ],
)
def test_two_that_do_not_go_together(number: int, changes: dict[str, Any], sentence: str) -> None:
    for entries in permutations([FOUR[0], entry_of(number, **changes)]):
        assert sentence in refusal(list(entries))


def test_names_of_machines_are_compared_as_the_network_does() -> None:
    upper, lower = (
        entry_of(number, address=f"/dns4/{host}/tcp/4001/p2p/{number}")
        for number, host in ((1, "A.example"), (2, "a.example"))
    )
    assert "name one address, /dns4/a.example/tcp/4001" in refusal([upper, lower])
    assert founders(PLAN, [upper, entry_of(2, address="/dns4/a.example/tcp/4002/p2p/2")])


@pytest.mark.parametrize(("weight", "is_allowed"), [(0, False), (1, True), (2, True), (3, False)])
def test_a_weight_is_within_the_plan(weight: int, is_allowed: bool) -> None:
    plan = plan_with(max_weight=2)
    entry = entry_of(1, plan, weight=weight)
    if is_allowed:
        assert founders(plan, [entry]) == (entry,)
    else:
        assert refusal([entry], plan).startswith(f"Office 1 claims the weight {weight}, and the plan allows 1 to 2;")


@pytest.mark.parametrize(("tolerates", "needed"), [(0, 1), (1, 4), (2, 7)])
def test_so_many_entries_are_needed(tolerates: int, needed: int) -> None:
    plan = plan_with(tolerates=tolerates)
    entries = entries_of(*range(1, needed + 1), plan=plan)
    assert lacking(plan, entries) == ""
    few = lacking(plan, entries[1:])
    assert f"which takes {needed} entries, and there are {needed - 1}; collect more, or agree" in few
    with pytest.raises(OperatorError, match=f"which takes {needed} entries"):
        found_together(plan, entries[1:])


@pytest.mark.parametrize(("heaviest", "is_enough"), [(1, True), (2, False), (3, False)])
def test_those_that_may_fail_weigh_less_than_a_third(heaviest: int, is_enough: bool) -> None:
    plan = plan_with(max_weight=3)
    entries = [entry_of(number, plan, weight=heaviest if number == 1 else 1) for number in range(1, 5)]
    assert (lacking(plan, entries) == "") is is_enough
    if not is_enough:
        assert f"the heaviest weigh {heaviest} of {heaviest + 3}, a third or more" in lacking(plan, entries)


def test_there_are_no_more_founders_than_validators() -> None:
    many = [FOUR[0]._replace(organisation=str(number)) for number in range(MAX_FOUNDERS + 1)]
    assert f"at most {MAX_FOUNDERS}; leave some out" in refusal(many)


# ------------------------------------------------------------------------------------------------------ reading


def test_a_plan_an_entry_and_a_founding_are_read_as_they_were_written() -> None:
    assert read_plan(PLAN.to_document()) == PLAN
    assert read_entry(FOUR[0].to_document()) == FOUR[0]
    assert GENESIS.founding is not None
    assert read_founding(GENESIS.founding.to_document()) == GENESIS.founding


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, value) for name, (low, high) in RANGES.items() for value in (low - 1, high + 1, "1", None)),
        ("name", ""),
        ("name", "x" * 65),
        ("name", "a\x1b[2Jb"),
        ("name", 5),
        ("policy", None),
        ("more", 1),
    ],
)
def test_a_plan_that_is_none(field: str, value: object) -> None:
    with pytest.raises((Mistake, OperatorError), match=field):
        read_plan(PLAN.to_document() | {field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("organisation", ""),
        ("organisation", "a\x1b[2Jb"),
        ("organisation", None),
        ("did", "did:web:example.org"),
        ("did", None),
        ("weight", 0),
        ("weight", "1"),
        ("address", "/ip4/192.0.2.1/tcp/4001"),
        ("address", "192.0.2.1:4001/p2p/x"),
        ("address", "/ip4/192.0.2.1\n/tcp/4001/p2p/x"),
        ("address", None),
        ("signature", "00"),
        ("signature", "0" * 127 + "x"),
        ("signature", None),
        ("more", 1),
    ],
)
def test_an_entry_that_is_none(field: str, value: object) -> None:
    with pytest.raises((Mistake, Refused)):
        read_entry(FOUR[0].to_document() | {field: value})


# -------------------------------------------------------------------------------------------- in the genesis file


def test_the_genesis_file_says_who_founded_it(document: dict[str, Any]) -> None:
    assert make_genesis(document) == GENESIS
    assert make_genesis(document).to_json() == GENESIS.to_json()


def test_the_id_does_not_depend_on_names_and_addresses() -> None:
    moved = [*FOUR[:3], entry_of(4, address="/ip4/192.0.2.44/tcp/1/p2p/x", organisation="Harbour")]
    made = found_together(PLAN, moved)
    assert made.id == GENESIS.id
    assert made != GENESIS


@pytest.fixture
def document() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(GENESIS.to_json())
    return parsed


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda it: it.update(slot_ms=999), "does not bear the signature of its key under this plan"),
        (lambda it: it.update(batch=7), "not what its founders signed; put their entries together again"),
        (lambda it: it["validators"].reverse(), "not what its founders signed"),
        (lambda it: it["validators"].pop(), "not what its founders signed"),
        (lambda it: it["founding"]["entries"].reverse(), "not what its founders signed"),
        (lambda it: it["founding"]["entries"].pop(), "which takes 4 entries, and there are 3"),
        (lambda it: it["founding"].update(tolerates=0), "does not bear the signature"),
        (lambda it: it["founding"]["entries"][0].update(organisation="x"), "does not bear the signature"),
        (lambda it: it["founding"]["entries"][0].update(did="x"), "its founding is damaged .*; copy it again"),
        (lambda it: it["founding"].update(entries=5), "its founding is damaged"),
        (lambda it: it["founding"].update(entries=[5]), "its founding is damaged"),
        (lambda it: it.update(founding=None), "its founding is damaged"),
        (lambda it: it.update(founder=1), "the fields must be exactly"),
    ],
)
def test_a_founding_that_does_not_fit(document: dict[str, Any], change: Any, sentence: str) -> None:
    change(document)
    with pytest.raises(OperatorError, match=sentence):
        make_genesis(document)
