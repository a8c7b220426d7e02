"""Long runs of the model, on all cores."""

from __future__ import annotations

from p2p.local.commandline import launched

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.simulation.parallel import in_parallel
from tests.model.broken import ARGUED, SEARCHED, SHOWN, Shown
from tests.model.exhaustive import Exhaustion
from tests.model.knobs import KNOBS, Rules
from tests.model.search import Finding, Tally, search

SIZES = (4, 7, 10)
SEEDS = range(400)
SEEDS_ARGUED = range(1_000)
SEEDS_BROKEN = range(6_000)
"""Enough for each rule that shows at all."""


@dataclass(frozen=True, slots=True)
class Searched:
    """What the histories of one kind and size came to, in how many seconds of one core."""

    kind: str
    n: int
    tally: Tally
    elapsed_s: float

    @property
    def row(self) -> dict[str, Any]:
        """For a table or JSON."""
        tally = self.tally
        return {
            "kind": self.kind,
            "n": self.n,
            "histories": tally.histories,
            "blocks": tally.blocks,
            "final": tally.finals,
            "sets changed": tally.changed,
            "gates lapsed": tally.lapsed,
            "tags renewed": tally.returned,
            "conflicts": tally.conflicts,
            "least guilty": str(tally.least_guilty) if tally.conflicts else None,
            "healed within": max(tally.healed_in, default=None),
            "seconds": round(self.elapsed_s),
            "found": told(tally.finding) if tally.finding else None,
        }


@dataclass(frozen=True, slots=True)
class Visited:
    """All histories up to some blocks, with ``following`` as a set that branches may change to.

    ``is_late`` says that attestations may come a block late.
    """

    following: str
    blocks: int
    is_late: bool
    states: int
    finals: int
    conflict: bool
    elapsed_s: float

    @property
    def row(self) -> dict[str, Any]:
        """For a table or JSON."""
        return {
            "next set": self.following or "none",
            "blocks": self.blocks,
            "attestations late": self.is_late,
            "states": self.states,
            "with final blocks": self.finals,
            "conflict": self.conflict,
            "seconds": round(self.elapsed_s),
        }


@dataclass(frozen=True, slots=True)
class Broken:
    """Rules taken out, and the first history that shows it, if one does."""

    shown: Shown
    finding: Finding | None
    histories: int

    @property
    def is_as_expected(self) -> bool:
        """Whether it shows, or is argued not to."""
        return (self.finding is None) == (len(self.shown.knobs) == 1 and self.shown.knobs[0] in ARGUED)

    @property
    def row(self) -> dict[str, Any]:
        """For a table or JSON."""
        return {
            "rule taken out": "+".join(self.shown.knobs),
            "instead": "; ".join(KNOBS[knob] for knob in self.shown.knobs),
            "kind": f"{self.shown.kind}, n = {self.shown.n}",
            "histories": self.histories,
            "found": told(self.finding) if self.finding else None,
        }


def told(finding: Finding) -> str:
    """A finding in a line."""
    return f"{finding.what} at seed {finding.seed} with {finding.blocks} blocks: {finding.detail}"


def search_all(
    kinds: Sequence[str], sizes: Sequence[int], seeds: range, knobs: Sequence[str], processes: int | None
) -> Iterator[Searched]:
    """Histories of each kind and size."""
    return in_parallel(_search, [(kind, n, seeds, tuple(knobs)) for kind in kinds for n in sizes], processes)


def _search(job: tuple[str, int, range, tuple[str, ...]]) -> Searched:
    kind, n, seeds, knobs = job
    started = time.monotonic()
    tally = search(kind, n, seeds, Rules(**dict.fromkeys(knobs, True)))
    return Searched(kind, n, tally, time.monotonic() - started)


def visit_all(
    wanted: Sequence[tuple[str, int, bool]], knobs: Sequence[str], processes: int | None
) -> Iterator[Visited]:
    """Every history of four, for each next set, number of blocks, and whether attestations may be late."""
    return in_parallel(_visit, [(*each, tuple(knobs)) for each in wanted], processes)


def _visit(job: tuple[str, int, bool, tuple[str, ...]]) -> Visited:
    following, blocks, is_late, knobs = job
    started = time.monotonic()
    done = Exhaustion(blocks, Rules(**dict.fromkeys(knobs, True)), following, is_late).run()
    elapsed_s = time.monotonic() - started
    return Visited(following, blocks, is_late, done.states, done.finals, done.conflict is not None, elapsed_s)


def break_all(knobs: Sequence[str], seeds: range | None, processes: int | None) -> Iterator[Broken]:
    """Each rule taken out in turn, in the kind of histories where it should show; of ``knobs``, or all."""
    wanted = [shown for shown in SHOWN if not knobs or set(shown.knobs) & set(knobs)]
    argued = [Shown((knob,), "", *SEARCHED[knob], 0) for knob in ARGUED if not knobs or knob in knobs]
    jobs = [(shown, seeds or SEEDS_BROKEN) for shown in wanted] + [(shown, seeds or SEEDS_ARGUED) for shown in argued]
    return in_parallel(_break, jobs, processes)


def _break(job: tuple[Shown, range]) -> Broken:
    shown, seeds = job
    tally = search(shown.kind, shown.n, seeds, shown.rules, shown.what)
    return Broken(shown, tally.finding, tally.histories)


def replay_command(finding: Finding, knobs: Sequence[str]) -> str:
    """The command that finds it again."""
    parts = [f"python scripts/model.py --kind {finding.kind} --nodes {finding.n} --seeds {finding.seed}"]
    return launched(" ".join([*parts, *(f"--broken {knob}" for knob in knobs)]))
