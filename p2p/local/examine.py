"""What could be wrong with a home, its machine, its running node, and how its peers see it: findings with remedies."""

from __future__ import annotations

from p2p.local.commandline import pasted, version

import errno
import os
import re
import shutil
import socket
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from chain.base.errors import OperatorError
from chain.base.keys import SecretKey, did_from_key
from chain.content.genesis import Genesis, load_genesis
from chain.disk.database import DATABASE
from chain.disk.newcomer import draft_of
from chain.disk.places import Place
from chain.disk.postgres import open_database
from chain.disk.reader import Reader
from p2p.client import PEERS, STATUS, Announced, Client, NodeAway, NodeStatus, PeerTable, announced
from p2p.local.config import HomeConfig, place_of, read_config, split_http
from p2p.local.home import MAKE_ONE, is_in_use
from p2p.local.keyfile import is_encrypted, read_key
from p2p.local.passphrase import Passphrase
from p2p.local.restarting import when_stalled
from p2p.local.whole import require_no_testnet

if TYPE_CHECKING:
    from p2p.consult import Opinion

ENOUGH_ROOM = 2_000_000_000
"""Bytes: weeks of a busy register, and what SQLite needs beside it."""

MAX_CLOCK_MS = 500
"""Half a slot of a second: a clock that is further off costs slots."""

MAX_BEHIND = 20
"""Blocks that a node may be behind while it is only late."""

T = TypeVar("T")
_LISTENED = re.compile(r"/(ip4|ip6)/([^/]+)/tcp/(\d+)")
_HOST = re.compile(r"/\w+/([^/]+)")
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_CONNECT_TIMEOUT_S = 5.0


class Finding(NamedTuple):
    """One thing that was looked at: whether it is fine, what it is like, and what to do about it if it is not."""

    check: str
    is_fine: bool
    what: str
    remedy: str = ""


@dataclass
class Case:
    """A home as far as it can be read, and what its node says if one runs."""

    path: Path
    genesis: Genesis | None = None
    config: HomeConfig | None = None
    secret: SecretKey | None = None
    facts: Announced | None = None
    status: NodeStatus | None = None
    peers: PeerTable | None = None
    is_in_use: bool = False

    @property
    def database(self) -> Place:
        """Where the chain is."""
        return place_of(self.path, self.config or HomeConfig())


def examine(path: Path, passphrase: Passphrase) -> tuple[Case, list[Finding]]:
    """Look at everything on this machine."""
    case = Case(path)
    if not path.is_dir():
        remedy = f"name the node's folder with --home, or {MAKE_ONE}"
        return case, [Finding("home", False, f"there is no folder {path}", remedy)]
    _, finding = _attempt("home", lambda: require_no_testnet(path), lambda _: "")
    if not finding.is_fine:
        return case, [finding]
    findings = [*_files(case, passphrase), *_node(case), *_folder(case), *_disk(case)]
    if case.genesis is not None:
        findings += _chain(case, case.genesis)
    if case.config is not None:
        findings += _ports(case, case.config)
    return case, findings


# ----------------------------------------------------------------------------------------------- on this machine


def _attempt(check: str, look: Callable[[], T], fine: Callable[[Any], str]) -> tuple[T | None, Finding]:
    """What ``look`` finds, and how it went: an error of the operator's is a finding with the remedy that it names."""
    try:
        value = look()
    except OperatorError as error:
        what, _, remedy = str(error).partition("; ")
        return None, Finding(check, False, what, remedy)
    return value, Finding(check, True, fine(value))


def _files(case: Case, passphrase: Passphrase) -> Iterator[Finding]:
    genesis, finding = _attempt("genesis", lambda: load_genesis(case.path / "genesis.json"), lambda it: f"of {it.name}")
    case.genesis = genesis
    yield finding
    case.config, finding = _attempt(
        "configuration", lambda: read_config(case.path / "config.toml"), lambda _: "every setting is understood"
    )
    yield finding
    key = case.path / "key"
    if is_encrypted(key) and not passphrase.is_given:
        yield Finding("key", True, "it is encrypted, and was not opened")
        return
    secret, finding = _attempt("key", lambda: read_key(key, passphrase), lambda it: did_from_key(it.public))
    case.secret = secret
    yield finding


def _node(case: Case) -> Iterator[Finding]:
    try:
        facts = announced(case.path)
        with Client(facts.http) as client:
            case.status, case.peers, case.facts = client.ask(STATUS), client.ask(PEERS), facts
    except NodeAway:
        case.is_in_use = is_in_use(case.path)
        yield _without_answer(case)
        return
    except OperatorError as error:
        yield Finding("node", False, str(error), "look at its log; if it hangs, stop it and start it again")
        return
    status, ours = case.status, version()
    yield Finding("node", True, f"it runs, at height {status['height']:,}, final up to {status['finalized_height']:,}")
    if status["version"] == ours:
        yield Finding("version", True, f"{ours}, protocol {status['protocol']}")
    else:
        yield Finding("version", False, f"{status['version']} runs, {ours} is installed", "start the node again")
    if status["silent_why"]:
        when = status["signs_again"]
        remedy = f"it signs again at {when}" if when else "see to that, and leave the node running"
        yield Finding("signing", False, f"it signs nothing: {status['silent_why']}", remedy)
    if status["stalled"]:
        missing = ", ".join(status["stalled"]["missing"])
        yield Finding("finality", False, f"nothing becomes final, for want of {missing}", when_stalled(case.path))


