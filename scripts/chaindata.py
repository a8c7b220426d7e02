"""Look after the database of a home: carry its chain, check it, make it smaller.

``export`` and ``import`` carry a chain in one file; ``verify`` checks everything that is stored; ``stats`` says what
takes the room; ``prune`` drops what is too old, ``compact`` writes the file anew; ``migrate`` takes over a database of
the version before.  What writes into a home needs its node to be stopped.  See scripts/docs/chaindata.md.
"""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, as_json, group, home_of_node, importing

import os
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from chain.base.errors import OperatorError
from p2p.local.at_rest import migrate
from p2p.local.config import place_in
from p2p.local.home import genesis_beside_file, genesis_of
from p2p.local.passphrase import Passphrase, with_passphrase
from scripts.chain_view import Finding, Sheet, facts
from scripts.console import progress
from scripts.inspect_parts.question import show

# Signatures are checked outside of the interpreter's lock; of more threads that wait for the execution little comes.
_THREADS = min(8, os.cpu_count() or 1)


@group
def chaindata() -> None:
    """Look after the database of a home: carry its chain, check it, make it smaller."""


def _command(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        chaindata.command(name)(home_of_node()(as_json(function)))
        return function

    return decorate


_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


def _shown(
    title: str, document: dict[str, Any], *more: Sheet, as_json: bool, code: int = 0, untold: Collection[str] = ()
) -> None:
    """For people without what a table of its own lists, and what is ``untold``."""
    plain = {name: value for name, value in document.items() if not isinstance(value, list) and name not in untold}
    show(Finding(document, [facts(title, plain), *more], code), as_json=as_json)


@_command("export")
@_file
@click.option("--to", "height", type=click.IntRange(1), help="The last height; by default the last that is final.")
def export_chain(home: Path, file: Path, height: int | None, as_json: bool) -> None:
    """Write the final chain into FILE, with all that its blocks said.  The node may run meanwhile."""
    with importing():
        from chain.disk.reader import Reader
        from scripts.chaindata_parts.carrying import export, what_to_export

    genesis = genesis_of(home)
    with closing(Reader(place_in(home), genesis)) as reader:
        start = what_to_export(reader, height)
        with progress("blocks", start.height) as advance:
            export(reader, file, start.height, advance)
    document = {"file": str(file), "network": genesis.name, "height": start.height, "id": start.tip.hex()}
    _shown("Exported", document | {"bytes": file.stat().st_size}, as_json=as_json)


@_command("import")
@_file
@with_passphrase
def import_chain(home: Path, file: Path, passphrase: Passphrase, as_json: bool) -> None:
    """Bring a home up to the chain in FILE.  It is checked and executed like a stranger's.

    Interrupted, it goes on where it was when it is asked again.
    """
    with importing():
        from concurrent.futures import ThreadPoolExecutor

        from p2p.local.home import load_home
        from scripts.chaindata_parts.carrying import take
        from scripts.chaindata_parts.chainfile import open_chain

    loaded = load_home(home, passphrase)
    with open_chain(file) as source:
        total = source.start.height
    with progress("blocks", total) as advance, ThreadPoolExecutor(_THREADS) as pool:
        taken = take(loaded, file, pool, advance)
    _shown(f"Imported into {home}", asdict(taken), as_json=as_json)


@_command("verify")
def verify_chain(home: Path, as_json: bool) -> None:
    """Check every row that is stored.  It exits with 1 where something is wrong.  The node may run meanwhile."""
    with importing():
        from concurrent.futures import ThreadPoolExecutor

        from scripts.chaindata_parts.soundness import examine, rows_of

    genesis = genesis_of(home)
    with progress("rows", rows_of(home, genesis)) as advance, ThreadPoolExecutor(_THREADS) as pool:
        found = examine(home, genesis, pool, advance)
    damage = [each._asdict() for each in found.damage]
    document = {"ok": not damage, **asdict(found), "damage": damage}
    what = f"What is wrong, {len(damage)} rows of {len(damage) + found.unnamed}" if found.unnamed else "What is wrong"
    sheets = [Sheet(what, ("table", "row", "what", "remedy"), found.damage)] if damage else []
    if found.beside:
        title = "Files that may hold what this home dropped; remove them when you need them no more"
        sheets.append(Sheet(title, ("file",), [(name,) for name in found.beside]))
    title = f"{home} is damaged" if damage else f"{home} is whole"
    untold = ("unnamed",) if found.gone else ("unnamed", "gone")
    _shown(title, document, *sheets, as_json=as_json, code=EXIT_WRONG if damage else 0, untold=untold)


@_command("stats")
def stats_of_chain(home: Path, as_json: bool) -> None:
    """Say what takes the room: tables, blocks, members.  The node may run meanwhile."""
    with importing():
        from scripts.chaindata_parts.sizes import measure

    document = measure(home, genesis_beside_file(home))
    rows = [tuple(table.values()) for table in document["tables"]]
    _shown(f"{home}", document, Sheet("Tables", ("name", "rows", "bytes"), rows), as_json=as_json)


@_command("prune")
def prune_chain(home: Path, as_json: bool) -> None:
    """Drop what blocks said before the policy's bodies_days.  The file is written anew, so that it is gone."""
    with importing():
        from p2p.local.config import read_config
        from scripts.chaindata_parts.shrinking import prune

    genesis, config = genesis_beside_file(home), read_config(home / "config.toml")
    if config.mode == "archive":
        raise OperatorError(f"{home} is an archive; set mode in {home / 'config.toml'} to pruned or full first")
    with progress("bodies", 0) as advance:
        shrunk = prune(home, genesis, advance)
    _shown(f"Pruned {home}", shrunk._asdict(), as_json=as_json)


@_command("compact")
def compact_chain(home: Path, as_json: bool) -> None:
    """Write the file anew without its gaps.  It lies beside the old one, which it replaces once it is whole."""
    with importing():
        from scripts.chaindata_parts.shrinking import compact

    shrunk = compact(home, genesis_beside_file(home))
    _shown(f"Written anew in {home}", shrunk._asdict(), as_json=as_json)


chaindata.add_command(migrate)


if __name__ == "__main__":
    chaindata()
