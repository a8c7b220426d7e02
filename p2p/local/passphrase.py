"""Where the passphrase of an encrypted key comes from: a terminal, a file, or an open descriptor."""

from __future__ import annotations

import functools
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from chain.base.errors import OperatorError

MAX_BYTES = 1_024
"""The first line of a file or descriptor; what is longer is no passphrase but a mistake."""


class Passphrase:
    """What was said about passphrases on a command line; each is read or asked for when it is needed, once.

    ``word`` is one that is known already.  Raises :class:`OperatorError` where file and descriptor are named.
    """

    def __init__(self, file: Path | None = None, descriptor: int | None = None, *, word: bytes | None = None) -> None:
        if file is not None and descriptor is not None:
            raise OperatorError("say either --passphrase-file or --passphrase-fd")
        self._file = file
        self._descriptor = descriptor
        self._word = word
        self._told: dict[Path, bytes] = {}

    @property
    def is_given(self) -> bool:
        """Whether a file or descriptor was named, so that nobody is asked."""
        return self._file is not None or self._descriptor is not None

    def of(self, key: Path) -> bytes:
        """The passphrase of the encrypted key in file ``key``.  Raises :class:`OperatorError` where there is none."""
        if self._given is not None:
            return self._given
        if key not in self._told:
            self._told[key] = _ask(f"Passphrase of {key}", f"{key} is encrypted")
        return self._told[key]

    def chosen(self) -> bytes:
        """The passphrase for a key to be encrypted; from a terminal, typed twice.  Raises :class:`OperatorError`."""
        return self._given or _ask("New passphrase", "a passphrase is needed to encrypt with", is_new=True)

    @functools.cached_property
    def _given(self) -> bytes | None:
        if self._descriptor is not None:
            return _first_line(self._descriptor, f"descriptor {self._descriptor}")
        if self._file is None:
            return self._word
        if not self._file.exists():
            raise OperatorError(f"{self._file} is missing; name the file that holds the passphrase")
        # As systemd passes credentials on, its group may read it: an access list says who that is.
        if os.name == "posix" and stat.S_IMODE(self._file.stat().st_mode) & 0o007:
            raise OperatorError(f"{self._file} can be read by everybody; run `chmod 600 {self._file}`")
        with self._file.open("rb") as file:
            return _first_line(file.fileno(), str(self._file))


ASKED = Passphrase()
"""Nothing was said: it is asked for."""


def with_passphrase(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say where passphrases come from; the command gets ``passphrase``."""

    @functools.wraps(command)
    def decided(passphrase_file: Path | None, passphrase_fd: int | None, **options: Any) -> None:
        command(passphrase=Passphrase(passphrase_file, passphrase_fd), **options)

    for option in (
        click.option(
            "--passphrase-fd",
            type=click.IntRange(min=0),
            metavar="NUMBER",
            help="The same, from an open descriptor.",
        ),
        click.option(
            "--passphrase-file",
            type=click.Path(path_type=Path, dir_okay=False),
            envvar="GOODFAITH_PASSPHRASE_FILE",
            show_envvar=True,
            help="File whose first line opens encrypted keys.  Else they are asked for.",
        ),
    ):
        decided = option(decided)
    return decided


def _first_line(descriptor: int, where: str) -> bytes:
    content = b""
    try:
        while b"\n" not in content and len(content) <= MAX_BYTES and (part := os.read(descriptor, MAX_BYTES)):
            content += part
    except OSError as error:
        raise OperatorError(f"no passphrase can be read from {where} ({error.strerror}); name another") from error
    line = content.partition(b"\n")[0].removesuffix(b"\r")
    if not 0 < len(line) <= MAX_BYTES:
        raise OperatorError(f"the first line of {where} must be a passphrase of 1 to {MAX_BYTES} bytes")
    return line


def _ask(question: str, why: str, *, is_new: bool = False) -> bytes:
    if not sys.stdin.isatty():
        raise OperatorError(f"{why}, and there is no terminal to ask at; say --passphrase-file or --passphrase-fd")
    answer: str = click.prompt(question, hide_input=True, confirmation_prompt=is_new, err=True)
    return answer.encode()
