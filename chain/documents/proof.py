"""A proof of where a member stands, that whoever holds the genesis file can check without a node.

The file is one canonical encoding, ``[format, genesis id, key, height, runs, entries]``.

A *run* is consecutive headers with their ballots (:mod:`chain.consensus.ballots`), from which finality is counted under
known validators; only the first one knows them from the genesis.  Votes for a height are cast at and above it alone, so
counting may begin at any height where the validators are known, and counts the same as from the genesis.  A run but the
last begins with the header of a block that decided something about who votes, and ends where that decision, and all
that followed in the run, is final and no change is under way.  The last run makes the header final whose state the
*entries* are of: each with its key, its value, whether it is there at all, and its path.  The validators that were
counted there have to be those that the state says.

**What is trusted**: the genesis file; that of each set of validators in the file, less than a third of the weight
ever signed against the rules, also with keys long left; Ed25519 and SHA-256.  **What is not shown**: that the
transactions were valid (two thirds of the validators, who checked them, signed what follows from them), and that
nothing has changed since that height.
Source: protocol 3.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from chain.base.codec import array, blob, decode, encode, integer
from chain.base.errors import InvariantBroken, Reason, Refused
from chain.consensus.ballots import Ballot, decode_ballot
from chain.consensus.electorate import Electorate, validator_set
from chain.consensus.headers import Header, decode_header, verify_header
from chain.consensus.judgement import check_ballot, check_follows, judge
from chain.consensus.votes import Votes
from chain.content.genesis import Genesis
from chain.content.policy import Policy
from chain.register.entries import Account, Entry, Member, PolicyText, Record, Rules
from chain.register.scores import Standing, standing
from chain.register.state import decode_entry
from chain.register.statekeys import (
    RULES_KEY,
    VALIDATORS_KEY,
    account_key,
    member_key,
    policy_key,
    read_record_key,
    record_key,
)
from chain.register.validators import Validators
from chain.register.view import read_policy_text
from chain.tree.stateproof import Proof, verify_proof

FORMAT = 2
# Some hundred changes of the validators, or some thousand open objections; far more than there ever are.
MAX_FILE_BYTES = 8_000_000
MAX_ITEMS = 10_000

Voting: TypeAlias = tuple[Header, Ballot]
"""A header and its ballot: all that it takes to count votes."""


class Run(NamedTuple):
    """Consecutive headers, and the ballot of each."""

    headers: tuple[bytes, ...]
    ballots: tuple[bytes, ...]


class Shown(NamedTuple):
    """An entry of the state, or its absence, and its path under the state root."""

    key: bytes
    is_there: int
    value: bytes
    path: bytes


class ProofFile(NamedTuple):
    """What the file holds."""

    key: bytes
    height: int
    runs: tuple[Run, ...]
    entries: tuple[Shown, ...]


class Proven(NamedTuple):
    """What follows from it: who stands where at which header; ``member`` is None for a key that is not enrolled."""

    header: Header
    key: bytes
    policy: Policy
    member: Member | None
    standing: Standing | None
    objections: tuple[tuple[int, Record], ...]


def encode_evidence(genesis: Genesis, evidence: ProofFile) -> bytes:
    """The file."""
    return encode((FORMAT, genesis.id, *evidence))


def check_evidence(genesis: Genesis, data: bytes) -> Proven:
    """Check a file against a genesis.  Raises :class:`Refused`, whatever the bytes are."""
    evidence = _read(genesis, data)
    try:
        final = _final(genesis, evidence)
        entries = dict(_entries(final.header.state_root, evidence.entries))
        _check_in_force(final, entries.get(VALIDATORS_KEY))
        return _conclude(final.header, evidence.key, entries)
    except InvariantBroken as error:  # an entry that is none, or a set that cannot be: here it is not our own
        raise Refused(Reason.MALFORMED, str(error)) from error


# ------------------------------------------------------------------------------------------------- finality


class Counted(NamedTuple):
    """A header of a run: who was in force at it, what its block decided, and the votes after it."""

    header: Header
    ballot: Ballot
    electorate: Electorate
    votes: Votes


def follow(genesis: Genesis, electorate: Electorate, votings: Iterable[Voting]) -> Iterator[Counted]:
    """Count consecutive headers, of which the first has ``electorate`` in force.

    Raises :class:`Refused` as :mod:`chain.consensus.judgement` and :func:`~chain.consensus.headers.verify_header` do.
    """
    parent: Header | None = None
    for header, ballot in votings:
        if parent is None:
            votes = Votes.start(electorate, genesis.batch, header.height - 1, blind=True)
        else:
            check_follows(header, parent)
        verify_header(header, genesis.id)
        check_ballot(header, ballot)
        votes = judge(header, ballot, votes, genesis.id)
        yield Counted(header, ballot, votes.rows[0].electorate, votes)
        parent = header


def is_settled(run: Sequence[Counted]) -> bool:
    """Whether a run ends where all that it decided is final, and no change of validators is under way."""
    decided = [counted.header.height for counted in run if counted.ballot.changes_voters]
    votes = run[-1].votes
    return bool(decided) and votes.electorate.phase is None and votes.finalized >= decided[-1]


def _final(genesis: Genesis, evidence: ProofFile) -> Counted:
    """The header that the runs make final."""
    electorate, start = Electorate(1, validator_set(genesis.validators, genesis.batch)), 1
    for number, run in enumerate(evidence.runs, 1):
        counted = list(follow(genesis, electorate, _votings(run)))
        if counted[0].header.height < start:
            raise Refused(Reason.MALFORMED, "runs of headers that are not in order")
        if number == len(evidence.runs):
            break
        if not is_settled(counted):
            raise Refused(Reason.NOT_EXECUTED, "a run of headers ends before what it decided is final")
        electorate, start = counted[-1].votes.electorate, counted[-1].header.height + 1
    found = next((each for each in counted if each.header.height == evidence.height), None)
    if found is None:
        raise Refused(Reason.MALFORMED, f"the last run of headers does not hold height {evidence.height}")
    finalized = counted[-1].votes.finalized
    if finalized < evidence.height:
        raise Refused(Reason.CROSSES_FINALITY, f"the headers make final what is up to height {finalized}")
    return found


def _check_in_force(final: Counted, validators: Entry | None) -> None:
    """Whether the final state names the validators that were counted, and what is decided about them.

    Those who are validators no more have no say, also where a network that fell apart lets only them go on.
    """
    electorate, decided = final.electorate, final.ballot.decision
    following = electorate.phase.following.weights if electorate.phase is not None else decided.following
    tags = {tag.key: tag.tag for tag in electorate.tags} | dict(decided.tags)
    barred = decided.barred[0] if decided.barred else electorate.barred
    if (
        not isinstance(validators, Validators)
        or (validators.voting, validators.following) != (electorate.current.weights, following)
        or dict(validators.tags) != tags
        or tuple(seat.key for seat in validators.active if seat.is_jailed) != barred
    ):
        raise Refused(Reason.NOT_VALIDATOR, f"other validators were in force at height {final.header.height}")


def _votings(run: Run) -> list[Voting]:
    return [(decode_header(header), decode_ballot(raw)) for header, raw in zip(run.headers, run.ballots, strict=True)]


# ------------------------------------------------------------------------------------------------- the state


def _entries(root: bytes, shown: Sequence[Shown]) -> Iterator[tuple[bytes, Entry | None]]:
    """The entries by their keys, each checked against the root."""
    for key, is_there, value, path in shown:
        if not verify_proof(root, key, value if is_there else None, Proof.decode(path)):
            raise Refused(Reason.WRONG_STATE_ROOT, f"the entry {key.hex()} is not shown by its path")
        yield key, decode_entry(key, value) if is_there else None


def _conclude(header: Header, key: bytes, entries: dict[bytes, Entry | None]) -> Proven:
    """What the entries say; every one that is needed has to be among them."""

    def shown(wanted: bytes) -> Entry | None:
        if wanted not in entries:
            raise Refused(Reason.MALFORMED, f"the entry {wanted.hex()} is missing")
        return entries[wanted]

    rules = shown(RULES_KEY)
    text = shown(policy_key(rules.version)) if isinstance(rules, Rules) else None
    if not isinstance(text, PolicyText):
        raise Refused(Reason.MALFORMED, "the state is shown without a policy")
    policy = read_policy_text(text.document)
    account = shown(account_key(key))
    identity = account.identity or key if isinstance(account, Account) else key
    member = shown(member_key(identity))
    if not isinstance(member, Member):
        return Proven(header, key, policy, None, None, ())
    prefix = record_key(identity, 0)[:-4]
    objections = tuple(
        (read_record_key(at)[1], record)
        for at, record in sorted(entries.items())
        if at.startswith(prefix) and isinstance(record, Record) and not record.counts
    )
    if len(objections) != member.suspended:
        raise Refused(Reason.MALFORMED, f"{len(objections)} of {member.suspended} open objections are shown")
    return Proven(header, key, policy, member, standing(policy, member), objections)


def needed(key: bytes, read: Callable[[bytes], Entry | None]) -> list[bytes]:
    """The keys of all entries that :func:`check_evidence` needs; ``read`` gives an entry of the state by its key.

    Raises :class:`Refused` (``MALFORMED``) for a state without a policy, which is none.
    """
    rules, account = read(RULES_KEY), read(account_key(key))
    if not isinstance(rules, Rules):
        raise Refused(Reason.MALFORMED, "the state has no policy")
    identity = account.identity or key if isinstance(account, Account) else key
    member = read(member_key(identity))
    keys = [VALIDATORS_KEY, RULES_KEY, policy_key(rules.version), account_key(key), member_key(identity)]
    if isinstance(member, Member) and member.suspended:
        records = (record_key(identity, number) for number in range(member.filed))
        keys += [at for at in records if isinstance(record := read(at), Record) and not record.counts]
    return keys


# ------------------------------------------------------------------------------------------------- reading


def _read(genesis: Genesis, data: bytes) -> ProofFile:
    fields = array(decode(data, max_bytes=MAX_FILE_BYTES, max_items=MAX_ITEMS), 6, 6, "a proof")
    integer(fields[0], FORMAT, FORMAT, "the format")
    if blob(fields[1], 32, "the genesis id") != genesis.id:
        raise Refused(Reason.MALFORMED, "it is of another network than the genesis file")
    key = blob(fields[2], 32, "the key")
    height = integer(fields[3], 1, 2**63, "the height")
    runs = tuple(_run(row) for row in array(fields[4], 1, MAX_ITEMS, "the runs"))
    return ProofFile(key, height, runs, tuple(_shown(row) for row in array(fields[5], 1, MAX_ITEMS, "the entries")))


def _run(row: Any) -> Run:
    headers, ballots = array(row, 2, 2, "a run")
    count = len(array(headers, 1, MAX_ITEMS, "headers"))
    return Run(
        tuple(_bytes(raw, "a header") for raw in headers),
        tuple(_bytes(raw, "a ballot") for raw in array(ballots, count, count, "ballots")),
    )


def _shown(row: Any) -> Shown:
    key, is_there, value, path = array(row, 4, 4, "an entry")
    there = integer(is_there, 0, 1, "whether it is there")
    return Shown(_bytes(key, "a key"), there, _bytes(value, "a value"), _bytes(path, "a path"))


def _bytes(value: Any, name: str) -> bytes:
    if type(value) is not bytes:
        raise Refused(Reason.MALFORMED, f"{name} is not bytes")
    return value
