"""Take part in a register through a running node: make keys, enrol, file, object, answer, rule, repair, propose.

Every command signs here, asks the node what would become of the transaction, sends it, and waits until it is
final.  A refusal says which rule is broken and what would be needed.  Documents stay on this machine; the
register takes their salted SHA-256 digests.

Exit codes: 0 done, 1 refused, 2 usage or your mistake, 3 not final in time (it goes on by itself), 130 Ctrl-C.
"""

from __future__ import annotations

from p2p.local.commandline import as_json, group

import secrets
from pathlib import Path
from typing import Any

import click

from chain.base.errors import OperatorError
from chain.base.keys import SecretKey, did_from_key
from chain.content.actions import Appeal, Approve, Consent, Enrol, Object, Rotate, Statement
from chain.content.consents import sign_consent, sign_rotation
from chain.content.transactions import VerifiedTransaction
from p2p.client import Account
from p2p.local.keyfile import write_key
from p2p.local.passphrase import Passphrase, with_passphrase
from scripts.console import print_json, remark, table
from scripts.registry_parts.anchoring import anchor
from scripts.registry_parts.attesting import attribute
from scripts.registry_parts.filing import answer, record, repair, rule
from scripts.registry_parts.importing import import_table
from scripts.registry_parts.inputs import DID, Cosignature, document, read_cosignature, salt_file, salted_digest
from scripts.registry_parts.keys import (
    annul,
    guardians,
    leave,
    names_guardians,
    recover,
    undo,
    veto,
    vouch,
    written_circle,
)
from scripts.registry_parts.listing import (
    consents_to_give,
    matters_to_rule,
    motions,
    open_matters,
    records,
    transaction,
)
from scripts.registry_parts.motions import motion, settled
from scripts.registry_parts.naming import list_names, name_key
from scripts.registry_parts.policy import policy
from scripts.registry_parts.reopening import cosign_reopening, reopen
from scripts.registry_parts.session import Session, keyed, read_key_file, sends
from scripts.registry_parts.voices import rate, rating, receipt

_key_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
# What is open about a key, and what waits for its ruling; on a narrow terminal the date stays longer than these.
OPEN = ("number", "category", "points", "status", "waits_for", "until", "issuer")
TO_RULE = ("member", "number", "category", "points", "status", "until", "issuer")
SPARED = ("points", "issuer", "status")
_number = click.argument("number", type=click.IntRange(0, 2**32 - 1))


@group
def registry() -> None:
    """Take part in a register through a running node.

    A refusal says which rule is broken and what would be needed.  Exit codes: 0 done, 1 refused, 2 your mistake,
    3 not final in time.
    """


for _command in (
    *(attribute, record, import_table, reopen, cosign_reopening, answer, rule, repair, motion),
    *(rate, rating, receipt),
    *(guardians, vouch, recover, undo, veto, annul, leave),
    *(name_key, list_names, anchor, policy),
    *(records, motions, transaction),
):
    registry.add_command(_command)


# ------------------------------------------------------------------------------------------------------- keys


@registry.group()
def key() -> None:
    """Make a key, or show whose it is.

    A key is a file of mode 0600 that signs for a member, an authority or a validator.
    """


@key.command("new")
@_key_file
@click.option("--encrypt", is_flag=True, help="Encrypt it under a passphrase.")
@with_passphrase
@as_json
def key_new(file: Path, encrypt: bool, passphrase: Passphrase, as_json: bool) -> None:
    """Make a new key in FILE.

    Keep a copy where nobody else finds it: whoever has it acts for you.  `python node.py key encrypt --key FILE`
    encrypts one that is there.
    """
    seed = secrets.token_bytes(32)
    try:
        write_key(file, seed, passphrase.chosen() if encrypt else None)
    except FileExistsError as error:
        raise OperatorError(f"{file} exists; choose another name, a key is never overwritten") from error
    except OSError as error:
        raise OperatorError(f"{file} cannot be written: {error.strerror}") from error
    _show_key(SecretKey(seed), as_json=as_json)


@key.command("show")
@_key_file
@with_passphrase
@as_json
def key_show(file: Path, passphrase: Passphrase, as_json: bool) -> None:
    """Say whose key FILE is, never the secret."""
    _show_key(read_key_file(file, passphrase), as_json=as_json)


