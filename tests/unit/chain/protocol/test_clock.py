"""What time it is: a clock that is drawn and never steps, and whom to believe when another one does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from chain.consensus.electorate import ValidatorSet
from chain.consensus.headers import Header
from chain.protocol.clock import (
    AGREE_MS,
    ANSWER_MS,
    ASK_MS,
    CLAIM_MS,
    FAR_MS,
    PATIENCE_MS,
    SETTLED_MS,
    SLEW_PARTS,
    Mute,
    SteeredClock,
    Trust,
    step_in_words,
)
from tests.support.forge import Forge
from tests.support.world import genesis_of, secret

GENESIS = genesis_of(4)
KEYS = [key for key, _ in GENESIS.validators]
START_MS = GENESIS.genesis_time_ms
HOUR_MS = 3_600_000


# ------------------------------------------------------------------------------------------------ the steered clock


def test_it_goes_by_the_monotonic_clock() -> None:
    clock = SteeredClock(50, 1_000)
    assert [clock.read(50 + passed, 1_000 + passed) for passed in (0, 7, 7, 1_000)] == [1_000, 1_007, 1_007, 2_000]
    assert clock.take_step() is None


@pytest.mark.parametrize("ahead_ms", [AGREE_MS, 1, -1, -AGREE_MS])
@pytest.mark.parametrize("every_ms", [1, 3, 1_000])
def test_it_is_drawn_to_a_wall_clock_that_is_near(ahead_ms: int, every_ms: int) -> None:
    clock = SteeredClock(0, START_MS)
    times = [clock.read(at, START_MS + at + ahead_ms) for at in range(0, 30_000, every_ms)]
    steps = [after - before for before, after in pairwise(times)]
    most_ms = -(-every_ms // SLEW_PARTS)
    assert all(step >= 0 and abs(step - every_ms) <= most_ms for step in steps)
    assert times[-1] == START_MS + range(0, 30_000, every_ms)[-1] + ahead_ms
    assert clock.take_step() is None


def test_being_right_for_long_saves_nothing_up() -> None:
    clock = SteeredClock(0, 0)
    clock.read(HOUR_MS, HOUR_MS)
    assert clock.read(HOUR_MS, HOUR_MS + 400) == HOUR_MS
    assert clock.read(HOUR_MS + 10, HOUR_MS + 410) == HOUR_MS + 10 + 10 // SLEW_PARTS


@pytest.mark.parametrize("ahead_ms", [AGREE_MS + 1, -AGREE_MS - 1, 365 * 24 * HOUR_MS, -(2**62)])
def test_a_step_is_told_once_and_not_followed_until_it_is_adopted(ahead_ms: int) -> None:
    clock = SteeredClock(0, START_MS)
    assert clock.read(1_000, START_MS + 1_000 + ahead_ms) == START_MS + 1_000
    assert (clock.take_step(), clock.take_step()) == (ahead_ms, None)
    assert clock.read(9_000, START_MS + 9_000 + ahead_ms) == START_MS + 9_000
    assert clock.take_step() is None
    clock.adopt()
    assert clock.read(9_001, START_MS + 9_001 + ahead_ms) == START_MS + 9_001 + ahead_ms
    assert clock.take_step() is None


def test_another_step_and_the_end_of_one_are_news() -> None:
    clock = SteeredClock(0, 0)
    told: list[int | None] = []
    for ahead_ms in (HOUR_MS, HOUR_MS + AGREE_MS, HOUR_MS + 2 * AGREE_MS, -HOUR_MS, 0, 0):
        clock.read(0, ahead_ms)
        told.append(clock.take_step())
    assert told == [HOUR_MS, None, HOUR_MS + 2 * AGREE_MS, -HOUR_MS, 0, None]


def test_a_monotonic_clock_that_is_none_does_not_take_time_back() -> None:
    clock = SteeredClock(1_000, 5_000)
    assert [clock.read(at, 5_000) for at in (2_000, 500)] == sorted(clock.read(at, 6_000) for at in (500, 500))


def test_a_step_in_words() -> None:
    assert step_in_words(HOUR_MS).startswith("the wall clock stepped and is 1 h ahead")
    assert step_in_words(-HOUR_MS).startswith("the wall clock stepped and is 1 h behind")
    assert step_in_words(0) == "the wall clock agrees with the monotonic one again"


def test_a_mute_validator_says_when_it_signs_again() -> None:
    assert str(Mute("kind", "because")) == "because"
    assert str(Mute("kind", "because", 86_400_000)) == "because; signs from 1970-01-02T00:00:00Z on"


# --------------------------------------------------------------------------------------------------------- trust


class Bench:
    """The trust of validator 0 of some; every validator but itself is connected, as a peer of that name."""

    def __init__(self, validators: int = 4, slot: int = 10, since_ms: int = 1_000) -> None:
        self.genesis = genesis_of(validators)
        self.forge = Forge(self.genesis)
        self.voters = ValidatorSet(self.genesis.validators)
        self.head: Header = self.forge.block(slot=slot).header
        self.trust = Trust(self.genesis, self.voters.leaders[0])
        self.now_ms = self.genesis.slot_start_ms(slot) + since_ms
        self.look()

    def look(self, passed_ms: int = 0) -> bool:
        self.now_ms += passed_ms
        return self.trust.look(self.head, self.voters, self.now_ms)

    def wait(self, duration_ms: int) -> None:
        for _ in range(duration_ms // 1_000):
            self.look(1_000)
            self.trust.to_ask(self.now_ms)

    def say(self, numbers: Sequence[int], ahead_ms: int = 0, *, way_ms: int = 10) -> None:
        """These validators say, when asked, that it is later by so much."""
        for number in numbers:
            key, peer = self.voters.leaders[number], f"peer{number}"
            self.trust.heard(peer, key, 0, self.now_ms)
            self.trust.asked(peer, self.now_ms)
            self.trust.heard(peer, key, self.now_ms + ahead_ms, self.now_ms + way_ms)
        self.now_ms += way_ms
        self.look()

    def move(self, slot: int) -> None:
        """Somebody else's block becomes the head."""
        self.head = self.forge.block(None, slot=slot).header
        self.look()

    @property
    def kind(self) -> str:
        mute = self.trust.mute(self.now_ms)
        return "" if mute is None else mute.kind


