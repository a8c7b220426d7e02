"""What events and effects are by default."""

from __future__ import annotations

from chain.protocol.events import Commit, SigningState


def test_who_never_signed_has_signed_nothing() -> None:
    assert SigningState() == SigningState(slot=0, mhg=0, last_mhp=0, last_height=0, last_id=b"", tag=bytes(16))
    assert SigningState().last == (0, 0)


def test_a_commit_of_nothing_changes_nothing() -> None:
    assert Commit() == Commit((), (), (), None, None, None, is_signing_lost=False, waiting=None)
