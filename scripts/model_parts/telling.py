"""What ``model.py`` runs, and what it tells about it."""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG

from collections.abc import Iterable, Sequence
from typing import Any

import click

from scripts.console import print_json, remark, table
from scripts.model_parts import page
from scripts.model_parts.judged import Walked, walk
from scripts.model_parts.runs import SEEDS, SIZES, Broken, Searched, break_all, replay_command, search_all, visit_all
from scripts.model_parts.simulated import recount
from scripts.simulation.parallel import in_parallel
from tests.model.scenarios import KINDS

VISITED = (
    ("", 6, False),
    ("ABCE", 5, False),
    ("BCDE", 5, False),
    ("", 5, True),
    ("ABCE", 4, True),
    ("BCDE", 5, True),
)
"""For the page: no change, an honest one of four replaced, the Byzantine one replaced; up to so many blocks."""


def run_search(
    kind: str | None,
    nodes: int | None,
    seeds: range | None,
    broken: Sequence[str],
    processes: int | None,
    *,
    as_json: bool,
) -> bool:
    """Random histories; whether what was found is not what had to be."""
    kinds, sizes = [kind] if kind else list(KINDS), [nodes] if nodes else SIZES
    found = _searched(kinds, sizes, seeds, broken, processes)
    _show("histories", [one.row for one in found], as_json=as_json)
    findings = [one.tally.finding for one in found if one.tally.finding]
    for finding in findings if not as_json else ():
        click.echo(replay_command(finding, broken))
    return bool(findings) != bool(broken)


def _searched(
    kinds: Sequence[str], sizes: Sequence[int], seeds: range | None, broken: Sequence[str], processes: int | None
) -> list[Searched]:
    found = []
    for one in search_all(kinds, sizes, seeds or SEEDS, broken, processes):
        found.append(one)
        remark(f"{one.kind}, n = {one.n}: {one.tally.histories} histories in {one.elapsed_s:.0f} s")
    return found


def run_exhaustive(
    blocks: int, following: str, broken: Sequence[str], processes: int | None, *, is_late: bool, as_json: bool
) -> int:
    """Every history of four; the exit code."""
    found = list(visit_all([(following, blocks, is_late)], broken, processes))
    _show("visited", [one.row for one in found], as_json=as_json)
    return EXIT_WRONG if any(one.conflict for one in found) != bool(broken) else 0


def run_broken(broken: Sequence[str], seeds: range | None, processes: int | None, *, as_json: bool) -> int:
    """Each of these rules taken out in turn; the exit code."""
    found = _broken(broken, seeds, processes)
    _show("broken", [one.row for one in found], as_json=as_json)
    return 0 if all(one.is_as_expected for one in found) else EXIT_WRONG


def _broken(broken: Sequence[str], seeds: range | None, processes: int | None) -> list[Broken]:
    found = []
    for one in break_all([] if "all" in broken else broken, seeds, processes):
        found.append(one)
        remark(f"{'+'.join(one.shown.knobs)}: {one.finding.what if one.finding else 'nothing'}")
    return found


def run_traces(numbers: range, processes: int | None, *, as_json: bool) -> int:
    """Traces of the model through the chain; the exit code."""
    by_kind: dict[tuple[str, int], list[Walked]] = {}
    for walked in in_parallel(walk, list(numbers), processes):
        by_kind.setdefault((walked.kind, walked.n), []).append(walked)
    _show("traces", [_walked_row(*key, walked) for key, walked in by_kind.items()], as_json=as_json)
    wrong = [one for walked in by_kind.values() for one in walked if one.difference]
    for one in wrong:
        remark(f"trace {one.number}: {one.difference}")
    return EXIT_WRONG if wrong else 0


def _walked_row(kind: str, n: int, walked: Sequence[Walked]) -> dict[str, Any]:
    return {
        "kind": kind,
        "n": n,
        "traces": len(walked),
        "blocks": sum(one.blocks for one in walked),
        "refused": sum(len(one.refused) for one in walked),
        "different": sum(bool(one.difference) for one in walked),
    }


def run_simulated(seeds: range, processes: int | None, *, as_json: bool) -> int:
    """Simulated histories, counted by the model; the exit code."""
    found = list(in_parallel(recount, list(seeds), processes))
    _show("simulated", [one.row for one in found], as_json=as_json)
    return EXIT_WRONG if any(one.difference for one in found) else 0


def write_page(seeds: range | None, processes: int | None) -> int:
    """All of it, into the page; the exit code."""
    visited = list(visit_all(VISITED, (), processes))
    searched = _searched(list(KINDS), SIZES, seeds, (), processes)
    broken = _broken((), None, processes)
    page.PAGE.write_text(page.page(searched, visited, broken), encoding="utf-8")
    remark(f"wrote {page.PAGE}")
    is_right = not any(one.tally.finding for one in searched) and not any(one.conflict for one in visited)
    return 0 if is_right and all(one.is_as_expected for one in broken) else EXIT_WRONG


def _show(name: str, rows: Iterable[dict[str, Any]], *, as_json: bool) -> None:
    shown = list(rows)
    if as_json:
        print_json({name: shown})
    elif shown:
        table("", tuple(shown[0]), [tuple(row.values()) for row in shown])
