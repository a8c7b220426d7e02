"""Whose a key is: guardians, recovery and its veto, undoing, leaving, annulment."""

from __future__ import annotations

from p2p.local.commandline import as_json

import base64
import binascii
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

from chain.base.codec import U64_MAX, array, blob, decode, encode, integer
from chain.base.errors import OperatorError, Refused
from chain.base.keys import KEY_BYTES, SIGNATURE_BYTES, did_from_key, key_from_did
from chain.content.actions import (
    ANNUL,
    APPEAL,
    CONTEST,
    DENY,
    GRANT,
    LEAVE,
    RECOVER,
    RECOVERY,
    SALT_BYTES,
    UNDO,
    Annul,
    Leave,
    NameGuardians,
    Recover,
    Veto,
)
from chain.content.consents import sign_recovery
from chain.content.identities import MAX_GUARDIANS, commitment_of
from chain.content.transactions import VerifiedTransaction
from scripts.console import print_json, remark
from scripts.registry_parts.inputs import DID, document
from scripts.registry_parts.session import Session, keyed, sends

_MARK = "gfv1"
_MAX_BYTES = 320
_FORMAT = 1
_member = click.argument("member", metavar="DID", type=DID)
_new_file = click.Path(path_type=Path, dir_okay=False)
_circle = click.option(
    "--guardians",
    "circle",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file that names the guardians; without it a registrar vouches.",
)
_vouchers = click.option(
    "--voucher", "tokens", metavar="TOKEN", multiple=True, required=True, help="What `vouch` printed."
)


class Voucher(NamedTuple):
    """A guardian's or a registrar's word, that a member moves to a key."""

    signer: bytes
    member: bytes
    new_key: bytes
    step: int
    expiry_height: int
    signature: bytes

    def to_token(self) -> str:
        """The word as one word, to be passed on by any means; it holds no secret."""
        return _MARK + base64.urlsafe_b64encode(encode(tuple(self))).decode().rstrip("=")


def read_voucher(token: str) -> Voucher:
    """Read :meth:`Voucher.to_token`; its signature is not checked.  Raises :class:`OperatorError`."""
    text = token.strip()
    body = text.removeprefix(_MARK)
    try:
        data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        fields = array(decode(data, max_bytes=_MAX_BYTES, max_items=6), 6, 6, "a voucher")
        voucher = Voucher(
            blob(fields[0], KEY_BYTES, "the signer"),
            blob(fields[1], KEY_BYTES, "the member"),
            blob(fields[2], KEY_BYTES, "the new key"),
            integer(fields[3], RECOVER, UNDO, "the step"),
            integer(fields[4], 0, U64_MAX, "the expiry height"),
            blob(fields[5], SIGNATURE_BYTES, "the signature"),
        )
    except (binascii.Error, ValueError, Refused) as error:
        raise OperatorError("--voucher is not whole; copy all of what `vouch` printed") from error
    if body == text:
        raise OperatorError(f"--voucher begins with {_MARK}; copy all of what `vouch` printed")
    return voucher


# --------------------------------------------------------------------------------------------------- guardians


@click.group()
def guardians() -> None:
    """Say who may recover you, or that nobody may."""


def names_guardians(*, is_needed: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options that say who the guardians are, how many of them act, and where that is written."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--out", type=_new_file, required=is_needed, help="A new file, which the guardians need."),
            click.option(
                "--threshold", type=click.IntRange(1, MAX_GUARDIANS), required=is_needed, help="So many of them act."
            ),
            click.option(
                "--guardian",
                "keys",
                metavar="DID",
                type=DID,
                multiple=True,
                required=is_needed,
                help="Who may recover you; once for each.",
            ),
        ):
            command = option(command)
        return command

    return decorate


def written_circle(member: bytes, keys: tuple[bytes, ...], threshold: int | None, out: Path | None) -> bytes:
    """Write who a member's guardians are to ``out``, and return the digest that the register takes.

    Raises :class:`OperatorError`.
    """
    if not keys or threshold is None or out is None:
        raise OperatorError("guardians are named with --guardian DID for each, --threshold N and --out FILE")
    chosen = tuple(sorted(set(keys)))
    if not len(chosen) < 2 * threshold <= 2 * len(chosen) or len(chosen) > MAX_GUARDIANS:
        raise OperatorError(f"--threshold is more than half of them, and they are at most {MAX_GUARDIANS}")
    salt = secrets.token_bytes(SALT_BYTES)
    circle = {
        "format": _FORMAT,
        "member": did_from_key(member),
        "threshold": threshold,
        "guardians": [did_from_key(key) for key in chosen],
        "salt": salt.hex(),
    }
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(json.dumps(circle, indent=2) + "\n")
    except FileExistsError as error:
        raise OperatorError(f"{out} exists; choose another name") from error
    except OSError as error:
        raise OperatorError(f"{out} cannot be written: {error.strerror}") from error
    return commitment_of(threshold, chosen, salt)


@guardians.command()
@names_guardians(is_needed=True)
@sends
def name(session: Session, keys: tuple[bytes, ...], threshold: int, out: Path) -> VerifiedTransaction:
    """Name your guardians, more than half of whom act together.

    The register takes a digest: who they are is in the file --out, which they need to act. Give it to each of them.
    """
    return session.sign(NameGuardians(written_circle(session.secret.public, keys, threshold, out)))


@guardians.command("none")
@sends
def nobody(session: Session) -> VerifiedTransaction:
    """Have no guardians any more.  That holds once the delay is over in which they can undo it."""
    return session.sign(NameGuardians(b""))


