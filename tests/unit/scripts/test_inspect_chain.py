from __future__ import annotations

from p2p.local.commandline import EXIT_BROKEN_PIPE, pasted

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chain.base.keys import did_from_key
from chain.content.actions import Rate
from chain.disk.database import DATABASE
from chain.disk.storage import Storage
from chain.register.statekeys import member_key
from p2p.local.config import HomeConfig
from p2p.local.home import create_home
from scripts.inspect_chain import inspect_chain
from tests.support.asking import answer, ask, mistake, problems
from tests.support.homes import RecordingDisk, read_only, tamper, write_genesis, write_home
from tests.support.running import DEADLINE_S
from tests.support.story import Story, told_story
from tests.support.world import World, genesis_of, secret

SCRIPT = Path(__file__).parents[3] / "scripts" / "inspect_chain.py"
COMMANDS = (
    *("head", "blocks", "block", "tx", "forks", "validators", "verify", "sync"),
    *("member", "top", "lists", "tiers", "records", "objections", "history", "authorities", "motions", "policy"),
)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return told_story(tmp_path_factory.mktemp("story") / "home")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_stopped_home_on_a_read_only_medium_answers_the_same(story: Story, command: str) -> None:
    arguments = story.arguments(command)
    expected = ask(story.home, *arguments, "--json")
    with read_only(story.home) as home:
        found = ask(home, *arguments, "--json")
    assert (found.exit_code, found.stdout, found.stderr) == (0, expected.stdout, "")


@pytest.fixture
def damaged(story: Story, tmp_path: Path) -> Path:
    """A copy of the story's home, there to be spoilt."""
    return Path(shutil.copytree(story.home, tmp_path / "home"))


# ---------------------------------------------------------------------------------------------- every command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_as_of_which_height_and_whether_it_is_final(story: Story, command: str) -> None:
    host = story.world.hosts[2]
    document = answer(story.home, *story.arguments(command))
    assert document["as_of_height"] <= host.height
    assert type(document["final"]) is bool
    result = ask(story.home, *story.arguments(command))
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"as of height {document['as_of_height']}, final" in result.stdout.splitlines()[0]
    assert not any(mark in result.stdout for mark in "\x1b│─")


def test_head(story: Story) -> None:
    host = story.world.hosts[2]
    document = answer(story.home, "head")
    assert document["id"] == host.engine.chain.head.header.id.hex()
    assert (document["height"], document["finalized_height"]) == (host.height, host.disk.finalized)
    assert document["final"] is False
    assert document["genesis"] == story.world.genesis.id.hex()


def test_blocks(story: Story) -> None:
    main = story.disk.main
    listed = answer(story.home, "blocks", "--from", "3", "--limit", "4")["blocks"]
    assert [(block["height"], block["id"]) for block in listed] == [(at, main[at].id.hex()) for at in range(3, 7)]
    newest = answer(story.home, "blocks", "--limit", "2")["blocks"]
    assert [block["height"] for block in newest] == [len(main) - 1, len(main)]
    assert answer(story.home, "blocks", "--from", str(2**62))["blocks"] == []
    assert len(answer(story.home, "blocks", "--limit", str(2**62))["blocks"]) == len(main)


def test_a_block_by_height_by_id_and_by_the_beginning_of_it(story: Story) -> None:
    height, block = next((at, block) for at, block in story.disk.main.items() if len(block.transactions) == 5)
    by_height = answer(story.home, "block", str(height))
    assert by_height["id"] == block.id.hex()
    assert [shown["actor"] for shown in by_height["transactions"]] == [
        did_from_key(transaction.actor) for transaction in block.transactions
    ]
    assert by_height["final"] is True
    for digits in (64, 16, 13):
        assert answer(story.home, "block", block.id.hex()[:digits].upper()) == by_height
    assert answer(story.home, "block", f"0,{height:03}") == by_height  # a large one as a table shows it
    assert "enrol" in ask(story.home, "block", str(height)).stdout


