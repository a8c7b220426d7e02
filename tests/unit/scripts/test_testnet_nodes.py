"""One node of a testnet: how its end is noticed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import httpx
import trio

from p2p.client import Announced, AsyncClient, NodeStatus
from scripts.testnet_parts.nodes import NodeProcess


async def test_a_node_that_dies_over_a_question_dies_once(tmp_path: Path) -> None:
    node = NodeProcess(0, tmp_path, is_validator=True)
    node.process = await trio.lowlevel.open_process([sys.executable, "-c", "import time; time.sleep(600)"])
    facts = Announced(node.process.pid, "http://127.0.0.1:1", "12D3", [], "did:key:z")
    (tmp_path / "node.json").write_text(json.dumps(facts._asdict()), encoding="utf-8")

    async def answer(_: httpx.Request) -> httpx.Response:
        if node.is_live:
            node.kill()
            await node.wait_ended()
            raise httpx.ReadError("reset by peer")
        return httpx.Response(200, json=dict.fromkeys(NodeStatus.__annotations__, 0) | {"did": "did:key:z"})

    async with AsyncClient(transport=httpx.MockTransport(answer)) as client:
        assert await node.adopt(client, node.process.pid, 0)
        await node.refresh(client, 0.0)
    assert (node.deaths, node.ended) == (1, "killed (SIGKILL)")
