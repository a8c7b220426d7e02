"""A node's home: the folder with its key, configuration, genesis and database.

================  ==========================================================
``key``           the secret (:mod:`p2p.local.keyfile`); readable by its owner only
``config.toml``   how this node talks (:class:`p2p.local.config.HomeConfig`)
``genesis.json``  the network
``chain.db``      the chain, the state and what this validator signed last; beside it,
                  while a node runs, SQLite's log, and how many commits it took; not where
                  a server has them (``store`` in the configuration)
``node.json``     written by a running node: process id and addresses
``peers.json``    where peers were reached, so that a restarted node finds them
``lock``          held by the one process that runs or changes the home
================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import base58
import filelock

from chain.base.errors import OperatorError
from chain.base.keys import SecretKey, derive_seed
from chain.content.genesis import Genesis, load_genesis
from chain.disk.database import DATABASE
from chain.disk.places import Address, Place
from chain.disk.storage import Storage
from chain.protocol.events import SigningState
from p2p.local.config import HomeConfig, place_in, place_of, read_config
from p2p.local.keyfile import read_key, write_key
from p2p.local.passphrase import ASKED, Passphrase
from p2p.local.whole import require_no_testnet, whole_folder

# What makes a home, the key last: without it a folder is none.
_FILES = ("genesis.json", "config.toml", DATABASE, "key")
MAKE_ONE = "make one: `python node.py init -h` says how"
"""What whoever has no home is told."""
PEER_BOOK = "peers.json"
# Beside the database, for the day it is lost: the home remembers what it gave away.
EXPORTED = "exported.json"
NETWORK_LABEL = b"network identity"
# A libp2p peer id of an Ed25519 key: identity multihash (0x00, 36 bytes) of the key's protobuf.
_PEER_ID_PREFIX = bytes.fromhex("002408011220")


@dataclass(frozen=True)
class Home:
    """A home that was read and checked."""

    path: Path
    genesis: Genesis
    secret: SecretKey
    config: HomeConfig

    @property
    def database(self) -> Place:
        """Where the chain is.  Raises :class:`OperatorError` for a server that is to do what only a file can."""
        if self.config.store and self.config.mode == "pruned":
            raise OperatorError(
                f"a server keeps copies of what is deleted, in files that no node sees: set mode in "
                f"{self.path / 'config.toml'} to full, or keep the chain in a file of this home, without a store"
            )
        return place_of(self.path, self.config)

    @property
    def network_seed(self) -> bytes:
        """The seed of the libp2p identity, derived so that it is another key than the one that signs blocks."""
        return derive_seed(self.secret.seed, NETWORK_LABEL)


def peer_id_of(seed: bytes) -> str:
    """The libp2p peer id of the home whose secret is ``seed``."""
    public = SecretKey(derive_seed(seed, NETWORK_LABEL)).public
    return base58.b58encode(_PEER_ID_PREFIX + public).decode()


def create_home(
    path: Path,
    genesis: Genesis,
    seed: bytes,
    config: HomeConfig,
    *,
    may_have_signed: bool = False,
    word: bytes | None = None,
) -> None:
    """Write a new home, whole or not at all.  Raises :class:`OperatorError`, also where one exists.

    A folder that holds nothing but this key (:func:`begin_home`) becomes one.  ``may_have_signed`` is for a key that
    was in use before: its node stays silent until it cannot contradict itself.  With a passphrase ``word`` the key is,
    or was, encrypted.
    """
    is_begun = is_begun_home(path) and _is_key_of(path / "key", seed, word)
    files = [name for name in _FILES if not (name == "key" and is_begun) and not (name == DATABASE and config.store)]
    with whole_folder(path, files) as draft:
        if not is_begun:
            write_key(draft / "key", seed, word)
        (draft / "genesis.json").write_text(genesis.to_json(), encoding="utf-8")
        (draft / "config.toml").write_text(config.to_toml(), encoding="utf-8")
        place = place_of(path, config)
        if isinstance(place, Address):
            (draft / "config.toml").chmod(0o600)  # it may hold a password
        Storage.create(
            draft / DATABASE if isinstance(place, Path) else place, genesis, None if may_have_signed else SigningState()
        )


def _is_key_of(file: Path, seed: bytes, word: bytes | None) -> bool:
    try:
        return read_key(file, Passphrase(word=word)).seed == seed
    except OperatorError:  # whatever it is, it stays as it is
        return False


def begin_home(
    path: Path,
    seed: bytes | None,
    fresh: bytes,
    passphrase: Passphrase = ASKED,
    *,
    word: bytes | None = None,
) -> SecretKey:
    """The key of a home that waits for its genesis: that of ``seed``, or else the one there, or else a ``fresh`` one.

    One that is written is encrypted if there is a passphrase ``word``; ``passphrase`` opens one that is there.  Raises
    :class:`OperatorError` for a home that has its genesis, or another key than ``seed``.
    """
    if any((path / name).exists() for name in _FILES[:-1]):
        raise OperatorError(f"{path} is the home of a network already; join with another folder, which --home names")
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not (path / "key").exists():
            write_key(path / "key", fresh if seed is None else seed, word)
    except OSError as error:
        raise OperatorError(f"{path} cannot be written ({error.strerror}); name another folder") from error
    secret = read_key(path / "key", passphrase if word is None else Passphrase(word=word))
    if seed is not None and secret.seed != seed:
        raise OperatorError(f"{path} has another key already; leave out --key, or name another folder with --home")
    return secret


def is_begun_home(path: Path) -> bool:
    """Whether a folder holds a key that waits for its genesis, and nothing else of a home."""
    return (path / "key").exists() and not any((path / name).exists() for name in (*_FILES[:-1], EXPORTED))


def load_home(path: Path, passphrase: Passphrase = ASKED) -> Home:
    """Read and check a home.  Raises :class:`OperatorError` that says what is missing and what to do."""
    require_no_testnet(path)
    if not any((path / name).exists() for name in _FILES):
        what = "is not a home" if path.is_dir() else "does not exist"
        raise OperatorError(f"{path} {what}; name a node's folder with --home, or {MAKE_ONE}")
    genesis, config = load_genesis(path / "genesis.json"), read_config(path / "config.toml")
    return Home(path, genesis, read_key(path / "key", passphrase), config)


def genesis_of(path: Path) -> Genesis:
    """The genesis of a home that holds a chain, whose key is not looked at.  Raises :class:`OperatorError`."""
    require_no_testnet(path)
    place = place_in(path)
    if isinstance(place, Path) and not place.exists():
        raise OperatorError(f"{path} holds no chain; name a node's home with --home")
    return load_genesis(path / "genesis.json")


def genesis_beside_file(path: Path) -> Genesis:
    """The same, for what is done to a file.  Raises :class:`OperatorError` where a server keeps the chain."""
    place = place_in(path)
    if isinstance(place, Address):
        raise OperatorError(f"{path} has its chain on a server, in {place}; look after it with the server's own tools")
    return genesis_of(path)


def is_in_use(path: Path) -> bool:
    """Whether a process runs or changes this home."""
    if not (path / "lock").exists():
        return False
    try:
        with filelock.FileLock(path / "lock", timeout=0):
            return False
    except filelock.Timeout:
        return True
    except OSError:  # somebody else's home
        return False


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep every other process from running or changing this home.  Raises :class:`OperatorError` where one does."""
    lock = filelock.FileLock(path / "lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise OperatorError(f"{path} is in use by another process; stop its node first") from error
    except OSError as error:
        raise OperatorError(
            f"{lock.lock_file} cannot be written ({error.strerror}): a home is run and changed by its owner, where it "
            "can be written; copy it there"
        ) from error
    try:
        yield
    finally:
        lock.release()
