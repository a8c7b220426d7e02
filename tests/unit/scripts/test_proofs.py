"""Proofs of where a member stands: the commands that make one and check one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scripts.inspect_chain import inspect_chain
from tests.support.asking import answer, ask, mistake
from tests.support.homes import write_genesis
from tests.support.proving import proof_of
from tests.support.registered import City, city_genesis, city_policy, lively_city


@pytest.fixture(scope="module")
def city() -> City:
    return lively_city()


@pytest.fixture(scope="module")
def home(city: City, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return city.write(tmp_path_factory.mktemp("city") / "home")


def verify_file(file: Path, genesis: Path, *args: str) -> Result:
    return CliRunner().invoke(inspect_chain, ["verify-proof", str(file), "--genesis", str(genesis), *args])


def test_a_file_shows_score_tier_and_open_objections_to_whoever_has_the_genesis(
    city: City, home: Path, tmp_path: Path
) -> None:
    file, genesis = tmp_path / "ann.proof", tmp_path / "alone" / "genesis.json"
    write_genesis(genesis.parent, city.genesis)
    made = answer(home, "proof", city.did(city.ann), "-o", str(file))
    assert made["bytes"] == len(file.read_bytes()) < 8_000
    result = verify_file(file, genesis, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    member = answer(home, "member", city.did(city.ann))
    assert found["ok"] is True
    assert (found["member"], found["score"], found["tier"]) == (member["member"], member["score"], member["tier"])
    block = city.blocks[member["as_of_height"] - 1]
    assert (found["height"], found["block"]) == (block.header.height, block.id.hex())
    ((objection),) = found["objections"]
    (expected,) = answer(home, "objections")["objections"]
    assert {name: expected[name] for name in ("number", "category", "points", "status", "deadline_slot")} == {
        name: objection[name] for name in ("number", "category", "points", "status", "deadline_slot")
    }
    shown = verify_file(file, genesis)
    assert (shown.exit_code, "less than a third" in shown.stdout) == (0, True)


def test_a_proof_of_another_network_or_of_nothing_is_wrong_and_exits_with_1(
    city: City, home: Path, tmp_path: Path
) -> None:
    file, other = tmp_path / "proof", city_genesis(city_policy(enrolment="registrar"))
    file.write_bytes(proof_of(home, city.bob.key))
    write_genesis(tmp_path, other)
    result = verify_file(file, tmp_path / "genesis.json", "--json")
    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (1, False)
    assert "another network" in json.loads(result.stdout)["problem"]
    file.write_bytes(b"nothing")
    result = verify_file(file, home / "genesis.json")
    assert (result.exit_code, "proves nothing" in result.stdout) == (1, True)


def test_what_the_operator_got_wrong_is_one_sentence(city: City, home: Path, tmp_path: Path) -> None:
    assert "is not a key" in mistake(home, "proof", "ann", "-o", str(tmp_path / "x"))
    assert "cannot be written" in mistake(home, "proof", city.did(city.bob), "-o", str(tmp_path / "no" / "x"))
    empty = City()
    empty.block()
    young = empty.write(tmp_path / "young")
    assert "nothing but the genesis is final" in mistake(young, "proof", city.did(city.bob), "-o", str(tmp_path / "x"))
    assert ask(home, "proof", city.did(city.bob)).exit_code == 2
