"""The address book: names stand beside keys, never for them, and show nothing that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.base.errors import OperatorError
from chain.base.keys import did_from_key
from p2p.local.addressbook import MAX_NAME_CHARACTERS, NAMES_TOML, give_name, name_fault, read_names
from scripts import console
from scripts.tables import lay_out
from tests.support.asking import answer, ask
from tests.support.client import run_client
from tests.support.registered import told_city
from tests.support.world import secret

DID, OTHER = did_from_key(secret(1).public), did_from_key(secret(2).public)


@pytest.fixture(autouse=True)
def _no_names_left() -> Iterator[None]:
    yield
    console.use_names({})


@pytest.mark.parametrize(
    "name", ["market office", "Čapek & Söhne", "東京区役所", "bureau d'état no. 4", "محكمة", 'A "B" \\']
)
def test_names_of_the_world_are_kept_as_they_are(tmp_path: Path, name: str) -> None:
    give_name(tmp_path, DID, name)
    assert read_names(tmp_path) == {DID: name}


@pytest.mark.parametrize(
    "name",
    [
        "",
        " office",
        "two  blanks",
        "line\nbreak",
        "\x1b[31mred",
        "bell\x07",
        "office\u202eecilop",
        "iso\u2066late",
        "zero\u200bwidth",
        "byte\ufeffmark",
        "line\u2028end",
        "soft\u00adhyphen",
        "private\ue000",
        "tower" + "\u0301" * 3,
        "e\u0301",
        "x" * (MAX_NAME_CHARACTERS + 1),
        DID[:MAX_NAME_CHARACTERS],
        "office z6MkedBU4jCt",
        "ｚ6Mk office",
        "123 4",
    ],
)
def test_names_that_could_mislead_are_refused(tmp_path: Path, name: str) -> None:
    assert name_fault(name)
    with pytest.raises(OperatorError):
        give_name(tmp_path, DID, name)
    assert not (tmp_path / NAMES_TOML).exists()


def test_no_two_keys_have_the_same_name(tmp_path: Path) -> None:
    give_name(tmp_path, DID, "market office")
    with pytest.raises(OperatorError, match="has this name already"):
        give_name(tmp_path, OTHER, "Market Ｏffice")
    give_name(tmp_path, DID, "market")
    give_name(tmp_path, OTHER, "market office")
    assert read_names(tmp_path) == {DID: "market", OTHER: "market office"}
    give_name(tmp_path, DID, None)
    assert read_names(tmp_path) == {OTHER: "market office"}


@pytest.mark.parametrize(
    "text",
    ['"market office" = "did"', f'"{DID}" = 5', f'"{DID}" = "a\\u202Eb"', "no toml", f'"{DID}" = "x"\n"{OTHER}" = "X"'],
)
def test_a_book_that_was_tampered_with_is_refused_whole(tmp_path: Path, text: str) -> None:
    (tmp_path / NAMES_TOML).write_text(text, encoding="utf-8")
    with pytest.raises(OperatorError, match=NAMES_TOML):
        read_names(tmp_path)


def test_a_name_stands_beside_the_key_it_was_given_to_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    console.use_names({DID: "market office"})
    assert console.short_did(DID) == f"market office {DID[8:20]}…"
    assert console.short_did(OTHER) == f"{OTHER[8:20]}…"
    # Only a whole key tells whose it is: a beginning can be made to fit.
    console.table("", ("by", "note"), [(DID, DID[8:20] + "…"), (OTHER, "market office")])
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"market office {DID}  {DID[8:20]}…",
        f"{OTHER:70}  market office",
    ]


def test_a_named_key_fits_a_narrow_terminal() -> None:
    rows = [(f"office of the inspector of bridges {DID}", "contract or loan default", "-30", "standing")]
    layout = lay_out(("issuer", "category", "points", "state"), rows, (False, False, True, False), 80)
    assert layout.rows[1][0].startswith(f"office of the… {DID[8:24]}…")
    assert max(len(line) for lines in layout.rows for line in lines) <= 80
    assert layout.left_out == []


def test_commands_name_list_and_forget(tmp_path: Path) -> None:
    home = ("--home", str(tmp_path))
    assert run_client("name", DID, "market office", *home).code == 0
    assert run_client("names", *home, "--json").document == {"names": {DID: "market office"}}
    assert run_client("names", *home).stdout.splitlines()[2] == f"market office  {DID}"
    assert "turn the direction" in run_client("name", DID, "a\u202eb", *home).stderr
    assert run_client("name", DID, *home).code == 2
    assert run_client("name", "market office", "ann", *home).code == 2  # a name is never taken for a key
    assert run_client("name", DID, "--forget", *home).code == 0
    assert run_client("names", *home, "--json").document == {"names": {}}


def test_tables_of_a_home_know_its_names(tmp_path: Path) -> None:
    told = told_city(tmp_path / "home")
    best = answer(told.home, "top", "--limit", "1")["members"][0]["member"]
    give_name(told.home, best, "Ann of the harbour")
    assert f"Ann of the harbour {best}" in ask(told.home, "top", "--limit", "1").stdout
