"""``registry.py policy``: write, check and compare policies, and the reference of their language; no node is needed."""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, as_json, importing, pasted
from p2p.local.startup import EXIT_MISTAKE

from pathlib import Path
from typing import Any

import click

from chain.base.errors import OperatorError
from chain.content.tables import Mistake, Table
from scripts.console import print_json, remark, table, write

_file = click.argument("file", metavar="FILE.toml", type=click.Path(path_type=Path, dir_okay=False))


@click.group()
def policy() -> None:
    """Write, check and compare policies.  A policy says what may be recorded, and what follows from it.

    No node is needed.  scripts/docs/policy.md tells every key.
    """


@policy.command("new")
@_file
@click.option("--name", metavar="NAME", help="What the policy is called.  [default: as the file]")
def new(file: Path, name: str | None) -> None:
    """Write a commented policy that passes, to be changed."""
    with importing():
        from p2p.local.carried import write_once
        from scripts.registry_parts.policy_page import new_policy
    name = file.stem if name is None else name
    try:
        Table({"name": name}, ("name",)).text("name")
    except Mistake as mistake:
        raise OperatorError(f"the {mistake}") from mistake
    write_once(file, new_policy(name))
    remark(f"wrote {file}; `python scripts/registry.py policy check {pasted(file)}` after changing it")


@policy.command("check")
@_file
@as_json
@click.pass_context
def check(context: click.Context, file: Path, as_json: bool) -> None:
    """Say what is wrong or hardly meant in a policy, by line.

    Exit codes: 0 nothing, 1 warnings, 2 mistakes.
    """
    with importing():
        from scripts.registry_parts.policy_check import check_file
    errors, warnings = check_file(file)
    if as_json:
        rows = [[finding._asdict() for finding in found] for found in (errors, warnings)]
        print_json({"file": str(file), "errors": rows[0], "warnings": rows[1]})
    else:
        for kind, found in (("error", errors), ("warning", warnings)):
            for finding in found:
                click.echo(f"{file}:{finding.line}: {kind}: {finding.text}")
        if not errors:
            remark(f"{file} can be used; {len(warnings) or 'no'} warning{'' if len(warnings) == 1 else 's'}")
    context.exit(EXIT_MISTAKE if errors else EXIT_WRONG if warnings else 0)


@policy.command("diff")
@click.argument("old", metavar="OLD", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("new", metavar="NEW", type=click.Path(path_type=Path, dir_okay=False))
@as_json
@click.pass_context
def diff(context: click.Context, old: Path, new: Path, as_json: bool) -> None:
    """Say what changes if the policy NEW follows the policy OLD.  Each is a file, or the name of a policy that
    ships.

    What gets worse for members, and the notice that it takes.  Exit codes: 0 NEW may follow, 1 it may not, 2 a mistake
    in a file.
    """
    with importing():
        from p2p.local.founding import named_policy
        from scripts.registry_parts.policy_check import difference
    found = difference(named_policy(str(old)), named_policy(str(new)))
    if as_json:
        print_json(found)
    else:
        _tell(found)
    context.exit(EXIT_WRONG if found["faults"] else 0)


def _tell(found: dict[str, Any]) -> None:
    rows = [[row[name] for name in ("rule", "before", "after", "means")] for row in found["changes"]]
    table(f"Changes: {len(rows)}", ("rule", "before", "after", "what_the_rule_does"), rows, ("what_the_rule_does",))
    for title, name in (("Worse for members, from then on", "worse"), ("It may not follow", "faults")):
        if found[name]:
            click.echo()
            table(title, ("what",), [(text,) for text in found[name]])
    if not found["faults"]:
        click.echo(f"\nNotice: {found['notice_days']} days. Nothing that is recorded already gets worse.")


@policy.command("reference")
@write("the page to scripts/docs/policy.md instead of printing it")
def reference(write: bool) -> None:
    """Tell every key of the policy language, as a page in Markdown."""
    with importing():
        from scripts.registry_parts.policy_page import PAGE, page
    if write:
        PAGE.write_text(page(), encoding="utf-8")
        remark(f"wrote {PAGE}")
    else:
        click.echo(page(), nl=False)
