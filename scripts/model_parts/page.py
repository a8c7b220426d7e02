"""The page that tells what was proven, checked and only argued."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from scripts.model_parts.runs import Broken, Searched, Visited
from tests.model.broken import ARGUED
from tests.model.knobs import KNOBS
from tests.model.scenarios import KINDS

PAGE = Path(__file__).parents[1] / "docs" / "model.md"

_HEAD = """\
# The model of the consensus: what is proven, checked and argued

Made by `python scripts/model.py --write`; do not edit.

`tests/model` writes the rules of the consensus anew, without any code of `chain/`: counting, attestations, changes of
the set through gate and joint phase, jailing, lost signing state. A scheduler that knows all moves honest validators
between branches, Byzantine ones say anything, any leader may make a block at any time. That is more than a network can
do, so a rule that holds here for all histories holds there. But looking at histories is no proof: most of this is a
sample, and "every history" below means those of two branches in which the Byzantine one attests every tip, on each
branch as if the other were not there, each block carries all that is known, and its proposer does not vote.
"""

_SURE = (
    ("two blocks in conflict never become final: four validators, two branches, few blocks", "checked: every history"),
    ("the same with one change of the set on each branch, or with attestations a block late, or both, fewer blocks: a "
     "change gets as far as its joint phase, never to the next set alone", "checked: every history"),
    ("the same with 4, 7, 10 validators, changes in flight, unequal weights, jailing, lost state", "checked: a sample"),
    ("no honest validator is ever convicted", "checked: a sample"),
    ("with a third or more Byzantine, each conflict proves a third of one set guilty", "checked: a sample"),
    ("all becomes final again after it healed, and changes end, also when newcomers never come", "checked: a sample"),
    ("`chain/` counts, changes its validators and refuses as the model does", "checked: a sample, `--traces`"),
    ("the votes in simulated histories of whole networks are those of the model", "checked: a sample, `--simulated`"),
    ("`chain/` forgets those who left once the window knows no block that they may attest; the model never does, and "
     "both come to the same", "checked: a sample, `--traces`"),
    ("each phase before the next set is alone contains the old one, and the joint block that ends it is final under "
     "the old one, hence the same on all branches", "argued"),
    ("most rules at the end of this page cost no safety while the others hold", "argued, and searched in vain"),
    ("a restart by people: it makes its tip final, ends a change under way, and gives every validator a new tag. "
     "Nothing said before it counts, so it is as safe as two thirds of the weight that sign one block above all that "
     "is final", "argued; not modelled"),
    ("and it leaves out nothing final where those who signed it and still knew what they had said weigh more than a "
     "third of each set in force at its tip: each of them voted for nothing that the tip's branch did not see "
     "prevoted, so it precommitted nothing above the tip nor beside it, and without one of them nothing is final",
     "argued; the judge of the simulator asks for agreement exactly there"),
    ("an induction over all heights", "missing"),
    ("slots and clocks, fork choice beyond (mhp, height), keys of long ago, counting from a height on as proofs do",
     "not modelled"),
)  # fmt: skip


def page(searched: Sequence[Searched], visited: Sequence[Visited], broken: Sequence[Broken]) -> str:
    """The whole page."""
    lines = [_HEAD, "| what | how sure |", "|---|---|", *(f"| {what} | {how} |" for what, how in _SURE)]
    lines += ["\n## Every history of four validators\n", *_table(one.row for one in visited)]
    lines += ["\n## Random histories\n", *_table(_without(one.row, "found") for one in searched)]
    lines += ["\n| kind | |", "|---|---|", *(f"| {name} | {kind.what} |" for name, kind in KINDS.items())]
    lines += ["\n## Each rule taken out\n", "Histories from seed 0 on, until one shows it.\n"]
    lines += _table(one.row for one in broken if one.finding)
    lines += ["\n## Rules whose absence no random history showed\n", "| rule taken out | instead | searched | why |"]
    lines += ["|---|---|---|---|", *(_argued(one) for one in broken if not one.finding)]
    return "\n".join(lines) + "\n"


def _argued(one: Broken) -> str:
    knob = one.shown.knobs[0]
    where = f"{one.histories:,} histories, {one.shown.kind}, n = {one.shown.n}"
    return f"| {knob} | {KNOBS[knob]} | {where} | {ARGUED.get(knob, '**not found, not argued**')} |"


def _without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


def _table(rows: Iterable[dict[str, Any]]) -> list[str]:
    listed = list(rows)
    columns = list(listed[0]) if listed else []
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return lines + [f"| {' | '.join(map(_cell, row.values()))} |" for row in listed]


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value)
