"""Rushed histories: nothing that falls due goes wrong; and what once stopped every node is found again within a few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chain.base.errors import Reason, Refused
from chain.content.identities import Left, left_key
from chain.register import governance, members, recovery
from chain.register.draft import Draft
from chain.register.statekeys import account_key, member_key
from scripts import histories
from scripts.histories_parts.rushed import run_rushed
from tests.support.commands import exit_code

# So many histories show each of the faults.
MANY = 200


def test_nothing_goes_wrong() -> None:
    outcomes = [run_rushed(seed) for seed in range(60)]
    assert [(outcome.seed, outcome.violation) for outcome in outcomes if outcome.violation] == []
    accepted = {kind for outcome in outcomes for kind in outcome.accepted}
    assert accepted >= {
        "enrol", "rotate", "leave", "veto", "recover", "guardians", "annul", "rate", "retract", "dispute", "reply",
        "record", "object", "answer", "rule", "appeal", "repair", "statement", "reopen", "motion", "approve",
        "consent", "lost", "attest",
    }  # fmt: skip


def test_a_seed_gives_the_same_history() -> None:
    assert run_rushed(7) == run_rushed(7) != run_rushed(8)


def _moves_to_a_key_that_is_gone(draft: Draft, key: bytes) -> bool:
    """A recovery to a fresh key that enrolled, and is gone before the recovery is due."""
    account: Any = draft.get(account_key(key))
    return not (account.identity or account.successor or draft.get(member_key(key)) or draft.authority(key))


def _enrols_while_it_is_forgotten(draft: Draft, actor: bytes) -> bytes:
    """A member of many keys comes back with its last one, while the first are being forgotten."""
    identity = draft.identity(actor)
    if draft.get(member_key(identity)) is not None:
        raise Refused(Reason.ALREADY_ENROLLED)
    left: Left | None = draft.get(left_key(actor))
    if left is not None:
        raise Refused(Reason.HAS_LEFT)
    return identity


def _nothing(*_arguments: Any) -> None:
    """An office for a key that is about to be forgotten."""


@pytest.mark.parametrize(
    ("where", "name", "fault"),
    [
        (recovery, "_is_nobodys", _moves_to_a_key_that_is_gone),
        (members, "check_new", _enrols_while_it_is_forgotten),
        (governance, "check_not_gone", _nothing),
    ],
)
def test_an_old_fault_is_found_again(
    where: Any, name: str, fault: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, name, fault)
    assert any(run_rushed(seed).violation for seed in range(MANY)), fault.__doc__


def test_the_command_runs_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(histories.main, ["--rushed", "--seeds", "0..3", "--processes", "1"]) == 0
    assert "histories" in capsys.readouterr().out
    assert exit_code(histories.main, ["--rushed", "--mutate", "all"]) == 2
    assert "leave --rushed out" in capsys.readouterr().err
