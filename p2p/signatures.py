"""Checking signatures off the event loop, each at most once.

Ed25519 verification releases the GIL, so two threads use two cores and the event loop keeps its slots.
What was checked is remembered by id, and what waits in the mempool is not even decoded again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

import trio

from chain.base.errors import Reason, Refused
from chain.base.newest import Newest
from chain.consensus.attestations import Attestation, VerifiedAttestation, verify_attestation
from chain.consensus.headers import Header, VerifiedHeader, verify_header
from chain.content.blocks import Block, Heading, assemble, decode_block, decode_heading
from chain.content.transactions import Transaction, VerifiedTransaction, decode_transaction, verify_transaction

# 100 to 250 keep a thread busy for 10 to 20 ms, so that the event loop's p99 stays below that.
CHUNK = 200
# Decoding and screening this many takes the event loop some 5 ms; then others have their turn.
SCREENED_AT_ONCE = 64
THREADS = 2
# Ids of twice what a mempool holds: 80,000 of about 100 bytes.
MAX_REMEMBERED = 80_000

Lookup = Callable[[bytes], VerifiedTransaction | None]
Screen = Callable[[Transaction], Refused | None]
"""What is refused before its signature is looked at."""


def _let_pass(_transaction: Transaction) -> None:
    """The screen of what an announced block holds, or what is only tried: nothing is left out."""


class Signatures:
    """The one place where what came from outside becomes verified."""

    def __init__(self, chain_id: bytes, known: Lookup) -> None:
        self._chain_id = chain_id
        self._known = known
        self._remembered: Newest[bytes, None] = Newest(MAX_REMEMBERED)
        # Blocks have threads of their own: a flood of transactions must not make them wait.
        self._for_blocks = trio.CapacityLimiter(THREADS)
        self._for_transactions = trio.CapacityLimiter(THREADS)
        self.checked = 0

    async def header(self, header: Header) -> VerifiedHeader:
        """Check one header.  Raises :class:`Refused`."""
        if header.id in self._remembered:
            return VerifiedHeader(header)
        return await trio.to_thread.run_sync(verify_header, header, self._chain_id, limiter=self._for_blocks)

    async def headings(self, raws: Sequence[bytes]) -> tuple[tuple[Heading, ...], Refused | None]:
        """Decode and check headings up to the first bad one, and why that is bad."""

        def check() -> tuple[tuple[Heading, ...], Refused | None]:
            good: list[Heading] = []
            for raw in raws:
                try:
                    header, ballot = decode_heading(raw)
                    is_known = header.id in self._remembered
                    verified = VerifiedHeader(header) if is_known else verify_header(header, self._chain_id)
                except Refused as refusal:
                    return tuple(good), refusal
                good.append(Heading(verified, ballot))
            return tuple(good), None

        good, refusal = await trio.to_thread.run_sync(check, limiter=self._for_blocks)
        self._remembered.update((heading.header.id, None) for heading in good)
        return good, refusal

    async def blocks(self, raws: Sequence[bytes]) -> tuple[tuple[Block, ...], Refused | None]:
        """Decode and check whole blocks up to the first bad one, and why that is bad."""
        good: list[Block] = []
        for raw in raws:
            try:
                good.append(await self.block(raw))
            except Refused as refusal:
                return tuple(good), refusal
        return tuple(good), None

    async def attestations(self, attestations: Sequence[Attestation]) -> tuple[VerifiedAttestation, ...]:
        """Check some.  Raises :class:`Refused` for the first bad one."""

        def check() -> tuple[VerifiedAttestation, ...]:
            return tuple(verify_attestation(each, self._chain_id) for each in attestations)

        return await trio.to_thread.run_sync(check, limiter=self._for_blocks)

    async def transactions(
        self, raws: Sequence[bytes], *, for_block: bool = False, screen: Screen = _let_pass
    ) -> tuple[VerifiedTransaction, ...]:
        """Decode and check encoded transactions.  Raises :class:`Refused` for the first bad one.

        ``for_block`` says that an announced block waits for them.  What ``screen`` refuses is left out unchecked.
        """
        screened = []
        for done, raw in enumerate(raws, 1):
            screened.append(self._screened(raw, screen))
            await _take_turns(done)
        decoded = [item for item in screened if not isinstance(item, Refused)]
        await self._check(decoded, self._for_blocks if for_block else self._for_transactions)
        return tuple(VerifiedTransaction(transaction) for transaction in decoded)

    async def outcomes(self, raws: Sequence[bytes], screen: Screen = _let_pass) -> list[VerifiedTransaction | Refused]:
        """Like :meth:`transactions`, but one outcome each: a bad one does not spoil the others."""
        read: list[Transaction | Refused] = []
        for done, raw in enumerate(raws, 1):
            await _take_turns(done)
            try:
                read.append(self._screened(raw, screen))
            except Refused as refusal:
                read.append(refusal)
        try:
            await self._check([item for item in read if not isinstance(item, Refused)], self._for_transactions)
        except Refused:
            return [await self._outcome(item) for item in read]
        return [item if isinstance(item, Refused) else VerifiedTransaction(item) for item in read]

    async def _outcome(self, item: Transaction | Refused) -> VerifiedTransaction | Refused:
        if isinstance(item, Refused):
            return item
        try:
            await self._check([item], self._for_transactions)
        except Refused as refusal:
            return refusal
        return VerifiedTransaction(item)

    def _screened(self, raw: bytes, screen: Screen) -> Transaction | Refused:
        """A transaction that waits here already, or is read now, and is let through.  Raises :class:`Refused`."""
        transaction = self._known(sha256(raw).digest()) or decode_transaction(raw)
        return screen(transaction) or transaction

    async def block(self, raw: bytes) -> Block:
        """Decode and check a whole block.  Raises :class:`Refused`."""
        header, ballot, transactions = decode_block(raw)
        verified = await self.header(header)
        await self._check(transactions, self._for_blocks)
        return assemble(verified, ballot, [VerifiedTransaction(transaction) for transaction in transactions])

    async def _check(self, transactions: Sequence[Transaction], limiter: trio.CapacityLimiter) -> None:
        """Check those that were not checked before.  Raises :class:`Refused`."""
        unchecked = {item.id: item for item in transactions if item.id not in self._remembered}
        fresh = [item for key, item in unchecked.items() if self._known(key) is None]
        chunks = [fresh[start : start + CHUNK] for start in range(0, len(fresh), CHUNK)]
        refusals: list[Refused] = []

        async def check(chunk: list[Transaction]) -> None:
            good, refusal = await trio.to_thread.run_sync(self._check_chunk, chunk, limiter=limiter)
            self._remembered.update((item.id, None) for item in chunk[:good])
            self.checked += good
            if refusal is not None:
                self.checked += 1
                refusals.append(refusal)

        async with trio.open_nursery() as nursery:
            for chunk in chunks:
                nursery.start_soon(check, chunk)
        if refusals:
            raise Refused(Reason.BAD_SIGNATURE, refusals[0].detail)

    def _check_chunk(self, chunk: list[Transaction]) -> tuple[int, Refused | None]:
        """How many are good before the first bad one, and why that is bad.  Runs in a worker thread."""
        for good, transaction in enumerate(chunk):
            try:
                verify_transaction(transaction, self._chain_id)
            except Refused as refusal:
                return good, refusal
        return len(chunk), None


async def _take_turns(done: int) -> None:
    """Let whoever else is ready have its turn now and then."""
    if done % SCREENED_AT_ONCE == 0:
        await trio.lowlevel.checkpoint()
