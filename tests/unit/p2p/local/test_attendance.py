"""Whose slots passed without a block, and who said nothing about a final one."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from chain.base.keys import did_from_key
from chain.protocol.events import Effect, Event, Finalized, HeadMoved
from p2p.local.attendance import Attendance
from tests.scenarios.crafting import Traffic
from tests.support.world import Host, World

SLOTS, BLOCKS = "goodfaith_slots_missed_total", "goodfaith_consensus_validator_missed_blocks"


class Observed:
    """A network of four, and what its first node counts of the others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = World(4, seed=5)
        self.traffic = Traffic(self.world)
        self.registry = CollectorRegistry()
        self.attendance = Attendance(self.registry)
        self.attendance.begin(self.world.hosts[0].engine)
        perform = Host._perform

        def seen(host: Host, effect: Effect, event: Event) -> None:
            if host is self.world.hosts[0]:
                self.note(effect)
            perform(host, effect, event)

        monkeypatch.setattr(Host, "_perform", seen)

    def note(self, effect: Effect) -> None:
        engine = self.world.hosts[0].engine
        if isinstance(effect, HeadMoved):
            self.attendance.head_moved(effect.header, effect.depth, engine)
        elif isinstance(effect, Finalized):
            self.attendance.finalized(effect.header, engine)

    def counts(self, name: str) -> list[float]:
        """By validator."""
        keys = [did_from_key(host.key.public) for host in self.world.hosts if host.key is not None]
        return [self.registry.get_sample_value(name, {"validator_address": key}) or 0.0 for key in keys]

    def missing(self) -> Any:
        return self.registry.get_sample_value("goodfaith_consensus_missing_validators")


@pytest.fixture
def observed(monkeypatch: pytest.MonkeyPatch) -> Observed:
    return Observed(monkeypatch)


def test_who_is_there_misses_nothing(observed: Observed) -> None:
    observed.traffic.enrol()
    observed.traffic.run(40, 0)
    assert (observed.counts(SLOTS), observed.counts(BLOCKS), observed.missing()) == ([0] * 4, [0] * 4, 0)


def test_who_is_away_misses_its_slots_and_every_block(observed: Observed) -> None:
    observed.traffic.enrol()
    observed.traffic.run(8, 0)
    observed.world.hosts[2].crash()
    observed.traffic.run(80, 0)
    slots, blocks = observed.counts(SLOTS), observed.counts(BLOCKS)
    assert 18 <= slots[2] <= 20
    assert slots[:2] + slots[3:] == [0] * 3
    assert blocks[2] >= 50
    assert blocks[:2] + blocks[3:] == [0] * 3
    assert observed.missing() == 1


def test_an_idle_network_misses_no_slots(observed: Observed) -> None:
    observed.traffic.enrol()
    observed.world.run(200)
    assert observed.counts(SLOTS) == [0] * 4
