"""Why a validator signs nothing: each reason, and which comes first."""

from __future__ import annotations

import pytest

from chain.branches.blockchain import Blockchain
from chain.consensus.restart import Restart
from chain.consensus.statements import NO_TAG
from chain.content.actions import Evidence
from chain.protocol.clock import AGREE_MS, Mute, Trust
from chain.protocol.events import Notice, SigningState, Silenced
from chain.protocol.production import Producer
from chain.protocol.silence import MAX_AHEAD_SLOTS, Herald, silence
from tests.support.forge import Forge, blockchain
from tests.support.world import Actor, genesis_of, secret

GENESIS = genesis_of(4)
SLOT = 20
NOW_MS = GENESIS.slot_start_ms(SLOT)
KEY = secret(1).public


def chain_of(head_slot: int = 10) -> Blockchain:
    return blockchain(GENESIS, [Forge(GENESIS).block(slot=head_slot)])


def mute_of(
    signing: SigningState | None, chain: Blockchain, *, is_stopped: bool = False, restart: Restart | None = None
) -> Mute | None:
    producer = Producer(GENESIS, secret(1), signing, NO_TAG, restart)
    producer.is_stopped = is_stopped
    trust = Trust(GENESIS, KEY)
    trust.look(chain.head.header, chain.electorate.current, NOW_MS)
    return silence(producer, trust, chain, NOW_MS)


def kind_of(
    signing: SigningState | None, *, head_slot: int = 10, is_stopped: bool = False, restart: Restart | None = None
) -> str:
    mute = mute_of(signing, chain_of(head_slot), is_stopped=is_stopped, restart=restart)
    return "" if mute is None else mute.kind


@pytest.mark.parametrize(("slot", "kind"), [(0, ""), (SLOT + MAX_AHEAD_SLOTS, ""), (SLOT + 3, "slot_ahead")])
def test_what_was_signed_cannot_be_signed_again(slot: int, kind: str) -> None:
    assert kind_of(SigningState(slot=slot)) == kind
    assert kind_of(SigningState(), head_slot=max(1, slot)) == kind


def test_the_reason_that_lasts_longest_comes_first() -> None:
    far, restart = SigningState(slot=1_000), Restart(bytes(32), 7, bytes(16))
    assert kind_of(far, is_stopped=True) == "key_used_elsewhere"
    assert kind_of(None, is_stopped=True, restart=restart) == "key_used_elsewhere"
    assert kind_of(None, restart=restart) == "awaits_restart"
    assert kind_of(None) == "signing_state_lost"
    assert kind_of(far, head_slot=500) == "slot_ahead"
    assert kind_of(SigningState(), head_slot=500) == "clock_behind"


def test_a_restart_that_what_is_final_rules_out_is_not_waited_for() -> None:
    assert kind_of(None, restart=Restart(b"\x01" * 32, 0, bytes(16))) == "signing_state_lost"


def test_a_jailed_validator_makes_no_blocks() -> None:
    forge = Forge(GENESIS)
    one, two = sorted((forge.block(slot=slot, signer=secret(1)).header for slot in (4, 8)), key=lambda each: each.id)
    evidence = Actor(GENESIS, 2).sign(Evidence(one.raw, two.raw))
    chain = blockchain(GENESIS, [forge.block(None, [evidence], slot=10)])
    mute = mute_of(SigningState(), chain)
    assert mute is not None
    assert mute.kind == "jailed"


def test_who_signed_a_restart_last_and_leads_no_slot_says_who_can_make_the_block() -> None:
    # given a jailed validator whose signature was the last that was needed
    forge = Forge(GENESIS)
    one, two = sorted((forge.block(slot=slot, signer=secret(1)).header for slot in (4, 8)), key=lambda each: each.id)
    block = forge.block(None, [Actor(GENESIS, 2).sign(Evidence(one.raw, two.raw))], slot=10)
    restart = Restart(block.id, 1, bytes(16))
    for number in (1, 2, 3):
        restart = restart.signed(secret(number), GENESIS.id)
    mute = mute_of(None, blockchain(GENESIS, [block]), restart=restart)
    assert mute is not None
    assert (mute.kind, "leads no slot" in mute.why) == ("awaits_restart", True)
    # but not where it is jailed later, or not enough signed
    for chain in (chain_of(), blockchain(GENESIS, [block])):
        mute = mute_of(None, chain, restart=Restart(chain.head.header.id, 1, bytes(16)).signed(secret(1), GENESIS.id))
        assert mute is not None
        assert "leads no slot" not in mute.why


def test_who_holds_what_is_prevoted_beyond_a_restart_says_that_it_has_to_be_another_one() -> None:
    # given a restart from a block below the highest that is prevoted, and one from that
    blocks = Forge(GENESIS).attested(5)
    chain = blockchain(GENESIS, blocks)
    assert chain.head.header.mhp == 4
    for block, kind in ((blocks[2], "restart_outdone"), (blocks[3], "awaits_restart")):
        mute = mute_of(None, chain, restart=Restart(block.id, block.header.height, bytes(16)))
        assert mute is not None
        assert (mute.kind, "sign another" in mute.why) == (kind, kind == "restart_outdone")


def test_before_the_network_begins_nothing_is_signed() -> None:
    chain, at = blockchain(GENESIS, []), GENESIS.genesis_time_ms
    trust = Trust(GENESIS, KEY)
    for now_ms, kind in ((at - 10**9, "not_begun"), (at - AGREE_MS - 1, "not_begun"), (at - AGREE_MS, ""), (at, "")):
        trust.look(chain.head.header, chain.electorate.current, now_ms)
        mute = silence(Producer(GENESIS, secret(1), SigningState(), NO_TAG), trust, chain, now_ms)
        assert ("" if mute is None else mute.kind) == kind
        assert mute is None or mute.until_ms == at


def test_whoever_lost_what_it_signed_says_so_also_before_the_network_begins() -> None:
    producer = Producer(GENESIS, secret(1), None, NO_TAG)
    mute = silence(producer, Trust(GENESIS, KEY), blockchain(GENESIS, []), GENESIS.genesis_time_ms - 1)
    assert mute is not None
    assert mute.kind == "signing_state_lost"


def test_it_says_when_the_slot_is_over() -> None:
    mute = mute_of(SigningState(slot=1_000), chain_of())
    assert mute is not None
    assert (mute.until_ms, "slot 1000" in mute.why) == (GENESIS.slot_start_ms(1_001), True)


def test_each_reason_is_told_once() -> None:
    herald, one, two = Herald(), Mute("one", "so"), Mute("two", "so", 0)
    told = [herald.news(mute) for mute in (None, one, Mute("one", "so far"), two, None, None, one)]
    assert told == [None, Silenced(one), None, Silenced(two), Silenced(None), None, Silenced(one)]
    assert Silenced(two).notice == Notice("silent", "so; signs from 1970-01-01T00:00:00Z on")
    assert Silenced(None).notice.name == "signing_again"
