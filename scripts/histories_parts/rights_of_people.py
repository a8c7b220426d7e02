"""Rights to one's own name: whose a key is, who leaves, what others say, and room to speak."""

from __future__ import annotations

from chain.content.actions import (
    CONTEST,
    GRANT,
    UNDO,
    Annul,
    Answer,
    Appeal,
    Approve,
    Dispute,
    Enrol,
    FileRecord,
    Leave,
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
)
from chain.content.blocks import MAX_BLOCK_TRANSACTIONS
from chain.content.identities import ANNULMENTS, GUARDIANS, LEAVINGS, RECOVERIES, Leaving, commitment_of, left_key
from chain.register.entries import ANSWERED, DISPUTED, REVOKED, Member
from chain.register.offices import holds_office
from chain.register.scores import standing as shown
from chain.register.statekeys import ATTRIBUTES, AUTHORITIES, MEMBERS, RATINGS, RECORDS, SUMS, read_rating_key
from scripts.histories_parts.right import right
from scripts.histories_parts.standings import document, standing, unrated
from scripts.histories_parts.steps import Past, Step, asks

_TIED = (MEMBERS, RECORDS, RATINGS, SUMS, GUARDIANS, RECOVERIES, ANNULMENTS, ATTRIBUTES)
UNDOING = "what a thief did with a key is undone where enough guardians say so in time"


# ------------------------------------------------------------------------------------------------ whose a key is


@right("a member's key changes by its own word, after a delay in which it could object, or as its guardians undo")
def _is_moved(past: Past, step: Step) -> bool:
    return any(
        not _may_move(past, step, who, before, after)
        for who, before, after in step.of(MEMBERS)
        if before is not None and after is not None and before.key != after.key
    )


def _may_move(past: Past, step: Step, who: bytes, before: Member, after: Member) -> bool:
    match step.action:
        case Rotate(new_key):
            return step.actor == before.key and after.key == new_key
        case Recover(step=kind) if kind == UNDO:
            return past.undoable.get(who, 0) > step.slot
        case None:
            new_key, since = past.moves.get(who, (b"", 0))
            return after.key == new_key and step.slot >= since
        case _:
            return False


@right("only the guardians whom a member named speak for it, or the registrar who enrolled it where it named none")
def _strangers_speak(past: Past, step: Step) -> bool:
    action = step.action
    if not isinstance(action, Recover):
        return False
    who = step.view.identity(action.subject)
    member: Member = step.view.get(MEMBERS + who)
    named = past.guardians(who, step.slot)
    if not named:
        return not action.registrar or step.view.identity(action.registrar) != member.registrar
    said = sum(map(bool, action.signatures))
    is_enough = said >= action.threshold > len(action.guardians) / 2
    return not is_enough or commitment_of(action.threshold, action.guardians, action.salt) != named


def may_undo(past: Past, step: Step) -> bool:
    """Whether those speak whom a member named, in time, and with a key that nobody had."""
    action, view = step.action, step.view
    if not isinstance(action, Recover) or action.step != UNDO:
        return False
    who = view.identity(action.subject)
    member: Member | None = view.get(MEMBERS + who)
    if member is None or 0 < member.leaves_slot <= step.slot or past.undoable.get(who, 0) <= step.slot:
        return False
    is_fresh = view.account(step.actor) is None and view.get(left_key(step.actor)) is None
    named = past.guardians(who, step.slot)
    keys, said = action.guardians, sum(map(bool, action.signatures))
    is_said = named and commitment_of(action.threshold, keys, action.salt) == named
    is_enough = said >= action.threshold and len(keys) == len(action.signatures)
    return bool(is_fresh and is_said and is_enough) and not holds_office(view, who)


@right("who stopped a recovery is left alone until the delay is over, but by guardians and registrar together")
def _is_pressed(past: Past, step: Step) -> bool:
    action = step.action
    if not isinstance(action, Recover) or action.step == UNDO or (action.guardians and action.registrar):
        return False
    return past.vetoed.get(step.view.identity(action.subject), 0) > step.slot


@right("who enrolled a member, when, and under which policy, stays as it was")
def _is_rewritten(_past: Past, step: Step) -> bool:
    def origin(member: Member) -> tuple[object, ...]:
        return member.registrar, member.enrolled_slot, member.enrolled_height, member.policy_version

    return any(origin(before) != origin(after) for _, before, after in step.of(MEMBERS) if before and after)