@pytest.mark.parametrize(("since_ms", "kind"), [
    (0, ""), (PATIENCE_MS, ""), (PATIENCE_MS + 1, "clock_unconfirmed"), (-AGREE_MS, ""),
    (-AGREE_MS - 1, "clock_behind"),
])  # fmt: skip
def test_who_starts_believes_its_clock_near_its_head_only(since_ms: int, kind: str) -> None:
    assert Bench(since_ms=since_ms).kind == kind


def test_a_single_validator_believes_its_clock_after_a_short_stop() -> None:
    assert [Bench(1, since_ms=since_ms).kind for since_ms in (FAR_MS, FAR_MS + 1)] == ["", "clock_unconfirmed"]


def test_an_idle_chain_may_have_an_older_head() -> None:
    bench = Bench()
    slow = genesis_of(4, slot_ms=3_600_000)
    trust = Trust(slow, KEYS[0])
    now_ms = slow.slot_start_ms(10) + 2 * slow.quiet_slots(4) * slow.slot_ms
    trust.look(bench.head, bench.voters, now_ms)
    assert trust.mute(now_ms) is None


@pytest.mark.parametrize("validators", [1, 4])
def test_whom_nobody_answers_believes_its_clock_after_a_while(validators: int) -> None:
    bench = Bench(validators, since_ms=HOUR_MS)
    mute = bench.trust.mute(bench.now_ms)
    assert mute is not None
    assert mute.until_ms == bench.now_ms + PATIENCE_MS
    assert "1 h past its head" in mute.why
    bench.wait(PATIENCE_MS - 1_000)
    assert bench.kind == "clock_unconfirmed"
    bench.wait(1_000)
    assert bench.kind == ""


