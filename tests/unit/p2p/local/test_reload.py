"""A changed ``config.toml`` is taken over by a running node, as far as it can be."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import structlog.testing
import trio

from p2p.local.config import HomeConfig
from p2p.local.reload import RELOAD, follow_config
from tests.unit.p2p.net import until


async def reread(path: Path, before: HomeConfig, *texts: str) -> tuple[list[HomeConfig], list[str]]:
    """What a node with the configuration ``before`` adopts as the file becomes each of ``texts``, and what it says."""
    adopted: list[HomeConfig] = []
    with structlog.testing.capture_logs() as said, trio.open_signal_receiver(RELOAD) as asked:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow_config, asked, path, before, adopted.append)
            for count, text in enumerate(texts):
                path.write_text(text, encoding="utf-8")
                signal.raise_signal(RELOAD)
                await until(lambda count=count: len(said) > count)  # type: ignore[misc]
            nursery.cancel_scope.cancel()
    return adopted, [" ".join(f"{name}={value}" for name, value in line.items()) for line in said]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


async def test_what_can_change_at_once_does(path: Path) -> None:
    adopted, said = await reread(path, HomeConfig(), "max_peers = 3\nhttp = '127.0.0.1:9'\nlog_level = 'debug'")
    assert adopted == [HomeConfig(max_peers=3, log_level="debug")]
    assert "changed=log_level max_peers at_the_next_start=http" in said[0]


async def test_what_waits_for_a_start_is_said_each_time(path: Path) -> None:
    adopted, said = await reread(path, HomeConfig(ban_s=9), "peers = ['x']\nban_s = 9", "peers = ['x']\nban_s = 10")
    assert adopted == [HomeConfig(ban_s=9), HomeConfig(ban_s=10)]
    assert ["changed=nothing at_the_next_start=peers" in said[0], "changed=ban_s at_the_next" in said[1]] == [True] * 2


async def test_a_mistake_changes_nothing_and_ends_nothing(path: Path) -> None:
    adopted, said = await reread(path, HomeConfig(), "\nmax_peer = 3", "max_peers = 3")
    assert adopted == [HomeConfig(max_peers=3)]
    assert "line 2: no setting 'max_peer'; did you mean 'max_peers'?" in said[0]
