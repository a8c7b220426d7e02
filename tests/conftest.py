"""What holds for all tests."""

import gc
from itertools import groupby

import pytest
from hypothesis import HealthCheck, settings

# No test depends on how fast the machine is, or on what else it does.
settings.register_profile("goodfaith", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("goodfaith")

# Tests with processes of their own, which mostly wait.
WAITING = ("e2e", "browser")


def pytest_collection() -> None:
    """Thousands of tests and all that they import live to the end: nobody looks among them for what does not."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files of tests that wait among those that compute.

    Several processes take as many tests each, in this order: without it one of them would have all that wait, and
    the others would be done long before it.
    """
    waiting, computing = list[pytest.Item](), list[pytest.Item]()
    for item in items:
        (waiting if set(WAITING) & {*item.path.parts} else computing).append(item)
    files = [list(tests) for _, tests in groupby(waiting, key=lambda item: item.path)]
    stretch = len(computing) // len(files) if files else 0
    spread = (
        test for at, tests in enumerate(files) for test in (*tests, *computing[at * stretch : (at + 1) * stretch])
    )
    items[:] = [*spread, *computing[len(files) * stretch :]]
