"""Every rule of the register broken on purpose, and what noticed: ``histories.py --mutate``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from scripts.console import print_json, table
from scripts.histories_parts.broken import BROKEN, broken
from scripts.histories_parts.history import run_history
from scripts.histories_parts.rights import SENTENCES

DOCUMENT = Path(__file__).parents[1] / "docs" / "broken-rights.md"
_HEAD = """\
# Rights taken on purpose, and what noticed

Made by `python scripts/histories.py --mutate all --write`; do not edit.

A history that notices no broken rule proves nothing. In each, people of all offices try dozens of transactions, and
most often one has a plan: an office that hides its errors behind friendly filings, an issuer and arbiters in one
mind, all validators, a thief with a member's key, a registrar that invents people, a crowd of strangers, an issuer
that keeps what is to be repaired, somebody who blames and gives no reason, one who moves to write more, an issuer
whose friend lets it reopen what ended. After every transaction each of the rights below is looked for in what became of
the state, by who did what; and the whole state is counted a second time from the rules' text. Here one rule at a time
is broken in the chain's own code, and histories are run from seed 0 on until one tells of it. With all rules in force
the same seeds tell nothing.
Try one of them:

    python scripts/histories.py --mutate "a thief who rotates first has won"

## The rights
"""


class Finding(NamedTuple):
    """The first history that tells of a broken rule as it should, and its words; none where ``seed`` is None."""

    name: str
    seed: int | None
    words: str

    @property
    def is_right(self) -> bool:
        """Whether it was noticed, and by the right that it breaks."""
        return BROKEN[self.name].told in self.words


def until_noticed(name: str, seeds: range) -> Finding:
    """The first history that a broken rule shows in as it should; else the first that shows anything."""
    first: Finding | None = None
    with broken(name):
        for seed in seeds:
            found = Finding(name, seed, run_history(seed).violation)
            if found.is_right:
                return found
            first = first or (found if found.words else None)
    return first or Finding(name, None, "")


def run_broken(names: Sequence[str], seeds: range, *, as_json: bool, is_written: bool) -> bool:
    """Break these rules, one after the other, tell what noticed, and say whether all were, as they should be."""
    found = list(_run(names, seeds))
    if is_written:
        DOCUMENT.write_text(document(found), encoding="utf-8")
    if as_json:
        print_json({"broken": [{**one._asdict(), "is_right": one.is_right} for one in found]})
    else:
        table("", ("rule", "seed", "noticed as"), [(one.name, one.seed, one.words) for one in found])
        for one in found:
            if not one.is_right:
                click.echo(f"NOT NOTICED in {len(seeds)} histories: {one.name}")
    return all(one.is_right for one in found)


def _run(names: Sequence[str], seeds: range) -> Iterator[Finding]:
    return (until_noticed(name, seeds) for name in names)


def document(findings: Sequence[Finding]) -> str:
    """The result as Markdown."""
    lines = [_HEAD, *(f"* {sentence}" for sentence in SENTENCES), ""]
    lines += ["## Each rule broken", "", "| rule broken on purpose | noticed | as |", "|---|---|---|"]
    for one in findings:
        noticed = f"seed {one.seed}" if one.is_right else "**not at all**"
        lines.append(f"| {one.name} | {noticed} | {_short(one.words)} |")
    return "\n".join(lines) + "\n"


def _short(words: str) -> str:
    """The first of what was told; a long one is cut."""
    first = words.partition("; ")[0]
    return first if len(first) <= 120 else f"{first[:119]}…"
