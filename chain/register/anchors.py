"""Reports beside the chain, anchored in it: who made one says of what, and nothing follows from it.

The block that holds an anchor is all that keeps it: no score, no quota of others and no entry of the state depends on
one, so there is nothing to bound but how much somebody writes a day.
Source: protocol 8.6.
"""

from __future__ import annotations

from chain.content.actions import Anchor
from chain.register.draft import Draft
from chain.register.entries import REVOKED


def anchor(draft: Draft, _action: Anchor, actor: bytes) -> None:
    """Somebody stands by a report.  Raises :class:`Refused` as :func:`check_writer` does."""
    check_writer(draft, actor)


def check_writer(draft: Draft, actor: bytes) -> None:
    """Who makes blocks, an authority or a member may.  Raises :class:`Refused` ``NOT_ENROLLED`` for anybody else."""
    authority = draft.authority(draft.identity(actor))
    holds_office = authority is not None and authority.status != REVOKED
    if not holds_office and draft.validators.seat(actor) is None:
        draft.member(actor)