@right(
    "nobody goes but by its own word, or because its enrolment was void, once it could appeal and others decided that"
)
def _is_thrown_out(past: Past, step: Step) -> bool:
    for who, before, after in step.of(LEAVINGS):
        if not isinstance(after, Leaving) or (before is not None and before.is_void == after.is_void):
            continue
        if not after.is_void:
            return not (isinstance(step.action, Leave | Recover) and _is_own(step, who))
        if not _may_be_void(past, step, who):
            return True
    return False


def _may_be_void(past: Past, step: Step, who: bytes) -> bool:
    doubt = past.doubts.get(who)
    if doubt is None or not doubt.granter:
        return False
    match step.action:
        case None:
            return step.slot >= doubt.silent_slot
        case Annul(step=kind) if kind == GRANT:
            said = doubt.granting | {step.view.identity(step.actor)}
            return len(said) > 1 and step.slot >= doubt.heard_slot
        case action:
            return isinstance(action, Approve | Propose)


@right("an enrolment is granted to be void after both were heard as promised, by nobody who asked for it or granted it")
def _is_granted_unheard(past: Past, step: Step) -> bool:
    action = step.action
    if not isinstance(action, Annul) or action.step != GRANT:
        return False
    who = step.view.identity(action.subject)
    doubt = past.doubts[who]
    return step.slot < doubt.heard_slot or step.view.identity(step.actor) in (who, doubt.registrar, doubt.granter)


@right("who leaves is gone as soon as the policy said to which it consented, but for a recovery that waits")
def _is_held(past: Past, step: Step) -> bool:
    return isinstance(step.action, Leave) and any(
        after.due_slot > step.slot + _notice(past, step, who) and who not in past.moves
        for who, _, after in step.of(LEAVINGS)
    )


def _notice(past: Past, step: Step, who: bytes) -> int:
    """Guardians can undo it as long as the policy said to which the member consented."""
    consented = step.view.policy_of(past.consented[who])
    return max(past.promised(step, who, "leave_days"), step.slots(consented.identity.recovery_days))


def _is_own(step: Step, who: bytes) -> bool:
    return step.view.identity(step.actor) == who


@right("nobody but the member objects to its annulment")
def _another_objects(_past: Past, step: Step) -> bool:
    action = step.action
    if not isinstance(action, Annul) or action.step != CONTEST:
        return False
    return step.view.identity(action.subject) != step.view.identity(step.actor)


@right("of who is gone nothing is left but the mark of its keys")
def _something_stays(_past: Past, step: Step) -> bool:
    gone = {who for who, before, after in step.of(MEMBERS) if before is not None and after is None}
    if not gone:
        return False
    keys = dict.fromkeys((*step.view._state, *step.view._written))
    about = [key for key in keys if key[:1] in _TIED and len(key) > 32]
    return any(who in key for key in about if step.view.get(key) is not None for who in gone)


@right("who left comes back only after its time")
def _comes_back_early(past: Past, step: Step) -> bool:
    return isinstance(step.action, Enrol) and past.gone.get(step.actor, 0) > step.slot


# ---------------------------------------------------------------------------------------------------- standing


@right("nobody stands worse but by a record, a ruling, a rating, or the end or fading of what spoke for it")
def _is_put_worse(_past: Past, step: Step) -> bool:
    policy = step.view.policy
    for who, before, after in step.of(MEMBERS):
        if before is not None and after is not None:
            old, new = standing(policy, before), standing(policy, after)
            if (new.score < old.score or new.level < old.level) and not _may_worsen(step, who):
                return True
    return False


def _may_worsen(step: Step, who: bytes) -> bool:
    match step.action:
        case None:  # of what the chain does by itself, only the end or fading of what spoke for somebody
            less = [
                before
                for (about, _), before, after in step.records()
                if about == who and (after is None or (before is not None and after.halvings > before.halvings))
            ]
            voices = [name for name, _, after in step.of(RATINGS) if name[:32] == who and after is None]
            return bool(voices) or any(record is not None and record.points > 0 for record in less)
        case Approve() | Propose():
            return any(about == who for (about, _), _, _ in step.records())
        case Object() | Appeal():
            return _is_own(step, who)
        case FileRecord() | Reopen() | Rate() | Retract() | Rule() | Answer() | Repair() as action:
            return step.view.identity(action.subject) == who
        case _:
            return False


# ---------------------------------------------------------------------------------------------------- what others say


@right("who takes a rating back has said nothing")
def _is_kept(_past: Past, step: Step) -> bool:
    """Its entry is gone, so it was written."""
    return isinstance(step.action, Retract) and all(after is not None for _, _, after in step.of(RATINGS))


