"""Manifests: what is read, what is refused and with which line, what is written, drawn and told of them."""

from __future__ import annotations

from p2p.local.startup import EXIT_MISTAKE

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chain.base.errors import OperatorError
from scripts import manifest, simulate, testnet
from scripts.abuse_parts.catalogue import ATTACKS as REAL_ATTACKS
from scripts.manifest_parts.drawing import draw
from scripts.manifest_parts.founding import genesis_of, secrets_of
from scripts.manifest_parts.keys import keys_of
from scripts.manifest_parts.lines import RETRANSMIT_MS, Links, OneWay
from scripts.manifest_parts.page import PAGE, page
from scripts.manifest_parts.reading import EXAMPLES, load_manifest, read_manifest
from scripts.manifest_parts.sense import check_sense
from scripts.manifest_parts.things import (
    ASSERTIONS,
    ATTACKS,
    EVENTS,
    Line,
    Lines,
    Manifest,
    Observer,
    Strangers,
    Validator,
)
from scripts.manifest_parts.writing import to_toml
from scripts.simulation.siege import SIMULATED
from tests.support.commands import exit_code

BEGINNING = """\
title = "a test"
slots = 20
[[validators]]
name = "ann"
[[validators]]
name = "bob"
[[observers]]
name = "eve"
[[strangers]]
name = "they"
kind = "silent-grafts"
"""
END = '[[asserts]]\nthat = "agree"\n'
LINES_BEFORE = BEGINNING.count("\n")


def written(folder: Path, middle: str = "", end: str = END, beginning: str = BEGINNING) -> Path:
    path = folder / "a.toml"
    path.write_text(beginning + middle + end, encoding="utf-8")
    return path


def event(at: int, do: str, **keys: str) -> str:
    return f'[[events]]\nat = {at}\ndo = "{do}"\n' + "".join(f"{name} = {value}\n" for name, value in keys.items())


def asserts(that: str, **keys: str) -> str:
    return f'[[asserts]]\nthat = "{that}"\n' + "".join(f"{name} = {value}\n" for name, value in keys.items())


def refusal(path: Path) -> str:
    with pytest.raises(OperatorError) as refused:
        read_manifest(path)
    text = str(refused.value)
    assert "\n" not in text
    return text.removeprefix(f"{path}, ")


# ------------------------------------------------------------------------------------------------ what is read


def test_what_is_left_out_is_as_by_default(tmp_path: Path) -> None:
    read = read_manifest(written(tmp_path))
    assert read.names == ("ann", "bob", "eve")
    assert (read.slot_ms, read.seed, read.line) == (1_000, 1, Line())
    assert read.validators[0] == Validator(name="ann")


def test_windows_end_with_the_manifest_where_nothing_else_is_said(tmp_path: Path) -> None:
    (lag,) = read_manifest(written(tmp_path, end=asserts("lag", blocks="3"))).asserts
    assert getattr(lag, "until", None) == 20


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_make_sense_and_are_written_as_they_are_read(path: Path, tmp_path: Path) -> None:
    read = read_manifest(path)
    again = tmp_path / "again.toml"
    again.write_text(to_toml(read), encoding="utf-8")
    assert read_manifest(again) == read


def test_there_are_six_examples() -> None:
    assert [path.stem for path in EXAMPLES] == ["calm", "clock", "cut", "disk", "founder", "sybils"]


@pytest.mark.parametrize("seed", range(40), ids=lambda seed: f"seed{seed}")
def test_drawn_manifests_make_sense_and_can_be_kept(seed: int, tmp_path: Path) -> None:
    drawn = draw(seed)
    check_sense(drawn)
    path = tmp_path / "drawn.toml"
    path.write_text(to_toml(drawn), encoding="utf-8")
    assert read_manifest(path) == drawn == load_manifest(f"random:{seed}")


def test_every_kind_of_disaster_that_mends_itself_is_drawn() -> None:
    kinds = {event.word for seed in range(60) for event in draw(seed).events}
    assert kinds == set(EVENTS) - {"replace"}


