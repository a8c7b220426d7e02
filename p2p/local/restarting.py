"""A restart that people agree on, on its way from validator to validator: a file that each signs in turn.

The first makes it, with the head of its home as the block to go on from.  Whoever signs gives up its signing state and
says nothing until the restart came, or the chain made something final that rules it out: so what was signed can never
contradict what becomes final without it.  The node of whoever signs last, when it is enough, makes the block.
Source: protocol 3.7.
"""

from __future__ import annotations

from p2p.local.commandline import pasted

import json
import secrets
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from chain.base.codec import U64_MAX, blob, integer
from chain.base.errors import OperatorError, Refused
from chain.base.keys import SIGNATURE_BYTES, did_from_key, key_from_did
from chain.branches.blockchain import Blockchain
from chain.consensus.electorate import Electorate
from chain.consensus.restart import SALT_BYTES, Restart
from chain.disk.storage import Storage
from chain.protocol.rescue import has_come, may_come, undone
from p2p.local.carried import read_carried
from p2p.local.home import Home, locked

FORMAT = "goodfaith restart"
VERSION = 1
# A signature takes 200 bytes, and a set has at most 256 keys.
MAX_FILE_BYTES = 131_072


@dataclass(frozen=True, slots=True)
class Signed:
    """What came of signing: the restart with all signatures, and whose they are worth.

    ``left`` are the blocks above the tip that this home has; they are made anew.  ``may_lead`` says whether its node
    can make the block, where enough signed.
    """

    restart: Restart
    electorate: Electorate
    left: int
    may_lead: bool

    @property
    def signers(self) -> frozenset[bytes]:
        """Whose signatures it has."""
        return frozenset(key for key, _ in self.restart.signatures)

    @property
    def is_agreed(self) -> bool:
        """Whether they are enough."""
        return self.electorate.is_enough(self.signers)

    @property
    def missing(self) -> list[bytes]:
        """Who could sign, too."""
        return sorted(self.electorate.speakers - self.signers)

    @property
    def count(self) -> str:
        """How much weight signed of how much is needed, in each set that decides."""
        return " and ".join(
            f"{decides.weight_of(self.signers)} of the {decides.threshold} needed (of {sum(decides.by_key.values())})"
            for decides in self.electorate.sets
        )


def when_stalled(home: Path) -> str:
    """What the operator of ``home`` does where nothing becomes final."""
    return (
        "start the missing nodes, and it goes on by itself; only where a third or more of the weight lost what they "
        f"signed last, stop this node and run `python node.py restart sign restart.json --home {quote(str(home))}`"
    )


def sign_restart(home: Home, file: Path, *, blind: int | None = None, again: bool = False) -> Signed:
    """Sign the restart in ``file`` with the key of ``home``, or make one where there is no such file.

    ``blind``, the height of the block, lets a home sign that does not know it; ``again`` one that signed another
    restart, which may still come.  Raises :class:`OperatorError`, and has signed nothing then.
    """
    with locked(home.path), closing(Storage(home.database, home.genesis)) as storage:
        storage.bind(home.secret.public)
        if storage.is_exported:
            raise OperatorError(f"the signing state of {home.path} left it; sign in the home where it is now")
        chain, signing = storage.load()
        known = storage.restart
        restart = _read(home, file) if file.exists() else _begin(home, chain, None if again else known)
        _check_place(home, file, restart, chain, blind)
        _check_known(home, file, restart, chain, known, again=again)
        _check_promise(home, file, restart, undone(restart, chain, signing, known))
        electorate = chain.tree[restart.tip].votes.electorate if restart.tip in chain.tree else chain.electorate
        if home.secret.public not in electorate.speakers:
            raise OperatorError(f"the key of {home.path} is not a validator's, so its signature counts for nothing")
        if known is not None and known.is_same(restart):
            both = dict(known.signatures) | dict(restart.signatures)
            restart = restart._replace(signatures=tuple(sorted(both.items())))
        restart = restart.signed(home.secret, home.genesis.id)
        storage.sign_restart(restart)
        _write(home, file, restart)
    may_lead = electorate.may_lead(home.secret.public)
    return Signed(restart, electorate, max(0, chain.head.header.height - restart.height), may_lead)


def _begin(home: Home, chain: Blockchain, known: Restart | None) -> Restart:
    """The one that this home signed before and that may still come, or a new one from its head."""
    if known is not None and may_come(known, chain):
        return known
    head = chain.head.header
    return Restart(head.id, head.height, secrets.token_bytes(SALT_BYTES))


