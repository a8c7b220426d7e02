"""A node's home: the folder with its key, configuration, genesis and database.

================  ==========================================================
``key``           the 32-byte secret in hex; readable by its owner only
``config.toml``   how this node talks (:class:`HomeConfig`)
``genesis.json``  the network
``chain.db``      the chain, the state and what this validator signed last
``node.json``     written by a running node: process id and addresses
``peers.json``    where peers were reached, so that a restarted node finds them
``lock``          held by the one process that runs or changes the home
================  ==========================================================
"""

from __future__ import annotations

import json
import os
import shlex
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import base58
import filelock

from chain.database import DATABASE
from chain.errors import OperatorError
from chain.events import SigningState
from chain.genesis import Genesis, load_genesis
from chain.keys import SEED_BYTES, SecretKey, derive_seed
from chain.storage import Storage
from chain.tables import read_text
from p2p.local.whole import whole_folder

# What makes a home, the key last: without it a folder is none.
_FILES = ("genesis.json", "config.toml", DATABASE, "key")
PEER_BOOK = "peers.json"
# Beside the database, for the day it is lost: the home remembers what it gave away.
EXPORTED = "exported.json"
NETWORK_LABEL = b"network identity"
# A libp2p peer id of an Ed25519 key: identity multihash (0x00, 36 bytes) of the key's protobuf.
_PEER_ID_PREFIX = bytes.fromhex("002408011220")


@dataclass(frozen=True)
class HomeConfig:
    """``config.toml``.

    ``peers`` and ``seeds`` are multiaddrs that end in ``/p2p/<peer id>``, ``external_address`` is one that does not;
    ``http`` is ``host:port``.
    """

    listen: list[str] = field(default_factory=lambda: ["/ip4/0.0.0.0/tcp/4001"])
    external_address: str = ""
    peers: list[str] = field(default_factory=list)
    seeds: list[str] = field(default_factory=list)
    private: bool = False
    http: str = "127.0.0.1:4080"
    max_peers: int = 32
    ban_s: int = 300
    allow_partitions: bool = False

    def to_toml(self) -> str:
        """The file with a comment for each setting."""
        return f"""\
# Where other nodes reach this one; port 0 takes any free port.
listen = {_toml(self.listen)}

# Where others reach it if that is elsewhere, behind NAT or a mapped port: like "/ip4/203.0.113.7/tcp/4001".
external_address = {_toml(self.external_address)}

# Nodes to stay connected to, each ending in /p2p/<peer id>; names (/dns4, /dns6, /dnsaddr) are looked up at each dial.
# They always have a place here.
peers = {_toml(self.peers)}

# Nodes to ask for others while hardly any are known, written like peers.
seeds = {_toml(self.seeds)}

# Whether this node talks to its peers above and to nobody else, and tells nobody where it is: for a validator whose
# peers are front nodes of its own.
private = {_toml(self.private)}

# The local HTTP face: status, submission, metrics.  Keep it on loopback; it has no passwords.
http = {_toml(self.http)}

# Connections that this node looks for; it accepts twice as many.
max_peers = {self.max_peers}

# For how many seconds a peer that misbehaved is kept out.
ban_s = {self.ban_s}

# Whether the HTTP face may cut this node from others.  For tests of partitions only.
allow_partitions = {_toml(self.allow_partitions)}
"""


@dataclass(frozen=True)
class Home:
    """A home that was read and checked."""

    path: Path
    genesis: Genesis
    secret: SecretKey
    config: HomeConfig

    @property
    def database(self) -> Path:
        return self.path / DATABASE

    @property
    def network_seed(self) -> bytes:
        """The seed of the libp2p identity, derived so that it is another key than the one that signs blocks."""
        return derive_seed(self.secret.seed, NETWORK_LABEL)


def peer_id_of(seed: bytes) -> str:
    """The libp2p peer id of the home whose secret is ``seed``."""
    public = SecretKey(derive_seed(seed, NETWORK_LABEL)).public
    return base58.b58encode(_PEER_ID_PREFIX + public).decode()


def create_home(
    path: Path, genesis: Genesis, seed: bytes, config: HomeConfig, *, may_have_signed: bool = False
) -> None:
    """Write a new home, whole or not at all.  Raises :class:`OperatorError`, also where one exists.

    A folder that holds nothing but this key (:func:`begin_home`) becomes one.  ``may_have_signed`` is for a key that
    was in use before: its node stays silent until it cannot contradict itself.
    """
    is_begun = is_begun_home(path) and read_key(path / "key").seed == seed
    with whole_folder(path, _FILES[:-1] if is_begun else _FILES) as draft:
        if not is_begun:
            write_key(draft / "key", seed)
        (draft / "genesis.json").write_text(genesis.to_json(), encoding="utf-8")
        (draft / "config.toml").write_text(config.to_toml(), encoding="utf-8")
        Storage.create(draft / DATABASE, genesis, None if may_have_signed else SigningState())


