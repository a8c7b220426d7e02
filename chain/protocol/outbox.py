"""What one event makes of a node: the effects in their order, and before all of them what is to be stored."""

from __future__ import annotations

from collections.abc import Iterable

from chain.branches.blockchain import Settled
from chain.content.blocks import Block
from chain.content.transactions import VerifiedTransaction
from chain.protocol.events import Commit, Effect, Notice, SigningState


class Outbox:
    """Collects while one event is handled, after a :meth:`clear`.

    ``signing`` (or that it is lost), ``settled``, ``finalized_height`` and ``waiting`` are stored where set.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything: another event begins."""
        self.signing: SigningState | None = None
        self.is_signing_lost = False
        self.settled: Settled | None = None
        self.finalized_height: int | None = None
        self.waiting: tuple[VerifiedTransaction, ...] | None = None
        self._effects: list[Effect] = []
        # Whether it is on the main chain now; a block may join and leave it during one event.
        self._blocks: dict[bytes, tuple[Block, bool]] = {}
        self._side: list[Block] = []

    def put(self, effect: Effect) -> None:
        """Something to be done, after what was put before."""
        self._effects.append(effect)

    def note(self, name: str, text: str) -> None:
        """Something for the operator's log."""
        self.put(Notice(name, text))

    def store_side(self, block: Block) -> None:
        """A block that stands beside the main chain."""
        self._side.append(block)

    def store_move(self, abandoned: Iterable[Block], adopted: Iterable[Block]) -> None:
        """The head moved: from blocks of the main chain to others."""
        self._blocks.update((block.id, (block, False)) for block in abandoned)
        self._blocks.update((block.id, (block, True)) for block in adopted)

    def take(self) -> list[Effect]:
        """Everything there is to do; what is to be stored is one :class:`Commit`, and comes first."""
        if self._is_nothing_stored:
            return self._effects
        commit = Commit(
            abandoned=tuple(block for block, is_main in self._blocks.values() if not is_main),
            adopted=tuple(block for block, is_main in self._blocks.values() if is_main),
            side=tuple(block for block in self._side if block.id not in self._blocks),
            finalized_height=self.finalized_height,
            settled=self.settled,
            signing=self.signing,
            is_signing_lost=self.is_signing_lost,
            waiting=self.waiting,
        )
        return [commit, *self._effects]

    @property
    def _is_nothing_stored(self) -> bool:
        values = self.signing, self.settled, self.finalized_height, self.waiting
        return not (self._blocks or self._side or self.is_signing_lost) and values == (None, None, None, None)
