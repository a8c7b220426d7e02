"""What a mempool counts, counted again."""

from __future__ import annotations

from chain.protocol.mempool import Mempool


def check_pool(pool: Mempool) -> None:
    """The pool's counts are what they count."""
    waiting, queues = list(pool), pool._queues.by_actor
    assert pool.bytes == sum(len(item.raw) for item in waiting)
    assert all(map(len, queues.values())), "an actor of whom nothing waits"
    held = {(actor, nonce): item for actor, queue in queues.items() for nonce, item in queue.by_nonce.items()}
    assert held == {(item.actor, item.nonce): item for item in waiting}
    able = [item.actor for item in pool.candidates()]
    assert pool.ready == len(able)
    free = [queues[actor].is_strangers for actor in able if actor not in pool._queues.held_up]
    assert (pool.strangers, pool.expected) == (free.count(True), free.count(False))
