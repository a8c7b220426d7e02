"""Every comparison, bound and refusal of the consensus broken, one at a time, until a history shows an effect of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from chain.base.errors import OperatorError
from scripts.console import Share, remark
from scripts.mutants_parts.breaks import Mutant, choose, mutants
from scripts.mutants_parts.crew import ROOT, drain, in_threads, queue_of, worker
from scripts.simulation import breaking
from scripts.simulation.argued import ARGUED
from scripts.simulation.trials import CONSENSUS, TRIALS, name_of

DOCUMENT = Path(__file__).parent.parent / "docs" / "mutations.md"
FILES = sorted(
    (path for path in (ROOT / "chain").rglob("*.py") if path.stem in CONSENSUS),
    key=lambda path: CONSENSUS.index(path.stem),
)

_HEAD = """\
# The consensus broken in {how}, and which effects that has

Made by `python scripts/simulate.py --mutate every{options} --write`; do not edit.

In the files that decide what becomes final one place at a time is broken, found in the text of the code: a refusal
taken out, a comparison or a bound off by one or turned round, `and` for `or`, an operator, a constant. Every node of a
history then runs the broken rule, villains and strangers beside them, in {trials} histories that are without fault as
long as all rules are in force, up to the first **effect**: two honest nodes finalize different blocks, or one forgets
what it finalized; nothing becomes final any more; what was promised is lost, or a newcomer cannot follow; an honest
validator is jailed or falls silent, or one that is jailed makes a block; an honest peer is blamed, or one that is
proven guilty goes free; what became final five times with all rules in force never does; a node crashes, hangs, or
keeps more than its memory holds. Nothing is compared with a copy of a rule.

What survives is listed below: how many histories execute it and how many went otherwise because of it, and why it has
no effect, as far as there is a reason.

