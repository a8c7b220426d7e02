"""What holds for all tests."""

import gc

from hypothesis import HealthCheck, settings

# No test depends on how fast the machine is, or on what else it does.
settings.register_profile("goodfaith", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("goodfaith")


def pytest_collection() -> None:
    """Thousands of tests and all that they import live to the end: nobody looks among them for what does not."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
