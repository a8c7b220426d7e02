"""One command against one node: who asks, what is signed, how it ends.

Exit codes: 0 done, 1 refused, 2 usage or the operator's mistake, 3 not there in time, 130 Ctrl-C.
"""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, home_of_node, pasted

import functools
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias, get_args

import click

from chain.base.errors import OperatorError, Reason, Refused
from chain.base.keys import SecretKey, did_from_key
from chain.content.actions import Action, FileRecord, Propose
from chain.content.genesis import Genesis, load_genesis
from chain.content.policy import Policy
from chain.content.transactions import VerifiedTransaction, sign_transaction, verify_transaction
from chain.documents.chronicle import envelope_document, refusal_document
from p2p import client
from p2p.client import Account, Client, Found, NodeAway, announced
from p2p.following import Follower, Impossible, NotInTime, Until
from p2p.local import commandline
from p2p.local.addressbook import read_names
from p2p.local.keyfile import read_key
from p2p.local.passphrase import ASKED, Passphrase, with_passphrase
from p2p.local.whole import require_no_testnet
from scripts.console import print_json, remark, stderr_console, use_names
from scripts.registry_parts.refusals import show

EXIT_NOT_IN_TIME = 3
DEFAULT_NODE = "http://127.0.0.1:4080"
# Long enough for a busy day, short enough that what was forgotten does not happen weeks later.
LIFETIME_BLOCKS = 1_000
DEFAULT_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Session:
    """A key at a node of one network."""

    node: Client
    genesis: Genesis
    secret: SecretKey
    passphrase: Passphrase = ASKED

    @cached_property
    def account(self) -> Account:
        """What the register knows of the key as the command begins."""
        return self.node.ask(client.account(self.secret.public))

    @cached_property
    def policy(self) -> Policy:
        """The policy in force as the command begins."""
        return self.node.ask(client.POLICY)

    @property
    def nonce(self) -> int:
        """The nonce of what is signed."""
        return self.account["next_free"]

    @property
    def expiry_height(self) -> int:
        """When what is signed expires, where nothing else decides."""
        return self.account["height"] + min(LIFETIME_BLOCKS, self.genesis.max_expiry_blocks)

    def sign(self, action: Action, expiry_height: int | None = None) -> VerifiedTransaction:
        """Sign an action.  Raises :class:`Refused` where another signature in it is not what it should be."""
        expiry_height = self.expiry_height if expiry_height is None else expiry_height
        signed = sign_transaction(self.secret, self.genesis.id, self.nonce, expiry_height, action)
        return verify_transaction(signed, self.genesis.id)


Deed: TypeAlias = Callable[..., VerifiedTransaction]
"""What a command signs, from a session and its arguments."""


# ----------------------------------------------------------------------------------------------- making commands


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """Options that name a node and its network; the command gets ``node``, ``genesis`` and ``home``."""

    @functools.wraps(command)
    def with_node(url: str | None, home: Path | None, genesis_path: Path | None, **options: Any) -> None:
        # What a test puts into the context's obj takes the place of the network.
        transport = click.get_current_context().obj
        if home is not None:
            require_no_testnet(home)
        use_names(read_names(home) if home is not None else {})
        if url is None:
            url = DEFAULT_NODE if home is None else announced(home).http
        with Client(url, transport) as node:
            path = home / "genesis.json" if genesis_path is None and home is not None else genesis_path
            command(node=node, genesis=_genesis(node, path), home=home, **options)

    for option in (
        click.option("--genesis", "genesis_path", type=click.Path(path_type=Path), help="The network's genesis.json."),
        home_of_node("A node's home on this machine: its address, genesis and, without --key, its key.", default=None),
        click.option("--node", "url", metavar="URL", help=f"A node's HTTP face.  [default: {DEFAULT_NODE}]"),
    ):
        with_node = option(with_node)
    return with_node


