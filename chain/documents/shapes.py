"""The shapes of documents, from which the description of the HTTP API follows (:mod:`p2p.local.openapi`).

Every class is an object of JSON: its docstring says what it is, and what is :class:`NotRequired` is there where it
applies.  Ids, digests and raw bytes are hexadecimal, keys are dids, times are those at which slots begin (ISO 8601,
UTC).
"""

from __future__ import annotations

from typing import TypedDict


class AsOf(TypedDict):
    """As of which height an answer is, and whether that is final."""

    as_of_height: int
    final: bool


class AtHead(AsOf):
    """The same for what is told of blocks, and up to which height the chain is final."""

    finalized_height: int
