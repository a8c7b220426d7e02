"""Who signed what: a bounded memory of headers, to notice two that one validator must not both have signed."""

from __future__ import annotations

from collections import deque

from chain.headers import VerifiedHeader
from chain.votes import is_equivocation

# Headers of one validator.  Whoever signs on two branches contradicts itself within a round or two.
MAX_HEADERS = 32
# Validators come and go; the ones heard of last are remembered.
MAX_SIGNERS = 512


class Witness:
    """Remembers the last headers of every validator, on whatever branch they stand, also refused ones."""

    def __init__(self) -> None:
        self._seen: dict[bytes, deque[VerifiedHeader]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._seen.values()))

    def note(self, header: VerifiedHeader) -> VerifiedHeader | None:
        """Remember a header whose signer may lead; an earlier one that it contradicts, if this one is news."""
        seen = self._seen.pop(header.proposer, None) or deque(maxlen=MAX_HEADERS)
        self._seen[header.proposer] = seen
        if any(earlier.id == header.id for earlier in seen):
            return None
        rival = next((earlier for earlier in seen if is_equivocation(earlier, header)), None)
        seen.append(header)
        while len(self._seen) > MAX_SIGNERS:
            del self._seen[next(iter(self._seen))]
        return rival
