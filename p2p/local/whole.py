"""Homes that are whole or not there: a full disk or a kill at any moment leaves no half of one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from chain.errors import OperatorError

DRAFT = ".goodfaith-unfinished"


@contextmanager
def whole_folder(path: Path, names: Sequence[str]) -> Iterator[Path]:
    """Make ``path`` of the files and folders ``names``, which are to be put into the folder that this gives.

    They move to ``path`` at the end, in their order: a folder that has the last one is complete.  Where something
    fails, ``path`` is left as it was; where the process is killed, a draft is left that the next try clears.  Raises
    :class:`OperatorError` where ``path`` cannot be written, or is a home already.
    """
    draft = path / DRAFT
    with _written(path):
        _clear(path, names)
    taken = next((name for name in names if (path / name).exists()), None)
    if taken is not None:
        raise OperatorError(f"{path} is a home already; choose another folder or remove it")
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        with _written(path):
            draft.mkdir(parents=True)
            yield draft
            _sync(draft)
            for name in names:
                (draft / name).rename(path / name)
            _sync(path)
            draft.rmdir()
    except BaseException:
        with suppress(OSError):
            _clear(path, names)
            for folder in missing:
                folder.rmdir()
        raise


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be written ({error.strerror}); make room for it, or choose another folder, and try again"
        ) from error


def _clear(path: Path, names: Sequence[str]) -> None:
    """Remove a draft, and what it was for unless that became complete."""
    draft = path / DRAFT
    if not draft.is_dir():
        return
    if not (path / names[-1]).exists():
        for name in names:
            _remove(path / name)
    shutil.rmtree(draft)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Make durable what is in ``folder``: a full disk may show only now."""
    for root, _, names in os.walk(folder):
        for name in (*names, "."):
            descriptor = os.open(os.path.join(root, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