def _check_place(home: Home, file: Path, restart: Restart, chain: Blockchain, blind: int | None) -> None:
    """Whether the chain may go on from there, as far as this home knows.  Raises :class:`OperatorError`."""
    if not restart.height:
        raise OperatorError(
            f"a restart from {home.path}, which holds no block, would begin the register anew, and whoever kept the "
            "old one could go on with that: begin in the home with the largest height, or where no home has any, found "
            "another network with the same keys: `python node.py genesis new`"
        )
    run = f"`python node.py run --home {pasted(home.path)}`"
    if has_come(restart, chain):
        raise OperatorError(f"the restart in {file} has taken place; there is nothing to sign, start the node: {run}")
    if restart.tip in chain.tree:
        if chain.tree[restart.tip].header.height != restart.height:
            raise OperatorError(f"{file} names another height than its block has; have it made anew")
        _check_valid(home, file, restart, chain)
        return
    if not may_come(restart, chain):
        raise OperatorError(
            f"{file} goes on from height {restart.height:,}, not from a block that descends from what is final "
            f"here, at height {chain.finalized.height:,}: it would undo that; never sign it, and begin one in this "
            "home instead"
        )
    if blind != restart.height:
        raise OperatorError(
            f"{home.path} does not know the block at height {restart.height:,} in {file}; let its node run until it "
            f"has that block ({run}), stop it and sign then; where its own chain is as long by now, it fetches no "
            f"other: begin another file here, which the others sign with --again; or add --blind {restart.height}: it "
            "then signs without having looked, and what any home knows to be final above that height is left out"
        )


def _check_valid(home: Home, file: Path, restart: Restart, chain: Blockchain) -> None:
    """Whether its block is valid: beside the head nobody looked yet.  Raises :class:`OperatorError`."""
    head = chain.head.header.id
    try:
        chain.return_to(restart.tip)
    except Refused as refusal:
        raise OperatorError(
            f"{file} goes on from a block that proves invalid in {home.path} ({refusal}): no honest node goes on from "
            "it; never sign it, and begin one in this home instead, with another file"
        ) from refusal
    chain.return_to(head)


def _check_known(
    home: Home, file: Path, restart: Restart, chain: Blockchain, known: Restart | None, *, again: bool
) -> None:
    """Whether this key may sign it after what it signed before.  Raises :class:`OperatorError`."""
    is_known = known is not None and known.is_same(restart)
    if not is_known and home.secret.public in dict(restart.signatures):
        raise OperatorError(
            f"{file} is signed with this key already, and {home.path} does not know of it: it lost its database, or "
            "was restored, since; the signature counts, and this home comes back by itself: "
            f"`python node.py run --home {pasted(home.path)}`"
        )
    if known is not None and not is_known and not again and may_come(known, chain):
        raise OperatorError(
            f"{home.path} signed another restart, from height {known.height:,}, which may still come: if both are "
            "agreed on, the register splits in two; sign that one, or see to it that nobody uses it any more and add "
            "--again"
        )


def _check_promise(home: Home, file: Path, restart: Restart, undone_height: int) -> None:
    """Whether what this home stood behind, and may be final elsewhere, stays.  Raises :class:`OperatorError`."""
    if undone_height:
        raise OperatorError(
            f"{file} goes on from height {restart.height:,}, and {home.path} voted up to height {undone_height:,}, "
            "which may be final elsewhere; never sign it, and begin one in this home instead, with another file"
        )


def _read(home: Home, file: Path) -> Restart:
    """What ``file`` holds, rightly signed, for this network.  Raises :class:`OperatorError`."""
    try:
        chain_id, restart = _parse(read_carried(file, FORMAT, VERSION, MAX_FILE_BYTES))
        if chain_id == home.genesis.id:
            restart.signers(chain_id)
    except OSError as error:
        raise OperatorError(f"{file} cannot be read ({error.strerror}); name the file of the restart") from error
    except (Refused, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise OperatorError(f"{file} is damaged, or not a restart ({error}); copy it again") from error
    if chain_id != home.genesis.id:
        raise OperatorError(f"{file} is of another network than {home.path}; sign it in a home of that network")
    return restart


def _parse(document: Any) -> tuple[bytes, Restart]:
    signatures = {
        key_from_did(did): blob(bytes.fromhex(signature), SIGNATURE_BYTES, "a signature")
        for did, signature in document["signatures"].items()
    }
    return bytes.fromhex(document["chain_id"]), Restart(
        blob(bytes.fromhex(document["tip"]), 32, "the tip"),
        integer(document["height"], 0, U64_MAX, "the height"),
        blob(bytes.fromhex(document["salt"]), SALT_BYTES, "the salt"),
        tuple(sorted(signatures.items())),
    )


def _write(home: Home, file: Path, restart: Restart) -> None:
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "chain_id": home.genesis.id.hex(),
        "tip": restart.tip.hex(),
        "height": restart.height,
        "salt": restart.salt.hex(),
        "signatures": {did_from_key(key): signature.hex() for key, signature in restart.signatures},
    }
    draft = file.with_name(f"{file.name}.draft")
    try:
        draft.write_text(json.dumps(document, indent=2) + "\n", encoding="ascii")
        draft.replace(file)
    except OSError as error:
        raise OperatorError(
            f"{file} cannot be written ({error.strerror}), but {home.path} has signed: sign once more, to where there "
            "is room, and the file will be the same"
        ) from error
