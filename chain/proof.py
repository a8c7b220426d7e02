"""A proof of where a member stands, that whoever holds the genesis file can check without a node.

The file is one canonical encoding, ``[format, genesis id, key, height, runs, entries]``.

A *run* is consecutive headers under one known set of validators, from which finality is counted; only the first one
needs the genesis's set.  Votes for a height are cast by blocks at and above it alone, so counting may begin at any
height where the set is known, and counts the same as from the genesis.  A run but the last begins with the header
that announced the next set, and proves it final; it carries the announcement and its path under that header's state
root, and ends where the announced set comes into force.  The last run makes the header final whose state the
*entries* are of: each with its key, its value, whether it is there at all, and its path.  A set counts only where the
state says that it is in force; what that state announces, the run has to begin with.

**What is trusted**: the genesis file; that of each set of validators in the file, less than a third of the weight
ever signed against the rules, also with keys long left; Ed25519 and SHA-256.  **What is not shown**: that the
transactions were valid (two thirds of the validators, who checked them, signed what follows from them), and that
nothing has changed since that height.
Source: protocol 3.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from chain.codec import array, blob, decode, encode, integer
from chain.errors import InvariantBroken, Reason, Refused
from chain.genesis import Genesis
from chain.headers import Header, decode_header, verify_header
from chain.judgement import check_follows, judge
from chain.policy import Policy
from chain.scores import Standing, standing
from chain.state import (
    RULES_KEY,
    VALIDATORS_KEY,
    Account,
    Entry,
    Member,
    PolicyText,
    Record,
    Rules,
    account_key,
    decode_entry,
    member_key,
    policy_key,
    read_record_key,
    record_key,
)
from chain.statetree import Proof, verify_proof
from chain.validators import Validators, voting_set, with_announced
from chain.view import read_policy_text
from chain.votes import Votes

FORMAT = 1
# Some hundred changes of the validators, or some thousand open objections; far more than there ever are.
MAX_FILE_BYTES = 8_000_000
MAX_ITEMS = 10_000

Set = tuple[tuple[bytes, int], ...]


class Run(NamedTuple):
    """Consecutive headers; in all runs but the last the first one announced ``announced``, an encoded entry."""

    headers: tuple[bytes, ...]
    announced: bytes
    path: bytes


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


def follow(
    genesis: Genesis, seats: Set, headers: Iterable[Header], announced: Validators | None
) -> Iterator[tuple[Header, Votes]]:
    """Consecutive headers, each with the votes after it and with the validators in force at the next height.

    ``seats`` are in force at the first header, ``announced`` are the validators in its state, if it announced others.
    Raises :class:`Refused` as :mod:`chain.judgement` and :func:`~chain.headers.verify_header` do.
    """
    parent: Header | None = None
    for header in headers:
        if parent is None:
            base = header.height - 1
            votes = Votes.genesis(seats, genesis.batch, base)
        else:
            check_follows(header, parent)
        verify_header(header, genesis.id)
        votes = judge(header, votes, counted_above=base)
        if announced is not None:
            votes = with_announced(votes, announced)
        yield header, votes
        parent = header


def count(genesis: Genesis, seats: Set, headers: Iterable[Header], announced: Validators | None) -> Votes:
    """The votes after all of :func:`follow`, of which there is at least one."""
    *_, (_, votes) = follow(genesis, seats, headers, announced)
    return votes


class _Final(NamedTuple):
    """A header that is final if ``seats`` were in force there, and ``announced`` (if any) was what is to follow."""

    header: Header
    seats: Set
    announced: Validators | None


def _final(genesis: Genesis, evidence: ProofFile) -> _Final:
    """The header that the runs make final."""
    seats, start = genesis.validators, 1
    *handovers, last = evidence.runs
    for run in handovers:
        headers, announced = _headers(run), _announced(run, seats)
        if headers[0].height < start or announced is None:
            raise Refused(Reason.MALFORMED, "a run of headers but the last hands over to no other validators")
        votes = count(genesis, seats, headers, announced)
        if votes.newest_set.start <= announced.decided_height:
            raise Refused(Reason.NOT_EXECUTED, "the headers do not bring the announced validators into force")
        seats, start = voting_set(announced.next), votes.newest_set.start
    headers, announced = _headers(last), _announced(last, seats)
    header = next((header for header in headers if header.height == evidence.height), None)
    if header is None or headers[0].height < start:
        raise Refused(Reason.MALFORMED, f"the last run of headers does not hold height {evidence.height}")
    finalized = count(genesis, seats, headers, announced).finalized
    if finalized < header.height:
        raise Refused(Reason.CROSSES_FINALITY, f"the headers make final what is up to height {finalized}")
    return _Final(header, seats, announced)


def _check_in_force(final: _Final, validators: Entry | None) -> None:
    """Whether the final state names the validators that were counted.

    Those who are validators no more have no say, also where a network that fell apart lets only them go on.
    """
    following = () if final.announced is None else final.announced.next
    if (
        not isinstance(validators, Validators)
        or voting_set(validators.active) != final.seats
        or voting_set(validators.next) != voting_set(following)
    ):
        raise Refused(Reason.NOT_VALIDATOR, f"other validators were in force at height {final.header.height}")


def _headers(run: Run) -> list[Header]:
    return [decode_header(raw) for raw in run.headers]


def _announced(run: Run, seats: Set) -> Validators | None:
    """The announcement of the run's first header, where ``seats`` are in force."""
    if not run.announced:
        return None
    header = decode_header(run.headers[0])
    if not verify_proof(header.state_root, VALIDATORS_KEY, run.announced, Proof.decode(run.path)):
        raise Refused(Reason.WRONG_STATE_ROOT, f"the validators are not those of the state at height {header.height}")
    validators = decode_entry(VALIDATORS_KEY, run.announced)
    if not isinstance(validators, Validators) or not validators.next or validators.decided_height != header.height:
        raise Refused(Reason.MALFORMED, f"the header at height {header.height} announced no validators")
    if voting_set(validators.active) != seats:
        raise Refused(Reason.NOT_VALIDATOR, f"other validators were in force at height {header.height}")
    return validators


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
    headers, announced, path = array(row, 3, 3, "a run")
    return Run(
        tuple(_bytes(raw, "a header") for raw in array(headers, 1, MAX_ITEMS, "headers")),
        _bytes(announced, "validators"),
        _bytes(path, "a path"),
    )


def _shown(row: Any) -> Shown:
    key, is_there, value, path = array(row, 4, 4, "an entry")
    there = integer(is_there, 0, 1, "whether it is there")
    return Shown(_bytes(key, "a key"), there, _bytes(value, "a value"), _bytes(path, "a path"))


def _bytes(value: Any, name: str) -> bytes:
    if type(value) is not bytes:
        raise Refused(Reason.MALFORMED, f"{name} is not bytes")
    return value
