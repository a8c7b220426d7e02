"""More validators lose their disks at once than are tolerated, and people let the chain go on.

They do what ``scripts/docs/recovery.md`` says, node by node, while everything else goes wrong as before.
"""

from __future__ import annotations

from collections.abc import Iterable

from chain.base.errors import OperatorError
from chain.consensus.electorate import Electorate
from chain.consensus.restart import SALT_BYTES, Restart
from chain.protocol.rescue import has_come, may_come, undone
from scripts.simulation.node import SimulatedNode
from scripts.simulation.world import World

# People take their time: until they see that nothing is final any more, and between one node and the next.
PATIENCE_SLOTS = 12
STEP_SLOTS = 2
# Who has another chain that is as long by now does not fetch the block: then all begin anew.
WAIT_SLOTS = 20
# Meanwhile so many may lose their disks that the restart, though it came, lets nothing become final.
AGAIN_SLOTS = 60


class Rescue:
    """The operators of all honest nodes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.is_under_way = False
        self.count = 0
        self._file: Restart | None = None
        self._has_waited = False
        self._kept: set[bytes] = set()
        self._next_slot = self._stuck_slot = 0

    def begin(self) -> None:
        """So many disks are gone that nothing can become final."""
        self.is_under_way = True
        self._next_slot = self.world.slot + PATIENCE_SLOTS

    def each_slot(self) -> None:
        """One operator stops one node, and starts it again."""
        if not self.is_under_way or self.world.slot < self._next_slot:
            return
        self._next_slot = self.world.slot + STEP_SLOTS
        if self._is_over():
            self.is_under_way, self.count = False, self.count + 1
            self.world.timeline.say("world", "the restart is final")
        elif self._file is None:
            self._agree()
        else:
            self._carry(self._file)

    def _is_over(self) -> bool:
        file, chains = self._file, [node.engine.chain for node in self.world.honest]
        return file is not None and any(
            has_come(file, chain) and chain.finalized.height > file.height for chain in chains
        )

    def _agree(self) -> None:
        """All look whose chain is the longest; whoever is down is waited for."""
        world, nodes = self.world, self.world.honest
        if all(node.is_up for node in nodes):
            head = max((node.engine.chain.head.header for node in nodes), key=lambda head: (head.mhp, head.height))
            if not head.height:  # somebody has more, and will bring it
                return
            self._kept.clear()
            self._file = Restart(head.id, head.height, world.random.randbytes(SALT_BYTES))
            self._stuck_slot = world.slot + WAIT_SLOTS
            world.timeline.say("world", f"people agree to go on from {head.id.hex()[:8]} at height {head.height}")

    def _carry(self, file: Restart) -> None:
        """To one who has not signed; once enough did, to one who does not know that."""
        for node in self._waiting(file):
            chain = node.engine.chain
            is_held = may_come(file, chain) and not undone(file, chain, node.disk.signing, node.disk.restart)
            if self._signs_blind(node, file) or (file.tip in chain.tree and is_held):
                self._sign(node, file)
                return
            is_behind = file.tip not in chain.tree and may_come(file, chain)  # it has yet to fetch the block
            if not is_behind and not self._is_agreed(file):
                node.say("refuses to sign the restart, which would undo what it stood behind")
                self._file = None
                return
        if self.world.slot > self._stuck_slot and not self._is_agreed(file):
            self.world.timeline.say("world", "somebody does not get the block to go on from, so people begin anew")
            self._file, self._has_waited = None, True
        elif self.world.slot > self._stuck_slot + AGAIN_SLOTS:
            self.world.timeline.say("world", "nothing became final since: more disks were lost, so people agree again")
            self._file = None

    def _signs_blind(self, node: SimulatedNode, file: Restart) -> bool:
        """Whether an operator does not wait for the block any more: who is left outgrows each that people agree on."""
        finals = [each.engine.chain.finalized.height for each in self.world.honest]
        is_missing = file.tip not in node.engine.chain.tree and may_come(file, node.engine.chain)
        return self._has_waited and is_missing and node.disk.signing is None and max(finals) <= file.height

    def _waiting(self, file: Restart) -> Iterable[SimulatedNode]:
        signed, is_agreed = dict(file.signatures), self._is_agreed(file)
        for node in self.world.honest:
            if node.is_up and node.key is not None and not has_come(file, node.engine.chain):
                is_known = node.disk.restart is not None and node.disk.restart.is_same(file)
                if node.key.public not in signed or (is_known and is_agreed and node.disk.restart != file):
                    yield node

    def _sign(self, node: SimulatedNode, file: Restart) -> None:
        """What ``node.py restart sign`` does, to a node that is stopped for it."""
        assert node.key is not None
        node.crash("its operator stops it, to sign a restart")
        signed, knew = file.signed(node.key, self.world.genesis.id), node.disk.signing is not None
        try:
            node.disk.sign_restart(signed)
        except OperatorError as refusal:
            node.say(f"cannot sign: {refusal}")
        else:
            self._file, self._stuck_slot = signed, self.world.slot + WAIT_SLOTS
            self._kept |= {node.key.public} if knew else set()
            if self._is_agreed(signed) and not self._is_agreed(file):
                self.world.checks.on_restart(node, signed.tip, is_sure=self._is_sure(signed))
        node.start()

    def _is_agreed(self, file: Restart) -> bool:
        return any(each.is_enough(dict(file.signatures)) for each in self._electorates(file))

    def _is_sure(self, file: Restart) -> bool:
        """Whether nothing became final without one who signed, and knew what it had said: more than a third did."""
        sets = {each for electorate in self._electorates(file) for each in electorate.sets}
        return all(3 * each.weight_of(self._kept) > each.weight_of(each.by_key) for each in sets)

    def _electorates(self, file: Restart) -> list[Electorate]:
        trees = [node.engine.chain.tree for node in self.world.honest]
        return [tree[file.tip].votes.electorate for tree in trees if file.tip in tree]
