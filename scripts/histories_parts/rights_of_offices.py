"""Rights against those who judge: they are measured by what is contested, and the measure cannot be mended by them."""

from __future__ import annotations

from chain.content.actions import Approve, Consent, Propose
from chain.register.entries import ACTIVE, SUSPENDED
from chain.register.statekeys import AUTHORITIES
from scripts.histories_parts.losses import decisions
from scripts.histories_parts.right import right
from scripts.histories_parts.steps import Past, Step


@right("an office is measured by the contested adverse records that were decided, all of them and nothing else")
def _is_measured_otherwise(_past: Past, step: Step) -> bool:
    expected = decisions(step)
    for who, before, after in step.of(AUTHORITIES):
        if before is not None:
            found = after.decided - before.decided, after.overturned - before.overturned
            if found != expected.pop(who, (0, 0)):
                return True
    return any(map(any, expected.values()))


@right("what an office lost stays visible, also where a motion forgave it")
def _is_forgotten(_past: Past, step: Step) -> bool:
    return any(
        after is None
        or (after.decided, after.overturned) < (before.decided, before.overturned)
        or after.filed < before.filed
        or after.withdrawn < before.withdrawn
        or (after.forgiven_decided > after.decided or after.forgiven_overturned > after.overturned)
        for _, before, after in step.of(AUTHORITIES)
        if before is not None
    )


@right("an office that is suspended comes back by a motion of the validators alone")
def _comes_back(_past: Past, step: Step) -> bool:
    return not isinstance(step.action, Approve | Propose) and any(
        before.status != ACTIVE and after.status == ACTIVE
        for _, before, after in step.of(AUTHORITIES)
        if before is not None
    )


@right("nobody is given an office without its own word")
def _is_pressed_into_service(past: Past, step: Step) -> bool:
    match step.action:
        case Approve(number):
            agreed = past.agreed.get(number, set())
        case Consent() | Propose():
            agreed = {step.view.identity(step.actor)}
        case _:
            agreed = set()
    return any(who not in agreed for who, before, _ in step.of(AUTHORITIES) if before is None)


@right("an office of whose contested records too many fell is suspended")
def _goes_on(past: Past, step: Step) -> bool:
    policy = step.view.policy
    if policy.version != 1 or isinstance(step.action, Approve | Propose):
        return False
    for who, (decided, overturned) in decisions(step).items():
        known = (*past.offices[who].decisions, (step.slot, decided, overturned)) if who in past.offices else ()
        if not known or known[0][0] <= step.slot - step.slots(policy.window_days):
            continue  # some of it may be too old to count
        cases = sum(each for _, each, _ in known)
        errors = min(cases, sum(each for _, _, each in known))
        too_many = cases >= policy.overturned_minimum and errors * 1000 > policy.overturned_permille * cases
        if too_many and step.view.get(AUTHORITIES + who).status < SUSPENDED:
            return True
    return False
