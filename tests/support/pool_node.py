"""A fake node with a pool: what is submitted waits, and looking at the node's status makes a block."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx

from chain.base.codec import decode
from chain.base.errors import Reason, Refused
from chain.base.keys import did_from_key, key_from_did
from chain.content.genesis import Genesis
from chain.content.transactions import Transaction, VerifiedTransaction, decode_transaction, verify_transaction
from chain.documents.chronicle import describe_refusal
from chain.documents.institutions import motions_document, policy_document
from chain.documents.people import records_document
from chain.register import registry as rules
from chain.register.draft import Draft
from chain.register.registry import genesis_state
from chain.register.statekeys import member_key
from chain.register.view import MemoryView, StateView
from p2p.client import NodeStatus
from p2p.local.endpoints import MAX_SUBMISSION, MAX_TRIAL
from p2p.local.http import MAX_BODY_BYTES


class Killed(BaseException):
    """The client dies as by kill -9: nobody catches it."""


class PoolNode:
    """Knows the real rules.  With ``is_stalled`` it makes no blocks; at request ``dies_at`` the client is killed,
    before the node hears of it or after, by ``hears_last``.
    """

    def __init__(self, genesis: Genesis, slot: int = 1) -> None:
        self.genesis = genesis
        self.slot = slot
        self.height = 0
        self.state: dict[bytes, bytes] = genesis_state(genesis)
        self.blocks: dict[str, int] = {}
        self.pool: list[VerifiedTransaction] = []
        self.chain: list[Transaction] = []
        self.is_stalled = False
        self.requests = 0
        self.dies_at: int | None = None
        self.hears_last = True
        self.transport = httpx.MockTransport(self._answer)

    @property
    def view(self) -> StateView:
        return MemoryView(self.state, self.genesis, self.height, self.slot, is_final=True)

    def make_block(self, most: int = 7) -> None:
        """A block of some of what waits, as far as it can follow."""
        draft = Draft(self.state, self.genesis, self.height + 1, self.slot)
        taken: list[VerifiedTransaction] = []
        for transaction in sorted(self.pool, key=lambda item: item.nonce)[:most]:
            try:
                rules.apply(draft, transaction)
            except Refused as refusal:
                if refusal.reason is not Reason.NONCE_GAP:
                    self.pool.remove(transaction)
            else:
                taken.append(transaction)
        if taken:
            self._commit(draft, taken)

    def _commit(self, draft: Draft, taken: list[VerifiedTransaction]) -> None:
        self.height += 1
        for key, (_, after) in draft.changes.items():
            if after is None:
                del self.state[key]
            else:
                self.state[key] = after
        for transaction in taken:
            self.pool.remove(transaction)
            self.chain.append(transaction)
            self.blocks[transaction.id.hex()] = self.height

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        dies = self.requests == self.dies_at
        if dies and not self.hears_last:
            raise Killed
        response = self._reply(request)
        if dies:
            raise Killed
        return response

    def _reply(self, request: httpx.Request) -> httpx.Response:
        match request.method, request.url.path.split("/")[1:]:
            case "GET", ["status"]:
                if not self.is_stalled:
                    self.make_block()
                document: Any = dict.fromkeys(NodeStatus.__annotations__) | {
                    "chain_id": self.genesis.id.hex(),
                    "height": self.height,
                    "finalized_height": self.height,
                }
            case "GET", ["genesis"]:
                return httpx.Response(200, text=self.genesis.to_json())
            case "GET", ["policy"]:
                document = policy_document(self.view)
            case "GET", ["motions"]:
                document = motions_document(self.view)
            case "GET", ["records", did]:
                document = records_document(self.view, key_from_did(did))
            case "GET", ["objections"]:
                document = {"objections": [], "annulments": []}
            case "GET", ["account", did]:
                document = self._account(key_from_did(did))
            case "GET", ["transactions", digits]:
                is_waiting = any(item.id.hex() == digits for item in self.pool)
                height = self.blocks.get(digits)
                state = "final" if height else "waiting" if is_waiting else "unknown"
                document = {"state": state, "height": height}
            case "POST", ["trial"]:
                document = {
                    "outcomes": self._try(decode(request.content, max_bytes=MAX_BODY_BYTES, max_items=MAX_TRIAL))
                }
            case "POST", ["transactions"]:
                raws = decode(request.content, max_bytes=MAX_BODY_BYTES, max_items=MAX_SUBMISSION)
                document = {"outcomes": [self._submit(raw) for raw in raws]}
            case _:
                return httpx.Response(404, text="Not Found")
        return httpx.Response(200, json=document)

    def _account(self, key: bytes) -> dict[str, Any]:
        account, identity = self.view.account(key), self.view.identity(key)
        nonce = next_free = 0 if account is None else account.nonce
        waiting = {item.nonce for item in self.pool if item.actor == key}
        while next_free in waiting:
            next_free += 1
        return {
            "nonce": nonce,
            "next_free": next_free,
            "identity": did_from_key(identity),
            "successor": None,
            "member": self.view.get(member_key(identity)) is not None,
            "authority": self.view.authority(identity) is not None,
            "validator": False,
            "slot": self.slot,
            "height": self.height,
            "policy_version": self.view.rules.version,
        }

    def _try(self, raws: Any) -> list[Mapping[str, str] | None]:
        draft = Draft(self.state, self.genesis, self.height + 1, self.slot)
        outcomes: list[Mapping[str, str] | None] = []
        for raw in raws:
            transaction = verify_transaction(decode_transaction(raw), self.genesis.id)
            for waiting in sorted(self.pool, key=lambda item: item.nonce):
                if waiting.nonce < transaction.nonce:
                    with suppress(Refused):
                        rules.apply(draft, waiting)
            try:
                rules.apply(draft, transaction)
            except Refused as refusal:
                outcomes.append(describe_refusal(refusal))
            else:
                outcomes.append(None)
        return outcomes

    def _submit(self, raw: bytes) -> Mapping[str, str] | None:
        transaction = verify_transaction(decode_transaction(raw), self.genesis.id)
        account = self.view.account(transaction.actor)
        used = 0 if account is None else account.nonce
        same = [item for item in self.pool if (item.actor, item.nonce) == (transaction.actor, transaction.nonce)]
        if same or transaction.nonce < used:
            is_known = any(item.id == transaction.id for item in same)
            reason = Reason.DUPLICATE if is_known else Reason.NONCE_TAKEN if same else Reason.NONCE_USED
            return describe_refusal(Refused(reason, ""))
        if transaction.expiry_height <= self.height:
            return describe_refusal(Refused(Reason.EXPIRED, ""))
        self.pool.append(transaction)
        return None
