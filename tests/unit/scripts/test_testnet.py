"""The command line of the testnet: an operator's mistake is one sentence, exit code 2, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.replay import SAMPLE
from scripts.testnet import main
from scripts.testnet_parts.homes import open_testnet
from scripts.testnet_parts.shape import Wanted
from tests.support.commands import exit_code


def refused(capsys: pytest.CaptureFixture[str], *args: str | Path) -> str:
    assert exit_code(main, [str(arg) for arg in args]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    return shown.err


@pytest.mark.parametrize(
    "args",
    [
        ("--nodes", "0"),
        ("--nodes", "four"),
        ("--nodes", "32"),
        ("--nodes", "20", "--observers", "20"),
        ("--observers", "-1"),
        ("--slot-ms", "10"),
        ("--limit", "0"),
        ("--duration", "0"),
        ("--duration", "soon"),
        ("--colour", "blue"),
        ("--scenario", "fairy-tale"),
        ("--scenario", "municipal", "--limit", "3"),
        ("--scenario", "municipal", "--rate", "500"),
        ("--rate", "99"),
        ("--scenario", "municipal", "--nodes", "2"),
    ],
)
def test_bad_numbers_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, args: tuple[str, ...]) -> None:
    home = tmp_path / "net"
    assert refused(capsys, "--home", home, *args)
    assert not home.exists()


def test_a_missing_file_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    home = tmp_path / "net"
    assert "nowhere.csv does not exist" in refused(capsys, "--home", home, "--replay", tmp_path / "nowhere.csv")
    assert not home.exists()


def test_a_bad_line_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    home, file = tmp_path / "net", tmp_path / "ratings.csv"
    file.write_text("6,2,4,1\n6,5,many,1\n", encoding="ascii")
    assert "line 2: 'many' is no rating" in refused(capsys, "--home", home, "--replay", file)
    assert not home.exists()


def test_a_home_of_another_shape_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    open_testnet(tmp_path / "net", Wanted(1, 0, 300))
    assert "--nodes 1, not 4" in refused(capsys, "--home", tmp_path / "net", "--nodes", "4", "--replay", SAMPLE)


def test_a_story_needs_no_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    args = ("--home", tmp_path / "net", "--scenario", "municipal", "--replay", SAMPLE)
    assert "--replay, --limit and --rate are for the marketplace" in refused(capsys, *args)


@pytest.mark.parametrize(("made", "asked"), [("municipal", "marketplace"), ("marketplace", "municipal")])
def test_a_home_of_another_scenario_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, made: str, asked: str
) -> None:
    open_testnet(tmp_path / "net", Wanted(4, None, 300, made))
    said = refused(capsys, "--home", tmp_path / "net", "--scenario", asked)
    assert f"made with --scenario {made}, not {asked}" in said


def test_a_story_is_told_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    open_testnet(tmp_path / "net", Wanted(4, None, 300, "municipal"))
    assert "add --scenario municipal --play to go on with it" in refused(capsys, "--home", tmp_path / "net")
