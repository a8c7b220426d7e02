"""Schemathesis asks every endpoint what its OpenAPI document allows, and what it does not, and finds nothing."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
import trio
from starlette.applications import Starlette

from p2p.local import door, http
from p2p.local.http import build_app, serve_app
from tests.support.registered import lively_city
from tests.support.resting import resting

pytestmark = pytest.mark.skipif(find_spec("schemathesis") is None, reason="schemathesis is not installed")

TIMEOUT_S = 300.0
# The same questions each time; its own phases know all the edges of a parameter.
OPTIONS = (
    *("--phases", "examples,coverage,fuzzing"),
    *("--max-examples", "5"),
    *("--seed", "1"),
    *("--exclude-path", "/events"),  # it does not end
    *("--exclude-path", "/health"),  # this node is alone, and says so with 503
    *("--generation-database", "none"),
    *("--request-timeout", str(TIMEOUT_S)),
    *("--suppress-health-check", "all"),
    *("--warnings", "off"),
)


def test_nothing_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    city = lively_city()
    home = city.write(tmp_path / "home", only_final=True)
    monkeypatch.setattr(door, "COSTLY_AT_ONCE", 1_000_000)
    monkeypatch.setattr(http, "ANSWER_TIMEOUT_S", TIMEOUT_S)
    monkeypatch.setattr(http, "BODY_TIMEOUT_S", TIMEOUT_S)
    with resting(home, city.genesis) as face, served(build_app(face)) as url:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", *OPTIONS]
        found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr[-5_000:]


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """Where an app is served by a thread."""
    begun: queue.SimpleQueue[tuple[str, trio.lowlevel.TrioToken, trio.CancelScope]] = queue.SimpleQueue()

    async def serve() -> None:
        async with trio.open_nursery() as nursery:
            url = await nursery.start(serve_app, app, "127.0.0.1:0")
            begun.put((url, trio.lowlevel.current_trio_token(), nursery.cancel_scope))

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    url, token, scope = begun.get()
    try:
        yield url
    finally:
        token.run_sync_soon(scope.cancel)
        thread.join()