def test_a_block_beside_the_main_chain_is_never_final(story: Story) -> None:
    side = next(block for block, is_main in story.disk.blocks.values() if not is_main)
    shown = answer(story.home, "block", side.id.hex())
    assert (shown["id"], shown["main"], shown["final"]) == (side.id.hex(), False, False)


def test_the_genesis_is_the_block_at_height_0(story: Story) -> None:
    by_height = answer(story.home, "block", "0")
    assert by_height["id"] == story.world.genesis.id.hex()
    assert answer(story.home, "block", by_height["id"]) == by_height
    assert by_height["final"] is True


def test_a_transaction(story: Story) -> None:
    for height, block in story.disk.main.items():
        for transaction in block.transactions:
            for digits in (64, 16, 17):
                shown = answer(story.home, "tx", transaction.id.hex()[:digits])
                assert (shown["height"], shown["block"]) == (height, block.id.hex())
                known = shown["transaction"]
                assert (known["id"], known["kind"]) == (transaction.id.hex(), transaction.kind)
    rate = next(item for block in story.disk.main.values() for item in block.transactions if item.kind == "rate")
    shown = answer(story.home, "tx", rate.id.hex())["transaction"]
    assert isinstance(rate.action, Rate)
    assert (shown["subject"], shown["points"]) == (did_from_key(rate.action.subject), rate.action.points)
    assert shown["category"] == "trade"


def test_top_ranks_equal_scores_alike_and_orders_them_by_did(story: Story) -> None:
    a, b, c, d, e = story.dids
    top = answer(story.home, "top")["members"]
    scores = {a: 5 - 4, b: 3 - 2, c: 0, d: 0, e: 1}
    expected = sorted(scores, key=lambda did: (-scores[did], did))
    assert [row["member"] for row in top] == expected
    assert [row["score"] for row in top] == [scores[did] for did in expected]
    assert [row["rank"] for row in top] == [1, 1, 1, 4, 4]
    assert [row["tier"] for row in top] == ["known"] * 3 + ["unrated"] * 2
    assert answer(story.home, "top", "--limit", "2")["members"] == top[:2]


def test_a_member_with_its_ratings(story: Story) -> None:
    a, b, c, *_ = story.dids
    shown = answer(story.home, "member", b, "--given")
    assert (shown["member"], shown["score"], shown["tier"], shown["rank"]) == (b, 1, "known", 1)
    assert (shown["rated_points"], shown["ratings"]) == (1, 2)
    received = {row["rater"]: (row["category"], row["points"]) for row in shown["received"]}
    assert received == {a: ("trade", 3), c: ("trade", -2)}
    assert [(row["subject"], row["points"]) for row in shown["given"]] == [(a, 5)]
    rated_at = next(
        height
        for height, block in story.disk.main.items()
        if any(item.action == Rate(story.actors[0].key, 1, 5) for item in block.transactions)
    )
    assert shown["given"][0]["height"] == rated_at
    table = ask(story.home, "member", b).stdout
    assert "Ratings given" not in table
    assert a in table
    assert c in table


def test_validators(story: Story) -> None:
    document = answer(story.home, "validators")
    main = story.disk.main.values()
    for (key, weight), shown in zip(story.world.genesis.validators, document["validators"], strict=True):
        made = [block.header for block in main if block.header.proposer == key]
        assert (shown["validator"], shown["weight"]) == (did_from_key(key), weight)
        assert (shown["blocks"], shown["last_height"]) == (len(made), max(header.height for header in made))
        assert shown["share_permille"] == 1000 * len(made) // len(main)
        assert shown["votes"] is True


def test_policy(story: Story) -> None:
    document = answer(story.home, "policy")
    assert document["policy"] == story.world.genesis.policy.to_document()
    assert document["digest"] == story.world.genesis.policy.digest().hex()


