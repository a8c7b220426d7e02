"""Real node processes, judged from outside: by their exit codes, their HTTP face and their homes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from chain.base.codec import encode
from chain.content.transactions import Transaction

ROOT = Path(__file__).parents[2]
# Far more than a slow machine needs; a test that waits this long has failed.
DEADLINE_S = 300.0


def wait_for(condition: Callable[[], object], what: str, every_s: float = 0.02) -> None:
    """Wait until ``condition`` holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(every_s)


def node_command(*arguments: str) -> list[str]:
    """The command line of ``node.py``."""
    return [sys.executable, str(ROOT / "node.py"), *arguments]


def run_to_end(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``node.py`` until it ends by itself."""
    return subprocess.run(
        node_command(*arguments), capture_output=True, text=True, timeout=DEADLINE_S, check=False, **options
    )


class RunningNode:
    """A node process and its HTTP face."""

    def __init__(self, home: Path, process: subprocess.Popen[str]) -> None:
        self.home = home
        self.process = process
        self.url = ""

    def wait_ready(self) -> None:
        wait_for(self._is_ready, f"{self.home} is ready: {self.log()}")

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            facts = json.loads((self.home / "node.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        self.url = facts["http"]
        return bool(facts["pid"] == self.process.pid)

    def log(self) -> str:
        return (self.home.parent / f"{self.home.name}.log").read_text(encoding="utf-8")

    def wait_said(self, text: str) -> None:
        """Wait until this is in its log, which is written beside what it does, and maybe after it was seen."""
        wait_for(lambda: text in self.log(), f"{text!r} in {self.home}.log")

    def ask(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=DEADLINE_S, trust_env=False, verify=False, **options)

    def get(self, path: str) -> Any:
        return self.ask(path).json()

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.get("/status")
        return status

    def post(self, body: bytes, content_type: str = "application/msgpack") -> httpx.Response:
        headers = {"content-type": content_type}
        url = self.url + "/transactions"
        # Nothing is encrypted here: reading the machine's certificates would cost more than the request.
        return httpx.post(url, content=body, headers=headers, timeout=DEADLINE_S, trust_env=False, verify=False)

    def submit(self, transactions: Sequence[Transaction]) -> list[Any]:
        """Offer transactions; one outcome each, None where it was taken."""
        reply = self.post(encode(tuple(transaction.raw for transaction in transactions)))
        outcomes: list[Any] = reply.json()["outcomes"]
        return outcomes


@contextmanager
def starting(home: Path, *arguments: str, **options: Any) -> Iterator[RunningNode]:
    """A node of this home, not ready yet; killed at the end if it still runs."""
    with (
        (home.parent / f"{home.name}.log").open("a") as log,
        subprocess.Popen(
            node_command("run", "--home", str(home), *arguments), stderr=log, text=True, **options
        ) as process,
    ):
        try:
            yield RunningNode(home, process)
        finally:
            process.kill()


@contextmanager
def running(home: Path, *arguments: str, **options: Any) -> Iterator[RunningNode]:
    """A node of this home, ready; killed at the end if it still runs."""
    with starting(home, *arguments, **options) as node:
        node.wait_ready()
        yield node