# --------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("middle", "line", "words"),
    [
        ("[[validators]]\n", 1, "validators[3].name must be a text"),
        ('[[validators]]\nname = "a/b"\n', 2, "must be up to 16 of a-z"),
        ('[[validators]]\nname = "ann"\n', 2, "called already"),
        ('[[observers]]\nname = "ann"\n', 2, "called already"),
        ('[[strangers]]\nname = "they"\nkind = "raw-bytes"\n', 2, "called already"),
        ('[[strangers]]\nname = "we"\nkind = "nonsense"\n', 3, "kind must be one of: address-flood"),
        ("colour = 1\n", 1, "colour is not known"),
        ("[line]\njitter_ms = 5\n", 2, "line.jitter_ms must be at most the latency, which is 0 ms"),
        ('[[lines]]\nnodes = ["ann"]\nothers = ["ann"]\n', 3, "names ann, at the other end already"),
        ('[[lines]]\nnodes = ["ann", "bob", "eve"]\n', 2, "nobody is left at the other end"),
        ('[[lines]]\nnodes = ["tom"]\n', 2, "must be a list of some of: ann, bob, eve"),
        (event(1, "dance"), 3, "events[1].do must be one of: kill, start"),
        ("[[events]]\nat = 1\n", 1, "events[1].do is missing"),
        (event(1, "kill"), 1, "must name some of: ann, bob, eve"),
        (event(1, "kill", nodes='["tom"]'), 4, "must be a list of some of: ann, bob, eve"),
        (event(1, "kill", nodes='["ann"]', colour="1"), 5, "events[1].colour is not known"),
        (event(20, "kill", nodes='["ann"]'), 2, "must be before slot 20, with which the manifest ends"),
        (event(5, "load", per_slot="1") + event(4, "load", per_slot="0"), 6, "not be before slot 5"),
        (event(1, "start", nodes='["ann"]'), 4, "cannot start ann, which is up then"),
        (event(1, "kill", nodes='["ann"]') + event(2, "kill", nodes='["ann"]'), 8, "cannot kill ann, which is down"),
        (event(1, "continue", nodes='["ann"]'), 4, "cannot continue ann, which is up then"),
        (event(1, "stop", nodes='["ann"]') + event(2, "restart", nodes='["ann"]'), 8, "which is stopped then"),
        (event(1, "lose-disk", nodes='["ann"]'), 4, "cannot lose-disk ann, which is up then"),
        (event(1, "heal", name='"sea"'), 4, "is 'sea', which is not cut then; nothing is"),
        (2 * event(1, "cut", name='"sea"', nodes='["ann"]'), 9, "as a cut before is called already"),
        (event(1, "cut", name='"sea"', nodes='["ann"]', others='["ann"]'), 6, "at the other end already"),
        (event(15, "attack", strangers='["they"]', slots="9"), 5, "must end by slot 20"),
        (event(1, "attack", strangers='["we"]', slots="9"), 4, "must be a list of some of: they"),
        (2 * event(1, "attack", strangers='["they"]', slots="9"), 9, "names they, who is busy until slot 10"),
        (event(1, "replace", leaving='"eve"', newcomer='"eve"'), 4, "which has no seat then; ann and bob have"),
        (event(1, "replace", leaving='"ann"', newcomer='"bob"'), 5, "which has a seat already"),
        (
            event(1, "kill", nodes='["eve"]') + event(2, "replace", leaving='"ann"', newcomer='"eve"'),
            9,
            "which is down then",
        ),
        (event(1, "clock", nodes='["ann"]'), 1, "ahead_ms must be an integer"),
    ],
)
def test_what_contradicts_itself_is_refused_with_its_line(tmp_path: Path, middle: str, line: int, words: str) -> None:
    if middle.startswith("colour"):
        text = refusal(written(tmp_path, beginning=middle + BEGINNING))
        assert text.startswith(f"line {line}: ")
    else:
        text = refusal(written(tmp_path, middle))
        assert text.startswith(f"line {LINES_BEFORE + line}: ")
    assert words in text


