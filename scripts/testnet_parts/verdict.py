"""Whether the nodes agree, how fast blocks travelled, and what is reported at the end.  Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from p2p.client import HeadMove


@dataclass(frozen=True, slots=True)
class FinalChain:
    """What one node's database says: the ids of its final blocks, from height 1 on."""

    name: str
    ids: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Agreement:
    """``height`` is the common finalized height; ``differing`` names the nodes that finalized something else."""

    height: int
    differing: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every node's final chain is the beginning of the longest one."""
        return not self.differing


def agreement(chains: Sequence[FinalChain]) -> Agreement:
    """Compare every final block of every node with the longest final chain."""
    longest = max(chains, key=lambda chain: len(chain.ids)).ids
    differing = tuple(chain.name for chain in chains if list(chain.ids) != list(longest[: len(chain.ids)]))
    return Agreement(min(len(chain.ids) for chain in chains), differing)


def propagation_ms(moves: Mapping[str, Iterable[HeadMove]], ready_ms: Mapping[str, int]) -> list[int]:
    """For each block and each other node: how long after its proposer that node made it its head.

    ``moves`` and ``ready_ms`` go by node.  What was made before a node was ready is left out: the node did not
    receive it but catch up.  A block that was never a node's head, or whose maker is unknown, is left out too.
    """
    made: dict[str, tuple[str, int]] = {}
    for node, rows in moves.items():
        for row in rows:
            if row.made_here:
                made.setdefault(row.id, (node, row.at_ms))
    samples: list[int] = []
    for node, rows in moves.items():
        seen: set[str] = set()
        for row in rows:
            maker, made_ms = made.get(row.id, (node, 0))
            if maker != node and made_ms >= ready_ms[node] and row.id not in seen:
                seen.add(row.id)
                samples.append(max(0, row.at_ms - made_ms))
    return samples


def percentile(samples: Iterable[int], percent: int) -> int | None:
    """The nearest-rank percentile; None of nothing."""
    ordered = sorted(samples)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else None


def describe_propagation(samples: Sequence[int]) -> dict[str, int | None]:
    """Percentiles for the report."""
    return {"p50": percentile(samples, 50), "p95": percentile(samples, 95), "samples": len(samples)}


def exit_code(*, agree: bool, lost: int, refused: int, gave_up: bool, interrupted: bool, done: bool) -> int:
    """0 fine, 1 something is wrong, 130 stopped by a signal before everything submitted was final."""
    if not agree or refused or gave_up:
        return 1
    if interrupted and not done:
        return 130
    return 0 if lost == 0 else 1
