"""Scores equal a recount from scratch, refusals change nothing, and blocks can be undone and redone."""

from __future__ import annotations

import json
from functools import cache
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from chain.blocks import Block
from chain.errors import Disposition, Reason
from chain.genesis import make_genesis
from chain.ledger import Ledger
from chain.registry import Member, encode_record, genesis_records, member_key, member_summary
from chain.statetree import StateTree
from chain.transactions import Action, Enrol, Rate, VerifiedTransaction, sign_transaction
from tests.support.forge import Forge
from tests.support.refusals import refusal
from tests.support.world import genesis_of, secret

DOCUMENT = json.loads(genesis_of(4, max_expiry_blocks=20).to_json())
DOCUMENT["policy"]["rating"].append({"code": 7, "name": "help", "min": 0, "max": 3})
DOCUMENT["policy"]["score"].update({"base": 100, "ratings_floor": -15, "ratings_cap": 12})
GENESIS = make_genesis(DOCUMENT)
ACTORS = [secret(50 + number) for number in range(4)]
KEYS = [actor.public for actor in ACTORS]


class Step(NamedTuple):
    """One attempt: ``slip`` is added to the right nonce, ``life`` to the height."""

    actor: int
    rates: tuple[int, int, int] | None  # subject, category, points; None enrols
    slip: int
    life: int


@cache
def signed(actor: int, nonce: int, expiry: int, action: Action) -> VerifiedTransaction:
    return sign_transaction(ACTORS[actor], GENESIS.id, nonce, expiry, action)


def mostly(usual: int, *odd: int) -> st.SearchStrategy[int]:
    return st.sampled_from([usual] * 8 + list(odd))


who = st.integers(0, len(ACTORS) - 1)
ratings = st.tuples(who, st.sampled_from([1, 1, 1, 7, 2]), st.integers(-11, 11))
steps = st.builds(Step, who, st.none() | ratings | ratings, mostly(0, -1, 1, 3), mostly(5, -1, 0, 20, 21))
blocks_of_steps = st.lists(st.lists(steps, max_size=8), min_size=1, max_size=6)


def attempt(step: Step, nonces: dict[int, int], height: int) -> VerifiedTransaction:
    nonce = max(0, nonces.get(step.actor, 0) + step.slip)
    action = Enrol() if step.rates is None else Rate(KEYS[step.rates[0]], *step.rates[1:])
    return signed(step.actor, nonce, height + step.life, action)


def recount(history: list[tuple[int, VerifiedTransaction]]) -> dict[bytes, Member]:
    """The members after accepted transactions, from nothing but the list of them."""
    members: dict[bytes, Member] = {}
    for key in KEYS:
        mine = [(height, item) for height, item in history if item.actor == key]
        if not mine:
            continue
        standing: dict[tuple[bytes, int], int] = {}
        for _, item in history:
            if isinstance(item.action, Rate) and item.action.subject == key:
                standing[item.actor, item.action.category] = item.action.points
        members[key] = Member(key, mine[0][0], len(mine), sum(standing.values()), len(standing))
    return members


def grow(ledger: Ledger, forge: Forge, plan: list[list[Step]]) -> list[tuple[int, VerifiedTransaction]]:
    """Try every step, put into blocks what is accepted, and return it with its heights."""
    history: list[tuple[int, VerifiedTransaction]] = []
    parent: Block | None = None
    nonces: dict[int, int] = {}
    for planned in plan:
        draft = ledger.draft(0 if parent is None else parent.header.slot + 1, 1)
        body: list[VerifiedTransaction] = []
        for step in planned:
            transaction = attempt(step, nonces, draft.height)
            before = draft.changes
            reason = refusal(draft.apply, transaction)
            if reason is not None:
                assert draft.changes == before
                assert reason.disposition is not Disposition.BLAME
                continue
            body.append(transaction)
            nonces[step.actor] = transaction.nonce + 1
            history.append((draft.height, transaction))
        parent = forge.block(parent, body)
        ledger.extend(parent, 1)
    return history


@given(blocks_of_steps)
@settings(max_examples=40, deadline=None)
def test_members_and_scores_equal_a_recount(plan: list[list[Step]]) -> None:
    ledger = Ledger(GENESIS)
    history = grow(ledger, Forge(GENESIS), plan)

    expected = recount(history)
    found = {record.key: record for record in ledger.records.values() if isinstance(record, Member)}
    assert found == expected
    for key, member in expected.items():
        assert ledger.records[member_key(key)] == member
        score = 100 + min(12, max(-15, member.points))
        assert member_summary(GENESIS.policy, member)["score"] == score
    rows = [(key, encode_record(record)) for key, record in ledger.records.items()]
    assert StateTree.build(rows).root == ledger.state_root


def look(ledger: Ledger) -> tuple[int, bytes, dict[bytes, bytes]]:
    return ledger.height, ledger.state_root, {key: encode_record(record) for key, record in ledger.records.items()}


@given(blocks_of_steps, st.data())
@settings(max_examples=40, deadline=None)
def test_any_number_of_blocks_can_be_undone_and_redone(plan: list[list[Step]], data: st.DataObject) -> None:
    ledger, forge = Ledger(GENESIS), Forge(GENESIS)
    grow(ledger, forge, plan)
    blocks = list(ledger.blocks())[::-1]
    looks = [look(ledger)]
    undone = []
    for _ in range(data.draw(st.integers(1, len(blocks)))):
        undone.append(ledger.undo())
        looks.append(look(ledger))

    # what is left is what executing the remaining blocks from the genesis gives
    fresh = Ledger(GENESIS)
    for block in blocks[: len(blocks) - len(undone)]:
        fresh.extend(block, 1)
    assert look(ledger) == look(fresh)
    if len(undone) == len(blocks):
        assert ledger.records == genesis_records(GENESIS)

    for expected in looks[-2::-1]:
        ledger.redo(undone.pop())
        assert look(ledger) == expected
    assert list(ledger.blocks())[::-1] == blocks


@given(blocks_of_steps, st.data())
@settings(max_examples=30, deadline=None)
def test_a_refused_block_changes_nothing(plan: list[list[Step]], data: st.DataObject) -> None:
    ledger, forge = Ledger(GENESIS), Forge(GENESIS)
    history = [transaction for _, transaction in grow(ledger, forge, plan)]
    if not history:
        return
    before = look(ledger), list(ledger.blocks())
    fresh = [signed(number, 0, ledger.height + 5, Enrol()) for number in range(len(ACTORS))]
    body = [item for item in fresh if member_key(item.actor) not in ledger.records]
    body.insert(data.draw(st.integers(0, len(body))), data.draw(st.sampled_from(history)))
    bad = forge.block(next(iter(ledger.blocks())), body)
    assert refusal(ledger.extend, bad, 1) is Reason.INVALID_TRANSACTION
    assert (look(ledger), list(ledger.blocks())) == before