def _read_circle(path: Path) -> tuple[int, tuple[bytes, ...], bytes]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        keys = tuple(key_from_did(did) for did in found["guardians"])
        return int(found["threshold"]), keys, bytes.fromhex(found["salt"])
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, Refused) as error:
        raise OperatorError(f"{path} is not what names guardians; take a copy that is whole") from error


# ---------------------------------------------------------------------------------------------------- recovery


@click.command()
@_member
@click.option("--new-key", metavar="DID", type=DID, required=True, help="The key that the member made anew.")
@click.option("--undo", "is_undo", is_flag=True, help="Undo what the key did lately, at once.")
@click.option("--expiry", type=click.IntRange(1), metavar="HEIGHT", help="The same for all who vouch.  [default: far]")
@keyed
@as_json
def vouch(session: Session, member: bytes, new_key: bytes, is_undo: bool, expiry: int | None, as_json: bool) -> None:
    """Say that DID moves to a new key, as its guardian.  The registrar who enrolled it may say so too.

    Be sure who asks you. Prints a token for the new key's `recover --voucher` or `undo --voucher`.
    """
    step = UNDO if is_undo else RECOVER
    height = session.account["height"] + max(1, session.genesis.max_expiry_blocks // 2) if expiry is None else expiry
    signature = sign_recovery(session.secret, session.genesis.id, member, new_key, step, height)
    voucher = Voucher(session.secret.public, member, new_key, step, height, signature)
    if as_json:
        print_json({"token": voucher.to_token(), "expiry_height": height})
        return
    remark(f"good until height {height:,}; the others vouch with --expiry {height}")
    click.echo(voucher.to_token())


@click.command()
@_member
@_circle
@_vouchers
@sends
def recover(session: Session, member: bytes, circle: Path | None, tokens: tuple[str, ...]) -> VerifiedTransaction:
    """Move DID to your new key, as its guardians say.  Its registrar may say so too.

    The key that DID has can veto that until the delay is over.  After a veto guardians and registrar together cannot be
    stopped again: give the registrar's --voucher beside those of the guardians.
    """
    return _moved(session, member, RECOVER, circle, tokens)


@click.command()
@_member
@_circle
@_vouchers
@sends
def undo(session: Session, member: bytes, circle: Path | None, tokens: tuple[str, ...]) -> VerifiedTransaction:
    """Undo what DID's key did lately against its guardians.  DID moves to your key, which is new, at once."""
    return _moved(session, member, UNDO, circle, tokens)


def _moved(
    session: Session, member: bytes, step: int, circle: Path | None, tokens: tuple[str, ...]
) -> VerifiedTransaction:
    vouchers = [read_voucher(token) for token in tokens]
    wanted = {(member, session.secret.public, step)}
    if {(voucher.member, voucher.new_key, voucher.step) for voucher in vouchers} != wanted:
        raise OperatorError("a --voucher is for another member, another key or another deed")
    expiries = {voucher.expiry_height for voucher in vouchers}
    if len(expiries) != 1:
        raise OperatorError("the vouchers expire at different heights; vouch again with one --expiry")
    expiry_height = expiries.pop()
    guardians = (0, (), b"") if circle is None else _read_circle(circle)
    return session.sign(_word(member, step, *guardians, vouchers), expiry_height)


def _word(
    member: bytes, step: int, threshold: int, keys: tuple[bytes, ...], salt: bytes, vouchers: list[Voucher]
) -> Recover:
    """What guardians and a registrar say; whoever is none of ``keys`` is the registrar."""
    signed = {voucher.signer: voucher.signature for voucher in vouchers}
    signatures = tuple(signed.pop(key, b"") for key in keys)
    if len(signed) > 1:
        raise OperatorError("one registrar vouches; where guardians do, name the file about them: --guardians FILE")
    registrar, consent = next(iter(signed.items()), (b"", b""))
    return Recover(member, step, threshold, keys, salt, signatures, registrar, consent)


@click.command()
@click.argument("what", type=click.Choice(("recovery", "leaving")))
@sends
def veto(session: Session, what: str) -> VerifiedTransaction:
    """Stop your move to another key, or stay after all.  The move is a recovery that others began."""
    return session.sign(Veto(RECOVERY if what == "recovery" else LEAVE))


# ----------------------------------------------------------------------------------------------------- leaving


@click.command()
@sends
def leave(session: Session) -> VerifiedTransaction:
    """Withdraw your consent.

    After the notice period everything about you is forgotten but a mark, which keeps your key from coming back for a
    while. `veto leaving` takes it back until then.
    """
    return session.sign(Leave())


@click.group()
def annul() -> None:
    """Say an enrolment is void, object, decide or appeal.

    Both are heard first; then a lot names the arbiter, whose `status` says so.  What it grants can be appealed.
    """


def _annuls(what: str, step: int, help_text: str, paper: str) -> None:
    @annul.command(what, help=help_text)
    @_member
    @document("reason", paper)
    @sends
    def command(session: Session, member: bytes, reason: bytes) -> VerifiedTransaction:
        return session.sign(Annul(member, step, reason))


_annuls("ask", ANNUL, "Say that the enrolment of DID is void, as a registrar.", "the written reason")
_annuls("object", CONTEST, "Object, as the member DID.", "the grounds of the objection")
_annuls(
    "grant", GRANT, "Annul the enrolment of DID, as the arbiter on whom the lot fell.", "the reason of the decision"
)
_annuls(
    "appeal", APPEAL, "Appeal, as the member DID, against an annulment that was granted.", "the grounds of the appeal"
)
_annuls(
    "deny",
    DENY,
    "Let the enrolment of DID stand, as the arbiter on whom the lot fell.",
    "the reason of the decision",
)
