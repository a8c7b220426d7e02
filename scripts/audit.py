"""Analysis that watches the judges: what is unusual in who rated and recorded whom.

    python scripts/audit.py --home HOME                  a node's chain, also while the node runs
    python scripts/audit.py --ratings-csv FILE           a file in the Bitcoin OTC form
    python scripts/audit.py --ratings-csv FILE --measure all     how well it finds what is known and planted
    python scripts/audit.py --ratings-csv FILE --measure crowd   what Sybils do under the register's own rules
    python scripts/audit.py --home HOME --anchor FOLDER          a report that anybody can make again, to the byte
    python scripts/audit.py --home HOME --check FOLDER           the same again: does it come out the same?

It only reads.  What it finds is evidence to look into, never a verdict.  Methods, sources and measured figures:
``scripts/docs/audit.md``.
"""

from __future__ import annotations

from p2p.local.commandline import as_json, command, importing, pasted

from pathlib import Path
from typing import TYPE_CHECKING

import click

from chain.base.errors import OperatorError
from scripts.anchor_file import MANIFEST
from scripts.console import OneOf, print_json, remark, table, write

if TYPE_CHECKING:
    from scripts.audit_parts.asking import Question, Source
    from scripts.audit_parts.manual import Measured
    from scripts.audit_parts.report import Audit


# What the libraries read that take ten seconds to import: that it is not there is said before.
_THERE = click.Path(path_type=Path, exists=True, allow_dash=True)


def _parts() -> tuple[str, ...]:
    from scripts.audit_parts.manual import ALL, PARTS

    return (*PARTS, ALL)


@command
@click.option("--home", type=_THERE, help="A node's home, or a testnet's.")
@click.option("--ratings-csv", type=_THERE, help="Ratings in the Bitcoin OTC form instead.")
@click.option(
    "--trusted", help="Pre-trusted members, separated by commas; by default a chain's validators and authorities."
)
@click.option("--groups", type=_THERE, help="member,group lines: are issuers biased against one?")
@click.option("--group-by", type=click.Choice(["registrar", "tier"]), help="Ask that about groups the chain knows.")
@click.option(
    "--window-days",
    type=click.IntRange(1, 366),
    default=7,
    show_default=True,
    help="How long a burst is, in days of the policy.",
)
@click.option("--limit", type=click.IntRange(1, 100_000), default=15, show_default=True, help="Rows of a table.")
@click.option("--out", type=click.Path(path_type=Path), help="A folder for plots and csv files.")
@as_json
@click.option(
    "--measure",
    type=OneOf("PART|all", _parts),
    multiple=True,
    help="Measure on these data: published, rings, issuers, praise, crowd, signs; takes minutes.  Again for more.",
)
@write("what --measure finds to scripts/docs/audit.md")
@click.option("--at-height", type=click.IntRange(1), help="The chain up to this height.  [default: its head]")
@click.option(
    "--anchor", type=click.Path(path_type=Path), help="Write a report and its manifest, for `registry.py anchor`, here."
)
@click.option("--check", type=_THERE, help="Make the report in this folder again, compare, find its anchors.")
def audit(
    home: Path | None,
    ratings_csv: Path | None,
    trusted: str | None,
    groups: Path | None,
    group_by: str | None,
    window_days: int,
    limit: int,
    out: Path | None,
    as_json: bool,
    measure: tuple[str, ...],
    write: bool,
    at_height: int | None,
    anchor: Path | None,
    check: Path | None,
) -> None:
    """Report unusual issuers, rings of ratings, and members by trust beside the plain score.  Changes nothing."""
    if check is not None:
        if home is None and ratings_csv is None:
            raise click.UsageError(
                "--check needs the data again: --home, or --ratings-csv, or both where it is anchored"
            )
        _check(check, home, ratings_csv, groups, as_json)
        return
    if write and not measure:
        raise click.UsageError("--write goes with --measure")
    if groups is not None and group_by is not None:
        raise click.UsageError("--groups or --group-by: one of them says what the groups are")
    of_chain = groups is not None or group_by is not None or at_height is not None
    if (home is None) == (ratings_csv is None) or (measure and home) or (of_chain and ratings_csv):
        raise click.UsageError(
            "give --home, or --ratings-csv; groups and --at-height are for the former, --measure for the latter"
        )
    with importing():
        from scripts.audit_parts.asking import Question, Source, find

    chosen = tuple(member.strip() for member in trusted.split(",")) if trusted else ()
    question = Question(chosen, group_by, window_days, limit, measure)
    source = Source(home, ratings_csv, groups, at_height)
    if anchor is not None:
        _anchor(question, source, anchor)
    else:
        _show(question, find(question, source), out, as_json, write)


def _show(question: Question, found: Audit | Measured, out: Path | None, as_json: bool, write: bool) -> None:
    with importing():
        from scripts.audit_parts.asking import document_of, sheets_of
        from scripts.audit_parts.manual import MANUAL, Measured, write_manual
        from scripts.audit_parts.report import write_files

    if as_json:
        print_json(document_of(question, found))
    else:
        for number, sheet in enumerate(sheets_of(question, found)):
            if number:
                click.echo()
            table(*sheet)
    if isinstance(found, Measured):
        if write:
            write_manual(found)
            remark(f"wrote {MANUAL}")
    elif out is not None:
        for path in write_files(found, out):
            remark(f"wrote {path}")


def _anchor(question: Question, source: Source, folder: Path) -> None:
    with importing():
        from scripts.audit_parts.anchored import write_report

    for path in write_report(question, source, folder):
        remark(f"wrote {path}")
    remark(f"to stand by it: python scripts/registry.py anchor {pasted(folder / MANIFEST)} --key FILE")


def _check(folder: Path, home: Path | None, ratings: Path | None, groups: Path | None, as_json: bool) -> None:
    """Exits with 1 where something else comes out."""
    with importing():
        from scripts.audit_parts.anchored import anchors, check_report
        from scripts.audit_parts.asking import Source

    checked = check_report(folder, Source(home, ratings, groups))
    found = list(anchors(home, checked.claimed)) if home is not None else []
    if as_json:
        print_json({"same": checked.is_same, "differs": checked.differs, "anchors": [one._asdict() for one in found]})
    else:
        table("Anchors of this report", ("by", "height", "transaction", "final"), found)
    differs = "; ".join(f"{name}: {what}" for name, what in checked.differs.items())
    if not checked.is_same:
        raise OperatorError(f"another report comes out ({differs}); give the data and the code that it is of")
    remark(f"the same report, to the byte{differs and ', though by other code: ' + differs}")


if __name__ == "__main__":
    audit()
