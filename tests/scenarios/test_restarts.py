"""Crashes, restarts, lost signing states, and clocks that jump."""

from __future__ import annotations

from copy import deepcopy
from typing import Literal

import pytest

from tests.scenarios.crafting import Traffic, reasons_of
from tests.support.world import World


@pytest.mark.parametrize("doom", ["lost", "kept"])
@pytest.mark.parametrize("victim", range(4))
def test_a_validator_killed_in_mid_traffic_catches_up(victim: int, doom: Literal["lost", "kept"]) -> None:
    # given a busy network whose clients use other nodes than the victim
    world = World(4, observers=1, seed=20 + victim)
    traffic = Traffic(world)
    traffic.enrol(host=4)
    traffic.run(20, 4)
    host = world.hosts[victim]
    signed_before = len(host.signed)

    # when it is killed around a commit, five times
    for _ in range(5):
        host.doom = doom
        traffic.run(6, 4)
        assert not host.is_up
        signing = deepcopy(host.disk.signing)
        host.start()
        assert host.engine.producer is not None
        assert host.engine.producer.signing == signing
        traffic.run(6, 4)
    world.run(15)

    # then it has caught up, lost nothing, signed in each of its lives, and no slot twice (World watches that)
    assert world.agree()
    assert world.lost() == set()
    assert len(host.signed) >= signed_before + 5
    world.check_agreement()


def test_mhg_survives_a_restart_on_a_shorter_chain() -> None:
    # given a validator alone on a branch that it made long
    world = World(4, seed=25)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(8, 0)
    world.cut({0}, {1, 2, 3})
    world.submit(0, [traffic.next()])
    world.run(81)
    alone = world.hosts[0].disk.signing
    assert alone is not None
    common = world.hosts[0].final_height

    # when it restarts among the others, whose chain wins by its prevotes
    world.hosts[0].crash()
    world.heal()
    world.hosts[0].start()
    world.run(20)

    # then its next blocks tell the largest height that it ever generated, on whatever branch
    assert world.agree()
    assert world.hosts[0].final_height > common
    blocks = [
        world.hosts[1].disk.blocks[block_id][0]
        for block_id in world.hosts[0].signed.values()
        if block_id in world.hosts[1].disk.blocks
    ]
    heights = [block.header.height for block in sorted(blocks, key=lambda block: block.header.slot)]
    votes = [block.header.mhg for block in sorted(blocks, key=lambda block: block.header.slot)]
    assert all(mhg >= height for mhg, height in zip(votes[1:], heights, strict=False))
    assert max(votes) >= alone.mhg


def test_all_validators_killed_at_once_go_on() -> None:
    # given a busy network
    world = World(4, seed=26)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(20, 0)
    heights = [host.height for host in world.hosts]

    # when the power fails everywhere
    for host in world.hosts:
        host.crash()
    world.run(30)
    for host, height in zip(world.hosts, heights, strict=True):
        host.start()
        assert host.height == height
    traffic.run(20, 0)
    world.run(15)

    # then they go on from where they were
    assert world.agree()
    assert world.hosts[0].final_height > heights[0] + 10
    world.check_agreement()


def test_a_validator_that_was_away_makes_no_block_on_its_old_head() -> None:
    # given a validator that misses more than one reply's worth of blocks
    world = World(4, seed=27)
    world.reply_bytes = 4_000
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(10, 0)
    world.hosts[3].crash()
    traffic.run(120, 0)
    missed = world.hosts[0].height
    signed_before = len(world.hosts[3].signed)

    # when it comes back, on slow lines
    world.delay_ms = (150, 250)
    world.hosts[3].start()
    world.run(90)

    # then it waits until it has caught up before it signs
    blocks = [world.hosts[3].disk.blocks[block_id][0] for block_id in world.hosts[3].signed.values()]
    assert all(block.header.height >= missed for block in blocks[signed_before:])
    assert len(blocks) > signed_before


def test_who_lost_its_signing_state_speaks_again_once_the_chain_knows() -> None:
    # given a validator whose signing state is lost
    world = World(4, seed=28)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(20, 0)
    host = world.hosts[1]
    host.crash()
    host.disk.signing = None
    signed_before = dict(host.signed)

    # when it returns to a busy network
    host.start()
    producer = host.engine.producer
    assert producer is not None
    assert producer.is_silent
    while producer.is_silent:
        assert host.signed == signed_before
        traffic.run(1, 0)
    renewed = host.engine.chain.electorate.tag(producer.secret.public)

    # then it is silent no longer than until the block is final that makes its new tag known, and says so
    assert renewed.tag == producer.fresh_tag
    assert renewed.height <= host.final_height <= renewed.height + 2
    traffic.run(1, 0)
    assert any(notice.startswith("signing_again") for notice in host.notices)
    traffic.run(10, 0)
    world.run(15)
    assert len(host.signed) > len(signed_before)

    # and nobody takes what it says now for a contradiction
    assert world.agree()
    assert world.lost() == set()
    assert all(not other.penalties and not other.equivocations for other in world.hosts)

    # and its new signing state is durable at once
    assert host.disk.signing is not None
    assert host.disk.signing.tag == renewed.tag


