"""One node of a testnet: how its end is noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import trio

from p2p.client import Announced, AsyncClient, NodeStatus
from scripts.testnet_parts.nodes import NodeProcess

DID = "did:key:z"
STATUS = dict.fromkeys(NodeStatus.__annotations__, 0) | {"did": DID}


def announce(home: Path, pid: int) -> None:
    facts = Announced(pid, "http://127.0.0.1:1", "12D3", [], DID)
    (home / "node.json").write_text(json.dumps(facts._asdict()), encoding="utf-8")


async def test_a_node_that_dies_over_a_question_dies_once(tmp_path: Path) -> None:
    node = NodeProcess(0, tmp_path, is_validator=True)
    node.process = await trio.lowlevel.open_process([sys.executable, "-c", "import time; time.sleep(600)"])
    announce(tmp_path, node.process.pid)

    async def answer(_: httpx.Request) -> httpx.Response:
        if node.is_live:
            node.kill()
            await node.wait_ended()
            raise httpx.ReadError("reset by peer")
        return httpx.Response(200, json=STATUS)

    async with AsyncClient(transport=httpx.MockTransport(answer)) as client:
        assert await node.adopt(client, node.process.pid, 0)
        await node.refresh(client, 0.0)
    assert (node.deaths, node.ended) == (1, "killed (SIGKILL)")


async def test_a_node_that_was_killed_and_started_by_hand_is_left_to_who_started_it(tmp_path: Path) -> None:
    node = NodeProcess(0, tmp_path, is_validator=True)
    node.process = await trio.lowlevel.open_process(
        [sys.executable, "-c", "import time; time.sleep(600)"], stdin=subprocess.PIPE
    )
    node.kill()
    assert await node.wait_ended() == "killed (SIGKILL)"
    assert not node.is_anothers
    announce(tmp_path, os.getpid())
    async with AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=STATUS))) as client:
        assert await node.adopt(client, None, 0)
    assert node.is_anothers
    await node.stop()
    assert (node.ended, node.is_live, node.pid) == (None, True, os.getpid())


async def test_a_node_that_is_stopped_while_it_starts_did_nothing_wrong(tmp_path: Path) -> None:
    node = NodeProcess(0, tmp_path, is_validator=True)
    node.process = await trio.lowlevel.open_process([sys.executable, "-c", "import time; time.sleep(600)"])
    await node.stop()
    assert node.ended == "stopped before it was ready"
