"""What is done to a home while its node rests, as commands: make it, move what it signed, restart, migrate it."""

from __future__ import annotations

from p2p.local.commandline import as_json, home_of_node, launched, pasted

import json
import secrets
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from chain.base.errors import OperatorError
from chain.base.keys import SEED_BYTES, SecretKey, did_from_key
from chain.content.genesis import found_genesis, load_genesis
from chain.disk import migrate as migrating
from chain.disk.database import DATABASE
from p2p import clocks
from p2p.local import founders
from p2p.local.config import checked_store
from p2p.local.doctor import doctor
from p2p.local.founding import check_joined, dialled, home_config, named_policy
from p2p.local.handover import export_signing, import_signing, renew_database
from p2p.local.home import Home, create_home, genesis_beside_file, is_begun_home, load_home, locked
from p2p.local.keyfile import open_key
from p2p.local.keys import key
from p2p.local.passphrase import Passphrase, with_passphrase
from p2p.local.restarting import Signed, sign_restart

_home = home_of_node("The node's folder.")


@click.command()
@_home
@click.option("--genesis", "genesis_path", type=click.Path(path_type=Path), help="The network's genesis.json.")
@click.option("--new-network", metavar="NAME", help="Instead of --genesis: found a network with this one validator.")
@click.option("--policy", default="marketplace", show_default=True, help="With --new-network: a name or a TOML file.")
@click.option("--slot-ms", default=1_000, show_default=True, help="With --new-network: length of a slot.")
@click.option("--key", "key_path", type=click.Path(path_type=Path), help="Use this key file instead of a new key.")
@click.option("--peer", "peers", multiple=True, help="Multiaddr of a node to join, ending in /p2p/<peer id>.")
@click.option("--store", default="", metavar="URL", help="Keep the chain on a server: postgresql://user@host/database.")
@click.option("--resync", is_flag=True, help="Keep the home, replace a lost or damaged database; it is kept aside.")
@click.option("--yes", is_flag=True, help="With --resync: also where no other home is known to hold the chain.")
@click.option("--encrypt", is_flag=True, help="Encrypt the key; the node then asks for its passphrase at each start.")
@with_passphrase
def init(
    home: Path,
    genesis_path: Path | None,
    new_network: str | None,
    policy: str,
    slot_ms: int,
    key_path: Path | None,
    peers: Sequence[str],
    store: str,
    resync: bool,
    yes: bool,
    encrypt: bool,
    passphrase: Passphrase,
) -> None:
    """Make a home: key, configuration, genesis, empty database.

    A key that is encrypted in --key stays so, under its passphrase.
    """
    if resync:
        click.echo(launched(_resynced(load_home(home, passphrase), is_sure=yes)))
        return
    if (genesis_path is None) == (new_network is None):
        raise OperatorError("say either --genesis FILE or --new-network NAME")
    for peer in peers:
        dialled(peer)
    known = home / "key" if key_path is None and is_begun_home(home) else key_path
    is_new, now_ms = known is None, clocks.wall_ms()
    secret, word = (SecretKey(secrets.token_bytes(SEED_BYTES)), None) if known is None else open_key(known, passphrase)
    if encrypt and word is None:
        if known == home / "key":
            encrypt_it = f"run `python node.py key encrypt --home {pasted(home)}` first"
            raise OperatorError(f"{known} is not encrypted; {encrypt_it}")
        word = passphrase.chosen()
    if genesis_path is not None:
        genesis = load_genesis(genesis_path)
        check_joined(home, genesis, passphrase)
    else:
        genesis = found_genesis(
            new_network or "", named_policy(policy), [secret.public], genesis_time_ms=now_ms, slot_ms=slot_ms
        )
    # Before a network begins, no key can have signed in it.
    may_have_signed = genesis_path is not None and not is_new and now_ms >= genesis.genesis_time_ms
    config = replace(home_config(genesis, secret, peers), store=checked_store(store))
    create_home(home, genesis, secret.seed, config, may_have_signed=may_have_signed, word=word)
    click.echo(launched(founders.readiness(home, genesis, may_have_signed=may_have_signed)))


