"""Four organisations found a network, as the README tells them to, each with a loopback address of its own."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

import node
from chain.content.actions import Enrol
from chain.content.genesis import Genesis, load_genesis
from p2p.local.config import read_config
from scripts.testnet_parts.homes import free_ports
from tests.support.commands import exit_code
from tests.support.running import run_to_end, running, wait_for
from tests.support.world import Actor

HOSTS = [f"127.0.0.{number}" for number in range(1, 5)]
# When operators agree on a network they have days.  A test has less, and must not be late.
EARLIER_MS = 3_600_000


def join_options(host: str, port: int, home: Path) -> list[str]:
    return ["--organisation", f"Office {host}", "--address", f"/ip4/{host}/tcp/{port}", "--home", str(home)]


def move_to(host: str, home: Path) -> None:
    """Listen at this address alone: these four machines are one."""
    config = read_config(home / "config.toml")
    listen = [address.replace("0.0.0.0", host) for address in config.listen]
    text = replace(config, listen=listen, http="127.0.0.1:0").to_toml()
    (home / "config.toml").write_text(text, encoding="utf-8")


def found_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Genesis, list[Path]]:
    """Type all of it an hour ago, so that the network begins just now: the genesis, and four homes."""
    (port,), began_ms = free_ports(1), time.time_ns() // 1_000_000
    monkeypatch.setattr("p2p.clocks.wall_ms", lambda: began_ms - EARLIER_MS)
    plan, genesis, homes = folder / "plan.json", folder / "genesis.json", [folder / host for host in HOSTS]
    assert exit_code(node.main, ["genesis", "new", str(plan), "--name", "city", "--start", "+1h"]) == 0
    entries = [folder / f"{host}.json" for host in HOSTS]
    for host, entry, home in zip(HOSTS, entries, homes, strict=True):
        words = ["genesis", "join", str(plan), str(entry), *join_options(host, port, home)]
        assert exit_code(node.main, words) == 0
    assert exit_code(node.main, ["genesis", "show", *map(str, (plan, *entries)), "--out", str(genesis)]) == 0
    for host, home in zip(HOSTS, homes, strict=True):
        assert exit_code(node.main, ["init", "--home", str(home), "--genesis", str(genesis)]) == 0
        move_to(host, home)
    monkeypatch.undo()
    return load_genesis(genesis), homes


def test_four_organisations_found_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genesis, homes = found_network(tmp_path, monkeypatch)
    with ExitStack() as stack:
        nodes = [stack.enter_context(running(home)) for home in homes]
        wait_for(lambda: all(each.status()["peers"] == 3 for each in nodes), "each found the three others")
        assert all(each.status()["chain_id"] == genesis.id.hex() for each in nodes)
        assert nodes[2].submit([Actor(genesis, 1_000).sign(Enrol())]) == [None]
        wait_for(lambda: all(each.status()["final_transactions"] for each in nodes), "it is final on all four")
        assert not any("signing state was lost" in each.log() for each in nodes)


def test_a_node_waits_until_its_network_begins(tmp_path: Path) -> None:
    """Each command as a process of its own."""
    plan, entry, genesis, home = (tmp_path / name for name in ("plan.json", "entry.json", "genesis.json", "home"))
    (port,) = free_ports(1)
    for words in (
        ["new", str(plan), "--name", "city", "--start", "+1d", "--tolerates", "0"],
        ["join", str(plan), str(entry), *join_options("127.0.0.1", port, home)],
        ["show", str(plan), str(entry), "--out", str(genesis)],
    ):
        ended = run_to_end("genesis", *words)
        assert (ended.returncode, ended.stderr) == (0, "")
    shown = json.loads(run_to_end("genesis", "show", str(genesis), "--json").stdout)
    assert shown["genesis"] == load_genesis(genesis).id.hex()
    assert run_to_end("init", "--home", str(home), "--genesis", str(genesis)).returncode == 0
    move_to("127.0.0.1", home)
    with running(home) as waiting:
        waiting.wait_said("its network has not begun; signs from")
        status = waiting.status()
        assert (status["silent_why"], status["signs_again"]) == ("its network has not begun", shown["begins"])
        assert waiting.submit([Actor(load_genesis(genesis), 1_000).sign(Enrol())]) == [None]
        assert (waiting.status()["height"], waiting.status()["mempool"]) == (0, 1)
