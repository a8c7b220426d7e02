"""A log that nobody outside can forge, fill or block."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from p2p.local import logs
from p2p.local.loglines import Folded
from p2p.local.logs import LINE_BURST, PEER_LINE_BURST, PEER_LINES_PER_S, Rates, SteadyStream, configure_logging

FORGED = "gone\n2026-01-01 [info] final height=9\x1b[2J\r\u2028"
PATIENCE_S = 300.0


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    noisy = {name: logging.getLogger(name).level for name in ("libp2p", "hypercorn", "multiaddr", "async_service")}
    yield
    root.handlers[:], level = before
    root.setLevel(level)
    for name, level in noisy.items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("as_json", [True, False])
def test_a_peer_can_forge_no_line(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    configure_logging("info", as_json=as_json)
    logging.getLogger("p2p.protocol").info("request to %s failed: %s", "12D3", FORGED)
    structlog.get_logger("test").warning("penalty", why=FORGED)
    written = capsys.readouterr().err
    assert written.count("\n") == 2
    assert not set(written) & {"\x1b", "\r", "\u2028"}
    assert len(written.splitlines()) == 2


def test_json_lines_are_objects_with_their_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", as_json=True)
    structlog.get_logger("test").info("head", height=7)
    logging.getLogger("somewhere").warning("odd: %d", 3)
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["event"], first["height"], first["level"]) == ("head", 7, "info")
    assert (second["event"], second["level"]) == ("odd: 3", "warning")
    assert first["timestamp"].endswith("Z")


def test_levels_and_noisy_libraries_are_kept_down(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("warning", as_json=True)
    structlog.get_logger("test").info("unseen")
    logging.getLogger("libp2p.pubsub").error("whatever a peer makes the library say")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("as_json", [True, False])
def test_an_exception_is_shown_with_its_traceback(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    configure_logging("info", as_json=as_json)
    try:
        raise ValueError("a fault of ours")
    except ValueError:
        logging.getLogger("p2p.requests").exception("answering failed")
    written = capsys.readouterr().err
    assert "Traceback" in written
    assert "a fault of ours" in written
    assert sys.exc_info() == (None, None, None)


# ------------------------------------------------------------------------------------------------- on a terminal

ADDRESS = "/ip4/0.0.0.0/tcp/4001/p2p/12D3KooWDNHrwdqFTVGg33GxJs1kCymYsN6RLQUWaWwAvoYNAZtv"
WHY = "the signature of this block is not that of the validator who leads its slot, which is a rule of the chain"
COLOUR = re.compile("\x1b\\[[0-9;]*m")


class Terminal:
    """A terminal of so many columns; what is written to it is read from the other side."""

    def __init__(self, columns: int) -> None:
        self._reader, writer = pty.openpty()
        self.stream = os.fdopen(writer, "w", encoding="utf-8")
        self.resize(columns)

    def resize(self, columns: int) -> None:
        termios.tcsetwinsize(self.stream.fileno(), (24, columns))

    def lines(self, count: int) -> list[str]:
        """The next ones, without their colours."""
        written = b""
        while written.count(b"\n") < count:
            written += os.read(self._reader, 65_536)
        return COLOUR.sub("", written.decode()).splitlines()

    def close(self) -> None:
        self.stream.close()
        os.close(self._reader)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal(80)
    configure_logging("debug", as_json=False, stream=terminal.stream)
    yield terminal
    terminal.close()


def test_a_line_is_no_wider_than_the_terminal_and_its_fields_stay_whole(terminal: Terminal) -> None:
    fields = {"height": 1_881, "id": "925d18014c4f", "slot": 29_912_345, "transactions": 1_024, "delay_ms": 361}
    structlog.get_logger("node").info("head", **fields)
    date, first, second = terminal.lines(3)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d UTC", date)
    assert re.fullmatch(r"\d\d:\d\d:\d\d head height=1881 id=925d18014c4f slot=29912345 transactions=1024", first)
    assert second == " " * 9 + "delay_ms=361"


def test_a_text_that_is_longer_than_a_line_is_broken_between_its_words(terminal: Terminal) -> None:
    structlog.get_logger("node").warning("penalty", peer="12D3", why=WHY, held_back=3)
    _, first, *more = terminal.lines(4)
    assert first[9:].startswith("warning penalty peer=12D3 why='the signature")
    assert max(map(len, (first, *more))) <= 80
    assert all(line.startswith(" " * 9) for line in more)
    said = " ".join(line[9:] for line in (first, *more))
    assert said == f"warning penalty peer=12D3 why={WHY!r} held_back=3"


def test_a_word_that_no_line_holds_has_one_of_its_own_and_can_be_copied_whole(terminal: Terminal) -> None:
    structlog.get_logger("node").info("ready", role="validator", address=ADDRESS, height=0)
    _, *lines = terminal.lines(4)
    assert [line[9:] for line in lines] == ["ready role=validator", f"address={ADDRESS}", "height=0"]


def test_what_libraries_say_is_folded_too_and_forges_no_line(terminal: Terminal) -> None:
    logging.getLogger("p2p.peers").warning("peer %s is banned: it %s", "12D3", FORGED + " " + WHY)
    _, first, *more = terminal.lines(4)
    assert first[9:].startswith("warning peer 12D3 is banned: it gone\\n2026-01-01")
    assert all(line.startswith(" " * 9) and len(line) <= 80 for line in more)


def test_a_terminal_that_becomes_narrower_is_followed_and_the_date_said_once(terminal: Terminal) -> None:
    own = structlog.get_logger("node")
    own.debug("head", height=1_881, transactions=0)
    assert terminal.lines(2)[1][9:] == "debug head height=1881 transactions=0"
    terminal.resize(40)
    own.debug("head", height=1_881, transactions=0)
    assert [line[9:] for line in terminal.lines(2)] == ["debug head height=1881", "transactions=0"]


def test_another_day_has_a_date_of_its_own() -> None:
    render = Folded(lambda: 80)

    def at(timestamp: str) -> list[str]:
        return COLOUR.sub("", render(None, "", {"timestamp": timestamp, "level": "info", "event": "head"})).splitlines()

    assert at("2026-11-28T23:59:58.1Z") == ["2026-11-28 UTC", "23:59:58 head"]
    assert at("2026-11-28T23:59:59.1Z") == ["23:59:59 head"]
    assert at("2026-11-29T00:00:00.1Z") == ["2026-11-29 UTC", "00:00:00 head"]


def test_whoever_wants_no_colours_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    event = {"timestamp": "2026-11-28T23:59:58.1Z", "level": "error", "event": "fault", "text": "two words"}
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" in Folded(lambda: 80)(None, "", dict(event))
    monkeypatch.setenv("NO_COLOR", "1")
    assert Folded(lambda: 80)(None, "", event) == "2026-11-28 UTC\n23:59:58 error fault text='two words'"


def test_a_file_gets_each_event_on_one_line(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        configure_logging("info", as_json=False, stream=file)
        structlog.get_logger("node").warning("penalty", address=ADDRESS, why=WHY)
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert f"address={ADDRESS}" in line
    assert f"why={WHY!r}" in line


# ------------------------------------------------------------------------------------- a reader that stopped reading


class Pipe:
    """A pipe and the stream that writes into it."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.gaps: list[int] = []
        self.told = threading.Event()
        self.stream = SteadyStream(self.writer, self.tell)

    def tell(self, lines: int) -> None:
        self.gaps.append(lines)
        self.told.set()

    def read_to_end(self) -> bytes:
        os.close(self.writer)
        with os.fdopen(self.reader, "rb") as file:
            return file.read()