def _resynced(home: Home, *, is_sure: bool) -> str:
    aside = renew_database(home, is_sure=is_sure)
    kept = f"; what was there is {aside}: keep it until the node has the chain again" if aside else ""
    return (
        f"{home.database} is new and empty{kept}\n"
        "the node will sync, and a validator signs again once the chain made final that it starts anew, unless its "
        "signing state was exported; while a third or more of the weight waits for that, nothing becomes final, "
        "so do this to one after the other\n"
        f"    python node.py run --home {pasted(home.path)}"
    )


@click.group()
def signing() -> None:
    """Move what this validator signed last to another machine."""


_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@signing.command("export")
@_home
@_file
@with_passphrase
def signing_export(home: Path, file: Path, passphrase: Passphrase) -> None:
    """Move the signing state into FILE.  This home then signs nothing until one is imported."""
    state = export_signing(load_home(home, passphrase), file)
    click.echo(f"{file} holds what {home} signed, up to slot {state.slot:,}; {home} signs nothing from now on")


@signing.command("import")
@_home
@_file
@with_passphrase
def signing_import(home: Path, file: Path, passphrase: Passphrase) -> None:
    """Let this home sign where the home that made FILE left off.  Import a file in one home only."""
    state = import_signing(load_home(home, passphrase), file)
    click.echo(f"{home} signs after slot {state.slot:,}; keep {file} from every other machine, or remove it")


@click.group()
def restart() -> None:
    """Go on from a block, where too many validators lost their state.  Two thirds of them agree on it."""


@restart.command("sign")
@_home
@_file
@click.option(
    "--blind",
    type=click.IntRange(min=1),
    metavar="HEIGHT",
    help="Sign though this home does not know the block, and leave out what is final above its HEIGHT anywhere.",
)
@click.option("--again", is_flag=True, help="Sign though this home signed another restart that nobody is to use.")
@with_passphrase
def restart_sign(home: Path, file: Path, blind: int | None, again: bool, passphrase: Passphrase) -> None:
    """Sign the restart in FILE.  Where there is none, make it, from this home's head."""
    signed = sign_restart(load_home(home, passphrase), file, blind=blind, again=again)
    click.echo(launched(_told(home, file, signed)))


def _told(home: Path, file: Path, signed: Signed) -> str:
    start = f"    python node.py run --home {pasted(home)}"
    at, did = signed.restart.height, did_from_key
    lines = [f"{file}: the chain is to go on from height {at:,}, block {signed.restart.tip.hex()[:12]}"]
    if signed.left:
        lines.append(f"{signed.left} blocks above it are not final; what they hold waits for new blocks")
    lines.append(f"signed by a weight of {signed.count}")
    if signed.is_agreed and not signed.may_lead:
        lines += [
            f"that is enough, but the key of {home} leads no slot: start this node, carry {file} to a validator that",
            "leads some, stop its node, and let it sign, once more if it did; then the chain goes on",
            start,
        ]
        return "\n".join(lines)
    if signed.is_agreed:
        return "\n".join([*lines, "that is enough: start this node, and the chain goes on", start])
    return "\n".join(
        [
            *lines,
            "start this node; until the chain goes on from there it says nothing",
            start,
            f"then carry {file} to another validator, stop its node, and run there, with its own home",
            f"    python node.py restart sign {shlex.quote(file.name)} --home home",
            f"any of {', '.join(map(did, signed.missing))}",
        ]
    )


@click.command()
@_home
@as_json
def migrate(home: Path, as_json: bool) -> None:
    """Bring a database of the version before to this one's format.  The old one is kept beside it.

    Interrupted, it goes on where it was when it is asked again.
    """
    genesis, database = genesis_beside_file(home), home / DATABASE
    with (
        locked(home),
        click.progressbar(
            length=migrating.rows_to_migrate(database), label="rows", hidden=not sys.stderr.isatty(), file=sys.stderr
        ) as bar,
    ):
        kept = migrating.migrate(database, genesis, lambda _table, count: bar.update(count))
    if as_json:
        document = {"database": str(database), "kept": str(kept), "bytes": database.stat().st_size}
        click.echo(json.dumps(document))
    else:
        click.echo(f"{database} is of this version's format; the older one is {kept}")
        click.echo(launched(f"    python node.py run --home {pasted(home)}"))


COMMANDS: tuple[click.Command, ...] = (init, founders.genesis_commands, key, signing, restart, migrate, doctor)
