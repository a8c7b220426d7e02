"""Peers that share no code with us, as processes of their own, and networks of real nodes for them to meet."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from chain.content.actions import Enrol
from chain.content.genesis import Genesis
from p2p.client import announced
from p2p.local.config import HomeConfig
from p2p.local.home import create_home
from tests.support.running import DEADLINE_S, RunningNode, running
from tests.support.world import Actor, secret

FIRST_MEMBER = 101
SUBMIT_EVERY_S = 0.5
_MESH = re.compile(r'^goodfaith_gossip_mesh_peers{topic="blocks"} (\S+)$', re.MULTILINE)


class Foreigner:
    """A process, and what it has said: one JSON document a line, each of some ``event``."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, complaints: Path) -> None:
        self.process = process
        self._output = output
        self._complaints = complaints

    @property
    def said(self) -> list[dict[str, Any]]:
        lines = self._output.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    @property
    def story(self) -> str:
        """All of it, and what went wrong, for the message of a test that fails."""
        return self._output.read_text(encoding="utf-8") + self._complaints.read_text(encoding="utf-8")

    def events(self, name: str) -> list[dict[str, Any]]:
        return [each for each in self.said if each["event"] == name]


@contextmanager
def foreigner(command: Sequence[str], cwd: Path, output: Path) -> Iterator[Foreigner]:
    """Run a command in a folder; it is killed at the end if it still runs."""
    complaints = output.with_suffix(".stderr")
    with (
        output.open("wb") as out,
        complaints.open("wb") as err,
        subprocess.Popen(command, cwd=cwd, stdout=out, stderr=err) as process,
    ):
        try:
            yield Foreigner(process, output, complaints)
        finally:
            process.kill()


@contextmanager
def validators(folder: Path, rules: Genesis, count: int) -> Iterator[list[RunningNode]]:
    """So many of a network, each of which knows the first."""
    with ExitStack() as stack:
        nodes: list[RunningNode] = []
        for number in range(count):
            home, peers = folder / f"validator{number}", announced(nodes[0].home).addresses[:1] if nodes else []
            config = HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0", peers=peers)
            create_home(home, rules, secret(number + 1).seed, config)
            nodes.append(stack.enter_context(running(home)))
        yield nodes


def work_for(node: RunningNode, rules: Genesis) -> Iterator[None]:
    """Something to do for every slot, for as long as anybody goes on with this, within the deadline."""
    deadline, count = time.monotonic() + DEADLINE_S, FIRST_MEMBER
    while time.monotonic() < deadline:
        assert node.submit([Actor(rules, count).sign(Enrol())]) == [None]
        count += 1
        yield
        time.sleep(SUBMIT_EVERY_S)
    raise AssertionError(f"not within {DEADLINE_S} s: {node.log()}")


def mesh_of(node: RunningNode) -> float:
    """How many peers blocks are passed on to."""
    found = _MESH.search(node.ask("/metrics").text)
    assert found is not None
    return float(found[1])
