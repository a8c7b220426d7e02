"""What members do about ratings: take one back, object, answer for it; and receipts for dealings."""

from __future__ import annotations

from p2p.local.commandline import as_json

import base64
import binascii
from typing import NamedTuple

import click

from chain.base.codec import array, blob, decode, encode, integer
from chain.base.errors import OperatorError, Refused
from chain.base.keys import KEY_BYTES, SIGNATURE_BYTES, did_from_key
from chain.content.actions import SLOT_LIMIT, Dispute, Rate, Reply, Retract
from chain.content.consents import sign_receipt
from chain.content.transactions import VerifiedTransaction
from scripts.console import print_json, remark
from scripts.registry_parts.inputs import DID, DIGEST_BYTES, document, find_category, read_slot
from scripts.registry_parts.session import Session, keyed, sends

_MARK = "gfr1"
_MAX_BYTES = 256
_member = click.argument("member", metavar="DID", type=DID)
_category = click.option("--category", required=True, help="Name or code of a category that members rate in.")


class Receipt(NamedTuple):
    """What the rated side of a dealing signed for the other."""

    rater: bytes
    rated: bytes
    dealing: bytes
    dealt_slot: int
    signature: bytes

    def to_token(self) -> str:
        """The receipt as one word, to be passed on by any means; it holds no secret."""
        return _MARK + base64.urlsafe_b64encode(encode(tuple(self))).decode().rstrip("=")


def read_receipt(token: str) -> Receipt:
    """Read :meth:`Receipt.to_token`; its signature is not checked.  Raises :class:`OperatorError`."""
    text = token.strip()
    body = text.removeprefix(_MARK)
    try:
        data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        fields = array(decode(data, max_bytes=_MAX_BYTES, max_items=5), 5, 5, "a receipt")
        receipt = Receipt(
            blob(fields[0], KEY_BYTES, "the rater"),
            blob(fields[1], KEY_BYTES, "the rated"),
            blob(fields[2], DIGEST_BYTES, "the dealing"),
            integer(fields[3], -SLOT_LIMIT, SLOT_LIMIT, "the slot"),
            blob(fields[4], SIGNATURE_BYTES, "the signature"),
        )
    except (binascii.Error, ValueError, Refused) as error:
        raise OperatorError("--receipt is not whole; copy all of what `receipt` printed") from error
    if body == text:
        raise OperatorError(f"--receipt begins with {_MARK}; copy all of what `receipt` printed")
    return receipt


@click.command()
@click.option("--for", "rater", metavar="DID", type=DID, required=True, help="Who may rate you for it.")
@click.option("--dealt", default="now", show_default=True, metavar="DATE|now|SLOT", help="When you dealt (UTC).")
@document("dealing", "what was dealt")
@keyed
@as_json
def receipt(session: Session, rater: bytes, dealt: str, dealing: bytes, as_json: bool) -> None:
    """Sign a dealing, so that the other side may rate you.  It may do so once.

    Prints a token for the other side's `rate --receipt`.
    """
    slot = read_slot(session.genesis, dealt, session.account["slot"], "--dealt")
    signature = sign_receipt(session.secret, session.genesis.id, rater, dealing, slot)
    made = Receipt(rater, session.secret.public, dealing, slot, signature)
    if as_json:
        print_json({"token": made.to_token(), "rater": did_from_key(rater), "dealt_slot": slot})
        return
    remark(f"for {did_from_key(rater)} alone, and one rating")
    click.echo(made.to_token())


@click.command()
@_member
@_category
@click.option("--points", type=int, required=True)
@click.option("--receipt", "token", metavar="TOKEN", help="What the rated member's `receipt` printed.")
@sends
def rate(session: Session, member: bytes, category: str, points: int, token: str | None) -> VerifiedTransaction:
    """Rate a member.

    A new rating replaces the old one in the same category.  Where the policy asks for it, with a receipt of a dealing.
    """
    code = find_category(session.policy.ratings, category).code
    if token is None:
        return session.sign(Rate(member, code, points))
    given = read_receipt(token)
    if (given.rater, given.rated) != (session.secret.public, member):
        raise OperatorError(f"this receipt lets {did_from_key(given.rater)} rate {did_from_key(given.rated)}")
    return session.sign(Rate(member, code, points, given.dealing, given.dealt_slot, given.signature))


@click.group()
def rating() -> None:
    """Take back a rating, object to one, or answer for yours."""


@rating.command()
@_member
@_category
@sends
def withdraw(session: Session, member: bytes, category: str) -> VerifiedTransaction:
    """Take back your rating of DID: it is gone."""
    return session.sign(Retract(member, find_category(session.policy.ratings, category).code))


@rating.command("object")
@_member
@_category
@document("grounds", "the grounds of the objection")
@sends
def object_to(session: Session, member: bytes, category: str, grounds: bytes) -> VerifiedTransaction:
    """Object to DID's rating of you.

    It counts on; if its rater gives no reason in time, it is deleted.
    """
    return session.sign(Dispute(member, find_category(session.policy.ratings, category).code, grounds))


@rating.command()
@_member
@_category
@document("reason", "the written reason")
@sends
def answer(session: Session, member: bytes, category: str, reason: bytes) -> VerifiedTransaction:
    """Give a reason for your rating of DID, who objected."""
    return session.sign(Reply(member, find_category(session.policy.ratings, category).code, reason))
