"""What is set aside: how much of it, of how many, and for how long."""

from __future__ import annotations

import pytest

from chain.content.actions import Rate
from chain.content.transactions import VerifiedTransaction
from chain.protocol import aside
from chain.protocol.aside import Aside
from tests.support.world import Actor, genesis_of

GENESIS = genesis_of(4)


def rates(number: int, count: int) -> list[VerifiedTransaction]:
    actor = Actor(GENESIS, number)
    return [actor.sign(Rate(bytes(32), 1, 1)) for _ in range(count)]


def test_it_is_taken_once() -> None:
    kept, ours = Aside(), rates(1, 2)
    for transaction in (*ours, ours[0]):
        kept.put(transaction, 7)
    assert kept.take() == [ours[1], ours[0]]
    assert kept.take() == []


def test_it_is_forgotten_once_what_rules_it_out_is_final() -> None:
    kept, (one, two), (other,) = Aside(), rates(1, 2), rates(2, 1)
    for transaction, height in ((one, 7), (two, 8), (other, 7)):
        kept.put(transaction, height)
    kept.put(one, 9)  # by another block than before
    kept.forget(8)
    assert kept.take() == [one]


def test_it_is_kept_while_another_is_in_its_place() -> None:
    kept, (one, two) = Aside(), rates(1, 2)
    kept.put(one, None)
    kept.put(two, 7)
    kept.forget(9)
    assert kept.take_displaced() == [one]
    assert kept.take() == []


def test_whoever_signs_nonces_twice_pushes_out_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "MAX_OF_ACTOR", 2)
    kept, ours, theirs = Aside(), rates(1, 1), rates(2, 9)
    for transaction in (*ours, *theirs):
        kept.put(transaction, 7)
    assert kept.take() == [*ours, *theirs[-2:]]


def test_it_is_that_of_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "MAX_ACTORS", 2)
    kept, sent = Aside(), [rates(number, 1)[0] for number in (1, 2, 3)]
    for transaction in sent:
        kept.put(transaction, 7)
    assert kept.take() == sent[1:]