def begin_home(path: Path, seed: bytes | None, fresh: bytes) -> SecretKey:
    """The key of a home that waits for its genesis: that of ``seed``, or else the one there, or else a ``fresh`` one.

    Raises :class:`OperatorError` for a home that has its genesis, or another key than ``seed``.
    """
    if any((path / name).exists() for name in _FILES[:-1]):
        raise OperatorError(f"{path} is the home of a network already; join with another folder, which --home names")
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not (path / "key").exists():
            write_key(path / "key", fresh if seed is None else seed)
    except OSError as error:
        raise OperatorError(f"{path} cannot be written ({error.strerror}); name another folder") from error
    secret = read_key(path / "key")
    if seed is not None and secret.seed != seed:
        raise OperatorError(f"{path} has another key already; leave out --key, or name another folder with --home")
    return secret


def is_begun_home(path: Path) -> bool:
    """Whether a folder holds a key that waits for its genesis, and nothing else of a home."""
    return (path / "key").exists() and not any((path / name).exists() for name in (*_FILES[:-1], EXPORTED))


def load_home(path: Path) -> Home:
    """Read and check a home.  Raises :class:`OperatorError` that says what is missing and what to do."""
    if not any((path / name).exists() for name in _FILES):
        what = "is no home" if path.is_dir() else "is no folder"
        raise OperatorError(f"{path} {what}; make a home with `python node.py init --home {shlex.quote(str(path))}`")
    return Home(path, load_genesis(path / "genesis.json"), read_key(path / "key"), read_config(path / "config.toml"))


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
            "can be written; copy it there, or look into it with `python scripts/inspect_chain.py`"
        ) from error
    try:
        yield
    finally:
        lock.release()


def read_key(path: Path) -> SecretKey:
    """Read a key file.  Raises :class:`OperatorError`, also for one that others can read."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError as error:
        raise OperatorError(f"{path} is missing; name another, or restore it from your backup") from error
    except PermissionError as error:
        raise OperatorError(f"{path} cannot be read by this user; run this as the user whose home it is") from error
    except OSError as error:
        raise OperatorError(f"{path} cannot be read ({error.strerror}); restore it from your backup") from error
    except ValueError:
        text = ""  # whatever it is, it is not ASCII
    if os.name == "posix" and mode & 0o077:
        raise OperatorError(f"{path} can be read by others (mode {mode:04o}); run `chmod 600 {path}`")
    try:
        seed = bytes.fromhex(text)
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise OperatorError(
            f"{path} is not a key ({2 * SEED_BYTES} hex digits); name another, or restore it from your backup"
        )
    return SecretKey(seed)


def write_key(path: Path, seed: bytes) -> None:
    """Write a new key file that only its owner can read, or none.  Raises ``OSError``, also where the file exists."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(seed.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink()
        raise


def read_config(path: Path) -> HomeConfig:
    """Read ``config.toml``; missing settings take their defaults.  Raises :class:`OperatorError`."""
    text = read_text(path, "restore it, or make it an empty file for the defaults")
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise OperatorError(f"{path} is not valid TOML: {error}") from error
    defaults = HomeConfig()
    known = {item.name for item in fields(HomeConfig)}
    for name, value in document.items():
        if name not in known:
            raise OperatorError(f"{path}: {name} is not a setting; choose from {', '.join(sorted(known))}")
        _check_setting(path, name, value, getattr(defaults, name))
    config = HomeConfig(**document)
    if config.private and (not config.peers or config.seeds or config.external_address):
        raise OperatorError(
            f"{path}: a private node needs its front nodes as peers, and has no use for seeds or an external_address"
        )
    return config


def _check_setting(path: Path, name: str, value: Any, default: Any) -> None:
    if type(value) is not type(default):
        raise OperatorError(f"{path}: {name} must be written like {json.dumps(default)}")
    if isinstance(value, list) and not all(isinstance(item, str) for item in value):
        raise OperatorError(f"{path}: {name} must be a list of texts")
    if name == "listen" and not value:
        raise OperatorError(f"{path}: listen must name at least one address, like {json.dumps(default)}")
    if name == "max_peers" and not 1 <= value <= 1_000:
        raise OperatorError(f"{path}: max_peers must be from 1 to 1000")
    if name == "ban_s" and not 1 <= value <= 86_400:
        raise OperatorError(f"{path}: ban_s must be from 1 to 86400")
    if name == "http":
        split_http(value)


def split_http(text: str) -> tuple[str, int]:
    """``host:port`` of the HTTP face.  Raises :class:`OperatorError` for anything else."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or len(port) > 5 or int(port) > 65_535:
        raise OperatorError(f"http must be host:port like 127.0.0.1:4080, not {text!r}")
    return host.strip("[]"), int(port)


def _toml(value: list[str] | str | bool) -> str:
    # JSON and TOML write these alike, but for characters that JSON would escape as surrogates and DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
