"""Validators change while the network is cut and villains stand on both sides of it: still nobody finalizes two chains.

Where a branch went over to its new validators before all others could know, one villain of four was enough for a fork:
two of the old four and the villain on one side of a cut, a newcomer, one of the old ones and the villain on the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chain.content.proposals import (
    AddValidator,
    JailValidator,
    Proposal,
    ReleaseValidator,
    RemoveValidator,
    ReplaceValidator,
    ReweighValidator,
)
from scripts.simulation import bridges
from scripts.simulation.bridges import Rift
from scripts.simulation.history import FIRST_SPARE, History
from scripts.simulation.settings import Settings
from scripts.simulation.world import secret

# Of four, the seed lets the second be the villain; of ten, these three.
SEED = 1
SLOTS = 28
# The first change is decided in slot 6 or 7, both sets decide from the next block or the one after, and the new one
# alone some two blocks later.
AROUND_THE_DECISION = range(4, 16)


def seat(number: int) -> bytes:
    return secret(number + 1).public


def spare(number: int) -> bytes:
    return secret(FIRST_SPARE + number).public


def change(
    monkeypatch: pytest.MonkeyPatch,
    nodes: int,
    rounds: Sequence[Sequence[Proposal]],
    left: Sequence[str],
    turns: Sequence[int],
) -> History:
    """Live through it.  Raises :class:`Violation`, for a fork, say."""
    rift = Rift(tuple(map(tuple, rounds)), tuple(left), tuple(turns))
    monkeypatch.setattr(bridges, "draw_rift", lambda _world: rift)
    history = History(Settings(nodes, max(SLOTS, turns[-1] + 8), "setfork", only_effects=True), SEED)
    history.run()
    assert history.world.checks.forked == 0
    return history


def weights(history: History) -> dict[bytes, int]:
    return history.world.checks.newcomer.electorate.current.by_key


@pytest.mark.parametrize("cut_slot", AROUND_THE_DECISION)
def test_one_of_four_is_replaced(monkeypatch: pytest.MonkeyPatch, cut_slot: int) -> None:
    history = change(monkeypatch, 4, [[ReplaceValidator(seat(3), spare(0))]], ["node0", "spare0"], [cut_slot])
    assert history.villains == ("villain1",)
    assert spare(0) in weights(history)
    assert history.world.checks.jailed == 1


@pytest.mark.parametrize("turns", [(8, 11), (9, 12, 13, 20), (7, 8, 9, 10, 11, 12)])
def test_the_cut_is_healed_and_comes_back(monkeypatch: pytest.MonkeyPatch, turns: Sequence[int]) -> None:
    rounds = [[ReplaceValidator(seat(3), spare(0))], [ReplaceValidator(seat(2), spare(1))]]
    change(monkeypatch, 4, rounds, ["node0", "spare0", "spare1"], turns)


@pytest.mark.parametrize("cut_slot", [18, 20, 22])
def test_jailed_released_and_heavier_in_the_middle_of_a_cut(monkeypatch: pytest.MonkeyPatch, cut_slot: int) -> None:
    # given one that is jailed and comes back, once another weighs enough that nobody misses it
    rounds: list[list[Proposal]] = [
        [ReweighValidator(seat(0), 2)],
        [JailValidator(seat(3))],
        [],  # until the first two are in force: before, two are not enough to release a third
        [ReleaseValidator(seat(3)), ReweighValidator(seat(3), 3)],
    ]
    history = change(monkeypatch, 4, rounds, ["node0"], [cut_slot, cut_slot + 15])
    assert weights(history)[seat(0)] == 2
    assert weights(history)[seat(3)] == 3


@pytest.mark.parametrize("cut_slot", [8, 10, 12])
def test_weights_that_differ(monkeypatch: pytest.MonkeyPatch, cut_slot: int) -> None:
    # given one that outweighs all others together once it is there, and one that leaves after it
    rounds: list[list[Proposal]] = [[AddValidator(spare(0), 3)], [RemoveValidator(seat(2))]]
    history = change(monkeypatch, 4, rounds, ["node3", "spare0"], [cut_slot, SLOTS])
    assert weights(history)[spare(0)] == 3
    assert seat(2) not in weights(history)


@pytest.mark.parametrize("turns", [(9,), (13, 25)])
def test_three_of_ten_are_replaced(monkeypatch: pytest.MonkeyPatch, turns: Sequence[int]) -> None:
    rounds = [[ReplaceValidator(seat(number), spare(at)) for at, number in enumerate((7, 8, 9))]]
    left = ["spare0", "spare1", "spare2", "node0", "node3"]
    history = change(monkeypatch, 10, rounds, left, turns)
    assert history.villains == ("villain1", "villain2", "villain4")
    assert {spare(number) for number in range(3)} <= weights(history).keys()
