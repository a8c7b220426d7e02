"""More validators lose their disks at once than are tolerated, and people let the chain go on.

They do what ``scripts/docs/recovery.md`` says, node by node, while everything else goes wrong as before.
"""

from __future__ import annotations

from collections.abc import Iterable

from chain.base.errors import OperatorError
from chain.branches.blockchain import Blockchain
from chain.consensus.electorate import Electorate
from chain.consensus.restart import SALT_BYTES, Restart
from chain.protocol.rescue import has_come, may_come, undone
from scripts.simulation.node import SimulatedNode
from scripts.simulation.settings import Violation
from scripts.simulation.world import World

# People take their time: until they see that nothing is final any more, and between one node and the next.
PATIENCE_SLOTS = 12
STEP_SLOTS = 2
# Who has another chain that is as long by now does not fetch the block: then all begin anew.
WAIT_SLOTS = 20
# Meanwhile so many may lose their disks that the restart, though it came, lets nothing become final.  Where enough know
# what they said last, they are merely cut off, and nobody needs another.
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
        # Whether enough signed it, more than a third of which knew what they had said.
        self._is_binding = False
        self._next_slot = self._stuck_slot = 0
        # Up to where something is final, and since when.
        self._final_height = self._moved_slot = 0

    def begin(self) -> None:
        """So many disks are gone that nothing can become final."""
        self.is_under_way = True
        self._next_slot = self.world.slot + PATIENCE_SLOTS

    def each_slot(self) -> None:
        """One operator stops one node, and starts it again."""
        if not self.is_under_way:
            return
        slot, file, final_height = self.world.slot, self._file, self._final()
        if final_height != self._final_height:
            self._final_height, self._moved_slot = final_height, slot
        if slot < self._next_slot:
            return
        self._next_slot = slot + STEP_SLOTS
        if file is None:
            self._agree()
        elif final_height > file.height:
            self._end(file)
        else:
            self._carry(file)

    def _end(self, file: Restart) -> None:
        """Something new is final, by the restart or in its place; whether that is enough, people see next.

        Raises :class:`Violation` where those that signed had promised that nothing else would.
        """
        has_taken_place = any(has_come(file, node.engine.chain) for node in self.world.honest)
        if not has_taken_place and self._is_binding and self.world.checks.is_safe:
            raise Violation("the chain goes on from elsewhere than where people agreed")
        self._file, self.count = None, self.count + has_taken_place
        self.world.timeline.say("world", f"the restart is {'final' if has_taken_place else 'overtaken'}")

    def _agree(self) -> None:
        """All look who lost what it said, and whose chain is the longest; whoever is down is waited for."""
        world = self.world
        if not all(node.is_up for node in world.honest):
            return
        head = self._longest().head.header
        if self._are_enough():
            self.is_under_way = False
            world.timeline.say("world", "enough validators know what they said last: nobody needs a restart")
        elif head.height and world.slot >= self._moved_slot + PATIENCE_SLOTS:  # else the chain may go on by itself
            self._kept.clear()
            self._is_binding = False
            self._file = Restart(head.id, head.height, world.random.randbytes(SALT_BYTES))
            self._stuck_slot = world.slot + WAIT_SLOTS
            world.timeline.say("world", f"people agree to go on from {head.id.hex()[:8]} at height {head.height}")

    def _are_enough(self) -> bool:
        """Whether those that know what they said last are, without whoever is not honest and may never speak."""
        producers = [node.engine.producer for node in self.world.honest if node.is_up]
        knowing = [each.secret.public for each in producers if each and not (each.is_silent or each.is_stopped)]
        return self._longest().electorate.is_enough(knowing)

    def _longest(self) -> Blockchain:
        chains = [node.engine.chain for node in self.world.honest]
        return max(chains, key=lambda chain: (chain.head.header.mhp, chain.head.header.height))

    def _final(self) -> int:
        return max(node.engine.chain.finalized.height for node in self.world.honest)

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
        elif self.world.slot > self._stuck_slot + AGAIN_SLOTS and not self._are_enough():
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
                self._is_binding = self._is_sure(signed)
                self.world.checks.on_restart(node, signed.tip, is_sure=self._is_binding)
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
