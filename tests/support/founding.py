"""Founders of a network, for tests: a plan and the entries that they sign."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chain.content.founding import Entry, Plan, sign_entry
from chain.content.policyfile import shipped_policy
from p2p.local.home import peer_id_of
from tests.support.world import GENESIS_MS, secret

PLAN = Plan(
    name="city",
    genesis_time_ms=GENESIS_MS,
    slot_ms=1_000,
    heartbeat_slots=20,
    max_expiry_blocks=100_000,
    tolerates=1,
    max_weight=1,
    policy=shipped_policy("marketplace"),
)


def plan_with(**changes: Any) -> Plan:
    """The plan, with other terms."""
    return replace(PLAN, **changes)


def entry_of(number: int, plan: Plan = PLAN, **changes: Any) -> Entry:
    """The entry that ``secret(number)`` signs, with what is to be different in it."""
    fields = {
        "organisation": f"Office {number}",
        "address": f"/ip4/192.0.2.{number}/tcp/4001/p2p/{peer_id_of(secret(number).seed)}",
        "weight": 1,
        **changes,
    }
    return sign_entry(plan, secret(number), **fields)


def entries_of(*numbers: int, plan: Plan = PLAN) -> list[Entry]:
    """The entries of these."""
    return [entry_of(number, plan) for number in numbers]
