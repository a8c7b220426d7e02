"""What people write, as the protocol wants it: dids, categories, dates, documents, co-signatures."""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import click

from chain.base.codec import U64_MAX, array, blob, decode, encode, integer
from chain.base.errors import OperatorError, Refused
from chain.base.keys import KEY_BYTES, SIGNATURE_BYTES, key_from_did
from chain.content.actions import SLOT_LIMIT
from chain.content.genesis import Genesis
from chain.content.policy import Attribute, Category, Policy, RatingCategory
from chain.register.governance import MAX_WAIT_DAYS

DIGEST_BYTES = 32
SALT_BYTES = 16
_PART_BYTES = 1 << 20
_TOKEN_MARK = "gfc1"
_MAX_TOKEN_BYTES = 256
# Of a long catalogue, a message shows the beginning.
_MAX_SHOWN = 12
_DAYS = re.compile(r"(\d{1,6})d")
_NUMBER = re.compile(r"-?\d{1,18}")

_Kind = TypeVar("_Kind", bound=Category | RatingCategory | Attribute)
_Command: TypeAlias = Callable[..., Any]


class Did(click.ParamType[bytes]):
    """A ``did:key`` on the command line; the command gets the public key."""

    name = "did"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if isinstance(value, bytes):
            return value
        try:
            return key_from_did(value)
        except Refused as refusal:
            self.fail(f"{value!r} is not a key like did:key:z6Mk…: {refusal.detail}", param, ctx)


DID = Did()


# -------------------------------------------------------------------------------------------------- documents


def document(name: str, what: str, *, needed: bool = True) -> Callable[[_Command], _Command]:
    """Options ``--name FILE`` and ``--name-digest HEX``; the command gets the digest as ``name``, empty for none."""

    def decorate(command: _Command) -> _Command:
        @functools.wraps(command)
        def with_digest(*arguments: Any, **options: Any) -> Any:
            file, digits = options.pop(f"{name}_file"), options.pop(f"{name}_digest")
            if file is not None and digits is not None:
                raise OperatorError(f"--{name} and --{name}-digest say the same; give one of them")
            if file is not None:
                options[name] = salted_digest(file)
            elif digits is not None:
                options[name] = read_digest(name, digits)
            elif needed:
                raise OperatorError(f"{what} must be given: --{name} FILE, or --{name}-digest HEX")
            else:
                options[name] = b""
            return command(*arguments, **options)

        from_file = click.option(
            f"--{name}",
            f"{name}_file",
            type=click.Path(path_type=Path, dir_okay=False),
            help=f"{what}: a file; only its salted digest leaves this machine.",
        )
        from_digest = click.option(f"--{name}-digest", metavar="HEX", help="Its digest instead, as `digest` prints it.")
        return from_file(from_digest(with_digest))

    return decorate


def salt_file(file: Path) -> Path:
    """Where the salt of a document is kept: beside it."""
    return file.with_name(f"{file.name}.salt")


def salted_digest(file: Path) -> bytes:
    """SHA-256 of the document's salt and the document: nobody who guesses what it says can try that on the digest.

    The salt is 16 random bytes in the file :func:`salt_file`, made here where there is none; whoever is shown the
    document needs it too.  Raises :class:`OperatorError`.
    """
    try:
        with file.open("rb") as opened:
            digest = hashlib.sha256(_salt_of(file))
            while part := opened.read(_PART_BYTES):
                digest.update(part)
    except OSError as error:
        raise OperatorError(f"{error.filename or file} cannot be used: {error.strerror}") from error
    return digest.digest()


def _salt_of(file: Path) -> bytes:
    kept = salt_file(file)
    try:
        with kept.open("x", encoding="ascii") as made:
            made.write(secrets.token_hex(SALT_BYTES) + "\n")
    except FileExistsError:
        pass  # so that the same document has the same digest
    try:
        salt = bytes.fromhex(kept.read_text(encoding="ascii"))
    except ValueError:
        salt = b""
    if len(salt) != SALT_BYTES:
        raise OperatorError(
            f"{kept} is not a salt of {2 * SALT_BYTES} hexadecimal digits; take it from where it was kept"
        )
    return salt


def read_digest(name: str, digits: str) -> bytes:
    """A digest as people give it.  Raises :class:`OperatorError`."""
    try:
        digest = bytes.fromhex(digits)
    except ValueError:
        digest = b""
    if len(digest) != DIGEST_BYTES:
        raise OperatorError(f"--{name}-digest is {2 * DIGEST_BYTES} hexadecimal digits; `digest FILE` prints them")
    return digest


# ------------------------------------------------------------------------------------------- names of a policy


