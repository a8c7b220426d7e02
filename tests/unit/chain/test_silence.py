"""Why a validator signs nothing: each reason, and which comes first."""

from __future__ import annotations

import pytest

from chain.clock import Mute, Trust
from chain.events import Notice, SigningState, Silenced
from chain.production import Producer
from chain.silence import MAX_AHEAD_SLOTS, Herald, silence
from chain.votes import Votes
from tests.support.forge import Forge
from tests.support.world import genesis_of, secret

GENESIS = genesis_of(4)
SLOT = 20
NOW_MS = GENESIS.slot_start_ms(SLOT)


def kind_of(signing: SigningState | None, *, head_slot: int = 10, is_stopped: bool = False) -> str:
    producer = Producer(GENESIS, secret(1), signing)
    producer.is_stopped = is_stopped
    head = Forge(GENESIS).block(slot=head_slot).header
    trust = Trust(GENESIS, secret(1).public)
    trust.look(head, Votes.genesis(GENESIS.validators, GENESIS.batch).newest_set, NOW_MS)
    mute = silence(GENESIS, producer, trust, head, NOW_MS)
    return "" if mute is None else mute.kind


@pytest.mark.parametrize(("slot", "kind"), [(0, ""), (SLOT + MAX_AHEAD_SLOTS, ""), (SLOT + 3, "slot_ahead")])
def test_what_was_signed_cannot_be_signed_again(slot: int, kind: str) -> None:
    assert kind_of(SigningState(slot=slot)) == kind
    assert kind_of(SigningState(), head_slot=max(1, slot)) == kind


def test_the_reason_that_lasts_longest_comes_first() -> None:
    far = SigningState(slot=1_000)
    assert kind_of(far, is_stopped=True) == "key_used_elsewhere"
    assert kind_of(None) == "signing_state_lost"
    assert kind_of(far, head_slot=500) == "slot_ahead"
    assert kind_of(SigningState(), head_slot=500) == "clock_behind"


def test_it_says_when_the_slot_is_over() -> None:
    trust, head = Trust(GENESIS, secret(1).public), Forge(GENESIS).block().header
    mute = silence(GENESIS, Producer(GENESIS, secret(1), SigningState(slot=1_000)), trust, head, NOW_MS)
    assert mute is not None
    assert (mute.until_ms, "slot 1000" in mute.why) == (GENESIS.slot_start_ms(1_001), True)


def test_each_reason_is_told_once() -> None:
    herald, one, two = Herald(), Mute("one", "so"), Mute("two", "so", 0)
    told = [herald.news(mute) for mute in (None, one, Mute("one", "so far"), two, None, None, one)]
    assert told == [None, Silenced(one), None, Silenced(two), Silenced(None), None, Silenced(one)]
    assert Silenced(two).notice == Notice("silent", "so; signs again at 1970-01-01T00:00:00Z")
    assert Silenced(None).notice.name == "signing_again"
