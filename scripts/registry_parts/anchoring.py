"""Standing by a report that was made beside the chain."""

from __future__ import annotations

from pathlib import Path

import click

from chain.content.actions import AUDIT, Anchor
from chain.content.transactions import VerifiedTransaction
from scripts.anchor_file import read_manifest
from scripts.registry_parts.session import Session, sends


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path, dir_okay=False))
@sends
def anchor(session: Session, manifest: Path) -> VerifiedTransaction:
    """Stand by a report, with your signature.  Its digests are those of the MANIFEST that `audit.py --anchor`
    wrote.

    Nothing follows from it in the register; whoever has the data can make the report again and compare.
    """
    _, digests = read_manifest(manifest)
    return session.sign(Anchor(AUDIT, *digests))
