"""Blocks: a header, and the ballot and the transactions that it commits to.

On the wire a block is ``[header, ballot, [transaction, …]]``.
Source: protocol 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chain.base.codec import array, decode, encode, first_items
from chain.base.errors import Reason, Refused
from chain.base.keys import SIGNATURE_BYTES
from chain.base.merkle import merkle_root
from chain.consensus.ballots import MAX_BALLOT_BYTES, Ballot, decode_ballot
from chain.consensus.headers import MAX_HEADER_BYTES, Header, VerifiedHeader, decode_header
from chain.consensus.judgement import check_ballot
from chain.content.transactions import Transaction, VerifiedTransaction, decode_transaction

# Gossip and requests carry at most 1,000,000 bytes; the transactions of a block leave room for the rest.
MAX_BODY_BYTES = 800_000
MAX_BLOCK_BYTES = 980_000  # body, its framing (3 bytes a transaction), the largest ballot and the header
# A block has one more.
HEADING_ITEMS = 2
MAX_HEADING_BYTES = MAX_HEADER_BYTES + SIGNATURE_BYTES + MAX_BALLOT_BYTES + 16
# 4,096 ids are 140 kB of announcement; 4,096 of the smallest transactions fill half a block.
MAX_BLOCK_TRANSACTIONS = 4_096


@dataclass(frozen=True, slots=True)
class Block:
    """A verified header with exactly the ballot and the verified transactions that it commits to."""

    header: VerifiedHeader
    ballot: Ballot
    transactions: tuple[VerifiedTransaction, ...]

    @property
    def id(self) -> bytes:
        return self.header.id


@dataclass(frozen=True, slots=True)
class Heading:
    """A verified header with exactly the ballot that it commits to: what there is to judge of a block unexecuted."""

    header: VerifiedHeader
    ballot: Ballot


def assemble(header: VerifiedHeader, ballot: Ballot, transactions: Sequence[VerifiedTransaction]) -> Block:
    """Join a header and its body.  Raises :class:`Refused` where a root does not match or a bound is broken."""
    block = join(header, ballot, transactions)
    check_ballot(header, ballot)
    if merkle_root([transaction.id for transaction in transactions]) != header.transaction_root:
        raise Refused(Reason.WRONG_TX_ROOT, "the body is not the one that the header commits to")
    return block


def join(header: VerifiedHeader, ballot: Ballot, transactions: Sequence[VerifiedTransaction]) -> Block:
    """Join a header, and a ballot and a body that are known to be those that it commits to.

    Raises :class:`Refused` where the body is larger than a block holds.
    """
    if len(transactions) > MAX_BLOCK_TRANSACTIONS:
        raise Refused(Reason.TOO_MANY_TRANSACTIONS, f"{len(transactions)} transactions")
    if sum(len(transaction.raw) for transaction in transactions) > MAX_BODY_BYTES:
        raise Refused(Reason.TOO_LARGE, f"transactions of more than {MAX_BODY_BYTES} bytes")
    return Block(header, ballot, tuple(transactions))


def encode_block(block: Block) -> bytes:
    """The block as it travels and is stored."""
    return encode((block.header.raw, block.ballot.raw, tuple(transaction.raw for transaction in block.transactions)))


def decode_block(raw: bytes) -> tuple[Header, Ballot, tuple[Transaction, ...]]:
    """Read a block.  Raises :class:`Refused`; checks neither signatures nor roots."""
    fields = decode(raw, max_bytes=MAX_BLOCK_BYTES, max_items=MAX_BLOCK_TRANSACTIONS)
    header, ballot, body = array(fields, 3, 3, "a block")
    if type(header) is not bytes or type(ballot) is not bytes:
        raise Refused(Reason.MALFORMED, "a header is bytes, and so is a ballot")
    array(body, 0, MAX_BLOCK_TRANSACTIONS, "a body")
    if not all(type(item) is bytes for item in body):
        raise Refused(Reason.MALFORMED, "a transaction is bytes")
    return decode_header(header), decode_ballot(ballot), tuple(map(decode_transaction, body))


def heading_of(block: bytes) -> bytes:
    """The encoded heading of an encoded block, or of as much of its beginning.  Raises :class:`Refused`."""
    return first_items(block, HEADING_ITEMS)


def decode_heading(raw: bytes) -> tuple[Header, Ballot]:
    """Read a heading.  Raises :class:`Refused`, also for another ballot than the header's; checks no signature."""
    header, ballot = array(decode(raw, max_bytes=MAX_HEADING_BYTES), 2, 2, "a heading")
    if type(header) is not bytes or type(ballot) is not bytes:
        raise Refused(Reason.MALFORMED, "a header is bytes, and so is a ballot")
    read = decode_header(header), decode_ballot(ballot)
    check_ballot(*read)
    return read