def test_a_clock_that_is_behind_the_head_is_never_believed() -> None:
    bench = Bench(since_ms=-HOUR_MS)
    bench.wait(2 * PATIENCE_MS)
    mute = bench.trust.mute(bench.now_ms)
    assert mute is not None
    assert mute.until_ms == bench.genesis.slot_start_ms(10) - AGREE_MS


@pytest.mark.parametrize(("said", "kind"), [([1], "clock_unconfirmed"), ([1, 2], ""), ([1, 2, 3], "")])
def test_more_validators_than_may_lie_confirm_a_start(said: list[int], kind: str) -> None:
    bench = Bench(since_ms=HOUR_MS)
    bench.say(said, -AGREE_MS)
    assert bench.kind == kind


def test_a_chain_that_goes_on_at_another_time_keeps_a_validator_waiting() -> None:
    # given blocks of an hour ago, one after the other
    bench = Bench(since_ms=HOUR_MS)
    for slot in range(11, 200):
        bench.look(1_000)
        bench.move(slot)
    assert bench.kind == "clock_unconfirmed"

    # when only one of four, who may be faulty, goes on with it
    for slot in range(200, 200 + 4 * 40, 4):
        bench.look(2_000)
        bench.move(slot)

    # then it is not waited for
    assert bench.kind == ""


def test_what_validators_say_mutes_only_where_more_than_may_lie_agree_on_it_and_no_more_do_not() -> None:
    kinds = []
    for wrong in ([3], [2, 3], [1, 2, 3]):
        bench = Bench()
        bench.say(wrong, HOUR_MS)
        bench.say([number for number in (1, 2, 3) if number not in wrong])
        kinds.append(bench.kind)
    assert kinds == ["", "", "clock_contradicted"]


@pytest.mark.parametrize(("ahead_ms", "word"), [(HOUR_MS, "1 h slow"), (-HOUR_MS, "1 h fast")])
def test_it_says_how_wrong_the_clock_is(ahead_ms: int, word: str) -> None:
    bench = Bench()
    bench.say([1, 2, 3], ahead_ms)
    mute = bench.trust.mute(bench.now_ms)
    assert mute is not None
    assert (word in mute.why, mute.until_ms) == (True, None)


def test_blocks_of_slots_to_come_show_that_the_clock_is_slow_and_blocks_of_old_show_nothing() -> None:
    bench = Bench()
    for signers, slot, kind in (
        ((2, 3), 12, ""),
        ((2,), 100, ""),
        ((1,), 100, ""),
        ((2, 3), 100, "clock_contradicted"),
    ):
        bench.trust.saw([bench.forge.block(None, slot=slot, signer=secret(n)).header for n in signers], bench.now_ms)
        assert bench.kind == kind, (signers, slot)
    bench.trust.stepped(HOUR_MS, bench.now_ms)
    bench.trust.saw([bench.forge.block(None, slot=100, signer=secret(n)).header for n in (2, 3)], bench.now_ms)
    assert bench.look(), "a wall clock that fits is followed"


def test_what_was_said_is_forgotten() -> None:
    bench = Bench()
    bench.say([1, 2, 3], HOUR_MS)
    bench.wait(CLAIM_MS - 1_000)
    assert bench.kind == "clock_contradicted"
    bench.wait(2_000)
    assert bench.kind == ""


def test_an_answer_that_was_long_on_its_way_is_vague() -> None:
    for way_ms, ahead_ms, kind in (
        (0, AGREE_MS, ""),
        (0, AGREE_MS + 1, "clock_contradicted"),
        (ANSWER_MS, -AGREE_MS, ""),
        (ANSWER_MS, AGREE_MS + ANSWER_MS, ""),
        (ANSWER_MS, AGREE_MS + ANSWER_MS + 1, "clock_contradicted"),
        (ANSWER_MS + 1, 10 * HOUR_MS, ""),
    ):
        bench = Bench()
        bench.say([1, 2, 3], ahead_ms, way_ms=way_ms)
        assert bench.kind == kind, (way_ms, ahead_ms)