@pytest.mark.parametrize(
    ("end", "line", "words"),
    [
        (asserts("agree", at="1"), 3, "asserts[1].at is not known"),
        (asserts("peace"), 2, "that must be one of: agree"),
        (asserts("synced", at="20"), 3, "must be before slot 20"),
        (asserts("lag", since="21", blocks="1"), 3, "must be before slot 20"),
        (asserts("lag", since="9", until="9", blocks="1"), 4, "must come after slot 9, where it begins"),
        (asserts("lag", until="21", blocks="1"), 3, "must be before slot 20"),
        (asserts("slots", percent="90"), 1, "counts slot 0, in which there is no load"),
        (asserts("recorded", since="4"), 3, "counts slot 4, in which there is no load"),
        (asserts("seats", at="3", nodes='["ann"]'), 4, "names 1 validators, where there are 2"),
        (asserts("mute", at="3", nodes='["eve"]'), 4, "names eve, which is not a validator then"),
        (asserts("speaks", nodes='["eve"]'), 3, "names eve, which never has a seat"),
        (event(2, "kill", nodes='["ann"]') + asserts("synced", at="3", nodes='["ann"]'), 8, "is down then and cannot"),
    ],
)
def test_what_cannot_be_asserted_is_refused_with_its_line(tmp_path: Path, end: str, line: int, words: str) -> None:
    text = refusal(written(tmp_path, end=end))
    assert text.startswith(f"line {LINES_BEFORE + line}: ")
    assert words in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = = 1\n", "line 1: is not valid TOML"),
        ('title = "x"\nslots = 3\n', "needs at least one [[validators]]"),
        ('title = "x"\nslots = 3\n[[validators]]\nname = "a"\n', "asserts nothing"),
        (f'title = "x"\nslots = 3\n[[validators]]\nname = "a"\nlate = true\n{END}', "begins with all nodes late"),
        (f'title = "x"\n[[validators]]\nname = "a"\n{END}', "slots must be an integer from 1 to 3600"),
        (f'title = "x"\nslots = 3\nvalidators = 7\n{END}', "validators must be a list"),
        (f'title = "x"\nslots = 3\nline = 7\n[[validators]]\nname = "a"\n{END}', "line must be a table"),
    ],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(written(tmp_path, beginning=text, end=""))


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="is missing; name a file"):
        load_manifest(str(tmp_path / "none.toml"))


@pytest.mark.parametrize("source", ["random:", "random:x", "random:1234567890"])
def test_a_seed_is_a_number(source: str) -> None:
    with pytest.raises(OperatorError, match="a random manifest is"):
        load_manifest(source)


# ------------------------------------------------------------------------------------------------ who can do what


def test_strangers_do_what_abuse_can_do_without_a_key() -> None:
    assert set(ATTACKS) == {attack.name for attack in REAL_ATTACKS if not attack.needs_key}
    assert set(SIMULATED) <= set(ATTACKS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('[[strangers]]\nname = "we"\nkind = "raw-bytes"\n', "which needs real connections"),
        (asserts("memory", mb="9"), "simulated nodes share one"),
    ],
)
def test_the_simulator_refuses_what_only_processes_can_do(
    tmp_path: Path, change: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, change)
    assert exit_code(simulate.main, ["--manifest", str(path)]) == EXIT_MISTAKE
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert "testnet.py" in line


@pytest.mark.parametrize("options", [("--nodes", "4"), ("--until-final",), ("--limit", "3")])
def test_a_manifest_says_all_that_a_testnet_has_to_know(tmp_path: Path, options: tuple[str, ...]) -> None:
    assert exit_code(testnet.main, ["--manifest", str(written(tmp_path)), *options]) == EXIT_MISTAKE


def test_a_manifest_says_all_that_the_simulator_has_to_know(tmp_path: Path) -> None:
    assert exit_code(simulate.main, ["--manifest", str(written(tmp_path)), "--seeds", "3"]) == EXIT_MISTAKE