def _genesis(node: Client, path: Path | None) -> Genesis:
    """The genesis of the node's network.  Raises :class:`OperatorError` where ``path`` holds another one."""
    if path is None:
        return node.ask(client.GENESIS)
    genesis = load_genesis(path)
    if node.ask(client.STATUS)["chain_id"] != genesis.id.hex():
        raise OperatorError(f"{node.url} is a node of another network than {path}; name the right one with --node")
    return genesis


def keyed(command: Callable[..., None]) -> Callable[..., None]:
    """:func:`connected`, and a key; the command gets a ``session``."""

    @connected
    @with_passphrase
    @functools.wraps(command)
    def with_session(
        node: Client,
        genesis: Genesis,
        home: Path | None,
        key_path: Path | None,
        passphrase: Passphrase,
        **options: Any,
    ) -> None:
        if key_path is not None:
            secret = read_key_file(key_path, passphrase)
        elif home is not None:
            secret = read_key(home / "key", passphrase)
        else:
            raise OperatorError("say whose key signs: --key FILE, or --home HOME for a node's own")
        command(session=Session(node, genesis, secret, passphrase), **options)

    return click.option(
        "--key",
        "key_path",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="GOODFAITH_KEY",
        show_envvar=True,
        help="The key file that signs.",
    )(with_session)


def read_key_file(path: Path, passphrase: Passphrase) -> SecretKey:
    """Read a person's key file.  Raises :class:`OperatorError`."""
    if not path.exists():
        raise OperatorError(f"{path} is missing; make a key with `python scripts/registry.py key new {pasted(path)}`")
    return read_key(path, passphrase)