def test_what_nobody_asked_for_is_no_evidence_but_a_reason_to_ask() -> None:
    bench = Bench()
    heard = [bench.trust.heard(f"peer{number}", KEYS[number], 5, bench.now_ms) for number in (1, 2, 3)]
    assert (heard, bench.kind) == ([True] * 3, "")
    bench.trust.asked("peer1", bench.now_ms)
    assert bench.trust.heard("peer1", KEYS[1], 0, bench.now_ms) is False, "who does not know is not asked again"


def test_strangers_are_not_heard_and_neither_is_who_has_our_key() -> None:
    bench = Bench()
    for number in range(100):
        stranger = secret(5_000 + number).public
        bench.trust.asked(f"stranger{number}", bench.now_ms)
        assert not bench.trust.heard(f"stranger{number}", stranger, 5, bench.now_ms)
        assert not bench.trust.heard(f"stranger{number}", KEYS[0], 5, bench.now_ms)
        assert not bench.trust.heard(f"stranger{number}", b"", 5, bench.now_ms)
    assert (bench.kind, bench.trust._peers, bench.trust._claims, bench.trust._asked_ms) == ("", {}, {}, {})


# ---------------------------------------------------------------------------------------------- steps of the wall clock


def test_after_a_step_nothing_is_signed_until_validators_confirm_the_time() -> None:
    bench = Bench()
    bench.trust.stepped(HOUR_MS, bench.now_ms)
    mute = bench.trust.mute(bench.now_ms)
    assert mute is not None
    assert (mute.kind, mute.until_ms) == ("clock_stepped", bench.now_ms + PATIENCE_MS)
    bench.say([1])
    assert bench.kind == "clock_stepped"
    bench.say([2])
    assert bench.kind == ""


def test_a_block_of_a_later_slot_confirms_it_as_well() -> None:
    bench = Bench()
    bench.trust.stepped(-HOUR_MS, bench.now_ms)
    bench.move(11)
    assert bench.kind == "clock_stepped", "that slot began before the step"
    bench.look(2_000)
    bench.move(12)
    assert bench.kind == ""


def test_whom_nobody_answers_goes_on_by_the_monotonic_clock() -> None:
    bench = Bench()
    bench.trust.stepped(HOUR_MS, bench.now_ms)
    bench.wait(PATIENCE_MS - 1_000)
    assert bench.kind == "clock_stepped"
    bench.wait(1_000)
    assert bench.kind == ""


def test_a_single_validator_waits_for_nobody() -> None:
    bench = Bench(1)
    bench.trust.stepped(HOUR_MS, bench.now_ms)
    bench.look()
    assert bench.kind == ""


def test_what_was_said_before_a_step_confirms_nothing() -> None:
    bench = Bench()
    bench.say([1, 2, 3])
    bench.trust.stepped(HOUR_MS, bench.now_ms)
    bench.look()
    assert bench.kind == "clock_stepped"


def test_a_step_that_is_over_is_not_followed() -> None:
    bench = Bench(1)
    bench.trust.stepped(HOUR_MS, bench.now_ms)
    bench.trust.stepped(0, bench.now_ms)
    assert not any(bench.look(60_000) for _ in range(20))


def test_until_something_rests_on_our_time_steps_are_followed_at_once() -> None:
    bench = Bench(1, since_ms=HOUR_MS)
    bench.trust.stepped(-HOUR_MS, bench.now_ms)
    assert bench.look()
    bench.look(-HOUR_MS)
    assert bench.kind == ""


