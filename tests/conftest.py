"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# No test depends on how fast the machine is, or on what else it does.
settings.register_profile("goodfaith", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("goodfaith")
