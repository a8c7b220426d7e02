"""A testnet's home: ``genesis.json``, ``testnet.json`` and one node home for each process.

``testnet.json`` holds the shape of the network and the seed of its keys.  It is written last: a folder that has
it is complete and can be resumed.
"""

from __future__ import annotations

import json
import os
import random
import socket
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from chain.base.errors import OperatorError
from chain.base.keys import SecretKey, did_from_key
from chain.content.genesis import Genesis, found_genesis, load_genesis
from chain.content.policy import Policy
from p2p.local.addressbook import give_name
from p2p.local.config import HomeConfig, read_config
from p2p.local.founding import named_policy
from p2p.local.home import create_home, peer_id_of
from p2p.local.whole import DRAFT, whole_folder
from scripts.municipal.story import rehearsal_policy
from scripts.replay import EXPIRY_HEIGHT, node_seed
from scripts.tale.plots import rehearsed
from scripts.testnet_parts.shape import (
    DEFAULT_NODES,
    DEFAULT_SLOT_MS,
    MARKETPLACE,
    MUNICIPAL,
    STORY_SLOT_MS,
    Shape,
    Wanted,
)

FORMAT = 1
SHAPE = "testnet.json"
# Twenty seconds of silence at the default slot: a watcher sees that the network lives.
HEARTBEAT_SLOTS = 20
# Linux gives those above to whoever asks for any, other systems those above 49,151.
NAMED_PORTS = range(10_000, 32_768)


@dataclass(frozen=True, slots=True)
class TestnetHome:
    """A testnet's home on disk."""

    __test__ = False  # pytest takes the name for a test case

    path: Path
    genesis: Genesis
    shape: Shape
    is_resumed: bool


def open_testnet(path: Path | None, wanted: Wanted) -> TestnetHome:
    """Resume the testnet at ``path``, or make a new one there, or in a fresh folder if it is None.

    Raises :class:`OperatorError` for a home of another shape, a folder with other things in it, a taken port.
    """
    if path is None:
        path = Path(tempfile.mkdtemp(prefix="goodfaith-testnet-"))
    path = path.resolve() if os.pardir in path.parts else path.absolute()  # it is shown, and copied
    if (path / SHAPE).exists():
        return _resume(path, wanted)
    try:
        is_empty = not path.exists() or not any(path.iterdir()) or (path / DRAFT).exists()
    except OSError as error:
        raise OperatorError(f"{path} cannot be used as a home: {error.strerror}") from error
    if not is_empty:
        raise OperatorError(f"{path} is not the home of a testnet and not empty; choose another folder")
    return _create(path, wanted)


def _create(path: Path, wanted: Wanted) -> TestnetHome:
    scenario = wanted.scenario or MARKETPLACE
    default_slot_ms = DEFAULT_SLOT_MS if scenario == MARKETPLACE else STORY_SLOT_MS
    shape = Shape(
        nodes=DEFAULT_NODES if wanted.nodes is None else wanted.nodes,
        # The first observer of the city's story is to become a validator.
        observers=max(int(scenario == MUNICIPAL), wanted.observers or 0),
        slot_ms=default_slot_ms if wanted.slot_ms is None else wanted.slot_ms,
        seed=os.urandom(32),
        scenario=scenario,
    )
    genesis = _genesis(shape, _policy(shape, wanted.policy), time.time_ns() // 1_000_000)
    seeds = [node_seed(shape.seed, index) for index in range(len(shape.names))]
    ports = free_ports(2 * len(seeds))
    faces = [f"127.0.0.1:{port}" for port in ports[len(seeds) :]]
    addresses = [f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer_id_of(seed)}" for port, seed in zip(ports, seeds, strict=False)]
    with whole_folder(path, ["genesis.json", *shape.names, SHAPE]) as draft:
        for name, seed, address, face in zip(shape.names, seeds, addresses, faces, strict=True):
            config = HomeConfig(
                listen=[address.partition("/p2p/")[0]],
                peers=[other for other in addresses if other != address],
                http=face,
                http_origins=["http://127.0.0.1:*"],  # the page of each node compares it with the others
                allow_partitions=True,
            )
            create_home(draft / name, genesis, seed, config)
            for other, other_seed in zip(shape.names, seeds, strict=True):
                give_name(draft / name, did_from_key(SecretKey(other_seed).public), other)
        (draft / "genesis.json").write_text(genesis.to_json(), encoding="utf-8")
        document = {"format": FORMAT, **asdict(shape), "seed": shape.seed.hex()}
        descriptor = os.open(draft / SHAPE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=2) + "\n")
    return TestnetHome(path, genesis, shape, is_resumed=False)