def _show_key(secret: SecretKey, *, as_json: bool) -> None:
    did = did_from_key(secret.public)
    if as_json:
        print_json({"did": did})
    else:
        click.echo(did)


@registry.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@as_json
def digest(file: Path, as_json: bool) -> None:
    """Print the salted digest of a document.

    It is SHA-256 of the salt and the document.  The salt is kept in FILE.salt, and made where there is none: keep
    both, and show both to whoever has to check the document.
    """
    found = salted_digest(file).hex()
    if as_json:
        print_json({"digest": found, "salt": str(salt_file(file))})
    else:
        click.echo(found)


@registry.command()
@keyed
@as_json
def status(session: Session, as_json: bool) -> None:
    """What a key is, and what it may do now."""
    account = session.account
    may = [*consents_to_give(session), *_possible(session, account)]
    facts: dict[str, Any] = {
        "did": did_from_key(session.secret.public),
        "network": session.genesis.name,
        "member": account["member"],
        "authority": account["authority"],
        "validator": account["validator"],
        "identity": account["identity"],
        "successor": account["successor"],
        "transactions": account["nonce"],
        "waiting": account["next_free"] - account["nonce"],
        "as_of_height": account["height"],
        "policy_version": account["policy_version"],
    }
    matters = open_matters(session) if account["member"] else []
    rulings = matters_to_rule(session) if account["authority"] else []
    if as_json:
        print_json({**facts, "may": may, "open": matters, "to_rule": rulings})
        return
    table("", ("field", "value"), list(facts.items()))
    click.echo()
    if matters:
        table("Open matters about this key", OPEN, [[row[name] for name in OPEN] for row in matters], SPARED)
        click.echo()
    if rulings:
        table("The lot fell on this key to rule", TO_RULE, [[row[name] for name in TO_RULE] for row in rulings], SPARED)
        click.echo()
    table("", ("it may now",), [(line,) for line in may] or [("nothing: use the key that it moved to",)])


def _possible(session: Session, account: Account) -> list[str]:
    """The commands that are open to a key, as far as its role decides."""
    if account["successor"] is not None:
        return []
    policy = session.policy
    consent = " --consent TOKEN, with a registrar's consent" if policy.enrolment_by_registrar else ""
    receipt = " --receipt TOKEN, with the other side's receipt" if policy.raters.counting else ""
    possible = [] if account["member"] else [f"enrol{consent}"]
    if account["member"]:
        possible += [
            f"rate, in {item.name} ({item.low} to {item.high}){receipt}"
            for _, item in sorted(policy.ratings.items())
            if not item.is_closed
        ]
        possible.append("object, appeal, repair ask, statement, about its own records")
        possible += ["rating withdraw, rating object, rating answer; receipt, for who dealt with it"] * bool(
            policy.ratings
        )
    if account["authority"]:
        possible.append("record, reopen, attribute attest, as far as it was accredited")
        possible.append("answer, repair approve, repair decline, for records that it filed")
        possible.append(
            "rule, annul grant, annul deny, on whom the lot fell; cosign-reopening, as an arbiter; "
            "cosign, annul ask, as a registrar"
        )
    if account["validator"]:
        possible.append("motion, approve, unless it is jailed")
    elif account["member"] or account["authority"]:
        possible.append("rotate")
    if account["member"]:
        possible.append("guardians, vouch, veto, leave; attribute withdraw; annul object, annul appeal")
    return possible


# ---------------------------------------------------------------------------------------------------- members


@registry.command()
@click.option("--consent", "token", metavar="TOKEN", help="What a registrar's `cosign` printed.")
@click.option(
    "--registrar-key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The registrar's key file, where both keys are at hand.",
)
@names_guardians(is_needed=False)
@sends
def enrol(
    session: Session,
    token: str | None,
    registrar_key: Path | None,
    keys: tuple[bytes, ...],
    threshold: int | None,
    out: Path | None,
) -> VerifiedTransaction:
    """Join the register, and consent to the policy in force.

    Where the policy asks for it, with a registrar's consent.  With --guardian, --threshold and --out they are your
    guardians from the beginning, as `guardians name` would make them.
    """
    if token is not None and registrar_key is not None:
        raise OperatorError("--consent and --registrar-key say the same; give one of them")
    circle = written_circle(session.secret.public, keys, threshold, out) if keys or threshold or out else b""
    if token is not None:
        consent = read_cosignature(token)
        if consent.member != session.secret.public:
            raise OperatorError(f"this consent is for {did_from_key(consent.member)}; sign with that member's key")
    elif registrar_key is not None:
        consent = _cosigned(
            session, read_key_file(registrar_key, session.passphrase), session.secret.public, session.expiry_height
        )
    else:
        return session.sign(Enrol(policy_version=session.policy.version, guardians=circle))
    enrolment = Enrol(consent.registrar, consent.signature, session.policy.version, circle)
    return session.sign(enrolment, consent.expiry_height)


