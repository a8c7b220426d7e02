"""The state that follows from a recount, entry by entry, and where the state of a chain differs.

Only the layout of the entries is the chain's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from chain.content.identities import (
    Annulment,
    Guardians,
    Leaving,
    Left,
    Recovery,
    annulment_key,
    guardians_key,
    leaving_key,
    left_key,
    recovery_key,
)
from chain.register.entries import (
    RATING_STATUS_NAMES,
    Account,
    Attributes,
    Authority,
    CategorySum,
    Clock,
    Docket,
    Entry,
    Held,
    Marker,
    Member,
    Motion,
    PolicyText,
    Rating,
    Record,
    Roll,
    Rules,
    Rulings,
    Tally,
    Window,
)
from chain.register.state import decode_entry
from chain.register.statekeys import (
    CLOCK_KEY,
    DOCKET_KEY,
    ROLL_KEY,
    RULES_KEY,
    VALIDATORS_KEY,
    account_key,
    attributes_key,
    authority_key,
    losses_key,
    marker_key,
    member_key,
    motion_key,
    policy_key,
    rating_key,
    record_key,
    rulings_key,
    sum_key,
    tally_key,
)
from chain.register.validators import Change, Seat, Validators
from scripts.recount import council, lives
from scripts.recount.disputes import evidence_mark
from scripts.recount.rules import Recount

_RECORD = {name: code for code, name in enumerate((*lives.COUNTING, *lives.DISPUTED))}
_AUTHORITY = {name: code for code, name in enumerate((lives.ACTIVE, lives.SUSPENDED, lives.REVOKED))}
_MOTION = {name: code for code, name in enumerate((lives.OPEN, lives.CARRIED, lives.LAPSED))}
_CHANGE = {
    name: code
    for code, name in enumerate(
        (council.ADD, council.REMOVE, council.JAIL, council.RELEASE, council.REPLACE, council.REWEIGH), start=1
    )
}
# A category whose floor and ceiling are beyond this has none.
_UNBOUNDED = 10**12


def differences(recount: Recount, state: Mapping[bytes, bytes]) -> Iterator[str]:
    """Where the encoded entries of a chain's state are not those of the recount, a sentence each."""
    found = {key: decode_entry(key, value) for key, value in state.items()}
    expected = dict(entries(recount))
    for key in sorted(found.keys() | expected.keys()):
        one, other = found.get(key), expected.get(key)
        if one != other:
            yield f"{_name(key)}: {_told(one, other)} in the state, {_told(other, one)} by recount"


def _name(key: bytes) -> str:
    """The kind of an entry, the beginning of whom it is about, and the end of what comes behind that."""
    return " ".join(filter(None, (chr(key[0]), key[1:33].hex()[:12], key[33:].hex()[-8:])))


def _told(entry: Entry | None, other: Entry | None) -> str:
    """The fields of an entry that are not those of the other; its type where there is no other."""
    if entry is None or other is None:
        return "nothing" if entry is None else f"a {type(entry).__name__}"
    pairs = zip(entry._fields, entry, other, strict=True)
    return ", ".join(f"{name} {_plain(mine)}" for name, mine, yours in pairs if mine != yours)


def _plain(value: object) -> object:
    return value.hex()[:16] if isinstance(value, bytes) else value


def entries(recount: Recount) -> Iterator[tuple[bytes, Entry]]:
    """Every entry."""
    yield VALIDATORS_KEY, _validators(recount.council)
    yield RULES_KEY, Rules(recount.version, recount.rules[recount.version]["digest"], *(recount.announced or (0, 0)))
    for version, rules in recount.rules.items():
        yield (
            policy_key(version),
            PolicyText(rules["document"], recount.in_force.get(version, 0), recount.came.get(version, 0)),
        )
    for key in recount.accounts:
        whose = recount.owner.get(key, b""), recount.successor.get(key, b"")
        yield (
            account_key(key),
            Account(recount.nonces[key], *whose, *recount.written.get(key, (0, 0)), _given(recount, key)),
        )
    for registrar, (day, signed) in recount.signed.items():
        yield tally_key(registrar), Tally(day, signed)
    for validator, (day, lost) in recount.losses.items():
        yield losses_key(validator), Tally(day, lost)
    for member in recount.enrolled:
        yield from _entries_about(recount, member)
    yield from _identities(recount)
    for who, office in recount.offices.items():
        yield authority_key(who), _authority(recount.current[who], office)
    for number, motion in enumerate(recount.motions):
        yield motion_key(number), _motion(motion)
    still_open = [number for number, motion in enumerate(recount.motions) if motion.status == lives.OPEN]
    yield DOCKET_KEY, Docket(len(recount.motions), tuple(still_open))
    yield ROLL_KEY, Roll(tuple(sorted(recount.roll.items())))
    yield from _markers(recount)
    for pair, ruled in recount.rulings.items():
        yield rulings_key(*pair), Rulings(ruled["upheld"], ruled["struck"], ruled["silent"])
    if recount.lost:
        yield CLOCK_KEY, Clock(recount.lost)


def _markers(recount: Recount) -> Iterator[tuple[bytes, Entry]]:
    filed: defaultdict[bytes, list[tuple[int, int]]] = defaultdict(list)
    for record in recount.all_records():
        mark = evidence_mark(record.subject, record.filing["evidence"])
        filed[mark].append((record.filing["category"], record.kept_until))
    for marker in recount.markers.keys() | filed.keys():
        until, is_reopened = recount.markers.get(marker, (0, False))
        yield marker_key(marker), Marker(until, int(is_reopened), tuple(sorted(filed[marker])))


