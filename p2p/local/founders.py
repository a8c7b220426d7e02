"""``node.py genesis``: what several organisations type to found a network together."""

from __future__ import annotations

from p2p.local.commandline import as_json, home_of_node, launched, pasted

import json
import re
import secrets
import shlex
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from chain.base.errors import OperatorError
from chain.base.keys import SEED_BYTES, did_from_key
from chain.content.founding import USUAL_EXPIRY_BLOCKS, USUAL_HEARTBEAT_SLOTS, Entry, Plan, lacking, read_plan
from chain.content.genesis import Genesis, found_together, load_genesis, plan_of
from chain.content.tables import Mistake
from chain.documents.words import duration, instant
from p2p import clocks
from p2p.local.carried import write_once
from p2p.local.founding import found, join, load_entries, load_plan, named_policy, write_plan
from p2p.local.home import begin_home
from p2p.local.keyfile import is_encrypted, open_key
from p2p.local.passphrase import Passphrase, with_passphrase

_Function = TypeVar("_Function", bound=Callable[..., Any])
_UNITS_MS = {"min": 60_000, "h": 3_600_000, "d": 86_400_000}
_LATER = re.compile(r"\+(\d{1,6})(min|h|d)")


@click.group("genesis")
def genesis_commands() -> None:
    """Found a network with others: new, join, show, then init and run."""


def _file(name: str) -> Callable[[_Function], _Function]:
    return click.argument(name, type=click.Path(path_type=Path, dir_okay=False))


@genesis_commands.command("new")
@_file("plan")
@click.option("--name", required=True, help="What the network is called.")
@click.option("--start", required=True, help="When it begins, like 2030-05-01T09:00Z, or +3d, +2h, +30min from now.")
@click.option("--policy", default="marketplace", show_default=True, help="A name or a TOML file.")
@click.option("--slot-ms", default=1_000, show_default=True, help="Length of a slot.")
@click.option("--tolerates", default=1, show_default=True, help="How many founders may fail at once.")
@click.option("--max-weight", default=1, show_default=True, help="The largest weight that a founder may claim.")
def _new(plan: Path, name: str, start: str, policy: str, slot_ms: int, tolerates: int, max_weight: int) -> None:
    """Write PLAN, which every founder is to sign."""
    fields = {
        "name": name,
        "genesis_time_ms": _moment_ms(start, clocks.wall_ms()),
        "slot_ms": slot_ms,
        "heartbeat_slots": USUAL_HEARTBEAT_SLOTS,
        "max_expiry_blocks": USUAL_EXPIRY_BLOCKS,
        "tolerates": tolerates,
        "max_weight": max_weight,
        "policy": named_policy(policy).to_document(),
    }
    try:
        made = read_plan(fields)
    except Mistake as mistake:
        raise OperatorError(f"the plan's {mistake}") from mistake
    write_plan(plan, made, clocks.wall_ms())
    _say(
        *_terms(made),
        f"send {plan} to every founder; each of them, you too, types, with names of its own,",
        _join_line(plan),
    )


@genesis_commands.command("join")
@_file("plan")
@_file("entry")
@click.option("--organisation", required=True, help="What yours is called.")
@click.option("--address", required=True, help="Where others reach your node, like /ip4/192.0.2.7/tcp/4001.")
@click.option("--weight", default=1, show_default=True, help="Of your validator, up to what the plan allows.")
@click.option("--key", "key_path", type=click.Path(path_type=Path), help="Use this key file instead of a new key.")
@click.option("--encrypt", is_flag=True, help="Encrypt the key under a passphrase.")
@with_passphrase
@home_of_node("Where your node's home is to be; it gets the key.")
def _join(
    plan: Path,
    entry: Path,
    organisation: str,
    address: str,
    weight: int,
    key_path: Path | None,
    home: Path,
    encrypt: bool,
    passphrase: Passphrase,
) -> None:
    """Consent to PLAN: sign it, and write your ENTRY."""
    agreed = load_plan(plan)
    known, word = (None, None) if key_path is None else open_key(key_path, passphrase)
    if encrypt and word is None and not is_encrypted(home / "key"):
        word = passphrase.chosen()
    seed = None if known is None else known.seed
    secret = begin_home(home, seed, secrets.token_bytes(SEED_BYTES), passphrase, word=word)
    if encrypt and not is_encrypted(home / "key"):
        encrypt_it = f"run `python node.py key encrypt --home {pasted(home)}` first"
        raise OperatorError(f"{home / 'key'} was there, and is not encrypted; {encrypt_it}")
    made = join(agreed, entry, secret, organisation, address, weight=weight, now_ms=clocks.wall_ms())
    _say(
        *_terms(agreed),
        *_rows([made]),
        f"{entry} is your consent to this; send it to the other founders",
        f"{home / 'key'} is your validator's key; keep it, and show it to nobody",
        "with the entries of all, see what they make:",
        f"    python node.py genesis show {pasted(plan)} {pasted(entry)} …",
    )


