"""Attestations that wait for a block: what is kept, what is repeated, and what the next block carries."""

from __future__ import annotations

import pytest

from chain.base.errors import Reason
from chain.consensus.judgement import judge
from chain.protocol import heard as module
from chain.protocol.heard import MAX_REPEATED, Heard
from tests.support.forge import Forge
from tests.support.world import genesis_of, secret

GENESIS = genesis_of(4)


@pytest.fixture
def forge() -> Forge:
    return Forge(GENESIS)


@pytest.fixture
def heard() -> Heard:
    return Heard()


def test_each_is_news_once(forge: Forge, heard: Heard) -> None:
    block, twin = forge.block(None, slot=1), forge.block(None, slot=1, state_root=bytes(32))
    one, other = forge.attest(block, 2), forge.attest(twin, 2)
    assert [heard.add(each) for each in (one, one, other)] == [True, False, True]
    assert len(heard) == 2
    assert heard.knows(one.carried, block.id)
    assert not heard.knows(one.carried, bytes(32))
    assert not heard.knows(forge.attest(block, 3).carried, block.id)


def test_what_is_final_is_forgotten(forge: Forge, heard: Heard) -> None:
    for block in forge.chain(3):
        for said in forge.attestations(block, by=(2,)):
            heard.add(said)
    before = len(heard)
    heard.drop(1)
    assert len(heard) == before - 1
    heard.drop(3)
    assert len(heard) == 0


def test_its_memory_is_bounded(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PER_SPEAKER", 3)
    monkeypatch.setattr(module, "MAX_SPEAKERS", 2)
    heard = Heard()
    tip = forge.block()
    said = [forge.attest(tip, 2, height=height, mhg=0) for height in range(1, 9)]
    for each in said:
        heard.add(each)
    assert heard.up_to(said[-1]) == tuple(said[-3:])
    for speaker in (3, 4):
        heard.add(forge.attest(tip, speaker))
    assert len(heard) == 2
    assert not heard.knows(said[-1].carried, tip.id)


def test_a_message_repeats_ones_latest_oldest_first(forge: Forge, heard: Heard) -> None:
    tip = forge.block()
    said = [forge.attest(tip, 2, height=height, mhg=0) for height in range(1, MAX_REPEATED + 5)]
    for each in said:
        heard.add(each)
    assert heard.up_to(said[-1]) == tuple(said[-MAX_REPEATED:])


def test_it_repeats_nothing_of_an_abandoned_branch_or_from_a_lost_signing_state(forge: Forge, heard: Heard) -> None:
    tip = forge.block()
    lost = forge.attest(tip, 2, height=1, tag=bytes(range(16)))
    before, abandoned, last = [forge.attest(tip, 2, height=height, mhg=0) for height in (2, 4, 3)]
    for each in (lost, before, abandoned, last):
        heard.add(each)
    assert heard.up_to(last) == (before, last)


def test_a_block_carries_all_that_its_branch_can_and_nothing_else(forge: Forge, heard: Heard) -> None:
    blocks = forge.attested(4)
    fork = forge.block(blocks[2], slot=40)
    for block in (*blocks, fork):
        for said in forge.attestations(block):
            heard.add(said)
    heard.add(forge.attest(blocks[-1], 77))  # a stranger's
    heard.add(forge.attest(blocks[-1], 3, mhg=0, tag=bytes(range(16))))
    count = forge.votes(blocks[-1]).open(5)
    carried = heard.choose(count, secret(2).public)
    assert carried == sorted(each.carried for each in forge.attestations(blocks[-1]))
    assert count.carried_all() == 4


def test_ones_own_come_first_and_then_the_oldest_where_there_is_no_room_for_all(
    forge: Forge, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given two blocks that three attest, and room for four attestations
    monkeypatch.setattr(module, "CARRIED_PER_SPEAKER", 1)
    first, second = blocks = forge.chain(2, slot=4)  # by the first and the second
    said = [(forge.attest(first, speaker), forge.attest(second, speaker, mhg=1)) for speaker in (2, 3)]
    for each in (*said[0], *said[1]):
        heard.add(each)
    heard.add(forge.attest(second, 0))
    votes, own = forge.votes(second), secret(4).public
    carried = heard.choose(votes.open(3), own)
    assert [(each.height, each.speaker == own) for each in carried if each.speaker == own] == [(1, True), (2, True)]
    assert sorted(each.height for each in carried if each.speaker != own) == [1, 2]
    block = forge.block(second, carrying=[each for each in said[1] if each.carried in carried])
    assert judge(block.header, block.ballot, votes, GENESIS.id).height == len(blocks) + 1


def test_of_two_that_contradict_each_other_one_is_carried(forge: Forge, heard: Heard) -> None:
    blocks = forge.chain(3, slot=4)
    for block in blocks[:2]:
        heard.add(forge.attest(block, 3, mhg=0))
    count = forge.votes(blocks[-1]).open(4)
    assert count.refuse(secret(4).public, 2, 0) is None
    assert [each.height for each in heard.choose(count, b"")] == [1]
    found = count.refuse(secret(4).public, 2, 0)
    assert found is not None
    assert found.reason is Reason.CONTRADICTS_EARLIER_BLOCK
