"""Too many validators are away for a long time; then they come back."""

from __future__ import annotations

from chain.protocol.production import MAX_OPEN_TRANSACTIONS, block_limit
from tests.scenarios.crafting import Traffic
from tests.support.world import World

A_LONG_TIME = 6_000


def stalled(world: World) -> int:
    """Two of the four validators go; the height at which the others are left."""
    for host in world.hosts[2:4]:
        host.crash()
    return world.hosts[0].height


def offer(world: World, traffic: Traffic) -> None:
    world.submit(0, [traffic.next()])


def test_finality_resumes_by_itself_after_a_long_stall() -> None:
    # given a network in which half of the validators are gone
    world = World(4, seed=71)
    traffic = Traffic(world)
    traffic.enrol()
    world.run(12)
    height = stalled(world)
    final = world.hosts[0].engine.chain.finalized.height

    # when that lasts, and people go on using it
    for _ in range(20):
        offer(world, traffic)
        world.run(A_LONG_TIME // 20)

    # then their transactions are in blocks, nothing new is final, and the chain has not grown for nothing
    chain = world.hosts[0].engine.chain
    assert chain.ledger.transactions_above(chain.finalized.height) >= 20
    assert chain.finalized.height - final <= 5
    assert world.hosts[0].height - height < A_LONG_TIME // 20

    # and when one comes back, finality does, for all that was recorded meanwhile
    world.hosts[2].start()
    world.run_until(lambda: chain.finalized.height > height + 20, 400)
    world.hosts[3].start()
    world.run_until(lambda: world.agree() and not world.lost(), 400)


def test_a_stalled_chain_takes_less_and_less_but_never_more_than_fits() -> None:
    open_transactions = 0
    for _ in range(10_000):
        taken = block_limit(open_transactions)
        open_transactions += taken
    assert open_transactions <= MAX_OPEN_TRANSACTIONS
    assert block_limit(0) > 4_000
