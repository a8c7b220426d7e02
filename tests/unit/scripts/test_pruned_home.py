"""What a home answers that dropped what its first blocks said: what follows from the rest, else one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from chain.base.keys import did_from_key
from scripts.audit import audit
from tests.support.asking import answer, ask, mistake
from tests.support.forgetting import ForgettingCity, prune


@pytest.fixture(scope="module")
def city() -> ForgettingCity:
    return ForgettingCity()


@pytest.fixture(scope="module")
def full(city: ForgettingCity, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return city.write(tmp_path_factory.mktemp("full") / "home")


@pytest.fixture(scope="module")
def pruned(city: ForgettingCity, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = city.write(tmp_path_factory.mktemp("pruned") / "home")
    prune(home, city)
    return home


@pytest.mark.parametrize(
    "command",
    [
        *("head", "blocks", "block 40", "forks", "validators", "top", "lists", "tiers"),
        *("member DID", "records", "authorities", "motions", "policy"),
    ],
)
def test_what_does_not_need_old_bodies_is_answered_the_same(
    full: Path, pruned: Path, city: ForgettingCity, command: str
) -> None:
    arguments = command.replace("DID", did_from_key(city.bob.key)).split()
    assert answer(pruned, *arguments) == answer(full, *arguments)


def test_proofs_are_made(full: Path, pruned: Path, city: ForgettingCity, tmp_path: Path) -> None:
    files = tmp_path / "one", tmp_path / "other"
    for home, file in zip((full, pruned), files, strict=True):
        assert ask(home, "proof", did_from_key(city.bob.key), "-o", str(file)).exit_code == 0
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("history DID", "this home keeps no transactions of height 1 any more: ask a node that does"),
        ("block 5", "this home keeps no transactions of height 5 any more"),
        ("tx 0011223344556677", "or stand in a block below height 33, and what those said is not here"),
        ("verify", "chaindata.py verify` checks what is here"),
    ],
)
def test_what_does_is_one_sentence(pruned: Path, city: ForgettingCity, command: str, sentence: str) -> None:
    assert sentence in mistake(pruned, *command.replace("DID", did_from_key(city.bob.key)).split())


def test_a_report_that_executes_the_chain_is_one_sentence(pruned: Path) -> None:
    told = CliRunner().invoke(audit, ["--home", str(pruned), "--at-height", "20", "--json"])
    assert told.exit_code == 2, told.output
    assert told.stderr.splitlines()[-1].startswith("error: this home keeps no transactions of height 1 any more")