def test_forks(story: Story) -> None:
    side = {block.id.hex() for block, is_main in story.disk.blocks.values() if not is_main}
    document = answer(story.home, "forks")
    (branch,) = document["branches"]
    assert {block["id"] for block in branch["blocks"]} == side
    assert branch["tip"] == branch["blocks"][-1]["id"]
    assert branch["leaves_at"] == story.disk.main[branch["leaves_at_height"]].id.hex()
    assert branch["leaves_at_height"] == branch["blocks"][0]["height"] - 1
    assert branch["can_win"] is False


def test_verify_counts_what_it_checked(story: Story) -> None:
    document = answer(story.home, "verify")
    main = story.disk.main
    assert document["ok"] is True
    assert document["problems"] == []
    assert document["blocks"] == len(main)
    assert document["transactions"] == sum(len(block.transactions) for block in main.values())
    assert document["side_blocks"] == len(story.disk.blocks) - len(main)
    assert document["state_rows"] == len(story.disk.state)
    assert document["state_height"] <= document["finalized_height"] == document["proven_height"]


def test_an_empty_chain(tmp_path: Path) -> None:
    world = World(validators=1)
    home = write_home(tmp_path, world, RecordingDisk(world.genesis))
    assert answer(home, "head")["height"] == 0
    assert answer(home, "head")["final"] is True
    assert answer(home, "verify")["ok"] is True
    assert answer(home, "top")["members"] == []
    for command in COMMANDS:
        if command in ("block", "tx", "member", "history"):
            continue
        assert answer(home, command)["as_of_height"] == 0
        assert ask(home, command).exit_code == 0


def test_verify_exits_with_1_where_something_is_wrong(damaged: Path) -> None:
    tamper(damaged, "DELETE FROM blocks WHERE main = 1 AND height = 6")
    assert problems(damaged) == [(6, "no block of this height is on the main chain")]
    result = ask(damaged, "verify")
    assert (result.exit_code, "The chain is wrong" in result.stdout) == (1, True)


# ------------------------------------------------------------------------------------- the operator's mistakes


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_home_is_one_sentence(story: Story, tmp_path: Path, command: str) -> None:
    assert "does not exist" in mistake(tmp_path / "nowhere", *story.arguments(command))
    assert "genesis.json is missing" in mistake(tmp_path, *story.arguments(command))
    write_genesis(tmp_path, story.world.genesis)
    assert "chain.db is missing" in mistake(tmp_path, *story.arguments(command))


def test_a_foreign_genesis_is_one_sentence(damaged: Path) -> None:
    write_genesis(damaged, genesis_of(4, slot_ms=777))
    assert "belongs to another network" in mistake(damaged, "verify")


def test_a_damaged_database_is_one_sentence(story: Story, damaged: Path) -> None:
    tamper(damaged, "UPDATE blocks SET body = x'93' WHERE main = 1 AND height = 2")
    tamper(damaged, "UPDATE state SET value = x'93' WHERE key = ?", member_key(story.actors[0].key))
    for args in (["block", "2"], ["blocks", "--from", "1"], ["validators"], ["top"], ["member", story.dids[1]]):
        assert "is damaged" in mistake(damaged, *args)
    (damaged / DATABASE).write_bytes(b"no database at all" * 1000)
    assert "is damaged" in mistake(damaged, "head")


