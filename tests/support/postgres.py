"""A PostgreSQL server of a test's own: in a folder that goes with it, reached by a socket in there alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psutil

from tests.support.running import DEADLINE_S, wait_for

# Where Debian has them, besides the path: not on it.
_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
# Nothing here outlives the test.
_SETTINGS = ("listen_addresses=", "fsync=off", "shared_buffers=8MB", "max_connections=10")
# PostgreSQL does not run as root.
_USER = "nobody" if os.geteuid() == 0 else None


def program(name: str) -> str | None:
    """Where a program of PostgreSQL is, if it is installed."""
    return shutil.which(name) or next((str(each / name) for each in _FOLDERS if (each / name).exists()), None)


class Server:
    """A server that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", str(folder / "data"), "-U", "owner", "--auth=trust", "--no-sync", "-E", "UTF8")

    def url(self, database: str = "postgres") -> str:
        """How a database in it is reached."""
        return f"postgresql://owner@/{database}?host={self._folder}"

    def new(self) -> str:
        """The URL of a database that is empty."""
        name = f"db{next(self._numbers)}"
        self._run("psql", "-q", "-d", self.url(), "-c", f"CREATE DATABASE {name}")
        return self.url(name)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = [word for each in _SETTINGS for word in ("-c", each)]
        command = [_found("postgres"), "-D", str(self._folder / "data"), "-k", str(self._folder), *settings]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, user=_USER, cwd=self._folder)
        wait_for(self._answers, "PostgreSQL answers", every_s=0.1)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(DEADLINE_S)
            self._process = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Inside, its processes are there, and do nothing."""
        assert self._process is not None
        postmaster = psutil.Process(self._process.pid)
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def _answers(self) -> bool:
        command = [_found("psql"), "-q", "-d", self.url(), "-c", "SELECT 1"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run([_found(name), *arguments], stdout=subprocess.DEVNULL, check=True, user=_USER, cwd=self._folder)


@contextmanager
def server() -> Iterator[Server]:
    """A running server; it and its folder are gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # the path of a socket is short
    folder.chmod(0o700)
    if _USER is not None:
        shutil.chown(folder, _USER)
    made = Server(folder)
    try:
        made.start()
        yield made
    finally:
        made.kill()
        shutil.rmtree(folder)


def _found(name: str) -> str:
    path = program(name)
    assert path is not None
    return path
