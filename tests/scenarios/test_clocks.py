"""Wall clocks that are set to anything at any time, by people, batteries and time services, and then set right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.protocol import clock
from chain.protocol.clock import FAR_MS, PATIENCE_MS
from chain.protocol.credentials import sign_credential
from scripts.simulation.wire import Claim
from tests.scenarios.crafting import Traffic
from tests.support.world import Host, World, secret

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
YEAR_MS = 365 * DAY_MS
A_FEW_SLOTS = 8
# Instead of ten minutes: more than patience and less than claims last, as it is.
SETTLED_MS = 150_000


@pytest.fixture(autouse=True)
def steps_settle_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "SETTLED_MS", SETTLED_MS)


def busy(validators: int = 4, seed: int = 41) -> tuple[World, Traffic]:
    """A network in which somebody always has something to record."""
    world = World(validators, seed=seed)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(8, 0)
    return world, traffic


def restart(host: Host, offset_ms: int, *, away_slots: int = 1) -> None:
    """Its machine starts with a wall clock that is off by so much."""
    host.crash()
    host.world.run(away_slots)
    host.set_clock(offset_ms)
    host.start()


def signed_in(host: Host, world: World, slots: int) -> int:
    """How many of the last slots it signed."""
    return sum(world.slot - slots < slot <= world.slot for slot in host.signed)


@pytest.mark.parametrize("offset_ms", [HOUR_MS, -HOUR_MS, DAY_MS, -DAY_MS, YEAR_MS])
@pytest.mark.parametrize("wrong", [1, 2, 4])
def test_wall_clocks_that_are_wrong_for_some_seconds(offset_ms: int, wrong: int) -> None:
    # given a busy network, in which some wall clocks are off for twelve seconds
    world, traffic = busy()
    before = world.hosts[0].final_height
    for host in world.hosts[4 - wrong :]:
        host.set_clock(offset_ms)
    traffic.run(12, 0)

    # then the chain goes on meanwhile, by the monotonic clocks
    assert min(host.final_height for host in world.hosts) > before + 4

    # and once they are right, everybody signs its slots and says so
    for host in world.hosts:
        host.set_clock(0)
    traffic.run(A_FEW_SLOTS, 0)
    assert [signed_in(host, world, 4) for host in world.hosts] == [1, 1, 1, 1]
    assert all(host.engine.silence(host.now_ms) is None for host in world.hosts)
    assert any(notice.startswith("clock_stepped: the wall clock stepped and is ") for notice in world.hosts[3].notices)
    world.check_agreement()


@pytest.mark.parametrize("offset_ms", [HOUR_MS, -HOUR_MS])
def test_a_wall_clock_that_stays_wrong_changes_nothing(offset_ms: int) -> None:
    # given one of four whose wall clock is off for longer than any mistake lasts
    world, traffic = busy()
    world.hosts[3].set_clock(offset_ms)
    traffic.run(SETTLED_MS // 1000 + 60, 0)

    # then it goes on with the others, by the time that they confirm
    assert [signed_in(host, world, 4) for host in world.hosts] == [1, 1, 1, 1]


@pytest.mark.parametrize("offset_ms", [HOUR_MS, DAY_MS])
def test_when_all_wall_clocks_stay_ahead_they_are_followed_in_the_end(offset_ms: int) -> None:
    world, traffic = busy()
    for host in world.hosts:
        host.set_clock(offset_ms)
    traffic.run(SETTLED_MS // 1000 + PATIENCE_MS // 1000 + 60, 0)
    assert all(abs(host.now_ms - world.now_ms - offset_ms) < 1_000 for host in world.hosts)
    traffic.run(A_FEW_SLOTS, 0)
    assert world.agree()
    assert max(len(host.signed) for host in world.hosts) > 40
    assert all(host.engine.silence(host.now_ms) is None for host in world.hosts)


def test_when_all_wall_clocks_stay_behind_the_chain_goes_on_by_its_own_time() -> None:
    # what is signed cannot be signed again: going back would stop everybody for as long
    world, traffic = busy()
    for host in world.hosts:
        host.set_clock(-HOUR_MS)
    traffic.run(SETTLED_MS // 1000 + 60, 0)
    assert all(abs(host.now_ms - world.now_ms) < 1_000 for host in world.hosts)
    assert [signed_in(host, world, 4) for host in world.hosts] == [1, 1, 1, 1]


def test_a_monotonic_clock_that_stood_still_is_put_right_as_soon_as_others_confirm_the_wall_clock() -> None:
    # given a virtual machine that is frozen for a quarter of an hour, and does not know
    world, traffic = busy()
    world.hosts[3].freeze(900_000)
    world.run(900)
    traffic.run(A_FEW_SLOTS, 0)

    # then it sees that, and is with the others after some seconds
    assert any("is 15 min ahead" in notice for notice in world.hosts[3].notices)
    assert any(notice.startswith("clock_set") for notice in world.hosts[3].notices)
    assert abs(world.hosts[3].now_ms - world.now_ms) < 1_000
    traffic.run(A_FEW_SLOTS, 0)
    assert [signed_in(host, world, 4) for host in world.hosts] == [1, 1, 1, 1]


def test_more_machines_that_stood_still_than_are_tolerated_follow_their_wall_clocks_in_the_end() -> None:
    # given one of four that is down, and two that were frozen, one for longer than the other
    world, traffic = busy()
    world.hosts[0].crash()
    world.hosts[2].freeze(45_000)
    world.hosts[3].freeze(52_000)
    world.run(60)

    # then nothing new is final while nobody can say who is right
    before = world.hosts[1].final_height
    world.run(SETTLED_MS // 1000 - 60)
    assert world.hosts[1].final_height <= before + 1

    # and once the wall clocks have stayed what they are for long, they are followed
    world.run(60 + 2 * PATIENCE_MS // 1000)
    assert all(abs(host.now_ms - world.now_ms) < 1_000 for host in world.hosts[1:])
    traffic.run(A_FEW_SLOTS, 1)
    assert min(host.final_height for host in world.hosts[1:]) > before + 3


# --------------------------------------------------------------------------------------------------- at the start


@pytest.mark.parametrize("offset_ms", [YEAR_MS, DAY_MS, HOUR_MS, FAR_MS // 5, -HOUR_MS, -YEAR_MS])
def test_one_that_starts_with_a_wrong_clock(offset_ms: int) -> None:
    # given one of four that comes back with a clock that is wrong for two minutes
    world, traffic = busy()
    restart(world.hosts[3], offset_ms)
    signed = dict(world.hosts[3].signed)
    traffic.run(120, 0)

    # then it signs nothing by that clock and says why, and the others do not notice
    mute = world.hosts[3].engine.silence(world.hosts[3].now_ms)
    assert mute is not None
    assert mute.kind in ("clock_unconfirmed", "clock_contradicted", "slot_ahead")
    assert any(notice.startswith("silent: ") for notice in world.hosts[3].notices)
    assert world.hosts[3].signed == signed
    assert world.hosts[0].height - world.hosts[0].final_height <= 7

    # and soon after it is right, it signs again
    world.hosts[3].set_clock(0)
    traffic.run(2 * A_FEW_SLOTS, 0)
    assert [signed_in(host, world, 4) for host in world.hosts] == [1, 1, 1, 1]
    assert any(notice.startswith("signing_again") for notice in world.hosts[3].notices)


@pytest.mark.parametrize("validators", [1, 4])
@pytest.mark.parametrize("offset_ms", [YEAR_MS, DAY_MS, HOUR_MS, -HOUR_MS, -YEAR_MS])
def test_all_start_with_a_wrong_clock_that_is_put_right_after_seconds(validators: int, offset_ms: int) -> None:
    # given a network whose machines lost power, and their clocks' batteries are empty
    world, traffic = busy(validators)
    for host in world.hosts:
        restart(host, offset_ms)
    traffic.run(20, 0)

    # when their time service puts them right
    for host in world.hosts:
        host.set_clock(0)
    traffic.run(2 * A_FEW_SLOTS, 0)

    # then nothing was lost by it
    assert all(host.engine.silence(host.now_ms) is None for host in world.hosts)
    assert all(signed_in(host, world, 4) == 4 // validators for host in world.hosts)


@pytest.mark.parametrize("validators", [1, 4])
def test_a_network_that_was_off_for_a_week_waits_before_it_signs(validators: int) -> None:
    # given nobody who could say that a week has passed
    world, _ = busy(validators)
    for host in world.hosts:
        host.crash()
    world.run(7 * DAY_MS // 1000)
    for host in world.hosts:
        host.start()

    # then each waits whether its clock stays what it is, and says until when
    world.run(5)
    for host in world.hosts:
        mute = host.engine.silence(host.now_ms)
        assert mute is not None
        assert mute.kind == "clock_unconfirmed"
        assert mute.until_ms is not None
        assert 0 < mute.until_ms - host.now_ms <= PATIENCE_MS

    # and then signs
    world.run_until(lambda: all(not host.engine.silence(host.now_ms) for host in world.hosts), PATIENCE_MS // 1000)
    before = world.hosts[0].height
    world.run_until(lambda: world.hosts[0].height > before, 2 * world.genesis.heartbeat_slots)


def test_a_new_network_does_not_wait() -> None:
    world = World(1)
    assert world.run_until(lambda: bool(world.hosts[0].engine.silence(world.now_ms) is None), 2) <= 1


def test_a_signing_state_far_ahead_says_when_it_is_over() -> None:
    # given a home that was muted by a clock of former days, an hour ahead
    world, traffic = busy()
    world.hosts[3].crash()
    slot = world.slot + 3_600
    signing = world.hosts[3].disk.signing
    assert signing is not None
    world.hosts[3].disk.signing = replace(signing, slot=slot)
    world.hosts[3].start()
    traffic.run(5, 0)
    mute = world.hosts[3].engine.silence(world.now_ms)
    assert mute is not None
    assert (mute.kind, mute.until_ms) == ("slot_ahead", world.genesis.slot_start_ms(slot + 1))
    assert "; signs from 1970-01-01T01:" in next(note for note in world.hosts[3].notices if "silent" in note)


# ------------------------------------------------------------------------------------------------------ who lies


def liars(world: World, keys: int, *, at_ms: int) -> None:
    """So many strangers say what time it is, with credentials of their own keys, or of validators' for others."""
    for number in range(keys):
        stranger = world.stranger(f"liar{number}")
        key = secret(5_000 + number)
        status = world.hosts[0].engine.status(world.now_ms)
        status = replace(status, time_ms=at_ms, credential=sign_credential(key, world.genesis.id, stranger.name))
        stranger.claim = status
        for host in world.hosts:
            world.greet(stranger, host)