@pytest.mark.parametrize(
    "args",
    [
        ["block", "999"],
        ["block", "zz"],
        ["block", "0123456789abcdef"],
        ["tx", "00" * 32],
        ["tx", "abcd"],
        ["tx", "é" * 16],
        ["member", "did:key:z6Mknothing"],
        ["member", did_from_key(genesis_of(1).validators[0][0])],
    ],
)
def test_what_is_not_there_is_one_sentence(story: Story, args: list[str]) -> None:
    mistake(story.home, *args)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["blocks", "--limit", "0"], "--limit takes a whole number from 1 to [0-9,]+, not 0"),
        (["top", "--limit", "x"], "--limit takes a whole number from 1 to [0-9,]+, not 'x'"),
        (["nothing"], "there is no command nothing; `.* -h` lists those there are"),
        (["member"], "DID is missing; give it, as `.* member -h` shows"),
    ],
)
def test_wrong_usage_exits_with_2(story: Story, args: list[str], said: str) -> None:
    result = ask(story.home, *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.fullmatch(rf"error: {said}\n", result.stderr)


# ----------------------------------------------------------------------------------------------------- homes


def test_a_testnets_home_means_its_first_node(story: Story, tmp_path: Path) -> None:
    shutil.copytree(story.home, tmp_path / "node0")
    result = ask(tmp_path, "head", "--json")
    assert result.exit_code == 0
    assert str(tmp_path / "node0") in result.stderr
    assert json.loads(result.stdout) == answer(story.home, "head")


def test_the_home_can_come_from_the_environment(story: Story) -> None:
    result = CliRunner(env={"GOODFAITH_HOME": str(story.home)}).invoke(inspect_chain, ["head", "--json"])
    assert json.loads(result.stdout) == answer(story.home, "head")


@pytest.fixture
def running(story: Story, damaged: Path) -> Iterator[Storage]:
    """A storage that stays open, as a running node's."""
    storage = Storage(damaged / DATABASE, story.world.genesis)
    yield storage
    storage.close()


def test_a_running_node_is_neither_disturbed_nor_disturbing(story: Story, damaged: Path, running: Storage) -> None:
    running.commit([story.disk.commits[-1]])
    assert answer(damaged, "verify")["ok"] is True
    assert answer(damaged, "head") == answer(story.home, "head")
    running.commit([story.disk.commits[-1]])


# ------------------------------------------------------------------------------------------- a real process


def _process(*args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(SCRIPT), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False, **options)


def test_it_runs_from_anywhere(story: Story, tmp_path: Path) -> None:
    found = _process("top", "--limit", "3", "--json", "--home", str(story.home), cwd=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    assert json.loads(found.stdout) == answer(story.home, "top", "--limit", "3")
    missing = _process("top", cwd=tmp_path)
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr == "error: home does not exist; name a node's home with --home\n"


def test_it_imports_no_network_and_nothing_for_terminals_alone(story: Story) -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom scripts.inspect_chain import inspect_chain\n"
        f"result = CliRunner().invoke(inspect_chain, ['top', '--home', {str(story.home)!r}])\n"
        "assert result.exit_code == 0, result\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'libp2p', 'trio', 'rich', 'structlog', 'httpx'}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    assert found.stdout == "[]\n"


def test_a_closed_pipe_ends_it_quietly(story: Story) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, str(SCRIPT), "blocks", "--limit", "100", "--home", str(story.home)]
    found = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, timeout=DEADLINE_S, check=False)
    os.close(write_end)
    assert (found.returncode, found.stderr) == (EXIT_BROKEN_PIPE, b"")


def test_on_a_terminal_tables_have_colour(story: Story) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-W", "error", str(SCRIPT), "top", "--home", str(story.home)]
    found = subprocess.run(
        command, stdout=theirs, stderr=subprocess.PIPE, timeout=DEADLINE_S, check=False, env=environment
    )
    os.close(theirs)
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    assert (found.returncode, found.stderr) == (0, b"")
    assert "\x1b[" in shown
    assert story.dids[0] in shown


def test_a_home_without_a_block_says_what_brings_the_chain(tmp_path: Path) -> None:
    create_home(tmp_path / "fresh", genesis_of(1), secret(1).seed, HomeConfig())
    (line,) = ask(tmp_path / "fresh", "sync").stdout.splitlines()
    assert line.startswith("This home has no block yet; `")
    assert line.endswith(f"node.py run --home {pasted(tmp_path / 'fresh')}` brings it what the network has.")
    assert answer(tmp_path / "fresh", "sync")["as_of_height"] == 0
