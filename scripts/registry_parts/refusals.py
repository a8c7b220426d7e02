"""How a refusal is shown to people; what it says is :func:`chain.documents.chronicle.refusal_document`'s."""

from __future__ import annotations

import click

from chain.base.errors import Refused
from chain.content.genesis import Genesis
from chain.documents.chronicle import refusal_document
from scripts.console import with_names


def show(refusal: Refused, what: str, genesis: Genesis) -> None:
    """Say on stderr that ``what`` was refused, by which rule, and what would be needed."""
    document = refusal_document(refusal, genesis)
    click.echo(f"{click.style('refused:', fg='red')} {what} ({document['refused']})", err=True)
    click.echo(f"  rule    {document['rule']}", err=True)
    if refusal.detail:
        click.echo(f"  here    {with_names(refusal.detail)}", err=True)
    for slot, moment in document["when"].items():
        click.echo(f"  when    {slot} is {moment}", err=True)
    click.echo(f"  needed  {document['needed']}", err=True)
