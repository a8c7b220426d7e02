"""Recording again what a record that ended was about: the authority's command, and the arbiter's consent to it."""

from __future__ import annotations

from p2p.local.commandline import as_json

from pathlib import Path
from typing import Any

import click

from chain.base.errors import OperatorError
from chain.base.keys import SIGNATURE_BYTES, did_from_key
from chain.content.actions import Reopen
from chain.content.consents import sign_reopening
from chain.content.transactions import VerifiedTransaction
from scripts.console import print_json, remark
from scripts.registry_parts.contents import read_contents, says_what
from scripts.registry_parts.inputs import DID
from scripts.registry_parts.session import Session, keyed, read_key_file, sends

_says_what = says_what("the new evidence", "the written reason", needs_reason=True)


def _action(session: Session, **what: Any) -> Reopen:
    """What is recorded, of no arbiter yet."""
    return Reopen(**read_contents(session, **what)._asdict(), arbiter=b"", consent=b"")


@click.command()
@_says_what
@click.option("--arbiter", metavar="DID", type=DID, help="Who consented with `cosign-reopening`.")
@click.option("--consent", metavar="HEX", help="What that printed.")
@click.option(
    "--arbiter-key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The arbiter's key file, where both keys are at hand.",
)
@sends
def reopen(
    session: Session, arbiter: bytes | None, consent: str | None, arbiter_key: Path | None, **what: Any
) -> VerifiedTransaction:
    """Record again what a record that ended was about.  It is about DID, and you are an authority.

    It takes new evidence, a written reason and an arbiter's consent; the member can object again.
    """
    action = _action(session, **what)
    if arbiter_key is not None:
        secret = read_key_file(arbiter_key, session.passphrase)
        action = action._replace(arbiter=secret.public)
        signature = sign_reopening(secret, session.genesis.id, session.secret.public, action)
        return session.sign(action._replace(consent=signature))
    if arbiter is None or consent is None:
        raise OperatorError("give --arbiter DID and --consent HEX, or --arbiter-key FILE")
    return session.sign(action._replace(arbiter=arbiter, consent=_read_consent(consent)))


@click.command("cosign-reopening")
@_says_what
@click.option("--issuer", metavar="DID", type=DID, required=True, help="The authority that will record it.")
@keyed
@as_json
def cosign_reopening(session: Session, issuer: bytes, as_json: bool, **what: Any) -> None:
    """Consent, as an arbiter, to another record about DID.  An authority then records again what one that ended was
    about.

    Takes the same options as `reopen`, and prints what its --consent takes.
    """
    arbiter = session.secret.public
    action = _action(session, **what)._replace(arbiter=arbiter)
    signature = sign_reopening(session.secret, session.genesis.id, issuer, action).hex()
    if as_json:
        print_json({"arbiter": did_from_key(arbiter), "consent": signature})
        return
    remark(f"for {did_from_key(issuer)} alone, with --arbiter {did_from_key(arbiter)}")
    click.echo(signature)


def _read_consent(digits: str) -> bytes:
    try:
        signature = bytes.fromhex(digits.strip())
    except ValueError:
        signature = b""
    if len(signature) != SIGNATURE_BYTES:
        raise OperatorError("--consent is not whole; copy all of what `cosign-reopening` printed")
    return signature
