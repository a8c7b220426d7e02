"""Founding a network with others: a plan, the entry that each organisation signs, and the genesis that they make.

All are files that can be mailed and hold no secret.  The rules are in :mod:`chain.content.founding`; here they are read
and written, and the moment is known.
"""

from __future__ import annotations

from p2p.local.commandline import importing

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from chain.base.errors import OperatorError, Refused
from chain.base.keys import SecretKey
from chain.content.founding import (
    ENTRY_FORMAT,
    PLAN_FORMAT,
    VERSION,
    Entry,
    Plan,
    founders,
    read_entry,
    read_plan,
    sign_entry,
)
from chain.content.genesis import Genesis, found_together
from chain.content.policy import Policy
from chain.content.policyfile import load_policy, shipped_policy
from chain.content.tables import Mistake, Table
from chain.documents.words import instant
from p2p.local.carried import read_carried, write_once
from p2p.local.config import HomeConfig
from p2p.local.home import is_begun_home, peer_id_of
from p2p.local.keyfile import read_key
from p2p.local.passphrase import ASKED, Passphrase

if TYPE_CHECKING:
    from p2p.addresses import PeerAddress

# A policy of the largest size, indented.
MAX_PLAN_BYTES = 1_048_576
# Some 500 are needed.
MAX_ENTRY_BYTES = 4_096

_Carried = TypeVar("_Carried")


def named_policy(text: str) -> Policy:
    """The policy in the file of this name, or else the one that ships under it.  Raises :class:`OperatorError`."""
    file = Path(text)
    if file.is_file():
        return load_policy(file)
    if file.suffix == ".toml" or file.name != text:
        raise OperatorError(f"there is no file {text}; name that of a policy, or a policy that ships with Goodfaith")
    return shipped_policy(text)


def write_plan(file: Path, plan: Plan, now_ms: int) -> None:
    """Write the plan that all founders are to sign.  Raises :class:`OperatorError`."""
    check_start(plan, now_ms)
    write_once(file, json.dumps(plan.to_document(), indent=2) + "\n")


def load_plan(file: Path) -> Plan:
    """Read a plan.  Raises :class:`OperatorError`."""
    return _load(file, "plan", PLAN_FORMAT, MAX_PLAN_BYTES, read_plan)


def join(
    plan: Plan, file: Path, secret: SecretKey, organisation: str, address: str, *, weight: int, now_ms: int
) -> Entry:
    """Sign ``plan``, and write the entry into ``file``.  Raises :class:`OperatorError`, and has written nothing then.

    ``address`` is where others reach this node; the peer id of the key is added to it where it names none.
    """
    check_start(plan, now_ms)
    try:
        Table({"organisation": organisation}, ("organisation",)).text("organisation")
    except Mistake as mistake:
        raise OperatorError(f"the {mistake}") from mistake
    full = address if "/p2p/" in address else f"{address.rstrip('/')}/p2p/{peer_id_of(secret.seed)}"
    entry = sign_entry(plan, secret, organisation, str(dialled(full)), weight)
    founders(plan, [entry])
    write_once(file, entry_text(plan, entry))
    return entry


def dialled(address: str) -> PeerAddress:
    """An address as the network reads it.  Raises :class:`OperatorError` for one that cannot be dialled."""
    with importing():
        from p2p.addresses import parse_bootstrap
    return parse_bootstrap(address)


def entry_text(plan: Plan, entry: Entry) -> str:
    """The file of an entry."""
    head = {"format": ENTRY_FORMAT, "version": VERSION, "plan": plan.digest.hex()}
    return json.dumps(head | entry.to_document(), indent=2) + "\n"


def load_entries(plan_file: Path, plan: Plan, files: Sequence[Path]) -> tuple[Entry, ...]:
    """The entries in ``files``, in the order of their keys, checked.  Raises :class:`OperatorError`."""
    return founders(plan, [_load_entry(plan_file, plan, file) for file in files])


def _load_entry(plan_file: Path, plan: Plan, file: Path) -> Entry:
    digest, entry = _load(file, "entry", ENTRY_FORMAT, MAX_ENTRY_BYTES, lambda row: (row.get("plan"), read_entry(row)))
    if digest != plan.digest.hex():
        raise OperatorError(
            f"{file} was made for another plan than {plan_file}; have {entry.organisation} join this one"
        )
    return entry


def _load(file: Path, what: str, form: str, max_bytes: int, read: Callable[[dict[str, object]], _Carried]) -> _Carried:
    try:
        return read(read_carried(file, form, VERSION, max_bytes))
    except OSError as error:
        raise OperatorError(f"{file} cannot be read ({error.strerror}); name the file of the {what}") from error
    except OperatorError as error:
        raise OperatorError(f"{file}: {error}") from error
    except (Refused, Mistake, ValueError, TypeError, KeyError, RecursionError) as error:
        raise OperatorError(
            f"{file} is damaged, or not the file of the {what} ({error}); have it sent again"
        ) from error


def found(plan: Plan, entries: Sequence[Entry], now_ms: int) -> Genesis:
    """The genesis of a plan and its entries.  Raises :class:`OperatorError`, also where its time has passed."""
    genesis = found_together(plan, entries)
    check_start(plan, now_ms)
    for entry in entries:
        dialled(entry.address)
    return genesis


def check_start(plan: Plan, now_ms: int) -> None:
    """Raise :class:`OperatorError` where the network should have begun."""
    if plan.genesis_time_ms <= now_ms:
        raise OperatorError(
            f"the plan begins at {instant(plan.genesis_time_ms)}, which has passed; make one that begins later, with "
            "`python node.py genesis new`, and have all join that"
        )


def check_joined(home: Path, genesis: Genesis, passphrase: Passphrase = ASKED) -> None:
    """Raise :class:`OperatorError` where a key was made to found a network, and it is another than this."""
    if is_begun_home(home) and read_key(home / "key", passphrase).public not in dict(genesis.validators):
        raise OperatorError(
            f"the key of {home} is that of no validator in this genesis; have it made anew with the entry that you "
            "signed, or name another folder with --home"
        )


def home_config(genesis: Genesis, secret: SecretKey, peers: Sequence[str]) -> HomeConfig:
    """How a new home of this network finds the others: through ``peers``, and the addresses of its founders.

    A founder listens on the port that it gave for its own machine, if it gave one, over the kind of IP that it named.
    Raises :class:`OperatorError` for an address that cannot be dialled.
    """
    addresses = [dialled(entry.address) for entry in genesis.founding.entries] if genesis.founding else []
    own_id = peer_id_of(secret.seed)
    others = [str(address) for address in addresses if address.peer_id != own_id]
    config = HomeConfig(peers=list(dict.fromkeys((*peers, *others))))
    own = next((address for address in addresses if address.peer_id == own_id), None)
    if own is None or not own.port:
        return config
    everywhere = "/ip6/::" if own.protocol in ("ip6", "dns6") else "/ip4/0.0.0.0"
    return replace(config, listen=[f"{everywhere}/tcp/{own.port}"])