@right("a rating that was objected to stands only with a reason of its rater")
def _stands_without_reason(_past: Past, step: Step) -> bool:
    for name, before, after in step.of(RATINGS):
        if before is not None and after is not None and before.status == DISPUTED:
            _, rater, _ = read_rating_key(RATINGS + name)
            if after.status != ANSWERED or not isinstance(step.action, Reply) or not _is_own(step, rater):
                return True
    return False


@right("a rater has as long to give a reason as when it rated")
def _is_hurried(past: Past, step: Step) -> bool:
    for name, _, after in step.of(RATINGS):
        if isinstance(step.action, Dispute) and after is not None:
            policy = step.view.policy_of(past.said[name])
            if after.deadline_slot - step.slot != step.slots(policy.raters.answer_days, policy):
                return True
    return False


@right("blame that fell for want of a reason is not said again before its time")
def _blames_again(past: Past, step: Step) -> bool:
    is_said = isinstance(step.action, Rate) and step.action.points < 0
    return is_said and any(past.fallen.get(name, 0) > step.slot for name, _, after in step.of(RATINGS) if after)


@right("a rating counts for no longer than the policy said")
def _counts_too_long(_past: Past, step: Step) -> bool:
    days = step.view.policy.raters.rating_days
    return bool(days) and any(
        not 0 < after.expires_slot <= step.slot + step.slots(days)
        for _, _, after in step.of(RATINGS)
        if after is not None and isinstance(step.action, Rate)
    )


@right("under a policy of receipts each rating that stands is of a dealing of its own, which both have signed")
def _rates_without_receipt(_past: Past, step: Step) -> bool:
    action = step.action
    if not isinstance(action, Rate) or not step.view.policy.raters.counting:
        return False
    return not action.receipt or any(
        before is not None and action.dealt_slot <= before.dealt_slot for _, before, _ in step.of(RATINGS)
    )


@right("who is too fresh, or stands too low, rates nobody")
def _is_too_fresh(_past: Past, step: Step) -> bool:
    rules = step.view.policy.raters
    if not isinstance(step.action, Rate):
        return False
    rater: Member = step.view.get(MEMBERS + step.view.identity(step.actor))
    age = step.view.date_slot - rater.enrolled_slot
    return age < step.slots(rules.age_days) * bool(rules.age_days) or (
        standing(step.view.policy, rater).score < rules.least_score and rules.are_choosy
    )


@right("what members say moves a score within the policy's bounds, and nothing where too few have said it")
def _moves_too_much(_past: Past, step: Step) -> bool:
    policy = step.view.policy
    rules = document(policy)
    for who, _, after in step.of(MEMBERS):
        if after is not None:
            # What people are shown is judged by what it would be if nobody had said anything, as a recount has that.
            moved = shown(policy, after).score - unrated(policy, after)
            is_within = rules["score"]["ratings_floor"] <= moved <= rules["score"]["ratings_cap"]
            if not is_within or (moved and len(_raters(step, who)) < rules["raters"]["least_raters"]):
                return True
    return False


def _raters(step: Step, who: bytes) -> set[bytes]:
    """Those of whom a rating about somebody is in the state."""
    return {read_rating_key(RATINGS + name)[1] for name, _ in step.entries(RATINGS) if name[:32] == who}


# ------------------------------------------------------------------------------------------------------ room


@right("nobody writes more a day than the policy has it")
def _shouts(past: Past, step: Step) -> bool:
    who = step.view.identity(step.actor)
    return asks(step) and past.written[who] + 1 > _most(step, who)


def _most(step: Step, who: bytes) -> int:
    quotas, office = step.view.policy.quotas, step.touched.get(AUTHORITIES + who) or step.view.get(AUTHORITIES + who)
    now = step.view.date_slot
    if office is not None and office.status != REVOKED and office.from_slot <= now < office.until_slot:
        return quotas.office
    member = step.view.get(MEMBERS + who)
    if member is None and step.view.validators.seat(step.actor) is not None:
        return quotas.office
    is_fresh = member is not None and now - member.enrolled_slot < step.slots(quotas.fresh_days)
    return min(quotas.fresh, quotas.member) if is_fresh else quotas.member


@right("strangers take no more than their share of a block")
def _crowd(past: Past, step: Step) -> bool:
    if not isinstance(step.action, Enrol) or step.action.registrar:
        return False
    share = MAX_BLOCK_TRANSACTIONS * step.view.policy.quotas.strangers_permille // 1000
    return past.strangers + 1 > max(1, share)
