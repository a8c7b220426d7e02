"""The credit registry: what each transaction does to the state, and what the chain itself does at deadlines.

The entries are in :mod:`chain.register.state`, the rules in :mod:`chain.register.members`,
:mod:`chain.register.recovery`, :mod:`chain.register.ratings`, :mod:`chain.register.records`,
:mod:`chain.register.objections`, :mod:`chain.register.repairs`, :mod:`chain.register.leaving`,
:mod:`chain.register.annulments`, :mod:`chain.register.attributes`, :mod:`chain.register.anchors`,
:mod:`chain.register.governance` and :mod:`chain.register.offences`; each checks everything before it writes anything,
so a refused transaction has changed nothing.  Source: protocol 6.1 and 6.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from chain.base.errors import FAULTS, Damaged, InvariantBroken, Reason, Refused
from chain.consensus.electorate import Electorate
from chain.content.actions import (
    Action,
    Anchor,
    Annul,
    Answer,
    Appeal,
    Approve,
    Attest,
    Consent,
    Dispute,
    Enrol,
    Evidence,
    FileRecord,
    Leave,
    Lost,
    NameGuardians,
    Object,
    Propose,
    Rate,
    Recover,
    Reopen,
    Repair,
    Reply,
    Retract,
    Rotate,
    Rule,
    Statement,
    Veto,
)
from chain.content.genesis import Genesis
from chain.content.identities import ANNULMENTS, LEAVINGS, LEFT, RECOVERIES
from chain.content.policy import Policy
from chain.content.transactions import Transaction
from chain.register import (
    anchors,
    annulments,
    attributes,
    deadlines,
    fence,
    governance,
    leaving,
    markers,
    members,
    objections,
    offences,
    quotas,
    ratings,
    records,
    recovery,
    repairs,
)
from chain.register.authorities import check_authority
from chain.register.draft import Draft
from chain.register.entries import Account, Docket, Entry, PolicyText, Roll, Rules
from chain.register.state import due_slot_of, encode_entry
from chain.register.statekeys import (
    ATTRIBUTES,
    DOCKET_KEY,
    MARKERS,
    MOTIONS,
    RATINGS,
    RECORDS,
    ROLL_KEY,
    RULES_KEY,
    VALIDATORS_KEY,
    account_key,
    member_key,
    policy_key,
    rating_key,
)
from chain.register.terms import check_filing
from chain.register.validators import genesis_validators

# Deadlines that one block works off; the others wait for the next one.  Half as much work as a full block.
MAX_DUE_A_BLOCK = 2_000

# What a rule returns is how many more ratings of the actor stand.
_Rule: TypeAlias = Callable[[Draft, Any, bytes], int | None]
_RULES: dict[type[Action], _Rule] = {
    Enrol: members.enrol,
    Rate: ratings.rate,
    Retract: ratings.retract,
    Dispute: ratings.dispute,
    Reply: ratings.reply,
    NameGuardians: recovery.name_guardians,
    Recover: recovery.recover,
    Veto: recovery.veto,
    Annul: annulments.annul,
    Leave: leaving.leave,
    Anchor: anchors.anchor,
    Attest: attributes.attest,
    Rotate: members.rotate,
    FileRecord: records.file,
    Reopen: records.reopen,
    Object: objections.object_to,
    Answer: objections.answer,
    Rule: objections.rule,
    Appeal: objections.appeal,
    Repair: repairs.repair,
    Statement: records.make_statement,
    Propose: governance.propose,
    Approve: governance.approve,
    Evidence: offences.present_evidence,
    Consent: governance.consent,
    Lost: offences.renew_tag,
}

_NOBODYS = Account(0, b"", b"")

_CHECKS: dict[type[Action], Callable[[Policy, Any, bytes], None]] = {
    Rate: ratings.check_rating,
    FileRecord: check_filing,
    Reopen: check_filing,
    Evidence: offences.check_evidence,
}

_DEADLINES: dict[bytes, Callable[[Draft, bytes], None]] = {
    RECORDS: deadlines.fall_due,
    MARKERS: markers.fall_due,
    RATINGS: ratings.fall_due,
    MOTIONS: governance.fall_due,
    RECOVERIES: recovery.fall_due,
    LEAVINGS: leaving.fall_due,
    ANNULMENTS: annulments.fall_due,
    LEFT: leaving.left_due,
    ATTRIBUTES: attributes.fall_due,
}


def genesis_state(genesis: Genesis) -> dict[bytes, bytes]:
    """The state at height 0, encoded."""
    policy = genesis.policy
    entries: dict[bytes, Entry] = {
        RULES_KEY: Rules(policy.version, policy.digest(), 0, 0),
        policy_key(policy.version): PolicyText(policy.encode()),
        VALIDATORS_KEY: genesis_validators(genesis),
        DOCKET_KEY: Docket(0, ()),
        ROLL_KEY: Roll(()),
        **{account_key(key): Account(0, b"", b"") for key, _ in genesis.validators},
    }
    return {key: encode_entry(entry) for key, entry in entries.items()}


def begin(draft: Draft, due: Iterable[tuple[bytes, bytes]], electorate: Electorate) -> None:
    """What the chain itself does at the start of a block.

    ``due`` are the keys of entries that have their turn, at most :data:`MAX_DUE_A_BLOCK`, in the order of deadlines and
    keys, each with the key of the one whose deadline it is: its own, or that somebody leaves whom it is tied to.
    ``electorate`` is in force at this block.  Where one of them goes wrong it is put aside
    (:mod:`chain.register.fence`).

    Raises :class:`InvariantBroken` for an entry that knows no deadline.
    """
    draft.begin()
    governance.begin(draft, electorate)
    for key, turn in due:
        act = _DEADLINES.get(key[:1])
        if act is None:
            raise InvariantBroken("an entry that knows no deadline is due")
        if not _is_due(draft, turn):  # what came before in this block ended it, or put it off
            continue
        draft.mark()
        try:
            if key == turn:
                act(draft, key)
            elif draft.get(key) is not None:
                leaving.forget(draft, key)
        except Damaged:
            raise
        except (*FAULTS, Refused) as error:
            fence.put_aside(draft, turn, error)


def _is_due(draft: Draft, key: bytes) -> bool:
    due_slot = due_slot_of(draft.get(key))
    return due_slot is not None and due_slot <= draft.slot


def apply(draft: Draft, transaction: Transaction) -> None:
    """Carry out one transaction, or raise :class:`Refused` and leave the draft as it was."""
    draft.mark()
    try:
        _apply(draft, transaction)
    except Damaged:
        raise
    except FAULTS as error:
        raise fence.refused(draft, transaction.kind, error) from error


def _apply(draft: Draft, transaction: Transaction) -> None:
    expiry_height, limit = transaction.expiry_height, draft.height + draft.genesis.max_expiry_blocks
    if expiry_height < draft.height:
        raise Refused(Reason.EXPIRED, f"expired at height {expiry_height}")
    if expiry_height > limit:
        raise Refused(Reason.EXPIRY_TOO_FAR, f"more than {draft.genesis.max_expiry_blocks} blocks ahead")
    actor = transaction.actor
    at = account_key(actor)
    account: Account | None = draft.get(at)
    next_nonce = 0
    if account is not None:
        next_nonce = account.nonce
        _check_key(account)
    if transaction.nonce != next_nonce:
        reason = Reason.NONCE_USED if transaction.nonce < next_nonce else Reason.NONCE_GAP
        raise Refused(reason, f"nonce {transaction.nonce} where {next_nonce} is next")
    action = transaction.action
    day, used = quotas.spent(draft, actor, account, action)
    _check_action(draft.policy, action, actor)
    given = _RULES[type(action)](draft, action, actor) or 0
    after: Account = draft.get(at) or _NOBODYS
    if account is None:  # guardians may have moved a member to this very key, with what it had written
        day, used = after.day, after.used
    draft.put(at, Account(next_nonce + 1, after.identity, after.successor, day, used, after.given + given))


def touched(transaction: Transaction) -> Iterator[bytes]:
    """The keys that most transactions of its kind look at, of entries that not every block does: a hint."""
    actor, action = transaction.actor, transaction.action
    yield account_key(actor)
    yield member_key(actor)
    match action:
        case Rate(subject=subject, category=category):
            yield member_key(subject)
            yield rating_key(subject, actor, category)
        case FileRecord(subject=subject):
            yield member_key(subject)
            yield account_key(subject)
        case _:
            pass


@fence.look
def check_action(policy: Policy, transaction: Transaction) -> None:
    """The rules that follow from the policy alone, whatever else the state is.  Raises :class:`Refused`."""
    _check_action(policy, transaction.action, transaction.actor)


def _check_action(policy: Policy, action: Action, actor: bytes) -> None:
    check = _CHECKS.get(type(action))
    if check is not None:
        check(policy, action, actor)


@fence.look
def check_quota(draft: Draft, transaction: Transaction) -> None:
    """Whether its actor may write this today, with all that must come before it.

    It looks at no signature, so that it can be asked before one is checked.  Raises :class:`Refused`:
    ``ROTATED_KEY``, ``OVER_QUOTA``.
    """
    account = draft.account(transaction.actor)
    if account is not None:
        _check_key(account)
        ahead = max(0, transaction.nonce - account.nonce)
        quotas.spent(draft, transaction.actor, account, transaction.action, ahead)


@fence.look
def check_standing(draft: Draft, transaction: Transaction) -> None:
    """Whether its actor is somebody who may do such a thing at all, as ``draft`` sees it.  Raises :class:`Refused`.

    The mempool asks, so that strangers and members cannot fill it with what only institutions may send.  How much its
    actor may write was asked before its signature was checked (:func:`check_quota`).
    """
    match transaction.action:
        case Rate():  # most are, and who may rate is seen in the block
            pass
        case Enrol():
            members.check_new(draft, transaction.actor)
        case FileRecord() | Reopen() | Answer() | Rule():
            check_authority(draft, transaction.actor)
        case Attest(digest=digest) if digest:
            check_authority(draft, transaction.actor)
        case Propose() | Approve():
            governance.check_validator(draft, transaction.actor)
        case Evidence() as action:
            offences.check_open(draft, action)
        case Recover() as action:
            recovery.check_word(draft, action)
        case Consent() as action:
            governance.check_newcomer(draft, action, transaction.actor)
        case Lost() as action:
            offences.check_loss(draft, action, transaction.actor)
        case Anchor():
            anchors.check_writer(draft, transaction.actor)
        case _:
            pass


@fence.look
def check_accusation(draft: Draft, action: Evidence) -> None:
    """Whether the block would jail somebody for this.  Raises :class:`Refused`."""
    offences.punished(draft, action)


def _check_key(account: Account) -> None:
    if account.successor:
        raise Refused(Reason.ROTATED_KEY, "its owner has moved to another key")