"""


class Verdict(NamedTuple):
    """What became of a mutant: the effect ("" if there was none), the trial that showed it, how many executed it.

    ``changed`` is how many histories went otherwise without an effect; ``failed`` what the simulator itself died of.
    """

    mutant: Mutant
    noticed: str
    trial: int | None
    tried: int
    changed: int
    failed: str

    @property
    def is_well(self) -> bool:
        """Whether it was noticed, or need not be."""
        return bool(self.noticed) or self.mutant.key in ARGUED


class Reach(NamedTuple):
    """What one trial executes, and its history and CPU time with nothing broken."""

    lines: dict[str, frozenset[int]]
    imported: dict[str, frozenset[int]]
    history: str
    cpu_s: float
    deeds: dict[str, int]

    def executes(self, mutant: Mutant) -> bool:
        """Whether it executes the statement of a mutant; what runs while a module is imported concerns every trial."""
        module, lines = mutant.path.stem, range(mutant.first, mutant.last + 1)
        imported = not mutant.function and not self.imported.get(module, frozenset()).isdisjoint(lines)
        return imported or not self.lines.get(module, frozenset()).isdisjoint(lines)


def drawn(sample: int | None, seed: int) -> list[Mutant]:
    """All mutants of the consensus, or so many of them."""
    found = [mutant for path in FILES for mutant in mutants(path)]
    return choose(found, sample, seed)


def measure(processes: int) -> list[Reach]:
    """What each trial executes.  Raises :class:`OperatorError` where one has an effect with nothing broken."""
    reached: dict[int, Reach] = {}
    numbers = queue_of(range(len(TRIALS)))

    def work() -> None:
        with worker("reach", breaking.__name__) as ask:
            for number in drain(numbers):
                found = ask({"trial": number})
                if fault := found.get("violation", found.get("noticed")):
                    raise OperatorError(f"{name_of(TRIALS[number])}: {fault}, with nothing broken; mend it first")
                reached[number] = _reach(found)

    in_threads(work, processes)
    return [reached[number] for number in range(len(TRIALS))]


def try_all(
    chosen: Sequence[Mutant], known: Sequence[Reach], processes: int, tell: Callable[[Verdict], None]
) -> list[Verdict]:
    """What becomes of each mutant, in their order; ``tell`` hears of each at once."""
    verdicts: dict[str, Verdict] = {}
    waiting = queue_of(chosen)

    def work() -> None:
        with worker("try", breaking.__name__) as ask:
            for mutant in drain(waiting):
                trials = [
                    (at, one.history, one.cpu_s, one.deeds) for at, one in enumerate(known) if one.executes(mutant)
                ]
                found = {"noticed": ""}
                if trials:
                    found = ask({"path": str(mutant.path), "number": mutant.number, "trials": trials})
                verdict = _verdict(mutant, found, len(trials))
                verdicts[mutant.key] = verdict
                tell(verdict)

    in_threads(work, processes)
    return [verdicts[mutant.key] for mutant in chosen]


def run_every(sample: int | None, seed: int, processes: int) -> list[Verdict]:
    """Measure, try, and say on stderr how far it is and what survived."""
    chosen = drawn(sample, seed)
    remark(f"measuring what {len(TRIALS)} histories execute …")
    known = measure(processes)
    count = 0

    def tell(verdict: Verdict) -> None:
        nonlocal count
        count += 1
        mutant = verdict.mutant
        if not verdict.noticed:
            remark(f"{count} of {len(chosen)}: {mutant.path.stem}.py:{mutant.line}  {mutant.before} -> {mutant.after}")
        elif count % 50 == 0:
            remark(f"{count} of {len(chosen)}")

    return try_all(chosen, known, processes, tell)


def by_file(verdicts: Iterable[Verdict]) -> list[tuple[str, list[Verdict]]]:
    """The verdicts of each file."""
    return [(name, list(group)) for name, group in groupby(verdicts, lambda verdict: verdict.mutant.path.stem)]


def row_of(verdicts: Sequence[Verdict]) -> tuple[int, Share, int, int]:
    """How many were tried, noticed, survived, and survived without a reason."""
    left = [verdict for verdict in verdicts if not verdict.noticed]
    open_count = sum(not verdict.is_well for verdict in left)
    return len(verdicts), Share(len(verdicts) - len(left), len(verdicts)), len(left), open_count


def document(verdicts: Sequence[Verdict], sample: int | None, seed: int) -> str:
    """The result as Markdown."""
    options = f" --sample {sample} --draw {seed}" if sample else ""
    how = f"{len(verdicts)} places" if sample else "every place"
    lines = [_HEAD.format(how=how, options=options, trials=len(TRIALS))]
    lines += ["| file | tried | noticed | survivors | of them not argued |\n", "|---|---|---|---|---|\n"]
    for name, group in (*by_file(verdicts), ("all", list(verdicts))):
        lines.append(f"| {name} | {' | '.join(map(str, row_of(group)))} |\n")
    lines.append("\n## Which effects\n\n| effect | breaks |\n|---|---|\n")
    kinds = [kind_of(verdict.noticed) for verdict in verdicts if verdict.noticed]
    for kind in sorted(set(kinds), key=lambda kind: (-kinds.count(kind), kind)):
        lines.append(f"| {kind} | {kinds.count(kind)} |\n")
    lines.append("\n## Survivors\n\n| where | before | after | executed, changed | why |\n|---|---|---|---|---|\n")
    lines += [_line(verdict) for verdict in verdicts if not verdict.noticed]
    return "".join(lines)


def _line(verdict: Verdict) -> str:
    mutant = verdict.mutant
    where = f"{mutant.path.stem}.{mutant.function}".rstrip(".")
    why = ARGUED.get(mutant.key) or ("no history executes it" if not verdict.tried else "**not argued**")
    cells = (where, _code(mutant.before), _code(mutant.after), f"{verdict.tried}, {verdict.changed}", why)
    return f"| {' | '.join(cells)} |\n"


# What an effect is called, by words of the violation; the first that fits.
_KINDS = (
    ("finalized another block", "fork"),
    ("does not follow the one before", "fork"),
    ("abandoned the final block", "fork"),
    ("before its restart", "fork"),
    ("final height fell", "fork"),
    ("nothing new is final", "stall"),
    ("no agreement", "stall"),
    ("nothing that was promised", "stall"),
    ("are lost", "loss"),
    ("a newcomer", "loss"),
    ("which is honest", "honest node jailed or blamed"),
    ("that is jailed", "jailed validator at work"),
    ("made no block since", "honest validator silenced"),
    ("nobody blames", "impunity"),
    ("prove guilty", "impunity"),
    ("impunity", "impunity"),
    ("denied", "denial"),
    ("where the bound is", "memory"),
    ("hangs", "hung"),
    ("crashes", "crash"),
    ("cannot", "crash"),
)


def kind_of(noticed: str) -> str:
    """The kind of an effect."""
    return next((kind for words, kind in _KINDS if words in noticed), "crash")


def _code(text: str) -> str:
    return f"`{text.replace('|', chr(92) + '|')}`"


def _verdict(mutant: Mutant, found: dict[str, Any], tried: int) -> Verdict:
    trial, changed, failed = found.get("trial"), found.get("changed", 0), found.get("failed", "")
    return Verdict(mutant, found["noticed"], trial, tried, changed, failed)


def _reach(found: dict[str, Any]) -> Reach:
    return Reach(_sets(found["lines"]), _sets(found["imported"]), found["history"], found["alone_s"], found["deeds"])


def _sets(lines: dict[str, list[int]]) -> dict[str, frozenset[int]]:
    return {module: frozenset(numbers) for module, numbers in lines.items()}
