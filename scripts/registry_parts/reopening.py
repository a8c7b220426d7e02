"""Recording again what a record that ended was about: the authority's command, and the arbiter's consent to it."""

from __future__ import annotations

from p2p.local.commandline import as_json

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import click

from chain.errors import OperatorError
from chain.keys import SIGNATURE_BYTES, did_from_key
from chain.transactions import Reopen, VerifiedTransaction, sign_reopening
from scripts.console import print_json, remark
from scripts.registry_parts.inputs import DID, document, find_category, find_points, find_severity, read_slot
from scripts.registry_parts.session import Session, keyed, read_key_file, sends

_Command: TypeAlias = Callable[..., Any]


_WHAT = (
    click.argument("member", metavar="DID", type=DID),
    click.option("--category", required=True, help="Name or code of a category of the policy."),
    click.option("--points", type=int, help="May be left out where the category gives a fixed number."),
    click.option("--severity", help="Name or code; may be left out where the category knows one or none."),
    click.option("--established", required=True, metavar="DATE|SLOT", help="When the conduct was established (UTC)."),
    document("evidence", "the new evidence"),
    document("reason", "the written reason"),
)


def _says_what(command: _Command) -> _Command:
    """The options that say what is recorded; :func:`_action` takes them."""
    for option in reversed(_WHAT):
        command = option(command)
    return command


def _action(
    session: Session,
    *,
    member: bytes,
    category: str,
    points: int | None,
    severity: str | None,
    established: str,
    evidence: bytes,
    reason: bytes,
) -> Reopen:
    """What is recorded, of no arbiter yet."""
    policy = session.policy
    found = find_category(policy.categories, category)
    return Reopen(
        subject=member,
        category=found.code,
        points=find_points(found, points),
        severity=find_severity(policy, found, severity),
        evidence=evidence,
        reason=reason,
        established_slot=read_slot(session.genesis, established, session.account.slot, "--established"),
        policy_version=policy.version,
        arbiter=b"",
        consent=b"",
    )


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
    """Record again about DID what a record that ended was about, as an authority.

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
    """Consent, as an arbiter, that an authority records again about DID.

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
