"""Making a proof (:mod:`chain.documents.proof`) from anything that knows a final state and the chain beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.consensus.electorate import Electorate, validator_set
from chain.consensus.headers import Header
from chain.content.genesis import Genesis
from chain.documents.proof import (
    Counted,
    ProofFile,
    Run,
    Shown,
    Voting,
    check_evidence,
    encode_evidence,
    follow,
    is_settled,
    needed,
)
from chain.register.entries import Entry
from chain.register.state import encode_entry
from chain.tree.stateproof import Proof


class ProofSource(Protocol):
    """A final state, and the chain beside it.  What is damaged raises :class:`Refused`."""

    @property
    def header(self) -> Header:
        """Whose state it is."""

    def entry(self, key: bytes) -> Entry | None:
        """One entry of the state."""

    def path(self, key: bytes) -> Proof:
        """The path of an entry, or of its absence, under the header's state root."""

    def decisions(self) -> Iterable[int]:
        """The heights of all blocks up to the header that decided something about who votes, lowest first."""

    def votings(self, first: int) -> Iterable[Voting]:
        """The main chain from a height to the head, oldest first; only as much is taken as is needed."""


def prove(genesis: Genesis, source: ProofSource, key: bytes) -> bytes:
    """The file that shows where the owner of ``key`` stands in the source's state, checked before it is returned.

    Raises :class:`Refused`: ``CROSSES_FINALITY`` where the headers do not make that state final (yet), ``TOO_LARGE``,
    and ``NOT_EXECUTED`` for a source that is damaged, which is not the fault of whoever asks.
    """
    try:
        entries = tuple(_shown(source, at) for at in needed(key, source.entry))
        runs = tuple(_runs(genesis, source))
        data = encode_evidence(genesis, ProofFile(key, source.header.height, runs, entries))
        check_evidence(genesis, data)
    except InvariantBroken as error:  # an entry that is none
        raise Refused(Reason.NOT_EXECUTED, f"the chain here is damaged ({error})") from error
    except Refused as refusal:
        if refusal.reason in (Reason.CROSSES_FINALITY, Reason.TOO_LARGE):
            raise
        raise Refused(Reason.NOT_EXECUTED, f"the chain here is damaged ({refusal})") from refusal
    return data


def _shown(source: ProofSource, key: bytes) -> Shown:
    entry = source.entry(key)
    value = b"" if entry is None else encode_entry(entry)
    return Shown(key, int(entry is not None), value, source.path(key).encode())


def _runs(genesis: Genesis, source: ProofSource) -> Iterator[Run]:
    """As few headers as make the source's header final: those that lead to its validators, and its own."""
    height = source.header.height
    decisions = list(source.decisions())
    electorate = Electorate(1, validator_set(genesis.validators, genesis.batch))
    while True:
        first = decisions[0] if decisions else height
        votings: list[Voting] = []
        run: list[Counted] = []
        for counted in follow(genesis, electorate, _kept(source.votings(first), votings)):
            run.append(counted)
            if counted.votes.finalized >= height:
                yield _run(votings)
                return
            if counted.header.height < height and is_settled(run):
                break
        else:
            raise Refused(Reason.CROSSES_FINALITY, f"the headers from height {first} on prove too little final")
        yield _run(votings)
        electorate = run[-1].votes.electorate
        decisions = [decided for decided in decisions if decided > run[-1].header.height]


def _kept(votings: Iterable[Voting], kept: list[Voting]) -> Iterator[Voting]:
    for voting in votings:
        kept.append(voting)
        yield voting


def _run(votings: Sequence[Voting]) -> Run:
    return Run(tuple(header.raw for header, _ in votings), tuple(ballot.raw for _, ballot in votings))
