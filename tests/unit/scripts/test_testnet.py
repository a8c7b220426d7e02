"""The command line of the testnet: an operator's mistake is one sentence, exit code 2, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.registry_parts.policy_page import new_policy
from scripts.replay import SAMPLE
from scripts.tale.plots import SHORTEST_SLOTS
from scripts.testnet import _told, main
from scripts.testnet_parts.homes import open_testnet
from scripts.testnet_parts.ratings_load import plan_of
from scripts.testnet_parts.report import transactions
from scripts.testnet_parts.shape import TALE, Wanted
from tests.support.commands import exit_code
from tests.support.running import ROOT


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
    assert "line 2: 'many' is not a rating" in refused(capsys, "--home", home, "--replay", file)
    assert not home.exists()


def test_a_home_of_another_shape_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    open_testnet(tmp_path / "net", Wanted(1, 0, 300))
    assert "--nodes 1, not 4" in refused(capsys, "--home", tmp_path / "net", "--nodes", "4", "--replay", SAMPLE)


def test_a_story_needs_no_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    args = ("--home", tmp_path / "net", "--scenario", "municipal", "--replay", SAMPLE)
    assert "--replay, --limit and --rate are for ratings; a story has none" in refused(capsys, *args)


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


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--policy", "nowhere.toml"), "there is no file nowhere.toml; name that of a policy, or"),
        (("--scenario", "suppliers", "--policy", "licences"), "each name a policy; give one of them"),
        (("--scenario", "municipal", "--policy", "licences"), "--scenario municipal has its own policy"),
        (("--policy", "suppliers", "--limit", "3"), "a story has none, leave them out"),
        (("--policy", "licences", "--replay", SAMPLE), "has no category of ratings; leave out --replay"),
        (("--policy", "suppliers", "--replay", SAMPLE), "wants a registrar for each enrolment; leave out --replay"),
        (("--policy", "maintainers", "--replay", SAMPLE), "lets not everybody rate; leave out --replay"),
        (("--policy", "suppliers", "--nodes", "2"), "a story needs --nodes 3 or more"),
    ],
)
def test_a_policy_that_cannot_be_told_so_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, args: tuple[str | Path, ...], said: str
) -> None:
    home = tmp_path / "net"
    assert said in refused(capsys, "--home", home, *args)
    assert not home.exists()


def test_a_mistake_in_a_policy_is_told_by_its_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    home, file = tmp_path / "net", tmp_path / "policy.toml"
    text = new_policy("new").replace("member = 50", "member = 0")
    file.write_text(text, encoding="utf-8")
    line = text[: text.index("member = 0")].count("\n") + 1
    for option in ("--policy", "--scenario"):
        assert f"line {line}: quotas.member must be an integer" in refused(capsys, "--home", home, option, file)
    assert not home.exists()


def test_a_network_of_any_policy_is_founded_with_short_days(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(new_policy("new"), encoding="utf-8")
    opened = open_testnet(tmp_path / "net", Wanted(3, None, 300, TALE, str(file)))
    assert (opened.genesis.policy.name, opened.shape.observers, opened.shape.is_story) == ("new", 0, True)
    assert opened.genesis.policy.slots(20, 300) == SHORTEST_SLOTS


def test_a_policy_is_told_by_its_name_or_file_as_policy_or_scenario(tmp_path: Path) -> None:
    file = str(ROOT / "chain" / "policies" / "maintainers.toml")
    for named in ("maintainers", file):
        assert _told(None, named, None) == _told(named, None, None) == (TALE, named)
    by_name, by_file = (
        open_testnet(tmp_path / str(number), Wanted(3, None, 300, TALE, named))
        for number, named in enumerate(("maintainers", file))
    )
    assert by_name.genesis.policy == by_file.genesis.policy
    assert by_name.genesis.policy.name == "maintainers"


def test_a_home_of_another_policy_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    open_testnet(tmp_path / "net", Wanted(4, None, 300, TALE, "licences"))
    assert "was founded with another policy" in refused(capsys, "--home", tmp_path / "net", "--policy", "suppliers")
    assert "leave out --home to tell it in a fresh one" in refused(capsys, "--home", tmp_path / "net")


def test_ratings_are_replayed_into_another_policy(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    text = new_policy("new").replace('enrolment = "registrar"', 'enrolment = "open"')
    file.write_text(text.replace("min = -3\nmax = 3", "min = -10\nmax = 10"), encoding="utf-8")
    plan = plan_of(SAMPLE, 20, str(file), None)
    assert plan is not None
    assert (plan.category, sum(step.points is not None for step in plan.steps)) == (1, 20)
    opened = open_testnet(tmp_path / "net", Wanted(3, None, 300, None, str(file)))
    assert (opened.genesis.policy.name, opened.shape.is_story) == ("new", False)
    assert opened.genesis.policy.day_ms == 86_400_000
    again = plan_of(SAMPLE, 20, None, tmp_path / "net")
    assert again is not None
    assert again.category == plan.category


def test_what_was_sent_by_hand_is_not_counted_as_submitted() -> None:
    report = {"final": 425, "submitted": 417, "refused": {}, "lost": 0}
    assert transactions(report) == "417 final of 417 submitted, and 8 sent by others"
    assert (
        transactions(report | {"final": 400, "lost": 17}) == "400 final of 417 submitted, 17 not final when it stopped"
    )
