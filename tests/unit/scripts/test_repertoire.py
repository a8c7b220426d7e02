"""All manifests of a folder are carried out one after the other, and a table says what came of each."""

from __future__ import annotations

from p2p.local.startup import EXIT_INTERRUPTED

import json
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from chain.base.errors import OperatorError
from scripts.manifest_parts.record import Record
from scripts.manifest_parts.things import Manifest, Seats, Stays, Validator
from scripts.manifest_parts.writing import to_toml
from scripts.testnet_parts import repertoire
from scripts.testnet_parts.repertoire import carry_out

HOLDS = Manifest(title="nothing happens", slots=5, validators=(Validator(name="ann"),), asserts=(Stays(),))
FAILS = Manifest(
    title="she is asserted", slots=5, validators=(Validator(name="ann"),), asserts=(Seats(at=4, nodes=("ann",)),)
)


class NoStaging:
    """A run in which nothing is seen; the one titled so is interrupted."""

    homes: ClassVar[list[Path | None]] = []
    interrupted = ""

    def __init__(self, manifest: Manifest, home: Path | None, _tell: Callable[[str], None]) -> None:
        self.home, self.record = home, Record(chains={"ann": ()})
        self.is_interrupted = manifest.title == self.interrupted
        self.homes.append(home)

    async def run(self) -> None: ...


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(repertoire, "Staging", NoStaging)
    monkeypatch.setattr(NoStaging, "homes", [])
    for name, manifest in {"b": FAILS, "a": HOLDS, "c": HOLDS}.items():
        (tmp_path / f"{name}.toml").write_text(to_toml(manifest), encoding="utf-8")
    return tmp_path


def test_all_of_a_folder_are_carried_out_and_one_that_does_not_hold_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carry_out(str(folder), folder / "home", as_json=False) == 1
    assert NoStaging.homes == [folder / "home" / name for name in "abc"]
    last = capsys.readouterr().out.splitlines()[-3:]
    assert [line.split()[0] for line in last] == ["a", "b", "c"]
    assert "seats" in last[1]


def test_for_programs_each_is_a_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "b.toml").unlink()
    assert carry_out(str(folder), None, as_json=True) == 0
    decoder, text, titles = json.JSONDecoder(), capsys.readouterr().out.strip(), []
    while text:
        document, end = decoder.raw_decode(text)
        titles.append(document["title"])
        text = text[end:].strip()
    assert titles == [HOLDS.title] * 2


def test_who_interrupts_one_wants_no_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NoStaging, "interrupted", HOLDS.title)
    assert carry_out(str(folder), None, as_json=False) == EXIT_INTERRUPTED
    assert NoStaging.homes == [None]


def test_one_file_is_carried_out_where_it_is_told(folder: Path) -> None:
    assert carry_out(str(folder / "a.toml"), folder / "home", as_json=False) == 0
    assert NoStaging.homes == [folder / "home"]


def test_a_mistake_in_one_is_told_before_any_runs(folder: Path) -> None:
    (folder / "c.toml").write_text("slots = 0", encoding="utf-8")
    with pytest.raises(OperatorError):
        carry_out(str(folder), None, as_json=False)
    assert NoStaging.homes == []


def test_a_folder_without_any_is_said(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"no manifest"):
        carry_out(str(tmp_path), None, as_json=False)
