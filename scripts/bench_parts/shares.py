"""What the CPU time of nodes went into, by their samples: ``python -m scripts.bench_parts.shares FOLDER``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

THREADS = "signatures, and what is stored, in threads while the main one waits"
LOOP = "unrolled_run "
REST = "timers, and what else trio does"
# The first whose functions are on a stack has it: what they begin with, or a file.
PARTS = (
    ("the tree over the state", ("StateTree.", "TreeOnDisk.", "(chain/tree/planting.py", "(chain/tree/pages.py")),
    ("the rules, in blocks and trials, and entries", ("Ledger.", "Producer.make", "_tried (")),
    ("HTTP: submissions and questions", ("(p2p/local/", "(hypercorn/")),
    ("reading transactions and letting them wait", ("Signatures.", "Mempool.", "_taking.", "Desk.")),
    ("headers, ballots, and what else an engine does", ("Engine.", "Node._handle", "LedgerProtocol.")),
    ("gossip, streams, encryption", ("(p2p/", "(libp2p/", "(noise/")),
)


def part_of(stack: Sequence[str]) -> str:
    """The part that a stack is of, its innermost function first."""
    if stack[0].startswith("EpollIOManager.get_events"):
        return THREADS
    shown = [_short(each) for each in takewhile(lambda each: not each.startswith(LOOP), stack)]
    for part, marks in PARTS:
        if any(each.startswith(mark) or (mark.startswith("(") and mark in each) for each in shown for mark in marks):
            return part
    return REST


def shares(folder: Path) -> Counter[str]:
    """How many samples each part has, of all nodes that wrote into ``folder``."""
    found: Counter[str] = Counter()
    for path in folder.glob("*.json"):
        for count, stack in json.loads(path.read_text()):
            found[part_of(stack)] += count
    return found


def _short(function: str) -> str:
    """A function with its file as from its package."""
    for package in ("chain", "p2p", "hypercorn", "libp2p", "noise"):
        name, found, rest = function.partition(f"/{package}/")
        if found:
            return f"{name.partition(' (')[0]} ({package}/{rest}"
    return function


def main(folder: str) -> None:
    """Print what each part has of all CPU time."""
    found = shares(Path(folder))
    for part, count in found.most_common():
        print(f"{100 * count / found.total():5.1f} %  {part}")


if __name__ == "__main__":
    main(sys.argv[1])
