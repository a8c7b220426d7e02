"""What people ask a running testnet to do to its nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain.base.errors import OperatorError
from scripts.testnet_parts.acts import Act, answer, answered, leave, read_act, take

NAMES = ["node0", "node1"]


def test_what_is_asked_for_is_taken_once(tmp_path: Path) -> None:
    path = leave(tmp_path, read_act("stop node1", NAMES))
    assert take(tmp_path, NAMES) == [(path, Act("stop", "node1"))]
    assert take(tmp_path, NAMES) == []
    assert list(tmp_path.iterdir()) == []


def test_whoever_asked_is_told_what_was_done(tmp_path: Path) -> None:
    path = leave(tmp_path, read_act("heal node1", NAMES))
    take(tmp_path, NAMES)
    answer(path, "node1 does not run")
    assert answered(path) == "node1 does not run"
    assert list(tmp_path.iterdir()) == []


def test_where_no_testnet_runs_nothing_stays_to_be_done_by_the_next(tmp_path: Path) -> None:
    path = leave(tmp_path, read_act("stop node1", NAMES))
    with pytest.raises(OperatorError, match="is one running there"):
        answered(path, patience_s=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["stop", "stop node2", "burn node1", "stop node1 now", ""])
def test_what_nobody_can_do_is_refused(text: str) -> None:
    with pytest.raises(OperatorError, match="one of stop, start, cut, heal"):
        read_act(text, NAMES)


@pytest.mark.parametrize("text", ["", "[]", '["stop"]', '["stop", "../node1"]', "{}", "null", "[1, 2]"])
def test_a_file_of_another_kind_does_nothing_and_goes(tmp_path: Path, text: str) -> None:
    (tmp_path / "act-00.json").write_text(text, encoding="utf-8")
    assert take(tmp_path, NAMES) == []
    assert list(tmp_path.iterdir()) == []
