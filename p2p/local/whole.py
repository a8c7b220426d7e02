"""Homes that are whole or not there: a full disk or a kill at any moment leaves no half of one."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from chain.base.errors import OperatorError

DRAFT = ".goodfaith-unfinished"


def require_no_testnet(path: Path) -> None:
    """Raises :class:`OperatorError` where a folder is no home, but holds some: that of a testnet."""
    if any((path / name).exists() for name in ("key", "config.toml")):
        return
    homes = sorted(found.parent.name for found in path.glob("*/config.toml"))
    if homes:
        raise OperatorError(
            f"{path} is not a home itself, but holds some: {', '.join(homes)}; name one of them, as {path / homes[0]}"
        )


@contextmanager
def whole_folder(path: Path, names: Sequence[str]) -> Iterator[Path]:
    """Make ``path`` of the files and folders ``names``, which are to be put into the folder that this gives.

    They move to ``path`` at the end, in their order: a folder that has the last one is complete.  Where something
    fails, ``path`` is left as it was; where the process is killed, a draft is left that the next try clears.  Raises
    :class:`OperatorError` where ``path`` cannot be written, is a home already, or is made by another process just now.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    with _written(path):
        path.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        with _written(path):
            _clear(path, names)
        taken = next((name for name in names if (path / name).exists()), None)
        if taken is not None:
            raise OperatorError(f"{path} is a home already; choose another folder")
        draft = path / DRAFT
        try:
            with _written(path):
                draft.mkdir()
                yield draft
                for folder, _, files in os.walk(draft):
                    for name in (*files, "."):
                        make_durable(Path(folder, name))
                for name in names:
                    (draft / name).rename(path / name)
                make_durable(path)
                draft.rmdir()
        except BaseException:
            with suppress(OSError):
                _undo(path, names)
            for parent in missing:
                with suppress(OSError):
                    parent.rmdir()
            raise


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep others from making ``path`` at the same time: each would clear the draft of the other."""
    with _written(path):
        descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # not every file system has such locks
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OperatorError(f"{path} is being made by another process; look at what it says") from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be written ({error.strerror}); make room for it, or choose another folder, and try again"
        ) from error


def _clear(path: Path, names: Sequence[str]) -> None:
    """Remove a draft that a kill left, and what moved out of it unless it became complete."""
    draft = path / DRAFT
    if draft.is_dir() and (path / names[-1]).exists():
        shutil.rmtree(draft)
    elif draft.is_dir():
        _undo(path, names)


def _undo(path: Path, names: Sequence[str]) -> None:
    for name in names:
        if (path / name).is_dir():
            shutil.rmtree(path / name)
        else:
            (path / name).unlink(missing_ok=True)
    shutil.rmtree(path / DRAFT, ignore_errors=True)


def make_durable(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk; that it is full may show only now.  Raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