@pytest.mark.parametrize("lie_ms", [DAY_MS, -200_000])
def test_a_hundred_liars_neither_mute_a_validator_nor_talk_it_into_a_wrong_time(lie_ms: int) -> None:
    world, traffic = busy()
    liars(world, 100, at_ms=world.now_ms + lie_ms)
    restart(world.hosts[2], 0)
    world.hosts[3].set_clock(lie_ms)
    for _ in range(10):
        liars(world, 100, at_ms=world.now_ms + lie_ms)
        traffic.run(4, 0)
    assert [signed_in(host, world, 4) for host in world.hosts] == [1, 1, 1, 1]
    assert all(abs(host.now_ms - world.now_ms) < 1_000 for host in world.hosts)


def test_one_faulty_validator_convinces_nobody() -> None:
    # given one of four whose machine says another time, and one that starts and one whose wall clock fits the lie
    world, traffic = busy()
    liar = world.hosts[0]
    for _ in range(20):
        status = replace(liar.engine.status(liar.now_ms), time_ms=world.now_ms + DAY_MS, credential=liar.credential)
        for host in world.hosts[1:]:
            host.hear(liar.name, Claim(status.encode()))
        if world.slot == 20:
            restart(world.hosts[2], 0)
            world.hosts[3].set_clock(DAY_MS)
        traffic.run(1, 0)
    assert [signed_in(host, world, 4) for host in world.hosts] == [1, 1, 1, 1]


def test_a_credential_of_another_is_blamed() -> None:
    world, _ = busy()
    stranger = world.stranger("thief")
    stranger.claim = replace(world.hosts[0].engine.status(world.now_ms), credential=world.hosts[1].credential)
    world.greet(stranger, world.hosts[0])
    world.run(1)
    assert [(peer, refusal.reason.code) for peer, refusal in world.hosts[0].penalties] == [("thief", "bad_signature")]