def find_category(categories: Mapping[int, _Kind], text: str) -> _Kind:
    """A category by its code, its name, or a part of the name that no other has.  Raises :class:`OperatorError`."""
    if text.isascii() and text.isdecimal():
        found = [item for code, item in categories.items() if str(code) == text]
    else:
        wanted = text.casefold()
        found = [item for item in categories.values() if item.name.casefold() == wanted]
        found = found or [item for item in categories.values() if wanted in item.name.casefold()]
    if len(found) == 1:
        return found[0]
    choice = found or [item for _, item in sorted(categories.items())]
    shown = ", ".join(f"{item.code} {item.name}" for item in choice[:_MAX_SHOWN])
    more = ", …" if len(choice) > _MAX_SHOWN else ""
    what = "fits several categories" if found else "is not a category of the policy in force"
    choose = f"; choose from {shown}{more}" if shown else ", which knows none of this kind"
    raise OperatorError(f"{text!r} {what}{choose}")


def find_severity(policy: Policy, category: Category, text: str | None) -> int:
    """The code of a severity by its name or code; may be left out where the category allows only one."""
    allowed = {code: policy.severities[code - 1].name for code in category.severities}
    if text is None and len(allowed) <= 1:
        return next(iter(allowed), 0)
    found = [code for code, name in allowed.items() if text in (str(code), name)]
    if found:
        return found[0]
    if not allowed:
        raise OperatorError(f"{category.name} knows no severities; leave out --severity")
    choice = ", ".join(f"{code} {name}" for code, name in allowed.items())
    raise OperatorError(f"--severity of {category.name} is one of {choice}")


def find_points(category: Category | RatingCategory, points: int | None) -> int:
    """Points as given; may be left out where the category leaves no choice."""
    if points is not None:
        return points
    if category.low != category.high:
        raise OperatorError(f"--points of {category.name} are from {category.low} to {category.high}")
    return category.low


# ------------------------------------------------------------------------------------------------------ times


def read_slot(genesis: Genesis, text: str, now_slot: int, option: str) -> int:
    """The slot of a date (UTC), of a date with a time, of ``now``, or a slot's number."""
    if text == "now":
        return now_slot
    if _NUMBER.fullmatch(text):
        slot = int(text)
    else:
        try:
            slot = genesis.slot_at(_moment_ms(text))
        except (ValueError, OverflowError) as error:
            raise OperatorError(
                f"{option} {text!r} is not a time; write 2026-03-01, 2026-03-01T12:00, now, or a slot"
            ) from error
    if abs(slot) > SLOT_LIMIT:
        raise OperatorError(f"{option} {text!r} is beyond what a slot can count")
    return slot


def read_start(genesis: Genesis, policy: Policy, text: str | None, now_slot: int, notice_days: int) -> int:
    """The slot from which an amendment binds: like :func:`read_slot`, or ``30d`` from now.

    Without a text the motion may take all the time that motions have, and is still in time.
    """
    days = _DAYS.fullmatch(text) if text is not None else None
    if text is None:
        return now_slot + policy.slots(notice_days + min(policy.motion_days, MAX_WAIT_DAYS), genesis.slot_ms)
    if days:
        return now_slot + policy.slots(int(days[1]), genesis.slot_ms)
    return read_slot(genesis, text, now_slot, "--effective")


def _moment_ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    # Whole seconds by integers: a float would round.
    since = moment - datetime.combine(date(1970, 1, 1), datetime.min.time(), UTC)
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


# ---------------------------------------------------------------------------------------------- co-signatures


class Cosignature(NamedTuple):
    """A registrar's signature under one member's enrolment that expires at one height."""

    registrar: bytes
    member: bytes
    expiry_height: int
    signature: bytes

    def to_token(self) -> str:
        """The signature as one word, to be passed on by any means; it holds no secret."""
        return _TOKEN_MARK + base64.urlsafe_b64encode(encode(tuple(self))).decode().rstrip("=")


def read_cosignature(token: str) -> Cosignature:
    """Read :meth:`Cosignature.to_token`; its signature is not checked.  Raises :class:`OperatorError`."""
    text = token.strip()
    body = text.removeprefix(_TOKEN_MARK)
    try:
        data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        fields = array(decode(data, max_bytes=_MAX_TOKEN_BYTES, max_items=4), 4, 4, "a consent")
        given = Cosignature(
            blob(fields[0], KEY_BYTES, "the registrar"),
            blob(fields[1], KEY_BYTES, "the member"),
            integer(fields[2], 0, U64_MAX, "the expiry height"),
            blob(fields[3], SIGNATURE_BYTES, "the signature"),
        )
    except (binascii.Error, ValueError, Refused) as error:
        raise OperatorError("--consent is not whole; copy all of what `cosign` printed") from error
    if body == text:
        raise OperatorError(f"--consent begins with {_TOKEN_MARK}; copy all of what `cosign` printed")
    return given
