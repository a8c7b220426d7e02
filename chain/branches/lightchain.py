"""A chain of headers alone: who judges them all knows what is final, and executes nothing.

Every header is judged on its branch as a node does it (:mod:`chain.consensus.judgement`): its leader, its signature,
what it carries, the votes, changes of validators.  What is *not* checked is what the transactions do; two thirds of the
validators, who did, signed what follows from them.

**A checkpoint** is the id of a block that the operator got from somebody who is trusted.  It says which of two chains
is meant where old keys made a second one long ago (weak subjectivity), and vouches for all that it stands on: up to
it, no signature is looked at, and nothing counts before it is reached.
Source: protocol 2.4, 3.1 and 3.5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple

from chain.base.codec import U64_MAX, array, blob, decode, encode, integer
from chain.base.errors import OperatorError, Reason, Refused
from chain.base.keys import SIGNATURE_BYTES
from chain.base.newest import Newest
from chain.branches.blocktree import Judged, genesis_header
from chain.branches.liars import liars
from chain.consensus.attestations import complete
from chain.consensus.ballots import Ballot
from chain.consensus.electorate import Electorate
from chain.consensus.headers import MAX_HEADER_BYTES, Header, VerifiedHeader, decode_header, verify_header
from chain.consensus.judgement import check_follows, judge
from chain.consensus.votecodec import ENCODED_BYTES_MAX, decode_votes, encode_votes
from chain.consensus.votes import Votes
from chain.content.blocks import Heading
from chain.content.genesis import Genesis
from chain.register.registry import genesis_state
from chain.tree.statetree import StateTree

# Judged headers, each with the votes after it, some kilobytes.  Another branch is judged where it begins among them.
MAX_JUDGED = 4_096
# And of branches beside the best one: one validator alone can make as many headers there as it had slots.
MAX_ASIDE = 1_024
# Further back than that it is only known what stands on what: a day of one-second slots in which nothing is final.
MAX_KNOWN = 131_072
# So many of the last headings are counted to see what they show final, and where those show nothing, so many.  Every
# block carries what all validators say of the one before, so that a few show it however many validators there are; more
# are needed where some say nothing.  How many they are is no matter of safety (:func:`shown_final`).
TAILS = (8, 32, 128)
FORMAT = 1
MAX_SAVED_BYTES = ENCODED_BYTES_MAX + MAX_HEADER_BYTES + SIGNATURE_BYTES + 256


class Checkpoint(NamedTuple):
    """A block that the operator vouches for."""

    height: int
    id: bytes


class Contradiction(NamedTuple):
    """Two blocks at ``height`` that are both final; ``liars`` signed both chains, ``weight`` of ``total``."""

    height: int
    ours: bytes
    theirs: bytes
    liars: tuple[bytes, ...]
    weight: int
    total: int


class LightChain:
    """Judged headers from the genesis, or from a final one, on; ``final`` is the newest that is final.

    ``head`` is the best branch's last header, as fork choice compares, and ``contradiction`` the first one found: then
    nothing that comes later is to be trusted.
    """

    def __init__(self, genesis: Genesis, checkpoint: Checkpoint | None = None, start: Judged | None = None) -> None:
        self.genesis = genesis
        self.checkpoint = checkpoint
        self.final = self.head = self._shown = start or _genesis(genesis)
        self.contradiction: Contradiction | None = None
        self._judged: Newest[bytes, Judged] = Newest(MAX_JUDGED)
        self._aside: Newest[bytes, Judged] = Newest(MAX_ASIDE)
        # What stands on what, on the best branch and beside it: there one validator must not push out the best one.
        self._parents: Newest[bytes, bytes] = Newest(MAX_KNOWN)
        self._parents_aside: Newest[bytes, bytes] = Newest(MAX_KNOWN)
        self._lead([self.final], {self.final.header.id: self.final.header.parent})

    def __contains__(self, block_id: bytes) -> bool:
        return block_id in self._parents or block_id in self._aside

    def get(self, block_id: bytes) -> Judged | None:
        """A header that is here with the votes after it."""
        return self._judged.get(block_id) or self._aside.get(block_id)

    @property
    def lowest(self) -> int:
        """The lowest height at which another branch can begin to be judged."""
        return next(iter(self._judged.values())).header.height + 1

    @property
    def is_anchored(self) -> bool:
        """Whether the checkpoint, if there is one, is reached; before that nothing is proven."""
        return self.checkpoint is None or self.final.header.height >= self.checkpoint.height

    def is_vouched(self, height: int) -> bool:
        """Whether the checkpoint, once it is reached, stands for all of a header at ``height``."""
        return self.checkpoint is not None and not self.is_anchored and height <= self.checkpoint.height

    def is_final(self, header: Header) -> bool:
        """Whether a header is on the final chain, as far back as that is known."""
        final = self.final.header
        return self.is_anchored and header.id in self and self._ancestor(final, header.height) == header.id

    def finals(self, count: int) -> list[Header]:
        """The newest final headers, the newest first, as far as they are here; none before the checkpoint is."""
        found: list[Header] = []
        judged: Judged | None = self.final if self.is_anchored else None
        while judged is not None and len(found) < count:
            found.append(judged.header)
            judged = self.get(judged.header.parent)
        return found

    def add(self, heading: Heading, *, is_shown: bool = False) -> bool:
        """Judge one more header; whether it is new.  ``is_shown`` says that :func:`shown_final` found it final.

        Raises :class:`Refused` as :mod:`chain.consensus.judgement` does, ``UNKNOWN_PARENT``, and ``CROSSES_FINALITY``
        for what the checkpoint rules out.
        """
        header = heading.header
        if header.id in self:
            return False
        parent = self.get(header.parent)
        if parent is None:
            raise Refused(Reason.UNKNOWN_PARENT, f"parent {header.parent.hex()[:12]} is not known")
        check_follows(header, parent.header)
        self._check_checkpoint(header)
        is_vouched = is_shown or self.is_vouched(header.height)
        judged = Judged(header, judge(header, heading.ballot, parent.votes, self.genesis.id, is_vouched=is_vouched))
        self._aside[header.id] = judged
        self._parents_aside[header.id] = header.parent
        if judged.rank > self.head.rank:
            self._lead(*self._new_on_the_way_to(judged))
        if judged.votes.finalized > parent.votes.finalized:
            self._finalise(judged)
        return True

    def _new_on_the_way_to(self, judged: Judged) -> tuple[list[Judged], dict[bytes, bytes]]:
        """The headers beside the best branch up to this one, the oldest first; they stand aside no more.

        Of a long one the first are not there any more, and it is only known what stands on what.
        """
        way: list[Judged] = []
        parents: list[tuple[bytes, bytes]] = []
        block_id = judged.header.id
        while block_id in self._parents_aside:
            each = self._aside.pop(block_id, None)
            if each is not None:
                way.append(each)
            parents.append((block_id, self._parents_aside.pop(block_id)))
            block_id = parents[-1][1]
        return way[::-1], dict(reversed(parents))

    def _lead(self, way: Sequence[Judged], parents: Mapping[bytes, bytes]) -> None:
        """The best branch ends in these."""
        self.head = way[-1]
        self._judged.update((judged.header.id, judged) for judged in way)
        self._parents.update(parents)

    def _check_checkpoint(self, header: Header) -> None:
        if self.checkpoint is None or header.height > self.checkpoint.height:
            return
        if self.is_anchored or (header.height == self.checkpoint.height and header.id != self.checkpoint.id):
            raise Refused(
                Reason.CROSSES_FINALITY, f"the chain does not lead through the checkpoint at {self.checkpoint.height}"
            )

    # ------------------------------------------------------------------------------------------------- finality

    def _finalise(self, judged: Judged) -> None:
        """A branch shows more of itself final."""
        final, height = self.final.header, judged.votes.finalized
        low = min(height, final.height)
        ours, theirs = self._ancestor(final, low), self._ancestor(judged.header, low)
        if not ours or not theirs:
            return
        if ours != theirs and not self.is_anchored:
            raise Refused(Reason.CROSSES_FINALITY, f"two branches that are final at height {low}")
        if ours != theirs:
            self.contradiction = self.contradiction or self._contradicted(low, judged)
        elif height > final.height and (newest := self.get(self._ancestor(judged.header, height))):
            self.final, self._shown = newest, judged

    def _ancestor(self, header: Header, height: int) -> bytes:
        """The block of a branch at a height, b"" where that is not known any more."""
        block_id = header.id
        for _ in range(header.height - height):
            block_id = self._parent(block_id)
        return block_id

    def _parent(self, block_id: bytes) -> bytes:
        return self._parents.get(block_id) or self._parents_aside.get(block_id, b"")

    def _contradicted(self, low: int, other: Judged) -> Contradiction:
        height, ours, theirs = low, b"", b""
        one, two = self._ancestor(self.final.header, low), self._ancestor(other.header, low)
        while one != two:
            height, ours, theirs = height - 1, one, two
            one, two = self._parent(one), self._parent(two)
        guilty = liars(self._branch(self._shown, height), self._branch(other, height))
        fork = self.get(one)
        deciding = (fork or other).votes.electorate.current
        total = sum(weight for _, weight in deciding.weights)
        return Contradiction(height + 1, ours, theirs, guilty, deciding.weight_of(guilty), total)

    def _branch(self, tip: Judged, above: int) -> list[Judged]:
        """The headers up to ``tip``, oldest first, above a height."""
        branch: list[Judged] = []
        judged: Judged | None = tip
        while judged is not None and judged.header.height > above:
            branch.append(judged)
            judged = self.get(judged.header.parent)
        return branch[::-1]


def _genesis(genesis: Genesis) -> Judged:
    root = StateTree.build(genesis_state(genesis).items()).root
    return Judged(genesis_header(genesis, root), Votes.genesis(genesis.validators, genesis.batch))


# ---------------------------------------------------------------------------------------------- signatures


def verified(header: Header, ballot: Ballot, chain: LightChain) -> Heading:
    """A heading whose header's signature is right, or that the checkpoint vouches for.

    Raises :class:`Refused` ``BAD_SIGNATURE``.
    """
    if chain.is_vouched(header.height):
        return Heading(VerifiedHeader(header), ballot)
    return Heading(verify_header(header, chain.genesis.id), ballot)


def shown_final(headings: Sequence[Heading], chain: LightChain) -> int:
    """Up to which height consecutive headings are final by what the last of them carry alone; 0 where nothing is.

    Votes for a height are cast at and above it, so that while validators stay the same the last ones show, by their
    signatures, that all they stand on is final, as in a proof (:mod:`chain.documents.proof`).  Then nobody needs to
    look at the signatures of the attestations below, three quarters of the work where four validators speak.

    However few they are, they show it by the signatures of more than two thirds of the weight: counting from a later
    block knows fewer votes, and never one more.  Among those who signed is an honest validator as long as not two
    thirds lie, and that one had checked all that it stands on, to which it is bound by its hash.
    """
    parent = chain.get(headings[0].header.parent)
    if parent is None or parent.votes.electorate.phase is not None:
        return 0
    if any(heading.ballot.changes_voters for heading in headings):
        return 0
    if any(second.header.parent != first.header.id for first, second in pairwise(headings)):
        return 0
    tails = (headings[-size:] for size in TAILS if size < len(headings))
    return next(filter(None, (_counted(tail, parent.votes.electorate, chain) for tail in tails)), 0)


def _counted(tail: Sequence[Heading], electorate: Electorate, chain: LightChain) -> int:
    """Up to which height headings are final by what they carry, or 0; ``electorate`` is in force at all of them."""
    votes = Votes.start(electorate, chain.genesis.batch, tail[0].header.height - 1, blind=True)
    base = votes.base
    try:
        for heading in tail:
            votes = judge(heading.header, heading.ballot, votes, chain.genesis.id)
    except Refused:  # which of them is wrong, and why, is found as they are added
        return 0
    return votes.finalized if votes.finalized > base else 0


def rehearse(part: Sequence[Heading], whole: Sequence[Heading], chain: LightChain) -> None:
    """Check the signatures that judging ``part``, of the consecutive ``whole``, is going to ask for.

    What was checked is remembered (:mod:`chain.consensus.attestations`), and several threads can do it at once, which
    judging cannot.  It never raises: what is wrong, or cannot be told before, is for :meth:`LightChain.add` to find.
    """
    parent = chain.get(whole[0].header.parent)
    if parent is None:
        return
    about = {row.height: (row.id, row.mhp) for row in parent.votes.rows}
    about |= {heading.header.height: (heading.header.id, heading.header.mhp) for heading in whole}
    electorate = parent.votes.electorate
    for heading in part:
        for carried in heading.ballot.attestations:
            if carried.height in about:
                tip, mhp = about[carried.height]
                with suppress(Refused):
                    complete(carried, chain.genesis.id, tag=electorate.tag(carried.speaker).tag, tip=tip, mhp=mhp)


# ------------------------------------------------------------------------------------------------- on the disk


def save(chain: LightChain, behind: int = 0) -> bytes:
    """What it takes to go on from what is final, or was up to ``behind`` blocks before, for a small file."""
    pin = () if chain.checkpoint is None else (chain.checkpoint,)
    lowest = 0 if chain.checkpoint is None else chain.checkpoint.height
    finals = chain.finals(1 + max(0, min(behind, chain.final.header.height - lowest)))
    final = (chain.get(finals[-1].id) if finals else None) or _genesis(chain.genesis)
    body = encode((FORMAT, chain.genesis.id, pin, final.header.raw, encode_votes(final.votes)))
    return sha256(body).digest() + body


def restore(genesis: Genesis, data: bytes, checkpoint: Checkpoint | None) -> LightChain:
    """The chain that :func:`save` wrote; from the genesis again where a ``checkpoint`` is named that it did not have.

    Raises :class:`Refused` ``MALFORMED`` for what it did not write, also of another network.
    """
    digest, body = data[:32], data[32:]
    if sha256(body).digest() != digest:
        raise Refused(Reason.MALFORMED, "it is not what was written")
    fields = array(decode(body, max_bytes=MAX_SAVED_BYTES, max_items=2**14), 5, 5, "a saved chain")
    integer(fields[0], FORMAT, FORMAT, "the format")
    if blob(fields[1], 32, "the genesis id") != genesis.id:
        raise Refused(Reason.MALFORMED, "it is of another network than the genesis file")
    pins = [Checkpoint(*array(row, 2, 2, "a checkpoint")) for row in array(fields[2], 0, 1, "checkpoints")]
    if checkpoint is not None and checkpoint not in pins:
        return LightChain(genesis, checkpoint)
    pin = pins[0] if pins else None
    if not fields[3]:
        return LightChain(genesis, pin)
    return LightChain(genesis, pin, Judged(decode_header(fields[3]), decode_votes(fields[4])))


def read_checkpoint(text: str) -> Checkpoint:
    """``HEIGHT:ID``, the id in hexadecimal.  Raises :class:`OperatorError`."""
    shape = re.fullmatch(r"([1-9][0-9]{0,19}):([0-9a-fA-F]{64})", text)
    if shape is None or int(shape[1]) > U64_MAX:
        raise OperatorError(
            f"{text!r} is not a checkpoint; one is HEIGHT:ID, as finalized_height and finalized_id are in `/status` of "
            "a node that you trust"
        )
    return Checkpoint(int(shape[1]), bytes.fromhex(shape[2]))