@registry.command()
@click.option("--member", metavar="DID", type=DID, required=True, help="Whose enrolment it is for.")
@click.option(
    "--valid",
    "valid_blocks",
    type=click.IntRange(1),
    metavar="BLOCKS",
    help="For how many blocks.  [default: half of what the network allows]",
)
@keyed
@as_json
def cosign(session: Session, member: bytes, valid_blocks: int | None, as_json: bool) -> None:
    """Let a member enrol, as a registrar.

    Prints a token for the member's `enrol --consent`.
    """
    longest = session.genesis.max_expiry_blocks
    valid_blocks = max(1, longest // 2) if valid_blocks is None else valid_blocks
    if valid_blocks > longest:
        raise OperatorError(f"--valid is at most {longest} blocks on this network")
    given = _cosigned(session, session.secret, member, session.account["height"] + valid_blocks)
    if as_json:
        print_json(
            {
                "token": given.to_token(),
                "registrar": did_from_key(given.registrar),
                "member": did_from_key(member),
                "expiry_height": given.expiry_height,
            }
        )
        return
    remark(f"good until height {given.expiry_height:,}, for {did_from_key(member)} alone")
    click.echo(given.to_token())


def _cosigned(session: Session, registrar: SecretKey, member: bytes, expiry_height: int) -> Cosignature:
    signature = sign_consent(registrar, session.genesis.id, member, expiry_height)
    return Cosignature(registrar.public, member, expiry_height, signature)


@registry.command("object")
@_number
@document("grounds", "the grounds of the objection")
@sends
def object_to(session: Session, number: int, grounds: bytes) -> VerifiedTransaction:
    """Object to a record about yourself.

    The points of record NUMBER are suspended at once; if its issuer does not answer in time, it is deleted.
    """
    return session.sign(Object(session.secret.public, number, grounds))


@registry.command()
@_number
@document("grounds", "the grounds of the appeal")
@sends
def appeal(session: Session, number: int, grounds: bytes) -> VerifiedTransaction:
    """Appeal against a record about you that was upheld.

    Both sides are heard again, and three other arbiters decide on record NUMBER, or a motion where there are too few.
    """
    return session.sign(Appeal(session.secret.public, number, grounds))


@registry.command()
@_number
@document("statement", "your own words", needed=False)
@sends
def statement(session: Session, number: int, statement: bytes) -> VerifiedTransaction:
    """Comment on a record about yourself.

    Your words stand beside record NUMBER as long as it does; without --statement they are taken back.
    """
    return session.sign(Statement(session.secret.public, number, statement))


@registry.command()
@click.option(
    "--new-key", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The key file to move to."
)
@sends
def rotate(session: Session, new_key: Path) -> VerifiedTransaction:
    """Move to a new key.

    The history follows, and the old key can do nothing more.
    """
    new = read_key_file(new_key, session.passphrase)
    proof = sign_rotation(new, session.genesis.id, session.secret.public, session.nonce)
    return session.sign(Rotate(new.public, proof))


# ------------------------------------------------------------------------------------------------- validators


@registry.command()
@_number
@sends
def approve(session: Session, number: int) -> VerifiedTransaction:
    """Approve motion NUMBER, as a validator."""
    return session.sign(Approve(settled(session, number)))


@registry.command()
@_number
@sends
def consent(session: Session, number: int) -> VerifiedTransaction:
    """Agree to a seat or an office, as motion NUMBER proposes.

    It is not carried without.  A validator signs with the key of the node that is to make blocks, and that node is
    waited for.  An authority can neither leave nor be recovered by guardians.
    """
    return session.sign(Consent(settled(session, number)))


if __name__ == "__main__":
    registry()
