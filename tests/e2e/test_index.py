"""An index follows a running node, as two processes: both are killed, and nothing is missing or there twice."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chain.content.actions import Enrol
from p2p.local.config import HomeConfig
from p2p.local.home import create_home
from tests.support.running import DEADLINE_S, ROOT, RunningNode, running, wait_for
from tests.support.world import Actor, genesis_of, secret

duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed: uv sync --extra index")
LOCAL = HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0")


@contextmanager
def indexing(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(ROOT / "scripts/index.py"), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def histories(file: Path) -> list[list[tuple[Any, ...]]]:
    """What happened, up to the lower of what two indexes have."""
    with duckdb.connect(str(file), read_only=True) as connection:
        queries = ("SELECT * FROM blocks WHERE final ORDER BY height", "SELECT * FROM transactions ORDER BY height, id")
        return [connection.sql(query).fetchall() for query in queries]


def written(process: subprocess.Popen[str]) -> str:
    """What it says next."""
    assert process.stdout is not None
    return process.stdout.readline()


def submit(node: RunningNode, *actors: Actor) -> None:
    assert node.submit([actor.sign(Enrol()) for actor in actors]) == [None] * len(actors)
    height = node.status()["height"]
    wait_for(lambda: node.status()["finalized_height"] > height + 1, "what was submitted is final")


def test_it_goes_on_where_it_was_killed_and_where_its_node_was(tmp_path: Path) -> None:
    home, file = tmp_path / "node", tmp_path / "x.duckdb"
    genesis = genesis_of(1, genesis_time_ms=time.time_ns() // 1_000_000, slot_ms=200)
    create_home(home, genesis, secret(1).seed, LOCAL)
    actors = [Actor(genesis, 100 + n) for n in range(3)]
    with running(home) as node:
        submit(node, actors[0])
        with indexing("--to", str(file), "--node", node.url) as index:
            assert written(index).startswith("final up to ")
            submit(node, actors[1])
            index.send_signal(signal.SIGKILL)
            index.wait(DEADLINE_S)
        submit(node, actors[2])
        with indexing("--to", str(file), "--node", node.url) as index:
            assert written(index).startswith("final up to ")
            node.process.terminate()
            assert index.stderr is not None
            assert index.stderr.readline().startswith("following")
            assert any(line.startswith(f"no node answers at {node.url}") for line in index.stderr)
            index.send_signal(signal.SIGINT)
            assert index.wait(DEADLINE_S) == 130
    for name in ("x", "whole"):  # of the home, once the node is gone
        with indexing("--to", str(tmp_path / f"{name}.duckdb"), "--home", str(home), "--once") as index:
            assert index.wait(DEADLINE_S) == 0
    blocks, transactions = histories(file)
    assert [blocks, transactions] == histories(tmp_path / "whole.duckdb")
    assert [row[0] for row in blocks] == list(range(1, len(blocks) + 1))
    assert len(transactions) == len(actors)
