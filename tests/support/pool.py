"""What a mempool counts, counted again."""

from __future__ import annotations

from chain.protocol.mempool import Mempool


def check_pool(pool: Mempool) -> None:
    """The pool's counts are what they count."""
    waiting, queues = list(pool), {actor: pool.of(actor) for actor in pool.actors}
    assert pool.bytes == sum(len(item.raw) for item in waiting)
    assert all(queues.values()), "an actor of whom nothing waits"
    held = {(actor, item.nonce): item for actor, queue in queues.items() for item in queue}
    assert held == {(item.actor, item.nonce): item for item in waiting}
    able = [item.actor for item in pool.candidates()]
    assert pool.ready == len(able)
    free = [pool._next_nonce(actor) is None for actor in able if not pool.is_held_up(actor)]
    assert (pool.strangers, pool.expected) == (free.count(True), free.count(False))
