"""Everything that can stand in a manifest: each key with its unit, its bound and its effect.

Times are whole slots, counted from the moment at which all nodes that begin are connected.  A new kind of disaster or
assertion is a class here and a ``case`` where it is carried out or judged; the reader, the writer and the page follow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from scripts.manifest_parts.keys import Choice, Flag, Label, Name, Names, Whole, Word, key

MAX_SLOTS = 3_600
MAX_NODES = 31
DAY_MS = 86_400_000
ALL, THE_END = "all nodes", "0, which is the end"

# What strangers can do, by the names of scripts/abuse.py.  Those that need a validator's key are left out.
ATTACKS = (
    "address-flood", "attestation-flood", "control-flood", "countless-parts", "dripped-blocks", "dropped-streams",
    "duplicate-transactions", "endless-topics", "enrolments", "foreign-chain", "forged-announcements",
    "forged-attestations", "frame-storm", "garbage-attestations", "garbage-requests", "garbage-status",
    "giant-keys", "half-open-handshakes", "idle-identity", "idle-streams", "impossible-status",
    "invalid-transactions", "lying-statuses", "many-connections", "named-victims", "not-protobuf", "offer-storm",
    "other-heights", "patient-askers", "ratings-of-nobody", "raw-bytes", "request-flood", "same-attestations",
    "short-connections", "silent-grafts", "slow-bodies", "slow-replies", "slow-requests", "stray-control",
    "streamless-data", "undecodable-identities", "unknown-leaders", "unread-data", "unread-gossip",
    "unread-replies", "useless-transactions", "validator-fodder", "wrong-leaders",
)  # fmt: skip

_AT = Whole(0, MAX_SLOTS, "slot")
_WHEN = "When it happens."
_WHOM = "Whom it is about."


# ---------------------------------------------------------------------------------------------- who takes part


@dataclass(frozen=True, slots=True, kw_only=True)
class Validator:
    """A node that makes blocks from the genesis on."""

    name: str = key(Label(), "How the rest of the manifest calls it.")
    weight: int = key(Whole(1, 1_000, "", 1), "How much its votes count.")
    clock_ms: int = key(Whole(-DAY_MS, DAY_MS, "ms", 0), "How far its wall clock is ahead from the beginning.")
    late: bool = key(Flag(), "Whether it is down until a `start`.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """A node that follows; it has a key, so that it can become a validator."""

    name: str = key(Label(), "How the rest of the manifest calls it.")
    clock_ms: int = key(Whole(-DAY_MS, DAY_MS, "ms", 0), "How far its wall clock is ahead from the beginning.")
    late: bool = key(Flag(), "Whether it is down until a `start`.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Strangers:
    """Identities without a validator's key, which do nothing until an `attack`."""

    name: str = key(Label(), "How an attack calls them.")
    kind: str = key(Choice(ATTACKS), "What they do, by the names of [abuse.md](abuse.md).")
    count: int = key(Whole(1, 200, "identities", 1), "How many of them visit each target.")
    targets: tuple[str, ...] = key(Names(ALL), "Whom they visit.")