def test_what_is_written_arrives_in_its_order() -> None:
    pipe = Pipe()
    for number in range(1_000):
        print(number, file=pipe.stream)
    pipe.stream.end(PATIENCE_S)
    assert pipe.read_to_end().split() == [b"%d" % number for number in range(1_000)]
    assert pipe.gaps == []


def test_a_pipe_that_nobody_reads_holds_up_nobody_and_its_gap_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_QUEUED_BYTES", 100_000)
    lost_before = logs.LOST["unread"]
    pipe = Pipe()
    line = "x" * 999 + "\n"
    for _ in range(10_000):  # ten megabytes, where a pipe and the queue hold less than a fifth of one
        pipe.stream.write(line)
    pipe.stream.end(timeout_s=0.01)  # nor does it hold up the end
    lost = logs.LOST["unread"] - lost_before
    assert 9_000 < lost < 10_000

    received = bytearray()
    while len(received) < (10_000 - lost) * len(line):
        received += os.read(pipe.reader, 65_536)
    assert pipe.told.wait(PATIENCE_S)
    assert sum(pipe.gaps) == lost
    assert received == line.encode() * (10_000 - lost)


def test_a_pipe_that_others_made_non_blocking_gets_everything() -> None:
    pipe = Pipe()
    os.set_blocking(pipe.writer, False)
    for _ in range(500):
        pipe.stream.write("y" * 999 + "\n")
    received = bytearray()
    while len(received) < 500_000:
        received += os.read(pipe.reader, 65_536)
    pipe.stream.end(PATIENCE_S)
    assert pipe.read_to_end() == b""
    assert pipe.gaps == []