def _policy(shape: Shape, named: str | None) -> Policy:
    """The policy to found a network with.  Raises :class:`OperatorError`."""
    if shape.scenario == MUNICIPAL:
        return rehearsal_policy(shape.slot_ms)
    policy = named_policy(named or MARKETPLACE)
    return rehearsed(policy, shape.slot_ms) if shape.is_story else policy


def _genesis(shape: Shape, policy: Policy, now_ms: int) -> Genesis:
    validators = [SecretKey(node_seed(shape.seed, index)).public for index in range(shape.nodes)]
    return found_genesis(
        "testnet",
        policy,
        validators,
        genesis_time_ms=now_ms,
        slot_ms=shape.slot_ms,
        # What a story waits for happens in blocks: a chain that sleeps would let it wait.
        heartbeat_slots=1 if shape.is_story else HEARTBEAT_SLOTS,
        max_expiry_blocks=EXPIRY_HEIGHT,
    )


def shape_of(path: Path) -> Shape:
    """What the testnet at ``path`` was made with.  Raises :class:`OperatorError`."""
    try:
        document = json.loads((path / SHAPE).read_text(encoding="utf-8"))
        if document.pop("format") != FORMAT:
            raise OperatorError(f"{path / SHAPE} is of another version; start with a fresh home")
        return Shape(**{**document, "seed": bytes.fromhex(document["seed"])})
    except (FileNotFoundError, NotADirectoryError) as error:
        raise OperatorError(f"{path} holds no testnet; name the folder that it said when it started") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OperatorError(f"{path / SHAPE} cannot be read; start with a fresh home") from error


def _resume(path: Path, wanted: Wanted) -> TestnetHome:
    shape = shape_of(path)
    for option, asked, have in (
        ("--scenario", wanted.scenario, shape.scenario),
        ("--nodes", wanted.nodes, shape.nodes),
        ("--observers", wanted.observers, shape.observers),
        ("--slot-ms", wanted.slot_ms, shape.slot_ms),
    ):
        if asked is not None and asked != have:
            raise OperatorError(f"{path} was made with {option} {have}, not {asked}; leave {option} out to resume it")
    genesis = load_genesis(path / "genesis.json")
    if wanted.policy is not None and _policy(shape, wanted.policy) != genesis.policy:
        raise OperatorError(f"{path} was founded with another policy; leave out --policy to resume it")
    for name, port in ((each, port) for each in shape.names for port in _ports_of(path / each)):
        if not _is_free(port):
            raise OperatorError(
                f"port {port} of {name} is taken; stop what uses it (is this testnet running already?) and try again"
            )
    return TestnetHome(path, genesis, shape, is_resumed=True)


def _ports_of(home: Path) -> tuple[int, int]:
    """Where a node is reached by its peers, and by people."""
    config = read_config(home / "config.toml")
    port = config.listen[0].rpartition("/tcp/")[2] if config.listen else ""
    if not port.isdecimal():
        raise OperatorError(f"{home / 'config.toml'}: listen must hold one address like /ip4/127.0.0.1/tcp/9000")
    return int(port), int(config.http.rpartition(":")[2] or 0)


def free_ports(number: int) -> Sequence[int]:
    """Ports of loopback that nobody listens on right now, all different.

    None that the system gives to whoever asks for any: such a one may be gone before its node listens, or while it is
    down.
    """
    drawn = random.SystemRandom().sample(NAMED_PORTS, len(NAMED_PORTS))
    return list(islice(filter(_is_free, drawn), number))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
