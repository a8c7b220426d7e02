"""``scripts/docs/manifests.md``: what can stand in a manifest, told by the very classes that read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.manifest_parts.keys import keys_of
from scripts.manifest_parts.reading import EXAMPLES, read_manifest
from scripts.manifest_parts.things import ASSERTIONS, EVENTS, Line, Lines, Manifest, Observer, Strangers, Validator
from scripts.simulation.siege import SIMULATED

PAGE = Path(__file__).parents[1] / "docs" / "manifests.md"

_INTRODUCTION = """\
# Manifests

A manifest is a TOML file that describes a network, what happens to it and what must hold all the same. Two runners
carry it out:

    .uv/bin/uv run scripts/testnet.py --manifest scripts/manifests/cut.toml       # real processes, without root
    .uv/bin/uv run scripts/testnet.py --manifest scripts/manifests                # all six in turn, and a table
    .uv/bin/uv run scripts/simulate.py --manifest scripts/manifests/cut.toml      # the simulator, in seconds
    .uv/bin/uv run scripts/simulate.py --manifest random:7                        # drawn from a seed, for either
    .uv/bin/uv run scripts/manifest.py random:7 > seven.toml                      # the same to look at, change and keep

Each prints a row for each assertion, with what was seen, and ends with 1 where one does not hold.
`scripts/manifest.py FILE` says whether a manifest makes sense: it is refused, in a sentence with its line, where it
names a node that is not there, heals what is not cut, kills who is down, asserts something after its end, counts
slots without load, and the like.

    title = "a node that is away for a while"
    slots = 40

    [line]
    latency_ms = 50

    [[validators]]
    name = "ann"                # and three more

    [[events]]
    at = 0
    do = "load"
    per_slot = 20

    [[events]]
    at = 10
    do = "kill"
    nodes = ["ann"]

    [[events]]
    at = 20
    do = "start"
    nodes = ["ann"]

    [[asserts]]
    that = "synced"
    at = 39

## The six in [`scripts/manifests`](../manifests)

| file | what happens |
|---|---|
"""

_RUNNERS = """
With processes all six held on two shared cores that had other work all the time:

| file | load of the machine | slots kept, of those asserted | finality lag at most, in blocks |
|---|---|---|---|
| `calm.toml` | 13 to 15 | 38 of 38 | 2 |
| `clock.toml` | 6 to 16 | 18 of 18, then 30 of 30 | |
| `cut.toml` | 7 to 11 | 8 of 8 before the cut, 20 of 20 after it | 2 |
| `disk.toml` | 11 to 12 | 8 of 8, then 30 of 30 | 2 |
| `founder.toml` | 6 to 16 | 25 of 25 | |
| `sybils.toml` | 3 to 4 | 45 of 45 with six identities at each of six nodes | 2 |

## How links are made

Before each real node stands a small TCP proxy, whose address is the only one that anybody is told; whose connection
it carries, it learns from the machine's table of sockets. The simulator asks the same rule when a message arrives
(`manifest_parts/lines.py`). What is sent waits until what was sent before it is through (`kbit_s`), travels for
`latency_ms` give or take `jitter_ms`, and never overtakes.

**Loss is modelled as a stall.** TCP hides losses: nobody above it misses a byte. Each segment of 1,448 bytes is lost
with the given chance; the piece that it is part of, and everything behind it, then comes later by a retransmission: a
round trip, and no less than 200 ms. What else TCP makes of loss, a smaller window and so a slower line, is *not*
modelled: say with `kbit_s` how much goes through. Nor are packets reordered, duplicated or damaged, which TCP hides
as well.

A cut that is `noticed` ends connections; else they fall silent, and new ones are accepted by the proxy and hang, as
where packets vanish. With processes, what was sent into a silent connection arrives after `heal`, if nobody has given
it up; in the simulator it is lost, and whoever meets again asks.

## What differs between the runners

| | processes | simulator |
|---|---|---|
| `memory` | judged | refused: simulated nodes share one process |
| strangers | all kinds below, over real libp2p | the kinds {simulated}; any other is refused |
| time | seconds of this machine: a loaded one may lose slots | a virtual clock: the same seed gives the same run |
| what is watched besides | nothing | all that ordinary histories are watched for; a violation fails the run |
| `restart` | as long as it takes | two slots |
| connections | dialled, proven, limited by address | there as soon as both ends are up |
| a lost disk | the files are removed, then `node.py init --resync` | the tables are gone |

A wall clock is set for one process alone: it reads the time through a file that the runner writes. Clients offer what
`load` says once, to one node after the other; what a node loses that is killed right afterwards stays lost.
"""


def page() -> str:
    """The page, in Markdown."""
    return "".join(_parts())


def _parts() -> Iterator[str]:
    yield _INTRODUCTION
    for path in EXAMPLES:
        yield f"| [`{path.name}`](../manifests/{path.name}) | {read_manifest(path).title} |\n"
    yield _RUNNERS.format(simulated=", ".join(f"`{kind}`" for kind in SIMULATED))
    yield "\n## The keys\n\nTimes are whole slots from the moment at which all nodes that begin are connected.\n\n"
    yield from _thing("The top of the file", Manifest)
    yield from _thing("`[line]`", Line)
    yield from _thing("`[[validators]]`", Validator)
    yield from _thing("`[[observers]]`", Observer)
    yield from _thing("`[[strangers]]`", Strangers)
    yield from _thing("`[[lines]]`", Lines)
    yield "## What happens: `[[events]]`, in the order of their slots\n\n"
    for word, thing in EVENTS.items():
        yield from _thing(f'`do = "{word}"`', thing)
    yield "## What must hold: `[[asserts]]`\n\n"
    for word, thing in ASSERTIONS.items():
        yield from _thing(f'`that = "{word}"`', thing)


def _thing(title: str, thing: type[Any]) -> Iterator[str]:
    yield f"### {title}\n\n{thing.__doc__}\n\n| key | unit | default | bound | effect |\n|---|---|---|---|---|\n"
    for item in keys_of(thing):
        kind = item.metadata["kind"]
        yield f"| `{item.name}` | {kind.unit} | {_default(kind.default)} | {kind.bound} | {item.metadata['effect']} |\n"
    yield "\n"


def _default(value: Any) -> str:
    if value is None:
        return "none, it has to be given"
    return str(value).lower() if isinstance(value, bool) else str(value) or "any"
