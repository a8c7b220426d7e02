"""A node whose register is on a server: it is told of in one sentence, goes away, comes back, and nothing is lost."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from chain.content.actions import Enrol
from chain.content.genesis import Genesis, found_genesis
from chain.content.policyfile import shipped_policy
from chain.disk.places import Address
from chain.disk.reader import Reader
from p2p.local.config import HomeConfig
from p2p.local.home import create_home
from tests.support import postgres
from tests.support.running import ROOT, RunningNode, run_to_end, running, starting, wait_for
from tests.support.world import Actor, secret

pytest.importorskip("psycopg", reason="the client of PostgreSQL is not installed: uv sync --extra store")

KILLS = 3
SLOT_MS = 250


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    if postgres.program("postgres") is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres.server() as running:
        yield running


def make_home(folder: Path, url: str) -> tuple[Path, Genesis]:
    """The only validator of a network that begins now."""
    genesis = found_genesis(
        "there",
        shipped_policy("marketplace"),
        [secret(1).public],
        genesis_time_ms=time.time_ns() // 1_000_000,
        slot_ms=SLOT_MS,
    )
    home = folder / "node"
    create_home(
        home,
        genesis,
        secret(1).seed,
        HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0", store=url),
    )
    return home, genesis


def is_above(node: RunningNode, height: int) -> bool:
    return bool(node.status()["height"] > height)


def said(node: RunningNode) -> int:
    """How often it said that the server is away: again and again while that is."""
    return node.log().count("store_away")


def has_said(node: RunningNode, before: int) -> bool:
    return said(node) > before


def script(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=ROOT, check=False)


def test_nothing_acknowledged_is_lost_or_doubled_when_the_server_is_killed(
    server: postgres.Server, tmp_path: Path
) -> None:
    url = server.new()
    home, genesis = make_home(tmp_path, url)
    numbers = iter(range(1_000, 2_000))
    acknowledged: list[bytes] = []
    with running(home) as node:
        for turn in range(1, KILLS + 1):
            height = node.status()["height"]
            enrolments = [Actor(genesis, next(numbers)).sign(Enrol()) for _ in range(20)]
            assert node.submit(enrolments) == [None] * 20
            acknowledged += [item.id for item in enrolments]
            if turn > 1:  # else it dies with the block under way
                wait_for(partial(is_above, node, height), "it makes a block")
            before = said(node)
            server.kill()
            wait_for(partial(has_said, node, before), "it says so")
            (home / "node.json").unlink(missing_ok=True)
            server.start()
            node.wait_ready()
        wait_for(lambda: node.status()["transactions"] >= len(acknowledged), "all of them are in blocks")
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait() == 0
        assert "Traceback" not in node.log()
    with closing(Reader(Address(url, home), genesis)) as reader:
        blocks = list(reader.blocks(1, reader.head_height()))
        beside = list(reader.summaries(1, 10_000, main=False))
    counts = Counter(item.id for block in blocks for item in block.transactions)
    assert counts == Counter(acknowledged)
    assert len({block.header.slot for block in blocks}) == len(blocks)
    assert beside == [], "it signed one block a height"
    # and whoever looks into the home finds the same
    top = script("scripts/inspect_chain.py", "top", "--home", str(home), "--json")
    assert top.returncode == 0, top.stderr
    verified = script("scripts/chaindata.py", "verify", "--home", str(home), "--json")
    assert (verified.returncode, json.loads(verified.stdout)["ok"]) == (0, True), verified.stdout + verified.stderr
    # and another home takes the chain from a file
    exported = script("scripts/chaindata.py", "export", str(tmp_path / "chain"), "--home", str(home))
    assert exported.returncode == 0, exported.stderr
    other = tmp_path / "other"
    create_home(other, genesis, secret(2).seed, HomeConfig(store=server.new()))
    taken = script("scripts/chaindata.py", "import", str(tmp_path / "chain"), "--home", str(other), "--json")
    assert taken.returncode == 0, taken.stderr
    assert json.loads(taken.stdout)["finalized_height"] > 0
    for command in ("stats", "prune", "compact", "migrate"):
        refused = script("scripts/chaindata.py", command, "--home", str(home))
        assert refused.returncode == 2
        assert "has its chain on a server" in refused.stderr
        assert "\n" not in refused.stderr.strip()


def test_of_two_nodes_with_one_key_and_one_register_one_stops_before_it_says_anything(
    server: postgres.Server, tmp_path: Path
) -> None:
    # given a home, and a copy of it that knows the same server
    url = server.new()
    home, genesis = make_home(tmp_path, url)
    copy = Path(shutil.copytree(home, tmp_path / "copy"))
    # when both run
    with running(home) as one, starting(copy) as two:
        wait_for(lambda: one.process.poll() is not None or two.process.poll() is not None, "one of them ends")
        loser, winner = (one, two) if one.process.poll() is not None else (two, one)
        # then one ends, and says why, and the other goes on
        assert loser.process.wait() == 2
        assert "was written by another node meanwhile" in loser.log()
        assert "Traceback" not in loser.log()
        winner.wait_ready()
        height = winner.status()["height"]
        wait_for(partial(is_above, winner, height), "it makes blocks")
        winner.process.send_signal(signal.SIGTERM)
        assert winner.process.wait() == 0
    with closing(Reader(Address(url, home), genesis)) as reader:
        slots = [header.slot for main in (True, False) for header, _ in reader.headers(1, 10_000, main=main)]
    assert len(set(slots)) == len(slots)


def test_a_home_is_made_on_a_server_and_anew_on_another(server: postgres.Server, tmp_path: Path) -> None:
    home, url = tmp_path / "home", server.new()
    words = ("init", "--home", str(home), "--new-network", "there", "--store")
    made = run_to_end(*words, url)
    assert made.returncode == 0, made.stderr
    assert not (home / "chain.db").exists()
    assert (home / "config.toml").stat().st_mode & 0o077 == 0
    again = run_to_end("init", "--resync", "--yes", "--home", str(home))
    assert again.returncode == 2
    assert "holds a register already; name an empty database as store" in again.stderr
    config = home / "config.toml"
    config.write_text(config.read_text().replace(url, server.new()))
    assert "holds no register; run" in run_to_end("run", "--home", str(home)).stderr
    assert run_to_end("init", "--resync", "--yes", "--home", str(home)).returncode == 0


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://me:secret@127.0.0.1:1/none", "127.0.0.1:1/none cannot be reached"),
        ("mysql://me:secret@host/none", "store must be empty, or an address like postgresql://user@host/database"),
    ],
)
def test_a_wrong_address_is_one_sentence(tmp_path: Path, url: str, says: str) -> None:
    ended = run_to_end("init", "--home", str(tmp_path / "home"), "--new-network", "there", "--store", url)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert "secret" not in ended.stderr
    assert "\n" not in ended.stderr.strip()
    assert not (tmp_path / "home" / "key").exists()


def test_a_server_keeps_copies_so_a_pruned_node_has_a_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert run_to_end("init", "--home", str(home), "--new-network", "here").returncode == 0
    config = home / "config.toml"
    config.write_text(config.read_text().replace('store = ""', 'store = "postgresql://me@127.0.0.1:1/none"'))
    refused = run_to_end("run", "--home", str(home), "--mode", "pruned")
    assert refused.returncode == 2
    assert "a server keeps copies of what is deleted" in refused.stderr
