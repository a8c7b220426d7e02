"""``registry.py import``: a csv file of records or ratings, filed row by row, and what became of each."""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, importing

from pathlib import Path
from typing import Any

import click

from chain.base.errors import OperatorError
from chain.base.keys import did_from_key
from chain.documents.chronicle import refusal_document
from p2p.following import Until
from scripts.console import print_json, remark, table
from scripts.inspect_parts.question import progress
from scripts.registry_parts.bulk import Filing, Outcome
from scripts.registry_parts.journal import opened
from scripts.registry_parts.rows import Row, Table, read_table
from scripts.registry_parts.session import EXIT_NOT_IN_TIME, Session, keyed, waits

# What is no table, but a list of people: see :mod:`scripts.registry_parts.vouched`.
LIST_SUFFIX = ".td"


@click.command("import")
@click.argument("file", metavar="FILE.csv|VOUCHED.td", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--check", "is_check", is_flag=True, help="Only read the file, and say what is wrong, line by line.")
@click.option("--established", metavar="DATE|SLOT", help="Of a VOUCHED.td: since when what it says is established.")
@click.option(
    "--names",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Of a VOUCHED.td: where names.toml says which key a handle has.  [default: beside it]",
)
@waits
@keyed
def import_table(
    session: Session,
    file: Path,
    is_check: bool,
    established: str | None,
    names: Path | None,
    until: Until,
    timeout_s: float,
    as_json: bool,
) -> None:
    """File the records or ratings of a table, or a VOUCHED.td.

    The first line names the columns.  Ratings: member, category, points.  Records: also established (a date), evidence
    (a file beside the table) or evidence_digest, and where the category wants them severity, reason or reason_digest.

    Of a list, each handle becomes a record: vouched for, or denounced with the reason behind it.

    What is refused or cannot be read is listed by its line and costs no other row.  Beside the table a journal keeps
    what was signed: run the same command again after an interruption, or after mending rows, and no row is filed twice.
    """
    read = _read(session, file, established, names)
    if is_check:
        _report(file, read, Outcome(), as_json=as_json, is_check=True)
        return
    with opened(file, session.genesis.id.hex(), did_from_key(session.secret.public)) as journal:
        try:
            with progress("rows", len(read.rows)) as advance:
                outcome = Filing(session, journal, until, timeout_s, advance).run(read.rows)
        except KeyboardInterrupt:
            remark("what was sent goes on by itself; run the same command again, no row is filed twice")
            raise
    _report(file, read, outcome, as_json=as_json, session=session)


def _read(session: Session, file: Path, established: str | None, names: Path | None) -> Table:
    if file.suffix != LIST_SUFFIX:
        if established is not None or names is not None:
            raise OperatorError("--established and --names are for a VOUCHED.td; a table has a column established")
        return read_table(file, session.genesis, session.policy)
    if established is None or established == "now":
        raise OperatorError("say since when the list holds: --established DATE, the same in every run")
    with importing():
        from scripts.registry_parts.vouched import read_list
    return read_list(file, session.genesis, session.policy, established, names)


def _report(
    file: Path, read: Table, outcome: Outcome, *, as_json: bool, session: Session | None = None, is_check: bool = False
) -> None:
    """Say what became of the rows, and end with the code that fits."""
    refused = [
        {"line": row.line, **refusal_document(refusal, session.genesis)}
        for row, refusal in outcome.refused
        if session is not None
    ]
    counts = {
        "rows": len(read.rows) + len(read.unreadable),
        "filed": len(outcome.filed),
        "filed_before": len(outcome.before),
        "refused": len(refused),
        "unreadable": len(read.unreadable),
        "waiting": len(outcome.waiting),
    }
    if as_json:
        print_json(
            {
                "file": str(file),
                "kind": read.kind,
                **counts,
                "refusals": refused,
                "errors": [line._asdict() for line in read.unreadable],
                "waits": _lines(outcome.waiting),
            }
        )
    else:
        _tell(file, read, counts, refused, is_check=is_check)
    if outcome.waiting:
        click.get_current_context().exit(EXIT_NOT_IN_TIME)
    if refused or read.unreadable:
        click.get_current_context().exit(EXIT_WRONG)


def _tell(file: Path, read: Table, counts: dict[str, int], refused: list[dict[str, Any]], *, is_check: bool) -> None:
    if is_check:
        click.echo(f"{file}: {counts['rows']:,} {read.kind}, {counts['unreadable']:,} cannot be read; nothing was sent")
    else:
        parts = [f"{counts[name]:,} {name.replace('_', ' ')}" for name in counts if counts[name] or name == "filed"]
        click.echo(f"{file}: {', '.join(parts)} ({read.kind})")
    wrong = [(line.line, line.why) for line in read.unreadable]
    wrong += [(row["line"], f"{row['refused']}: {row['detail'] or row['rule']}; {row['needed']}") for row in refused]
    if wrong:
        click.echo()
        table("Not filed", ("line", "why"), sorted(wrong))
    if counts["waiting"]:
        remark(f"{counts['waiting']:,} are on their way; run the same command again: it goes on, and files none twice")


def _lines(rows: list[Row]) -> list[int]:
    return sorted(row.line for row in rows)
