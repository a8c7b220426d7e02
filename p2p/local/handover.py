"""A validator's signing state, on its way to another machine.

It moves, it is never copied: its home has given it up, durably, before the first byte of it is in a file, and signs
nothing until a state is imported again.  A crash in between costs the ability to sign, at most; exporting once more
brings it back.  The file holds no secret, and is signed by the key that it is about.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, astuple
from itertools import count
from pathlib import Path
from typing import Any, TextIO

from chain.base.codec import U64_MAX, blob, encode, integer
from chain.base.errors import OperatorError, Reason, Refused
from chain.base.keys import did_from_key, key_from_did, verify
from chain.consensus.statements import TAG_BYTES
from chain.disk.storage import Storage
from chain.protocol.events import SigningState
from p2p.local.carried import read_carried
from p2p.local.home import EXPORTED, Home, locked

FORMAT = "goodfaith signing state"
VERSION = 2
SIGNING_TAG = b"goodfaith/signing-state/1"
# Some 600 are needed; whoever indents it more may.
MAX_FILE_BYTES = 4_096
_NUMBERS = ("slot", "mhg", "last_mhp", "last_height")


def export_signing(home: Home, file: Path) -> SigningState:
    """Move the signing state of ``home`` into a new ``file``.  Raises :class:`OperatorError`.

    Exporting again writes the same state, for a file that got lost before it was imported.
    """
    with locked(home.path), closing(Storage(home.database, home.genesis)) as storage, _new_file(file) as out:
        storage.bind(home.secret.public)
        signing = storage.export_signing()
        document = _document(home, signing)
        draft = home.path / f"{EXPORTED}.draft"
        draft.unlink(missing_ok=True)
        with _new_file(draft) as mark:
            mark.write(document)
        draft.replace(home.path / EXPORTED)
        out.write(document)
    return signing


def import_signing(home: Home, file: Path) -> SigningState:
    """Let ``home`` sign above the state in ``file``.  Raises :class:`OperatorError`; the home is then as before."""
    signing = _read_export(home, file)
    with locked(home.path), closing(Storage(home.database, home.genesis)) as storage:
        storage.import_signing(home.secret.public, signing)
        (home.path / EXPORTED).unlink(missing_ok=True)
    return signing


def renew_database(home: Home, *, is_sure: bool = False) -> Path | None:
    """An empty database beside the old key; the old one, if any, is moved aside, to the path that this returns.

    What was signed before is then unknown, and a validator signs again once the chain made final that it starts anew;
    one whose signing state left this home signs nothing, as before.  Raises :class:`OperatorError`, also where no peer
    is configured that could hold the chain, unless the operator ``is_sure``.
    """
    if not (home.config.peers or home.config.seeds) and not is_sure:
        raise OperatorError(
            f"no peer is configured in {home.path / 'config.toml'}, so no other home is known to hold this chain: "
            "restore a backup, or name a peer there; add --yes to begin with an empty chain all the same"
        )
    with locked(home.path):
        mark = home.path / EXPORTED
        try:
            exported = _read_export(home, mark) if mark.exists() else None
        except OperatorError as error:
            raise OperatorError(
                f"{mark} says that the signing state left this home, and is damaged; remove it if no other machine "
                "signs with this key"
            ) from error
        aside = _move_aside(home.database) if isinstance(home.database, Path) else None
        Storage.create(home.database, home.genesis, None, exported=exported)
    return aside


def _move_aside(database: Path) -> Path | None:
    """Give a database, with the log beside it, a name that is free, if it is there at all."""
    names = (database.with_name(f"{database.name}.aside-{number}") for number in count(1))
    aside = next(name for name in names if not name.exists())
    try:
        # What SQLite would take for the log of the new database goes first; and last what tells, where it ends before
        # that, that a log is missing.
        for suffix in ("-wal", "-shm", "", "-commits"):
            part = database.with_name(database.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
    except OSError as error:
        raise OperatorError(f"{database} cannot be moved aside ({error.strerror}); move it away yourself") from error
    return aside if aside.exists() else None


def _read_export(home: Home, file: Path) -> SigningState:
    """What ``file`` holds, which must be this home's key and network.  Raises :class:`OperatorError`."""
    try:
        chain_id, public, signing = _parse(read_carried(file, FORMAT, VERSION, MAX_FILE_BYTES))
    except OSError as error:
        raise OperatorError(f"{file} cannot be read ({error.strerror}); name the file that was exported") from error
    except (Refused, ValueError, TypeError, KeyError, RecursionError) as error:
        raise OperatorError(
            f"{file} is damaged, or not an export ({error}); copy it again, or export it again"
        ) from error
    if chain_id != home.genesis.id:
        raise OperatorError(f"{file} was exported from another network; import it into a home of that network")
    if public != home.secret.public:
        raise OperatorError(
            f"{file} is of another key, {did_from_key(public)}; import it into a home made with "
            "`python node.py init --key FILE` from that key"
        )
    return signing


def _document(home: Home, signing: SigningState) -> str:
    document = {
        "format": FORMAT,
        "version": VERSION,
        "chain_id": home.genesis.id.hex(),
        "did": did_from_key(home.secret.public),
        "signing": {
            name: value.hex() if isinstance(value, bytes) else value for name, value in asdict(signing).items()
        },
        "signature": home.secret.sign(_message(home.genesis.id, signing)).hex(),
    }
    return json.dumps(document, indent=2) + "\n"


def _parse(document: Any) -> tuple[bytes, bytes, SigningState]:
    """The chain id, the public key and the state of an export."""
    chain_id, public = bytes.fromhex(document["chain_id"]), key_from_did(str(document["did"]))
    signing = _read_signing(document["signing"])
    if not verify(public, _message(chain_id, signing), bytes.fromhex(document["signature"])):
        raise Refused(Reason.BAD_SIGNATURE, "it is not what was written")
    return chain_id, public, signing


def _read_signing(document: dict[str, Any]) -> SigningState:
    numbers = {name: integer(document[name], 0, U64_MAX, name) for name in _NUMBERS}
    last_id, tag = bytes.fromhex(document["last_id"]), bytes.fromhex(document["tag"])
    return SigningState(**numbers, last_id=last_id, tag=blob(tag, TAG_BYTES, "the tag"))


def _message(chain_id: bytes, signing: SigningState) -> bytes:
    return SIGNING_TAG + encode((chain_id, astuple(signing)))


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """A file that is whole and durable in the end, or gone."""
    try:
        with path.open("x", encoding="ascii") as out:
            try:
                yield out
                out.flush()
                os.fsync(out.fileno())
            except BaseException:
                path.unlink()
                raise
    except OSError as error:
        raise OperatorError(f"{path} cannot be written ({error.strerror}); export to another file") from error
