"""Traces of the model through ``chain/``: the two must come to the same after every block, and refuse the same.

A trace has names and numbers; the chain gets keys in the order of the names, headers, ballots as bytes, and signatures.
Those are real ones, or stand-ins that are quicker by far and bind just as well to what was signed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from unittest.mock import patch

from chain.base.errors import Reason, Refused
from chain.base.keys import KEY_BYTES, SecretKey
from chain.consensus import attestations, electorate
from chain.consensus.attestations import Carried, sign_attestation
from chain.consensus.ballots import Ballot, decode_ballot, make_ballot
from chain.consensus.electorate import Decision, Gate, Joint, ValidatorSet
from chain.consensus.headers import Header, sign_header
from chain.consensus.judgement import check_ballot, judge
from chain.consensus.statements import TAG_BYTES
from chain.consensus.votes import ROUNDS, Votes
from tests.model.scenarios import KINDS
from tests.model.traces import Expected, Trace, TracedAttestation, TracedBlock, TracedDecision, trace_of_seed

CHAIN_ID = bytes(32)
SIZES = (4, 7, 10)


class Stamp(SecretKey):
    """Signs with a hash; what it signs is accepted while :func:`stamped` is in force."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        self.seed = b""
        self.public = name.encode().ljust(KEY_BYTES, b"\0")

    def sign(self, message: bytes) -> bytes:
        return 2 * sha256(self.public + message).digest()


def _is_stamp(public: bytes, message: bytes, signature: bytes) -> bool:
    return signature == 2 * sha256(public + message).digest()


@contextmanager
def stamped() -> Iterator[None]:
    """Accept the attestations of :class:`Stamp`, and no others."""
    with patch.object(attestations, "_verify", _is_stamp):
        yield


def stamps(names: Sequence[str]) -> dict[str, SecretKey]:
    """A :class:`Stamp` for each name."""
    return {name: Stamp(name) for name in names}


def real_keys(names: Sequence[str]) -> dict[str, SecretKey]:
    """A key for each name, in the same order."""
    keys = [SecretKey(number.to_bytes(32, "big")) for number in range(1, len(names) + 1)]
    return dict(zip(sorted(names), sorted(keys, key=lambda key: key.public), strict=True))


@dataclass(frozen=True, slots=True)
class Judged:
    """A block that the chain took."""

    parent: Judged | None
    header: Header | None
    votes: Votes

    def ancestor(self, height: int) -> Judged:
        """The block of this branch at a height, up to this one."""
        at = self
        while at.votes.height > height and at.parent:
            at = at.parent
        return at