def _identities(recount: Recount) -> Iterator[tuple[bytes, Entry]]:
    for who, guard in recount.guards.items():
        yield guardians_key(who), Guardians(guard.now, guard.coming, guard.coming_from, guard.undo_until)
    for who, (key, slot, is_final) in recount.recoveries.items():
        yield recovery_key(who), Recovery(key, slot, int(is_final))
    for who, leaving in recount.leavings.items():
        yield leaving_key(who), Leaving(leaving.due, int(leaving.is_void), leaving.cursor, leaving.version)
    for who, about in recount.annulments.items():
        yield annulment_key(who), _annulment(about)
    for key, slot in recount.marks.items():
        yield left_key(key), Left(slot)


def _annulment(about: lives.Annulment) -> Annulment:
    return Annulment(
        registrar=about.registrar,
        reason=about.reason,
        due_slot=about.due,
        status=(lives.HEARING, lives.DRAWN, lives.GRANTED).index(about.stage),
        grounds=about.grounds,
        arbiter=about.granter,
        lot=about.lot,
        lot_height=about.lot_height,
        votes=tuple(about.votes),
    )


def _entries_about(recount: Recount, member: bytes) -> Iterator[tuple[bytes, Entry]]:
    yield member_key(member), _member(recount, member)
    if held := tuple(Held(code, *about) for code, about in sorted(recount.attributes.get(member, {}).items())):
        yield attributes_key(member), Attributes(min(each.expires_slot for each in held), held)
    for (rater, code), rating in recount.ratings[member].items():
        yield rating_key(member, rater, code), _rating(rating)
    for record in recount.about(member):
        yield record_key(member, record.number), _record(record)
    categories = recount.categories
    for code, total in recount.sums(member).items():
        category = categories[code]
        if total and (category["floor"] > -_UNBOUNDED or category["ceiling"] < _UNBOUNDED):
            yield sum_key(member, code), CategorySum(total)


def _member(recount: Recount, member: bytes) -> Member:
    about = recount.about(member)
    standing = sum(record.counts for record in about)
    since, version = recount.consents[member]
    return Member(
        key=recount.current[member],
        enrolled_height=recount.enrolled[member],
        enrolled_slot=since,
        policy_version=version,
        rated_points=recount.rated_points(member),
        ratings=len(recount.ratings[member]),
        record_points=recount.record_points(member),
        filed=len(recount.records[member]),
        standing=standing,
        suspended=len(about) - standing,
        caps=tuple(sorted(recount.caps(member).items())),
        registrar=recount.enrolled_by[member],
        raters=recount.raters(member),
        leaves_slot=recount.leavings[member].due if member in recount.leavings else 0,
    )


def _given(recount: Recount, key: bytes) -> int:
    """The ratings that somebody gave are counted with the key that is its own today."""
    return 0 if key in recount.successor else recount.given(recount.who(key))


def _rating(voice: lives.Voice) -> Rating:
    return Rating(
        points=voice.points,
        height=voice.height,
        expires_slot=voice.expires,
        dealt_slot=voice.dealt,
        status=RATING_STATUS_NAMES.index(voice.status),
        deadline_slot=voice.deadline,
        grounds=voice.grounds,
        reason=voice.reason,
    )


def _record(record: lives.Record) -> Record:
    filing = record.filing
    return Record(
        issuer=record.issuer,
        category=filing["category"],
        points=record.points,
        severity=filing["severity"],
        evidence=filing["evidence"],
        reason=filing["reason"],
        established_slot=filing["established_slot"],
        height=record.height,
        policy_version=filing["policy_version"],
        expires_slot=record.expires,
        repair_slot=record.repairable_from,
        cap=record.cap,
        stands=int(record.stands),
        is_reopened=int(record.is_reopened),
        status=_RECORD[record.status],
        upheld=record.upheld,
        is_declined=int(record.is_declined),
        deadline_slot=record.deadline,
        appeal_slot=record.appealable_until,
        lot=record.lot,
        lot_height=record.lot_height,
        arbiter=record.arbiter,
        reopener=record.reopener,
        votes=tuple(record.votes),
        grounds=record.grounds,
        statement=record.statement,
        proof=record.proof,
        fades_slot=record.next_half,
        halvings=record.halved,
    )


def _authority(key: bytes, office: lives.Office) -> Authority:
    terms, account = office.terms, office.account()
    term = terms["from_slot"], terms["until_slot"]
    return Authority(
        key,
        terms["rights"],
        terms["categories"],
        *term,
        _AUTHORITY[account.status],
        *account[1:7],
        Window(*account.window),
    )


def _motion(motion: lives.Motion) -> Motion:
    return Motion(
        proposer=motion.proposer,
        proposal=motion.proposal["encoded"],
        height=motion.height,
        expires_slot=motion.expires,
        approvals=tuple(motion.approvals),
        status=_MOTION[motion.status],
        closed_height=motion.closed,
        is_awaited=int(motion.is_awaited),
    )


def _validators(sitting: council.Council) -> Validators:
    under_way = () if sitting.under_way is None else (_change(sitting.under_way),)
    return Validators(
        active=tuple(Seat(key, seat.weight, int(seat.is_jailed), seat.clean) for key, seat in sitting.seats.items()),
        voting=sitting.voting,
        change=under_way,
        following=sitting.following,
        decided_height=sitting.decided,
        queue=tuple(map(_change, sitting.waiting)),
        tags=tuple(sorted(sitting.tags.items())),
    )


def _change(wish: council.Wish) -> Change:
    return Change(_CHANGE[wish.kind], *wish[1:])