@genesis_commands.command("show")
@_file("file")
@click.argument("entries", nargs=-1, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the genesis that they make here.")
@as_json
def _show(file: Path, entries: Sequence[Path], out: Path | None, as_json: bool) -> None:
    """Say what a plan or a genesis holds, or a plan with entries makes."""
    plan, founders, made = _read(file, entries)
    missing = lacking(plan, founders)
    if out is not None:
        made = found(plan, founders, clocks.wall_ms())
        write_once(out, made.to_json())
    if as_json:
        click.echo(json.dumps(_document(plan, founders, made, missing), indent=2))
        return
    _say(
        *_terms(plan),
        *_rows(founders),
        *_conclusion(made, missing),
        *_next_steps(out, is_made=made is not None and bool(entries)),
    )


def _read(file: Path, entries: Sequence[Path]) -> tuple[Plan, tuple[Entry, ...], Genesis | None]:
    """The plan, who signed it, and the genesis if that is enough."""
    if not entries and _is_genesis(file):
        made = load_genesis(file)
        if made.founding is None:
            raise OperatorError(f"{file} is a genesis that nobody signed a plan for; its id is {made.id.hex()}")
        return plan_of(made, made.founding), made.founding.entries, made
    plan = load_plan(file)
    founders = load_entries(file, plan, entries)
    return plan, founders, None if lacking(plan, founders) else found_together(plan, founders)


def _is_genesis(file: Path) -> bool:
    try:
        return "validators" in json.loads(file.read_bytes())
    except (OSError, ValueError, TypeError, RecursionError):
        return False


# ----------------------------------------------------------------------------------------------------- the words


def _say(*lines: str) -> None:
    click.echo("\n".join(launched(line) for line in lines))


def _terms(plan: Plan) -> Iterator[str]:
    """What a plan says, a line each."""
    wait_ms = plan.genesis_time_ms - clocks.wall_ms()
    yield f"network    {plan.name}"
    yield f"begins     {instant(plan.genesis_time_ms)}" + (f", in {duration(wait_ms)}" if wait_ms > 0 else "")
    yield f"slots      {plan.slot_ms} ms"
    yield f"policy     {plan.policy.name}, version {plan.policy.version}, {plan.policy.digest().hex()[:16]}"
    yield f"weights    {'all the same' if plan.max_weight == 1 else f'1 to {plan.max_weight}'}"
    yield f"tolerates  {plan.tolerates} that fail at once"
    yield f"plan       {plan.digest.hex()}"
    yield ""


def _rows(entries: Sequence[Entry]) -> Iterator[str]:
    """The entries as a table that fits 80 columns, as long as names and addresses are no longer than usual."""
    rows = [("organisation", "weight", "key", "address")]
    rows += [
        (each.organisation, str(each.weight), f"…{did_from_key(each.key)[-8:]}", each.address.partition("/p2p/")[0])
        for each in entries
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for name, weight, key, address in rows if entries else ():
        yield f"{name:{widths[0]}}  {weight:>{widths[1]}}  {key:{widths[2]}}  {address}"
    if entries:
        yield ""


def _conclusion(made: Genesis | None, missing: str) -> Iterator[str]:
    if made is None:
        yield f"not yet enough: {missing}"
        return
    yield f"genesis    {made.id.hex()}"
    yield "the same for all founders: compare it by telephone before you go on"


def _next_steps(out: Path | None, *, is_made: bool) -> Iterator[str]:
    if out is not None:
        yield f"{out} is written; then, before the network begins, every founder on its machine:"
        yield f"    python node.py init --home home --genesis {pasted(out)}"
        yield "    python node.py run --home home"
    elif is_made:
        yield "with --out genesis.json it is written"


def _document(plan: Plan, founders: Sequence[Entry], made: Genesis | None, missing: str) -> dict[str, Any]:
    return {
        "plan": plan.digest.hex(),
        "begins": instant(plan.genesis_time_ms),
        "founders": [entry.to_document() for entry in founders],
        "genesis": None if made is None else made.id.hex(),
        "lacking": missing or None,
    }


def readiness(home: Path, genesis: Genesis, *, may_have_signed: bool) -> str:
    """What the operator of a new home is told."""
    line = f"{home} is ready; start it with `python node.py run --home {pasted(home)}`"
    begins = instant(genesis.genesis_time_ms)
    if genesis.genesis_time_ms > clocks.wall_ms():
        line += f"\nthe network begins at {begins}, and the node waits for that"
    elif may_have_signed:
        line += (
            f"\nthe network began at {begins}, so this key may have signed elsewhere: the node says nothing until the "
            "chain made final that it starts anew, which takes two thirds of the others"
        )
    return line


def _join_line(plan: Path) -> str:
    return (
        f"    python node.py genesis join {shlex.quote(plan.name)} YOURS.json \\\n"
        '        --organisation "…" --address /ip4/…/tcp/4001'
    )


def _moment_ms(text: str, now_ms: int) -> int:
    """A moment as Unix milliseconds.  Raises :class:`OperatorError`."""
    if later := _LATER.fullmatch(text):
        return -(-now_ms // 1_000) * 1_000 + int(later[1]) * _UNITS_MS[later[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise OperatorError(f"--start is a moment like 2030-05-01T09:00Z, or +3d, +2h, +30min, not {text!r}") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 1_000
