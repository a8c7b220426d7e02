"""Nodes that are behind, and peers that claim what they do not have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from chain.base.errors import Reason
from chain.content.blocks import Block, encode_block
from chain.protocol.events import BlocksReceived, Request
from chain.protocol.messages import GetBlocks, GetTransactions, RawItems, Status
from scripts.simulation.wire import Claim
from tests.scenarios.crafting import Traffic, branch_of, chain_reply, craft, next_slot, reasons_of, replay, slot_now
from tests.support.world import World

HUGE = Status(b"\x99" * 32, 10**9, 10**9, 0)
NEAR = 30


@pytest.mark.parametrize("reply_bytes", [30_000, 900_000], ids=["small_replies", "full_replies"])
def test_an_observer_joins_late_and_syncs_a_long_chain(reply_bytes: int) -> None:
    # given a chain of more than 500 blocks: more than two replies hold
    world = World(4, seed=40)
    world.reply_bytes = reply_bytes
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(560, 0)
    assert world.hosts[0].height > 512

    # when somebody joins with an empty disk
    newcomer = world.join()
    world.run(30)

    # then it has the same chain, the same state, and the same finality, and has abandoned nothing
    assert world.agree()
    assert newcomer.final_height == world.hosts[0].final_height
    assert newcomer.reorgs == []
    assert world.lost() == set()
    assert replay(world, branch_of(newcomer)).state_root == newcomer.state_root


def test_an_observer_joins_while_finality_is_stalled_and_two_branches_are_long() -> None:
    # given two halves with some hundred blocks each that are not final
    world = World(4, seed=41)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(10, 0)
    world.cut({0, 1, 4}, {2, 3})
    traffic.run(560, 0)

    # when an observer follows one half from the beginning, and then the halves meet
    newcomer = world.join()
    world.run(5)
    assert newcomer.head_id == world.hosts[0].head_id
    world.heal()
    world.run(30)

    # then the observer is where all are
    assert world.agree()
    assert world.lost() == set()


def liar(world: World, claim: Status, reply: Callable[[Request], bytes | None]) -> None:
    """A stranger who greets everybody with ``claim`` and answers with ``reply``."""
    stranger = world.stranger("liar")
    stranger.claim, stranger.reply = claim, reply
    for host in world.hosts:
        world.greet(stranger, host)


def blocks_reply(blocks: Callable[[GetBlocks], tuple[Block, ...]]) -> Callable[[Request], bytes | None]:
    """Answer every request for blocks with these, whatever was asked for."""
    return lambda request: (
        RawItems(tuple(map(encode_block, blocks(request)))).encode() if isinstance(request, GetBlocks) else None
    )


@pytest.mark.parametrize("claim", ["huge", "near"])
@pytest.mark.parametrize("answer", ["silence", "nothing", "garbage", "the_same_again", "somebody_elses"])
def test_a_peer_that_lies_about_its_height_does_not_slow_the_network(claim: str, answer: str) -> None:
    # given a busy network, and a peer of all its nodes that claims the best chain and does not have it
    world = World(4, seed=42)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(20, 0)
    height = world.hosts[0].height
    status = HUGE if claim == "huge" else Status(b"\x98" * 32, height + NEAR, height + NEAR - 3, 0)
    main = branch_of(world.hosts[0])
    garbage = craft(world, [], 10**6 % 4 + 4, parent=b"\x77" * 32, height=height + NEAR)
    replies: dict[str, Callable[[Request], bytes | None]] = {
        "silence": lambda _request: None,
        "nothing": blocks_reply(lambda _request: ()),
        "garbage": blocks_reply(lambda _request: (garbage,)),
        "the_same_again": blocks_reply(lambda _request: tuple(main[-3:])),
        "somebody_elses": blocks_reply(lambda request: tuple(branch_of(world.hosts[0])[request.from_height - 1 :])),
    }
    liar(world, status, replies[answer])

    # when clients go on
    traffic.run(40, 0)

    # then there is a block a slot as before, finality follows, and nobody was blamed but the liar
    assert world.hosts[0].height >= height + 38
    assert world.hosts[0].height - world.hosts[0].final_height <= 6
    assert {peer for host in world.hosts for peer, _ in host.penalties} <= {"liar"}

    # and the liar was not asked without end: a request a slot and node is already more than it deserves
    assert len(world.stranger("liar").asked) <= 4 * 40


def test_a_lying_peer_does_not_keep_a_newcomer_from_the_truth() -> None:
    # given a chain, and a newcomer that meets a liar first
    world = World(4, seed=43)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(300, 0)
    stranger = world.stranger("liar")
    stranger.claim = HUGE
    newcomer = world.join()
    newcomer.hear("liar", Claim(HUGE.encode()))

    # when it syncs
    world.run(60)

    # then it arrives although the liar claims more than everybody
    assert world.agree()


def test_a_branch_beside_what_is_final_is_refused() -> None:
    # given a chain whose beginning is long final, and a peer that claims a better one beside it
    world = World(4, seed=44)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(30, 0)
    final = world.hosts[0].final_height
    branch: list[Block] = branch_of(world.hosts[0])[:5]
    slot = branch[-1].header.slot
    while len(branch) < world.hosts[0].height + 5:
        slot = next_slot(world, 3, slot) if len(branch) < 8 else slot + 1
        branch.append(craft(world, branch, slot))
        if slot >= slot_now(world):
            break
    status = Status(branch[-1].id, 10**6, 10**6, 0)
    liar(world, status, blocks_reply(lambda request: tuple(branch[request.from_height - 1 :])))

    # when the nodes ask for it
    traffic.run(20, 0)

    # then nothing final changed (World watches that) and the network went on
    assert world.hosts[0].final_height >= final + 18
    assert world.agree()


def test_blocks_nobody_asked_for_change_nothing() -> None:
    # given two nodes, one of them ahead of what the other has seen
    world = World(4, observers=1, seed=45)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(10, 0)
    observer = world.hosts[4]
    observer.crash()
    traffic.run(10, 0)
    world.cut({0, 1, 2, 3}, {4})
    observer.start()
    height = observer.height

    # when a stranger sends good blocks as the reply to a request that was never made
    blocks = tuple(branch_of(world.hosts[0])[height:])
    observer.handle(BlocksReceived("stranger", GetBlocks(blocks[-1].id, height + 1, 10), blocks))

    # then nothing happens
    assert observer.height == height
    assert reasons_of(observer) == []


def grown(seed: int, slots: int) -> World:
    """Four validators and the chain of so many slots."""
    world = World(4, seed=seed)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(slots, 0)
    return world


def test_silent_crowds_with_large_claims_do_not_keep_a_newcomer_from_the_truth() -> None:
    # given a chain, and a newcomer whom 31 peers tell of a longer one before it hears of this one
    world = grown(seed=46, slots=60)
    newcomer = world.join()
    for number in range(31):
        newcomer.hear(f"liar{number}", Claim(Status(bytes([number]) * 32, slot_now(world), 0, 0).encode()))

    # when half a minute passes, then it is where all are
    passed = world.run_until(lambda: newcomer.head_id == world.hosts[0].head_id, 30)
    assert passed <= 20
    assert newcomer.penalties == []


def test_a_peer_that_brings_one_true_block_every_nine_seconds_holds_up_nobody() -> None:
    # given a newcomer that meets a peer that has the whole chain, and gives it away drop by drop
    world = grown(seed=47, slots=100)
    chain = branch_of(world.hosts[0])
    newcomer, drip = world.join(), world.stranger("drip")
    serve = chain_reply(chain)

    def drop(request: Request) -> bytes | None:
        world.network.clogged_until_ms["drip", newcomer.name] = world.now_ms + 9_000
        return None if isinstance(request, GetTransactions) else serve(replace(request, count=1))

    drip.reply = drop
    newcomer.hear("drip", Claim(Status(chain[-1].id, slot_now(world), 0, 0).encode()))

    # when a few slots pass, then it has the chain from the others
    assert world.run_until(lambda: newcomer.head_id == world.hosts[0].head_id, 20) <= 10


def test_a_liar_in_the_middle_of_a_range_costs_nothing_but_its_reply() -> None:
    # given a peer that serves the true chain, and another block in the middle of each range
    world = grown(seed=48, slots=100)
    chain = branch_of(world.hosts[0])
    newcomer, liar = world.join(), world.stranger("liar")
    serve = chain_reply(chain)

    def lie(request: Request) -> bytes | None:
        reply = serve(request)
        if reply is None or not isinstance(request, GetBlocks):
            return reply
        items = list(RawItems.decode(reply, max_items=request.count).items)
        items[len(items) // 2] = encode_block(chain[0])
        return RawItems(tuple(items)).encode()

    liar.reply = lie
    liar.claim = Status(chain[-1].id, chain[-1].header.height, chain[-1].header.mhp, 0)
    world.greet(liar, newcomer)

    # when it syncs, then it has everything, and the liar is blamed for what it brought
    assert world.run_until(lambda: newcomer.head_id == world.hosts[0].head_id, 20) <= 10
    assert {peer for peer, _ in newcomer.penalties} <= {"liar"}
    assert set(reasons_of(newcomer)) <= {Reason.UNSOLICITED}
