"""Whether a restart that people agree on may still come, and what it would undo, as a home knows it.

Source: protocol 3.7.
"""

from __future__ import annotations

from chain.branches.blockchain import Blockchain
from chain.consensus.restart import Restart
from chain.protocol.events import SigningState


def may_come(restart: Restart, chain: Blockchain) -> bool:
    """Whether a restart has not come on the head's branch, and neither what is final nor the rules rule it out."""
    if restart.tip in chain.tree:
        tip = chain.tree[restart.tip]
        is_ruled_out = tip.invalid or tip.header.height != restart.height
    else:
        is_ruled_out = restart.height <= chain.finalized.height
    return bool(restart.height) and not is_ruled_out and not has_come(restart, chain)


def has_come(restart: Restart, chain: Blockchain) -> bool:
    """Whether the head stands on a restart."""
    return any(tag.tag == restart.tag(tag.key) for tag in chain.electorate.tags)


def undone(restart: Restart, chain: Blockchain, signing: SigningState | None, before: Restart | None) -> int:
    """Up to which height this home voted for what may be final elsewhere and a restart leaves out; 0 for nothing.

    Any branch on which as much is prevoted as this home saw holds all that its votes helped to make final.  What it
    said before it signed another restart (``before``) is given up, and was at most what that one's block saw prevoted.
    Nothing is known where the restart's block is not.
    """
    stood_behind = max(chain.head.header.mhp, 0 if signing is None else signing.last_mhp)
    if before is not None and before.tip in chain.tree and may_come(before, chain):
        stood_behind = max(stood_behind, chain.tree[before.tip].votes.mhp)
    is_held = restart.tip not in chain.tree or chain.tree[restart.tip].votes.mhp >= stood_behind
    return 0 if is_held else stood_behind
