"""The genesis: every parameter checked, one id, one file."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from chain.base.errors import OperatorError
from chain.base.keys import did_from_key
from chain.branches.blockchain import Blockchain
from chain.consensus.electorate import BATCH_MAX
from chain.content.genesis import MAX_VALIDATORS, found_genesis, load_genesis, make_genesis
from chain.content.policyfile import shipped_policy
from chain.content.proposals import MAX_WEIGHT
from tests.support.world import genesis_of, secret

DOCUMENT: dict[str, Any] = json.loads(genesis_of(4).to_json())


def changed(**fields: Any) -> dict[str, Any]:
    return {**deepcopy(DOCUMENT), **fields}


def row(number: int, **fields: Any) -> dict[str, Any]:
    return {"did": did_from_key(secret(number).public), "weight": 1, **fields}


def test_the_file_holds_everything(tmp_path: Path) -> None:
    genesis = genesis_of(4)
    path = tmp_path / "genesis.json"
    path.write_text(genesis.to_json(), encoding="utf-8")
    assert load_genesis(path) == genesis
    assert load_genesis(path).id == genesis.id


@pytest.mark.parametrize(("validators", "batch"), [(1, 3), (4, 6), (7, 9), (10, 13), (101, 134)])
def test_a_new_network_has_room_for_more_validators(validators: int, batch: int) -> None:
    keys = [secret(number).public for number in range(1, validators + 1)]
    genesis = found_genesis("new", shipped_policy("marketplace"), keys, genesis_time_ms=1, slot_ms=1_000)
    assert genesis.batch == batch


def test_a_new_network_has_the_usual_numbers_and_equal_weights() -> None:
    keys = [secret(number).public for number in (1, 2)]
    genesis = found_genesis("new", shipped_policy("marketplace"), keys, genesis_time_ms=1, slot_ms=1_000)
    assert (genesis.genesis_time_ms, genesis.slot_ms) == (1, 1_000)
    assert (genesis.heartbeat_slots, genesis.max_expiry_blocks) == (60, 100_000)
    assert genesis.validators == tuple((key, 1) for key in keys)


def test_the_layout_of_the_file_does_not_matter() -> None:
    shuffled = dict(reversed(DOCUMENT.items()))
    shuffled["policy"] = dict(reversed(DOCUMENT["policy"].items()))
    assert make_genesis(shuffled).id == genesis_of(4).id


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "other"),
        ("genesis_time_ms", 1),
        ("slot_ms", 999),
        ("batch", 5),
        ("heartbeat_slots", 21),
        ("max_expiry_blocks", 7),
        ("validators", [row(n) for n in (2, 1, 3, 4)]),
        ("validators", [row(n) for n in (1, 2, 3)]),
        ("validators", [row(1, weight=2), row(2), row(3), row(4)]),
        ("policy", {**DOCUMENT["policy"], "version": 2}),
    ],
)
def test_every_parameter_makes_another_network(field: str, value: object) -> None:
    assert make_genesis(changed(**{field: value})).id != genesis_of(4).id


NUMBERS = {
    "genesis_time_ms": (0, 2**53),
    "slot_ms": (50, 3_600_000),
    "heartbeat_slots": (1, 1_000_000),
    "max_expiry_blocks": (1, 100_000_000),
}


@pytest.mark.parametrize(("field", "limits"), NUMBERS.items())
def test_numbers_have_limits(field: str, limits: tuple[int, int]) -> None:
    low, high = limits
    for good in (low, high):
        make_genesis(changed(**{field: good}))
    for bad in (low - 1, high + 1, True, float(low), str(low), None):
        with pytest.raises(OperatorError, match=f"{field} must be an integer from {low} to {high}"):
            make_genesis(changed(**{field: bad}))


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("format", 2, "format 2 is not known"),
        ("format", True, "format True is not known"),
        ("name", "", "1 to 64 characters"),
        ("name", "x" * 65, "1 to 64 characters"),
        ("name", "line\nbreak", "1 to 64 characters"),
        ("name", "\ud800", "1 to 64 characters"),
        ("name", 5, "1 to 64 characters"),
        ("validators", [], "list of 1 to"),
        ("validators", {}, "list of 1 to"),
        ("validators", [row(n) for n in range(1, MAX_VALIDATORS + 2)], "list of 1 to"),
        ("validators", [row(1), row(1)], "listed twice"),
        ("validators", [5], r"validators\[1\] needs exactly"),
        ("validators", [row(1), row(2, extra=1)], r"validators\[2\] needs exactly"),
        ("validators", [row(1, weight=0)], "weight must be"),
        ("validators", [row(1, weight=MAX_WEIGHT + 1)], "weight must be"),
        ("validators", [row(1, weight=True)], "weight must be"),
        ("validators", [row(1, did="did:web:example.org")], "not a usable key"),
        ("validators", [row(1, did="")], "not a usable key"),
        ("validators", [row(1, did=did_from_key(bytes(32)))], "not a usable key"),
        ("validators", [row(1, did=5)], "did must be a text"),
        ("validators", [row(1, did=None)], "did must be a text"),
        ("validators", [row(1, did=["did"])], "did must be a text"),
        ("batch", 3, "batch must be at least the number of validators, 4"),
        ("policy", {}, "policy: "),
        ("policy", [], "policy: "),
        ("policy", None, "policy: "),
    ],
)
def test_mistakes_are_named(field: str, value: object, sentence: str) -> None:
    with pytest.raises(OperatorError, match=sentence):
        make_genesis(changed(**{field: value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x"),
        ("name", "é" * 64),
        ("validators", [row(1)]),
        ("validators", [row(1, weight=MAX_WEIGHT)]),
    ],
)
def test_what_is_just_right_is_taken(field: str, value: object) -> None:
    assert make_genesis(changed(**{field: value})).id != genesis_of(4).id


def test_a_batch_may_be_as_small_as_the_validators_and_there_may_be_so_many() -> None:
    many = [row(number) for number in range(1, MAX_VALIDATORS + 1)]
    assert make_genesis(changed(validators=many, batch=MAX_VALIDATORS)).batch == len(many)
    assert make_genesis(changed(validators=[row(1)], batch=1)).batch == 1
    assert make_genesis(changed(batch=BATCH_MAX)).batch == BATCH_MAX
    for batch in (0, BATCH_MAX + 1):
        with pytest.raises(OperatorError, match="batch must be an integer from 1 to 256"):
            make_genesis(changed(validators=[row(1)], batch=batch))


@pytest.mark.parametrize("field", sorted(DOCUMENT))
def test_no_field_may_be_missing(field: str) -> None:
    document = changed()
    del document[field]
    with pytest.raises(OperatorError, match="fields must be exactly"):
        make_genesis(document)


@pytest.mark.parametrize("document", [[], None, 5, "genesis", {**DOCUMENT, "extra": 1}])
def test_what_is_no_genesis(document: Any) -> None:
    with pytest.raises(OperatorError, match="fields must be exactly"):
        make_genesis(document)


@pytest.mark.parametrize("batch", [4, 256, 257, 10 * MAX_VALIDATORS])
def test_an_accepted_genesis_starts_a_chain(batch: int) -> None:
    try:
        genesis = make_genesis(changed(batch=batch))
    except OperatorError:
        return
    assert Blockchain(genesis).head.header.id == genesis.id


def test_the_largest_network_is_possible() -> None:
    validators = [row(n, weight=MAX_WEIGHT) for n in range(1, MAX_VALIDATORS + 1)]
    assert len(make_genesis(changed(validators=validators, batch=MAX_VALIDATORS)).validators) == MAX_VALIDATORS


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[" * 200_000, b"\xff\xfe", b"9" * 5_000, b"null", b'{"name": NaN}'],
    ids=["empty", "cut", "deep", "no utf-8", "huge number", "null", "nan"],
)
def test_a_damaged_file_is_the_operators_to_mend(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "genesis.json"
    path.write_bytes(content)
    with pytest.raises(OperatorError):
        load_genesis(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"genesis\.json is missing"):
        load_genesis(tmp_path / "genesis.json")
    with pytest.raises(OperatorError, match="cannot be read"):
        load_genesis(tmp_path)


def test_slots_and_time() -> None:
    genesis = genesis_of(4, genesis_time_ms=10_000, slot_ms=500)
    assert [genesis.slot_at(ms) for ms in (9_999, 10_000, 10_499, 10_500)] == [-1, 0, 0, 1]
    assert [genesis.slot_start_ms(slot) for slot in (-1, 0, 3)] == [9_500, 10_000, 11_500]


@pytest.mark.parametrize("nodes", range(1, 32))
def test_heartbeats_come_from_every_leader_in_turn(nodes: int) -> None:
    genesis = genesis_of(nodes)
    assert genesis.heartbeat_slots <= genesis.quiet_slots(nodes) < genesis.heartbeat_slots + nodes
    assert genesis.quiet_slots(nodes) % nodes == 1 % nodes
    assert len({beat * genesis.quiet_slots(nodes) % nodes for beat in range(nodes)}) == nodes
