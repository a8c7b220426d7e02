"""``node.py key``: whose a key is, and whether it is encrypted."""

from __future__ import annotations

from p2p.local.commandline import as_json, home_of_node

import json
from collections.abc import Callable
from pathlib import Path

import click

from chain.base.errors import OperatorError
from chain.base.keys import did_from_key
from p2p.local.home import peer_id_of
from p2p.local.keyfile import open_key, rewrite_key
from p2p.local.passphrase import Passphrase, with_passphrase


@click.group()
def key() -> None:
    """The home's key."""


def _of_file(command: Callable[..., None]) -> Callable[..., None]:
    """Options that name a key file; the command gets ``home`` and ``file``."""
    option = click.option(
        "--key", "file", type=click.Path(path_type=Path, dir_okay=False), help="Another key file than the home's."
    )
    decided: Callable[..., None] = home_of_node("The node's folder.")(option(with_passphrase(command)))
    return decided


@key.command("show")
@_of_file
@as_json
def key_show(home: Path, file: Path | None, passphrase: Passphrase, as_json: bool) -> None:
    """Say who this node is: its public identities, never the secret."""
    secret, word = open_key(file or home / "key", passphrase)
    identity = {"did": did_from_key(secret.public), "peer_id": peer_id_of(secret.seed)}
    if as_json:
        click.echo(json.dumps(identity | {"encrypted": word is not None}))
    else:
        click.echo("\n".join(f"{name:8} {value}" for name, value in identity.items()))


@key.command("encrypt")
@_of_file
def key_encrypt(home: Path, file: Path | None, passphrase: Passphrase) -> None:
    """Encrypt the key under a passphrase.  Each start of the node then asks for it.

    Nobody can restore a passphrase.  The disk may still hold the plain key where it was; `init --encrypt` makes a new
    one that never is on it.
    """
    path = file or home / "key"
    secret, word = open_key(path, passphrase)
    if word is not None:
        raise OperatorError(f"{path} is encrypted already; for another passphrase, decrypt it first")
    rewrite_key(path, secret.seed, passphrase.chosen())
    click.echo(f"{path} is encrypted; copies of it elsewhere, in backups too, are not")


@key.command("decrypt")
@_of_file
def key_decrypt(home: Path, file: Path | None, passphrase: Passphrase) -> None:
    """Write the key plain again, readable by its owner only."""
    path = file or home / "key"
    secret, word = open_key(path, passphrase)
    if word is None:
        raise OperatorError(f"{path} is not encrypted; there is nothing to do")
    rewrite_key(path, secret.seed, None)
    click.echo(f"{path} is not encrypted any more: whoever can read it can sign with it")
