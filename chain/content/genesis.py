"""The genesis: the parameters that every node of one network shares.

Its id is the chain id.  It is bound into every signature and every protocol name, so nothing made for one
network is valid in another.  The genesis stands for the block at height 0 in slot 0.
How several organisations found one is in :mod:`chain.content.founding`.
Source: protocol 1.6.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from chain.base.codec import encode
from chain.base.errors import OperatorError, Refused
from chain.base.keys import check_public_key, did_from_key, key_from_did
from chain.consensus.electorate import BATCH_MAX
from chain.content.founding import (
    MAX_FOUNDERS,
    MAX_NAME_CHARACTERS,
    RANGES,
    USUAL_EXPIRY_BLOCKS,
    USUAL_HEARTBEAT_SLOTS,
    Entry,
    Founding,
    Plan,
    founders,
    is_name,
    lacking,
    read_founding,
)
from chain.content.policy import Policy
from chain.content.policyfile import read_policy
from chain.content.proposals import MAX_WEIGHT
from chain.content.tables import Mistake

FORMAT = 1
MAX_VALIDATORS = MAX_FOUNDERS

# name -> (lowest, highest) allowed value of each whole-network number.
_RANGES = {
    "genesis_time_ms": RANGES["genesis_time_ms"],
    "slot_ms": RANGES["slot_ms"],
    "batch": (1, BATCH_MAX),
    "heartbeat_slots": RANGES["heartbeat_slots"],
    "max_expiry_blocks": RANGES["max_expiry_blocks"],
}


@dataclass(frozen=True)
class Genesis:
    """A checked genesis.

    ``validators`` are ``(public key, weight)`` in leader order; the leader of a slot is ``validators[slot mod n]``,
    until they change (:mod:`chain.register.validators`).  There are never more than ``batch``, and votes are counted
    over the last ``3 * batch`` blocks.  A leader with nothing to do skips its slot unless the chain has been silent for
    ``heartbeat_slots``.  A transaction may expire at most ``max_expiry_blocks`` after the block that holds it.
    ``founding`` is who founded it, where several did: the id does not depend on it.
    """

    name: str
    genesis_time_ms: int
    slot_ms: int
    batch: int
    heartbeat_slots: int
    max_expiry_blocks: int
    validators: tuple[tuple[bytes, int], ...]
    policy: Policy
    founding: Founding | None = None

    @cached_property
    def id(self) -> bytes:
        """32 bytes: the chain id, and the id of the block at height 0."""
        fields = (
            FORMAT,
            self.name.encode(),
            tuple(getattr(self, name) for name in _RANGES),
            self.validators,
            self.policy.digest(),
        )
        return sha256(b"goodfaith/genesis/1" + encode(fields)).digest()

    def quiet_slots(self, leaders: int) -> int:
        """After how many slots without a block a heartbeat is due: ``heartbeat_slots``, rounded up to 1 modulo n.

        So heartbeats come from one of the n ``leaders`` after the other, and become final like other blocks.
        """
        return self.heartbeat_slots + (1 - self.heartbeat_slots) % leaders

    @property
    def idle_slots(self) -> int:
        """More than this an idle chain is not silent: a heartbeat, and a whole round in which leaders may be away.

        A longer gap between two blocks is an outage, in which registry time stands still (protocol 6.15).
        """
        return self.heartbeat_slots + 2 * self.batch

    def slot_at(self, now_ms: int) -> int:
        """The slot that contains ``now_ms``; negative before the genesis."""
        return (now_ms - self.genesis_time_ms) // self.slot_ms

    def slot_start_ms(self, slot: int) -> int:
        """When ``slot`` begins, in milliseconds since the Unix epoch."""
        return self.genesis_time_ms + slot * self.slot_ms

    def to_json(self) -> str:
        """The file ``genesis.json``."""
        document = {
            "format": FORMAT,
            "name": self.name,
            **{name: getattr(self, name) for name in _RANGES},
            "validators": [{"did": did_from_key(key), "weight": weight} for key, weight in self.validators],
            "policy": self.policy.to_document(),
        }
        if self.founding is not None:
            document["founding"] = self.founding.to_document()
        return json.dumps(document, indent=2) + "\n"


def found_genesis(
    name: str,
    policy: Policy,
    validators: Sequence[bytes],
    *,
    genesis_time_ms: int,
    slot_ms: int,
    heartbeat_slots: int = USUAL_HEARTBEAT_SLOTS,
    max_expiry_blocks: int = USUAL_EXPIRY_BLOCKS,
    weights: Sequence[int] = (),
) -> Genesis:
    """The genesis of a new network with the usual numbers.  Raises :class:`OperatorError`.

    ``weights`` are those of the validators; without any they are equal.

    Its batch leaves room for a third more validators, and for two at least.
    """
    return make_genesis(
        {
            "format": FORMAT,
            "name": name,
            "genesis_time_ms": genesis_time_ms,
            "slot_ms": slot_ms,
            "batch": _batch(len(validators)),
            "heartbeat_slots": heartbeat_slots,
            "max_expiry_blocks": max_expiry_blocks,
            "validators": [
                {"did": did_from_key(key), "weight": weight}
                for key, weight in zip(validators, weights or [1] * len(validators), strict=True)
            ],
            "policy": policy.to_document(),
        }
    )


def found_together(plan: Plan, entries: Sequence[Entry]) -> Genesis:
    """The genesis that a plan and its entries make, in whatever order.  Raises :class:`OperatorError`."""
    checked = founders(plan, entries)
    if fault := lacking(plan, checked):
        raise OperatorError(fault)
    return Genesis(
        name=plan.name,
        genesis_time_ms=plan.genesis_time_ms,
        slot_ms=plan.slot_ms,
        batch=_batch(len(checked)),
        heartbeat_slots=plan.heartbeat_slots,
        max_expiry_blocks=plan.max_expiry_blocks,
        validators=tuple((entry.key, entry.weight) for entry in checked),
        policy=plan.policy,
        founding=Founding(plan.tolerates, plan.max_weight, checked),
    )


def plan_of(genesis: Genesis, founding: Founding) -> Plan:
    """The plan under which a genesis was founded so."""
    return Plan(
        name=genesis.name,
        genesis_time_ms=genesis.genesis_time_ms,
        slot_ms=genesis.slot_ms,
        heartbeat_slots=genesis.heartbeat_slots,
        max_expiry_blocks=genesis.max_expiry_blocks,
        tolerates=founding.tolerates,
        max_weight=founding.max_weight,
        policy=genesis.policy,
    )


def _batch(validators: int) -> int:
    return min(validators + max(2, validators // 3), BATCH_MAX)


def make_genesis(document: dict[str, Any]) -> Genesis:
    """Check a parsed genesis document.  Raises :class:`OperatorError` that names what to mend."""
    expected = {"format", "name", "validators", "policy", *_RANGES}
    if not isinstance(document, dict) or set(document) - {"founding"} != expected:
        raise OperatorError(f"genesis: the fields must be exactly {', '.join(sorted(expected))}")
    if type(document["format"]) is not int or document["format"] != FORMAT:
        raise OperatorError(f"genesis: format {document['format']!r} is not known to this version")
    name = document["name"]
    if not is_name(name):
        raise OperatorError(f"genesis: name must be a text of 1 to {MAX_NAME_CHARACTERS} characters")
    for field, (low, high) in _RANGES.items():
        if type(document[field]) is not int or not low <= document[field] <= high:
            raise OperatorError(f"genesis: {field} must be an integer from {low} to {high}")
    validators = _read_validators(document["validators"])
    if document["batch"] < len(validators):
        raise OperatorError(f"genesis: batch must be at least the number of validators, {len(validators)}")
    genesis = Genesis(
        name=name,
        validators=validators,
        policy=read_policy(document["policy"]),
        **{field: document[field] for field in _RANGES},
    )
    return _founded(genesis, document["founding"]) if "founding" in document else genesis


def _founded(genesis: Genesis, document: Any) -> Genesis:
    """The genesis with the founding that its file holds, which must be how it came about."""
    try:
        founding = read_founding(document)
        founded = found_together(plan_of(genesis, founding), founding.entries)
    except (Mistake, Refused) as error:
        raise OperatorError(f"genesis: its founding is damaged ({error}); copy it again") from error
    if founded != replace(genesis, founding=founding):
        raise OperatorError("genesis: it is not what its founders signed; put their entries together again")
    return founded


def _read_validators(rows: Any) -> tuple[tuple[bytes, int], ...]:
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_VALIDATORS:
        raise OperatorError(f"genesis: validators must be a list of 1 to {MAX_VALIDATORS}")
    validators = []
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or set(row) != {"did", "weight"}:
            raise OperatorError(f"genesis: validators[{number}] needs exactly did and weight")
        if type(row["did"]) is not str:
            raise OperatorError(f"genesis: validators[{number}].did must be a text like did:key:z6Mk…")
        weight = row["weight"]
        if type(weight) is not int or not 1 <= weight <= MAX_WEIGHT:
            raise OperatorError(f"genesis: validators[{number}].weight must be 1 to {MAX_WEIGHT}")
        try:
            key = key_from_did(row["did"])
            check_public_key(key)
        except Refused as refusal:
            raise OperatorError(f"genesis: validators[{number}].did is not a usable key: {refusal}") from refusal
        validators.append((key, weight))
    if len({key for key, _ in validators}) != len(validators):
        raise OperatorError("genesis: a validator is listed twice")
    return tuple(validators)


def load_genesis(path: Path) -> Genesis:
    """Read ``genesis.json``.  Raises :class:`OperatorError`."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise OperatorError(
            f"{path} is missing; copy the network's genesis.json there, or name another place"
        ) from error
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise OperatorError(f"{path} cannot be read as JSON ({error}); copy it again") from error
    return make_genesis(document)
