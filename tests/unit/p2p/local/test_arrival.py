"""Joining by state, seen by its operator: when it is done at all, from where on it trusts, and how far it is."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from chain.base.errors import OperatorError
from chain.branches.lightchain import Checkpoint
from chain.disk.database import DATABASE
from chain.disk.newcomer import draft_of
from p2p.local import arrival
from p2p.local.arrival import HEADERS, STATE, Rate, arrive, check_age
from p2p.local.config import HomeConfig
from p2p.local.home import Home, create_home, load_home
from scripts.testnet_parts.homes import free_ports
from tests.support.asking import answer
from tests.support.running import DEADLINE_S, ROOT
from tests.support.world import GENESIS_MS, genesis_of, secret

GENESIS = genesis_of(4)
DAY_MS = 86_400_000
PIN = Checkpoint(7, bytes(32))


def home(folder: Path, **settings: str) -> Home:
    config = HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], **settings)  # type: ignore[arg-type]
    create_home(folder / "home", GENESIS, secret(1).seed, config)
    return load_home(folder / "home")


def test_what_is_trusted_is_no_older_than_the_policy_says() -> None:
    days = GENESIS.policy.bodies_days
    young, old = (GENESIS_MS + days * DAY_MS + more_ms for more_ms in (0, 2_000))
    check_age(GENESIS, None, young)
    with pytest.raises(OperatorError, match=rf"this chain is older than {days} days.*--checkpoint HEIGHT:ID"):
        check_age(GENESIS, None, old)
    check_age(GENESIS, PIN, old)
    check_age(GENESIS, PIN, old, slot=10)
    with pytest.raises(OperatorError, match="the block of the checkpoint is older"):
        check_age(GENESIS, PIN, old + 60_000, slot=10)


async def test_who_is_not_told_to_joins_by_blocks(tmp_path: Path) -> None:
    fresh = home(tmp_path)
    await arrive(fresh)
    assert not draft_of(fresh.path / DATABASE).exists()


async def test_what_was_fetched_goes_where_the_home_has_a_chain_already(tmp_path: Path) -> None:
    """It was killed between its last two steps."""
    ended = home(tmp_path, join="state")
    block = "INSERT INTO blocks (id, parent, height, main, transactions, body) VALUES (x'01', x'00', 1, 1, 0, x'00')"
    with closing(sqlite3.connect(ended.path / DATABASE)) as connection, connection:
        connection.execute(block)
    draft_of(ended.path / DATABASE).touch()
    await arrive(ended)
    assert not draft_of(ended.path / DATABASE).exists()


async def test_how_far_it_is_stands_in_status_and_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "TOLD_EVERY_S", 0.05)
    monkeypatch.setattr(arrival, "check_age", lambda *_arguments: None)
    (port,) = free_ports(1)
    fresh = home(tmp_path, join="state", http=f"127.0.0.1:{port}")
    assert answer(fresh.path, "sync")["joining"] is False
    async with trio.open_nursery() as nursery, httpx.AsyncClient(trust_env=False, timeout=DEADLINE_S) as client:
        nursery.start_soon(arrive, fresh)
        with trio.fail_after(DEADLINE_S):
            while (status := await _status(client, port)) is None:
                await trio.sleep(0.05)
            other = await client.get(f"http://127.0.0.1:{port}/top")
            while (told := await _told(fresh.path))["joining"] is False:
                await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
    assert status["chain_id"] == GENESIS.id.hex()
    assert status["joining"]["phase"] == told["phase"] == HEADERS
    assert told["peers"] == 0
    assert (other.status_code, "joins by state" in other.json()["detail"]) == (404, True)


async def _told(home: Path) -> Any:
    """What another process sees: in this one the log goes to the same terminal."""
    command = [sys.executable, str(ROOT / "scripts" / "inspect_chain.py"), "sync", "--home", str(home), "--json"]
    return json.loads((await trio.run_process(command, capture_stdout=True)).stdout)


async def _status(client: httpx.AsyncClient, port: int) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = (await client.get(f"http://127.0.0.1:{port}/status")).json()
    except httpx.TransportError:
        return None
    return found


def test_a_rate_is_of_what_was_done_since_it_was_told() -> None:
    rate = Rate()
    assert [rate.of(HEADERS, done, now) for done, now in ((0, 0), (500, 5), (500, 5.5), (1_500, 10))] == [
        *(0, 100, 100, 200)
    ]
    assert [rate.of(STATE, 70, 11), rate.of(STATE, 90, 13)] == [0, 10]
