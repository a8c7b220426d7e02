"""``node.py doctor``: what is wrong with a node, and what to do about it."""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, as_json, home_of_node, importing, launched

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2p.local.passphrase import Passphrase, with_passphrase

if TYPE_CHECKING:
    from p2p.addresses import PeerAddress
    from p2p.local.examine import Case, Finding

MAX_ASKED = 8
"""Peers that are asked: enough for a median that a few cannot move."""


@click.command()
@home_of_node("The node's folder.")
@with_passphrase
@click.option("--offline", is_flag=True, help="Ask no peers.")
@as_json
@click.pass_context
def doctor(context: click.Context, home: Path, passphrase: Passphrase, offline: bool, as_json: bool) -> None:
    """Look for what is wrong with a home and with its node.

    Files, key, signing state, disk, ports and version here; then, as a visitor to its peers: clock, height, and whether
    they can dial it.  Exit codes: 0 all is fine, 1 something is not.
    """
    with importing():
        from p2p.local.examine import examine

    case, findings = examine(home, passphrase)
    if not offline and case.genesis is not None:
        findings += _of_peers(case)
    if as_json:
        click.echo(json.dumps({"fine": all(each.is_fine for each in findings), "findings": _documents(findings)}))
    else:
        _show(findings)
    if not all(finding.is_fine for finding in findings):
        context.exit(EXIT_WRONG)


def _of_peers(case: Case) -> list[Finding]:
    with importing():
        import trio

        from p2p.consult import consult
        from p2p.local.examine import judge_peers
    assert case.genesis is not None
    whom = "" if case.status is None else case.status["peer_id"]
    opinions = trio.run(consult, _addresses(case), case.genesis.id, whom)
    return [*_misspelt(case), *judge_peers(case, opinions)]


def _misspelt(case: Case) -> list[Finding]:
    """What should be the address of a peer, and is none: the node would not start."""
    from p2p.addresses import read_address
    from p2p.local.examine import Finding

    named = () if case.config is None else (*case.config.peers, *case.config.seeds)
    remedy = "mend it in config.toml; one looks like /ip4/192.0.2.7/tcp/9000/p2p/12D3Koo…"
    what = "is not the address of a peer"
    return [Finding("peers", False, f"{text!r} {what}", remedy) for text in named if read_address(text) is None]


def _addresses(case: Case) -> list[PeerAddress]:
    """Whom to ask: those that the operator named, and those that the node dialled."""
    from p2p.addresses import read_address

    named = [] if case.config is None else case.config.peers
    table = [] if case.peers is None else case.peers["peers"]
    dialled = [f"{peer['address']}/p2p/{peer['peer_id']}" for peer in table if peer["direction"] == "outbound"]
    read = [address for address in map(read_address, [*named, *dialled]) if address is not None]
    return list({address.peer_id: address for address in reversed(read)}.values())[-MAX_ASKED:]


def _documents(findings: Sequence[Finding]) -> list[dict[str, object]]:
    return [
        {"check": each.check, "fine": each.is_fine, "what": each.what, "remedy": launched(each.remedy)}
        for each in findings
    ]


def _show(findings: Sequence[Finding]) -> None:
    """For whoever watches as wide as the terminal; a line for each finding in a pipe."""
    if sys.stdout.isatty():
        for line in folded(findings, shutil.get_terminal_size().columns):
            click.echo(line, color=False if os.environ.get("NO_COLOR") else None)
        return
    for each in findings:
        remedy = f"; {launched(each.remedy)}" if each.remedy else ""
        click.echo(f"{'fine ' if each.is_fine else 'WRONG'}  {each.check}: {each.what}{remedy}")


def folded(findings: Sequence[Finding], columns: int) -> list[str]:
    """What was found, and below it what to do; a key, an address or a path is never broken."""
    widest = max(len(each.check) for each in findings)
    lines = []
    for each in findings:
        mark = click.style("fine ", fg="green") if each.is_fine else click.style("wrong", fg="red", bold=True)
        indent = len("wrong  ") + widest + 2
        told = [each.what, f"→ {launched(each.remedy)}"] if each.remedy else [each.what]
        first, *more = (
            line
            for text in told
            for line in textwrap.wrap(text, max(1, columns - indent), break_long_words=False, break_on_hyphens=False)
        )
        lines += [f"{mark}  {each.check:<{widest}}  {first}", *(" " * indent + line for line in more)]
    return lines
