"""What is made once for all nodes: no history is another for it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest

from chain.branches import blocktree
from chain.consensus.votes import Votes
from chain.protocol import admission, skeleton
from scripts.simulation import history
from scripts.simulation.settings import Outcome, Settings
from scripts.simulation.sharing import shared


@pytest.mark.parametrize(("settings", "seed"), [(Settings(slots=60), 2), (Settings(slots=40, disk="real"), 5)])
def test_a_history_in_which_every_node_makes_all_for_itself_is_the_same(
    settings: Settings, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = history.run_history(settings, seed)
    monkeypatch.setattr(history, "shared", nullcontext)
    assert untimed(history.run_history(settings, seed)) == untimed(together)


def test_what_is_in_force_is_shared_for_one_history_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    monkeypatch.setattr(admission, "decode_header", read.append)
    judge, genesis = vars(blocktree)["judge"], vars(Votes)["genesis"]
    for times in (1, 2):
        with shared():
            vars(admission)["decode_header"](b"header")
            vars(admission)["decode_header"](b"header")
            assert vars(blocktree)["judge"] is vars(skeleton)["judge"] is not judge
        assert len(read) == times
    assert vars(blocktree)["judge"] is judge
    assert vars(Votes)["genesis"] is genesis


def untimed(outcome: Outcome) -> Outcome:
    return replace(outcome, cpu_ms=0)
