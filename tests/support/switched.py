"""A testnet that only remembers what it was told to do to its nodes."""

from __future__ import annotations

from types import SimpleNamespace

from chain.base.errors import OperatorError
from scripts.testnet_parts.acts import Act

TOKEN = "t" * 24


class FakeTestnet:
    """What the switches see of a testnet: node1 has ended."""

    def __init__(self) -> None:
        self.home = SimpleNamespace(shape=SimpleNamespace(names=["node0", "node1"]))
        self.cut = {"node0"}
        self.acts: list[Act] = []
        told = {"did": "did:key:zOne", "height": 7, "finalized_height": 5}
        common = {"is_validator": True, "last": told, "ended": None}
        self.nodes = [
            SimpleNamespace(name="node0", is_live=True, url="http://127.0.0.1:1", pid=11, **common),
            SimpleNamespace(name="node1", is_live=False, pid=None, **{**common, "ended": "ended (code 0)"}),
        ]

    async def do(self, act: Act) -> str:
        self.acts.append(act)
        if act.node == "node1" and act.kind == "cut":
            raise OperatorError("node1 is not up")
        return f"{act.node} stops"