def test_a_home_restored_from_a_backup_never_speaks_against_itself() -> None:
    # given a validator's home, copied, and used further for a while
    world = World(4, seed=29)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(10, 0)
    host = world.hosts[2]
    backup = deepcopy(host.disk)
    traffic.run(20, 0)

    # when the old copy is put in its place: the signing state in it is of long ago
    host.crash()
    host.disk = backup
    host.finalized = {at: key for at, key in host.finalized.items() if at <= backup.finalized}
    world.run(3)
    signed_before = dict(host.signed)
    host.start()
    traffic.run(30, 0)

    # then the node follows, sees what its key said, says why it says nothing, and that nobody else speaks
    notices = [notice.split(":")[0] for notice in host.notices]
    assert notices == ["key_used_elsewhere", "silent", "signing_lost", "silent", "signing_again"]

    # and speaks from a new signing state, without being started again
    world.run(15)
    assert len(host.signed) > len(signed_before)
    assert world.agree()
    assert world.lost() == set()
    assert all(not other.penalties and not other.equivocations for other in world.hosts)


def test_of_a_key_on_two_machines_one_stops_before_it_contradicts_the_other() -> None:
    # given an observer whose operator gave it node 2's key and a fresh signing state
    world = World(4, observers=1, seed=30)
    traffic = Traffic(world)
    traffic.enrol()
    twin = world.hosts[4]
    twin.crash()
    twin.key = twin.engine_key = world.hosts[2].key
    twin.start()

    # when both run
    traffic.run(40, 0)
    world.run(15)

    # then the twin heard the other speak before it said anything itself, and the network goes on with both
    assert not twin.signed
    assert [notice.split(":")[0] for notice in twin.notices] == ["key_used_elsewhere", "silent"]
    assert len(world.hosts[2].signed) > 8
    assert all(not host.penalties and not host.equivocations for host in world.hosts)
    assert world.lost() == set()
    world.check_agreement()


@pytest.mark.parametrize("jump_ms", [3_600_000, 7_000, -7_000, -3_600_000])
def test_a_clock_that_jumps_and_is_mended(jump_ms: int) -> None:
    # given a busy network, and one node whose clock jumps
    world = World(4, seed=31)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(10, 0)
    world.hosts[3].set_clock(jump_ms)
    traffic.run(30, 0)
    others = world.hosts[:3]
    assert len({host.head_id for host in others}) == 1
    assert others[0].height - others[0].final_height <= 3

    # when it is mended
    world.hosts[3].set_clock(0)
    traffic.run(10, 0)
    world.run(30)

    # then the node is with the others again; it never signed a slot twice (World watches that)
    assert world.agree()
    assert world.lost() == set()
    world.check_agreement()


def test_an_honest_node_is_not_blamed_for_our_slow_clock() -> None:
    # given a node that started with a clock that is two seconds behind
    world = World(4, seed=32)
    traffic = Traffic(world)
    traffic.enrol()
    world.hosts[3].crash()
    world.hosts[3].set_clock(-2_000)
    world.hosts[3].start()

    # when it hears the blocks of the others, which come from its future
    traffic.run(20, 0)

    # then it blames nobody: a block from the future shows as well that our clock is slow
    assert reasons_of(world.hosts[3]) == []


def test_attestations_that_were_written_and_never_sent_cost_a_block() -> None:
    # given a network whose machines all die between writing what they say and sending it
    world = World(4, seed=26)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(8, 0)
    for host in world.hosts:
        host.doom = "kept"
    traffic.run(4, 0)
    assert not any(host.is_up for host in world.hosts)
    height = max(max(host.disk.main) for host in world.hosts)

    # when they start again, where nobody repeats what nobody heard
    for host in world.hosts:
        host.start()
    world.run(6)

    # then what they say of the next block makes that one final, too
    assert all(host.final_height > height for host in world.hosts)
    world.check_agreement()


@pytest.mark.parametrize("into_ms", [100, 300, 600, 900])
def test_what_all_attested_and_no_block_carries_is_forgotten_and_costs_a_few_blocks(into_ms: int) -> None:
    # given validators who stood behind the head, and all start anew before a block carries that
    world = World(4, seed=33)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(10, 0)
    world.run_ms(into_ms)
    height = max(host.height for host in world.hosts)
    for host in world.hosts:
        host.crash()
    for host in world.hosts:
        host.start()
        assert not len(host.engine.heard)

    # then what they voted for is final after a few more blocks, and nobody contradicts itself
    world.run_until(lambda: all(host.final_height >= height for host in world.hosts), 12)
    assert max(host.height for host in world.hosts) <= height + 6
    traffic.run(10, 0)
    assert all(not host.penalties and not host.equivocations for host in world.hosts)
    world.check_agreement()
