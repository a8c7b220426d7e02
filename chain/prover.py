"""Making a proof (:mod:`chain.proof`) from anything that knows a final state and the chain beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from chain.errors import InvariantBroken, Reason, Refused
from chain.genesis import Genesis
from chain.headers import Header
from chain.proof import ProofFile, Run, Set, Shown, check_evidence, encode_evidence, follow, needed
from chain.state import VALIDATORS_KEY, Entry, decode_entry, encode_entry
from chain.statetree import Proof
from chain.validators import SetAnnouncement, Validators, voting_set
from chain.votes import Votes


class ProofSource(Protocol):
    """A final state, and the chain beside it.  What is damaged raises :class:`Refused`."""

    @property
    def header(self) -> Header:
        """Whose state it is."""

    def entry(self, key: bytes) -> Entry | None:
        """One entry of the state."""

    def path(self, key: bytes) -> Proof:
        """The path of an entry, or of its absence, under the header's state root."""

    def announcements(self) -> Iterable[SetAnnouncement]:
        """Every change of validators announced up to the header, oldest first."""

    def headers(self, first: int) -> Iterable[Header]:
        """The main chain from a height to the head, oldest first; only as many are taken as are needed."""


def prove(genesis: Genesis, source: ProofSource, key: bytes) -> bytes:
    """The file that shows where the owner of ``key`` stands in the source's state, checked before it is returned.

    Raises :class:`Refused`: ``CROSSES_FINALITY`` where the headers do not make that state final (yet), or as
    :func:`~chain.proof.check_evidence` does, for a source that is damaged.
    """
    try:
        entries = tuple(_shown(source, at) for at in needed(key, source.entry))
        runs = tuple(_runs(genesis, source))
    except InvariantBroken as error:  # an entry that is none, as in the file
        raise Refused(Reason.MALFORMED, str(error)) from error
    data = encode_evidence(genesis, ProofFile(key, source.header.height, runs, entries))
    check_evidence(genesis, data)
    return data


def _shown(source: ProofSource, key: bytes) -> Shown:
    entry = source.entry(key)
    value = b"" if entry is None else encode_entry(entry)
    return Shown(key, int(entry is not None), value, source.path(key).encode())


def _runs(genesis: Genesis, source: ProofSource) -> Iterator[Run]:
    """The headers that make the source's header final, each run under one set of validators."""
    height, seats = source.header.height, genesis.validators
    handovers = list(source.announcements())
    pending = handovers.pop() if handovers and _is_pending(source) else None
    for change in handovers:
        announced = _validators(change.validators)
        yield _run(genesis, source, seats, change, _is_in_force(change.height))
        seats = voting_set(announced.next)
    yield _run(genesis, source, seats, pending, lambda votes: votes.finalized >= height)


def _is_in_force(decided_height: int) -> Callable[[Votes], bool]:
    """Whether the set announced there is in force at the next height."""
    return lambda votes: votes.newest_set.start > decided_height


def _is_pending(source: ProofSource) -> bool:
    """Whether the newest announced set is not in force at the header."""
    validators = source.entry(VALIDATORS_KEY)
    return isinstance(validators, Validators) and bool(validators.next)


def _run(
    genesis: Genesis,
    source: ProofSource,
    seats: Set,
    change: SetAnnouncement | None,
    is_enough: Callable[[Votes], bool],
) -> Run:
    """As few headers as are enough: from that of the change on, or from the source's own."""
    first = source.header.height if change is None else change.height
    announced = None if change is None else _validators(change.validators)
    raws: list[bytes] = []
    for header, votes in follow(genesis, seats, source.headers(first), announced):
        raws.append(header.raw)
        if is_enough(votes):
            return Run(tuple(raws), b"", b"") if change is None else Run(tuple(raws), change.validators, change.path)
    raise Refused(Reason.CROSSES_FINALITY, f"the headers from height {first} on prove too little final")


def _validators(value: bytes) -> Validators:
    entry = decode_entry(VALIDATORS_KEY, value)
    if not isinstance(entry, Validators):
        raise Refused(Reason.MALFORMED, "what is stored as an announcement of validators is none")
    return entry
