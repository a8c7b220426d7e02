"""Logs that nobody outside can forge, and metrics that count what happened."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import generate_latest

from chain.errors import Reason, Refused
from chain.events import Commit, Equivocation, Finalized, HeadMoved, Notice, PeerLost, Penalise, SigningState
from chain.transactions import Enrol
from p2p.local.telemetry import MAX_HEADS, Telemetry, configure_logging
from tests.support.forge import Forge, Rig
from tests.support.world import Actor, genesis_of

GENESIS = genesis_of(1)
FORGED = "gone\n2026-01-01 [info] final height=9\x1b[2J\r\u2028"


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    noisy = {name: logging.getLogger(name).level for name in ("libp2p", "hypercorn", "multiaddr", "async_service")}
    yield
    root.handlers[:], level = before
    root.setLevel(level)
    for name, level in noisy.items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()


def metrics(telemetry: Telemetry) -> dict[str, float]:
    lines = generate_latest(telemetry.registry).decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def tell(telemetry: Telemetry, *effects: Any) -> None:
    engine = Rig(GENESIS).engine
    for effect in effects:
        telemetry.tell(effect, engine)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_peer_can_forge_no_line(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    configure_logging("info", as_json=as_json)
    logging.getLogger("p2p.protocol").info("request to %s failed: %s", "12D3", FORGED)
    structlog.get_logger("test").warning("penalty", why=FORGED)
    written = capsys.readouterr().err
    assert written.count("\n") == 2
    assert not set(written) & {"\x1b", "\r", "\u2028"}
    assert len(written.splitlines()) == 2


def test_json_lines_are_objects_with_their_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", as_json=True)
    structlog.get_logger("test").info("head", height=7)
    logging.getLogger("somewhere").warning("odd: %d", 3)
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["event"], first["height"], first["level"]) == ("head", 7, "info")
    assert (second["event"], second["level"]) == ("odd: 3", "warning")
    assert first["timestamp"].endswith("Z")


def test_levels_and_noisy_libraries_are_kept_down(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("warning", as_json=True)
    structlog.get_logger("test").info("unseen")
    logging.getLogger("libp2p.pubsub").error("whatever a peer makes the library say")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("as_json", [True, False])
def test_an_exception_is_shown_with_its_traceback(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    configure_logging("info", as_json=as_json)
    try:
        raise ValueError("a fault of ours")
    except ValueError:
        logging.getLogger("p2p.requests").exception("answering failed")
    written = capsys.readouterr().err
    assert "Traceback" in written
    assert "a fault of ours" in written
    assert sys.exc_info() == (None, None, None)


def test_commits_and_heads_are_counted() -> None:
    forge = Forge(genesis_of(4))
    first = forge.block()
    telemetry = Telemetry(10, first.header.proposer)
    second = forge.block(first)
    telemetry.tell_commit(Commit(adopted=(first,), signing=SigningState(slot=1)), 0.01)
    tell(telemetry, HeadMoved(first.header, 0, 0, 120), Finalized(first.header))
    telemetry.tell_commit(Commit(adopted=(second,), abandoned=(first,)), 0.01)
    tell(telemetry, HeadMoved(second.header, 0, 1, -5), PeerLost("nobody"))
    assert [(head["seq"], head["height"], head["made_here"]) for head in telemetry.heads] == [
        (1, 1, True), (2, 2, False),
    ]  # fmt: skip
    assert (telemetry.transaction_count, telemetry.reorg_count) == (10, 1)
    seen = metrics(telemetry)
    assert seen["goodfaith_height"] == 2
    assert seen["goodfaith_finalized_height"] == 1
    assert seen["goodfaith_reorgs_total"] == 1
    assert seen["goodfaith_commit_seconds_count"] == 2
    assert seen["goodfaith_block_delay_seconds_count"] == 2


def test_transactions_are_counted_as_they_come_and_go() -> None:
    telemetry = Telemetry(transactions=1)
    forge = Forge(GENESIS)
    block = forge.block()
    enrolled = forge.block(None, _enrolments(3), slot=2)
    telemetry.tell_commit(Commit(adopted=(enrolled,)), 0.0)
    assert telemetry.transaction_count == 4
    telemetry.tell_commit(Commit(adopted=(block,), abandoned=(enrolled,)), 0.0)
    assert telemetry.transaction_count == 1
    assert metrics(telemetry)["goodfaith_transactions_total"] == 3


def _enrolments(count: int) -> list[Any]:
    return [Actor(GENESIS, 100 + number).sign(Enrol()) for number in range(count)]


def test_troubles_are_counted_by_their_reason() -> None:
    telemetry = Telemetry()
    forge = Forge(GENESIS)
    one, two = forge.block(), forge.block(None, mhp=1)
    telemetry.tell_outcomes([None, Refused(Reason.EXPIRED), Refused(Reason.EXPIRED)])
    tell(
        telemetry,
        Equivocation(one.header, two.header),
        Penalise("12D3", Refused(Reason.WRONG_STATE_ROOT, "no")),
        Notice("silent", "its signing state was lost"),
    )
    seen = metrics(telemetry)
    assert seen['goodfaith_refused_total{reason="expired"}'] == 2
    assert seen['goodfaith_penalties_total{reason="wrong_state_root"}'] == 1
    assert seen["goodfaith_equivocations_total"] == 1


def test_the_memory_of_heads_is_bounded() -> None:
    telemetry = Telemetry()
    header = Forge(GENESIS).block().header
    tell(telemetry, *[HeadMoved(header, 0, 0, 0)] * (MAX_HEADS + 5))
    assert len(telemetry.heads) == MAX_HEADS
    assert telemetry.heads[-1]["seq"] == MAX_HEADS + 5
