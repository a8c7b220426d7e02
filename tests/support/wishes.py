"""Changes of the validators, asked for by whoever enrols with a certain key."""

from __future__ import annotations

import pytest

from chain.base.keys import SecretKey
from chain.content.actions import Enrol
from chain.content.transactions import Transaction, VerifiedTransaction
from chain.register import registry
from chain.register.draft import Draft
from chain.register.statekeys import VALIDATORS_KEY
from chain.register.validators import Change, request
from tests.support.world import Actor, genesis_of, secret

#: Room for two more than the four that there are at first.
ROOMY = genesis_of(4, batch=6)


class Wishes:
    """While ``patch`` lasts, an enrolment that :meth:`sign` made requests a change as well."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._changes: dict[bytes, Change] = {}
        apply = registry.apply

        def apply_and_request(draft: Draft, transaction: Transaction) -> None:
            change = self._changes.get(transaction.actor)
            if change is None:
                apply(draft, transaction)
                return
            after = request(draft.validators, change, batch=draft.genesis.batch, height=draft.height)
            apply(draft, transaction)
            draft.put(VALIDATORS_KEY, after)

        patch.setattr(registry, "apply", apply_and_request)

    def sign(self, kind: int, key: SecretKey, other: bytes = b"", weight: int = 0) -> VerifiedTransaction:
        """An enrolment of somebody new that asks for this change."""
        actor = Actor(ROOMY, 500 + len(self._changes))
        self._changes[actor.key] = Change(kind, key.public, other, weight)
        return actor.sign(Enrol())


def named(*numbers: int) -> tuple[bytes, ...]:
    """The public keys of ``secret(number)``."""
    return tuple(secret(number).public for number in numbers)
