"""Analysis that watches the judges: what is unusual in who rated and recorded whom.

    python scripts/audit.py --home HOME                  a node's chain, also while the node runs
    python scripts/audit.py --ratings-csv FILE           a file in the Bitcoin OTC form
    python scripts/audit.py --ratings-csv FILE --measure how well the analysis finds what is known and planted

It only reads.  What it finds is evidence to look into, never a verdict.  Methods, sources and measured figures:
``scripts/docs/audit.md``.
"""

from __future__ import annotations

from p2p.local.commandline import as_json, command, importing

from pathlib import Path
from typing import TYPE_CHECKING

import click

from chain.errors import OperatorError
from scripts.console import print_json, remark, table, use_names, write

if TYPE_CHECKING:
    from scripts.audit_parts.report import Audit

# A csv file has no slots, and no records that would need them.
_CSV_SLOTS = 1


@command
@click.option("--home", type=click.Path(path_type=Path), help="A node's home, or a testnet's.")
@click.option("--ratings-csv", type=click.Path(path_type=Path), help="Ratings in the Bitcoin OTC form instead.")
@click.option(
    "--trusted", help="Pre-trusted members, separated by commas; by default a chain's validators and authorities."
)
@click.option("--groups", type=click.Path(path_type=Path), help="member,group lines: are issuers biased against one?")
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
@click.option("--measure", is_flag=True, help="Measure the analysis itself on the Bitcoin OTC data; takes minutes.")
@write("what --measure finds to scripts/docs/audit.md")
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
    measure: bool,
    write: bool,
) -> None:
    """Report unusual issuers, rings of ratings, and members by trust beside the plain score.  Changes nothing."""
    if write and not measure:
        raise click.UsageError("--write goes with --measure")
    if groups is not None and group_by is not None:
        raise click.UsageError("--groups or --group-by: one of them says what the groups are")
    chosen = [member.strip() for member in trusted.split(",")] if trusted else []
    if ratings_csv is not None and home is None and (groups or group_by) is None:
        if measure:
            _measure(ratings_csv, as_json, write)
            return
        found = _of_csv(ratings_csv, chosen)
    elif home is not None and ratings_csv is None and not measure:
        found = _of_home(home, chosen, groups, group_by, window_days)
    else:
        raise click.UsageError("give --home, or --ratings-csv; groups are for the former, --measure for the latter")
    _show(found, limit, out, as_json)


def _of_home(home: Path, seeds: list[str], file: Path | None, group_by: str | None, window_days: int) -> Audit:
    with importing():
        from p2p.local.addressbook import read_names
        from scripts.audit_parts.home import read_home
        from scripts.audit_parts.report import make_audit
        from scripts.chain_view import as_of, open_view
        from scripts.inspect_parts.question import progress

    with open_view(home) as view:
        use_names(read_names(view.reader.path.parent))
        remark(f"executing {home} {as_of(view.at_head)} …")
        with progress("blocks", view.head_height) as advance:
            frames = read_home(view, advance)
        window_slots = view.state.policy.slots(window_days, view.genesis.slot_ms)
    if frames.ratings.empty and frames.records.empty:
        raise OperatorError(f"the chain in {home} holds no ratings and no records yet; analyse it when there are some")
    groups = frames.groups_in(file) if file else frames.groups(group_by) if group_by else None
    return make_audit(frames, window_slots, seeds, groups)


def _of_csv(path: Path, seeds: list[str]) -> Audit:
    with importing():
        from scripts.audit_parts.frames import Frames, read_csv
        from scripts.audit_parts.report import make_audit

    return make_audit(Frames(read_csv(path)), _CSV_SLOTS, seeds)


def _show(found: Audit, limit: int, out: Path | None, as_json: bool) -> None:
    with importing():
        from scripts.audit_parts.report import document, sheets, write_files

    if as_json:
        print_json(document(found, limit))
    else:
        for number, sheet in enumerate(sheets(found, limit)):
            if number:
                click.echo()
            table(*sheet)
    if out is not None:
        for path in write_files(found, out):
            remark(f"wrote {path}")


def _measure(path: Path, as_json: bool, write: bool) -> None:
    with importing():
        from scripts.audit_parts.frames import read_csv
        from scripts.audit_parts.manual import MANUAL, measure_all, measured_sheets, write_manual
        from scripts.audit_parts.report import rows

    measured = measure_all(read_csv(path), remark)
    if as_json:
        print_json({name: rows(frame) for name, frame in measured.items()})
    else:
        for number, sheet in enumerate(measured_sheets(measured)):
            if number:
                click.echo()
            table(*sheet)
    if write:
        write_manual(measured)
        remark(f"wrote {MANUAL}")


if __name__ == "__main__":
    audit()