@pytest.mark.parametrize("ahead_ms", [HOUR_MS, -5_500])
def test_a_single_validator_follows_a_step_that_lasts(ahead_ms: int) -> None:
    bench = Bench(1, since_ms=HOUR_MS)
    bench.wait(PATIENCE_MS)
    bench.trust.stepped(ahead_ms, bench.now_ms)
    followed = [bench.look(1_000) for _ in range(SETTLED_MS // 1_000)]
    assert followed == [False] * (SETTLED_MS // 1_000 - 1) + [True]
    assert bench.kind == "clock_unconfirmed"


def test_nobody_goes_back_before_its_head() -> None:
    bench = Bench(1)
    bench.trust.stepped(-HOUR_MS, bench.now_ms)
    assert not any(bench.look(60_000) for _ in range(20))


@pytest.mark.parametrize(("agree", "differ", "is_followed"), [
    ([], [], True), ([1], [2], True), ([1], [2, 3], False), ([], [1], False),
])  # fmt: skip
def test_a_step_that_lasts_is_followed_where_no_more_contradict_it(
    agree: list[int], differ: list[int], is_followed: bool
) -> None:
    bench = Bench()
    bench.trust.stepped(HOUR_MS, bench.now_ms)
    bench.wait(SETTLED_MS - 10_000)
    bench.say(differ)
    bench.say(agree, HOUR_MS)
    assert any(bench.look(1_000) for _ in range(20)) == is_followed


@pytest.mark.parametrize(("agree", "stay", "is_followed"), [
    ([1], [], False), ([1, 2], [], True), ([1, 2, 3], [], True), ([1, 2], [3], True), ([1], [2, 3], False),
])  # fmt: skip
def test_a_step_that_validators_confirm_is_followed_at_once(
    agree: list[int], stay: list[int], is_followed: bool
) -> None:
    bench = Bench()
    bench.trust.stepped(HOUR_MS, bench.now_ms)
    for number in (*agree, *stay):
        ahead_ms = HOUR_MS if number in agree else 0
        bench.trust.heard(f"peer{number}", KEYS[number], 0, bench.now_ms)
        bench.trust.asked(f"peer{number}", bench.now_ms)
        bench.trust.heard(f"peer{number}", KEYS[number], bench.now_ms + ahead_ms, bench.now_ms)
    assert bench.look() == is_followed


def test_what_it_tells_others() -> None:
    # given one that does not know the time
    bench = Bench(since_ms=HOUR_MS)
    assert bench.trust.time_to_tell(bench.now_ms) == 0
    bench.say([1, 2])
    assert bench.trust.time_to_tell(bench.now_ms) == bench.now_ms

    # when the wall clock steps, then it says what it goes by, and in the end what it would go by
    bench.trust.stepped(HOUR_MS, bench.now_ms)
    assert bench.trust.time_to_tell(bench.now_ms) == bench.now_ms
    bench.wait(SETTLED_MS - 1_000)
    bench.say([1, 2, 3])
    bench.wait(1_000)
    assert bench.trust.time_to_tell(bench.now_ms) == bench.now_ms + HOUR_MS


def test_validators_are_asked_while_in_doubt_and_now_and_then() -> None:
    bench = Bench()
    for number in (2, 1):
        bench.trust.heard(f"peer{number}", KEYS[number], 0, bench.now_ms)
    assert bench.trust.to_ask(bench.now_ms) == []
    bench.trust.stepped(HOUR_MS, bench.now_ms)
    assert bench.trust.to_ask(bench.now_ms) == ["peer1", "peer2"]
    assert bench.trust.to_ask(bench.now_ms + ASK_MS - 1) == []
    bench.trust.lost("peer1")
    assert bench.trust.to_ask(bench.now_ms + ASK_MS) == ["peer2"]


def test_time_that_nobody_saw_pass_is_not_known_to_have_passed() -> None:
    bench = Bench()
    bench.look(PATIENCE_MS - 1_000)
    assert bench.kind == ""
    bench.look(PATIENCE_MS + 1)
    assert bench.kind == "clock_unconfirmed"


def test_a_clock_of_any_kind_raises_nothing() -> None:
    bench = Bench()
    for now_ms in (0, 2**62, -(2**62), 5):
        bench.now_ms = now_ms
        bench.look()
        bench.trust.stepped(-(2**62), now_ms)
        str(bench.trust.mute(now_ms))
        bench.trust.to_ask(now_ms)
