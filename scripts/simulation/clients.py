"""Who signs what a registry wants: keys, nonces, and what a node shows of the state.

Who acts reads the state of the node that it submits to, as a client does; so what it signs made sense there, and
may be refused for good once the branches of the nodes join.  A key signs a second transaction with one nonce only
where the first can never be valid.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from chain.base.errors import Disposition, OperatorError, Refused
from chain.base.keys import SecretKey
from chain.content.actions import Action, Enrol, Rotate
from chain.content.consents import sign_rotation
from chain.content.identities import left_key
from chain.content.transactions import VerifiedTransaction, sign_transaction
from chain.register import registry
from chain.register.draft import Draft
from chain.register.entries import ACTIVE, Authority, Member, Record
from chain.register.state import decode_entry
from chain.register.statekeys import read_record_key
from scripts.simulation.node import SimulatedNode
from scripts.simulation.ratings import EXPIRY_HEIGHT, FIRST_MEMBER
from scripts.simulation.world import World, secret

# The numbers of keys are counted from here.
FIRST_AUTHORITY, FIRST_NEW_KEY = 3_000, 4_000
AUTHORITIES = 3
# So many people come one after another; some of them leave again.
PEOPLE = 40
TRIES = 5
DIGEST = bytes(range(32))

Wish = tuple[bytes, Action]


class Clients:
    """Everybody who has to do with a registry, and their keys; ``_kinds`` are what they try, in equal shares."""

    is_firm = False
    _node: SimulatedNode
    _kinds: list[Callable[[Draft], Wish | None]]

    def __init__(self, world: World) -> None:
        self.world = world
        self._members = [secret(FIRST_MEMBER + number) for number in range(PEOPLE)]
        self._authorities = [secret(FIRST_AUTHORITY + number) for number in range(AUTHORITIES)]
        self._keys = {key.public: key for key in (*self._members, *self._authorities)}
        self._signed: dict[tuple[bytes, int], VerifiedTransaction] = {}
        self._moved = 0

    def draw(self, node: SimulatedNode) -> VerifiedTransaction | None:
        """What somebody signs who sees the chain as ``node`` does; None where there is nothing to do."""
        self._node, chain = node, node.engine.chain
        view = chain.ledger.blank_draft(chain.head.header.slot + 1)
        for _ in range(TRIES):
            # Whoever it is about has left; or the node cannot read its disk.
            with suppress(Refused, OperatorError), node.disk.told():
                wish = self.world.random.choice(self._kinds)(view)
                if wish is not None:
                    return self._sign(*wish)
        return None

    def at_end(self) -> list[VerifiedTransaction]:
        """A newcomer, so that there is something new to record."""
        newcomer = secret(FIRST_MEMBER + PEOPLE)
        return [
            sign_transaction(newcomer, self.world.genesis.id, 0, EXPIRY_HEIGHT, Enrol(policy_version=self._version))
        ]

    def _sign(self, actor: bytes, action: Action) -> VerifiedTransaction:
        """The transaction; or an earlier one with this nonce, which this node does not have and may still take."""
        key, node = self._keys.get(actor) or self._seated()[actor], self._node
        nonce = node.engine.mempool.next_free(actor)
        earlier = self._signed.get((actor, nonce))
        if earlier is not None and not is_hopeless(node, earlier):
            return earlier
        if isinstance(action, Rotate):
            new_key = self._keys[action.new_key]
            action = Rotate(action.new_key, sign_rotation(new_key, self.world.genesis.id, actor, nonce))
        signed = sign_transaction(key, self.world.genesis.id, nonce, EXPIRY_HEIGHT, action)
        self._signed[actor, nonce] = signed
        return signed

    def _pick(self, items: list[Any]) -> Any:
        return self.world.random.choice(items) if items else None

    def _entries(self, kind: bytes) -> list[tuple[bytes, Any]]:
        """All entries of a kind, by the rest of their keys."""
        state = self._node.engine.chain.ledger.state
        return [(key[1:], decode_entry(key, state[key])) for key in sorted(key for key in state if key[:1] == kind)]

    def _people(self) -> list[tuple[bytes, Member]]:
        """The members; but not those who came to make trouble."""
        return [(identity, item) for identity, item in self._entries(b"m") if item.key in self._keys]

    def _active(self) -> list[tuple[bytes, Authority]]:
        return [(identity, item) for identity, item in self._entries(b"a") if item.status == ACTIVE]

    def _about_a_record(
        self,
        view: Draft,
        is_wanted: Callable[[Record], bool],
        wish: Callable[[bytes, int, Record], Wish | None],
    ) -> Wish | None:
        chosen = self._pick([item for item in self._entries(b"d") if is_wanted(item[1])])
        if chosen is None:
            return None
        subject, number = read_record_key(b"d" + chosen[0])
        return wish(subject, number, chosen[1])

    def _issuer(self, view: Draft, record: Record) -> bytes:
        authority = view.authority(record.issuer)
        return record.issuer if authority is None else authority.key

    def _new_key(self) -> SecretKey:
        """A key that nobody has had."""
        self._moved += 1
        new_key = secret(FIRST_NEW_KEY + self._moved)
        self._keys[new_key.public] = new_key
        return new_key

    def _is_unknown(self, view: Draft, key: bytes) -> bool:
        """Whether nobody has, or had, this key."""
        return view.account(key) is None and view.get(left_key(key)) is None

    @property
    def _version(self) -> int:
        """The policy that the newest honest head knows to be in force."""
        heads = (node.engine.chain for node in self.world.honest)
        return max(heads, key=lambda chain: chain.head.header.height).ledger.view().rules.version

    def _seated(self) -> dict[bytes, SecretKey]:
        """The keys of all honest machines that are validators, or may become one."""
        return {node.key.public: node.key for node in self.world.honest if node.key is not None}

    @property
    def _chair(self) -> bytes:
        return next(iter(self._seated()))

    def _voters(self, view: Draft) -> list[bytes]:
        mine = self._seated()
        return [seat.key for seat in view.validators.active if seat.key in mine and not seat.is_jailed]


def is_hopeless(node: SimulatedNode, transaction: VerifiedTransaction) -> bool:
    """Whether the next block after the head of ``node`` may not hold it, nor any later one."""
    refusal = refusal_of(node, transaction)
    return refusal is not None and refusal.reason.disposition is not Disposition.LATER


def refusal_of(node: SimulatedNode, transaction: VerifiedTransaction) -> Refused | None:
    """Why the next block after the head of ``node`` may not hold it, if it may not."""
    chain = node.engine.chain
    draft = chain.ledger.draft(chain.head.header.slot + 1, chain.electorate)
    try:
        registry.apply(draft, transaction)
    except Refused as refusal:
        return refusal
    return None
