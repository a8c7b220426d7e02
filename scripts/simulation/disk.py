"""What survives a crash: the commits that the disk took, each as a whole."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext, suppress
from copy import copy
from random import Random

from chain.base.errors import OperatorError, Refused
from chain.branches.blockchain import Blockchain, Settled, Snapshot
from chain.consensus.restart import Restart
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.protocol.events import Commit, SigningState
from chain.register.registry import genesis_state
from scripts.simulation.acts import Damage

# What a copy of a database holds.
_DURABLE = ("signing", "restart", "blocks", "main", "finalized", "settled", "state", "oldest")


class Disk:
    """The tables of :class:`chain.disk.storage.Storage`, in memory.

    SQLite makes a commit durable as a whole or not at all; so a torn write is a lost one.  ``write_ms`` is how long
    a commit takes at present.  Of the last load, ``is_set_back`` says that it found less than what was durable before,
    ``is_torn_whole`` that it found all of the commit in which the machine died, ``is_unsound`` that it overlooked
    damage which may show later.  ``finds_out`` says that others will show at once what was said since a backup that is
    restored: else whoever restores it has to say that its signing state is lost.  ``oldest`` is the height from which
    on it has the bodies of blocks; of those below it gives away no more than headings.
    """

    def __init__(self, genesis: Genesis, signing: SigningState | None) -> None:
        self.genesis = genesis
        self.signing = signing
        self.restart: Restart | None = None
        self.blocks: dict[bytes, tuple[Block, bool]] = {}
        self.main: dict[int, Block] = {}
        self.finalized = 0
        self.oldest = 1
        self.settled: Settled | None = None
        self.write_ms = 0
        self.is_set_back = False
        self.is_torn_whole = False
        self.is_unsound = False
        self.finds_out = False
        self.state = genesis_state(genesis)
        # What was signed last when the last backup was made.
        self.backed_up_signing = signing
        self._backup: dict[str, object] = {}
        self._is_hurt = self._is_missing = False

    def commit(self, commit: Commit) -> None:
        """Make a commit durable."""
        self.note(commit)

    def tear(self, commit: Commit, random: Random) -> None:
        """The machine dies while it writes a commit."""

    def told(self) -> AbstractContextManager[None]:
        """Something is read or written.  Raises :class:`OperatorError` where the disk is found to be damaged."""
        return nullcontext()

    def crash(self) -> None:
        """The process is gone."""

    @property
    def may_be_lost(self) -> bool:
        """Whether what was signed is lost, or may turn out to be."""
        return self.signing is None or self.is_set_back

    def back_up(self) -> None:
        """An operator copies everything."""
        self.backed_up_signing = self.signing
        self._backup = {name: copy(getattr(self, name)) for name in _DURABLE}

    def suffer(self, damage: Damage, random: Random) -> None:
        """What is durable is damaged while nobody looks."""
        self._is_hurt, self._is_missing = True, False
        if damage == "removed":
            self.lose_all()
        if damage != "restored":
            self.signing = self.restart = None
            return
        was = self.contents()
        for name, value in self._backup.items():
            setattr(self, name, copy(value))
        self._is_hurt = self.contents() != was
        if self._is_hurt and not self.finds_out:
            self.signing = self.restart = None

    def lose_all(self) -> None:
        """Nothing is left, from now on and not only once that is noticed: nobody can count on what was here."""
        self._is_missing, empty = True, Disk(self.genesis, None)
        for name in _DURABLE:
            setattr(self, name, getattr(empty, name))

    def sign_restart(self, restart: Restart) -> None:
        """An operator signs a restart in this home, as :meth:`chain.disk.storage.Storage.sign_restart` notes it."""
        if self.restart is None or not self.restart.is_same(restart):
            self.signing = None
        self.restart = restart

    def prune(self) -> None:
        """Drop the bodies of blocks below the stored state."""
        if self.settled is not None:
            self.oldest = max(self.oldest, self.settled.header.height)

    def begin_with(self, other: Disk) -> None:
        """Begin with the state that another disk has, and with the headings up to its block."""
        assert other.settled is not None
        self.settled, self.state = other.settled, dict(other.state)
        self.finalized = self.settled.header.height
        self.oldest = self.finalized + 1
        self.main = {height: block for height, block in other.main.items() if height <= self.finalized}
        self.blocks = {block.id: (block, True) for block in self.main.values()}

    def replacement(self) -> Disk:
        """An empty disk in the place of this one, for a key that may have signed before."""
        return Disk(self.genesis, None)

    def note(self, commit: Commit) -> None:
        """What is known to be durable."""
        for block in commit.abandoned:
            self.blocks[block.id] = (block, False)
            if self.main.get(block.header.height) == block:
                del self.main[block.header.height]
        for block in commit.side:
            self.blocks.setdefault(block.id, (block, False))
        for block in commit.adopted:
            self.blocks[block.id] = (block, True)
            self.main[block.header.height] = block
        if commit.finalized_height is not None:
            self.finalized = commit.finalized_height
        if commit.settled is not None:
            self.settled = commit.settled
            for key, (_, value) in commit.settled.changes.items():
                if value is None:
                    self.state.pop(key, None)
                else:
                    self.state[key] = value
        if commit.signing is not None:
            self.signing = commit.signing
        if commit.is_signing_lost:
            self.signing = self.restart = None

    def contents(self) -> tuple[object, ...]:
        """What a load has to show."""
        main = {height: block.id for height, block in self.main.items()}
        return self.signing, self.restart, self.finalized, main, self.blocks.keys()

    def branch(self, tip_id: bytes, from_height: int) -> list[Block]:
        """The blocks from ``from_height`` to a stored tip, oldest first."""
        blocks: list[Block] = []
        while tip_id in self.blocks and self.blocks[tip_id][0].header.height >= from_height:
            blocks.append(self.blocks[tip_id][0])
            tip_id = blocks[-1].header.parent
        return blocks[::-1]

    def load(self) -> Blockchain:
        """The chain as it was when the last commit was durable, as :meth:`chain.disk.storage.Storage.load` does it.

        Raises :class:`OperatorError` where there is none.
        """
        if self._is_missing:
            raise OperatorError("the disk is missing")
        self.is_set_back, self._is_hurt = self._is_hurt, False
        snapshot = None
        if self.settled is not None:
            snapshot = Snapshot(self.settled.header, self.settled.votes, self.state)
        chain = Blockchain(self.genesis, snapshot)
        base = chain.finalized.height
        for height in range(base + 1, max(self.main, default=0) + 1):
            chain.add(self.main[height], arrived_in_slot=True)
        chain.restore_finality(self.finalized)
        head = chain.head.header.id
        side = [block for block, is_main in self.blocks.values() if not is_main and block.header.height > base]
        for block in sorted(side, key=lambda block: block.header.height):
            with suppress(Refused):
                chain.add(block, arrived_in_slot=True)
        chain.stay(head)
        return chain
