"""One real node process: its command line, its mistakes and its deaths."""

from __future__ import annotations

import json
import resource
import signal
import socket
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from random import Random

import httpx
import pytest
from click.testing import CliRunner

from chain.content.actions import Enrol, Rate
from chain.content.genesis import Genesis, load_genesis
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from p2p.local.config import HomeConfig
from p2p.local.home import create_home
from scripts.inspect_chain import inspect_chain
from tests.support.running import DEADLINE_S, RunningNode, run_to_end, running, wait_for
from tests.support.world import Actor, genesis_of, secret

LOCAL = HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def solo(tmp_path: Path) -> Path:
    """The home of the only validator of a network with quick slots."""
    return make_home(tmp_path, genesis_of(1, genesis_time_ms=now_ms(), slot_ms=200))


def make_home(folder: Path, genesis: Genesis) -> Path:
    home = folder / "node"
    create_home(home, genesis, secret(1).seed, LOCAL)
    return home


def genesis_at(home: Path) -> Genesis:
    return load_genesis(home / "genesis.json")


# ------------------------------------------------------------------------------------------- the command line


def test_a_home_is_made_run_and_stopped(tmp_path: Path) -> None:
    home = tmp_path / "home"
    made = run_to_end("init", "--home", str(home), "--new-network", "village", "--slot-ms", "200")
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE((home / "key").stat().st_mode) == 0o600
    (home / "config.toml").write_text(LOCAL.to_toml(), encoding="utf-8")
    shown = json.loads(run_to_end("key", "show", "--json", "--home", str(home)).stdout)

    with running(home) as node:
        assert node.status()["did"] == shown["did"]
        assert node.status()["peer_id"] == shown["peer_id"]
        second = run_to_end("run", "--home", str(home))
        assert (second.returncode, second.stderr.count("\n")) == (2, 1)
        assert "in use by another process" in second.stderr
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(DEADLINE_S) == 0
    assert not (home / "node.json").exists()
    assert "Traceback" not in node.log()


def test_it_ends_when_its_parent_does(solo: Path) -> None:
    with running(solo, "--stop-with-parent", stdin=-1) as node:
        assert node.process.stdin is not None
        node.process.stdin.close()
        assert node.process.wait(DEADLINE_S) == 0


@pytest.mark.parametrize(
    ("mistake", "remedy"),
    [
        ("no home", "init"),
        ("no genesis", "copy the network's genesis.json"),
        ("foreign genesis", "another network"),
        ("key for all to read", "chmod 600"),
        ("key cut short", "backup"),
        ("unknown setting", "line 1: no setting 'liste'; did you mean 'listen'?"),
        ("bad listen address", "listen"),
        ("bad peer", "p2p"),
        ("http port taken", "change http in this home's config.toml"),
        ("no database", "init"),
        ("damaged database", "--resync"),
        ("damaged state", "--resync"),
    ],
)
def test_a_mistake_gets_one_sentence(solo: Path, mistake: str, remedy: str) -> None:
    home = solo
    with taken_port() as taken:
        make_mistake(home, mistake, taken)
        target = home / "nowhere" if mistake == "no home" else home
        ended = run_to_end("run", "--home", str(target))
    assert ended.returncode == 2, ended.stderr
    sentence = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert len(sentence) == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert remedy in sentence[0]


def make_mistake(home: Path, mistake: str, taken_port: int) -> None:
    config = home / "config.toml"
    match mistake:
        case "no genesis":
            (home / "genesis.json").unlink()
        case "foreign genesis":
            (home / "genesis.json").write_text(genesis_of(4).to_json(), encoding="utf-8")
        case "key for all to read":
            (home / "key").chmod(0o644)
        case "key cut short":
            (home / "key").write_text("abc", encoding="ascii")
        case "unknown setting":
            config.write_text("liste = []\n", encoding="utf-8")
        case "bad listen address":
            config.write_text('listen = ["/ip4/nowhere"]\n', encoding="utf-8")
        case "bad peer":
            config.write_text('listen = ["/ip4/127.0.0.1/tcp/0"]\npeers = ["/ip4/127.0.0.1/tcp/1"]\n', encoding="utf-8")
        case "http port taken":
            config.write_text(f'listen = ["/ip4/127.0.0.1/tcp/0"]\nhttp = "127.0.0.1:{taken_port}"\n', encoding="utf-8")
        case "no database":
            (home / DATABASE).unlink()
        case "damaged database":
            (home / DATABASE).write_bytes(b"SQLite format 3\x00" + bytes(5_000))
        case "damaged state":
            with closing(sqlite3.connect(home / DATABASE)) as connection, connection:
                connection.execute("INSERT INTO meta VALUES ('snapshot_header', x'00'), ('snapshot_votes', x'00')")
        case _:
            assert mistake == "no home"


@contextmanager
def taken_port() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        yield port


# ------------------------------------------------------------------------------------------------- submission


