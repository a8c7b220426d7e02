"""Every refusal in words for people: the rule that something breaks, and what would be needed instead."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

import click

from chain.errors import Reason, Refused
from chain.genesis import Genesis


class Meaning(NamedTuple):
    """A rule, and what to do about having broken it."""

    rule: str
    needed: str


_R = Reason
_SLOT = re.compile(r"\bslot (-?\d+)")
_FAULTY_CLIENT = "a client and a node of the same version; report this if they are"
_BETWEEN_NODES = Meaning("This rule is about blocks and messages between nodes.", _FAULTY_CLIENT)
_LOOK = "`records DID` shows the records that stand, with their numbers and states"
_MOTIONS = "`motions` lists them, with their numbers"
_ISSUER_FIRST = "wait for the issuer's answer, or for its deadline: silence deletes the record"

MEANINGS: dict[Reason, Meaning] = {
    # encoding and keys
    _R.MALFORMED: Meaning("A transaction has one exact form.", _FAULTY_CLIENT),
    _R.TOO_LARGE: Meaning("A transaction has a largest size, and a policy too.", "a shorter document"),
    _R.BAD_KEY: Meaning("A key is a point of Ed25519 that a signature can be checked with.", "the right did:key"),
    _R.BAD_SIGNATURE: Meaning(
        "Every signature in a transaction is checked against its key, this network and what it agrees to.",
        "the right key and this network's genesis; a consent fits one member, one network and one expiry",
    ),
    # transactions
    _R.EXPIRED: Meaning("A transaction names the last height whose block may hold it.", "a new one, signed again"),
    _R.EXPIRY_TOO_FAR: Meaning(
        "A transaction may expire only so many blocks ahead; the genesis says how many.", "an earlier expiry"
    ),
    _R.NONCE_USED: Meaning(
        "The transactions of a key are numbered, and each number is used once.",
        "to look with `status` whether this was done already; if not, to send it again",
    ),
    _R.NONCE_GAP: Meaning(
        "The transactions of a key are numbered without gaps.",
        "an earlier transaction of this key in a block; one that waits may itself be refused, see `status`",
    ),
    _R.NOT_ENROLLED: Meaning(
        "Nothing is recorded about a key that has not enrolled, and only members rate, object and ask.",
        "the enrolment of that key, signed by its own holder (`enrol`)",
    ),
    _R.ALREADY_ENROLLED: Meaning("A member enrols once.", "nothing: it is a member already"),
    _R.SELF_RATING: Meaning("Nobody rates itself.", "another member to rate"),
    _R.UNKNOWN_CATEGORY: Meaning(
        "Only what the policy in force lists can be recorded: its catalogue is closed.",
        "a category of the policy (`inspect_chain.py policy`), or a motion that amends it",
    ),
    _R.POINTS_OUT_OF_RANGE: Meaning("A category says how many points it may give.", "points within that range"),
    _R.KEY_IN_USE: Meaning(
        "A key moves to a fresh key, and a validator's key only by motion.",
        "a new key (`key new`); for a validator `motion replace-validator` first",
    ),
    _R.ROTATED_KEY: Meaning("A key that was left can do nothing more.", "the key that its owner moved to"),
    _R.NO_CONSENT: Meaning(
        "Under this policy a registrar signs every enrolment too.",
        "a consent for this member: a registrar makes one with `consent`, and `enrol --consent` takes it",
    ),
    _R.COUNTER_LIMIT: Meaning("What the register counts is bounded.", "another member, authority or network"),
    # authorities and their records
    _R.NOT_AUTHORITY: Meaning(
        "Only an accredited authority files, answers and rules.",
        "a motion of the validators that accredits this key (`motion accredit`)",
    ),
    _R.NOT_REGISTRAR: Meaning(
        "A consent comes from an authority in office that has the registrar's right.",
        "another registrar, or a motion that gives the right (`motion accredit --registrar`) or restores it",
    ),
    _R.NOT_ARBITER: Meaning(
        "Only an authority in office that has the arbiter's right rules.",
        "another arbiter, or a motion that gives the right (`motion accredit --arbiter`) or restores it",
    ),
    _R.NOT_ACCREDITED: Meaning(
        "An authority files only in the categories, and between the heights, that it was accredited for.",
        "a motion of the validators that accredits it for this category and time (`motion accredit`)",
    ),
    _R.AUTHORITY_SUSPENDED: Meaning(
        "An authority whose records were overturned too often, or that a motion suspended, may not file.",
        "a motion of the validators that restores it (`motion restore`)",
    ),
    _R.AUTHORITY_REVOKED: Meaning(
        "An authority that a motion revoked is none any more.", "a new accreditation (`motion accredit`)"
    ),
    _R.SELF_RECORD: Meaning("Nobody records about itself.", "another authority to file it"),
    _R.CATEGORY_CLOSED: Meaning(
        "A closed category takes no new records; the old ones stand.", "another category of the policy"
    ),
    _R.WRONG_SEVERITY: Meaning(
        "A category says which severities its records may have.", "one of them (`inspect_chain.py policy`)"
    ),
    _R.NO_REASON_GIVEN: Meaning(
        "What is discretionary, and a record that is maintained, needs a written reason.", "`--reason FILE`"
    ),
    _R.STALE_POLICY: Meaning(
        "A record or an amendment names the policy that is in force, and one amendment is announced at a time.",
        "to sign again under the policy in force, or to wait until the announced one is",
    ),
    _R.NOT_YET_ESTABLISHED: Meaning(
        "Conduct is recorded once it is established.", "a date that is not in the future (`--established`)"
    ),
    _R.TOO_OLD: Meaning(
        "Conduct so old that a record of it would have expired is not recorded.", "nothing: it is time-barred"
    ),
    _R.UNKNOWN_RECORD: Meaning("A record that ended is gone, and none has this number.", _LOOK),
    _R.OTHERS_RECORD: Meaning(
        "Only the member that a record is about objects, asks for its repair, or comments on it.", "that member's key"
    ),
    _R.NOT_ISSUER: Meaning(
        "Only the authority that filed a record answers for it.", "the issuer's key; " + _LOOK
    ),
    _R.OWN_RECORD: Meaning(
        "Nobody rules on a record that it filed itself or that is about itself.", "another arbiter"
    ),
    _R.UNDER_OBJECTION: Meaning("An objection to this record is open; its points are suspended.", _ISSUER_FIRST),
    _R.NOT_UNDER_OBJECTION: Meaning(
        "A record is maintained against an objection.", "nothing: nobody has objected to it"
    ),
    _R.ALREADY_MAINTAINED: Meaning(
        "A record is maintained once; then an arbiter rules.", "the ruling of an arbiter, or to withdraw the record"
    ),
    _R.NOT_MAINTAINED: Meaning(
        "An arbiter rules once the member has objected and the issuer has maintained the record.", _ISSUER_FIRST
    ),
    _R.ALREADY_UPHELD: Meaning(
        "What an arbiter has upheld stands: there is one objection to a record.",
        "to ask for its repair (`repair ask`), or to add a statement (`statement`)",
    ),
    _R.DEADLINE_PASSED: Meaning(
        "A deadline of the policy has passed; the chain itself decides what follows.", "nothing: it is too late"
    ),
    _R.NOT_BETTER: Meaning(
        "A correction is for the better: it raises the points, at most to the category's best or to 0.",
        "more points than now, or a new record beside this one",
    ),
    _R.NOT_REPAIRABLE: Meaning(
        "A record without a severity knows no repair.", "patience: it expires by itself; " + _LOOK
    ),
    _R.TOO_EARLY: Meaning(
        "Repair is asked for once the severity's shortest period is over.", "to wait until the slot named above"
    ),
    _R.REPAIR_ALREADY_ASKED: Meaning(
        "Repair is asked for once at a time.", "the issuer's answer; its silence approves the repair"
    ),
    _R.REPAIR_NOT_ASKED: Meaning(
        "An issuer approves or declines a repair that was asked for.", "the member to ask for it (`repair ask`)"
    ),
    # governance
    _R.UNKNOWN_MOTION: Meaning("An approval names a motion by its number.", _MOTIONS),
    _R.MOTION_CLOSED: Meaning("A motion that was carried or has lapsed takes no approvals.", _MOTIONS),
    _R.ALREADY_APPROVED: Meaning("A validator approves a motion once.", "the approvals of other validators"),
    _R.TOO_MANY_MOTIONS: Meaning(
        "A validator has only so many motions open at a time.", "one of them carried or lapsed; " + _MOTIONS
    ),
    _R.USELESS_MOTION: Meaning("A motion must change something that can be changed.", "another motion, or none"),
    _R.WORSENS_THE_PAST: Meaning(
        "An amendment never worsens what is already recorded.", "a policy that keeps what is named above"
    ),
    _R.NOTICE_TOO_SHORT: Meaning(
        "An amendment is announced at least the notice period before it binds, counted from when it is carried.",
        "a later `--effective`",
    ),
    _R.NO_EQUIVOCATION: Meaning(
        "Evidence is two headers that one validator must not both have signed.", "two headers that contradict"
    ),
    _R.ALREADY_PUNISHED: Meaning("One offence jails once.", "nothing: it was punished"),
    _R.EVIDENCE_TOO_OLD: Meaning("Evidence is brought in time.", "nothing: it is time-barred"),
    # validators
    _R.ALREADY_VALIDATOR: Meaning("A key holds one seat.", "another key"),
    _R.NOT_VALIDATOR: Meaning(
        "Only a validator that is not jailed moves and approves, and only a validator's seat can be changed.",
        "a validator's key (`status` says whose a key is)",
    ),
    _R.ALREADY_JAILED: Meaning("A validator is jailed once at a time.", "nothing: it is jailed"),
    _R.NOT_JAILED: Meaning("Only a jailed validator is released.", "nothing: it is free"),
    _R.TOO_MUCH_WEIGHT: Meaning(
        "No change of the validators moves more than a third of the weight, and one validator stays.",
        "smaller steps, each in force before the next",
    ),
    _R.TOO_MANY_VALIDATORS: Meaning(
        "The genesis says for how many validators there is room.", "one of them to leave first"
    ),
    _R.TOO_MANY_CHANGES: Meaning("Only so many changes of the validators wait.", "to try again once some are done"),
    # mempool
    _R.DUPLICATE: Meaning("A node takes a transaction once.", "nothing: it waits for a block"),
    _R.NONCE_TAKEN: Meaning(
        "The transactions of a key are numbered, and another one waits with this number.", "to send it again"
    ),
    _R.ACTOR_QUOTA: Meaning("Only so many transactions of one key wait.", "to try again once some are in a block"),
    _R.POOL_FULL: Meaning("Only so many transactions wait at a node.", "to try again later, or another node"),
    # between nodes
    **dict.fromkeys(
        (
            _R.FUTURE_SLOT, _R.UNKNOWN_PARENT, _R.INVALID_PARENT, _R.NOT_EXECUTED, _R.SLOT_NOT_AFTER_PARENT,
            _R.WRONG_HEIGHT, _R.WRONG_LEADER, _R.WRONG_MHP, _R.CONTRADICTS_EARLIER_BLOCK, _R.WRONG_TX_ROOT,
            _R.WRONG_STATE_ROOT, _R.TOO_MANY_TRANSACTIONS, _R.INVALID_TRANSACTION, _R.CROSSES_FINALITY,
            _R.TREE_FULL, _R.UNSOLICITED,
        ),
        _BETWEEN_NODES,
    ),
}  # fmt: skip


def describe(refusal: Refused, genesis: Genesis) -> dict[str, Any]:
    """A refusal as programs see it, with the words for people and what time the slots in it are."""
    meaning = MEANINGS[refusal.reason]
    return {
        "refused": refusal.reason.code,
        "detail": refusal.detail,
        "rule": meaning.rule,
        "needed": meaning.needed,
        "when": _times(refusal.detail, genesis),
    }


def show(refusal: Refused, what: str, genesis: Genesis) -> None:
    """Say on stderr that ``what`` was refused, by which rule, and what would be needed."""
    meaning = MEANINGS[refusal.reason]
    click.echo(f"{click.style('refused:', fg='red')} {what} ({refusal.reason.code})", err=True)
    click.echo(f"  rule    {meaning.rule}", err=True)
    if refusal.detail:
        click.echo(f"  here    {refusal.detail}", err=True)
    for slot, moment in _times(refusal.detail, genesis).items():
        click.echo(f"  when    {slot} is {moment}", err=True)
    click.echo(f"  needed  {meaning.needed}", err=True)


def _times(detail: str, genesis: Genesis) -> dict[str, str]:
    """When the slots that a text names begin, in UTC."""
    return {f"slot {slot}": moment_of(genesis, int(slot)) for slot in _SLOT.findall(detail)}


def moment_of(genesis: Genesis, slot: int) -> str:
    """When a slot begins, to the minute and in UTC."""
    try:
        moment = datetime.fromtimestamp(genesis.slot_start_ms(slot) // 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return "beyond the calendar"
    return f"{moment:%Y-%m-%d %H:%M} UTC"
