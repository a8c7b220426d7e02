"""Who said what: a bounded memory of statements, to notice two that one validator must not both have signed."""

from __future__ import annotations

from typing import TypeAlias

from chain.base.newest import Newest
from chain.consensus.attestations import VerifiedAttestation
from chain.consensus.headers import VerifiedHeader
from chain.consensus.statements import is_equivocation

VerifiedStatement: TypeAlias = VerifiedHeader | VerifiedAttestation

# Statements of one validator.  Whoever speaks on two branches contradicts itself within a block or two.
MAX_STATEMENTS = 64
# Validators come and go; the ones heard of last are remembered.
MAX_SIGNERS = 512


class Witness:
    """Remembers what every validator said last, on whatever branch, also what was refused."""

    def __init__(self) -> None:
        # By speaker and id.
        self._seen: Newest[bytes, Newest[bytes, VerifiedStatement]] = Newest(MAX_SIGNERS)

    def __len__(self) -> int:
        return sum(map(len, self._seen.values()))

    def note(self, statement: VerifiedStatement) -> VerifiedStatement | None:
        """Remember what a validator said; an earlier statement that it contradicts, if this one is news.

        Of several the lowest, as evidence counts from the height of its later statement on.
        """
        seen = self._seen.get(statement.speaker) or Newest(MAX_STATEMENTS)
        self._seen.renew(statement.speaker, seen)
        if statement.id in seen:
            return None
        rivals = (earlier for earlier in seen.values() if is_equivocation(earlier, statement))
        rival = min(rivals, key=lambda earlier: earlier.height, default=None)
        seen[statement.id] = statement
        return rival