def _without_answer(case: Case) -> Finding:
    if not case.is_in_use:
        return Finding("node", True, "it does not run")
    if draft_of(case.database).exists():
        return Finding("node", True, "it joins by state", "its log and `/status` say how far it is")
    return Finding("node", True, "a process starts it, stops it or changes its home; look again when that is done")


def _folder(case: Case) -> Iterator[Finding]:
    where = case.path.stat()
    if os.name == "posix" and where.st_mode & 0o022:
        remedy = f"run `chmod go-w {case.path}`"
        yield Finding("permissions", False, f"others can put files into {case.path}", remedy)
    elif not os.access(case.path, os.W_OK):
        yield Finding("permissions", False, f"this user cannot write in {case.path}", "run this as the one who owns it")
    else:
        yield Finding("permissions", True, "only its owner can change the home")


def _disk(case: Case) -> Iterator[Finding]:
    free = shutil.disk_usage(case.path).free
    file = case.path / DATABASE
    size = file.stat().st_size if file.exists() else 0
    what = f"{free / 1e9:.1f} GB free, the database takes {size / 1e9:.1f} GB"
    if free < max(ENOUGH_ROOM, size // 2):
        yield Finding("disk", False, what, "make room, or move the home to a larger disk while the node is stopped")
    else:
        yield Finding("disk", True, what)


def _chain(case: Case, genesis: Genesis) -> Iterator[Finding]:
    def look() -> tuple[dict[str, bytes | None], bool]:
        with closing(open_database(case.database, genesis, read_only=True)) as database:
            known = {name: database.meta(name) for name in ("signing", "exported", "restart", "signer")}
        key = case.secret.public if case.secret is not None else known["signer"]
        with closing(Reader(case.database, genesis)) as reader:
            return known, any(seat.key == key for seat in reader.view().validators.active)

    found, finding = _attempt("database", look, lambda _: "it can be read")
    yield finding
    if found is not None:
        yield from _signing(case, *found)


def _signing(case: Case, known: dict[str, bytes | None], is_validator: bool) -> Iterator[Finding]:
    signer, check = known["signer"], "signing state"
    if case.secret is not None and signer is not None and signer != case.secret.public:
        what = f"this home signed with {did_from_key(signer)}, which is not its key"
        yield Finding(check, False, what, "put the old key back, and make the new one a home of its own")
    elif not is_validator:
        yield Finding(check, True, "this key is not a validator's")
    elif known["exported"] is not None:
        remedy = "if it did not go to another machine, bring it back with `python node.py signing import FILE`"
        yield Finding(check, False, "it left this home, which signs nothing", remedy)
    elif known["restart"] is not None and known["signing"] is None:
        remedy = "start the node: it signs again once the restart comes, for which enough others sign the same file"
        yield Finding(check, False, "it was given up for a restart", remedy)
    elif known["signing"] is None:
        what = "what this validator signed last is lost, and it says nothing until the chain records that"
        yield Finding(check, False, what, "start the node and leave it running; never restore an older database")
    else:
        yield Finding(check, True, "this validator knows what it signed last")


# -------------------------------------------------------------------------------------------------------- ports


def _ports(case: Case, config: HomeConfig) -> Iterator[Finding]:
    host, port = split_http(config.http)
    if not _is_loopback(host):
        remedy = 'set http = "127.0.0.1:4080", and let others in by a proxy that asks who they are'
        yield Finding("http", False, f"the HTTP face is open at {host}, and has no passwords", remedy)
    addresses = config.listen if case.facts is None else case.facts.addresses
    places = [(found[2], int(found[3])) for text in addresses if (found := _LISTENED.match(text))]
    if case.facts is not None:
        yield from (_answers(*each) for each in places)
    elif not case.is_in_use:
        yield from (_is_free(*each) for each in [*places, (host, port)])
    outside = [text for text in config.peers if (found := _HOST.match(text)) and not _is_loopback(found[1])]
    if outside and all(_is_loopback(place) for place, _ in places):
        remedy = 'set listen = ["/ip4/0.0.0.0/tcp/4001"], unless a front node speaks for this one'
        yield Finding("listening", False, "it listens to this machine only, and its peers are elsewhere", remedy)
    elif outside and any(port == 0 for _, port in places):
        remedy = "name a port in listen, and open it in the firewall"
        yield Finding("listening", False, "it takes another port at each start", remedy)


def _is_free(host: str, port: int) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    where = f"port {port} of {host}"
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            what = f"{where} is taken by another program" if taken else f"{where} cannot be had ({error.strerror})"
            return Finding("ports", False, what, "stop that program, or name another place in config.toml")
    return Finding("ports", True, f"{where} is free" if port else f"any port of {host} will do")


def _answers(host: str, port: int) -> Finding:
    try:
        socket.create_connection((_EVERYWHERE.get(host, host), port), _CONNECT_TIMEOUT_S).close()
    except OSError as error:
        what = f"nobody answers at port {port} of {host} ({error.strerror or error})"
        return Finding("ports", False, what, "look at the node's log, and start it again")
    return Finding("ports", True, f"it listens at port {port} of {host}")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# -------------------------------------------------------------------------------------------------------- peers


def judge_peers(case: Case, opinions: Sequence[Opinion]) -> Iterator[Finding]:
    """What peers said to a visitor, and what that means for this node."""
    answered = [opinion for opinion in opinions if opinion.status is not None]
    for opinion in opinions:
        if opinion.trouble:
            remedy = "see whether it runs and whether its address in config.toml is right; its operator knows"
            yield Finding("peers", False, f"{opinion.address.where}: {opinion.trouble}", remedy)
    if not answered:
        yield from _nobody(case, bool(opinions))
        return
    yield Finding("peers", True, f"{len(answered)} of {len(opinions)} that were asked answered")
    yield from _clock(answered)
    if case.status is not None and case.peers is not None:
        is_private = case.config is not None and case.config.private
        yield _height(case.path, case.status, answered)
        yield from _place(case.peers, answered, is_private=is_private)


def _nobody(case: Case, is_named: bool) -> Iterator[Finding]:
    is_alone = case.genesis is not None and len(case.genesis.validators) == 1
    if not is_named and is_alone:
        yield Finding("peers", True, "no peer is named, and one validator needs none")
    else:
        remedy = "name a peer in config.toml, and see whether this machine lets connections out"
        yield Finding("peers", False, "nobody could be asked about clock, height and reachability", remedy)


def _clock(answered: Sequence[Opinion]) -> Iterator[Finding]:
    told = [(opinion.ahead_ms, opinion.give_ms) for opinion in answered if opinion.ahead_ms is not None]
    if not told:
        return
    ahead_ms, give_ms = round(statistics.median(ahead for ahead, _ in told)), max(give for _, give in told)
    peers = f"{len(told)} peer{'s' * (len(told) > 1)}"
    off = f"{abs(ahead_ms) / 1000:.1f} s {'behind' if ahead_ms > 0 else 'ahead of'} {peers}"
    if abs(ahead_ms) <= MAX_CLOCK_MS + give_ms:
        yield Finding("clock", True, f"within {(abs(ahead_ms) + give_ms) / 1000:.1f} s of {peers}")
    else:
        yield Finding("clock", False, f"this machine's clock is {off}", "let NTP set it: `timedatectl set-ntp true`")


def _height(home: Path, status: NodeStatus, answered: Sequence[Opinion]) -> Finding:
    """How far a running node is behind what is final elsewhere, and what keeps it there."""
    told = [opinion.status for opinion in answered if opinion.status is not None]
    behind = max(each.finalized_height for each in told) - status["height"]
    if behind <= MAX_BEHIND or status["syncing"]:
        what = f"{behind} blocks behind, and fetching" if behind > 0 else "as high as its peers"
        return Finding("height", True, what)
    wanted = status["height"] + 1
    if any(each.oldest_body <= wanted <= each.height for each in told):
        remedy = "look at its log; start it again if it stays so"
        return Finding("height", False, f"it is {behind} blocks behind, and fetches none", remedy)
    what = f"it is {behind} blocks behind, and no peer that was asked keeps what blocks said from height {wanted:,} on"
    if status["height"]:
        return Finding("height", False, what, 'name a peer in config.toml that has it, such as one of mode = "archive"')
    return Finding("height", False, what, f"start it with `python node.py run --home {pasted(home)} --join state`")


def _place(peers: PeerTable, answered: Sequence[Opinion], *, is_private: bool) -> Iterator[Finding]:
    """How the network sees a running node."""
    connected: set[Any] = {peer["peer_id"] for peer in peers["peers"]}
    for opinion in answered:
        if opinion.address.peer_id not in connected:
            what = f"{opinion.address.where} answers here, and is not connected to the node: it may have no room, or "
            remedy = "look for this node's peer id in its log, and for its own in this one's; a ban ends by itself"
            yield Finding("peers", False, f"{what}one keeps the other out", remedy)
    if is_private:
        return
    places = sorted({place for opinion in answered for place in opinion.places})
    if places:
        count = sum(bool(opinion.places) for opinion in answered)
        yield Finding("reachable", True, f"{count} of {len(answered)} peers dialled it at {', '.join(places)}")
    else:
        what = f"none of {len(answered)} peers dialled this node and got through"
        remedy = (
            "open its port in the firewall, forward it on a router and set external_address; a node that has just "
            "started needs a minute"
        )
        yield Finding("reachable", False, what, remedy)