class Judging:
    """One trace on its way through the chain.

    With ``seats_stay``, whoever was a validator once stays in the sets, at no weight, as the jailed do.
    """

    def __init__(self, trace: Trace, keys: dict[str, SecretKey], *, seats_stay: bool) -> None:
        self._keys = keys
        self._names = {key.public: name for name, key in keys.items()}
        self._seats_stay = seats_stay
        self._trace = trace
        batch = trace.window // ROUNDS
        votes = Votes.genesis(tuple((keys[name].public, weight) for name, weight in trace.first), batch)
        self._blocks: list[Judged | None] = [Judged(None, None, votes)]
        self.refused: list[Reason] = []

    def difference(self) -> str:
        """Where the chain comes to something else than the trace expects, "" if nowhere."""
        with patch.object(electorate, "GATE_BLOCKS", self._trace.lapse):
            for number, row in enumerate(self._trace.blocks, start=1):
                if found := self._compare(number, row):
                    return f"block {number}: {found}"
        return ""

    def _compare(self, number: int, row: TracedBlock) -> str:
        parent = self._blocks[row.parent]
        if parent is None:
            return "its parent is refused"
        self._blocks.append(None)
        try:
            block = self._judged(parent, number, row)
        except Refused as refusal:
            self.refused.append(refusal.reason)
            return f"refused: {refusal}" if row.expected else ""
        self._blocks[-1] = block
        found = expected_of(parent.votes, block.votes, self._names.__getitem__)
        return "" if found == row.expected else f"{row.expected} expected, {found} in the chain"

    def _judged(self, parent: Judged, number: int, row: TracedBlock) -> Judged:
        carried = [self._carried(parent, one) for one in row.attestations]
        raw = make_ballot(carried, self._decision(parent, row.decision)).raw
        ballot = decode_ballot(raw)
        header = self._header(parent, number, row, ballot)
        check_ballot(header, ballot)
        return Judged(parent, header, judge(header, ballot, parent.votes, CHAIN_ID))

    def _header(self, parent: Judged, number: int, row: TracedBlock, ballot: Ballot) -> Header:
        secret, votes = self._keys[row.proposer], parent.votes
        slot = parent.header.slot if parent.header else 0
        leaders = votes.electorate.leaders
        turns = range(slot + 1, slot + 1 + len(leaders))
        return sign_header(
            secret,
            CHAIN_ID,
            height=votes.height + 1,
            slot=next((turn for turn in turns if votes.electorate.leader(turn) == secret.public), slot + 1),
            parent=parent.header.id if parent.header else CHAIN_ID,
            tag=votes.electorate.tag(secret.public).tag,
            mhg=row.mhg,
            mhp=row.mhp,
            votes_root=ballot.root,
            transaction_root=bytes(32),
            state_root=number.to_bytes(32, "big"),
        )

    def _carried(self, parent: Judged, one: TracedAttestation) -> Carried:
        secret, tip = self._keys[one.speaker], parent.ancestor(one.height)
        return sign_attestation(
            secret,
            CHAIN_ID,
            tag=tip.votes.electorate.tag(secret.public).tag,
            tip=tip.header.id if tip.header else CHAIN_ID,
            height=one.height,
            mhg=one.mhg,
            mhp=tip.header.mhp if tip.header else 0,
        ).carried

    def _decision(self, parent: Judged, traced: TracedDecision) -> Decision:
        following = dict(traced.next)
        if following and self._seats_stay:
            seated = parent.votes.electorate.current.by_key
            following = {**{self._names[key]: 0 for key in seated}, **following}
        return Decision(
            tuple((self._keys[name].public, weight) for name, weight in following.items()),
            () if traced.barred is None else (tuple(self._keys[name].public for name in traced.barred),),
            tuple((self._keys[name].public, tag.to_bytes(TAG_BYTES, "big")) for name, tag in traced.lost),
        )


_PHASES = {type(None): "none", Gate: "gate", Joint: "joint"}


def expected_of(before: Votes, votes: Votes, name_of: Callable[[bytes], str]) -> Expected:
    """What the chain has come to, in the terms of a trace: ``votes`` as of a block, ``before`` as of its parent."""
    phase = votes.electorate.phase
    rows = [row for row in reversed(votes.rows) if row.height > before.mhpc]
    return Expected(
        votes.rows[0].mhp,
        votes.mhp,
        votes.mhpc,
        _PHASES[type(phase)],
        phase.since if phase else 0,
        tuple(weights(decides, name_of) for decides in votes.electorate.sets),
        tuple(sorted(name_of(key) for key in votes.electorate.barred)),
        tuple(row.prevotes for row in rows),
        tuple(row.precommits for row in rows),
    )


def weights(decides: ValidatorSet, name_of: Callable[[bytes], str]) -> tuple[tuple[str, int], ...]:
    """Who weighs something in a set, in the order of names."""
    return tuple(sorted((name_of(key), weight) for key, weight in decides.weights if weight))


def names_in(trace: Trace) -> list[str]:
    """Everybody in a trace, in order."""
    names = {name for name, _ in trace.first}
    for row in trace.blocks:
        names |= {row.proposer, *(one.speaker for one in row.attestations), *(name for name, _ in row.decision.next)}
        names |= {*(row.decision.barred or ()), *(name for name, _ in row.decision.lost)}
    return sorted(names)


@dataclass(frozen=True, slots=True)
class Walked:
    """A trace that the chain walked: where the two differ, "" if nowhere, and why it refused what it did."""

    number: int
    kind: str
    n: int
    blocks: int
    refused: tuple[Reason, ...]
    difference: str


def walk(number: int, *, is_signed: bool = False) -> Walked:
    """The trace of a number through the chain, all kinds and sizes in turn; with real signatures, if it ``is_signed``.

    In every other one whoever was a validator stays in the sets, at no weight.
    """
    kinds = list(KINDS)
    kind, n = kinds[number % len(kinds)], SIZES[number // len(kinds) % len(SIZES)]
    trace = trace_of_seed(kind, n, number)
    names = names_in(trace)
    judging = Judging(trace, real_keys(names) if is_signed else stamps(names), seats_stay=bool(number % 2))
    with nullcontext() if is_signed else stamped():
        found = judging.difference()
    return Walked(number, kind, n, len(trace.blocks), tuple(judging.refused), found)
