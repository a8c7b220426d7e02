"""Every way of breaking the rules against what theory predicts of it, with f villains and with one more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.simulation.byzantine import STRATEGIES
from scripts.simulation.parallel import in_parallel, run_job
from scripts.simulation.settings import Outcome, Settings, tolerated
from scripts.simulation.villain import Expectation

DOCUMENT = Path(__file__).parent.parent / "docs" / "attacks.md"
SEEDS = range(5)
NODES = (4, 7)
# Half of it in a network that villains may part, half of it in a good one: each at least twice as long as seven
# validators with two of them silent need until something is final (13 blocks, 5 in 7 slots).
SLOTS = 80

_HEAD = """\
# Attacks, and what comes of them

Made by `python scripts/simulate.py --matrix --write`; do not edit.

Theory (Lisk-BFT, arXiv 1903.11434): with f < n/3 villains no two honest nodes finalize different blocks, and finality
moves on. With one more, either can be lost, and where it is safety, signed headers prove at least a third guilty.

* **live**: honest nodes agree, finality moves on while the villains are at work, and nothing recorded is lost.
* **stalls**: honest nodes agree and their chain grows, but nothing new is final; once the villains return to their
  duty, everything becomes final.
* **forks**: two honest nodes finalize different blocks; none of them takes back what it called final, and the headers
  that they stored prove it against every villain.
* **named**: headers that honest nodes saw, stored or refused, prove every villain guilty; everywhere else they prove
  nothing against anybody. They never prove anything against an honest node.
* **jailed**: honest nodes brought this evidence on the chain, and in the end every villain's seat is jailed in what is
  final: it leads no slot, and its votes weigh nothing. A chain that forked needs people to choose a side first.

Those who sign twice also rule the network: for the first half of the time the honest nodes are parted into two halves
that hear only what the villains tell them. Whether finality moves on is asked of the second half, when all links are
good. See one of them happen:

    python scripts/simulate.py --replay-seed 0 --slots 80 --faults none --byzantine clones --nodes 4 --villains 2

"""


@dataclass(frozen=True, slots=True)
class Case:
    """One strategy with so many villains, and what is predicted."""

    strategy: str
    nodes: int
    villains: int
    expected: Expectation

    @property
    def settings(self) -> Settings:
        """The run that shows it."""
        return Settings(self.nodes, SLOTS, "none", self.strategy, self.villains)

    @property
    def predicted(self) -> str:
        """What is expected, in the words of :func:`describe`."""
        end = "" if not self.expected.named else ", named" if self.expected.outcome == "forks" else ", named, jailed"
        return self.expected.outcome + end


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a case: one word or sentence for each seed."""

    case: Case
    seen: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Whether every seed shows what is predicted."""
        return set(self.seen) == {self.case.predicted}


def cases(names: Iterable[str] = STRATEGIES) -> list[Case]:
    """All cases of these strategies."""
    return [
        Case(name, nodes, tolerated(nodes) + more, expected)
        for name in names
        for nodes in NODES
        for more, expected in enumerate((STRATEGIES[name].tolerated, STRATEGIES[name].too_many))
    ]


def run_matrix(wanted: Sequence[Case], seeds: Sequence[int], processes: int | None = None) -> Iterator[Row]:
    """Run every case with every seed."""
    outcomes = in_parallel(run_job, [(case.settings, seed) for case in wanted for seed in seeds], processes)
    for case in wanted:
        yield Row(case, tuple(describe(next(outcomes)) for _ in seeds))


def describe(outcome: Outcome) -> str:
    """What a run shows, in the words of predictions; a sentence where there is no word for it."""
    if outcome.violation:
        return f"{outcome.violation} (seed {outcome.seed})"
    if set(outcome.culprits) - set(outcome.villains):
        return f"an honest node is accused (seed {outcome.seed})"
    facts = outcome.facts
    if outcome.culprits and outcome.culprits != outcome.villains:
        return f"{len(outcome.culprits)} of {len(outcome.villains)} villains are named (seed {outcome.seed})"
    named = ", named" if outcome.culprits else ""
    if facts["forked"]:
        is_proven = facts["proven"] == len(outcome.villains) and 3 * facts["proven"] >= outcome.nodes
        return f"forks{named if is_proven else ', not proven by what nodes saw'}"
    if outcome.heal_slots < 0:
        return f"never mended (seed {outcome.seed})"
    if facts["late_blocks"] <= 0:
        return f"nobody makes blocks (seed {outcome.seed})"
    if facts["jailed"] != len(outcome.culprits):
        return f"{facts['jailed']} of {len(outcome.culprits)} named villains are jailed (seed {outcome.seed})"
    jailed = ", jailed" if facts["jailed"] else ""
    return f"{'live' if facts['late_final'] > 0 else 'stalls'}{named}{jailed}"


def document(rows: Sequence[Row]) -> str:
    """The result as Markdown."""
    columns = [(nodes, tolerated(nodes) + more) for nodes in NODES for more in (0, 1)]
    lines = [
        "| attack | each villain | " + " | ".join(f"{villains} of {nodes}" for nodes, villains in columns) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    by_case = {(row.case.strategy, row.case.nodes, row.case.villains): row for row in rows}
    for name in dict.fromkeys(row.case.strategy for row in rows):
        what = " ".join((STRATEGIES[name].__doc__ or "").split("\n\n")[0].split()).rstrip(".")
        cells = [_cell(by_case[name, nodes, villains]) for nodes, villains in columns]
        lines.append(f"| {name} | {what} | " + " | ".join(cells) + " |")
    count = len(rows[0].seen)
    lines += ["", f"A cell is what was predicted and what each of {count} histories of {SLOTS} slots showed."]
    return _HEAD + "\n".join(lines) + "\n"


def _cell(row: Row) -> str:
    return row.case.predicted if row.is_right else f"**{'; '.join(sorted(set(row.seen)))}**, not {row.case.predicted}"