Node: TypeAlias = Validator | Observer


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How all links are, unless something below says otherwise."""

    latency_ms: int = key(Whole(0, 10_000, "ms", 0), "How long each byte travels, one way.")
    jitter_ms: int = key(Whole(0, 10_000, "ms", 0), "So much more or less, drawn anew for each piece; order stays.")
    loss: int = key(Whole(0, 500, "segments of 1,000", 0), "How many are lost, and so come later with all behind them.")
    kbit_s: int = key(Whole(0, 10_000_000, "kbit/s", 0), "How much goes through, each way; 0 is without a limit.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines(Line):
    """The same for the links between some nodes and some others."""

    nodes: tuple[str, ...] = key(Names(), "The one end.")
    others: tuple[str, ...] = key(Names("all others"), "The other end.")


# ---------------------------------------------------------------------------------------------- what happens


@dataclass(frozen=True, slots=True, kw_only=True)
class _Happens:
    at: int = key(_AT, _WHEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ToNodes(_Happens):
    nodes: tuple[str, ...] = key(Names(), _WHOM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill(_ToNodes):
    """The processes end at once (SIGKILL)."""

    word: ClassVar[str] = "kill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start(_ToNodes):
    """Nodes that are down are started, with what is on their disks."""

    word: ClassVar[str] = "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart(_ToNodes):
    """Nodes are asked to end (SIGTERM), and started again."""

    word: ClassVar[str] = "restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(_ToNodes):
    """Nodes stand still (SIGSTOP), with all their connections; their clocks go on."""

    word: ClassVar[str] = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue(_ToNodes):
    """Nodes that stood still go on (SIGCONT)."""

    word: ClassVar[str] = "continue"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoseDisk(_ToNodes):
    """The databases of nodes that are down are gone, and their operators do what [recovery](recovery.md) says."""

    word: ClassVar[str] = "lose-disk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock(_ToNodes):
    """The wall clocks of nodes step to so far from the true time."""

    word: ClassVar[str] = "clock"
    ahead_ms: int = key(Whole(-DAY_MS, DAY_MS, "ms"), "How far ahead they are; 0 puts them right.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut(_Happens):
    """Nothing passes between some nodes and others, either way, until this cut is healed."""

    word: ClassVar[str] = "cut"
    name: str = key(Label(), "How `heal` calls it.")
    nodes: tuple[str, ...] = key(Names(), "The one side.")
    others: tuple[str, ...] = key(Names("all others"), "The other side.")
    noticed: bool = key(Flag(), "Whether the connections end, as when a cable is pulled here; else they fall silent.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heal(_Happens):
    """A cut is over, and what waited in connections that did not end arrives."""

    word: ClassVar[str] = "heal"
    name: str = key(Label(), "Which cut.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLines(Lines):
    """Links are like this from now on."""

    word: ClassVar[str] = "lines"
    at: int = key(_AT, _WHEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack(_Happens):
    """Strangers do what they are for."""

    word: ClassVar[str] = "attack"
    strangers: tuple[str, ...] = key(Names(is_strangers=True), "Who.")
    slots: int = key(Whole(1, MAX_SLOTS, "slots"), "For how long.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load(_Happens):
    """From now on clients offer so much: newcomers enrol, at one running node after the other."""

    word: ClassVar[str] = "load"
    per_slot: int = key(Whole(0, 5_000, "transactions a slot"), "How much; 0 ends it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replace(_Happens):
    """The validators move that one of them gives its seat to an observer, which consents; all but the one approve."""

    word: ClassVar[str] = "replace"
    leaving: str = key(Name(), "The validator that leaves.")
    newcomer: str = key(Name(), "The observer that comes.")


Event: TypeAlias = (
    Kill | Start | Restart | Stop | Continue | LoseDisk | Clock | Cut | Heal | NewLines | Attack | Load | Replace
)
EVENTS: dict[str, type[Any]] = {
    each.word: each
    for each in (
        Kill,
        Start,
        Restart,
        Stop,
        Continue,
        LoseDisk,
        Clock,
        Cut,
        Heal,
        NewLines,
        Attack,
        Load,
        Replace,
    )
}


# ---------------------------------------------------------------------------------------------- what is asserted

_SINCE = Whole(0, MAX_SLOTS, "slot", 0)
_UNTIL = Whole(0, MAX_SLOTS, "slot", 0)
_FROM = "The first slot that counts."
_TO = "The first slot that does not count any more; 0 is the end of the manifest."
_LOOKED_AT = "The slot in which it is looked at."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looks:
    at: int = key(_AT, _LOOKED_AT)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watches:
    since: int = key(_SINCE, _FROM)
    until: int = key(_UNTIL, _TO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agree:
    """What nodes called final at any time lies on one chain."""

    word: ClassVar[str] = "agree"
    nodes: tuple[str, ...] = key(Names(ALL), _WHOM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stays:
    """What a node called final stayed final there, unless its disk was lost: nothing replaced, no height that falls."""

    word: ClassVar[str] = "final-stays"
    nodes: tuple[str, ...] = key(Names(ALL), _WHOM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots(_Watches):
    """So many slots of a window with load brought a block that is on the chain in the end."""

    word: ClassVar[str] = "slots"
    percent: int = key(Whole(0, 100, "%"), "At least this share of them.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag(_Watches):
    """Finality keeps pace: no node's final block is further below its head."""

    word: ClassVar[str] = "lag"
    blocks: int = key(Whole(0, 1_000, "blocks"), "At most so far.")
    nodes: tuple[str, ...] = key(Names(ALL), _WHOM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stalls(_Watches):
    """Nothing new becomes final at these nodes, as when too few are left."""

    word: ClassVar[str] = "stalls"
    nodes: tuple[str, ...] = key(Names(ALL), _WHOM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced(_Looks):
    """Nodes are up, and final nearly as far as the furthest is."""

    word: ClassVar[str] = "synced"
    nodes: tuple[str, ...] = key(Names(ALL), _WHOM)
    within: int = key(Whole(0, 1_000, "blocks", 3), "At most so far behind.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute(_Looks):
    """Validators make no blocks and their status says why."""

    word: ClassVar[str] = "mute"
    nodes: tuple[str, ...] = key(Names(), _WHOM)
    why: str = key(Word(""), "What the reason has to contain.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaks(_Watches):
    """Each of these validators made a block that is on the chain in the end."""

    word: ClassVar[str] = "speaks"
    nodes: tuple[str, ...] = key(Names(), _WHOM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seats(_Looks):
    """These nodes and no others are validators, as all nodes say that are up."""

    word: ClassVar[str] = "seats"
    nodes: tuple[str, ...] = key(Names(), _WHOM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(_Watches):
    """Of what clients offered in a window with load, so much is final in the end."""

    word: ClassVar[str] = "recorded"
    percent: int = key(Whole(1, 100, "%", 100), "At least this share of it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """No process takes more memory.  The simulator refuses it: its nodes share one process."""

    word: ClassVar[str] = "memory"
    mb: int = key(Whole(1, 1_000_000, "MB"), "At most so much, resident, at any time.")
    nodes: tuple[str, ...] = key(Names(ALL), _WHOM)


Assertion: TypeAlias = Agree | Stays | Slots | Lag | Stalls | Synced | Mute | Speaks | Seats | Recorded | Memory
ASSERTIONS: dict[str, type[Any]] = {
    each.word: each for each in (Agree, Stays, Slots, Lag, Stalls, Synced, Mute, Speaks, Seats, Recorded, Memory)
}


# ---------------------------------------------------------------------------------------------- the whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The network, its disasters in the order of their slots, and what is asserted of both."""

    title: str = key(Word(), "What it is about.")
    slots: int = key(Whole(1, MAX_SLOTS, "slots"), "How long it takes.")
    slot_ms: int = key(Whole(250, 60_000, "ms", 1_000), "How long a slot is.")
    seed: int = key(Whole(0, 2**31, "", 1), "What keys, jitter, loss and the simulator's draws follow from.")
    seeded: bool = key(
        Flag(), "Whether a node knows only the first to begin with; else each names all others, who keep their places."
    )
    line: Line = field(default_factory=Line)
    validators: tuple[Validator, ...] = ()
    observers: tuple[Observer, ...] = ()
    strangers: tuple[Strangers, ...] = ()
    lines: tuple[Lines, ...] = ()
    events: tuple[Event, ...] = ()
    asserts: tuple[Assertion, ...] = ()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All that run an engine, validators first."""
        return (*self.validators, *self.observers)

    @property
    def names(self) -> tuple[str, ...]:
        """The same by name."""
        return tuple(node.name for node in self.nodes)

    def on(self, slot: int) -> list[Event]:
        """What happens in a slot."""
        return [event for event in self.events if event.at == slot]

    def others(self, thing: Lines | Cut) -> tuple[str, ...]:
        """The other end of what names it, or all that is not the one end."""
        return thing.others or tuple(name for name in self.names if name not in thing.nodes)
