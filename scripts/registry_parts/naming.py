"""The address book at the command line: names that this machine gives to keys."""

from __future__ import annotations

from p2p.local.commandline import as_json, home_of_node

from pathlib import Path

import click

from chain.base.errors import OperatorError
from chain.base.keys import did_from_key
from p2p.local.addressbook import give_name, read_names
from scripts.console import print_json, table, use_names
from scripts.registry_parts.inputs import DID

_home = home_of_node("The home whose address book it is.")


@click.command("name")
@click.argument("key", metavar="DID", type=DID)
@click.argument("name", required=False)
@click.option("--forget", "is_forgotten", is_flag=True, help="Take its name out.")
@_home
def name_key(home: Path, key: bytes, name: str | None, is_forgotten: bool) -> None:
    """Give the key DID a name on this machine.

    Tables of registry.py, inspect_chain.py and audit.py show it beside the key.  It goes to no node, and no command
    takes it in place of a key.
    """
    if (name is None) != is_forgotten:
        raise OperatorError("give a NAME, or --forget")
    if not home.is_dir():
        raise OperatorError(f"{home} does not exist; name a node's home with --home")
    give_name(home, did_from_key(key), name)


@click.command("names")
@_home
@as_json
def list_names(home: Path, as_json: bool) -> None:
    """List the names that this machine gives to keys."""
    names = read_names(home)
    if as_json:
        print_json({"names": names})
        return
    use_names({})  # here a name has a column of its own
    table(f"Names: {len(names)}", ("name", "key"), [(name, did) for did, name in names.items()])
