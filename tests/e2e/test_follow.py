"""``follow.py`` as a process: beside real nodes, and beside peers of which one serves another final chain."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from chain.base.keys import did_from_key
from chain.content.actions import Enrol
from chain.content.genesis import Genesis
from p2p.client import announced
from p2p.local.config import HomeConfig
from p2p.local.home import create_home, peer_id_of
from tests.support.headings import CHAIN, GENESIS, RIVAL, serving
from tests.support.running import DEADLINE_S, ROOT, RunningNode, running, wait_for
from tests.support.world import Actor, genesis_of, secret

LOOPBACK = "/ip4/127.0.0.1/tcp/0"


def command(genesis: Path, addresses: list[str], *arguments: str) -> list[str]:
    peers = [part for address in addresses for part in ("--peer", address)]
    return [sys.executable, str(ROOT / "scripts/follow.py"), "--genesis", str(genesis), *peers, *arguments]


@contextmanager
def two_validators(folder: Path, rules: Genesis) -> Iterator[list[RunningNode]]:
    """Two that are connected with each other."""
    create_home(folder / "first", rules, secret(1).seed, HomeConfig(listen=[LOOPBACK], http="127.0.0.1:0"))
    with running(folder / "first") as first:
        config = HomeConfig(listen=[LOOPBACK], http="127.0.0.1:0", peers=announced(first.home).addresses[:1])
        create_home(folder / "second", rules, secret(2).seed, config)
        with running(folder / "second") as second:
            yield [first, second]


@contextmanager
def following(genesis: Path, addresses: list[str], output: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with (
        output.open("w") as out,
        subprocess.Popen(
            command(genesis, addresses, "--json", *arguments), stdout=out, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def told(output: Path) -> list[dict[str, Any]]:
    lines = output.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def final(output: Path) -> int:
    return max((each["height"] for each in told(output)), default=0)


def test_finality_is_followed_and_a_member_proven_beside_real_nodes(tmp_path: Path) -> None:
    rules = genesis_of(2, genesis_time_ms=int(time.time() * 1000))
    member, nobody = Actor(rules, 100), Actor(rules, 101)
    with two_validators(tmp_path, rules) as nodes:
        genesis, output = tmp_path / "genesis.json", tmp_path / "told"
        genesis.write_text(rules.to_json(), encoding="utf-8")
        addresses = [announced(node.home).addresses[0] for node in nodes]
        assert nodes[0].submit([member.sign(Enrol())]) == [None]
        with following(genesis, addresses, output) as process:
            wait_for(lambda: final(output) >= 1, "something is final")
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE_S) == 130
            assert process.stderr is not None
            assert all(line.startswith("waiting: ") for line in process.stderr)  # on a slow machine
        assert (tmp_path / "genesis.followed").exists()

        def asked(key: bytes) -> dict[str, Any]:
            arguments = command(genesis, addresses, "--json", "member", did_from_key(key))
            ended = subprocess.run(arguments, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
            assert ended.returncode == 0, ended.stderr
            document: dict[str, Any] = json.loads(ended.stdout)
            return document

        shown = asked(member.key)
        assert (shown["enrolled"], shown["member"], shown["fresh"]) == (True, did_from_key(member.key), True)
        assert shown["final_height"] >= shown["height"] >= 1
        assert asked(nobody.key)["enrolled"] is False

        with following(genesis, addresses[1:], output):
            wait_for(lambda: told(output), "it goes on")
            assert told(output)[0]["height"] >= 1


async def test_what_is_waited_for_is_said(tmp_path: Path) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_text(GENESIS.to_json(), encoding="utf-8")
    nobody = f"/ip4/127.0.0.1/tcp/1/p2p/{peer_id_of(bytes([7]) * 32)}"
    with trio.fail_after(DEADLINE_S):
        process = await trio.lowlevel.open_process(command(genesis, [nobody]), stderr=subprocess.PIPE)
        assert process.stderr is not None
        said = b""
        while b"\n" not in said:
            said += await process.stderr.receive_some()
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
    assert said.startswith(b"waiting: no peer answers")


async def test_two_final_chains_are_shouted_about_with_the_names_of_who_signed_both(tmp_path: Path) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_text(GENESIS.to_json(), encoding="utf-8")
    async with serving(2, CHAIN) as one, serving(3, RIVAL) as other:
        addresses = [server.transport.listen_addresses[0] for server in (one, other)]
        with trio.fail_after(DEADLINE_S):
            ended = await trio.run_process(
                command(genesis, addresses), capture_stdout=True, capture_stderr=True, check=False
            )
    assert ended.returncode == 1
    said = ended.stderr.decode()
    assert "two final chains contradict each other at height 7" in said
    assert all(did_from_key(secret(number).public) in said for number in range(1, 5))
    assert "4 of 4 of the weight" in said
    assert not (tmp_path / "genesis.followed").exists()


async def test_a_checkpoint_decides_and_what_is_off_it_is_told(tmp_path: Path) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_text(GENESIS.to_json(), encoding="utf-8")
    pin = f"20:{RIVAL[19].id.hex()}"
    async with serving(2, CHAIN) as one, serving(3, RIVAL) as other:
        addresses = [server.transport.listen_addresses[0] for server in (one, other)]
        with trio.fail_after(DEADLINE_S):
            process = await trio.lowlevel.open_process(
                command(genesis, addresses, "--json", "--checkpoint", pin), stdout=subprocess.PIPE
            )
            assert process.stdout is not None
            said = b""
            while b"\n" not in said:
                said += await process.stdout.receive_some()
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 130
    document = json.loads(said.splitlines()[0])
    assert document["block"] in {block.id.hex() for block in RIVAL}
    assert document["checkpoint"] == pin