def waits(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say how far to follow a transaction; the command gets ``until``, ``timeout_s`` and ``as_json``."""
    for option in (
        commandline.as_json,
        click.option(
            "--timeout",
            "timeout_s",
            type=click.FloatRange(min=0),
            default=DEFAULT_TIMEOUT_S,
            show_default=True,
            help="Seconds to wait; then the command exits with 3.",
        ),
        click.option(
            "--wait",
            "until",
            type=click.Choice(get_args(Until)),
            default="final",
            show_default=True,
            help="Until it is in a block, until that block is final, or not at all.",
        ),
    ):
        command = option(command)
    return command


def sends(deed: Deed) -> Callable[..., None]:
    """Make a command of a function that signs a transaction: it is tried, sent, and followed."""

    @keyed
    @functools.wraps(deed)
    def command(
        session: Session, until: Until, timeout_s: float, as_json: bool, is_dry_run: bool, **options: Any
    ) -> None:
        with endings(session.genesis, as_json=as_json):
            transaction = deed(session, **options)
            session.node.ask(client.try_out(transaction.raw))
            facts, slot_ms = envelope_document(transaction), session.genesis.slot_ms
            if is_dry_run:
                raw = {"raw": transaction.raw.hex()} if as_json else {}
                report(facts | raw, Found("possible", None), as_json=as_json)
                return
            _submit(session.node, transaction)
            found = follow(session.node, slot_ms, facts, transaction.raw, until, timeout_s, as_json=as_json)
            with suppress(NodeAway):  # it is done, whether its number can be asked for or not
                number = _number(session.node, transaction, found)
                facts.update({} if number is None else {"number": number})
            report(facts, found, as_json=as_json)

    dry_run = click.option(
        "--dry-run",
        "is_dry_run",
        is_flag=True,
        help="Only ask the node what would become of it; with --json also what would be sent.",
    )
    return waits(dry_run(command))


# ------------------------------------------------------------------------------------------------- how it ends


@contextmanager
def endings(genesis: Genesis, *, as_json: bool) -> Iterator[None]:
    """A refusal is explained and ends the command with 1, an impatient wait with 3."""
    try:
        yield
    except Refused as refusal:
        what = "taken first, and dropped since" if isinstance(refusal, Impossible) else "nothing was changed"
        show(refusal, what, genesis)
        if as_json:
            print_json({**refusal_document(refusal, genesis), "dropped": isinstance(refusal, Impossible)})
        click.get_current_context().exit(EXIT_WRONG)


def _submit(node: Client, transaction: VerifiedTransaction) -> None:
    try:
        node.ask(client.submit(transaction.raw))
    except NodeAway as error:
        raise NodeAway(
            f"{error}; whether it took the transaction is unknown: "
            f"ask with `{_asking(node, transaction.id.hex())}` before trying again"
        ) from error
    except Refused as refusal:
        if refusal.reason is not Reason.DUPLICATE:
            raise


def _asking(node: Client, transaction_id: str) -> str:
    """The command that follows a transaction from here."""
    where = "" if node.url == DEFAULT_NODE else f" --node {shlex.quote(node.url)}"
    return f"python scripts/registry.py transaction {transaction_id}{where}"


def follow(
    node: Client,
    slot_ms: int,
    facts: dict[str, Any],
    raw: bytes | None,
    until: Until,
    timeout_s: float,
    *,
    as_json: bool,
) -> Found:
    """Wait as long as the command's options say, with progress on stderr; a wait that is too long is reported.

    ``facts`` are at least the ``id``.  ``raw`` is the encoded transaction, if it is known.
    """
    ask_again = f"it goes on by itself: ask with `{_asking(node, facts['id'])}`"
    try:
        with _progress(f"{facts.get('kind', 'transaction')} {facts['id'][:16]}") as tell:
            found = Follower(node, bytes.fromhex(facts["id"]), raw, slot_ms, tell).wait(until, timeout_s)
    except NotInTime as late:
        remark(f"not {until} after {timeout_s:g} s; {ask_again}")
        report(facts, late.found or Found("waiting", None), as_json=as_json)
        click.get_current_context().exit(EXIT_NOT_IN_TIME)
    except KeyboardInterrupt:
        remark(ask_again)
        raise
    return found


def _number(node: Client, transaction: VerifiedTransaction, found: Found) -> int | None:
    """The number that a record, or a motion, got with its block; None while it is in none, or gone again."""
    if found.height is None:
        return None
    match transaction.action:
        case FileRecord(subject=subject, evidence=evidence):
            rows = [row for row in node.ask(client.records(subject))["records"] if row["evidence"] == evidence.hex()]
        case Propose():
            rows = [
                row for row in node.ask(client.MOTIONS)["motions"] if row["proposer"] == did_from_key(transaction.actor)
            ]
        case _:
            return None
    numbers = [row["number"] for row in rows if row["height"] == found.height]
    return numbers[0] if len(numbers) == 1 else None


_IN_WORDS = {
    "possible": "the next block would take {what}; nothing was sent",
    "waiting": "{what} waits for a block",
    "included": "{what} is in block {height:,}, not final yet",
    "final": "{what} is final in block {height:,}",
    "unknown": "{what} is not known at this node: it never came here, or was dropped",
}


def report(facts: dict[str, Any], found: Found, *, as_json: bool) -> None:
    """Say what became of a transaction: one line for people, one document for programs."""
    if as_json:
        print_json({**facts, "state": found.state, "height": found.height})
    else:
        number = f" (number {facts['number']})" if "number" in facts else ""
        what = f"{facts.get('kind', 'transaction')} {facts['id']}{number}"
        click.echo(_IN_WORDS[found.state].format(what=what, height=found.height))
    if found.state == "unknown":
        click.get_current_context().exit(EXIT_WRONG)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[str], None]]:
    """Tell on stderr how far ``what`` is: one line that changes on a terminal, else a line a change."""
    if not sys.stderr.isatty():
        yield lambda text: remark(f"{what}: {text}")
        return
    from rich.text import Text

    with stderr_console().status(Text(what)) as status:
        yield lambda text: status.update(Text(f"{what}: {text}"))
