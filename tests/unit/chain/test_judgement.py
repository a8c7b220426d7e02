"""The one judgement of headers, and its one exception for who does not count from the genesis."""

from __future__ import annotations

from typing import Any

import pytest

from chain.errors import Reason
from chain.headers import Header
from chain.judgement import check_follows, judge
from chain.votes import Votes
from tests.support.forge import Forge
from tests.support.refusals import refusal
from tests.support.world import genesis_of, secret

GENESIS = genesis_of(4)


def votes_after(headers: list[Header], base: int = 0) -> Votes:
    """The votes of consecutive headers, counted above ``base``."""
    votes = Votes.genesis(GENESIS.validators, GENESIS.batch, base)
    for header in headers:
        votes = judge(header, votes, counted_above=base)
    return votes


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, None),
        ({"parent": bytes(32)}, Reason.UNKNOWN_PARENT),
        ({"height": 3}, Reason.WRONG_HEIGHT),
        ({"height": 5}, Reason.WRONG_HEIGHT),
        ({"slot": 3}, Reason.SLOT_NOT_AFTER_PARENT),
    ],
)
def test_a_header_follows_its_parent(fields: dict[str, Any], reason: Reason | None) -> None:
    forge = Forge(GENESIS)
    parent = forge.chain(3)[-1]
    header = forge.block(parent, **fields).header
    assert refusal(check_follows, header, parent.header) is reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, None),
        ({"signer": secret(77)}, Reason.WRONG_LEADER),
        ({"mhp": 1}, Reason.WRONG_MHP),
        ({"mhp": 2**64 - 1}, Reason.WRONG_MHP),
        ({"mhg": 3}, Reason.CONTRADICTS_EARLIER_BLOCK),
    ],
)
def test_a_header_is_judged_by_the_votes_before_it(fields: dict[str, Any], reason: Reason | None) -> None:
    forge = Forge(GENESIS)
    blocks = forge.chain(8)
    header = forge.block(blocks[-1], **fields).header
    assert refusal(judge, header, votes_after([block.header for block in blocks])) is reason


def test_what_it_returns_are_the_votes_after_it() -> None:
    forge = Forge(GENESIS)
    blocks = forge.chain(9)
    assert votes_after([block.header for block in blocks]) == forge.votes(blocks[-1])


# ------------------------------------------------------------------------------------- counted from some height on


BASE = 20


@pytest.fixture
def headers() -> list[Header]:
    return [block.header for block in Forge(GENESIS).chain(40)]


def test_what_is_prevoted_up_to_where_counting_began_is_let_pass(headers: list[Header]) -> None:
    first = headers[BASE]
    assert 0 < first.mhp < BASE
    assert refusal(judge, first, votes_after([], BASE), BASE) is None
    # while a node, which has counted from the genesis, knows better
    assert refusal(judge, first, votes_after([], BASE)) is Reason.WRONG_MHP


@pytest.mark.parametrize(("mhp", "reason"), [(0, None), (BASE - 1, None), (BASE, None), (BASE + 1, Reason.WRONG_MHP)])
def test_but_nothing_above_it_is(mhp: int, reason: Reason | None) -> None:
    forge = Forge(GENESIS)
    header = forge.block(forge.chain(BASE)[-1], mhp=mhp).header
    assert refusal(judge, header, votes_after([], BASE), BASE) is reason


def test_once_something_above_it_is_prevoted_the_rule_is_whole_again(headers: list[Header]) -> None:
    forge = Forge(GENESIS)
    blocks = forge.chain(BASE + 8)
    votes = votes_after([block.header for block in blocks[BASE:]], BASE)
    assert votes.mhp > BASE
    for mhp in (BASE - 1, votes.mhp - 1, votes.mhp + 1):
        header = forge.block(blocks[-1], mhp=mhp).header
        assert refusal(judge, header, votes, BASE) is Reason.WRONG_MHP
    assert refusal(judge, headers[BASE + 8], votes, BASE) is None