def test_a_reader_that_went_away_and_a_full_disk_are_gaps() -> None:
    pipe = Pipe()
    os.close(pipe.reader)
    with open("/dev/full", "wb") as full:
        streams = [pipe.stream, SteadyStream(full.fileno(), pipe.tell)]
        before = logs.LOST["unread"]
        for stream in streams:
            print("nobody will know", file=stream)
            stream.end(PATIENCE_S)
    assert logs.LOST["unread"] - before == 2
    os.close(pipe.writer)


# ------------------------------------------------------------------------------------------------------------- rates


class Log:
    """What passes, while time stands still unless it is moved."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.rates = Rates(lambda: self.now_s)
        self.passed: list[str] = []

    def say(self, line: str, *arguments: object, name: str = "p2p.peers", level: int = logging.INFO) -> None:
        record = logging.LogRecord(name, level, "", 0, line, arguments, None)
        if self.rates.filter(record):
            self.passed.append(record.getMessage())


def test_one_peer_is_mentioned_so_often_and_what_was_held_back_is_counted() -> None:
    log = Log()
    for number in range(1_000):
        log.say("peer %s sent %d%%", "A", number)
    assert len(log.passed) == PEER_LINE_BURST
    log.say("peer %s sent %d%%", "B", 1)  # another peer's line has its own rate
    assert log.passed[-1] == "peer B sent 1% (and 992 like it)"
    log.now_s += 1 / PEER_LINES_PER_S
    log.say("peer %s sent %d%%", "A", 7)
    assert log.passed[-1] == "peer A sent 7%"


def test_any_number_of_peers_are_one_line_in_the_end() -> None:
    log = Log()
    for number in range(5_000):
        log.say("peer %s did not greet", f"peer {number}")
    assert len(log.passed) == LINE_BURST
    log.say("peer %s is banned", "peer 1")  # another line
    assert len(log.passed) == LINE_BURST + 1


def test_what_the_node_says_of_itself_is_not_held_back() -> None:
    log = Log()
    for _ in range(500):
        log.say("head", name="node")
    assert len(log.passed) == 500
    for _ in range(500):
        log.say("block_refused", name="node", level=logging.WARNING)
    assert len(log.passed) == 500 + PEER_LINE_BURST


def test_a_held_back_event_says_so_in_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", as_json=True)
    own = structlog.get_logger("node")
    for _ in range(20):
        own.warning("penalty", peer="A")
    own.warning("penalty", peer="B")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert len(lines) == PEER_LINE_BURST + 1
    assert lines[-1]["held_back"] == 20 - PEER_LINE_BURST
