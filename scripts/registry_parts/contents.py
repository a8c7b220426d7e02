"""What a record says, as options of a command and read by the policy in force: for filing and for reopening."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import click

from chain.content.actions import FileRecord
from scripts.registry_parts.inputs import DID, document, find_category, find_points, find_severity, read_slot
from scripts.registry_parts.session import Session

Command: TypeAlias = Callable[..., Any]


def says_what(evidence: str, reason: str, *, needs_reason: bool) -> Callable[[Command], Command]:
    """The options that say what is recorded, for :func:`read_contents`; the texts are those of its documents."""
    options = (
        click.argument("member", metavar="DID", type=DID),
        click.option("--category", required=True, help="Name or code of a category of the policy."),
        click.option("--points", type=int, help="May be left out where the category gives a fixed number."),
        click.option("--severity", help="Name or code; may be left out where the category knows one or none."),
        click.option(
            "--established",
            required=True,
            metavar="DATE|now|SLOT",
            help="When the conduct was established (UTC), or a slot.",
        ),
        document("evidence", evidence),
        document("reason", reason, needed=needs_reason),
    )

    def with_options(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return with_options


def read_contents(
    session: Session,
    *,
    member: bytes,
    category: str,
    points: int | None,
    severity: str | None,
    established: str,
    evidence: bytes,
    reason: bytes,
) -> FileRecord:
    """What the options say, as a record would be filed.  Raises :class:`OperatorError`."""
    policy = session.policy
    found = find_category(policy.categories, category)
    return FileRecord(
        subject=member,
        category=found.code,
        points=find_points(found, points),
        severity=find_severity(policy, found, severity),
        evidence=evidence,
        reason=reason,
        established_slot=read_slot(session.genesis, established, session.account["slot"], "--established"),
        policy_version=policy.version,
    )