def test_what_is_submitted_is_taken_or_refused_with_a_reason(solo: Path) -> None:
    genesis = genesis_at(solo)
    ann, bob = Actor(genesis, 100), Actor(genesis, 101)
    stranger = Actor(genesis_of(4), 102)
    with running(solo) as node:
        enrolments = [ann.sign(Enrol()), bob.sign(Enrol())]
        assert node.submit(enrolments) == [None, None]
        wait_for(lambda: node.status()["final_transactions"] == 2, "the enrolments are final")

        refused = node.submit([enrolments[0], stranger.sign(Enrol()), bob.sign(Rate(ann.key, 1, 3), expiry_height=0)])
        assert [outcome["reason"] for outcome in refused] == ["already_enrolled", "bad_signature", "expired"]

        assert node.post(b"\x93garbage").status_code == 400
        assert node.post(b"\x90", content_type="text/plain").status_code == 415
        assert node.post(bytes(2_000_000)).status_code == 413
        strange_host = node.ask("/status", headers={"host": "evil.example"})
        assert strange_host.status_code == 421

        ann_again = Actor(genesis, 100)
        ann_again.nonce = 1
        assert node.submit([ann_again.sign(Rate(bob.key, 1, 3))]) == [None]
        wait_for(lambda: node.status()["final_transactions"] == 3, "the rating is final")
        told = CliRunner().invoke(inspect_chain, ["blocks", "--node", node.url, "--json", "--limit", "3"])
        assert [block["main"] for block in json.loads(told.stdout)["blocks"]] == [True, True, True]
        told = CliRunner().invoke(inspect_chain, ["block", "999999", "--node", node.url])
        assert (told.exit_code, "no block of height 999999 is stored" in told.stderr) == (2, True)
        assert "goodfaith_transactions_total 3.0" in node.ask("/metrics").text
    assert "Traceback" not in node.log()


# ------------------------------------------------------------------------------------------------------ deaths


def test_ten_kills_lose_no_acknowledged_block_and_sign_no_slot_twice(solo: Path) -> None:
    random = Random(20)
    genesis = genesis_at(solo)
    seen: dict[int, str] = {}
    made: dict[int, str] = {}
    for life in range(10):
        with running(solo) as node:
            actors = [Actor(genesis, 1_000 + 100 * life + number) for number in range(6)]
            wanted = len(seen) + random.randint(1, 4)
            for actor in actors:
                assert node.submit([actor.sign(Enrol())]) == [None]
                note_heads(node, seen, made)
            wait_for(partial(has_seen, node, seen, made, wanted), "blocks are made")
            node.process.kill()
    with running(solo) as node:
        assert node.status()["height"] >= max(seen)
    reader = Reader(solo / DATABASE, genesis)
    kept = {height: block_id.hex() for block_id, height, _ in reader.summaries(1, 1_000_000)}
    assert {height: kept.get(height) for height in seen} == seen
    reader.close()


def has_seen(node: RunningNode, seen: dict[int, str], made: dict[int, str], wanted: int) -> bool:
    return note_heads(node, seen, made) >= wanted


def note_heads(node: RunningNode, seen: dict[int, str], made: dict[int, str]) -> int:
    """Remember what the node says of its blocks; returns how many are known."""
    for head in node.get("/heads")["heads"]:
        assert seen.setdefault(head["height"], head["id"]) == head["id"], "an acknowledged block was replaced"
        assert made.setdefault(head["slot"], head["id"]) == head["id"], "a slot was signed twice"
    return len(seen)


def test_a_restart_within_a_slot_does_not_sign_it_again(tmp_path: Path) -> None:
    hour_ms = 3_600_000
    genesis = genesis_of(1, genesis_time_ms=now_ms() - hour_ms, slot_ms=hour_ms)
    home = make_home(tmp_path, genesis)
    with running(home) as node:
        assert node.submit([Actor(genesis, 100).sign(Enrol())]) == [None]
        wait_for(lambda: node.status()["height"] == 1, "the slot's block is made")
        node.process.kill()
    with running(home) as node:
        assert node.submit([Actor(genesis, 101).sign(Enrol())]) == [None]
        status = node.status()
        assert (status["height"], status["mempool"], status["slot"]) == (1, 1, 1)


def test_a_lost_signing_state_keeps_the_validator_silent(solo: Path) -> None:
    genesis = genesis_at(solo)
    (solo / DATABASE).unlink()
    assert run_to_end("init", "--resync", "--yes", "--home", str(solo)).returncode == 0
    with running(solo) as node:
        assert node.submit([Actor(genesis, 100).sign(Enrol())]) == [None]
        first = node.status()
        wait_for(lambda: node.status()["slot"] > first["slot"] + 3, "slots pass")
        wait_for(lambda: node.status()["mempool"] == 2, "the enrolment waits, and that the signing state was lost")
        status = node.status()
        assert (status["silent"], status["height"]) == (True, 0)
        node.wait_said("signing state was lost")


def test_a_full_disk_stops_the_node_with_one_sentence_and_loses_nothing(solo: Path) -> None:
    genesis = genesis_at(solo)
    limit = 400_000

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    actors = [Actor(genesis, 5_000 + number) for number in range(4_000)]
    seen: dict[int, str] = {}
    with running(solo, preexec_fn=small_files) as node:
        for start in range(0, len(actors), 250):
            try:
                node.submit([actor.sign(Enrol()) for actor in actors[start : start + 250]])
                note_heads(node, seen, {})
            except httpx.HTTPError:
                break
        assert node.process.wait(DEADLINE_S) == 2, node.log()
    sentence = [line for line in node.log().splitlines() if line.startswith("error: ")]
    assert len(sentence) == 1, node.log()
    assert "free disk space" in sentence[0]
    assert "Traceback" not in node.log()
    with running(solo) as node:  # with room again it goes on
        assert node.status()["height"] >= max(seen, default=0)
        assert node.submit([Actor(genesis, 1).sign(Enrol())]) == [None]
        wait_for(lambda: node.status()["mempool"] == 0, "the chain goes on")
    reader = Reader(solo / DATABASE, genesis)
    kept = {height: block_id.hex() for block_id, height, _ in reader.summaries(1, 1_000_000)}
    assert {height: kept.get(height) for height in seen} == seen
    reader.close()
