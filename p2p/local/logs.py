"""The log of a node: events with fields, written beside the node and never in its way.

A log has readers that stop reading and disks that fill up, and much of what it says is at the will of strangers.  So
lines wait in a bounded queue for a thread that writes them (:class:`SteadyStream`): what does not fit is dropped and
counted, and neither the node nor its end waits for anybody.  And each line about a peer has a rate (:class:`Rates`),
however often it would be said.  Libraries log through the same pipe, but only what is serious.
"""

from __future__ import annotations

import atexit
import io
import logging
import os
import select
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any, TextIO

import structlog

from p2p.limits import Buckets
from p2p.local.loglines import Folded, columns_of

MAX_QUEUED_BYTES = 1_000_000
"""Some thousand lines: minutes of a busy node, for a reader that pauses."""

LAST_WORDS_S = 1.0
"""How long the end of the process waits for a reader that may have stopped reading."""

PEER_LINES_PER_S, PEER_LINE_BURST = 0.1, 8.0
"""How often the same is said of the same peer."""

LINES_PER_S, LINE_BURST = 1.0, 64.0
"""How often the same is said of all peers together, who may be one: 86,400 lines a day are some 15 MB."""

LOST: Counter[str] = Counter()
"""Lines of this process that were not written: ``unread`` had no room, ``repeated`` were above their rate."""

log = structlog.get_logger("node")

_OWN_LOGGER = "node"
_NOISY = ("libp2p", "hypercorn", "multiaddr", "async_service")


def configure_logging(level: str, *, as_json: bool, stream: TextIO | None = None) -> None:
    """Send all logs of ``level`` and above to ``stream``, by default stderr.

    Each is one readable line, or one JSON object; a terminal gets them as :class:`~p2p.local.loglines.Folded` says.
    """
    stream = sys.stderr if stream is None else stream
    shared: list[Any] = [
        _one_line,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%S.%fZ", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Any
    if as_json:
        renderer = structlog.processors.JSONRenderer()
    elif stream.isatty():
        renderer = Folded(partial(columns_of, stream))
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=18)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.addFilter(Rates())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.CRITICAL)


def _one_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape what could forge a line or steer a terminal: peers choose parts of what is logged."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in value)
    return event


class Rates(logging.Filter):
    """Lets each line pass so often for one peer, and so often for all of them; the next one says how many it held back.

    What the node says of itself at ``info`` follows its slots and is not limited.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._of_peer = Buckets(PEER_LINES_PER_S, PEER_LINE_BURST, clock)
        self._of_all = Buckets(LINES_PER_S, LINE_BURST, clock)
        self._held_back: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether ``record`` is written."""
        if record.name == _OWN_LOGGER and record.levelno <= logging.INFO:
            return True
        line, peer = _line_and_peer(record)
        if not (self._of_peer.take(f"{line} {peer}") and self._of_all.take(line)):
            self._held_back[line] += 1
            LOST["repeated"] += 1
            return False
        count = self._held_back.pop(line, 0)
        if count:
            _mention(record, count)
        return True


def _line_and_peer(record: logging.LogRecord) -> tuple[str, str]:
    """What is said without its particulars, and of whom: our lines name the peer first."""
    if isinstance(record.msg, dict):
        return f"{record.name} {record.msg.get('event')}", str(record.msg.get("peer", ""))
    if not record.name.startswith("p2p."):
        return record.name, ""  # a library may write its particulars into the line itself
    first = record.args[0] if isinstance(record.args, tuple) and record.args else ""
    return f"{record.name} {record.msg}", str(first)


def _mention(record: logging.LogRecord, count: int) -> None:
    if isinstance(record.msg, dict):
        record.msg["held_back"] = count
    else:
        record.msg = f"{record.getMessage().replace('%', '%%')} (and %d like it)"
        record.args = (count,)


class SteadyStream(io.TextIOBase):
    """A text stream whose writer never waits: a thread of its own carries the text to ``descriptor``.

    ``on_gap`` is told, once the descriptor takes text again, how many lines it did not get.
    """

    def __init__(
        self,
        descriptor: int,
        on_gap: Callable[[int], None],
        *,
        encoding: str = "utf-8",
        errors: str = "backslashreplace",
    ) -> None:
        self._descriptor = descriptor
        self._on_gap = on_gap
        self._how = (encoding, errors)
        self._is_terminal = os.isatty(descriptor)
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._gap = 0
        self._is_ending = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._carry, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Queue ``text``, or drop it where there is no room."""
        data = text.encode(*self._how)
        with self._changed:
            if self._size + len(data) > MAX_QUEUED_BYTES:
                self._lose(data)
            else:
                self._queue.append(data)
                self._size += len(data)
                self._changed.notify_all()
        return len(text)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the descriptor."""
        return self._how[0]

    def writable(self) -> bool:
        """It is."""
        return True

    def isatty(self) -> bool:
        """Whether people watch."""
        return self._is_terminal

    def fileno(self) -> int:
        """The descriptor below."""
        return self._descriptor

    def end(self, timeout_s: float = LAST_WORDS_S) -> None:
        """Carry what is queued, for so long at most, and stop."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _carry(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._is_ending:
                    self._changed.wait()
                if not self._queue:
                    return
                data = self._queue.popleft()
                self._size -= len(data)
            is_written = self._write_out(data)
            with self._changed:
                if not is_written:
                    self._lose(data)
                gap = self._gap if is_written else 0
                self._gap -= gap
            if gap:
                self._on_gap(gap)

    def _write_out(self, data: bytes) -> bool:
        """Wait until all of ``data`` is written.  False where that cannot be: a full disk, a reader that is gone."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # whoever shares the pipe with us made it so
                select.select([], [self._descriptor], [])
            except OSError:
                return False
        return True

    def _lose(self, data: bytes) -> None:
        lines = data.count(b"\n")
        self._gap += lines
        LOST["unread"] += lines


def keep_stderr_flowing() -> None:
    """Whatever this process writes to stderr from now on, tracebacks too, waits for no reader."""
    before = sys.stderr
    stream = SteadyStream(
        before.fileno(), _tell_gap, encoding=before.encoding, errors=before.errors or "backslashreplace"
    )
    sys.stderr = stream
    atexit.register(stream.end)


def _tell_gap(lines: int) -> None:
    log.warning("log_gap", lines=lines, why="they could not be written, or nobody read them in time")
