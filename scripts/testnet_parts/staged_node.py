"""A node as a manifest wants it: ``staged_node.py FRONT run --home HOME …`` instead of ``node.py run --home HOME …``.

It differs in two things, both of which lie outside the node: the machine's wall clock is as far off as the file
``clock`` in its home says at the moment, and the node is told that it listens on FRONT, which is the proxy before it.
"""

from __future__ import annotations

import mmap
import runpy
import sys
import time
from pathlib import Path

CLOCK = "clock"
_BYTES = 8
_NODE_PY = Path(__file__).parents[2] / "node.py"


def set_clock(home: Path, ahead_ms: int) -> None:
    """The wall clock of the node of this home is so far ahead from now on, also while the node runs."""
    with (home / CLOCK).open("r+b" if (home / CLOCK).exists() else "wb") as file:
        file.write(ahead_ms.to_bytes(_BYTES, "little", signed=True))


def _go_by(clock: Path) -> None:
    """Let this process read the time as ``clock`` has it."""
    with clock.open("rb") as file:
        ahead = mmap.mmap(file.fileno(), _BYTES, access=mmap.ACCESS_READ)
    true_time_ns = time.time_ns
    time.time_ns = lambda: true_time_ns() + 1_000_000 * int.from_bytes(ahead[:], "little", signed=True)


def _be_reached_at(front: str) -> None:
    from p2p.host import GuardedHost

    GuardedHost.listen_addresses = lambda host: [f"{front}/p2p/{host.get_id()}"]  # type: ignore[method-assign, assignment]


def main() -> None:
    """Run ``node.py`` so."""
    front = sys.argv.pop(1)
    _go_by(Path(sys.argv[sys.argv.index("--home") + 1]) / CLOCK)
    _be_reached_at(front)
    sys.argv[0] = str(_NODE_PY)
    runpy.run_path(str(_NODE_PY), run_name="__main__")


if __name__ == "__main__":
    main()
