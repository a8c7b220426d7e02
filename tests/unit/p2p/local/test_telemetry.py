"""Metrics that count what happened."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from prometheus_client import generate_latest

from chain.base.errors import Reason, Refused
from chain.content.actions import Enrol
from chain.protocol.clock import Mute
from chain.protocol.events import (
    Commit,
    Equivocation,
    Fault,
    Finalized,
    HeadMoved,
    Notice,
    PeerLost,
    SigningState,
    Silenced,
)
from p2p.local.telemetry import MAX_HEADS, Telemetry
from tests.support.forge import Forge, Rig
from tests.support.world import Actor, genesis_of

GENESIS = genesis_of(1)


def metrics(telemetry: Telemetry) -> dict[str, float]:
    lines = generate_latest(telemetry.registry).decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def tell(telemetry: Telemetry, *effects: Any) -> None:
    engine = Rig(GENESIS).engine
    for effect in effects:
        telemetry.tell(effect, engine)


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
    assert seen["goodfaith_reorgs_total"] == 1
    assert seen["goodfaith_commit_seconds_count"] == 2
    assert seen["goodfaith_block_delay_seconds_count"] == 2


def test_what_was_put_aside_is_counted_and_logged(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry = Telemetry()
    tell(telemetry, Fault("what was due of the entry 79 waits a day, as it ended in KeyError"))
    assert (telemetry.fault_count, metrics(telemetry)["goodfaith_faults_total"]) == (1, 1)
    assert "waits a day" in capsys.readouterr().out


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


def test_of_transactions_those_are_final_whose_blocks_are_durable_and_final() -> None:
    forge = Forge(GENESIS)
    first = forge.block(None, _enrolments(2))
    second = forge.block(first, _enrolments(3))
    rival = forge.block(first, _enrolments(1), slot=9)
    # given a start with five transactions, three of them in a block that is not final
    telemetry = Telemetry(transactions=5, unfinal=(second,))
    assert telemetry.final_count == 2
    # when that block gives way to another
    telemetry.tell_commit(Commit(adopted=(rival,), abandoned=(second,)), 0.0)
    # then none is final more or less, until that is final
    assert (telemetry.transaction_count, telemetry.final_count) == (3, 2)
    telemetry.tell_commit(Commit(finalized_height=2), 0.0)
    assert telemetry.final_count == 3


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
        Notice("silent", "its signing state was lost"),
    )
    seen = metrics(telemetry)
    assert seen['goodfaith_mempool_failed_txs_total{reason="expired"}'] == 2
    assert seen["goodfaith_equivocations_total"] == 1


def test_the_memory_of_heads_is_bounded() -> None:
    telemetry = Telemetry()
    header = Forge(GENESIS).block().header
    tell(telemetry, *[HeadMoved(header, 0, 0, 0)] * (MAX_HEADS + 5))
    assert len(telemetry.heads) == MAX_HEADS
    assert telemetry.heads[-1]["seq"] == MAX_HEADS + 5


def test_lost_lines_of_the_log_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.local.metrics.LOST", Counter(unread=7, repeated=2))
    seen = metrics(Telemetry())
    assert seen['goodfaith_log_lines_lost_total{why="unread"}'] == 7
    assert seen['goodfaith_log_lines_lost_total{why="repeated"}'] == 2


def test_what_peers_sent_in_vain_is_counted_and_what_they_are_blamed_for(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Counter({Reason.WRONG_STATE_ROOT: 2, Reason.FUTURE_SLOT: 3, Reason.MALFORMED: 1})
    monkeypatch.setattr("p2p.local.metrics.REFUSED", refused)
    monkeypatch.setattr("p2p.local.metrics.BLAMED", Counter({Reason.WRONG_STATE_ROOT: 2}))
    seen = {name: count for name, count in metrics(Telemetry()).items() if "reason=" in name}
    assert seen == {
        'goodfaith_p2p_refusals_total{reason="wrong_state_root"}': 2,
        'goodfaith_p2p_refusals_total{reason="future_slot"}': 3,
        'goodfaith_p2p_refusals_total{reason="malformed"}': 1,
        'goodfaith_penalties_total{reason="wrong_state_root"}': 2,
    }


def test_bytes_of_peers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.local.metrics.TRAFFIC", Counter(sent=1_234, received=5))
    seen = metrics(Telemetry())
    assert seen["goodfaith_p2p_message_send_bytes_total"] == 1_234
    assert seen["goodfaith_p2p_message_receive_bytes_total"] == 5


def test_a_silent_validator_shows_why_and_when_it_signs_again() -> None:
    telemetry = Telemetry()
    tell(telemetry, Silenced(Mute("slot_ahead", "it signed slot 9", 5_500)))
    seen = metrics(telemetry)
    assert (seen['goodfaith_silent{why="slot_ahead"}'], seen["goodfaith_signs_again_seconds"]) == (1, 5)
    tell(telemetry, Silenced(Mute("signing_state_lost", "it was lost")))
    seen = metrics(telemetry)
    assert (seen['goodfaith_silent{why="signing_state_lost"}'], seen["goodfaith_signs_again_seconds"]) == (1, 0)
    tell(telemetry, Silenced(None))
    assert not any(name.startswith("goodfaith_silent") for name in metrics(telemetry))