def test_a_manifest_begins_in_a_fresh_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path)
    assert exit_code(testnet.main, ["--manifest", str(path), "--home", str(tmp_path)]) == EXIT_MISTAKE
    assert "is there already" in capsys.readouterr().err


def test_keys_and_genesis_follow_from_the_seed(tmp_path: Path) -> None:
    read = read_manifest(written(tmp_path))
    heavy = replace(read, validators=(replace(read.validators[0], weight=3), read.validators[1]))
    assert genesis_of(read, 5).id == genesis_of(read, 5).id != genesis_of(replace(read, seed=2), 5).id
    keys = secrets_of(heavy)
    assert dict(genesis_of(heavy, 5).validators) == {keys["ann"].public: 3, keys["bob"].public: 1}


# ------------------------------------------------------------------------------------------------ the command, the page


def test_the_command_prints_what_it_understands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(manifest.main, ["random:3"]) == 0
    kept = tmp_path / "kept.toml"
    kept.write_text(capsys.readouterr().out, encoding="utf-8")
    assert read_manifest(kept) == draw(3)
    assert exit_code(manifest.main, []) == EXIT_MISTAKE


def test_the_page_says_what_the_reader_takes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python scripts/manifest.py --write`"


THINGS: list[type[Any]] = [
    Manifest,
    Line,
    Lines,
    Validator,
    Observer,
    Strangers,
    *EVENTS.values(),
    *ASSERTIONS.values(),
]


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.__name__)
def test_each_key_is_explained(thing: type[Any]) -> None:
    assert thing.__doc__
    for item in keys_of(thing):
        assert item.metadata["effect"].endswith("."), item.name


# ------------------------------------------------------------------------------------------------ links


def a_way(**nature: int) -> OneWay:
    return OneWay(Line(**nature), Random(1))


def test_a_piece_travels_for_the_latency_and_never_overtakes() -> None:
    way = a_way(latency_ms=100, jitter_ms=20)
    arrivals = [way.arrival_ms(now_ms, 100) for now_ms in range(1_000)]
    assert arrivals == sorted(arrivals)
    assert all(80 <= arrival - now_ms <= 140 for now_ms, arrival in enumerate(arrivals))
    assert len(set(arrivals)) > 20


def test_what_is_sent_waits_for_what_was_sent_before() -> None:
    way = a_way(kbit_s=600)
    assert way.arrival_ms(0, 75_000) == 1_000
    assert way.arrival_ms(0, 7_500) == 1_100
    assert way.arrival_ms(5_000, 75) == 5_001


def test_a_lost_segment_stalls_what_is_behind_it() -> None:
    way = a_way(latency_ms=10, loss=500)
    delays = [way.arrival_ms(10_000 * number, 100) - 10_000 * number for number in range(200)]
    assert set(delays) == {10, 10 + RETRANSMIT_MS}
    far = a_way(latency_ms=1_000, loss=500)
    assert far.arrival_ms(0, 1_000_000) == 3_000


def test_only_the_named_links_differ_and_cuts_overlap(tmp_path: Path) -> None:
    middle = '[line]\nlatency_ms = 5\n[[lines]]\nnodes = ["ann"]\nothers = ["bob"]\nlatency_ms = 50\n'
    links = Links(read_manifest(written(tmp_path, middle)))
    assert links.way("ann", "bob").arrival_ms(0, 1) == links.way("bob", "ann").arrival_ms(0, 1) == 50
    assert links.way("ann", "eve").arrival_ms(0, 1) == links.way("", "ann").arrival_ms(0, 1) == 5
    links.cut("sea", ["ann"], ["bob", "eve"])
    links.cut("river", ["bob"], ["ann"])
    assert links.is_cut("bob", "ann")
    assert links.heal("sea") == {("ann", "eve"), ("eve", "ann")}
    assert links.is_cut("ann", "bob")
    assert not links.is_cut("ann", "eve")
